//===- WindowAttention.cpp - Attention over the last rows of a sequence that arrives in pushes --------------------===//

#include "compiler/Codegen/Kernels/Convolution.h"

using namespace mlir;

namespace qwenc {

using plan::Access;

std::string WindowHeads::suffix() const {
  return "_h" + std::to_string(heads) + "_d" + std::to_string(dim) + "_of" + std::to_string(slots);
}

KernelPlan windowRopeKernel(const RowBound &rows, const WindowHeads &heads, double theta, const StateBlock &state,
                            const TargetProfile &target) {
  KernelPlan plan;
  plan.name = "window_rope" + heads.suffix() + rows.suffix() + parameterTag({theta});
  plan.workgroup = {std::min<uint32_t>(256, target.maxWorkgroupInvocations), 1, 1};
  plan.divideRows(rows);
  plan.emit = [=](KernelBuilder &k) {
    const uint32_t width = heads.width(), half = heads.dim / 2;
    const uint64_t stateBytes = uint64_t(heads.slots) * width * 4;
    Buffer qkv = k.operand("qkv", Access::Read, uint64_t(rows.max) * 3 * width * 4);
    Buffer first = k.operand("first", Access::Read, 4);
    Buffer cells;
    if (rows.cellOffset)
      cells = k.operand("state", Access::Read, state.bytes());
    Buffer keys = k.operand("k_state", Access::Write, stateBytes);
    Buffer values = k.operand("v_state", Access::Write, stateBytes);
    Buffer query = k.operand("q", Access::Write, uint64_t(rows.max) * width * 4);
    Rotary rotary{theta, false, 0, {}};
    RotaryTable table(k, rotary, heads.dim);
    Val row = k.workgroupId(0);
    k.ifThen(row < rowCount(k, rows, cells), [&] {
      Val position = k.load(first, Elem::U32, k.u32(0)) + row;
      table.fill([&](Val) { return k.toF32(position); });
      k.barrier();
      Val slot = position % heads.slots * width;
      k.forLoop(k.localIndex(), k.u32(width / 2), k.u32(k.invocations()), [&](Val pair) {
        Val i = pair % half, element = pair / half * heads.dim + i;
        for (bool isKey : {false, true}) {
          Val from = row * (3 * width) + element + (isKey ? width : 0);
          auto [y1, y2] = table.rotate(i, k.load(qkv, Elem::F32, from), k.load(qkv, Elem::F32, from + half));
          Val to = (isKey ? slot : row * width) + element;
          k.store(isKey ? keys : query, Elem::F32, to, y1);
          k.store(isKey ? keys : query, Elem::F32, to + half, y2);
        }
      });
      k.forLoop(k.localIndex(), k.u32(width), k.u32(k.invocations()), [&](Val i) {
        k.store(values, Elem::F32, slot + i, k.load(qkv, Elem::F32, row * (3 * width) + i + 2 * width));
      });
    });
    return success();
  };
  return plan;
}

KernelPlan windowAttentionKernel(const RowBound &rows, const WindowHeads &heads, double scale, const StateBlock &state,
                                 const TargetProfile &target) {
  KernelPlan plan;
  plan.name =
      "window_attention" + heads.suffix() + "_w" + std::to_string(heads.window) + rows.suffix() + parameterTag({scale});
  plan.workgroup = {std::min<uint32_t>(128, target.maxWorkgroupInvocations), 1, 1};
  plan.groups = {heads.heads, 1, 1};
  plan.divideRows(rows, 1);
  plan.emit = [=](KernelBuilder &k) {
    const uint32_t width = heads.width(), dim = heads.dim, window = heads.window;
    const unsigned step = accessWidth(dim, 4);
    const uint64_t stateBytes = uint64_t(heads.slots) * width * 4;
    Buffer query = k.operand("q", Access::Read, uint64_t(rows.max) * width * 4);
    Buffer first = k.operand("first", Access::Read, 4);
    Buffer cells;
    if (rows.cellOffset)
      cells = k.operand("state", Access::Read, state.bytes());
    Buffer keys = k.operand("k_state", Access::Read, stateBytes);
    Buffer values = k.operand("v_state", Access::Read, stateBytes);
    Buffer y = k.operand("y", Access::Write, uint64_t(rows.max) * width * 4);
    Shared weights = k.shared(Elem::F32, window);
    Val head = k.workgroupId(0) * dim, row = k.workgroupId(1), t = k.localIndex();
    k.ifThen(row < rowCount(k, rows, cells), [&] {
      Val position = k.load(first, Elem::U32, k.u32(0)) + row;
      // Key number j of a row stands j rows before it; there are none before row 0.
      Val count = k.min(position + 1, k.u32(window));
      auto placeOf = [&](Val key) { return (position - key) % heads.slots * width + head; };
      SmallVector<Val> scores;
      Val largest = k.f32(-3.0e38);
      for (uint32_t done = 0; done < window; done += k.invocations()) {
        Val key = k.min(t + done, k.u32(window - 1)), place = placeOf(k.min(key, count - 1));
        Val score = k.forLoop(k.u32(0), k.u32(dim), k.u32(step), {k.f32(0)}, [&](Val d, ArrayRef<Val> sum) -> Vals {
          return {k.dot(k.load(query, Elem::F32, row * width + head + d, step),
                        k.load(keys, Elem::F32, place + d, step), sum[0])};
        })[0];
        scores.push_back(k.select(t + done < count, score * scale, k.f32(-3.0e38)));
        largest = k.max(largest, scores.back());
      }
      largest = k.workgroupMax(largest);
      Val sum = k.f32(0);
      for (auto [turn, score] : llvm::enumerate(scores)) {
        Val key = t + static_cast<uint32_t>(turn) * k.invocations();
        Val weight = k.select(key < count, k.exp(score - largest), k.f32(0));
        k.ifThen(key < window, [&] { k.store(weights, key, {weight}); });
        sum = sum + weight;
      }
      sum = k.workgroupAdd(sum);
      k.barrier();
      k.forLoop(t, k.u32(dim), k.u32(k.invocations()), [&](Val d) {
        Val total = k.forLoop(k.u32(0), count, k.u32(1), {k.f32(0)}, [&](Val key, ArrayRef<Val> carried) -> Vals {
          return {k.fma(k.loadOne(weights, key), k.load(values, Elem::F32, placeOf(key) + d), carried[0])};
        })[0];
        k.store(y, Elem::F32, row * width + head + d, total / sum);
      });
    });
    return success();
  };
  return plan;
}

} // namespace qwenc
