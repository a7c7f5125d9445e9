//===- Speech.cpp - Text, frames and samples in turn -------------------------------------------------------------===//
//
// The session generates text in batches; after each one the listener gives the talker the new rows of text, submits the
// frames that these allow and looks which frames have finished. When the text has ended the same goes on without it. A
// frame is one submission: the codes that follow from each other never leave the device. Frames run ahead of the host,
// so some beyond the end token may be thrown away; the next answer writes the cells anew.
//
//===------------------------------------------------------------------------------------------------------------===//
#include "qwenrt/Speech.h"

#include "SpeakerState.h"
#include "Text.h"

#include <algorithm>
#include <cstring>
#include <strings.h>

using namespace qwenrt;

namespace {

constexpr uint32_t kMostFrames = 4; ///< in flight
constexpr uint32_t kPromptCode = UINT32_MAX;

Sampling samplingOf(const fb::Generation *source) {
  Sampling sampling;
  if (!source)
    return sampling;
  sampling.greedy = !source->do_sample() || source->temperature() == 0;
  sampling.temperature = sampling.greedy ? 1 : source->temperature();
  sampling.topK = source->top_k();
  sampling.topP = source->top_p();
  sampling.repetitionPenalty = source->repetition_penalty();
  return sampling;
}

Status checkSampling(const Sampling &sampling) {
  auto positive = [](float value) { return value > 0 && value < 1e9f; };
  if (positive(sampling.repetitionPenalty) &&
      (sampling.greedy || (positive(sampling.temperature) && sampling.topP >= 0 && sampling.topP <= 1)))
    return Status::ok();
  return {StatusCode::InvalidUsage, "sampling settings of speech are out of range, expected temperature and penalty "
                                    "above 0 and below 1e9 and top-p of 0 to 1, correct them"};
}

/// The voice that the reference takes when it is not told (generate() of Qwen3OmniMoeForConditionalGeneration).
constexpr const char *kDefaultSpeaker = "ethan";

Result<uint32_t> findSpeaker(const fb::Talker &talker, const std::string &name) {
  std::string known;
  for (const fb::Speaker *speaker : *talker.speakers()) {
    if (strcasecmp(speaker->name()->c_str(), name.empty() ? kDefaultSpeaker : name.c_str()) == 0)
      return speaker->id();
    known += text(known.empty() ? "" : ", ", printable(speaker->name()->string_view()));
  }
  if (name.empty() && talker.speakers()->size() > 0)
    return talker.speakers()->Get(0)->id();
  return Status(StatusCode::NotFound,
                text("plan has no speaker '", printable(name), "', expected one of ", known, ", choose one"));
}

const fb::Talker *talkerOf(const Plan &plan) { return plan.root().speech() ? plan.root().speech()->talker() : nullptr; }

} // namespace

SpeechOptions qwenrt::speechDefaults(const Plan &plan) {
  SpeechOptions options;
  if (const fb::Talker *talker = talkerOf(plan)) {
    options.sampling = samplingOf(talker->sampling());
    options.predictor = samplingOf(talker->predictor_sampling());
  }
  return options;
}

uint32_t Speaker::sampleRate(const Plan &plan) {
  const fb::Speech *speech = plan.root().speech();
  return speech && speech->vocoder() ? speech->vocoder()->sample_rate() : 0;
}

Status Speaker::check(const Plan &plan, const SpeechOptions &speech) {
  const fb::Talker *talker = talkerOf(plan);
  if (!talker)
    return findSpeech(plan.root(), 0).status();
  QWENRT_RETURN_IF_ERROR(findSpeaker(*talker, speech.speaker).status());
  QWENRT_RETURN_IF_ERROR(checkSampling(speech.sampling));
  QWENRT_RETURN_IF_ERROR(checkSampling(speech.predictor));
  return speech.samples ? findVocoder(plan.root()).status() : Status::ok();
}

Speaker::Speaker(std::unique_ptr<State> state) : state_(std::move(state)) {}
Speaker::~Speaker() = default;

Result<std::unique_ptr<Speaker>> Speaker::create(Session &session) {
  Session::State &state = *session.state_;
  QWENRT_RETURN_IF_ERROR(state.requireText());
  QWENRT_ASSIGN_OR_RETURN(SpeechTables tables, findSpeech(state.plan->root(), *state.role(fb::Role::Prefill)));
  for (uint32_t entry : {tables.prefill, tables.nextGreedy, tables.nextSample, tables.decodeGreedy, tables.decodeSample,
                         tables.begin, tables.codeGreedy, tables.codeSample, tables.text, tables.media})
    QWENRT_RETURN_IF_ERROR(checkEntry(state.plan->root(), state.entry(entry), state.device->info()));
  if (state.listener)
    return Status(StatusCode::InvalidUsage, "session has a speaker, expected one at a time, release the other");
  for (uint32_t i = 0; i < state.position; ++i)
    if (standsForMedia(state.tokens[i], *tables.talker))
      return Status(StatusCode::InvalidUsage, "media were processed before the speaker was made, expected it before "
                                              "the first prompt, make it then or reset the session");
  auto made = std::make_unique<State>(state, tables);
  state.listener = made.get();
  return std::unique_ptr<Speaker>(new Speaker(std::move(made)));
}

Result<GenerateResult> Speaker::generate(const GenerateOptions &options, const SpeechOptions &speech,
                                         const TokenCallback &onToken, SpeechResult &result) {
  State &state = *state_;
  QWENRT_RETURN_IF_ERROR(check(*state.session.plan, speech));
  QWENRT_RETURN_IF_ERROR(state.checkPrompt());
  QWENRT_RETURN_IF_ERROR(state.session.checkTokens(options.forceIds));
  QWENRT_RETURN_IF_ERROR(state.answer(speech, options.cancel));
  Generator generator(state.session, options);
  Status status = generator.generate(onToken);
  GenerateResult generated = generator.takeResult();
  if (status.isOk() && generated.finish == Finish::Cancelled)
    state.end(SpeechFinish::Cancelled);
  if (status.isOk())
    status = state.finish();
  Status drained = state.session.replay->waitAll(); // frames beyond the end
  state.speaking = false;
  state.inFlight.clear();
  state.vocoder.reset();
  result = std::move(state.result);
  QWENRT_RETURN_IF_ERROR(std::move(status)); // the first error is the one to tell
  QWENRT_RETURN_IF_ERROR(std::move(drained));
  return generated;
}

//===----------------------------------------------------------------------===//
// The answer
//===----------------------------------------------------------------------===//

Status Speaker::State::answer(const SpeechOptions &wanted, const std::atomic<bool> *cancelFlag) {
  QWENRT_ASSIGN_OR_RETURN(speakerId, findSpeaker(*tables.talker, wanted.speaker));
  options = wanted;
  cancel = cancelFlag;
  result = {};
  spoken.assign(session.tokens.begin() + *answerStart(session.tokens, *tables.talker), session.tokens.end());
  textEnded = begun = ended = saidEnd = codePending = false;
  promptRows = saidRows = submitted = accepted = 0;
  idleSinceNs = 0;
  nextCode = 0;
  vocoder.reset();
  logits.reset();
  if (options.onLogits)
    QWENRT_RETURN_IF_ERROR(findLogits());
  if (options.samples) {
    QWENRT_ASSIGN_OR_RETURN(VocoderTables found, findVocoder(session.plan->root()));
    QWENRT_RETURN_IF_ERROR(checkEntry(session.plan->root(), session.entry(found.entry), session.device->info()));
    vocoder.emplace(session, found, Vocoder::Chunks{options.chunkFrames, options.contextFrames});
  }
  startNs = speechClockNs();
  speaking = true;
  return Status::ok();
}

Status Speaker::State::onTokens(std::span<const int32_t> tokens, bool last) {
  if (!speaking)
    return Status::ok();
  textEnded |= last;
  spoken.insert(spoken.end(), tokens.begin(), tokens.end());
  if (last && !tokens.empty())
    spoken.pop_back(); // it is never processed, so the talker does not hear it
  return cancelRequested() ? Status::ok() : advance(/*wait=*/false);
}

void Speaker::State::onCut(uint32_t length) {
  uint32_t left = 0;
  for (size_t i = 0; i < std::min<size_t>(length, rows.size()); ++i)
    left = std::max(left, uint32_t(rows[i] + 1));
  madeRows = std::min(madeRows, left);
  cachedRows = std::min(cachedRows, left);
  rows.resize(std::min<size_t>(length, rows.size()));
}

Status Speaker::State::advance(bool wait) {
  constexpr size_t kOpening = 4; // tokens of the turn that the prompt takes
  if (!begun && spoken.size() >= kOpening)
    QWENRT_RETURN_IF_ERROR(begin());
  if (!begun || ended)
    return Status::ok();
  QWENRT_RETURN_IF_ERROR(makeSaid());
  QWENRT_RETURN_IF_ERROR(submitFrames());
  QWENRT_RETURN_IF_ERROR(collect(wait));
  if (!ended && inFlight.empty() && submitted >= saidRows && !saidEnd && !idleSinceNs)
    idleSinceNs = speechClockNs();
  if (result.firstAudioNs)
    QWENRT_RETURN_IF_ERROR(submitFrames()); // the device goes on while samples are heard
  return vocode(/*last=*/false);
}

/// Behind the text: the rest of the frames, then the rest of the samples.
Status Speaker::State::finish() {
  textEnded = true;
  while (!ended) {
    if (cancelRequested())
      end(SpeechFinish::Cancelled);
    else if (!begun && spoken.size() < 4)
      end(SpeechFinish::Nothing);
    else
      QWENRT_RETURN_IF_ERROR(advance(/*wait=*/true));
  }
  if (result.finish != SpeechFinish::Cancelled)
    QWENRT_RETURN_IF_ERROR(vocode(/*last=*/true));
  if (begun)
    result.speechNs = speechClockNs() - beginNs;
  result.answerNs = speechClockNs() - startNs;
  return Status::ok();
}

void Speaker::State::end(SpeechFinish how) {
  ended = true;
  result.finish = how;
}

//===----------------------------------------------------------------------===//
// Frames
//===----------------------------------------------------------------------===//

/// The checkpoint's limit counts first codes, of which the last one has no frame.
uint32_t Speaker::State::framesWanted() const {
  if (options.maxFrames)
    return options.maxFrames;
  return tables.talker->max_frames() ? std::max(1u, tables.talker->max_frames() - 1) : UINT32_MAX;
}

/// Frames in flight. Until somebody hears something the first frame goes alone: what is queued behind it would stand
/// before its samples.
uint32_t Speaker::State::mostInFlight() const {
  if (session.tracesDispatches() || logits)
    return 1;
  if (vocoder && !result.firstAudioNs)
    return codePending ? 2 : 1;
  const auto count = [this](uint32_t sequence) {
    return session.plan->findCell(fb::CellKind::Sampled, sequence)->count();
  };
  return std::min({kMostFrames, count(kTalkerSequence) - 1, count(kPredictorSequence) / (tables.talker->groups() - 1)});
}

bool Speaker::State::canSubmit() const {
  return !ended && inFlight.size() < mostInFlight() && submitted < framesWanted() &&
         submitted < tables.context - promptRows && (submitted < saidRows || saidEnd);
}

Status Speaker::State::submitFrames() {
  std::vector<uint32_t> frame = {tables.begin};
  frame.insert(frame.end(), tables.talker->groups() - 1,
               options.predictor.greedy ? tables.codeGreedy : tables.codeSample);
  frame.push_back(options.sampling.greedy ? tables.decodeGreedy : tables.decodeSample);
  while (canSubmit()) {
    if (idleSinceNs)
      result.waitNs += speechClockNs() - idleSinceNs;
    idleSinceNs = 0;
    uint64_t value = 0;
    QWENRT_RETURN_IF_ERROR(logits ? submitFrame(frame, value) : session.submit(frame, value));
    inFlight.push_back({value, submitted++});
  }
  return Status::ok();
}

/// Takes frames that have finished; with \p wait until one has.
Status Speaker::State::collect(bool wait) {
  constexpr uint64_t kSliceNs = 50'000'000; // between looks at the flag
  while (!inFlight.empty() && !ended) {
    QWENRT_ASSIGN_OR_RETURN(bool reached, session.replay->wait(inFlight.front().value, wait ? kSliceNs : 0));
    if (!reached && wait && !cancelRequested())
      continue;
    if (!reached)
      break;
    const Frame frame = inFlight.front();
    inFlight.pop_front();
    if (frame.number == kPromptCode) {
      result.talkerPromptNs = speechClockNs() - beginNs;
      codePending = false;
      QWENRT_RETURN_IF_ERROR(acceptCode(sampled(kTalkerSequence, 0)));
      if (ended)
        result.finish = SpeechFinish::Nothing;
    } else {
      QWENRT_RETURN_IF_ERROR(acceptFrame(frame.number));
    }
    wait = false;
  }
  return Status::ok();
}

int32_t Speaker::State::sampled(uint32_t sequence, uint32_t step) const {
  const fb::Cell &ring = *session.plan->findCell(fb::CellKind::Sampled, sequence);
  int32_t code = 0;
  std::memcpy(&code, session.replay->buffer(ring.buffer()).mapped() + ring.offset() + uint64_t(step % ring.count()) * 4,
              4);
  return code;
}

/// The first code of the next frame.
Status Speaker::State::acceptCode(int32_t code) {
  nextCode = code;
  if (uint32_t(code) == tables.talker->codec_eos() && !options.ignoreEos)
    end(SpeechFinish::Stop);
  return Status::ok();
}

Status Speaker::State::acceptFrame(uint32_t number) {
  const uint32_t groups = tables.talker->groups();
  const uint32_t codebook = vocoder ? session.plan->root().speech()->vocoder()->codebook_size() : uint32_t(INT32_MAX);
  std::vector<int32_t> codes = {nextCode};
  for (uint32_t group = 1; group < groups; ++group)
    codes.push_back(sampled(kPredictorSequence, number * (groups - 1) + group - 1));
  ++accepted;
  const bool silent = uint32_t(nextCode) == tables.talker->codec_eos();
  for (int32_t code : codes)
    if (!silent && (code < 0 || uint32_t(code) >= codebook))
      return {StatusCode::InvalidInput, text("the device sampled code ", code, ", expected 0 to ", codebook - 1,
                                             ", check the checkpoint for NaN and the plan's target")};
  if (logits)
    QWENRT_RETURN_IF_ERROR(tellLogits(number, codes));
  if (!silent) {
    if (!result.firstFrameNs)
      result.firstFrameNs = speechClockNs() - startNs;
    ++result.frames;
    result.codes.insert(result.codes.end(), codes.begin(), codes.end());
    if (vocoder)
      vocoder->add(codes);
  }
  QWENRT_RETURN_IF_ERROR(acceptCode(sampled(kTalkerSequence, number + 1)));
  if (!ended && accepted >= framesWanted())
    end(SpeechFinish::Length);
  if (!ended && accepted >= tables.context - promptRows)
    end(SpeechFinish::Context);
  if (!silent && options.onFrame && !options.onFrame(codes))
    end(SpeechFinish::Cancelled);
  return Status::ok();
}

Status Speaker::State::vocode(bool last) {
  std::vector<float> samples;
  while (vocoder && vocoder->ready(last)) {
    QWENRT_RETURN_IF_ERROR(vocoder->push(last, samples));
    if (samples.empty())
      continue;
    const uint64_t now = speechClockNs() - startNs;
    const double heard = double(result.samples) * 1e9 / session.plan->root().speech()->vocoder()->sample_rate();
    if (!result.firstAudioNs)
      result.firstAudioNs = now;
    else if (const auto due = result.firstAudioNs + uint64_t(heard) + result.lateNs; now > due)
      result.lateNs += now - due; // who plays has paused that long
    session.mark(TraceMark::Kind::Audio, samples.size());
    result.samples += samples.size();
    if (options.onSamples && !options.onSamples(samples)) {
      end(SpeechFinish::Cancelled);
      break;
    }
    if (cancelRequested())
      break;
  }
  return Status::ok();
}
