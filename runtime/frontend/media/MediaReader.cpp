#include "runtime/frontend/media/MediaReader.h"

#include "runtime/lib/Text.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <system_error>

namespace qwenrt {
namespace {

namespace fs = std::filesystem;

constexpr double kDefaultSamplingFps = 2, kDefaultPositionFps = 1;

bool isImageName(const fs::path &path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension == ".png" || extension == ".jpg" || extension == ".jpeg" || extension == ".webp";
}

/// The images in \p folder by name; one more than \p maxCount at most.
Result<std::vector<std::string>> frameFiles(const std::string &folder, size_t maxCount) {
  std::vector<std::string> files;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    if (isImageName(entry->path()) && files.size() <= maxCount)
      files.push_back(entry->path().string());
  if (error)
    return Status(StatusCode::Io, text(printable(folder), ": cannot list the folder (", error.message(),
                                       "), expected one that can be read, check the path"));
  std::sort(files.begin(), files.end());
  return files;
}

Status missing(std::string_view decoder) {
  return {StatusCode::Unsupported,
          text("no decoder for ", decoder, " is loaded, expected one, load the module for it")};
}

} // namespace

Status MediaReader::addAudio(const std::string &path) {
  if (!decoders_.readAudio)
    return missing("sound files");
  QWENRT_ASSIGN_OR_RETURN(Samples samples, decoders_.readAudio(path, options_.limits));
  const auto waiting = std::find(tracks_.begin(), tracks_.end(), std::nullopt);
  if (waiting != tracks_.end()) {
    *waiting = std::move(samples);
    return Status::ok();
  }
  clips_.push_back(std::move(samples));
  parts_.push_back(Media::Audio);
  return Status::ok();
}

Status MediaReader::addImage(const std::string &path) {
  if (!decoders_.readImage)
    return missing("image files");
  QWENRT_ASSIGN_OR_RETURN(RgbImage image, decoders_.readImage(path, options_.limits));
  QWENRT_RETURN_IF_ERROR(appendImage(image, options_.vision, options_.limits, images_).withContext(printable(path)));
  parts_.push_back(Media::Image);
  return Status::ok();
}

Status MediaReader::addVideo(const std::string &path) {
  const size_t groups = videos_.groups.size(), grids = videos_.grids.size(), tracks = tracks_.size();
  const uint64_t patches = videos_.patchCount;
  Status status = readVideo(path);
  if (status) {
    parts_.push_back(Media::Video);
    return status;
  }
  // Nothing of a broken video may stay between the others; a chat goes on after the message.
  videos_.groups.resize(groups);
  videos_.patchCount = patches;
  videos_.grids.resize(grids);
  tracks_.resize(tracks);
  return status;
}

Status MediaReader::readVideo(const std::string &path) {
  if (options_.fps && !(*options_.fps > 0 && std::isfinite(*options_.fps)))
    return {StatusCode::InvalidUsage,
            text("the rate is ", formatFixed(*options_.fps, 3), " frames per second, expected above 0, change --fps")};
  std::error_code error;
  const bool isFolder = fs::is_directory(path, error);
  VideoPatcher patcher(options_.vision, options_.limits, videos_);
  if (isFolder) {
    QWENRT_RETURN_IF_ERROR(addFolder(path, patcher));
  } else {
    if (!decoders_.readVideoFrames || !decoders_.readVideoTrack)
      return missing("video files");
    MediaLimits limits = options_.limits; // a smaller limit refuses the frames, it does not thin them out
    limits.maxVideoFrames = MediaLimits().maxVideoFrames;
    QWENRT_RETURN_IF_ERROR(decoders_.readVideoFrames(path, options_.fps.value_or(kDefaultSamplingFps), limits,
                                                     [&](const RgbImage &frame) { return patcher.add(frame); }));
  }
  QWENRT_RETURN_IF_ERROR(patcher.finish().withContext(printable(path)));
  if (!options_.audioInVideo)
    return Status::ok();
  tracks_.emplace_back();
  if (!isFolder) {
    QWENRT_ASSIGN_OR_RETURN(tracks_.back(), decoders_.readVideoTrack(path, options_.limits));
  }
  return Status::ok();
}

Status MediaReader::addFolder(const std::string &path, VideoPatcher &patcher) {
  if (!decoders_.readImage)
    return missing("image files");
  const uint32_t maxFrames = options_.limits.maxVideoFrames;
  QWENRT_ASSIGN_OR_RETURN(const std::vector<std::string> files, frameFiles(path, maxFrames));
  if (files.size() > maxFrames)
    return {StatusCode::InvalidInput,
            text(printable(path), ": the folder has more than ", maxFrames,
                 " frames, expected at most that (--max-video-frames of the plan), take some out")};
  if (files.empty())
    return {StatusCode::InvalidInput,
            text(printable(path), ": the folder has no frame, expected images named .png, .jpg, "
                                  ".jpeg or .webp, put them there")};
  for (const std::string &file : files) {
    QWENRT_ASSIGN_OR_RETURN(RgbImage frame, decoders_.readImage(file, options_.limits));
    QWENRT_RETURN_IF_ERROR(patcher.add(frame).withContext(printable(file)));
  }
  return Status::ok();
}

Result<MediaInputs> MediaReader::finish(std::optional<std::vector<Media>> order) {
  if (std::find(tracks_.begin(), tracks_.end(), std::nullopt) != tracks_.end())
    return Status(StatusCode::InvalidInput,
                  "a folder of frames has no track, expected an audio clip behind it, add one or "
                  "leave --use-audio-in-video out");
  MediaInputs inputs;
  inputs.images = std::move(images_);
  inputs.videos = std::move(videos_);
  inputs.spans.images = inputs.images.grids;
  inputs.spans.merge = options_.vision.merge;
  inputs.spans.audioInVideo = options_.audioInVideo && !tracks_.empty();
  for (const PatchGrid &grid : inputs.videos.grids)
    inputs.spans.videos.push_back({grid, options_.vision.temporalPatch / options_.fps.value_or(kDefaultPositionFps)});

  // Clips in the order in which the prompt comes to them; a track stands where its video does.
  std::vector<std::span<const float>> clips;
  size_t clip = 0, track = 0;
  for (Media part : order ? *order : parts_) {
    if (part == Media::Audio && clip < clips_.size())
      clips.emplace_back(clips_[clip++]);
    else if (part == Media::Video && track < tracks_.size())
      clips.emplace_back(*tracks_[track++]);
  }
  if (clip < clips_.size() || track < tracks_.size())
    return Status(StatusCode::InvalidInput,
                  text("the prompt has placeholders for ", clip, " of ", clips_.size(), " audio clips and ", track,
                       " of ", tracks_.size(), " videos, expected one for each, add placeholders or give fewer"));
  if (!clips.empty()) {
    QWENRT_ASSIGN_OR_RETURN(inputs.audio, logMelFeatures(clips));
  }
  inputs.spans.audioFrames = inputs.audio.clipFrames;
  clear();
  return inputs;
}

std::vector<Media> placeholderOrder(std::span<const int32_t> ids, const MediaTokenIds &tokens) {
  std::vector<Media> order;
  for (int32_t id : ids) {
    if (id == tokens.audioPad)
      order.push_back(Media::Audio);
    else if (id == tokens.imagePad)
      order.push_back(Media::Image);
    else if (id == tokens.videoPad)
      order.push_back(Media::Video);
  }
  return order;
}

} // namespace qwenrt
