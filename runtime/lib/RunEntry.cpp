//===- RunEntry.cpp - One entry on host tensors ------------------------------------------------------------------===//
#include "EntryRun.h"
#include "Text.h"

using namespace qwenrt;

Result<uint32_t> Session::State::runnableEntry(std::string_view name) const {
  std::optional<uint32_t> ordinal = plan->findEntry(name);
  if (!ordinal)
    return Status(StatusCode::NotFound,
                  text("plan has no entry '", printable(name), "', expected one of its own, see --entry list"));
  QWENRT_RETURN_IF_ERROR(checkEntry(plan->root(), entry(*ordinal), device->info()));
  return *ordinal;
}

Status Session::runOn(std::string_view name, std::span<const HostTensor> inputs, std::vector<HostTensor> &outputs) {
  State &state = *state_;
  outputs.clear();
  QWENRT_RETURN_IF_ERROR(state.requireLoaded());
  QWENRT_ASSIGN_OR_RETURN(uint32_t ordinal, state.runnableEntry(name));
  EntryRun run(state, ordinal);
  QWENRT_RETURN_IF_ERROR(run.bind(inputs));
  QWENRT_RETURN_IF_ERROR(run.write());

  uint64_t value = 0;
  QWENRT_RETURN_IF_ERROR(state.submit(ordinal, 1, value));
  QWENRT_RETURN_IF_ERROR(state.replay->waitAll());
  QWENRT_RETURN_IF_ERROR(run.readExtents());
  for (const fb::EntryTensor *tensor : *run.entry().outputs()) {
    outputs.emplace_back();
    QWENRT_RETURN_IF_ERROR(run.read(*tensor, outputs.back()));
  }
  return Status::ok();
}

Status Session::run(std::string_view name, std::span<const HostTensor> inputs, std::vector<HostTensor> &outputs) {
  outputs.clear();
  QWENRT_RETURN_IF_ERROR(state_->requireLoaded());
  QWENRT_ASSIGN_OR_RETURN(uint32_t ordinal, state_->runnableEntry(name));
  QWENRT_RETURN_IF_ERROR(EntryRun(*state_, ordinal).bind(inputs)); // what does not fit changes nothing
  QWENRT_RETURN_IF_ERROR(reset());
  QWENRT_RETURN_IF_ERROR(runOn(name, inputs, outputs));
  return reset();
}
