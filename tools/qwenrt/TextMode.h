//===- TextMode.h - Prompts to tokens to text --------------------------------------------------------------------===//
#pragma once

#include "Runtime.h"
#include "SpeechOutput.h"
#include "runtime/frontend/Chat.h"

namespace qwenrt::tool {

/// Where prompts come from and how tokens are drawn; the options' defaults filled in from the plan.
Result<GenerateOptions> generateOptions(const Options &options, const Plan &plan, bool checkpointByDefault);

/// How the plan's chat template is to be filled. Unsupported if --thinking is given for a template without it.
Result<ChatOptions> chatOptions(const Options &options, const Plan &plan);

/// A prompt, read and checked.
struct Prompt {
  std::vector<int32_t> ids;           ///< of text alone
  std::optional<EncoderPrompt> media; ///< else
  MediaTimes times;                   ///< encoderNs once it was appended

  size_t tokens() const { return media ? media->prompt.ids.size() : ids.size(); }
};

/// The prompt that \p options give, with its media.
Result<Prompt> readPrompt(const Options &options, const std::shared_ptr<const Plan> &plan);

/// Encodes the media of \p prompt and adds it to the history.
Status appendTo(Session &session, Prompt &prompt);

/// The content of a turn: media in the order of \p parts, then \p text.
std::string turnContent(std::span<const Media> parts, const std::string &text);

/// Forgets the history, generates once and writes \p logitsPath, unless it is empty or generation was cancelled. \p
/// onToken may be empty. With \p speech the answer is spoken too.
Result<GenerateResult> generateOnce(Session &session, Prompt &prompt, GenerateOptions options,
                                    const std::string &logitsPath, const TokenCallback &onToken,
                                    SpeechOutput *speech = nullptr);

/// Says on standard error why generation ended, if that is worth a line.
void reportFinish(const GenerateResult &result, const Plan &plan);

int runTextMode(const Options &options, std::shared_ptr<const Plan> plan);
int runInteractive(const Options &options, std::shared_ptr<const Plan> plan);
int runCases(const Options &options, std::shared_ptr<const Plan> plan);
int runTokenize(const Options &options, const Plan &plan);
int runDetokenize(const Options &options, const Plan &plan);
int runEntryMode(const Options &options, std::shared_ptr<const Plan> plan);
int runBench(const Options &options, std::shared_ptr<const Plan> plan);
int listDevicesFor(const Options &options, const Plan *plan);

} // namespace qwenrt::tool
