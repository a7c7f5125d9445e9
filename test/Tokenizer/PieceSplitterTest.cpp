// The hand-written splitter against the pattern it stands for, run by PCRE2.

#include "runtime/frontend/PieceSplitter.h"
#include "runtime/frontend/Utf8.h"

#include <gtest/gtest.h>
#include <random>
#include <string>
#include <vector>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

using namespace qwenrt;

namespace {

// \s of PCRE2 is not the property White_Space, so that it stands spelled out.
#define WHITE_SPACE R"(\x{9}-\x{d}\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})"
constexpr const char *kPattern = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
                                 R"(|[^\r\n\p{L}\p{N}]?\p{L}+)"
                                 R"(|\p{N})"
                                 "| ?[^" WHITE_SPACE R"(\p{L}\p{N}]+[\r\n]*)"
                                 "|[" WHITE_SPACE R"(]*[\r\n]+)"
                                 "|[" WHITE_SPACE "]+(?![^" WHITE_SPACE "])"
                                 "|[" WHITE_SPACE "]+";

class Oracle {
public:
  Oracle() {
    int error = 0;
    PCRE2_SIZE offset = 0;
    code_ = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(kPattern), PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP, &error,
                          &offset, nullptr);
    EXPECT_NE(code_, nullptr) << "error " << error << " at " << offset;
    match_ = pcre2_match_data_create_from_pattern(code_, nullptr);
  }
  ~Oracle() {
    pcre2_match_data_free(match_);
    pcre2_code_free(code_);
  }

  std::vector<std::string> split(const std::string &text) const {
    std::vector<std::string> pieces;
    for (size_t offset = 0; offset < text.size();) {
      if (pcre2_match(code_, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), offset, 0, match_, nullptr) < 1)
        break;
      const PCRE2_SIZE *range = pcre2_get_ovector_pointer(match_);
      EXPECT_EQ(range[0], offset) << "the pattern leaves no gaps";
      pieces.push_back(text.substr(range[0], range[1] - range[0]));
      offset = range[1];
    }
    return pieces;
  }

private:
  pcre2_code *code_ = nullptr;
  pcre2_match_data *match_ = nullptr;
};

const Oracle &oracle() {
  static const Oracle instance;
  return instance;
}

std::vector<std::string> split(const std::string &text) {
  std::vector<std::string> pieces;
  for (PieceSplitter splitter(text); !splitter.done();)
    pieces.emplace_back(splitter.next());
  return pieces;
}

using Pieces = std::vector<std::string>;

} // namespace

TEST(PieceSplitterTest, Examples) {
  EXPECT_EQ(split(""), Pieces());
  EXPECT_EQ(split("I'm it'S they'll  x"), (Pieces{"I", "'m", " it", "'S", " they", "'ll", " ", " x"}));
  EXPECT_EQ(split("a123"), (Pieces{"a", "1", "2", "3"}));
  EXPECT_EQ(split(" \n \n x"), (Pieces{" \n \n", " x"}));
  EXPECT_EQ(split("!!\n\n x"), (Pieces{"!!\n\n", " x"}));
  EXPECT_EQ(split("a  "), (Pieces{"a", "  "}));
  EXPECT_EQ(split("it\u2019s"), (Pieces{"it", "\u2019s"})) << "only the ASCII apostrophe contracts";
}

TEST(PieceSplitterTest, WhiteSpaceIsTheUnicodeProperty) {
  EXPECT_EQ(split("\u0085\u2028\u3000!"), (Pieces{"\u0085\u2028", "\u3000", "!"}));
  EXPECT_EQ(split("\x1c\x1f\u200b\ufeff"), (Pieces{"\x1c\x1f\u200b\ufeff"})) << "none of these is white space";
}

TEST(PieceSplitterTest, LongSContracts) { EXPECT_EQ(split("a'\u017fb"), (Pieces{"a", "'\u017f", "b"})); }

TEST(PieceSplitterTest, MarksAreNoLetters) {
  EXPECT_EQ(split("\u092c\u093e\u0930"), (Pieces{"\u092c", "\u093e\u0930"}));
  EXPECT_EQ(split("\u0301\u0301a"), (Pieces{"\u0301\u0301", "a"}));
}

TEST(PieceSplitterTest, RandomTextAgainstThePattern) {
  const std::vector<std::string> alphabet = {
      "a",      "B",      "s",      "S",      "t",      "r",      "e",          "l",      "'",
      "'",      " ",      " ",      "\n",     "\r",     "\t",     "1",          "!",      ".",
      "\u00a0", "\u0085", "\u3000", "\u0301", "\u00bd", "\u0436", "\u4eca",     "\u017f", "\u200b",
      "\x1c",   "\u212a", "v",      "m",      "D",      "_",      "\U0001f600", "\u2167", "\u0130"};
  std::mt19937 random(3);
  for (int round = 0; round < 60000; ++round) {
    std::string text;
    for (size_t length = random() % 14; length > 0; --length)
      text += alphabet[random() % alphabet.size()];
    ASSERT_EQ(split(text), oracle().split(text)) << testing::PrintToString(text);
  }
}

TEST(PieceSplitterTest, CodePointsAgainstThePattern) {
  // Its neighbours tell the classes apart. Assigned in both Unicode versions: those whose class differs are the newest
  // scripts.
  int differing = 0;
  for (char32_t c = 0; c < 0x110000; c += c < 0x20000 ? 1 : 61) {
    if (c >= 0xD800 && c <= 0xDFFF)
      continue;
    std::string text = "a";
    appendUtf8(c, text);
    text += "a! ";
    appendUtf8(c, text);
    if (split(text) == oracle().split(text))
      continue;
    ++differing;
    EXPECT_GT(c, 0xFFFFu) << "U+" << std::hex << static_cast<uint32_t>(c);
  }
  EXPECT_LT(differing, 10000);
  std::printf("          %d code points differ between the Unicode versions of utf8proc and PCRE2\n", differing);
}
