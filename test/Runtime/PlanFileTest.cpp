//===- PlanFileTest.cpp - Cut, flipped and foreign files ---------------------------------------------------------===//
#include "TestPlan.h"
#include "test/Checkpoint/TemporaryFolder.h"

#include <gtest/gtest.h>

#include <cstring>

using namespace qwenrt;
using namespace qwenrt::test;

namespace {

std::string messageOf(std::span<const std::byte> file) { return verifyPlan(file).message(); }

TEST(PlanFile, OpensWhatWasWritten) {
  auto plan = Plan::fromBytes(fakeModel().encodeFile(), "folder");
  ASSERT_TRUE(plan.isOk()) << plan.status().message();
  EXPECT_EQ((*plan)->folder(), "folder");
  EXPECT_EQ((*plan)->findEntry("decode_greedy"), std::optional<uint32_t>(kDecodeGreedy));
  EXPECT_EQ((*plan)->findEntry("none"), std::nullopt);
  EXPECT_EQ((*plan)->findCell(fb::CellKind::Step)->offset(), 20u);
  EXPECT_EQ((*plan)->purposeBytes(fb::BufferPurpose::Output), 416u);
  EXPECT_TRUE((*plan)->generatesText());
}

TEST(PlanFile, RefusesEveryTruncation) {
  std::vector<std::byte> file = fakeModel().encodeFile();
  for (size_t size = 0; size < file.size(); ++size)
    ASSERT_FALSE(verifyPlan(std::span(file).first(size)).isOk()) << size;
}

TEST(PlanFile, RefusesEveryFlippedByte) {
  std::vector<std::byte> file = fakeModel().encodeFile();
  for (size_t i = 0; i < file.size(); ++i) {
    file[i] ^= std::byte(0x41);
    ASSERT_FALSE(verifyPlan(file).isOk()) << i;
    file[i] ^= std::byte(0x41);
  }
}

/// Without the hash a flipped bit may be harmless (a name, a label), but it must never lead out of the file.
TEST(PlanFile, SurvivesEveryFlippedBitWithoutTheHash) {
  std::vector<std::byte> body = fakeModel().encode();
  size_t refused = 0;
  for (size_t i = 0; i < body.size(); ++i)
    for (int bit = 0; bit < 8; bit += 3) {
      body[i] ^= std::byte(1 << bit);
      refused += !verifyPlan(body, {.checkTrailer = false}).isOk();
      body[i] ^= std::byte(1 << bit);
    }
  EXPECT_GT(refused, body.size() / 4);
}

TEST(PlanFile, SaysWhatIsWrongWithTheTrailer) {
  std::vector<std::byte> file = fakeModel().encodeFile();
  EXPECT_NE(messageOf(std::span(file).first(10)).find("file has 10 bytes, expected a plan of at least"),
            std::string::npos);
  std::vector<std::byte> cut(file.begin(), file.end() - 1);
  EXPECT_NE(messageOf(cut).find("does not end with the plan magic"), std::string::npos);
  std::vector<std::byte> longer = file;
  longer.insert(longer.begin(), 8, std::byte(0));
  EXPECT_NE(messageOf(longer).find("trailer says the plan has"), std::string::npos) << messageOf(longer);
  file[100] ^= std::byte(1);
  EXPECT_NE(messageOf(file).find("hash of the plan differs from its trailer"), std::string::npos);
}

TEST(PlanFile, RefusesForeignFlatbuffers) {
  std::vector<std::byte> body = fakeModel().encode();
  std::memcpy(body.data() + 4, "ABCD", 4);
  EXPECT_NE(verifyPlan(body, {.checkTrailer = false}).message().find("expected QWPL"), std::string::npos);
  std::vector<std::byte> broken = fakeModel().encode();
  std::memset(broken.data(), 0xff, 4);
  EXPECT_NE(verifyPlan(broken, {.checkTrailer = false}).message().find("structure of the plan is broken"),
            std::string::npos);
}

TEST(PlanFile, OpenNamesTheFile) {
  auto missing = Plan::open("/nonexistent/plan.fb");
  EXPECT_EQ(missing.status().code(), StatusCode::NotFound);
  EXPECT_NE(missing.status().message().find("cannot open '/nonexistent/plan.fb'"), std::string::npos);
  auto folder = Plan::open("/");
  EXPECT_NE(folder.status().message().find("is no regular file"), std::string::npos) << folder.status().message();
}

} // namespace
