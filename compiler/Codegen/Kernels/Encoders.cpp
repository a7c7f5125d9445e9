//===- Encoders.cpp - Patches of convolutions, swapped axes, sinusoids ------------------------------------------===//

#include "compiler/Codegen/Kernels/Encoders.h"

#include <cmath>

using namespace mlir;

namespace qwenc {

using plan::Access;

//===------------------------------------------------------------------------------------------------------------===//
// Patches
//===------------------------------------------------------------------------------------------------------------===//

namespace {
constexpr uint32_t kSide = 3; // of a filter
/// What a tap names that is padding. No element has this number (ConvertQwenToPlan checks the input's size).
constexpr uint32_t kAbsent = ~0u;
} // namespace

PatchRow::PatchRow(KernelBuilder &k, const Linear &linear, const LinearOperands &ops, Val row)
    : k(&k), taps(*linear.taps), x(ops.x) {
  Val tapRow = row / taps.places();
  for (uint32_t i = 0; i < kSide; ++i) {
    // -1 is the largest unsigned number, and no other is trusted either.
    Val tap = k.load(ops.taps, Elem::U32, tapRow * kSide + i);
    firstElement[i] = k.select(tap < taps.rows, tap * (taps.bins * taps.channels), k.u32(kAbsent));
  }
  firstBin = row % taps.places() * 2;
}

PatchRow::Place PatchRow::find(Val column) const {
  Val place = column / taps.channels, channel = column % taps.channels;
  Val bin = firstBin + place / kSide - 1, tap = place % kSide; // below bin 0 it becomes the largest number
  Val first = k->select(tap == 0, firstElement[0], k->select(tap == 1, firstElement[1], firstElement[2]));
  Val isInside = (first != kAbsent) & (bin < taps.bins) & (place < kSide * kSide);
  return {k->select(isInside, first + bin * taps.channels + channel, k->u32(0)), isInside};
}

Vals PatchRow::loadFour(Val column, Elem elem) const {
  const unsigned together = accessWidth(taps.channels, 4);
  Vals values;
  for (unsigned i = 0; i < 4; i += together) {
    Place place = find(column + i);
    for (Val value : k->load(x, elem, place.index, together))
      values.push_back(k->select(place.isInside, value, k->f32(0)));
  }
  return values;
}

//===------------------------------------------------------------------------------------------------------------===//
// Rows
//===------------------------------------------------------------------------------------------------------------===//

namespace {
/// A multiple of every subgroup size the target may have.
uint32_t rowWorkgroup(const TargetProfile &target) { return std::min<uint32_t>(256, target.maxWorkgroupInvocations); }
} // namespace

KernelPlan swapAxesKernel(const RowBound &rows, uint32_t a, uint32_t b, Elem elem, uint32_t pitch,
                          const StateBlock &state, const TargetProfile &target) {
  const uint32_t width = pitch ? pitch : a * b;
  KernelPlan plan;
  plan.name = "swap_axes_" + std::to_string(a) + "x" + std::to_string(b) + rows.suffix() + "_" + elemName(elem);
  if (pitch)
    plan.name += "_pitch" + std::to_string(pitch);
  plan.workgroup = {rowWorkgroup(target), 1, 1};
  plan.divideRows(rows);
  plan.emit = [=](KernelBuilder &k) {
    const uint64_t bytes = uint64_t(rows.max) * width * elemBytes(elem);
    Buffer x = k.operand("x", Access::Read, bytes);
    Buffer cells;
    if (rows.cellOffset)
      cells = k.operand("state", Access::Read, state.bytes());
    Buffer y = k.operand("y", Access::Write, bytes);
    // Neighbouring results of one invocation share an element of b; its neighbours read the next elements of the same
    // rows of x.
    const unsigned step = accessWidth(width, 8);
    Val row = k.workgroupId(0);
    k.ifThen(row < rowCount(k, rows, cells), [&] {
      k.forLoop(k.localIndex(), k.u32(width / step), k.u32(k.invocations()), [&](Val i) {
        Vals values;
        for (unsigned e = 0; e < step; ++e) {
          Val to = i * step + e;
          Val from = to % a * b + to / a;
          Val isInside = to < a * b;
          Val value = k.load(x, elem, row * width + k.select(isInside, from, k.u32(0)));
          values.push_back(width == a * b ? value : k.select(isInside, value, k.f32(0)));
        }
        k.store(y, elem, row * width + i * step, values);
      });
    });
    return success();
  };
  return plan;
}

KernelPlan sinusoidKernel(const RowBound &rows, uint32_t width, double theta, const StateBlock &state,
                          const TargetProfile &target) {
  KernelPlan plan;
  plan.name = "sinusoid_n" + std::to_string(width) + rows.suffix() + parameterTag({theta});
  plan.workgroup = {rowWorkgroup(target), 1, 1};
  plan.divideRows(rows);
  plan.emit = [=](KernelBuilder &k) {
    Buffer positions = k.operand("positions", Access::Read, uint64_t(rows.max) * 4);
    Buffer cells;
    if (rows.cellOffset)
      cells = k.operand("state", Access::Read, state.bytes());
    Buffer y = k.operand("y", Access::Write, uint64_t(rows.max) * width * 4);
    const uint32_t half = width / 2;
    Val row = k.workgroupId(0);
    k.ifThen(row < rowCount(k, rows, cells), [&] {
      // Angles beyond this are not reduced precisely; no chunk is as long.
      Val position = k.toF32(k.min(k.load(positions, Elem::U32, row), k.u32(1u << 17)));
      k.forLoop(k.localIndex(), k.u32(half), k.u32(k.invocations()), [&](Val i) {
        Val frequency = k.exp(k.toF32(i) * (-std::log(theta) / (half - 1)));
        auto [cosine, sine] = cosSin(k, position * frequency);
        k.store(y, Elem::F32, row * width + i, sine);
        k.store(y, Elem::F32, row * width + half + i, cosine);
      });
    });
    return success();
  };
  return plan;
}

} // namespace qwenc
