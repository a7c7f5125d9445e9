// The steps between text and ids, one by one: UTF-8, NFC, added tokens, merges, streaming.

#include "TestSupport.h"

#include "runtime/frontend/Normalization.h"
#include "runtime/frontend/Utf8.h"

#include <random>

using namespace qwenc;
using namespace qwenc::test;
using namespace qwenrt;
using Ids = std::vector<int32_t>;

namespace {

std::string replaced(std::string_view bytes) {
  std::string text;
  appendReplacingInvalid(bytes, text);
  return text;
}

/// Byte-level tokenizer (ids = bytes) with extra pieces from 256 on, merges in the given order and added tokens.
Tokenizer makeByteTokenizer(const std::vector<std::string> &pieces, const std::vector<std::array<uint32_t, 3>> &merges,
                            const std::vector<AddedToken> &added = {}) {
  TokenizerData data;
  data.pieceOffsets.push_back(0);
  for (uint32_t byte = 0; byte < 256; ++byte) {
    data.pieceBytes.push_back(static_cast<uint8_t>(byte));
    data.pieceOffsets.push_back(byte + 1);
    data.byteIds.push_back(byte);
  }
  for (const std::string &piece : pieces) {
    data.pieceBytes.insert(data.pieceBytes.end(), piece.begin(), piece.end());
    data.pieceOffsets.push_back(static_cast<uint32_t>(data.pieceBytes.size()));
  }
  for (const auto &merge : merges)
    data.merges.insert(data.merges.end(), merge.begin(), merge.end());
  data.added = added;
  return makeTokenizer(data);
}

const char *kReplacement = "\xEF\xBF\xBD";

} // namespace

TEST(Utf8Test, MaximalInvalidPartsBecomeOneReplacement) {
  const std::string r = kReplacement;
  EXPECT_EQ(replaced("a\xff z"), "a" + r + " z");
  EXPECT_EQ(replaced("\xF0\x9F\x98\x80"), "\xF0\x9F\x98\x80");
  EXPECT_EQ(replaced("\xF0"), r);
  EXPECT_EQ(replaced("\xF0\x9F"), r);
  EXPECT_EQ(replaced("\xF0\x9F\x98"), r);
  EXPECT_EQ(replaced("\xF0\x9F\x98!"), r + "!");
  EXPECT_EQ(replaced("\x80\x80"), r + r);
  EXPECT_EQ(replaced("\xC0\xAF"), r + r) << "overlong";
  EXPECT_EQ(replaced("\xE0\x80\x80"), r + r + r) << "overlong";
  EXPECT_EQ(replaced("\xED\xA0\x80"), r + r + r) << "surrogate";
  EXPECT_EQ(replaced("\xF4\x90\x80\x80"), r + r + r + r) << "above U+10FFFF";
  EXPECT_EQ(replaced("\xE4\xBB\xE4\xBB\x8A"), r + "\xE4\xBB\x8A");
}

TEST(Utf8Test, EveryCodePointSurvives) {
  std::string all;
  for (char32_t c = 0; c < 0x110000; ++c)
    if (c < 0xD800 || c > 0xDFFF) {
      const size_t offset = all.size();
      appendUtf8(c, all);
      ASSERT_EQ(codePointAt(all, offset).value, c);
      ASSERT_EQ(codePointAt(all, offset).length, all.size() - offset);
    }
  EXPECT_EQ(firstInvalidUtf8(all), std::nullopt);
}

TEST(Utf8Test, FirstInvalidByte) {
  EXPECT_EQ(firstInvalidUtf8(""), std::nullopt);
  EXPECT_EQ(firstInvalidUtf8("0123456789\xC3(01234567890123"), 10u);
  EXPECT_EQ(firstInvalidUtf8("0123456789\xE4\xBB"), 10u);
}

TEST(Utf8Test, IncompleteTail) {
  EXPECT_EQ(incompleteTailLength(""), 0u);
  EXPECT_EQ(incompleteTailLength("a"), 0u);
  EXPECT_EQ(incompleteTailLength("a\xF0\x9F\x98"), 3u);
  EXPECT_EQ(incompleteTailLength("a\xF0\x9F\x98\x80"), 0u);
  EXPECT_EQ(incompleteTailLength("a\xE4\xBB"), 2u);
  EXPECT_EQ(incompleteTailLength("\xC3"), 1u);
  EXPECT_EQ(incompleteTailLength("\xE0\x80"), 0u) << "cannot become well-formed";
  EXPECT_EQ(incompleteTailLength("\x80\x80\x80"), 0u);
  EXPECT_EQ(incompleteTailLength("\xFF"), 0u);
}

TEST(EncodeTest, InvalidUtf8NamesTheByte) {
  Status status = goldenTokenizer().encode("ok \xC3(").status();
  EXPECT_EQ(status.code(), StatusCode::InvalidInput);
  EXPECT_EQ(status.message(), "invalid UTF-8 at byte offset 3 (0xc3), expected UTF-8 text, convert it first");
}

TEST(EncodeTest, HugeTextIsRefused) {
  Status status = goldenTokenizer().encode(std::string(Tokenizer::kMaxTextBytes + 1, ' ')).status();
  EXPECT_EQ(status.message(), "text of 67108865 bytes, expected at most 67108864, shorten it");
}

TEST(NormalizationTest, FormC) {
  EXPECT_EQ(toNfc("u\u0308ber \u00fc"), "\u00fcber \u00fc");
  EXPECT_EQ(toNfc("\u212b \u2126"), "\u00c5 \u03a9");
  EXPECT_EQ(toNfc("\u1112\u1161\u11ab"), "\ud55c");
  EXPECT_EQ(toNfc("a\u0323\u0307"), "\u1ea1\u0307") << "the dot below composes";
  EXPECT_EQ(toNfc("a\u0307\u0323"), "\u1ea1\u0307") << "marks are ordered by class first";
  EXPECT_EQ(toNfc("\u0958"), "\u0915\u093c") << "composition exclusion";
  EXPECT_EQ(toNfc("q\u0307\u0323"), "q\u0323\u0307");
  EXPECT_EQ(toNfc("\u0344"), "\u0308\u0301");
  EXPECT_EQ(toNfc("\ufb01"), "\ufb01") << "compatibility characters stay";
  EXPECT_TRUE(isTriviallyNfc("plain \u00e9\u02ff"));
  EXPECT_FALSE(isTriviallyNfc("e\u0301"));
}

TEST(NormalizationTest, BelowU0300NothingChanges) {
  std::string text;
  for (char32_t c = 0; c < 0x300; ++c)
    appendUtf8(c, text);
  EXPECT_TRUE(isTriviallyNfc(text));
  EXPECT_EQ(toNfc(text), text);
}

TEST(AddedTokenTest, LongestOfTheLeftmost) {
  const Tokenizer tokenizer = makeByteTokenizer(
      {}, {}, {{300, "<a>", false}, {301, "<a><b>", false}, {302, "<a><b><c>x", false}, {303, "b", false}});
  auto encode = [&](std::string_view text) { return valueOf(tokenizer.encode(text)); };
  EXPECT_EQ(encode("<a>"), (Ids{300}));
  EXPECT_EQ(encode("<a><b>"), (Ids{301}));
  EXPECT_EQ(encode("<a><b><c>"), (Ids{301, '<', 'c', '>'}));
  EXPECT_EQ(encode("<a><b><c>x"), (Ids{302}));
  EXPECT_EQ(encode("<<a>b"), (Ids{'<', 300, 303})) << "also inside words";
  EXPECT_EQ(encode("<A> "), (Ids{'<', 'A', '>', ' '})) << "case-sensitive";
  EXPECT_EQ(encode(" <a> "), (Ids{' ', 300, ' '})) << "blanks stay";
  EXPECT_EQ(valueOf(tokenizer.encode("<a>b", {.recogniseSpecial = false})), (Ids{'<', 'a', '>', 'b'}));
}

TEST(AddedTokenTest, MatchedBeforeNormalization) {
  // Matched on the raw text, each stretch between is normalized by itself.
  const Tokenizer tokenizer = makeByteTokenizer({}, {}, {{300, "e", false}});
  EXPECT_EQ(valueOf(tokenizer.encode("e\u0301")), (Ids{300, 0xCC, 0x81}));
}

TEST(MergeTest, LowestRankAtAllPlacesThenTheNext) {
  // "bc" outranks "ab" only where it stands lower.
  const std::vector<std::string> pieces = {"ab", "bc"};
  EXPECT_EQ(valueOf(makeByteTokenizer(pieces, {{'a', 'b', 256}, {'b', 'c', 257}}).encode("abcabc")),
            (Ids{256, 'c', 256, 'c'}));
  EXPECT_EQ(valueOf(makeByteTokenizer(pieces, {{'b', 'c', 257}, {'a', 'b', 256}}).encode("abcabc")),
            (Ids{'a', 257, 'a', 257}));
  EXPECT_EQ(valueOf(makeByteTokenizer({"aa", "aaaa"}, {{'a', 'a', 256}, {256, 256, 257}}).encode("aaaaaaa")),
            (Ids{257, 256, 'a'}));
}

TEST(MergeTest, APieceIsNeverLookedUpWhole) {
  EXPECT_EQ(valueOf(makeByteTokenizer({"abc"}, {}).encode("abc")), (Ids{'a', 'b', 'c'}));
}

TEST(MergeTest, TheLastOfEqualMergesCounts) {
  const std::vector<std::string> pieces = {"ab", "bc"};
  EXPECT_EQ(valueOf(makeByteTokenizer(pieces, {{'a', 'b', 256}, {'b', 'c', 257}, {'a', 'b', 256}}).encode("abc")),
            (Ids{'a', 257}));
}

TEST(MergeTest, LongAndShortPiecesMergeAlike) {
  // Random merges, also such whose result outranks their parts; the reference merges as the definition says, on a plain
  // array.
  std::mt19937 random(7);
  for (int round = 0; round < 60; ++round) {
    std::vector<std::string> pieces;
    std::vector<std::array<uint32_t, 3>> merges;
    std::vector<uint32_t> ids = {'a', 'b', 'c'};
    auto bytes = [&](uint32_t id) { return id < 256 ? std::string(1, static_cast<char>(id)) : pieces[id - 256]; };
    for (int i = 0; i < 40; ++i) {
      const uint32_t left = ids[random() % ids.size()], right = ids[random() % ids.size()];
      if (bytes(left).size() + bytes(right).size() > 12)
        continue;
      pieces.push_back(bytes(left) + bytes(right));
      merges.push_back({left, right, static_cast<uint32_t>(255 + pieces.size())});
      ids.push_back(merges.back()[2]);
    }
    std::shuffle(merges.begin(), merges.end(), random);
    const Tokenizer tokenizer = makeByteTokenizer(pieces, merges);
    for (size_t length : {1, 5, 30, 48, 49, 60, 300}) {
      std::string text;
      for (size_t i = 0; i < length; ++i)
        text.push_back("abc"[random() % 3]);
      std::vector<uint32_t> expected(text.begin(), text.end());
      while (true) {
        size_t lowest = merges.size();
        for (size_t i = 0; i + 1 < expected.size(); ++i)
          for (size_t rank = merges.size(); rank-- > 0;)
            if (merges[rank][0] == expected[i] && merges[rank][1] == expected[i + 1]) {
              lowest = std::min(lowest, rank);
              break;
            }
        if (lowest == merges.size())
          break;
        std::vector<uint32_t> next;
        for (size_t i = 0; i < expected.size(); ++i) {
          const bool merged =
              i + 1 < expected.size() && merges[lowest][0] == expected[i] && merges[lowest][1] == expected[i + 1];
          next.push_back(merged ? merges[lowest][2] : expected[i]);
          i += merged;
        }
        expected = next;
      }
      ASSERT_EQ(valueOf(tokenizer.encode(text)), Ids(expected.begin(), expected.end())) << round << " " << text;
    }
  }
}

TEST(DecodeTest, IdsWithoutATokenAddNothing) {
  EXPECT_EQ(goldenTokenizer().decode(Ids{64, -1, 1433, INT32_MAX, INT32_MIN, 64}), "aa");
  EXPECT_FALSE(goldenTokenizer().hasToken(1433));
  EXPECT_FALSE(goldenTokenizer().hasToken(-1));
  EXPECT_TRUE(goldenTokenizer().hasToken(1432));
}

TEST(DecodeTest, SkippedTokensLeaveTheirNeighboursTogether) {
  const Tokenizer tokenizer = makeByteTokenizer({}, {}, {{300, "<s>", true}, {301, "<n>", false}});
  EXPECT_EQ(tokenizer.decode(Ids{0xC3, 300, 0xBC}, true), "\u00fc");
  EXPECT_EQ(tokenizer.decode(Ids{0xC3, 300, 0xBC}, false), std::string(kReplacement) + "<s>" + kReplacement);
  EXPECT_EQ(tokenizer.decode(Ids{0xC3, 301, 0xBC}, true), std::string(kReplacement) + "<n>" + kReplacement);
}

TEST(StreamDecoderTest, HoldsBackWhatIsIncomplete) {
  const Tokenizer tokenizer = makeByteTokenizer({}, {}, {{300, "<s>", true}});
  StreamDecoder decoder(tokenizer);
  EXPECT_EQ(decoder.push(0xF0), "");
  EXPECT_EQ(decoder.push(0x9F), "");
  EXPECT_EQ(decoder.push(0x98), "");
  EXPECT_EQ(decoder.push(0x80), "\xF0\x9F\x98\x80");
  EXPECT_EQ(decoder.push(0xF0), "");
  EXPECT_EQ(decoder.push('a'), std::string(kReplacement) + "a");
  EXPECT_EQ(decoder.push(0xC3), "");
  EXPECT_EQ(decoder.push(300), std::string(kReplacement) + "<s>");
  EXPECT_EQ(decoder.push(0xE4), "");
  EXPECT_EQ(decoder.push(0xBB), "");
  EXPECT_EQ(decoder.finish(), kReplacement);
  EXPECT_EQ(decoder.finish(), "");
}

TEST(StreamDecoderTest, AnyBytesGiveTheTextOfTheWhole) {
  const Tokenizer tokenizer = makeByteTokenizer({}, {}, {{300, "<s>", true}});
  std::mt19937 random(11);
  const std::vector<int32_t> alphabet = {'a',  0x80, 0x9F, 0xA0, 0xBF, 0xC2, 0xC0, 0xE0,
                                         0xE4, 0xED, 0xF0, 0xF4, 0xFF, 300,  -1};
  for (int round = 0; round < 20000; ++round) {
    Ids ids;
    for (int i = 0; i < 8; ++i)
      ids.push_back(alphabet[random() % alphabet.size()]);
    const bool skip = round % 2;
    StreamDecoder decoder(tokenizer, skip);
    std::string text;
    for (int32_t id : ids)
      text += decoder.push(id);
    ASSERT_EQ(text + decoder.finish(), tokenizer.decode(ids, skip));
  }
}
