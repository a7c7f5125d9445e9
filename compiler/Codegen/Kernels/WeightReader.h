//===- WeightReader.h - Weights of any format as f32 values -------------------------------------------*- C++ -*-===//
//
// Kernels of matrix products see rows of weights and nothing of how they are stored. A skeleton reads them in one of
// three ways: 16 bytes at a time along a row (matrix-vector products), eight weights that wait in registers until they
// are staged (matrix units), or four weights now (f32 tiles).
//
// bf16 rows are padded by zeros to a multiple of 8. Rows of q8 and q4 are whole blocks of 32: the weights of the row,
// biased to be unsigned, then one bf16 scale for each block (tools/qwen-pack/README.md).
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "compiler/Codegen/KernelBuilder.h"
#include "runtime/schema/WeightFormat.h"

namespace qwenc {

using qwenrt::WeightFormat;

/// Elements of one stored bf16 row of `width` elements.
constexpr uint32_t paddedWidth(uint32_t width) { return (width + 7) / 8 * 8; }

/// How rows of `width` weights lie on the device.
struct WeightLayout {
  WeightFormat format = WeightFormat::BF16;
  uint32_t width = 0;

  /// Weights that one 16-byte access holds: 8, 16 or 32.
  constexpr uint32_t unitWeights() const { return 128 / qwenrt::weightBits(format); }
  /// 16-byte accesses that hold the weights of a row.
  constexpr uint32_t units() const { return (width + unitWeights() - 1) / unitWeights(); }
  constexpr uint32_t pitchBytes() const {
    return format == WeightFormat::BF16 ? paddedWidth(width) * 2 : uint32_t(rowPitchBytes(format, width));
  }
  constexpr uint64_t bytes(uint64_t rows) const { return rows * pitchBytes(); }
  /// What the format adds to the name of a kernel: "" or "_q8".
  std::string suffix() const;
};

class WeightReader {
public:
  WeightReader(KernelBuilder &k, Buffer buffer, const WeightLayout &layout) : k(k), buffer(buffer), layout(layout) {}

  /// 16 bytes of a row and their scale, in registers.
  struct Unit {
    mlir::Value raw;
    Val scale; ///< none for bf16
  };
  Unit loadUnit(Val row, Val unit);
  /// Weights part * 8 .. part * 8 + 7 of the unit, without the scale, each divided by inputFactor(its index in the
  /// eight): a weight that stays at its place in the word is some power of two too large, which costs less than to
  /// shift it.
  Vals unscaledEight(const Unit &unit, unsigned part);
  /// What the input of weight \p i of eight is multiplied by for that, a power of two.
  double inputFactor(unsigned i) const;
  /// What a sum over a unit's products of unscaled weights begins with, and how it joins the sum over the row.
  Val beginUnit(Val sum) { return isPacked() ? k.f32(0) : sum; }
  Val endUnit(const Unit &unit, Val unitSum, Val sum) { return isPacked() ? k.fma(unitSum, unit.scale, sum) : unitSum; }

  /// Appends weights piece * 8 .. piece * 8 + 7 of a row as they are stored: eightSize() values for storeEight().
  void loadEight(Val row, Val piece, llvm::SmallVectorImpl<mlir::Value> &raw);
  unsigned eightSize() const;
  /// The eight weights; zeros where \p inside is given and false.
  Vals widenEight(Val inside, llvm::ArrayRef<mlir::Value> raw);
  /// The eight weights in the tile's 16-bit type at \p access; zeros where \p inside is given and false. Weights whose
  /// magnitude is outside f16's range become infinite or lose bits there.
  void storeEight(const Shared &tile, Val access, Val inside, llvm::ArrayRef<mlir::Value> raw);

  /// Weights depth .. depth + 3 of a row, depth a multiple of 4 within the stored row.
  Vals loadFour(Val row, Val depth);

private:
  bool isPacked() const { return layout.format != WeightFormat::BF16; }
  /// The scale of weight `column` of a row; `block` counts blocks.
  Val loadScale(Val row, Val block);
  /// Weights first .. first + count - 1 of a word (first counts weights), unbiased and exact.
  Vals unpack(Val word, Val first, unsigned count);
  /// Bits of the word that are shifted away before weight \p i of it is taken, and the bits that stay below it.
  struct Place {
    unsigned shift, raise;
  };
  Place placeOf(unsigned i) const;

  KernelBuilder &k;
  Buffer buffer;
  WeightLayout layout;
};

} // namespace qwenc
