//===- Resampler.h - Any sound to mono at 16 kHz ----------------------------------------------------------------===//
//
// Channels are averaged first, then the rate is converted by soxr in its quality HQ: what librosa.load does, through
// which the reference reads sound files. Sound at 16 kHz passes unchanged. Works block by block: memory grows with the
// result only.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "qwenrt/Status.h"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace qwenrt {

class MonoResampler {
public:
  /// For interleaved samples of \p channels channels at \p rate samples per second; sound longer than \p maxSeconds is
  /// refused. Unsupported for rates outside 1000 .. 768,000 or without channels.
  static Result<MonoResampler> create(uint32_t rate, uint32_t channels, double maxSeconds);
  MonoResampler(MonoResampler &&) noexcept;
  MonoResampler &operator=(MonoResampler &&) noexcept;
  ~MonoResampler();

  /// Takes whole frames, [n, channels]. InvalidInput if the sound gets too long.
  Status push(std::span<const float> interleaved);

  /// ceil(n * 16000 / rate) mono samples for the n frames pushed. InvalidInput if there were none.
  Result<std::vector<float>> finish();

private:
  MonoResampler() = default;
  Status convert(const float *mono, size_t count);

  struct Converter; // soxr's handle; none at 16 kHz
  std::unique_ptr<Converter> converter_;
  uint32_t rate_ = 0, channels_ = 0;
  double maxSeconds_ = 0;
  uint64_t frameCount_ = 0;
  std::vector<float> mono_; // one block
  std::vector<float> samples_;
};

} // namespace qwenrt
