//===- VisionTables.h - Patches to the runs of the vision encoder
//---------------------------------------------------===//
//
// Beside its pixels the encoder needs of each patch where it stands: row and column in the grid for the rotary
// embedding; four cells of the learned table of positions with their shares, since the table is resampled to the grid
// (bilinear, corners aligned); and which patches it sees, those of its own frame group.
//
// More patches than one run takes are encoded in several runs, cut between frame groups, which never see each other.
//
// Source: Hugging Face transformers, Qwen3OmniMoeVisionEncoder; plan.fbs says how a plan names these tensors.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "runtime/frontend/media/VisionFeatures.h"

#include <span>

namespace qwenrt {

struct VisionShape {
  uint32_t merge = 2;         ///< patches along a side of a token
  uint32_t positionSide = 48; ///< cells along a side of the table of positions
};

/// One run of the encoder, its tables row-major. The patches are those of VisionFeatures from firstPatch on.
struct VisionRun {
  uint64_t firstPatch = 0;
  std::vector<int32_t> cells;     ///< [patches, 4]: rows of the table of positions
  std::vector<float> cellWeights; ///< [patches, 4]: their shares, which add up to 1
  std::vector<int32_t> places;    ///< [patches, 2]: row and column in the grid
  std::vector<int32_t> segments;  ///< [patches, 2]: the first patch of its frame group and the one behind the last

  uint64_t patches() const { return places.size() / 2; }
};

/// The runs that encode images or videos of \p grids, whose sides are multiples of shape.merge, at most \p maxPatches
/// patches each. InvalidInput if one image or frame group alone has more.
Result<std::vector<VisionRun>> visionRuns(std::span<const PatchGrid> grids, const VisionShape &shape,
                                          uint64_t maxPatches = UINT64_MAX);

} // namespace qwenrt
