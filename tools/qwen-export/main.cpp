//===- main.cpp - qwen-export: checkpoint folder to model.json --------------------------------------------------===//
#include "models/Checkpoint/Message.h"
#include "models/Graph/GraphWriter.h"
#include "models/Qwen3/Exporter.h"
#include "tools/CommandLine.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <sstream>

using namespace qwenc;
namespace fs = std::filesystem;

namespace {

struct Arguments {
  std::string checkpointFolder;
  std::string outputPath;
  std::vector<std::string> components;
};

int fail(const Status &status) { return reportError("qwen-export", status); }

/// The checkpoint as seen from the folder of model.json, so that both can be moved together.
std::string relativePath(const std::string &checkpointFolder, const std::string &outputPath) {
  std::error_code error;
  fs::path checkpoint = fs::weakly_canonical(checkpointFolder, error);
  fs::path output = fs::weakly_canonical(fs::absolute(outputPath, error).parent_path(), error);
  fs::path relative = checkpoint.lexically_relative(output);
  return relative.empty() ? checkpoint.string() : relative.generic_string();
}

std::string folderName(const std::string &folder) {
  std::error_code error;
  return fs::weakly_canonical(folder, error).filename().string();
}

int exportModel(const Arguments &arguments) {
  Result<Checkpoint> checkpoint = openCheckpoint(arguments.checkpointFolder);
  if (!checkpoint)
    return fail(checkpoint.status());
  ExportOptions options;
  options.producer = "qwen-export " QWENC_VERSION;
  options.checkpointPath = relativePath(arguments.checkpointFolder, arguments.outputPath);
  options.modelName = folderName(arguments.checkpointFolder);
  options.components = arguments.components;
  Result<graph::Graph> graph = exportCheckpoint(*checkpoint, options);
  if (!graph)
    return fail(graph.status());
  Status written = graph::writeGraphFile(*graph, arguments.outputPath);
  return written ? 0 : fail(written);
}

/// Empty elements (`text,`) are kept, so that they are refused as unknown names.
std::vector<std::string> splitList(const std::string &list) {
  std::vector<std::string> parts;
  std::string part;
  for (std::istringstream stream(list + ","); std::getline(stream, part, ',');)
    parts.push_back(part);
  return parts;
}

/// What --components may name, for one architecture or another.
std::string componentNames() {
  std::vector<std::string_view> names;
  for (const Architecture &architecture : architectures())
    for (std::string_view name : architecture.components)
      if (std::find(names.begin(), names.end(), name) == names.end())
        names.push_back(name);
  std::string text;
  for (std::string_view name : names)
    text += (text.empty() ? "" : ", ") + std::string(name);
  return text;
}

} // namespace

int main(int argc, char **argv) {
  CLI::App app(
      "Describes a Hugging Face checkpoint as model.json, the input of qwenc. Reads config.json and the headers "
      "of the safetensors files, never tensor data.",
      "qwen-export");
  Arguments arguments;
  std::string components;
  app.add_option("CHECKPOINT_DIR", arguments.checkpointFolder, "Folder with config.json and safetensors files")
      ->required();
  app.add_option("-o,--output", arguments.outputPath, "File to write (required, no default)")
      ->required()
      ->type_name("FILE");
  CLI::Option *list = app.add_option("--components", components,
                                     "Comma-separated parts of the model to export, of " + componentNames() +
                                         " (default: all that it has)");
  list->type_name("LIST");
  app.set_version_flag("--version", "qwen-export " QWENC_VERSION);
  if (std::optional<int> status = parseCommandLine(app, argc, argv, "CHECKPOINT_DIR -o FILE"))
    return *status;
  if (list->count() > 0)
    arguments.components = splitList(components);
  return exportModel(arguments);
}
