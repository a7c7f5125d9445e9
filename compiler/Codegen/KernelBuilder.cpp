//===- KernelBuilder.cpp - Writing compute kernels as their loop nest -------------------------------------------===//

#include "compiler/Codegen/KernelBuilder.h"

#include "mlir/Dialect/SPIRV/IR/SPIRVOps.h"
#include "mlir/Dialect/SPIRV/IR/SPIRVTypes.h"

#include <map>

using namespace mlir;

namespace qwenc {

unsigned elemBytes(Elem elem) { return elem == Elem::F32 || elem == Elem::U32 ? 4 : 2; }

//===------------------------------------------------------------------------------------------------------------===//
// State of one kernel
//===------------------------------------------------------------------------------------------------------------===//

struct KernelBuilder::Impl {
  Impl(MLIRContext *context, Location loc, std::string name, std::array<uint32_t, 3> workgroup)
      : name(std::move(name)), workgroup(workgroup), loc(loc), b(context), moduleBuilder(context) {
    f32 = b.getF32Type();
    u32 = b.getI32Type();
    u64 = b.getI64Type();
    u16 = b.getI16Type();
    i1 = b.getI1Type();
    module = spirv::ModuleOp::create(b, loc, StringRef(this->name));
    moduleBuilder.setInsertionPointToStart(module->getBody());
  }

  /// Type of one memory access of `bytes` bytes: scalars of 2 or 4, vectors of u32 of 8 or 16.
  Type accessType(unsigned bytes) {
    switch (bytes) {
    case 2:
      return u16;
    case 4:
      return u32;
    default:
      return VectorType::get({bytes / 4}, u32);
    }
  }

  /// Address of access number `index` (each of `bytes` bytes) of an operand.
  Value address(Buffer buffer, unsigned bytes, Value index) {
    std::string key = "operand_" + std::to_string(buffer.index) + "_" + std::to_string(bytes);
    Value base = atTop(key + (buffer.coherent ? "_coherent" : ""), [&]() -> Value {
      auto array = spirv::RuntimeArrayType::get(accessType(bytes), bytes);
      SmallVector<spirv::StructType::MemberDecorationInfo> decorations;
      if (buffer.coherent)
        decorations.emplace_back(0, spirv::Decoration::Coherent, b.getUnitAttr());
      auto record = spirv::StructType::get({array}, {0}, decorations);
      auto pointerType = spirv::PointerType::get(record, spirv::StorageClass::PhysicalStorageBuffer);
      return spirv::ConvertUToPtrOp::create(b, loc, pointerType, operandAddress(buffer));
    });
    return spirv::AccessChainOp::create(b, loc, base, ValueRange{constant(0), index});
  }

  Value operandAddress(Buffer buffer) {
    Value pushed = spirv::AddressOfOp::create(b, loc, pushConstants());
    Value pointer = spirv::AccessChainOp::create(b, loc, pushed, ValueRange{constant(buffer.index)});
    return spirv::LoadOp::create(b, loc, pointer);
  }

  /// One 64-bit member per operand; exists from the first access on, so every operand is declared before.
  spirv::GlobalVariableOp pushConstants() {
    if (!pushVariable) {
      SmallVector<Type> members(operandNames.size(), u64);
      SmallVector<spirv::StructType::OffsetInfo> offsets;
      for (unsigned i = 0; i < members.size(); ++i)
        offsets.push_back(i * 8);
      auto type = spirv::PointerType::get(spirv::StructType::get(members, offsets), spirv::StorageClass::PushConstant);
      pushVariable = global(type, "operands", nullptr);
    }
    return pushVariable;
  }

  spirv::GlobalVariableOp global(Type type, const Twine &name, const char *builtin) {
    auto variable = spirv::GlobalVariableOp::create(moduleBuilder, loc, TypeAttr::get(type),
                                                    moduleBuilder.getStringAttr(name), FlatSymbolRefAttr());
    if (builtin)
      variable->setAttr("built_in", moduleBuilder.getStringAttr(builtin));
    globals.push_back(variable);
    return variable;
  }

  Value builtin(const char *name, Type type) {
    spirv::GlobalVariableOp &variable = builtins[name];
    if (!variable)
      variable = global(spirv::PointerType::get(type, spirv::StorageClass::Input), Twine("builtin_") + name, name);
    return spirv::LoadOp::create(b, loc, spirv::AddressOfOp::create(b, loc, variable));
  }

  Value constant(uint32_t number) { return spirv::ConstantOp::create(b, loc, u32, b.getI32IntegerAttr(number)); }

  /// Kernel-wide values (built-ins) are loaded once, at the top of the function, so that they dominate every use.
  template <typename Make> Value atTop(const std::string &key, Make make) {
    auto found = topValues.find(key);
    if (found != topValues.end())
      return found->second;
    OpBuilder::InsertionGuard guard(b);
    if (lastTop)
      b.setInsertionPointAfter(lastTop);
    else
      b.setInsertionPointToStart(entryBlock);
    Value value = make();
    lastTop = value.getDefiningOp();
    topValues[key] = value;
    return value;
  }

  std::string name;
  std::array<uint32_t, 3> workgroup;
  Location loc;
  OpBuilder b;             // inside the function
  OpBuilder moduleBuilder; // global variables, in front of the function
  OwningOpRef<spirv::ModuleOp> module;
  spirv::FuncOp function;
  Block *entryBlock = nullptr;
  Operation *lastTop = nullptr;
  Type f32, u32, u64, u16, i1;
  spirv::GlobalVariableOp pushVariable;
  SmallVector<spirv::GlobalVariableOp> globals;
  std::map<std::string, spirv::GlobalVariableOp> builtins;
  std::map<std::string, Value> topValues;
  std::optional<Shared> reduceScratch;
  uint32_t sharedBytes = 0;
  bool usesHalfStorage = false, usesShuffle = false, usesArithmetic = false;
  bool usesBf16Matrices = false, usesF16Matrices = false;
  SmallVector<std::string> operandNames;
  SmallVector<plan::Access> operandAccess;
  SmallVector<int64_t> operandBytes;
};

KernelBuilder::KernelBuilder(MLIRContext *context, Location loc, std::string name, std::array<uint32_t, 3> workgroup,
                             const TargetProfile &target)
    : impl_(std::make_unique<Impl>(context, loc, std::move(name), workgroup)), target_(target) {
  auto &s = *impl_;
  auto type = FunctionType::get(context, {}, {});
  OpBuilder atEnd(context);
  atEnd.setInsertionPointToEnd(s.module->getBody());
  s.function = spirv::FuncOp::create(atEnd, loc, s.name, type);
  s.moduleBuilder.setInsertionPoint(s.function);
  s.entryBlock = s.function.addEntryBlock();
  s.b.setInsertionPointToStart(s.entryBlock);
}

KernelBuilder::~KernelBuilder() = default;

Buffer KernelBuilder::operand(llvm::StringRef name, plan::Access access, uint64_t bytes) {
  auto &s = *impl_;
  assert(!s.pushVariable && "operands are declared before the first access");
  s.operandNames.push_back(name.str());
  s.operandAccess.push_back(access);
  s.operandBytes.push_back(bytes);
  return {static_cast<unsigned>(s.operandNames.size() - 1)};
}

//===------------------------------------------------------------------------------------------------------------===//
// Values and arithmetic
//===------------------------------------------------------------------------------------------------------------===//

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

//===------------------------------------------------------------------------------------------------------------===//
// Device memory
//===------------------------------------------------------------------------------------------------------------===//

namespace {
IntegerAttr alignment(OpBuilder &b, unsigned bytes) { return b.getI32IntegerAttr(bytes); }
spirv::MemoryAccessAttr aligned(OpBuilder &b) {
  return spirv::MemoryAccessAttr::get(b.getContext(), spirv::MemoryAccess::Aligned);
}
/// The u32 words of an access value.
SmallVector<Value> wordsOf(OpBuilder &b, Location loc, Value access) {
  auto vector = dyn_cast<VectorType>(access.getType());
  if (!vector)
    return {access};
  SmallVector<Value> words;
  for (int i = 0; i < vector.getNumElements(); ++i)
    words.push_back(spirv::CompositeExtractOp::create(b, loc, access, static_cast<int32_t>(i)));
  return words;
}
/// Low and high half of a word holding two 16-bit floats, as f32.
void unpackWord(KernelBuilder &k, Elem elem, Val word, Vals &out) {
  if (elem == Elem::BF16) {
    out.push_back(k.bitcastToF32(word << 16));
    out.push_back(k.bitcastToF32(word & 0xffff0000u));
    return;
  }
  auto &s = k.impl();
  Value pair = spirv::GLUnpackHalf2x16Op::create(s.b, s.loc, VectorType::get({2}, s.f32), word.value);
  for (int i = 0; i < 2; ++i)
    out.push_back({&k, spirv::CompositeExtractOp::create(s.b, s.loc, pair, static_cast<int32_t>(i))});
}
/// f32 -> bf16 bits in the upper half, rounded to nearest even.
Val roundToBf16(KernelBuilder &k, Val x) {
  Val bits = k.bitcastToU32(x);
  return (bits + ((bits >> 16) & 1) + 0x7fffu) & 0xffff0000u;
}
Val packWord(KernelBuilder &k, Elem elem, Val low, Val high) {
  if (elem == Elem::BF16)
    return (roundToBf16(k, low) >> 16) | roundToBf16(k, high);
  auto &s = k.impl();
  Value pair =
      spirv::CompositeConstructOp::create(s.b, s.loc, VectorType::get({2}, s.f32), ValueRange{low.value, high.value});
  return {&k, spirv::GLPackHalf2x16Op::create(s.b, s.loc, s.u32, pair)};
}
} // namespace

namespace {
/// Access number `access` of `bytes` bytes each.
Value loadAccess(KernelBuilder &k, Buffer buffer, unsigned bytes, Val access) {
  auto &s = k.impl();
  s.usesHalfStorage |= bytes == 2;
  return spirv::LoadOp::create(s.b, s.loc, s.address(buffer, bytes, access.value), aligned(s.b), alignment(s.b, bytes));
}
void storeAccess(KernelBuilder &k, Buffer buffer, unsigned bytes, Val access, Value raw) {
  auto &s = k.impl();
  s.usesHalfStorage |= bytes == 2;
  spirv::StoreOp::create(s.b, s.loc, s.address(buffer, bytes, access.value), raw, aligned(s.b), alignment(s.b, bytes));
}
Val accessOf(Val index, unsigned count) { return count == 1 ? index : index / count; }
} // namespace

Value KernelBuilder::loadRaw(Buffer buffer, Elem elem, Val index, unsigned count) {
  return loadAccess(*this, buffer, count * elemBytes(elem), accessOf(index, count));
}
void KernelBuilder::storeRaw(Buffer buffer, Elem elem, Val index, unsigned count, Value raw) {
  storeAccess(*this, buffer, count * elemBytes(elem), accessOf(index, count), raw);
}

Vals KernelBuilder::widen(Elem elem, Value raw) {
  auto &s = *impl_;
  Vals result;
  if (raw.getType() == s.u16) {
    unpackWord(*this, elem, {this, spirv::UConvertOp::create(s.b, s.loc, s.u32, raw)}, result);
    result.pop_back();
    return result;
  }
  for (Value word : wordsOf(s.b, s.loc, raw)) {
    if (elem == Elem::U32)
      result.push_back({this, word});
    else if (elem == Elem::F32)
      result.push_back(bitcastToF32({this, word}));
    else
      unpackWord(*this, elem, {this, word}, result);
  }
  return result;
}

Value KernelBuilder::pack(Elem elem, ArrayRef<Val> values) {
  auto &s = *impl_;
  SmallVector<Value> words;
  if (elemBytes(elem) == 4)
    for (Val v : values)
      words.push_back(v.isFloat() ? bitcastToU32(v).value : v.value);
  else if (values.size() == 1)
    return spirv::UConvertOp::create(s.b, s.loc, s.u16, packWord(*this, elem, values[0], f32(0)).value);
  else
    for (unsigned i = 0; i < values.size(); i += 2)
      words.push_back(packWord(*this, elem, values[i], values[i + 1]).value);
  if (words.size() == 1)
    return words[0];
  return spirv::CompositeConstructOp::create(s.b, s.loc, s.accessType(words.size() * 4), words);
}

Value KernelBuilder::selectRaw(Val condition, Value a, Value b) {
  auto &s = *impl_;
  SmallVector<Value> words;
  for (auto [x, y] : llvm::zip_equal(wordsOf(s.b, s.loc, a), wordsOf(s.b, s.loc, b)))
    words.push_back(select(condition, {this, x}, {this, y}).value);
  return words.size() == 1 ? words[0] : spirv::CompositeConstructOp::create(s.b, s.loc, a.getType(), words).getResult();
}

Vals KernelBuilder::load(Buffer buffer, Elem elem, Val index, unsigned count) {
  unsigned perAccess = std::min<unsigned>(count, 16 / elemBytes(elem));
  Val access = accessOf(index, perAccess);
  Vals result;
  for (unsigned part = 0; part < count / perAccess; ++part)
    result.append(widen(elem, loadAccess(*this, buffer, perAccess * elemBytes(elem), part ? access + part : access)));
  return result;
}

Val KernelBuilder::load(Buffer buffer, Elem elem, Val index) { return load(buffer, elem, index, 1).front(); }

void KernelBuilder::store(Buffer buffer, Elem elem, Val index, ArrayRef<Val> values) {
  unsigned perAccess = std::min<unsigned>(values.size(), 16 / elemBytes(elem));
  Val access = accessOf(index, perAccess);
  for (unsigned part = 0; part < values.size() / perAccess; ++part)
    storeAccess(*this, buffer, perAccess * elemBytes(elem), part ? access + part : access,
                pack(elem, values.slice(part * perAccess, perAccess)));
}

Value KernelBuilder::loadRaw16(Buffer buffer, Val vectorIndex) { return loadAccess(*this, buffer, 16, vectorIndex); }

Value KernelBuilder::zeroUnless16(Val condition, Value raw) {
  SmallVector<Value> words;
  for (Value word : wordsOf(impl_->b, impl_->loc, raw))
    words.push_back(select(condition, {this, word}, u32(0)).value);
  return spirv::CompositeConstructOp::create(impl_->b, impl_->loc, raw.getType(), words);
}

Vals KernelBuilder::wordsOf16(Value raw) {
  Vals words;
  for (Value word : wordsOf(impl_->b, impl_->loc, raw))
    words.push_back({this, word});
  return words;
}

Vals KernelBuilder::widenBf16x8(Value raw) { return widen(Elem::BF16, raw); }

//===------------------------------------------------------------------------------------------------------------===//
// Workgroup memory
//===------------------------------------------------------------------------------------------------------------===//

Shared KernelBuilder::shared(Elem elem, uint32_t count, unsigned width) {
  auto &s = *impl_;
  Type access = elem == Elem::F32 ? s.f32 : elem == Elem::U32 ? s.u32 : Type(s.u32);
  if (elemBytes(elem) == 2)
    access = VectorType::get({4}, s.u32); // eight elements
  else if (width > 1)
    access = VectorType::get({width}, access);
  auto type = spirv::PointerType::get(spirv::ArrayType::get(access, count), spirv::StorageClass::Workgroup);
  auto variable = s.global(type, "shared_" + Twine(s.globals.size()), nullptr);
  s.sharedBytes += count * width * elemBytes(elem);
  return {variable, elem, width, count};
}

namespace {
Value sharedPointer(KernelBuilder &k, const Shared &array, Val access) {
  auto &s = k.impl();
  Value base = spirv::AddressOfOp::create(s.b, s.loc, cast<spirv::GlobalVariableOp>(array.variable));
  return spirv::AccessChainOp::create(s.b, s.loc, base, ValueRange{access.value});
}
} // namespace

Vals KernelBuilder::load(const Shared &array, Val access) {
  auto &s = *impl_;
  Value loaded = spirv::LoadOp::create(s.b, s.loc, sharedPointer(*this, array, access));
  Vals result;
  for (Value v : wordsOf(s.b, s.loc, loaded)) {
    Val word(this, v);
    result.push_back(array.elem == Elem::F32 && !word.isFloat() ? bitcastToF32(word) : word);
  }
  return result;
}
Val KernelBuilder::loadOne(const Shared &array, Val access) { return load(array, access).front(); }

void KernelBuilder::store(const Shared &array, Val access, ArrayRef<Val> values) {
  auto &s = *impl_;
  Value pointer = sharedPointer(*this, array, access);
  auto vector = dyn_cast<VectorType>(cast<spirv::PointerType>(pointer.getType()).getPointeeType());
  SmallVector<Value> parts;
  if (elemBytes(array.elem) == 2)
    for (unsigned i = 0; i < 8; i += 2)
      parts.push_back(packWord(*this, array.elem, values[i], values[i + 1]).value);
  else
    for (Val v : values)
      parts.push_back(vector && vector.getElementType() == s.u32 && v.isFloat() ? bitcastToU32(v).value : v.value);
  Value stored = vector ? spirv::CompositeConstructOp::create(s.b, s.loc, vector, parts).getResult() : parts[0];
  spirv::StoreOp::create(s.b, s.loc, pointer, stored);
}

void KernelBuilder::storeRaw16(const Shared &array, Val access, Value raw) {
  spirv::StoreOp::create(impl_->b, impl_->loc, sharedPointer(*this, array, access), raw);
}

Val KernelBuilder::atomicAdd(const Shared &array, Val access, Val value) {
  auto &s = *impl_;
  return {this, spirv::AtomicIAddOp::create(s.b, s.loc, s.u32, sharedPointer(*this, array, access),
                                            spirv::Scope::Workgroup, spirv::MemorySemantics::None, value.value)};
}

Val KernelBuilder::atomicAdd(Buffer buffer, Val index, Val value) {
  auto &s = *impl_;
  auto semantics = spirv::MemorySemantics::AcquireRelease | spirv::MemorySemantics::UniformMemory;
  return {this, spirv::AtomicIAddOp::create(s.b, s.loc, s.u32, s.address(buffer, 4, index.value), spirv::Scope::Device,
                                            semantics, value.value)};
}

void KernelBuilder::deviceBarrier() {
  auto semantics = spirv::MemorySemantics::AcquireRelease | spirv::MemorySemantics::UniformMemory;
  spirv::MemoryBarrierOp::create(impl_->b, impl_->loc, spirv::Scope::Device, semantics);
}

void KernelBuilder::barrier() {
  auto semantics = spirv::MemorySemantics::AcquireRelease | spirv::MemorySemantics::WorkgroupMemory;
  spirv::ControlBarrierOp::create(impl_->b, impl_->loc, spirv::Scope::Workgroup, spirv::Scope::Workgroup, semantics);
}

void KernelBuilder::subgroupBarrier() {
  auto semantics = spirv::MemorySemantics::AcquireRelease | spirv::MemorySemantics::WorkgroupMemory;
  spirv::ControlBarrierOp::create(impl_->b, impl_->loc, spirv::Scope::Subgroup, spirv::Scope::Subgroup, semantics);
}

void KernelBuilder::barrierWithDeviceMemory() {
  auto semantics = spirv::MemorySemantics::AcquireRelease | spirv::MemorySemantics::WorkgroupMemory |
                   spirv::MemorySemantics::UniformMemory;
  spirv::ControlBarrierOp::create(impl_->b, impl_->loc, spirv::Scope::Workgroup, spirv::Scope::Workgroup, semantics);
}

//===------------------------------------------------------------------------------------------------------------===//
// Control flow
//===------------------------------------------------------------------------------------------------------------===//

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

/// Weights stream through the caches between two runs of a decode kernel, so its code comes from far each time;
/// NVIDIA's driver would write the body of a loop up to eight times. Other drivers choose for themselves.
spirv::LoopControl loopControl(const TargetProfile &target) {
  return target.subgroupSize == 32 ? spirv::LoopControl::DontUnroll : spirv::LoopControl::None;
}

/// A counted loop over raw values; `body` returns the values carried to the next turn.
SmallVector<Value> buildLoop(KernelBuilder &k, Val lower, Val upper, Val step, ValueRange init,
                             llvm::function_ref<SmallVector<Value>(Value i, ValueRange carried)> body) {
  auto &s = k.impl();
  OpBuilder &b = s.b;
  Location loc = s.loc;
  OperationState state(loc, spirv::LoopOp::getOperationName());
  auto loop = cast<spirv::LoopOp>([&] {
    state.addTypes(init.getTypes());
    state.addAttribute("loop_control", spirv::LoopControlAttr::get(b.getContext(), loopControl(k.target())));
    state.addRegion();
    return b.create(state);
  }());
  Region &region = loop.getBody();
  OpBuilder::InsertionGuard guard(b);
  auto *entry = b.createBlock(&region);
  SmallVector<Type> types{s.u32};
  types.append(init.getTypes().begin(), init.getTypes().end());
  SmallVector<Location> locs(types.size(), loc);
  auto *header = b.createBlock(&region, region.end(), types, locs);
  auto *bodyBlock = b.createBlock(&region, region.end());
  // The serializer resolves a value that the header receives over the back edge only if it is not the result of an
  // inner loop or selection; arguments of the continue block are, whatever they stand for.
  auto *continueBlock = b.createBlock(&region, region.end(), init.getTypes(), SmallVector<Location>(init.size(), loc));
  auto *merge = b.createBlock(&region, region.end());

  b.setInsertionPointToEnd(entry);
  SmallVector<Value> first{lower.value};
  first.append(init.begin(), init.end());
  spirv::BranchOp::create(b, loc, header, first);

  b.setInsertionPointToEnd(header);
  Value i = header->getArgument(0);
  ValueRange carried = header->getArguments().drop_front();
  Value more = spirv::ULessThanOp::create(b, loc, s.i1, i, upper.value);
  spirv::BranchConditionalOp::create(b, loc, more, bodyBlock, ValueRange(), merge, ValueRange());

  b.setInsertionPointToEnd(bodyBlock);
  SmallVector<Value> next = body(i, carried);
  spirv::BranchOp::create(b, loc, continueBlock, next);

  b.setInsertionPointToEnd(continueBlock);
  SmallVector<Value> again{spirv::IAddOp::create(b, loc, i, step.value)};
  again.append(continueBlock->args_begin(), continueBlock->args_end());
  spirv::BranchOp::create(b, loc, header, again);

  b.setInsertionPointToEnd(merge);
  spirv::MergeOp::create(b, loc, carried);
  return SmallVector<Value>(loop.getResults());
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

Vals KernelBuilder::ifElse(Val condition, llvm::function_ref<Vals()> thenBody, llvm::function_ref<Vals()> elseBody) {
  auto &s = *impl_;
  OpBuilder &b = s.b;
  // The result types are known only after the branches are built, so the branches are built in a detached region first.
  Region region;
  auto buildBranch = [&](llvm::function_ref<Vals()> body) -> std::pair<Block *, SmallVector<Value>> {
    OpBuilder::InsertionGuard guard(b);
    Block *block = b.createBlock(&region, region.end());
    SmallVector<Value> values = valuesOf(body());
    return {block, values};
  };
  Block *header = new Block();
  region.push_back(header);
  auto [thenBlock, thenValues] = buildBranch(thenBody);
  auto [elseBlock, elseValues] = buildBranch(elseBody);
  Block *merge = new Block();
  region.push_back(merge);
  for (Value v : thenValues)
    merge->addArgument(v.getType(), s.loc);

  OperationState state(s.loc, spirv::SelectionOp::getOperationName());
  for (Value v : thenValues)
    state.addTypes(v.getType());
  state.addAttribute("selection_control",
                     spirv::SelectionControlAttr::get(b.getContext(), spirv::SelectionControl::None));
  state.addRegion();
  auto selection = cast<spirv::SelectionOp>(b.create(state));
  selection.getBody().takeBody(region);

  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToEnd(header);
  spirv::BranchConditionalOp::create(b, s.loc, condition.value, thenBlock, ValueRange(), elseBlock, ValueRange());
  b.setInsertionPointToEnd(thenBlock);
  spirv::BranchOp::create(b, s.loc, merge, thenValues);
  b.setInsertionPointToEnd(elseBlock);
  spirv::BranchOp::create(b, s.loc, merge, elseValues);
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

//===------------------------------------------------------------------------------------------------------------===//
// Cooperation
//===------------------------------------------------------------------------------------------------------------===//

Val KernelBuilder::subgroupAdd(Val x) {
  auto &s = *impl_;
  s.usesArithmetic = true;
  if (x.isFloat())
    return {this, spirv::GroupNonUniformFAddOp::create(s.b, s.loc, s.f32, spirv::Scope::Subgroup,
                                                       spirv::GroupOperation::Reduce, x.value, Value())};
  return {this, spirv::GroupNonUniformIAddOp::create(s.b, s.loc, s.u32, spirv::Scope::Subgroup,
                                                     spirv::GroupOperation::Reduce, x.value, Value())};
}
Val KernelBuilder::subgroupMax(Val x) {
  auto &s = *impl_;
  s.usesArithmetic = true;
  if (x.isFloat())
    return {this, spirv::GroupNonUniformFMaxOp::create(s.b, s.loc, s.f32, spirv::Scope::Subgroup,
                                                       spirv::GroupOperation::Reduce, x.value, Value())};
  return {this, spirv::GroupNonUniformUMaxOp::create(s.b, s.loc, s.u32, spirv::Scope::Subgroup,
                                                     spirv::GroupOperation::Reduce, x.value, Value())};
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
  return spirv::KHRCooperativeMatrixLoadOp::create(
      s.b, s.loc, matrixType(*this, use, array.elem), sharedPointer(*this, array, access), layout,
      s.constant(strideAccesses), spirv::MemoryAccessAttr(), IntegerAttr());
}

Value KernelBuilder::matrixScale(Value a, Value b) { return spirv::FMulOp::create(impl_->b, impl_->loc, a, b); }

Value KernelBuilder::matrixMulAdd(Value a, Value b, Value c) {
  auto &s = *impl_;
  return spirv::KHRCooperativeMatrixMulAddOp::create(s.b, s.loc, c.getType(), a, b, c,
                                                     spirv::CooperativeMatrixOperandsKHRAttr());
}

void KernelBuilder::matrixStore(const Shared &array, Val access, uint32_t strideAccesses, Value matrix) {
  auto &s = *impl_;
  spirv::KHRCooperativeMatrixStoreOp::create(s.b, s.loc, sharedPointer(*this, array, access), matrix,
                                             spirv::CooperativeMatrixLayoutKHR::RowMajor, s.constant(strideAccesses),
                                             spirv::MemoryAccessAttr(), IntegerAttr());
}

//===------------------------------------------------------------------------------------------------------------===//
// The finished kernel
//===------------------------------------------------------------------------------------------------------------===//

plan::KernelOp KernelBuilder::finish(OpBuilder &builder) {
  auto &s = *impl_;
  MLIRContext *context = builder.getContext();
  spirv::ReturnOp::create(s.b, s.loc);

  SmallVector<Attribute> interface;
  for (auto variable : s.globals)
    interface.push_back(FlatSymbolRefAttr::get(context, variable.getSymName()));
  OpBuilder atEnd(context);
  atEnd.setInsertionPointToEnd(s.module->getBody());
  spirv::EntryPointOp::create(atEnd, s.loc, spirv::ExecutionModel::GLCompute, s.function, interface);
  SmallVector<int32_t> size(s.workgroup.begin(), s.workgroup.end());
  spirv::ExecutionModeOp::create(atEnd, s.loc, s.function, spirv::ExecutionMode::LocalSize, size);

  SmallVector<spirv::Capability> capabilities{spirv::Capability::Shader,
                                              spirv::Capability::PhysicalStorageBufferAddresses,
                                              spirv::Capability::Int64, spirv::Capability::GroupNonUniform};
  SmallVector<spirv::Extension> extensions;
  SmallVector<Attribute> features;
  if (s.usesArithmetic)
    capabilities.push_back(spirv::Capability::GroupNonUniformArithmetic);
  if (s.usesHalfStorage) {
    capabilities.push_back(spirv::Capability::StorageBuffer16BitAccess);
  }
  if (s.usesShuffle)
    capabilities.push_back(spirv::Capability::GroupNonUniformShuffle);
  if (s.usesBf16Matrices || s.usesF16Matrices) {
    capabilities.push_back(spirv::Capability::CooperativeMatrixKHR);
    extensions.push_back(spirv::Extension::SPV_KHR_cooperative_matrix);
    features.push_back(builder.getStringAttr("cooperative_matrix"));
  }
  if (s.usesBf16Matrices) {
    capabilities.append({spirv::Capability::BFloat16TypeKHR, spirv::Capability::BFloat16CooperativeMatrixKHR});
    extensions.push_back(spirv::Extension::SPV_KHR_bfloat16);
    features.push_back(builder.getStringAttr("bfloat16"));
  }
  if (s.usesF16Matrices) {
    capabilities.push_back(spirv::Capability::Float16);
    features.push_back(builder.getStringAttr("shader_float16"));
  }
  auto vce = spirv::VerCapExtAttr::get(spirv::Version::V_1_6, capabilities, extensions, context);
  s.module->setVceTripleAttr(vce);
  s.module->setAddressingModelAttr(
      spirv::AddressingModelAttr::get(context, spirv::AddressingModel::PhysicalStorageBuffer64));
  s.module->setMemoryModelAttr(spirv::MemoryModelAttr::get(context, spirv::MemoryModel::GLSL450));

  SmallVector<Attribute> names, accesses;
  for (auto [name, access] : llvm::zip_equal(s.operandNames, s.operandAccess)) {
    names.push_back(builder.getStringAttr(name));
    accesses.push_back(plan::AccessAttr::get(context, access));
  }
  auto kernel =
      plan::KernelOp::create(builder, s.loc, builder.getStringAttr(s.name),
                             builder.getDenseI64ArrayAttr({s.workgroup[0], s.workgroup[1], s.workgroup[2]}),
                             builder.getI64IntegerAttr(target_.subgroupSize), builder.getI64IntegerAttr(s.sharedBytes),
                             builder.getArrayAttr(features), builder.getArrayAttr(names),
                             builder.getArrayAttr(accesses), builder.getDenseI64ArrayAttr(s.operandBytes));
  Block *block = builder.createBlock(&kernel.getBody());
  block->push_back(s.module.release().getOperation());
  builder.setInsertionPointAfter(kernel);
  return kernel;
}

} // namespace qwenc
