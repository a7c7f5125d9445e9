//===- Arguments.h - Command line of qwenc -----------------------------------------------------------------------===//
#pragma once

#include "compiler/Pipelines/Phases.h"
#include "models/Graph/MediaLimits.h"
#include "qwenrt/Status.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace qwenc {

struct Arguments {
  std::string graphPath;
  std::string outputPath; ///< "-": standard output, only for text
  std::string target = "generic";
  std::optional<int64_t> maxContext;   ///< positions
  std::optional<int64_t> prefillChunk; ///< rows
  std::string weightsFormat = "bf16";
  std::string kvFormat;  ///< empty: as the target says
  std::string compileTo; ///< name of a phase; empty: a plan file
  std::string dumpFolder;
  std::vector<std::string> expose; ///< globs over names of values
  graph::MediaLimits mediaLimits;
  std::string mediaLimit; ///< the first limit of media inputs that was given; empty: none
};

/// Reads the command line; options that start with --mlir- go to MLIR. Empty when a help or version text was printed.
/// Errors: InvalidUsage.
qwenrt::Result<std::optional<Arguments>> parseArguments(int argc, char **argv);

/// Refuses limits of media inputs for a model that has none. Errors: Unsupported.
qwenrt::Status checkMediaLimits(const Arguments &arguments, const graph::Graph &graph);

/// What the passes need, from the arguments, the target and the model: its limit of positions (0: none), and whether it
/// has experts. Errors: InvalidUsage, those of loadTargetProfile().
qwenrt::Result<CompileOptions> compileOptions(const Arguments &arguments, const graph::Graph &graph);

} // namespace qwenc
