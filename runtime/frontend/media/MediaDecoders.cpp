#include "runtime/frontend/media/MediaDecoders.h"

#include "runtime/lib/Text.h"

#include <dlfcn.h>
#include <filesystem>
#include <system_error>

namespace qwenrt {
namespace {

using Entry = const MediaDecoders *(*)(uint32_t version);

/// The folder of the program or shared library that this code is in; empty if the loader does not say.
std::filesystem::path ownFolder() {
  Dl_info info = {};
  if (dladdr(reinterpret_cast<void *>(&ownFolder), &info) == 0 || !info.dli_fname)
    return {};
  return std::filesystem::path(info.dli_fname).parent_path();
}

/// The first place that has \p name: the program's folder, ../lib from there, the folder of libqwenrt, where the
/// system's loader looks.
std::string findModule(const std::string &name) {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (const std::filesystem::path &folder : {program, program.parent_path() / "lib", ownFolder()})
    if (!folder.empty() && std::filesystem::exists(folder / name, error))
      return (folder / name).string();
  return name;
}

} // namespace

Result<MediaDecoders> loadDecoderModule(const std::string &path, std::string_view remedy) {
  void *module = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!module) {
    const char *reason = dlerror();
    return Status(StatusCode::Unsupported,
                  text("cannot load '", printable(path), "' (", printable(reason ? reason : ""),
                       "), expected the module and its libraries, ", remedy));
  }
  const auto entry = reinterpret_cast<Entry>(dlsym(module, "qwenrtMediaDecoders"));
  const MediaDecoders *decoders = entry ? entry(kMediaDecodersVersion) : nullptr;
  if (!decoders)
    return Status(StatusCode::Unsupported, text("'", printable(path),
                                                "' belongs to another version of qwenrt, expected "
                                                "that of this build, install them together"));
  return *decoders;
}

Result<MediaDecoders> loadMediaDecoders(bool withVideo) {
  QWENRT_ASSIGN_OR_RETURN(MediaDecoders decoders,
                          loadDecoderModule(findModule("qwenrt-media.so"), "install libsndfile1, libsoxr0, "
                                                                           "libspng0, libturbojpeg0, libwebp7, "
                                                                           "libwebpdemux2 and libexif12"));
  if (!withVideo)
    return decoders;
  QWENRT_ASSIGN_OR_RETURN(MediaDecoders video, loadDecoderModule(findModule("qwenrt-video.so"),
                                                                 "install libavformat59, libswscale6 and "
                                                                 "libswresample4, or give a folder of frames"));
  decoders.readVideoFrames = video.readVideoFrames;
  decoders.readVideoTrack = video.readVideoTrack;
  return decoders;
}

} // namespace qwenrt
