#include "runtime/frontend/Chat.h"

#include <algorithm>

namespace qwenrt {
namespace {

constexpr std::string_view kThinkBegin = "<think>";
constexpr std::string_view kThinkEnd = "</think>";

std::string_view trimLineFeeds(std::string_view text) {
  size_t begin = text.find_first_not_of('\n');
  if (begin == std::string_view::npos)
    return {};
  return text.substr(begin, text.find_last_not_of('\n') + 1 - begin);
}

/// The reasoning of an assistant's turn: between the think tags, without surrounding line feeds.
std::string_view reasoningOf(std::string_view content) {
  size_t end = content.find(kThinkEnd);
  if (end == std::string_view::npos)
    return {};
  content = content.substr(0, end);
  if (size_t begin = content.rfind(kThinkBegin); begin != std::string_view::npos)
    content.remove_prefix(begin + kThinkBegin.size());
  return trimLineFeeds(content);
}

/// An assistant turn as Qwen3's template writes it. After the last user turn reasoning is kept, and the last turn of
/// the chat has a think block even if it is empty.
std::string renderAssistantTurn(const Turn &turn, bool afterLastUser, bool last) {
  std::string content(withoutReasoning(turn.content));
  std::string_view reasoning = reasoningOf(turn.content);
  if (afterLastUser && (last || !reasoning.empty()))
    content = "<think>\n" + std::string(reasoning) + "\n</think>\n\n" +
              content.substr(std::min(content.find_first_not_of('\n'), content.size()));
  return renderTurn({turn.role, std::move(content)});
}

/// A user turn that only carries tool results asks nothing new.
bool isQuery(const Turn &turn) {
  return turn.role == "user" &&
         !(turn.content.starts_with("<tool_response>") && turn.content.ends_with("</tool_response>"));
}

} // namespace

std::string_view mediaPart(Media media) {
  switch (media) {
  case Media::Image:
    return "<|vision_start|><|image_pad|><|vision_end|>";
  case Media::Audio:
    return "<|audio_start|><|audio_pad|><|audio_end|>";
  case Media::Video:
    return "<|vision_start|><|video_pad|><|vision_end|>";
  }
  return {};
}

std::string_view withoutReasoning(std::string_view content) {
  size_t end = content.rfind(kThinkEnd);
  if (end == std::string_view::npos)
    return content;
  content.remove_prefix(end + kThinkEnd.size());
  return content.substr(std::min(content.find_first_not_of('\n'), content.size()));
}

std::string renderTurn(const Turn &turn) { return "<|im_start|>" + turn.role + "\n" + turn.content + "<|im_end|>\n"; }

std::string renderGenerationPrompt(const ChatOptions &options) {
  std::string text = "<|im_start|>assistant\n";
  if (options.thinkingSwitch && !options.thinking)
    text += "<think>\n\n</think>\n\n";
  return text;
}

std::string renderPrompt(std::span<const Turn> turns, bool addGenerationPrompt, const ChatOptions &options) {
  // Without any user turn the template counts the last turn as one.
  size_t lastUser = turns.empty() ? 0 : turns.size() - 1;
  for (size_t i = turns.size(); i-- > 0;)
    if (isQuery(turns[i])) {
      lastUser = i;
      break;
    }
  std::string text;
  for (size_t i = 0; i < turns.size(); ++i) {
    if (options.thinkingSwitch && turns[i].role == "assistant")
      text += renderAssistantTurn(turns[i], i > lastUser, i + 1 == turns.size());
    else
      text += renderTurn(turns[i]);
  }
  if (addGenerationPrompt)
    text += renderGenerationPrompt(options);
  return text;
}

std::string renderContinuation(ReplyEnd lastReply, std::span<const Turn> turns, const ChatOptions &options) {
  std::string text = lastReply == ReplyEnd::EndOfTurn ? "\n" : "<|im_end|>\n";
  for (const Turn &turn : turns)
    text += renderTurn(turn);
  return text + renderGenerationPrompt(options);
}

} // namespace qwenrt
