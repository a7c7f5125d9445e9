//===- main.cpp - qwenrt -----------------------------------------------------------------------------------------===//
#include "MediaOptions.h"
#include "Options.h"
#include "Terminal.h"
#include "TextMode.h"

#include <csignal>
#include <exception>
#include <new>

using namespace qwenrt;
using namespace qwenrt::tool;

namespace {

int runMode(const Options &options) {
  std::shared_ptr<const Plan> plan;
  if (!options.planPath.empty()) {
    Result<std::shared_ptr<const Plan>> opened = Plan::open(options.planPath);
    if (!opened.isOk())
      return reportFailure(opened.status());
    plan = *opened;
  }
  for (const std::string &option : options.media)
    if (Status status = checkComponent(option, *plan); !status.isOk())
      return reportFailure(status);
  switch (options.mode) {
  case Mode::Generate:
    return runTextMode(options, plan);
  case Mode::Interactive:
    return runInteractive(options, plan);
  case Mode::Cases:
    return runCases(options, plan);
  case Mode::Tokenize:
    return runTokenize(options, *plan);
  case Mode::Detokenize:
    return runDetokenize(options, *plan);
  case Mode::Entry:
    return runEntryMode(options, plan);
  case Mode::Bench:
    return runBench(options, plan);
  case Mode::ListDevices:
    return listDevicesFor(options, plan.get());
  case Mode::None:
    break;
  }
  return 2;
}

} // namespace

int main(int argc, char **argv) {
  std::signal(SIGPIPE, SIG_IGN); // a closed pipe is an error of write, seen by writeOutput
  std::signal(SIGXFSZ, SIG_IGN); // so is a file that may not grow
  try {
    int exitCode = -1;
    Options options = parseOptions(argc, argv, exitCode);
    if (exitCode >= 0)
      return exitCode;
    exitCode = runMode(options);
    if (Status output = finishOutput(); !output.isOk())
      return reportFailure(output);
    return outputBroken() ? 1 : exitCode;
  } catch (const std::bad_alloc &) {
    printError("host memory ran out, expected enough for the run, close other programs or ask for less");
  } catch (const std::exception &) {
    printError("program ended unexpectedly, expected a result, report it with the command line");
  }
  return 1;
}
