//===- RowGroups.cpp ---------------------------------------------------------------------------------------------===//
#include "RowGroups.h"

#include <algorithm>

using namespace qwenrt;

VkDispatchIndirectCommand qwenrt::groupsOf(const fb::Dispatch &dispatch, const ExtentOf &extentOf) {
  const fb::Extent3 &most = *dispatch.groups();
  uint32_t groups[3] = {most.x(), most.y(), most.z()};
  if (dispatch.rows_symbol())
    if (std::optional<uint64_t> extent = extentOf(dispatch.rows_symbol()->string_view())) {
      uint32_t &along = groups[dispatch.rows_direction()];
      // The verifier has seen that `along` is that for the largest extent, and that the largest product fits.
      uint64_t rows = std::min<uint64_t>(*extent, UINT32_MAX) * dispatch.rows_factor();
      uint64_t needed = rows / dispatch.rows_per_group() + (rows % dispatch.rows_per_group() != 0);
      along = uint32_t(std::clamp<uint64_t>(needed, 1, along));
    }
  return {groups[0], groups[1], groups[2]};
}

Result<RowGroups> RowGroups::create(detail::DeviceState &device, const fb::Entry &entry, MemoryKind kind,
                                    Transfer &transfer) {
  RowGroups result;
  const auto &dispatches = *entry.dispatches();
  if (std::any_of(dispatches.begin(), dispatches.end(),
                  [](const fb::Dispatch *dispatch) { return dispatch->rows_symbol(); })) {
    uint64_t bytes = dispatches.size() * sizeof(VkDispatchIndirectCommand);
    QWENRT_ASSIGN_OR_RETURN(result.buffer_, DeviceBuffer::create(device, "workgroups", bytes, kind));
  }
  QWENRT_RETURN_IF_ERROR(result.set(entry, [](std::string_view) { return std::nullopt; }, transfer));
  return result;
}

Status RowGroups::set(const fb::Entry &entry, const ExtentOf &extentOf, Transfer &transfer) {
  groups_.clear();
  for (const fb::Dispatch *dispatch : *entry.dispatches())
    groups_.push_back(groupsOf(*dispatch, extentOf));
  return buffer_ ? transfer.write(*buffer_, 0, std::as_bytes(std::span(groups_))) : Status::ok();
}

void RowGroups::record(const VolkDeviceTable &vk, VkCommandBuffer commands, const fb::Dispatch &dispatch,
                       uint32_t ordinal) const {
  if (dispatch.rows_symbol()) {
    vk.vkCmdDispatchIndirect(commands, buffer_->handle(), ordinal * sizeof(VkDispatchIndirectCommand));
    return;
  }
  const VkDispatchIndirectCommand &groups = groups_[ordinal];
  vk.vkCmdDispatch(commands, groups.x, groups.y, groups.z);
}
