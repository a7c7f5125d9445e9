//===- WavFile.cpp -----------------------------------------------------------------------------------------------===//
#include "WavFile.h"

#include "Terminal.h"
#include "runtime/lib/Text.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fcntl.h>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

using namespace qwenrt;
using namespace qwenrt::tool;

namespace {

constexpr uint32_t kHeaderBytes = 44;

/// Little endian, whatever the machine is.
void put(std::vector<uint8_t> &bytes, uint32_t value, unsigned count) {
  for (unsigned i = 0; i < count; ++i)
    bytes.push_back(uint8_t(value >> (8 * i)));
}
void put(std::vector<uint8_t> &bytes, std::string_view text) { bytes.insert(bytes.end(), text.begin(), text.end()); }

} // namespace

WavFile::WavFile(int file, std::string name, uint32_t sampleRate)
    : file_(file), name_(std::move(name)), sampleRate_(sampleRate) {}

WavFile::WavFile(WavFile &&other) noexcept
    : file_(std::exchange(other.file_, -1)), name_(std::move(other.name_)), sampleRate_(other.sampleRate_),
      bytes_(other.bytes_), seekable_(other.seekable_), closed_(other.closed_), start_(other.start_) {}

WavFile::~WavFile() {
  if (file_ >= 0 && file_ != STDOUT_FILENO)
    close(file_);
}

Result<WavFile> WavFile::create(const std::string &path, uint32_t sampleRate) {
  const bool standard = path == "-";
  const int file = standard ? STDOUT_FILENO : open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0)
    return Status(StatusCode::Io, text("cannot open '", printable(path), "': ", std::strerror(errno),
                                       ", expected a place for the sound, choose another"));
  WavFile wav(file, standard ? "standard output" : path, sampleRate);
  struct stat status = {};
  wav.start_ = lseek(file, 0, SEEK_CUR);
  // What the shell's >> opened writes behind all that is there, wherever it is told to.
  wav.seekable_ =
      fstat(file, &status) == 0 && S_ISREG(status.st_mode) && wav.start_ >= 0 && (fcntl(file, F_GETFL) & O_APPEND) == 0;
  const std::vector<uint8_t> header = wav.header();
  if (wav.write(header) != header.size())
    return wav.failure(errno);
  return wav;
}

Status WavFile::failure(int error) {
  closed_ = error == EPIPE || (error == EINTR && interrupted());
  if (error == EPIPE)
    noteClosedOutput();
  return {StatusCode::Io, text("cannot write '", printable(name_), "': ", std::strerror(error),
                               ", expected room for the sound, free some or choose another place")};
}

std::vector<uint8_t> WavFile::header() const {
  const auto size =
      uint32_t(seekable_ ? std::min<uint64_t>(bytes_, UINT32_MAX - kHeaderBytes) : UINT32_MAX - kHeaderBytes);
  std::vector<uint8_t> header;
  put(header, "RIFF");
  put(header, size + kHeaderBytes - 8, 4);
  put(header, "WAVEfmt ");
  put(header, 16, 4);
  put(header, 1, 2); // PCM
  put(header, 1, 2); // channel
  put(header, sampleRate_, 4);
  put(header, sampleRate_ * 2, 4);
  put(header, 2, 2);
  put(header, 16, 2);
  put(header, "data");
  put(header, size, 4);
  return header;
}

size_t WavFile::write(std::span<const uint8_t> bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = ::write(file_, bytes.data() + done, bytes.size() - done);
    done += size_t(std::max<ssize_t>(count, 0));
    if (count < 0 && errno != EINTR)
      break;
    if (done < bytes.size() && interrupted()) { // a pipe was waited for whose reader is slow
      errno = EINTR;
      break;
    }
  }
  return done;
}

Status WavFile::add(std::span<const float> samples) {
  std::vector<uint8_t> bytes;
  bytes.reserve(samples.size() * 2);
  for (float sample : samples) {
    const float bounded = sample == sample ? std::clamp(sample, -1.0f, 1.0f) : 0;
    put(bytes, uint32_t(int32_t(std::lround(bounded * 32767.0f))), 2);
  }
  const size_t done = write(bytes);
  const int error = done == bytes.size() ? 0 : errno;
  bytes_ += done - done % 2;
  if (!seekable_)
    return error ? failure(error) : Status::ok();
  const int64_t end = start_ + kHeaderBytes + int64_t(bytes_);
  const std::vector<uint8_t> sizes = header();
  const bool half = error && (ftruncate(file_, end) != 0 || lseek(file_, end, SEEK_SET) != end);
  if (half || pwrite(file_, sizes.data(), sizes.size(), start_) != ssize_t(sizes.size()))
    return failure(error ? error : errno);
  return error ? failure(error) : Status::ok();
}
