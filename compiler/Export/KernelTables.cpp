//===- KernelTables.cpp - Kernels with their SPIR-V words ---------------------------------------------------------===//
#include "compiler/Export/Tables.h"

#include "dialects/plan/PlanNames.h"
#include "mlir/Dialect/SPIRV/IR/SPIRVOps.h"
#include "mlir/Target/SPIRV/Serialization.h"

using namespace mlir;
using namespace mlir::plan;
using namespace qwenrt;

namespace qwenc {

/// The kernel's only operation, after checking that the runtime will find its entry point.
static FailureOr<spirv::ModuleOp> moduleOf(KernelOp kernel) {
  auto modules = llvm::to_vector(kernel.getBody().getOps<spirv::ModuleOp>());
  if (modules.size() != 1 || !llvm::hasSingleElement(kernel.getBody().front()))
    return kernel.emitOpError("@") << kernel.getSymName() << " holds " << modules.size()
                                   << " spirv.module operations, expected one and nothing else; emit one per kernel";
  auto entryPoints = llvm::to_vector(modules[0].getOps<spirv::EntryPointOp>());
  if (entryPoints.size() != 1 || entryPoints[0].getFn() != kernel.getSymName())
    return kernel.emitOpError("@") << kernel.getSymName() << " has " << entryPoints.size()
                                   << " entry points, expected one of the kernel's name; rename the function";
  return modules[0];
}

static FailureOr<flatbuffers::Offset<fb::Kernel>> writeKernel(FlatBufferBuilder &builder, KernelOp kernel) {
  FailureOr<spirv::ModuleOp> module = moduleOf(kernel);
  if (failed(module))
    return failure();
  SmallVector<uint32_t, 0> words;
  if (failed(spirv::serialize(*module, words)))
    return kernel.emitOpError("@")
           << kernel.getSymName() << " does not serialize, expected a spirv.module with vce_triple; correct the kernel";
  Offsets<fb::KernelOperand> operands;
  for (auto [name, access, bytes] :
       llvm::zip_equal(kernel.getOperandNames().getAsValueRange<StringAttr>(),
                       kernel.getOperandAccess().getAsRange<AccessAttr>(), kernel.getOperandBytes()))
    operands.push_back(fb::CreateKernelOperand(builder, builder.CreateString(name.data(), name.size()),
                                               static_cast<fb::Access>(access.getValue()), bytes));
  uint32_t features = 0;
  for (StringRef name : kernel.getFeatures().getAsValueRange<StringAttr>())
    features |= static_cast<uint32_t>(*symbolizeFeature(name));
  ArrayRef<int64_t> extents = kernel.getWorkgroup();
  fb::Extent3 workgroup(extents[0], extents[1], extents[2]);
  auto name = builder.CreateString(kernel.getSymName().str());
  auto spirvWords = builder.CreateVector(words.data(), words.size());
  auto operandTable = builder.CreateVector(operands);
  return fb::CreateKernel(builder, name, spirvWords, &workgroup, kernel.getSubgroupSize(), kernel.getSharedBytes(),
                          static_cast<fb::Feature>(features), operandTable);
}

FailureOr<Offsets<fb::Kernel>> writeKernels(FlatBufferBuilder &builder, ModuleOp module) {
  Offsets<fb::Kernel> kernels;
  for (auto kernel : module.getOps<KernelOp>()) {
    FailureOr<flatbuffers::Offset<fb::Kernel>> table = writeKernel(builder, kernel);
    if (failed(table))
      return failure();
    kernels.push_back(*table);
  }
  return kernels;
}

} // namespace qwenc
