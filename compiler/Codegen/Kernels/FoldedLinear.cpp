//===- FoldedLinear.cpp - A product behind another and a residual, as one matrix ---------------------------------===//
//
// For h = x + a W_inner^T and y = norm(h) W_outer^T the matrix [W_outer diag(w) W_inner | W_outer diag(w)] takes the
// row [a | x] to y times the root mean square of h. A kernel makes the matrix when the weights are loaded; a router
// that multiplies one row by it does not wait for h.
//
//===------------------------------------------------------------------------------------------------------------===//

#include "compiler/Codegen/Kernels/Kernels.h"

using namespace mlir;

namespace qwenc {

using plan::Access;

namespace {

constexpr uint32_t kOutputsEach = 8; // rows of the folded matrix that one invocation has four elements of
constexpr uint32_t kInvocations = 128;
constexpr uint32_t kMostTurns = 16; // accesses of a row in the registers of an invocation; more are read in a loop

} // namespace

//===------------------------------------------------------------------------------------------------------------===//
// Making the matrix
//===------------------------------------------------------------------------------------------------------------===//

namespace {

class FoldLinears {
public:
  FoldLinears(KernelBuilder &k, const FoldedShape &shape, WeightFormat format) : k(k), shape(shape) {
    outer = k.operand("outer", Access::Read, weightBytes(shape.outputs, shape.residual));
    norm = k.operand("norm", Access::Read, weightBytes(1, shape.residual));
    WeightLayout layout = {format, shape.input};
    Buffer inner = k.operand("inner", Access::Read, layout.bytes(shape.residual));
    folded = k.operand("folded", Access::Write, shape.bytes());
    reader.emplace(k, inner, layout);
  }

  void emit() {
    row0 = k.workgroupId(1) * kOutputsEach;
    Val four = k.workgroupId(0) * k.invocations() + k.localIndex();
    k.ifThen(four < shape.input / 4, [&] { fold(four * 4); });
    k.ifThen(k.workgroupId(0) == 0, [&] {
      k.forLoop(k.localIndex(), k.u32(shape.residual / 4), k.u32(k.invocations()), [&](Val of) {
        SmallVector<Vals> scaled = scaledOuter(of * 4);
        for (uint32_t r = 0; r < kOutputsEach; ++r)
          store(r, of * 4 + shape.input, scaled[r]);
      });
    });
  }

private:
  /// Elements [column .. column + 3] of all rows of this workgroup.
  void fold(Val column) {
    Vals sums = k.forLoop(k.u32(0), k.u32(shape.residual), k.u32(4), Vals(kOutputsEach * 4, k.f32(0)),
                          [&](Val middle, ArrayRef<Val> carried) {
                            Vals next(carried);
                            SmallVector<Vals> scaled = scaledOuter(middle);
                            for (uint32_t m = 0; m < 4; ++m) {
                              Vals weights = reader->loadFour(middle + m, column);
                              for (uint32_t i = 0; i < kOutputsEach * 4; ++i)
                                next[i] = k.fma(scaled[i / 4][m], weights[i % 4], next[i]);
                            }
                            return next;
                          });
    for (uint32_t r = 0; r < kOutputsEach; ++r)
      store(r, column, ArrayRef<Val>(sums).slice(r * 4, 4));
  }

  /// Four elements of each row of the outer matrix times the norm's.
  SmallVector<Vals> scaledOuter(Val column) {
    Vals factors = k.load(norm, Elem::BF16, column, 4);
    SmallVector<Vals> rows;
    for (uint32_t r = 0; r < kOutputsEach; ++r) {
      Val row = k.min(row0 + r, k.u32(shape.outputs - 1));
      Vals values = k.load(outer, Elem::BF16, row * paddedWidth(shape.residual) + column, 4);
      for (auto [value, factor] : llvm::zip_equal(values, factors))
        value = value * factor;
      rows.push_back(values);
    }
    return rows;
  }

  void store(uint32_t r, Val column, ArrayRef<Val> values) {
    k.ifThen(row0 + r < shape.outputs,
             [&] { k.store(folded, Elem::F32, (row0 + r) * shape.width() + column, values); });
  }

  KernelBuilder &k;
  const FoldedShape &shape;
  Buffer outer, norm, folded;
  std::optional<WeightReader> reader;
  Val row0;
};

} // namespace

KernelPlan foldLinearsKernel(const FoldedShape &shape, WeightFormat inner, const TargetProfile &target) {
  KernelPlan plan;
  plan.name = "fold_linears_n" + std::to_string(shape.outputs) + "_k" + std::to_string(shape.input) + "x" +
              std::to_string(shape.residual) + WeightLayout{inner, shape.input}.suffix();
  plan.workgroup = {std::min(kInvocations, target.maxWorkgroupInvocations), 1, 1};
  plan.groups = {llvm::divideCeil(shape.input / 4, plan.workgroup[0]), llvm::divideCeil(shape.outputs, kOutputsEach),
                 1};
  plan.emit = [=](KernelBuilder &k) {
    FoldLinears(k, shape, inner).emit();
    return success();
  };
  return plan;
}

//===------------------------------------------------------------------------------------------------------------===//
// Multiplying by it
//===------------------------------------------------------------------------------------------------------------===//

namespace {

class RouterRow {
public:
  RouterRow(KernelBuilder &k, const Linear &linear, const LinearOperands &ops)
      : k(k), linear(linear), shape(*linear.router), ops(ops) {}

  void emit(Val output) {
    Val first = output * shape.width();
    Val sum = addPart(k.f32(0), shape.input / 4, first,
                      [&](Val element) { return k.load(ops.x, linear.input, inputPlace(element), 4); });
    sum = addPart(sum, shape.residual / 4, first + shape.input,
                  [&](Val element) { return k.load(ops.extras[0], linear.extras[0].elem, element, 4); });
    sum = k.workgroupAdd(sum);
    k.ifThen(k.localIndex() == 0, [&] { k.store(ops.logits, Elem::F32, output, sum); });
  }

private:
  Val inputPlace(Val element) {
    if (linear.prologue != LinearPrologue::CombineSplits)
      return element;
    return SplitShape{linear.combineHeads, linear.combineSplits, linear.k / linear.combineHeads}.combined(element);
  }

  /// Adds this invocation's share of \p fours accesses of the input and of the row of weights that begins at \p first.
  Val addPart(Val sum, uint32_t fours, Val first, llvm::function_ref<Vals(Val element)> load) {
    const uint32_t step = k.invocations(), turns = llvm::divideCeil(fours, step);
    auto add = [&](Val four, Val sum) {
      return k.dot(load(four * 4), k.load(ops.folded, Elem::F32, first + four * 4, 4), sum);
    };
    if (turns > kMostTurns)
      return k.forLoop(k.localIndex(), k.u32(fours), k.u32(step), {sum},
                       [&](Val four, ArrayRef<Val> carried) -> Vals { return {add(four, carried[0])}; })[0];
    // Written out, so that all loads are on their way together.
    for (uint32_t turn = 0; turn < turns; ++turn) {
      Val four = k.localIndex() + turn * step;
      if ((turn + 1) * step <= fours)
        sum = add(four, sum);
      else
        sum = k.select(four < fours, add(k.min(four, k.u32(fours - 1)), sum), sum);
    }
    return sum;
  }

  KernelBuilder &k;
  const Linear &linear;
  const FoldedShape &shape;
  const LinearOperands &ops;
};

} // namespace

void emitFoldedRouter(KernelBuilder &k, const Linear &linear, const LinearOperands &ops, Val output) {
  RouterRow(k, linear, ops).emit(output);
}

} // namespace qwenc
