//===- ConfigReader.h - Members of a config object, problems collected --------------------------------------------===//
#pragma once

#include "models/Checkpoint/Json.h"

#include <optional>
#include <string>
#include <vector>

namespace qwenc {

/// Reads members of one config object and collects what is wrong with them.
class ConfigReader {
public:
  /// \p scope stands before the keys in messages: "thinker_config.audio_config.".
  ConfigReader(const nlohmann::json &config, std::vector<std::string> &problems, std::string scope = {})
      : config_(config), problems_(problems), scope_(std::move(scope)) {}

  /// A null member counts as absent, as in transformers.
  const nlohmann::json *find(const char *key) const {
    const nlohmann::json *found = member(config_, key);
    return found && !found->is_null() ? found : nullptr;
  }

  /// The integer \p key in 1 .. max, or \p otherwise (0 = required).
  uint64_t size(const char *key, uint64_t max, uint64_t otherwise = 0) {
    const nlohmann::json *found = find(key);
    if (!found && otherwise != 0)
      return otherwise;
    std::optional<uint64_t> number = found ? asUnsigned(*found) : std::nullopt;
    if (number && *number >= 1 && *number <= max)
      return *number;
    problem(key, found, "an integer in 1 .. " + std::to_string(max));
    return 0;
  }

  double positive(const char *key, const nlohmann::json *found) {
    std::optional<double> number = found ? asNumber(*found) : std::nullopt;
    if (number && *number > 0)
      return *number;
    problem(key, found, "a number above zero");
    return 0;
  }

  bool flag(const char *key) {
    const nlohmann::json *found = find(key);
    if (found && !found->is_boolean())
      problem(key, found, "true or false");
    return found && found->is_boolean() && found->get<bool>();
  }

  void problem(const std::string &key, const nlohmann::json *found, const std::string &expected) {
    std::string shown = found ? found->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) : "missing";
    if (shown.size() > 80)
      shown = shown.substr(0, 80) + "...";
    problems_.push_back("config.json: " + scope_ + key + " is " + shown + ", expected " + expected +
                        ", correct config.json");
  }

private:
  const nlohmann::json &config_;
  std::vector<std::string> &problems_;
  std::string scope_;
};

} // namespace qwenc
