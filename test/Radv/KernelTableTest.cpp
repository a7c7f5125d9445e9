//===- KernelTableTest.cpp - What counts as a problem, and the text
//------------------------------------------------===//
#include "tools/qwen-kernel-stats/KernelTable.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

using namespace qwenc;

namespace {

KernelStatistics gemv() {
  KernelStatistics kernel;
  kernel.name = "gemv_n8_k16";
  kernel.invocations = 256;
  kernel.subgroupSize = 64;
  kernel.statistics = {
      {"VGPRs", uint64_t(48)}, {"Spilled VGPRs", uint64_t(0)}, {"Scratch size", uint64_t(0)}, {"Ratio", 0.5}};
  kernel.entry = "decode_greedy";
  kernel.dispatches = 28;
  kernel.readBytes = 234881024;
  return kernel;
}

TEST(KernelTable, AKernelWithoutSpillsHasNoProblems) { EXPECT_TRUE(problemsOf(gemv()).empty()); }

TEST(KernelTable, SpillsAreProblemsWithKernelAndNumber) {
  KernelStatistics kernel = gemv();
  kernel.statistics[1].value = uint64_t(7);
  ASSERT_EQ(problemsOf(kernel).size(), 1u);
  EXPECT_NE(problemsOf(kernel)[0].find("kernel 'gemv_n8_k16' has Spilled VGPRs 7, expected 0"), std::string::npos);
}

TEST(KernelTable, ScratchIsAProblem) {
  KernelStatistics kernel = gemv();
  kernel.statistics[2].value = uint64_t(1024);
  ASSERT_EQ(problemsOf(kernel).size(), 1u);
  EXPECT_NE(problemsOf(kernel)[0].find("has Scratch size 1024, expected 0"), std::string::npos);
}

TEST(KernelTable, SpillsCountUnderAnyDriversName) {
  KernelStatistics kernel = gemv();
  kernel.statistics = {{"Spill count", int64_t(3)}, {"Spare registers", int64_t(9)}};
  ASSERT_EQ(problemsOf(kernel).size(), 1u);
}

TEST(KernelTable, AFailedCompilationIsTheProblem) {
  KernelStatistics kernel = gemv();
  kernel.compiled = {qwenrt::StatusCode::Unsupported, "the driver said no"};
  EXPECT_EQ(problemsOf(kernel), std::vector<std::string>{"the driver said no"});
}

TEST(KernelTable, PrintsColumnsAndDashesForWhatIsNotReported) {
  std::string text = printTable({gemv()});
  std::string row = text.substr(text.find('\n') + 1);
  EXPECT_EQ(row.find("gemv_n8_k16"), 0u);
  EXPECT_NE(row.find(" 256 "), std::string::npos);
  EXPECT_NE(row.find(" 48 "), std::string::npos);
  EXPECT_NE(row.find(" - "), std::string::npos);
  EXPECT_NE(row.find("234.881 MB in 28 of decode_greedy"), std::string::npos);
}

TEST(KernelTable, NamesCannotDisturbTheTerminal) {
  KernelStatistics kernel = gemv();
  kernel.name = "a\x1b[2Jb\n";
  kernel.entry = "e\n";
  std::string text = printTable({kernel});
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
}

TEST(KernelTable, JsonHoldsEveryStatisticExactly) {
  KernelStatistics kernel = gemv();
  kernel.name = "not utf-8 \xff";
  kernel.statistics.push_back({"Hash", UINT64_MAX});
  auto document = nlohmann::json::parse(printJson({kernel}, "device", "plan.fb"), nullptr, false);
  ASSERT_FALSE(document.is_discarded());
  const auto &statistics = document["kernels"][0]["statistics"];
  EXPECT_EQ(statistics["Hash"], UINT64_MAX);
  EXPECT_EQ(statistics["Ratio"], 0.5);
  EXPECT_EQ(document["kernels"][0]["read_bytes"], 234881024u);
}

} // namespace
