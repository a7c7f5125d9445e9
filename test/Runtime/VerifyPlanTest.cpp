//===- VerifyPlanTest.cpp - One broken field each, and the message it earns --------------------------------------===//
#include "TestPlan.h"

#include <gtest/gtest.h>

#include <limits>

using namespace qwenrt;
using namespace qwenrt::test;

namespace {

Status verify(const TestPlan &plan) { return verifyPlan(plan.encode(), {.checkTrailer = false}); }

/// A change to the fake model and what the verifier must say about it.
struct Breakage {
  const char *name;
  void (*apply)(TestPlan &);
  const char *message;
};

/// Gives the entry "scale" \p groups workgroups for its at most 8 rows.
TestDispatch &countRows(TestPlan &plan, uint32_t factor, uint32_t perGroup, uint8_t direction, fb::Extent3 groups) {
  TestDispatch &dispatch = plan.entries[kScale].dispatches[0];
  dispatch.groups = groups;
  dispatch.rowsSymbol = "S";
  dispatch.rowsFactor = factor;
  dispatch.rowsPerGroup = perGroup;
  dispatch.rowsDirection = direction;
  return dispatch;
}

class VerifyPlanTest : public testing::TestWithParam<Breakage> {};

TEST_P(VerifyPlanTest, RefusesBrokenField) {
  TestPlan plan = fakeModel();
  GetParam().apply(plan);
  Status status = verify(plan);
  ASSERT_FALSE(status.isOk());
  EXPECT_NE(status.message().find(GetParam().message), std::string::npos) << status.message();
  EXPECT_NE(status.message().find(", expected "), std::string::npos) << status.message();
}

constexpr uint64_t kHuge = std::numeric_limits<uint64_t>::max() - 15;

const Breakage kBreakages[] = {
    {"NewerVersion", [](TestPlan &p) { p.version = 2; }, "plan has version 2, expected 1, use a newer qwenrt"},
    {"OlderVersion", [](TestPlan &p) { p.version = 0; }, "plan has version 0, expected 1, compile"},
    // Buffers
    {"BufferPurpose", [](TestPlan &p) { p.buffers[1].purpose = fb::BufferPurpose(77); },
     "buffer 1 'cache' has purpose 77"},
    {"BufferEmpty", [](TestPlan &p) { p.buffers[2].sizeBytes = 0; }, "buffer 2 'hidden' has no bytes"},
    {"BufferHuge", [](TestPlan &p) { p.buffers[1].sizeBytes = kHuge; }, "exceed 2^62 bytes"},
    {"BufferSum",
     [](TestPlan &p) {
       p.buffers[1].sizeBytes = p.buffers[4].sizeBytes = uint64_t(1) << 61;
       p.buffers[6].sizeBytes = uint64_t(1) << 61;
     },
     "exceed 2^62 bytes"},
    // Weight files
    {"FileLeaves", [](TestPlan &p) { p.files[0].name = "a/../../etc/passwd"; }, "path that leaves the checkpoint"},
    {"FileAbsolute", [](TestPlan &p) { p.files[0].name = "/etc/passwd"; }, "path that leaves the checkpoint"},
    {"FileUnnamed", [](TestPlan &p) { p.files[0].name = ""; }, "path that leaves the checkpoint"},
    {"FileHeader", [](TestPlan &p) { p.files[0].headerBytes = 993; }, "has a header of 993 bytes"},
    {"FileHeaderHuge", [](TestPlan &p) { p.files[0].headerBytes = kHuge; }, "has a header of"},
    // Weights
    {"WeightFile", [](TestPlan &p) { p.weights[0].file = 1; },
     "weight 0 'scale.weight' names file 1, expected an ordinal below 1"},
    {"WeightBuffer", [](TestPlan &p) { p.weights[0].buffer = 7; }, "names buffer 7"},
    {"WeightNoRows", [](TestPlan &p) { p.weights[0].rows = 0; }, "has 0 rows of 32 bytes"},
    {"WeightNoBytes", [](TestPlan &p) { p.weights[0].rowBytes = 0; }, "rows of 0 bytes"},
    {"WeightPitch", [](TestPlan &p) { p.weights[0].pitchBytes = 31; },
     "has pitch 31, expected at least its row of 32 bytes"},
    {"WeightOverflow", [](TestPlan &p) { p.weights[0].rows = kHuge; }, "expected a size that fits 64 bits"},
    {"WeightInHeader", [](TestPlan &p) { p.weights[0].fileOffset = 107; }, "reads 32 bytes at 107"},
    {"WeightBehindFile", [](TestPlan &p) { p.weights[0].fileOffset = 969; }, "reads 32 bytes at 969"},
    {"WeightOffsetHuge", [](TestPlan &p) { p.weights[0].fileOffset = kHuge; },
     "expected a range within the data of its file"},
    {"WeightElsewhere", [](TestPlan &p) { p.weights[0].buffer = kCache; },
     "goes to buffer 1 'cache', expected a buffer for weights"},
    {"WeightBehindBuffer", [](TestPlan &p) { p.weights[0].bufferOffset = 17; }, "takes 32 bytes at 17"},
    {"WeightPaddedBehindBuffer",
     [](TestPlan &p) {
       p.weights[0].rows = 2;
       p.weights[0].pitchBytes = 32;
       p.weights[0].rowBytes = 16;
     },
     "takes 64 bytes at 0"},
    {"WeightsOverlap",
     [](TestPlan &p) {
       p.weights.push_back(p.weights[0]);
       p.weights[1].bufferOffset = 16;
     },
     "overlaps weight 0 'scale.weight'"},
    // Cells
    {"CellKind", [](TestPlan &p) { p.cells[0].kind = fb::CellKind(99); }, "cell 0 has kind 99"},
    {"CellTwice", [](TestPlan &p) { p.cells[1].kind = fb::CellKind::Position; }, "cell Position stands twice"},
    {"CellTwiceInASequence",
     [](TestPlan &p) {
       p.cells[0].sequence = p.cells[1].sequence = 1;
       p.cells[1].kind = fb::CellKind::Position;
     },
     "cell Position stands twice"},
    {"CellOfAnotherSequence", [](TestPlan &p) { p.cells[size_t(fb::CellKind::Rows)].sequence = 1; },
     "needs cell Rows, which the plan has not"},
    {"CellBuffer", [](TestPlan &p) { p.cells[0].buffer = 100; }, "cell Position names buffer 100"},
    {"CellElsewhere", [](TestPlan &p) { p.cells[0].buffer = kCache; },
     "cell Position lies in buffer 1 'cache', expected a state buffer"},
    {"RingElsewhere", [](TestPlan &p) { p.cells.back().buffer = kState; }, "expected a mailbox buffer"},
    {"CellCount", [](TestPlan &p) { p.cells[0].count = 2; }, "cell Position has 2 elements"},
    {"CellEmpty", [](TestPlan &p) { p.cells.back().count = 0; }, "cell Sampled has 0 elements"},
    {"CellUnaligned", [](TestPlan &p) { p.cells[0].offset = 50; }, "cell Position takes 1 elements at byte 50"},
    {"CellOutside", [](TestPlan &p) { p.cells[0].offset = 196; }, "cell Position takes 1 elements at byte 196"},
    {"CellsOverlap", [](TestPlan &p) { p.cells[0].offset = 4; }, "overlaps another"},
    // Kernels
    {"KernelUnnamed", [](TestPlan &p) { p.kernels[0].name = ""; }, "has a name of 0 bytes"},
    {"KernelWorkgroup", [](TestPlan &p) { p.kernels[0].workgroup = {0, 1, 1}; }, "has workgroup 0x1x1"},
    {"KernelWorkgroupLarge", [](TestPlan &p) { p.kernels[0].workgroup = {1024, 2, 1}; },
     "expected 1 to 1024 invocations"},
    {"KernelWorkgroupOverflow", [](TestPlan &p) { p.kernels[0].workgroup = {1u << 31, 1u << 31, 4}; },
     "expected 1 to 1024 invocations"},
    {"KernelSubgroup", [](TestPlan &p) { p.kernels[0].subgroupSize = 24; }, "requires subgroups of 24"},
    {"KernelSubgroupLarge", [](TestPlan &p) { p.kernels[0].subgroupSize = 256; }, "requires subgroups of 256"},
    {"KernelShared", [](TestPlan &p) { p.kernels[0].sharedBytes = 2 << 20; }, "2097152 bytes of shared memory"},
    {"KernelFeatures", [](TestPlan &p) { p.kernels[0].features = 1u << 30; }, "needs feature bits"},
    {"KernelOperands", [](TestPlan &p) { p.kernels[3].operands.resize(33, p.kernels[3].operands[0]); },
     "has 33 operands"},
    {"KernelAccess", [](TestPlan &p) { p.kernels[0].operands[1].access = fb::Access(9); },
     "unknown access of operand 1"},
    // SPIR-V
    {"SpirvMagic", [](TestPlan &p) { p.kernels[0].spirv[0] ^= 1; }, "does not start with the SPIR-V magic"},
    {"SpirvEmpty", [](TestPlan &p) { p.kernels[0].spirv.clear(); }, "does not start with the SPIR-V magic"},
    {"SpirvVersion", [](TestPlan &p) { p.kernels[0].spirv[1] = 0x00020000; }, "has SPIR-V version word"},
    {"SpirvCut",
     [](TestPlan &p) {
       p.kernels[0].spirv.resize(p.kernels[0].spirv.size() - 1);
       p.kernels[0].spirv.back() |= 0xffff0000;
     },
     "expected instructions that fill the module"},
    {"SpirvZeroLength", [](TestPlan &p) { p.kernels[0].spirv[5] &= 0xffff; },
     "has a SPIR-V instruction of 0 words at word 5"},
    {"SpirvCapability", [](TestPlan &p) { p.kernels[0].spirv[6] = 10; },
     "declares SPIR-V capability 10, expected one that a plan may use"},
    {"SpirvFeature", [](TestPlan &p) { p.kernels[0].spirv[6] = 6022; }, "expected the feature bit CooperativeMatrix"},
    {"SpirvEntryName", [](TestPlan &p) { p.kernels[0].name = "other"; },
     "kernel 'other' has no entry point of its name"},
    {"SpirvWorkgroup", [](TestPlan &p) { p.kernels[3].workgroup = {4, 1, 1}; },
     "has a module of workgroup size 8x1x1, expected 4x1x1"},
    // Entries
    {"EntryUnnamed", [](TestPlan &p) { p.entries[6].name = ""; }, "has a name of 0 bytes"},
    {"EntryTwice", [](TestPlan &p) { p.entries[6].name = "prefill"; }, "has the name of another"},
    {"EntryRole", [](TestPlan &p) { p.entries[0].role = fb::Role(50); }, "has role 50"},
    {"EntryRows", [](TestPlan &p) { p.entries[0].rows = 0; }, "processes no rows"},
    {"EntryDecodeRows", [](TestPlan &p) { p.entries[3].rows = 2; }, "processes 2 rows, expected one for a decode step"},
    {"DispatchKernel", [](TestPlan &p) { p.entries[3].dispatches[1].kernel = 4; },
     "dispatch 1 of entry 3 'decode_greedy' names kernel 4, expected an ordinal below 4"},
    {"DispatchGroups", [](TestPlan &p) { p.entries[0].dispatches[0].groups = {1, 0, 1}; }, "has no workgroups"},
    {"RowsInAnotherRole",
     [](TestPlan &p) { p.entries[kPrefill].dispatches[0].rowsSymbol = "S"; },
     "dispatch 0 of entry 0 'prefill' counts rows in an entry of role Prefill, expected role Other"},
    {"RowsOfNoSymbol", [](TestPlan &p) { countRows(p, 1, 8, 0, {1, 1, 1}).rowsSymbol = "T"; },
     "dispatch 0 of entry 6 'scale' counts rows of 'T', expected a symbol of the entry"},
    {"RowsWithoutFactor", [](TestPlan &p) { countRows(p, 0, 8, 0, {1, 1, 1}); }, "takes rows by 0 per 8 along"},
    {"RowsWithoutDivisor", [](TestPlan &p) { countRows(p, 1, 0, 0, {1, 1, 1}); }, "takes rows by 1 per 0 along"},
    {"RowsDirection", [](TestPlan &p) { countRows(p, 1, 8, 3, {1, 1, 1}); }, "along direction 3, expected a factor"},
    {"RowsTooFew", [](TestPlan &p) { countRows(p, 3, 10, 1, {3, 2, 3}); },
     "has 2 workgroups along direction 1, expected 3 for 24 rows"},
    {"RowsTooMany", [](TestPlan &p) { countRows(p, 3, 8, 2, {3, 3, 4}); },
     "has 4 workgroups along direction 2, expected 3 for 24 rows"},
    {"RowsBeyondGroups",
     [](TestPlan &p) {
       p.entries[kScale].symbols[0].max = 0xffffffff;
       p.entries[kScale].inputs[0].dims[0].symbol = p.entries[kScale].outputs[0].dims[0].symbol = "T";
       countRows(p, 0xffffffff, 1, 0, {0xffffffff, 1, 1});
     },
     "expected 18446744065119617025 for 18446744065119617025 rows"},
    {"DispatchOperands", [](TestPlan &p) { p.entries[0].dispatches[0].operands.pop_back(); },
     "has 2 operands, expected 3 as kernel 'fake_prefill' has"},
    {"OperandBuffer", [](TestPlan &p) { p.entries[0].dispatches[0].operands[0].buffer = 9; },
     "operand 0 of dispatch 0 of entry 0 'prefill' names buffer 9"},
    {"OperandAlignment", [](TestPlan &p) { p.entries[6].dispatches[0].operands[2].offset = 8; },
     "starts at byte 8, expected a multiple of 16"},
    {"OperandOutside", [](TestPlan &p) { p.entries[6].dispatches[0].operands[2].offset = 48; },
     "reaches 32 bytes from 48"},
    {"OperandOffsetHuge", [](TestPlan &p) { p.entries[6].dispatches[0].operands[2].offset = kHuge; },
     "expected a range within its buffer of 64 bytes"},
    {"OperandSizeHuge", [](TestPlan &p) { p.entries[6].dispatches[0].operands[2].sizeBytes = kHuge; },
     "expected a range within its buffer of 64 bytes"},
    {"OperandSmall", [](TestPlan &p) { p.entries[6].dispatches[0].operands[0].sizeBytes = 31; },
     "has 31 bytes, expected the 32 its kernel may touch"},
    {"WritesWeights", [](TestPlan &p) { p.entries[6].dispatches[0].operands[2] = {kWeights, 0, 32}; },
     "writes to buffer 5 'weights.0', expected weights to be read only"},
    {"WritesDerived", [](TestPlan &p) { p.buffers[kTensors].purpose = fb::BufferPurpose::Derived; },
     "writes to a buffer of purpose Derived, expected an entry of role Prepare to write Derived buffers, and no other"},
    {"PrepareWritesState",
     [](TestPlan &p) {
       p.entries[kPrefill] = {"prepare", fb::Role::Prepare, 1, {}, {}, {}, p.entries[kPrefill].dispatches};
     },
     "writes to a buffer of purpose State, expected an entry of role Prepare"},
    {"PrepareWithTensors", [](TestPlan &p) { p.entries[kScale].role = fb::Role::Prepare; },
     "has inputs, outputs or symbols, expected none of an entry that derives weights"},
    // Tensors and symbols
    {"TensorTwice", [](TestPlan &p) { p.entries[6].inputs.push_back(p.entries[6].inputs[0]); }, "has input 'x' twice"},
    {"TensorDType", [](TestPlan &p) { p.entries[6].inputs[0].dtype = fb::DType(20); }, "of dtype 20"},
    {"TensorRank", [](TestPlan &p) { p.entries[6].inputs[0].dims.resize(9, {"", 1}); }, "of 9 dimensions"},
    {"TensorExtent", [](TestPlan &p) { p.entries[6].inputs[0].dims[0].size = 0; }, "with an extent of 0"},
    {"TensorOverflow", [](TestPlan &p) { p.entries[6].inputs[0].dims[0] = {"", kHuge}; },
     "expected extents above zero of a size that fits 64 bits"},
    {"TensorSize", [](TestPlan &p) { p.entries[6].inputs[0].sizeBytes = 28; },
     "has input 'x' of 28 bytes, expected 32 by its shape"},
    {"TensorBuffer", [](TestPlan &p) { p.entries[6].inputs[0].buffer = 8; }, "in buffer 8"},
    {"TensorInWeights",
     [](TestPlan &p) {
       p.entries[6].outputs[0].buffer = kWeights;
       p.entries[6].outputs[0].offset = 0;
     },
     "expected a buffer that is not for weights"},
    {"TensorOutside", [](TestPlan &p) { p.entries[6].outputs[0].offset = 33; }, "has output 'y' of 32 bytes at 33"},
    {"SymbolTwice", [](TestPlan &p) { p.entries[6].symbols.push_back(p.entries[6].symbols[0]); },
     "has symbol 'S' twice"},
    {"SymbolCell", [](TestPlan &p) { p.entries[6].symbols[0].cell = fb::CellKind::Tokens; },
     "has symbol 'S' for cell 11"},
    {"SymbolMax", [](TestPlan &p) { p.entries[6].symbols[0].max = 0; }, "of maximum 0"},
    {"SymbolExtent", [](TestPlan &p) { p.entries[6].symbols[0].max = 7; },
     "with an extent of 8, expected the maximum 7 of its symbol"},
    // Roles
    {"MissingCell", [](TestPlan &p) { p.cells.erase(p.cells.begin() + 5); }, "needs cell Step"},
    {"MissingSampleCell", [](TestPlan &p) { p.cells.erase(p.cells.begin() + 9); }, "needs cell TopP"},
    {"MissingHeadCell", [](TestPlan &p) { p.cells.erase(p.cells.begin() + 3); }, "needs cell HeadRow"},
    {"ShortHistory", [](TestPlan &p) { p.cells[11].count = 32; },
     "token history has 32 elements, expected one more than the context of 32"},
    {"NoContext", [](TestPlan &p) { p.maxContext = 0; }, "expected one more than the context of 0"},
    {"NextWithoutDecode", [](TestPlan &p) { p.entries[3].role = fb::Role::Other; },
     "next step without its decode step"},
    {"NoPrefill", [](TestPlan &p) { p.entries[0].role = fb::Role::Other; }, "plan has no prefill entry"},
    {"PrefillAlone",
     [](TestPlan &p) {
       for (int i = 1; i < 5; ++i)
         p.entries[i].role = fb::Role::Other;
     },
     "has a prefill entry but no decode entries"},
    {"LogitsAlone",
     [](TestPlan &p) {
       for (int i = 0; i < 5; ++i)
         p.entries[i].role = fb::Role::Other;
     },
     "has a logits entry but no prefill entry"},
    {"LogitsUnnamed", [](TestPlan &p) { p.entries[5].outputs.clear(); }, "has no output 'logits'"},
    {"LogitsType", [](TestPlan &p) { p.entries[5].outputs[0].dtype = fb::DType::U32; },
     "has logits of another type, expected f32[2, vocabulary]"},
    // Generation
    {"Temperature", [](TestPlan &p) { p.temperature = -1; }, "broken temperature"},
    {"TopP", [](TestPlan &p) { p.topP = std::numeric_limits<float>::quiet_NaN(); }, "broken top_p"},
    {"Penalty", [](TestPlan &p) { p.repetitionPenalty = 0; }, "broken repetition_penalty"},
    {"StopId", [](TestPlan &p) { p.stopIds = {0xffffffff}; }, "stop id 0 is 4294967295"},
};

INSTANTIATE_TEST_SUITE_P(Fields, VerifyPlanTest, testing::ValuesIn(kBreakages),
                         [](const auto &info) { return info.param.name; });

TEST(VerifyPlan, AcceptsTheFakeModel) {
  Status status = verify(fakeModel());
  EXPECT_TRUE(status.isOk()) << status.message();
}

TEST(VerifyPlan, AcceptsGroupsOfRows) {
  TestPlan plan = fakeModel();
  countRows(plan, 3, 10, 1, {7, 3, 1}); // 24 rows
  EXPECT_EQ(verify(plan).message(), "");
}

TEST(VerifyPlan, AcceptsAPlanWithoutText) {
  TestPlan plan = fakeModel();
  plan.entries.erase(plan.entries.begin(), plan.entries.begin() + 6);
  plan.maxContext = 0;
  Status status = verify(plan);
  EXPECT_TRUE(status.isOk()) << status.message();
}

TEST(VerifyPlan, RefusesSpirvWithoutPhysicalAddressing) {
  TestPlan plan = fakeModel();
  std::vector<uint32_t> &words = plan.kernels[kScaleAddOne].spirv;
  for (size_t at = 5; at < words.size(); at += words[at] >> 16)
    if ((words[at] & 0xffff) == 14) // OpMemoryModel
      words[at + 1] = 0;
  Status status = verify(plan);
  EXPECT_NE(status.message().find("expected PhysicalStorageBuffer64"), std::string::npos) << status.message();
}

TEST(VerifyPlan, CapabilityWithItsFeatureBitIsAccepted) {
  TestPlan plan = fakeModel();
  plan.kernels[0].spirv[6] = 9; // Float16
  plan.kernels[0].features = uint32_t(fb::Feature::ShaderFloat16);
  EXPECT_TRUE(verify(plan).isOk()) << verify(plan).message();
}

} // namespace
