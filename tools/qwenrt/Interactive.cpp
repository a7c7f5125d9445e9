//===- Interactive.cpp - A chat, turn by turn --------------------------------------------------------------------===//
//
// The caches keep the conversation: each turn appends only its own tokens. Replies of models with a thinking switch
// lose their reasoning in later turns, as the template has it; their history is then rendered and processed again.
//
//===------------------------------------------------------------------------------------------------------------===//
#include "MediaOptions.h"
#include "Terminal.h"
#include "TextMode.h"
#include "runtime/lib/Text.h"

#include <cstdio>
#include <iostream>
#include <unistd.h>

using namespace qwenrt;
using namespace qwenrt::tool;

namespace {

class Conversation {
public:
  Conversation(const Options &options, Runtime &runtime, Tokenizer tokenizer, GenerateOptions generate,
               ChatOptions chat)
      : runtime_(runtime), tokenizer_(std::move(tokenizer)), generate_(std::move(generate)), chat_(chat),
        stats_(options.stats) {
    if (options.hasSystem)
      system_ = options.system;
  }

  Status reset() {
    turns_.clear();
    lastReply_.reset();
    return runtime_.session->reset();
  }

  /// Answers \p line. A line that is no text and a context that is too full cost the turn, not the chat.
  Status answer(const std::string &line) {
    Result<std::vector<int32_t>> ids = turnIds(line);
    if (!ids.isOk() && ids.status().code() == StatusCode::InvalidInput) {
      printError(ids.status().message());
      return Status::ok();
    }
    QWENRT_RETURN_IF_ERROR(ids.status());
    if (Status status = runtime_.session->append(*ids); !status.isOk()) {
      printNote(text("note: ", status.message(), "; /reset starts a new chat"));
      return Status::ok();
    }
    turns_.push_back({"user", line});
    InterruptScope scope;
    StreamDecoder decoder(tokenizer_, /*skipSpecial=*/true);
    std::string reply;
    auto onToken = [&](int32_t token) {
      if (isStop(token))
        return true;
      std::string piece = decoder.push(token);
      reply += piece;
      return writeOutput(piece);
    };
    QWENRT_ASSIGN_OR_RETURN(GenerateResult result, runtime_.session->generate(generate_, onToken));
    reply += decoder.finish();
    writeOutput("\n");
    reportFinish(result, *runtime_.plan);
    if (stats_)
      printGenerationStats(result);
    turns_.push_back({"assistant", reply});
    bool closed = !result.tokens.empty() && tokenizer_.addedTokenId("<|im_end|>") == result.tokens.back();
    lastReply_ = closed ? ReplyEnd::EndOfTurn : ReplyEnd::Cut;
    return Status::ok();
  }

private:
  bool isStop(int32_t token) const {
    return std::find(generate_.stopIds.begin(), generate_.stopIds.end(), token) != generate_.stopIds.end();
  }

  /// What to append to the history for this turn.
  Result<std::vector<int32_t>> turnIds(const std::string &line) {
    Turn turn = {"user", line};
    if (lastReply_ && !chat_.thinkingSwitch)
      return tokenizer_.encode(renderContinuation(*lastReply_, {&turn, 1}, chat_));
    std::vector<Turn> whole;
    if (system_)
      whole.push_back({"system", *system_});
    whole.insert(whole.end(), turns_.begin(), turns_.end());
    whole.push_back(turn);
    if (lastReply_)
      QWENRT_RETURN_IF_ERROR(runtime_.session->rewind(0));
    return tokenizer_.encode(renderPrompt(whole, /*addGenerationPrompt=*/true, chat_));
  }

  Runtime &runtime_;
  Tokenizer tokenizer_;
  GenerateOptions generate_;
  ChatOptions chat_;
  bool stats_;
  std::optional<std::string> system_;
  std::vector<Turn> turns_;
  std::optional<ReplyEnd> lastReply_; ///< none before the first reply
};

/// The next line of standard input; false at its end or after Ctrl-C.
bool readLine(std::string &line, bool showPrompt) {
  if (showPrompt)
    std::fprintf(stderr, "> ");
  return bool(std::getline(std::cin, line));
}

/// The command that \p line is: its first word, if that is one of them.
std::string commandOf(const std::string &line) {
  std::string word = line.substr(0, line.find_first_of(" \t"));
  bool alone = line.find_first_not_of(" \t", word.size()) == std::string::npos;
  bool known =
      word == "/audio" || word == "/image" || word == "/video" || (alone && (word == "/quit" || word == "/reset"));
  return known ? word : "";
}

Status converse(Conversation &conversation, const Plan &plan) {
  bool showPrompt = isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
  for (std::string line; !outputBroken() && readLine(line, showPrompt);) {
    if (line.ends_with('\r'))
      line.pop_back();
    std::string command = commandOf(line);
    if (command == "/quit")
      break;
    if (command == "/reset")
      QWENRT_RETURN_IF_ERROR(conversation.reset());
    else if (!command.empty())
      printError(checkComponent(command, plan).message());
    else if (!line.empty())
      QWENRT_RETURN_IF_ERROR(conversation.answer(line));
  }
  return Status::ok();
}

Status hold(const Options &options, std::shared_ptr<const Plan> plan) {
  QWENRT_ASSIGN_OR_RETURN(Tokenizer tokenizer, openTokenizer(*plan));
  if (!plan->root().chat())
    return {StatusCode::Unsupported,
            "model has no chat template, expected one for --interactive, use --prompt with --raw"};
  QWENRT_ASSIGN_OR_RETURN(ChatOptions chat, chatOptions(options, *plan));
  QWENRT_ASSIGN_OR_RETURN(GenerateOptions generate, generateOptions(options, *plan, /*checkpointByDefault=*/true));
  QWENRT_ASSIGN_OR_RETURN(Runtime runtime, openRuntime(options, plan));
  Conversation conversation(options, runtime, std::move(tokenizer), std::move(generate), chat);
  QWENRT_RETURN_IF_ERROR(converse(conversation, *plan));
  return closeRuntime(options, runtime);
}

} // namespace

int tool::runInteractive(const Options &options, std::shared_ptr<const Plan> plan) {
  Status status = hold(options, std::move(plan));
  return status.isOk() ? 0 : reportFailure(status);
}
