//===- Tokens.cpp ------------------------------------------------------------------------------------------------===//
#include "Tokens.h"

#include "models/Checkpoint/File.h"
#include "models/Checkpoint/Json.h"
#include "runtime/lib/Text.h"

using namespace qwenrt;

namespace {

constexpr uint64_t kLongestFile = uint64_t(1) << 30;

Result<std::vector<int32_t>> idsOf(const nlohmann::json &document, const std::string &source) {
  Status wrong(StatusCode::InvalidInput,
               text(source, " is no list of token ids, expected numbers as in 1,2,3, correct it"));
  if (!document.is_array())
    return wrong;
  std::vector<int32_t> ids;
  for (const nlohmann::json &element : document) {
    std::optional<uint64_t> id = qwenc::asUnsigned(element);
    if (!id || *id > 0x7fffffff)
      return wrong;
    ids.push_back(int32_t(*id));
  }
  return ids;
}

} // namespace

Result<std::vector<int32_t>> tool::parseIds(const std::string &argument) {
  qwenc::JsonLimits limits;
  limits.maxValues = 16'000'000;
  limits.maxBytes = kLongestFile;
  QWENRT_ASSIGN_OR_RETURN(std::string list, textOrFile(argument));
  size_t first = list.find_first_not_of(" \t\r\n");
  bool bracketed = first != std::string::npos && list[first] == '[';
  Result<nlohmann::json> document = qwenc::parseJson(bracketed ? list : "[" + list + "]", limits);
  std::string source = argument.starts_with('@') ? argument.substr(1) : argument;
  return idsOf(document.isOk() ? *document : nlohmann::json(), text("'", printable(source), "'"));
}

Result<std::string> tool::textOrFile(const std::string &argument) {
  if (argument.empty() || argument.front() != '@')
    return argument;
  return qwenc::readWholeFile(argument.substr(1), kLongestFile);
}

std::string tool::formatIds(std::span<const int32_t> ids) {
  std::string result = "[";
  for (size_t i = 0; i < ids.size(); ++i)
    result += text(i ? "," : "", ids[i]);
  return result + "]";
}
