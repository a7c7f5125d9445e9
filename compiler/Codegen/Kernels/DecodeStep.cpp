//===- DecodeStep.cpp - What kernels of decode attention share ---------------------------------------------------===//
#include "compiler/Codegen/Kernels/DecodeStep.h"

#include "dialects/plan/StateLayout.h"

using namespace mlir;

namespace qwenc {

using plan::Access;

DecodeStep::DecodeStep(KernelBuilder &k, const Heads &heads, const Rotary &rotary, double scale, uint32_t splits,
                       uint32_t headsEach, uint32_t width, const StateBlock &state)
    : k(k), heads(heads), rotary(rotary), scale(scale), splits(splits), group(heads.query / heads.keyValue),
      headsEach(headsEach), width(width), pieces(heads.dim / width), table(k, rotary, heads.dim) {
  qkv = k.operand("qkv", Access::Read, uint64_t(heads.qkvWidth()) * 4);
  if (rotary.normalise) {
    qNorm = k.operand("q_norm", Access::Read, weightBytes(1, heads.dim));
    kNorm = k.operand("k_norm", Access::Read, weightBytes(1, heads.dim));
  }
  cells = k.operand("state", Access::ReadWrite, state.bytes());
  arrivals = plan::layout::arrivals(state.maxContext) / 4;
  keys = k.operand("k_cache", Access::ReadWrite, heads.cacheBytes());
  values = k.operand("v_cache", Access::ReadWrite, heads.cacheBytes());
  // What is read of it was written in the same dispatch.
  partials = k.operand("partials", Access::Write, SplitShape{heads.query, splits, heads.dim}.bytes()).coherently();
  rotated = k.shared(Elem::F32, (headsEach + 1) * rowPitch(heads.dim, width));
}

void DecodeStep::loadHeads() {
  t = k.localIndex();
  piece = t % pieces;
  kvHead = k.workgroupId(0);
  split = k.workgroupId(1);
  head0 = k.workgroupId(2) * headsEach;
  newestPosition = loadCell(k, cells, plan::layout::kPosition);
  for (uint32_t turn = 0; k.target().subgroupSize && turn < turnsOf(headsEach + 1); ++turn)
    rows.push_back(rowPairs(k.subgroupIndex() + turn * subgroups()));
}

void DecodeStep::findPosition() {
  table.prepare();
  rotation = sampledPosition(k, rotary, cells, newestPosition);
  position = k.min(newestPosition, k.u32(heads.context - 1));
}

uint32_t DecodeStep::subgroups() const {
  return std::max<uint32_t>(1, k.invocations() / (k.target().subgroupSize ? k.target().subgroupSize : 128));
}

Vals DecodeStep::loadNewValue() {
  return k.load(qkv, Elem::F32, (kvHead + heads.query + heads.keyValue) * heads.dim + piece * width, width);
}

/// Row 0 .. headsEach - 1: a query head; behind them: the newest key.
HeadPairs DecodeStep::rowPairs(Val row) {
  Val isKey = row >= headsEach;
  Val query = kvHead * group + k.min(head0 + row, k.u32(group - 1));
  Val source = k.select(isKey, kvHead + heads.query, query) * heads.dim;
  return HeadPairs(k, rotary, heads.dim, qkv, source, [this, isKey](Val element) {
    return k.select(isKey, k.load(kNorm, Elem::BF16, element), k.load(qNorm, Elem::BF16, element));
  });
}

void DecodeStep::rotateHeads() {
  const uint32_t rowPitch = this->rowPitch(heads.dim, width);
  auto store = [&](const HeadPairs &pairs, Val row) {
    Val factor = k.select(row < headsEach, k.f32(scale), k.f32(1));
    pairs.rotate(table, [&](Val i, Val y1, Val y2) {
      k.store(rotated, row * rowPitch + place(i), {y1 * factor});
      k.store(rotated, row * rowPitch + place(i + heads.dim / 2), {y2 * factor});
    });
  };
  table.fill([&](Val) { return rotation; });
  for (HeadPairs &pairs : rows)
    pairs.normalise();
  k.barrier();
  for (auto [turn, pairs] : llvm::enumerate(rows)) {
    Val row = k.subgroupIndex() + uint32_t(turn * subgroups());
    k.ifThen(row <= headsEach, [&, &pairs = pairs] { store(pairs, row); });
  }
  if (rows.empty())
    k.forLoop(k.subgroupIndex(), k.u32(headsEach + 1), k.subgroupCount(), [&](Val row) {
      HeadPairs pairs = rowPairs(row);
      pairs.normalise();
      store(pairs, row);
    });
  k.barrier();
}

Vals DecodeStep::rotatedPiece(Val row) {
  Vals x;
  for (uint32_t e = 0; e < width; ++e)
    x.push_back(k.loadOne(rotated, row * rowPitch(heads.dim, width) + piece + e * pitch(heads.dim, width)));
  return x;
}

Val DecodeStep::arrive() {
  return isLastWorkgroup(k, cells, kvHead * llvm::divideCeil(group, headsEach) + k.workgroupId(2) + arrivals, active);
}

std::string decodeAttentionSuffix(const Heads &heads, const Rotary &rotary, double scale, uint32_t splits) {
  return std::string(rotary.normalise ? "_norm" : "") + heads.suffix() + "_s" + std::to_string(splits) +
         (rotary.sections.empty() ? "" : "_mrope") + parameterTag({rotary.theta, rotary.eps, scale});
}

} // namespace qwenc
