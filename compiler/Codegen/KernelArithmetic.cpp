//===- KernelArithmetic.cpp - Values, arithmetic and built-ins of kernels -----------------------------------------===//

#include "compiler/Codegen/KernelBuilderImpl.h"

using namespace mlir;

namespace qwenc {

bool Val::isFloat() const { return isa<FloatType>(value.getType()); }

Val KernelBuilder::u32(uint32_t number) { return {this, impl_->constant(number)}; }
Val KernelBuilder::f32(double number) {
  auto &s = *impl_;
  return {this, spirv::ConstantOp::create(s.b, s.loc, s.f32, s.b.getF32FloatAttr(static_cast<float>(number)))};
}
Val KernelBuilder::boolean(bool truth) {
  auto &s = *impl_;
  return {this, spirv::ConstantOp::create(s.b, s.loc, s.i1, s.b.getBoolAttr(truth))};
}
Val literalLike(Val like, double number) {
  return like.isFloat() ? like.k->f32(number) : like.k->u32(static_cast<uint32_t>(number));
}

namespace {
template <typename FloatOp, typename IntOp> Val arithmetic(Val a, Val b) {
  auto &s = a.k->impl();
  if (a.isFloat())
    return {a.k, FloatOp::create(s.b, s.loc, a.value, b.value)};
  return {a.k, IntOp::create(s.b, s.loc, a.value, b.value)};
}
template <typename FloatOp, typename IntOp> Val comparison(Val a, Val b) {
  auto &s = a.k->impl();
  if (a.isFloat())
    return {a.k, FloatOp::create(s.b, s.loc, s.i1, a.value, b.value)};
  return {a.k, IntOp::create(s.b, s.loc, s.i1, a.value, b.value)};
}
template <typename BitOp, typename LogicalOp> Val bitwise(Val a, Val b) {
  auto &s = a.k->impl();
  if (a.value.getType() == s.i1)
    return {a.k, LogicalOp::create(s.b, s.loc, a.value, b.value)};
  return {a.k, BitOp::create(s.b, s.loc, a.value, b.value)};
}
} // namespace

Val operator+(Val a, Val b) { return arithmetic<spirv::FAddOp, spirv::IAddOp>(a, b); }
Val operator-(Val a, Val b) { return arithmetic<spirv::FSubOp, spirv::ISubOp>(a, b); }
Val operator*(Val a, Val b) { return arithmetic<spirv::FMulOp, spirv::IMulOp>(a, b); }
Val operator/(Val a, Val b) { return arithmetic<spirv::FDivOp, spirv::UDivOp>(a, b); }
Val operator%(Val a, Val b) { return arithmetic<spirv::FModOp, spirv::UModOp>(a, b); }
Val operator&(Val a, Val b) { return bitwise<spirv::BitwiseAndOp, spirv::LogicalAndOp>(a, b); }
Val operator|(Val a, Val b) { return bitwise<spirv::BitwiseOrOp, spirv::LogicalOrOp>(a, b); }
Val operator^(Val a, Val b) { return bitwise<spirv::BitwiseXorOp, spirv::LogicalNotEqualOp>(a, b); }
Val operator<<(Val a, Val b) {
  auto &s = a.k->impl();
  return {a.k, spirv::ShiftLeftLogicalOp::create(s.b, s.loc, a.value.getType(), a.value, b.value)};
}
Val operator>>(Val a, Val b) {
  auto &s = a.k->impl();
  return {a.k, spirv::ShiftRightLogicalOp::create(s.b, s.loc, a.value.getType(), a.value, b.value)};
}
Val operator<(Val a, Val b) { return comparison<spirv::FOrdLessThanOp, spirv::ULessThanOp>(a, b); }
Val operator<=(Val a, Val b) { return comparison<spirv::FOrdLessThanEqualOp, spirv::ULessThanEqualOp>(a, b); }
Val operator>(Val a, Val b) { return comparison<spirv::FOrdGreaterThanOp, spirv::UGreaterThanOp>(a, b); }
Val operator>=(Val a, Val b) { return comparison<spirv::FOrdGreaterThanEqualOp, spirv::UGreaterThanEqualOp>(a, b); }
Val operator==(Val a, Val b) { return comparison<spirv::FOrdEqualOp, spirv::IEqualOp>(a, b); }
Val operator!=(Val a, Val b) { return comparison<spirv::FUnordNotEqualOp, spirv::INotEqualOp>(a, b); }
Val operator-(Val a) {
  auto &s = a.k->impl();
  return {a.k, spirv::FNegateOp::create(s.b, s.loc, a.value)};
}

#define QWENC_UNARY(method, OpType)                                                                                    \
  Val KernelBuilder::method(Val x) { return {this, spirv::OpType::create(impl_->b, impl_->loc, x.value)}; }
QWENC_UNARY(exp, GLExpOp)
QWENC_UNARY(inverseSqrt, GLInverseSqrtOp)
QWENC_UNARY(sqrt, GLSqrtOp)
QWENC_UNARY(floor, GLFloorOp)
QWENC_UNARY(logicalNot, LogicalNotOp)
#undef QWENC_UNARY

Val KernelBuilder::fma(Val a, Val b, Val c) {
  return {this, spirv::GLFmaOp::create(impl_->b, impl_->loc, impl_->f32, a.value, b.value, c.value)};
}
Val KernelBuilder::mulExact(Val a, Val b) {
  auto op = spirv::FMulOp::create(impl_->b, impl_->loc, a.value, b.value);
  op->setAttr("no_contraction", impl_->b.getUnitAttr());
  return {this, op};
}
Val KernelBuilder::addExact(Val a, Val b) {
  auto op = spirv::FAddOp::create(impl_->b, impl_->loc, a.value, b.value);
  op->setAttr("no_contraction", impl_->b.getUnitAttr());
  return {this, op};
}
Val KernelBuilder::max(Val a, Val b) { return arithmetic<spirv::GLFMaxOp, spirv::GLUMaxOp>(a, b); }
Val KernelBuilder::min(Val a, Val b) { return arithmetic<spirv::GLFMinOp, spirv::GLUMinOp>(a, b); }
Val KernelBuilder::select(Val condition, Val a, Val b) {
  return {this, spirv::SelectOp::create(impl_->b, impl_->loc, condition.value, a.value, b.value)};
}
Val KernelBuilder::bitcastToU32(Val x) {
  return {this, spirv::BitcastOp::create(impl_->b, impl_->loc, impl_->u32, x.value)};
}
Val KernelBuilder::bitcastToF32(Val x) {
  return {this, spirv::BitcastOp::create(impl_->b, impl_->loc, impl_->f32, x.value)};
}
Val KernelBuilder::toF32(Val x) {
  return {this, spirv::ConvertUToFOp::create(impl_->b, impl_->loc, impl_->f32, x.value)};
}
Val KernelBuilder::toU32(Val x) {
  return {this, spirv::ConvertFToUOp::create(impl_->b, impl_->loc, impl_->u32, x.value)};
}
Val KernelBuilder::lookup(ArrayRef<float> table, Val index) {
  if (table.size() == 1)
    return f32(table[0]);
  // A balanced tree of selections by the bits of the index, from the highest.
  size_t half = llvm::PowerOf2Ceil(table.size()) / 2;
  Val low = lookup(table.take_front(half), index);
  Val high = lookup(table.drop_front(half), index);
  return select((index & static_cast<uint32_t>(half)) != 0, high, low);
}
Val KernelBuilder::dot(ArrayRef<Val> a, ArrayRef<Val> b, Val accumulator) {
  for (auto [x, y] : llvm::zip_equal(a, b))
    accumulator = fma(x, y, accumulator);
  return accumulator;
}

//===------------------------------------------------------------------------------------------------------------===//
// Built-ins
//===------------------------------------------------------------------------------------------------------------===//

Val KernelBuilder::workgroupId(unsigned dim) {
  auto &s = *impl_;
  static const char *keys[3] = {"workgroup_id_0", "workgroup_id_1", "workgroup_id_2"};
  Value id = s.atTop("WorkgroupId", [&] { return s.builtin("WorkgroupId", VectorType::get({3}, s.u32)); });
  return {this, s.atTop(keys[dim], [&]() -> Value {
            return spirv::CompositeExtractOp::create(s.b, s.loc, id, static_cast<int32_t>(dim));
          })};
}
Val KernelBuilder::localIndex() {
  auto &s = *impl_;
  return {this, s.atTop("LocalInvocationIndex", [&] { return s.builtin("LocalInvocationIndex", s.u32); })};
}
Val KernelBuilder::subgroupIndex() {
  auto &s = *impl_;
  return {this, s.atTop("SubgroupId", [&] { return s.builtin("SubgroupId", s.u32); })};
}
Val KernelBuilder::lane() {
  auto &s = *impl_;
  return {this, s.atTop("SubgroupLocalInvocationId", [&] { return s.builtin("SubgroupLocalInvocationId", s.u32); })};
}
Val KernelBuilder::subgroupSize() {
  auto &s = *impl_;
  if (target_.subgroupSize)
    return u32(target_.subgroupSize);
  return {this, s.atTop("SubgroupSize", [&] { return s.builtin("SubgroupSize", s.u32); })};
}
Val KernelBuilder::subgroupCount() {
  auto &s = *impl_;
  if (target_.subgroupSize)
    return u32(invocations() / target_.subgroupSize);
  return {this, s.atTop("NumSubgroups", [&] { return s.builtin("NumSubgroups", s.u32); })};
}
uint32_t KernelBuilder::invocations() const { return impl_->workgroup[0] * impl_->workgroup[1] * impl_->workgroup[2]; }

} // namespace qwenc
