//===- PlanFile.h - The trailer behind the flatbuffer of a plan file -----------------------------------*- C++ -*-===//
//
// A plan file is the flatbuffer of plan.fbs followed by 24 bytes: its length (u64, little endian), its FNV-1a 64 hash
// (u64) and the magic "QWENPLN1". Header only, so that compiler, runtime and tools share it without sharing a library.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "runtime/schema/Fnv1a.h"

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

namespace qwenrt::planfile {

inline constexpr std::string_view kMagic = "QWENPLN1";
inline constexpr size_t kTrailerBytes = 24;

/// The trailer that belongs behind \p flatbuffer.
inline std::array<std::byte, kTrailerBytes> trailerOf(std::span<const std::byte> flatbuffer) {
  std::array<std::byte, kTrailerBytes> trailer;
  uint64_t length = flatbuffer.size(), hash = fnv1a(flatbuffer.data(), flatbuffer.size());
  for (size_t i = 0; i < 8; ++i) {
    trailer[i] = static_cast<std::byte>(length >> 8 * i);
    trailer[8 + i] = static_cast<std::byte>(hash >> 8 * i);
    trailer[16 + i] = static_cast<std::byte>(kMagic[i]);
  }
  return trailer;
}

} // namespace qwenrt::planfile
