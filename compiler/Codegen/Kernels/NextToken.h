//===- NextToken.h - Kernels that choose the next token -----------------------------------------------*- C++ -*-===//
#pragma once

#include "compiler/Codegen/Kernels/Kernels.h"

#include "dialects/plan/StateLayout.h"

namespace qwenc {

/// Ids from first to end - 1 apart from kept are never chosen.
struct Suppression {
  uint32_t first = 0, end = 0, kept = 0;
  /// "_without100_200_keep150", or empty when nothing is suppressed.
  std::string suffix() const;
  /// Whether \p id must not be chosen.
  Val holds(KernelBuilder &k, Val id) const;
};

/// Workgroups that share the argmax over `vocab` logits.
uint32_t argmaxGroups(uint32_t vocab);
/// Operands: logits [v], partials [groups, 2], state, mailbox. The last workgroup chooses among the maxima that all
/// have left and appends the token.
KernelPlan appendArgmaxKernel(uint32_t vocab, bool advances, const StateBlock &state, const TargetProfile &target);

/// Workgroups that share the sampling among `vocab` logits.
uint32_t sampleShares(uint32_t vocab);
/// Operands: logits [v], scratch [v], partials [shares, 2], state, mailbox. Repetition
/// penalty, temperature, top-k, top-p, draw, append.
KernelPlan sampleKernel(uint32_t vocab, bool advances, const Suppression &suppression, const StateBlock &state,
                        const TargetProfile &target);
/// Operands: logits [v], scratch [v], state, mailbox. The largest logit after repetition penalty and suppression.
KernelPlan penalisedArgmaxKernel(uint32_t vocab, bool advances, const Suppression &suppression, const StateBlock &state,
                                 const TargetProfile &target);

//===------------------------------------------------------------------------------------------------------------===//
// What they share
//===------------------------------------------------------------------------------------------------------------===//

constexpr double kLowestLogit = -3.0e38;

uint32_t nextTokenWorkgroup(const TargetProfile &target);
/// Best (value, index) over the workgroup; the lowest index wins a tie. Indices are below 2^24 and so exact in f32.
std::pair<Val, Val> workgroupArgmax(KernelBuilder &k, Val value, Val index);
/// Where a token goes. Loaded early: it does not depend on which token that is.
struct TokenPlace {
  Val length, step, position;
};
TokenPlace loadTokenPlace(KernelBuilder &k, Buffer cells);
/// Tokens[Length] = token, Sampled[Step] = token; Length, Step and (in decode) Position grow by one. One invocation.
void appendToken(KernelBuilder &k, Buffer cells, Buffer mailbox, Val token, const TokenPlace &place, bool advances,
                 const StateBlock &state);

} // namespace qwenc
