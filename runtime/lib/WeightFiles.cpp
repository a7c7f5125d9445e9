//===- WeightFiles.cpp - Find the checkpoint and the packed weights, make sure that they are the right ones ------===//
#include "WeightFiles.h"

#include "Text.h"
#include "runtime/schema/Fnv1a.h"
#include "runtime/schema/WeightFormat.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>

using namespace qwenrt;

namespace {

/// The folders in which the checkpoint may be, in the order in which they are tried.
std::vector<std::string> candidateFolders(const Plan &plan, const std::string &folder) {
  if (!folder.empty())
    return {folder};
  std::string path = plan.root().checkpoint_path()->str();
  if (!path.empty() && path.front() == '/')
    return {path};
  std::vector<std::string> folders = {plan.folder() + "/" + path};
  if (const flatbuffers::String *graph = plan.root().graph_folder(); graph && graph->size() > 0)
    folders.push_back(graph->str() + "/" + path);
  return folders;
}

std::string quoted(const std::string &path) { return text("'", printable(path), "'"); }

/// Whether the first bytes of \p file, length and header, are those of \p expected.
Result<bool> hasHeader(const File &file, const fb::WeightFile &expected) {
  constexpr uint64_t kPiece = 1 << 20;
  uint64_t end = 8 + expected.header_bytes(), hash = kFnvOffset;
  if (file.sizeBytes() < end)
    return false;
  std::vector<std::byte> bytes(std::min(kPiece, end));
  for (uint64_t at = 0; at < end;) {
    uint64_t count = std::min(kPiece, end - at);
    QWENRT_RETURN_IF_ERROR(file.readAt(at, bytes.data(), count));
    hash = fnv1a(bytes.data(), count, hash);
    at += count;
  }
  return hash == expected.header_hash();
}

Status checkFile(const File &file, const fb::WeightFile &expected) {
  if (file.sizeBytes() != expected.size_bytes())
    return {StatusCode::InvalidInput,
            text(quoted(file.path()), " has ", file.sizeBytes(), " bytes, expected ", expected.size_bytes(),
                 ", give the checkpoint that the plan was compiled for")};
  QWENRT_ASSIGN_OR_RETURN(bool isExpected, hasHeader(file, expected));
  if (!isExpected)
    return {StatusCode::InvalidInput,
            text(quoted(file.path()),
                 " has another header than the plan knows, expected an equal hash, give the checkpoint that the plan "
                 "was compiled for")};
  file.expectSequential();
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Packed weights
//===----------------------------------------------------------------------===//

const fb::WeightFile *packedFile(const fb::Plan &plan) {
  // The plan's verifier has seen that it is the last one, if any.
  const auto &files = *plan.weight_files();
  return files.size() > 0 && files.Get(files.size() - 1)->packed() ? files.Get(files.size() - 1) : nullptr;
}

std::string hexadecimal(uint64_t number) {
  std::string digits;
  for (int shift = 60; shift >= 0; shift -= 4)
    digits += "0123456789abcdef"[number >> shift & 15];
  return digits;
}

std::string checkpointName(const fb::Plan &plan) {
  std::vector<uint64_t> hashes;
  for (const fb::WeightFile *file : *plan.weight_files())
    if (!file->packed())
      hashes.push_back(file->header_hash());
  return hexadecimal(checkpointHash(hashes));
}

/// The checkpoint that a packed file says it was made from; empty if it says nothing. qwen-pack puts it first.
Result<std::string> namedCheckpoint(const File &file) {
  constexpr std::string_view kKey = "\"checkpoint\":\"fnv1a64:";
  constexpr size_t kDigits = 16;
  std::string start(std::min<uint64_t>(file.sizeBytes(), 256), '\0');
  QWENRT_RETURN_IF_ERROR(file.readAt(0, start.data(), start.size()));
  size_t at = start.find(kKey);
  return at == start.npos ? std::string() : printable(start.substr(at + kKey.size(), kDigits));
}

Status checkPacked(const File &file, const fb::WeightFile &expected, const fb::Plan &plan) {
  QWENRT_ASSIGN_OR_RETURN(bool isExpected, hasHeader(file, expected));
  if (isExpected && file.sizeBytes() == expected.size_bytes()) {
    file.expectSequential();
    return Status::ok();
  }
  std::string name = quoted(file.path());
  if (isExpected)
    return {StatusCode::InvalidInput, text(name, " has ", file.sizeBytes(), " bytes, expected ", expected.size_bytes(),
                                           ", it is cut or longer than it says, run qwen-pack again")};
  QWENRT_ASSIGN_OR_RETURN(std::string found, namedCheckpoint(file));
  if (found.empty())
    return {StatusCode::InvalidInput,
            text(name, " names no checkpoint, expected a file written by qwen-pack, run qwen-pack PLAN -o FILE")};
  if (std::string wanted = checkpointName(plan); found != wanted)
    return {StatusCode::InvalidInput, text(name, " was packed from checkpoint ", found, ", expected ", wanted,
                                           ", run qwen-pack with the plan's checkpoint")};
  return {StatusCode::InvalidInput,
          text(name, " was packed for another plan of this checkpoint, expected one with the same quantised weights, "
                     "run qwen-pack with this plan")};
}

/// A regular file of \p folder with the size and header of \p expected, if there is one.
std::optional<File> findPacked(const std::string &folder, const fb::WeightFile &expected) {
  namespace fs = std::filesystem;
  std::error_code error;
  std::vector<std::string> paths;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code ignored;
    if (entry->is_regular_file(ignored) && entry->file_size(ignored) == expected.size_bytes() && !ignored)
      paths.push_back(entry->path().string());
  }
  std::sort(paths.begin(), paths.end()); // equal files may lie there: always the same one is taken
  for (const std::string &path : paths) {
    Result<File> file = File::open(path);
    Result<bool> isExpected = file ? hasHeader(*file, expected) : Result<bool>(false);
    if (isExpected && *isExpected)
      return std::move(*file);
  }
  return std::nullopt;
}

Result<File> openPacked(const Plan &plan, const std::string &path, std::vector<std::string> folders) {
  const fb::WeightFile &expected = *packedFile(plan.root());
  if (!path.empty()) {
    QWENRT_ASSIGN_OR_RETURN(File file, File::open(path));
    QWENRT_RETURN_IF_ERROR(checkPacked(file, expected, plan.root()));
    return file;
  }
  std::string tried;
  for (const std::string &folder : folders) {
    if (std::optional<File> found = findPacked(folder, expected)) {
      found->expectSequential();
      return std::move(*found);
    }
    tried += text(tried.empty() ? "" : " and ", quoted(folder));
  }
  return Status(StatusCode::NotFound, text("found no packed weights of this plan in ", tried,
                                           ", expected the file that qwen-pack writes, run qwen-pack PLAN -o FILE or "
                                           "pass --weights FILE"));
}

bool isRegularFile(const std::string &path) {
  std::error_code error;
  return !path.empty() && std::filesystem::is_regular_file(path, error);
}

} // namespace

Result<std::vector<File>> qwenrt::openCheckpointFiles(const Plan &plan, const std::string &folder) {
  std::vector<const fb::WeightFile *> expected;
  for (const fb::WeightFile *file : *plan.root().weight_files())
    if (!file->packed())
      expected.push_back(file);
  std::vector<File> files;
  if (expected.empty())
    return files;
  std::string tried, found;
  for (const std::string &candidate : candidateFolders(plan, folder)) {
    Result<File> first = File::open(candidate + "/" + expected[0]->name()->str());
    if (first.isOk() || first.status().code() != StatusCode::NotFound) {
      found = candidate;
      break;
    }
    tried += text(tried.empty() ? "" : " and ", quoted(candidate));
  }
  if (found.empty())
    return Status(StatusCode::NotFound, text("found no '", printable(expected[0]->name()->string_view()), "' in ",
                                             tried, ", expected the checkpoint's weights, pass --weights DIR"));
  for (const fb::WeightFile *file : expected) {
    QWENRT_ASSIGN_OR_RETURN(File opened, File::open(found + "/" + file->name()->str()));
    QWENRT_RETURN_IF_ERROR(checkFile(opened, *file));
    files.push_back(std::move(opened));
  }
  return files;
}

Result<std::vector<File>> qwenrt::openWeightFiles(const Plan &plan, const WeightPaths &paths) {
  bool needsPacked = packedFile(plan.root()) != nullptr;
  bool isPacked = needsPacked && isRegularFile(paths.weights);
  std::string folder = isPacked ? "" : paths.weights;
  QWENRT_ASSIGN_OR_RETURN(std::vector<File> files, openCheckpointFiles(plan, folder));
  if (!needsPacked)
    return files;
  std::vector<std::string> folders = {plan.folder()};
  for (std::string &candidate : candidateFolders(plan, folder))
    folders.push_back(std::move(candidate));
  const std::string &path = paths.packed.empty() && isPacked ? paths.weights : paths.packed;
  QWENRT_ASSIGN_OR_RETURN(File packed, openPacked(plan, path, std::move(folders)));
  files.push_back(std::move(packed));
  return files;
}
