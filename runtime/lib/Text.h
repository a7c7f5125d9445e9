//===- Text.h - Small pieces for messages ----------------------------------------------------------------------===//
#pragma once

#include "qwenrt/Status.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace qwenrt {

/// Joins strings and integers into one message.
template <typename... Parts> std::string text(const Parts &...parts) {
  std::string joined;
  auto append = [&joined](const auto &part) {
    using Part = std::decay_t<decltype(part)>;
    if constexpr (std::is_integral_v<Part>)
      joined += std::to_string(part);
    else
      joined += std::string_view(part);
  };
  (append(parts), ...);
  return joined;
}

/// A number of bytes for people: "512 B", "3.4 MB", "1.23 GB" (powers of 1000, as data sheets count).
std::string formatBytes(uint64_t sizeBytes);

/// \p value with \p digits digits behind the point.
std::string formatFixed(double value, int digits);

/// \p text with everything that could disturb a terminal or a message of one line replaced by '?': control characters
/// and what is no UTF-8. Cut after 200 bytes.
std::string printable(std::string_view text);

/// \p text as a JSON string with its quotes; what is no UTF-8 becomes U+FFFD.
std::string jsonString(std::string_view text);

} // namespace qwenrt
