//===- SpeechTest.cpp - What a talker is told, and plans that cannot speak ----------------------------------------===//
#include "TestPlan.h"
#include "runtime/lib/SpeakerState.h"
#include "runtime/lib/Text.h"

#include <gtest/gtest.h>

#include <algorithm>

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
  EXPECT_EQ(findSpeech((*plan)->root(), 0).status().message(),
            "plan has no talker, expected one for speech, take the plan of a model that speaks");
  EXPECT_EQ(findVocoder((*plan)->root()).status().message(),
            "plan has no vocoder, expected one for speech, take the plan of a model that speaks");
  EXPECT_EQ(Speaker::check(**plan, {}).code(), StatusCode::Unsupported);
  EXPECT_EQ(Speaker::sampleRate(**plan), 0u);
}

using fb::CellKind;
using fb::DType;

/// fakeModel() with all that findSpeech and findVocoder look for, and nothing behind it.
TestPlan fakeSpeechModel() {
  TestPlan plan = fakeModel();
  plan.speech.emplace();
  const auto state = uint32_t(plan.buffers.size()), mailbox = state + 1, rows = state + 2;
  plan.buffers.push_back({"speech_state", fb::BufferPurpose::State, 1024});
  plan.buffers.push_back({"speech_mailbox", fb::BufferPurpose::Mailbox, 64});
  plan.buffers.push_back({"speech_rows", fb::BufferPurpose::Output, 4096});
  uint64_t offset = 0;
  for (CellKind kind : {CellKind::Position, CellKind::Length, CellKind::Rows, CellKind::PositionDelta,
                        CellKind::TextRows, CellKind::Step, CellKind::Seed, CellKind::Temperature, CellKind::TopK,
                        CellKind::TopP, CellKind::RepetitionPenalty})
    plan.cells.push_back({kind, state, 4 * offset++, 1, kTalkerSequence});
  for (CellKind kind : {CellKind::Step, CellKind::Seed, CellKind::Temperature, CellKind::TopK, CellKind::TopP,
                        CellKind::RepetitionPenalty})
    plan.cells.push_back({kind, state, 4 * offset++, 1, kPredictorSequence});
  plan.cells.push_back({CellKind::Tokens, state, 128, 8, kTalkerSequence});
  plan.cells.push_back({CellKind::RotaryPositions, state, 192, 24, kTalkerSequence});
  plan.cells.push_back({CellKind::Extents, state, 320, 4, kTalkerSequence});
  plan.cells.push_back({CellKind::Sampled, mailbox, 0, 4, kTalkerSequence});
  plan.cells.push_back({CellKind::Sampled, mailbox, 16, 4, kPredictorSequence});

  plan.entries[kPrefill].symbols = {{"S", CellKind::Length, 33}};
  plan.entries[kPrefill].outputs.push_back({"accept_hidden", DType::F32, {{"S", 33}, {"", 2}}, rows, 2048, 264});
  const TestSymbol some = {"S", CellKind::Extents, 4, 0};
  auto tensor = [rows](const char *name, DType type, uint64_t columns, uint64_t at) {
    std::vector<TestDim> dims = {{"S", 4}};
    if (columns)
      dims.push_back({"", columns});
    return TestTensor{name, type, dims, rows, at, 16 * std::max<uint64_t>(columns, 1), true};
  };
  auto entry = [&](const char *name, std::vector<TestTensor> inputs, std::vector<TestTensor> outputs) {
    TestEntry made = {name};
    made.rows = 4;
    made.inputs = std::move(inputs);
    made.outputs = std::move(outputs);
    made.symbols = {some};
    made.sequence = kTalkerSequence;
    plan.entries.push_back(made);
  };
  for (const char *name : {"talker.next_sample", "talker.decode_sample", "predictor.begin", "predictor.decode_greedy",
                           "predictor.decode_sample"})
    entry(name, {}, {});
  entry("talker.next_greedy", {}, {{"logits", DType::F32, {{"", 1}, {"", 12}}, rows, 960, 48}});
  entry("talker.prefill", {tensor("inputs", DType::F32, 4, 0)}, {});
  entry("talker.decode_greedy", {tensor("text_rows", DType::F32, 4, 256)}, {});
  entry("talker.text", {tensor("ids", DType::I32, 0, 512), tensor("codes", DType::I32, 0, 528)},
        {tensor("rows", DType::F32, 4, 544)});
  entry("talker.media", {tensor("hidden", DType::F32, 2, 608)}, {tensor("rows", DType::F32, 4, 640)});
  TestTensor samples = {"samples", DType::F32, {{"S", 32, 8}}, rows, 768, 128};
  entry("vocoder", {tensor("codes", DType::I32, 3, 704)}, {samples});
  return plan;
}

TestEntry &entryOf(TestPlan &plan, const std::string &name) {
  return *std::find_if(plan.entries.begin(), plan.entries.end(),
                       [&](const TestEntry &entry) { return entry.name == name; });
}

/// Why the plan cannot be opened once \p change was made.
template <typename Change> std::string problem(Change change) {
  TestPlan source = fakeSpeechModel();
  change(source);
  return Plan::fromBytes(source.encodeFile(), "").status().message();
}

void expectProblem(const std::string &found, const std::string &part) {
  EXPECT_NE(found.find(part), std::string::npos) << found;
}

TEST(SpeechTables, AWholePlanIsFound) {
  Result<std::shared_ptr<const Plan>> plan = Plan::fromBytes(fakeSpeechModel().encodeFile(), "");
  ASSERT_TRUE(plan.isOk()) << plan.status().message();
  Result<SpeechTables> speech = findSpeech((*plan)->root(), kPrefill);
  ASSERT_TRUE(speech.isOk()) << speech.status().message();
  EXPECT_EQ(speech->context, 7u);
  Result<VocoderTables> vocoder = findVocoder((*plan)->root());
  ASSERT_TRUE(vocoder.isOk()) << vocoder.status().message();
  EXPECT_EQ((*plan)->findEntry("vocoder"), vocoder->entry);
}

TEST(SpeechTables, WithoutTextTheTalkerIsNotLookedFor) {
  EXPECT_EQ(problem([](TestPlan &plan) {
              for (TestEntry &entry : plan.entries)
                entry.role = fb::Role::Other;
              entryOf(plan, "talker.media").name = "other";
            }),
            "");
}

TEST(SpeechTables, IdsOutsideTheirTablesAreRefused) {
  auto talker = [](auto add) { return problem([&](TestPlan &plan) { plan.speech->addIds = add; }); };
  using Builder = fb::TalkerBuilder;
  const std::string words = text("one below ", kFakeVocabulary), codes = "one below 12";
  auto refused = [&](const char *name, uint32_t id, const std::string &expected, auto add) {
    expectProblem(talker([=](Builder &builder) { (builder.*add)(id); }),
                  text("talker's ", name, " is id ", id, ", expected ", expected));
    EXPECT_EQ(talker([=](Builder &builder) { (builder.*add)(id - 1); }), "") << name;
  };
  refused("im_start", kFakeVocabulary, words, &Builder::add_im_start);
  refused("user", kFakeVocabulary, words, &Builder::add_user);
  refused("assistant", kFakeVocabulary, words, &Builder::add_assistant);
  refused("tts_pad", kFakeVocabulary, words, &Builder::add_tts_pad);
  refused("tts_bos", kFakeVocabulary, words, &Builder::add_tts_bos);
  refused("tts_eos", kFakeVocabulary, words, &Builder::add_tts_eos);
  refused("audio_pad", kFakeVocabulary, words, &Builder::add_audio_pad);
  refused("image_pad", kFakeVocabulary, words, &Builder::add_image_pad);
  refused("video_pad", kFakeVocabulary, words, &Builder::add_video_pad);
  refused("suppressed", 12, codes, &Builder::add_suppressed);
  refused("codec_nothink", 12, codes, &Builder::add_codec_nothink);
  refused("codec_think_bos", 12, codes, &Builder::add_codec_think_bos);
  refused("codec_think_eos", 12, codes, &Builder::add_codec_think_eos);
  refused("codec_pad", 12, codes, &Builder::add_codec_pad);
  refused("codec_bos", 12, codes, &Builder::add_codec_bos);
  refused("codec_eos", 12, codes, &Builder::add_codec_eos);
  expectProblem(problem([](TestPlan &plan) { plan.speech->speakerId = 12; }), "talker's speaker is id 12");
  expectProblem(problem([](TestPlan &plan) { plan.speech->speakers[1] = ""; }), "a speaker with a name of 0 bytes");
  expectProblem(problem([](TestPlan &plan) { entryOf(plan, "talker.next_greedy").outputs.clear(); }),
                "has no output 'logits'");
}

TEST(SpeechTables, SettingsThatNobodyCanSampleWithAreRefused) {
  expectProblem(problem([](TestPlan &plan) { plan.speech->temperature = -1; }),
                "talker's settings have a broken temperature");
  expectProblem(problem([](TestPlan &plan) { plan.speech->predictorTopP = 2; }),
                "code predictor's settings have a broken top_p");
}

TEST(SpeechTables, TemperatureZeroIsGreedy) {
  TestPlan source = fakeSpeechModel();
  source.speech->temperature = 0;
  Result<std::shared_ptr<const Plan>> plan = Plan::fromBytes(source.encodeFile(), "");
  ASSERT_TRUE(plan.isOk()) << plan.status().message();
  EXPECT_TRUE(speechDefaults(**plan).sampling.greedy);
  EXPECT_FALSE(speechDefaults(**plan).predictor.greedy);
  EXPECT_EQ(Speaker::check(**plan, speechDefaults(**plan)).message(), "");
}

TEST(SpeechTables, NumbersOutOfRangeAreRefused) {
  expectProblem(problem([](TestPlan &plan) { plan.speech->hidden = 0; }), "talker has rows of 0 values");
  expectProblem(problem([](TestPlan &plan) { plan.speech->groups = 1; }), "talker has 1 codes in a frame");
  expectProblem(problem([](TestPlan &plan) { plan.speech->speakers.clear(); }), "talker has no speakers");
  expectProblem(problem([](TestPlan &plan) { plan.speech->vocoder->groups = 2; }), "vocoder takes 2 codes of a frame");
  expectProblem(problem([](TestPlan &plan) { plan.speech->vocoder->groups = 0; }), "vocoder takes 0 codes of a frame");
  expectProblem(problem([](TestPlan &plan) { plan.speech->vocoder->lostSamples = (1 << 20) + 1; }), "loses 1048577");
  EXPECT_EQ(problem([](TestPlan &plan) { plan.speech->vocoder->lostSamples = 9; }), ""); // more than a frame makes
  expectProblem(problem([](TestPlan &plan) { plan.speech->vocoder->sampleRate = 0; }), "0 of a second");
}

TEST(SpeechTables, MissingPartsAreNamed) {
  for (const char *name : {"talker.prefill", "talker.next_sample", "predictor.begin", "talker.media", "vocoder"})
    expectProblem(problem([&](TestPlan &plan) { entryOf(plan, name).name = "other"; }),
                  text("plan has no entry '", name, "'"));
  expectProblem(problem([](TestPlan &plan) { entryOf(plan, "talker.text").inputs[1].name = "other"; }),
                "has no tensor 'codes'");
  expectProblem(problem([](TestPlan &plan) { entryOf(plan, "talker.text").outputs[0].dtype = DType::U32; }),
                "tensor 'rows' of an entry that speaks has another type");
  expectProblem(problem([](TestPlan &plan) { plan.entries[kPrefill].outputs.pop_back(); }),
                "no output 'accept_hidden'");
  expectProblem(problem([](TestPlan &plan) { entryOf(plan, "vocoder").outputs.clear(); }), "'samples' is missing");
}

TEST(SpeechTables, CellsAndRoomAreChecked) {
  auto without = [](CellKind kind, uint32_t sequence) {
    return [=](TestPlan &plan) {
      std::erase_if(plan.cells, [=](const TestCell &cell) { return cell.kind == kind && cell.sequence == sequence; });
    };
  };
  expectProblem(problem(without(CellKind::Tokens, kTalkerSequence)), "talker has no history");
  expectProblem(problem(without(CellKind::TextRows, kTalkerSequence)), "cell TextRows of sequence 1 has 0 elements");
  expectProblem(problem(without(CellKind::Sampled, kPredictorSequence)), "cell Sampled of sequence 2 has 0 elements");
  expectProblem(problem([](TestPlan &plan) { entryOf(plan, "talker.prefill").inputs[0].offset = 4032; }),
                "talker's prompt lies in 4096 bytes");
}

TEST(SpeechTables, LogitsAreRowsOfF32) {
  auto found = [](std::vector<TestTensor> outputs) {
    TestPlan source = fakeSpeechModel();
    entryOf(source, "talker.decode_greedy").outputs = std::move(outputs);
    Result<std::shared_ptr<const Plan>> plan = Plan::fromBytes(source.encodeFile(), "");
    if (!plan.isOk())
      return "no plan: " + plan.status().message();
    Result<const fb::EntryTensor *> logits = findSpeechLogits(**plan, *(*plan)->findEntry("talker.decode_greedy"));
    return logits.isOk() ? text((*logits)->size_bytes(), " bytes") : logits.status().message();
  };
  const uint32_t rows = uint32_t(fakeModel().buffers.size()) + 2;
  const TestTensor good = {"logits", DType::F32, {{"", 1}, {"", 8}}, rows, 0, 32};
  EXPECT_EQ(found({good}), "32 bytes");
  expectProblem(found({}),
                "entry 'talker.decode_greedy' has no output 'logits', expected one for the logits of speech");
  TestTensor bad = good;
  bad.dtype = DType::I32;
  expectProblem(found({bad}), "has logits of another type");
  bad = good;
  bad.dims = {{"", 8}};
  expectProblem(found({bad}), "has logits of another type");
  bad.dims = {{"", 2}, {"", 4}};
  expectProblem(found({bad}), "has logits of another type");
  bad.dims = {{"", 1}, {"S", 4}};
  bad.sizeBytes = 16;
  expectProblem(found({bad}), "has logits of another type");
}

} // namespace
