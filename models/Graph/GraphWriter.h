//===- GraphWriter.h - Graph to model.json text -----------------------------------------------------------------===//
#pragma once

#include "models/Graph/Graph.h"

namespace qwenc::graph {

/// The document as text: stable, one weight, state, symbol and operation per line, so that it diffs well.
/// All names are expected to be UTF-8, which verifyGraph() and the readers give.
std::string writeGraph(const Graph &graph);

/// Writes the document to \p path: to a temporary name, then renamed. Errors: Io.
Status writeGraphFile(const Graph &graph, const std::string &path);

} // namespace qwenc::graph
