#include "runtime/frontend/media/files/Resampler.h"

#include "runtime/frontend/media/AudioFeatures.h"
#include "runtime/lib/Text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <soxr.h>

namespace qwenrt {

struct MonoResampler::Converter {
  soxr_t handle = nullptr;
  ~Converter() { soxr_delete(handle); }
};

MonoResampler::MonoResampler(MonoResampler &&) noexcept = default;
MonoResampler &MonoResampler::operator=(MonoResampler &&) noexcept = default;
MonoResampler::~MonoResampler() = default;

Result<MonoResampler> MonoResampler::create(uint32_t rate, uint32_t channels, double maxSeconds) {
  if (rate < 1000 || rate > 768'000 || channels == 0)
    return Status(StatusCode::Unsupported, text("the sound has ", channels, " channels at ", rate,
                                                " Hz, expected at least one at 1000 .. 768000 Hz, convert it"));
  MonoResampler resampler;
  resampler.rate_ = rate;
  resampler.channels_ = channels;
  resampler.maxSeconds_ = maxSeconds;
  if (rate == kAudioSampleRate)
    return resampler;
  soxr_error_t error = nullptr;
  const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
  resampler.converter_ = std::make_unique<Converter>();
  resampler.converter_->handle = soxr_create(rate, kAudioSampleRate, 1, &error, nullptr, &quality, nullptr);
  if (error)
    return Status(StatusCode::Unsupported, text("soxr refuses to convert ", rate, " Hz to 16000 Hz (", error,
                                                "), expected a rate it takes, convert the file"));
  return resampler;
}

Status MonoResampler::push(std::span<const float> interleaved) {
  const size_t count = interleaved.size() / channels_;
  frameCount_ += count;
  if (double(frameCount_) > maxSeconds_ * rate_)
    return {StatusCode::InvalidInput,
            text("the sound is longer than ", formatFixed(maxSeconds_, 1),
                 " seconds, expected at most that (--max-audio-seconds of the plan), cut it")};
  mono_.resize(count);
  for (size_t i = 0; i < count; ++i) {
    float sum = 0;
    for (uint32_t c = 0; c < channels_; ++c)
      sum += interleaved[i * channels_ + c];
    mono_[i] = sum / float(channels_);
  }
  if (converter_)
    return convert(mono_.data(), count);
  samples_.insert(samples_.end(), mono_.begin(), mono_.end());
  return Status::ok();
}

/// With a null pointer the converter gives up what it holds back.
Status MonoResampler::convert(const float *mono, size_t count) {
  std::array<float, 16'384> block;
  for (;;) {
    size_t used = 0, made = 0;
    if (soxr_error_t error =
            soxr_process(converter_->handle, mono, mono ? count : 0, &used, block.data(), block.size(), &made))
      return {StatusCode::Unsupported, text("soxr cannot convert the sound (", error,
                                            "), expected it to, convert the "
                                            "file to 16 kHz")};
    samples_.insert(samples_.end(), block.begin(), block.begin() + made);
    if (mono) {
      mono += used;
      count -= used;
    }
    if (made < block.size() && (!mono || count == 0))
      return Status::ok();
  }
}

Result<std::vector<float>> MonoResampler::finish() {
  if (frameCount_ == 0)
    return Status(StatusCode::InvalidInput, "the sound is empty, expected at least one sample, leave it out");
  if (converter_)
    QWENRT_RETURN_IF_ERROR(convert(nullptr, 0));
  samples_.resize((frameCount_ * kAudioSampleRate + rate_ - 1) / rate_);
  if (!std::all_of(samples_.begin(), samples_.end(), [](float sample) { return std::isfinite(sample); }))
    return Status(StatusCode::InvalidInput,
                  "the sound has a sample that is not finite or too loud for a 32-bit number, "
                  "expected values around -1 to 1, convert it again");
  return std::move(samples_);
}

} // namespace qwenrt
