//===- MediaOptions.h - Options of components that a text model does not have ------------------------------------===//
#pragma once

#include "qwenrt/Plan.h"
#include "qwenrt/Status.h"

#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace qwenrt::tool {

/// Makes the media and speech options known to \p app.
void addMediaOptions(CLI::App &app);

/// Those of them that were given, in the order of --help. After parsing.
std::vector<std::string> givenMediaOptions(const CLI::App &app);

/// Ok if \p plan has the component that \p option is about: an option, or a chat's "/audio", "/image" or "/video".
/// Unsupported says which component is missing.
Status checkComponent(std::string_view option, const Plan &plan);

} // namespace qwenrt::tool
