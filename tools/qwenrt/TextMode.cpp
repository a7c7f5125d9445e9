//===- TextMode.cpp - One prompt ---------------------------------------------------------------------------------===//
#include "TextMode.h"

#include "Terminal.h"
#include "Tokens.h"
#include "models/Checkpoint/SafetensorsWriter.h"
#include "runtime/lib/Text.h"

using namespace qwenrt;
using namespace qwenrt::tool;

//===----------------------------------------------------------------------===//
// Settings
//===----------------------------------------------------------------------===//

namespace {

Sampling samplingOf(const Options &options, const fb::Generation *checkpoint, bool checkpointByDefault) {
  Sampling sampling;
  bool fromCheckpoint = options.sampling == "checkpoint" || (options.sampling.empty() && checkpointByDefault);
  if (fromCheckpoint && checkpoint) {
    sampling.greedy = !checkpoint->do_sample();
    sampling.temperature = checkpoint->temperature();
    sampling.topK = checkpoint->top_k();
    sampling.topP = checkpoint->top_p();
    sampling.repetitionPenalty = checkpoint->repetition_penalty();
  }
  sampling.temperature = options.temperature.value_or(sampling.temperature);
  sampling.topK = options.topK.value_or(sampling.topK);
  sampling.topP = options.topP.value_or(sampling.topP);
  sampling.repetitionPenalty = options.repetitionPenalty.value_or(sampling.repetitionPenalty);
  sampling.seed = options.seed;
  if (options.temperature || options.topK || options.topP) // asking for any of these asks for sampling
    sampling.greedy = false;
  if (options.sampling == "greedy" || sampling.temperature == 0) {
    sampling.greedy = true;
    sampling.temperature = 1;
  }
  return sampling;
}

} // namespace

Result<GenerateOptions> tool::generateOptions(const Options &options, const Plan &plan, bool checkpointByDefault) {
  GenerateOptions result;
  const fb::Generation *checkpoint = plan.root().generation();
  result.maxNewTokens = options.maxNewTokens.value_or(UINT32_MAX);
  if (options.stopIds) {
    QWENRT_ASSIGN_OR_RETURN(result.stopIds, parseIds(*options.stopIds));
  } else if (checkpoint && !options.ignoreEos) {
    result.stopIds.assign(checkpoint->stop_ids()->begin(), checkpoint->stop_ids()->end());
  }
  result.sampling = samplingOf(options, checkpoint, checkpointByDefault);
  if (options.forceIds) {
    QWENRT_ASSIGN_OR_RETURN(result.forceIds, parseIds(*options.forceIds));
    if (result.forceIds.empty())
      return Status(StatusCode::InvalidUsage, "--force-ids is empty, expected at least one id, leave it out");
  }
  result.cancel = &interrupted();
  return result;
}

Result<ChatOptions> tool::chatOptions(const Options &options, const Plan &plan) {
  ChatOptions result;
  result.thinkingSwitch = plan.root().chat() && plan.root().chat()->thinking_switch();
  result.thinking = options.thinking != "off";
  if (!options.thinking.empty() && !result.thinkingSwitch)
    return Status(StatusCode::Unsupported,
                  "chat template of the model has no thinking switch, expected one for --thinking, leave it out");
  return result;
}

//===----------------------------------------------------------------------===//
// Generate
//===----------------------------------------------------------------------===//

namespace {

/// Rows of logits in memory until their number is known.
struct LogitsRows {
  std::vector<float> prompt, steps;
  size_t width = 0;

  Status add(const LogitsRow &row) {
    width = row.values.size();
    std::vector<float> &target = row.step ? steps : prompt;
    target.insert(target.end(), row.values.begin(), row.values.end());
    return Status::ok();
  }
  Status write(const std::string &path) const {
    std::vector<qwenc::TensorData> tensors;
    auto add = [&](const char *name, const std::vector<float> &rows) {
      if (!rows.empty())
        tensors.push_back(
            {{name, qwenc::StoredDType::F32, {rows.size() / width, width}}, std::as_bytes(std::span(rows))});
    };
    add("logits", prompt);
    add("step_logits", steps);
    return qwenc::writeSafetensors(path, tensors);
  }
};

} // namespace

Result<GenerateResult> tool::generateOnce(Session &session, Prompt &prompt, GenerateOptions options,
                                          const std::string &logitsPath, const TokenCallback &onToken,
                                          SpeechOutput *speech) {
  LogitsRows rows;
  if (!logitsPath.empty())
    options.onLogits = [&rows](const LogitsRow &row) { return rows.add(row); };
  QWENRT_RETURN_IF_ERROR(session.reset());
  if (prompt.tokens() == 0)
    return Status(StatusCode::InvalidInput, "prompt has no tokens, expected at least one, give a longer prompt");
  QWENRT_RETURN_IF_ERROR(appendTo(session, prompt));
  QWENRT_ASSIGN_OR_RETURN(GenerateResult result,
                          speech ? speech->generate(options, onToken) : session.generate(options, onToken));
  if (!logitsPath.empty() && result.finish != Finish::Cancelled)
    QWENRT_RETURN_IF_ERROR(rows.write(logitsPath));
  return result;
}

void tool::reportFinish(const GenerateResult &result, const Plan &plan) {
  if (result.finish == Finish::Context)
    printNote(text("stopped: context of ", plan.root().max_context(), " tokens is full"));
}

namespace {

/// Prints tokens as text while they come; the stop token is not printed.
class TextStream {
public:
  TextStream(const Tokenizer *tokenizer, const GenerateOptions &options) : options_(options) {
    if (tokenizer)
      decoder_.emplace(*tokenizer, /*skipSpecial=*/true);
  }
  bool push(int32_t token) {
    if (!decoder_)
      return !outputBroken();
    bool stop = options_.forceIds.empty() &&
                std::find(options_.stopIds.begin(), options_.stopIds.end(), token) != options_.stopIds.end();
    begun_ = true;
    return stop || writeOutput(decoder_->push(token));
  }
  void finish() {
    if (decoder_)
      writeOutput(decoder_->finish() + "\n");
  }
  /// Instead of finish: the message that follows stands in a line of its own.
  void breakOff() {
    if (begun_)
      finish();
  }

private:
  bool begun_ = false;
  const GenerateOptions &options_;
  std::optional<StreamDecoder> decoder_;
};

/// Generates as often as --repeat says; only the first run prints.
Result<GenerateResult> generateRepeatedly(const Options &options, Session &session, Prompt &prompt,
                                          const GenerateOptions &generate, const Tokenizer *tokenizer,
                                          SpeechOutput *speech) {
  InterruptScope scope;
  TextStream stream(tokenizer, generate);
  Result<GenerateResult> first = generateOnce(
      session, prompt, generate, options.logitsPath, [&](int32_t token) { return stream.push(token); }, speech);
  if (!first.isOk()) {
    stream.breakOff();
    return first;
  }
  stream.finish();
  for (uint32_t run = 1; run < options.repeat && !interrupted() && !outputBroken(); ++run) {
    QWENRT_ASSIGN_OR_RETURN(GenerateResult again, generateOnce(session, prompt, generate, "", {}));
    if (again.tokens != first->tokens && again.finish != Finish::Cancelled)
      return Status(StatusCode::Unsupported,
                    text("run ", run + 1, " gave ", formatIds(again.tokens), ", expected the tokens of the first run, ",
                         "check the device with --validate"));
  }
  return first;
}

/// What one answer needs. All but the runtime comes first: a typing error should not cost the time of loading.
struct TextRun {
  Prompt prompt;
  GenerateOptions generate;
  std::optional<Tokenizer> tokenizer; ///< none where ids are printed
};

Result<TextRun> prepare(const Options &options, const std::shared_ptr<const Plan> &plan) {
  QWENRT_ASSIGN_OR_RETURN(Prompt prompt, readPrompt(options, plan));
  QWENRT_ASSIGN_OR_RETURN(GenerateOptions generate, generateOptions(options, *plan, /*checkpointByDefault=*/false));
  TextRun run{std::move(prompt), std::move(generate), std::nullopt};
  if (!options.printIds) {
    QWENRT_ASSIGN_OR_RETURN(Tokenizer tokenizer, openTokenizer(*plan));
    run.tokenizer.emplace(std::move(tokenizer));
  }
  QWENRT_RETURN_IF_ERROR(speechOptions(options, *plan).status());
  return run;
}

/// The lines behind an answer, and whether it is all of it.
Status printAnswer(const Options &options, const GenerateResult &result, std::optional<SpeechOutput> &speech) {
  if (options.printIds)
    writeOutput(formatIds(result.tokens) + "\n");
  if (options.speech.printCodes)
    writeOutput(speech->codes() + "\n");
  const bool cut = result.finish == Finish::Cancelled || (speech && speech->result().finish == SpeechFinish::Cancelled);
  if (interrupted() && (cut || options.repeat > 1))
    return {StatusCode::InvalidInput,
            text("interrupted after ", result.tokens.size(), " tokens, expected the answer to end, run it again")};
  return Status::ok();
}

Status answer(const Options &options, const std::shared_ptr<const Plan> &plan) {
  QWENRT_ASSIGN_OR_RETURN(TextRun run, prepare(options, plan));
  QWENRT_ASSIGN_OR_RETURN(Runtime runtime, openRuntime(options, plan));
  if (options.speech.path == "-")
    sendTextToStandardError();
  QWENRT_ASSIGN_OR_RETURN(std::optional<SpeechOutput> speech, SpeechOutput::open(options, runtime));
  QWENRT_ASSIGN_OR_RETURN(GenerateResult result,
                          generateRepeatedly(options, *runtime.session, run.prompt, run.generate,
                                             run.tokenizer ? &*run.tokenizer : nullptr, speech ? &*speech : nullptr));
  QWENRT_RETURN_IF_ERROR(printAnswer(options, result, speech));
  if (speech)
    speech->release();
  QWENRT_RETURN_IF_ERROR(closeRuntime(options, runtime, &result, run.prompt.times));
  reportFinish(result, *plan); // a note: errors come first
  if (speech)
    speech->report(options.stats);
  return Status::ok();
}

} // namespace

int tool::runTextMode(const Options &options, std::shared_ptr<const Plan> plan) {
  Status status = answer(options, plan);
  return status.isOk() ? 0 : reportFailure(status);
}

//===----------------------------------------------------------------------===//
// The tokenizer alone
//===----------------------------------------------------------------------===//

int tool::runTokenize(const Options &options, const Plan &plan) {
  Result<Tokenizer> tokenizer = openTokenizer(plan);
  if (!tokenizer.isOk())
    return reportFailure(tokenizer.status());
  Result<std::string> input = textOrFile(options.text);
  if (!input.isOk())
    return reportFailure(input.status());
  Result<std::vector<int32_t>> ids = tokenizer->encode(*input);
  if (!ids.isOk())
    return reportFailure(ids.status());
  writeOutput(formatIds(*ids) + "\n");
  return 0;
}

int tool::runDetokenize(const Options &options, const Plan &plan) {
  Result<Tokenizer> tokenizer = openTokenizer(plan);
  if (!tokenizer.isOk())
    return reportFailure(tokenizer.status());
  Result<std::vector<int32_t>> ids = parseIds(options.ids);
  if (!ids.isOk())
    return reportFailure(ids.status());
  for (int32_t id : *ids)
    if (uint32_t(id) >= std::max(tokenizer->idBound(), plan.root().vocab_size()))
      return reportFailure({StatusCode::InvalidInput,
                            text("token id ", id, " is unknown, expected 0 to ",
                                 std::max(tokenizer->idBound(), plan.root().vocab_size()) - 1, ", check the ids")});
  writeOutput(tokenizer->decode(*ids) + "\n");
  return 0;
}
