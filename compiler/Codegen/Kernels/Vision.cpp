//===- Vision.cpp - Kernels around the attention of images --------------------------------------------------------===//
//
// Each takes one row with one workgroup.
//
//===------------------------------------------------------------------------------------------------------------===//

#include "compiler/Codegen/Kernels/Vision.h"
#include "compiler/Codegen/Kernels/HalfRange.h"

#include <numeric>

using namespace mlir;

namespace qwenc {

using plan::Access;

namespace {

/// A plan whose workgroups take a row each.
KernelPlan rowPlan(std::string name, const RowBound &rows, Elem output, const TargetProfile &target) {
  KernelPlan plan;
  plan.name = std::move(name) + (output == Elem::F32 ? "" : std::string("_y") + elemName(output));
  plan.workgroup = {std::min<uint32_t>(256, target.maxWorkgroupInvocations), 1, 1};
  plan.divideRows(rows);
  return plan;
}

Buffer declareState(KernelBuilder &k, const RowBound &rows, const StateBlock &state) {
  return rows.cellOffset ? k.operand("state", Access::Read, state.bytes()) : Buffer();
}

} // namespace

KernelPlan axialRopeKernel(const RowBound &rows, uint32_t heads, uint32_t dim, const HeadRows &input, double theta,
                           Elem output, const StateBlock &state, const TargetProfile &target) {
  const uint32_t width = heads * dim, half = dim / 2, quarter = dim / 4;
  KernelPlan plan = rowPlan("axial_rope_h" + std::to_string(heads) + "d" + std::to_string(dim) + rows.suffix() +
                                input.suffix(width) + "_" + elemName(input.elem) + parameterTag({theta}),
                            rows, output, target);
  plan.emit = [=](KernelBuilder &k) {
    Buffer x = k.operand("x", Access::Read, input.bytes(rows.max));
    Buffer places = k.operand("places", Access::Read, uint64_t(rows.max) * 8);
    Buffer cells = declareState(k, rows, state);
    Buffer y = k.operand("y", Access::Write, uint64_t(rows.max) * width * elemBytes(output));
    Shared cosines = k.shared(Elem::F32, half), sines = k.shared(Elem::F32, half);
    // As many neighbouring pairs as both halves of a head can be read in at once.
    unsigned step = std::min(accessWidth(half, 4), accessWidth(std::gcd(input.pitch, input.column), 4));
    std::vector<float> frequencies = inverseFrequencies(theta, half);
    Val row = k.workgroupId(0);
    k.ifThen(row < rowCount(k, rows, cells), [&] {
      Vals place = k.load(places, Elem::U32, row * 2, 2);
      k.forLoop(k.localIndex(), k.u32(half), k.u32(k.invocations()), [&](Val pair) {
        Val at = k.toF32(k.select(pair < quarter, place[0], place[1]));
        auto [cosine, sine] = cosSin(k, at * k.lookup(frequencies, pair % quarter));
        k.store(cosines, pair, {cosine});
        k.store(sines, pair, {sine});
      });
      k.barrier();
      k.forLoop(k.localIndex(), k.u32(heads * half / step), k.u32(k.invocations()), [&](Val i) {
        Val head = i * step / half, pair = i * step % half;
        Val from = row * input.pitch + input.column + head * dim + pair;
        Vals x1 = k.load(x, input.elem, from, step), x2 = k.load(x, input.elem, from + half, step);
        Vals y1, y2;
        for (unsigned e = 0; e < step; ++e) {
          Val cosine = k.loadOne(cosines, pair + e), sine = k.loadOne(sines, pair + e);
          y1.push_back(x1[e] * cosine - x2[e] * sine);
          y2.push_back(x2[e] * cosine + x1[e] * sine);
        }
        y1 = clampTo(k, output, y1);
        y2 = clampTo(k, output, y2);
        Val to = row * width + head * dim + pair;
        k.store(y, output, to, y1);
        k.store(y, output, to + half, y2);
      });
    });
    return success();
  };
  return plan;
}

KernelPlan copyColumnsKernel(const RowBound &rows, uint32_t width, const HeadRows &input, Elem output,
                             const StateBlock &state, const TargetProfile &target) {
  KernelPlan plan = rowPlan("copy_columns_n" + std::to_string(width) + rows.suffix() + input.suffix(width) + "_" +
                                elemName(input.elem),
                            rows, output, target);
  plan.emit = [=](KernelBuilder &k) {
    Buffer x = k.operand("x", Access::Read, input.bytes(rows.max));
    Buffer cells = declareState(k, rows, state);
    Buffer y = k.operand("y", Access::Write, uint64_t(rows.max) * width * elemBytes(output));
    unsigned step = std::min(accessWidth(width, 4), accessWidth(std::gcd(input.pitch, input.column), 4));
    Val row = k.workgroupId(0);
    k.ifThen(row < rowCount(k, rows, cells), [&] {
      k.forLoop(k.localIndex(), k.u32(width / step), k.u32(k.invocations()), [&](Val i) {
        Vals values = k.load(x, input.elem, row * input.pitch + input.column + i * step, step);
        values = clampTo(k, output, values);
        k.store(y, output, row * width + i * step, values);
      });
    });
    return success();
  };
  return plan;
}

KernelPlan gatherSumKernel(const RowBound &rows, uint32_t choices, uint32_t vocab, uint32_t width, Elem output,
                           const StateBlock &state, const TargetProfile &target) {
  KernelPlan plan = rowPlan("gather_sum_k" + std::to_string(choices) + "_v" + std::to_string(vocab) + "_n" +
                                std::to_string(width) + rows.suffix(),
                            rows, output, target);
  plan.emit = [=](KernelBuilder &k) {
    Buffer ids = k.operand("ids", Access::Read, uint64_t(rows.max) * choices * 4);
    Buffer weights = k.operand("weights", Access::Read, uint64_t(rows.max) * choices * 4);
    Buffer table = k.operand("table", Access::Read, weightBytes(vocab, width));
    Buffer cells = declareState(k, rows, state);
    Buffer y = k.operand("y", Access::Write, uint64_t(rows.max) * width * elemBytes(output));
    unsigned step = accessWidth(width, 4);
    Val row = k.workgroupId(0);
    k.ifThen(row < rowCount(k, rows, cells), [&] {
      k.forLoop(k.localIndex(), k.u32(width / step), k.u32(k.invocations()), [&](Val i) {
        Vals zeros(step, k.f32(0));
        Vals sums = k.forLoop(k.u32(0), k.u32(choices), k.u32(1), zeros, [&](Val choice, ArrayRef<Val> carried) {
          Val at = row * choices + choice;
          // The host makes the ids; a wrong one reads the last row instead of foreign memory.
          Val id = k.min(k.load(ids, Elem::U32, at), k.u32(vocab - 1));
          Val weight = k.load(weights, Elem::F32, at);
          Vals entry = k.load(table, Elem::BF16, id * paddedWidth(width) + i * step, step), next;
          for (unsigned e = 0; e < step; ++e)
            next.push_back(k.fma(weight, entry[e], carried[e]));
          return next;
        });
        sums = clampTo(k, output, sums);
        k.store(y, output, row * width + i * step, sums);
      });
    });
    return success();
  };
  return plan;
}

} // namespace qwenc
