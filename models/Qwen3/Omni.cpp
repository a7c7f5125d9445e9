//===- Omni.cpp - The components of Qwen3-Omni ------------------------------------------------------------------===//
#include "models/Qwen3/Omni.h"

#include "models/Checkpoint/Json.h"
#include "models/Qwen3/AudioEncoder.h"
#include "models/Qwen3/Code2Wav.h"
#include "models/Qwen3/Config.h"
#include "models/Qwen3/ConfigReader.h"
#include "models/Qwen3/Talker.h"
#include "models/Qwen3/TextDecoder.h"
#include "models/Qwen3/VisionEncoder.h"

#include <algorithm>

using namespace qwenc;
using namespace qwenc::graph;
using nlohmann::json;

namespace {

/// Whether a component is wanted: named, or described by the config when none is named.
class Selection {
public:
  Selection(const Checkpoint &checkpoint, const std::vector<std::string> &components)
      : config_(checkpoint.config), thinker_(member(checkpoint.config, "thinker_config")), components_(components) {}

  bool has(std::string_view component, const char *configKey) const {
    if (components_.empty())
      return thinker_ && member(*thinker_, configKey);
    return isNamed(component);
  }
  /// A component beside the thinker; checkpoints without speech say so, or do not describe it.
  bool hasSpeech(std::string_view component, const char *configKey) const {
    if (!components_.empty())
      return isNamed(component);
    const json *enabled = member(config_, "enable_audio_output"), *config = member(config_, configKey);
    return config && config->is_object() && !(enabled && enabled->is_boolean() && !enabled->get<bool>());
  }

private:
  bool isNamed(std::string_view component) const {
    return std::find(components_.begin(), components_.end(), component) != components_.end();
  }

  const json &config_;
  const json *thinker_;
  const std::vector<std::string> &components_;
};

/// A frame of the talker is a frame of the vocoder.
Status checkFrames(const Graph &graph) {
  const TalkerInfo &talker = *graph.speech->talker;
  const VocoderInfo &vocoder = *graph.speech->vocoder;
  const char *remedy = ", correct config.json or leave component code2wav out";
  const uint64_t made = talker.tables.size(), taken = vocoder.groups;
  if (made != taken)
    return Status(StatusCode::InvalidInput, "config.json: code2wav_config.num_quantizers is " + std::to_string(taken) +
                                                ", expected talker_config.num_code_groups " + std::to_string(made) +
                                                remedy);
  uint64_t codes = talker.suppressedFirst; // of the first group; the codes behind them are never chosen
  for (const Weight &weight : graph.weights)
    if (std::find(talker.tables.begin() + 1, talker.tables.end(), weight.name) != talker.tables.end())
      codes = std::max(codes, weight.shape.front());
  if (codes > vocoder.codebookSize)
    return Status(StatusCode::InvalidInput, "config.json: code2wav_config.codebook_size is " +
                                                std::to_string(vocoder.codebookSize) + ", expected at least the " +
                                                std::to_string(codes) + " codes of the talker and its predictor" +
                                                remedy);
  return Status::ok();
}

/// The runtime places sound and frames at this rate, that of the published models.
Status checkPositionRate(const json &config) {
  std::vector<std::string> problems;
  for (const char *component : {"thinker_config", "talker_config"}) {
    const json *found = member(config, component);
    if (!found || !found->is_object())
      continue;
    ConfigReader reader(*found, problems, std::string(component) + ".");
    const json *rate = reader.find("position_id_per_seconds");
    if (rate && asNumber(*rate) != 13.0)
      reader.problem("position_id_per_seconds", rate, "13, the only rate supported");
  }
  return reportProblems("the positions of media", problems);
}

} // namespace

Status qwenc::exportOmni(const Checkpoint &checkpoint, const std::vector<std::string> &components, Graph &graph) {
  Selection selection(checkpoint, components);
  bool hasAudio = selection.has("audio", "audio_config"), hasVision = selection.has("vision", "vision_config");
  if (hasAudio) {
    QWENRT_RETURN_IF_ERROR(exportAudioEncoder(checkpoint, graph));
  }
  if (hasVision) {
    QWENRT_RETURN_IF_ERROR(exportVisionEncoder(checkpoint, graph));
  }
  if (hasAudio || hasVision)
    QWENRT_RETURN_IF_ERROR(checkPositionRate(checkpoint.config));
  const bool hasTalker = selection.hasSpeech("talker", "talker_config");
  // A checkpoint without its decoder is a broken one, unless somebody asked for less.
  if (components.empty() || selection.has("text", "text_config")) {
    DecoderMedia media{hasAudio || hasVision, hasVision ? graph.media->vision->deepstack : 0, std::nullopt};
    if (hasTalker)
      media.acceptHidden = talkerAcceptHidden(checkpoint.config);
    QWENRT_RETURN_IF_ERROR(exportThinkerDecoder(checkpoint, media, graph));
  }
  if (hasTalker) {
    QWENRT_RETURN_IF_ERROR(exportTalker(checkpoint, graph));
  }
  if (selection.hasSpeech("code2wav", "code2wav_config")) {
    QWENRT_RETURN_IF_ERROR(exportCode2Wav(checkpoint, graph));
  }
  if (graph.speech && graph.speech->talker && graph.speech->vocoder)
    return checkFrames(graph);
  return Status::ok();
}
