//===- Generate.cpp - Prefill, then decode steps ahead of the host -----------------------------------------------===//
//
// Tokens are chained on the device: a step reads the token that the step before has left in the history. So several
// batches of steps are kept in flight, and the host only reads sampled tokens from the mailbox as batches finish. Steps
// beyond a stop token are thrown away by setting the cells back; what they wrote to the caches is written over later.
//
//===------------------------------------------------------------------------------------------------------------===//
#include "SessionState.h"
#include "Text.h"

#include <algorithm>
#include <chrono>
#include <cstring>

using namespace qwenrt;

namespace {

constexpr uint32_t kMostBatchSteps = 8;
constexpr uint32_t kMostBatches = 2;
/// A batch is what a reader of the stream waits for: it should not stutter.
constexpr uint64_t kLongestBatchNs = 60'000'000;

} // namespace

//===----------------------------------------------------------------------===//
// Prefill
//===----------------------------------------------------------------------===//

Status Generator::prefill() {
  uint64_t start = nowNs();
  uint32_t entry = *state_.role(fb::Role::Prefill);
  uint32_t rows = state_.entry(entry).rows();
  uint64_t previous = 0, value = 0;
  bool cancelled = false;
  result_.promptTokens = state_.length - state_.position;
  uint32_t firstRow = state_.position;
  while (state_.position < state_.length && !cancelRequested()) {
    uint32_t count = std::min(rows, state_.length - state_.position);
    QWENRT_RETURN_IF_ERROR(state_.submit(entry, 1, value));
    if (state_.listener)
      QWENRT_RETURN_IF_ERROR(state_.listener->onChunk(state_.position, count));
    state_.position += count;
    if (options_.onLogits) {
      QWENRT_RETURN_IF_ERROR(state_.wait(value, nullptr, cancelled));
      QWENRT_RETURN_IF_ERROR(prefillLogits(state_.position - count - firstRow, count));
    } else if (previous) { // two chunks in flight: the device never idles, and cancelling never takes long
      QWENRT_RETURN_IF_ERROR(state_.wait(previous, nullptr, cancelled));
    }
    previous = value;
  }
  if (previous)
    QWENRT_RETURN_IF_ERROR(state_.wait(previous, nullptr, cancelled));
  result_.prefillNs = nowNs() - start;
  return Status::ok();
}

Status Generator::prefillLogits(uint32_t firstRow, uint32_t rows) {
  std::optional<uint32_t> entry = state_.role(fb::Role::Logits);
  if (!entry)
    return {StatusCode::Unsupported,
            "plan has no logits entry, expected one for the logits of a prompt, compile the plan again"};
  uint32_t most = state_.entry(*entry).rows();
  for (uint32_t row = 0; row < rows; row += most) {
    uint32_t count = std::min(most, rows - row);
    QWENRT_RETURN_IF_ERROR(state_.writeCell(fb::CellKind::HeadRow, row));
    QWENRT_RETURN_IF_ERROR(state_.writeCell(fb::CellKind::HeadRows, count));
    uint64_t value = 0;
    bool cancelled = false;
    QWENRT_RETURN_IF_ERROR(state_.submit(*entry, 1, value));
    QWENRT_RETURN_IF_ERROR(state_.wait(value, nullptr, cancelled));
    QWENRT_RETURN_IF_ERROR(readLogits(*entry, count, /*step=*/false, firstRow + row));
  }
  return Status::ok();
}

/// Hands \p rows rows of the entry's output "logits" to the listener.
Status Generator::readLogits(uint32_t entry, uint32_t rows, bool step, uint32_t firstRow) {
  for (const fb::EntryTensor *tensor : *state_.entry(entry).outputs()) {
    if (tensor->name()->string_view() != "logits")
      continue;
    size_t width = tensor->dims()->Get(1)->size();
    std::vector<float> values(width * rows);
    QWENRT_RETURN_IF_ERROR(state_.replay->transfer().read(state_.replay->buffer(tensor->buffer()), tensor->offset(),
                                                          std::as_writable_bytes(std::span(values))));
    for (uint32_t row = 0; row < rows; ++row)
      QWENRT_RETURN_IF_ERROR(options_.onLogits({step, firstRow + row, std::span(values).subspan(row * width, width)}));
    return Status::ok();
  }
  return {StatusCode::Unsupported, text("entry '", printable(state_.entry(entry).name()->string_view()),
                                        "' has no output 'logits', expected one for --logits, compile the plan again")};
}

//===----------------------------------------------------------------------===//
// Sampling settings
//===----------------------------------------------------------------------===//

Status Generator::chooseEntries() {
  const Sampling &sampling = options_.sampling;
  std::optional<uint32_t> greedyNext = state_.role(fb::Role::NextGreedy),
                          greedyDecode = state_.role(fb::Role::DecodeGreedy);
  std::optional<uint32_t> sampleNext = state_.role(fb::Role::NextSample),
                          sampleDecode = state_.role(fb::Role::DecodeSample);
  if (sampling.greedy && sampling.repetitionPenalty == 1 && greedyNext && greedyDecode) {
    nextEntry_ = *greedyNext;
    decodeEntry_ = *greedyDecode;
    return Status::ok();
  }
  if (!sampleNext || !sampleDecode)
    return {StatusCode::Unsupported,
            "plan has no entries that sample, expected them for these settings, generate greedily"};
  nextEntry_ = *sampleNext;
  decodeEntry_ = *sampleDecode;
  return writeSampling();
}

Status Generator::writeSampling() {
  Sampling sampling = options_.sampling;
  if (sampling.greedy) { // the best of one, after the penalty
    sampling.topK = 1;
    sampling.temperature = sampling.topP = 1;
  }
  auto positive = [](float value) { return value > 0 && value < 1e9f; };
  if (!positive(sampling.temperature) || !positive(sampling.repetitionPenalty) ||
      !(sampling.topP >= 0 && sampling.topP <= 1))
    return {StatusCode::InvalidUsage, "sampling settings are out of range, expected temperature and penalty above 0 "
                                      "and below 1e9 and top-p of 0 to 1, correct them"};
  QWENRT_RETURN_IF_ERROR(state_.writeCell(fb::CellKind::Seed, sampling.seed));
  QWENRT_RETURN_IF_ERROR(state_.writeCell(fb::CellKind::Temperature, static_cast<const void *>(&sampling.temperature)));
  QWENRT_RETURN_IF_ERROR(state_.writeCell(fb::CellKind::TopK, sampling.topK));
  QWENRT_RETURN_IF_ERROR(state_.writeCell(fb::CellKind::TopP, static_cast<const void *>(&sampling.topP)));
  return state_.writeCell(fb::CellKind::RepetitionPenalty, static_cast<const void *>(&sampling.repetitionPenalty));
}

/// No more steps in flight than the mailbox holds, and no longer submissions than a watchdog bears.
Status Generator::limitBatches() {
  uint32_t ring = state_.plan->findCell(fb::CellKind::Sampled)->count();
  uint64_t cost = std::max<uint64_t>(1, state_.replay->costNs(decodeEntry_));
  maxBatches_ = stepByStep() || ring < 2 ? 1 : kMostBatches;
  maxBatchSteps_ = stepByStep() ? 1 : uint32_t(std::clamp<uint64_t>(kLongestSubmitNs / cost, 1, kMostBatchSteps));
  maxBatchSteps_ = std::max(1u, std::min(maxBatchSteps_, ring / kMostBatches));
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Generate
//===----------------------------------------------------------------------===//

Status Generator::generate(const TokenCallback &onToken) {
  uint32_t context = state_.plan->root().max_context();
  beginNs_ = nowNs();
  if (state_.length == 0)
    return {StatusCode::InvalidUsage, "history is empty, expected at least one token, append a prompt"};
  if (state_.length > context) { // the last call has filled it
    result_.finish = Finish::Context;
    return Status::ok();
  }
  QWENRT_RETURN_IF_ERROR(chooseEntries());
  QWENRT_RETURN_IF_ERROR(limitBatches());
  if (state_.position == state_.length) // the hidden row of the last token is needed again
    --state_.position;
  QWENRT_RETURN_IF_ERROR(state_.writeProgress());
  uint32_t room = context + 1 - state_.length; // the last token sampled is never processed
  uint32_t wanted = options_.forceIds.empty()
                        ? options_.maxNewTokens
                        : uint32_t(std::min<size_t>(options_.maxNewTokens, options_.forceIds.size()));
  target_ = std::min(wanted, room);
  result_.finish = wanted > room ? Finish::Context : Finish::Length;
  firstStep_ = state_.step;
  uint32_t firstLength = state_.length;

  QWENRT_RETURN_IF_ERROR(prefill());
  if (cancelRequested()) {
    result_.finish = Finish::Cancelled;
    return state_.writeProgress();
  }
  std::vector<Batch> inFlight;
  while (true) {
    QWENRT_RETURN_IF_ERROR(submitMore(inFlight));
    if (inFlight.empty())
      break;
    Batch batch = inFlight.front();
    bool cancelled = false;
    QWENRT_RETURN_IF_ERROR(state_.wait(batch.value, options_.cancel, cancelled));
    if (cancelled) {
      done_ = true;
      result_.finish = Finish::Cancelled;
      break;
    }
    inFlight.erase(inFlight.begin());
    QWENRT_RETURN_IF_ERROR(acceptBatch(batch, onToken));
  }
  QWENRT_RETURN_IF_ERROR(state_.replay->waitAll());
  uint32_t accepted = uint32_t(result_.tokens.size());
  state_.length = firstLength + accepted;
  state_.remember(result_.tokens);
  state_.position = accepted ? state_.length - 1 : state_.length;
  state_.step = firstStep_ + accepted;
  QWENRT_RETURN_IF_ERROR(state_.placeText(firstLength, state_.length)); // the last one meets the next prefill
  return state_.writeProgress();
}

Status Generator::submitMore(std::vector<Batch> &inFlight) {
  while (!done_ && inFlight.size() < maxBatches_ && submitted_ < target_) {
    Batch batch = {0, 1};
    if (submitted_ == 0) {
      QWENRT_RETURN_IF_ERROR(state_.submit(nextEntry_, 1, batch.value));
    } else {
      batch.steps = std::min(batchSteps_, target_ - submitted_);
      QWENRT_RETURN_IF_ERROR(state_.submit(decodeEntry_, batch.steps, batch.value));
    }
    submitted_ += batch.steps;
    inFlight.push_back(batch);
  }
  return Status::ok();
}

Status Generator::acceptBatch(const Batch &batch, const TokenCallback &onToken) {
  uint64_t now = nowNs();
  if (result_.tokens.empty())
    result_.firstTokenNs = now - beginNs_;
  else if ((now - lastBatchNs_) * 2 < kLongestBatchNs) // batches grow while they stay short
    batchSteps_ = std::min(maxBatchSteps_, batch.steps * 2);
  else if (now - lastBatchNs_ > kLongestBatchNs)
    batchSteps_ = std::max(1u, batch.steps / 2);
  lastBatchNs_ = now;

  const size_t before = result_.tokens.size();
  const fb::Cell &ring = *state_.plan->findCell(fb::CellKind::Sampled);
  const std::byte *mailbox = state_.replay->buffer(ring.buffer()).mapped() + ring.offset();
  for (uint32_t i = 0; i < batch.steps && !done_; ++i) {
    uint32_t step = firstStep_ + uint32_t(result_.tokens.size());
    int32_t token = 0;
    std::memcpy(&token, mailbox + uint64_t(step % ring.count()) * 4, 4);
    QWENRT_RETURN_IF_ERROR(acceptToken(token, onToken));
  }
  result_.decodeNs = now - beginNs_ - result_.firstTokenNs;
  return state_.listener ? state_.listener->onTokens(std::span(result_.tokens).subspan(before), done_) : Status::ok();
}

Status Generator::acceptToken(int32_t token, const TokenCallback &onToken) {
  uint32_t vocabulary = state_.plan->root().vocab_size(), index = uint32_t(result_.tokens.size());
  if (token < 0 || (vocabulary && uint32_t(token) >= vocabulary))
    return {StatusCode::InvalidInput, text("the device sampled token ", token, ", expected 0 to ", vocabulary - 1,
                                           ", check the checkpoint for NaN and the plan's target")};
  if (options_.onLogits)
    QWENRT_RETURN_IF_ERROR(readLogits(index == 0 ? nextEntry_ : decodeEntry_, 1, /*step=*/true, index));
  result_.sampled.push_back(token);
  bool forced = !options_.forceIds.empty();
  if (forced) {
    token = options_.forceIds[index];
    if (state_.length + index < state_.plan->findCell(fb::CellKind::Tokens)->count())
      QWENRT_RETURN_IF_ERROR(state_.writeTokens(state_.length + index, {&token, 1}));
  }
  result_.tokens.push_back(token);
  state_.mark(TraceMark::Kind::Token, uint64_t(token));
  bool stop = !forced && std::find(options_.stopIds.begin(), options_.stopIds.end(), token) != options_.stopIds.end();
  bool goOn = !onToken || onToken(token);
  done_ = stop || !goOn || result_.tokens.size() >= target_;
  if (stop)
    result_.finish = Finish::Stop;
  else if (!goOn)
    result_.finish = Finish::Cancelled;
  return Status::ok();
}
