//===- MediaPrompt.h - Prompts with media to ids and positions --------------------------------------------------===//
//
// The road of a turn: content parts -> text with one placeholder per medium (Chat.h renders the turns) -> ids
// (Tokenizer.h) -> expandMedia: every placeholder as often as its medium has tokens, positions, and the places where
// the rows of the encoders go. With --raw the user wrote the placeholders; the road is the same from there.
//
// Source: Hugging Face transformers, Qwen3OmniMoeProcessor; the chat template published with Qwen3-Omni.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "runtime/frontend/Chat.h"
#include "runtime/frontend/media/MediaPositions.h"

#include <string>
#include <variant>

namespace qwenrt {

/// A medium, or text as it stands. Media are named by kind only; their data goes beside the text, in the same order.
using ContentPart = std::variant<Media, std::string>;

/// The content of a turn: the parts in order, without separators or numbers.
std::string renderContent(std::span<const ContentPart> parts);

/// A prompt as the language model takes it.
struct MediaPrompt {
  std::vector<int32_t> ids; ///< [n], every placeholder expanded
  MediaPositions positions; ///< [3, n]
  /// The tokens, by index in ids, whose embeddings the rows of each encoder replace, in the order of the rows.
  std::vector<uint32_t> audioRows, imageRows, videoRows;
};

struct MediaPromptOptions {
  /// Position of the first token: 0, or MediaPositions::next of what the caches hold.
  float firstPosition = 0;
  /// Tokens that there is room for.
  uint64_t maxTokens = 65'536;
};

/// Expands the placeholders in \p ids, each standing once per medium. A video with its track becomes the mark of
/// vision, the mark of audio, the tokens of both in the order of time, and the closing marks; it has to stand between
/// "<|vision_start|>" and "<|vision_end|>". InvalidInput if placeholders and media differ in number, a medium makes no
/// token, or the prompt gets longer than maxTokens.
Result<MediaPrompt> expandMedia(std::span<const int32_t> ids, const MediaTokenIds &tokens, const MediaSpans &spans,
                                const MediaPromptOptions &options = {});

} // namespace qwenrt
