//===- KernelBuilderImpl.h - State of one kernel under construction ------------------------------------*- C++ -*-===//
//
// What the files of KernelBuilder share: KernelArithmetic.cpp, KernelMemory.cpp, KernelControlFlow.cpp and
// KernelSubgroups.cpp write its operations, KernelBuilder.cpp begins and ends the kernel.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "compiler/Codegen/KernelBuilder.h"

#include "mlir/Dialect/SPIRV/IR/SPIRVOps.h"
#include "mlir/Dialect/SPIRV/IR/SPIRVTypes.h"

#include <map>

namespace qwenc {

struct KernelBuilder::Impl {
  Impl(mlir::MLIRContext *context, mlir::Location loc, std::string name, std::array<uint32_t, 3> workgroup);

  /// Type of one memory access of `bytes` bytes: scalars of 2 or 4, vectors of u32 of 8 or 16.
  mlir::Type accessType(unsigned bytes);
  /// Address of access number `index` (each of `bytes` bytes) of an operand.
  mlir::Value address(Buffer buffer, unsigned bytes, mlir::Value index);
  mlir::Value operandAddress(Buffer buffer);
  /// Address of access number `index` of an array in workgroup memory.
  mlir::Value address(const Shared &array, mlir::Value index);
  /// One 64-bit member per operand; exists from the first access on, so every operand is declared before.
  mlir::spirv::GlobalVariableOp pushConstants();
  mlir::spirv::GlobalVariableOp global(mlir::Type type, const llvm::Twine &name, const char *builtin);
  mlir::Value builtin(const char *name, mlir::Type type);
  mlir::Value constant(uint32_t number) {
    return mlir::spirv::ConstantOp::create(b, loc, u32, b.getI32IntegerAttr(number));
  }

  /// Kernel-wide values (built-ins) are loaded once, at the top of the function, so that they dominate every use.
  template <typename Make> mlir::Value atTop(const std::string &key, Make make) {
    auto found = topValues.find(key);
    if (found != topValues.end())
      return found->second;
    mlir::OpBuilder::InsertionGuard guard(b);
    if (lastTop)
      b.setInsertionPointAfter(lastTop);
    else
      b.setInsertionPointToStart(entryBlock);
    mlir::Value value = make();
    lastTop = value.getDefiningOp();
    topValues[key] = value;
    return value;
  }

  /// How a pipeline enters the function.
  void declareEntryPoint();
  /// What the module asks of a device: capabilities, extensions and addressing.
  void declareRequirements();
  /// Names of the features of a device beyond the minimum, as a plan has them.
  llvm::SmallVector<mlir::Attribute> features();

  std::string name;
  std::array<uint32_t, 3> workgroup;
  mlir::Location loc;
  mlir::OpBuilder b;             // inside the function
  mlir::OpBuilder moduleBuilder; // global variables, in front of the function
  mlir::OwningOpRef<mlir::spirv::ModuleOp> module;
  mlir::spirv::FuncOp function;
  mlir::Block *entryBlock = nullptr;
  mlir::Operation *lastTop = nullptr;
  mlir::Type f32, u32, u64, u16, i1;
  mlir::spirv::GlobalVariableOp pushVariable;
  llvm::SmallVector<mlir::spirv::GlobalVariableOp> globals;
  std::map<std::string, mlir::spirv::GlobalVariableOp> builtins;
  std::map<std::string, mlir::Value> topValues;
  std::optional<Shared> reduceScratch;
  uint32_t sharedBytes = 0;
  bool usesHalfStorage = false, usesShuffle = false, usesArithmetic = false;
  bool usesBf16Matrices = false, usesF16Matrices = false;
  llvm::SmallVector<std::string> operandNames;
  llvm::SmallVector<mlir::plan::Access> operandAccess;
  llvm::SmallVector<int64_t> operandBytes;
};

} // namespace qwenc
