//===- Prompt.cpp - Options to a prompt
//----------------------------------------------------------------------------===//
#include "MediaOptions.h"
#include "TextMode.h"
#include "Tokens.h"

using namespace qwenrt;
using namespace qwenrt::tool;

std::string tool::turnContent(std::span<const Media> parts, const std::string &text) {
  std::vector<ContentPart> content(parts.begin(), parts.end());
  content.push_back(text);
  return renderContent(content);
}

namespace {

/// The ids of the prompt, one placeholder for each medium; \p parts stand before the text of a chat.
Result<std::vector<int32_t>> promptIds(const Options &options, const Plan &plan, std::span<const Media> parts) {
  if (options.inputIds)
    return parseIds(*options.inputIds);
  QWENRT_ASSIGN_OR_RETURN(Tokenizer tokenizer, openTokenizer(plan));
  QWENRT_ASSIGN_OR_RETURN(std::string prompt, textOrFile(*options.prompt));
  if (options.raw)
    return tokenizer.encode(prompt);
  if (!plan.root().chat())
    return Status(StatusCode::Unsupported, "model has no chat template, expected one for --prompt, add --raw");
  std::vector<Turn> turns;
  if (options.hasSystem)
    turns.push_back({"system", options.system});
  turns.push_back({"user", turnContent(parts, prompt)});
  QWENRT_ASSIGN_OR_RETURN(ChatOptions chat, chatOptions(options, plan));
  return tokenizer.encode(renderPrompt(turns, /*addGenerationPrompt=*/true, chat));
}

} // namespace

Result<Prompt> tool::readPrompt(const Options &options, const std::shared_ptr<const Plan> &plan) {
  Prompt prompt;
  QWENRT_RETURN_IF_ERROR(checkMediaUse(options));
  for (const MediaFile &file : options.mediaFiles)
    QWENRT_RETURN_IF_ERROR(checkEncoder(*plan, file.media));
  if (!plan->root().media() || !plan->root().tokenizer()) { // then no file was given
    QWENRT_ASSIGN_OR_RETURN(prompt.ids, promptIds(options, *plan, {}));
    return prompt;
  }
  QWENRT_ASSIGN_OR_RETURN(Tokenizer tokenizer, openTokenizer(*plan));
  Result<MediaTurn> opened = MediaTurn::open(plan, tokenizer, options.mediaSettings);
  if (!opened.isOk() && options.mediaFiles.empty()) { // text needs none of it
    QWENRT_ASSIGN_OR_RETURN(prompt.ids, promptIds(options, *plan, {}));
    return prompt;
  }
  QWENRT_ASSIGN_OR_RETURN(MediaTurn turn, std::move(opened));
  for (const MediaFile &file : options.mediaFiles)
    QWENRT_RETURN_IF_ERROR(turn.add(file.media, file.path));
  QWENRT_ASSIGN_OR_RETURN(prompt.ids, promptIds(options, *plan, turn.parts()));
  if (!turn.empty() || turn.hasPlaceholders(prompt.ids)) {
    QWENRT_ASSIGN_OR_RETURN(prompt.media, turn.prepare(prompt.ids, 0, plan->root().max_context()));
    prompt.times.frontEndNs = turn.frontEndNs();
  }
  return prompt;
}

Status tool::appendTo(Session &session, Prompt &prompt) {
  if (!prompt.media)
    return session.append(prompt.ids);
  const uint64_t uploaded = session.mediaUploadNs();
  QWENRT_ASSIGN_OR_RETURN(prompt.times.encoderNs, appendPrompt(session, *prompt.media));
  prompt.times.uploadNs = session.mediaUploadNs() - uploaded;
  return Status::ok();
}
