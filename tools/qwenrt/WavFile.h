//===- WavFile.h - Samples to a WAV file while they come ---------------------------------------------------------===//
#pragma once

#include "qwenrt/Status.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace qwenrt::tool {

/// One channel of 16 bits. The file is a whole WAV file after each call, one that failed too: its sizes grow with it.
/// Where sizes cannot be written again, on a pipe, they are the largest there are, as usual for streams.
class WavFile {
public:
  /// Makes the file at \p path, "-" for standard output, without samples. Io if that fails.
  static Result<WavFile> create(const std::string &path, uint32_t sampleRate);
  WavFile(WavFile &&other) noexcept;
  WavFile &operator=(WavFile &&other) = delete;
  ~WavFile();

  /// Adds \p samples, in -1 .. 1, at once. Io if that fails.
  Status add(std::span<const float> samples);
  /// True if nobody takes what add was given: the reader of a pipe has gone, or Ctrl-C came while it was slow.
  bool closed() const { return closed_; }

private:
  WavFile(int file, std::string name, uint32_t sampleRate);
  std::vector<uint8_t> header() const;
  /// Returns how many bytes were written; fewer than there are mean that errno says why.
  size_t write(std::span<const uint8_t> bytes);
  Status failure(int error);

  int file_ = -1;
  std::string name_;
  uint32_t sampleRate_;
  uint64_t bytes_ = 0; ///< of samples
  bool seekable_ = false, closed_ = false;
  int64_t start_ = 0; ///< of the header
};

} // namespace qwenrt::tool
