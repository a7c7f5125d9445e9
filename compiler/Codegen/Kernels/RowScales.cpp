//===- RowScales.cpp - Rows of f32 as f16 operands, each at a scale of its own -----------------------------------===//

#include "compiler/Codegen/Kernels/RowScales.h"

#include <algorithm>

using namespace mlir;

namespace qwenc {

namespace {

// Exponents are biased as in the bits of an f32.
constexpr uint32_t kBias = 127, kMantissa = 23, kLargestExponent = 254;

// Scales to begin with: of rows of activations whose largest magnitude is from 2^-6 to 2^11, and of rows of weights
// from 2^-10 to 2^7.
constexpr uint32_t kInputScale = kBias + 4, kWeightScale = kBias + 8;

// The largest magnitude of a row at its scale lies from 2^-2 to 2^15. Above, f16 ends; below, what a row's small
// elements lose, which some matrix units take for zeros below 2^-14, would count.
constexpr uint32_t kLeast = kBias - 2, kMost = kBias + 14;

} // namespace

RowScales::RowScales(KernelBuilder &k, uint32_t inputRows, uint32_t weightRows)
    : k(k), inputRows(inputRows), rows(inputRows + weightRows), exponents(k.shared(Elem::U32, rows)) {}

void RowScales::begin() {
  for (uint32_t done = 0; done < rows; done += k.invocations()) {
    Val row = k.localIndex() + done;
    auto store = [&] { k.store(exponents, row, {k.select(row < inputRows, k.u32(kInputScale), k.u32(kWeightScale))}); };
    if (done + k.invocations() <= rows)
      store();
    else
      k.ifThen(row < rows, store);
  }
}

Val RowScales::scaleOf(Val row) { return k.bitcastToF32(k.loadOne(exponents, row) << kMantissa); }

void RowScales::apply(Val scale, MutableArrayRef<Val> values, Val &largest) {
  for (Val &value : values) {
    largest = k.max(largest, k.max(value, -value));
    value = value * scale;
  }
}

Val RowScales::adjust(const Shared &largest, uint32_t pitch, uint32_t parts) {
  Val count = k.f32(0);
  for (uint32_t done = 0; done < rows; done += k.invocations()) {
    Val row = k.localIndex() + done, inside = k.min(row, k.u32(rows - 1)), most = k.f32(0);
    for (uint32_t part = 0; part < parts; ++part)
      most = k.max(most, k.loadOne(largest, inside * pitch + part));
    Val exponent = k.bitcastToU32(most) >> kMantissa, scaled = exponent + k.loadOne(exponents, inside);
    // A row of zeros suits any scale.
    Val isWrong = (most > 0.0) & ((scaled < kLeast + kBias) | (scaled > kMost + kBias));
    k.ifThen(isWrong & (row < rows),
             [&] { k.store(exponents, row, {k.min(k.u32(kMost + kBias) - exponent, k.u32(kLargestExponent))}); });
    count = k.max(count, k.select(isWrong, k.f32(1), k.f32(0)));
  }
  // The second maximum tells compilers that the answer is the same in all lanes.
  return k.subgroupMax(k.workgroupMax(count)) > 0.0;
}

RowScales::Inverse RowScales::inverse(Val inputRow, Val weightRow) {
  // 2^(bias - a) * 2^(bias - b), which may be less or more than one f32 holds, as two factors of half the exponent.
  Val exponent = k.u32(4 * kBias) - k.loadOne(exponents, inputRow) - k.loadOne(exponents, weightRow),
      half = exponent >> 1;
  Inverse result;
  result.first = k.bitcastToF32(half << kMantissa);
  result.second = k.bitcastToF32((exponent - half) << kMantissa);
  return result;
}

} // namespace qwenc
