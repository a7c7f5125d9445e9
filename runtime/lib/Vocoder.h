//===- Vocoder.h - Frames to samples, push by push ---------------------------------------------------------------===//
#pragma once

#include "SessionState.h"
#include "SpeechTables.h"

namespace qwenrt {

/// Makes samples of one utterance's frames as they come. Streamed, pushes grow from one frame on, since the first one
/// is waited for; in chunks, each chunk begins anew behind its context and loses samples as the first one does.
class Vocoder {
public:
  struct Chunks {
    uint32_t frames = 0; ///< 0: streamed
    uint32_t context = 0;
  };

  Vocoder(Session::State &state, const VocoderTables &tables, Chunks chunks)
      : state_(state), tables_(tables), chunks_(chunks) {}

  /// Adds frames, [n, groups].
  void add(std::span<const int32_t> codes) { codes_.insert(codes_.end(), codes.begin(), codes.end()); }
  /// True if push would make samples; \p last: no frames follow.
  bool ready(bool last) const;
  /// Runs one push and sets \p samples to what it made.
  Status push(bool last, std::vector<float> &samples);

private:
  uint32_t frames() const { return uint32_t(codes_.size() / tables_.vocoder->groups()); }
  /// Decodes frames first .. first + count - 1 of codes_, of which \p before came since it began anew.
  Status run(uint32_t first, uint32_t count, uint32_t before, std::vector<float> &samples);
  Status pushChunk(std::vector<float> &samples);

  Session::State &state_;
  VocoderTables tables_;
  Chunks chunks_;
  std::vector<int32_t> codes_; ///< of the whole utterance: chunks read them twice
  uint32_t done_ = 0;          ///< frames pushed
  uint32_t wanted_ = 1;        ///< frames of the next push
};

} // namespace qwenrt
