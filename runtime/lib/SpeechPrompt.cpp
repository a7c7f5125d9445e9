//===- SpeechPrompt.cpp - What the talker is told ----------------------------------------------------------------===//
//
// The rows of the talker's prompt stay on the device from answer to answer: user turns first, each at its place, behind
// them nine rows that open the answer. Rows of media are made while the prefill that they come from stands, rows of
// text when the answer begins.
//
//===------------------------------------------------------------------------------------------------------------===//
#include "EntryRun.h"
#include "SpeakerState.h"
#include "Text.h"

#include <algorithm>

using namespace qwenrt;

namespace {

constexpr uint32_t kAnswerRows = 9;
constexpr size_t kFirstSaid = 4; ///< of the assistant's turn: the first token that has no place in the prompt

HostTensorView words(const char *name, const std::vector<int32_t> &values) {
  return {name, fb::DType::I32, {values.size()}, std::as_bytes(std::span(values))};
}

std::string_view symbolOf(const fb::EntryTensor &tensor) { return tensor.dims()->Get(0)->symbol()->string_view(); }

} // namespace

std::vector<int32_t> qwenrt::userRows(std::span<const int32_t> tokens, const fb::Talker &talker) {
  std::vector<int32_t> rows(tokens.size(), -1);
  bool user = false;
  int32_t next = 0;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (uint32_t(tokens[i]) == talker.im_start())
      user = i + 1 < tokens.size() && uint32_t(tokens[i + 1]) == talker.user();
    if (user)
      rows[i] = next++;
  }
  return rows;
}

std::optional<uint32_t> qwenrt::answerStart(std::span<const int32_t> tokens, const fb::Talker &talker) {
  for (size_t i = tokens.size(); i-- > 0;)
    if (uint32_t(tokens[i]) == talker.im_start())
      return i + 1 < tokens.size() && uint32_t(tokens[i + 1]) == talker.assistant() ? std::optional(uint32_t(i))
                                                                                    : std::nullopt;
  return std::nullopt;
}

bool qwenrt::standsForMedia(int32_t token, const fb::Talker &talker) {
  return token > 0 && (uint32_t(token) == talker.audio_pad() || uint32_t(token) == talker.image_pad() ||
                       uint32_t(token) == talker.video_pad());
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

Status Speaker::State::onChunk(uint32_t first, uint32_t count) {
  rows = userRows(session.tokens, *tables.talker);
  for (uint32_t i = first, end = 0; i < first + count; i = std::max(end, i + 1)) {
    for (end = i; end < first + count && rows[end] >= 0 && standsForMedia(session.tokens[end], *tables.talker);)
      ++end;
    if (end > i)
      QWENRT_RETURN_IF_ERROR(projectMedia(i - first, uint32_t(rows[i]), end - i));
  }
  return Status::ok();
}

/// Rows \p offset and following of the chunk become rows \p row and following of the prompt.
Status Speaker::State::projectMedia(uint32_t offset, uint32_t row, uint32_t count) {
  const uint64_t width = tables.accepted->dims()->Get(1)->size() * 4;
  const uint32_t most = uint32_t(tables.mediaHidden->dims()->Get(0)->size());
  const Replay &replay = *session.replay;
  if (uint64_t(row) + count > tables.context)
    return Status::ok(); // the answer will be refused
  for (uint32_t done = 0; done < count;) {
    const uint32_t part = std::min(most, count - done);
    const BufferCopy in = {&replay.buffer(tables.accepted->buffer()),
                           tables.accepted->offset() + (offset + done) * width,
                           &replay.buffer(tables.mediaHidden->buffer()), tables.mediaHidden->offset(), part * width};
    QWENRT_RETURN_IF_ERROR(session.replay->transfer().copy({&in, 1}));
    EntryRun run(session, tables.media);
    QWENRT_RETURN_IF_ERROR(run.writeExtent(symbolOf(*tables.mediaHidden), part));
    uint64_t value = 0;
    QWENRT_RETURN_IF_ERROR(session.submit(tables.media, 1, value));
    const BufferCopy out = {&replay.buffer(tables.mediaRows->buffer()), tables.mediaRows->offset(),
                            &replay.buffer(tables.inputs->buffer()),
                            tables.inputs->offset() + (row + done) * tables.rowBytes(), part * tables.rowBytes()};
    QWENRT_RETURN_IF_ERROR(session.replay->transfer().copy({&out, 1}));
    done += part;
  }
  return Status::ok();
}

/// Makes \p rows and copies them to theirs of \p target.
Status Speaker::State::makeRows(std::span<const TextRow> wanted, const fb::EntryTensor &target) {
  const size_t most = tables.textRows->dims()->Get(0)->size();
  const Replay &replay = *session.replay;
  while (!wanted.empty()) {
    const std::span<const TextRow> part = wanted.first(std::min(most, wanted.size()));
    std::vector<int32_t> ids, codes;
    std::vector<BufferCopy> copies;
    for (const TextRow &row : part) {
      const uint64_t from = tables.textRows->offset() + ids.size() * tables.rowBytes();
      const uint64_t to = target.offset() + row.row * tables.rowBytes();
      if (!copies.empty() && copies.back().toOffset + copies.back().sizeBytes == to)
        copies.back().sizeBytes += tables.rowBytes();
      else
        copies.push_back(
            {&replay.buffer(tables.textRows->buffer()), from, &replay.buffer(target.buffer()), to, tables.rowBytes()});
      ids.push_back(row.id);
      codes.push_back(row.code);
    }
    const HostTensorView inputs[] = {words("ids", ids), words("codes", codes)};
    EntryRun run(session, tables.text);
    QWENRT_RETURN_IF_ERROR(run.bind(inputs));
    QWENRT_RETURN_IF_ERROR(run.write());
    uint64_t value = 0;
    QWENRT_RETURN_IF_ERROR(session.submit(tables.text, 1, value));
    QWENRT_RETURN_IF_ERROR(session.replay->transfer().copy(copies)); // and waits: the inputs are free again
    wanted = wanted.subspan(part.size());
  }
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Prompt
//===----------------------------------------------------------------------===//

Status Speaker::State::checkPrompt() {
  const std::vector<int32_t> wanted = userRows(session.tokens, *tables.talker);
  const auto users = uint64_t(std::count_if(wanted.begin(), wanted.end(), [](int32_t row) { return row >= 0; }));
  if (users == 0)
    return {StatusCode::InvalidInput,
            "prompt has no user turn, expected one for the talker to answer, use the chat template"};
  if (!answerStart(session.tokens, *tables.talker))
    return {StatusCode::InvalidInput,
            "prompt does not end in an assistant's turn, expected one to speak, use the chat template"};
  if (users + kAnswerRows >= tables.context)
    return {StatusCode::InvalidInput, text("user turns have ", users, " tokens, expected at most ",
                                           tables.context - std::min(tables.context, kAnswerRows + 1),
                                           " for the talker's context, shorten them")};
  return Status::ok();
}

Status Speaker::State::begin() {
  const fb::Talker &talker = *tables.talker;
  begun = true;
  beginNs = speechClockNs();
  rows = userRows(session.tokens, talker);
  std::vector<TextRow> made;
  uint32_t users = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] < 0)
      continue;
    users = uint32_t(rows[i]) + 1;
    if (uint32_t(rows[i]) >= madeRows && !standsForMedia(session.tokens[i], talker))
      made.push_back({session.tokens[i], -1, uint32_t(rows[i])});
  }
  const int32_t pad = int32_t(talker.tts_pad());
  const std::pair<int32_t, int32_t> opening[kAnswerRows] = {{spoken[0], -1},
                                                            {spoken[1], -1},
                                                            {spoken[2], -1},
                                                            {pad, talker.codec_nothink()},
                                                            {pad, talker.codec_think_bos()},
                                                            {pad, talker.codec_think_eos()},
                                                            {pad, speakerId},
                                                            {talker.tts_bos(), talker.codec_pad()},
                                                            {spoken[3], talker.codec_bos()}};
  for (uint32_t i = 0; i < kAnswerRows; ++i)
    made.push_back({opening[i].first, opening[i].second, users + i});
  QWENRT_RETURN_IF_ERROR(makeRows(made, *tables.inputs));
  madeRows = users;
  const uint32_t kept = std::min(cachedRows, users);
  promptRows = users + kAnswerRows;
  QWENRT_RETURN_IF_ERROR(writePrompt(promptRows, kept));

  uint64_t value = 0;
  const uint32_t chunk = session.entry(tables.prefill).rows();
  for (uint32_t done = kept; done < promptRows; done += chunk)
    QWENRT_RETURN_IF_ERROR(session.submit(tables.prefill, 1, value));
  cachedRows = users;
  QWENRT_RETURN_IF_ERROR(session.submit(options.sampling.greedy ? tables.nextGreedy : tables.nextSample, 1, value));
  if (logits)
    QWENRT_RETURN_IF_ERROR(readLogits(*logits->prompt, value, logits->first));
  inFlight.push_back({value, UINT32_MAX});
  codePending = true;
  return Status::ok();
}

/// Positions of the user rows as if nothing stood between them, and of the rows that open the answer.
std::vector<SpokenPlace> Speaker::State::promptPlaces() const {
  std::vector<SpokenPlace> places;
  float next = 0, shift = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] < 0)
      continue;
    if (i == 0 || rows[i - 1] < 0)
      shift = next - session.places[i].position[0];
    SpokenPlace place = session.places[i];
    for (float &axis : place.position) {
      axis += shift;
      next = std::max(next, axis + 1);
    }
    place.next = next;
    places.push_back(place);
  }
  for (uint32_t i = 0; i < kAnswerRows; ++i, ++next)
    places.push_back({{next, next, next}, next + 1});
  return places;
}

/// The cells of sequence 1 for a prompt of \p count rows, of which \p kept are in the caches.
Status Speaker::State::writePrompt(uint32_t count, uint32_t kept) {
  const std::vector<SpokenPlace> places = promptPlaces();
  std::vector<float> positions;
  for (uint32_t i = 0; i < count; ++i)
    positions.insert(positions.end(), places[i].position.begin(), places[i].position.end());
  const std::vector<int32_t> tokens(count, int32_t(tables.talker->suppressed()));
  auto write = [&](fb::CellKind kind, std::span<const std::byte> bytes) {
    const fb::Cell &target = *session.plan->findCell(kind, kTalkerSequence);
    return session.replay->transfer().write(session.replay->buffer(target.buffer()), target.offset(), bytes);
  };
  QWENRT_RETURN_IF_ERROR(write(fb::CellKind::Tokens, std::as_bytes(std::span(tokens))));
  QWENRT_RETURN_IF_ERROR(write(fb::CellKind::RotaryPositions, std::as_bytes(std::span(positions))));
  const float delta = places.back().next - float(count);
  QWENRT_RETURN_IF_ERROR(session.writeCell(fb::CellKind::PositionDelta, &delta, 0, kTalkerSequence));
  QWENRT_RETURN_IF_ERROR(cell(fb::CellKind::Length, count, kTalkerSequence));
  QWENRT_RETURN_IF_ERROR(cell(fb::CellKind::Position, kept, kTalkerSequence));
  QWENRT_RETURN_IF_ERROR(cell(fb::CellKind::TextRows, 0, kTalkerSequence));
  QWENRT_RETURN_IF_ERROR(writeSampling(options.sampling, kTalkerSequence));
  Sampling predictor = options.predictor;
  predictor.repetitionPenalty = 1;
  return writeSampling(predictor, kPredictorSequence);
}

Status Speaker::State::writeSampling(const Sampling &sampling, uint32_t sequence) {
  QWENRT_RETURN_IF_ERROR(cell(fb::CellKind::Step, 0, sequence));
  QWENRT_RETURN_IF_ERROR(cell(fb::CellKind::Seed, sampling.seed, sequence));
  QWENRT_RETURN_IF_ERROR(cell(fb::CellKind::TopK, sampling.greedy ? 1 : sampling.topK, sequence));
  const float temperature = sampling.greedy ? 1 : sampling.temperature, topP = sampling.greedy ? 1 : sampling.topP;
  QWENRT_RETURN_IF_ERROR(session.writeCell(fb::CellKind::Temperature, &temperature, 0, sequence));
  QWENRT_RETURN_IF_ERROR(session.writeCell(fb::CellKind::TopP, &topP, 0, sequence));
  return session.writeCell(fb::CellKind::RepetitionPenalty, &sampling.repetitionPenalty, 0, sequence);
}

/// The rows of text that are known and stand not yet on the device; the last two end the text.
Status Speaker::State::makeSaid() {
  const auto most = uint32_t(tables.said->dims()->Get(0)->size());
  std::vector<TextRow> made;
  auto add = [&](uint32_t id) {
    if (saidRows + made.size() < most)
      made.push_back({int32_t(id), -1, saidRows + uint32_t(made.size())});
  };
  for (size_t i = kFirstSaid + saidRows; i < spoken.size(); ++i)
    add(uint32_t(spoken[i]));
  const bool ends = textEnded && !saidEnd;
  if (ends) {
    add(tables.talker->tts_eos());
    add(tables.talker->tts_pad());
  }
  if (made.empty())
    return Status::ok();
  QWENRT_RETURN_IF_ERROR(makeRows(made, *tables.said));
  saidRows += uint32_t(made.size());
  saidEnd |= ends;
  return cell(fb::CellKind::TextRows, saidRows, kTalkerSequence); // frames in flight read rows before these
}
