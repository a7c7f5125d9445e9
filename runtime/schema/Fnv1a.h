//===- Fnv1a.h - The hash of plan files, weight headers and caches --------------------------------------*- C++ -*-===//
//
// FNV-1a with 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/): finds damage, not forgery.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include <cstddef>
#include <cstdint>

namespace qwenrt {

inline constexpr uint64_t kFnvOffset = 0xcbf29ce484222325u;

/// The hash of \p sizeBytes bytes at \p data, continued from \p hash.
inline uint64_t fnv1a(const void *data, size_t sizeBytes, uint64_t hash = kFnvOffset) {
  const auto *bytes = static_cast<const unsigned char *>(data);
  for (size_t i = 0; i < sizeBytes; ++i)
    hash = (hash ^ bytes[i]) * 0x100000001b3u;
  return hash;
}

} // namespace qwenrt
