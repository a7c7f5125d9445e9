//===- PlanNames.h - One spelling of the schema's enumerations for people ------------------------------*- C++ -*-===//
//
// plan.fbs writes enumerators in camel case; the plan dialect, dumps and messages write them in snake case. The size of
// their elements stands here too.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "plan_generated.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace qwenrt {

/// "HeadRow" -> "head_row", "BFloat16" -> "bfloat16", "F32" -> "f32": an underscore stands where an upper case letter
/// follows a lower case letter or a digit.
inline std::string snakeCase(std::string_view camelCase) {
  std::string snake;
  char before = '\0';
  for (char c : camelCase) {
    bool isUpper = c >= 'A' && c <= 'Z';
    bool beforeIsLower = (before >= 'a' && before <= 'z') || (before >= '0' && before <= '9');
    if (isUpper && beforeIsLower)
      snake += '_';
    snake += isUpper ? static_cast<char>(c - 'A' + 'a') : c;
    before = c;
  }
  return snake;
}

/// Bytes of one element; 0 for a number that names no type.
constexpr uint32_t bytesOfElement(fb::DType dtype) {
  switch (dtype) {
  case fb::DType::F32:
  case fb::DType::I32:
  case fb::DType::U32:
    return 4;
  case fb::DType::BF16:
  case fb::DType::F16:
    return 2;
  case fb::DType::U8:
    return 1;
  }
  return 0;
}

} // namespace qwenrt
