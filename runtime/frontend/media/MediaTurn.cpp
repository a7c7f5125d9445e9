#include "runtime/frontend/media/MediaTurn.h"

#include "runtime/lib/Text.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace qwenrt {
namespace {

constexpr uint32_t kChunkFrames = 100; // what audioTokenCount knows

uint64_t nowNs() {
  return uint64_t(std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
}

template <typename T>
HostTensorView viewOf(const char *name, fb::DType dtype, std::vector<uint64_t> shape, const T *values) {
  size_t count = 1;
  for (uint64_t extent : shape)
    count *= extent;
  return {name, dtype, std::move(shape), std::as_bytes(std::span(values, count))};
}

std::vector<HostTensorView> tensorsOf(const AudioRun &run) {
  using fb::DType;
  return {viewOf("features", DType::F32, {run.frames(), kMelBins}, run.features.data()),
          viewOf("taps_1", DType::I32, {run.columns1(), 3}, run.taps1.data()),
          viewOf("taps_2", DType::I32, {run.columns2(), 3}, run.taps2.data()),
          viewOf("taps_3", DType::I32, {run.tokens(), 3}, run.taps3.data()),
          viewOf("times", DType::I32, {run.tokens()}, run.times.data()),
          viewOf("segments", DType::I32, {run.tokens(), 2}, run.segments.data())};
}

/// The patches are made where the device reads them.
std::vector<HostTensorView> tensorsOf(const VisionRun &run, const VisionFeatures &features,
                                      const VisionOptions &options) {
  using fb::DType;
  const uint64_t count = run.patches();
  HostTensorView patches("patches", DType::F32, {count, options.patchValues()}, {});
  patches.fill = [&](uint64_t first, std::span<std::byte> rows) {
    writePatches(features, options, run.firstPatch + first,
                 {reinterpret_cast<float *>(rows.data()), rows.size() / sizeof(float)});
  };
  return {std::move(patches), viewOf("cells", DType::I32, {count, 4}, run.cells.data()),
          viewOf("cell_weights", DType::F32, {count, 4}, run.cellWeights.data()),
          viewOf("places", DType::I32, {count, 2}, run.places.data()),
          viewOf("segments", DType::I32, {count, 2}, run.segments.data())};
}

/// Rows that input \p name of \p entry takes at most.
uint64_t maxRows(const fb::Entry &entry, std::string_view name) {
  for (const fb::EntryTensor *tensor : *entry.inputs())
    if (tensor->name()->string_view() == name)
      return tensor->dims()->Get(0)->size();
  return 0;
}

void overridePixels(PixelRange &range, const MediaSettings &settings) {
  range.min = settings.minPixels.value_or(range.min);
  range.max = settings.maxPixels.value_or(range.max);
  if (!settings.minPixels) // one of them alone must not make the range empty
    range.min = std::min(range.min, range.max);
  if (!settings.maxPixels)
    range.max = std::max(range.min, range.max);
}

} // namespace

Status checkEncoder(const Plan &plan, Media media) {
  const fb::Media *table = plan.root().media();
  const bool audio = media == Media::Audio;
  if (!table || (audio ? table->audio() == nullptr : table->vision() == nullptr))
    return {StatusCode::Unsupported,
            text("plan of ", printable(plan.root().architecture()->string_view()), " has no ",
                 audio ? "audio" : "vision", " encoder, expected one for ", audio ? "sound" : "images and videos",
                 ", leave it out or take the plan of a model that has one")};
  if (audio && (table->audio()->mel_bins() != kMelBins || table->audio()->chunk_frames() != kChunkFrames))
    return {StatusCode::Unsupported, text("audio encoder takes ", table->audio()->mel_bins(), " mel bins in chunks of ",
                                          table->audio()->chunk_frames(), " frames, expected ", kMelBins, " and ",
                                          kChunkFrames, ", which files are read to, leave sound out")};
  return Status::ok();
}

Result<MediaReaderOptions> mediaReaderOptions(const Plan &plan, const MediaSettings &settings) {
  const fb::Media *media = plan.root().media();
  if (!media)
    return checkEncoder(plan, Media::Audio);
  if (settings.audioInVideo)
    QWENRT_RETURN_IF_ERROR(checkEncoder(plan, Media::Audio));
  MediaReaderOptions options;
  options.fps = settings.fps;
  options.audioInVideo = settings.audioInVideo;
  MediaLimits &limits = options.limits;
  const double seconds = double(media->max_rows()) / audioTokenCount(kChunkFrames);
  limits.maxAudioSeconds = std::min(limits.maxAudioSeconds, seconds + 1); // a part of the last second makes a row
  if (media->audio() && media->audio()->limit_seconds())
    limits.maxAudioSeconds = std::min<double>(limits.maxAudioSeconds, media->audio()->limit_seconds());
  if (const fb::VisionEncoder *vision = media->vision()) {
    options.vision.patch = vision->patch_size();
    options.vision.temporalPatch = vision->temporal_patch_size();
    options.vision.merge = vision->merge_size();
    options.vision.imagePixels = {vision->min_pixels(), vision->max_pixels()};
    limits.maxPatches =
        std::min(limits.maxPatches, uint64_t(media->max_rows()) * vision->merge_size() * vision->merge_size());
    if (vision->limit_image_pixels())
      limits.maxImagePixels = vision->limit_image_pixels();
    if (vision->limit_video_frames())
      limits.maxVideoFrames = std::min(limits.maxVideoFrames, vision->limit_video_frames());
  }
  overridePixels(options.vision.imagePixels, settings);
  overridePixels(options.vision.framePixels, settings);
  return options;
}

//===----------------------------------------------------------------------===//
// Collect
//===----------------------------------------------------------------------===//

Result<MediaTurn> MediaTurn::open(std::shared_ptr<const Plan> plan, const Tokenizer &tokenizer,
                                  const MediaSettings &settings) {
  QWENRT_ASSIGN_OR_RETURN(MediaReaderOptions options, mediaReaderOptions(*plan, settings));
  QWENRT_ASSIGN_OR_RETURN(MediaTokenIds tokens, MediaTokenIds::fromTokenizer(tokenizer));
  return MediaTurn(std::move(plan), tokens, options);
}

/// Folders of frames are read as images are.
Status MediaTurn::needDecoders(Media media, const std::string &path) {
  std::error_code error;
  const bool video = media == Media::Video && !std::filesystem::is_directory(path, error);
  if (hasFiles_ && (hasVideo_ || !video))
    return Status::ok();
  QWENRT_ASSIGN_OR_RETURN(MediaDecoders decoders, loadMediaDecoders(video));
  reader_.setDecoders(decoders);
  hasFiles_ = true;
  hasVideo_ = video;
  return Status::ok();
}

Status MediaTurn::add(Media media, const std::string &path) {
  const uint64_t start = nowNs();
  QWENRT_RETURN_IF_ERROR(checkEncoder(*plan_, media));
  QWENRT_RETURN_IF_ERROR(needDecoders(media, path));
  switch (media) {
  case Media::Audio:
    QWENRT_RETURN_IF_ERROR(reader_.addAudio(path));
    break;
  case Media::Image:
    QWENRT_RETURN_IF_ERROR(reader_.addImage(path));
    break;
  case Media::Video:
    QWENRT_RETURN_IF_ERROR(reader_.addVideo(path));
    break;
  }
  ++added_;
  pendingNs_ += nowNs() - start;
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Prepare
//===----------------------------------------------------------------------===//

Result<EncoderPrompt> MediaTurn::prepare(std::span<const int32_t> ids, float firstPosition, uint64_t room) {
  const uint64_t start = nowNs();
  Result<EncoderPrompt> result = build(ids, firstPosition, room);
  reader_.clear();
  added_ = 0;
  frontEndNs_ = pendingNs_ + nowNs() - start;
  pendingNs_ = 0;
  return result;
}

Result<EncoderPrompt> MediaTurn::build(std::span<const int32_t> ids, float firstPosition, uint64_t room) {
  const uint32_t maxRows = plan_->root().media()->max_rows();
  EncoderPrompt result;
  QWENRT_ASSIGN_OR_RETURN(MediaInputs inputs, reader_.finish(placeholderOrder(ids, tokens_)));
  QWENRT_ASSIGN_OR_RETURN(result.prompt, expandMedia(ids, tokens_, inputs.spans, {firstPosition, room}));
  result.rows.assign(result.prompt.ids.size(), -1);
  uint64_t row = 0; // sound first, then images, then videos
  for (const std::vector<uint32_t> *places :
       {&result.prompt.audioRows, &result.prompt.imageRows, &result.prompt.videoRows})
    for (uint32_t place : *places)
      result.rows[place] = int32_t(row++);
  if (row > maxRows)
    return Status(StatusCode::InvalidInput,
                  text("the media of the turn make ", row, " tokens, expected at most the ", maxRows,
                       " of the plan, give fewer or smaller ones or compile with larger --max-audio-seconds, "
                       "--max-image-pixels or --max-video-frames"));
  if (inputs.spans.audioInVideo) {
    QWENRT_ASSIGN_OR_RETURN(MediaPositions spoken, mediaPositions(result.prompt.ids, tokens_, inputs.spans,
                                                                  firstPosition, AudioInVideoPositions::Counted));
    result.spokenPositions = std::move(spoken.values);
  }
  QWENRT_RETURN_IF_ERROR(cutRuns(std::move(inputs), result));
  return result;
}

Status MediaTurn::cutRuns(MediaInputs inputs, EncoderPrompt &result) const {
  const fb::Media &media = *plan_->root().media();
  if (const fb::AudioEncoder *audio = media.audio()) {
    const fb::Entry &entry = *plan_->root().entries()->Get(*plan_->findEntry(audio->entry()->string_view()));
    const AudioRunLimits limits = {audio->max_frames(), maxRows(entry, "taps_1"), maxRows(entry, "taps_2"),
                                   std::min(maxRows(entry, "taps_3"), maxRows(entry, "segments"))};
    QWENRT_ASSIGN_OR_RETURN(result.audio,
                            audioRuns(inputs.audio, {audio->chunk_frames(), audio->window_chunks()}, limits));
    result.audioEntry = audio->entry()->str();
  }
  if (const fb::VisionEncoder *vision = media.vision()) {
    const VisionShape shape = {vision->merge_size(), vision->position_side()};
    QWENRT_ASSIGN_OR_RETURN(result.images, visionRuns(inputs.images.grids, shape, vision->max_patches()));
    QWENRT_ASSIGN_OR_RETURN(result.videos, visionRuns(inputs.videos.grids, shape, vision->max_patches()));
    result.imagePixels = std::move(inputs.images);
    result.videoPixels = std::move(inputs.videos);
    result.vision = reader_.options().vision;
    result.visionEntry = vision->entry()->str();
  }
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Encode
//===----------------------------------------------------------------------===//

Result<uint64_t> appendPrompt(Session &session, const EncoderPrompt &prompt) {
  const uint64_t start = nowNs();
  uint32_t row = 0;
  auto encode = [&](const std::string &entry, const std::vector<HostTensorView> &inputs) -> Status {
    QWENRT_ASSIGN_OR_RETURN(uint32_t count, session.encodeMedia(entry, inputs, row));
    row += count;
    return Status::ok();
  };
  for (const AudioRun &run : prompt.audio)
    QWENRT_RETURN_IF_ERROR(encode(prompt.audioEntry, tensorsOf(run)));
  for (auto [runs, pixels] :
       {std::pair{&prompt.images, &prompt.imagePixels}, std::pair{&prompt.videos, &prompt.videoPixels}})
    for (const VisionRun &run : *runs)
      QWENRT_RETURN_IF_ERROR(encode(prompt.visionEntry, tensorsOf(run, *pixels, prompt.vision)));
  const uint64_t encodeNs = nowNs() - start;
  QWENRT_RETURN_IF_ERROR(session.append(MediaTokens{prompt.prompt.ids, prompt.prompt.positions.values, prompt.rows,
                                                    prompt.prompt.positions.next, prompt.spokenPositions}));
  return encodeNs;
}

} // namespace qwenrt
