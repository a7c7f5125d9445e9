// An input of a fuzz target as a file that has a path but lies on no disk.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

class FuzzFile {
public:
  FuzzFile(const uint8_t *bytes, size_t sizeBytes) : descriptor_(memfd_create("fuzz", MFD_CLOEXEC)) {
    if (descriptor_ < 0 || write(descriptor_, bytes, sizeBytes) != static_cast<ssize_t>(sizeBytes))
      std::abort();
  }
  FuzzFile(const FuzzFile &) = delete;
  ~FuzzFile() { close(descriptor_); }

  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

private:
  int descriptor_;
};
