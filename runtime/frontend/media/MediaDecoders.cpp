#include "runtime/frontend/media/MediaDecoders.h"

#include "runtime/lib/Text.h"

#include <array>
#include <dlfcn.h>
#include <filesystem>
#include <system_error>

namespace qwenrt {
namespace {

using Entry = const MediaDecoders *(*)(uint32_t version);

/// Looks at every place; the reason is that of the first module that exists, else that of the last place.
void *openModule(const std::string &name, std::string &reason) {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (const std::string &path :
       std::array{(program / name).string(), (program.parent_path() / "lib" / name).string(), name}) {
    if (error && path != name)
      continue;
    if (path != name && !std::filesystem::exists(path, error))
      continue;
    if (void *module = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL))
      return module;
    const char *found = dlerror();
    reason = printable(found ? found : "no reason given");
    return nullptr;
  }
  return nullptr;
}

Result<MediaDecoders> loadModule(const std::string &name, std::string_view instead) {
  std::string reason;
  void *module = openModule(name, reason);
  if (!module)
    return Status(StatusCode::Unsupported, text("cannot load ", name, " (", reason,
                                                "), expected it and its libraries in this build, ", instead));
  const auto entry = reinterpret_cast<Entry>(dlsym(module, "qwenrtMediaDecoders"));
  const MediaDecoders *decoders = entry ? entry(kMediaDecodersVersion) : nullptr;
  if (!decoders)
    return Status(
        StatusCode::Unsupported,
        text(name, " belongs to another version of qwenrt, expected that of this build, install them together"));
  return *decoders;
}

} // namespace

Result<MediaDecoders> loadMediaDecoders(bool withVideo) {
  QWENRT_ASSIGN_OR_RETURN(MediaDecoders decoders, loadModule("qwenrt-media.so", "install libsndfile1, libsoxr0, "
                                                                                "libspng0, libturbojpeg0, libwebp7, "
                                                                                "libwebpdemux2 and libexif12"));
  if (!withVideo)
    return decoders;
  QWENRT_ASSIGN_OR_RETURN(MediaDecoders video,
                          loadModule("qwenrt-video.so", "install libavformat59, libswscale6 and "
                                                        "libswresample4, or give a folder of frames"));
  decoders.readVideoFrames = video.readVideoFrames;
  decoders.readVideoTrack = video.readVideoTrack;
  return decoders;
}

} // namespace qwenrt
