//===- Speech.h - Speak what a session generates -----------------------------------------------------------------===//
//
// A speaker goes along with a session of a plan that has a talker: while the session generates text, the talker makes
// frames of codes of it and the vocoder makes samples of these. Text, codes and samples advance in turn on one queue;
// samples come as soon as there are any.
//
//   auto speaker = Speaker::create(*session);                       // before the first prompt is processed
//   (*session)->append(promptIds);
//   SpeechOptions speech = speechDefaults(*plan);
//   speech.onSamples = [](std::span<const float> samples) { ...; return true; };
//   (*speaker)->generate(options, speech, [](int32_t token) { ...; return true; });
//
// What the talker is told: all user turns of the history, media included, and the answer.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "qwenrt/Session.h"

namespace qwenrt {

/// What the codes of one frame were chosen from, before penalty and suppression.
struct SpeechLogits {
  uint32_t frame;                   ///< of the answer; those that the end token leaves out count too
  std::span<const float> talker;    ///< of the first code
  std::span<const float> predictor; ///< of the others, [groups - 1, codes], row-major
  std::span<const int32_t> codes;   ///< chosen, one of each group
};

struct SpeechOptions {
  std::string speaker;        ///< name of the voice in any case; empty: "ethan" as in the reference, else the plan's first
  Sampling sampling;          ///< of the first code of a frame
  Sampling predictor;         ///< of the others; its penalty is not used
  uint32_t maxFrames = 0;     ///< 0: the plan's
  bool ignoreEos = false;     ///< go on behind the end token, whose frames are left out
  bool samples = true;        ///< false: codes alone, no vocoder
  uint32_t chunkFrames = 0;   ///< 0: samples are streamed; else decoded in chunks of so many frames ...
  uint32_t contextFrames = 0; ///< ... each begun anew so many frames before it, as the reference does
  /// Hears each frame; false ends the answer.
  std::function<bool(std::span<const int32_t> codes)> onFrame;
  /// Hears samples in -1 .. 1 at Speaker::sampleRate as they come; false ends the answer.
  std::function<bool(std::span<const float> samples)> onSamples;
  /// If set, hears the logits of each frame; an error ends the answer with it. Slower: each code waits for the host.
  std::function<Status(const SpeechLogits &)> onLogits;
};

/// What the checkpoint says, for a plan with a talker.
SpeechOptions speechDefaults(const Plan &plan);

enum class SpeechFinish {
  Stop,      ///< the end token
  Length,    ///< maxFrames
  Context,   ///< the talker's caches are full
  Nothing,   ///< there was nothing to speak: less than two tokens of text, or the end token came first
  Cancelled, ///< by a callback or the flag
};

struct SpeechResult {
  SpeechFinish finish = SpeechFinish::Nothing;
  std::vector<int32_t> codes; ///< [frames, groups], row-major
  uint32_t frames = 0;
  uint64_t samples = 0;
  uint64_t talkerPromptNs = 0; ///< making and processing the talker's prompt
  uint64_t firstFrameNs = 0;   ///< from the call to the first frame
  uint64_t firstAudioNs = 0;   ///< from the call to the first samples; 0: none came
  uint64_t speechNs = 0;       ///< from the talker's start to the last frame or sample
  uint64_t answerNs = 0;       ///< from the call to the end of text and speech
  uint64_t waitNs = 0;         ///< how long no frame could be made since its text was not there yet, in all
  uint64_t lateNs = 0;         ///< how long who plays what comes had to wait for more, in all
};

class Speaker {
public:
  /// \p session outlives the speaker and has one at a time. Unsupported if its plan has no talker; InvalidInput if
  /// the plan's talker cannot be run; InvalidUsage if media were processed already.
  static Result<std::unique_ptr<Speaker>> create(Session &session);
  ~Speaker();
  Speaker(const Speaker &) = delete;
  Speaker &operator=(const Speaker &) = delete;

  /// As Session::generate, and speaks the answer meanwhile. InvalidInput if the history has no user turn or asks for no
  /// answer, or is longer than the talker's context; NotFound for an unknown voice, whose message lists those there
  /// are; Unsupported for samples without a vocoder.
  Result<GenerateResult> generate(const GenerateOptions &options, const SpeechOptions &speech,
                                  const TokenCallback &onToken, SpeechResult &result);
  /// What generate would refuse of \p speech, without running anything.
  static Status check(const Plan &plan, const SpeechOptions &speech);

  /// Samples of a second; 0: the plan has no vocoder.
  static uint32_t sampleRate(const Plan &plan);

private:
  struct State;
  explicit Speaker(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

} // namespace qwenrt
