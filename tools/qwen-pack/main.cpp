//===- main.cpp - qwen-pack: the quantised weights of a plan -----------------------------------------------------===//
#include "models/Checkpoint/Message.h"
#include "tools/CommandLine.h"
#include "tools/qwen-pack/Packer.h"

#include <algorithm>
#include <cstdio>
#include <thread>

#include <unistd.h>

using namespace qwenc;
using qwenrt::Plan;
using qwenrt::Result;
using qwenrt::Status;
using qwenrt::StatusCode;

namespace {

int fail(const Status &status) { return reportError("qwen-pack", status); }

int pack(const std::string &planPath, const std::string &output, PackOptions options, bool quiet) {
  Result<std::shared_ptr<const Plan>> plan = Plan::open(planPath);
  if (!plan)
    return fail(plan.status());
  bool showsProgress = !quiet && isatty(STDERR_FILENO);
  if (showsProgress)
    options.progress = [](uint64_t done, uint64_t total) {
      std::fprintf(stderr, "\rpacking %5.1f %%", 100.0 * double(done) / double(std::max<uint64_t>(total, 1)));
    };
  Result<PackStatistics> packed = packWeights(**plan, output, options);
  if (showsProgress)
    std::fputs("\r                \r", stderr);
  if (!packed)
    return fail(packed.status());
  if (!quiet)
    std::fprintf(stderr, "packed %llu weights, %llu bytes, %.3f bits per parameter\n",
                 static_cast<unsigned long long>(packed->weights), static_cast<unsigned long long>(packed->packedBytes),
                 8.0 * double(packed->packedBytes) / double(packed->parameters));
  return 0;
}

} // namespace

int main(int argc, char **argv) {
  CLI::App app(
      "Writes the quantised weights that a plan asks for. Reads the checkpoint's tensors, needs no compiler and no "
      "GPU; the plan then runs with this file beside the checkpoint.",
      "qwen-pack");
  std::string planPath, output;
  PackOptions options;
  options.threads = std::clamp(std::thread::hardware_concurrency(), 1u, maxPackThreads);
  bool quiet = false;
  app.add_option("plan", planPath, "The plan, compiled with --weights-format q8 or q4")
      ->required()
      ->type_name("plan.fb");
  app.add_option("-o,--output", output, "File to write (required, no default); qwenrt finds it beside the plan")
      ->required()
      ->type_name("FILE");
  app.add_option("--weights", options.checkpointFolder, "Folder of the checkpoint (default: where the plan says)")
      ->type_name("DIR");
  app.add_option("--threads", options.threads, "Threads that pack, 1 to 64 (default: as many as processors)")
      ->type_name("N")
      ->check(CLI::Range(1u, maxPackThreads).description(""));
  app.add_flag("--quiet", quiet, "No progress and no summary (default: off)");
  app.set_version_flag("--version", "qwen-pack " QWENC_VERSION);
  if (std::optional<int> status = parseCommandLine(app, argc, argv, "PLAN -o FILE"))
    return *status;
  return pack(planPath, output, options, quiet);
}
