//===- CApi.cpp - The C interface over Plan, Device and Session --------------------------------------------------===//
#include "qwenrt/qwenrt.h"

#include "Text.h"
#include "qwenrt/Speech.h"
#include "runtime/frontend/media/MediaTurn.h"

#include <cstdio>
#include <cstring>
#include <new>

using namespace qwenrt;

struct qwenrt_plan {
  std::shared_ptr<const Plan> plan;
};
struct qwenrt_device {
  std::shared_ptr<Device> device;
};
struct qwenrt_session {
  std::shared_ptr<const Plan> plan;
  std::unique_ptr<Session> session;
  std::unique_ptr<Speaker> speaker; ///< of plans that have one; it hears media while they are processed
  MediaSettings mediaSettings;
  std::optional<MediaTurn> turn; ///< once a medium was attached, or a prompt came to a plan that takes some
};

namespace {

qwenrt_code report(const Status &status, qwenrt_error *error) {
  auto code = static_cast<qwenrt_code>(status.code());
  if (error) {
    error->code = code;
    std::snprintf(error->message, sizeof(error->message), "%s", status.message().c_str());
  }
  return code;
}

/// Runs \p work, which returns a Status; no exception gets past here.
template <typename Work> qwenrt_code guarded(qwenrt_error *error, Work work) {
  try {
    return report(work(), error);
  } catch (const std::bad_alloc &) {
    if (error)
      std::snprintf(error->message, sizeof(error->message),
                    "host memory ran out, expected enough for the call, close other programs");
  } catch (...) {
    if (error)
      std::snprintf(error->message, sizeof(error->message), "call ended unexpectedly, expected a result, report it");
  }
  if (error)
    error->code = QWENRT_OUT_OF_MEMORY;
  return QWENRT_OUT_OF_MEMORY;
}

Status require(bool given, const char *what) {
  return given ? Status::ok() : Status(StatusCode::InvalidUsage, text(what, " is null, expected a value, pass one"));
}

Result<HostTensor> hostTensor(const qwenrt_tensor &tensor) {
  QWENRT_RETURN_IF_ERROR(require(tensor.name && (tensor.data || tensor.size_bytes == 0), "tensor name or data"));
  if (tensor.rank > QWENRT_MAX_RANK || uint32_t(tensor.dtype) > uint32_t(fb::DType::MAX))
    return Status(StatusCode::InvalidUsage,
                  text("tensor '", printable(tensor.name),
                       "' has an unknown rank or type, expected those of qwenrt.h, correct it"));
  HostTensor result = {tensor.name, fb::DType(tensor.dtype), {tensor.shape, tensor.shape + tensor.rank}, {}};
  const auto *bytes = static_cast<const std::byte *>(tensor.data);
  result.data.assign(bytes, bytes + tensor.size_bytes);
  return result;
}

/// Copies the output of the same name to where the caller wants it.
Status deliver(const std::vector<HostTensor> &produced, qwenrt_tensor &wanted) {
  for (const HostTensor &output : produced) {
    if (output.name != wanted.name)
      continue;
    if (wanted.size_bytes < output.data.size() || output.shape.size() > QWENRT_MAX_RANK)
      return {StatusCode::InvalidUsage, text("output '", printable(output.name), "' has room for ", wanted.size_bytes,
                                             " bytes, expected ", output.data.size(), ", give it more")};
    wanted.dtype = static_cast<qwenrt_dtype>(output.dtype);
    wanted.rank = uint32_t(output.shape.size());
    std::copy(output.shape.begin(), output.shape.end(), wanted.shape);
    if (!output.data.empty())
      std::memcpy(wanted.data, output.data.data(), output.data.size());
    wanted.size_bytes = output.data.size();
    return Status::ok();
  }
  return {StatusCode::NotFound,
          text("entry has no output '", printable(wanted.name), "', expected one of its own, see qwenrt --entry list")};
}

GenerateOptions generateOptions(const qwenrt_generate_options &options) {
  GenerateOptions result;
  if (options.max_new_tokens)
    result.maxNewTokens = options.max_new_tokens;
  result.stopIds.assign(options.stop_ids, options.stop_ids + options.stop_id_count);
  result.sampling.greedy = options.sample == 0;
  result.sampling.temperature = options.temperature == 0 ? 1 : options.temperature;
  result.sampling.topK = options.top_k;
  result.sampling.topP = options.top_p == 0 ? 1 : options.top_p;
  result.sampling.repetitionPenalty = options.repetition_penalty == 0 ? 1 : options.repetition_penalty;
  result.sampling.seed = options.seed;
  return result;
}

SpeechOptions speechOptions(const Plan &plan, const qwenrt_speech_options &options) {
  SpeechOptions result = speechDefaults(plan);
  result.speaker = options.speaker ? options.speaker : "";
  Sampling &sampling = result.sampling;
  if (options.greedy)
    sampling.greedy = result.predictor.greedy = true;
  if (options.temperature != 0)
    sampling.temperature = options.temperature;
  if (options.top_k)
    sampling.topK = options.top_k;
  if (options.top_p != 0)
    sampling.topP = options.top_p;
  if (options.repetition_penalty != 0)
    sampling.repetitionPenalty = options.repetition_penalty;
  sampling.seed = options.seed;
  result.predictor.seed = options.seed + 1;
  result.maxFrames = options.max_frames;
  result.ignoreEos = options.ignore_eos != 0;
  return result;
}

/// Text and samples go to the callbacks as they come.
Result<Finish> speak(qwenrt_session &session, const GenerateOptions &options, SpeechOptions speech,
                     qwenrt_text_callback onText, qwenrt_audio_callback onAudio, void *user) {
  if (!session.speaker) {
    QWENRT_ASSIGN_OR_RETURN(session.speaker, Speaker::create(*session.session));
  }
  std::optional<Tokenizer> tokenizer;
  std::optional<StreamDecoder> decoder;
  if (onText && session.plan->root().tokenizer()) {
    QWENRT_ASSIGN_OR_RETURN(tokenizer, Tokenizer::fromPlan(*session.plan->root().tokenizer()));
    decoder.emplace(*tokenizer, /*skipSpecial=*/true);
  }
  auto say = [&](const std::string &piece) { return piece.empty() || onText(piece.c_str(), user) != 0; };
  TokenCallback onToken;
  if (decoder)
    onToken = [&](int32_t token) { return say(decoder->push(token)); };
  if (onAudio)
    speech.onSamples = [&](std::span<const float> samples) {
      return onAudio(samples.data(), uint32_t(samples.size()), user) != 0;
    };
  SpeechResult spoken;
  QWENRT_ASSIGN_OR_RETURN(GenerateResult result, session.speaker->generate(options, speech, onToken, spoken));
  if (decoder)
    (void)say(decoder->finish());
  return spoken.finish == SpeechFinish::Cancelled ? Finish::Cancelled : result.finish;
}

/// The media of the next prompt.
Status openTurn(qwenrt_session &session) {
  if (session.turn)
    return Status::ok();
  const fb::Tokenizer *source = session.plan->root().tokenizer();
  if (!source)
    return {StatusCode::Unsupported,
            "plan has no tokenizer, expected one that knows the placeholders of media, compile "
            "the plan again from a checkpoint that has it"};
  QWENRT_ASSIGN_OR_RETURN(Tokenizer tokenizer, Tokenizer::fromPlan(*source));
  QWENRT_ASSIGN_OR_RETURN(session.turn, MediaTurn::open(session.plan, tokenizer, session.mediaSettings));
  return Status::ok();
}

Status append(qwenrt_session &session, std::span<const int32_t> tokens) {
  const fb::Plan &plan = session.plan->root();
  const bool takesMedia = plan.media() && plan.tokenizer() && openTurn(session).isOk();
  if (!takesMedia || (session.turn->empty() && !session.turn->hasPlaceholders(tokens)))
    return session.session->append(tokens);
  const Session &history = *session.session;
  const uint32_t room = history.maxContext() - std::min(history.maxContext(), history.length());
  QWENRT_ASSIGN_OR_RETURN(EncoderPrompt prompt, session.turn->prepare(tokens, history.nextPosition(), room));
  return appendPrompt(*session.session, prompt).status();
}

Status setMediaOptions(qwenrt_session &session, const qwenrt_media_options &options) {
  if (session.turn && !session.turn->empty())
    return {StatusCode::InvalidUsage,
            "media are attached already, expected their options before them, append their prompt first"};
  MediaSettings settings;
  if (options.fps != 0)
    settings.fps = options.fps;
  if (options.min_pixels)
    settings.minPixels = options.min_pixels;
  if (options.max_pixels)
    settings.maxPixels = options.max_pixels;
  settings.audioInVideo = options.use_audio_in_video != 0;
  QWENRT_RETURN_IF_ERROR(mediaReaderOptions(*session.plan, settings).status());
  session.mediaSettings = settings;
  session.turn.reset();
  return Status::ok();
}

} // namespace

const char *qwenrt_version(void) { return QWENRT_VERSION; }

qwenrt_code qwenrt_plan_open(const char *path, qwenrt_plan **plan, qwenrt_error *error) {
  return guarded(error, [&]() -> Status {
    QWENRT_RETURN_IF_ERROR(require(path && plan, "path or plan"));
    QWENRT_ASSIGN_OR_RETURN(std::shared_ptr<const Plan> opened, Plan::open(path));
    *plan = new qwenrt_plan{std::move(opened)};
    return Status::ok();
  });
}

void qwenrt_plan_release(qwenrt_plan *plan) { delete plan; }
const char *qwenrt_plan_model_name(const qwenrt_plan *plan) { return plan->plan->root().model_name()->c_str(); }
uint32_t qwenrt_plan_max_context(const qwenrt_plan *plan) {
  return plan->plan->generatesText() ? plan->plan->root().max_context() : 0;
}
uint32_t qwenrt_plan_entry_count(const qwenrt_plan *plan) { return plan->plan->root().entries()->size(); }

const char *qwenrt_plan_entry_name(const qwenrt_plan *plan, uint32_t index) {
  return index < qwenrt_plan_entry_count(plan) ? plan->plan->root().entries()->Get(index)->name()->c_str() : nullptr;
}

qwenrt_code qwenrt_device_open(const qwenrt_plan *plan, const char *selector, int allow_cpu, qwenrt_device **device,
                               qwenrt_error *error) {
  return guarded(error, [&]() -> Status {
    QWENRT_RETURN_IF_ERROR(require(device, "device"));
    DeviceOptions options;
    options.selector = selector ? selector : "";
    options.allowCpu = allow_cpu != 0;
    QWENRT_ASSIGN_OR_RETURN(std::shared_ptr<Device> opened,
                            Device::open(options, plan ? &plan->plan->root() : nullptr));
    *device = new qwenrt_device{std::move(opened)};
    return Status::ok();
  });
}

void qwenrt_device_release(qwenrt_device *device) { delete device; }
const char *qwenrt_device_name(const qwenrt_device *device) { return device->device->info().name.c_str(); }

qwenrt_code qwenrt_session_create(const qwenrt_plan *plan, const qwenrt_device *device, qwenrt_session **session,
                                  qwenrt_error *error) {
  return guarded(error, [&]() -> Status {
    QWENRT_RETURN_IF_ERROR(require(plan && device && session, "plan, device or session"));
    QWENRT_ASSIGN_OR_RETURN(std::unique_ptr<Session> created, Session::create(plan->plan, device->device));
    *session = new qwenrt_session{plan->plan, std::move(created), nullptr, {}, std::nullopt};
    return Status::ok();
  });
}

void qwenrt_session_release(qwenrt_session *session) { delete session; }

qwenrt_code qwenrt_session_load(qwenrt_session *session, const char *folder, qwenrt_error *error) {
  return guarded(error, [&]() -> Status {
    QWENRT_RETURN_IF_ERROR(require(session, "session"));
    QWENRT_RETURN_IF_ERROR(session->session->load(folder ? folder : ""));
    if (const fb::Speech *speech = session->plan->root().speech(); speech && speech->talker())
      if (Result<std::unique_ptr<Speaker>> made = Speaker::create(*session->session); made.isOk())
        session->speaker = std::move(*made); // else speak says why there is none
    return Status::ok();
  });
}

qwenrt_code qwenrt_session_run(qwenrt_session *session, const char *entry, const qwenrt_tensor *inputs,
                               uint32_t input_count, qwenrt_tensor *outputs, uint32_t output_count,
                               qwenrt_error *error) {
  return guarded(error, [&]() -> Status {
    QWENRT_RETURN_IF_ERROR(require(session && entry && (inputs || !input_count) && (outputs || !output_count),
                                   "session, entry or tensors"));
    std::vector<HostTensor> given, produced;
    for (uint32_t i = 0; i < input_count; ++i) {
      QWENRT_ASSIGN_OR_RETURN(HostTensor tensor, hostTensor(inputs[i]));
      given.push_back(std::move(tensor));
    }
    for (uint32_t i = 0; i < output_count; ++i)
      QWENRT_RETURN_IF_ERROR(require(outputs[i].name && outputs[i].data, "output name or data"));
    QWENRT_RETURN_IF_ERROR(session->session->run(entry, given, produced));
    for (uint32_t i = 0; i < output_count; ++i)
      QWENRT_RETURN_IF_ERROR(deliver(produced, outputs[i]));
    return Status::ok();
  });
}

qwenrt_code qwenrt_session_reset(qwenrt_session *session, qwenrt_error *error) {
  return guarded(error, [&]() -> Status {
    QWENRT_RETURN_IF_ERROR(require(session, "session"));
    return session->session->reset();
  });
}

qwenrt_code qwenrt_session_set_media_options(qwenrt_session *session, const qwenrt_media_options *options,
                                             qwenrt_error *error) {
  return guarded(error, [&]() -> Status {
    QWENRT_RETURN_IF_ERROR(require(session, "session"));
    return setMediaOptions(*session, options ? *options : qwenrt_media_options());
  });
}

qwenrt_code qwenrt_session_attach(qwenrt_session *session, qwenrt_medium medium, const char *path,
                                  qwenrt_error *error) {
  return guarded(error, [&]() -> Status {
    QWENRT_RETURN_IF_ERROR(require(session && path, "session or path"));
    constexpr Media kMedia[] = {Media::Audio, Media::Image, Media::Video}; // as in the enumeration
    if (uint32_t(medium) >= std::size(kMedia))
      return {StatusCode::InvalidUsage, text("medium is ", int(medium), ", expected one of qwenrt_medium, correct it")};
    QWENRT_RETURN_IF_ERROR(checkEncoder(*session->plan, kMedia[medium]));
    QWENRT_RETURN_IF_ERROR(openTurn(*session));
    return session->turn->add(kMedia[medium], path);
  });
}

qwenrt_code qwenrt_session_append(qwenrt_session *session, const int32_t *tokens, uint32_t count, qwenrt_error *error) {
  return guarded(error, [&]() -> Status {
    QWENRT_RETURN_IF_ERROR(require(session && (tokens || count == 0), "session or tokens"));
    return append(*session, {tokens, count});
  });
}

qwenrt_code qwenrt_session_generate(qwenrt_session *session, const qwenrt_generate_options *options,
                                    qwenrt_token_callback callback, void *user, qwenrt_finish *finish,
                                    qwenrt_error *error) {
  return guarded(error, [&]() -> Status {
    QWENRT_RETURN_IF_ERROR(
        require(session && (!options || options->stop_ids || !options->stop_id_count), "session or stop ids"));
    TokenCallback onToken;
    if (callback)
      onToken = [&](int32_t token) { return callback(token, user) != 0; };
    GenerateOptions settings = options ? generateOptions(*options) : GenerateOptions();
    QWENRT_ASSIGN_OR_RETURN(GenerateResult result, session->session->generate(settings, onToken));
    if (finish)
      *finish = static_cast<qwenrt_finish>(result.finish);
    return Status::ok();
  });
}

uint32_t qwenrt_plan_sample_rate(const qwenrt_plan *plan) {
  const fb::Speech *speech = plan->plan->root().speech();
  return speech && speech->talker() ? Speaker::sampleRate(*plan->plan) : 0;
}

const char *qwenrt_plan_speaker_name(const qwenrt_plan *plan, uint32_t index) {
  const fb::Speech *speech = plan->plan->root().speech();
  const bool known = speech && speech->talker() && index < speech->talker()->speakers()->size();
  return known ? speech->talker()->speakers()->Get(index)->name()->c_str() : nullptr;
}

qwenrt_code qwenrt_session_speak(qwenrt_session *session, const qwenrt_generate_options *options,
                                 const qwenrt_speech_options *speech, qwenrt_text_callback on_text,
                                 qwenrt_audio_callback on_audio, void *user, qwenrt_finish *finish,
                                 qwenrt_error *error) {
  return guarded(error, [&]() -> Status {
    QWENRT_RETURN_IF_ERROR(
        require(session && (!options || options->stop_ids || !options->stop_id_count), "session or stop ids"));
    GenerateOptions settings = options ? generateOptions(*options) : GenerateOptions();
    QWENRT_ASSIGN_OR_RETURN(Finish result,
                            speak(*session, settings,
                                  speechOptions(*session->plan, speech ? *speech : qwenrt_speech_options()), on_text,
                                  on_audio, user));
    if (finish)
      *finish = static_cast<qwenrt_finish>(result);
    return Status::ok();
  });
}
