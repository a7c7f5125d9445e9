//===- TraceTest.cpp - Chrome trace and kernel table -------------------------------------------------------------===//
#include "qwenrt/Trace.h"
#include "runtime/lib/Text.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

using namespace qwenrt;

namespace {

std::vector<TraceEvent> events() {
  TraceEvent a = {"decode", "gemv \"q\"\n", "layers.0", 0, 1500, 3000, {4, 2, 1}};
  TraceEvent b = {"decode", "norm", "", 1500, 500, 0, {1, 1, 1}};
  return {a, b, a};
}

TEST(Trace, IsChromeJson) {
  nlohmann::json json = nlohmann::json::parse(chromeTrace(events()), nullptr, false);
  ASSERT_TRUE(json.is_object());
  ASSERT_EQ(json["traceEvents"].size(), 3u);
  EXPECT_EQ(json["traceEvents"][0]["name"], "gemv \"q\"\n");
  EXPECT_EQ(json["traceEvents"][0]["dur"], 1.5);
  EXPECT_EQ(json["traceEvents"][1]["ts"], 1.5);
  EXPECT_EQ(json["traceEvents"][0]["args"]["groups"], nlohmann::json({4, 2, 1}));
  EXPECT_TRUE(nlohmann::json::parse(chromeTrace({}), nullptr, false).is_object());
}

TEST(Trace, ShowsWhatTheHostHandsOut) {
  const TraceMark marks[] = {{TraceMark::Kind::Token, 2500, 7}, {TraceMark::Kind::Audio, 4000, 1920}};
  nlohmann::json json = nlohmann::json::parse(chromeTrace(events(), marks), nullptr, false);
  ASSERT_TRUE(json.is_object());
  ASSERT_EQ(json["traceEvents"].size(), 5u);
  const nlohmann::json &token = json["traceEvents"][3], &audio = json["traceEvents"][4];
  EXPECT_EQ(token["name"], "token");
  EXPECT_EQ(token["ph"], "i");
  EXPECT_EQ(token["ts"], 2.5);
  EXPECT_EQ(token["args"]["id"], 7);
  EXPECT_EQ(audio["name"], "audio");
  EXPECT_EQ(audio["args"]["samples"], 1920);
}

TEST(Trace, TableIsSortedByTime) {
  std::string table = kernelTable(events(), 1);
  EXPECT_NE(table.find("85.7%      0.003        2       1.50      2.0  gemv"), std::string::npos) << table;
  EXPECT_EQ(table.find("norm"), std::string::npos);
}

TEST(Text, FormatsBytes) {
  EXPECT_EQ(formatBytes(999), "999 B");
  EXPECT_EQ(formatBytes(1500), "1.5 kB");
  EXPECT_EQ(formatBytes(12'300'000), "12.3 MB");
  EXPECT_EQ(formatBytes(1'230'000'000), "1.23 GB");
}

TEST(Text, JsonStringsHoldAnyBytes) {
  EXPECT_EQ(jsonString("a\"\\\n"), "\"a\\\"\\\\\\u000a\"");
  EXPECT_EQ(jsonString("\xe5\xa4\xa9\xff"), "\"\xe5\xa4\xa9\\ufffd\"");
}

TEST(Text, MessagesStayOneLine) {
  EXPECT_EQ(printable("a\nb\x1b[0m"), "a?b?[0m");
  EXPECT_EQ(printable(std::string(300, 'x')), std::string(200, 'x') + "...");
  EXPECT_EQ(printable("a\xff\xc3z\xe5\xa4\xa9\xe5"), "a??z\xe5\xa4\xa9?");
  // A character across the cut is left out as a whole.
  EXPECT_EQ(printable(std::string(199, 'x') + "\xc3\xa9\xc3\xa9"), std::string(199, 'x') + "...");
}

} // namespace
