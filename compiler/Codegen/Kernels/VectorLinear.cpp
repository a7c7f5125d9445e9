//===- VectorLinear.cpp - Matrix-vector products: one row against a matrix ---------------------------------------===//
//
// A subgroup computes one or a few outputs; its lanes walk along the weight rows in 16-byte steps. The input row is
// staged in workgroup memory by all invocations, through the prologue, because every workgroup needs all of it. Weights
// do not depend on the step before, so where a whole row is staged the loads of the first turns are issued before the
// staging, and later ones a few turns ahead: the memory works while the prologue waits.
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
  uint32_t slots = 0;         ///< input elements of one such vector, in fours
  uint32_t pitch = 0;         ///< of its input in workgroup memory, in fours
  uint32_t stagedVectors = 0; ///< of them staged at once
  uint32_t turns = 0;         ///< vectors per lane of one stage, when the subgroup size is fixed
  bool preload = false;
  uint32_t window = 0; ///< turns whose weights are on their way at the same time
};

constexpr uint32_t kMaxStaged = 4096;    // elements, 16 KiB
constexpr uint32_t kMaxStagedSum = 7168; // 28 KiB: eight experts of 896 are read without waiting in between
constexpr uint32_t kOtherShared = 2048;  // bytes of workgroup memory for sums and choices
constexpr uint32_t kPreloadVectors = 24; // of an output; more are read in a loop
constexpr uint32_t kWindowVectors = 4;   // on their way at the same time: more registers would leave fewer workgroups

Schedule schedule(const Linear &linear, const TargetProfile &target) {
  Schedule s;
  s.rowVectors = linear.weights().units();
  bool sum = linear.experts && linear.experts->sum;
  s.vectors = s.rowVectors * (sum ? linear.experts->choices : 1);
  s.slots = linear.weights().unitWeights() / 4;
  // Lanes read 64 or 128 bytes apart where weights are packed: an odd pitch keeps them in different banks.
  s.pitch = linear.format == WeightFormat::BF16 ? s.slots : s.slots + 1;
  uint32_t size = target.subgroupSize;
  // With the padding of packed weights, and in whole turns, as far as workgroup memory goes.
  uint32_t most = std::min((sum ? kMaxStagedSum : kMaxStaged) / linear.weights().unitWeights(),
                           (target.maxSharedBytes - kOtherShared) / (s.pitch * 16));
  s.stagedVectors = std::min(s.vectors, size ? std::max(1u, most / size) * size : most);
  if (size == 0) {
    s.invocations = 256;
    return s;
  }
  // Four subgroups: small workgroups leave and are replaced evenly. Eight where a large input is staged for few outputs
  // of a sum over experts.
  bool largeInput = sum && s.vectors * s.slots * 4 > kMaxStaged;
  s.invocations =
      std::min<uint32_t>({256, target.maxWorkgroupInvocations, std::max<uint32_t>(size * (largeInput ? 8 : 4), 64)});
  uint32_t subgroups = s.invocations / size;
  s.turns = (s.stagedVectors + size - 1) / size;
  auto preloads = [&](uint32_t outputs) {
    return s.stagedVectors == s.vectors && s.turns * outputs * linear.accumulators <= kPreloadVectors;
  };
  // More outputs per subgroup share the staging; stop while the grid still fills the machine several times and loads
  // still go ahead.
  uint64_t outputs = uint64_t(linear.n) * linear.resultRows();
  const uint32_t fills = linear.experts ? 6 : 4;
  while (s.outputsPerSubgroup < 4 && (preloads(s.outputsPerSubgroup * 2) || !preloads(s.outputsPerSubgroup)) &&
         outputs / (s.outputsPerSubgroup * 2 * subgroups) >= uint64_t(target.computeUnits) * fills)
    s.outputsPerSubgroup *= 2;
  s.outputsPerWorkgroup = subgroups * s.outputsPerSubgroup;
  s.preload = preloads(s.outputsPerSubgroup);
  s.window = std::max(1u, kWindowVectors / (s.outputsPerSubgroup * linear.accumulators));
  return s;
}

uint32_t workgroups(const Linear &linear, const Schedule &s) {
  return (linear.n + s.outputsPerWorkgroup - 1) / s.outputsPerWorkgroup;
}

class VectorLinear {
public:
  VectorLinear(KernelBuilder &k, const Linear &linear, const Schedule &s)
      : k(k), linear(linear), s(s), ops(declareOperands(k, linear)) {
    for (Buffer weight : ops.weights)
      readers.emplace_back(k, weight, linear.weights());
  }

  LogicalResult emit() {
    group = k.workgroupId(0);
    if (!linear.router)
      return emitProduct();
    const uint32_t routers = linear.router->outputs;
    LogicalResult result = success();
    Val isRouter = group < routers;
    k.ifThen(isRouter, [&] { emitFoldedRouter(k, linear, ops, group); });
    k.ifThen(k.logicalNot(isRouter), [&] {
      group = group - routers;
      result = emitProduct();
    });
    return result;
  }

private:
  LogicalResult emitProduct() {
    uint32_t size = k.target().subgroupSize;
    // Staged length rounded up so that every lane may read its last vector; the rest is zero.
    stagedCount = size ? s.turns * size : s.stagedVectors;
    staged = k.shared(Elem::F32, stagedCount * s.pitch, 4);
    Val first = group * s.outputsPerWorkgroup;
    if (linear.experts && !linear.experts->sum)
      choice = k.workgroupId(1);
    // The input does not wait for the expert; a row that is gathered waits for its token, and weights for neither.
    if (size && s.preload && !linear.gathered)
      slots = loadSlots();
    if (linear.route)
      chooser.emplace(k, linear.experts->count, *linear.route);
    const bool finds = chooser && chooser->canFind();
    if (finds)
      expertRows = chooser->findAt(ops.logits, k.u32(0), choice) * linear.n;
    else if (linear.route)
      chooser->choose(ops.logits, k.u32(0));
    if (choice && !expertRows)
      expertRows = expertAt(choice) * linear.n;
    // Unknown subgroup size: the subgroups share the workgroup's outputs in turn, after staging everything once.
    LogicalResult result =
        size ? emitOutputs(first + k.subgroupIndex() * s.outputsPerSubgroup, s.outputsPerSubgroup) : emitDynamic(first);
    // For the products behind; one workgroup does it, and nobody waits for it here.
    if (linear.route)
      k.ifThen((group == 0) & (k.workgroupId(1) == 0), [&] {
        if (finds)
          chooser->choose(ops.logits, k.u32(0));
        chooser->store(ops.logits, k.u32(0), ops.routeWeights, ops.experts, linear.route->folded ? normFactor : Val());
      });
    return result;
  }

  /// Where vector \p v of an output's weights lies: a row of the weights and a 16-byte unit of it.
  struct Place {
    Val row, unit;
  };
  Place weightPlace(Val output, Val v) {
    Val row = k.min(output, k.u32(linear.n - 1));
    if (!linear.experts)
      return {row, v};
    if (!linear.experts->sum)
      return {expertRows + row, v};
    return {expertAt(v / s.rowVectors) * linear.n + row, v % s.rowVectors};
  }

  Val expertAt(Val index) {
    return chooser ? chooser->expertAt(index) : loadExpert(k, *linear.experts, ops.experts, index);
  }
  Val routeWeightAt(Val index) { return k.load(ops.routeWeights, Elem::F32, index); }

  /// Where element \p e of the staged row lies in the input; `inside` is false for padding, whose index is safe to
  /// read.
  struct Source {
    Val index, inside;
    Val element; ///< of the row
    Val choice;  ///< whose weight the element gets, if there is one
  };
  Source sourceOf(Val e) {
    Source source;
    if (linear.experts && linear.experts->sum) {
      uint32_t rowElements = s.rowVectors * s.slots * 4;
      Val slot = k.min(e / rowElements, k.u32(linear.experts->choices - 1)), element = e % rowElements;
      source.inside = (element < linear.k) & (e < s.vectors * s.slots * 4);
      source.index = slot * linear.k + k.select(source.inside, element, k.u32(0));
      source.choice = slot;
      return source;
    }
    source.inside = e < linear.k;
    source.index = k.select(source.inside, e, k.u32(0));
    source.element = source.index;
    if (linear.gathered)
      source.index = source.index + gatheredRow;
    if (linear.prologue == LinearPrologue::CombineSplits)
      source.index = splitShape().combined(source.index);
    if (choice && linear.experts->ownInput)
      source.index = source.index + choice * linear.k;
    return source;
  }

  /// First element of the row in its table.
  void findGatheredRow() {
    if (linear.gathered)
      gatheredRow = loadToken(k, ops.state, linear.state, k.u32(0), *linear.gathered) * paddedWidth(linear.k);
  }

  /// Where the input lies when its prologue is CombineSplits.
  SplitShape splitShape() const { return {linear.combineHeads, linear.combineSplits, linear.k / linear.combineHeads}; }
  /// Elements of the input that one access may have.
  unsigned inputWidth() const {
    return accessWidth(linear.prologue == LinearPrologue::CombineSplits ? splitShape().dim : linear.k, 4);
  }

  LogicalResult emitOutputs(Val output, uint32_t count) {
    // Loads retire in order on some devices, so the input, which is waited for first, is asked for first.
    std::vector<WeightReader::Unit> units;
    if (s.preload)
      for (uint32_t turn = 0; turn < std::min(s.turns, s.window); ++turn)
        loadTurn(output, count, 0, turn, units);
    findGatheredRow();
    Vals sums(count * linear.accumulators, k.f32(0));
    sumOfSquares = k.f32(0);
    for (uint32_t base = 0; base < s.vectors; base += s.stagedVectors) {
      if (base)
        k.barrier();
      if (slots.empty())
        stage(base);
      else
        storeSlots();
      bool last = base + s.stagedVectors >= s.vectors;
      if (last && linear.prologue == LinearPrologue::RmsNorm)
        shareSquares();
      k.barrier();
      for (uint32_t turn = 0; turn < s.turns; ++turn) {
        std::vector<WeightReader::Unit> turnUnits;
        if (s.preload && turn + s.window < s.turns)
          loadTurn(output, count, 0, turn + s.window, units);
        if (s.preload)
          turnUnits.assign(units.begin() + turn * sums.size(), units.begin() + (turn + 1) * sums.size());
        else
          loadTurn(output, count, base, turn, turnUnits);
        addProducts(k.lane() + turn * k.target().subgroupSize, turnUnits, sums);
      }
    }
    return finish(output, count, sums);
  }

  /// Four input elements (and their norm weights) of one access of the staged row, in registers.
  struct StagedSlot {
    Val slot;
    Vals values, norm, weights;
  };

  /// The accesses this invocation stages, loaded but not yet used. One stage holds the whole row.
  std::vector<StagedSlot> loadSlots() {
    std::vector<StagedSlot> loaded;
    const unsigned step = inputWidth();
    for (uint32_t first = 0; first < stagedCount * s.slots; first += s.invocations) {
      StagedSlot staged{k.localIndex() + first, {}, {}, {}};
      for (unsigned part = 0; part < 4; part += step) {
        Source source = sourceOf(staged.slot * 4 + part);
        Vals values = k.load(ops.x, linear.input, source.index, step);
        for (Val &v : values)
          v = k.select(source.inside, v, k.f32(0));
        staged.values.append(values);
        if (source.choice)
          staged.weights.append(step, routeWeightAt(source.choice));
        if (linear.prologue == LinearPrologue::RmsNorm)
          staged.norm.append(k.load(ops.norm, Elem::BF16, source.element, step));
      }
      loaded.push_back(staged);
    }
    return loaded;
  }

  void storeSlots() {
    for (const StagedSlot &slot : slots) {
      Vals four;
      for (unsigned e = 0; e < 4; ++e) {
        Val v = slot.weights.empty() ? slot.values[e] : slot.values[e] * slot.weights[e];
        if (linear.prologue == LinearPrologue::RmsNorm) {
          sumOfSquares = k.fma(v, v, sumOfSquares);
          v = v * slot.norm[e];
        }
        four.push_back(v);
      }
      applyInputFactors(slot.slot, four);
      k.ifThen(slot.slot < stagedCount * s.slots, [&] { k.store(staged, stagedPlace(slot.slot), four); });
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
    findGatheredRow();
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
          std::vector<WeightReader::Unit> units;
          Place place = weightPlace(output, v + base);
          for (WeightReader &reader : readers)
            units.push_back(reader.loadUnit(place.row, place.unit));
          addProducts(v, units, next);
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

  void loadTurn(Val output, uint32_t count, uint32_t base, uint32_t turn, std::vector<WeightReader::Unit> &units) {
    uint32_t size = k.target().subgroupSize, first = base + turn * size;
    // Lanes behind the end read the last vector again; their staged input is zero.
    Val index = k.min(k.lane() + first, k.u32(s.vectors - 1));
    for (uint32_t o = 0; o < count; ++o) {
      // Where a turn stays within one expert's row, that expert is the same for all lanes and loaded once.
      bool uniform = linear.experts && linear.experts->sum && s.rowVectors % size == 0;
      Place place = uniform
                        ? Place{slotExpert(first / s.rowVectors) * linear.n + k.min(output + o, k.u32(linear.n - 1)),
                                k.lane() + first % s.rowVectors}
                        : weightPlace(output + o, index);
      for (WeightReader &reader : readers)
        units.push_back(reader.loadUnit(place.row, place.unit));
    }
  }

  /// The expert of a choice known at compile time.
  Val slotExpert(uint32_t slot) {
    slotExperts.resize(linear.experts->choices);
    slot = std::min(slot, linear.experts->choices - 1);
    if (!slotExperts[slot])
      slotExperts[slot] = expertAt(k.u32(slot));
    return slotExperts[slot];
  }

  /// Adds the products of the staged input of `vector` and one unit of weights for each sum; accumulators change
  /// fastest.
  void addProducts(Val vector, ArrayRef<WeightReader::Unit> units, MutableArrayRef<Val> sums) {
    Vals unitSums;
    for (Val sum : sums)
      unitSums.push_back(readers[0].beginUnit(sum));
    for (unsigned part = 0; part < s.slots / 2; ++part) {
      Vals x = k.load(staged, vector * s.pitch + part * 2);
      x.append(k.load(staged, vector * s.pitch + (part * 2 + 1)));
      for (auto [sum, unit] : llvm::zip_equal(unitSums, units))
        sum = k.dot(readers[0].unscaledEight(unit, part), x, sum);
    }
    for (auto [sum, unitSum, unit] : llvm::zip_equal(sums, unitSums, units))
      sum = readers[0].endUnit(unit, unitSum, sum);
  }

  /// What packed weights ask of their input: the four elements `slot` are one half of eight.
  void applyInputFactors(Val slot, Vals &four) {
    const WeightReader &reader = readers.front();
    for (unsigned e = 0; e < 4; ++e) {
      double even = reader.inputFactor(e), odd = reader.inputFactor(4 + e);
      if (even != odd)
        four[e] = four[e] * k.select((slot & 1) == 0, k.f32(even), k.f32(odd));
      else if (even != 1)
        four[e] = four[e] * even;
    }
  }

  /// Where the four input elements `slot` lie in workgroup memory.
  Val stagedPlace(Val slot) { return s.pitch == s.slots ? slot : slot + slot / s.slots; }

  /// Elements [base * slots * 4, ...) of the input, through the prologue, into workgroup memory; zero behind the end.
  void stage(uint32_t base) {
    const unsigned step = inputWidth();
    sumOfSquares = k.forLoop(k.localIndex(), k.u32(stagedCount * s.slots), k.u32(k.invocations()), {sumOfSquares},
                             [&](Val slot, ArrayRef<Val> carried) -> Vals {
                               Val squares = carried[0];
                               Vals four;
                               for (unsigned part = 0; part < 4; part += step)
                                 stageElements(slot * 4 + (base * s.slots * 4 + part), step, squares, four);
                               applyInputFactors(slot, four);
                               k.store(staged, stagedPlace(slot), four);
                               return {squares};
                             })[0];
  }

  void stageElements(Val element, unsigned step, Val &squares, Vals &out) {
    Source source = sourceOf(element);
    Vals values = k.load(ops.x, linear.input, source.index, step);
    Vals norm;
    if (linear.prologue == LinearPrologue::RmsNorm)
      norm = k.load(ops.norm, Elem::BF16, source.element, step);
    if (linear.gathered)
      k.ifThen((group == 0) & source.inside, [&] { k.store(ops.row, Elem::F32, source.element, values); });
    for (unsigned i = 0; i < step; ++i) {
      Val v = source.choice ? values[i] * routeWeightAt(source.choice) : values[i];
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
  std::vector<WeightReader> readers;
  Shared staged;
  std::optional<Shared> squares;
  uint32_t stagedCount = 0;
  Val sumOfSquares, normFactor;
  std::vector<StagedSlot> slots;
  std::optional<ExpertChooser> chooser;
  Vals slotExperts;
  Val group;              // of the product's workgroups along the outputs
  Val gatheredRow;        // first element of the input, where it is a row of a table
  Val choice, expertRows; // of the workgroup, when each expert has results of its own
};

} // namespace

KernelPlan vectorLinearKernel(const Linear &linear, const TargetProfile &target) {
  Schedule s = schedule(linear, target);
  KernelPlan plan;
  plan.name = "gemv" + linear.suffix();
  plan.workgroup = {s.invocations, 1, 1};
  plan.groups = {workgroups(linear, s), static_cast<int64_t>(linear.resultRows()), 1};
  if (linear.router)
    plan.groups[0] += linear.router->outputs;
  plan.emit = [=](KernelBuilder &k) { return VectorLinear(k, linear, s).emit(); };
  return plan;
}

} // namespace qwenc
