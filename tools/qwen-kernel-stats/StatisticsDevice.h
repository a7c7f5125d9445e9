//===- StatisticsDevice.h - A device opened to compile kernels and look at the result ----------------------------===//
//
// Nothing is allocated or executed, so a driver without hardware will do (RADV's null device).
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "runtime/lib/DeviceState.h"
#include "tools/qwen-kernel-stats/KernelTable.h"

#include <memory>

namespace qwenc {

class StatisticsDevice {
public:
  /// Opens the device whose index or name \p selector is (a part of it, in any case; empty: the runtime's choice, CPUs
  /// last) with the features that plans use. Unsupported if it lacks VK_KHR_pipeline_executable_properties.
  static qwenrt::Result<std::unique_ptr<StatisticsDevice>> open(const std::string &selector);
  ~StatisticsDevice();

  const qwenrt::DeviceInfo &info() const { return state_.info; }

  /// Compiles \p kernel afresh, without a pipeline cache, and fills in what the driver reports. Failures land in
  /// \p result.compiled. \p isa, if not null, receives the last text representation, which is the final ISA; it stays
  /// empty where the driver shows none.
  void compile(const qwenrt::fb::Kernel &kernel, KernelStatistics &result, std::string *isa) const;

private:
  StatisticsDevice() = default;
  qwenrt::Status createDevice(qwenrt::DeviceFeatures &features);
  qwenrt::Status readStatistics(const VkPipelineExecutableInfoKHR &executable, KernelStatistics &result) const;
  qwenrt::Status readIsa(const VkPipelineExecutableInfoKHR &executable, std::string &isa) const;

  qwenrt::detail::DeviceState state_;
  VkPipelineLayout layout_ = VK_NULL_HANDLE;
};

} // namespace qwenc
