//===- HostMemory.cpp --------------------------------------------------------------------------------------------===//
#include "HostMemory.h"

#include <cstdlib>
#include <fcntl.h>
#include <string_view>
#include <unistd.h>

uint64_t qwenrt::anonymousHostBytes() {
  int descriptor = ::open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    return 0;
  char content[4096];
  ssize_t size = ::read(descriptor, content, sizeof(content) - 1);
  ::close(descriptor);
  if (size <= 0)
    return 0;
  content[size] = 0;
  constexpr std::string_view kField = "RssAnon:";
  size_t at = std::string_view(content).find(kField);
  return at == std::string_view::npos ? 0 : std::strtoull(content + at + kField.size(), nullptr, 10) * 1024;
}
