//===- TestDevice.h - Tests that need a Vulkan device, of whatever kind ------------------------------------------===//
#pragma once

#include "qwenrt/Device.h"

#include <gtest/gtest.h>

namespace qwenrt::test {

/// The best device, a CPU included; null if there is none. Opened once: opening takes longer than most tests.
inline std::shared_ptr<Device> anyDevice() {
  static std::shared_ptr<Device> device = [] {
    Result<std::shared_ptr<Device>> opened = Device::open({.allowCpu = true});
    return opened.isOk() ? *opened : nullptr;
  }();
  return device;
}

#define SKIP_WITHOUT_DEVICE()                                                                                          \
  do {                                                                                                                 \
    if (!::qwenrt::test::anyDevice())                                                                                  \
      GTEST_SKIP() << "no Vulkan device, not even a CPU one";                                                          \
  } while (false)

} // namespace qwenrt::test
