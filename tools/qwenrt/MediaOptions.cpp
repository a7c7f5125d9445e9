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

constexpr const char *kAudio = "audio encoder", *kVision = "vision encoder", *kTalker = "talker", *kVocoder = "vocoder";

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
    {"--speech", kVocoder, Value::Text, "OUT.wav|-",
     "Speak the answer to a file, or to standard output while text goes to standard error; a chat's answers follow "
     "each other (default: text only)"},
    {"--speaker", kTalker, Value::Text, "NAME", "Voice (default: ethan, else the checkpoint's first by name)"},
    {"--speech-greedy", kTalker, Value::Flag, "", "Best codec token each (default: as the checkpoint says)"},
    {"--speech-temperature", kTalker, Value::Number, "T", "Of the codec tokens (default: as the checkpoint says)"},
    {"--speech-top-k", kTalker, Value::Count, "K", "Keep the k best codec tokens (default: as the checkpoint says)"},
    {"--speech-top-p", kTalker, Value::Number, "P", "Keep this probability (default: as the checkpoint says)"},
    {"--speech-repetition-penalty", kTalker, Value::Number, "X", "On codec tokens (default: as the checkpoint says)"},
    {"--speech-max-frames", kTalker, Value::Count, "N",
     "Codec frames at most, 1 or more (default: as the checkpoint says)"},
    {"--speech-ignore-eos", kTalker, Value::Flag, "", "Go on behind the codec's stop token (default: off)"},
    {"--vocoder-chunk", kVocoder, Value::Count, "N", "Decode N codec frames at a time (default: streamed)"},
    {"--vocoder-context", kVocoder, Value::Count, "N", "Codec frames before each chunk (default: streamed)"},
    {"--speech-logits", kTalker, Value::Text, "FILE.safetensors",
     "Write f32 logits of each frame, 'talker' and 'predictor', and the 'codes' chosen of them (default: none)"},
    {"--print-codes", kTalker, Value::Flag, "", "Print the codec frames as a JSON array of arrays (default: off)"},
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

Status tool::takeSpeechOptions(const CLI::App &app, Options &options) {
  auto given = [&app](const char *name) { return app.get_option(name)->count() > 0; };
  auto words = [&](const char *name) { return given(name) ? app.get_option(name)->results().back() : std::string(); };
  SpeechSettings &speech = options.speech;
  speech.path = words("--speech");
  speech.speaker = words("--speaker");
  speech.logitsPath = words("--speech-logits");
  speech.greedy = given("--speech-greedy");
  speech.ignoreEos = given("--speech-ignore-eos");
  speech.printCodes = given("--print-codes");
  speech.temperature = lastNumber<float>(app, "--speech-temperature");
  speech.topP = lastNumber<float>(app, "--speech-top-p");
  speech.repetitionPenalty = lastNumber<float>(app, "--speech-repetition-penalty");
  speech.topK = lastNumber<uint32_t>(app, "--speech-top-k");
  speech.maxFrames = lastNumber<uint32_t>(app, "--speech-max-frames");
  speech.chunkFrames = lastNumber<uint32_t>(app, "--vocoder-chunk");
  speech.contextFrames = lastNumber<uint32_t>(app, "--vocoder-context");
  auto wrong = [](auto... parts) { return Status(StatusCode::InvalidUsage, text(parts...)); };
  if (given("--speech") && speech.path.empty())
    return wrong("--speech names no file, expected a path or - for standard output, add it");
  if (given("--speech-logits") && speech.logitsPath.empty())
    return wrong("--speech-logits names no file, expected a path, add it");
  for (const MediaOption &option : kSpeechOut)
    if (given(option.name) && !given("--speech") && (option.component == kVocoder || !speech.printCodes))
      return wrong(option.name, " given without --speech, expected both, add it or leave it out");
  if (speech.greedy)
    for (const char *option : {"--speech-temperature", "--speech-top-k", "--speech-top-p"})
      if (given(option))
        return wrong(option, " given beside --speech-greedy, expected one of them, leave one out");
  for (auto [option, value] :
       {std::pair{"--speech-max-frames", speech.maxFrames}, {"--vocoder-chunk", speech.chunkFrames}})
    if (value == 0u)
      return wrong(option, " is 0, expected 1 or more, raise it");
  if (speech.contextFrames && !speech.chunkFrames)
    return wrong("--vocoder-context given without --vocoder-chunk, expected both, add it or leave it out");
  return Status::ok();
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
  const fb::Speech *speech = plan.root().speech();
  if (speech && speech->talker() && (component == kTalker || (component == kVocoder && speech->vocoder())))
    return Status::ok();
  return {StatusCode::Unsupported,
          text("plan of ", printable(plan.root().architecture()->string_view()), " has no ", component,
               ", expected one for ", option, ", leave it out or take the plan of a model that has one")};
}
