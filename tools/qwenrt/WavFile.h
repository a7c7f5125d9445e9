//===- WavFile.h - Samples to a WAV file while they come ---------------------------------------------------------===//
#pragma once

#include "qwenrt/Status.h"

#include <cstdint>
#include <cstdio>
#include <span>
#include <string>

namespace qwenrt::tool {

/// One channel of 16 bits. The file is a whole WAV file after each call: its sizes grow with it. Where sizes cannot be
/// written again, on a pipe, they are the largest there are, as usual for streams.
class WavFile {
public:
  /// Makes the file at \p path, "-" for standard output, without samples. Io if that fails.
  static Result<WavFile> create(const std::string &path, uint32_t sampleRate);
  WavFile(WavFile &&other) noexcept;
  WavFile &operator=(WavFile &&other) = delete;
  ~WavFile();

  /// Adds \p samples, in -1 .. 1, at once. Io if that fails.
  Status add(std::span<const float> samples);
  /// True if the reader of standard output has gone.
  bool closed() const { return closed_; }

private:
  WavFile(std::FILE *file, std::string name, uint32_t sampleRate);
  Status writeHeader();
  Status failure(const char *doing);

  std::FILE *file_ = nullptr;
  std::string name_;
  uint32_t sampleRate_;
  uint64_t bytes_ = 0; ///< of samples
  bool seekable_ = false, closed_ = false;
  long start_ = 0; ///< of the header
};

} // namespace qwenrt::tool
