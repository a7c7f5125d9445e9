//===- KernelControlFlow.cpp - Loops and selections of kernels ----------------------------------------------------===//

#include "compiler/Codegen/KernelBuilderImpl.h"

using namespace mlir;

namespace qwenc {

namespace {
SmallVector<Value> valuesOf(ArrayRef<Val> vals) {
  SmallVector<Value> values;
  for (Val v : vals)
    values.push_back(v.value);
  return values;
}
Vals valsOf(KernelBuilder *k, ValueRange values) {
  Vals vals;
  for (Value v : values)
    vals.push_back({k, v});
  return vals;
}

spirv::LoopControl loopControl(const TargetProfile &target) {
  return target.dontUnrollLoops ? spirv::LoopControl::DontUnroll : spirv::LoopControl::None;
}

/// A structured loop that carries values beside its counter: its blocks, in order.
struct LoopBlocks {
  LoopBlocks(KernelBuilder &k, ValueRange init);

  spirv::LoopOp loop;
  Block *entry, *header, *body, *again, *merge;
};

LoopBlocks::LoopBlocks(KernelBuilder &k, ValueRange init) {
  auto &s = k.impl();
  OpBuilder &b = s.b;
  OperationState state(s.loc, spirv::LoopOp::getOperationName());
  state.addTypes(init.getTypes());
  state.addAttribute("loop_control", spirv::LoopControlAttr::get(b.getContext(), loopControl(k.target())));
  state.addRegion();
  loop = cast<spirv::LoopOp>(b.create(state));
  OpBuilder::InsertionGuard guard(b);
  Region &region = loop.getBody();
  SmallVector<Type> types{s.u32};
  types.append(init.getTypes().begin(), init.getTypes().end());
  SmallVector<Location> locs(types.size(), s.loc);
  entry = b.createBlock(&region);
  header = b.createBlock(&region, region.end(), types, locs);
  body = b.createBlock(&region, region.end());
  // The serializer resolves a value that the header receives over the back edge only if it is not the result of an
  // inner loop or selection; arguments of the continue block are, whatever they stand for.
  again = b.createBlock(&region, region.end(), init.getTypes(), ArrayRef(locs).drop_front());
  merge = b.createBlock(&region, region.end());
}

/// A counted loop over raw values; `body` returns the values carried to the next turn.
SmallVector<Value> buildLoop(KernelBuilder &k, Val lower, Val upper, Val step, ValueRange init,
                             llvm::function_ref<SmallVector<Value>(Value i, ValueRange carried)> body) {
  auto &s = k.impl();
  OpBuilder &b = s.b;
  LoopBlocks blocks(k, init);
  OpBuilder::InsertionGuard guard(b);
  auto branch = [&](Block *to, Value counter, ValueRange values) {
    SmallVector<Value> operands{counter};
    operands.append(values.begin(), values.end());
    spirv::BranchOp::create(b, s.loc, to, operands);
  };
  b.setInsertionPointToEnd(blocks.entry);
  branch(blocks.header, lower.value, init);

  b.setInsertionPointToEnd(blocks.header);
  Value i = blocks.header->getArgument(0);
  ValueRange carried = blocks.header->getArguments().drop_front();
  Value more = spirv::ULessThanOp::create(b, s.loc, s.i1, i, upper.value);
  spirv::BranchConditionalOp::create(b, s.loc, more, blocks.body, ValueRange(), blocks.merge, ValueRange());

  b.setInsertionPointToEnd(blocks.body);
  spirv::BranchOp::create(b, s.loc, blocks.again, body(i, carried));

  b.setInsertionPointToEnd(blocks.again);
  branch(blocks.header, spirv::IAddOp::create(b, s.loc, i, step.value), blocks.again->getArguments());

  b.setInsertionPointToEnd(blocks.merge);
  spirv::MergeOp::create(b, s.loc, carried);
  return SmallVector<Value>(blocks.loop.getResults());
}
} // namespace

Vals KernelBuilder::forLoop(Val lower, Val upper, Val step, ArrayRef<Val> init, LoopBody body) {
  auto results = buildLoop(*this, lower, upper, step, valuesOf(init), [&](Value i, ValueRange carried) {
    return valuesOf(body({this, i}, valsOf(this, carried)));
  });
  return valsOf(this, results);
}

void KernelBuilder::forLoop(Val lower, Val upper, Val step, llvm::function_ref<void(Val)> body) {
  buildLoop(*this, lower, upper, step, {}, [&](Value i, ValueRange) {
    body({this, i});
    return SmallVector<Value>();
  });
}

void KernelBuilder::forLoopMatrices(Val lower, Val upper, Val step, SmallVectorImpl<Value> &carried,
                                    llvm::function_ref<void(Val, SmallVectorImpl<Value> &)> body) {
  auto results = buildLoop(*this, lower, upper, step, carried, [&](Value i, ValueRange in) {
    SmallVector<Value> values(in);
    body({this, i}, values);
    return values;
  });
  carried.assign(results.begin(), results.end());
}

/// A selection whose results are the arguments of the last block of \p region, which becomes its body.
static spirv::SelectionOp createSelection(OpBuilder &b, Location loc, Region &region) {
  OperationState state(loc, spirv::SelectionOp::getOperationName());
  state.addTypes(region.back().getArgumentTypes());
  state.addAttribute("selection_control",
                     spirv::SelectionControlAttr::get(b.getContext(), spirv::SelectionControl::None));
  state.addRegion();
  auto selection = cast<spirv::SelectionOp>(b.create(state));
  selection.getBody().takeBody(region);
  return selection;
}

Vals KernelBuilder::ifElse(Val condition, llvm::function_ref<Vals()> thenBody, llvm::function_ref<Vals()> elseBody) {
  auto &s = *impl_;
  OpBuilder &b = s.b;
  // The result types are known only after the branches are built, so the branches are built in a detached region first.
  Region region;
  Block *header = new Block(), *merge = new Block();
  region.push_back(header);
  auto buildBranch = [&](llvm::function_ref<Vals()> body) {
    OpBuilder::InsertionGuard guard(b);
    Block *block = b.createBlock(&region, region.end());
    spirv::BranchOp::create(b, s.loc, merge, valuesOf(body()));
    return block;
  };
  Block *thenBlock = buildBranch(thenBody), *elseBlock = buildBranch(elseBody);
  region.push_back(merge);
  for (Value value : thenBlock->getTerminator()->getOperands())
    merge->addArgument(value.getType(), s.loc);
  spirv::SelectionOp selection = createSelection(b, s.loc, region);

  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToEnd(header);
  spirv::BranchConditionalOp::create(b, s.loc, condition.value, thenBlock, ValueRange(), elseBlock, ValueRange());
  b.setInsertionPointToEnd(merge);
  spirv::MergeOp::create(b, s.loc, merge->getArguments());
  return valsOf(this, selection.getResults());
}

void KernelBuilder::ifThen(Val condition, llvm::function_ref<void()> body) {
  auto &s = *impl_;
  OpBuilder &b = s.b;
  auto selection = spirv::SelectionOp::create(b, s.loc, spirv::SelectionControl::None);
  OpBuilder::InsertionGuard guard(b);
  Block *header = b.createBlock(&selection.getBody());
  Block *thenBlock = b.createBlock(&selection.getBody(), selection.getBody().end());
  Block *merge = b.createBlock(&selection.getBody(), selection.getBody().end());
  spirv::MergeOp::create(b, s.loc, ValueRange());
  b.setInsertionPointToEnd(thenBlock);
  body();
  spirv::BranchOp::create(b, s.loc, merge);
  b.setInsertionPointToEnd(header);
  spirv::BranchConditionalOp::create(b, s.loc, condition.value, thenBlock, ValueRange(), merge, ValueRange());
}

} // namespace qwenc
