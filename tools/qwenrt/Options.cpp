//===- Options.cpp -----------------------------------------------------------------------------------------------===//
#include "Options.h"

#include "MediaOptions.h"
#include "Terminal.h"
#include "runtime/lib/Text.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>

using namespace qwenrt;
using namespace qwenrt::tool;

namespace {

/// Values from \p least to \p most; --help says so in words. Without a check an empty text would count as a number that
/// was not given.
template <typename T> CLI::Validator range(T least, T most) { return CLI::Range(least, most).description(""); }
CLI::Validator anyCount() { return range(0u, UINT32_MAX); }

void addDeviceOptions(CLI::App &app, Options &options, std::string &upload, std::vector<std::string> &weights) {
  auto *group = app.add_option_group("Device and weights");
  group
      ->add_option(
          "--weights", weights,
          "Folder of the checkpoint; for quantised plans also the file that qwen-pack wrote, once each (default: "
          "where the plan says, and the file beside the plan or the checkpoint)")
      ->type_name("DIR|FILE")
      ->allow_extra_args(false);
  group->add_option("--device", options.device.selector, "Device by index or part of its name (default: the best GPU)")
      ->type_name("INDEX|NAME");
  group->add_flag("--allow-cpu", options.device.allowCpu, "Accept a Vulkan device of type CPU (default: off)");
  group
      ->add_option(
          "--upload", upload,
          "Fill device memory by reading files into its mapping, by streaming through the processor's cache, or "
          "by staging copies (default: auto)")
      ->type_name("auto|direct|streamed|staging")
      ->check(CLI::IsMember({"auto", "direct", "streamed", "staging"}).description(""));
  group
      ->add_option("--load-threads", options.session.loaderThreads,
                   "Threads that read weights, 1 to 16 (default: half the processors, 4 to 8)")
      ->type_name("N")
      ->check(range(1u, 16u));
  group->add_flag_callback(
      "--no-pipeline-cache", [&options] { options.session.pipelineCache = false; },
      "Do not keep compiled kernels on disk (default: off)");
  group->add_flag("--validate", options.device.validate,
                  "Switch the Vulkan validation layer on; any message ends in exit status 1 (default: off)");
  group->add_flag("--stats", options.stats, "Print times, memory and rates to standard error (default: off)");
  group
      ->add_option("--profile", options.profilePath,
                   "Write a trace of every dispatch, in microseconds, and print the top kernels to standard error "
                   "(default: none)")
      ->type_name("TRACE.json");
  group->add_flag("--profile-runs", options.profileRuns,
                  "The trace has one event for each run of an entry, and the runs keep their schedule (default: off)");
  group->add_flag("--quiet", options.quiet, "No progress bars (default: off)");
}

void addTextOptions(CLI::App &app, Options &options) {
  auto *group = app.add_option_group("Text generation");
  group->add_option("--prompt", options.prompt, "Text of the user's turn, or @FILE (default: none)")
      ->type_name("TEXT|@FILE");
  group->add_option("--system", options.system, "Text of a system turn before it (default: no such turn)")
      ->type_name("TEXT");
  group->add_flag("--raw", options.raw,
                  "The prompt is the whole text, without chat template; special tokens in it are recognised, and each "
                  "medium fills the placeholder that stands for it (default: off)");
  group
      ->add_option("--input-ids", options.inputIds,
                   "Token ids of the prompt: 1,2,3 or @FILE.json, one placeholder for each medium (default: none)")
      ->type_name("IDS|@FILE");
  group->add_flag("--interactive", options.interactive,
                  "Hold a chat: a line per turn; /reset, /quit; /audio F, /image F, /video F attach (default: off)");
  group
      ->add_option(
          "--cases", options.casesPath,
          "Run the prompts of a JSON file one after another; a case has the names of these options as keys (input_ids, "
          "max_new_tokens, media, speech); one JSON line per case (default: none)")
      ->type_name("FILE.json");
  group
      ->add_option("--max-new-tokens", options.maxNewTokens,
                   "Tokens to generate at most (default: until a stop token or a full context)")
      ->type_name("N")
      ->check(anyCount());
  group->add_flag("--ignore-eos", options.ignoreEos, "Do not stop at the checkpoint's stop tokens (default: off)");
  group->add_option("--stop-ids", options.stopIds, "Token ids that end the answer (default: the checkpoint's)")
      ->type_name("IDS|@FILE");
  group->add_flag("--print-ids", options.printIds,
                  "Print the new token ids as a JSON array instead of text (default: off)");
  group
      ->add_option("--thinking", options.thinking,
                   "The model's reasoning, where its template has the switch (default: on)")
      ->type_name("on|off")
      ->check(CLI::IsMember({"on", "off"}).description(""));
  group
      ->add_option("--logits", options.logitsPath,
                   "Write f32 logits: 'logits' of the prompt's positions, 'step_logits' of the steps (default: none)")
      ->type_name("FILE.safetensors");
  group->add_option("--force-ids", options.forceIds, "Feed these tokens in place of the sampled ones (default: none)")
      ->type_name("IDS|@FILE");
  group
      ->add_option("--repeat", options.repeat,
                   "Generate N times and fail unless all runs agree (default: 1); with --bench: measured runs per item "
                   "(default: 5, fewer of long ones)")
      ->type_name("N")
      ->check(range(1u, 1000000u));
}

void addSamplingOptions(CLI::App &app, Options &options) {
  auto *group = app.add_option_group("Sampling");
  group
      ->add_option("--sampling", options.sampling,
                   "Settings to start from (default: greedy; with --interactive: checkpoint)")
      ->type_name("checkpoint|greedy")
      ->check(CLI::IsMember({"checkpoint", "greedy"}).description(""));
  group->add_option("--temperature", options.temperature, "Divides the logits, 0 to 1e6; 0 is greedy (default: 1)")
      ->type_name("T")
      ->check(range(0.0f, 1e6f));
  group->add_option("--top-k", options.topK, "Keep the k best tokens, 0 is off (default: 0)")
      ->type_name("K")
      ->check(anyCount());
  group
      ->add_option("--top-p", options.topP,
                   "Keep the best tokens that make up this probability, 0 to 1; 1 is off (default: 1)")
      ->type_name("P")
      ->check(range(0.0f, 1.0f));
  group
      ->add_option("--repetition-penalty", options.repetitionPenalty,
                   "Divide the positive logits of tokens already seen, multiply the negative; 0.001 to 1e6, 1 is off "
                   "(default: 1)")
      ->type_name("X")
      ->check(range(1e-3f, 1e6f));
  group->add_option("--seed", options.seed, "Seed of the random draws, 0 to 4294967295 (default: 0)")
      ->type_name("N")
      ->check(anyCount());
}

void addOtherModes(CLI::App &app, Options &options) {
  auto *group = app.add_option_group("Other modes");
  group
      ->add_option("--tokenize", options.text,
                   "Print the token ids of a text as a JSON array; needs no device (default: none)")
      ->type_name("TEXT|@FILE");
  group->add_option("--detokenize", options.ids, "Print the text of token ids; needs no device (default: none)")
      ->type_name("IDS|@FILE");
  group
      ->add_option(
          "--entry", options.entry,
          "Run one entry of the plan on given tensors, or several one after another: the tensors of the first are "
          "then called 0/NAME; 'list' prints the entries (default: none)")
      ->type_name("NAME,..|list");
  group->add_option("--inputs", options.inputsPath, "Input tensors of --entry (required with it)")
      ->type_name("IN.safetensors");
  group->add_option("--outputs", options.outputsPath, "Where --entry writes its outputs (required with it)")
      ->type_name("OUT.safetensors");
  group
      ->add_option("--bench", options.bench,
                   "Measure, numbers in tokens: prompt processing (pp512), generation (tg128), both behind a history "
                   "(tg128@1024), joined by commas; greedy unless sampling is asked for (default: none)")
      ->type_name("ITEMS");
  group->add_flag("--list-devices", options.listDevices,
                  "Print the devices and whether they can run the plan (default: off)");
}

int usageError(const std::string &message) {
  printError(message);
  return 2;
}

constexpr struct {
  const char *option;
  Mode mode;
} kModes[] = {{"--prompt", Mode::Generate}, {"--input-ids", Mode::Generate}, {"--interactive", Mode::Interactive},
              {"--cases", Mode::Cases},     {"--tokenize", Mode::Tokenize},  {"--detokenize", Mode::Detokenize},
              {"--entry", Mode::Entry},     {"--bench", Mode::Bench},        {"--list-devices", Mode::ListDevices}};

/// Which of the modes was asked for; exactly one must be.
int chooseMode(const CLI::App &app, Options &options) {
  const char *first = nullptr;
  for (const auto &candidate : kModes) {
    if (app.get_option(candidate.option)->count() == 0)
      continue;
    if (first)
      return usageError(text(candidate.option, " given beside ", first, ", expected one mode, leave one out"));
    first = candidate.option;
    options.mode = candidate.mode;
  }
  if (!first)
    return usageError(
        "no mode given, expected --prompt, --input-ids, --interactive, --bench, --entry or another, see --help");
  if (options.planPath.empty() && options.mode != Mode::ListDevices)
    return usageError("no plan given, expected the path of a plan.fb, give it first");
  return -1;
}

/// "--prompt, --input-ids or --cases"
std::string optionsOf(const std::vector<Mode> &modes) {
  std::vector<const char *> names;
  for (const auto &candidate : kModes)
    if (std::find(modes.begin(), modes.end(), candidate.mode) != modes.end())
      names.push_back(candidate.option);
  std::string result;
  for (size_t i = 0; i < names.size(); ++i)
    result += text(i == 0 ? "" : i + 1 == names.size() ? " or " : ", ", names[i]);
  return result;
}

/// Options that do nothing in the chosen mode are refused: whoever gave one expected something of it.
int checkModes(const CLI::App &app, const Options &options) {
  const struct {
    std::vector<Mode> modes;
    std::vector<std::string> options;
  } rules[] = {
      {{Mode::Generate}, {"--logits", "--force-ids", "--print-ids", "--print-codes", "--speech-logits"}},
      {{Mode::Generate, Mode::Bench}, {"--repeat"}},
      {{Mode::Generate, Mode::Cases}, {"--raw"}},
      {{Mode::Generate, Mode::Interactive}, options.media},
      {{Mode::Generate, Mode::Interactive, Mode::Cases},
       {"--system", "--thinking", "--max-new-tokens", "--ignore-eos", "--stop-ids"}},
      {{Mode::Generate, Mode::Interactive, Mode::Cases, Mode::Bench},
       {"--sampling", "--temperature", "--top-k", "--top-p", "--repetition-penalty", "--seed"}},
      {{Mode::Generate, Mode::Interactive, Mode::Cases, Mode::Entry, Mode::Bench},
       {"--profile", "--profile-runs", "--stats"}},
  };
  for (const auto &rule : rules)
    for (const std::string &option : rule.options)
      if (app.get_option(option)->count() > 0 &&
          std::find(rule.modes.begin(), rule.modes.end(), options.mode) == rule.modes.end())
        return usageError(
            text(option, " given without ", optionsOf(rule.modes), ", expected one of them, add it or leave it out"));
  return -1;
}

/// Options that contradict each other or need each other.
int checkCombinations(const CLI::App &app, const Options &options) {
  auto given = [&app](const char *option) { return app.get_option(option)->count() > 0; };
  bool runsEntry = options.mode == Mode::Entry && options.entry != "list";
  if (runsEntry && (!given("--inputs") || !given("--outputs")))
    return usageError("--entry given without --inputs and --outputs, expected both, add them");
  for (const char *option : {"--inputs", "--outputs"})
    if (given(option) && !runsEntry)
      return usageError(text(option, " given without --entry NAME, expected both, add it"));
  if (options.profileRuns && !given("--profile"))
    return usageError("--profile-runs given without --profile, expected both, add it");
  for (const char *option : {"--system", "--thinking"})
    for (const char *without : {"--raw", "--input-ids"})
      if (given(option) && given(without))
        return usageError(text(option, " given beside ", without, ", expected a chat, leave one out"));
  if (given("--sampling") && options.sampling == "greedy")
    for (const char *option : {"--temperature", "--top-k", "--top-p"})
      if (given(option))
        return usageError(text(option, " given beside --sampling greedy, expected one of them, leave one out"));
  return -1;
}

/// One folder and one file at most. Returns the exit status of wrong usage, or -1.
int placeWeights(const std::vector<std::string> &weights, Options &options) {
  std::error_code error;
  for (const std::string &path : weights) {
    // A single file goes the way of a folder: the library knows whether the plan has packed weights.
    bool isFile = weights.size() > 1 && std::filesystem::is_regular_file(path, error);
    std::string &place = isFile ? options.session.packedWeights : options.weightsFolder;
    if (!place.empty())
      return usageError(text("--weights given for two ", isFile ? "files" : "folders",
                             ", expected one folder and one file at most, leave one out"));
    place = path;
  }
  return -1;
}

/// What CLI11 says, as the other messages: lower case, one line.
std::string messageOf(const CLI::Error &error) {
  std::string message = printable(error.what());
  if (message.size() > 1 && std::islower(static_cast<unsigned char>(message[1])))
    message[0] = char(std::tolower(static_cast<unsigned char>(message[0])));
  return message;
}

} // namespace

Options tool::parseOptions(int argc, char **argv, int &exitCode) {
  Options options;
  std::string upload = "auto";
  std::vector<std::string> weights;
  exitCode = -1;
  CLI::App app("Runs a plan made by qwenc on a Vulkan device.", "qwenrt");
  app.set_version_flag("--version", "qwenrt " QWENRT_VERSION);
  app.get_formatter()->column_width(44);
  app.add_option("plan", options.planPath, "The plan, as qwenc writes it")->type_name("plan.fb");
  addTextOptions(app, options);
  addSamplingOptions(app, options);
  addMediaOptions(app);
  addOtherModes(app, options);
  addDeviceOptions(app, options, upload, weights);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success &help) { // --help, --version
    exitCode = app.exit(help);
    return options;
  } catch (const CLI::Error &error) {
    exitCode = usageError(text(messageOf(error), ", expected a command line as --help shows it, correct it"));
    return options;
  }
  for (UploadPath path : {UploadPath::Direct, UploadPath::Streamed, UploadPath::Staging})
    if (upload == uploadPathName(path))
      options.session.upload = path;
  if (exitCode = placeWeights(weights, options); exitCode >= 0)
    return options;
  options.hasSystem = app.get_option("--system")->count() > 0;
  options.media = givenMediaOptions(app);
  takeMediaOptions(app, options);
  exitCode = chooseMode(app, options);
  if (exitCode < 0)
    if (Status speech = takeSpeechOptions(app, options); !speech.isOk())
      exitCode = usageError(speech.message());
  if (exitCode < 0)
    exitCode = checkModes(app, options);
  if (exitCode < 0)
    exitCode = checkCombinations(app, options);
  return options;
}
