//===- SpeechTables.h - The entries that speak, found and checked ------------------------------------------------===//
#pragma once

#include "qwenrt/Plan.h"

namespace qwenrt {

/// What of a plan a speaker runs, by ordinal, and the tensors between them.
struct SpeechTables {
  const fb::Talker *talker = nullptr;
  uint32_t prefill = 0, nextGreedy = 0, nextSample = 0, decodeGreedy = 0, decodeSample = 0;
  uint32_t begin = 0, codeGreedy = 0, codeSample = 0;
  uint32_t text = 0, media = 0;
  const fb::EntryTensor *accepted = nullptr;    ///< output of the prefill of text, [S, hidden of text]
  const fb::EntryTensor *mediaHidden = nullptr; ///< input of `media`, [T, hidden of text]
  const fb::EntryTensor *mediaRows = nullptr;   ///< its output, [T, hidden]
  const fb::EntryTensor *textRows = nullptr;    ///< output of `text`, [T, hidden]
  const fb::EntryTensor *inputs = nullptr;      ///< of `prefill`; behind it lie rows for the whole context
  const fb::EntryTensor *said = nullptr;        ///< input of the decode entries, [N, hidden]
  uint32_t context = 0;                         ///< positions of the talker's caches

  uint64_t rowBytes() const { return uint64_t(talker->hidden_size()) * 4; }
};

constexpr uint32_t kTalkerSequence = 1, kPredictorSequence = 2;

/// Unsupported if \p plan has no talker. \p textPrefill is the ordinal of the prefill of text that runs. A plan that
/// was opened lacks nothing else: the verifier has found the tables for each prefill.
Result<SpeechTables> findSpeech(const fb::Plan &plan, uint32_t textPrefill);

/// The output "logits" of entry \p entry, f32 [1, codes]. Unsupported if the plan has none there.
Result<const fb::EntryTensor *> findSpeechLogits(const Plan &plan, uint32_t entry);

/// The vocoder's entry and tensors.
struct VocoderTables {
  const fb::Vocoder *vocoder = nullptr;
  uint32_t entry = 0;
  const fb::EntryTensor *samples = nullptr;
};

/// Unsupported if \p plan has no vocoder; as findSpeech.
Result<VocoderTables> findVocoder(const fb::Plan &plan);

} // namespace qwenrt
