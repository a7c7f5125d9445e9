//===- HalfRange.h - Values that are stored as f16 -----------------------------------------------------*- C++ -*-===//
#pragma once

#include "compiler/Codegen/KernelBuilder.h"

namespace qwenc {

/// \p value as it may be stored in \p elem: what lies beyond f16 becomes f16's largest number, since an infinite one
/// would spoil every sum that it meets. Only absurd weights get there.
inline Val clampTo(KernelBuilder &k, Elem elem, Val value) {
  constexpr double kLargestF16 = 65504;
  return elem == Elem::F16 ? k.max(k.min(value, k.f32(kLargestF16)), k.f32(-kLargestF16)) : value;
}

inline Vals clampTo(KernelBuilder &k, Elem elem, Vals values) {
  for (Val &value : values)
    value = clampTo(k, elem, value);
  return values;
}

} // namespace qwenc
