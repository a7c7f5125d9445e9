//===- ComputePipelines.h - One pipeline per kernel --------------------------------------------------------------===//
#pragma once

#include "PipelineCache.h"

#include <functional>

namespace qwenrt {

/// The compute pipelines of a plan's kernels. All share one layout: push constants, no descriptor sets.
class ComputePipelines {
public:
  static Result<std::unique_ptr<ComputePipelines>> create(detail::DeviceState &device, const std::string &cacheFolder);
  ~ComputePipelines();

  /// Creates the pipelines of the \p wanted kernels (ordinals) that do not exist yet, on several threads.
  /// \p progress hears (done, total), on this thread.
  Status build(const fb::Plan &plan, const std::vector<uint32_t> &wanted,
               const std::function<void(uint32_t, uint32_t)> &progress);

  VkPipeline pipeline(uint32_t kernel) const { return pipelines_[kernel]; }
  VkPipelineLayout layout() const { return layout_; }
  /// A pipeline cache file of this device was found.
  bool warm() const { return cache_->warm(); }
  /// Time spent in build, nanoseconds, and pipelines made.
  uint64_t buildNs() const { return buildNs_; }
  uint32_t built() const { return built_; }

private:
  explicit ComputePipelines(detail::DeviceState &device) : device_(device) {}

  detail::DeviceState &device_;
  std::unique_ptr<PipelineCache> cache_;
  VkPipelineLayout layout_ = VK_NULL_HANDLE;
  std::vector<VkPipeline> pipelines_;
  uint64_t buildNs_ = 0;
  uint32_t built_ = 0;
};

/// Creates one compute pipeline from SPIR-V. \p subgroupSize 0 leaves it to the device.
Status createPipeline(const detail::DeviceState &device, VkPipelineCache cache, VkPipelineLayout layout,
                      const std::string &name, std::span<const uint32_t> spirv, uint32_t subgroupSize,
                      uint32_t workgroupX, VkPipeline &pipeline, VkPipelineCreateFlags flags = 0);

/// The same for a kernel of a plan.
Status createPipeline(const detail::DeviceState &device, VkPipelineCache cache, VkPipelineLayout layout,
                      const fb::Kernel &kernel, VkPipeline &pipeline, VkPipelineCreateFlags flags = 0);

/// A layout of \p bytes push constants and nothing else.
Status createPipelineLayout(const detail::DeviceState &device, uint32_t bytes, VkPipelineLayout &layout);

} // namespace qwenrt
