//===- TargetProfileTest.cpp - Built-in profiles and profile files ------------------------------------------------===//
#include "compiler/Target/TargetProfile.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

using namespace qwenc;
using qwenrt::StatusCode;

namespace {

/// Writes \p text to a file of its own and loads it.
qwenrt::Result<TargetProfile> loadText(const std::string &text, const std::string &name = "my-gpu.json") {
  std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "target_profile_test";
  std::filesystem::create_directories(folder);
  std::ofstream(folder / name) << text;
  return loadTargetProfile((folder / name).string());
}

void expectRefused(const std::string &text, const std::string &message) {
  qwenrt::Result<TargetProfile> profile = loadText(text);
  ASSERT_FALSE(profile.isOk()) << text;
  EXPECT_EQ(profile.status().code(), StatusCode::InvalidInput) << text;
  EXPECT_NE(profile.status().message().find(message), std::string::npos)
      << "message: " << profile.status().message() << "\nexpected: " << message;
  EXPECT_EQ(profile.status().message().find('\n'), std::string::npos);
}

TEST(BuiltinProfile, NamesInOrder) {
  EXPECT_EQ(builtinTargetNames(), (std::vector<std::string>{"generic", "lavapipe", "nvidia-h200", "amd-gfx1151"}));
}

TEST(BuiltinProfile, GenericIsTheVulkanMinimum) {
  TargetProfile profile = loadTargetProfile("generic").value();
  EXPECT_EQ(profile.subgroupSize, 0u);
  EXPECT_EQ(profile.maxWorkgroupInvocations, 256u);
  EXPECT_EQ(profile.maxSharedBytes, 32768u);
  EXPECT_EQ(profile.maxPushConstantBytes, 128u);
  EXPECT_EQ(profile.maxAllocationBytes, 1073741824u);
  EXPECT_EQ(profile.maxWeightBytes, 4292870144u); // the one thing asked beyond it, and only by models that need it
  EXPECT_FALSE(profile.bf16CooperativeMatrix);
  EXPECT_FALSE(profile.shaderFloat16);
  EXPECT_FALSE(profile.shaderInt8);
  EXPECT_EQ(profile.kvFormat, KvFormat::F32);
}

TEST(BuiltinProfile, NoneIsBelowGeneric) {
  TargetProfile least = loadTargetProfile("generic").value();
  for (const std::string &name : builtinTargetNames()) {
    TargetProfile profile = loadTargetProfile(name).value();
    EXPECT_EQ(profile.name, name);
    EXPECT_GE(profile.maxWorkgroupInvocations, least.maxWorkgroupInvocations) << name;
    EXPECT_GE(profile.maxSharedBytes, least.maxSharedBytes) << name;
    EXPECT_GE(profile.maxPushConstantBytes, least.maxPushConstantBytes) << name;
    EXPECT_GE(profile.maxAllocationBytes, least.maxAllocationBytes) << name;
    EXPECT_GT(profile.readBytesPerNs, 0.0) << name;
  }
}

TEST(BuiltinProfile, Lavapipe) {
  TargetProfile profile = loadTargetProfile("lavapipe").value();
  EXPECT_EQ(profile.subgroupSize, 8u);
  EXPECT_EQ(profile.maxWeightBytes, 0u);
  EXPECT_EQ(profile.kvFormat, KvFormat::F32);
  EXPECT_FALSE(profile.narrowMatrixOperands);
}

TEST(BuiltinProfile, NvidiaH200) {
  TargetProfile profile = loadTargetProfile("nvidia-h200").value();
  EXPECT_EQ(profile.subgroupSize, 32u);
  EXPECT_EQ(profile.maxSharedBytes, 49152u);
  EXPECT_EQ(profile.maxAllocationBytes, 4292870144u);
  EXPECT_TRUE(profile.bf16CooperativeMatrix);
  EXPECT_TRUE(profile.f16CooperativeMatrix);
  EXPECT_TRUE(profile.narrowMatrixOperands);
  EXPECT_TRUE(profile.dontUnrollLoops);
  EXPECT_EQ(profile.kvFormat, KvFormat::F16);
  EXPECT_EQ(profile.prefillChunk, 512u);
  EXPECT_EQ(profile.mixturePrefillChunk, 2048u);
  EXPECT_EQ(profile.readBytesPerNs, 4450.0);
}

TEST(BuiltinProfile, AmdGfx1151) {
  TargetProfile profile = loadTargetProfile("amd-gfx1151").value();
  EXPECT_EQ(profile.subgroupSize, 64u);
  EXPECT_EQ(profile.maxSharedBytes, 65536u);
  EXPECT_EQ(profile.maxAllocationBytes, 2147483648u); // AMDVLK's, RADV has twice that
  EXPECT_FALSE(profile.bf16CooperativeMatrix);
  EXPECT_TRUE(profile.f16CooperativeMatrix);
  EXPECT_TRUE(profile.narrowMatrixOperands);
  EXPECT_FALSE(profile.dontUnrollLoops);
  EXPECT_EQ(profile.prefillChunk, 512u);
  EXPECT_EQ(profile.mixturePrefillChunk, 2048u);
}

TEST(BuiltinProfile, UnknownNameListsTheKnown) {
  qwenrt::Result<TargetProfile> profile = loadTargetProfile("h100");
  ASSERT_FALSE(profile.isOk());
  EXPECT_EQ(profile.status().code(), StatusCode::InvalidUsage);
  EXPECT_EQ(profile.status().message(), "unknown target 'h100', expected one of generic, lavapipe, nvidia-h200, "
                                        "amd-gfx1151 or a profile file, name a file by a path with / or .json");
}

TEST(ProfileFile, EveryKey) {
  qwenrt::Result<TargetProfile> profile = loadText(R"({"base": "amd-gfx1151", "name": "my-card", "subgroup_size": 32,
      "max_workgroup_invocations": 512, "max_shared_bytes": 16384, "max_push_constant_bytes": 200,
      "max_workgroup_count": [65535, 70000, 80000], "max_allocation_bytes": 1048576, "max_weight_bytes": 2097152, "bf16_cooperative_matrix": true,
      "f16_cooperative_matrix": true, "shader_float16": true, "shader_int8": true, "compute_units": 7, "kv_format": "bf16", "prefill_chunk": 128, "decode_splits": 3,
      "mixture_prefill_chunk": 256, "narrow_matrix_operands": true, "dont_unroll_loops": true, "read_bytes_per_ns": 100.5, "step_overhead_ns": 4000, "flops_per_ns": 750})");
  ASSERT_TRUE(profile.isOk()) << profile.status().message();
  EXPECT_EQ(profile->name, "my-card");
  EXPECT_EQ(profile->subgroupSize, 32u);
  EXPECT_EQ(profile->maxWorkgroupInvocations, 512u);
  EXPECT_EQ(profile->maxSharedBytes, 16384u);
  EXPECT_EQ(profile->maxPushConstantBytes, 200u);
  EXPECT_EQ(profile->maxWorkgroupCount, (std::array<uint32_t, 3>{65535, 70000, 80000}));
  EXPECT_EQ(profile->maxAllocationBytes, 1048576u);
  EXPECT_EQ(profile->maxWeightBytes, 2097152u);
  EXPECT_TRUE(profile->bf16CooperativeMatrix);
  EXPECT_TRUE(profile->f16CooperativeMatrix);
  EXPECT_TRUE(profile->shaderFloat16);
  EXPECT_TRUE(profile->shaderInt8);
  EXPECT_EQ(profile->computeUnits, 7u);
  EXPECT_EQ(profile->kvFormat, KvFormat::BF16);
  EXPECT_EQ(profile->prefillChunk, 128u);
  EXPECT_EQ(profile->mixturePrefillChunk, 256u);
  EXPECT_EQ(profile->decodeSplits, 3u);
  EXPECT_TRUE(profile->narrowMatrixOperands);
  EXPECT_TRUE(profile->dontUnrollLoops);
  EXPECT_EQ(profile->readBytesPerNs, 100.5);
  EXPECT_EQ(profile->stepOverheadNs, 4000.0);
  EXPECT_EQ(profile->flopsPerNs, 750.0);
}

TEST(ProfileFile, MissingKeysComeFromTheBase) {
  TargetProfile profile = loadText(R"({"base": "nvidia-h200", "prefill_chunk": 64})").value();
  EXPECT_EQ(profile.name, "my-gpu"); // from the file name
  EXPECT_EQ(profile.prefillChunk, 64u);
  EXPECT_EQ(profile.maxSharedBytes, 49152u);
}

TEST(ProfileFile, WithoutBaseItIsGeneric) {
  TargetProfile profile = loadText("{}", "a name with blanks.json").value();
  EXPECT_EQ(profile.maxAllocationBytes, 1073741824u);
  EXPECT_EQ(profile.name, "custom");
}

TEST(ProfileFile, MissingFile) {
  qwenrt::Result<TargetProfile> profile = loadTargetProfile("no/such/profile.json");
  ASSERT_FALSE(profile.isOk());
  EXPECT_EQ(profile.status().code(), StatusCode::NotFound);
  EXPECT_NE(profile.status().message().find("no/such/profile.json"), std::string::npos);
}

TEST(ProfileFile, RefusesWhatItDoesNotKnow) {
  expectRefused(R"({"subgroups": 32})",
                "my-gpu.json: unknown key 'subgroups', expected one of base, name, subgroup_size,");
  expectRefused(R"({"base": "h100"})",
                "base is '\"h100\"', expected one of generic, lavapipe, nvidia-h200, amd-gfx1151,");
  expectRefused(R"({"base": 3})", "base is '3', expected one of generic");
  expectRefused("[]", "the document is no JSON object, expected a target profile");
  expectRefused("{", "my-gpu.json");
  expectRefused(R"({"compute_units": 1, "compute_units": 2})", "'compute_units'");
}

TEST(ProfileFile, ChecksRanges) {
  expectRefused(R"({"name": "two words"})", "name is '\"two words\"', expected 1 to 64 printable ASCII characters");
  expectRefused(R"({"name": 1})", "name is '1', expected 1 to 64");
  expectRefused(R"({"subgroup_size": 24})", "subgroup_size is '24', expected 0 or a power of two from 4 to 128");
  expectRefused(R"({"subgroup_size": 2})", "expected 0 or a power of two from 4 to 128");
  expectRefused(R"({"subgroup_size": 256})", "expected 0 or a power of two from 4 to 128");
  expectRefused(R"({"subgroup_size": "8"})", "expected 0 or a power of two from 4 to 128");
  expectRefused(R"({"max_workgroup_invocations": 127})", "expected an integer from 128 to 1024");
  expectRefused(R"({"max_shared_bytes": -1})", "max_shared_bytes is '-1', expected an integer from 16384 to 1048576");
  expectRefused(R"({"max_push_constant_bytes": 257})", "expected an integer from 128 to 256");
  expectRefused(R"({"max_workgroup_count": [65535, 65535]})", "expected three integers from 65535 to 4294967295");
  expectRefused(R"({"max_workgroup_count": [65535, 65535, 1]})", "expected three integers from 65535 to 4294967295");
  expectRefused(R"({"max_allocation_bytes": 1e10})", "expected an integer from 1048576 to 1099511627776");
  expectRefused(R"({"bf16_cooperative_matrix": 1})", "bf16_cooperative_matrix is '1', expected true or false");
  expectRefused(R"({"f16_cooperative_matrix": "yes"})", "expected true or false");
  expectRefused(R"({"compute_units": 0})", "expected an integer from 1 to 65536");
  expectRefused(R"({"kv_format": "q8"})", "kv_format is '\"q8\"', expected \"f32\", \"f16\" or \"bf16\"");
  expectRefused(R"({"prefill_chunk": 16385})", "expected an integer from 1 to 16384");
  expectRefused(R"({"mixture_prefill_chunk": 0})", "expected an integer from 1 to 16384");
  expectRefused(R"({"decode_splits": 257})", "expected an integer from 1 to 256");
  expectRefused(R"({"narrow_matrix_operands": null})", "expected true or false");
  expectRefused(R"({"dont_unroll_loops": "always"})", "dont_unroll_loops is '\"always\"', expected true or false");
  expectRefused(R"({"read_bytes_per_ns": 0})", "read_bytes_per_ns is '0', expected a number from 0.001 to 1000000");
  expectRefused(R"({"step_overhead_ns": "fast"})", "expected a number from 0 to 1000000000");
}

} // namespace
