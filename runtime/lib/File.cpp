//===- File.cpp --------------------------------------------------------------------------------------------------===//
#include "File.h"

#include "Text.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace qwenrt;

namespace {

Status ioError(const std::string &path, const char *what,
               const char *expected = "a file that can be read, check the path") {
  StatusCode code = errno == ENOENT || errno == ENOTDIR ? StatusCode::NotFound : StatusCode::Io;
  return {code, text("cannot ", what, " '", printable(path), "': ", std::strerror(errno), ", expected ", expected)};
}

constexpr const char *kWritable = "a writable place with enough space, choose another";

} // namespace

Result<File> File::open(const std::string &path) {
  File file;
  file.path_ = path;
  file.descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file.descriptor_ < 0)
    return ioError(path, "open");
  struct stat info {};
  if (fstat(file.descriptor_, &info) != 0)
    return ioError(path, "read");
  if (!S_ISREG(info.st_mode))
    return Status(StatusCode::InvalidInput,
                  text("'", printable(path), "' is no regular file, expected one, check the path"));
  file.sizeBytes_ = uint64_t(info.st_size);
  return file;
}

File::File(File &&other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), sizeBytes_(other.sizeBytes_), path_(std::move(other.path_)) {}

File &File::operator=(File &&other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(sizeBytes_, other.sizeBytes_);
  std::swap(path_, other.path_);
  return *this;
}

File::~File() {
  if (descriptor_ >= 0)
    ::close(descriptor_);
}

Status File::readAt(uint64_t offset, void *target, uint64_t sizeBytes) const {
  auto *at = static_cast<char *>(target);
  while (sizeBytes > 0) {
    ssize_t got = ::pread(descriptor_, at, sizeBytes, off_t(offset));
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return ioError(path_, "read");
    if (got == 0)
      return {StatusCode::InvalidInput, text("'", printable(path_), "' ends at byte ", offset, ", expected ", sizeBytes,
                                             " more, it is cut; get it again")};
    at += got;
    offset += uint64_t(got);
    sizeBytes -= uint64_t(got);
  }
  return Status::ok();
}

void File::dropPages(uint64_t offset, uint64_t sizeBytes) const {
  ::posix_fadvise(descriptor_, off_t(offset), off_t(sizeBytes), POSIX_FADV_DONTNEED);
}

void File::expectRange(uint64_t offset, uint64_t sizeBytes) const {
  ::posix_fadvise(descriptor_, off_t(offset), off_t(sizeBytes), POSIX_FADV_WILLNEED);
}

void File::expectSequential() const { ::posix_fadvise(descriptor_, 0, 0, POSIX_FADV_SEQUENTIAL); }

Status qwenrt::writeFileAtomically(const std::string &path, std::string_view content) {
  std::string temporary = text(path, ".", getpid(), ".tmp");
  int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor < 0)
    return ioError(path, "write", kWritable);
  bool good = true;
  for (size_t done = 0; good && done < content.size();) {
    ssize_t wrote = ::write(descriptor, content.data() + done, content.size() - done);
    if (wrote > 0)
      done += size_t(wrote);
    else if (errno != EINTR)
      good = false;
  }
  int reason = good ? 0 : errno;
  good = ::close(descriptor) == 0 && good;
  if (good && ::rename(temporary.c_str(), path.c_str()) == 0)
    return Status::ok();
  errno = reason ? reason : errno;
  Status status = ioError(path, "write", kWritable);
  ::unlink(temporary.c_str());
  return status;
}
