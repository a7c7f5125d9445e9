//===- Exporter.cpp - Checkpoint to graph -----------------------------------------------------------------------===//
#include "models/Qwen3/Exporter.h"

#include "models/Graph/GraphVerifier.h"
#include "models/Qwen3/Config.h"
#include "models/Qwen3/Omni.h"
#include "models/Qwen3/TextDecoder.h"

#include <algorithm>

using namespace qwenc;
using namespace qwenc::graph;
using nlohmann::json;

namespace {

/// The row for the config's `architectures`, or for its `model_type` when there are none.
Result<const Architecture *> findArchitecture(const json &config) {
  std::string found;
  if (const json *names = member(config, "architectures"); names && names->is_array())
    for (const json &element : *names)
      if (const std::string *name = asString(element)) {
        found += (found.empty() ? "" : " ") + *name;
        for (const Architecture &architecture : architectures())
          if (architecture.name == *name)
            return &architecture;
      }
  const json *type = member(config, "model_type");
  if (const std::string *name = type ? asString(*type) : nullptr; name && found.empty()) {
    found = "model_type " + *name;
    for (const Architecture &architecture : architectures())
      if (architecture.modelType == *name)
        return &architecture;
  }
  std::string supported;
  for (const Architecture &architecture : architectures())
    supported += (supported.empty() ? "" : " ") + std::string(architecture.name);
  return Status(StatusCode::Unsupported, "architecture " +
                                             (found.empty() ? "missing in config.json" : inQuotes(found)) +
                                             ", expected one of [" + supported + "], choose a supported checkpoint");
}

Status checkComponents(const Architecture &architecture, const std::vector<std::string> &components) {
  for (const std::string &component : components) {
    if (std::find(architecture.components.begin(), architecture.components.end(), component) !=
        architecture.components.end())
      continue;
    std::string known;
    for (std::string_view name : architecture.components)
      known += (known.empty() ? "" : " ") + std::string(name);
    return Status(StatusCode::InvalidUsage, "component " + inQuotes(component) + " of " +
                                                std::string(architecture.name) + ", expected one of [" + known +
                                                "], correct --components");
  }
  return Status::ok();
}

/// A member of generation_config.json if it is there and not null.
const json *setting(const json &config, const char *key) {
  const json *found = member(config, key);
  return found && !found->is_null() ? found : nullptr;
}

/// Stop ids are the member \p key of \p file, whose content is \p config.
void readStopIds(const json &config, const char *key, const char *file, uint64_t vocabSize, GenerationInfo &generation,
                 std::vector<std::string> &problems) {
  const json *ids = setting(config, key);
  if (!ids)
    return;
  constexpr size_t maxStopIds = 1024;
  json list = ids->is_array() ? *ids : json::array({*ids});
  for (const json &element : list) {
    std::optional<uint64_t> id = asUnsigned(element);
    if (!id || *id >= vocabSize || list.size() > maxStopIds) {
      problems.push_back(std::string(key) +
                         " holds something else than ids, expected at most 1024 integers below vocab_size " +
                         std::to_string(vocabSize) + ", correct " + file);
      return;
    }
    generation.stopIds.push_back(static_cast<uint32_t>(*id));
  }
}

void readNumber(const json &config, const char *key, double max, double &value, std::vector<std::string> &problems) {
  const json *found = setting(config, key);
  if (!found)
    return;
  std::optional<double> number = asNumber(*found);
  if (number && *number > 0 && *number <= max)
    value = *number;
  else
    problems.push_back(std::string(key) + " is no number above 0 and up to " + std::to_string(int(max)) +
                       ", expected one, correct generation_config.json");
}

/// The defaults are those of transformers' GenerationConfig.
Result<GenerationInfo> readGeneration(const Checkpoint &checkpoint, uint64_t vocabSize) {
  std::vector<std::string> problems;
  GenerationInfo generation;
  // Without generation_config.json transformers derives the stop ids from config.json.
  const json &config = checkpoint.generationConfig ? *checkpoint.generationConfig : checkpoint.config;
  const char *file = checkpoint.generationConfig ? "generation_config.json" : "config.json";
  // Qwen3-Omni stops its text at the end of the turn, whatever its generation settings say.
  if (member(checkpoint.config, "thinker_config"))
    readStopIds(checkpoint.config, "im_end_token_id", "config.json", vocabSize, generation, problems);
  else
    readStopIds(config, "eos_token_id", file, vocabSize, generation, problems);
  if (const json *sample = setting(config, "do_sample")) {
    generation.doSample = sample->is_boolean() && sample->get<bool>();
    if (!sample->is_boolean())
      problems.push_back("do_sample is no boolean, expected true or false, correct generation_config.json");
  }
  // Greedy settings often come with temperature 0, which transformers then ignores.
  const json *temperature = setting(config, "temperature");
  if (generation.doSample || !temperature || asNumber(*temperature) != 0.0)
    readNumber(config, "temperature", 1000, generation.temperature, problems);
  readNumber(config, "top_p", 1, generation.topP, problems);
  readNumber(config, "repetition_penalty", 1000, generation.repetitionPenalty, problems);
  constexpr uint32_t transformersTopK = 50;
  generation.topK = generation.doSample ? transformersTopK : 0;
  if (const json *topK = setting(config, "top_k")) {
    std::optional<uint64_t> count = asUnsigned(*topK);
    if (count && *count <= INT32_MAX)
      generation.topK = static_cast<uint32_t>(*count);
    else
      problems.push_back("top_k is no integer in 0 .. 2^31-1, expected one, correct generation_config.json");
  }
  QWENRT_RETURN_IF_ERROR(reportProblems("the generation settings", problems));
  return generation;
}

} // namespace

std::span<const Architecture> qwenc::architectures() {
  static const std::vector<Architecture> table = {
      {"Qwen3ForCausalLM", "qwen3", {"text"}, exportTextDecoder},
      {"Qwen3MoeForCausalLM", "qwen3_moe", {"text"}, exportTextDecoder},
      {"Qwen3OmniMoeForConditionalGeneration",
       "qwen3_omni_moe",
       {"text", "audio", "vision", "talker", "code2wav"},
       exportOmni},
  };
  return table;
}

Result<Graph> qwenc::exportCheckpoint(const Checkpoint &checkpoint, const ExportOptions &options) {
  QWENRT_ASSIGN_OR_RETURN(const Architecture *architecture, findArchitecture(checkpoint.config));
  QWENRT_RETURN_IF_ERROR(checkComponents(*architecture, options.components));
  if (!isUtf8(options.checkpointPath) || !isUtf8(options.modelName))
    return Status(StatusCode::InvalidInput, "checkpoint path " + inQuotes(options.checkpointPath) +
                                                " is no UTF-8, expected a path that JSON can hold, rename the folder");
  Graph graph;
  graph.producer = options.producer;
  graph.model.name = options.modelName;
  graph.model.architecture = architecture->name;
  graph.checkpoint.path = options.checkpointPath;
  QWENRT_RETURN_IF_ERROR(architecture->build(checkpoint, options.components, graph));
  // Encoders alone generate nothing.
  if (graph.generate) {
    QWENRT_ASSIGN_OR_RETURN(graph.generation, readGeneration(checkpoint, graph.model.vocabSize));
  }
  if (!checkpoint.tokenizerFiles.empty()) {
    graph.tokenizer = TokenizerInfo{"qwen2-bpe", checkpoint.tokenizerFiles};
    graph.chat = ChatInfo{"chatml", checkpoint.thinkingSwitch};
  }
  QWENRT_RETURN_IF_ERROR(verifyGraph(graph));
  return graph;
}
