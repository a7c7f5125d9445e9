//===- KernelBuilder.cpp - Writing compute kernels as their loop nest ---------------------------------------------===//

#include "compiler/Codegen/KernelBuilderImpl.h"

using namespace mlir;

namespace qwenc {

unsigned elemBytes(Elem elem) { return elem == Elem::F32 || elem == Elem::U32 ? 4 : 2; }

//===------------------------------------------------------------------------------------------------------------===//
// State of one kernel
//===------------------------------------------------------------------------------------------------------------===//

KernelBuilder::Impl::Impl(MLIRContext *context, Location loc, std::string name, std::array<uint32_t, 3> workgroup)
    : name(std::move(name)), workgroup(workgroup), loc(loc), b(context), moduleBuilder(context) {
  f32 = b.getF32Type();
  u32 = b.getI32Type();
  u64 = b.getI64Type();
  u16 = b.getI16Type();
  i1 = b.getI1Type();
  module = spirv::ModuleOp::create(b, loc, StringRef(this->name));
  moduleBuilder.setInsertionPointToStart(module->getBody());
}

spirv::GlobalVariableOp KernelBuilder::Impl::pushConstants() {
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

spirv::GlobalVariableOp KernelBuilder::Impl::global(Type type, const Twine &name, const char *builtin) {
  auto variable = spirv::GlobalVariableOp::create(moduleBuilder, loc, TypeAttr::get(type),
                                                  moduleBuilder.getStringAttr(name), FlatSymbolRefAttr());
  if (builtin)
    variable->setAttr("built_in", moduleBuilder.getStringAttr(builtin));
  globals.push_back(variable);
  return variable;
}

Value KernelBuilder::Impl::builtin(const char *name, Type type) {
  spirv::GlobalVariableOp &variable = builtins[name];
  if (!variable)
    variable = global(spirv::PointerType::get(type, spirv::StorageClass::Input), Twine("builtin_") + name, name);
  return spirv::LoadOp::create(b, loc, spirv::AddressOfOp::create(b, loc, variable));
}

//===------------------------------------------------------------------------------------------------------------===//
// The kernel begins
//===------------------------------------------------------------------------------------------------------------===//

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
// The kernel ends
//===------------------------------------------------------------------------------------------------------------===//

void KernelBuilder::Impl::declareRequirements() {
  MLIRContext *context = b.getContext();
  SmallVector<spirv::Capability> capabilities{spirv::Capability::Shader,
                                              spirv::Capability::PhysicalStorageBufferAddresses,
                                              spirv::Capability::Int64, spirv::Capability::GroupNonUniform};
  SmallVector<spirv::Extension> extensions;
  if (usesArithmetic)
    capabilities.push_back(spirv::Capability::GroupNonUniformArithmetic);
  if (usesHalfStorage)
    capabilities.push_back(spirv::Capability::StorageBuffer16BitAccess);
  if (usesShuffle)
    capabilities.push_back(spirv::Capability::GroupNonUniformShuffle);
  if (usesBf16Matrices || usesF16Matrices) {
    capabilities.push_back(spirv::Capability::CooperativeMatrixKHR);
    extensions.push_back(spirv::Extension::SPV_KHR_cooperative_matrix);
  }
  if (usesBf16Matrices) {
    capabilities.append({spirv::Capability::BFloat16TypeKHR, spirv::Capability::BFloat16CooperativeMatrixKHR});
    extensions.push_back(spirv::Extension::SPV_KHR_bfloat16);
  }
  if (usesF16Matrices)
    capabilities.push_back(spirv::Capability::Float16);
  module->setVceTripleAttr(spirv::VerCapExtAttr::get(spirv::Version::V_1_6, capabilities, extensions, context));
  module->setAddressingModelAttr(
      spirv::AddressingModelAttr::get(context, spirv::AddressingModel::PhysicalStorageBuffer64));
  module->setMemoryModelAttr(spirv::MemoryModelAttr::get(context, spirv::MemoryModel::GLSL450));
}

SmallVector<Attribute> KernelBuilder::Impl::features() {
  SmallVector<Attribute> names;
  if (usesBf16Matrices || usesF16Matrices)
    names.push_back(b.getStringAttr("cooperative_matrix"));
  if (usesBf16Matrices)
    names.push_back(b.getStringAttr("bfloat16"));
  if (usesF16Matrices)
    names.push_back(b.getStringAttr("shader_float16"));
  return names;
}

void KernelBuilder::Impl::declareEntryPoint() {
  SmallVector<Attribute> interface;
  for (auto variable : globals)
    interface.push_back(FlatSymbolRefAttr::get(b.getContext(), variable.getSymName()));
  OpBuilder atEnd(b.getContext());
  atEnd.setInsertionPointToEnd(module->getBody());
  spirv::EntryPointOp::create(atEnd, loc, spirv::ExecutionModel::GLCompute, function, interface);
  SmallVector<int32_t> size(workgroup.begin(), workgroup.end());
  spirv::ExecutionModeOp::create(atEnd, loc, function, spirv::ExecutionMode::LocalSize, size);
}

plan::KernelOp KernelBuilder::finish(OpBuilder &builder) {
  auto &s = *impl_;
  spirv::ReturnOp::create(s.b, s.loc);
  s.declareEntryPoint();
  s.declareRequirements();
  SmallVector<Attribute> names, accesses;
  for (auto [name, access] : llvm::zip_equal(s.operandNames, s.operandAccess)) {
    names.push_back(builder.getStringAttr(name));
    accesses.push_back(plan::AccessAttr::get(builder.getContext(), access));
  }
  auto kernel =
      plan::KernelOp::create(builder, s.loc, builder.getStringAttr(s.name),
                             builder.getDenseI64ArrayAttr({s.workgroup[0], s.workgroup[1], s.workgroup[2]}),
                             builder.getI64IntegerAttr(target_.subgroupSize), builder.getI64IntegerAttr(s.sharedBytes),
                             builder.getArrayAttr(s.features()), builder.getArrayAttr(names),
                             builder.getArrayAttr(accesses), builder.getDenseI64ArrayAttr(s.operandBytes));
  Block *block = builder.createBlock(&kernel.getBody());
  block->push_back(s.module.release().getOperation());
  builder.setInsertionPointAfter(kernel);
  return kernel;
}

} // namespace qwenc
