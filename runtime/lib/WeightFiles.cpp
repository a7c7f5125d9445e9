//===- WeightFiles.cpp - Find the checkpoint and make sure that it is the right one ------------------------------===//
#include "Text.h"
#include "Weights.h"
#include "runtime/schema/Fnv1a.h"

#include <algorithm>

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

Status checkFile(const File &file, const fb::WeightFile &expected) {
  std::string name = text("'", printable(file.path()), "'");
  if (file.sizeBytes() != expected.size_bytes())
    return {StatusCode::InvalidInput, text(name, " has ", file.sizeBytes(), " bytes, expected ", expected.size_bytes(),
                                           ", give the checkpoint that the plan was compiled for")};
  constexpr uint64_t kPiece = 1 << 20;
  std::vector<std::byte> bytes(std::min(kPiece, 8 + expected.header_bytes()));
  uint64_t hash = kFnvOffset;
  for (uint64_t at = 0, end = 8 + expected.header_bytes(); at < end;) {
    uint64_t count = std::min(kPiece, end - at);
    QWENRT_RETURN_IF_ERROR(file.readAt(at, bytes.data(), count));
    hash = fnv1a(bytes.data(), count, hash);
    at += count;
  }
  if (hash != expected.header_hash())
    return {StatusCode::InvalidInput,
            text(name,
                 " has another header than the plan knows, expected an equal hash, give the checkpoint that the plan "
                 "was compiled for")};
  file.expectSequential();
  return Status::ok();
}

} // namespace

Result<std::vector<File>> qwenrt::openWeightFiles(const Plan &plan, const std::string &folder) {
  const auto &expected = *plan.root().weight_files();
  std::vector<File> files;
  if (expected.size() == 0)
    return files;
  std::string tried, found;
  for (const std::string &candidate : candidateFolders(plan, folder)) {
    Result<File> first = File::open(candidate + "/" + expected.Get(0)->name()->str());
    if (first.isOk() || first.status().code() != StatusCode::NotFound) {
      found = candidate;
      break;
    }
    tried += text(tried.empty() ? "'" : " and '", printable(candidate), "'");
  }
  if (found.empty())
    return Status(StatusCode::NotFound, text("found no '", printable(expected.Get(0)->name()->string_view()), "' in ",
                                             tried, ", expected the checkpoint's weights, pass --weights DIR"));
  for (const fb::WeightFile *file : expected) {
    QWENRT_ASSIGN_OR_RETURN(File opened, File::open(found + "/" + file->name()->str()));
    QWENRT_RETURN_IF_ERROR(checkFile(opened, *file));
    files.push_back(std::move(opened));
  }
  return files;
}
