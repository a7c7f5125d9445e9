//===- MediaLimits.h - How much media a plan is compiled for ----------------------------------------------------===//
#pragma once

#include "models/Graph/Graph.h"

namespace qwenc::graph {

struct MediaLimits {
  uint32_t audioSeconds = 300;                  ///< of one clip
  uint64_t imagePixels = uint64_t(2048) * 2048; ///< of one image, behind the preprocessor's resizing
  uint32_t videoFrames = 128;                   ///< of one video
};

/// Lowers the maxima of the symbols that have a limit. Sound is encoded in runs of whole windows, since no window sees
/// another: a run holds what the limit allows, but no more windows than make 40 seconds.
void applyMediaLimits(Graph &graph, const MediaLimits &limits);

/// The greatest extent of the rows of input \p input of function \p function; 0 if there is none.
uint64_t maxRows(const Graph &graph, std::string_view function, std::string_view input);

} // namespace qwenc::graph
