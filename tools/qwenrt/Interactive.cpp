//===- Interactive.cpp - A chat, turn by turn --------------------------------------------------------------------===//
//
// The caches keep the conversation, media included: each turn appends only its own tokens. Replies of models with a
// thinking switch lose their reasoning in later turns, as the template has it: the caches then go back to the end of
// the user's turn, and the reply without its reasoning is processed again.
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
               ChatOptions chat, Result<MediaTurn> media, SpeechOutput *speech)
      : runtime_(runtime), speech_(speech), tokenizer_(std::move(tokenizer)), generate_(std::move(generate)),
        chat_(chat), media_(std::move(media)), stats_(options.stats) {
    if (options.hasSystem)
      system_ = options.system;
  }

  Status reset() {
    reply_.clear();
    lastReply_.reset();
    return runtime_.session->reset();
  }

  /// Reads a file for the next turn.
  Status attach(Media media, const std::string &path) {
    QWENRT_RETURN_IF_ERROR(media_.status());
    return media_->add(media, path);
  }

  /// Answers \p line. A line that is no text and a context that is too full cost the turn, not the chat.
  Status answer(const std::string &line) {
    Result<Prompt> prompt = turnPrompt(line);
    if (!prompt.isOk() && prompt.status().code() == StatusCode::InvalidInput) {
      printError(prompt.status().message());
      return Status::ok();
    }
    QWENRT_RETURN_IF_ERROR(prompt.status());
    if (Status status = appendTo(*runtime_.session, *prompt); !status.isOk()) {
      if (status.code() != StatusCode::InvalidInput)
        return status;
      printNote(text("note: ", status.message(), "; /reset starts a new chat"));
      return Status::ok();
    }
    QWENRT_ASSIGN_OR_RETURN(std::vector<int32_t> opening, tokenizer_.encode(renderGenerationPrompt(chat_)));
    userEnd_ = runtime_.session->length() - uint32_t(opening.size());
    return reply(*prompt);
  }

private:
  Status reply(const Prompt &prompt) {
    InterruptScope scope;
    StreamDecoder decoder(tokenizer_, /*skipSpecial=*/true);
    reply_.clear();
    auto onToken = [&](int32_t token) {
      if (isStop(token))
        return true;
      std::string piece = decoder.push(token);
      reply_ += piece;
      return writeOutput(piece);
    };
    Result<GenerateResult> generated =
        speech_ ? speech_->generate(generate_, onToken) : runtime_.session->generate(generate_, onToken);
    if (!generated.isOk() && !reply_.empty())
      writeOutput("\n"); // the message that follows stands in a line of its own
    QWENRT_ASSIGN_OR_RETURN(GenerateResult result, std::move(generated));
    const std::string rest = decoder.finish(); // a character that was cut off
    reply_ += rest;
    writeOutput(rest + "\n");
    reportFinish(result, *runtime_.plan);
    if (stats_)
      printGenerationStats(result, prompt.times);
    if (speech_)
      speech_->report(stats_);
    bool closed = !result.tokens.empty() && tokenizer_.addedTokenId("<|im_end|>") == result.tokens.back();
    lastReply_ = closed ? ReplyEnd::EndOfTurn : ReplyEnd::Cut;
    return Status::ok();
  }

  bool isStop(int32_t token) const {
    return std::find(generate_.stopIds.begin(), generate_.stopIds.end(), token) != generate_.stopIds.end();
  }

  /// What to append to the history for this turn. Its media are spent, unless \p line is no text.
  Result<Prompt> turnPrompt(const std::string &line) {
    Prompt prompt;
    QWENRT_ASSIGN_OR_RETURN(prompt.ids, turnIds(media_.isOk() ? turnContent(media_->parts(), line) : line));
    if (!media_.isOk() || (media_->empty() && !media_->hasPlaceholders(prompt.ids)))
      return prompt;
    const Session &session = *runtime_.session;
    uint32_t room = session.maxContext() - std::min(session.maxContext(), session.length());
    QWENRT_ASSIGN_OR_RETURN(prompt.media, media_->prepare(prompt.ids, session.nextPosition(), room));
    prompt.times.frontEndNs = media_->frontEndNs();
    return prompt;
  }

  Result<std::vector<int32_t>> turnIds(const std::string &content) {
    Turn turn = {"user", content};
    std::vector<Turn> turns;
    if (lastReply_ && !chat_.thinkingSwitch)
      return tokenizer_.encode(renderContinuation(*lastReply_, {&turn, 1}, chat_));
    if (lastReply_)
      turns.push_back({"assistant", reply_});
    else if (system_)
      turns.push_back({"system", *system_});
    turns.push_back(turn);
    QWENRT_ASSIGN_OR_RETURN(std::vector<int32_t> ids,
                            tokenizer_.encode(renderPrompt(turns, /*addGenerationPrompt=*/true, chat_)));
    if (lastReply_)
      QWENRT_RETURN_IF_ERROR(runtime_.session->rewind(userEnd_));
    return ids;
  }

  Runtime &runtime_;
  SpeechOutput *speech_; ///< null: none
  Tokenizer tokenizer_;
  GenerateOptions generate_;
  ChatOptions chat_;
  Result<MediaTurn> media_; ///< or why there are no media
  bool stats_;
  std::optional<std::string> system_;
  std::string reply_;                 ///< the last one
  std::optional<ReplyEnd> lastReply_; ///< none before the first reply
  uint32_t userEnd_ = 0;              ///< length of the history up to the turn that the last reply answers
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

/// "/image F": reads the file for the next turn. What is wrong with it costs the file, not the chat.
void attach(Conversation &conversation, const std::string &command, const std::string &line, const Plan &plan) {
  Status status = checkComponent(command, plan);
  size_t first = line.find_first_not_of(" \t", command.size());
  if (status.isOk() && first == std::string::npos)
    status = {StatusCode::InvalidUsage, text(command, " names no file, expected its path behind it, add it")};
  if (status.isOk())
    status = conversation.attach(command == "/audio"   ? Media::Audio
                                 : command == "/image" ? Media::Image
                                                       : Media::Video,
                                 line.substr(first, line.find_last_not_of(" \t") + 1 - first));
  if (!status.isOk())
    printError(status.message());
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
      attach(conversation, command, line, plan);
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
  Result<MediaTurn> media = MediaTurn::open(plan, tokenizer, options.mediaSettings);
  for (const MediaFile &file : options.mediaFiles) {
    QWENRT_RETURN_IF_ERROR(media.status());
    QWENRT_RETURN_IF_ERROR(media->add(file.media, file.path));
  }
  QWENRT_RETURN_IF_ERROR(speechOptions(options, *plan).status());
  QWENRT_ASSIGN_OR_RETURN(Runtime runtime, openRuntime(options, plan));
  if (options.speech.path == "-")
    sendTextToStandardError();
  QWENRT_ASSIGN_OR_RETURN(std::optional<SpeechOutput> speech, SpeechOutput::open(options, runtime));
  Conversation conversation(options, runtime, std::move(tokenizer), std::move(generate), chat, std::move(media),
                            speech ? &*speech : nullptr);
  QWENRT_RETURN_IF_ERROR(converse(conversation, *plan));
  speech.reset(); // before its session
  return closeRuntime(options, runtime);
}

} // namespace

int tool::runInteractive(const Options &options, std::shared_ptr<const Plan> plan) {
  Status status = hold(options, std::move(plan));
  return status.isOk() ? 0 : reportFailure(status);
}
