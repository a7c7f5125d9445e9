//===- Replay.h - A plan's buffers and recorded entries on a device ----------------------------------------------===//
//
// Recorded once, submitted as often as needed: an entry becomes one or more command buffers, cut where the plan's cost
// estimates pass half a second (a GPU's watchdog kills a submission at about two). Every command buffer on the queue,
// here and in Transfer and Weights, ends with a barrier towards all that follows, and the last one of a submission with
// one towards the host; what the host writes before a submission is visible to it by Vulkan's rules.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "ComputePipelines.h"
#include "RowGroups.h"
#include "Timeline.h"
#include "Transfer.h"
#include "qwenrt/Plan.h"
#include "qwenrt/Session.h"
#include "qwenrt/Trace.h"

namespace qwenrt {

/// The longest submission by the plan's estimate.
constexpr uint64_t kLongestSubmitNs = 500'000'000;

class Replay {
public:
  /// Checks the budget, then makes all buffers. Arena, cache, state, output and mailbox start as zeros.
  static Result<std::unique_ptr<Replay>> create(detail::DeviceState &device, const Plan &plan,
                                                const SessionOptions &options);
  ~Replay();

  /// Compiles the kernels of \p entries.
  Status buildPipelines(const std::vector<uint32_t> &entries, const std::function<void(uint32_t, uint32_t)> &progress);

  /// Tells the next runs of \p entry how many rows they have; no run of it may be in flight. Without this they have
  /// the most that they may have.
  Status setExtents(uint32_t entry, const ExtentOf &extentOf);
  /// Queues \p times runs of \p entry; \p value is what wait() takes to wait for the last. Records the entry at first
  /// use.
  Status submit(uint32_t entry, uint32_t times, uint64_t &value);
  /// The same of several entries one after another, in one submission.
  Status submit(std::span<const uint32_t> entries, uint64_t &value);
  /// Waits up to \p timeoutNs for a submission; false: not yet.
  Result<bool> wait(uint64_t value, uint64_t timeoutNs);
  /// What wait() takes to wait for everything submitted so far.
  uint64_t lastValue() const { return lastValue_; }
  /// Waits for everything submitted.
  Status waitAll();
  /// From now on \p events, which stays as long as anything runs, gets an event for each dispatch of runTraced or, with
  /// TraceDetail::Runs, for each run that was submitted and waited for.
  Status startTrace(TraceDetail detail, std::vector<TraceEvent> &events);
  /// Runs \p entry once with a timestamp after each dispatch.
  Status runTraced(uint32_t entry);
  static uint64_t clockNs();
  /// Where the trace begins on that clock of the host.
  uint64_t traceOriginNs() const { return traceOriginNs_; }

  std::span<const DeviceBuffer> buffers() const { return buffers_; }
  const DeviceBuffer &buffer(uint32_t ordinal) const { return buffers_[ordinal]; }
  Transfer &transfer() { return *transfer_; }
  const ComputePipelines &pipelines() const { return *pipelines_; }
  /// The way weights take; never Auto.
  UploadPath upload() const { return upload_; }
  /// Device memory that was free before the buffers were made.
  uint64_t availableBytes() const { return available_; }
  uint64_t neededBytes() const { return needs_; }
  /// Sum of the cost and read estimates of one run of \p entry.
  uint64_t costNs(uint32_t entry) const;
  uint64_t readBytes(uint32_t entry, uint64_t positions) const;
  /// Runs the plain reading kernel over \p buffer and returns its best bandwidth in bytes per second.
  Result<double> measureReadBandwidth(const DeviceBuffer &buffer);

private:
  /// A command buffer and its estimated cost.
  struct Segment {
    VkCommandBuffer commands;
    uint64_t costNs;
  };

  Replay(detail::DeviceState &device, const Plan &plan) : device_(device), plan_(plan) {}
  Status createObjects(const SessionOptions &options);
  Status chooseMemory(UploadPath wish);
  bool mapped() const { return upload_ != UploadPath::Staging; }
  Status createBuffers();
  Status needRecorded(uint32_t entry);
  Result<std::vector<Segment>> record(uint32_t entry, VkQueryPool queries);
  Status beginSegment(VkCommandBuffer &commands);
  Status endSegment(VkCommandBuffer commands);
  Status recordHostBarrier();
  void recordDispatch(VkCommandBuffer commands, uint32_t entry, uint32_t ordinal, VkPipeline &bound) const;
  Status needRowGroups(uint32_t entry);
  Status submitSegments(std::span<const Segment> segments, uint32_t times, uint64_t &value);
  Status collectTrace(uint32_t entry, VkQueryPool queries);
  void addRun(uint32_t entry, uint64_t begin, uint64_t end);
  uint64_t ticksNs(uint64_t begin, uint64_t end) const;
  void alignClocks(uint64_t ended);

  detail::DeviceState &device_;
  const Plan &plan_;
  std::vector<DeviceBuffer> buffers_;
  std::unique_ptr<Transfer> transfer_;
  std::unique_ptr<ComputePipelines> pipelines_;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  VkCommandBuffer hostBarrier_ = VK_NULL_HANDLE;
  VkSemaphore timeline_ = VK_NULL_HANDLE;
  uint64_t lastValue_ = 0;
  UploadPath upload_ = UploadPath::Staging;
  uint64_t available_ = 0, needs_ = 0;
  std::vector<std::vector<Segment>> recorded_;      // per entry; empty: not yet
  std::vector<std::optional<RowGroups>> rowGroups_; // per entry; made when it is first needed
  std::vector<TraceEvent> *trace_ = nullptr;
  std::unique_ptr<Timeline> stamps_;                  // while whole runs are traced
  uint64_t traceOriginTicks_ = 0, traceOriginNs_ = 0; // the same moment of the device's and of the host's clock
};

} // namespace qwenrt
