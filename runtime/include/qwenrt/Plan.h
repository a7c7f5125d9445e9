//===- Plan.h - A verified plan file -----------------------------------------------------------------------------===//
//
// A plan (runtime/schema/plan.fbs) is data from outside: a Plan object exists only after every range in it has been
// proved, before any Vulkan object is made. On the device nothing checks an address, so this is the only fence there
// is. What cannot be proved here is the SPIR-V itself: a plan is as trusted as a program.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "plan_generated.h"
#include "qwenrt/Status.h"

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qwenrt {

/// The plan version this runtime replays.
constexpr uint32_t kPlanVersion = 1;

struct VerifyOptions {
  /// Without it \p file is the bare flatbuffer: length, hash and magic are not looked at. For fuzzing.
  bool checkTrailer = true;
};

/// Proves that \p file is a plan this runtime can replay on some device: structure, ordinals, ranges, alignment, SPIR-V
/// headers, weight ranges, cells, tensors and roles. The data must be aligned to 8 bytes.
/// Fails with InvalidInput, or Unsupported for a version this runtime does not know.
Status verifyPlan(std::span<const std::byte> file, VerifyOptions options = {});

/// A verified plan in memory. The file is read, not mapped: a mapped file could change after it was verified.
class Plan {
public:
  /// Reads and verifies the file at \p path.
  static Result<std::shared_ptr<const Plan>> open(const std::string &path);

  /// Verifies \p file (flatbuffer and trailer); \p folder is where relative checkpoint paths start.
  static Result<std::shared_ptr<const Plan>> fromBytes(std::span<const std::byte> file, std::string folder);

  const fb::Plan &root() const { return *fb::GetPlan(storage_.data()); }
  /// Folder of the plan file.
  const std::string &folder() const { return folder_; }
  uint64_t sizeBytes() const { return sizeBytes_; }

  /// Ordinal of the entry called \p name.
  std::optional<uint32_t> findEntry(std::string_view name) const;
  /// The cell of \p kind, or null.
  const fb::Cell *findCell(fb::CellKind kind, uint32_t sequence = 0) const;
  /// Bytes of all buffers of \p purpose.
  uint64_t purposeBytes(fb::BufferPurpose purpose) const;
  /// True if the plan has the entries that generate text.
  bool generatesText() const;

private:
  Plan() = default;
  std::vector<uint64_t> storage_; // 8-byte words: flatbuffers need the alignment
  uint64_t sizeBytes_ = 0;
  std::string folder_;
};

/// Bytes of one element.
uint32_t elementBytes(fb::DType dtype);

} // namespace qwenrt
