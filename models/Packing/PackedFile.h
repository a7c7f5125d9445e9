//===- PackedFile.h - The file of quantised weights -------------------------------------------------------------===//
//
// A safetensors file with one U8 tensor [rows, bytes of a row] for each quantised weight, in the order of the plan,
// called by the weight's name and its format: "model.layers.0.mlp.up_proj.weight.q8". Its metadata names the
// checkpoint. The header follows from the weights and the checkpoint's own headers, so the compiler knows it, and its
// hash, before the file exists.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "qwenrt/Status.h"
#include "runtime/schema/WeightFormat.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace qwenc {

/// A weight of [rows, columns], columns a multiple of 32.
struct PackedWeight {
  std::string name; ///< of the plan's weight; the prefix "weight." is left out in the file
  uint64_t rows = 0, columns = 0;
  qwenrt::WeightFormat format = qwenrt::WeightFormat::Q8;
};

struct PackedLayout {
  std::string header;                 ///< the file's first bytes: length and JSON
  uint64_t headerHash = 0;            ///< FNV-1a 64 over them
  uint64_t sizeBytes = 0;             ///< of the whole file
  std::vector<uint64_t> offsetsBytes; ///< of each weight, from the start of the file

  /// Length of the JSON, as plan.fbs and safetensors count it.
  uint64_t headerBytes() const { return header.size() - 8; }
};

/// Lays out the file for \p weights of the checkpoint whose files have the header hashes \p checkpoint, in the plan's
/// order. Errors: InvalidInput for names that stand twice or are no UTF-8, and for sizes beyond 2^62 bytes.
qwenrt::Result<PackedLayout> layOutPackedFile(std::span<const PackedWeight> weights,
                                              std::span<const uint64_t> checkpoint);

} // namespace qwenc
