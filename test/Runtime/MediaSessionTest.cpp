//===- MediaSessionTest.cpp - Rows of encoders and positions in the replay of a hand-made plan
//---------------------===//
#include "TestDevice.h"
#include "TestPlan.h"
#include "qwenrt/Session.h"
#include "test/Checkpoint/TemporaryFolder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

using namespace qwenrt;
using namespace qwenrt::test;
using qwenc::test::TemporaryFolder;

namespace {

HostTensor tensor(const char *name, fb::DType dtype, std::vector<uint64_t> shape, const void *values) {
  HostTensor result = {name, dtype, shape, {}};
  size_t bytes = 4;
  for (uint64_t extent : shape)
    bytes *= extent;
  result.data.resize(bytes);
  if (values)
    std::memcpy(result.data.data(), values, bytes);
  return result;
}

/// Inputs of the audio encoder for \p tokens tokens whose rows begin with \p value, value + 4, ...
std::vector<HostTensor> sound(uint32_t tokens, float value) {
  std::vector<float> features(8 * 128);
  for (size_t i = 0; i < features.size(); ++i)
    features[i] = value + float(i);
  using fb::DType;
  return {tensor("features", DType::F32, {8, 128}, features.data()),
          tensor("taps_1", DType::I32, {4, 3}, nullptr),
          tensor("taps_2", DType::I32, {2, 3}, nullptr),
          tensor("taps_3", DType::I32, {tokens, 3}, nullptr),
          tensor("times", DType::I32, {tokens}, nullptr),
          tensor("segments", DType::I32, {tokens, 2}, nullptr)};
}

/// Of the vision encoder: rows from \p value on, deepstack rows from \p deep on.
std::vector<HostTensor> picture(uint32_t tokens, float value, float deep) {
  std::vector<float> patches(size_t(4) * tokens * 1536), weights(16 * tokens);
  for (size_t i = 0; i < patches.size(); ++i)
    patches[i] = value + float(i);
  for (size_t i = 0; i < weights.size(); ++i)
    weights[i] = deep + float(i);
  using fb::DType;
  uint64_t rows = uint64_t(4) * tokens;
  return {tensor("patches", DType::F32, {rows, 1536}, patches.data()), tensor("cells", DType::I32, {rows, 4}, nullptr),
          tensor("cell_weights", DType::F32, {rows, 4}, weights.data()),
          tensor("places", DType::I32, {rows, 2}, nullptr), tensor("segments", DType::I32, {rows, 2}, nullptr)};
}

std::vector<HostTensorView> views(const std::vector<HostTensor> &tensors) { return {tensors.begin(), tensors.end()}; }

class MediaSessionTest : public testing::TestWithParam<UploadPath> {
protected:
  void SetUp() override {
    SKIP_WITHOUT_DEVICE();
    folder.write("model.safetensors", fakeCheckpoint(source));
    auto plan = Plan::fromBytes(source.encodeFile(), folder.path());
    ASSERT_TRUE(plan.isOk()) << plan.status().message();
    auto created =
        Session::create(*plan, anyDevice(), {.upload = GetParam(), .cacheFolder = folder.path("cache"), .media = true});
    ASSERT_TRUE(created.isOk()) << created.status().message();
    session = std::move(*created);
    ASSERT_TRUE(session->load("").isOk());
  }

  /// Adds text to the session and to what is expected of it.
  void appendText(const std::vector<int32_t> &tokens) {
    float first = session->nextPosition();
    ASSERT_TRUE(session->append(tokens).isOk());
    for (size_t i = 0; i < tokens.size(); ++i) {
      float at = first + float(i);
      placed.push_back(fakePlacedToken(tokens[i], at, at, at));
    }
  }

  /// Two text tokens at \p first and three of media at (first + 2, height 1 .. 3, width 5), with rows \p row and on
  /// whose first values are \p value, value + 4 ...; the next token stands at first + 6.5.
  void appendMedia(float first, int32_t row, float value) {
    std::vector<int32_t> tokens = {1, 2, 40, 40, 40}, rows = {-1, -1, row, row + 1, row + 2};
    std::vector<float> positions = {first, first + 1, first + 2, first + 2, first + 2, // time
                                    first, first + 1, 1,         2,         3,         // height
                                    first, first + 1, 5,         5,         5};
    Status status = session->append(MediaTokens{tokens, positions, rows, first + 6.5f});
    ASSERT_TRUE(status.isOk()) << status.message();
    for (size_t i = 0; i < 5; ++i)
      placed.push_back(fakePlacedToken(tokens[i], positions[i], positions[5 + i], positions[10 + i],
                                       i < 2 ? 0 : value + 4 * float(i - 2)));
  }

  uint32_t encode(const char *entry, const std::vector<HostTensor> &inputs, uint32_t firstRow) {
    Result<uint32_t> rows = session->encodeMedia(entry, views(inputs), firstRow);
    EXPECT_TRUE(rows.isOk()) << rows.status().message();
    return rows.isOk() ? *rows : 0;
  }

  /// Generates and compares; sampled tokens stand at index + \p delta.
  void expectGenerated(uint32_t count, float delta) {
    Result<GenerateResult> result = session->generate({.maxNewTokens = count});
    ASSERT_TRUE(result.isOk()) << result.status().message();
    ASSERT_EQ(result->tokens.size(), count);
    for (int32_t token : result->tokens) {
      EXPECT_EQ(token, fakeNextToken(placed)) << "at " << placed.size();
      float at = float(placed.size()) + delta;
      placed.push_back(fakePlacedToken(token, at, at, at));
    }
  }

  TestPlan source = fakeMediaModel();
  TemporaryFolder folder;
  std::unique_ptr<Session> session;
  std::vector<int32_t> placed; ///< the history as the caches should have it
};

INSTANTIATE_TEST_SUITE_P(Uploads, MediaSessionTest, testing::Values(UploadPath::Auto, UploadPath::Staging),
                         [](const auto &info) { return std::string(uploadPathName(info.param)); });

TEST_P(MediaSessionTest, TextAloneCountsUp) {
  appendText({3, 4, 5, 6, 7});
  expectGenerated(4, 0);
  appendText({8, 9});
  expectGenerated(3, 0);
}

TEST_P(MediaSessionTest, RowsOfSoundTakeTheirPlaceWithoutDeepstack) {
  // What a picture of an earlier prompt has left in the deepstack rows must go.
  EXPECT_EQ(encode("vision_encoder", picture(4, 100, 7), 0), 4u);
  EXPECT_EQ(encode("audio_encoder", sound(3, 20), 1), 3u);
  appendMedia(0, 1, 20);
  EXPECT_EQ(session->nextPosition(), 6.5f);
  expectGenerated(4, 1.5f);
}

TEST_P(MediaSessionTest, RowsOfImagesComeWithTheirDeepstack) {
  EXPECT_EQ(encode("audio_encoder", sound(2, 20), 0), 2u);
  EXPECT_EQ(encode("vision_encoder", picture(3, 10, 6), 2), 3u);
  std::vector<int32_t> tokens = {40, 40, 40, 40, 40}, rows = {0, 1, 2, 3, 4};
  std::vector<float> zeros(15, 0.0f);
  ASSERT_TRUE(session->append(MediaTokens{tokens, zeros, rows, 1}).isOk());
  for (float value : {20, 24, 16, 24, 32}) // the last three with as much of the deepstack
    placed.push_back(fakePlacedToken(40, 0, 0, 0, value));
  expectGenerated(3, -4);
}

TEST_P(MediaSessionTest, ATurnGoesOnWhereTheLastOneEnded) {
  encode("audio_encoder", sound(3, 20), 0);
  appendMedia(0, 0, 20);
  expectGenerated(3, 1.5f);
  EXPECT_EQ(session->nextPosition(), 9.5f); // 8 tokens and 1.5
  appendText({11, 12});
  expectGenerated(2, 1.5f);
  encode("audio_encoder", sound(3, 28), 0); // over the rows of the first turn, which the caches have taken
  appendMedia(session->nextPosition(), 0, 28);
  expectGenerated(2, 3);
}

TEST_P(MediaSessionTest, RowsOfInputsCanBeMadeInPlace) {
  const std::vector<HostTensor> inputs = picture(3, 10, 6);
  std::vector<HostTensorView> made = views(inputs);
  made[0].fill = [&inputs](uint64_t first, std::span<std::byte> rows) {
    std::copy_n(inputs[0].data.begin() + long(first * 1536 * 4), rows.size(), rows.begin());
  };
  made[0].data = {};
  ASSERT_TRUE(session->encodeMedia("vision_encoder", made, 0).isOk());
  std::vector<int32_t> tokens = {40, 40, 40}, rows = {0, 1, 2};
  ASSERT_TRUE(session->append(MediaTokens{tokens, std::vector<float>(9, 0.0f), rows, 1}).isOk());
  for (float value : {16, 24, 32})
    placed.push_back(fakePlacedToken(40, 0, 0, 0, value));
  expectGenerated(3, -2);
  EXPECT_GT(session->mediaUploadNs(), 0u);
  made[1].fill = made[0].fill; // indices have to be seen before they are used
  EXPECT_REFUSED(session->encodeMedia("vision_encoder", made, 0), "input 'cells' is I32");
}

TEST_P(MediaSessionTest, RewindingFindsThePositionsAgain) {
  encode("audio_encoder", sound(3, 20), 0);
  appendMedia(0, 0, 20);
  expectGenerated(4, 1.5f);
  for (uint32_t length : {7u, 5u}) { // into the reply, to the end of the prompt
    ASSERT_TRUE(session->rewind(length).isOk());
    placed.resize(length);
    EXPECT_EQ(session->nextPosition(), float(length) + 1.5f);
    appendText({13, 14});
    expectGenerated(2, 1.5f);
  }
  ASSERT_TRUE(session->rewind(2).isOk()); // before the media
  placed.resize(2);
  EXPECT_EQ(session->nextPosition(), 2);
  appendText({15});
  expectGenerated(2, 0);
  ASSERT_TRUE(session->reset().isOk());
  placed.clear();
  appendText({16, 17});
  expectGenerated(2, 0);
}

TEST_P(MediaSessionTest, RowsThatACancelledPrefillStillNeedsAreUsedFirst) {
  encode("audio_encoder", sound(3, 20), 0);
  appendMedia(0, 0, 20);
  std::atomic<bool> cancel = true;
  Result<GenerateResult> cancelled = session->generate({.cancel = &cancel});
  ASSERT_TRUE(cancelled.isOk());
  ASSERT_EQ(session->position(), 0u);
  encode("audio_encoder", sound(3, 28), 0);
  EXPECT_EQ(session->position(), 5u);
  appendMedia(session->nextPosition(), 0, 28);
  expectGenerated(3, 3);
}

TEST_P(MediaSessionTest, SaysWhatIsWrong) {
  EXPECT_REFUSED(session->encodeMedia("scale", {}, 0), "plan has no encoder 'scale', expected one in its media table");
  std::vector<HostTensor> inputs = sound(3, 0);
  EXPECT_REFUSED(session->encodeMedia("audio_encoder", views(inputs), 6),
                 "media make rows 6 to 9, expected at most the 8 that the plan holds for a turn");
  EXPECT_REFUSED(session->encodeMedia("audio_encoder", views(inputs), UINT32_MAX), "expected at most the 8");
  inputs[1] = tensor("taps_1", fb::DType::I32, {101, 3}, nullptr);
  EXPECT_REFUSED(session->encodeMedia("audio_encoder", views(inputs), 0),
                 "'taps_1' is I32[101,3], expected I32[C1<=100,3]");
  inputs.erase(inputs.begin() + 1);
  EXPECT_REFUSED(session->encodeMedia("audio_encoder", views(inputs), 0), "input 'taps_1' is missing");
  inputs = picture(2, 0, 0);
  inputs[1] = tensor("cells", fb::DType::I32, {7, 4}, nullptr);
  EXPECT_REFUSED(session->encodeMedia("vision_encoder", views(inputs), 0),
                 "'cells' is I32[7,4], expected I32[4*N<=16,4]");
  inputs[1] = tensor("cells", fb::DType::I32, {4, 4}, nullptr);
  EXPECT_REFUSED(session->encodeMedia("vision_encoder", views(inputs), 0),
                 "has N = 1, expected 2 as another input has");

  std::vector<int32_t> tokens = {1, 2}, rows = {-1, 8};
  std::vector<float> positions(6, 0.0f);
  EXPECT_REFUSED(session->append(MediaTokens{tokens, positions, rows, 2}), "media row 8 is unknown, expected -1 to 7");
  rows[1] = -2;
  EXPECT_REFUSED(session->append(MediaTokens{tokens, positions, rows, 2}), "media row -2 is unknown");
  rows[1] = 7;
  EXPECT_REFUSED(session->append(MediaTokens{tokens, {positions.data(), 5}, rows, 2}),
                 "2 tokens have 5 positions and 2 media rows, expected three and one for each");
  positions[3] = std::numeric_limits<float>::infinity();
  EXPECT_REFUSED(session->append(MediaTokens{tokens, positions, rows, 2}), "a position is not finite");
  positions[3] = 0;
  EXPECT_REFUSED(session->append(MediaTokens{tokens, positions, rows, NAN}), "a position is not finite");
  EXPECT_EQ(session->length(), 0u);
}

TEST_P(MediaSessionTest, PrefillAloneTakesMediaOrCountsUp) {
  std::vector<int32_t> ids = {5, 6, 7}, rows = {-1, 2, -1};
  std::vector<float> media(32, 9.0f), deepstack(32, 1.0f), positions = {0, 0, 0, 4, 3, 2, 8, 8, 8};
  std::vector<HostTensor> inputs = {tensor("input_ids", fb::DType::I32, {3}, ids.data())}, outputs;
  auto hidden = [&](const std::vector<int32_t> &history) {
    Status status = session->run("prefill", inputs, outputs);
    ASSERT_TRUE(status.isOk()) << status.message();
    uint32_t values[4], sum = 0;
    ASSERT_EQ(outputs.at(0).data.size(), sizeof(values));
    std::memcpy(values, outputs[0].data.data(), sizeof(values));
    for (uint32_t i = 0; i < history.size(); ++i) {
      sum += uint32_t(history[i]) * (i + 1);
      EXPECT_EQ(values[i], sum);
    }
  };
  inputs.push_back(tensor("media", fb::DType::F32, {8, 4}, media.data()));
  inputs.push_back(tensor("deepstack.0", fb::DType::F32, {8, 4}, deepstack.data()));
  hidden({fakePlacedToken(5, 0, 0, 0), fakePlacedToken(6, 1, 1, 1), fakePlacedToken(7, 2, 2, 2)});
  inputs.push_back(tensor("media_rows", fb::DType::I32, {3}, rows.data()));
  hidden({fakePlacedToken(5, 0, 0, 0), fakePlacedToken(6, 1, 1, 1, 10), fakePlacedToken(7, 2, 2, 2)});
  inputs.push_back(tensor("positions", fb::DType::F32, {3, 3}, positions.data()));
  hidden({fakePlacedToken(5, 0, 0, 0), fakePlacedToken(6, 4, 3, 2, 10), fakePlacedToken(7, 8, 8, 8)});
}

TEST_P(MediaSessionTest, EncodersRunAlone) {
  std::vector<HostTensor> outputs;
  Status status = session->run("vision_encoder", picture(2, 50, 60), outputs);
  ASSERT_TRUE(status.isOk()) << status.message();
  ASSERT_EQ(outputs.size(), 2u);
  EXPECT_EQ(outputs[0].shape, (std::vector<uint64_t>{2, 4}));
  float values[8];
  std::memcpy(values, outputs[1].data.data(), sizeof(values));
  EXPECT_EQ(values[7], 67);
}

TEST(MediaSession, PlansOfTextTakeNoMedia) {
  SKIP_WITHOUT_DEVICE();
  TestPlan source = fakeModel();
  TemporaryFolder folder;
  folder.write("model.safetensors", fakeCheckpoint(source));
  auto plan = Plan::fromBytes(source.encodeFile(), folder.path());
  auto session = Session::create(*plan, anyDevice(), {.cacheFolder = folder.path("cache")});
  ASSERT_TRUE(session.isOk() && (*session)->load("").isOk());
  EXPECT_REFUSED((*session)->append(MediaTokens{}), "plan takes text alone, expected a media table");
  EXPECT_REFUSED((*session)->encodeMedia("scale", {}, 0), "plan has no encoder 'scale'");
  ASSERT_TRUE((*session)->append(std::vector<int32_t>{1, 2}).isOk());
  EXPECT_EQ((*session)->nextPosition(), 2);
}

} // namespace
