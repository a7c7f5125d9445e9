//===- EntryRun.h - The tensors of one run of an entry -----------------------------------------------------------===//
#pragma once

#include "SessionState.h"

#include <map>
#include <string_view>

namespace qwenrt {

/// One run of an entry on host tensors: bind checks, write carries the inputs and extents to the device; after the
/// entry has run, read fetches outputs. Session::run and Session::encodeMedia differ in what they do around it.
class EntryRun {
public:
  /// \p entry is an ordinal of the plan.
  EntryRun(Session::State &state, uint32_t entry) : state_(state), ordinal_(entry), entry_(state.entry(entry)) {}

  /// Checks \p inputs, which must live until write with all they point to, against the entry's: InvalidInput says what
  /// does not fit. Inputs that are optional may be missing.
  Status bind(std::span<const HostTensorView> inputs);
  Status write();
  /// For inputs that lie on the device already: what they would have said, in place of bind and write.
  Status writeExtent(std::string_view symbol, uint64_t value);
  /// After the run: the extents that no input has, from their cells.
  Status readExtents();
  /// After readExtents.
  Status read(const fb::EntryTensor &tensor, HostTensor &output);

  /// The extent of \p symbol; nothing if no input has it and readExtents was not called.
  std::optional<uint64_t> extent(std::string_view symbol) const;
  const fb::Entry &entry() const { return entry_; }

private:
  Status bindShape(const fb::EntryTensor &expected, const HostTensorView &given);
  Status writeDefault(const fb::EntryTensor &tensor);
  Status writeExtents();
  /// Elements along \p dim in this run.
  uint64_t extentOf(const fb::Dim &dim) const;

  Session::State &state_;
  uint32_t ordinal_;
  const fb::Entry &entry_;
  std::span<const HostTensorView> inputs_;
  std::map<std::string_view, uint64_t> extents_;
};

} // namespace qwenrt
