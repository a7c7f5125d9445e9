//===- Experts.cpp - Mixtures of experts around the products -----------------------------------------------------===//
//
// The router's choice, the sort of many rows' choices by expert, and the weighted sum of what the experts return. The
// products themselves are the skeletons of every linear (Linear::experts).
//
//===------------------------------------------------------------------------------------------------------------===//

#include "compiler/Codegen/Kernels/Kernels.h"

using namespace mlir;

namespace qwenc {

using plan::Access;

namespace {

constexpr uint32_t kMostWrittenOut = 64; // fours of logits
constexpr uint32_t kMostOfLane = 8;      // logits of a lane where subgroups choose for themselves

Buffer stateOperand(KernelBuilder &k, const RowBound &rows, const StateBlock &state) {
  return rows.cellOffset ? k.operand("state", Access::Read, state.bytes()) : Buffer();
}

} // namespace

KernelPlan routeKernel(const RowBound &rows, uint32_t experts, uint32_t choices, bool normalize,
                       const StateBlock &state, const TargetProfile &target) {
  KernelPlan plan;
  plan.name = "route_e" + std::to_string(experts) + "_top" + std::to_string(choices) +
              (normalize ? "_normalized" : "") + rows.suffix();
  plan.workgroup = {std::min<uint32_t>(128, target.maxWorkgroupInvocations), 1, 1};
  plan.divideRows(rows);
  plan.emit = [=](KernelBuilder &k) {
    uint64_t chosen = uint64_t(rows.max) * choices;
    Buffer logits = k.operand("logits", Access::Read, uint64_t(rows.max) * experts * 4);
    Buffer cells = stateOperand(k, rows, state);
    Buffer weights = k.operand("weights", Access::Write, chosen * 4);
    Buffer indices = k.operand("experts", Access::Write, chosen * 4);
    ExpertChooser chooser(k, experts, {choices, normalize});
    Val row = k.workgroupId(0);
    k.ifThen(row < rowCount(k, rows, cells), [&] {
      chooser.choose(logits, row);
      chooser.store(logits, row, weights, indices);
    });
    return success();
  };
  return plan;
}

ExpertChooser::ExpertChooser(KernelBuilder &k, uint32_t experts, const Route &route)
    : k(k), experts(experts), route(route), fours((experts + 3) / 4) {}

void ExpertChooser::choose(Buffer logits, Val row) {
  staged = k.shared(Elem::U32, fours, 4);
  chosen = k.shared(Elem::U32, route.choices);
  chosenLogits = k.shared(Elem::F32, route.choices);
  Val t = k.localIndex(), step = k.u32(k.invocations()), first = row * experts;
  // The logits that an invocation ranks are on their way together with those it stages.
  Vals own;
  for (uint32_t at = 0; at < experts; at += k.invocations())
    own.push_back(k.load(logits, Elem::F32, first + k.min(t + at, k.u32(experts - 1))));
  k.forLoop(t, k.u32(fours), step, [&](Val four) {
    Vals keys;
    for (uint32_t i = 0; i < 4; ++i) {
      Val expert = four * 4 + i, inside = expert < experts;
      Val logit = k.load(logits, Elem::F32, first + k.select(inside, expert, k.u32(0)));
      keys.push_back(k.select(inside, orderKey(logit), k.u32(0)));
    }
    k.store(staged, four, keys);
  });
  k.barrier();
  for (auto [turn, logit] : llvm::enumerate(own)) {
    Val expert = t + uint32_t(turn * k.invocations());
    Val rank = rankOf(orderKey(logit), k.min(expert, k.u32(experts - 1)));
    k.ifThen((rank < route.choices) & (expert < experts), [&, &logit = logit] {
      k.store(chosen, rank, {expert});
      k.store(chosenLogits, rank, {logit});
    });
  }
  k.barrier();
}

/// Integers above zero that order numbers as they are: one comparison for each pair, where floats need two for ties.
Val ExpertChooser::orderKey(Val logit) {
  Val bits = k.bitcastToU32(logit), negative = bits >= 0x80000000u;
  // Both zeros are one number.
  bits = k.select(bits == 0x80000000u, k.u32(0), bits);
  return k.max(k.select(negative & (bits != 0), bits ^ k.u32(0xffffffff), bits | 0x80000000u), k.u32(1));
}

/// How many logits go before that of `expert`, whose key is `own`; the lower expert goes first on a tie.
Val ExpertChooser::rankOf(Val own, Val expert) {
  Val ownFour = expert / 4;
  auto countBefore = [&](Val four) {
    // Equal keys go before it where their experts do: in the fours before its own.
    Val bound = k.select(four < ownFour, own - 1, own), count = k.u32(0);
    for (Val other : k.load(staged, four))
      count = count + k.select(other > bound, k.u32(1), k.u32(0));
    return count;
  };
  Val rank = k.u32(0);
  Vals neighbours = k.load(staged, ownFour);
  for (uint32_t i = 0; i < 3; ++i)
    rank = rank + k.select((neighbours[i] == own) & (expert % 4 > i), k.u32(1), k.u32(0));
  if (fours > kMostWrittenOut)
    return k.forLoop(k.u32(0), k.u32(fours), k.u32(1), {rank},
                     [&](Val four, ArrayRef<Val> carried) -> Vals { return {carried[0] + countBefore(four)}; })[0];
  // Written out: a loop would wait for each access of workgroup memory.
  for (uint32_t four = 0; four < fours; ++four)
    rank = rank + countBefore(k.u32(four));
  return rank;
}

bool ExpertChooser::canFind() const {
  const uint32_t size = k.target().subgroupSize;
  return size && experts <= size * kMostOfLane;
}

Val ExpertChooser::findAt(Buffer logits, Val row, Val index) {
  const uint32_t each = llvm::divideCeil(experts, k.target().subgroupSize);
  Val first = k.lane() * each;
  Vals keys;
  for (uint32_t i = 0; i < each; ++i) {
    Val inside = first + i < experts;
    Val logit = k.load(logits, Elem::F32, row * experts + k.min(first + i, k.u32(experts - 1)));
    keys.push_back(k.select(inside, orderKey(logit), k.u32(0)));
  }
  // The best of those left, the lowest of equals: what counts down from the last expert is largest for it.
  auto best = [&](ArrayRef<Val> left) {
    Val largest = left[0];
    for (Val key : left.drop_front())
      largest = k.max(largest, key);
    largest = k.subgroupMax(largest);
    Val fromEnd = k.u32(0);
    for (uint32_t i = each; i-- > 0;)
      fromEnd = k.select(left[i] == largest, k.u32(experts) - (first + i), fromEnd);
    return k.u32(experts) - k.subgroupMax(fromEnd);
  };
  keys = k.forLoop(k.u32(0), index, k.u32(1), keys, [&](Val, ArrayRef<Val> left) {
    Val taken = best(left);
    Vals next;
    for (uint32_t i = 0; i < each; ++i)
      next.push_back(k.select(first + i == taken, k.u32(0), left[i]));
    return next;
  });
  return k.min(best(keys), k.u32(experts - 1));
}

Val ExpertChooser::expertAt(Val index) { return k.loadOne(chosen, index); }

void ExpertChooser::store(Buffer logits, Val row, Buffer weights, Buffer indices, Val factor) {
  Val t = k.localIndex(), largest = k.loadOne(chosenLogits, k.u32(0)), total = sum(logits, row, largest, factor);
  k.forLoop(t, k.u32(route.choices), k.u32(k.invocations()), [&](Val choice) {
    Val at = row * route.choices + choice;
    k.store(weights, Elem::F32, at, exponential(k.loadOne(chosenLogits, choice), largest, factor) / total);
    k.store(indices, Elem::U32, at, expertAt(choice));
  });
}

Val ExpertChooser::exponential(Val logit, Val largest, Val factor) {
  return k.exp(factor ? (logit - largest) * factor : logit - largest);
}

/// Sum of exponentials of the chosen logits, or of all.
Val ExpertChooser::sum(Buffer logits, Val row, Val largest, Val factor) {
  Val total = k.f32(0);
  if (route.normalize) {
    for (uint32_t i = 0; i < route.choices; ++i)
      total = total + exponential(k.loadOne(chosenLogits, k.u32(i)), largest, factor);
    return total;
  }
  Val part = k.forLoop(k.localIndex(), k.u32(experts), k.u32(k.invocations()), {total},
                       [&](Val expert, ArrayRef<Val> carried) -> Vals {
                         Val logit = k.load(logits, Elem::F32, row * experts + expert);
                         return {carried[0] + exponential(logit, largest, factor)};
                       })[0];
  return k.workgroupAdd(part);
}

KernelPlan groupExpertsKernel(const RowBound &rows, uint32_t experts, uint32_t choices, uint32_t tile,
                              uint32_t maxTiles, const StateBlock &state, const TargetProfile &target) {
  KernelPlan plan;
  plan.name = "group_experts_e" + std::to_string(experts) + "_top" + std::to_string(choices) + "_t" +
              std::to_string(tile) + "_max" + std::to_string(rows.max) + rows.suffix();
  plan.workgroup = {std::min<uint32_t>(256, target.maxWorkgroupInvocations), 1, 1};
  plan.emit = [=](KernelBuilder &k) {
    uint32_t total = rows.max * choices;
    Experts shape{experts, choices};
    Buffer chosen = k.operand("experts", Access::Read, uint64_t(total) * 4);
    Buffer cells = stateOperand(k, rows, state);
    Buffer order = k.operand("order", Access::Write, uint64_t(total) * 4);
    Buffer tiles = k.operand("tiles", Access::Write, uint64_t(maxTiles) * 16);
    Shared counts = k.shared(Elem::U32, experts), cursors = k.shared(Elem::U32, experts);
    Shared usedTiles = k.shared(Elem::U32, 1);
    Val t = k.localIndex(), step = k.u32(k.invocations()), present = rowCount(k, rows, cells) * choices;

    k.forLoop(t, k.u32(experts), step, [&](Val e) { k.store(counts, e, {k.u32(0)}); });
    k.barrier();
    k.forLoop(t, present, step, [&](Val i) { k.atomicAdd(counts, loadExpert(k, shape, chosen, i), k.u32(1)); });
    k.barrier();
    k.forLoop(t, k.u32(experts), step, [&](Val e) {
      // Choices and tiles of the experts before this one.
      Vals before = k.forLoop(k.u32(0), e, k.u32(1), {k.u32(0), k.u32(0)}, [&](Val i, ArrayRef<Val> carried) -> Vals {
        Val count = k.loadOne(counts, i);
        return {carried[0] + count, carried[1] + (count + (tile - 1)) / tile};
      });
      Val count = k.loadOne(counts, e), parts = (count + (tile - 1)) / tile;
      k.store(cursors, e, {before[0]});
      k.forLoop(k.u32(0), parts, k.u32(1), [&](Val part) {
        Val begin = before[0] + part * tile;
        Val at = k.min(before[1] + part, k.u32(maxTiles - 1));
        k.store(tiles, Elem::U32, at * 4, {e, begin, k.min(begin + tile, before[0] + count), k.u32(0)});
      });
      k.ifThen(e == experts - 1, [&] { k.store(usedTiles, k.u32(0), {before[1] + parts}); });
    });
    k.barrier();
    k.forLoop(k.loadOne(usedTiles, k.u32(0)) + t, k.u32(maxTiles), step,
              [&](Val i) { k.store(tiles, Elem::U32, i * 4, {k.u32(0), k.u32(0), k.u32(0), k.u32(0)}); });
    k.forLoop(t, present, step, [&](Val i) {
      Val place = k.atomicAdd(cursors, loadExpert(k, shape, chosen, i), k.u32(1));
      k.store(order, Elem::U32, k.min(place, k.u32(total - 1)), i);
    });
    return success();
  };
  return plan;
}

KernelPlan weightedSumKernel(const RowBound &rows, uint32_t choices, uint32_t width, const StateBlock &state,
                             const TargetProfile &target) {
  KernelPlan plan;
  plan.name = "weighted_sum_n" + std::to_string(width) + "_top" + std::to_string(choices) + rows.suffix();
  plan.workgroup = {std::min<uint32_t>(256, target.maxWorkgroupInvocations), 1, 1};
  plan.divideRows(rows);
  plan.emit = [=](KernelBuilder &k) {
    uint64_t chosen = uint64_t(rows.max) * choices;
    Buffer x = k.operand("x", Access::Read, chosen * width * 4);
    Buffer weights = k.operand("weights", Access::Read, chosen * 4);
    Buffer cells = stateOperand(k, rows, state);
    Buffer y = k.operand("y", Access::Write, uint64_t(rows.max) * width * 4);
    unsigned step = accessWidth(width, 4);
    Val row = k.workgroupId(0);
    k.ifThen(row < rowCount(k, rows, cells), [&] {
      Vals weight;
      for (uint32_t choice = 0; choice < choices; ++choice)
        weight.push_back(k.load(weights, Elem::F32, row * choices + choice));
      k.forLoop(k.localIndex(), k.u32(width / step), k.u32(k.invocations()), [&](Val i) {
        Vals sums(step, k.f32(0));
        for (uint32_t choice = 0; choice < choices; ++choice) {
          Vals values = k.load(x, Elem::F32, (row * choices + choice) * width + i * step, step);
          for (auto [sum, value] : llvm::zip_equal(sums, values))
            sum = k.fma(weight[choice], value, sum);
        }
        k.store(y, Elem::F32, row * width + i * step, sums);
      });
    });
    return success();
  };
  return plan;
}

} // namespace qwenc
