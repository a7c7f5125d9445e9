//===- Device.h - Vulkan devices and what a plan needs of them ---------------------------------------------------===//
//
// Any Vulkan 1.3 device will do that meets the generic minimum (README.md) and the limits its plan relies on. A device
// of type CPU is used only when the caller says so: nothing falls back to the CPU silently.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "qwenrt/Plan.h"
#include "qwenrt/Status.h"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace qwenrt {

enum class DeviceKind { Discrete, Integrated, Virtual, Cpu, Other };
const char *deviceKindName(DeviceKind kind);

/// A physical device: who it is, and every limit a plan is checked against.
struct DeviceInfo {
  uint32_t index = 0; ///< as the loader lists them
  std::string name;
  std::string driver; ///< name and version of the driver
  DeviceKind kind = DeviceKind::Other;
  uint32_t apiVersion = 0;      ///< VK_MAKE_API_VERSION
  uint64_t deviceHeapBytes = 0; ///< the largest device-local heap

  uint32_t minSubgroupSize = 0;
  uint32_t maxSubgroupSize = 0;
  bool subgroupSizeControl = false; ///< a kernel may require a size between the two
  bool fullSubgroups = false;
  uint32_t maxWorkgroupSubgroups = 0; ///< with a required size
  uint32_t maxWorkgroupInvocations = 0;
  std::array<uint32_t, 3> maxWorkgroupSize = {};
  std::array<uint32_t, 3> maxWorkgroupCount = {};
  uint32_t maxSharedBytes = 0;
  uint32_t maxPushConstantBytes = 0;
  uint64_t maxAllocationBytes = 0;
  uint64_t maxBufferBytes = 0;
  uint32_t features = 0;            ///< bits of fb::Feature
  std::vector<std::string> missing; ///< features of the generic minimum that are not there; empty on a usable device
};

/// Whether a device of these properties can run \p entry; Unsupported names the limit that fails.
Status checkEntry(const fb::Plan &plan, const fb::Entry &entry, const DeviceInfo &device);

/// Whether a device of these properties can run \p plan: the generic minimum, its buffers, and at least one entry of
/// each role. Unsupported names the limit that fails; OutOfMemory says how much the plan needs. Ignores the device's
/// kind.
Status checkPlan(const fb::Plan &plan, const DeviceInfo &device);

struct DeviceOptions {
  std::string selector;  ///< an index, or a part of the name in any case; empty: the best one that is no CPU
  bool allowCpu = false; ///< accept a device of type CPU
  bool validate = false; ///< switch the Khronos validation layer on; its messages are printed and counted
};

/// All devices, in the order of their indices. Unsupported if there is no Vulkan loader.
Result<std::vector<DeviceInfo>> listDevices();

/// Chooses among \p devices as Device::open does. \p plan may be null: then only the generic minimum counts.
/// NotFound or Unsupported say which devices there are and why none was taken.
Result<uint32_t> chooseDevice(const std::vector<DeviceInfo> &devices, const DeviceOptions &options,
                              const fb::Plan *plan);

namespace detail {
struct DeviceState;
}

/// An open device. May be shared by several sessions; its functions may be called from several threads.
class Device {
public:
  /// Opens the chosen device with every feature a plan may ask for that it has.
  static Result<std::shared_ptr<Device>> open(const DeviceOptions &options, const fb::Plan *plan = nullptr);
  ~Device();
  Device(const Device &) = delete;
  Device &operator=(const Device &) = delete;

  const DeviceInfo &info() const;
  /// Messages of the validation layer so far: warnings and errors.
  uint32_t validationMessages() const;

  /// For the runtime itself.
  detail::DeviceState &state() { return *state_; }

private:
  explicit Device(std::unique_ptr<detail::DeviceState> state);
  std::unique_ptr<detail::DeviceState> state_;
};

} // namespace qwenrt
