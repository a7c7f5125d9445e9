//===- KernelFiles.h - One file for each kernel of a plan ---------------------------------------------------------===//
#pragma once

#include "models/Checkpoint/File.h"

#include <algorithm>
#include <cctype>
#include <filesystem>

namespace qwenc {

/// Creates \p folder and those above it, if they are missing. \p option is what named it.
inline Status createFolder(const std::string &folder, const std::string &option) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (!error)
    return Status::ok();
  return {StatusCode::Io, "cannot create folder '" + folder + "': " + error.message() +
                              ", expected a folder that can be written, choose another " + option};
}

/// Writes FOLDER/KERNEL and \p suffix. Kernel names become file names: nothing in a plan may write outside the folder.
inline Status writeKernelFile(const std::string &folder, std::string_view kernel, const char *suffix,
                              std::string_view bytes) {
  auto isPlain = [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-' || c == '.'; };
  if (kernel.empty() || kernel.size() > 200 || kernel.front() == '.' ||
      !std::all_of(kernel.begin(), kernel.end(), isPlain))
    return {StatusCode::InvalidInput,
            "kernel has the name \"" + std::string(kernel) +
                "\", expected letters, digits, '_', '-' and '.' for a file, compile the plan again"};
  QWENRT_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(folder + "/" + std::string(kernel) + suffix));
  QWENRT_RETURN_IF_ERROR(file.write(bytes));
  return file.commit();
}

} // namespace qwenc
