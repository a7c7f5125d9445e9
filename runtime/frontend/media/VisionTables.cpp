#include "runtime/frontend/media/VisionTables.h"

#include "runtime/lib/Text.h"

#include <algorithm>

namespace qwenrt {
namespace {

/// Where one coordinate falls in the table of positions: two cells and the share of the second.
struct Place {
  uint32_t low, high;
  float share;
};

Place placeOf(uint32_t coordinate, uint32_t count, uint32_t side) {
  const double at = double(coordinate) * (side - 1) / std::max(count - 1, 1u);
  const auto low = std::min(uint32_t(at), side - 1);
  return {low, std::min(low + 1, side - 1), float(at - low)};
}

void appendPatch(const PatchGrid &grid, uint32_t y, uint32_t x, uint32_t side, VisionRun &run) {
  const Place row = placeOf(y, grid.height, side), column = placeOf(x, grid.width, side);
  for (auto [cellRow, rowShare] : {std::pair{row.low, 1 - row.share}, std::pair{row.high, row.share}})
    for (auto [cellColumn, columnShare] :
         {std::pair{column.low, 1 - column.share}, std::pair{column.high, column.share}}) {
      run.cells.push_back(int32_t(cellRow * side + cellColumn));
      run.cellWeights.push_back(rowShare * columnShare);
    }
  run.places.insert(run.places.end(), {int32_t(y), int32_t(x)});
}

/// The patches of one frame group in the order of VisionFeatures.h.
void appendGroup(const PatchGrid &grid, const VisionShape &shape, VisionRun &run) {
  const auto first = int32_t(run.patches());
  for (uint32_t blockRow = 0; blockRow < grid.height; blockRow += shape.merge)
    for (uint32_t blockColumn = 0; blockColumn < grid.width; blockColumn += shape.merge)
      for (uint32_t y = 0; y < shape.merge; ++y)
        for (uint32_t x = 0; x < shape.merge; ++x)
          appendPatch(grid, blockRow + y, blockColumn + x, shape.positionSide, run);
  const auto end = int32_t(run.patches());
  for (int32_t patch = first; patch < end; ++patch)
    run.segments.insert(run.segments.end(), {first, end});
}

} // namespace

Result<std::vector<VisionRun>> visionRuns(std::span<const PatchGrid> grids, const VisionShape &shape,
                                          uint64_t maxPatches) {
  std::vector<VisionRun> runs;
  uint64_t done = 0;
  for (const PatchGrid &grid : grids) {
    const uint64_t perGroup = uint64_t(grid.height) * grid.width;
    if (perGroup > maxPatches)
      return Status(StatusCode::InvalidInput,
                    text("an image or frame has ", perGroup, " patches, expected at most ", maxPatches,
                         " (--max-image-pixels and --max-video-frames of the plan), lower --max-pixels or compile "
                         "with larger ones"));
    for (uint32_t group = 0; group < grid.time; ++group) {
      if (runs.empty() || perGroup > maxPatches - runs.back().patches()) {
        runs.emplace_back();
        runs.back().firstPatch = done;
      }
      appendGroup(grid, shape, runs.back());
      done += perGroup;
    }
  }
  return runs;
}

} // namespace qwenrt
