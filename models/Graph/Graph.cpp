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

bool isIdentifier(std::string_view text) {
  auto isLetter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  if (text.empty() || !isLetter(text[0]))
    return false;
  for (char c : text)
    if (!isLetter(c) && !(c >= '0' && c <= '9'))
      return false;
  return true;
}

std::optional<Dim> parseDim(std::string_view text) {
  if (isIdentifier(text))
    return Dim(std::string(text));
  uint64_t size = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  if (error != std::errc() || end != text.data() + text.size() || (text.size() > 1 && text[0] == '0'))
    return std::nullopt;
  return Dim(size);
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

std::string qwenc::graph::toString(const Dim &dim) { return dim.isSymbol() ? dim.symbol : std::to_string(dim.size); }

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
