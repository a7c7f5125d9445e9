//===- HostMemory.h - How much memory this process holds ---------------------------------------------------------===//
#pragma once

#include <cstdint>

namespace qwenrt {

/// Anonymous memory of this process in RAM now: heap and stacks, without files, without what drivers map. 0 where the
/// system does not say (RssAnon of /proc/self/status).
uint64_t anonymousHostBytes();

} // namespace qwenrt
