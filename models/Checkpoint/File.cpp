//===- File.cpp - Reading whole files and replacing files atomically --------------------------------------------===//
#include "models/Checkpoint/File.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

using namespace qwenc;

namespace {

std::string errnoText() { return std::strerror(errno); }

/// Large single reads and writes are cut at 2 GiB by Linux anyway.
constexpr uint64_t maxTransferBytes = uint64_t(1) << 30;

} // namespace

Result<int> qwenc::openRegularFile(const std::string &path, uint64_t &sizeBytes) {
  // O_NONBLOCK: opening a pipe without a writer would wait for ever. It has no effect on regular files.
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    bool missing = errno == ENOENT || errno == ENOTDIR;
    if (missing)
      return Status(StatusCode::NotFound, "file '" + path + "' not found, expected a readable file, check the path");
    return Status(StatusCode::Io,
                  "cannot open '" + path + "' (" + errnoText() + "), expected a readable file, check its permissions");
  }
  struct stat info = {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    return Status(StatusCode::InvalidInput, "'" + path + "' is not a regular file, expected one, check the path");
  }
  sizeBytes = static_cast<uint64_t>(info.st_size);
  return fd;
}

Status qwenc::readExactly(int fd, uint64_t offset, void *out, uint64_t count, const std::string &path) {
  char *target = static_cast<char *>(out);
  while (count > 0) {
    ssize_t got = ::pread(fd, target, std::min(count, maxTransferBytes), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return Status(StatusCode::Io, "cannot read '" + path + "' (" + errnoText() + "), check the disk");
    if (got == 0)
      return Status(StatusCode::Io, "'" + path + "' ended at byte " + std::to_string(offset) + ", expected " +
                                        std::to_string(count) + " more bytes, do not change files while they are read");
    target += got;
    offset += static_cast<uint64_t>(got);
    count -= static_cast<uint64_t>(got);
  }
  return Status::ok();
}

Result<std::string> qwenc::readWholeFile(const std::string &path, uint64_t maxBytes) {
  uint64_t sizeBytes = 0;
  QWENRT_ASSIGN_OR_RETURN(int fd, openRegularFile(path, sizeBytes));
  if (sizeBytes > maxBytes) {
    ::close(fd);
    return Status(StatusCode::InvalidInput, "'" + path + "' has " + std::to_string(sizeBytes) +
                                                " bytes, expected at most " + std::to_string(maxBytes) +
                                                ", check that it is the right file");
  }
  std::string text(sizeBytes, '\0');
  Status status = readExactly(fd, 0, text.data(), sizeBytes, path);
  ::close(fd);
  QWENRT_RETURN_IF_ERROR(status);
  return text;
}

//===----------------------------------------------------------------------------------------------------------===//
// AtomicFile
//===----------------------------------------------------------------------------------------------------------===//

AtomicFile::AtomicFile(std::string path, std::string temporaryPath, int fd)
    : path_(std::move(path)), temporaryPath_(std::move(temporaryPath)), fd_(fd) {}

AtomicFile::AtomicFile(AtomicFile &&other) noexcept
    : path_(std::move(other.path_)), temporaryPath_(std::exchange(other.temporaryPath_, {})),
      fd_(std::exchange(other.fd_, -1)) {}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0)
    ::close(fd_);
  if (!temporaryPath_.empty())
    ::unlink(temporaryPath_.c_str());
}

Status AtomicFile::failure(const char *what) const {
  return Status(StatusCode::Io, std::string(what) + " '" + path_ + "' (" + errnoText() +
                                    "), expected a writable place with enough space, choose another output path");
}

Result<AtomicFile> AtomicFile::create(const std::string &path) {
  struct stat info = {};
  bool exists = ::stat(path.c_str(), &info) == 0;
  if (exists && S_ISDIR(info.st_mode))
    return Status(StatusCode::Io, "'" + path + "' is a folder, expected a file to write, choose another output path");
  if (exists && !S_ISREG(info.st_mode)) {
    int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    AtomicFile file(path, {}, fd);
    if (fd < 0)
      return file.failure("cannot write");
    return file;
  }
  // The file behind a link is replaced, not the link: /dev/stdout is one.
  std::error_code error;
  std::string target = exists ? std::filesystem::canonical(path, error).string() : path;
  if (error)
    target = path;
  static std::atomic<unsigned> serial{0};
  std::string temporary = target + ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(serial++);
  int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  AtomicFile file(std::move(target), fd < 0 ? std::string() : temporary, fd);
  if (fd < 0)
    return file.failure("cannot write");
  return file;
}

Status AtomicFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t done = ::write(fd_, bytes.data(), std::min<uint64_t>(bytes.size(), maxTransferBytes));
    if (done < 0 && errno == EINTR)
      continue;
    if (done < 0)
      return failure("cannot write");
    bytes.remove_prefix(static_cast<size_t>(done));
  }
  return Status::ok();
}

Status AtomicFile::writeAt(uint64_t offset, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t done =
        ::pwrite(fd_, bytes.data(), std::min<uint64_t>(bytes.size(), maxTransferBytes), static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR)
      continue;
    if (done < 0)
      return failure("cannot write");
    bytes.remove_prefix(static_cast<size_t>(done));
    offset += static_cast<uint64_t>(done);
  }
  return Status::ok();
}

Status AtomicFile::resize(uint64_t sizeBytes) {
  if (::ftruncate(fd_, static_cast<off_t>(sizeBytes)) != 0)
    return failure("cannot resize");
  return Status::ok();
}

Status AtomicFile::commit() {
  int fd = std::exchange(fd_, -1);
  // Some file systems report a full disk only here.
  if (::close(fd) != 0)
    return failure("cannot write");
  if (temporaryPath_.empty())
    return Status::ok();
  if (::rename(temporaryPath_.c_str(), path_.c_str()) != 0)
    return failure("cannot replace");
  temporaryPath_.clear();
  return Status::ok();
}
