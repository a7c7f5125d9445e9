//===- WeightFiles.h - Find the checkpoint and the packed weights, and make sure that they are the right ones ----===//
#pragma once

#include "File.h"
#include "qwenrt/Plan.h"

#include <string>
#include <vector>

namespace qwenrt {

/// Where weights are looked for; empty: where the plan says.
struct WeightPaths {
  /// Folder of the checkpoint; a regular file here is the packed weights.
  std::string weights;
  /// File of packed weights, as qwen-pack writes it.
  std::string packed;
};

/// Opens the weight files of \p plan in its order and checks size and header hash of each, before any tensor byte is
/// read. Packed weights may have any name: without a path they are looked for beside the plan and in the checkpoint's
/// folder, by size and header.
/// NotFound says where it looked; InvalidInput that it is another checkpoint, or packed from one.
Result<std::vector<File>> openWeightFiles(const Plan &plan, const WeightPaths &paths);

/// The same without the packed file, which does not exist before qwen-pack has written it.
Result<std::vector<File>> openCheckpointFiles(const Plan &plan, const std::string &folder);

} // namespace qwenrt
