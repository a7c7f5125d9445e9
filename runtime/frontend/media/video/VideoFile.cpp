#include "runtime/frontend/media/video/VideoFile.h"

#include "runtime/frontend/media/files/Resampler.h"
#include "runtime/frontend/media/video/Demuxer.h"
#include "runtime/lib/Text.h"

#include <algorithm>
#include <cmath>

extern "C" {
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>
}

namespace qwenrt {
namespace {

constexpr double kMinSampledFrames = 4, kMaxSampledFrames = 768; // of the reference

/// Frames of libav to RGB.
class RgbConverter {
public:
  RgbConverter() = default;
  RgbConverter(const RgbConverter &) = delete;
  ~RgbConverter() { sws_freeContext(context_); }

  Result<RgbImage> convert(const AVFrame &frame, const MediaLimits &limits) {
    RgbImage image;
    if (frame.width <= 0 || frame.height <= 0 || uint64_t(frame.width) * frame.height > limits.maxDecodedPixels)
      return Status(StatusCode::InvalidInput,
                    text("a frame has ", frame.width, " x ", frame.height, " pixels, expected 1 to ",
                         limits.maxDecodedPixels, " (the media limit), make the video smaller"));
    image.size = {static_cast<uint32_t>(frame.height), static_cast<uint32_t>(frame.width)};
    context_ = sws_getCachedContext(context_, frame.width, frame.height, AVPixelFormat(frame.format), frame.width,
                                    frame.height, AV_PIX_FMT_RGB24, SWS_BILINEAR, nullptr, nullptr, nullptr);
    if (!context_)
      return Status(StatusCode::Unsupported,
                    "the video has a pixel format that libav cannot convert to RGB, expected a "
                    "common one, convert the file");
    const int *matrix =
        sws_getCoefficients(frame.colorspace == AVCOL_SPC_UNSPECIFIED ? SWS_CS_DEFAULT : frame.colorspace);
    sws_setColorspaceDetails(context_, matrix, frame.color_range == AVCOL_RANGE_JPEG,
                             sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, 1 << 16, 1 << 16);
    constexpr size_t kSlackBytes = 64; // libswscale may write behind the last row
    image.pixels.resize(image.size.pixels() * 3 + kSlackBytes);
    uint8_t *planes[] = {image.pixels.data(), nullptr, nullptr, nullptr};
    const int strides[] = {frame.width * 3, 0, 0, 0};
    sws_scale(context_, frame.data, frame.linesize, 0, frame.height, planes, strides);
    image.pixels.resize(image.size.pixels() * 3);
    return image;
  }

private:
  SwsContext *context_ = nullptr;
};

/// Which frames to take; counts the packets, which is cheap, and each holds one frame.
Result<std::vector<uint64_t>> chooseFrames(const std::string &path, double fps, const MediaLimits &limits) {
  QWENRT_ASSIGN_OR_RETURN(Demuxer demuxer, Demuxer::open(path, AVMEDIA_TYPE_VIDEO, limits));
  uint64_t count = 0;
  while (const AVPacket *packet = demuxer.nextPacket()) {
    if (packet->flags & AV_PKT_FLAG_DISCARD)
      continue;
    if (++count > limits.maxDecodedFrames)
      return Status(StatusCode::InvalidInput,
                    text("the video has more than ", limits.maxDecodedFrames,
                         " frames, expected at most that (--max-video-frames of the plan), cut it"));
  }
  if (count == 0)
    return Status(StatusCode::InvalidInput, "the video has no frame, expected at least one, use another file");
  double duration = demuxer.durationSeconds().value_or(0);
  if (duration <= 0 && demuxer.frameRate() > 0)
    duration = double(count) / demuxer.frameRate();
  return sampledFrames(count, duration, fps, limits.maxVideoFrames);
}

Status decodeFrames(const std::string &path, std::span<const uint64_t> wanted, const MediaLimits &limits,
                    const FrameSink &sink) {
  QWENRT_ASSIGN_OR_RETURN(Demuxer demuxer, Demuxer::open(path, AVMEDIA_TYPE_VIDEO, limits));
  RgbConverter converter;
  RgbImage image;
  for (uint64_t index = 0; !wanted.empty(); ++index) {
    QWENRT_ASSIGN_OR_RETURN(const AVFrame *frame, demuxer.nextFrame());
    if (!frame)
      break;
    if (index != wanted.front())
      continue;
    QWENRT_ASSIGN_OR_RETURN(image, converter.convert(*frame, limits));
    QWENRT_RETURN_IF_ERROR(sink(image));
    wanted = wanted.subspan(1);
  }
  if (image.pixels.empty())
    return {StatusCode::InvalidInput, "no frame of the video can be decoded, expected some, convert it again"};
  for (size_t missing = 0; missing < wanted.size(); ++missing)
    QWENRT_RETURN_IF_ERROR(sink(image));
  return Status::ok();
}

/// Samples of libav to interleaved floats, rate and channels kept.
class SampleConverter {
public:
  SampleConverter() = default;
  SampleConverter(const SampleConverter &) = delete;
  ~SampleConverter() { swr_free(&context_); }

  Status start(const AVFrame &frame) {
    AVChannelLayout layout = frame.ch_layout; // this version asks for a variable; nothing is written to it
    if (swr_alloc_set_opts2(&context_, &layout, AV_SAMPLE_FMT_FLT, frame.sample_rate, &layout,
                            AVSampleFormat(frame.format), frame.sample_rate, 0, nullptr) < 0 ||
        swr_init(context_) < 0)
      return {
          StatusCode::Unsupported,
          "the sound of the video has a sample format that libav cannot convert, expected a common one, convert it"};
    rate_ = frame.sample_rate;
    channels_ = frame.ch_layout.nb_channels;
    format_ = frame.format;
    return Status::ok();
  }

  bool fits(const AVFrame &frame) const {
    return frame.sample_rate == rate_ && frame.ch_layout.nb_channels == channels_ && frame.format == format_;
  }

  Result<std::span<const float>> convert(const AVFrame &frame) {
    samples_.resize(size_t(frame.nb_samples) * channels_);
    auto *target = reinterpret_cast<uint8_t *>(samples_.data());
    const int count = swr_convert(context_, &target, frame.nb_samples,
                                  const_cast<const uint8_t **>(frame.extended_data), frame.nb_samples);
    if (count < 0)
      return Status(StatusCode::InvalidInput, "the sound of the video cannot be converted, expected it to, convert it");
    return std::span<const float>(samples_).first(size_t(count) * channels_);
  }

private:
  SwrContext *context_ = nullptr;
  int rate_ = 0, channels_ = 0, format_ = -1;
  std::vector<float> samples_;
};

Result<std::vector<float>> decodeTrack(const std::string &path, const MediaLimits &limits) {
  QWENRT_ASSIGN_OR_RETURN(Demuxer demuxer, Demuxer::open(path, AVMEDIA_TYPE_AUDIO, limits));
  SampleConverter converter;
  std::optional<MonoResampler> resampler;
  for (;;) {
    QWENRT_ASSIGN_OR_RETURN(const AVFrame *frame, demuxer.nextFrame());
    if (!frame)
      break;
    if (!resampler) {
      QWENRT_RETURN_IF_ERROR(converter.start(*frame));
      QWENRT_ASSIGN_OR_RETURN(resampler, MonoResampler::create(std::max(frame->sample_rate, 0),
                                                               frame->ch_layout.nb_channels, limits.maxAudioSeconds));
    }
    if (!converter.fits(*frame))
      return Status(StatusCode::Unsupported,
                    "the sound of the video changes its format on the way, expected one throughout, convert it");
    QWENRT_ASSIGN_OR_RETURN(std::span<const float> samples, converter.convert(*frame));
    QWENRT_RETURN_IF_ERROR(resampler->push(samples));
  }
  if (!resampler)
    return Status(StatusCode::InvalidInput, "the sound of the video is empty, expected some, leave "
                                            "--use-audio-in-video out");
  return resampler->finish();
}

} // namespace

std::vector<uint64_t> sampledFrames(uint64_t frameCount, double durationSeconds, double fps, uint32_t maxFrames) {
  double wanted = 2 * std::nearbyint(durationSeconds * fps / 2);
  wanted = std::clamp(std::isfinite(wanted) ? wanted : kMinSampledFrames, kMinSampledFrames, kMaxSampledFrames);
  const uint64_t count = std::min({static_cast<uint64_t>(wanted), uint64_t(maxFrames), frameCount});
  std::vector<uint64_t> frames(count);
  for (uint64_t i = 1; i < count; ++i)
    frames[i] = static_cast<uint64_t>(std::nearbyint(double(i) * double(frameCount - 1) / double(count - 1)));
  return frames;
}

Status readVideoFrames(const std::string &path, double fps, const MediaLimits &limits, const FrameSink &sink) {
  Result<std::vector<uint64_t>> wanted = chooseFrames(path, fps, limits);
  if (!wanted)
    return wanted.status().withContext(printable(path));
  return decodeFrames(path, *wanted, limits, sink).withContext(printable(path));
}

Result<std::vector<float>> readVideoTrack(const std::string &path, const MediaLimits &limits) {
  Result<std::vector<float>> samples = decodeTrack(path, limits);
  if (!samples)
    return samples.status().withContext(printable(path));
  return samples;
}

} // namespace qwenrt
