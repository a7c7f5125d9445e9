//===- Import.h - model.json to the qwen dialect -----------------------------------------------------------------===//
//
// The only code that turns a graph document into IR. It rewrites nothing: one operation of the document is one
// operation of the dialect, and its location is the name of the value it defines, so that a message or a trace can name
// the layer.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "models/Graph/Graph.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace qwenc {

/// The module of a verified graph: parameters, states, functions, and the names of decoder and head. Behind each value
/// whose name matches one of the globs \p expose (`layers.*.output`) stands a qwen.expose; caches and positions, which
/// no kernel computes, never match. Errors: InvalidUsage for a glob that is none or matches nothing. Errors:
/// InvalidInput when the document says something that the dialect cannot (weights that are not bf16, symbols behind the
/// first dimension, one name for two things, ...).
qwenrt::Result<mlir::OwningOpRef<mlir::ModuleOp>> importGraph(const graph::Graph &graph, mlir::MLIRContext &context,
                                                              llvm::ArrayRef<std::string> expose = {});

} // namespace qwenc
