//===- TextMode.h - Prompts to tokens to text --------------------------------------------------------------------===//
#pragma once

#include "Runtime.h"
#include "runtime/frontend/Chat.h"

namespace qwenrt::tool {

/// Where prompts come from and how tokens are drawn; the options' defaults filled in from the plan.
Result<GenerateOptions> generateOptions(const Options &options, const Plan &plan, bool checkpointByDefault);

/// How the plan's chat template is to be filled. Unsupported if --thinking is given for a template without it.
Result<ChatOptions> chatOptions(const Options &options, const Plan &plan);

/// The ids of the prompt that \p options give.
Result<std::vector<int32_t>> promptIds(const Options &options, const Plan &plan);

/// Generates once and writes \p logitsPath, unless it is empty or generation was cancelled. \p onToken may be empty.
Result<GenerateResult> generateOnce(Session &session, std::span<const int32_t> prompt, GenerateOptions options,
                                    const std::string &logitsPath, const TokenCallback &onToken);

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
