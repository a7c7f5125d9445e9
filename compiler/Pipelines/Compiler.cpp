//===- Compiler.cpp - Running the phases ------------------------------------------------------------------------===//

#include "compiler/Pipelines/Compiler.h"

#include "compiler/Support/Diagnostics.h"
#include "dialects/plan/PlanOps.h"
#include "models/Checkpoint/File.h"

#include "mlir/Dialect/SPIRV/IR/SPIRVOps.h"
#include "mlir/Target/SPIRV/Serialization.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using qwenrt::Status;
using qwenrt::StatusCode;

namespace {

/// Characters that stand in every file name; kernel names of the compiler hold no others.
std::string fileName(StringRef name) {
  std::string safe = name.take_front(128).str();
  for (char &c : safe)
    if (!llvm::isAlnum(c) && c != '_' && c != '-' && c != '.')
      c = '_';
  return safe;
}

/// Writes what a phase left: NN-PHASE.mlir and, once there are kernels, kernels/NAME.spv.
class DumpPass : public PassWrapper<DumpPass, OperationPass<ModuleOp>> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(DumpPass)
  DumpPass(std::string folder, std::string phase, Status &status)
      : folder(std::move(folder)), phase(std::move(phase)), status(status) {}

  StringRef getName() const override { return "DumpIntermediates"; }

  void runOnOperation() override {
    status = qwenc::writeFile(folder + "/" + phase + ".mlir", qwenc::printModule(getOperation()));
    if (status.isOk())
      status = dumpKernels();
    if (!status.isOk())
      signalPassFailure();
  }

private:
  Status dumpKernels() {
    std::string kernels = folder + "/kernels";
    for (auto kernel : getOperation().getOps<plan::KernelOp>()) {
      if (std::error_code error = llvm::sys::fs::create_directories(kernels))
        return {StatusCode::Io, "cannot create '" + kernels + "': " + error.message() +
                                    ", expected a folder to write to, choose another --dump-intermediates-to"};
      for (auto module : kernel.getBody().getOps<spirv::ModuleOp>()) {
        SmallVector<uint32_t, 0> words;
        // Serialising rewrites control flow in place, which the phases behind must not see.
        OwningOpRef<spirv::ModuleOp> copy = module.clone();
        if (failed(spirv::serialize(*copy, words)))
          return {StatusCode::InvalidInput,
                  "kernel '" + kernel.getSymName().str() + "' cannot be serialised to SPIR-V"};
        StringRef bytes(reinterpret_cast<const char *>(words.data()), words.size() * sizeof(uint32_t));
        QWENRT_RETURN_IF_ERROR(qwenc::writeFile(kernels + "/" + fileName(kernel.getSymName()) + ".spv", bytes));
      }
    }
    return Status::ok();
  }

  std::string folder, phase;
  Status &status;
};

} // namespace

Status qwenc::runPhases(ModuleOp module, const CompileOptions &options, const RunOptions &run) {
  DiagnosticCollector diagnostics(module.getContext());
  PassManager passes(module.getContext());
  if (run.configure && failed(run.configure(passes)))
    return diagnostics.status("the pass options");
  Status dumpStatus;
  for (auto [index, phase] : llvm::enumerate(phases())) {
    phase.populate(passes, options);
    if (!run.dumpFolder.empty())
      passes.addPass(std::make_unique<DumpPass>(run.dumpFolder,
                                                "0" + std::to_string(index + 1) + "-" + phase.name.str(), dumpStatus));
    if (run.lastPhase == &phase)
      break;
  }
  if (succeeded(passes.run(module)))
    return Status::ok();
  return dumpStatus.isOk() ? diagnostics.status("the model") : dumpStatus;
}

Status qwenc::writeFile(const std::string &path, StringRef bytes) {
  QWENRT_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(path));
  QWENRT_RETURN_IF_ERROR(file.write({bytes.data(), bytes.size()}));
  return file.commit();
}

std::string qwenc::printModule(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module.print(stream);
  stream << "\n";
  return text;
}
