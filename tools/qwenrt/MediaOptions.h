//===- MediaOptions.h - Options of components that a text model does not have ------------------------------------===//
#pragma once

#include "Options.h"

#include <string_view>

namespace CLI {
class App;
}

namespace qwenrt::tool {

/// Makes the media and speech options known to \p app.
void addMediaOptions(CLI::App &app);

/// Those of them that were given, in the order of --help. After parsing.
std::vector<std::string> givenMediaOptions(const CLI::App &app);

/// Fills in what the media options say. After parsing.
void takeMediaOptions(const CLI::App &app, Options &options);

/// The same of the speech options. InvalidUsage if one contradicts another or is out of range.
Status takeSpeechOptions(const CLI::App &app, Options &options);

/// InvalidUsage if one of the options that were given changes nothing for the files that were given.
Status checkMediaUse(const Options &options);

/// Ok if \p plan has the component that \p option is about: an option, or a chat's "/audio", "/image" or "/video".
/// Unsupported says which component is missing.
Status checkComponent(std::string_view option, const Plan &plan);

} // namespace qwenrt::tool
