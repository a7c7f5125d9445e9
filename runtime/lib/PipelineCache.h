//===- PipelineCache.h - Compiled kernels on disk ----------------------------------------------------------------===//
#pragma once

#include "DeviceState.h"

namespace qwenrt {

/// The folder of pipeline caches: $XDG_CACHE_HOME/qwenrt or ~/.cache/qwenrt; empty if there is no home.
std::string defaultCacheFolder();

/// A VkPipelineCache that starts from its file and returns there. The file carries its own length and hash, since
/// drivers trust what they are given: a damaged or foreign file is ignored.
class PipelineCache {
public:
  /// \p folder may be empty: then nothing is read or written.
  static Result<std::unique_ptr<PipelineCache>> open(detail::DeviceState &device, const std::string &folder);
  ~PipelineCache();

  VkPipelineCache handle() const { return handle_; }
  /// A usable file was found.
  bool warm() const { return initialBytes_ > 0; }
  const std::string &path() const { return path_; }
  /// Writes the file if the cache has grown. Failing is not worth an error: the next start is only slower.
  void save();

private:
  explicit PipelineCache(detail::DeviceState &device) : device_(device) {}
  detail::DeviceState &device_;
  VkPipelineCache handle_ = VK_NULL_HANDLE;
  std::string path_;
  size_t initialBytes_ = 0;
};

} // namespace qwenrt
