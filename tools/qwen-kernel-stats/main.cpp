//===- main.cpp - qwen-kernel-stats: what a driver makes of a plan's kernels --------------------------------------===//
#include "models/Checkpoint/Message.h"
#include "qwenrt/Plan.h"
#include "tools/CommandLine.h"
#include "tools/KernelFiles.h"
#include "tools/qwen-kernel-stats/StatisticsDevice.h"

#include <cstdio>
#include <map>

using namespace qwenc;
using namespace qwenrt;

namespace {

struct Arguments {
  std::string planPath, device, isaFolder;
  bool json = false;
};

int fail(const Status &status) { return reportError("qwen-kernel-stats", status); }

Status writeIsa(const std::string &folder, const std::string &kernel, const std::string &isa) {
  if (isa.empty())
    return {StatusCode::Unsupported, "the driver shows no code of kernel '" + kernel +
                                         "', expected text, choose another device or leave --isa out"};
  return writeKernelFile(folder, kernel, ".s", isa);
}

/// Marks the kernels that the runtime would not run on \p device although the plan serves every role there. Fails where
/// no entry of a role can run: then the plan is not for this device.
Status skipUnusedVariants(const fb::Plan &plan, const DeviceInfo &device, std::vector<KernelStatistics> &kernels) {
  std::vector<bool> used(kernels.size());
  std::map<uint32_t, Status> reasons; // by kernel
  std::map<fb::Role, Status> roles;
  for (const fb::Entry *entry : *plan.entries()) {
    Status status = checkEntry(plan, *entry, device);
    auto [at, first] = roles.try_emplace(entry->role(), status);
    if (!first && status.isOk())
      at->second = status;
    for (const fb::Dispatch *dispatch : *entry->dispatches())
      if (status.isOk())
        used[dispatch->kernel()] = true;
      else
        reasons.try_emplace(dispatch->kernel(), status);
  }
  for (const auto &[role, status] : roles)
    QWENRT_RETURN_IF_ERROR(status);
  for (const auto &[kernel, reason] : reasons)
    if (!used[kernel])
      kernels[kernel].skipped = reason.message();
  return Status::ok();
}

Status compileAll(const StatisticsDevice &device, const fb::Plan &plan, const std::string &isaFolder,
                  std::vector<KernelStatistics> &kernels) {
  if (!isaFolder.empty())
    QWENRT_RETURN_IF_ERROR(createFolder(isaFolder, "--isa"));
  for (uint32_t i = 0; i < kernels.size(); ++i) {
    if (kernels[i].skipped)
      continue;
    std::string isa;
    device.compile(*plan.kernels()->Get(i), kernels[i], isaFolder.empty() ? nullptr : &isa);
    if (!isaFolder.empty() && kernels[i].compiled)
      QWENRT_RETURN_IF_ERROR(writeIsa(isaFolder, kernels[i].name, isa));
  }
  return Status::ok();
}

/// Prints everything; false if a kernel is not acceptable.
bool report(const Arguments &arguments, const DeviceInfo &device, const fb::Plan &plan,
            const std::vector<KernelStatistics> &kernels) {
  std::string deviceName = device.name + " (" + device.driver + ")";
  if (arguments.json) {
    std::fputs(printJson(kernels, deviceName, arguments.planPath).c_str(), stdout);
  } else {
    std::printf("%s: target %s, kernels %u, on %s\n\n%s", arguments.planPath.c_str(), plan.target()->c_str(),
                plan.kernels()->size(), deviceName.c_str(), printTable(kernels).c_str());
    for (const KernelStatistics &kernel : kernels)
      if (kernel.skipped)
        std::printf("not for this device: %s\n", kernel.skipped->c_str());
  }
  bool acceptable = true;
  for (const KernelStatistics &kernel : kernels)
    for (const std::string &problem : problemsOf(kernel)) {
      acceptable = false;
      std::fflush(stdout);
      std::fprintf(stderr, "qwen-kernel-stats: error: %s\n", problem.c_str());
    }
  return acceptable;
}

int run(const Arguments &arguments) {
  Result<std::shared_ptr<const Plan>> plan = Plan::open(arguments.planPath);
  if (!plan)
    return fail(plan.status());
  const fb::Plan &root = (*plan)->root();
  Result<std::unique_ptr<StatisticsDevice>> device = StatisticsDevice::open(arguments.device);
  if (!device)
    return fail(device.status());
  std::vector<KernelStatistics> kernels = describeKernels(root);
  if (Status status = skipUnusedVariants(root, (*device)->info(), kernels); !status)
    return fail(status);
  if (Status status = compileAll(**device, root, arguments.isaFolder, kernels); !status)
    return fail(status);
  bool acceptable = report(arguments, (*device)->info(), root, kernels);
  if (std::fflush(stdout) != 0)
    return fail({StatusCode::Io, "cannot write to standard output, expected room for the text, redirect it elsewhere"});
  return acceptable ? 0 : 1;
}

} // namespace

int main(int argc, char **argv) {
  CLI::App app(
      "Compiles every kernel of a plan with a Vulkan driver and prints what its compiler reports: registers, spills, "
      "LDS,\n"
      "scratch, subgroups per SIMD, code size, instructions by class, cycles. Nothing is executed. Exit status 1 if a\n"
      "kernel does not compile, spills or uses scratch memory.",
      "qwen-kernel-stats");
  Arguments arguments;
  app.add_option("PLAN", arguments.planPath, "Plan file written by qwenc")->required();
  app.add_option("--device", arguments.device, "Index or part of the name (default: the first GPU)")->type_name("NAME");
  app.add_option("--isa", arguments.isaFolder, "Write the final code of each kernel to DIR/KERNEL.s (default: none)")
      ->type_name("DIR");
  app.add_flag("--json", arguments.json,
               "Print one JSON document with every statistic under the driver's name (default: a table)");
  app.set_version_flag("--version", "qwen-kernel-stats " QWENC_VERSION);
  if (std::optional<int> status = parseCommandLine(app, argc, argv, "PLAN and options"))
    return *status;
  return run(arguments);
}
