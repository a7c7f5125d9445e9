//===- GraphReader.h - model.json text to Graph -----------------------------------------------------------------===//
#pragma once

#include "models/Graph/Graph.h"

namespace qwenc::graph {

/// Longest document accepted; Qwen3-Omni 30B with its 28,010 weights needs about 10 MB.
inline constexpr uint64_t maxGraphBytes = uint64_t(64) << 20;

/// Parses a document: JSON, format and version, the schema (model.schema.json, built in), then verifyGraph().
/// Errors: InvalidInput with the place in the document.
Result<Graph> readGraph(std::string_view text);

/// Reads the file \p path; messages start with the path. Errors as above, NotFound, Io.
Result<Graph> readGraphFile(const std::string &path);

} // namespace qwenc::graph
