#include "runtime/frontend/media/Parts.h"

#include <algorithm>
#include <system_error>
#include <thread>
#include <vector>

namespace qwenrt {

unsigned partCount(uint64_t count, uint64_t least) {
  constexpr uint64_t kMost = 4;
  const uint64_t most = std::clamp<uint64_t>(std::thread::hardware_concurrency(), 1, kMost);
  return unsigned(std::clamp<uint64_t>(count / std::max<uint64_t>(least, 1), 1, most));
}

void forEachPart(uint64_t count, unsigned parts, const std::function<void(unsigned, uint64_t, uint64_t)> &body) {
  auto run = [&](unsigned part) { body(part, count * part / parts, count * (part + 1) / parts); };
  std::vector<std::thread> threads;
  threads.reserve(parts);
  unsigned part = 1;
  try {
    for (; part < parts; ++part)
      threads.emplace_back(run, part);
  } catch (const std::system_error &) { // no more threads: the rest is done here
  }
  run(0);
  for (; part < parts; ++part)
    run(part);
  for (std::thread &thread : threads)
    thread.join();
}

} // namespace qwenrt
