#include "runtime/frontend/media/files/AudioFile.h"

#include "runtime/frontend/media/files/Resampler.h"
#include "runtime/lib/File.h"
#include "runtime/lib/Text.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <sndfile.h>

namespace qwenrt {
namespace {

/// libsndfile reads through this, so that it opens nothing by itself.
struct Stream {
  File file;
  sf_count_t offset = 0;

  static sf_count_t length(void *self) {
    return static_cast<sf_count_t>(static_cast<Stream *>(self)->file.sizeBytes());
  }
  static sf_count_t tell(void *self) { return static_cast<Stream *>(self)->offset; }
  static sf_count_t write(const void *, sf_count_t, void *) { return 0; }

  static sf_count_t seek(sf_count_t offset, int whence, void *self) {
    Stream &stream = *static_cast<Stream *>(self);
    const sf_count_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? stream.offset : length(self);
    if (__builtin_add_overflow(base, offset, &offset) || offset < 0)
      return -1;
    return stream.offset = offset;
  }

  static sf_count_t read(void *target, sf_count_t sizeBytes, void *self) {
    Stream &stream = *static_cast<Stream *>(self);
    const sf_count_t left = std::max<sf_count_t>(0, length(self) - stream.offset);
    sizeBytes = std::clamp<sf_count_t>(sizeBytes, 0, left);
    if (!stream.file.readAt(stream.offset, target, sizeBytes))
      return 0;
    stream.offset += sizeBytes;
    return sizeBytes;
  }
};

struct Close {
  void operator()(SNDFILE *file) const { sf_close(file); }
};

bool isKnownFormat(int format) {
  switch (format & SF_FORMAT_TYPEMASK) {
  case SF_FORMAT_WAV:
  case SF_FORMAT_WAVEX:
  case SF_FORMAT_RF64:
  case SF_FORMAT_AIFF:
  case SF_FORMAT_FLAC:
  case SF_FORMAT_OGG:
  case SF_FORMAT_MPEG:
    return true;
  default:
    return false;
  }
}

Result<std::vector<float>> readSamples(SNDFILE *file, const SF_INFO &info, const MediaLimits &limits) {
  if (info.samplerate <= 0 || info.channels <= 0)
    return Status(StatusCode::InvalidInput, text("the sound file claims ", info.channels, " channels at ",
                                                 info.samplerate, " Hz, expected both above 0, convert it again"));
  QWENRT_ASSIGN_OR_RETURN(MonoResampler resampler,
                          MonoResampler::create(info.samplerate, info.channels, limits.maxAudioSeconds));
  constexpr sf_count_t kBlockFrames = 16'384;
  std::vector<float> block(size_t(kBlockFrames) * info.channels);
  while (sf_count_t count = sf_readf_float(file, block.data(), kBlockFrames)) {
    if (count < 0)
      break;
    QWENRT_RETURN_IF_ERROR(resampler.push(std::span(block).first(size_t(count) * info.channels)));
  }
  if (int error = sf_error(file))
    return Status(StatusCode::InvalidInput, text("the sound file is damaged (", printable(sf_error_number(error)),
                                                 "), expected it to decode to its end, convert it again"));
  return resampler.finish();
}

Result<std::vector<float>> readStream(Stream &stream, const MediaLimits &limits) {
  SF_VIRTUAL_IO callbacks{Stream::length, Stream::seek, Stream::read, Stream::write, Stream::tell};
  SF_INFO info{};
  std::unique_ptr<SNDFILE, Close> file(sf_open_virtual(&callbacks, SFM_READ, &info, &stream));
  if (!file)
    return Status(StatusCode::InvalidInput,
                  text("the file is no sound that libsndfile reads (", printable(sf_strerror(nullptr)),
                       "), expected WAV, FLAC, Ogg, MP3 or AIFF, convert it"));
  if (!isKnownFormat(info.format))
    return Status(StatusCode::Unsupported,
                  "the sound file has another format, expected WAV, FLAC, Ogg, MP3 or AIFF, convert it");
  return readSamples(file.get(), info, limits);
}

} // namespace

Result<std::vector<float>> readAudio(const std::string &path, const MediaLimits &limits) {
  QWENRT_ASSIGN_OR_RETURN(File file, File::open(path));
  Stream stream{std::move(file)};
  Result<std::vector<float>> samples = readStream(stream, limits);
  if (!samples)
    return samples.status().withContext(printable(path));
  return samples;
}

} // namespace qwenrt
