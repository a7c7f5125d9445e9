//===- RowGroups.h - Workgroups of the rows that are there -------------------------------------------------------===//
//
// An entry is recorded once, for as many rows as it may have. Where the plan says which symbol counts the rows of a
// dispatch, its number of workgroups is read from a buffer that the host fills before each run.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "Memory.h"
#include "Transfer.h"
#include "plan_generated.h"

#include <functional>
#include <optional>
#include <string_view>
#include <vector>

namespace qwenrt {

/// The extent of a symbol in the next run; nothing if the host does not know it.
using ExtentOf = std::function<std::optional<uint64_t>(std::string_view symbol)>;

/// The workgroups that \p dispatch needs for these extents.
VkDispatchIndirectCommand groupsOf(const fb::Dispatch &dispatch, const ExtentOf &extentOf);

/// The numbers of workgroups of one entry's next run.
class RowGroups {
public:
  /// For the most rows that \p entry may have. The buffer, if there are dispatches that need it, is of \p kind.
  static Result<RowGroups> create(detail::DeviceState &device, const fb::Entry &entry, MemoryKind kind,
                                  Transfer &transfer);

  /// No run of the entry may be in flight.
  Status set(const fb::Entry &entry, const ExtentOf &extentOf, Transfer &transfer);
  /// What dispatch \p ordinal runs next time.
  const VkDispatchIndirectCommand &operator[](uint32_t ordinal) const { return groups_[ordinal]; }
  /// Records the dispatch of that number.
  void record(const VolkDeviceTable &vk, VkCommandBuffer commands, const fb::Dispatch &dispatch,
              uint32_t ordinal) const;

private:
  std::vector<VkDispatchIndirectCommand> groups_; // of all dispatches: offsets are ordinals
  std::optional<DeviceBuffer> buffer_;
};

} // namespace qwenrt
