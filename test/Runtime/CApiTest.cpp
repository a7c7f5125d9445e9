//===- CApiTest.cpp - The C interface and its C++ wrapper --------------------------------------------------------===//
#include "FakeMediaPrompt.h"
#include "TestDevice.h"
#include "qwenrt/qwenrt.hpp"
#include "test/Checkpoint/TemporaryFolder.h"

#include <gtest/gtest.h>

#include <cstring>

using namespace qwenrt;
using namespace qwenrt::test;
using qwenc::test::TemporaryFolder;

extern "C" int qwenrt_test_from_c(const char *plan_path, qwenrt_error *error);

namespace {

class CApiTest : public testing::Test {
protected:
  void SetUp() override {
    SKIP_WITHOUT_DEVICE();
    writePlan(fakeModel());
  }
  void writePlan(TestPlan source) {
    folder.write("model.safetensors", fakeCheckpoint(source));
    std::vector<std::byte> file = source.encodeFile();
    folder.write("plan.fb", {reinterpret_cast<const char *>(file.data()), file.size()});
    setenv("XDG_CACHE_HOME", folder.path("cache").c_str(), 1);
  }
  c::SessionHandle open() {
    auto plan = c::openPlan(folder.path("plan.fb"));
    auto device = c::openDevice(*plan, "", /*allowCpu=*/true);
    auto session = c::openSession(*plan, *device);
    EXPECT_TRUE(session.isOk()) << session.status().message();
    return session.isOk() ? std::move(session).value() : nullptr; // plan and device go, the session stays
  }
  TemporaryFolder folder;
};

TEST_F(CApiTest, AProgramInC) {
  qwenrt_error error = {};
  EXPECT_EQ(qwenrt_test_from_c(folder.path("plan.fb").c_str(), &error), 0) << error.message;
}

TEST_F(CApiTest, GeneratesThroughTheWrapper) {
  c::SessionHandle session = open();
  ASSERT_TRUE(session);
  std::vector<int32_t> prompt = {1, 2, 3}, tokens;
  ASSERT_TRUE(c::append(session, prompt).isOk());
  qwenrt_generate_options options = {};
  options.max_new_tokens = 6;
  auto finish = c::generate(session, options, [&](int32_t token) {
    tokens.push_back(token);
    return true;
  });
  ASSERT_TRUE(finish.isOk()) << finish.status().message();
  EXPECT_EQ(*finish, QWENRT_FINISH_LENGTH);
  for (int32_t token : tokens) {
    EXPECT_EQ(token, fakeNextToken(prompt));
    prompt.push_back(token);
  }
  EXPECT_EQ(tokens.size(), 6u);
}

TEST_F(CApiTest, RunsAnEntry) {
  c::SessionHandle session = open();
  ASSERT_TRUE(session);
  float x[2] = {3, 4}, y[8] = {};
  qwenrt_tensor input = {"x", QWENRT_F32, 1, {2}, x, sizeof(x)}, output = {"y", QWENRT_F32, 0, {}, y, sizeof(y)};
  Status status = c::run(session, "scale", {&input, 1}, {&output, 1});
  ASSERT_TRUE(status.isOk()) << status.message();
  EXPECT_EQ(output.rank, 1u);
  EXPECT_EQ(output.shape[0], 2u);
  EXPECT_EQ(output.size_bytes, 8u);
  EXPECT_EQ(y[0], 4);
  EXPECT_EQ(y[1], 9);

  output.size_bytes = 4;
  EXPECT_REFUSED(c::run(session, "scale", {&input, 1}, {&output, 1}), "output 'y' has room for 4 bytes, expected 8");
  output.name = "z";
  EXPECT_REFUSED(c::run(session, "scale", {&input, 1}, {&output, 1}), "entry has no output 'z'");
  input.rank = 9;
  EXPECT_REFUSED(c::run(session, "scale", {&input, 1}, {}), "unknown rank or type");
}

#if QWENC_TEST_MEDIA
TEST_F(CApiTest, MediaBelongToTheNextPrompt) {
  TestPlan source = fakeMediaModel();
  source.byteTokenizer = true;
  source.vocabulary = 265;
  writePlan(source);
  c::SessionHandle session = open();
  ASSERT_TRUE(session);
  const std::string media = QWENC_SOURCE_DIR "/test/Media/data/";
  EXPECT_REFUSED(c::attach(session, QWENRT_IMAGE, "/nonexistent"), "/nonexistent");
  EXPECT_REFUSED(c::attach(session, QWENRT_VIDEO, media + "frames"), "patches, expected at most");
  ASSERT_TRUE(c::setMediaOptions(session, {.fps = 2, .min_pixels = 1024, .max_pixels = 1024}).isOk());
  ASSERT_TRUE(c::attach(session, QWENRT_VIDEO, media + "frames").isOk());
  EXPECT_REFUSED(c::setMediaOptions(session, {}), "media are attached already, expected their options before them");
  ASSERT_TRUE(c::attach(session, QWENRT_AUDIO, media + "burst_7001.wav").isOk());
  std::vector<int32_t> prompt = {97, 264, 260, 98};
  Status status = c::append(session, prompt);
  ASSERT_TRUE(status.isOk()) << status.message();
  EXPECT_REFUSED(c::append(session, prompt), "the prompt has 1 placeholders <|audio_pad|> for 0 audio clips");

  auto plan = Plan::open(folder.path("plan.fb"));
  auto tokenizer = Tokenizer::fromPlan(*(*plan)->root().tokenizer());
  auto turn = MediaTurn::open(*plan, *tokenizer, {.fps = 2, .minPixels = 1024, .maxPixels = 1024});
  ASSERT_TRUE(turn.isOk() && turn->add(Media::Video, media + "frames").isOk() &&
              turn->add(Media::Audio, media + "burst_7001.wav").isOk());
  auto expected = turn->prepare(prompt, 0, 32);
  ASSERT_TRUE(expected.isOk());
  std::vector<int32_t> placed = fakePlacedPrompt(*expected), tokens;
  qwenrt_generate_options options = {};
  options.max_new_tokens = 4;
  auto finish = c::generate(session, options, [&](int32_t token) {
    tokens.push_back(token);
    return true;
  });
  ASSERT_TRUE(finish.isOk()) << finish.status().message();
  EXPECT_EQ(tokens, fakeReply(placed, 4, expected->prompt.positions.delta(placed.size())));
}
#endif

TEST_F(CApiTest, PlansOfTextTakeNoMedia) {
  c::SessionHandle session = open();
  ASSERT_TRUE(session);
  EXPECT_REFUSED(c::attach(session, QWENRT_AUDIO, "x"), "plan of Fake has no audio encoder, expected one for sound");
  EXPECT_REFUSED(c::attach(session, qwenrt_medium(7), "x"), "medium is 7, expected one of qwenrt_medium");
  EXPECT_REFUSED(c::setMediaOptions(session, {}), "plan of Fake has no audio encoder");
  qwenrt_error error = {};
  EXPECT_EQ(qwenrt_session_attach(session.get(), QWENRT_IMAGE, nullptr, &error), QWENRT_INVALID_USAGE);
  EXPECT_EQ(qwenrt_session_set_media_options(nullptr, nullptr, &error), QWENRT_INVALID_USAGE);
}

TEST_F(CApiTest, MediaNeedATokenizer) {
  writePlan(fakeMediaModel());
  c::SessionHandle session = open();
  ASSERT_TRUE(session);
  EXPECT_REFUSED(c::attach(session, QWENRT_AUDIO, "x"), "plan has no tokenizer, expected one that knows");
}

TEST_F(CApiTest, APlanWithoutATalkerDoesNotSpeak) {
  auto plan = c::openPlan(folder.path("plan.fb"));
  ASSERT_TRUE(plan.isOk());
  EXPECT_EQ(qwenrt_plan_sample_rate(plan->get()), 0u);
  EXPECT_EQ(qwenrt_plan_speaker_name(plan->get(), 0), nullptr);
  c::SessionHandle session = open();
  ASSERT_TRUE(session);
  auto text = [](const char *) { return true; };
  auto audio = [](std::span<const float>) { return true; };
  Result<qwenrt_finish> spoken = c::speak(session, {}, {}, text, audio);
  EXPECT_EQ(spoken.status().code(), StatusCode::Unsupported);
  EXPECT_EQ(spoken.status().message(),
            "plan has no talker, expected one for speech, take the plan of a model that speaks");
}

TEST_F(CApiTest, ErrorsAreValues) {
  qwenrt_error error = {};
  qwenrt_plan *plan = nullptr;
  EXPECT_EQ(qwenrt_plan_open("/nonexistent", &plan, &error), QWENRT_NOT_FOUND);
  EXPECT_EQ(error.code, QWENRT_NOT_FOUND);
  EXPECT_NE(std::strstr(error.message, "cannot open"), nullptr);
  EXPECT_EQ(plan, nullptr);
  EXPECT_EQ(qwenrt_plan_open(nullptr, &plan, &error), QWENRT_INVALID_USAGE);
  EXPECT_EQ(qwenrt_plan_open("/nonexistent", &plan, nullptr), QWENRT_NOT_FOUND);
  EXPECT_EQ(qwenrt_session_generate(nullptr, nullptr, nullptr, nullptr, nullptr, &error), QWENRT_INVALID_USAGE);
  EXPECT_EQ(qwenrt_session_append(nullptr, nullptr, 0, &error), QWENRT_INVALID_USAGE);
  qwenrt_plan_release(nullptr);
  qwenrt_device_release(nullptr);
  qwenrt_session_release(nullptr);
}

} // namespace
