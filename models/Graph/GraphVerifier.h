//===- GraphVerifier.h - What a schema cannot say ---------------------------------------------------------------===//
#pragma once

#include "models/Graph/Graph.h"

namespace qwenc::graph {

/// Checks a whole graph: names unique and defined before use, known symbols, types that follow from the operations,
/// extents and sizes within the bounds of Graph.h, weights inside their files, file names without folders, generator
/// functions that fit together. A graph that passes can be walked without further checks.
/// Errors: InvalidInput, with the place in the message.
Status verifyGraph(const Graph &graph);

} // namespace qwenc::graph
