//===- Json.h - Strict, bounded JSON ----------------------------------------------------------------------------===//
//
// Every JSON text of a checkpoint or a graph comes from somebody else. This parser never throws, refuses duplicate keys
// (two readers could otherwise see two different documents), and bounds depth, size and number of values.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "qwenrt/Status.h"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace qwenc {

using qwenrt::Result;
using qwenrt::Status;
using qwenrt::StatusCode;

struct JsonLimits {
  uint64_t maxBytes = uint64_t(16) << 20;
  unsigned maxDepth = 64;         ///< nested objects and arrays
  uint64_t maxValues = 1'000'000; ///< values of any kind, containers included
};

/// Parses UTF-8 JSON. Errors (InvalidInput) name line and column.
Result<nlohmann::json> parseJson(std::string_view text, const JsonLimits &limits = {});

/// Reads and parses a JSON file; messages start with its path.
Result<nlohmann::json> readJsonFile(const std::string &path, const JsonLimits &limits = {});

/// The member \p key of \p object, or null when \p object is no object or has no such member.
const nlohmann::json *member(const nlohmann::json &object, const char *key);

/// The number if \p value is an integer in 0 .. 2^64-1 written without fraction or exponent.
std::optional<uint64_t> asUnsigned(const nlohmann::json &value);

/// The number if \p value is any finite number.
std::optional<double> asNumber(const nlohmann::json &value);

/// The text if \p value is a string.
const std::string *asString(const nlohmann::json &value);

/// 'text' in quotes for a message: control characters escaped, cut after 120 bytes.
std::string inQuotes(std::string_view text);

/// True if \p text is well-formed UTF-8, so that it can stand in a JSON document.
bool isUtf8(std::string_view text);

} // namespace qwenc
