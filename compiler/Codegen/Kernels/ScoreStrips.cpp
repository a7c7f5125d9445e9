//===- ScoreStrips.cpp - The softmax between two products on cooperative matrices ---------------------------------===//

#include "compiler/Codegen/Kernels/ScoreStrips.h"

using namespace mlir;

namespace qwenc {

bool ScoreStrips::areOn(const TargetProfile &target, Elem elem) {
  bool hasMatrices = elem == Elem::F16    ? target.f16CooperativeMatrix
                     : elem == Elem::BF16 ? target.bf16CooperativeMatrix
                                          : false;
  return hasMatrices && target.subgroupSize >= kMatrix && target.subgroupSize <= 64;
}

void ScoreStrips::declareStrips(Elem elem, uint32_t rows) {
  weights = k.shared(elem, rows * stripPitch, 8);
  scores = weights.as(Elem::F32);
}

void ScoreStrips::findLane() {
  part = k.lane() % lanesPerRow;
  laneRow = k.lane() / lanesPerRow;
}

void ScoreStrips::forPieces(uint32_t count, llvm::function_ref<void(Val, Val, bool)> body) {
  const uint32_t slots = count * pieces;
  for (uint32_t done = 0; done < slots; done += k.invocations()) {
    Val slot = t + done;
    body(slot / pieces, slot % pieces, done + k.invocations() <= slots);
  }
}

void ScoreStrips::ifStaged(Val row, uint32_t count, bool isFull, llvm::function_ref<void()> store) {
  if (isFull)
    store();
  else
    k.ifThen(row < count, store);
}

Vals ScoreStrips::loadUnit(uint32_t strip, Val unit) {
  Val access = laneAccess(strip) + unit * 2;
  Vals eight = k.load(scores, access);
  eight.append(k.load(scores, access + 1));
  return eight;
}

Val ScoreStrips::acrossRow(Val x, llvm::function_ref<Val(Val, Val)> combine) {
  for (uint32_t mask = 1; mask < lanesPerRow; mask *= 2)
    x = combine(x, k.shuffleXor(x, mask));
  return x;
}

ScoreStrips::RowStep ScoreStrips::softmax(uint32_t strip, Val before, KeyOf keyOf, Mask mask) {
  Val largest = k.f32(kMasked);
  SmallVector<Vals> rowPart;
  for (uint32_t i = 0; i < units(); ++i) {
    Vals eight = loadUnit(strip, unit(i));
    Val key = keyOf(unit(i) * 8);
    for (auto [e, score] : llvm::enumerate(eight)) {
      score = mask(key + uint32_t(e), score);
      largest = k.max(largest, score);
    }
    rowPart.push_back(eight);
  }
  largest = k.max(before, acrossRow(largest, [&](Val a, Val b) { return k.max(a, b); }));
  Val factor = k.exp(before - largest), added = k.f32(0);
  for (Vals &eight : rowPart)
    for (Val &score : eight) {
      score = k.exp(score - largest);
      added = added + score;
    }
  k.subgroupBarrier(); // all scores are read
  Val access = laneAccess(strip);
  for (uint32_t i = 0; i < units(); ++i)
    k.store(weights, access + unit(i), rowPart[i]);
  for (uint32_t i = 0; i < 4; i += lanesPerRow)
    k.store(scores, access + (part + (stripKeys / 8 + i)), Vals(4, factor));
  return {largest, factor, added};
}

void ScoreStrips::storeColumns(uint32_t strip, uint32_t dim, ArrayRef<Value> sums, Val row, Val count, Write write) {
  k.subgroupBarrier(); // what was in the strip is read
  for (uint32_t column = 0; column < dim; column += stripKeys) {
    const uint32_t columns = std::min(stripKeys, dim - column);
    for (uint32_t j = 0; j < llvm::divideCeil(columns, kMatrix); ++j)
      k.matrixStore(scores, stripRow(strip) * stripPitch + j * 4, stripPitch, sums[column / kMatrix + j]);
    k.subgroupBarrier();
    for (uint32_t i = 0; i < units(); ++i)
      k.ifThen((row < count) & (unit(i) < columns / 8), [&] {
        Vals eight = loadUnit(strip, unit(i));
        write(column, i, eight);
      });
    k.subgroupBarrier();
  }
}

} // namespace qwenc
