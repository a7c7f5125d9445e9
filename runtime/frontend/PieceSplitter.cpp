#include "runtime/frontend/PieceSplitter.h"

#include "runtime/frontend/Utf8.h"

#include <array>
#include <utf8proc.h>

namespace qwenrt {
namespace {

enum class CharClass : uint8_t {
  Letter,     // \p{L}
  Number,     // \p{N}
  LineBreak,  // CR, LF
  WhiteSpace, // the rest of \s
  Other,
};

constexpr bool isWhiteSpace(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

constexpr std::array<CharClass, 128> makeAsciiClasses() {
  std::array<CharClass, 128> classes{};
  for (char32_t c = 0; c < 128; ++c) {
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    classes[c] = letter                   ? CharClass::Letter
                 : c >= '0' && c <= '9'   ? CharClass::Number
                 : c == '\r' || c == '\n' ? CharClass::LineBreak
                 : isWhiteSpace(c)        ? CharClass::WhiteSpace
                                          : CharClass::Other;
  }
  return classes;
}

constexpr std::array<CharClass, 128> kAsciiClasses = makeAsciiClasses();

CharClass classOf(char32_t c) {
  if (c < 128)
    return kAsciiClasses[c];
  if (isWhiteSpace(c))
    return CharClass::WhiteSpace;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
  case UTF8PROC_CATEGORY_LU:
  case UTF8PROC_CATEGORY_LL:
  case UTF8PROC_CATEGORY_LT:
  case UTF8PROC_CATEGORY_LM:
  case UTF8PROC_CATEGORY_LO:
    return CharClass::Letter;
  case UTF8PROC_CATEGORY_ND:
  case UTF8PROC_CATEGORY_NL:
  case UTF8PROC_CATEGORY_NO:
    return CharClass::Number;
  default:
    return CharClass::Other;
  }
}

struct ClassifiedChar {
  CharClass charClass;
  uint8_t length; // bytes
};

ClassifiedChar classAt(std::string_view text, size_t offset) {
  CodePoint codePoint = codePointAt(text, offset);
  return {classOf(codePoint.value), codePoint.length};
}

bool isAt(std::string_view text, size_t offset, CharClass charClass) {
  return offset < text.size() && classAt(text, offset).charClass == charClass;
}

/// End of the run of \p charClass that starts at \p offset (which may be empty).
size_t runEnd(std::string_view text, size_t offset, CharClass charClass) {
  while (offset < text.size()) {
    ClassifiedChar c = classAt(text, offset);
    if (c.charClass != charClass)
      break;
    offset += c.length;
  }
  return offset;
}

char asciiLower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

} // namespace

std::string_view PieceSplitter::next() {
  size_t end = pieceEnd();
  std::string_view piece = text_.substr(begin_, end - begin_);
  begin_ = end;
  return piece;
}

size_t PieceSplitter::pieceEnd() const {
  if (text_[begin_] == '\'')
    if (size_t end = contractionEnd())
      return end;

  auto [first, length] = classAt(text_, begin_);
  size_t second = begin_ + length;
  switch (first) {
  case CharClass::Letter:
    return runEnd(text_, second, CharClass::Letter);
  case CharClass::Number:
    return second;
  case CharClass::LineBreak:
    return whiteSpacePieceEnd();
  case CharClass::WhiteSpace:
    if (isAt(text_, second, CharClass::Letter))
      return runEnd(text_, second, CharClass::Letter);
    if (text_[begin_] == ' ' && isAt(text_, second, CharClass::Other))
      return runEnd(text_, runEnd(text_, second, CharClass::Other), CharClass::LineBreak);
    return whiteSpacePieceEnd();
  case CharClass::Other:
    if (isAt(text_, second, CharClass::Letter))
      return runEnd(text_, second, CharClass::Letter);
    return runEnd(text_, runEnd(text_, second, CharClass::Other), CharClass::LineBreak);
  }
  return second;
}

/// End of the contraction at begin_, which is an apostrophe; 0 if there is none.
size_t PieceSplitter::contractionEnd() const {
  std::string_view rest = text_.substr(begin_ + 1);
  if (rest.empty())
    return 0;
  if (rest.starts_with("\xC5\xBF")) // U+017F folds to s
    return begin_ + 3;
  char first = asciiLower(rest[0]);
  if (first == 's' || first == 't' || first == 'm' || first == 'd')
    return begin_ + 2;
  char second = rest.size() > 1 ? asciiLower(rest[1]) : '\0';
  if (((first == 'r' || first == 'v') && second == 'e') || (first == 'l' && second == 'l'))
    return begin_ + 3;
  return 0;
}

/// The last three alternatives at begin_, which is white space: up to the last line break of the run; or the run, but
/// for its last character if something follows it; or the run. A run is walked once per piece and yields at most three.
size_t PieceSplitter::whiteSpacePieceEnd() const {
  size_t end = begin_, lastStart = begin_, afterLineBreak = 0;
  while (end < text_.size()) {
    ClassifiedChar c = classAt(text_, end);
    if (c.charClass != CharClass::WhiteSpace && c.charClass != CharClass::LineBreak)
      break;
    lastStart = end;
    end += c.length;
    if (c.charClass == CharClass::LineBreak)
      afterLineBreak = end;
  }
  if (afterLineBreak)
    return afterLineBreak;
  if (end == text_.size() || lastStart == begin_)
    return end;
  return lastStart;
}

} // namespace qwenrt
