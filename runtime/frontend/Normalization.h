//===- Normalization.h - Unicode normalization form C -----------------------------------------------------------===//
//
// utf8proc's own whole-string function orders combining marks by exchanging neighbours, which takes quadratic time on
// long runs of them (a megabyte of marks: hours). Here utf8proc supplies the character data and the composition, and
// the marks are ordered by a stable sort, so that any text takes O(n log n).
//
// Source: Unicode Standard Annex 15.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include <string>
#include <string_view>

namespace qwenrt {

/// True if \p text is certainly in form C already: everything below U+0300 is. \p text must be UTF-8.
bool isTriviallyNfc(std::string_view text);

/// Form C of \p text, which must be UTF-8.
std::string toNfc(std::string_view text);

} // namespace qwenrt
