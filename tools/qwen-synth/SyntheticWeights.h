//===- SyntheticWeights.h - Reproducible random bf16 values -----------------------------------------------------===//
#pragma once

#include "models/Qwen3/DecoderTensors.h"

#include <array>
#include <cstdint>
#include <span>

namespace qwenc {

/// Values of one synthetic tensor: a function of seed, tensor name and element index, so that any part can be made by
/// any thread, and a copy of a tensor is made by using its name.
class SyntheticTensor {
public:
  SyntheticTensor(const TensorSpec &spec, uint64_t seed);

  /// Fills \p values with the bf16 bit patterns of the elements from \p firstElement on, a multiple of 2.
  void fill(uint64_t firstElement, std::span<uint16_t> values) const;

private:
  /// Sums of four random bytes are nearly normal; each of their 1021 values has its bf16 pattern here.
  std::array<uint16_t, 4 * 255 + 1> patterns_;
  uint64_t key_;
};

} // namespace qwenc
