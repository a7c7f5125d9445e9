//===- Export.h - Plan operations to a plan file --------------------------------------------------------*- C++ -*-===//
//
// A plain translation: nothing is decided here. Order in the file is the order in the module; the same module, graph
// and options give the same bytes.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "compiler/Target/TargetProfile.h"
#include "models/Graph/MediaLimits.h"
#include "qwenrt/Status.h"

#include "mlir/IR/BuiltinOps.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace qwenc {

struct ExportOptions {
  std::string targetName;            ///< profile the plan was compiled for
  std::string producer;              ///< "qwenc 0.1.0"
  std::string graphFolder;           ///< absolute folder of model.json; a relative checkpoint path starts here
  uint32_t maxContext = 0;           ///< positions the caches hold
  KvFormat kvFormat = KvFormat::F32; ///< for reports
  graph::MediaLimits mediaLimits;    ///< those that applyMediaLimits() has applied to the graph
};

/// The bytes of the plan file, trailer included. \p module has passed plan-verify; \p graph gives what no kernel needs:
/// the model's names, its weight files, the tokenizer (read from the checkpoint's folder), chat and generation
/// settings. Errors: InvalidInput with the text of the diagnostic for a module that is no complete plan or does not
/// belong to the graph; those of readTokenizer().
qwenrt::Result<std::vector<std::byte>> buildPlanFile(mlir::ModuleOp module, const graph::Graph &graph,
                                                     const ExportOptions &options);

/// Writes buildPlanFile() to \p path: to a temporary name first, then renamed. Errors: as above, Io.
qwenrt::Status exportPlan(mlir::ModuleOp module, const graph::Graph &graph, const ExportOptions &options,
                          const std::string &path);

} // namespace qwenc
