//===- Cases.cpp - Many prompts in one process -------------------------------------------------------------------===//
//
// FILE.json is an array of cases, or an object with the array "cases". A case is an object with "input_ids" or "prompt"
// and optionally "name", "system", "raw", "max_new_tokens", "ignore_eos", "stop_ids", "force_ids", "temperature",
// "top_k", "top_p", "repetition_penalty", "seed" and "logits" (a file to write); what it does not say, the command line
// says. Media are an array "media" of objects with one of "audio", "image" and "video", a path, beside "fps",
// "min_pixels", "max_pixels" and "use_audio_in_video". "speech" (a WAV file to write) or "print_codes" lets a case be
// spoken, as "speaker", "speech_greedy", "speech_temperature", "speech_top_k", "speech_top_p",
// "speech_repetition_penalty", "speech_max_frames", "speech_ignore_eos", "vocoder_chunk" and "vocoder_context" say.
// Standard output gets one JSON line per case, in order; of a spoken one it says "codes" (with "print_codes"), how
// speech finished ("stop", "length", "context" or "nothing"), its frames and samples, and milliseconds: "speech_ms"
// from the talker's start to the last sample, "first_audio_ms" and "late_ms", by which who plays had to wait.
//
//===------------------------------------------------------------------------------------------------------------===//
#include "Terminal.h"
#include "TextMode.h"
#include "Tokens.h"
#include "models/Checkpoint/Json.h"
#include "runtime/lib/Text.h"

using namespace qwenrt;
using namespace qwenrt::tool;

namespace {

using nlohmann::json;

Status wrongMember(const char *key, const char *expected) {
  return {StatusCode::InvalidInput, text("case has a wrong '", key, "', expected ", expected, ", correct it")};
}

Status readString(const json &source, const char *key, std::optional<std::string> &target) {
  const json *value = qwenc::member(source, key);
  if (!value)
    return Status::ok();
  const std::string *string = qwenc::asString(*value);
  if (!string)
    return wrongMember(key, "a string");
  target = *string;
  return Status::ok();
}

Status readUnsigned(const json &source, const char *key, std::optional<uint32_t> &target) {
  const json *value = qwenc::member(source, key);
  if (!value)
    return Status::ok();
  std::optional<uint64_t> number = qwenc::asUnsigned(*value);
  if (!number || *number > UINT32_MAX)
    return wrongMember(key, "a whole number below 2^32");
  target = uint32_t(*number);
  return Status::ok();
}

Status readFloat(const json &source, const char *key, std::optional<float> &target) {
  const json *value = qwenc::member(source, key);
  if (!value)
    return Status::ok();
  std::optional<double> number = qwenc::asNumber(*value);
  if (!number)
    return wrongMember(key, "a number");
  target = float(*number);
  return Status::ok();
}

Status readFlag(const json &source, const char *key, bool &target) {
  const json *value = qwenc::member(source, key);
  if (!value)
    return Status::ok();
  if (!value->is_boolean())
    return wrongMember(key, "true or false");
  target = value->get<bool>();
  return Status::ok();
}

/// Lists of ids go the way of the command line's.
Status readIds(const json &source, const char *key, std::optional<std::string> &target) {
  const json *value = qwenc::member(source, key);
  if (!value)
    return Status::ok();
  if (!value->is_array())
    return wrongMember(key, "an array of token ids");
  target = value->dump(-1, ' ', false, json::error_handler_t::replace);
  return Status::ok();
}

/// [{"audio": "a.wav"}, {"image": "b.png"}]
Status readMediaFiles(const json &source, std::vector<MediaFile> &files) {
  const json *list = qwenc::member(source, "media");
  if (!list)
    return Status::ok();
  const Status wrong =
      wrongMember("media", "an array of objects with one of audio, image and video and nothing beside it");
  if (!list->is_array())
    return wrong;
  for (const json &element : *list) {
    if (!element.is_object() || element.size() != 1)
      return wrong;
    for (auto [key, media] : {std::pair{"audio", Media::Audio}, {"image", Media::Image}, {"video", Media::Video}}) {
      std::optional<std::string> path;
      QWENRT_RETURN_IF_ERROR(readString(element, key, path));
      if (path)
        files.push_back({media, *path});
    }
  }
  return files.size() == list->size() ? Status::ok() : wrong;
}

Status readMedia(const json &source, Options &options) {
  std::optional<float> fps;
  std::optional<uint32_t> minPixels, maxPixels;
  QWENRT_RETURN_IF_ERROR(readMediaFiles(source, options.mediaFiles));
  QWENRT_RETURN_IF_ERROR(readFloat(source, "fps", fps));
  QWENRT_RETURN_IF_ERROR(readUnsigned(source, "min_pixels", minPixels));
  QWENRT_RETURN_IF_ERROR(readUnsigned(source, "max_pixels", maxPixels));
  if (fps)
    options.mediaSettings.fps = *fps;
  if (minPixels)
    options.mediaSettings.minPixels = *minPixels;
  if (maxPixels)
    options.mediaSettings.maxPixels = *maxPixels;
  return readFlag(source, "use_audio_in_video", options.mediaSettings.audioInVideo);
}

bool asksForSpeech(const json &source) {
  return source.is_object() && (qwenc::member(source, "speech") || qwenc::member(source, "print_codes"));
}

/// What the options of speech say, under the names of the options.
Status readSpeech(const json &source, SpeechSettings &speech) {
  std::optional<std::string> path, speaker;
  QWENRT_RETURN_IF_ERROR(readString(source, "speech", path));
  QWENRT_RETURN_IF_ERROR(readString(source, "speaker", speaker));
  QWENRT_RETURN_IF_ERROR(readFlag(source, "print_codes", speech.printCodes));
  QWENRT_RETURN_IF_ERROR(readFlag(source, "speech_greedy", speech.greedy));
  QWENRT_RETURN_IF_ERROR(readFlag(source, "speech_ignore_eos", speech.ignoreEos));
  QWENRT_RETURN_IF_ERROR(readFloat(source, "speech_temperature", speech.temperature));
  QWENRT_RETURN_IF_ERROR(readUnsigned(source, "speech_top_k", speech.topK));
  QWENRT_RETURN_IF_ERROR(readFloat(source, "speech_top_p", speech.topP));
  QWENRT_RETURN_IF_ERROR(readFloat(source, "speech_repetition_penalty", speech.repetitionPenalty));
  QWENRT_RETURN_IF_ERROR(readUnsigned(source, "speech_max_frames", speech.maxFrames));
  QWENRT_RETURN_IF_ERROR(readUnsigned(source, "vocoder_chunk", speech.chunkFrames));
  QWENRT_RETURN_IF_ERROR(readUnsigned(source, "vocoder_context", speech.contextFrames));
  if (path && (path->empty() || *path == "-")) // standard output has the lines
    return wrongMember("speech", "the path of a file");
  speech.path = path.value_or("");
  speech.speaker = speaker.value_or("");
  if (speech.maxFrames == 0u)
    return wrongMember("speech_max_frames", "1 or more");
  if (speech.chunkFrames == 0u)
    return wrongMember("vocoder_chunk", "1 or more");
  if (speech.contextFrames && !speech.chunkFrames)
    return wrongMember("vocoder_context", "'vocoder_chunk' beside it");
  if (speech.greedy && (speech.temperature || speech.topK || speech.topP))
    return wrongMember("speech_greedy", "no settings of sampling beside it");
  if (!speech.path.empty() || speech.printCodes)
    return Status::ok();
  for (const char *key : {"speaker", "speech_greedy", "speech_ignore_eos", "speech_temperature", "speech_top_k",
                          "speech_top_p", "speech_repetition_penalty", "speech_max_frames", "vocoder_chunk"})
    if (qwenc::member(source, key))
      return wrongMember(key, "'speech' or 'print_codes' beside it");
  return Status::ok();
}

/// \p options with what \p source says.
Status applyCase(const json &source, Options &options) {
  if (!source.is_object())
    return {StatusCode::InvalidInput, "case is no object, expected one with 'input_ids' or 'prompt', correct it"};
  std::optional<std::string> system, logits;
  std::optional<uint32_t> seed;
  QWENRT_RETURN_IF_ERROR(readString(source, "prompt", options.prompt));
  QWENRT_RETURN_IF_ERROR(readIds(source, "input_ids", options.inputIds));
  QWENRT_RETURN_IF_ERROR(readString(source, "system", system));
  QWENRT_RETURN_IF_ERROR(readString(source, "logits", logits));
  QWENRT_RETURN_IF_ERROR(readFlag(source, "raw", options.raw));
  QWENRT_RETURN_IF_ERROR(readFlag(source, "ignore_eos", options.ignoreEos));
  QWENRT_RETURN_IF_ERROR(readUnsigned(source, "max_new_tokens", options.maxNewTokens));
  QWENRT_RETURN_IF_ERROR(readIds(source, "stop_ids", options.stopIds));
  QWENRT_RETURN_IF_ERROR(readIds(source, "force_ids", options.forceIds));
  QWENRT_RETURN_IF_ERROR(readFloat(source, "temperature", options.temperature));
  QWENRT_RETURN_IF_ERROR(readUnsigned(source, "top_k", options.topK));
  QWENRT_RETURN_IF_ERROR(readFloat(source, "top_p", options.topP));
  QWENRT_RETURN_IF_ERROR(readFloat(source, "repetition_penalty", options.repetitionPenalty));
  QWENRT_RETURN_IF_ERROR(readUnsigned(source, "seed", seed));
  options.hasSystem = system.has_value();
  options.system = system.value_or("");
  options.logitsPath = logits.value_or("");
  options.seed = seed.value_or(options.seed);
  QWENRT_RETURN_IF_ERROR(readMedia(source, options));
  QWENRT_RETURN_IF_ERROR(readSpeech(source, options.speech));
  if (options.prompt.has_value() == options.inputIds.has_value())
    return {StatusCode::InvalidInput, "case has both or none of 'prompt' and 'input_ids', expected one, correct it"};
  return Status::ok();
}

const char *finishName(Finish finish) {
  switch (finish) {
  case Finish::Stop:
    return "stop";
  case Finish::Length:
    return "length";
  case Finish::Context:
    return "context";
  case Finish::Cancelled:
    break;
  }
  return "cancelled";
}

const char *finishName(SpeechFinish finish) {
  switch (finish) {
  case SpeechFinish::Stop:
    return "stop";
  case SpeechFinish::Length:
    return "length";
  case SpeechFinish::Context:
    return "context";
  case SpeechFinish::Nothing:
    return "nothing";
  case SpeechFinish::Cancelled:
    break;
  }
  return "cancelled";
}

std::string speechMembers(const SpeechOutput &speech, bool printCodes) {
  const SpeechResult &result = speech.result();
  auto milliseconds = [](uint64_t ns) { return formatFixed(double(ns) / 1e6, 3); };
  return text(printCodes ? text(",\"codes\":", speech.codes()) : std::string(), ",\"speech_finish\":\"",
              finishName(result.finish), "\",\"speech_frames\":", result.frames, ",\"speech_samples\":", result.samples,
              ",\"speech_ms\":", milliseconds(result.speechNs),
              ",\"first_audio_ms\":", result.firstAudioNs ? milliseconds(result.firstAudioNs) : std::string("null"),
              ",\"late_ms\":", milliseconds(result.lateNs));
}

Result<std::optional<SpeechOutput>> openSpeech(const json &source, const Options &options, const Runtime &runtime) {
  if (!asksForSpeech(source))
    return std::optional<SpeechOutput>();
  QWENRT_RETURN_IF_ERROR(runtime.session->reset()); // a speaker comes before the first prompt
  return SpeechOutput::open(options, runtime);
}

std::string mediaMembers(const MediaTimes &times) {
  auto member = [](const char *name, uint64_t ns) {
    return text(",\"", name, "\":", formatFixed(double(ns) / 1e6, 3));
  };
  return text(member("front_end_ms", times.frontEndNs), member("upload_ms", times.uploadNs),
              member("encoder_ms", times.encoderNs));
}

/// Runs one case; the members of its line, without the braces.
Result<std::string> runCase(const json &source, Options options, Runtime &runtime, const Tokenizer *tokenizer) {
  QWENRT_RETURN_IF_ERROR(applyCase(source, options));
  QWENRT_ASSIGN_OR_RETURN(Prompt prompt, readPrompt(options, runtime.plan));
  QWENRT_ASSIGN_OR_RETURN(GenerateOptions generate,
                          generateOptions(options, *runtime.plan, /*checkpointByDefault=*/false));
  QWENRT_ASSIGN_OR_RETURN(std::optional<SpeechOutput> speech, openSpeech(source, options, runtime));
  QWENRT_ASSIGN_OR_RETURN(GenerateResult result, generateOnce(*runtime.session, prompt, generate, options.logitsPath,
                                                              {}, speech ? &*speech : nullptr));
  if (result.finish == Finish::Cancelled || (speech && speech->result().finish == SpeechFinish::Cancelled))
    return Status(StatusCode::InvalidInput, "interrupted, expected the case to end, run it again");
  std::string members = text("\"prompt_tokens\":", prompt.tokens(), ",\"ids\":", formatIds(result.tokens));
  if (!generate.forceIds.empty())
    members += text(",\"sampled\":", formatIds(result.sampled));
  if (tokenizer) {
    std::span<const int32_t> shown(result.tokens);
    if (result.finish == Finish::Stop)
      shown = shown.first(shown.size() - 1);
    members += text(",\"text\":", jsonString(tokenizer->decode(shown, /*skipSpecial=*/true)));
  }
  return text(members, ",\"finish\":\"", finishName(result.finish),
              "\",\"prefill_ms\":", formatFixed(double(result.prefillNs) / 1e6, 3),
              ",\"decode_ms\":", formatFixed(double(result.decodeNs) / 1e6, 3),
              prompt.media ? mediaMembers(prompt.times) : std::string(),
              speech ? speechMembers(*speech, options.speech.printCodes) : std::string());
}

Status runAll(const Options &options, std::shared_ptr<const Plan> plan) {
  qwenc::JsonLimits limits;
  limits.maxBytes = uint64_t(1) << 28;
  limits.maxValues = 16'000'000;
  QWENRT_ASSIGN_OR_RETURN(json document, qwenc::readJsonFile(options.casesPath, limits));
  const json *member = qwenc::member(document, "cases");
  const json &cases = member ? *member : document;
  if (!cases.is_array())
    return {StatusCode::InvalidInput,
            text("'", printable(options.casesPath), "' holds no cases, expected an array of them, correct it")};
  std::optional<Tokenizer> tokenizer;
  if (plan->root().tokenizer()) {
    QWENRT_ASSIGN_OR_RETURN(Tokenizer opened, openTokenizer(*plan));
    tokenizer.emplace(std::move(opened));
  }
  Options opening = options;
  for (const json &source : cases) // its kernels are then made beside the loading
    opening.speech.printCodes |= asksForSpeech(source);
  QWENRT_ASSIGN_OR_RETURN(Runtime runtime, openRuntime(opening, plan));
  InterruptScope scope;
  size_t failed = 0, index = 0;
  for (const json &source : cases) {
    std::optional<std::string> name;
    (void)readString(source, "name", name).isOk();
    std::string head = text("{\"case\":", index++, name ? text(",\"name\":", jsonString(*name)) : std::string(), ",");
    Result<std::string> members = runCase(source, options, runtime, tokenizer ? &*tokenizer : nullptr);
    failed += !members.isOk();
    if (!writeOutput(text(head, members.isOk() ? *members : text("\"error\":", jsonString(members.status().message())),
                          "}\n")) ||
        interrupted())
      break;
    if (!members.isOk() && members.status().code() == StatusCode::DeviceLost)
      return members.status();
  }
  QWENRT_RETURN_IF_ERROR(closeRuntime(options, runtime));
  if (failed || index < cases.size())
    return {StatusCode::InvalidInput, text(failed, " of ", cases.size(), " cases failed and ", cases.size() - index,
                                           " did not run, expected all to work, see their lines")};
  return Status::ok();
}

} // namespace

int tool::runCases(const Options &options, std::shared_ptr<const Plan> plan) {
  Status status = runAll(options, std::move(plan));
  return status.isOk() ? 0 : reportFailure(status);
}
