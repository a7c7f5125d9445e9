//===- File.h - Reading whole files and replacing files atomically ----------------------------------------------===//
#pragma once

#include "qwenrt/Status.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace qwenc {

using qwenrt::Result;
using qwenrt::Status;
using qwenrt::StatusCode;

/// The content of the regular file \p path. Refuses folders, pipes and files of more than \p maxBytes, so that no path
/// can make the program wait or fill the memory. Errors: NotFound, InvalidInput (size, kind), Io.
Result<std::string> readWholeFile(const std::string &path, uint64_t maxBytes);

/// Opens the regular file \p path for reading and says how long it is. The caller closes the descriptor.
/// Errors: NotFound, InvalidInput (not a regular file), Io.
Result<int> openRegularFile(const std::string &path, uint64_t &sizeBytes);

/// Reads exactly \p count bytes at \p offset of \p fd into \p out. Errors: Io, also when the file ends before.
Status readExactly(int fd, uint64_t offset, void *out, uint64_t count, const std::string &path);

/// A file that appears under its name only when it is complete: bytes go to a temporary name in the same folder,
/// commit() renames. Without commit() the destructor removes the temporary file. A target that exists and is not a
/// regular file (/dev/stdout, a pipe) is written directly, since renaming over it would replace the device.
class AtomicFile {
public:
  static Result<AtomicFile> create(const std::string &path);
  AtomicFile(AtomicFile &&other) noexcept;
  AtomicFile &operator=(AtomicFile &&) = delete;
  ~AtomicFile();

  /// Appends at the current position.
  Status write(std::string_view bytes);
  /// Writes at a fixed offset; several threads may call it at once. Not for targets that are no regular files.
  Status writeAt(uint64_t offset, std::string_view bytes);
  /// Sets the length; what has not been written reads as zeros and takes no space.
  Status resize(uint64_t sizeBytes);
  /// Closes and renames.
  Status commit();

private:
  AtomicFile(std::string path, std::string temporaryPath, int fd);
  Status failure(const char *what) const;

  std::string path_;
  std::string temporaryPath_; ///< empty: written directly
  int fd_ = -1;
};

} // namespace qwenc
