//===- SpeechOutput.h - Answers that are spoken ------------------------------------------------------------------===//
#pragma once

#include "Runtime.h"
#include "WavFile.h"
#include "qwenrt/Speech.h"

namespace qwenrt::tool {

/// The speech options of the command line as the library takes them; nothing if no speech was asked for. Errors: what
/// Speaker::check refuses.
Result<std::optional<SpeechOptions>> speechOptions(const Options &options, const Plan &plan);

/// Speaks the answers of one session into the file of --speech, one behind the other.
class SpeechOutput {
public:
  /// Nothing if no speech was asked for. Makes the file.
  static Result<std::optional<SpeechOutput>> open(const Options &options, const Runtime &runtime);

  /// Before the session goes; afterwards only what stands below generate may be called.
  void release() { speaker_.reset(); }

  /// As Session::generate.
  Result<GenerateResult> generate(const GenerateOptions &options, const TokenCallback &onToken);

  /// Of the last answer.
  const SpeechResult &result() const { return result_; }
  /// "[[1,2,3,4],[5,6,7,8]]"
  std::string codes() const;
  /// Says on standard error what is worth a line of the last answer, with \p stats also what it took.
  void report(bool stats) const;

private:
  /// Of one answer, in memory until their number is known.
  struct Logits {
    std::vector<float> talker, predictor;
    std::vector<int32_t> codes;

    Status add(const SpeechLogits &frame);
    Status write(const std::string &path, uint64_t groups) const;
  };

  std::unique_ptr<Speaker> speaker_;
  SpeechOptions options_;
  std::optional<WavFile> wav_;
  std::string logitsPath_; ///< empty: nobody wants them
  uint32_t groups_ = 1, sampleRate_ = 0;
  double frameSeconds_ = 0; ///< 0: the plan has no vocoder
  SpeechResult result_;
};

} // namespace qwenrt::tool
