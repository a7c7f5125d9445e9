//===- Chat.h - ChatML prompts ----------------------------------------------------------------------------------===//
//
// A turn is "<|im_start|>role\ncontent<|im_end|>\n"; a prompt that asks for a reply ends with
// "<|im_start|>assistant\n". The text is meant for Tokenizer::encode with special tokens recognised: as with Hugging
// Face's apply_chat_template, special tokens that a user writes into a turn are recognised too. There is no default
// system turn.
//
// Models whose template has the switch enable_thinking (Qwen3) differ in two places: with thinking off the
// prompt ends with an empty think block; and reasoning is left out of assistant turns before the last user turn.
//
// Source: the chat templates published with Qwen3 and Qwen3-Omni. Tool calls are not rendered.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace qwenrt {

struct Turn {
  std::string role; ///< "system", "user" or "assistant"
  std::string content;
};

struct ChatOptions {
  /// Chat.thinking_switch of the plan: the template knows enable_thinking.
  bool thinkingSwitch = false;
  /// What the user chose; without thinkingSwitch it has no effect.
  bool thinking = true;
};

enum class Media { Image, Audio, Video };

/// The content part of one medium: its placeholder between its marks. Parts and text of a turn are concatenated without
/// separators.
std::string_view mediaPart(Media media);

/// One closed turn, content as it stands.
std::string renderTurn(const Turn &turn);

/// What asks for a reply: the opening of an assistant turn, and with thinking switched off an empty think block.
std::string renderGenerationPrompt(const ChatOptions &options);

/// A whole chat; with \p addGenerationPrompt it asks for a reply.
std::string renderPrompt(std::span<const Turn> turns, bool addGenerationPrompt, const ChatOptions &options = {});

/// How the tokens of the last reply, as the caches hold them, end.
enum class ReplyEnd {
  EndOfTurn, ///< with <|im_end|>
  Cut,       ///< without: the token limit, the user or another stop token ended it
};

/// For a chat whose earlier turns and last reply are in the caches already: only the text to append, which closes the
/// reply, adds \p turns and asks for the next reply. Reasoning in the caches stays there; where it has to go, as the
/// template has it, start again from renderPrompt of the whole chat.
std::string renderContinuation(ReplyEnd lastReply, std::span<const Turn> turns, const ChatOptions &options = {});

/// An assistant's reply without its think block: what stands after the last "</think>", without leading line feeds; \p
/// content itself if there is none.
std::string_view withoutReasoning(std::string_view content);

} // namespace qwenrt
