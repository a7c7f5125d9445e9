//===- Demuxer.h - libav over one file ---------------------------------------------------------------------------===//
#pragma once

#include "runtime/frontend/media/MediaLimits.h"
#include "runtime/lib/File.h"

#include <memory>
#include <optional>
#include <string>

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
}

namespace qwenrt {

/// One stream of a media file, packet by packet or frame by frame; either, not both.
class Demuxer {
public:
  /// Opens the best stream of \p type. Messages do not name the path.
  static Result<Demuxer> open(const std::string &path, AVMediaType type, const MediaLimits &limits);

  /// The next packet of the stream; none at the end, or where the file is cut.
  const AVPacket *nextPacket();

  /// The next frame, valid until the next call; null at the end. Damaged packets are skipped. InvalidInput if the file
  /// goes on without frames.
  Result<const AVFrame *> nextFrame();

  /// As the stream or the container claims it, none if neither does.
  std::optional<double> durationSeconds() const;
  /// Frames per second as the container claims it, 0 if it does not.
  double frameRate() const;

private:
  struct Source;
  struct Handles {
    std::unique_ptr<Source> source;
    AVIOContext *io = nullptr;
    AVFormatContext *format = nullptr;
    AVCodecContext *codec = nullptr;
    AVPacket *packet = nullptr;
    AVFrame *frame = nullptr;
    Handles();
    ~Handles();
  };

  Demuxer() = default;
  Status openContainer(const std::string &path, const MediaLimits &limits);
  Status openDecoder(AVMediaType type, const MediaLimits &limits);
  AVStream *stream() const { return handles_->format->streams[stream_]; }

  std::unique_ptr<Handles> handles_;
  int stream_ = -1;
  bool drained_ = false;
};

} // namespace qwenrt
