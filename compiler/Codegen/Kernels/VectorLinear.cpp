//===- VectorLinear.cpp - Matrix-vector products: one row against a matrix ---------------------------------------===//
//
// A subgroup computes one or a few outputs; its lanes walk along the weight rows in 16-byte steps. The input row is
// staged in workgroup memory by all invocations, through the prologue, because every workgroup needs all of it. Weights
// do not depend on the step before, so where a whole row fits in registers its loads are issued before the staging: the
// memory works while the prologue waits.
//
//===------------------------------------------------------------------------------------------------------------===//

#include "compiler/Codegen/Kernels/Kernels.h"

using namespace mlir;

namespace qwenc {

using plan::Access;

namespace {

/// How outputs and k are divided.
struct Schedule {
  uint32_t invocations = 0;
  uint32_t outputsPerSubgroup = 1;
  uint32_t outputsPerWorkgroup = 8;
  uint32_t rowVectors = 0;    ///< 16-byte weight vectors per stored row
  uint32_t vectors = 0;       ///< of one output: a row, or the rows of all experts that are added up
  uint32_t stagedVectors = 0; ///< of them staged at once
  uint32_t turns = 0;         ///< vectors per lane of one stage, when the subgroup size is fixed
  bool preload = false;
};

constexpr uint32_t kMaxStagedVectors = 512;    // 4096 elements, 16 KiB
constexpr uint32_t kMaxStagedSumVectors = 896; // 28 KiB: eight experts of 896 are read without waiting in between
constexpr uint32_t kPreloadVectors = 24;       // 96 registers

Schedule schedule(const Linear &linear, const TargetProfile &target) {
  Schedule s;
  s.rowVectors = paddedWidth(linear.k) / 8;
  bool sum = linear.experts && linear.experts->sum;
  s.vectors = s.rowVectors * (sum ? linear.experts->choices : 1);
  s.stagedVectors = std::min(s.vectors, sum ? kMaxStagedSumVectors : kMaxStagedVectors);
  uint32_t size = target.subgroupSize;
  if (size == 0) {
    s.invocations = 256;
    return s;
  }
  s.invocations = std::min<uint32_t>({256, target.maxWorkgroupInvocations, size * 8});
  uint32_t subgroups = s.invocations / size;
  // More outputs per subgroup share the staging; stop while the grid still fills the machine several times.
  uint64_t outputs = uint64_t(linear.n) * linear.resultRows();
  while (s.outputsPerSubgroup < 4 &&
         outputs / (s.outputsPerSubgroup * 2 * subgroups) >= uint64_t(target.computeUnits) * 6)
    s.outputsPerSubgroup *= 2;
  s.outputsPerWorkgroup = subgroups * s.outputsPerSubgroup;
  s.turns = (s.stagedVectors + size - 1) / size;
  s.preload = s.stagedVectors == s.vectors && s.turns * s.outputsPerSubgroup * linear.accumulators <= kPreloadVectors;
  return s;
}

class VectorLinear {
public:
  VectorLinear(KernelBuilder &k, const Linear &linear, const Schedule &s)
      : k(k), linear(linear), s(s), ops(declareOperands(k, linear)) {}

  LogicalResult emit() {
    uint32_t size = k.target().subgroupSize;
    // Staged length rounded up so that every lane may read its last vector; the rest is zero.
    stagedCount = size ? s.turns * size : s.stagedVectors;
    staged = k.shared(Elem::F32, stagedCount * 2, 4);
    Val first = k.workgroupId(0) * s.outputsPerWorkgroup;
    if (linear.experts && !linear.experts->sum) {
      choice = k.workgroupId(1);
      expertRows = loadExpert(k, *linear.experts, ops.experts, choice) * linear.n;
    }
    if (size)
      return emitOutputs(first + k.subgroupIndex() * s.outputsPerSubgroup, s.outputsPerSubgroup);
    // Unknown subgroup size: the subgroups share the workgroup's outputs in turn, after staging everything once.
    return emitDynamic(first);
  }

private:
  /// Vector \p v of an output's weights, in 16-byte units.
  Val weightVector(Val output, Val v) {
    Val row = k.min(output, k.u32(linear.n - 1));
    if (!linear.experts)
      return row * s.vectors + v;
    if (!linear.experts->sum)
      return (expertRows + row) * s.vectors + v;
    return summedVector(output, loadExpert(k, *linear.experts, ops.experts, v / s.rowVectors), v % s.rowVectors);
  }

  /// Where element \p e of the staged row lies in the input; `inside` is false for padding, whose index is safe to
  /// read.
  struct Source {
    Val index, inside, routeWeight;
  };
  Source sourceOf(Val e) {
    Source source;
    if (linear.experts && linear.experts->sum) {
      uint32_t pitch = s.rowVectors * 8;
      Val slot = k.min(e / pitch, k.u32(linear.experts->choices - 1)), element = e % pitch;
      source.inside = (element < linear.k) & (e < s.vectors * 8);
      source.index = slot * linear.k + k.select(source.inside, element, k.u32(0));
      source.routeWeight = k.load(ops.routeWeights, Elem::F32, slot);
      return source;
    }
    source.inside = e < linear.k;
    source.index = k.select(source.inside, e, k.u32(0));
    if (linear.prologue == LinearPrologue::CombineSplits)
      source.index = splitShape().combined(source.index);
    if (choice && linear.experts->ownInput)
      source.index = source.index + choice * linear.k;
    return source;
  }

  /// Where the input lies when its prologue is CombineSplits.
  SplitShape splitShape() const { return {linear.combineHeads, linear.combineSplits, linear.k / linear.combineHeads}; }
  /// Elements of the input that one access may have.
  unsigned inputWidth() const {
    return accessWidth(linear.prologue == LinearPrologue::CombineSplits ? splitShape().dim : linear.k, 4);
  }

  LogicalResult emitOutputs(Val output, uint32_t count) {
    // Loads retire in order on some devices, so the input, which is waited for first, is asked for first.
    SmallVector<Value> raw;
    std::vector<StagedSlot> slots;
    if (s.preload)
      slots = loadSlots();
    if (s.preload)
      for (uint32_t turn = 0; turn < s.turns; ++turn)
        loadTurn(output, count, 0, turn, raw);
    Vals sums(count * linear.accumulators, k.f32(0));
    sumOfSquares = k.f32(0);
    for (uint32_t base = 0; base < s.vectors; base += s.stagedVectors) {
      if (base)
        k.barrier();
      if (slots.empty())
        stage(base);
      else
        storeSlots(slots);
      bool last = base + s.stagedVectors >= s.vectors;
      if (last && linear.prologue == LinearPrologue::RmsNorm)
        shareSquares();
      k.barrier();
      for (uint32_t turn = 0; turn < s.turns; ++turn) {
        SmallVector<Value> turnRaw;
        if (s.preload)
          turnRaw.assign(raw.begin() + turn * sums.size(), raw.begin() + (turn + 1) * sums.size());
        else
          loadTurn(output, count, base, turn, turnRaw);
        Vals x = stagedVector(k.lane() + turn * k.target().subgroupSize);
        for (auto [sum, weights] : llvm::zip_equal(sums, turnRaw))
          sum = k.dot(k.widenBf16x8(weights), x, sum);
      }
    }
    return finish(output, count, sums);
  }

  /// Four input elements (and their norm weights) of one access of the staged row, in registers.
  struct StagedSlot {
    Val slot;
    Vals values, norm;
  };

  /// The accesses this invocation stages, loaded but not yet used. One stage holds the whole row.
  std::vector<StagedSlot> loadSlots() {
    std::vector<StagedSlot> slots;
    for (uint32_t first = 0; first < stagedCount * 2; first += s.invocations) {
      StagedSlot staged{k.localIndex() + first, {}, {}};
      unsigned step = inputWidth();
      for (unsigned part = 0; part < 4; part += step) {
        Source source = sourceOf(staged.slot * 4 + part);
        Vals values = k.load(ops.x, linear.input, source.index, step);
        for (Val &v : values) {
          v = source.routeWeight ? v * source.routeWeight : v;
          v = k.select(source.inside, v, k.f32(0));
        }
        staged.values.append(values);
        if (linear.prologue == LinearPrologue::RmsNorm)
          staged.norm.append(k.load(ops.norm, Elem::BF16, source.index, step));
      }
      slots.push_back(staged);
    }
    return slots;
  }

  void storeSlots(ArrayRef<StagedSlot> slots) {
    for (const StagedSlot &slot : slots) {
      Vals four;
      for (unsigned e = 0; e < 4; ++e) {
        Val v = slot.values[e];
        if (linear.prologue == LinearPrologue::RmsNorm) {
          sumOfSquares = k.fma(v, v, sumOfSquares);
          v = v * slot.norm[e];
        }
        four.push_back(v);
      }
      k.ifThen(slot.slot < stagedCount * 2, [&] { k.store(staged, slot.slot, four); });
    }
  }

  /// Leaves each subgroup's part of the sum of squares for normScale(), in front of a barrier that is there anyway.
  void shareSquares() {
    squares = k.shared(Elem::F32, s.invocations / k.target().subgroupSize);
    Val own = k.subgroupAdd(sumOfSquares);
    k.ifThen(k.lane() == 0, [&] { k.store(*squares, k.subgroupIndex(), {own}); });
  }

  /// Unknown subgroup size: loops over lanes' vectors and over the outputs of the workgroup.
  LogicalResult emitDynamic(Val first) {
    LogicalResult result = success();
    sumOfSquares = k.f32(0);
    bool single = s.vectors == s.stagedVectors;
    auto stageAll = [&](uint32_t base) {
      k.barrier();
      stage(base);
      k.barrier();
    };
    if (single)
      stageAll(0);
    Val scale = single && linear.prologue == LinearPrologue::RmsNorm ? normScale() : Val();
    k.forLoop(k.u32(0), k.u32(s.outputsPerWorkgroup), k.subgroupCount(), [&](Val r) {
      Val output = first + r + k.subgroupIndex();
      Vals sums(linear.accumulators, k.f32(0));
      if (!single)
        sumOfSquares = k.f32(0);
      for (uint32_t base = 0; base < s.vectors; base += s.stagedVectors) {
        if (!single)
          stageAll(base);
        uint32_t here = std::min(s.stagedVectors, s.vectors - base);
        sums = k.forLoop(k.lane(), k.u32(here), k.subgroupSize(), sums, [&](Val v, ArrayRef<Val> carried) {
          Vals next(carried);
          Vals x = stagedVector(v);
          for (unsigned a = 0; a < linear.accumulators; ++a)
            next[a] = k.dot(k.widenBf16x8(k.loadRaw16(ops.weights[a], weightVector(output, v + base))), x, next[a]);
          return next;
        });
      }
      normFactor = scale ? scale : (linear.prologue == LinearPrologue::RmsNorm ? normScale() : Val());
      Val last = first + s.outputsPerWorkgroup;
      if (failed(store(output, sums, output < k.min(last, k.u32(linear.n)))))
        result = failure();
    });
    return result;
  }

  void loadTurn(Val output, uint32_t count, uint32_t base, uint32_t turn, SmallVectorImpl<Value> &raw) {
    uint32_t size = k.target().subgroupSize, first = base + turn * size;
    // Lanes behind the end read the last vector again; their staged input is zero.
    Val index = k.min(k.lane() + first, k.u32(s.vectors - 1));
    for (uint32_t o = 0; o < count; ++o) {
      // Where a turn stays within one expert's row, that expert is the same for all lanes and loaded once.
      Val vector = linear.experts && linear.experts->sum && s.rowVectors % size == 0
                       ? summedVector(output + o, slotExpert(first / s.rowVectors), k.lane() + first % s.rowVectors)
                       : weightVector(output + o, index);
      for (Buffer weight : ops.weights)
        raw.push_back(k.loadRaw16(weight, vector));
    }
  }

  /// The expert of a choice known at compile time.
  Val slotExpert(uint32_t slot) {
    slotExperts.resize(linear.experts->choices);
    if (!slotExperts[slot])
      slotExperts[slot] = loadExpert(k, *linear.experts, ops.experts, k.u32(slot));
    return slotExperts[slot];
  }
  Val summedVector(Val output, Val expert, Val v) {
    return (expert * linear.n + k.min(output, k.u32(linear.n - 1))) * s.rowVectors + v;
  }

  Vals stagedVector(Val vector) {
    Vals x = k.load(staged, vector * 2);
    x.append(k.load(staged, vector * 2 + 1));
    return x;
  }

  /// Elements [base * 8, ...) of the input, through the prologue, into workgroup memory; zero behind the end.
  void stage(uint32_t base) {
    const unsigned step = inputWidth();
    sumOfSquares = k.forLoop(k.localIndex(), k.u32(stagedCount * 2), k.u32(k.invocations()), {sumOfSquares},
                             [&](Val slot, ArrayRef<Val> carried) -> Vals {
                               Val squares = carried[0];
                               Vals four;
                               for (unsigned part = 0; part < 4; part += step)
                                 stageElements(slot * 4 + (base * 8 + part), step, squares, four);
                               k.store(staged, slot, four);
                               return {squares};
                             })[0];
  }

  void stageElements(Val element, unsigned step, Val &squares, Vals &out) {
    Source source = sourceOf(element);
    Vals values = k.load(ops.x, linear.input, source.index, step);
    Vals norm;
    if (linear.prologue == LinearPrologue::RmsNorm)
      norm = k.load(ops.norm, Elem::BF16, source.index, step);
    for (unsigned i = 0; i < step; ++i) {
      Val v = source.routeWeight ? values[i] * source.routeWeight : values[i];
      v = k.select(source.inside, v, k.f32(0));
      if (linear.prologue == LinearPrologue::RmsNorm) {
        squares = k.fma(v, v, squares);
        v = v * norm[i];
      }
      out.push_back(v);
    }
  }

  Val normScale() {
    Val total;
    if (squares)
      for (uint32_t i = 0; i < squares->count; ++i)
        total = i ? total + k.loadOne(*squares, k.u32(i)) : k.loadOne(*squares, k.u32(i));
    else
      total = k.workgroupAdd(sumOfSquares);
    return k.inverseSqrt(total / linear.k + linear.eps);
  }

  LogicalResult finish(Val output, uint32_t count, ArrayRef<Val> sums) {
    if (linear.prologue == LinearPrologue::RmsNorm)
      normFactor = normScale();
    LogicalResult result = success();
    for (uint32_t o = 0; o < count; ++o)
      if (failed(store(output + o, sums.slice(o * linear.accumulators, linear.accumulators), output + o < linear.n)))
        result = failure();
    return result;
  }

  /// Adds up the lanes; lane 0 applies norm factor and epilogue and stores.
  LogicalResult store(Val output, ArrayRef<Val> sums, Val present) {
    SmallVector<Vals> accumulators;
    for (Val sum : sums) {
      Val total = k.subgroupAdd(sum);
      accumulators.push_back({normFactor ? total * normFactor : total});
    }
    LogicalResult result = success();
    k.ifThen((k.lane() == 0) & present,
             [&] { result = storeResults(k, linear, ops, choice ? choice : k.u32(0), output, accumulators); });
    return result;
  }

  KernelBuilder &k;
  const Linear &linear;
  const Schedule &s;
  LinearOperands ops;
  Shared staged;
  std::optional<Shared> squares;
  uint32_t stagedCount = 0;
  Val sumOfSquares, normFactor;
  Vals slotExperts;
  Val choice, expertRows; // of the workgroup, when each expert has results of its own
};

} // namespace

KernelPlan vectorLinearKernel(const Linear &linear, const TargetProfile &target) {
  Schedule s = schedule(linear, target);
  KernelPlan plan;
  plan.name = "gemv" + linear.suffix();
  plan.workgroup = {s.invocations, 1, 1};
  plan.groups = {(linear.n + s.outputsPerWorkgroup - 1) / s.outputsPerWorkgroup,
                 static_cast<int64_t>(linear.resultRows()), 1};
  plan.emit = [=](KernelBuilder &k) { return VectorLinear(k, linear, s).emit(); };
  return plan;
}

} // namespace qwenc
