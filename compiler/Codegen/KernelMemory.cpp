//===- KernelMemory.cpp - Accesses of device and workgroup memory, barriers ---------------------------------------===//

#include "compiler/Codegen/KernelBuilderImpl.h"

using namespace mlir;

namespace qwenc {

//===------------------------------------------------------------------------------------------------------------===//
// Addresses
//===------------------------------------------------------------------------------------------------------------===//

Type KernelBuilder::Impl::accessType(unsigned bytes) {
  switch (bytes) {
  case 2:
    return u16;
  case 4:
    return u32;
  default:
    return VectorType::get({bytes / 4}, u32);
  }
}

Value KernelBuilder::Impl::address(Buffer buffer, unsigned bytes, Value index) {
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

Value KernelBuilder::Impl::operandAddress(Buffer buffer) {
  Value pushed = spirv::AddressOfOp::create(b, loc, pushConstants());
  Value pointer = spirv::AccessChainOp::create(b, loc, pushed, ValueRange{constant(buffer.index)});
  return spirv::LoadOp::create(b, loc, pointer);
}

Value KernelBuilder::Impl::address(const Shared &array, Value index) {
  Value base = spirv::AddressOfOp::create(b, loc, cast<spirv::GlobalVariableOp>(array.variable));
  return spirv::AccessChainOp::create(b, loc, base, ValueRange{index});
}

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

Vals KernelBuilder::load(const Shared &array, Val access) {
  auto &s = *impl_;
  Value loaded = spirv::LoadOp::create(s.b, s.loc, impl_->address(array, access.value));
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
  Value pointer = impl_->address(array, access.value);
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
  spirv::StoreOp::create(impl_->b, impl_->loc, impl_->address(array, access.value), raw);
}

Val KernelBuilder::atomicAdd(const Shared &array, Val access, Val value) {
  auto &s = *impl_;
  return {this, spirv::AtomicIAddOp::create(s.b, s.loc, s.u32, impl_->address(array, access.value),
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

} // namespace qwenc
