#include "TemporaryFolder.h"

#include "models/Checkpoint/Json.h"

using namespace qwenc;

TEST(Json, ParsesEveryKindOfValue) {
  const char *text = R"({"a": [1, -2, 3.5, "x", true, null], "b": {"c": {}}, "d": []})";
  Result<nlohmann::json> document = parseJson(text);
  ASSERT_TRUE(document.isOk()) << document.status().message();
  EXPECT_EQ(*document, nlohmann::json::parse(text));
}

TEST(Json, NamesThePlaceOfASyntaxError) {
  EXPECT_REFUSED(parseJson("{\"a\": 1,\n \"b\": }"), "broken JSON at line 2 column 7");
  EXPECT_REFUSED(parseJson(""), "broken JSON at line 1 column 1");
  EXPECT_REFUSED(parseJson("{} {}"), "broken JSON");
  EXPECT_REFUSED(parseJson("{\"a\": \"\xff\"}"), "broken JSON");
  EXPECT_REFUSED(parseJson("{\"a\": 1e999}"), "broken JSON");
}

TEST(Json, DoesNotOverlookWhatFollowsANulByte) {
  EXPECT_REFUSED(parseJson(std::string_view("{}\0{", 4)), "broken JSON at line 1 column 3");
}

TEST(Json, RefusesDuplicateKeys) { EXPECT_REFUSED(parseJson(R"({"x": {"a": 1, "a": 2}})"), "key 'a' stands twice"); }

TEST(Json, BoundsDepthValuesAndBytes) {
  EXPECT_TRUE(parseJson("[[1]]", {100, 2, 3}).isOk());
  EXPECT_REFUSED(parseJson("[[[1]]]", {100, 2, 100}), "nested deeper than 2 levels");
  EXPECT_REFUSED(parseJson("[[1, 2]]", {100, 2, 3}), "more than 3 JSON values");
  EXPECT_REFUSED(parseJson("[1, 2]", {5, 2, 3}), "JSON text of 6 bytes, expected at most 5");
  EXPECT_REFUSED(parseJson(std::string(1'000'000, '[')), "nested deeper than 64 levels");
}

TEST(Json, AccessIsTypeChecked) {
  nlohmann::json document =
      nlohmann::json::parse(R"({"big": 18446744073709551615, "neg": -1, "text": "x", "real": 1.5})");
  EXPECT_EQ(asUnsigned(document["big"]), UINT64_MAX);
  EXPECT_FALSE(asUnsigned(document["neg"]));
  EXPECT_FALSE(asUnsigned(document["real"]));
  EXPECT_FALSE(asUnsigned(document["text"]));
  EXPECT_EQ(asNumber(document["real"]), 1.5);
  EXPECT_FALSE(asNumber(document["text"]));
  EXPECT_EQ(*asString(document["text"]), "x");
  EXPECT_EQ(asString(document["neg"]), nullptr);
  EXPECT_EQ(member(document, "absent"), nullptr);
  EXPECT_EQ(member(document["neg"], "x"), nullptr);
}

TEST(Json, NamesInMessagesAreShortAndPrintable) {
  EXPECT_EQ(inQuotes("a\nb\x7f"), "'a\\x0ab\\x7f'");
  EXPECT_EQ(inQuotes(std::string(500, 'x')).size(), 120 + 2 + 3u);
  EXPECT_EQ(inQuotes("a\xff\xc3z天"), "'a\\xff\\xc3z天'");
  std::string accents;
  for (int i = 0; i < 300; ++i)
    accents += "天";
  EXPECT_TRUE(isUtf8(inQuotes(accents))) << inQuotes(accents);
}

TEST(Json, RecognisesUtf8) {
  EXPECT_TRUE(isUtf8(""));
  EXPECT_TRUE(isUtf8("Привет \n \"天\" \xef\xbf\xbd"));
  EXPECT_FALSE(isUtf8("a\xff"));
  EXPECT_FALSE(isUtf8("\xc0\x80"));
}
