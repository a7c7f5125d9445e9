//===- fuzz-model-json.cpp - Any bytes as model.json ------------------------------------------------------------===//
#include "models/Graph/GraphReader.h"
#include "models/Graph/GraphWriter.h"

#include <cstdlib>

using namespace qwenc;
using namespace qwenc::graph;

/// Whatever is accepted has to survive writing and reading.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Result<Graph> graph = readGraph({reinterpret_cast<const char *>(data), size});
  if (!graph) {
    if (graph.status().message().find('\n') != std::string::npos)
      std::abort();
    return 0;
  }
  std::string text = writeGraph(*graph);
  Result<Graph> again = readGraph(text);
  if (!again || writeGraph(*again) != text)
    std::abort();
  return 0;
}
