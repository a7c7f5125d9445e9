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

Status Session::run(std::string_view name, std::span<const HostTensor> inputs, std::vector<HostTensor> &outputs,
                    RunState runState) {
  State &state = *state_;
  outputs.clear();
  QWENRT_RETURN_IF_ERROR(state.requireLoaded());
  QWENRT_ASSIGN_OR_RETURN(uint32_t ordinal, state.runnableEntry(name));
  EntryRun run(state, ordinal);
  const std::vector<HostTensorView> views(inputs.begin(), inputs.end());
  QWENRT_RETURN_IF_ERROR(run.bind(views));
  if (runState == RunState::Reset)
    QWENRT_RETURN_IF_ERROR(reset());
  QWENRT_RETURN_IF_ERROR(run.write());

  uint64_t value = 0;
  QWENRT_RETURN_IF_ERROR(state.submit(ordinal, 1, value));
  QWENRT_RETURN_IF_ERROR(state.replay->waitAll());
  QWENRT_RETURN_IF_ERROR(run.readExtents());
  for (const fb::EntryTensor *tensor : *run.entry().outputs()) {
    outputs.emplace_back();
    QWENRT_RETURN_IF_ERROR(run.read(*tensor, outputs.back()));
  }
  return runState == RunState::Reset ? reset() : Status::ok();
}
