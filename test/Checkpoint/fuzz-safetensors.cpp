//===- fuzz-safetensors.cpp - Any bytes as the header of a safetensors file -------------------------------------===//
#include "models/Checkpoint/Safetensors.h"

#include <cstdlib>

using namespace qwenc;

/// The input is a whole file; whatever is accepted has to lie inside it.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view file(reinterpret_cast<const char *>(data), size);
  Result<uint64_t> length = parseSafetensorsLength(file.substr(0, 8), size);
  if (!length)
    return 0;
  Result<SafetensorsHeader> header = parseSafetensorsHeader(file.substr(8, *length), size - 8 - *length);
  if (!header) {
    if (header.status().message().find('\n') != std::string::npos)
      std::abort();
    return 0;
  }
  uint64_t covered = 8 + *length;
  for (const auto &[name, tensor] : header->tensors) {
    if (tensor.offsetBytes < 8 + *length || tensor.offsetBytes > size || tensor.sizeBytes > size - tensor.offsetBytes)
      std::abort();
    covered += tensor.sizeBytes;
  }
  if (covered != size)
    std::abort();
  return 0;
}
