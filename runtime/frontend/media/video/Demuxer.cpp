#include "runtime/frontend/media/video/Demuxer.h"

#include "runtime/lib/Text.h"

#include <algorithm>
#include <array>
#include <vector>

namespace qwenrt {
namespace {

/// Containers that hold their streams themselves; by the names of libavformat.
constexpr const char *kContainers = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,ogg,flv,asf";

/// A broken file may go on for ever without giving a frame.
constexpr int kMaxFruitlessPackets = 10'000;

std::string reasonOf(int error) {
  std::array<char, AV_ERROR_MAX_STRING_SIZE> buffer{};
  av_strerror(error, buffer.data(), buffer.size());
  return printable(buffer.data());
}

Status noMemory() {
  return {StatusCode::OutOfMemory, "no memory for the video decoder, expected a few megabytes, free some"};
}

int refuseToOpen(AVFormatContext *, AVIOContext **, const char *, int, AVDictionary **) { return AVERROR(EPERM); }

} // namespace

struct Demuxer::Source {
  File file;
  int64_t offset = 0;

  static int read(void *self, uint8_t *target, int sizeBytes) {
    Source &source = *static_cast<Source *>(self);
    const int64_t left = static_cast<int64_t>(source.file.sizeBytes()) - source.offset;
    const int64_t count = std::min<int64_t>(sizeBytes, left);
    if (count <= 0)
      return AVERROR_EOF;
    if (!source.file.readAt(source.offset, target, count))
      return AVERROR(EIO);
    source.offset += count;
    return static_cast<int>(count);
  }

  static int64_t seek(void *self, int64_t offset, int whence) {
    Source &source = *static_cast<Source *>(self);
    const auto sizeBytes = static_cast<int64_t>(source.file.sizeBytes());
    if (whence & AVSEEK_SIZE)
      return sizeBytes;
    whence &= ~AVSEEK_FORCE;
    const int64_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? source.offset : sizeBytes;
    if (__builtin_add_overflow(base, offset, &offset) || offset < 0)
      return AVERROR(EINVAL);
    return source.offset = offset;
  }
};

Demuxer::Handles::Handles() = default;

Demuxer::Handles::~Handles() {
  av_frame_free(&frame);
  av_packet_free(&packet);
  avcodec_free_context(&codec);
  avformat_close_input(&format);
  if (io)
    av_freep(&io->buffer);
  avio_context_free(&io);
}

Result<Demuxer> Demuxer::open(const std::string &path, AVMediaType type, const MediaLimits &limits) {
  av_log_set_level(AV_LOG_QUIET);
  Demuxer demuxer;
  demuxer.handles_ = std::make_unique<Handles>();
  QWENRT_RETURN_IF_ERROR(demuxer.openContainer(path, limits));
  QWENRT_RETURN_IF_ERROR(demuxer.openDecoder(type, limits));
  return demuxer;
}

Status Demuxer::openContainer(const std::string &path, const MediaLimits &limits) {
  Handles &handles = *handles_;
  QWENRT_ASSIGN_OR_RETURN(File file, File::open(path));
  handles.source.reset(new Source{std::move(file)});
  constexpr int kBufferBytes = 1 << 16;
  auto *buffer = static_cast<uint8_t *>(av_malloc(kBufferBytes));
  handles.io =
      buffer ? avio_alloc_context(buffer, kBufferBytes, 0, handles.source.get(), Source::read, nullptr, Source::seek)
             : nullptr;
  handles.format = avformat_alloc_context();
  handles.packet = av_packet_alloc();
  handles.frame = av_frame_alloc();
  if (!handles.io || !handles.format || !handles.packet || !handles.frame)
    return noMemory();
  handles.format->pb = handles.io;
  handles.format->io_open = refuseToOpen;
  AVDictionary *options = nullptr;
  av_dict_set(&options, "format_whitelist", kContainers, 0);
  av_dict_set(&options, "protocol_whitelist", "none", 0);
  int error = avformat_open_input(&handles.format, "", nullptr, &options);
  av_dict_free(&options);
  if (error < 0)
    return {StatusCode::InvalidInput, text("the file is no video that libav reads (", reasonOf(error),
                                           "), expected MP4, Matroska, WebM, AVI, MPEG, Ogg, FLV or ASF, convert it")};
  std::vector<AVDictionary *> perStream(handles.format->nb_streams, nullptr);
  for (AVDictionary *&entry : perStream)
    av_dict_set_int(&entry, "max_pixels", static_cast<int64_t>(limits.maxDecodedPixels), 0);
  error = avformat_find_stream_info(handles.format, perStream.data());
  for (AVDictionary *&entry : perStream)
    av_dict_free(&entry);
  if (error < 0)
    return {StatusCode::InvalidInput, text("the video file is damaged (", reasonOf(error),
                                           "), expected streams libav can read, convert it again")};
  return Status::ok();
}

Status Demuxer::openDecoder(AVMediaType type, const MediaLimits &limits) {
  Handles &handles = *handles_;
  const std::string name = type == AVMEDIA_TYPE_VIDEO ? "video" : "sound";
  const AVCodec *decoder = nullptr;
  stream_ = av_find_best_stream(handles.format, type, -1, -1, &decoder, 0);
  if (stream_ == AVERROR_STREAM_NOT_FOUND)
    return {StatusCode::NotFound,
            text("the video file has no ", name, " stream, expected one, ",
                 type == AVMEDIA_TYPE_VIDEO ? "use another file" : "leave --use-audio-in-video out")};
  if (stream_ < 0 || !decoder)
    return {StatusCode::Unsupported,
            text("libav has no decoder for the ", name, " of the file, expected a common codec, convert it")};
  for (unsigned i = 0; i < handles.format->nb_streams; ++i)
    if (static_cast<int>(i) != stream_)
      handles.format->streams[i]->discard = AVDISCARD_ALL;
  handles.codec = avcodec_alloc_context3(decoder);
  if (!handles.codec)
    return noMemory();
  handles.codec->thread_count = 0; // as many as there are cores
  handles.codec->max_pixels = static_cast<int64_t>(limits.maxDecodedPixels);
  int error = avcodec_parameters_to_context(handles.codec, stream()->codecpar);
  if (error >= 0)
    error = avcodec_open2(handles.codec, decoder, nullptr);
  if (error < 0)
    return {StatusCode::InvalidInput, text("the ", name, " stream of the file is damaged (", reasonOf(error),
                                           "), expected one that can be decoded, convert it again")};
  return Status::ok();
}

const AVPacket *Demuxer::nextPacket() {
  for (;;) {
    av_packet_unref(handles_->packet);
    if (av_read_frame(handles_->format, handles_->packet) < 0)
      return nullptr;
    if (handles_->packet->stream_index == stream_)
      return handles_->packet;
  }
}

Result<const AVFrame *> Demuxer::nextFrame() {
  for (int fruitless = 0; fruitless < kMaxFruitlessPackets; ++fruitless) {
    const int state = avcodec_receive_frame(handles_->codec, handles_->frame);
    if (state == 0)
      return handles_->frame;
    if (state == AVERROR_EOF || drained_)
      return static_cast<const AVFrame *>(nullptr);
    const AVPacket *packet = nextPacket();
    drained_ = packet == nullptr;
    avcodec_send_packet(handles_->codec, packet); // a damaged packet gives no frame; what follows may
  }
  return Status(StatusCode::InvalidInput, text("the file holds ", kMaxFruitlessPackets,
                                               " packets without a frame, expected frames, convert it again"));
}

std::optional<double> Demuxer::durationSeconds() const {
  if (stream()->duration > 0 && stream()->time_base.den > 0)
    return double(stream()->duration) * av_q2d(stream()->time_base);
  if (handles_->format->duration > 0)
    return double(handles_->format->duration) / AV_TIME_BASE;
  return std::nullopt;
}

double Demuxer::frameRate() const {
  const AVRational rate = stream()->avg_frame_rate;
  return rate.num > 0 && rate.den > 0 ? av_q2d(rate) : 0;
}

} // namespace qwenrt
