//===- SpeechTest.cpp - What a talker is told, and plans that cannot speak ----------------------------------------===//
#include "TestPlan.h"
#include "runtime/lib/SpeakerState.h"

#include <gtest/gtest.h>

using namespace qwenrt;
using namespace qwenrt::test;

namespace {

constexpr int32_t kStart = 1, kUser = 2, kAssistant = 3, kSystem = 4, kLine = 5, kEnd = 6, kAudio = 7;

/// A table whose ids are those above.
class SpeechPromptTest : public testing::Test {
protected:
  void SetUp() override {
    std::vector<flatbuffers::Offset<fb::Speaker>> none;
    auto speakers = builder.CreateVector(none);
    fb::TalkerBuilder table(builder);
    table.add_im_start(kStart);
    table.add_user(kUser);
    table.add_assistant(kAssistant);
    table.add_audio_pad(kAudio);
    table.add_speakers(speakers);
    builder.Finish(table.Finish());
    talker = flatbuffers::GetRoot<fb::Talker>(builder.GetBufferPointer());
  }
  flatbuffers::FlatBufferBuilder builder;
  const fb::Talker *talker = nullptr;
};

TEST_F(SpeechPromptTest, UserTurnsAreTakenWhole) {
  const std::vector<int32_t> tokens = {kStart, kSystem, kLine, 9,      kEnd,       kLine,      kStart, kUser, kLine,
                                       kAudio, kEnd,    kLine, kStart, kAssistant, kLine,      kUser,  kEnd,  kLine,
                                       kStart, kUser,   kEnd,  kLine,  kStart,     kAssistant, kLine};
  const std::vector<int32_t> wanted = {-1, -1, -1, -1, -1, -1, 0, 1, 2, 3,  4,  5, -1,
                                       -1, -1, -1, -1, -1, 6,  7, 8, 9, -1, -1, -1};
  EXPECT_EQ(userRows(tokens, *talker), wanted);
  EXPECT_EQ(answerStart(tokens, *talker), 22u);
}

TEST_F(SpeechPromptTest, AnOpenMarkBelongsToNobody) {
  const std::vector<int32_t> tokens = {9, kUser, kStart};
  EXPECT_EQ(userRows(tokens, *talker), (std::vector<int32_t>{-1, -1, -1}));
  EXPECT_EQ(answerStart(tokens, *talker), std::nullopt);
  EXPECT_EQ(answerStart({}, *talker), std::nullopt);
}

TEST_F(SpeechPromptTest, AnAnswerFollowsTheLastMark) {
  const std::vector<int32_t> tokens = {kStart, kAssistant, kLine, kStart, kUser, kLine};
  EXPECT_EQ(answerStart(tokens, *talker), std::nullopt);
}

TEST_F(SpeechPromptTest, AnAbsentMediumHasNoPlaceholder) {
  EXPECT_TRUE(standsForMedia(kAudio, *talker));
  EXPECT_FALSE(standsForMedia(0, *talker)); // image_pad is 0: the model has none
  EXPECT_FALSE(standsForMedia(kLine, *talker));
}

TEST(SpeechTables, PlansWithoutATalkerSaySo) {
  Result<std::shared_ptr<const Plan>> plan = Plan::fromBytes(fakeModel().encodeFile(), "");
  ASSERT_TRUE(plan.isOk()) << plan.status().message();
  EXPECT_EQ(findSpeech(**plan, 0).status().message(),
            "plan has no talker, expected one for speech, take the plan of a model that speaks");
  EXPECT_EQ(findVocoder(**plan).status().message(),
            "plan has no vocoder, expected one for speech, take the plan of a model that speaks");
  EXPECT_EQ(Speaker::check(**plan, {}).code(), StatusCode::Unsupported);
  EXPECT_EQ(Speaker::sampleRate(**plan), 0u);
}

} // namespace
