//===- VerifyMediaTest.cpp - One broken field of a plan with media each, and the message it earns
//------------------===//
#include "TestPlan.h"

#include <gtest/gtest.h>

using namespace qwenrt;
using namespace qwenrt::test;

namespace {

struct Breakage {
  const char *name;
  void (*apply)(TestPlan &);
  const char *message;
};

class VerifyMediaTest : public testing::TestWithParam<Breakage> {};

TEST_P(VerifyMediaTest, RefusesBrokenField) {
  TestPlan plan = fakeMediaModel();
  GetParam().apply(plan);
  Status status = verifyPlan(plan.encode(), {.checkTrailer = false});
  ASSERT_FALSE(status.isOk());
  EXPECT_NE(status.message().find(GetParam().message), std::string::npos) << status.message();
  EXPECT_NE(status.message().find(", expected "), std::string::npos) << status.message();
}

TestCell &cell(TestPlan &plan, fb::CellKind kind) {
  for (TestCell &cell : plan.cells)
    if (cell.kind == kind)
      return cell;
  return plan.cells.front();
}
TestTensor &prefillInput(TestPlan &plan, size_t index) { return plan.entries[kPrefill].inputs[index]; }
enum PrefillInput { kIds, kPositions, kRows, kMediaInput, kDeepstack };

const Breakage kBreakages[] = {
    // Cells and symbols
    {"ExtentsEmpty", [](TestPlan &p) { cell(p, fb::CellKind::Extents).count = 0; },
     "cell Extents has 0 elements, expected at least one"},
    {"DeltaCount", [](TestPlan &p) { cell(p, fb::CellKind::PositionDelta).count = 2; },
     "cell PositionDelta has 2 elements, expected one"},
    {"SymbolIndex", [](TestPlan &p) { p.entries[kVisionEncoder].symbols[0].index = 6; },
     "has symbol 'N' at element 6, expected one below 6"},
    {"SymbolIndexOfOneCell", [](TestPlan &p) { p.entries[kPrefill].symbols[0].index = 1; },
     "has symbol 'S' at element 1, expected one below 1"},
    {"FactorZero", [](TestPlan &p) { p.entries[kVisionEncoder].inputs[0].dims[0].factor = 0; }, "with a factor of 0"},
    {"FactorAlone", [](TestPlan &p) { p.entries[kVisionEncoder].inputs[0].dims[1].factor = 2; },
     "with a factor of 2, expected 1 where there is no symbol"},
    {"FactorUneven", [](TestPlan &p) { p.entries[kVisionEncoder].inputs[0].dims[0].factor = 3; },
     "with an extent of 16, expected a multiple of its factor 3"},
    {"FactorMaximum", [](TestPlan &p) { p.entries[kVisionEncoder].inputs[0].dims[0].factor = 2; },
     "with an extent of 16, expected 2 times the maximum 4 of its symbol"},
    // The table
    {"NoEncoder", [](TestPlan &p) { p.media->audio.reset(), p.media->vision.reset(); }, "names no encoder"},
    {"NoRows", [](TestPlan &p) { p.media->maxRows = 0; }, "media table has no rows"},
    {"ManyDeepstacks", [](TestPlan &p) { p.media->vision->deepstack = 65; }, "has 65 deepstack outputs"},
    {"NoDelta", [](TestPlan &p) { p.cells.erase(p.cells.end() - 4); }, "cell PositionDelta has 0 elements"},
    {"ShortPositions", [](TestPlan &p) { cell(p, fb::CellKind::RotaryPositions).count = 98; },
     "cell RotaryPositions has 98 elements, expected at least 99 for media in a context of 32"},
    {"ShortRows", [](TestPlan &p) { cell(p, fb::CellKind::MediaRows).count = 32; },
     "cell MediaRows has 32 elements, expected at least 33"},
    {"NoText", [](TestPlan &p) { p.entries.erase(p.entries.begin(), p.entries.begin() + 6); },
     "stands in a plan without a prefill entry"},
    // The prefill
    {"NoPositions", [](TestPlan &p) { prefillInput(p, kPositions).name = "p"; }, "has no tensor 'positions'"},
    {"PositionsElsewhere", [](TestPlan &p) { prefillInput(p, kPositions).buffer = kEncoder; },
     "has input 'positions' beside its cell, expected it in RotaryPositions"},
    {"RowsElsewhere", [](TestPlan &p) { prefillInput(p, kRows).offset = 460; },
     "has input 'media_rows' beside its cell, expected it in MediaRows"},
    {"RowsType", [](TestPlan &p) { prefillInput(p, kRows).dtype = fb::DType::F32; },
     "has tensor 'media_rows' of another type, expected I32[n]"},
    {"NoMediaInput", [](TestPlan &p) { prefillInput(p, kMediaInput).name = "m"; }, "has no input 'media' of two"},
    {"NoDeepstackInput", [](TestPlan &p) { prefillInput(p, kDeepstack).name = "d"; }, "has no tensor 'deepstack.0'"},
    {"MediaRows", [](TestPlan &p) { p.media->maxRows = 9; },
     "has input 'media' of 8 rows, expected the 9 of the media table"},
    {"MediaInArena", [](TestPlan &p) { p.buffers[kMedia].purpose = fb::BufferPurpose::Arena; },
     "expected whole words of an output buffer"},
    {"DeepstackWidth",
     [](TestPlan &p) {
       prefillInput(p, kDeepstack).dims[1].size = 2;
       prefillInput(p, kDeepstack).sizeBytes = 64;
     },
     "has tensor 'deepstack.0' of another type, expected F32[n, 4]"},
    // Sound
    {"AudioEntry", [](TestPlan &p) { p.media->audio->entry = "x\n"; }, "audio encoder names entry 'x?'"},
    {"AudioEntryWithRole", [](TestPlan &p) { p.media->audio->entry = "prefill"; }, "names entry 'prefill', expected"},
    {"AudioNumbers", [](TestPlan &p) { p.media->audio->chunkFrames = 0; }, "chunks of 0 frames"},
    {"AudioNumbersLarge", [](TestPlan &p) { p.media->audio->windowChunks = 5000; }, "windows of 5000 chunks"},
    {"AudioFrames", [](TestPlan &p) { p.media->audio->maxFrames = 300; },
     "takes 200 frames, expected up to the 300 of the media table"},
    {"AudioBins", [](TestPlan &p) { p.media->audio->melBins = 80; },
     "has tensor 'features' of another type, expected F32[n, 80]"},
    {"AudioNoTaps", [](TestPlan &p) { p.entries[kAudioEncoder].inputs[2].name = "t"; }, "has no tensor 'taps_2'"},
    {"AudioRowsSymbol", [](TestPlan &p) { p.entries[kAudioEncoder].outputs[0].dims[0].symbol = "F2"; },
     "has output 'rows' of other rows, expected one row for each of its tokens"},
    {"AudioRowsWidth",
     [](TestPlan &p) {
       p.entries[kAudioEncoder].outputs[0].dims[1].size = 3;
       p.entries[kAudioEncoder].outputs[0].sizeBytes = 26 * 12;
     },
     "has tensor 'rows' of another type, expected F32[n, 4]"},
    {"AudioRowsOnMedia",
     [](TestPlan &p) {
       p.buffers[kMedia].sizeBytes = 1024;
       p.entries[kAudioEncoder].outputs[0].buffer = kMedia;
       p.entries[kAudioEncoder].outputs[0].offset = 128;
     },
     "has output 'rows' where a prefill entry has an input, expected both apart"},
    // Images
    {"VisionEntry", [](TestPlan &p) { p.media->vision->entry = ""; }, "vision encoder names entry ''"},
    {"VisionPatch", [](TestPlan &p) { p.media->vision->patch = 0; }, "has patches of 0 pixels"},
    {"VisionTemporalPatch", [](TestPlan &p) { p.media->vision->temporalPatch = 65; }, "and 65 frames"},
    {"VisionMerge", [](TestPlan &p) { p.media->vision->merge = 70000; }, "tokens of 70000 patches"},
    {"VisionSide", [](TestPlan &p) { p.media->vision->positionSide = 0; }, "0 positions along a side"},
    {"VisionPixels", [](TestPlan &p) { p.media->vision->minPixels = 5000; }, "takes 5000 to 4096 pixels"},
    {"VisionPatches", [](TestPlan &p) { p.media->vision->maxPatches = 20; },
     "has tensor 'patches' of 16 rows, expected up to the 20 patches of the media table, 4 for each token"},
    {"VisionMergeFactor", [](TestPlan &p) { p.media->vision->merge = 1; }, "1 for each token"},
    {"VisionValues", [](TestPlan &p) { p.media->vision->temporalPatch = 1; },
     "has tensor 'patches' of another type, expected F32[n, 768]"},
    {"VisionSymbols", [](TestPlan &p) { p.entries[kVisionEncoder].inputs[3].dims[0].symbol = "M"; },
     "counts 'places' apart from its patches"},
    {"VisionNoDeepstack", [](TestPlan &p) { p.entries[kVisionEncoder].outputs.pop_back(); },
     "vision encoder has no tensor 'deepstack.0'"},
    {"VisionRows",
     [](TestPlan &p) {
       p.entries[kVisionEncoder].outputs[0].dims[0] = {"N", 16, 4};
       p.entries[kVisionEncoder].outputs[0].sizeBytes = 256;
     },
     "has output 'rows' of other rows"},
};

INSTANTIATE_TEST_SUITE_P(Fields, VerifyMediaTest, testing::ValuesIn(kBreakages),
                         [](const auto &info) { return info.param.name; });

TEST(VerifyMedia, AcceptsTheFakeModel) {
  for (bool audio : {true, false})
    for (bool vision : {true, false}) {
      TestPlan plan = fakeMediaModel();
      if (!audio)
        plan.media->audio.reset();
      if (!vision)
        plan.media->vision.reset();
      Status status = verifyPlan(plan.encode(), {.checkTrailer = false});
      EXPECT_EQ(status.isOk(), audio || vision) << status.message();
    }
}

} // namespace
