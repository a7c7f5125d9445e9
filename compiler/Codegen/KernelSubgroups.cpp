//===- KernelSubgroups.cpp - What invocations of a kernel do together: reductions and matrices --------------------===//

#include "compiler/Codegen/KernelBuilderImpl.h"

using namespace mlir;

namespace qwenc {

//===------------------------------------------------------------------------------------------------------------===//
// Reductions
//===------------------------------------------------------------------------------------------------------------===//

namespace {
template <typename FloatOp, typename IntOp> Val subgroupReduce(KernelBuilder &k, Val x) {
  auto &s = k.impl();
  s.usesArithmetic = true;
  auto reduce = spirv::GroupOperation::Reduce;
  if (x.isFloat())
    return {&k, FloatOp::create(s.b, s.loc, s.f32, spirv::Scope::Subgroup, reduce, x.value, Value())};
  return {&k, IntOp::create(s.b, s.loc, s.u32, spirv::Scope::Subgroup, reduce, x.value, Value())};
}
} // namespace

Val KernelBuilder::subgroupAdd(Val x) {
  return subgroupReduce<spirv::GroupNonUniformFAddOp, spirv::GroupNonUniformIAddOp>(*this, x);
}
Val KernelBuilder::subgroupMax(Val x) {
  return subgroupReduce<spirv::GroupNonUniformFMaxOp, spirv::GroupNonUniformUMaxOp>(*this, x);
}

Val KernelBuilder::shuffleXor(Val x, uint32_t mask) {
  auto &s = *impl_;
  s.usesShuffle = true;
  return {this, spirv::GroupNonUniformShuffleXorOp::create(s.b, s.loc, x.value.getType(), spirv::Scope::Subgroup,
                                                           x.value, u32(mask).value)};
}

namespace {
/// Each subgroup leaves its value in shared memory; every invocation then combines them in the same order.
Val workgroupReduce(KernelBuilder &k, Val x, bool add) {
  auto &s = k.impl();
  Val own = add ? k.subgroupAdd(x) : k.subgroupMax(x);
  uint32_t smallest = k.target().subgroupSize ? k.target().subgroupSize : 4;
  uint32_t slots = (k.invocations() + smallest - 1) / smallest;
  if (!s.reduceScratch)
    s.reduceScratch = k.shared(Elem::F32, slots);
  Shared scratch = *s.reduceScratch;
  k.barrier();
  k.ifThen(k.lane() == 0, [&] { k.store(scratch, k.subgroupIndex(), {own}); });
  k.barrier();
  auto combine = [&](Val a, Val b) { return add ? a + b : k.max(a, b); };
  if (k.target().subgroupSize) {
    Val total = k.loadOne(scratch, k.u32(0));
    for (uint32_t i = 1; i < slots; ++i)
      total = combine(total, k.loadOne(scratch, k.u32(i)));
    return total;
  }
  return k.forLoop(
      k.u32(1), k.subgroupCount(), k.u32(1), {k.loadOne(scratch, k.u32(0))},
      [&](Val i, ArrayRef<Val> carried) -> Vals { return {combine(carried[0], k.loadOne(scratch, i))}; })[0];
}
} // namespace

Val KernelBuilder::workgroupAdd(Val x) { return workgroupReduce(*this, x, true); }
Val KernelBuilder::workgroupMax(Val x) { return workgroupReduce(*this, x, false); }

//===------------------------------------------------------------------------------------------------------------===//
// Cooperative matrices
//===------------------------------------------------------------------------------------------------------------===//

namespace {
spirv::CooperativeMatrixType matrixType(KernelBuilder &k, MatrixUse use, Elem elem) {
  auto &s = k.impl();
  s.usesBf16Matrices |= elem == Elem::BF16;
  s.usesF16Matrices |= elem == Elem::F16;
  Type type = elem == Elem::BF16 ? Type(s.b.getBF16Type()) : elem == Elem::F16 ? Type(s.b.getF16Type()) : s.f32;
  auto spirvUse = use == MatrixUse::A   ? spirv::CooperativeMatrixUseKHR::MatrixA
                  : use == MatrixUse::B ? spirv::CooperativeMatrixUseKHR::MatrixB
                                        : spirv::CooperativeMatrixUseKHR::MatrixAcc;
  return spirv::CooperativeMatrixType::get(type, 16, 16, spirv::Scope::Subgroup, spirvUse);
}
} // namespace

Value KernelBuilder::matrixZero() {
  auto &s = *impl_;
  auto type = matrixType(*this, MatrixUse::Accumulator, Elem::F32);
  return spirv::CompositeConstructOp::create(s.b, s.loc, type, ValueRange{f32(0).value});
}

Value KernelBuilder::matrixLoad(const Shared &array, Val access, uint32_t strideAccesses, MatrixUse use,
                                MatrixOrder order) {
  auto &s = *impl_;
  auto layout = order == MatrixOrder::Rows ? spirv::CooperativeMatrixLayoutKHR::RowMajor
                                           : spirv::CooperativeMatrixLayoutKHR::ColumnMajor;
  return spirv::KHRCooperativeMatrixLoadOp::create(s.b, s.loc, matrixType(*this, use, array.elem),
                                                   s.address(array, access.value), layout, s.constant(strideAccesses),
                                                   spirv::MemoryAccessAttr(), IntegerAttr());
}

Value KernelBuilder::matrixScale(Value a, Value b) { return spirv::FMulOp::create(impl_->b, impl_->loc, a, b); }

Value KernelBuilder::matrixMulAdd(Value a, Value b, Value c) {
  auto &s = *impl_;
  return spirv::KHRCooperativeMatrixMulAddOp::create(s.b, s.loc, c.getType(), a, b, c,
                                                     spirv::CooperativeMatrixOperandsKHRAttr());
}

void KernelBuilder::matrixStore(const Shared &array, Val access, uint32_t strideAccesses, Value matrix) {
  auto &s = *impl_;
  spirv::KHRCooperativeMatrixStoreOp::create(s.b, s.loc, s.address(array, access.value), matrix,
                                             spirv::CooperativeMatrixLayoutKHR::RowMajor, s.constant(strideAccesses),
                                             spirv::MemoryAccessAttr(), IntegerAttr());
}

} // namespace qwenc
