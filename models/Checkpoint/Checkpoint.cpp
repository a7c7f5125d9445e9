//===- Checkpoint.cpp - A Hugging Face checkpoint folder --------------------------------------------------------===//
#include "models/Checkpoint/Checkpoint.h"

#include "models/Checkpoint/File.h"

#include <filesystem>
#include <initializer_list>

using namespace qwenc;
using nlohmann::json;

namespace {

constexpr const char *singleFileName = "model.safetensors";
constexpr const char *indexFileName = "model.safetensors.index.json";

/// An index of 30,000 tensors has 3 MB; tokenizer_config.json of some models holds every added token.
constexpr JsonLimits largeJson{uint64_t(64) << 20, /*maxDepth=*/64, /*maxValues=*/4'000'000};

Status invalid(std::string message) { return Status(StatusCode::InvalidInput, std::move(message)); }

std::string join(const std::string &folder, const std::string &name) {
  return (std::filesystem::path(folder) / name).string();
}

bool isRegularFile(const std::string &folder, const std::string &name) {
  std::error_code error;
  return std::filesystem::is_regular_file(join(folder, name), error);
}

Result<json> readObject(const std::string &path, const JsonLimits &limits = {}) {
  QWENRT_ASSIGN_OR_RETURN(json document, readJsonFile(path, limits));
  if (!document.is_object())
    return invalid("'" + path + "' holds no JSON object, expected one, restore the file from its source");
  return document;
}

/// Reads the header of one file and appends it; its tensors go to \p tensors.
Status addFile(Checkpoint &checkpoint, const std::string &name, std::map<std::string, CheckpointTensor> &tensors) {
  QWENRT_ASSIGN_OR_RETURN(SafetensorsHeader header, readSafetensorsHeader(join(checkpoint.folder, name)));
  uint32_t ordinal = static_cast<uint32_t>(checkpoint.files.size());
  checkpoint.files.push_back({name, header.fileSizeBytes, header.headerBytes, header.headerHash});
  for (auto &[tensorName, tensor] : header.tensors) {
    auto [place, inserted] = tensors.emplace(tensorName, CheckpointTensor{ordinal, std::move(tensor)});
    if (!inserted)
      return invalid("tensor " + inQuotes(tensorName) + " is stored in " +
                     inQuotes(checkpoint.files[place->second.file].name) + " and in " + inQuotes(name) +
                     ", expected one place, restore the checkpoint from its source");
  }
  return Status::ok();
}

/// File names of an index come from a stranger: nothing outside the folder may be opened through them.
bool staysInFolder(const std::string &name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
         name.find('\\') == std::string::npos && name.find('\0') == std::string::npos;
}

Status readShards(Checkpoint &checkpoint) {
  std::string path = join(checkpoint.folder, indexFileName);
  QWENRT_ASSIGN_OR_RETURN(json index, readObject(path, largeJson));
  const json *map = member(index, "weight_map");
  if (!map || !map->is_object() || map->empty())
    return invalid("'" + path + "' has no weight_map, expected one of tensor name to file, restore it from its source");

  std::map<std::string, bool> fileNames;
  for (auto item = map->begin(); item != map->end(); ++item) {
    const std::string *name = asString(*item);
    if (!name || !staysInFolder(*name))
      return invalid("'" + path + "' maps tensor " + inQuotes(item.key()) + " to " +
                     (name ? inQuotes(*name) : std::string("no text")) +
                     ", expected the name of a file in the same folder, restore it from its source");
    fileNames[*name] = true;
  }
  for (const auto &file : fileNames)
    QWENRT_RETURN_IF_ERROR(addFile(checkpoint, file.first, checkpoint.tensors));

  for (auto item = map->begin(); item != map->end(); ++item) {
    auto stored = checkpoint.tensors.find(item.key());
    if (stored == checkpoint.tensors.end() || checkpoint.files[stored->second.file].name != *asString(*item))
      return invalid(
          "'" + path + "' maps tensor " + inQuotes(item.key()) + " to " + inQuotes(*asString(*item)) +
          ", which does not hold it, expected index and files of one checkpoint, restore it from its source");
  }
  for (const auto &[name, tensor] : checkpoint.tensors)
    if (!map->contains(name))
      return invalid("'" + checkpoint.files[tensor.file].name + "' holds tensor " + inQuotes(name) + ", which '" +
                     path + "' does not list, expected index and files of one checkpoint, restore it from its source");
  return Status::ok();
}

Status readTensorTable(Checkpoint &checkpoint) {
  // As transformers does: the single file wins when both are there.
  if (isRegularFile(checkpoint.folder, singleFileName))
    return addFile(checkpoint, singleFileName, checkpoint.tensors);
  if (isRegularFile(checkpoint.folder, indexFileName))
    return readShards(checkpoint);
  return Status(StatusCode::NotFound, "no weights in '" + checkpoint.folder + "', expected " + singleFileName + " or " +
                                          indexFileName + ", download the checkpoint in safetensors form");
}

bool allPresent(const std::string &folder, std::initializer_list<const char *> names) {
  for (const char *name : names)
    if (!isRegularFile(folder, name))
      return false;
  return true;
}

std::vector<std::string> findTokenizer(const std::string &folder) {
  std::vector<std::string> files;
  if (allPresent(folder, {"tokenizer.json"}))
    files = {"tokenizer.json"};
  else if (allPresent(folder, {"vocab.json", "merges.txt"}))
    files = {"vocab.json", "merges.txt"};
  if (!files.empty() && allPresent(folder, {"tokenizer_config.json"}))
    files.push_back("tokenizer_config.json");
  return files;
}

bool mentionsThinking(const json &value) {
  // A list of {"name", "template"} is the form for several templates.
  if (const std::string *text = asString(value))
    return text->find("enable_thinking") != std::string::npos;
  if (!value.is_array())
    return false;
  for (const json &element : value)
    if (const json *text = member(element, "template"); text && asString(*text) && mentionsThinking(*text))
      return true;
  return false;
}

/// The template itself is not needed: chat turns have one form in this family; only the thinking switch differs.
Status readChatTemplate(Checkpoint &checkpoint) {
  for (const char *name : {"tokenizer_config.json", "chat_template.json"}) {
    if (!isRegularFile(checkpoint.folder, name))
      continue;
    QWENRT_ASSIGN_OR_RETURN(json document, readObject(join(checkpoint.folder, name), largeJson));
    const json *text = member(document, "chat_template");
    checkpoint.thinkingSwitch = checkpoint.thinkingSwitch || (text && mentionsThinking(*text));
  }
  if (isRegularFile(checkpoint.folder, "chat_template.jinja")) {
    QWENRT_ASSIGN_OR_RETURN(std::string text,
                            readWholeFile(join(checkpoint.folder, "chat_template.jinja"), largeJson.maxBytes));
    checkpoint.thinkingSwitch = checkpoint.thinkingSwitch || text.find("enable_thinking") != std::string::npos;
  }
  return Status::ok();
}

} // namespace

Result<Checkpoint> qwenc::openCheckpoint(const std::string &folder) {
  std::error_code error;
  if (!std::filesystem::is_directory(folder, error))
    return Status(StatusCode::NotFound, "'" + folder +
                                            "' is no folder, expected a checkpoint folder with config.json and "
                                            "safetensors files, check the path");
  Checkpoint checkpoint;
  checkpoint.folder = folder;
  QWENRT_ASSIGN_OR_RETURN(checkpoint.config, readObject(join(folder, "config.json")));
  if (isRegularFile(folder, "generation_config.json")) {
    QWENRT_ASSIGN_OR_RETURN(checkpoint.generationConfig, readObject(join(folder, "generation_config.json")));
  }
  if (isRegularFile(folder, "preprocessor_config.json")) {
    QWENRT_ASSIGN_OR_RETURN(checkpoint.preprocessorConfig, readObject(join(folder, "preprocessor_config.json")));
  }
  QWENRT_RETURN_IF_ERROR(readTensorTable(checkpoint));
  checkpoint.tokenizerFiles = findTokenizer(folder);
  QWENRT_RETURN_IF_ERROR(readChatTemplate(checkpoint));
  return checkpoint;
}
