//===- main.cpp - qwen-plan-dump: a plan file as text -------------------------------------------------------------===//
#include "models/Checkpoint/Message.h"
#include "qwenrt/Plan.h"
#include "tools/CommandLine.h"
#include "tools/KernelFiles.h"
#include "tools/qwen-plan-dump/PlanPrinter.h"

#include <cstdio>

using namespace qwenc;
using qwenrt::Plan;

namespace {

struct Arguments {
  std::string planPath, spirvFolder;
  bool kernels = false, entries = false, weights = false;
};

int fail(const Status &status) { return reportError("qwen-plan-dump", status); }

/// Without options everything but the weights; the SPIR-V files alone need no text.
PlanSections sectionsOf(const Arguments &arguments) {
  if (arguments.kernels || arguments.entries || arguments.weights)
    return {false, arguments.kernels, arguments.entries, arguments.weights};
  bool all = arguments.spirvFolder.empty();
  return {all, all, all, false};
}

Status writeSpirv(const qwenrt::fb::Plan &plan, const std::string &folder) {
  QWENRT_RETURN_IF_ERROR(createFolder(folder, "--spirv"));
  for (const qwenrt::fb::Kernel *kernel : *plan.kernels()) {
    // The words are little endian in the file, as spirv-val expects them.
    std::string_view bytes(reinterpret_cast<const char *>(kernel->spirv()->Data()), kernel->spirv()->size() * 4);
    QWENRT_RETURN_IF_ERROR(writeKernelFile(folder, kernel->name()->string_view(), ".spv", bytes));
  }
  return Status::ok();
}

int dump(const Arguments &arguments) {
  qwenrt::Result<std::shared_ptr<const Plan>> plan = Plan::open(arguments.planPath);
  if (!plan)
    return fail(plan.status());
  if (!arguments.spirvFolder.empty())
    if (Status status = writeSpirv((*plan)->root(), arguments.spirvFolder); !status)
      return fail(status);
  std::string text = printPlan((*plan)->root(), sectionsOf(arguments));
  bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (!written)
    return fail({StatusCode::Io, "cannot write to standard output, expected room for the text, redirect it elsewhere"});
  return 0;
}

} // namespace

int main(int argc, char **argv) {
  CLI::App app(
      "Prints a plan file as stable text: header and budget, kernels with their limits, entries with dispatches,\n"
      "operands, barriers and lifetimes in the arena. Sizes are bytes.",
      "qwen-plan-dump");
  Arguments arguments;
  app.add_option("PLAN", arguments.planPath, "Plan file written by qwenc")->required();
  app.add_flag("--kernels", arguments.kernels, "Print the kernels (default: everything but the weights)");
  app.add_flag("--entries", arguments.entries, "Print the entries (default: everything but the weights)");
  app.add_flag("--weights", arguments.weights, "Print where each weight comes from and goes to (default: no)");
  app.add_option("--spirv", arguments.spirvFolder, "Write each kernel to DIR/KERNEL.spv (default: none)")
      ->type_name("DIR");
  app.set_version_flag("--version", "qwen-plan-dump " QWENC_VERSION);
  if (std::optional<int> status = parseCommandLine(app, argc, argv, "PLAN and options"))
    return *status;
  return dump(arguments);
}
