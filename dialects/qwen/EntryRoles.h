//===- EntryRoles.h - What the entries of a plan are for ------------------------------------------------*- C++ -*-===//
#pragma once

#include "mlir/Support/LLVM.h"

namespace mlir::qwen::roles {

/// Values of attrs::role: the names of Role in plan.fbs, where each is described. Entries of text and the one that
/// prepares weights are called like their role.
inline constexpr StringLiteral other = "other";
inline constexpr StringLiteral prefill = "prefill";
inline constexpr StringLiteral nextGreedy = "next_greedy";
inline constexpr StringLiteral nextSample = "next_sample";
inline constexpr StringLiteral decodeGreedy = "decode_greedy";
inline constexpr StringLiteral decodeSample = "decode_sample";
inline constexpr StringLiteral logits = "logits";
inline constexpr StringLiteral prepare = "prepare";

} // namespace mlir::qwen::roles
