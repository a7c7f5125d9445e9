//===- MediaLimits.cpp - How much media a plan is compiled for --------------------------------------------------===//
#include "models/Graph/MediaLimits.h"

#include <algorithm>
#include <cmath>

using namespace qwenc::graph;

namespace {

constexpr uint64_t kFramesPerSecond = 100; // 16,000 samples in hops of 160
constexpr uint64_t kRunSeconds = 40;

/// Seconds of sound in one run of the encoder.
double runSeconds(const AudioInfo &audio, uint32_t limitSeconds) {
  double windowSeconds = double(audio.chunkFrames) * double(audio.windowChunks) / kFramesPerSecond;
  double windows = std::ceil(std::min<double>(limitSeconds, kRunSeconds) / windowSeconds);
  return std::max(1.0, windows) * windowSeconds;
}

} // namespace

void qwenc::graph::applyMediaLimits(Graph &graph, const MediaLimits &limits) {
  for (Symbol &symbol : graph.symbols) {
    double units = 0;
    if (symbol.limit == SymbolLimit::AudioSeconds && graph.media && graph.media->audio)
      units = runSeconds(*graph.media->audio, limits.audioSeconds);
    else if (symbol.limit == SymbolLimit::ImagePixels)
      units = double(limits.imagePixels);
    double extent = std::ceil(units * symbol.perUnit);
    if (extent >= 1 && extent < double(symbol.max))
      symbol.max = static_cast<uint64_t>(extent);
  }
}

uint64_t qwenc::graph::maxRows(const Graph &graph, std::string_view function, std::string_view input) {
  GraphIndex index(graph);
  const Function *found = index.function(function);
  if (!found)
    return 0;
  for (const TypedName &candidate : found->inputs) {
    if (candidate.name != input || candidate.type.dims.empty())
      continue;
    const Dim &rows = candidate.type.dims[0];
    const Symbol *symbol = rows.isSymbol() ? index.symbol(rows.symbol) : nullptr;
    return symbol ? symbol->max * rows.size : rows.size;
  }
  return 0;
}
