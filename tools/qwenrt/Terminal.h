//===- Terminal.h - What the program prints, and Ctrl-C ----------------------------------------------------------===//
#pragma once

#include "qwenrt/Session.h"

#include <atomic>
#include <string>
#include <string_view>

namespace qwenrt::tool {

/// "qwenrt: error: <message>" on standard error.
void printError(std::string_view message);
/// Prints \p status and returns the exit status it means: 2 for wrong usage, else 1.
int reportFailure(const Status &status);
/// A line on standard error.
void printNote(std::string_view line);

/// From now on writeOutput writes to standard error: standard output carries sound.
void sendTextToStandardError();
/// Writes \p text to standard output at once. False when nobody reads any more: the program should end quietly.
bool writeOutput(std::string_view text);
/// After everything was written: fails if standard output took less than it was given (a full disk; not a closed pipe).
Status finishOutput();
/// Standard output broke down.
bool outputBroken();
/// From now on outputBroken: who took the sound has gone.
void noteClosedOutput();

/// Becomes true when the user presses Ctrl-C while an InterruptScope lives. A second Ctrl-C ends the program.
const std::atomic<bool> &interrupted();
class InterruptScope {
public:
  InterruptScope();
  ~InterruptScope();
};

/// A progress line on a terminal; silent elsewhere.
class ProgressLine {
public:
  explicit ProgressLine(bool quiet);
  ~ProgressLine();
  /// A line that stays, before the first show().
  void note(std::string_view line) const;
  void show(const LoadProgress &progress);

private:
  bool active_;
  bool shown_ = false;
};

} // namespace qwenrt::tool
