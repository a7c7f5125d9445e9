//===- Session.cpp - Buffers, weights, cells ---------------------------------------------------------------------===//
#include "qwenrt/Session.h"

#include "DeviceState.h"
#include "HostMemory.h"
#include "SessionState.h"
#include "Text.h"
#include "Weights.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <system_error>

using namespace qwenrt;

namespace {} // namespace

Session::Session(std::unique_ptr<State> state) : state_(std::move(state)) {}
Session::~Session() = default;

Result<std::unique_ptr<Session>> Session::create(std::shared_ptr<const Plan> plan, std::shared_ptr<Device> device,
                                                 const SessionOptions &options) {
  auto state = std::make_unique<State>();
  state->plan = std::move(plan);
  state->device = std::move(device);
  state->options = options;
  QWENRT_ASSIGN_OR_RETURN(state->replay, Replay::create(state->device->state(), *state->plan, options));
  state->load.upload = state->replay->upload();
  state->load.neededBytes = state->replay->neededBytes();
  state->load.availableBytes = state->replay->availableBytes();
  const fb::Plan &root = state->plan->root();
  for (uint32_t i = 0; i < root.entries()->size(); ++i) {
    std::optional<uint32_t> &slot = state->roles[size_t(root.entries()->Get(i)->role())];
    if (!slot && checkEntry(root, *root.entries()->Get(i), state->device->info()).isOk())
      slot = i;
  }
  std::unique_ptr<Session> session(new Session(std::move(state)));
  QWENRT_RETURN_IF_ERROR(session->reset());
  return session;
}

//===----------------------------------------------------------------------===//
// Load
//===----------------------------------------------------------------------===//

Status Session::load(const std::string &weights, const std::function<void(const LoadProgress &)> &progress) {
  State &state = *state_;
  QWENRT_ASSIGN_OR_RETURN(std::vector<File> files,
                          openWeightFiles(*state.plan, {weights, state.options.packedWeights}));
  std::vector<uint32_t> entries;
  for (size_t role = size_t(fb::Role::Other) + 1; role < state.roles.size(); ++role)
    if (state.roles[role])
      entries.push_back(*state.roles[role]);
  if (const fb::Media *media = state.plan->root().media(); media && state.options.media) {
    if (media->audio())
      entries.push_back(*state.plan->findEntry(media->audio()->entry()->string_view()));
    if (media->vision())
      entries.push_back(*state.plan->findEntry(media->vision()->entry()->string_view()));
  }
  if (const fb::Speech *speech = state.plan->root().speech(); speech && state.options.speech) {
    const std::string_view vocoder = speech->vocoder() ? speech->vocoder()->entry()->string_view() : "";
    for (uint32_t i = 0; i < state.plan->root().entries()->size(); ++i) {
      std::string_view name = state.entry(i).name()->string_view();
      if (state.entry(i).sequence() > 0 || name.starts_with("talker.") || name == vocoder)
        entries.push_back(i);
    }
  }
  std::erase_if(entries, [&state](uint32_t entry) { // one that the device cannot run says so when it is asked for
    return !checkEntry(state.plan->root(), state.entry(entry), state.device->info()).isOk();
  });

  // Compiling takes processors and loading takes memory: they run side by side.
  LoadProgress shown;
  std::atomic<uint32_t> kernelsDone = 0, kernelsTotal = 0;
  auto compile = [&] {
    return state.replay->buildPipelines(entries, [&](uint32_t done, uint32_t total) {
      kernelsDone = done;
      kernelsTotal = total;
    });
  };
  auto show = [&](const WeightProgress &done) {
    shown = {done.bytesDone, done.bytesTotal, done.layer, done.layers, kernelsDone, kernelsTotal};
    state.load.peakAnonymousBytes = std::max(state.load.peakAnonymousBytes, anonymousHostBytes());
    if (progress)
      progress(shown);
  };
  std::future<Status> compiling;
  try {
    compiling = std::async(std::launch::async, compile);
  } catch (const std::system_error &) { // no thread to be had
    compiling = std::async(std::launch::deferred, compile);
  }
  uint64_t start = nowNs();
  WeightLoadTimes times;
  Status loading = loadWeights(state.device->state(), *state.plan, state.replay->buffers(), files,
                               state.replay->transfer(), {state.load.upload, state.options.loaderThreads}, times, show);
  state.load.weightNs = nowNs() - start;
  while (compiling.wait_for(std::chrono::milliseconds(50)) == std::future_status::timeout)
    show({shown.bytesDone, shown.bytesTotal, -1, shown.layers});
  Status compiled = compiling.get();
  QWENRT_RETURN_IF_ERROR(std::move(loading));
  QWENRT_RETURN_IF_ERROR(std::move(compiled));

  for (const fb::WeightBinding *weight : *state.plan->root().weights())
    state.load.weightBytes += weight->rows() * weight->row_bytes();
  state.load.threads = times.threads;
  state.load.readNs = times.readNs;
  state.load.copyNs = times.copyNs;
  state.load.waitNs = times.waitNs;
  const ComputePipelines &pipelines = state.replay->pipelines();
  state.load.pipelineNs = pipelines.buildNs();
  state.load.pipelines = pipelines.built();
  state.load.warmPipelines = pipelines.warm();
  QWENRT_RETURN_IF_ERROR(state.prepare());
  state.loaded = true;
  return Status::ok();
}

/// Derives weights of weights, where the plan has such.
Status Session::State::prepare() {
  if (!role(fb::Role::Prepare))
    return Status::ok();
  uint64_t start = nowNs(), value = 0;
  QWENRT_RETURN_IF_ERROR(replay->submit(*role(fb::Role::Prepare), 1, value));
  QWENRT_RETURN_IF_ERROR(replay->waitAll());
  load.derivedBytes = plan->purposeBytes(fb::BufferPurpose::Derived);
  load.deriveNs = nowNs() - start;
  return Status::ok();
}

const char *qwenrt::uploadPathName(UploadPath path) {
  switch (path) {
  case UploadPath::Direct:
    return "direct";
  case UploadPath::Streamed:
    return "streamed";
  case UploadPath::Staging:
    return "staging";
  case UploadPath::Auto:
    break;
  }
  return "auto";
}

const LoadStatistics &Session::loadStatistics() const { return state_->load; }

//===----------------------------------------------------------------------===//
// Cells and history
//===----------------------------------------------------------------------===//

Status Session::State::requireLoaded() const {
  if (loaded)
    return Status::ok();
  return {StatusCode::InvalidUsage, "session has no weights, expected Session::load before a run, call it"};
}

Status Session::State::requireText() const {
  QWENRT_RETURN_IF_ERROR(requireLoaded());
  if (role(fb::Role::Prefill))
    return Status::ok();
  return {StatusCode::Unsupported,
          "plan has no entries that generate text, expected them, run single entries with --entry"};
}

Status Session::State::writeCell(fb::CellKind kind, const void *value, uint32_t index, uint32_t sequence) {
  const fb::Cell *cell = plan->findCell(kind, sequence);
  if (!cell) // the verifier has seen to it that no role misses a cell; plans without text have none
    return Status::ok();
  return replay->transfer().write(replay->buffer(cell->buffer()), cell->offset() + uint64_t(index) * 4,
                                  {static_cast<const std::byte *>(value), 4});
}

Result<uint32_t> Session::State::readCell(fb::CellKind kind, uint32_t index, uint32_t sequence) {
  const fb::Cell *cell = plan->findCell(kind, sequence);
  uint32_t value = 0;
  if (cell)
    QWENRT_RETURN_IF_ERROR(replay->transfer().read(replay->buffer(cell->buffer()), cell->offset() + uint64_t(index) * 4,
                                                   std::as_writable_bytes(std::span(&value, 1))));
  return value;
}

Status Session::State::checkTokens(std::span<const int32_t> tokens) const {
  uint32_t vocabulary = plan->root().vocab_size();
  for (int32_t token : tokens)
    if (token < 0 || (vocabulary && uint32_t(token) >= vocabulary))
      return {StatusCode::InvalidInput,
              text("token id ", token, " is unknown, expected 0 to ", vocabulary - 1, ", check the ids")};
  return Status::ok();
}

Status Session::State::writeTokens(uint32_t index, std::span<const int32_t> tokens) {
  const fb::Cell *cell = plan->findCell(fb::CellKind::Tokens);
  return replay->transfer().write(replay->buffer(cell->buffer()), cell->offset() + uint64_t(index) * 4,
                                  std::as_bytes(tokens));
}

void Session::State::remember(std::span<const int32_t> added) {
  for (int32_t token : added) {
    float at = places.empty() ? 0 : places.back().next;
    tokens.push_back(token);
    places.push_back({{at, at, at}, at + 1});
  }
}

void Session::State::remember(std::span<const int32_t> added, std::span<const float> positions, float first) {
  float next = places.empty() ? 0 : places.back().next;
  const float shift = next - first;
  for (size_t i = 0; i < added.size(); ++i) {
    SpokenPlace place = {};
    for (size_t axis = 0; axis < 3; ++axis) {
      place.position[axis] = positions[axis * added.size() + i] + shift;
      next = std::max(next, place.position[axis] + 1);
    }
    place.next = next;
    tokens.push_back(added[i]);
    places.push_back(place);
  }
}

void Session::State::forget(uint32_t length) {
  if (length < tokens.size()) {
    tokens.resize(length);
    places.resize(length);
  }
  if (listener)
    listener->onCut(length);
}

Status Session::State::writeProgress() {
  QWENRT_RETURN_IF_ERROR(writeCell(fb::CellKind::Length, length));
  QWENRT_RETURN_IF_ERROR(writeCell(fb::CellKind::Position, position));
  return writeCell(fb::CellKind::Step, step);
}

Status Session::State::submit(uint32_t entry, uint32_t times, uint64_t &value) {
  if (!tracesDispatches())
    return replay->submit(entry, times, value);
  for (uint32_t i = 0; i < times; ++i)
    QWENRT_RETURN_IF_ERROR(replay->runTraced(entry));
  value = replay->lastValue();
  return Status::ok();
}

Status Session::State::submit(std::span<const uint32_t> entries, uint64_t &value) {
  if (!tracesDispatches())
    return replay->submit(entries, value);
  for (uint32_t entry : entries)
    QWENRT_RETURN_IF_ERROR(submit(entry, 1, value));
  return Status::ok();
}

Status Session::State::wait(uint64_t value, const std::atomic<bool> *cancel, bool &cancelled) {
  constexpr uint64_t kSliceNs = 50'000'000;
  cancelled = false;
  while (!(cancelled = cancel && cancel->load())) {
    QWENRT_ASSIGN_OR_RETURN(bool reached, replay->wait(value, cancel ? kSliceNs : UINT64_MAX));
    if (reached)
      return Status::ok();
  }
  return Status::ok();
}

Status Session::reset() {
  State &state = *state_;
  QWENRT_RETURN_IF_ERROR(state.replay->waitAll());
  const auto &buffers = *state.plan->root().buffers();
  for (uint32_t i = 0; i < buffers.size(); ++i)
    if (buffers.Get(i)->purpose() == fb::BufferPurpose::Cache || buffers.Get(i)->purpose() == fb::BufferPurpose::State)
      QWENRT_RETURN_IF_ERROR(state.replay->transfer().zero(state.replay->buffer(i)));
  state.length = state.position = state.step = state.mediaEnd = 0;
  state.nextPositions = {0};
  state.forget(0);
  return Status::ok();
}

Status Session::rewind(uint32_t length) {
  State &state = *state_;
  state.length = std::min(state.length, length);
  state.position = std::min(state.position, state.length);
  state.mediaEnd = std::min(state.mediaEnd, state.length);
  if (state.plan->root().media())
    state.nextPositions.resize(state.length + 1);
  state.forget(state.length);
  QWENRT_RETURN_IF_ERROR(state.writeDelta());
  return state.writeProgress();
}

Status Session::State::requireRoom(uint64_t tokens) const {
  uint32_t context = plan->root().max_context();
  if (tokens <= context - std::min(context, length))
    return Status::ok();
  if (length == 0)
    return {StatusCode::InvalidInput, text("prompt has ", tokens, " tokens, expected at most the context of ", context,
                                           ", shorten it or compile with a larger --max-context")};
  return {StatusCode::InvalidInput,
          text("history of ", length, " tokens gets ", tokens, " more, expected at most the context of ", context,
               " in all, start anew or compile with a larger --max-context")};
}

Status Session::append(std::span<const int32_t> tokens) {
  State &state = *state_;
  QWENRT_RETURN_IF_ERROR(state.requireText());
  QWENRT_RETURN_IF_ERROR(state.requireRoom(tokens.size()));
  QWENRT_RETURN_IF_ERROR(state.checkTokens(tokens));
  QWENRT_RETURN_IF_ERROR(state.writeTokens(state.length, tokens));
  QWENRT_RETURN_IF_ERROR(state.placeText(state.length, state.length + uint32_t(tokens.size())));
  state.remember(tokens);
  state.length += uint32_t(tokens.size());
  return state.writeProgress();
}

uint32_t Session::length() const { return state_->length; }
uint32_t Session::position() const { return state_->position; }
uint32_t Session::maxContext() const { return state_->plan->root().max_context(); }

//===----------------------------------------------------------------------===//
// Generation and measuring
//===----------------------------------------------------------------------===//

Result<GenerateResult> Session::generate(const GenerateOptions &options, const TokenCallback &onToken) {
  QWENRT_RETURN_IF_ERROR(state_->requireText());
  QWENRT_RETURN_IF_ERROR(state_->checkTokens(options.forceIds));
  Generator generator(*state_, options);
  Status status = generator.generate(onToken);
  if (!status.isOk()) {
    (void)state_->replay->waitAll().isOk(); // the first error is the one to tell
    return status;
  }
  return generator.takeResult();
}

Result<uint64_t> Session::prefill() {
  QWENRT_RETURN_IF_ERROR(state_->requireText());
  GenerateOptions options;
  Generator generator(*state_, options);
  QWENRT_RETURN_IF_ERROR(generator.prefill());
  return generator.takeResult().prefillNs;
}

Status Session::enableTrace(TraceDetail detail) {
  if (detail == TraceDetail::None || state_->tracing != TraceDetail::None)
    return Status::ok();
  QWENRT_RETURN_IF_ERROR(state_->replay->startTrace(detail, state_->trace));
  state_->tracing = detail;
  return Status::ok();
}
const std::vector<TraceEvent> &Session::trace() const { return state_->trace; }
std::vector<TraceMark> Session::traceMarks() const {
  std::vector<TraceMark> marks = state_->marks;
  for (TraceMark &mark : marks)
    mark.timeNs -= state_->replay->traceOriginNs();
  return marks;
}

uint64_t Session::prefillReadBytes(uint32_t tokens) const {
  std::optional<uint32_t> entry = state_->role(fb::Role::Prefill);
  if (!entry)
    return 0;
  uint32_t rows = state_->entry(*entry).rows();
  uint64_t total = 0;
  for (uint64_t done = 0; done < tokens; done += rows)
    total += state_->replay->readBytes(*entry, std::min<uint64_t>(done + rows, tokens));
  return total;
}

uint64_t Session::decodeReadBytes(uint32_t positions) const {
  std::optional<uint32_t> entry = state_->role(fb::Role::DecodeGreedy);
  if (!entry)
    entry = state_->role(fb::Role::DecodeSample);
  return entry ? state_->replay->readBytes(*entry, positions) : 0;
}

Result<double> Session::measureReadBandwidth() {
  const auto &buffers = *state_->plan->root().buffers();
  std::optional<uint32_t> largest;
  for (uint32_t i = 0; i < buffers.size(); ++i)
    if (buffers.Get(i)->purpose() == fb::BufferPurpose::Weights &&
        (!largest || buffers.Get(i)->size_bytes() > buffers.Get(*largest)->size_bytes()))
      largest = i;
  if (!largest)
    return Status(StatusCode::Unsupported,
                  "plan has no weights, expected a buffer of them to measure reading, measure another plan");
  return state_->replay->measureReadBandwidth(state_->replay->buffer(*largest));
}
