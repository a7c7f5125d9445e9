//===- SpeechLogits.cpp - What codes were chosen from ------------------------------------------------------------===//
//
// A frame is one submission, whose entries leave their logits in the same place. Where somebody hears them the entries
// are submitted one by one, and the host reads between them; what runs on the device is the same.
//
//===------------------------------------------------------------------------------------------------------------===//
#include "SpeakerState.h"

#include <utility>

using namespace qwenrt;

Status Speaker::State::findLogits() {
  const bool greedy = options.sampling.greedy;
  Logits found = {};
  for (auto [tensor, entry] : {std::pair{&found.prompt, greedy ? tables.nextGreedy : tables.nextSample},
                               {&found.talker, greedy ? tables.decodeGreedy : tables.decodeSample},
                               {&found.predictor, options.predictor.greedy ? tables.codeGreedy : tables.codeSample}}) {
    QWENRT_ASSIGN_OR_RETURN(*tensor, findSpeechLogits(*session.plan, entry));
  }
  logits = std::move(found);
  return Status::ok();
}

/// Adds to \p rows what stands in \p tensor once submission \p value has run.
Status Speaker::State::readLogits(const fb::EntryTensor &tensor, uint64_t value, std::vector<float> &rows) {
  bool cancelled = false;
  QWENRT_RETURN_IF_ERROR(session.wait(value, nullptr, cancelled));
  const size_t before = rows.size();
  rows.resize(before + tensor.dims()->Get(1)->size());
  return session.replay->transfer().read(session.replay->buffer(tensor.buffer()), tensor.offset(),
                                         std::as_writable_bytes(std::span(rows).subspan(before)));
}

Status Speaker::State::submitFrame(std::span<const uint32_t> entries, uint64_t &value) {
  logits->others.clear();
  logits->next.clear();
  for (size_t i = 0; i < entries.size(); ++i) {
    QWENRT_RETURN_IF_ERROR(session.submit(entries[i], 1, value));
    if (i + 1 == entries.size())
      QWENRT_RETURN_IF_ERROR(readLogits(*logits->talker, value, logits->next));
    else if (i > 0) // the first one only begins
      QWENRT_RETURN_IF_ERROR(readLogits(*logits->predictor, value, logits->others));
  }
  return Status::ok();
}

Status Speaker::State::tellLogits(uint32_t frame, std::span<const int32_t> codes) {
  QWENRT_RETURN_IF_ERROR(options.onLogits({frame, logits->first, logits->others, codes}));
  std::swap(logits->first, logits->next);
  return Status::ok();
}
