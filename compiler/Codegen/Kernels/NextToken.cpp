//===- NextToken.cpp - Choosing the next token on the device -----------------------------------------------------===//

#include "compiler/Codegen/Kernels/Speech.h"

#include "dialects/plan/StateLayout.h"

using namespace mlir;

namespace qwenc {

using plan::Access;
namespace layout = plan::layout;

namespace {

constexpr uint32_t kPerGroup = 1024; // logits one workgroup of argmax looks at
constexpr uint32_t kWorkgroup = 256;
constexpr double kLowest = -3.0e38;
constexpr double kSuppressed = -1.0e30; // far below every logit, and a number after division by any temperature

uint32_t nextTokenWorkgroup(const TargetProfile &target) {
  return std::min<uint32_t>(kWorkgroup, target.maxWorkgroupInvocations);
}

/// Best (value, index) over the workgroup; the lowest index wins a tie. Indices are below 2^24 and so exact in f32.
std::pair<Val, Val> workgroupArgmax(KernelBuilder &k, Val value, Val index) {
  Val best = k.workgroupMax(value);
  Val candidate = k.select(value == best, -k.toF32(index), k.f32(kLowest));
  return {best, k.toU32(-k.workgroupMax(candidate))};
}

/// Tokens[Length] = token, Sampled[Step] = token; Length, Step and (in decode) Position grow by one. One invocation.
void appendToken(KernelBuilder &k, Buffer cells, Buffer mailbox, Val token, bool advances, const StateBlock &state) {
  Val length = loadCell(k, cells, layout::kLength);
  Val step = loadCell(k, cells, layout::kStep);
  k.ifThen(length <= state.maxContext, [&] {
    k.store(cells, Elem::U32, length + layout::kTokens / 4, token);
    storeCell(k, cells, layout::kLength, length + 1);
  });
  k.store(mailbox, Elem::U32, step % layout::kSampledCount + layout::kSampled / 4, token);
  storeCell(k, cells, layout::kStep, step + 1);
  if (advances)
    storeCell(k, cells, layout::kPosition, loadCell(k, cells, layout::kPosition) + 1);
}

} // namespace

uint32_t argmaxGroups(uint32_t vocab) { return (vocab + kPerGroup - 1) / kPerGroup; }

KernelPlan appendArgmaxKernel(uint32_t vocab, bool advances, const StateBlock &state, const TargetProfile &target) {
  KernelPlan plan;
  plan.name = "append_argmax_v" + std::to_string(vocab) + (advances ? "_advance" : "");
  plan.workgroup = {nextTokenWorkgroup(target), 1, 1};
  plan.groups = {argmaxGroups(vocab), 1, 1};
  plan.emit = [=](KernelBuilder &k) {
    Buffer logits = k.operand("logits", Access::Read, uint64_t(vocab) * 4);
    // What is read of it was written in the same dispatch.
    Buffer partials = k.operand("partials", Access::Write, uint64_t(argmaxGroups(vocab)) * 8).coherently();
    Buffer cells = k.operand("state", Access::ReadWrite, state.bytes());
    Buffer mailbox = k.operand("mailbox", Access::Write, layout::mailboxBytes());
    auto argmax = [&](Val begin, Val end, llvm::function_ref<std::pair<Val, Val>(Val)> load) {
      Vals best = k.forLoop(begin + k.localIndex(), end, k.u32(k.invocations()), {k.f32(kLowest), begin},
                            [&](Val i, ArrayRef<Val> carried) -> Vals {
                              auto [x, index] = load(i);
                              Val better = x > carried[0];
                              return {k.select(better, x, carried[0]), k.select(better, index, carried[1])};
                            });
      return workgroupArgmax(k, best[0], best[1]);
    };
    auto append = [&](Val token) {
      k.ifThen(k.localIndex() == 0, [&] { appendToken(k, cells, mailbox, token, advances, state); });
    };

    Val group = k.workgroupId(0), first = group * kPerGroup;
    auto [value, index] = argmax(first, k.min(first + kPerGroup, k.u32(vocab)),
                                 [&](Val i) { return std::pair(k.load(logits, Elem::F32, i), i); });
    if (argmaxGroups(vocab) == 1) {
      append(index);
      return success();
    }
    k.ifThen(k.localIndex() == 0, [&, value = value, index = index] {
      k.store(partials, Elem::F32, group * 2, value);
      k.store(partials, Elem::U32, group * 2 + 1, index);
    });
    k.ifThen(isLastWorkgroup(k, cells, k.u32(layout::arrivals(state.maxContext) / 4), k.u32(argmaxGroups(vocab))), [&] {
      k.deviceBarrier();
      auto [largest, token] = argmax(k.u32(0), k.u32(argmaxGroups(vocab)), [&](Val i) {
        return std::pair(k.load(partials, Elem::F32, i * 2), k.load(partials, Elem::U32, i * 2 + 1));
      });
      append(token);
    });
    return success();
  };
  return plan;
}

//===------------------------------------------------------------------------------------------------------------===//
// Sampling
//===------------------------------------------------------------------------------------------------------------===//

namespace {

/// One workgroup goes over the vocabulary several times. Thresholds are found on keys: u32 numbers in the order of the
/// logits. Sums are formed in a fixed order, so that the same seed gives the same token.
class Sampler {
public:
  Sampler(KernelBuilder &k, uint32_t vocab, bool advances, const Suppression &suppression, const StateBlock &state)
      : k(k), vocab(vocab), advances(advances), suppression(suppression), state(state) {
    logits = k.operand("logits", Access::Read, uint64_t(vocab) * 4);
    // Written before it is read, by this kernel alone: for the plan it is an output nobody uses.
    scratch = k.operand("scratch", Access::Write, uint64_t(vocab) * 4);
    cells = k.operand("state", Access::ReadWrite, state.bytes());
    mailbox = k.operand("mailbox", Access::Write, layout::mailboxBytes());
    histogram = k.shared(Elem::U32, 256);
    partSums = k.shared(Elem::F32, k.invocations());
    exchange = k.shared(Elem::U32, 4);
    t = k.localIndex();
  }

  void emitGreedy() {
    penalise();
    Vals best = k.forLoop(t, k.u32(vocab), k.u32(k.invocations()), {k.f32(kLowest), k.u32(0)},
                          [&](Val i, ArrayRef<Val> carried) -> Vals {
                            Val x = k.load(scratch, Elem::F32, i);
                            Val better = x > carried[0];
                            return {k.select(better, x, carried[0]), k.select(better, i, carried[1])};
                          });
    Val token = workgroupArgmax(k, best[0], best[1]).second;
    k.ifThen(t == 0, [&] { appendToken(k, cells, mailbox, token, advances, state); });
  }

  void emit() {
    penalise();
    temperature = k.bitcastToF32(loadCell(k, cells, layout::kTemperature));
    largest = k.workgroupMax(reduce(k.f32(kLowest), [&](Val i, Val sum) { return k.max(sum, scaled(i)); }));
    Val threshold = topPThreshold(topKThreshold());
    Val token = draw(threshold);
    k.ifThen(t == 0, [&] { appendToken(k, cells, mailbox, token, advances, state); });
  }

private:
  void forVocabulary(llvm::function_ref<void(Val)> body) { k.forLoop(t, k.u32(vocab), k.u32(k.invocations()), body); }
  Val reduce(Val init, llvm::function_ref<Val(Val, Val)> body) {
    return k.forLoop(t, k.u32(vocab), k.u32(k.invocations()), {init},
                     [&](Val i, ArrayRef<Val> carried) -> Vals { return {body(i, carried[0])}; })[0];
  }

  /// Keskar et al. 2019: logits of tokens in the history are divided (positive) or multiplied (negative) by the
  /// penalty. Every occurrence writes the same value, so the order of writes does not matter.
  void penalise() {
    forVocabulary([&](Val i) { k.store(scratch, Elem::F32, i, unlessSuppressed(i, k.load(logits, Elem::F32, i))); });
    k.barrierWithDeviceMemory();
    Val penalty = k.bitcastToF32(loadCell(k, cells, layout::kRepetitionPenalty));
    Val length = k.min(loadCell(k, cells, layout::kLength), k.u32(state.maxContext + 1));
    k.ifThen((penalty != 1.0) & (penalty > 0.0), [&] {
      k.forLoop(t, length, k.u32(k.invocations()), [&](Val i) {
        Val token = k.min(k.load(cells, Elem::U32, i + layout::kTokens / 4), k.u32(vocab - 1));
        Val x = k.load(logits, Elem::F32, token);
        k.store(scratch, Elem::F32, token, unlessSuppressed(token, k.select(x > 0.0, x / penalty, x * penalty)));
      });
    });
    k.barrierWithDeviceMemory();
  }

  Val unlessSuppressed(Val id, Val x) {
    return suppression.suffix().empty() ? x : k.select(suppression.holds(k, id), k.f32(kSuppressed), x);
  }

  Val scaled(Val i) { return k.load(scratch, Elem::F32, i) / temperature; }
  Val key(Val x) {
    Val bits = k.bitcastToU32(x);
    return k.select((bits >> 31) != 0, bits ^ k.u32(0xffffffffu), bits | k.u32(0x80000000u));
  }
  Val weight(Val x) { return k.exp(x - largest); }

  /// Key of the k-th largest logit, by four passes over 8-bit digits; 0 when top-k is off.
  Val topKThreshold() {
    Val wanted = loadCell(k, cells, layout::kTopK);
    return k.ifElse((wanted > 0) & (wanted < vocab), [&]() -> Vals { return {radixSelect(wanted)}; },
                    [&]() -> Vals { return {k.u32(0)}; })[0];
  }

  Val radixSelect(Val wanted) {
    Val prefix = k.u32(0), remaining = wanted;
    for (int shift = 24; shift >= 0; shift -= 8) {
      k.barrier();
      k.forLoop(t, k.u32(256), k.u32(k.invocations()), [&](Val i) { k.store(histogram, i, {k.u32(0)}); });
      k.barrier();
      uint32_t above = shift == 24 ? 0 : 0xffffffffu << (shift + 8);
      forVocabulary([&](Val i) {
        Val x = key(scaled(i));
        k.ifThen((x & above) == prefix, [&] { k.atomicAdd(histogram, (x >> shift) & 255, k.u32(1)); });
      });
      k.barrier();
      k.ifThen(t == 0, [&] {
        // From the largest digit down: the digit in which the count reaches what is wanted.
        Vals found =
            k.forLoop(k.u32(0), k.u32(256), k.u32(1), {remaining, k.u32(0), k.boolean(false)},
                      [&](Val step, ArrayRef<Val> c) -> Vals {
                        Val digit = k.u32(255) - step;
                        Val count = k.loadOne(histogram, digit);
                        Val here = k.logicalNot(c[2]) & (count >= c[0]);
                        Val passed = k.logicalNot(c[2]) & (count < c[0]);
                        return {k.select(passed, c[0] - count, c[0]), k.select(here, digit, c[1]), c[2] | here};
                      });
        k.store(exchange, k.u32(0), {found[1]});
        k.store(exchange, k.u32(1), {found[0]});
      });
      k.barrier();
      prefix = prefix | (k.loadOne(exchange, k.u32(0)) << shift);
      remaining = k.loadOne(exchange, k.u32(1));
    }
    return prefix;
  }

  /// Mass (sum of exponentials) of the logits whose key is at least `threshold`.
  Val mass(Val threshold) {
    return k.workgroupAdd(reduce(k.f32(0), [&](Val i, Val sum) {
      Val x = scaled(i);
      return sum + k.select(key(x) >= threshold, weight(x), k.f32(0));
    }));
  }

  /// Holtzman et al. 2020: the largest threshold that still keeps `p` of the mass, at least the first token.
  Val topPThreshold(Val lowest) {
    Val p = k.bitcastToF32(loadCell(k, cells, layout::kTopP));
    return k.ifElse(
        p < 1.0,
        [&]() -> Vals {
          Val wanted = mass(lowest) * p;
          // Binary search: mass(low) >= wanted always; high is the first key above the largest logit.
          Vals range{lowest, key(largest) + 1};
          range = k.forLoop(k.u32(0), k.u32(32), k.u32(1), range, [&](Val, ArrayRef<Val> c) -> Vals {
            Val middle = c[0] + (c[1] - c[0]) / 2;
            Val enough = mass(middle) >= wanted;
            return {k.select(enough, middle, c[0]), k.select(enough, c[1], middle)};
          });
          // With p near 0 nothing would be wanted; the largest logit always stays.
          return {k.min(range[0], key(largest))};
        },
        [&]() -> Vals { return {lowest}; })[0];
  }

  /// Uniform number in [0, 1) from seed and step: one round of the PCG output function on a mixed counter (O'Neill
  /// 2014).
  Val uniform() {
    Val seed = loadCell(k, cells, layout::kSeed), step = loadCell(k, cells, layout::kStep);
    Val x = seed * 747796405u + step * 2891336453u + 277803737u;
    for (int round = 0; round < 2; ++round) {
      x = x * 747796405u + 2891336453u;
      Val word = ((x >> ((x >> 28) + 4)) ^ x) * 277803737u;
      x = (word >> 22) ^ word;
    }
    return k.toF32(x >> 8) * (1.0 / 16777216.0);
  }

  /// Inverse of the cumulative sum in id order. Invocation i owns a run of ids.
  Val draw(Val threshold) {
    const uint32_t run = (vocab + k.invocations() - 1) / k.invocations();
    auto mine = [&](Val owner, Vals init, llvm::function_ref<Vals(Val, Val, ArrayRef<Val>)> body) {
      return k.forLoop(owner * run, k.min(owner * run + run, k.u32(vocab)), k.u32(1), init,
                       [&](Val i, ArrayRef<Val> c) -> Vals {
                         Val x = scaled(i);
                         return body(i, k.select(key(x) >= threshold, weight(x), k.f32(0)), c);
                       });
    };
    Val sum = mine(t, {k.f32(0)}, [&](Val, Val w, ArrayRef<Val> c) -> Vals { return {c[0] + w}; })[0];
    k.barrier();
    k.store(partSums, t, {sum});
    k.barrier();
    k.ifThen(t == 0, [&] {
      auto forRuns = [&](Vals init, llvm::function_ref<Vals(Val, ArrayRef<Val>)> body) {
        return k.forLoop(k.u32(0), k.u32(k.invocations()), k.u32(1), init, body);
      };
      Val total =
          forRuns({k.f32(0)}, [&](Val i, ArrayRef<Val> c) -> Vals { return {c[0] + k.loadOne(partSums, i)}; })[0];
      Val target = uniform() * total;
      // The last run with mass below or at the target's place; rounding can only move to a neighbour with mass.
      Vals run0{k.f32(0), k.u32(0), k.f32(0)}; // sum so far, chosen run, sum before it
      Vals chosen = forRuns(run0, [&](Val i, ArrayRef<Val> c) -> Vals {
        Val part = k.loadOne(partSums, i);
        Val take = (part > 0.0) & (c[0] <= target);
        return {c[0] + part, k.select(take, i, c[1]), k.select(take, c[0], c[2])};
      });
      Vals token = mine(chosen[1], {chosen[2], k.u32(0)}, [&](Val i, Val w, ArrayRef<Val> c) -> Vals {
        Val take = (w > 0.0) & (c[0] <= target);
        return {c[0] + w, k.select(take, i, c[1])};
      });
      k.store(exchange, k.u32(2), {token[1]});
    });
    k.barrier();
    return k.loadOne(exchange, k.u32(2));
  }

  KernelBuilder &k;
  uint32_t vocab;
  bool advances;
  const Suppression &suppression;
  const StateBlock &state;
  Buffer logits, scratch, cells, mailbox;
  Shared histogram, partSums, exchange;
  Val t, temperature, largest;
};

} // namespace

KernelPlan sampleKernel(uint32_t vocab, bool advances, const StateBlock &state, const TargetProfile &target) {
  return sampleKernel(vocab, advances, {}, state, target);
}

KernelPlan sampleKernel(uint32_t vocab, bool advances, const Suppression &suppression, const StateBlock &state,
                        const TargetProfile &target) {
  KernelPlan plan;
  plan.name = "sample_v" + std::to_string(vocab) + suppression.suffix() + (advances ? "_advance" : "");
  plan.workgroup = {nextTokenWorkgroup(target), 1, 1};
  plan.emit = [=](KernelBuilder &k) {
    Sampler(k, vocab, advances, suppression, state).emit();
    return success();
  };
  return plan;
}

KernelPlan penalisedArgmaxKernel(uint32_t vocab, bool advances, const Suppression &suppression, const StateBlock &state,
                                 const TargetProfile &target) {
  KernelPlan plan;
  plan.name = "penalised_argmax_v" + std::to_string(vocab) + suppression.suffix() + (advances ? "_advance" : "");
  plan.workgroup = {nextTokenWorkgroup(target), 1, 1};
  plan.emit = [=](KernelBuilder &k) {
    Sampler(k, vocab, advances, suppression, state).emitGreedy();
    return success();
  };
  return plan;
}

} // namespace qwenc
