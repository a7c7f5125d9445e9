//===- Safetensors.h - Headers of safetensors files -------------------------------------------------------------===//
//
// File = 8 bytes little-endian header length N, N bytes of JSON, data area from byte 8 + N.
// Format: https://github.com/huggingface/safetensors#format. Only the header is ever read here; a header that lies
// about the data (ranges outside the file, overlaps, gaps, sizes that do not follow from shape and dtype) is refused.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "qwenrt/Status.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qwenc {

using qwenrt::Result;
using qwenrt::Status;
using qwenrt::StatusCode;

/// Element types a safetensors file can hold.
enum class StoredDType : uint8_t { F64, F32, F16, BF16, I64, U64, I32, U32, I16, U16, I8, U8, Bool, F8E4M3, F8E5M2 };

/// The format's name of a dtype, for example "BF16".
std::string_view storedDTypeName(StoredDType dtype);
std::optional<StoredDType> storedDTypeFromName(std::string_view name);
uint64_t storedDTypeSizeBytes(StoredDType dtype);

struct StoredTensor {
  StoredDType dtype = StoredDType::BF16;
  std::vector<uint64_t> shape; ///< row-major, last axis contiguous; empty = scalar
  uint64_t offsetBytes = 0;    ///< from the start of the file; no alignment is guaranteed
  uint64_t sizeBytes = 0;      ///< product of shape times element size
};

/// Longest header accepted, as the reference library has it.
inline constexpr uint64_t maxSafetensorsHeaderBytes = 100'000'000;

struct SafetensorsHeader {
  uint64_t headerBytes = 0;   ///< length of the JSON, without the 8 length bytes
  uint64_t fileSizeBytes = 0; ///< 8 + headerBytes + data area
  uint64_t headerHash = 0;    ///< FNV-1a 64 over the 8 length bytes and the JSON
  std::map<std::string, StoredTensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// Checks the first 8 bytes of a file of \p fileSizeBytes (\p start holds them, or less for a shorter file) and returns
/// the length of the JSON header. Errors: InvalidInput.
Result<uint64_t> parseSafetensorsLength(std::string_view start, uint64_t fileSizeBytes);

/// Parses the JSON header of a file whose data area has \p dataSizeBytes. Errors: InvalidInput.
Result<SafetensorsHeader> parseSafetensorsHeader(std::string_view json, uint64_t dataSizeBytes);

/// Reads the header of \p path and nothing else. Errors: NotFound, InvalidInput, Io; messages start with the path.
Result<SafetensorsHeader> readSafetensorsHeader(const std::string &path);

/// FNV-1a, 64 bit, continued from \p state.
uint64_t fnv1a64(std::string_view bytes, uint64_t state = 0xcbf29ce484222325u);

} // namespace qwenc
