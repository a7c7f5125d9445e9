#include "runtime/frontend/Normalization.h"

#include "runtime/frontend/Utf8.h"

#include <algorithm>
#include <utf8proc.h>
#include <vector>

namespace qwenrt {
namespace {

using CodePoints = std::vector<utf8proc_int32_t>;

utf8proc_propval_t combiningClass(utf8proc_int32_t codePoint) {
  return utf8proc_get_property(codePoint)->combining_class;
}

/// Appends the full canonical decomposition of \p codePoint.
void appendDecomposition(char32_t codePoint, CodePoints &result) {
  constexpr int kMaxDecomposition = 18; // canonical ones have at most 4 code points
  utf8proc_int32_t buffer[kMaxDecomposition];
  utf8proc_ssize_t count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(codePoint), buffer, kMaxDecomposition,
                                                   UTF8PROC_DECOMPOSE, nullptr);
  if (count > 0 && count <= kMaxDecomposition)
    result.insert(result.end(), buffer, buffer + count);
  else
    result.push_back(static_cast<utf8proc_int32_t>(codePoint));
}

/// Sorts every run of marks by combining class, keeping the order of equals.
void orderMarks(CodePoints &text) {
  constexpr int kCodePointBits = 21, kIndexBits = 32;
  std::vector<uint64_t> keys; // class, index, code point
  for (size_t begin = 0; begin < text.size();) {
    keys.clear();
    size_t end = begin;
    for (; end < text.size(); ++end) {
      const uint64_t markClass = combiningClass(text[end]);
      if (markClass == 0)
        break;
      keys.push_back((markClass << kIndexBits | (end - begin)) << kCodePointBits | static_cast<uint64_t>(text[end]));
    }
    if (!std::is_sorted(keys.begin(), keys.end())) {
      std::sort(keys.begin(), keys.end());
      for (size_t i = 0; i < keys.size(); ++i)
        text[begin + i] = static_cast<utf8proc_int32_t>(keys[i] & ((1u << kCodePointBits) - 1));
    }
    begin = end + 1;
  }
}

} // namespace

bool isTriviallyNfc(std::string_view text) {
  // 0xCC is the lead byte of U+0300.
  return std::none_of(text.begin(), text.end(), [](char c) { return static_cast<uint8_t>(c) >= 0xCC; });
}

std::string toNfc(std::string_view text) {
  CodePoints codePoints;
  codePoints.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    CodePoint codePoint = codePointAt(text, i);
    if (codePoint.value < 0xC0) // nothing below decomposes
      codePoints.push_back(static_cast<utf8proc_int32_t>(codePoint.value));
    else
      appendDecomposition(codePoint.value, codePoints);
    i += codePoint.length;
  }
  orderMarks(codePoints);
  utf8proc_ssize_t count = utf8proc_normalize_utf32(codePoints.data(), static_cast<utf8proc_ssize_t>(codePoints.size()),
                                                    static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
  std::string result;
  result.reserve(text.size());
  for (utf8proc_ssize_t i = 0; i < count; ++i)
    appendUtf8(static_cast<char32_t>(codePoints[static_cast<size_t>(i)]), result);
  return result;
}

} // namespace qwenrt
