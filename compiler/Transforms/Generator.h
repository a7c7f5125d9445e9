//===- Generator.h - The two functions of a text generator -------------------------------------------------------===//
#pragma once

#include "dialects/qwen/QwenOps.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::qwen {

/// Both are null in a module of encoders alone.
struct Generator {
  func::FuncOp decoder; ///< ids [S], and what has a binding -> hidden rows [S, H]
  func::FuncOp head;    ///< hidden rows [S, H] -> logits [S, V]
};

/// The functions that the module's attributes name. Emits an error when one is missing or they do not fit together.
FailureOr<Generator> findGenerator(ModuleOp module);

/// The two decoders that make codes of speech: inputs [S, H] -> hidden rows [S, H].
struct Speech {
  func::FuncOp decoder;          ///< the talker's, whose second argument has the binding "positions"
  func::FuncOp head;             ///< hidden rows [R, H] -> logits [R, V] and the normalised rows [R, H]
  func::FuncOp predictorDecoder; ///< of one argument
  func::FuncOp predictorHead;    ///< hidden rows [R, H] and steps [R, 1] -> logits [R, V]
  SmallVector<ParameterOp> tables;
  DenseI64ArrayAttr suppress;

  explicit operator bool() const { return decoder != nullptr; }
  bool has(func::FuncOp function) const {
    return function && (function == decoder || function == head || isPredictor(function));
  }
  bool isPredictor(func::FuncOp function) const {
    return function && (function == predictorDecoder || function == predictorHead);
  }
};

/// What the module's attribute names; all null without it. Emits an error when something is missing or does not fit.
FailureOr<Speech> findSpeech(ModuleOp module);

} // namespace mlir::qwen
