//===- Sampling.cpp - Drawing the next token on the device -------------------------------------------------------===//
//
// Repetition penalty (Keskar et al. 2019), temperature, top-k, top-p (Holtzman et al. 2020), one draw. The ids are
// divided into shares, of which each leaves its largest logit and its mass; where there are many ids a share is a
// workgroup's and the last workgroup to arrive goes on, else it is an invocation's. The k-th largest of those maxima is
// a bound below which none of the k best lies, so that almost always few ids are left: candidates, in the order of
// their ids in workgroup memory, of which each counts for itself who is before it.
//
// Without top-k the candidates must hold as much mass as top-p asks for. Where they do not, or are too many, the last
// workgroup goes over the whole vocabulary as often as it takes.
//
// All sums are formed in a fixed order, so that the same seed gives the same token.
//
//===------------------------------------------------------------------------------------------------------------===//

#include "compiler/Codegen/Kernels/NextToken.h"

using namespace mlir;

namespace qwenc {

using plan::Access;
namespace layout = plan::layout;

namespace {

constexpr double kSuppressed = -1.0e30;  // far below every logit
constexpr uint32_t kOneWorkgroup = 8192; // ids that one workgroup takes alone: to meet others costs more
constexpr uint32_t kLeastShare = 64;     // ids of a workgroup
constexpr uint32_t kMostShares = 256;
constexpr uint32_t kCandidates = 512; // in workgroup memory
constexpr uint32_t kBest = 128;       // that are looked for when top-k is off
constexpr uint32_t kUnrolled = 4;

/// Words that one invocation leaves for all.
enum Word : uint32_t { kDigit, kRemaining, kBound, kCount, kToken, kWords };

/// How the ids are divided among workgroups.
struct Shares {
  explicit Shares(uint32_t vocab) {
    if (vocab <= kOneWorkgroup)
      return;
    ids = std::max<uint32_t>(kLeastShare, llvm::divideCeil(vocab, kMostShares));
    count = llvm::divideCeil(vocab, ids);
  }
  uint32_t ids = 0, count = 1;
};

/// Logits in an order of u32 numbers; no number maps to 0.
Val orderKey(KernelBuilder &k, Val x) {
  Val bits = k.bitcastToU32(x);
  return k.select((bits >> 31) != 0, bits ^ k.u32(0xffffffffu), bits | k.u32(0x80000000u));
}

class Sampler {
public:
  Sampler(KernelBuilder &k, uint32_t vocab, bool advances, const Suppression &suppression, const StateBlock &state)
      : k(k), vocab(vocab), advances(advances), suppression(suppression), state(state), shares(vocab) {
    logits = k.operand("logits", Access::Read, uint64_t(vocab) * 4);
    // Written before it is read, by this dispatch alone: for the plan these are outputs nobody uses.
    scratch = k.operand("scratch", Access::Write, uint64_t(vocab) * 4).coherently();
    t = k.localIndex();
  }

  void emitGreedy() {
    declareState();
    penalise(k.u32(0), k.u32(vocab));
    Vals best = forIds({k.f32(kLowestLogit), k.u32(0)}, [&](Val i, ArrayRef<Val> carried) -> Vals {
      Val x = k.load(scratch, Elem::F32, i);
      Val better = x > carried[0];
      return {k.select(better, x, carried[0]), k.select(better, i, carried[1])};
    });
    append(workgroupArgmax(k, best[0], best[1]).second);
  }

  void emit() {
    partials = k.operand("partials", Access::Write, uint64_t(shares.count) * 8).coherently();
    declareState();
    temperature = k.bitcastToF32(loadCell(k, cells, layout::kTemperature));
    topK = loadCell(k, cells, layout::kTopK);
    topK = k.select((topK > 0) & (topK < vocab), topK, k.u32(0));
    topP = k.bitcastToF32(loadCell(k, cells, layout::kTopP));
    shareKeys = k.shared(Elem::U32, shareSlots());
    candidateIds = k.shared(Elem::U32, kCandidates);
    ids = k.shared(Elem::U32, kCandidates);
    values = k.shared(Elem::F32, kCandidates);
    weights = k.shared(Elem::F32, kCandidates);
    histogram = k.shared(Elem::U32, 256);
    partSums = k.shared(Elem::F32, std::max(k.invocations(), kCandidates));
    exchange = k.shared(Elem::U32, kWords);
    if (shares.count == 1) {
      penalise(k.u32(0), k.u32(vocab));
      gatherOwnShares();
      choose();
      return;
    }
    Val first = k.workgroupId(0) * shares.ids;
    leaveShare(first, k.min(first + shares.ids, k.u32(vocab)));
    Val counter = k.u32(layout::arrivals(state.maxContext) / 4);
    k.ifThen(isLastWorkgroup(k, cells, counter, k.u32(shares.count)), [&] {
      k.deviceBarrier();
      gatherShares();
      choose();
    });
  }

private:
  void declareState() {
    cells = k.operand("state", Access::ReadWrite, state.bytes());
    mailbox = k.operand("mailbox", Access::Write, layout::mailboxBytes());
  }
  void append(Val token) {
    k.ifThen(t == 0, [&] { appendToken(k, cells, mailbox, token, loadTokenPlace(k, cells), advances, state); });
  }

  /// body(id, carried) for the ids of this invocation among those of the workgroup, or among all.
  Vals forIds(Val begin, Val end, ArrayRef<Val> init, KernelBuilder::LoopBody body) {
    return k.forLoop(begin + t, end, k.u32(k.invocations()), init, body);
  }
  Vals forIds(ArrayRef<Val> init, KernelBuilder::LoopBody body) { return forIds(k.u32(0), k.u32(vocab), init, body); }
  Val sumOverIds(llvm::function_ref<Val(Val)> term) {
    return k.workgroupAdd(
        forIds({k.f32(0)}, [&](Val i, ArrayRef<Val> carried) -> Vals { return {carried[0] + term(i)}; })[0]);
  }
  void leave(Word word, Val value) { k.store(exchange, k.u32(word), {value}); }
  Val wordOf(Word word) { return k.loadOne(exchange, k.u32(word)); }
  Val logitAt(Val id) { return k.load(scratch, Elem::F32, id); }
  /// Of a logit, relative to the largest one, which has 1 whatever the temperature.
  Val weight(Val x, Val largest) { return k.exp((x - largest) / temperature); }

  /// Logits of tokens in the history are divided (positive) or multiplied (negative) by the penalty. Every occurrence
  /// writes the same value, so the order of writes does not matter.
  void penalise(Val begin, Val end) {
    k.forLoop(begin + t, end, k.u32(k.invocations()),
              [&](Val i) { k.store(scratch, Elem::F32, i, unlessSuppressed(i, k.load(logits, Elem::F32, i))); });
    k.barrierWithDeviceMemory();
    Val penalty = k.bitcastToF32(loadCell(k, cells, layout::kRepetitionPenalty));
    Val length = k.min(loadCell(k, cells, layout::kLength), k.u32(state.maxContext + 1));
    k.ifThen((penalty != 1.0) & (penalty > 0.0), [&] {
      k.forLoop(t, length, k.u32(k.invocations()), [&](Val i) {
        Val token = k.min(k.load(cells, Elem::U32, i + layout::kTokens / 4), k.u32(vocab - 1));
        k.ifThen((token >= begin) & (token < end), [&] {
          Val x = k.load(logits, Elem::F32, token);
          k.store(scratch, Elem::F32, token, unlessSuppressed(token, k.select(x > 0.0, x / penalty, x * penalty)));
        });
      });
    });
    k.barrierWithDeviceMemory();
  }

  Val unlessSuppressed(Val id, Val x) {
    return suppression.suffix().empty() ? x : k.select(suppression.holds(k, id), k.f32(kSuppressed), x);
  }

  //===----------------------------------------------------------------------------------------------------------===//
  // Shares
  //===----------------------------------------------------------------------------------------------------------===//

  uint32_t shareCount() const { return shares.count > 1 ? shares.count : k.invocations(); }
  /// Those behind the last share have the key 0.
  uint32_t shareSlots() const { return llvm::alignTo(shareCount(), k.invocations()); }

  /// This invocation's largest logit among ids.
  Val largestOf(Val begin, Val end) {
    return forIds(begin, end, {k.f32(kLowestLogit)},
                  [&](Val i, ArrayRef<Val> carried) -> Vals { return {k.max(carried[0], logitAt(i))}; })[0];
  }
  /// Their mass; only what top-p asks for without top-k is of interest.
  Val massOf(Val begin, Val end, Val best) {
    end = k.select((topK == 0) & (topP < 1.0), end, begin);
    return forIds(begin, end, {k.f32(0)},
                  [&](Val i, ArrayRef<Val> carried) -> Vals { return {carried[0] + weight(logitAt(i), best)}; })[0];
  }

  /// A workgroup's share.
  void leaveShare(Val begin, Val end) {
    penalise(begin, end);
    Val best = k.workgroupMax(largestOf(begin, end)), mass = k.workgroupAdd(massOf(begin, end, best));
    k.ifThen(t == 0, [&] { k.store(partials, Elem::F32, k.workgroupId(0) * 2, {best, mass}); });
  }

  void gatherShares() {
    const uint32_t turns = shareSlots() / k.invocations();
    SmallVector<Vals> left;
    Val best = k.f32(kLowestLogit), sum = k.f32(0);
    for (uint32_t turn = 0; turn < turns; ++turn) {
      Val share = t + turn * k.invocations();
      left.push_back(k.load(partials, Elem::F32, k.min(share, k.u32(shares.count - 1)) * 2, 2));
      best = k.max(best, left.back()[0]);
    }
    largest = k.workgroupMax(best);
    for (auto [turn, own] : llvm::enumerate(left)) {
      Val share = t + uint32_t(turn) * k.invocations(), present = share < shares.count;
      k.store(shareKeys, share, {k.select(present, orderKey(k, own[0]), k.u32(0))});
      sum = sum + k.select(present, own[1] * weight(own[0], largest), k.f32(0));
    }
    mass = k.workgroupAdd(sum);
  }

  /// An invocation's share is the ids t, t + invocations, ...
  void gatherOwnShares() {
    Val best = largestOf(k.u32(0), k.u32(vocab));
    largest = k.workgroupMax(best);
    mass = k.workgroupAdd(massOf(k.u32(0), k.u32(vocab), largest));
    k.store(shareKeys, t, {k.select(t < vocab, orderKey(k, best), k.u32(0))});
  }

  //===----------------------------------------------------------------------------------------------------------===//
  // Candidates
  //===----------------------------------------------------------------------------------------------------------===//

  void choose() {
    Val wanted = k.select(topK == 0, k.select(topP < 1.0, k.u32(kBest), k.u32(kCandidates + 1)), topK);
    Val count =
        k.ifElse((wanted <= shareCount()) & (wanted <= kCandidates), [&]() -> Vals { return {collect(wanted)}; },
                 [&]() -> Vals { return {k.u32(kCandidates + 1)}; })[0];
    // Where all logits are NaN none reaches the bound.
    Vals drawn = k.ifElse((count > 0) & (count <= kCandidates), [&]() -> Vals { return drawCandidate(count); },
                          [&]() -> Vals { return {k.u32(0), k.boolean(false)}; });
    append(k.ifElse(drawn[1], [&]() -> Vals { return {drawn[0]}; }, [&]() -> Vals { return {drawFromAll()}; })[0]);
  }

  /// Leaves the ids of logits that are not below the wanted-th largest of the shares; returns how many there are, which
  /// may be more than fit.
  Val collect(Val wanted) {
    k.ifThen(t == 0, [&] { leave(kCount, k.u32(0)); });
    k.barrier();
    for (uint32_t turn = 0; turn < shareSlots() / k.invocations(); ++turn) {
      Val key = k.loadOne(shareKeys, t + turn * k.invocations());
      Vals counts = k.forLoop(k.u32(0), k.u32(shareSlots() / kUnrolled), k.u32(1), {k.u32(0), k.u32(0)},
                              [&](Val step, ArrayRef<Val> c) -> Vals {
                                Vals next(c);
                                for (uint32_t i = 0; i < kUnrolled; ++i) {
                                  Val other = k.loadOne(shareKeys, step * kUnrolled + i);
                                  next[0] = next[0] + k.select(other > key, k.u32(1), k.u32(0));
                                  next[1] = next[1] + k.select(other >= key, k.u32(1), k.u32(0));
                                }
                                return next;
                              });
      // All that come here have the same key.
      k.ifThen((counts[0] < wanted) & (counts[1] >= wanted), [&] { leave(kBound, key); });
    }
    k.barrier();
    Val bound = wordOf(kBound);
    auto take = [&](Val id) {
      k.ifThen(orderKey(k, logitAt(id)) >= bound, [&] {
        Val place = k.atomicAdd(exchange, k.u32(kCount), k.u32(1));
        k.ifThen(place < kCandidates, [&] { k.store(candidateIds, place, {id}); });
      });
    };
    if (shares.count == 1)
      k.ifThen(k.loadOne(shareKeys, t) >= bound,
               [&] { k.forLoop(t, k.u32(vocab), k.u32(k.invocations()), [&](Val id) { take(id); }); });
    else
      k.forLoop(k.u32(0), k.u32(shares.count), k.u32(1), [&](Val share) {
        k.ifThen(k.loadOne(shareKeys, share) >= bound, [&] {
          k.forLoop(share * shares.ids + t, k.min((share + 1) * shares.ids, k.u32(vocab)), k.u32(k.invocations()),
                    [&](Val id) { take(id); });
        });
      });
    k.barrier();
    return wordOf(kCount);
  }

  /// Adds up over all candidates in their order, whatever the invocation.
  Vals overCandidates(Val count, ArrayRef<Val> init, llvm::function_ref<Vals(Val other, ArrayRef<Val>)> body) {
    return k.forLoop(k.u32(0), (count + (kUnrolled - 1)) / kUnrolled, k.u32(1), init,
                     [&](Val step, ArrayRef<Val> carried) {
                       Vals next(carried);
                       for (uint32_t i = 0; i < kUnrolled; ++i)
                         next = body(step * kUnrolled + i, next);
                       return next;
                     });
  }

  /// body(candidate) for those of this invocation; with padding that overCandidates() may meet.
  void forOwnCandidates(Val count, llvm::function_ref<void(Val)> body) {
    k.forLoop(t, k.min(count + (kUnrolled - 1), k.u32(kCandidates)), k.u32(k.invocations()), body);
  }

  /// A token, and whether the candidates were enough to draw it.
  Vals drawCandidate(Val count) {
    sortById(count);
    // A candidate is kept when fewer than k are before it, and less mass than top-p asks for.
    forOwnCandidates(count, [&](Val i) {
      Val x = k.loadOne(values, i);
      Val before = overCandidates(count, {k.u32(0)}, [&](Val j, ArrayRef<Val> c) -> Vals {
        return {c[0] + k.select(k.loadOne(values, j) > x, k.u32(1), k.u32(0))};
      })[0];
      Val isKept = (i < count) & ((topK == 0) | (before < topK));
      k.store(weights, i, {k.select(isKept, weight(x, largest), k.f32(0))});
    });
    k.barrier();
    auto addWeights = [&](llvm::function_ref<Val(Val)> isAdded) {
      return overCandidates(count, {k.f32(0)}, [&](Val j, ArrayRef<Val> c) -> Vals {
        return {c[0] + k.select(isAdded(j), k.loadOne(weights, j), k.f32(0))};
      })[0];
    };
    auto all = [&](Val) { return k.boolean(true); };
    Val held = addWeights(all), total = k.select(topK == 0, mass, held), wanted = total * topP;
    Val isEnough = (topK > 0) | ((topP < 1.0) & (held >= wanted));
    k.ifThen(topP < 1.0, [&] {
      forOwnCandidates(count, [&](Val i) {
        Val x = k.loadOne(values, i);
        Val before = addWeights([&](Val j) { return k.loadOne(values, j) > x; });
        // With p near 0 nothing would be wanted; the largest logit always stays.
        Val isKept = (before < wanted) | (x == largest);
        k.store(partSums, i, {k.select(isKept, k.loadOne(weights, i), k.f32(0))});
      });
      k.barrier();
      forOwnCandidates(count, [&](Val i) { k.store(weights, i, {k.loadOne(partSums, i)}); });
      k.barrier();
    });
    // Inverse of the cumulative sum in the order of ids.
    Val target = uniform() * addWeights(all);
    Val own = k.forLoop(t, count, k.u32(k.invocations()), {k.f32(-1)}, [&](Val i, ArrayRef<Val> c) -> Vals {
      Val before = addWeights([&](Val j) { return j < i; });
      Val isReached = (k.loadOne(weights, i) > 0.0) & (before <= target);
      return {k.select(isReached, k.toF32(i), c[0])};
    })[0];
    Val chosen = k.workgroupMax(own);
    return {k.loadOne(ids, k.toU32(k.max(chosen, k.f32(0)))), isEnough};
  }

  /// Leaves ids and values of the candidates in the order of ids; padding has a value below all.
  void sortById(Val count) {
    forOwnCandidates(count, [&](Val i) {
      k.store(values, i, {k.f32(kLowestLogit)});
      k.store(weights, i, {k.f32(0)});
      k.ifThen(i >= count, [&] { k.store(candidateIds, i, {k.u32(0xffffffffu)}); });
    });
    k.barrier();
    k.forLoop(t, count, k.u32(k.invocations()), [&](Val i) {
      Val id = k.loadOne(candidateIds, i);
      Val place = overCandidates(count, {k.u32(0)}, [&](Val j, ArrayRef<Val> c) -> Vals {
        return {c[0] + k.select(k.loadOne(candidateIds, j) < id, k.u32(1), k.u32(0))};
      })[0];
      k.store(ids, place, {id});
      k.store(values, place, {logitAt(id)});
    });
    k.barrier();
  }

  //===----------------------------------------------------------------------------------------------------------===//
  // The whole vocabulary
  //===----------------------------------------------------------------------------------------------------------===//

  Val drawFromAll() { return draw(topPThreshold(topKThreshold())); }

  /// Key of the k-th largest logit, by four passes over 8-bit digits; 0 when top-k is off.
  Val topKThreshold() {
    return k.ifElse(topK > 0, [&]() -> Vals { return {radixSelect()}; }, [&]() -> Vals { return {k.u32(0)}; })[0];
  }

  Val radixSelect() {
    Val prefix = k.u32(0), remaining = topK;
    for (int shift = 24; shift >= 0; shift -= 8) {
      k.barrier();
      k.forLoop(t, k.u32(256), k.u32(k.invocations()), [&](Val i) { k.store(histogram, i, {k.u32(0)}); });
      k.barrier();
      uint32_t above = shift == 24 ? 0 : 0xffffffffu << (shift + 8);
      k.forLoop(t, k.u32(vocab), k.u32(k.invocations()), [&](Val i) {
        Val x = orderKey(k, logitAt(i));
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
        leave(kDigit, found[1]);
        leave(kRemaining, found[0]);
      });
      k.barrier();
      prefix = prefix | (wordOf(kDigit) << shift);
      remaining = wordOf(kRemaining);
    }
    return prefix;
  }

  /// Mass of the logits whose key is at least \p threshold.
  Val massFrom(Val threshold) {
    return sumOverIds([&](Val i) {
      Val x = logitAt(i);
      return k.select(orderKey(k, x) >= threshold, weight(x, largest), k.f32(0));
    });
  }

  /// The largest threshold that still keeps `p` of the mass, at least the first token.
  Val topPThreshold(Val lowest) {
    return k.ifElse(
        topP < 1.0,
        [&]() -> Vals {
          Val wanted = massFrom(lowest) * topP;
          // Binary search: massFrom(low) >= wanted always; high is the first key above the largest logit.
          Vals range{lowest, orderKey(k, largest) + 1};
          range = k.forLoop(k.u32(0), k.u32(32), k.u32(1), range, [&](Val, ArrayRef<Val> c) -> Vals {
            Val middle = c[0] + (c[1] - c[0]) / 2;
            Val enough = massFrom(middle) >= wanted;
            return {k.select(enough, middle, c[0]), k.select(enough, c[1], middle)};
          });
          // With p near 0 nothing would be wanted; the largest logit always stays.
          return {k.min(range[0], orderKey(k, largest))};
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
                         Val x = logitAt(i);
                         return body(i, k.select(orderKey(k, x) >= threshold, weight(x, largest), k.f32(0)), c);
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
      leave(kToken, token[1]);
    });
    k.barrier();
    return wordOf(kToken);
  }

  KernelBuilder &k;
  uint32_t vocab;
  bool advances;
  const Suppression &suppression;
  const StateBlock &state;
  Shares shares;
  Buffer logits, scratch, partials, cells, mailbox;
  Shared shareKeys;            // largest of each share
  Shared candidateIds;         // as they were found
  Shared ids, values, weights; // of candidates, in the order of ids
  Shared histogram, partSums, exchange;
  Val t, temperature, topK, topP; // topK is 0 where it is off
  Val largest, mass;              // of all ids
};

} // namespace

std::string Suppression::suffix() const {
  if (first == end)
    return "";
  return "_without" + std::to_string(first) + "_" + std::to_string(end) + "_keep" + std::to_string(kept);
}

Val Suppression::holds(KernelBuilder &k, Val id) const { return (id >= first) & (id < end) & (id != kept); }

uint32_t sampleShares(uint32_t vocab) { return Shares(vocab).count; }

KernelPlan sampleKernel(uint32_t vocab, bool advances, const Suppression &suppression, const StateBlock &state,
                        const TargetProfile &target) {
  KernelPlan plan;
  plan.name = "sample_v" + std::to_string(vocab) + suppression.suffix() + (advances ? "_advance" : "");
  plan.workgroup = {nextTokenWorkgroup(target), 1, 1};
  plan.groups = {sampleShares(vocab), 1, 1};
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
