//===- PlanFile.h - The trailer behind the flatbuffer of a plan file -----------------------------------*- C++ -*-===//
//
// A plan file is the flatbuffer of plan.fbs followed by 24 bytes: its length (u64, little endian), its FNV-1a 64 hash
// (u64) and the magic "QWENPLN1". Header only, so that compiler, runtime and tools share it without sharing a library.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace qwenrt::planfile {

inline constexpr std::string_view kMagic = "QWENPLN1";
inline constexpr size_t kTrailerBytes = 24;

/// FNV-1a, 64 bit; \p state continues an earlier hash.
inline uint64_t fnv1a64(std::span<const std::byte> bytes, uint64_t state = 0xcbf29ce484222325u) {
  for (std::byte byte : bytes)
    state = (state ^ static_cast<uint64_t>(byte)) * 0x100000001b3u;
  return state;
}

/// The trailer that belongs behind \p flatbuffer.
inline std::array<std::byte, kTrailerBytes> trailerOf(std::span<const std::byte> flatbuffer) {
  std::array<std::byte, kTrailerBytes> trailer;
  uint64_t length = flatbuffer.size(), hash = fnv1a64(flatbuffer);
  for (size_t i = 0; i < 8; ++i) {
    trailer[i] = static_cast<std::byte>(length >> 8 * i);
    trailer[8 + i] = static_cast<std::byte>(hash >> 8 * i);
    trailer[16 + i] = static_cast<std::byte>(kMagic[i]);
  }
  return trailer;
}

/// The flatbuffer of \p file, or an empty span if the trailer does not belong to it.
inline std::span<const std::byte> flatbufferOf(std::span<const std::byte> file) {
  if (file.size() <= kTrailerBytes)
    return {};
  std::span<const std::byte> flatbuffer = file.first(file.size() - kTrailerBytes);
  auto trailer = trailerOf(flatbuffer);
  return std::equal(trailer.begin(), trailer.end(), file.last(kTrailerBytes).begin()) ? flatbuffer
                                                                                      : std::span<const std::byte>{};
}

} // namespace qwenrt::planfile
