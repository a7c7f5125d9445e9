//===- EncodeMedia.cpp - Media of a prompt: encoders, rows, positions
//----------------------------------------------===//
#include "EntryRun.h"
#include "Text.h"

#include <algorithm>
#include <cmath>

using namespace qwenrt;

namespace {

const fb::EntryTensor *findTensor(const flatbuffers::Vector<flatbuffers::Offset<fb::EntryTensor>> &tensors,
                                  std::string_view name) {
  for (const fb::EntryTensor *tensor : tensors)
    if (tensor->name()->string_view() == name)
      return tensor;
  return nullptr;
}

bool isEncoder(const fb::Media *media, std::string_view entry) {
  return media && ((media->audio() && media->audio()->entry()->string_view() == entry) ||
                   (media->vision() && media->vision()->entry()->string_view() == entry));
}

} // namespace

//===----------------------------------------------------------------------===//
// Encoders
//===----------------------------------------------------------------------===//

Result<uint32_t> Session::encodeMedia(std::string_view name, std::span<const HostTensorView> inputs,
                                      uint32_t firstRow) {
  State &state = *state_;
  QWENRT_RETURN_IF_ERROR(state.requireText());
  const fb::Media *media = state.plan->root().media();
  if (!isEncoder(media, name))
    return Status(StatusCode::Unsupported,
                  text("plan has no encoder '", printable(name),
                       "', expected one in its media table, take the plan of a model that has one"));
  QWENRT_ASSIGN_OR_RETURN(uint32_t ordinal, state.runnableEntry(name));
  EntryRun run(state, ordinal);
  QWENRT_RETURN_IF_ERROR(run.bind(inputs));
  const fb::EntryTensor &rows = *findTensor(*run.entry().outputs(), "rows"); // the verifier has seen it
  const uint64_t count = *run.extent(rows.dims()->Get(0)->symbol()->string_view());
  if (firstRow > media->max_rows() || count > media->max_rows() - firstRow)
    return Status(StatusCode::InvalidInput,
                  text("media make rows ", firstRow, " to ", firstRow + count, ", expected at most the ",
                       media->max_rows(), " that the plan holds for a turn, give fewer or smaller ones"));
  if (state.mediaEnd > state.position) // a prefill that was cancelled: its rows are needed before they are replaced
    QWENRT_RETURN_IF_ERROR(prefill().status());
  const uint64_t start = nowNs();
  QWENRT_RETURN_IF_ERROR(run.write());
  state.mediaUploadNs += nowNs() - start;
  uint64_t value = 0;
  QWENRT_RETURN_IF_ERROR(state.submit(ordinal, 1, value));

  // Each of the prefill's inputs for media gets the output of its name; a medium without one adds nothing there.
  std::vector<BufferCopy> copies;
  for (const fb::EntryTensor *target : *state.entry(*state.role(fb::Role::Prefill)).inputs()) {
    std::string_view input = target->name()->string_view();
    if (input != "media" && !input.starts_with("deepstack."))
      continue;
    const fb::EntryTensor *source = input == "media" ? &rows : findTensor(*run.entry().outputs(), input);
    const uint64_t rowBytes = target->size_bytes() / target->dims()->Get(0)->size();
    copies.push_back({source ? &state.replay->buffer(source->buffer()) : nullptr, source ? source->offset() : 0,
                      &state.replay->buffer(target->buffer()), target->offset() + firstRow * rowBytes,
                      count * rowBytes});
  }
  QWENRT_RETURN_IF_ERROR(state.replay->transfer().copy(copies));
  return uint32_t(count);
}

uint64_t Session::mediaUploadNs() const { return state_->mediaUploadNs; }

//===----------------------------------------------------------------------===//
// History
//===----------------------------------------------------------------------===//

Status Session::State::checkMedia(const MediaTokens &tokens) const {
  const fb::Media *media = plan->root().media();
  if (!media)
    return {StatusCode::Unsupported, "plan takes text alone, expected a media table for tokens of media, take the plan "
                                     "of a model that has encoders"};
  if (tokens.positions.size() != 3 * tokens.tokens.size() || tokens.rows.size() != tokens.tokens.size())
    return {StatusCode::InvalidUsage,
            text(tokens.tokens.size(), " tokens have ", tokens.positions.size(), " positions and ", tokens.rows.size(),
                 " media rows, expected three and one for each, give as many")};
  if (!tokens.spokenPositions.empty() && tokens.spokenPositions.size() != tokens.positions.size())
    return {StatusCode::InvalidUsage, text(tokens.tokens.size(), " tokens have ", tokens.spokenPositions.size(),
                                           " spoken positions, expected three for each or none, give as many")};
  for (int32_t row : tokens.rows)
    if (row < -1 || (row >= 0 && uint32_t(row) >= media->max_rows()))
      return {StatusCode::InvalidInput,
              text("media row ", row, " is unknown, expected -1 to ", media->max_rows() - 1, ", correct it")};
  auto finite = [](float value) { return std::isfinite(value); };
  if (!std::all_of(tokens.positions.begin(), tokens.positions.end(), finite) || !finite(tokens.next) ||
      !std::all_of(tokens.spokenPositions.begin(), tokens.spokenPositions.end(), finite))
    return {StatusCode::InvalidInput, "a position is not finite, expected numbers, correct it"};
  return Status::ok();
}

Status Session::append(const MediaTokens &tokens) {
  State &state = *state_;
  QWENRT_RETURN_IF_ERROR(state.requireText());
  QWENRT_RETURN_IF_ERROR(state.checkMedia(tokens));
  const size_t count = tokens.tokens.size();
  QWENRT_RETURN_IF_ERROR(state.requireRoom(count));
  QWENRT_RETURN_IF_ERROR(state.checkTokens(tokens.tokens));
  std::vector<float> positions(3 * count); // the device has them token by token
  float following = state.nextPositions.back();
  std::vector<float> next;
  for (size_t i = 0; i < count; ++i) {
    for (size_t axis = 0; axis < 3; ++axis) {
      positions[3 * i + axis] = tokens.positions[axis * count + i];
      following = std::max(following, positions[3 * i + axis] + 1);
    }
    next.push_back(following);
    if (tokens.rows[i] >= 0)
      state.mediaEnd = state.length + uint32_t(i) + 1;
  }
  if (count)
    next.back() = tokens.next;
  const std::span<const float> spoken = tokens.spokenPositions.empty() ? tokens.positions : tokens.spokenPositions;
  state.remember(tokens.tokens, spoken, state.nextPositions.back());
  QWENRT_RETURN_IF_ERROR(state.writeTokens(state.length, tokens.tokens));
  QWENRT_RETURN_IF_ERROR(state.writePlaces(state.length, positions, tokens.rows));
  state.nextPositions.insert(state.nextPositions.end(), next.begin(), next.end());
  state.length += uint32_t(count);
  QWENRT_RETURN_IF_ERROR(state.writeDelta());
  return state.writeProgress();
}

Status Session::State::writePlaces(uint32_t index, std::span<const float> positions, std::span<const int32_t> rows) {
  const fb::Cell *places = plan->findCell(fb::CellKind::RotaryPositions);
  const fb::Cell *media = plan->findCell(fb::CellKind::MediaRows);
  if (!plan->root().media() || !places || !media)
    return Status::ok();
  QWENRT_RETURN_IF_ERROR(replay->transfer().write(replay->buffer(places->buffer()),
                                                  places->offset() + uint64_t(index) * 12, std::as_bytes(positions)));
  return replay->transfer().write(replay->buffer(media->buffer()), media->offset() + uint64_t(index) * 4,
                                  std::as_bytes(rows));
}

Status Session::State::placeText(uint32_t begin, uint32_t end) {
  if (!plan->root().media())
    return Status::ok();
  nextPositions.resize(begin + 1);
  const float delta = nextPositions.back() - float(begin); // as kernels that sample reckon
  std::vector<float> positions;
  for (uint32_t i = begin; i < end; ++i) {
    positions.insert(positions.end(), 3, float(i) + delta);
    nextPositions.push_back(float(i + 1) + delta);
  }
  return writePlaces(begin, positions, std::vector<int32_t>(end - begin, -1));
}

Status Session::State::writeDelta() {
  if (!plan->root().media())
    return Status::ok();
  const float delta = nextPositions.back() - float(nextPositions.size() - 1);
  return writeCell(fb::CellKind::PositionDelta, static_cast<const void *>(&delta));
}

float Session::nextPosition() const {
  return state_->plan->root().media() ? state_->nextPositions.back() : float(state_->length);
}
