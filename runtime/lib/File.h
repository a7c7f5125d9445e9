//===- File.h - Positioned reads and atomic writes ---------------------------------------------------------------===//
//
// Reads go through pread, never through a mapping: a file that shrinks while it is read gives an error, not a SIGBUS.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "qwenrt/Status.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace qwenrt {

/// An open regular file; closed with the object.
class File {
public:
  /// Fails with NotFound or Io; folders and devices are refused.
  static Result<File> open(const std::string &path);
  File(File &&other) noexcept;
  File &operator=(File &&other) noexcept;
  ~File();

  uint64_t sizeBytes() const { return sizeBytes_; }
  const std::string &path() const { return path_; }

  /// Reads exactly \p sizeBytes bytes from \p offset. \p target may be mapped device memory.
  Status readAt(uint64_t offset, void *target, uint64_t sizeBytes) const;

  /// Tells the system that these pages will not be read again.
  void dropPages(uint64_t offset, uint64_t sizeBytes) const;
  /// Tells the system that this range will be read at once, so that a disk gets one long request.
  void expectRange(uint64_t offset, uint64_t sizeBytes) const;
  /// Tells the system that the file is read once, from front to back.
  void expectSequential() const;

private:
  File() = default;
  int descriptor_ = -1;
  uint64_t sizeBytes_ = 0;
  std::string path_;
};

/// Writes \p content to a temporary file beside \p path and renames it: there is never half a file at \p path.
Status writeFileAtomically(const std::string &path, std::string_view content);

} // namespace qwenrt
