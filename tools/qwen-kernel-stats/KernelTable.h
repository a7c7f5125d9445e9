//===- KernelTable.h - What a driver's compiler says about kernels, as text --------------------------------------===//
//
// Statistics are named by the driver (VK_KHR_pipeline_executable_properties); the table shows those that decide speed
// under one spelling, the JSON document all of them under their own names.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "plan_generated.h"
#include "qwenrt/Status.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace qwenc {

struct Statistic {
  std::string name;                              ///< the driver's: "VGPRs", "Spilled VGPRs"
  std::variant<int64_t, uint64_t, double> value; ///< booleans are 0 and 1
};

struct KernelStatistics {
  std::string name;
  qwenrt::Status compiled;            ///< why there is no pipeline
  std::optional<std::string> skipped; ///< why this device never runs the kernel: another entry serves its role
  uint32_t subgroupSize = 0;          ///< the one chosen by the driver
  uint32_t invocations = 0;           ///< per workgroup
  std::vector<Statistic> statistics;

  // From the plan: the entry in which the kernel reads most.
  std::string entry;
  uint32_t dispatches = 0; ///< in one run of that entry
  uint64_t readBytes = 0;  ///< by them together
};

/// The statistic called \p name, or null.
const Statistic *findStatistic(const KernelStatistics &kernel, std::string_view name);

/// Fills name, invocations and the fields from the plan, for each kernel of \p plan in its order.
std::vector<KernelStatistics> describeKernels(const qwenrt::fb::Plan &plan);

/// Why \p kernel is not acceptable, each with the number: not compiled, registers spilled, scratch memory used.
std::vector<std::string> problemsOf(const KernelStatistics &kernel);

/// One line per kernel under a header; "-" where the driver does not say. The same input gives the same text.
/// RADV counts "waves" per SIMD in subgroups of 32: a subgroup of 64 counts twice.
std::string printTable(const std::vector<KernelStatistics> &kernels);

/// {"device": ..., "plan": ..., "kernels": [{"name": ..., "statistics": {...}, "problems": [...]}]}
std::string printJson(const std::vector<KernelStatistics> &kernels, const std::string &device, const std::string &plan);

} // namespace qwenc
