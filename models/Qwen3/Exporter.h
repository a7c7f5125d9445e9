//===- Exporter.h - Checkpoint to graph -------------------------------------------------------------------------===//
#pragma once

#include "models/Checkpoint/Checkpoint.h"
#include "models/Graph/Graph.h"

#include <span>

namespace qwenc {

/// One supported architecture. A new one is a file with an exporter function and a row in Exporter.cpp.
struct Architecture {
  std::string_view name;                    ///< as in config.json's architectures: "Qwen3ForCausalLM"
  std::string_view modelType;               ///< as in config.json's model_type: "qwen3"
  std::vector<std::string_view> components; ///< what --components may name
  /// Adds model sizes, weights, symbols, states and functions of the chosen components.
  Status (*build)(const Checkpoint &checkpoint, const std::vector<std::string> &components, graph::Graph &graph);
};

std::span<const Architecture> architectures();

struct ExportOptions {
  std::string producer;                ///< program and version, for the document
  std::string checkpointPath;          ///< as the document shall refer to the checkpoint
  std::string modelName;               ///< for the document
  std::vector<std::string> components; ///< empty = all
};

/// Describes \p checkpoint as a verified graph. Errors: InvalidUsage for unknown components, Unsupported for an unknown
/// architecture, InvalidInput for a checkpoint that does not fit (all problems at once, one line each).
Result<graph::Graph> exportCheckpoint(const Checkpoint &checkpoint, const ExportOptions &options);

} // namespace qwenc
