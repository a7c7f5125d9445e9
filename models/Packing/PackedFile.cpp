//===- PackedFile.cpp - The file of quantised weights -----------------------------------------------------------===//
#include "models/Packing/PackedFile.h"

#include "models/Checkpoint/Json.h"
#include "models/Checkpoint/SafetensorsWriter.h"

using namespace qwenc;

namespace {

constexpr uint64_t kMaxFileBytes = uint64_t(1) << 62;

std::string hexadecimal(uint64_t number) {
  std::string digits;
  for (int shift = 60; shift >= 0; shift -= 4)
    digits += "0123456789abcdef"[number >> shift & 15];
  return digits;
}

std::string tensorName(const PackedWeight &weight) {
  constexpr std::string_view kPrefix = "weight.";
  std::string name = weight.name.starts_with(kPrefix) ? weight.name.substr(kPrefix.size()) : weight.name;
  return name + "." + std::string(weightFormatName(weight.format));
}

} // namespace

Result<PackedLayout> qwenc::layOutPackedFile(std::span<const PackedWeight> weights,
                                             std::span<const uint64_t> checkpoint) {
  std::vector<TensorDescription> tensors;
  uint64_t dataBytes = 0;
  PackedLayout layout;
  for (const PackedWeight &weight : weights) {
    uint64_t rowBytes = storedRowBytes(weight.format, weight.columns), sizeBytes = 0;
    layout.offsetsBytes.push_back(dataBytes);
    if (weight.columns > kMaxFileBytes / 16 || __builtin_mul_overflow(weight.rows, rowBytes, &sizeBytes) ||
        sizeBytes > kMaxFileBytes - dataBytes)
      return Status(StatusCode::InvalidInput, "packed weights up to " + inQuotes(weight.name) +
                                                  " exceed 2^62 bytes, expected fewer, compile the plan again");
    dataBytes += sizeBytes;
    tensors.push_back({tensorName(weight), StoredDType::U8, {weight.rows, rowBytes}});
  }
  // qwenrt looks for the checkpoint's hash in these bytes where the header is not the one it expects.
  std::map<std::string, std::string> metadata = {
      {"checkpoint", "fnv1a64:" + hexadecimal(qwenrt::checkpointHash(checkpoint))},
      {"format", "qwenc packed weights 1"}};
  QWENRT_ASSIGN_OR_RETURN(layout.header, encodeSafetensorsHeader(tensors, metadata));
  layout.headerHash = fnv1a64(layout.header);
  layout.sizeBytes = layout.header.size() + dataBytes;
  for (uint64_t &offset : layout.offsetsBytes)
    offset += layout.header.size();
  return layout;
}
