//===- RequirementsTest.cpp - Devices that are too small, and which one is chosen --------------------------------===//
#include "TestPlan.h"
#include "qwenrt/Device.h"

#include <gtest/gtest.h>

using namespace qwenrt;
using namespace qwenrt::test;

namespace {

/// A device that can run everything.
DeviceInfo generousDevice() {
  DeviceInfo device;
  device.name = "Test GPU";
  device.kind = DeviceKind::Discrete;
  device.deviceHeapBytes = uint64_t(1) << 34;
  device.minSubgroupSize = 16;
  device.maxSubgroupSize = 64;
  device.subgroupSizeControl = device.fullSubgroups = true;
  device.maxWorkgroupSubgroups = 16;
  device.maxWorkgroupInvocations = 1024;
  device.maxWorkgroupSize = {1024, 1024, 64};
  device.maxWorkgroupCount = {65535, 65535, 65535};
  device.maxSharedBytes = 32768;
  device.maxPushConstantBytes = 128;
  device.maxAllocationBytes = device.maxBufferBytes = uint64_t(1) << 32;
  return device;
}

struct Shortage {
  const char *name;
  void (*apply)(TestPlan &, DeviceInfo &);
  const char *message;
};

class RequirementsTest : public testing::TestWithParam<Shortage> {};

TEST_P(RequirementsTest, NamesTheLimit) {
  TestPlan source = fakeModel();
  DeviceInfo device = generousDevice();
  GetParam().apply(source, device);
  std::vector<std::byte> bytes = source.encode();
  ASSERT_TRUE(verifyPlan(bytes, {.checkTrailer = false}).isOk())
      << verifyPlan(bytes, {.checkTrailer = false}).message();
  Status status = checkPlan(*fb::GetPlan(bytes.data()), device);
  ASSERT_FALSE(status.isOk());
  EXPECT_NE(status.message().find(GetParam().message), std::string::npos) << status.message();
}

const Shortage kShortages[] = {
    {"Minimum", [](TestPlan &, DeviceInfo &d) { d.missing = {"bufferDeviceAddress"}; },
     "device 'Test GPU' has no bufferDeviceAddress"},
    {"Feature", [](TestPlan &p, DeviceInfo &) { p.kernels[0].features = uint32_t(fb::Feature::CooperativeMatrix); },
     "kernel 'fake_prefill' needs the feature CooperativeMatrix"},
    {"SubgroupSmall", [](TestPlan &p, DeviceInfo &) { p.kernels[0].subgroupSize = 8; },
     "needs subgroups of 8, expected 16 to 64"},
    {"SubgroupLarge", [](TestPlan &p, DeviceInfo &) { p.kernels[0].subgroupSize = 128; },
     "needs subgroups of 128, expected 16 to 64"},
    {"SubgroupFixed",
     [](TestPlan &p, DeviceInfo &d) {
       p.kernels[0].subgroupSize = 32;
       d.subgroupSizeControl = false;
     },
     "needs subgroups of 32"},
    {"SubgroupCount",
     [](TestPlan &p, DeviceInfo &d) {
       p.kernels[0].subgroupSize = 16;
       d.maxWorkgroupSubgroups = 0;
     },
     "needs 1 subgroups per workgroup"},
    {"Invocations", [](TestPlan &, DeviceInfo &d) { d.maxWorkgroupInvocations = 0; },
     "needs 1 invocations per workgroup, expected at most 0"},
    {"WorkgroupExtent", [](TestPlan &, DeviceInfo &d) { d.maxWorkgroupSize[2] = 0; }, "invocations per workgroup"},
    {"Shared", [](TestPlan &p, DeviceInfo &) { p.kernels[0].sharedBytes = 32772; },
     "needs 32772 bytes of shared memory, expected at most 32768"},
    {"PushConstants", [](TestPlan &, DeviceInfo &d) { d.maxPushConstantBytes = 16; },
     "needs 24 bytes of push constants, expected at most 16"},
    {"Groups",
     [](TestPlan &p, DeviceInfo &) {
       p.entries[0].dispatches[0].groups = {1, 70000, 1};
     },
     "is dispatched as 1x70000x1 workgroups, expected at most 65535x65535x65535"},
    {"Allocation", [](TestPlan &, DeviceInfo &d) { d.maxAllocationBytes = 300; },
     "buffer 'logits' needs one allocation of 400 B, expected at most 300 B"},
    {"Buffer", [](TestPlan &, DeviceInfo &d) { d.maxBufferBytes = 300; }, "buffer 'logits' needs one allocation"},
    {"Heap", [](TestPlan &, DeviceInfo &d) { d.deviceHeapBytes = 500; },
     "plan needs 852 B of device memory (Weights 48 B, Arena 64 B, Cache 128 B, State 196 B, Output 416 B), expected "
     "at most the 500 B of 'Test GPU', compile with a smaller --max-context, end other programs on the device or "
     "choose one with more memory"},
};

INSTANTIATE_TEST_SUITE_P(Limits, RequirementsTest, testing::ValuesIn(kShortages),
                         [](const auto &info) { return info.param.name; });

Status check(const TestPlan &source, const DeviceInfo &device) {
  std::vector<std::byte> bytes = source.encode();
  return checkPlan(*fb::GetPlan(bytes.data()), device);
}

TEST(Requirements, GenerousDeviceRunsThePlan) { EXPECT_TRUE(check(fakeModel(), generousDevice()).isOk()); }

TEST(Requirements, TheOnlySubgroupSizeNeedsNoControl) {
  TestPlan plan = fakeModel();
  plan.kernels[0].subgroupSize = 32;
  DeviceInfo device = generousDevice();
  device.minSubgroupSize = device.maxSubgroupSize = 32;
  device.subgroupSizeControl = false;
  EXPECT_TRUE(check(plan, device).isOk());
}

TEST(Requirements, AVariantThatRunsServesItsRole) {
  TestPlan plan = fakeModel();
  TestKernel special = plan.kernels[kFakePrefill];
  special.features = uint32_t(fb::Feature::BFloat16);
  plan.kernels.push_back(special);
  TestEntry variant = plan.entries[kPrefill];
  variant.name = "prefill_bf16";
  variant.dispatches[0].kernel = 4;
  plan.entries.insert(plan.entries.begin(), variant);
  EXPECT_TRUE(check(plan, generousDevice()).isOk());
  plan.entries.erase(plan.entries.begin() + 1);
  EXPECT_FALSE(check(plan, generousDevice()).isOk());
}

TEST(ChooseDevice, PrefersGpusAndNeverFallsBackToTheCpu) {
  DeviceInfo cpu = generousDevice(), integrated = generousDevice(), discrete = generousDevice();
  cpu.kind = DeviceKind::Cpu;
  cpu.name = "llvmpipe";
  integrated.kind = DeviceKind::Integrated;
  integrated.index = 1;
  integrated.name = "Radeon 8060S";
  discrete.index = 2;
  EXPECT_EQ(*chooseDevice({cpu, integrated, discrete}, {}, nullptr), 2u);
  EXPECT_EQ(*chooseDevice({cpu, integrated}, {}, nullptr), 1u);
  EXPECT_EQ(*chooseDevice({cpu, integrated}, {.selector = "radeon"}, nullptr), 1u);
  EXPECT_EQ(*chooseDevice({cpu, integrated}, {.selector = "0", .allowCpu = true}, nullptr), 0u);
  EXPECT_EQ(*chooseDevice({cpu}, {.allowCpu = true}, nullptr), 0u);
  EXPECT_EQ(*chooseDevice({cpu, integrated}, {.allowCpu = true}, nullptr), 1u);

  auto message = [](Result<uint32_t> result) { return result.status().message(); };
  EXPECT_NE(message(chooseDevice({cpu}, {}, nullptr))
                .find("found no GPU but 0 'llvmpipe', expected one, install its driver or pass --allow-cpu"),
            std::string::npos);
  EXPECT_NE(
      message(chooseDevice({cpu}, {.selector = "llvm"}, nullptr)).find("is a CPU, expected a GPU, pass --allow-cpu"),
      std::string::npos);
  EXPECT_NE(message(chooseDevice({cpu}, {.selector = "7"}, nullptr))
                .find("found no device '7', expected one of: 0 'llvmpipe'"),
            std::string::npos);
  EXPECT_NE(message(chooseDevice({}, {}, nullptr)).find("found no Vulkan device"), std::string::npos);
}

TEST(ChooseDevice, SkipsAGpuThatCannotRunThePlan) {
  DeviceInfo small = generousDevice(), large = generousDevice();
  small.maxPushConstantBytes = 8;
  large.index = 1;
  large.kind = DeviceKind::Integrated;
  std::vector<std::byte> bytes = fakeModel().encode();
  const fb::Plan *plan = fb::GetPlan(bytes.data());
  EXPECT_EQ(*chooseDevice({small, large}, {}, plan), 1u);
  EXPECT_NE(chooseDevice({small}, {}, plan).status().message().find("push constants"), std::string::npos);
  small.missing = {"shaderInt64"};
  EXPECT_NE(chooseDevice({small}, {}, nullptr).status().message().find("has no shaderInt64"), std::string::npos);
}

} // namespace
