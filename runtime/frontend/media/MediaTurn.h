//===- MediaTurn.h - From media files to a session's prompt
//---------------------------------------------------------===//
//
// Collects the files of one turn as the plan's preprocessor and limits have it, and brings a prompt with placeholders
// to a session: encoders first, then the tokens with their positions and rows.
//
//   QWENRT_ASSIGN_OR_RETURN(MediaTurn turn, MediaTurn::open(plan, tokenizer, {}));
//   QWENRT_RETURN_IF_ERROR(turn.add(Media::Image, "cat.png"));
//   // ... a text with a placeholder for each of turn.parts(), its ids ...
//   QWENRT_ASSIGN_OR_RETURN(EncoderPrompt prompt, turn.prepare(ids, session.nextPosition(), room));
//   QWENRT_RETURN_IF_ERROR(appendPrompt(session, prompt).status());
//
// The modules that read files are loaded when the first file comes that needs them.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "qwenrt/Session.h"
#include "runtime/frontend/Tokenizer.h"
#include "runtime/frontend/media/AudioTables.h"
#include "runtime/frontend/media/MediaReader.h"
#include "runtime/frontend/media/VisionTables.h"

namespace qwenrt {

/// What a user may choose; the rest is the plan's.
struct MediaSettings {
  std::optional<double> fps;                    ///< as MediaReaderOptions::fps
  std::optional<uint64_t> minPixels, maxPixels; ///< of images and of frames, in place of the preprocessor's
  bool audioInVideo = false;                    ///< as MediaReaderOptions::audioInVideo
};

/// How files are read for \p plan: its preprocessor's values and its limits. Unsupported if it has no media table, or
/// \p settings ask for sound that checkEncoder() refuses.
Result<MediaReaderOptions> mediaReaderOptions(const Plan &plan, const MediaSettings &settings);

/// Ok if \p plan has the encoder for \p media, one of sound fed as AudioFeatures.h does it, else Unsupported.
Status checkEncoder(const Plan &plan, Media media);

/// A prompt whose media are read, checked and cut into runs: nothing can go wrong with it but the device.
struct EncoderPrompt {
  MediaPrompt prompt;
  std::vector<int32_t> rows; ///< [tokens]: media row of each token, or -1
  /// As MediaTokens::spokenPositions; empty where they are those of the prompt.
  std::vector<float> spokenPositions;
  std::string audioEntry, visionEntry;
  std::vector<AudioRun> audio;
  std::vector<VisionRun> images, videos;
  VisionFeatures imagePixels, videoPixels; ///< of these runs
  VisionOptions vision;                    ///< how patches are made of them
};

class MediaTurn {
public:
  /// For prompts of \p plan, whose tokenizer is \p tokenizer. Errors: those of mediaReaderOptions and
  /// MediaTokenIds::fromTokenizer.
  static Result<MediaTurn> open(std::shared_ptr<const Plan> plan, const Tokenizer &tokenizer,
                                const MediaSettings &settings);

  /// Reads one file now; after an error the turn is as before. Unsupported if the plan lacks the encoder for it or the
  /// system the libraries; else the errors of MediaReader, which name the file.
  Status add(Media media, const std::string &path);
  bool empty() const { return added_ == 0; }
  /// The media that have a placeholder, in order: the content parts before the text.
  const std::vector<Media> &parts() const { return reader_.parts(); }

  /// True if \p ids has placeholders: then it is a prompt for prepare, even if no medium was added.
  bool hasPlaceholders(std::span<const int32_t> ids) const { return !placeholderOrder(ids, tokens_).empty(); }

  /// \p ids has one placeholder for each medium; the turn is empty then, also after an error. \p firstPosition is the
  /// session's nextPosition, \p room how many tokens its context still takes. InvalidInput if placeholders and media do
  /// not agree, or they make more tokens than there is room for or rows than the plan holds.
  Result<EncoderPrompt> prepare(std::span<const int32_t> ids, float firstPosition, uint64_t room);

  /// Nanoseconds that the last prompt took in add and prepare.
  uint64_t frontEndNs() const { return frontEndNs_; }

private:
  MediaTurn(std::shared_ptr<const Plan> plan, MediaTokenIds tokens, const MediaReaderOptions &options)
      : plan_(std::move(plan)), tokens_(tokens), reader_({}, options) {}
  Status needDecoders(Media media, const std::string &path);
  Result<EncoderPrompt> build(std::span<const int32_t> ids, float firstPosition, uint64_t room);
  Status cutRuns(MediaInputs inputs, EncoderPrompt &result) const;

  std::shared_ptr<const Plan> plan_;
  MediaTokenIds tokens_;
  MediaReader reader_;
  size_t added_ = 0;
  bool hasFiles_ = false, hasVideo_ = false; ///< which decoders are loaded
  uint64_t frontEndNs_ = 0, pendingNs_ = 0;
};

/// Runs the encoders and appends the prompt; returns the nanoseconds of the encoders.
Result<uint64_t> appendPrompt(Session &session, const EncoderPrompt &prompt);

} // namespace qwenrt
