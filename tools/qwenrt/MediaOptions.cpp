//===- MediaOptions.cpp ------------------------------------------------------------------------------------------===//
#include "MediaOptions.h"

#include "runtime/lib/Text.h"

#include <CLI/CLI.hpp>

#include <map>

using namespace qwenrt;
using namespace qwenrt::tool;

namespace {

enum class Value { Flag, Text, Count, Number };

constexpr const char *kMediaGroup = "Media inputs (of models with an audio or vision encoder)";

struct MediaOption {
  const char *name;
  const char *component; ///< what a plan needs for it
  Value value;
  const char *type;
  const char *help;
};

constexpr const char *kAudio = "audio encoder", *kVision = "vision encoder", *kSpeech = "speech decoder";

constexpr MediaOption kMedia[] = {
    {"--audio", kAudio, Value::Text, "FILE", "Audio file for the turn, repeatable (default: none)"},
    {"--image", kVision, Value::Text, "FILE", "Image file for the turn, repeatable (default: none)"},
    {"--video", kVision, Value::Text, "FILE|DIR", "Video file or folder of frames, repeatable (default: none)"},
    {"--fps", kVision, Value::Number, "RATE", "Frames taken of a video, in frames per second (default: 2)"},
    {"--min-pixels", kVision, Value::Count, "N", "Least size of a frame, in pixels (default: the preprocessor's)"},
    {"--max-pixels", kVision, Value::Count, "N", "Greatest size of a frame, in pixels (default: the preprocessor's)"},
    {"--use-audio-in-video", kAudio, Value::Flag, "", "Hear the video's own track too (default: off)"},
};

constexpr MediaOption kSpeechOut[] = {
    {"--speech", kSpeech, Value::Text, "OUT.wav|-", "Speak the answer to a file (default: text only)"},
    {"--speaker", kSpeech, Value::Text, "NAME", "Voice (default: the checkpoint's first)"},
    {"--speech-greedy", kSpeech, Value::Flag, "", "Best codec token each (default: as the checkpoint says)"},
    {"--speech-temperature", kSpeech, Value::Number, "T", "Of the codec tokens (default: as the checkpoint says)"},
    {"--speech-top-k", kSpeech, Value::Count, "K", "Keep the k best codec tokens (default: as the checkpoint says)"},
    {"--speech-top-p", kSpeech, Value::Number, "P", "Keep this probability (default: as the checkpoint says)"},
    {"--speech-repetition-penalty", kSpeech, Value::Number, "X", "On codec tokens (default: as the checkpoint says)"},
    {"--speech-max-frames", kSpeech, Value::Count, "N", "Codec frames at most (default: as the checkpoint says)"},
    {"--speech-ignore-eos", kSpeech, Value::Flag, "", "Do not stop at the codec's stop token (default: off)"},
    {"--vocoder-chunk", kSpeech, Value::Count, "N", "Decode N codec frames at a time (default: streamed)"},
    {"--vocoder-context", kSpeech, Value::Count, "N", "Codec frames before each chunk (default: streamed)"},
    {"--print-codes", kSpeech, Value::Flag, "", "Print the codec frames as a JSON array of arrays (default: off)"},
};

void addOption(CLI::App &group, const MediaOption &option) {
  if (option.value == Value::Flag) {
    group.add_flag(option.name, option.help);
    return;
  }
  CLI::Option *added = group.add_option(option.name, option.help)->type_name(option.type);
  added->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->allow_extra_args(false);
  if (option.value == Value::Count)
    added->check(CLI::Range(0u, UINT32_MAX).description(""));
  else if (option.value == Value::Number)
    added->check(CLI::Range(0.0f, 1e9f).description(""));
}

template <typename Function> void forEachOption(Function function) {
  for (const MediaOption &option : kMedia)
    function(option);
  for (const MediaOption &option : kSpeechOut)
    function(option);
}

} // namespace

void tool::addMediaOptions(CLI::App &app) {
  auto *media = app.add_option_group(kMediaGroup);
  for (const MediaOption &option : kMedia)
    addOption(*media, option);
  auto *speech = app.add_option_group("Speech out (of models with a speech decoder)");
  for (const MediaOption &option : kSpeechOut)
    addOption(*speech, option);
}

std::vector<std::string> tool::givenMediaOptions(const CLI::App &app) {
  std::vector<std::string> given;
  forEachOption([&](const MediaOption &option) {
    if (app.get_option(option.name)->count() > 0)
      given.push_back(option.name);
  });
  return given;
}

namespace {

std::optional<Media> mediumOf(std::string_view word) {
  if (word == "audio")
    return Media::Audio;
  if (word == "image")
    return Media::Image;
  return word == "video" ? std::optional(Media::Video) : std::nullopt;
}

/// The number that stands last behind \p option.
template <typename T> std::optional<T> lastNumber(const CLI::App &app, const char *option) {
  const CLI::Option *given = app.get_option(option);
  T value = 0;
  if (given->count() == 0 || !CLI::detail::lexical_cast(given->results().back(), value))
    return std::nullopt;
  return value;
}

} // namespace

void tool::takeMediaOptions(const CLI::App &app, Options &options) {
  std::map<const CLI::Option *, size_t> used;
  for (const CLI::Option *option : app.get_option_group(kMediaGroup)->parse_order())
    if (std::optional<Media> media = mediumOf(option->get_name().substr(2)))
      if (size_t index = used[option]++; index < option->results().size())
        options.mediaFiles.push_back({*media, option->results()[index]});
  options.mediaSettings.fps = lastNumber<double>(app, "--fps");
  options.mediaSettings.minPixels = lastNumber<uint64_t>(app, "--min-pixels");
  options.mediaSettings.maxPixels = lastNumber<uint64_t>(app, "--max-pixels");
  options.mediaSettings.audioInVideo = app.get_option("--use-audio-in-video")->count() > 0;
}

Status tool::checkMediaUse(const Options &options) {
  bool image = false, video = false;
  for (const MediaFile &file : options.mediaFiles) {
    image |= file.media == Media::Image;
    video |= file.media == Media::Video;
  }
  auto without = [](const char *option, const char *files) {
    return Status(StatusCode::InvalidUsage,
                  text(option, " given without ", files, ", expected one of them, add it or leave it out"));
  };
  const MediaSettings &settings = options.mediaSettings;
  if (settings.fps && !video)
    return without("--fps", "--video");
  if (settings.audioInVideo && !video)
    return without("--use-audio-in-video", "--video");
  if (settings.minPixels && !image && !video)
    return without("--min-pixels", "--image or --video");
  if (settings.maxPixels && !image && !video)
    return without("--max-pixels", "--image or --video");
  return Status::ok();
}

Status tool::checkComponent(std::string_view option, const Plan &plan) {
  std::string_view word = option.substr(option.find_first_not_of("-/"));
  const char *component = kVision;
  forEachOption([&](const MediaOption &candidate) {
    if (std::string_view(candidate.name).substr(2) == word)
      component = candidate.component;
  });
  const fb::Media *media = plan.root().media();
  if (media && ((component == kAudio && media->audio()) || (component == kVision && media->vision())))
    return Status::ok();
  return {StatusCode::Unsupported,
          text("plan of ", printable(plan.root().architecture()->string_view()), " has no ", component,
               ", expected one for ", option, ", leave it out or take the plan of a model that has one")};
}
