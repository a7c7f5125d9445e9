//===- Arguments.cpp - Command line of qwenc --------------------------------------------------------------------===//

#include "Arguments.h"

#include "runtime/schema/WeightFormat.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/raw_ostream.h"

#include <CLI/CLI.hpp>

#include <cmath>
#include <limits>

using namespace qwenc;
using qwenrt::Result;
using qwenrt::Status;
using qwenrt::StatusCode;

namespace {

constexpr int64_t defaultMaxContext = 8192;

Status usage(std::string message) { return Status(StatusCode::InvalidUsage, std::move(message)); }

/// Messages of other libraries start with a capital, ours do not; names in capitals stay.
std::string lowerStart(std::string text) {
  if (text.size() > 1 && !llvm::isUpper(text[1]))
    text[0] = llvm::toLower(text[0]);
  return text;
}

std::string phaseHelp() {
  std::string text = "Phases of --compile-to:\n";
  for (const Phase &phase : phases())
    text += "  " + phase.name.str() + std::string(10 - phase.name.size(), ' ') + phase.summary.str() + "\n";
  return text + "\nOptions of MLIR are passed on, with '=' before a value: --mlir-print-ir-after-all, "
                "--mlir-print-ir-after-change,\n--mlir-print-ir-before=PASS, --mlir-timing, --mlir-pass-statistics, "
                "--mlir-disable-threading and others.\n";
}

std::string targetHelp() {
  return "Built-in profile (" + llvm::join(builtinTargetNames(), ", ") + ") or a profile file (default: generic)";
}

/// Limits of inputs that text models do not have.
void declareMediaLimits(CLI::App &app, Arguments &arguments) {
  // CLI::Range takes what compares with neither bound, nan, for a number between them.
  auto isMediaLimit = [](const std::string &text) {
    double value = 0;
    bool isNumber = CLI::detail::lexical_cast(text, value);
    return isNumber && value > 0 && value <= (1 << 30) ? std::string()
                                                       : "'" + text + "' is no number above 0 up to 2^30";
  };
  auto declare = [&](const char *name, auto &limit, const char *type, const std::string &help) {
    app.add_option_function<double>(
           name,
           [&arguments, &limit, name](double value) {
             limit = static_cast<std::remove_reference_t<decltype(limit)>>(std::ceil(value));
             if (arguments.mediaLimit.empty())
               arguments.mediaLimit = name;
           },
           help + " (default: " + std::to_string(limit) + "; text models have none)")
        ->type_name(type)
        ->check(isMediaLimit);
  };
  declare("--max-audio-seconds", arguments.mediaLimits.audioSeconds, "S", "Longest clip, in seconds");
  declare("--max-image-pixels", arguments.mediaLimits.imagePixels, "N",
          "Largest image behind the preprocessor's resizing, in pixels");
  declare("--max-video-frames", arguments.mediaLimits.videoFrames, "N", "Longest video, in frames that are taken");
}

void declareOptions(CLI::App &app, Arguments &arguments) {
  app.add_option("MODEL", arguments.graphPath, "model.json, as qwen-export writes it")->required()->type_name("FILE");
  app.add_option("-o,--output", arguments.outputPath,
                 "Plan file to write (required, except with --compile-to, which prints to standard output by default)")
      ->type_name("FILE");
  app.add_option("--target", arguments.target, targetHelp())->type_name("NAME|FILE");
  app.add_option("--max-context", arguments.maxContext,
                 "Positions the KV cache holds, in tokens (default: the smaller of the model's limit and 8192)")
      ->type_name("N");
  app.add_option("--prefill-chunk", arguments.prefillChunk,
                 "Rows one prefill run takes, in tokens (default: as the target says)")
      ->type_name("N");
  app.add_option("--weights-format", arguments.weightsFormat,
                 "How the matrices of products are stored; q8 and q4 need qwen-pack (default: bf16)")
      ->type_name("bf16|q8|q4");
  app.add_option("--kv-format", arguments.kvFormat,
                 "Element type of the KV cache of text (default: as the target says)")
      ->type_name("f32|f16|bf16");
  declareMediaLimits(app, arguments);
  app.add_option("--compile-to", arguments.compileTo, "Stop behind this phase and print the IR (default: write a plan)")
      ->type_name("PHASE");
  app.add_option("--dump-intermediates-to", arguments.dumpFolder,
                 "Folder for the IR behind each phase and the kernels as SPIR-V (default: none)")
      ->type_name("DIR");
  app.add_option(
         "--expose", arguments.expose,
         "Values of the graph, as a glob over their names (layers.*.output), that become outputs of the entries "
         "which compute them, for qwenrt --entry; repeatable (default: none)")
      ->type_name("PATTERN")
      ->allow_extra_args(false);
  app.set_version_flag("--version", "qwenc " QWENC_VERSION);
  app.allow_extras();
  app.footer(phaseHelp());
}

/// Hands options that start with --mlir- to MLIR and refuses all others.
Status parseMlirOptions(const std::vector<std::string> &extras) {
  std::vector<const char *> forwarded = {"qwenc"};
  for (const std::string &extra : extras) {
    if (!llvm::StringRef(extra).starts_with("--mlir-"))
      return usage("unknown argument '" + extra + "', expected MODEL -o FILE and options, see --help");
    forwarded.push_back(extra.c_str());
  }
  std::string text;
  llvm::raw_string_ostream stream(text);
  if (llvm::cl::ParseCommandLineOptions(forwarded.size(), forwarded.data(), "", &stream))
    return Status::ok();
  llvm::StringRef line = llvm::StringRef(text).split('\n').first;
  line.consume_front("qwenc: ");
  std::string found = line.split(".  Try").first.rtrim('!').str();
  return usage(lowerStart(found) + ", expected an option of MLIR as mlir-opt has it, see --help");
}

Result<KvFormat> parseKvFormat(const std::string &name) {
  auto format = llvm::StringSwitch<std::optional<KvFormat>>(name)
                    .Case("f32", KvFormat::F32)
                    .Case("f16", KvFormat::F16)
                    .Case("bf16", KvFormat::BF16)
                    .Default(std::nullopt);
  if (!format)
    return usage("--kv-format '" + name + "' is unknown, expected f32, f16 or bf16, choose one of them");
  return *format;
}

} // namespace

Result<std::optional<Arguments>> qwenc::parseArguments(int argc, char **argv) {
  mlir::registerAsmPrinterCLOptions();
  mlir::registerMLIRContextCLOptions();
  mlir::registerPassManagerCLOptions();
  mlir::registerDefaultTimingManagerCLOptions();

  Arguments arguments;
  CLI::App app("Compiles a model graph to a plan that qwenrt runs. Needs no GPU and never reads weight data.", "qwenc");
  declareOptions(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    if (error.get_exit_code() == 0) {
      app.exit(error);
      return std::optional<Arguments>();
    }
    return usage(lowerStart(error.what()) + ", expected MODEL -o FILE and options, see --help");
  }
  QWENRT_RETURN_IF_ERROR(parseMlirOptions(app.remaining()));
  if (!qwenrt::weightFormatFromName(arguments.weightsFormat))
    return usage("--weights-format '" + arguments.weightsFormat +
                 "' is unknown, expected bf16, q8 or q4, choose one of them");
  if (!arguments.compileTo.empty() && !findPhase(arguments.compileTo))
    return usage("--compile-to '" + arguments.compileTo + "' is no phase, expected one of " + phaseNames() +
                 ", see --help");
  if (arguments.compileTo.empty() && (arguments.outputPath.empty() || arguments.outputPath == "-"))
    return usage("no file to write the plan to, expected -o FILE, add it or look inside with --compile-to");
  return std::optional(std::move(arguments));
}

Status qwenc::checkMediaLimits(const Arguments &arguments, const graph::Graph &graph) {
  if (arguments.mediaLimit.empty() || graph.media)
    return Status::ok();
  return Status(StatusCode::Unsupported, "model of " + graph.model.architecture +
                                             " has text inputs only, expected media inputs for " +
                                             arguments.mediaLimit + ", leave the option out");
}

Result<CompileOptions> qwenc::compileOptions(const Arguments &arguments, const graph::Graph &graph) {
  CompileOptions options;
  QWENRT_ASSIGN_OR_RETURN(options.target, loadTargetProfile(arguments.target));
  options.weightsFormat = arguments.weightsFormat;
  // Positions are counted in 32 bits; a model that states no limit has only that one.
  int64_t limit = std::numeric_limits<int32_t>::max();
  if (graph.model.maxPositions > 0)
    limit = std::min<uint64_t>(graph.model.maxPositions, limit);
  options.maxContext = arguments.maxContext.value_or(std::min(limit, defaultMaxContext));
  if (options.maxContext < 1 || options.maxContext > limit)
    return usage("--max-context is " + std::to_string(options.maxContext) + ", expected 1 to " + std::to_string(limit) +
                 " positions, the limit of the model, choose a number in this range");
  // An expert sees a few of a chunk's rows: more rows make better use of its weights.
  bool isMixture = !graph.stacks.empty() && options.target.mixturePrefillChunk > 0;
  int64_t chunk =
      arguments.prefillChunk.value_or(isMixture ? options.target.mixturePrefillChunk : options.target.prefillChunk);
  constexpr int64_t maxChunk = 65536;
  if (chunk < 1 || chunk > maxChunk)
    return usage("--prefill-chunk is " + std::to_string(chunk) + ", expected 1 to " + std::to_string(maxChunk) +
                 " rows, choose a number in this range");
  options.target.prefillChunk = static_cast<uint32_t>(std::min(chunk, options.maxContext));
  if (!arguments.kvFormat.empty()) {
    QWENRT_ASSIGN_OR_RETURN(options.target.kvFormat, parseKvFormat(arguments.kvFormat));
  }
  return options;
}
