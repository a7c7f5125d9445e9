//===- SpeechOutput.cpp ------------------------------------------------------------------------------------------===//
#include "SpeechOutput.h"

#include "Terminal.h"
#include "Tokens.h"
#include "models/Checkpoint/SafetensorsWriter.h"
#include "runtime/lib/Text.h"

using namespace qwenrt;
using namespace qwenrt::tool;

namespace {

std::string milliseconds(uint64_t ns) { return formatFixed(double(ns) / 1e6, 1) + " ms"; }

} // namespace

Result<std::optional<SpeechOptions>> tool::speechOptions(const Options &options, const Plan &plan) {
  const SpeechSettings &wanted = options.speech;
  if (wanted.path.empty() && !wanted.printCodes)
    return std::optional<SpeechOptions>();
  SpeechOptions speech = speechDefaults(plan);
  speech.speaker = wanted.speaker;
  speech.samples = !wanted.path.empty();
  Sampling &sampling = speech.sampling;
  sampling.temperature = wanted.temperature.value_or(sampling.temperature);
  sampling.topK = wanted.topK.value_or(sampling.topK);
  sampling.topP = wanted.topP.value_or(sampling.topP);
  sampling.repetitionPenalty = wanted.repetitionPenalty.value_or(sampling.repetitionPenalty);
  if (wanted.greedy || sampling.temperature == 0) {
    sampling.greedy = speech.predictor.greedy = true;
    sampling.temperature = 1;
  }
  sampling.seed = options.seed;
  speech.predictor.seed = options.seed + 1; // draws that have nothing to do with those of the first codes
  speech.maxFrames = wanted.maxFrames.value_or(0);
  speech.ignoreEos = wanted.ignoreEos;
  speech.chunkFrames = wanted.chunkFrames.value_or(0);
  speech.contextFrames = wanted.contextFrames.value_or(0);
  QWENRT_RETURN_IF_ERROR(Speaker::check(plan, speech));
  return std::optional(std::move(speech));
}

Result<std::optional<SpeechOutput>> SpeechOutput::open(const Options &options, const Runtime &runtime) {
  QWENRT_ASSIGN_OR_RETURN(std::optional<SpeechOptions> speech, speechOptions(options, *runtime.plan));
  if (!speech)
    return std::optional<SpeechOutput>();
  SpeechOutput output;
  QWENRT_ASSIGN_OR_RETURN(output.speaker_, Speaker::create(*runtime.session));
  const fb::Speech &tables = *runtime.plan->root().speech();
  output.options_ = std::move(*speech);
  output.logitsPath_ = options.speech.logitsPath;
  output.groups_ = tables.talker()->groups();
  output.sampleRate_ = Speaker::sampleRate(*runtime.plan);
  if (tables.vocoder())
    output.frameSeconds_ = double(tables.vocoder()->frame_samples()) / tables.vocoder()->sample_rate();
  if (output.options_.samples) {
    QWENRT_ASSIGN_OR_RETURN(WavFile wav, WavFile::create(options.speech.path, output.sampleRate_));
    output.wav_.emplace(std::move(wav));
  }
  return std::optional(std::move(output));
}

Result<GenerateResult> SpeechOutput::generate(const GenerateOptions &options, const TokenCallback &onToken) {
  Status written;
  if (wav_)
    options_.onSamples = [&](std::span<const float> samples) {
      written = wav_->add(samples);
      return written.isOk();
    };
  Logits logits;
  if (!logitsPath_.empty())
    options_.onLogits = [&logits](const SpeechLogits &frame) { return logits.add(frame); };
  Result<GenerateResult> generated = speaker_->generate(options, options_, onToken, result_);
  if (!written.isOk() && !wav_->closed())
    return written;
  if (generated.isOk() && !logitsPath_.empty() && result_.finish != SpeechFinish::Cancelled)
    QWENRT_RETURN_IF_ERROR(logits.write(logitsPath_, groups_));
  return generated;
}

Status SpeechOutput::Logits::add(const SpeechLogits &frame) {
  talker.insert(talker.end(), frame.talker.begin(), frame.talker.end());
  predictor.insert(predictor.end(), frame.predictor.begin(), frame.predictor.end());
  codes.insert(codes.end(), frame.codes.begin(), frame.codes.end());
  return Status::ok();
}

Status SpeechOutput::Logits::write(const std::string &path, uint64_t groups) const {
  const uint64_t frames = codes.size() / groups;
  if (frames == 0)
    return qwenc::writeSafetensors(path, {});
  using qwenc::StoredDType;
  const std::vector<uint64_t> talkerShape = {frames, talker.size() / frames},
                              predictorShape = {frames, groups - 1, predictor.size() / frames / (groups - 1)};
  const qwenc::TensorData tensors[] = {
      {{"talker", StoredDType::F32, talkerShape}, std::as_bytes(std::span(talker))},
      {{"predictor", StoredDType::F32, predictorShape}, std::as_bytes(std::span(predictor))},
      {{"codes", StoredDType::I32, {frames, groups}}, std::as_bytes(std::span(codes))}};
  return qwenc::writeSafetensors(path, tensors);
}

std::string SpeechOutput::codes() const {
  std::string text = "[";
  for (uint32_t frame = 0; frame < result_.frames; ++frame)
    text += (frame ? "," : "") + formatIds(std::span(result_.codes).subspan(size_t(frame) * groups_, groups_));
  return text + "]";
}

void SpeechOutput::report(bool stats) const {
  if (result_.finish == SpeechFinish::Nothing)
    printNote("note: there was nothing to speak: the answer has less than two tokens, or the talker ended at once");
  if (result_.finish == SpeechFinish::Context)
    printNote("stopped speaking: the talker's context is full");
  const double seconds = sampleRate_ ? double(result_.samples) / sampleRate_ : 0;
  if (result_.lateNs)
    printNote(text("note: speech fell behind real time by ", milliseconds(result_.lateNs), " in ",
                   formatFixed(seconds, 2), " s"));
  if (!stats || result_.frames == 0)
    return;
  const double spoken = frameSeconds_ * result_.frames;
  printNote(
      text("speech: ", result_.frames, " frames", spoken > 0 ? text(" (", formatFixed(spoken, 2), " s)") : "", " in ",
           milliseconds(result_.speechNs), ", talker's prompt ", milliseconds(result_.talkerPromptNs), ", first frame ",
           milliseconds(result_.firstFrameNs), ", first audio ",
           result_.firstAudioNs ? milliseconds(result_.firstAudioNs) : "none", ", whole answer ",
           milliseconds(result_.answerNs), ", waited for text ", milliseconds(result_.waitNs), ", late ",
           milliseconds(result_.lateNs),
           spoken > 0 ? text(", real-time factor ", formatFixed(double(result_.speechNs) / 1e9 / spoken, 3)) : ""));
}
