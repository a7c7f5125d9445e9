//===- PieceSplitter.h - Qwen2's pre-split pattern as a scanner -------------------------------------------------===//
//
// Splits text into the pieces within which bytes are merged. The pattern of the family, alternatives tried in this
// order:
//
//   (?i:'s|'t|'re|'ve|'m|'ll|'d) | [^\r\n\p{L}\p{N}]?\p{L}+ | \p{N} | ?[^\s\p{L}\p{N}]+[\r\n]* | \s*[\r\n]+ | \s+(?!\S)
//   | \s+
//
// It is written by hand instead of handed to a regular-expression library, because a backtracking matcher takes
// quadratic time on long runs of white space (\s*[\r\n]+ and \s+(?!\S) each walk the run and back again from every
// place) and runs into its limits on a megabyte of letters. The scanner looks at each code point a bounded number of
// times. The tests hold it against PCRE2 with the pattern above.
//
// \p{L} and \p{N} are general categories (utf8proc's Unicode version; code points assigned later count as neither). \s
// is the property White_Space, written out. Case-insensitive means Unicode simple folding: U+017F (long s) counts as an
// s, as in Oniguruma, which the published tokenizers run on. Every code point matches some alternative, so that the
// pieces cover the text.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include <cstddef>
#include <string_view>

namespace qwenrt {

class PieceSplitter {
public:
  /// \p text must be UTF-8 and outlive the splitter.
  explicit PieceSplitter(std::string_view text) : text_(text) {}

  bool done() const { return begin_ == text_.size(); }

  /// The next piece; at least one code point. Only while !done().
  std::string_view next();

private:
  size_t pieceEnd() const;
  size_t contractionEnd() const;
  size_t whiteSpacePieceEnd() const;

  std::string_view text_;
  size_t begin_ = 0;
};

} // namespace qwenrt
