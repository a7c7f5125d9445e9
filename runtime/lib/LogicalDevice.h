//===- LogicalDevice.h - Create the Vulkan device ----------------------------------------------------------------===//
#pragma once

#include "DeviceState.h"

namespace qwenrt {

/// Creates the device of \p state with one queue of family \p queueFamily, switches \p features on and loads the
/// device's functions.
Status createLogicalDevice(detail::DeviceState &state, const DeviceFeatures &features, uint32_t queueFamily);

} // namespace qwenrt
