//===- NextToken.cpp - Choosing the next token on the device -----------------------------------------------------===//

#include "compiler/Codegen/Kernels/NextToken.h"

using namespace mlir;

namespace qwenc {

using plan::Access;
namespace layout = plan::layout;

namespace {

constexpr uint32_t kPerGroup = 1024; // logits one workgroup of argmax looks at
constexpr uint32_t kWorkgroup = 256;

} // namespace

uint32_t nextTokenWorkgroup(const TargetProfile &target) {
  return std::min<uint32_t>(kWorkgroup, target.maxWorkgroupInvocations);
}

std::pair<Val, Val> workgroupArgmax(KernelBuilder &k, Val value, Val index) {
  Val best = k.workgroupMax(value);
  Val candidate = k.select(value == best, -k.toF32(index), k.f32(kLowestLogit));
  return {best, k.toU32(-k.workgroupMax(candidate))};
}

TokenPlace loadTokenPlace(KernelBuilder &k, Buffer cells) {
  return {loadCell(k, cells, layout::kLength), loadCell(k, cells, layout::kStep),
          loadCell(k, cells, layout::kPosition)};
}

void appendToken(KernelBuilder &k, Buffer cells, Buffer mailbox, Val token, const TokenPlace &place, bool advances,
                 const StateBlock &state) {
  k.ifThen(place.length <= state.maxContext, [&] {
    k.store(cells, Elem::U32, place.length + layout::kTokens / 4, token);
    storeCell(k, cells, layout::kLength, place.length + 1);
  });
  k.store(mailbox, Elem::U32, place.step % layout::kSampledCount + layout::kSampled / 4, token);
  storeCell(k, cells, layout::kStep, place.step + 1);
  if (advances)
    storeCell(k, cells, layout::kPosition, place.position + 1);
}

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
    // All loads are on their way before the first comparison; those behind the end repeat the last one.
    auto argmax = [&](Val begin, uint32_t count, Val last, llvm::function_ref<std::pair<Val, Val>(Val)> load) {
      SmallVector<std::pair<Val, Val>> own;
      for (uint32_t done = 0; done < count; done += k.invocations())
        own.push_back(load(k.min(begin + k.localIndex() + done, last)));
      Val best = k.f32(kLowestLogit), bestIndex = begin;
      for (auto [x, index] : own) {
        Val better = x > best;
        best = k.select(better, x, best);
        bestIndex = k.select(better, index, bestIndex);
      }
      return workgroupArgmax(k, best, bestIndex);
    };
    const TokenPlace place = loadTokenPlace(k, cells);
    auto append = [&](Val token) {
      k.ifThen(k.localIndex() == 0, [&] { appendToken(k, cells, mailbox, token, place, advances, state); });
    };

    Val group = k.workgroupId(0);
    auto [value, index] = argmax(group * kPerGroup, kPerGroup, k.u32(vocab - 1),
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
      const uint32_t groups = argmaxGroups(vocab);
      auto [largest, token] = argmax(k.u32(0), groups, k.u32(groups - 1), [&](Val i) {
        Vals partial = k.load(partials, Elem::U32, i * 2, 2);
        return std::pair(k.bitcastToF32(partial[0]), partial[1]);
      });
      append(token);
    });
    return success();
  };
  return plan;
}

} // namespace qwenc
