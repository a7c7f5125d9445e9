//===- Json.cpp - Strict, bounded JSON --------------------------------------------------------------------------===//
#include "models/Checkpoint/Json.h"

#include "models/Checkpoint/File.h"
#include "models/Checkpoint/Message.h"
#include "runtime/frontend/Utf8.h"

#include <cmath>
#include <cstdio>
#include <vector>

using namespace qwenc;
using nlohmann::json;

namespace {

/// Builds the document from the parser's events; returning false from an event stops the parser.
class DocumentBuilder {
public:
  explicit DocumentBuilder(const JsonLimits &limits) : limits_(limits) {}

  bool null() { return add(nullptr) != nullptr; }
  bool boolean(bool value) { return add(value) != nullptr; }
  bool number_integer(json::number_integer_t value) { return add(value) != nullptr; }
  bool number_unsigned(json::number_unsigned_t value) { return add(value) != nullptr; }
  bool number_float(json::number_float_t value, const std::string &) { return add(value) != nullptr; }
  bool string(std::string &value) { return add(std::move(value)) != nullptr; }
  bool binary(json::binary_t &) { return false; }
  bool start_object(size_t) { return open(json::object()); }
  bool end_object() { return close(); }
  bool start_array(size_t) { return open(json::array()); }
  bool end_array() { return close(); }

  bool key(std::string &name) {
    auto [place, inserted] = open_.back()->get_ref<json::object_t &>().emplace(name, nullptr);
    if (!inserted) {
      error_ = "key " + inQuotes(name) + " stands twice in one object, expected unique keys, correct the file";
      return false;
    }
    slot_ = &place->second;
    return true;
  }

  bool parse_error(size_t position, const std::string &, const nlohmann::detail::exception &) {
    errorPosition_ = position;
    return false;
  }

  json root;
  const std::string &error() const { return error_; }
  size_t errorPosition() const { return errorPosition_; }

private:
  json *add(json value) {
    if (++valueCount_ > limits_.maxValues) {
      error_ = "more than " + std::to_string(limits_.maxValues) +
               " JSON values, expected a document of reasonable size, check that it is the right file";
      return nullptr;
    }
    if (open_.empty()) {
      root = std::move(value);
      return &root;
    }
    if (open_.back()->is_object()) {
      *slot_ = std::move(value);
      return slot_;
    }
    auto &elements = open_.back()->get_ref<json::array_t &>();
    elements.push_back(std::move(value));
    return &elements.back();
  }

  bool open(json container) {
    if (open_.size() >= limits_.maxDepth) {
      error_ = "JSON nested deeper than " + std::to_string(limits_.maxDepth) +
               " levels, expected a flat document, check that it is the right file";
      return false;
    }
    json *place = add(std::move(container));
    // Only the innermost open container grows, so the pointers to the outer ones stay valid.
    if (place)
      open_.push_back(place);
    return place != nullptr;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  const JsonLimits &limits_;
  std::vector<json *> open_;
  json *slot_ = nullptr;
  uint64_t valueCount_ = 0;
  std::string error_;
  size_t errorPosition_ = 0;
};

std::string lineAndColumn(std::string_view text, size_t position) {
  size_t line = 1, lineStart = 0;
  for (size_t i = 0; i < position && i < text.size(); ++i)
    if (text[i] == '\n') {
      ++line;
      lineStart = i + 1;
    }
  size_t column = position > lineStart ? position - lineStart : 1;
  return "line " + std::to_string(line) + " column " + std::to_string(column);
}

} // namespace

Result<json> qwenc::parseJson(std::string_view text, const JsonLimits &limits) {
  if (text.size() > limits.maxBytes)
    return Status(StatusCode::InvalidInput, "JSON text of " + std::to_string(text.size()) +
                                                " bytes, expected at most " + std::to_string(limits.maxBytes) +
                                                ", check that it is the right file");
  // The parser takes a NUL for the end of the text and would overlook what follows.
  size_t nul = text.find('\0');
  DocumentBuilder builder(limits);
  bool complete = nul == std::string_view::npos && json::sax_parse(text.begin(), text.end(), &builder);
  if (complete)
    return std::move(builder.root);
  if (!builder.error().empty())
    return Status(StatusCode::InvalidInput, builder.error());
  size_t position = nul != std::string_view::npos ? nul + 1 : builder.errorPosition();
  return Status(StatusCode::InvalidInput, "broken JSON at " + lineAndColumn(text, position) +
                                              ", expected well-formed UTF-8 JSON, restore the file from its source");
}

Result<json> qwenc::readJsonFile(const std::string &path, const JsonLimits &limits) {
  QWENRT_ASSIGN_OR_RETURN(std::string text, readWholeFile(path, limits.maxBytes));
  Result<json> document = parseJson(text, limits);
  if (!document)
    return document.status().withContext("'" + path + "'");
  return document;
}

const json *qwenc::member(const json &object, const char *key) {
  if (!object.is_object())
    return nullptr;
  auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

std::optional<uint64_t> qwenc::asUnsigned(const json &value) {
  if (const auto *number = value.get_ptr<const json::number_unsigned_t *>())
    return *number;
  // Documents built in memory may hold non-negative numbers as signed ones.
  if (const auto *number = value.get_ptr<const json::number_integer_t *>(); number && *number >= 0)
    return static_cast<uint64_t>(*number);
  return std::nullopt;
}

std::optional<double> qwenc::asNumber(const json &value) {
  if (!value.is_number())
    return std::nullopt;
  double number = value.get<double>();
  return std::isfinite(number) ? std::optional<double>(number) : std::nullopt;
}

const std::string *qwenc::asString(const json &value) { return value.get_ptr<const std::string *>(); }

std::string qwenc::inQuotes(std::string_view text) {
  constexpr size_t maxShown = 120;
  std::string result = "'";
  for (size_t at = 0; at < text.size();) {
    at += appendPrintable(text, at, result);
    if (at >= maxShown && at < text.size())
      return result + "...'";
  }
  return result + "'";
}

bool qwenc::isUtf8(std::string_view text) { return !qwenrt::firstInvalidUtf8(text); }
