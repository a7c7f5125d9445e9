//===- Options.cpp -----------------------------------------------------------------------------------------------===//
#include "Options.h"

#include "Terminal.h"
#include "runtime/lib/Text.h"

#include <CLI/CLI.hpp>

#include <cstdio>

using namespace qwenrt;
using namespace qwenrt::tool;

namespace {

void addDeviceOptions(CLI::App &app, Options &options, std::string &upload) {
  auto *group = app.add_option_group("Device and weights");
  group->add_option("--weights", options.weightsFolder, "Folder of the checkpoint (default: where the plan says)")
      ->type_name("DIR");
  group->add_option("--device", options.device.selector, "Device by index or part of its name (default: the best GPU)")
      ->type_name("INDEX|NAME");
  group->add_flag("--allow-cpu", options.device.allowCpu, "Accept a Vulkan device of type CPU");
  group->add_option("--upload", upload, "Write device memory through a mapping or by staging copies (default: auto)")
      ->check(CLI::IsMember({"auto", "direct", "staging"}));
  group->add_option("--load-threads", options.session.loaderThreads, "Threads that read weights (default: 4)")
      ->check(CLI::Range(1u, 16u));
  group->add_flag("!--no-pipeline-cache", options.session.pipelineCache, "Do not keep compiled kernels on disk");
  group->add_flag("--validate", options.device.validate,
                  "Switch the Vulkan validation layer on; any message ends in exit status 1");
  group->add_flag("--stats", options.stats, "Print times, memory and rates to standard error");
  group
      ->add_option("--profile", options.profilePath,
                   "Write a trace of every dispatch and print the top kernels to standard error")
      ->type_name("TRACE.json");
  group->add_flag("--quiet", options.quiet, "No progress bars");
}

void addTextOptions(CLI::App &app, Options &options) {
  auto *group = app.add_option_group("Text generation");
  group->add_option("--prompt", options.prompt, "Text of the user's turn, or @FILE")->type_name("TEXT|@FILE");
  group->add_option("--system", options.system, "Text of a system turn before it")->type_name("TEXT");
  group->add_flag("--raw", options.raw,
                  "The prompt is the whole text, without chat template; special tokens in it are recognised");
  group->add_option("--input-ids", options.inputIds, "Token ids of the prompt: 1,2,3 or @FILE.json")
      ->type_name("IDS|@FILE");
  group->add_flag("--interactive", options.interactive, "Hold a chat: a line per turn; /reset, /quit");
  group
      ->add_option("--cases", options.casesPath,
                   "Run the prompts of a JSON file one after another; one JSON line per case")
      ->type_name("FILE.json");
  group
      ->add_option("--max-new-tokens", options.maxNewTokens,
                   "Tokens to generate at most (default: until a stop token or a full context)")
      ->type_name("N");
  group->add_flag("--ignore-eos", options.ignoreEos, "Do not stop at stop tokens");
  group->add_option("--stop-ids", options.stopIds, "Stop tokens in place of the checkpoint's")->type_name("IDS");
  group->add_flag("--print-ids", options.printIds, "Print the new token ids as a JSON array instead of text");
  group
      ->add_option("--thinking", options.thinking,
                   "The model's reasoning, where its template has the switch (default: on)")
      ->check(CLI::IsMember({"on", "off"}));
  group
      ->add_option("--logits", options.logitsPath,
                   "Write f32 logits: 'logits' of the prompt's positions, 'step_logits' of the steps")
      ->type_name("FILE.safetensors");
  group->add_option("--force-ids", options.forceIds, "Feed these tokens in place of the sampled ones")
      ->type_name("IDS|@FILE");
  group
      ->add_option("--repeat", options.repeat,
                   "Generate N times and fail unless all runs agree; with --bench: measured runs per item (default: 5)")
      ->type_name("N")
      ->check(CLI::Range(1u, 1000000u));
}

void addSamplingOptions(CLI::App &app, Options &options) {
  auto *group = app.add_option_group("Sampling (default: greedy; --interactive: as the checkpoint says)");
  group->add_option("--sampling", options.sampling, "Settings to start from")
      ->check(CLI::IsMember({"checkpoint", "greedy"}));
  group->add_option("--temperature", options.temperature, "0 is greedy (default: 1)")->check(CLI::Range(0.0f, 1e6f));
  group->add_option("--top-k", options.topK, "Keep the k best tokens, 0 is off (default: 0)");
  group
      ->add_option("--top-p", options.topP, "Keep the best tokens that make up this probability, 1 is off (default: 1)")
      ->check(CLI::Range(0.0f, 1.0f));
  group
      ->add_option("--repetition-penalty", options.repetitionPenalty,
                   "Divide the logits of tokens already seen, 1 is off (default: 1)")
      ->check(CLI::Range(1e-3f, 1e6f));
  group->add_option("--seed", options.seed, "Seed of the random draws (default: 0)");
}

void addOtherModes(CLI::App &app, Options &options) {
  auto *group = app.add_option_group("Other modes");
  group->add_option("--tokenize", options.text, "Print the token ids of a text as a JSON array; needs no device")
      ->type_name("TEXT|@FILE");
  group->add_option("--detokenize", options.ids, "Print the text of token ids; needs no device")
      ->type_name("IDS|@FILE");
  group->add_option("--entry", options.entry, "Run one entry of the plan on given tensors; 'list' prints the entries")
      ->type_name("NAME|list");
  group->add_option("--inputs", options.inputsPath, "Input tensors of --entry")->type_name("IN.safetensors");
  group->add_option("--outputs", options.outputsPath, "Where --entry writes its outputs")->type_name("OUT.safetensors");
  group
      ->add_option("--bench", options.bench,
                   "Measure prompt processing and token generation: pp512,tg128@1024 (tokens, @tokens before)")
      ->type_name("ITEMS");
  group->add_flag("--list-devices", options.listDevices, "Print the devices and whether they can run the plan");
}

int usageError(const std::string &message) {
  printError(message);
  return 2;
}

/// Which of the modes was asked for; exactly one must be.
int chooseMode(const CLI::App &app, Options &options) {
  static constexpr struct {
    const char *option;
    Mode mode;
  } modes[] = {{"--prompt", Mode::Generate}, {"--input-ids", Mode::Generate}, {"--interactive", Mode::Interactive},
               {"--cases", Mode::Cases},     {"--tokenize", Mode::Tokenize},  {"--detokenize", Mode::Detokenize},
               {"--entry", Mode::Entry},     {"--bench", Mode::Bench},        {"--list-devices", Mode::ListDevices}};
  const char *first = nullptr;
  for (const auto &candidate : modes) {
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

/// Options that make no sense with the chosen mode.
int checkCombinations(const CLI::App &app, const Options &options) {
  auto given = [&app](const char *option) { return app.get_option(option)->count() > 0; };
  bool runsEntry = options.mode == Mode::Entry && options.entry != "list";
  if (runsEntry && (!given("--inputs") || !given("--outputs")))
    return usageError("--entry given without --inputs and --outputs, expected both, add them");
  for (const char *option : {"--inputs", "--outputs"})
    if (given(option) && !runsEntry)
      return usageError(text(option, " given without --entry NAME, expected both, add it"));
  for (const char *option : {"--logits", "--force-ids", "--print-ids"})
    if (given(option) && options.mode != Mode::Generate)
      return usageError(text(option, " given without --prompt or --input-ids, expected one of them, add it"));
  if (given("--raw") && given("--system"))
    return usageError("--system given beside --raw, expected a chat, leave one out");
  if (given("--system") && given("--input-ids"))
    return usageError("--system given beside --input-ids, expected a text prompt, leave one out");
  if (given("--repeat") && options.mode != Mode::Generate && options.mode != Mode::Bench)
    return usageError("--repeat given without --prompt, --input-ids or --bench, expected one of them, add it");
  return -1;
}

} // namespace

Options tool::parseOptions(int argc, char **argv, int &exitCode) {
  Options options;
  std::string upload = "auto";
  exitCode = -1;
  CLI::App app("Runs a plan made by qwenc on a Vulkan device.", "qwenrt");
  app.set_version_flag("--version", "qwenrt " QWENRT_VERSION);
  app.get_formatter()->column_width(44);
  app.add_option("plan", options.planPath, "The plan, as qwenc writes it")->type_name("plan.fb");
  addTextOptions(app, options);
  addSamplingOptions(app, options);
  addOtherModes(app, options);
  addDeviceOptions(app, options, upload);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success &help) { // --help, --version
    exitCode = app.exit(help);
    return options;
  } catch (const CLI::Error &error) {
    std::string message = printable(error.what());
    exitCode = usageError(text(message, ", expected a command line as --help shows it, correct it"));
    return options;
  }
  options.session.upload = upload == "direct"    ? UploadPath::Direct
                           : upload == "staging" ? UploadPath::Staging
                                                 : UploadPath::Auto;
  options.hasSystem = app.get_option("--system")->count() > 0;
  exitCode = chooseMode(app, options);
  if (exitCode < 0)
    exitCode = checkCombinations(app, options);
  return options;
}
