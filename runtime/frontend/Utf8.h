//===- Utf8.h - UTF-8 as the tokenizer needs it -----------------------------------------------------------------===//
//
// Well-formedness is that of the Unicode Standard, table 3-7 (no surrogates, no overlong forms, nothing above
// U+10FFFF). Ill-formed bytes are replaced by "maximal subparts": each longest prefix of some well-formed sequence
// becomes one U+FFFD, any other byte one of its own. Python's errors="replace" and the WHATWG decoder do the same.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace qwenrt {

/// What stands at one place of a byte string.
struct Utf8Part {
  enum class Kind {
    Valid,      ///< one well-formed code point
    Invalid,    ///< a maximal ill-formed part
    Incomplete, ///< the string ends within a sequence that is well-formed so far
  };
  Kind kind;
  uint8_t length; ///< bytes, 1 .. 4
};

/// Classifies the bytes at \p offset < bytes.size().
Utf8Part utf8PartAt(std::string_view bytes, size_t offset);

/// Offset of the first byte that belongs to no well-formed code point, none if \p text is UTF-8.
std::optional<size_t> firstInvalidUtf8(std::string_view text);

struct CodePoint {
  char32_t value;
  uint8_t length; ///< bytes, 1 .. 4
};

/// The code point at \p offset of \p text, which must be UTF-8 and have one there.
inline CodePoint codePointAt(std::string_view text, size_t offset) {
  auto byte = [&](size_t i) { return static_cast<char32_t>(static_cast<uint8_t>(text[offset + i])); };
  char32_t lead = byte(0);
  if (lead < 0x80)
    return {lead, 1};
  if (lead < 0xE0)
    return {(lead & 0x1F) << 6 | (byte(1) & 0x3F), 2};
  if (lead < 0xF0)
    return {(lead & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F), 3};
  return {(lead & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F), 4};
}

/// Appends the UTF-8 form of \p codePoint (a scalar value) to \p text.
void appendUtf8(char32_t codePoint, std::string &text);

/// Appends \p bytes to \p text with U+FFFD for every maximal ill-formed part, a cut sequence at the end included.
void appendReplacingInvalid(std::string_view bytes, std::string &text);

/// Length in bytes of the incomplete sequence that \p bytes ends with, 0 .. 3.
size_t incompleteTailLength(std::string_view bytes);

} // namespace qwenrt
