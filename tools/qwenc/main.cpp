//===- main.cpp - qwenc: model.json to a plan -------------------------------------------------------------------===//

#include "Arguments.h"

#include "compiler/Export/Export.h"
#include "compiler/Import/Import.h"
#include "compiler/Pipelines/Compiler.h"
#include "compiler/Pipelines/Registration.h"
#include "models/Checkpoint/Message.h"
#include "models/Graph/GraphReader.h"

#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/FileSystem.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

using namespace qwenc;
using qwenrt::Result;
using qwenrt::Status;
using qwenrt::StatusCode;

namespace {

Status writeText(const std::string &path, const std::string &text) {
  if (!path.empty() && path != "-")
    return writeFile(path, text);
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0)
    return Status::ok();
  return Status(StatusCode::Io, "cannot write to standard output (" + std::string(std::strerror(errno)) +
                                    "), expected room for the text, redirect it elsewhere");
}

Status createDumpFolder(const std::string &folder) {
  std::error_code error = folder.empty() ? std::error_code() : llvm::sys::fs::create_directories(folder);
  if (!error)
    return Status::ok();
  return Status(StatusCode::Io, "cannot create '" + folder + "': " + error.message() +
                                    ", expected a folder to write to, choose another --dump-intermediates-to");
}

std::string absoluteFolderOf(const std::string &path) {
  std::error_code error;
  return std::filesystem::weakly_canonical(std::filesystem::absolute(path, error), error).parent_path().string();
}

Status compile(const Arguments &arguments) {
  QWENRT_ASSIGN_OR_RETURN(graph::Graph graph, graph::readGraphFile(arguments.graphPath));
  QWENRT_RETURN_IF_ERROR(checkMediaLimits(arguments, graph));
  graph::applyMediaLimits(graph, arguments.mediaLimits);
  QWENRT_ASSIGN_OR_RETURN(CompileOptions options, compileOptions(arguments, graph));
  QWENRT_RETURN_IF_ERROR(createDumpFolder(arguments.dumpFolder));

  mlir::DialectRegistry registry;
  registerAllDialects(registry);
  mlir::MLIRContext context(registry);
  QWENRT_ASSIGN_OR_RETURN(mlir::OwningOpRef<mlir::ModuleOp> module, importGraph(graph, context, arguments.expose));

  RunOptions run;
  run.lastPhase = findPhase(arguments.compileTo);
  run.dumpFolder = arguments.dumpFolder;
  auto configure = [](mlir::PassManager &passes) {
    mlir::applyDefaultTimingPassManagerCLOptions(passes);
    return mlir::applyPassManagerCLOptions(passes);
  };
  run.configure = configure;
  QWENRT_RETURN_IF_ERROR(runPhases(*module, options, run));
  if (run.lastPhase)
    return writeText(arguments.outputPath, printModule(*module));

  ExportOptions exportOptions;
  exportOptions.targetName = options.target.name;
  exportOptions.producer = "qwenc " QWENC_VERSION;
  exportOptions.graphFolder = absoluteFolderOf(arguments.graphPath);
  exportOptions.maxContext = static_cast<uint32_t>(options.maxContext);
  exportOptions.kvFormat = options.target.kvFormat;
  exportOptions.mediaLimits = arguments.mediaLimits;
  return exportPlan(*module, graph, exportOptions, arguments.outputPath);
}

int fail(const Status &status) { return reportError("qwenc", status); }

} // namespace

int main(int argc, char **argv) {
  registerAllPasses();
  Result<std::optional<Arguments>> arguments = parseArguments(argc, argv);
  if (!arguments)
    return fail(arguments.status());
  if (!*arguments)
    return 0;
  Status status = compile(**arguments);
  return status ? 0 : fail(status);
}
