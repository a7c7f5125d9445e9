//===- QwenOps.h - Operations of the qwen dialect ----------------------------------------------------------------===//
#pragma once

#include "dialects/qwen/QwenDialect.h"

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#define GET_OP_CLASSES
#include "dialects/qwen/QwenOps.h.inc"
