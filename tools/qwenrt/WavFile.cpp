//===- WavFile.cpp -----------------------------------------------------------------------------------------------===//
#include "WavFile.h"

#include "runtime/lib/Text.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <string_view>
#include <sys/stat.h>
#include <utility>
#include <vector>

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

WavFile::WavFile(std::FILE *file, std::string name, uint32_t sampleRate)
    : file_(file), name_(std::move(name)), sampleRate_(sampleRate) {}

WavFile::WavFile(WavFile &&other) noexcept
    : file_(std::exchange(other.file_, nullptr)), name_(std::move(other.name_)), sampleRate_(other.sampleRate_),
      bytes_(other.bytes_), seekable_(other.seekable_), closed_(other.closed_), start_(other.start_) {}

WavFile::~WavFile() {
  if (file_ && file_ != stdout)
    std::fclose(file_);
}

Result<WavFile> WavFile::create(const std::string &path, uint32_t sampleRate) {
  const bool standard = path == "-";
  std::FILE *file = standard ? stdout : std::fopen(path.c_str(), "wb");
  if (!file)
    return Status(StatusCode::Io, text("cannot open '", printable(path), "': ", std::strerror(errno),
                                       ", expected a place for the sound, choose another"));
  WavFile wav(file, standard ? "standard output" : path, sampleRate);
  struct stat status = {};
  wav.start_ = std::ftell(file);
  wav.seekable_ = fstat(fileno(file), &status) == 0 && S_ISREG(status.st_mode) && wav.start_ >= 0;
  QWENRT_RETURN_IF_ERROR(wav.writeHeader());
  return wav;
}

Status WavFile::failure(const char *doing) {
  closed_ = errno == EPIPE;
  return {StatusCode::Io, text("cannot ", doing, " '", printable(name_), "': ", std::strerror(errno),
                               ", expected room for the sound, free some or choose another place")};
}

Status WavFile::writeHeader() {
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
  if (std::fwrite(header.data(), 1, header.size(), file_) != header.size() || std::fflush(file_) != 0)
    return failure("write");
  return Status::ok();
}

Status WavFile::add(std::span<const float> samples) {
  std::vector<uint8_t> bytes;
  bytes.reserve(samples.size() * 2);
  for (float sample : samples) {
    const float bounded = sample == sample ? std::clamp(sample, -1.0f, 1.0f) : 0;
    put(bytes, uint32_t(int32_t(std::lround(bounded * 32767.0f))), 2);
  }
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size() || std::fflush(file_) != 0)
    return failure("write");
  bytes_ += bytes.size();
  if (!seekable_)
    return Status::ok();
  if (std::fseek(file_, start_, SEEK_SET) != 0)
    return failure("write");
  QWENRT_RETURN_IF_ERROR(writeHeader());
  return std::fseek(file_, 0, SEEK_END) == 0 ? Status::ok() : failure("write");
}
