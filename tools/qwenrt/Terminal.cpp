//===- Terminal.cpp ----------------------------------------------------------------------------------------------===//
#include "Terminal.h"

#include "models/Checkpoint/Message.h"
#include "runtime/lib/Text.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <unistd.h>

using namespace qwenrt;

namespace {

std::atomic<bool> interruptFlag = false;
std::FILE *textStream = stdout;
int outputError = 0; // errno of the first failed write

void onInterrupt(int) {
  if (interruptFlag.exchange(true)) {
    std::signal(SIGINT, SIG_DFL);
    std::raise(SIGINT);
  }
}

void setHandler(void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler; // without SA_RESTART: a blocked read for the next turn ends
  sigaction(SIGINT, &action, nullptr);
}

} // namespace

void tool::printError(std::string_view message) {
  std::fputs(qwenc::errorText("qwenrt", Status(StatusCode::InvalidInput, std::string(message))).c_str(), stderr);
}

int tool::reportFailure(const Status &status) {
  printError(status.message());
  return status.code() == StatusCode::InvalidUsage ? 2 : 1;
}

void tool::printNote(std::string_view line) { std::fprintf(stderr, "%.*s\n", int(line.size()), line.data()); }

void tool::sendTextToStandardError() { textStream = stderr; }

bool tool::writeOutput(std::string_view text) {
  if (outputError)
    return false;
  if (std::fwrite(text.data(), 1, text.size(), textStream) != text.size() || std::fflush(textStream) != 0)
    outputError = errno ? errno : EIO;
  return outputError == 0;
}

bool tool::outputBroken() { return outputError != 0; }

void tool::noteClosedOutput() {
  if (outputError == 0)
    outputError = EPIPE;
}

Status tool::finishOutput() {
  if (outputError == 0 || outputError == EPIPE)
    return Status::ok();
  return {StatusCode::Io, text("cannot write to standard output: ", std::strerror(outputError),
                               ", expected room for the results, redirect it elsewhere")};
}

const std::atomic<bool> &tool::interrupted() { return interruptFlag; }

tool::InterruptScope::InterruptScope() {
  interruptFlag = false;
  setHandler(onInterrupt);
}

tool::InterruptScope::~InterruptScope() { setHandler(SIG_DFL); }

tool::ProgressLine::ProgressLine(bool quiet) : active_(!quiet && isatty(STDERR_FILENO)) {}

tool::ProgressLine::~ProgressLine() {
  if (shown_)
    std::fprintf(stderr, "\r\033[K");
}

void tool::ProgressLine::note(std::string_view line) const {
  if (active_)
    printNote(line);
}

void tool::ProgressLine::show(const LoadProgress &progress) {
  if (!active_)
    return;
  shown_ = true;
  constexpr unsigned kWidth = 24;
  unsigned filled =
      progress.bytesTotal ? unsigned(double(progress.bytesDone) / double(progress.bytesTotal) * kWidth) : kWidth;
  std::string bar = std::string(filled, '#') + std::string(kWidth - filled, '.');
  std::string layer = progress.layer >= 0 ? text(", layer ", progress.layer + 1, " of ", progress.layers) : "";
  std::string kernels =
      progress.kernelsTotal ? text(", kernels ", progress.kernelsDone, "/", progress.kernelsTotal) : "";
  std::fprintf(stderr, "\r\033[Kloading [%s] %s of %s%s%s", bar.c_str(), formatBytes(progress.bytesDone).c_str(),
               formatBytes(progress.bytesTotal).c_str(), layer.c_str(), kernels.c_str());
}
