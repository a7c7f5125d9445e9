//===- Timeline.h - When runs ran, on the schedule they have untraced --------------------------------------------===//
//
// One timestamp between two runs of a submission, none within them, and nobody waits: what is seen is what happens
// when nobody looks. A timestamp is a command buffer of its own, so that recorded entries stay as they are.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "DeviceState.h"

#include <deque>
#include <functional>
#include <memory>
#include <vector>

namespace qwenrt {

class Timeline {
public:
  static Result<std::unique_ptr<Timeline>> create(detail::DeviceState &device);
  ~Timeline();
  Timeline(const Timeline &) = delete;
  Timeline &operator=(const Timeline &) = delete;

  /// A command buffer, good for one submission, that writes the clock when everything before it has ended.
  Result<VkCommandBuffer> stamp();
  /// The last stamps are the begin of \p runs in submission \p value, and the end of each.
  void submitted(std::span<const uint32_t> runs, uint64_t value);
  /// Submissions up to \p value have ended: tells \p heard each of their runs with its begin and end, in ticks.
  Status collect(uint64_t value, const std::function<void(uint32_t run, uint64_t begin, uint64_t end)> &heard);
  /// The ticks of a stamp whose submission has ended.
  Result<uint64_t> read(uint64_t stamp) const;

private:
  struct Submission {
    std::vector<uint32_t> runs;
    uint64_t firstStamp, value;
  };
  struct Used {
    VkCommandBuffer commands;
    uint64_t stamp;
  };

  explicit Timeline(detail::DeviceState &device) : device_(device) {}

  detail::DeviceState &device_;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  std::vector<VkQueryPool> queries_; ///< of kPoolStamps each
  std::deque<Submission> waiting_;
  std::deque<Used> used_; ///< oldest first
  std::vector<VkCommandBuffer> free_;
  uint64_t stamps_ = 0;
};

} // namespace qwenrt
