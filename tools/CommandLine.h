//===- CommandLine.h - What the programs do with their arguments --------------------------------------------------===//
#pragma once

#include "models/Checkpoint/Message.h"

#include <CLI/CLI.hpp>

#include <optional>
#include <string>

namespace qwenc {

/// Parses the command line of the program that \p app names. Returns the exit status where the program ends here:
/// behind
/// --help and --version, or behind a message that \p expected, the form of the command, was not met.
inline std::optional<int> parseCommandLine(CLI::App &app, int argc, char **argv, const std::string &expected) {
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::ParseError &error) {
    if (error.get_exit_code() == 0)
      return app.exit(error);
    return reportError(app.get_name(),
                       qwenrt::Status(qwenrt::StatusCode::InvalidUsage, "wrong usage: " + std::string(error.what()) +
                                                                            ", expected " + expected + ", see --help"));
  }
}

} // namespace qwenc
