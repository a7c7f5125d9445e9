//===- main.cpp - qwen-synth: synthetic checkpoints for tests and measurements ----------------------------------===//
#include "models/Checkpoint/Message.h"
#include "tools/CommandLine.h"
#include "tools/qwen-synth/SyntheticCheckpoint.h"

#include <algorithm>
#include <cstdio>
#include <thread>

using namespace qwenc;

namespace {

struct Arguments {
  std::string outputFolder, preset, configPath;
  bool sparse = false, redundantHead = false;
  uint64_t seed = 0, layers = 0, shardBytes = 0;
  unsigned threads = std::clamp(std::thread::hardware_concurrency(), 1u, 64u);
};

int fail(const Status &status) { return reportError("qwen-synth", status); }

Result<SynthesisOptions> optionsFrom(const Arguments &arguments) {
  SynthesisOptions options;
  if (arguments.preset.empty() == arguments.configPath.empty())
    return Status(StatusCode::InvalidUsage, "none or both of --preset and --config, expected exactly one, see --help");
  if (!arguments.preset.empty()) {
    QWENRT_ASSIGN_OR_RETURN(options, presetOptions(arguments.preset));
  } else {
    QWENRT_ASSIGN_OR_RETURN(options.config, readJsonFile(arguments.configPath));
    if (!options.config.is_object())
      return Status(StatusCode::InvalidInput,
                    "'" + arguments.configPath + "' holds no JSON object, expected a config.json, check the path");
  }
  if (arguments.layers > 0)
    setLayerCount(options.config, arguments.layers);
  options.redundantHead = options.redundantHead || arguments.redundantHead;
  options.sparse = arguments.sparse;
  options.seed = arguments.seed;
  options.threads = arguments.threads;
  if (arguments.shardBytes > 0)
    options.maxShardBytes = arguments.shardBytes;
  return options;
}

void addOptions(CLI::App &app, Arguments &arguments) {
  app.add_option("-o,--output", arguments.outputFolder, "Folder to write (required, no default)")
      ->required()
      ->type_name("DIR");
  app.add_option("--preset", arguments.preset, "Published shape: " + presetNames())->type_name("NAME");
  app.add_option("--config", arguments.configPath, "config.json to take the shape from")->type_name("FILE");
  app.add_flag("--sparse", arguments.sparse, "Holes instead of weights: all zeros, no disk space (default: off)");
  app.add_flag("--redundant-head", arguments.redundantHead,
               "Store a copy of a tied embedding as lm_head.weight (default: as the preset, else off)");
  app.add_option("--seed", arguments.seed, "Seed of the random weights (default: 0)")->type_name("N");
  app.add_option("--layers", arguments.layers, "Number of layers (default: as the shape says)")
      ->check(CLI::Range(uint64_t(1), uint64_t(1024)))
      ->type_name("N");
  app.add_option("--shard-bytes", arguments.shardBytes, "Bytes of data per file (default: one file)")
      ->check(CLI::Range(uint64_t(1), uint64_t(1) << 50))
      ->type_name("N");
  app.add_option("--threads", arguments.threads, "Threads that make weights (default: one per core, at most 64)")
      ->check(CLI::Range(1u, 256u))
      ->type_name("N");
}

} // namespace

int main(int argc, char **argv) {
  CLI::App app(
      "Writes a checkpoint with the shape of a real model and pseudo-random weights: the same options give the "
      "same bytes. Activations stay near one. No tokenizer is written; give prompts by --input-ids.",
      "qwen-synth");
  Arguments arguments;
  addOptions(app, arguments);
  if (std::optional<int> status = parseCommandLine(app, argc, argv, "--preset NAME -o DIR"))
    return *status;
  Result<SynthesisOptions> options = optionsFrom(arguments);
  if (!options)
    return fail(options.status());
  Status written = writeSyntheticCheckpoint(arguments.outputFolder, *options);
  return written ? 0 : fail(written);
}
