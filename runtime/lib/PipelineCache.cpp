//===- PipelineCache.cpp -----------------------------------------------------------------------------------------===//
#include "PipelineCache.h"

#include "File.h"
#include "Text.h"
#include "runtime/schema/Fnv1a.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/stat.h>

using namespace qwenrt;

namespace {

constexpr char kMagic[8] = {'Q', 'W', 'E', 'N', 'P', 'C', 'A', '1'};
constexpr uint64_t kLargestCache = 256 << 20;

struct Header {
  char magic[8];
  uint64_t sizeBytes;
  uint64_t hash;
};

/// One file per device and driver: both change what the bytes mean.
std::string fileName(const detail::DeviceState &device) {
  uint64_t hash = fnv1a(device.deviceUuid, VK_UUID_SIZE);
  hash = fnv1a(device.properties.pipelineCacheUUID, VK_UUID_SIZE, hash);
  hash = fnv1a(&device.properties.driverVersion, 4, hash);
  hash = fnv1a(&device.properties.vendorID, 4, hash);
  hash = fnv1a(&device.properties.deviceID, 4, hash);
  char name[40];
  std::snprintf(name, sizeof(name), "pipelines-%016llx.bin", static_cast<unsigned long long>(hash));
  return name;
}

std::vector<std::byte> readCache(const std::string &path) {
  Result<File> file = File::open(path);
  Header header = {};
  if (!file.isOk() || file->sizeBytes() < sizeof(header) || file->sizeBytes() > kLargestCache)
    return {};
  std::vector<std::byte> data(file->sizeBytes() - sizeof(header));
  if (!file->readAt(0, &header, sizeof(header)).isOk() ||
      !file->readAt(sizeof(header), data.data(), data.size()).isOk())
    return {};
  bool intact = std::memcmp(header.magic, kMagic, sizeof(kMagic)) == 0 && header.sizeBytes == data.size() &&
                header.hash == fnv1a(data.data(), data.size());
  return intact ? data : std::vector<std::byte>();
}

/// Makes \p folder and what is above it.
void makeFolders(const std::string &folder) {
  for (size_t slash = folder.find('/', 1);; slash = folder.find('/', slash + 1)) {
    ::mkdir(folder.substr(0, slash).c_str(), 0755);
    if (slash == std::string::npos)
      return;
  }
}

} // namespace

std::string qwenrt::defaultCacheFolder() {
  if (const char *cache = std::getenv("XDG_CACHE_HOME"); cache && cache[0] == '/')
    return std::string(cache) + "/qwenrt";
  if (const char *home = std::getenv("HOME"); home && home[0] == '/')
    return std::string(home) + "/.cache/qwenrt";
  return "";
}

Result<std::unique_ptr<PipelineCache>> PipelineCache::open(detail::DeviceState &device, const std::string &folder) {
  std::unique_ptr<PipelineCache> cache(new PipelineCache(device));
  std::vector<std::byte> initial;
  if (!folder.empty()) {
    cache->path_ = folder + "/" + fileName(device);
    initial = readCache(cache->path_);
  }
  VkPipelineCacheCreateInfo info = {VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO};
  info.initialDataSize = initial.size();
  info.pInitialData = initial.data();
  QWENRT_RETURN_IF_VK_ERROR(device.vk.vkCreatePipelineCache(device.device, &info, nullptr, &cache->handle_),
                            "create a pipeline cache");
  cache->initialBytes_ = initial.size();
  return cache;
}

PipelineCache::~PipelineCache() { device_.vk.vkDestroyPipelineCache(device_.device, handle_, nullptr); }

void PipelineCache::save() {
  size_t size = 0;
  if (path_.empty() || device_.vk.vkGetPipelineCacheData(device_.device, handle_, &size, nullptr) != VK_SUCCESS)
    return;
  if (size == initialBytes_ || size > kLargestCache - sizeof(Header))
    return;
  std::string content(sizeof(Header) + size, '\0');
  if (device_.vk.vkGetPipelineCacheData(device_.device, handle_, &size, content.data() + sizeof(Header)) != VK_SUCCESS)
    return;
  content.resize(sizeof(Header) + size);
  Header header = {{}, size, fnv1a(content.data() + sizeof(Header), size)};
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  std::memcpy(content.data(), &header, sizeof(header));
  makeFolders(path_.substr(0, path_.rfind('/')));
  if (!writeFileAtomically(path_, content).isOk())
    path_.clear(); // a read-only home: do not try again
}
