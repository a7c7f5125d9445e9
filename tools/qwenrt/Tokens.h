//===- Tokens.h - Token ids and texts from the command line ------------------------------------------------------===//
#pragma once

#include "qwenrt/Status.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace qwenrt::tool {

/// "1,2,3" or "[1,2,3]", also in the file that a leading @ names. InvalidInput if it is none of these.
Result<std::vector<int32_t>> parseIds(const std::string &argument);

/// \p argument, or the content of the file that it names with a leading @.
Result<std::string> textOrFile(const std::string &argument);

/// "[1,2,3]"
std::string formatIds(std::span<const int32_t> ids);

} // namespace qwenrt::tool
