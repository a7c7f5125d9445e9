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
      Vals best = k.forLoop(begin + k.localIndex(), end, k.u32(k.invocations()), {k.f32(kLowestLogit), begin},
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

} // namespace qwenc
