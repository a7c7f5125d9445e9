//===- SpeakerState.h - What a speaker consists of ---------------------------------------------------------------===//
#pragma once

#include "SessionState.h"
#include "SpeechTables.h"
#include "Vocoder.h"
#include "qwenrt/Speech.h"

#include <chrono>
#include <deque>

namespace qwenrt {

inline uint64_t speechClockNs() {
  return uint64_t(std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
}

/// For each token of \p tokens the row of the talker's prompt that it becomes, or -1: user turns whole, with the marks
/// around them, and nothing else.
std::vector<int32_t> userRows(std::span<const int32_t> tokens, const fb::Talker &talker);
/// Where the assistant's turn begins that the last token of \p tokens lies in; nothing if there is none.
std::optional<uint32_t> answerStart(std::span<const int32_t> tokens, const fb::Talker &talker);
/// True if \p token stands for media.
bool standsForMedia(int32_t token, const fb::Talker &talker);

struct Speaker::State final : SessionListener {
  /// A row of text, and the row of the talker's prompt or of what it says that it becomes.
  struct TextRow {
    int32_t id, code; ///< code: -1 for none
    uint32_t row;
  };
  struct Frame {
    uint64_t value;
    uint32_t number;
  };
  /// Where the entries of the answer leave logits, and those of the frame at hand.
  struct Logits {
    const fb::EntryTensor *prompt, *talker, *predictor;
    std::vector<float> first;  ///< of its first code
    std::vector<float> others; ///< of the rest
    std::vector<float> next;   ///< of the first code of the frame behind it
  };

  State(Session::State &session, SpeechTables tables) : session(session), tables(tables) {}
  ~State() override { session.listener = nullptr; }

  Status onChunk(uint32_t first, uint32_t count) override;
  Status onTokens(std::span<const int32_t> tokens, bool last) override;
  void onCut(uint32_t length) override;

  // SpeechPrompt.cpp
  Status checkPrompt();
  Status projectMedia(uint32_t offset, uint32_t row, uint32_t count);
  Status makeRows(std::span<const TextRow> rows, const fb::EntryTensor &target);
  Status begin();
  Status makeSaid();
  Status writeSampling(const Sampling &sampling, uint32_t sequence);
  Status writePrompt(uint32_t rows, uint32_t kept);
  std::vector<SpokenPlace> promptPlaces() const;

  // SpeechLogits.cpp
  Status findLogits();
  Status readLogits(const fb::EntryTensor &tensor, uint64_t value, std::vector<float> &rows);
  /// Submits \p entries of a frame one by one and keeps what codes are chosen from.
  Status submitFrame(std::span<const uint32_t> entries, uint64_t &value);
  Status tellLogits(uint32_t frame, std::span<const int32_t> codes);

  // Speech.cpp
  Status answer(const SpeechOptions &options, const std::atomic<bool> *cancelFlag);
  /// Goes on as far as the text allows; \p wait: until a frame or samples came.
  Status advance(bool wait);
  Status finish();
  Status submitFrames();
  Status collect(bool wait);
  Status acceptCode(int32_t code);
  Status acceptFrame(uint32_t number);
  Status vocode(bool last);
  Status cell(fb::CellKind kind, uint32_t value, uint32_t sequence) {
    return session.writeCell(kind, &value, 0, sequence);
  }
  int32_t sampled(uint32_t sequence, uint32_t step) const;
  uint32_t framesWanted() const;
  uint32_t mostInFlight() const;
  bool canSubmit() const;
  bool cancelRequested() const { return cancel && cancel->load(); }
  void end(SpeechFinish how);

  Session::State &session;
  SpeechTables tables;

  // The conversation
  std::vector<int32_t> rows; ///< of the tokens processed so far
  uint32_t madeRows = 0;     ///< user rows whose text stands on the device; those of media always do
  uint32_t cachedRows = 0;   ///< user rows in the talker's caches

  // The answer
  bool speaking = false; ///< generate is under way
  SpeechOptions options;
  const std::atomic<bool> *cancel = nullptr;
  uint32_t speakerId = 0;
  std::vector<int32_t> spoken; ///< the assistant's turn from its first token, without the last one
  bool textEnded = false;
  bool begun = false, ended = false;
  uint32_t promptRows = 0;
  uint32_t saidRows = 0;                ///< rows of text behind the prompt that stand on the device
  bool saidEnd = false;                 ///< with the ones that end it
  uint32_t submitted = 0, accepted = 0; ///< frames
  int32_t nextCode = 0;                 ///< first code of the frame `accepted`
  bool codePending = false;             ///< the prompt's code is under way
  std::deque<Frame> inFlight;
  std::optional<Vocoder> vocoder;
  std::optional<Logits> logits; ///< if somebody hears them
  uint64_t startNs = 0, beginNs = 0;
  uint64_t idleSinceNs = 0; ///< since when the next frame waits for its text; 0: it does not
  SpeechResult result;
};

} // namespace qwenrt
