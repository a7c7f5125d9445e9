//===- ElementwiseTree.h - Maximal trees of elementwise operations -----------------------------------------------===//
//
// Shared by the fusions that turn silu, mul and add on tensors into a scalar body: epilogues and elementwise steps.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "dialects/qwen/QwenOps.h"

#include "mlir/IR/Block.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

namespace mlir::qwen {

/// Elementwise operations of one type and block whose intermediate results nothing outside reads.
struct ElementwiseTree {
  Operation *root = nullptr;
  SmallVector<Operation *> ops; ///< in block order, the root last
  SetVector<Value> leaves;      ///< inputs of the tree, in order of first use

  RankedTensorType getType() const { return cast<RankedTensorType>(root->getResult(0).getType()); }
  /// Whether nothing but the tree reads \p value.
  bool isOnlyReaderOf(Value value) const;
};

bool isElementwise(Operation *op);

/// All maximal trees of \p block, in block order of their roots. A tree has at most \p maxLeaves inputs and maxTreeOps
/// operations, so that the kernel it becomes stays within the limits of every target.
SmallVector<ElementwiseTree> collectElementwiseTrees(Block &block, size_t maxLeaves);

/// Inputs a body takes at most: operand addresses of a kernel lie in 128 bytes of push constants.
inline constexpr size_t maxBodyInputs = 6;
inline constexpr size_t maxTreeOps = 64;

/// Writes the scalar form of the tree at the builder's insertion point; \p elements maps each leaf to its element.
/// Returns the element of the root.
Value buildScalarTree(OpBuilder &builder, const ElementwiseTree &tree, IRMapping &elements);

/// Fills the empty \p region with a block of \p count f32 arguments that yields what \p build returns for them.
void buildBody(OpBuilder &builder, Location loc, Region &region, size_t count,
               function_ref<Value(OpBuilder &, Block &)> build);

/// Erases the tree's operations after the root's result was replaced.
void eraseTree(const ElementwiseTree &tree);

} // namespace mlir::qwen
