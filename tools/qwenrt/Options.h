//===- Options.h - The command line of qwenrt --------------------------------------------------------------------===//
#pragma once

#include "qwenrt/Session.h"
#include "runtime/frontend/media/MediaTurn.h"

#include <optional>
#include <string>
#include <vector>

namespace qwenrt::tool {

/// A file that --audio, --image or --video names.
struct MediaFile {
  Media media;
  std::string path;
};

/// What the speech options say.
struct SpeechSettings {
  std::string path; ///< of the WAV file, "-" for standard output; empty: no sound
  std::string speaker;
  bool greedy = false, ignoreEos = false, printCodes = false;
  std::string logitsPath;
  std::optional<float> temperature, topP, repetitionPenalty;
  std::optional<uint32_t> topK, maxFrames, chunkFrames, contextFrames;
};

enum class Mode { None, Generate, Interactive, Cases, Tokenize, Detokenize, Entry, Bench, ListDevices };

/// What the user asked for; unset options are empty.
struct Options {
  Mode mode = Mode::None;
  std::string planPath;

  // Device and weights
  std::string weightsFolder;
  DeviceOptions device;
  SessionOptions session;
  bool quiet = false, stats = false;
  std::string profilePath;
  bool profileRuns = false;

  // Text
  std::optional<std::string> prompt, inputIds;
  std::string system;
  bool hasSystem = false, raw = false, ignoreEos = false, printIds = false;
  std::optional<uint32_t> maxNewTokens;
  std::optional<std::string> stopIds, forceIds;
  std::optional<float> temperature, topP, repetitionPenalty;
  std::optional<uint32_t> topK;
  uint32_t seed = 0;
  std::string sampling; ///< "", "checkpoint" or "greedy"
  std::string thinking; ///< "", "on" or "off"
  std::string logitsPath;
  uint32_t repeat = 0; ///< 0: not given

  // Media
  std::vector<std::string> media;    ///< options of components beyond text that were given
  std::vector<MediaFile> mediaFiles; ///< in the order given
  MediaSettings mediaSettings;
  SpeechSettings speech;

  // Other modes
  bool interactive = false, listDevices = false;
  std::string casesPath, text, ids, entry, inputsPath, outputsPath, bench;
};

/// Parses the command line. A value below 0 in \p exitCode means: go on; else the program ends with it, all messages
/// printed.
Options parseOptions(int argc, char **argv, int &exitCode);

} // namespace qwenrt::tool
