// A megabyte of anything has to encode within a second (in a release build; a hundredth of that is typical for prose).

#include "TestSupport.h"

#include <ctime>

using namespace qwenc::test;

namespace {

std::string repeated(std::string_view unit, size_t sizeBytes = 1 << 20) {
  std::string text;
  while (text.size() + unit.size() <= sizeBytes)
    text += unit;
  return text;
}

/// Processor time, which other programs on the machine do not stretch.
double processorSeconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

void expectQuick(const char *name, const std::string &text) {
  const double start = processorSeconds();
  const std::vector<int32_t> ids = valueOf(goldenTokenizer().encode(text));
  const double seconds = processorSeconds() - start;
  std::printf("          %-28s %5.0f ms %7.1f MB/s %8zu ids\n", name, seconds * 1e3,
              static_cast<double>(text.size()) / 1e6 / seconds, ids.size());
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !__has_feature(address_sanitizer)
  EXPECT_LT(seconds, 1.0) << name;
#else
  EXPECT_LT(seconds, 20.0) << name;
#endif
  EXPECT_FALSE(ids.empty());
}

} // namespace

TEST(LinearTimeTest, OneMegabyteOf) {
  expectQuick("prose", repeated("The quick brown fox jumps over the lazy dog, and it's 42 years old.\n"));
  expectQuick(
      "Russian",
      repeated(
          "\u041f\u043e\u0435\u0437\u0434 \u0435\u0434\u0435\u0442 \u043f\u043e \u043c\u043e\u0441\u0442\u0443. "));
  expectQuick("Chinese without blanks", repeated("\u4eca\u5929\u4e0b\u96e8\u4e86"));
  expectQuick("one letter", repeated("a"));
  expectQuick("letters of the alphabet", repeated("abcdefghijklmnopqrstuvwxyz"));
  expectQuick("'an' and 'st'", repeated("anstister"));
  expectQuick("spaces", repeated(" "));
  expectQuick("spaces, then a letter", repeated(" ") + "x");
  expectQuick("line feeds", repeated("\n"));
  expectQuick("spaces and line feeds", repeated(" \n") + "x");
  expectQuick("line feed, then spaces", "\n" + repeated(" ") + "x");
  expectQuick("tabs and letters", repeated("\t\tx"));
  expectQuick("digits", repeated("7"));
  expectQuick("contractions", repeated("'s"));
  expectQuick("apostrophes", repeated("'"));
  expectQuick("punctuation", repeated("!?.,"));
  expectQuick("punctuation and line feeds", repeated("!\n"));
  expectQuick("combining acute", repeated("\u0301"));
  expectQuick("marks in wrong order", "a" + repeated("\u0301\u0323"));
  expectQuick("marks, classes descending", "a" + repeated("\u0301", 1 << 19) + repeated("\u0323", 1 << 19));
  expectQuick("decomposed letters", repeated("e\u0301"));
  expectQuick("Hangul jamo", repeated("\u1112\u1161\u11ab"));
  expectQuick("expanding code points", repeated("\u1fb7\U0001d160"));
  expectQuick("emoji", repeated("\U0001f468\u200d\U0001f469"));
  expectQuick("special tokens", repeated("<|im_start|>"));
  expectQuick("almost special tokens", repeated("<|im_star"));
  expectQuick("angle brackets", repeated("<"));
  expectQuick("zero bytes", std::string(1 << 20, '\0'));
}

TEST(LinearTimeTest, DecodingOneMillionIds) {
  const std::vector<int32_t> ids(1000000, 1157); // an incomplete character each
  const double start = processorSeconds();
  qwenrt::StreamDecoder decoder(goldenTokenizer());
  size_t sizeBytes = 0;
  for (int32_t id : ids)
    sizeBytes += decoder.push(id).size();
  sizeBytes += decoder.finish().size();
  EXPECT_EQ(sizeBytes, goldenTokenizer().decode(ids).size());
  EXPECT_LT(processorSeconds() - start, 5.0);
}
