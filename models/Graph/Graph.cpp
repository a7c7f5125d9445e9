//===- Graph.cpp - The model.json document in memory ------------------------------------------------------------===//
#include "models/Graph/Graph.h"

#include "models/Checkpoint/Json.h"

#include <array>
#include <charconv>

using namespace qwenc;
using namespace qwenc::graph;

namespace {

struct DTypeInfo {
  std::string_view name;
  uint64_t sizeBytes;
};
constexpr std::array<DTypeInfo, 3> dtypeTable = {{{"f32", 4}, {"bf16", 2}, {"i32", 4}}};

constexpr std::array<std::string_view, 3> limitTable = {"", "audio_seconds", "image_pixels"};
constexpr std::array<std::string_view, 4> bindingTable = {"", "positions", "media_rows", "media"};

/// The enumerator whose name is \p name; the first one, None, has none.
template <typename Enum, size_t n>
std::optional<Enum> findName(const std::array<std::string_view, n> &table, std::string_view name) {
  for (size_t i = 1; i < n; ++i)
    if (table[i] == name)
      return static_cast<Enum>(i);
  return std::nullopt;
}

bool isIdentifier(std::string_view text) {
  auto isLetter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  if (text.empty() || !isLetter(text[0]))
    return false;
  for (char c : text)
    if (!isLetter(c) && !(c >= '0' && c <= '9'))
      return false;
  return true;
}

std::optional<uint64_t> parseNumber(std::string_view text) {
  uint64_t size = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  if (error != std::errc() || end != text.data() + text.size() || (text.size() > 1 && text[0] == '0'))
    return std::nullopt;
  return size;
}

std::string joinDims(const std::vector<Dim> &dims) {
  std::string text;
  for (const Dim &dim : dims)
    text += (text.empty() ? "" : ",") + toString(dim);
  return text;
}

} // namespace

std::string_view qwenc::graph::dtypeName(DType dtype) { return dtypeTable[static_cast<size_t>(dtype)].name; }

std::optional<DType> qwenc::graph::dtypeFromName(std::string_view name) {
  for (size_t i = 0; i < dtypeTable.size(); ++i)
    if (dtypeTable[i].name == name)
      return static_cast<DType>(i);
  return std::nullopt;
}

uint64_t qwenc::graph::dtypeSizeBytes(DType dtype) { return dtypeTable[static_cast<size_t>(dtype)].sizeBytes; }

std::string_view qwenc::graph::limitName(SymbolLimit limit) { return limitTable[static_cast<size_t>(limit)]; }

std::optional<SymbolLimit> qwenc::graph::limitFromName(std::string_view name) {
  return findName<SymbolLimit>(limitTable, name);
}

std::string_view qwenc::graph::bindingName(Binding binding) { return bindingTable[static_cast<size_t>(binding)]; }

std::optional<Binding> qwenc::graph::bindingFromName(std::string_view name) {
  return findName<Binding>(bindingTable, name);
}

std::optional<Dim> qwenc::graph::parseDim(std::string_view text) {
  size_t star = text.find('*');
  if (!isIdentifier(text.substr(0, star))) {
    std::optional<uint64_t> size = parseNumber(text);
    return size ? std::optional<Dim>(*size) : std::nullopt;
  }
  if (star == std::string_view::npos)
    return Dim(std::string(text));
  std::optional<uint64_t> factor = parseNumber(text.substr(star + 1));
  if (!factor || *factor < 2 || *factor > maxDimSize)
    return std::nullopt;
  return Dim(std::string(text.substr(0, star)), *factor);
}

std::string qwenc::graph::toString(const Dim &dim) {
  if (!dim.isSymbol())
    return std::to_string(dim.size);
  return dim.size == 1 ? dim.symbol : dim.symbol + "*" + std::to_string(dim.size);
}

std::string qwenc::graph::toString(const ValueType &type) {
  return std::string(dtypeName(type.dtype)) + "[" + joinDims(type.dims) + "]";
}

Result<ValueType> qwenc::graph::parseValueType(std::string_view text) {
  Status malformed(StatusCode::InvalidInput,
                   "type " + inQuotes(text) + ", expected a dtype f32, bf16 or i32 and up to " +
                       std::to_string(maxTypeRank) + " dims such as f32[S,192], correct the type");
  size_t bracket = text.find('[');
  if (bracket == std::string_view::npos || text.back() != ']')
    return malformed;
  std::optional<DType> dtype = dtypeFromName(text.substr(0, bracket));
  if (!dtype)
    return malformed;
  ValueType type{*dtype, {}};
  std::string_view rest = text.substr(bracket + 1, text.size() - bracket - 2);
  while (!rest.empty()) {
    size_t comma = rest.find(',');
    std::optional<Dim> dim = parseDim(rest.substr(0, comma));
    if (!dim || type.dims.size() == maxTypeRank || comma == rest.size() - 1)
      return malformed;
    type.dims.push_back(*dim);
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
  }
  return type;
}

ValueType qwenc::graph::weightType(const Weight &weight) {
  return {weight.dtype, std::vector<Dim>(weight.shape.begin(), weight.shape.end())};
}

ValueType qwenc::graph::stateType(const State &state) { return {DType::F32, state.shape}; }

GraphIndex::GraphIndex(const Graph &graph) {
  for (const Symbol &symbol : graph.symbols)
    symbols_.emplace(symbol.name, &symbol);
  for (const Weight &weight : graph.weights)
    weights_.emplace(weight.name, &weight);
  for (const WeightStack &stack : graph.stacks)
    stacks_.emplace(stack.name, &stack);
  for (const State &state : graph.states)
    states_.emplace(state.name, &state);
  for (const Function &function : graph.functions)
    functions_.emplace(function.name, &function);
}

std::optional<ValueType> GraphIndex::parameterType(std::string_view name) const {
  if (const Weight *found = weight(name))
    return weightType(*found);
  const WeightStack *found = stack(name);
  const Weight *first = found && !found->weights.empty() ? weight(found->weights.front()) : nullptr;
  if (!first)
    return std::nullopt;
  ValueType type = weightType(*first);
  type.dims.insert(type.dims.begin(), Dim(uint64_t(found->weights.size())));
  return type;
}

std::span<const std::string_view> qwenc::graph::talkerIdNames() {
  static constexpr std::string_view names[] = {
      "im_start",  "user",      "assistant",     "tts_pad",         "tts_bos",
      "tts_eos",   "audio_pad", "image_pad",     "video_pad",       "codec_pad",
      "codec_bos", "codec_eos", "codec_nothink", "codec_think_bos", "codec_think_eos",
  };
  return names;
}
