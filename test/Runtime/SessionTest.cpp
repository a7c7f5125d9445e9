//===- SessionTest.cpp - Replay of a hand-made plan against a few lines of C++ -----------------------------------===//
#include "qwenrt/Session.h"
#include "TestDevice.h"
#include "TestPlan.h"
#include "runtime/lib/Transfer.h"
#include "test/Checkpoint/TemporaryFolder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>

using namespace qwenrt;
using namespace qwenrt::test;
using qwenc::test::TemporaryFolder;

namespace {

constexpr uint64_t kLongestSubmit = 500'000'000;

class SessionTest : public testing::TestWithParam<UploadPath> {
protected:
  void SetUp() override {
    SKIP_WITHOUT_DEVICE();
    folder.write("model.safetensors", fakeCheckpoint(source));
  }

  /// A loaded session for `source`.
  void open() {
    auto plan = Plan::fromBytes(source.encodeFile(), folder.path());
    ASSERT_TRUE(plan.isOk()) << plan.status().message();
    auto created = Session::create(*plan, anyDevice(), {.upload = GetParam(), .cacheFolder = folder.path("cache")});
    ASSERT_TRUE(created.isOk()) << created.status().message();
    session = std::move(*created);
    Status loaded = session->load("");
    ASSERT_TRUE(loaded.isOk()) << loaded.message();
  }

  /// What the model should say after \p history.
  static std::vector<int32_t> expectTokens(std::vector<int32_t> history, size_t count, uint32_t seed = 0) {
    std::vector<int32_t> tokens;
    for (size_t i = 0; i < count; ++i) {
      tokens.push_back(fakeNextToken(history, seed));
      history.push_back(tokens.back());
    }
    return tokens;
  }

  GenerateResult generate(const GenerateOptions &options, const TokenCallback &onToken = {}) {
    Result<GenerateResult> result = session->generate(options, onToken);
    EXPECT_TRUE(result.isOk()) << result.status().message();
    return result.isOk() ? std::move(result).value() : GenerateResult();
  }
  void append(const std::vector<int32_t> &tokens) {
    Status status = session->append(tokens);
    ASSERT_TRUE(status.isOk()) << status.message();
  }

  TestPlan source = fakeModel();
  TemporaryFolder folder;
  std::unique_ptr<Session> session;
  const std::vector<int32_t> prompt = {5, 17, 3, 44, 9, 28, 1}; // two prefill chunks
};

INSTANTIATE_TEST_SUITE_P(Uploads, SessionTest,
                         testing::Values(UploadPath::Direct, UploadPath::Streamed, UploadPath::Staging),
                         [](const auto &info) { return std::string(uploadPathName(info.param)); });

TEST_P(SessionTest, GeneratesAheadInGrowingBatches) {
  ASSERT_NO_FATAL_FAILURE(open());
  append(prompt);
  std::vector<int32_t> heard;
  GenerateResult result = generate({.maxNewTokens = 20}, [&](int32_t token) {
    heard.push_back(token);
    return true;
  });
  EXPECT_EQ(result.tokens, expectTokens(prompt, 20));
  EXPECT_EQ(heard, result.tokens);
  EXPECT_EQ(result.finish, Finish::Length);
  EXPECT_EQ(result.promptTokens, 7u);
  EXPECT_EQ(session->length(), 27u);
  EXPECT_EQ(session->position(), 26u);
}

TEST_P(SessionTest, StopTokenEndsAndTheConversationGoesOn) {
  ASSERT_NO_FATAL_FAILURE(open());
  std::vector<int32_t> expected = expectTokens(prompt, 12);
  // The stop token lies within a batch: steps beyond it have run and must leave no trace.
  size_t stopAt = 5;
  while (std::find(expected.begin(), expected.begin() + stopAt, expected[stopAt]) != expected.begin() + stopAt)
    ++stopAt;
  append(prompt);
  GenerateResult result = generate({.stopIds = {expected[stopAt]}});
  expected.resize(stopAt + 1);
  EXPECT_EQ(result.tokens, expected);
  EXPECT_EQ(result.finish, Finish::Stop);
  EXPECT_EQ(session->length(), prompt.size() + expected.size());

  std::vector<int32_t> history = prompt, next = {30, 31};
  history.insert(history.end(), expected.begin(), expected.end());
  history.insert(history.end(), next.begin(), next.end());
  append(next);
  EXPECT_EQ(generate({.maxNewTokens = 4}).tokens, expectTokens(history, 4));
}

TEST_P(SessionTest, GoesOnWithoutNewTokens) {
  ASSERT_NO_FATAL_FAILURE(open());
  append(prompt);
  std::vector<int32_t> tokens = generate({.maxNewTokens = 3}).tokens;
  std::vector<int32_t> more = generate({.maxNewTokens = 5}).tokens;
  tokens.insert(tokens.end(), more.begin(), more.end());
  EXPECT_EQ(tokens, expectTokens(prompt, 8));
}

TEST_P(SessionTest, StopsAtAFullContext) {
  ASSERT_NO_FATAL_FAILURE(open());
  append(prompt);
  GenerateResult result = generate({});
  EXPECT_EQ(result.tokens, expectTokens(prompt, kFakeContext + 1 - prompt.size()));
  EXPECT_EQ(result.finish, Finish::Context);
  result = generate({});
  EXPECT_TRUE(result.tokens.empty());
  EXPECT_EQ(result.finish, Finish::Context);
  EXPECT_REFUSED(session->append(prompt),
                 "history of 33 tokens gets 7 more, expected at most the context of 32 in all");
  ASSERT_TRUE(session->reset().isOk());
  append(prompt);
  EXPECT_EQ(generate({.maxNewTokens = 2}).tokens, expectTokens(prompt, 2));
}

TEST_P(SessionTest, PromptMayFillTheContext) {
  ASSERT_NO_FATAL_FAILURE(open());
  std::vector<int32_t> whole(kFakeContext, 2);
  append(whole);
  GenerateResult result = generate({});
  EXPECT_EQ(result.tokens, expectTokens(whole, 1));
  EXPECT_EQ(result.finish, Finish::Context);
}

TEST_P(SessionTest, ExactlyTheRoomThatIsLeftIsNoFullContext) {
  ASSERT_NO_FATAL_FAILURE(open());
  append(prompt);
  EXPECT_EQ(generate({.maxNewTokens = kFakeContext + 1 - uint32_t(prompt.size())}).finish, Finish::Length);
}

TEST_P(SessionTest, SamplingSettingsReachTheDevice) {
  ASSERT_NO_FATAL_FAILURE(open());
  append(prompt);
  EXPECT_EQ(generate({.maxNewTokens = 9, .sampling = {.greedy = false, .topK = 5, .seed = 13}}).tokens,
            expectTokens(prompt, 9, 13));
  ASSERT_TRUE(session->reset().isOk());
  append(prompt);
  // A penalty with greedy choice goes through the sampling kernel with top-k 1.
  EXPECT_EQ(generate({.maxNewTokens = 9, .sampling = {.repetitionPenalty = 1.5f, .seed = 13}}).tokens,
            expectTokens(prompt, 9));
}

TEST_P(SessionTest, CallbackCancels) {
  ASSERT_NO_FATAL_FAILURE(open());
  append(prompt);
  size_t heard = 0;
  GenerateResult result = generate({}, [&](int32_t) { return ++heard < 4; });
  EXPECT_EQ(result.tokens, expectTokens(prompt, 4));
  EXPECT_EQ(result.finish, Finish::Cancelled);
  std::vector<int32_t> history = prompt;
  history.insert(history.end(), result.tokens.begin(), result.tokens.end());
  EXPECT_EQ(generate({.maxNewTokens = 3}).tokens, expectTokens(history, 3));
}

TEST_P(SessionTest, CancelFlagEndsBeforeTheFirstToken) {
  ASSERT_NO_FATAL_FAILURE(open());
  append(prompt);
  std::atomic<bool> cancel = true;
  GenerateResult result = generate({.cancel = &cancel});
  EXPECT_EQ(result.finish, Finish::Cancelled);
  EXPECT_TRUE(result.tokens.empty());
  EXPECT_EQ(generate({.maxNewTokens = 3}).tokens, expectTokens(prompt, 3));
}

TEST_P(SessionTest, ForcedTokensAreFed) {
  ASSERT_NO_FATAL_FAILURE(open());
  append(prompt);
  std::vector<int32_t> forced = {7, 8, 9, 10}, sampled, history = prompt;
  for (int32_t token : forced) {
    sampled.push_back(fakeNextToken(history));
    history.push_back(token);
  }
  GenerateResult result = generate({.stopIds = {8}, .forceIds = forced});
  EXPECT_EQ(result.tokens, forced);
  EXPECT_EQ(result.sampled, sampled);
  EXPECT_EQ(result.finish, Finish::Length);
  EXPECT_EQ(generate({.maxNewTokens = 3}).tokens, expectTokens(history, 3));
}

TEST_P(SessionTest, RefusesForcedTokensOutsideTheVocabulary) {
  ASSERT_NO_FATAL_FAILURE(open());
  append(prompt);
  for (int32_t token : {-1, int32_t(0x7fffffff)})
    EXPECT_REFUSED(session->generate({.forceIds = {7, token, 8}}).status(), "is unknown, expected 0 to");
  EXPECT_EQ(generate({.maxNewTokens = 3}).tokens, expectTokens(prompt, 3));
}

TEST_P(SessionTest, LogitsOfEveryPositionAndStep) {
  ASSERT_NO_FATAL_FAILURE(open());
  append(prompt);
  std::map<std::pair<bool, uint32_t>, int32_t> best;
  GenerateOptions options = {.maxNewTokens = 5};
  options.onLogits = [&](const LogitsRow &row) {
    EXPECT_EQ(row.values.size(), kFakeVocabulary);
    best[{row.step, row.row}] = int32_t(std::max_element(row.values.begin(), row.values.end()) - row.values.begin());
    return Status::ok();
  };
  GenerateResult result = generate(options);
  ASSERT_EQ(best.size(), prompt.size() + 5);
  for (uint32_t i = 0; i < prompt.size(); ++i)
    EXPECT_EQ(best.at({false, i}), fakeNextToken({prompt.begin(), prompt.begin() + i + 1})) << i;
  for (uint32_t i = 0; i < 5; ++i)
    EXPECT_EQ(best.at({true, i}), result.tokens[i]) << i;
}

TEST_P(SessionTest, LogitsListenerCanFail) {
  ASSERT_NO_FATAL_FAILURE(open());
  append(prompt);
  GenerateOptions options;
  options.onLogits = [](const LogitsRow &) { return Status(StatusCode::Io, "disk full"); };
  EXPECT_REFUSED(session->generate(options), "disk full");
}

TEST_P(SessionTest, RewindForgetsTheTail) {
  ASSERT_NO_FATAL_FAILURE(open());
  append(prompt);
  generate({.maxNewTokens = 6});
  ASSERT_TRUE(session->rewind(3).isOk());
  EXPECT_EQ(session->length(), 3u);
  append({20});
  EXPECT_EQ(generate({.maxNewTokens = 4}).tokens, expectTokens({5, 17, 3, 20}, 4));
}

TEST_P(SessionTest, PrefillAloneThenGenerate) {
  ASSERT_NO_FATAL_FAILURE(open());
  append(prompt);
  ASSERT_TRUE(session->prefill().isOk());
  EXPECT_EQ(session->position(), 7u);
  EXPECT_EQ(generate({.maxNewTokens = 4}).tokens, expectTokens(prompt, 4));
}

TEST_P(SessionTest, LongStepsAreSubmittedApart) {
  for (TestEntry &entry : source.entries)
    for (TestDispatch &dispatch : entry.dispatches)
      dispatch.costNs = 400'000'000; // each dispatch its own submission
  source.entries[kScale].dispatches[0].costNs = UINT64_MAX;
  ASSERT_NO_FATAL_FAILURE(open());
  append(prompt);
  EXPECT_EQ(generate({.maxNewTokens = 9}).tokens, expectTokens(prompt, 9));
}

TEST_P(SessionTest, TracesEveryDispatch) {
  ASSERT_NO_FATAL_FAILURE(open());
  ASSERT_TRUE(session->enableTrace().isOk());
  append(prompt);
  EXPECT_EQ(generate({.maxNewTokens = 3}).tokens, expectTokens(prompt, 3));
  const std::vector<TraceEvent> &trace = session->trace();
  ASSERT_EQ(trace.size(), 2u + 1 + 2 * 2); // two chunks, next, two decode steps of two dispatches
  EXPECT_EQ(trace[0].kernel, "fake_prefill");
  EXPECT_EQ(trace[2].entry, "next_greedy");
  for (size_t i = 1; i < trace.size(); ++i)
    EXPECT_GE(trace[i].startNs, trace[i - 1].startNs);
}

TEST_P(SessionTest, TracesRunsThatGoAheadInBatches) {
  ASSERT_NO_FATAL_FAILURE(open());
  ASSERT_TRUE(session->enableTrace(TraceDetail::Runs).isOk());
  append(prompt);
  std::vector<size_t> known; // runs in the trace when each token comes
  std::vector<int32_t> tokens = generate({.maxNewTokens = 20}, [&](int32_t) {
                                  known.push_back(session->trace().size());
                                  return true;
                                }).tokens;
  EXPECT_EQ(tokens, expectTokens(prompt, 20));
  const std::vector<TraceEvent> &trace = session->trace();
  ASSERT_EQ(trace.size(), 2u + 20); // two chunks, a run for each token
  EXPECT_EQ(trace[1].entry, "prefill");
  EXPECT_EQ(trace[2].entry, "next_greedy");
  EXPECT_EQ(trace[2].kernel, "next_greedy");
  EXPECT_EQ(trace[21].entry, "decode_greedy");
  for (size_t i = 1; i < trace.size(); ++i)
    EXPECT_GE(trace[i].startNs, trace[i - 1].startNs + trace[i - 1].durationNs - 1000) << i; // whole ticks
  EXPECT_EQ(known[0], 3u);
  for (size_t i = 0; i < known.size(); ++i)
    EXPECT_GE(known[i], 3 + i) << "what a token came from is in the trace before it";
  const std::vector<TraceMark> marks = session->traceMarks();
  ASSERT_EQ(marks.size(), tokens.size());
  for (size_t i = 0; i < marks.size(); ++i) {
    EXPECT_EQ(marks[i].value, uint64_t(tokens[i]));
    EXPECT_GE(marks[i].timeNs + 1000, trace[2 + i].startNs + trace[2 + i].durationNs) << i;
  }
}

/// More stamps than a pool has queries, each command buffer used over and over.
TEST_P(SessionTest, TracesManyRuns) {
  ASSERT_NO_FATAL_FAILURE(open());
  ASSERT_TRUE(session->enableTrace(TraceDetail::Runs).isOk());
  for (size_t i = 0; i < 12; ++i) {
    ASSERT_TRUE(session->reset().isOk());
    append(prompt);
    generate({.maxNewTokens = 25});
  }
  ASSERT_EQ(session->trace().size(), 12u * 27);
  EXPECT_GT(session->trace().back().startNs, session->trace().front().startNs);
}

TEST_P(SessionTest, MeasuresReading) {
  source.buffers[kWeights].sizeBytes = 1 << 20;
  ASSERT_NO_FATAL_FAILURE(open());
  Result<double> bandwidth = session->measureReadBandwidth();
  ASSERT_TRUE(bandwidth.isOk()) << bandwidth.status().message();
  EXPECT_GT(*bandwidth, 1e6);
  EXPECT_EQ(session->prefillReadBytes(5), 200u);
  EXPECT_EQ(session->decodeReadBytes(0), 200u);
}

TEST_P(SessionTest, LoadStatisticsCountBytesAndPipelines) {
  ASSERT_NO_FATAL_FAILURE(open());
  EXPECT_EQ(session->loadStatistics().weightBytes, 32u);
  EXPECT_EQ(session->loadStatistics().pipelines, 3u); // entries without a role compile when they are first run
  EXPECT_EQ(session->loadStatistics().upload, GetParam());
  EXPECT_EQ(session->loadStatistics().threads, 1u); // one batch
  EXPECT_EQ(session->loadStatistics().neededBytes, 852u);
  EXPECT_GT(session->loadStatistics().availableBytes, 852u);
  EXPECT_GT(session->loadStatistics().peakAnonymousBytes, 100'000u);
}

//===----------------------------------------------------------------------===//
// Wrong use
//===----------------------------------------------------------------------===//

TEST_P(SessionTest, SaysWhatIsWrongWithARequest) {
  ASSERT_NO_FATAL_FAILURE(open());
  EXPECT_REFUSED(session->generate({}), "history is empty");
  EXPECT_REFUSED(session->append(std::vector<int32_t>{1, 50}), "token id 50 is unknown, expected 0 to 49");
  EXPECT_REFUSED(session->append(std::vector<int32_t>{-1}), "token id -1 is unknown");
  EXPECT_REFUSED(
      session->append(std::vector<int32_t>(33, 1)),
      "prompt has 33 tokens, expected at most the context of 32, shorten it or compile with a larger --max-context");
  append(prompt);
  EXPECT_REFUSED(session->generate({.sampling = {.greedy = false, .temperature = 0}}),
                 "sampling settings are out of range");
}

TEST_P(SessionTest, NeedsWeightsBeforeARun) {
  auto plan = Plan::fromBytes(source.encodeFile(), folder.path());
  auto created = Session::create(*plan, anyDevice(), {.upload = GetParam()});
  ASSERT_TRUE(created.isOk());
  EXPECT_REFUSED((*created)->append(prompt), "session has no weights");
}

TEST_P(SessionTest, PlanWithoutLogitsOrSamplingSaysSo) {
  source.entries.erase(source.entries.begin() + kLogitsEntry);
  source.entries[kNextSample].role = source.entries[kDecodeSample].role = fb::Role::Other;
  ASSERT_NO_FATAL_FAILURE(open());
  append(prompt);
  GenerateOptions options;
  options.onLogits = [](const LogitsRow &) { return Status::ok(); };
  EXPECT_REFUSED(session->generate(options), "plan has no logits entry");
  EXPECT_REFUSED(session->generate({.sampling = {.greedy = false}}), "plan has no entries that sample");
}

TEST_P(SessionTest, PlanWithoutTextSaysSo) {
  for (int i = 0; i < 6; ++i)
    source.entries[i].role = fb::Role::Other;
  ASSERT_NO_FATAL_FAILURE(open());
  EXPECT_REFUSED(session->append(prompt), "plan has no entries that generate text");
}

TEST_P(SessionTest, TokenOutsideTheVocabularyIsAnError) {
  source.vocabulary = 4; // the kernel knows 50
  ASSERT_NO_FATAL_FAILURE(open());
  append({1, 2, 3});
  EXPECT_REFUSED(session->generate({}), "the device sampled token");
}

//===----------------------------------------------------------------------===//
// Single entries
//===----------------------------------------------------------------------===//

HostTensor floats(const std::string &name, const std::vector<float> &values) {
  HostTensor tensor = {name, fb::DType::F32, {values.size()}, std::vector<std::byte>(values.size() * 4)};
  if (!values.empty())
    std::memcpy(tensor.data.data(), values.data(), tensor.data.size());
  return tensor;
}

TEST_P(SessionTest, RunsOneEntryOnTensors) {
  ASSERT_NO_FATAL_FAILURE(open());
  std::vector<HostTensor> inputs = {floats("unused", {1}), floats("x", {10, 20, 30})}, outputs;
  Status status = session->run("scale", inputs, outputs);
  ASSERT_TRUE(status.isOk()) << status.message();
  ASSERT_EQ(outputs.size(), 1u);
  EXPECT_EQ(outputs[0].name, "y");
  EXPECT_EQ(outputs[0].shape, std::vector<uint64_t>{3});
  std::vector<float> values(3);
  ASSERT_EQ(outputs[0].data.size(), 12u);
  std::memcpy(values.data(), outputs[0].data.data(), 12);
  EXPECT_EQ(values, (std::vector<float>{11, 41, 91}));
}

/// The entry "scale" as y = x d + 1 with d = w w + 1, which an entry of role Prepare derives of the weights w.
void scaleByDerived(TestPlan &plan) {
  const auto derived = uint32_t(plan.buffers.size());
  plan.buffers.push_back({"derived", fb::BufferPurpose::Derived, 32});
  TestDispatch square = {kScaleAddOne, {1, 1, 1}, {{kWeights, 0, 32}, {kWeights, 0, 32}, {derived, 0, 32}}};
  plan.entries.push_back({"prepare", fb::Role::Prepare, 1, {}, {}, {}, {square}});
  plan.entries[kScale].dispatches[0].operands[1] = {derived, 0, 32};
}

TEST_P(SessionTest, DerivesWeightsOnceTheyAreLoaded) {
  scaleByDerived(source);
  ASSERT_NO_FATAL_FAILURE(open());
  EXPECT_EQ(session->loadStatistics().derivedBytes, 32u);
  for (int run = 0; run < 2; ++run) { // a new conversation leaves them alone
    std::vector<HostTensor> inputs = {floats("x", {10, 20, 30})}, outputs;
    Status status = session->run("scale", inputs, outputs);
    ASSERT_TRUE(status.isOk()) << status.message();
    std::vector<float> values(3);
    ASSERT_EQ(outputs.at(0).data.size(), 12u);
    std::memcpy(values.data(), outputs[0].data.data(), 12);
    EXPECT_EQ(values, (std::vector<float>{21, 101, 301})) << "run " << run;
    ASSERT_TRUE(session->reset().isOk());
  }
}

/// The entry "scale" as y = x x + 1 in up to two groups of 8, which write whether or not their rows are there.
void scaleByGroups(TestPlan &plan) {
  for (TestKernelOperand &operand : plan.kernels[kScaleAddOne].operands)
    operand.minBytes = 64;
  plan.buffers[kTensors].sizeBytes = 128;
  TestEntry &entry = plan.entries[kScale];
  entry.symbols[0].max = 2;
  entry.inputs[0] = {"x", fb::DType::F32, {{"S", 16, 8}}, kTensors, 0, 64};
  entry.outputs[0] = {"y", fb::DType::F32, {{"", 16}}, kTensors, 64, 64};
  entry.dispatches = {{kScaleAddOne, {2, 1, 1}, {{kTensors, 0, 64}, {kTensors, 0, 64}, {kTensors, 64, 64}}}};
}

/// The first and the ninth element of y after a run of "scale" on \p rows rows of \p value.
std::pair<float, float> runScale(Session &session, size_t rows, float value) {
  HostTensor input = floats("x", std::vector<float>(rows, value));
  std::vector<HostTensor> outputs;
  Status status = session.run("scale", {&input, 1}, outputs);
  EXPECT_TRUE(status.isOk()) << status.message();
  float y[16] = {};
  if (status.isOk() && outputs[0].data.size() == sizeof(y))
    std::memcpy(y, outputs[0].data.data(), sizeof(y));
  return {y[0], y[8]};
}

TEST_P(SessionTest, OnlyGroupsWhoseRowsAreThereRun) {
  scaleByGroups(source);
  TestDispatch &dispatch = source.entries[kScale].dispatches[0];
  dispatch.rowsSymbol = "S";
  dispatch.rowsFactor = dispatch.rowsPerGroup = 8;
  ASSERT_NO_FATAL_FAILURE(open());
  using Pair = std::pair<float, float>;
  EXPECT_EQ(runScale(*session, 8, 2), Pair(5, 0));
  EXPECT_EQ(runScale(*session, 16, 3), Pair(10, 10));
  EXPECT_EQ(runScale(*session, 8, 4), Pair(17, 10));
  ASSERT_TRUE(session->enableTrace().isOk());
  EXPECT_EQ(runScale(*session, 8, 5), Pair(26, 10));
  ASSERT_EQ(session->trace().size(), 1u);
  EXPECT_EQ(session->trace()[0].groups[0], 1u);
}

TEST_P(SessionTest, AllGroupsRunWhereNothingCountsRows) {
  scaleByGroups(source);
  ASSERT_NO_FATAL_FAILURE(open());
  EXPECT_EQ(runScale(*session, 8, 2), (std::pair<float, float>(5, 1)));
}

TEST_P(SessionTest, RefusesTensorsThatDoNotFit) {
  ASSERT_NO_FATAL_FAILURE(open());
  std::vector<HostTensor> outputs;
  auto run = [&](HostTensor input) { return session->run("scale", {&input, 1}, outputs); };
  EXPECT_REFUSED(session->run("none", {}, outputs), "plan has no entry 'none'");
  EXPECT_REFUSED(run(floats("z", {1})), "input 'x' is missing, expected F32[S<=8]");
  EXPECT_REFUSED(run(floats("x", std::vector<float>(9))), "input 'x' is F32[9], expected F32[S<=8]");
  EXPECT_REFUSED(run(floats("x", {})), "input 'x' is F32[0]");
  HostTensor wrong = floats("x", {1, 2});
  wrong.dtype = fb::DType::I32;
  EXPECT_REFUSED(run(wrong), "input 'x' is I32[2]");
  wrong = floats("x", {1, 2});
  wrong.shape = {1, 2};
  EXPECT_REFUSED(run(wrong), "input 'x' is F32[1,2]");
  wrong = floats("x", {1, 2});
  wrong.data.pop_back();
  EXPECT_REFUSED(run(wrong), "has 7 bytes, expected 8");
}

TEST_P(SessionTest, InputsMustAgreeOnASymbol) {
  TestTensor second = source.entries[kScale].inputs[0];
  second.name = "x2";
  source.entries[kScale].inputs.push_back(second);
  ASSERT_NO_FATAL_FAILURE(open());
  std::vector<HostTensor> inputs = {floats("x", {1, 2}), floats("x2", {1, 2, 3})}, outputs;
  EXPECT_REFUSED(session->run("scale", inputs, outputs), "input 'x2' has S = 3, expected 2 as another input has");
}

TEST_P(SessionTest, ExtentThatNoInputHasComesFromItsCell) {
  // Prefill sets Rows; its hidden rows are an output of that many.
  TestEntry &prefill = source.entries[kPrefill];
  TestTensor ids = {"ids", fb::DType::I32, {{"N", 33}}, kState, 64, 132};
  prefill.inputs = {ids};
  prefill.outputs = {{"hidden", fb::DType::U32, {{"R", 4}}, kHidden, 0, 16}};
  prefill.symbols = {{"N", fb::CellKind::Length, 33}, {"R", fb::CellKind::Rows, 4}};
  ASSERT_NO_FATAL_FAILURE(open());
  std::vector<HostTensor> inputs = {{"ids", fb::DType::I32, {3}, std::vector<std::byte>(12)}}, outputs;
  int32_t values[3] = {5, 6, 7};
  std::memcpy(inputs[0].data.data(), values, 12);
  Status status = session->run("prefill", inputs, outputs);
  ASSERT_TRUE(status.isOk()) << status.message();
  ASSERT_EQ(outputs[0].shape, std::vector<uint64_t>{3});
  uint32_t hidden[3];
  std::memcpy(hidden, outputs[0].data.data(), 12);
  EXPECT_EQ(hidden[2], 5u + 12 + 21);
  for (int32_t unknown : {-1, 50}) {
    values[2] = unknown;
    std::memcpy(inputs[0].data.data(), values, 12);
    EXPECT_REFUSED(session->run("prefill", inputs, outputs),
                   "token id " + std::to_string(unknown) + " is unknown, expected 0 to 49");
  }
}

TEST_P(SessionTest, RunsGoOnWhereStateIsKept) {
  // A chunk takes 4 of 5 tokens, the next one what is left; a run of its own begins anew.
  TestEntry &prefill = source.entries[kPrefill];
  prefill.inputs = {{"ids", fb::DType::I32, {{"N", 33}}, kState, 64, 132}};
  prefill.outputs = {{"hidden", fb::DType::U32, {{"R", 4}}, kHidden, 0, 16}};
  prefill.symbols = {{"N", fb::CellKind::Length, 33}, {"R", fb::CellKind::Rows, 4}};
  ASSERT_NO_FATAL_FAILURE(open());
  std::vector<HostTensor> inputs = {{"ids", fb::DType::I32, {5}, std::vector<std::byte>(20)}}, outputs;
  for (auto [runState, rows] : {std::pair(Session::RunState::Keep, 4u), std::pair(Session::RunState::Keep, 1u),
                                std::pair(Session::RunState::Reset, 4u)}) {
    Status status = session->run("prefill", inputs, outputs, runState);
    ASSERT_TRUE(status.isOk()) << status.message();
    EXPECT_EQ(outputs[0].shape, std::vector<uint64_t>{rows});
  }
}

//===----------------------------------------------------------------------===//
// Determinism and budget
//===----------------------------------------------------------------------===//

TEST_P(SessionTest, RunsDoNotInfluenceEachOther) {
  ASSERT_NO_FATAL_FAILURE(open());
  append(prompt);
  std::vector<int32_t> first = generate({.maxNewTokens = 12}).tokens;
  std::vector<HostTensor> inputs = {floats("x", {1, 2, 3, 4})}, outputs;
  ASSERT_TRUE(session->run("scale", inputs, outputs).isOk());
  EXPECT_EQ(session->length(), 0u);
  append(prompt);
  EXPECT_EQ(generate({.maxNewTokens = 12}).tokens, first);
}

TEST_P(SessionTest, PlanThatDoesNotFitIsRefusedBeforeAnythingIsRead) {
  source.buffers[kCache].sizeBytes = uint64_t(1) << 50;
  auto plan = Plan::fromBytes(source.encodeFile(), "/nonexistent");
  ASSERT_TRUE(plan.isOk()) << plan.status().message();
  EXPECT_REFUSED(Session::create(*plan, anyDevice(), {.upload = GetParam()}), "buffer 'cache' needs one allocation of");
}

//===----------------------------------------------------------------------===//
// Validation layer
//===----------------------------------------------------------------------===//

/// Everything the runtime asks of Vulkan, under the eyes of the validation layer.
TEST(Validation, HasNothingToSay) {
  Result<std::shared_ptr<Device>> device = Device::open({.allowCpu = true, .validate = true});
  if (!device.isOk())
    GTEST_SKIP() << device.status().message();
  TestPlan source = fakeModel();
  source.buffers[kWeights].sizeBytes = 1 << 20;
  source.entries[kDecodeGreedy].dispatches[0].costNs = kLongestSubmit;
  TemporaryFolder folder;
  folder.write("model.safetensors", fakeCheckpoint(source));
  for (UploadPath upload : {UploadPath::Auto, UploadPath::Streamed, UploadPath::Staging}) {
    auto plan = Plan::fromBytes(source.encodeFile(), folder.path());
    auto session = Session::create(*plan, *device, {.upload = upload, .cacheFolder = folder.path("cache")});
    ASSERT_TRUE(session.isOk()) << session.status().message();
    ASSERT_TRUE((*session)->load("").isOk());
    for (bool traced : {false, true}) {
      if (traced)
        ASSERT_TRUE(
            (*session)->enableTrace(upload == UploadPath::Auto ? TraceDetail::Runs : TraceDetail::Dispatches).isOk());
      ASSERT_TRUE((*session)->reset().isOk());
      ASSERT_TRUE((*session)->append(std::vector<int32_t>{1, 2, 3, 4, 5}).isOk());
      Result<GenerateResult> result =
          (*session)->generate({.maxNewTokens = 20,
                                .onLogits = traced ? [](const LogitsRow &) { return Status::ok(); }
                                                   : std::function<Status(const LogitsRow &)>()});
      ASSERT_TRUE(result.isOk()) << result.status().message();
    }
    ASSERT_TRUE((*session)->measureReadBandwidth().isOk());
  }
  EXPECT_EQ((*device)->validationMessages(), 0u);
}

/// The count works: a mistake made on purpose is heard.
TEST(Validation, CountsMessages) {
  Result<std::shared_ptr<Device>> device = Device::open({.allowCpu = true, .validate = true});
  if (!device.isOk())
    GTEST_SKIP() << device.status().message();
  Result<DeviceBuffer> buffer = DeviceBuffer::create((*device)->state(), "b", 64, MemoryKind::DeviceOnly);
  ASSERT_TRUE(buffer.isOk());
  auto transfer = Transfer::create((*device)->state());
  ASSERT_TRUE(transfer.isOk());
  ASSERT_TRUE((*transfer)->zero(*buffer).isOk());
  EXPECT_EQ((*device)->validationMessages(), 0u);
  (*device)->state().vk.vkDestroyBuffer((*device)->state().device, VkBuffer(uint64_t(0x1234)), nullptr);
  EXPECT_GT((*device)->validationMessages(), 0u);
}

} // namespace
