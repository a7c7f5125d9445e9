//===- GraphBuilder.cpp - Writing functions of a graph as one writes them on paper ------------------------------===//
#include "models/Graph/GraphBuilder.h"

#include "models/Graph/Ops.h"

using namespace qwenc;
using namespace qwenc::graph;

FunctionBuilder::FunctionBuilder(const Graph &graph, std::string name) : index_(graph) {
  function_.name = std::move(name);
}

Value FunctionBuilder::input(std::string name, ValueType type, Binding binding) {
  types_.emplace(name, type);
  function_.inputs.push_back({name, std::move(type), binding});
  return {std::move(name)};
}

Result<ValueType> FunctionBuilder::typeOf(const std::string &input) const {
  if (input.starts_with('@')) {
    if (std::optional<ValueType> type = index_.parameterType(std::string_view(input).substr(1)))
      return *type;
  } else if (input.starts_with('$')) {
    if (const State *state = index_.state(std::string_view(input).substr(1)))
      return stateType(*state);
  } else if (auto found = types_.find(input); found != types_.end()) {
    return found->second;
  }
  return Status(StatusCode::InvalidInput, "unknown name '" + input + "', expected a weight, state or earlier value, " +
                                              "correct the model definition");
}

Value FunctionBuilder::append(OpKind kind, std::string name, std::vector<std::string> inputs,
                              std::map<std::string, AttrValue> attrs, std::vector<std::string> furtherOutputs) {
  if (!error_)
    return {std::move(name)};
  Op op{kind, std::move(inputs), std::move(attrs), {name}, {}};
  op.outputs.insert(op.outputs.end(), furtherOutputs.begin(), furtherOutputs.end());
  std::vector<ValueType> operands;
  for (const std::string &input : op.inputs) {
    Result<ValueType> type = typeOf(input);
    if (!type) {
      error_ = type.status().withContext("value '" + name + "'");
      return {std::move(name)};
    }
    operands.push_back(std::move(*type));
  }
  Result<std::vector<ValueType>> inferred = inferTypes(op, operands);
  if (!inferred) {
    error_ = inferred.status().withContext("value '" + name + "'");
    return {std::move(name)};
  }
  op.types = std::move(*inferred);
  for (size_t i = 0; i < op.outputs.size() && i < op.types.size(); ++i)
    types_.emplace(op.outputs[i], op.types[i]);
  function_.ops.push_back(std::move(op));
  return {std::move(name)};
}

Value FunctionBuilder::embedding(std::string name, const Value &ids, const WeightName &table) {
  return append(OpKind::Embedding, std::move(name), {ids.name, "@" + table.name});
}

Value FunctionBuilder::positionIds(std::string name, const std::string &symbol) {
  return append(OpKind::PositionIds, std::move(name), {}, {{"symbol", symbol}});
}

Value FunctionBuilder::rmsNorm(std::string name, const Value &x, const WeightName &weight, double eps) {
  return append(OpKind::RmsNorm, std::move(name), {x.name, "@" + weight.name}, {{"eps", eps}});
}

Value FunctionBuilder::linear(std::string name, const Value &x, const WeightName &weight,
                              const std::optional<WeightName> &bias) {
  std::vector<std::string> inputs = {x.name, "@" + weight.name};
  if (bias)
    inputs.push_back("@" + bias->name);
  return append(OpKind::Linear, std::move(name), std::move(inputs));
}

Value FunctionBuilder::reshape(std::string name, const Value &x, std::vector<Dim> shape) {
  return append(OpKind::Reshape, std::move(name), {x.name}, {{"shape", std::move(shape)}});
}

Value FunctionBuilder::rope(std::string name, const Value &x, const Value &positions, double theta) {
  return append(OpKind::Rope, std::move(name), {x.name, positions.name}, {{"theta", theta}});
}

Value FunctionBuilder::kvAppend(std::string name, const std::string &state, const Value &x) {
  return append(OpKind::KvAppend, std::move(name), {"$" + state, x.name});
}

Value FunctionBuilder::attention(std::string name, const Value &q, const Value &k, const Value &v, double scale,
                                 bool causal) {
  return append(OpKind::Attention, std::move(name), {q.name, k.name, v.name}, {{"scale", scale}, {"causal", causal}});
}

Value FunctionBuilder::silu(std::string name, const Value &x) {
  return append(OpKind::Silu, std::move(name), {x.name});
}

Value FunctionBuilder::mul(std::string name, const Value &a, const Value &b) {
  return append(OpKind::Mul, std::move(name), {a.name, b.name});
}

Value FunctionBuilder::add(std::string name, const Value &a, const Value &b) {
  return append(OpKind::Add, std::move(name), {a.name, b.name});
}

Value FunctionBuilder::softmax(std::string name, const Value &x) {
  return append(OpKind::Softmax, std::move(name), {x.name});
}

std::pair<Value, Value> FunctionBuilder::topK(std::string values, std::string indices, const Value &x, uint64_t k) {
  Value indexValue{indices};
  Value result = append(OpKind::TopK, std::move(values), {x.name}, {{"k", static_cast<int64_t>(k)}}, {indices});
  return {result, indexValue};
}

Value FunctionBuilder::sumNormalize(std::string name, const Value &x) {
  return append(OpKind::SumNormalize, std::move(name), {x.name});
}

Value FunctionBuilder::expertLinear(std::string name, const Value &x, const Value &experts, const WeightName &stack) {
  return append(OpKind::ExpertLinear, std::move(name), {x.name, experts.name, "@" + stack.name});
}

Value FunctionBuilder::weightedSum(std::string name, const Value &x, const Value &weights) {
  return append(OpKind::WeightedSum, std::move(name), {x.name, weights.name});
}

Value FunctionBuilder::layerNorm(std::string name, const Value &x, const WeightName &weight, const WeightName &bias,
                                 double eps) {
  return append(OpKind::LayerNorm, std::move(name), {x.name, "@" + weight.name, "@" + bias.name}, {{"eps", eps}});
}

Value FunctionBuilder::gelu(std::string name, const Value &x, bool tanh) {
  return append(OpKind::Gelu, std::move(name), {x.name}, {{"tanh", tanh}});
}

Value FunctionBuilder::segmentAttention(std::string name, const Value &q, const Value &k, const Value &v,
                                        const Value &segments, double scale) {
  return append(OpKind::SegmentAttention, std::move(name), {q.name, k.name, v.name, segments.name}, {{"scale", scale}});
}

Value FunctionBuilder::axialRope(std::string name, const Value &x, const Value &places, double theta) {
  return append(OpKind::AxialRope, std::move(name), {x.name, places.name}, {{"theta", theta}});
}

Value FunctionBuilder::mrope(std::string name, const Value &x, const Value &positions, double theta,
                             const std::vector<uint64_t> &sections) {
  return append(OpKind::MRope, std::move(name), {x.name, positions.name},
                {{"theta", theta}, {"sections", std::vector<Dim>(sections.begin(), sections.end())}});
}

Value FunctionBuilder::replaceRows(std::string name, const Value &x, const Value &rows, const Value &index) {
  return append(OpKind::ReplaceRows, std::move(name), {x.name, rows.name, index.name});
}

Value FunctionBuilder::addRows(std::string name, const Value &x, const Value &rows, const Value &index) {
  return append(OpKind::AddRows, std::move(name), {x.name, rows.name, index.name});
}

Value FunctionBuilder::tapConv(std::string name, const Value &x, const Value &taps, const WeightName &weight,
                               const WeightName &bias) {
  return append(OpKind::TapConv, std::move(name), {x.name, taps.name, "@" + weight.name, "@" + bias.name});
}

Value FunctionBuilder::sinusoid(std::string name, const Value &positions, uint64_t width, double theta) {
  return append(OpKind::Sinusoid, std::move(name), {positions.name},
                {{"width", static_cast<int64_t>(width)}, {"theta", theta}});
}

Value FunctionBuilder::swapAxes(std::string name, const Value &x) {
  return append(OpKind::SwapAxes, std::move(name), {x.name});
}

Value FunctionBuilder::sigmoid(std::string name, const Value &x) {
  return append(OpKind::Sigmoid, std::move(name), {x.name});
}

Value FunctionBuilder::scaleRows(std::string name, const Value &x, const Value &factor) {
  return append(OpKind::ScaleRows, std::move(name), {x.name, factor.name});
}

Value FunctionBuilder::codebookMean(std::string name, const Value &codes, const WeightName &table) {
  return append(OpKind::CodebookMean, std::move(name), {codes.name, "@" + table.name});
}

Value FunctionBuilder::rowNumbers(std::string name, const Value &first, const std::string &symbol) {
  return append(OpKind::RowNumbers, std::move(name), {first.name}, {{"symbol", symbol}});
}

Value FunctionBuilder::windowAttention(std::string name, const Value &q, const Value &k, const Value &v,
                                       const Value &positions, const std::pair<std::string, std::string> &states,
                                       uint64_t window, double scale) {
  return append(OpKind::WindowAttention, std::move(name),
                {q.name, k.name, v.name, positions.name, "$" + states.first, "$" + states.second},
                {{"window", static_cast<int64_t>(window)}, {"scale", scale}});
}

Value FunctionBuilder::scale(std::string name, const Value &x, const WeightName &weight) {
  return append(OpKind::Scale, std::move(name), {x.name, "@" + weight.name});
}

Value FunctionBuilder::clamp(std::string name, const Value &x, double limit) {
  return append(OpKind::Clamp, std::move(name), {x.name}, {{"limit", limit}});
}

Value FunctionBuilder::snakeBeta(std::string name, const Value &x, const WeightName &alpha, const WeightName &beta) {
  return append(OpKind::SnakeBeta, std::move(name), {x.name, "@" + alpha.name, "@" + beta.name});
}

Value FunctionBuilder::clearLead(std::string name, const Value &x, const Value &first, uint64_t frameRows,
                                 uint64_t lead) {
  return append(OpKind::ClearLead, std::move(name), {x.name, first.name},
                {{"frame_rows", static_cast<int64_t>(frameRows)}, {"lead", static_cast<int64_t>(lead)}});
}

Value FunctionBuilder::causalConv1d(std::string name, const Value &x, const WeightName &weight, const WeightName &bias,
                                    const std::string &state, const Value &first, uint64_t dilation) {
  return append(OpKind::CausalConv1d, std::move(name),
                {x.name, "@" + weight.name, "@" + bias.name, "$" + state, first.name},
                {{"dilation", static_cast<int64_t>(dilation)}});
}

Value FunctionBuilder::convTranspose1d(std::string name, const Value &x, const WeightName &weight,
                                       const WeightName &bias, uint64_t stride, const std::string &state,
                                       const Value &first) {
  std::vector<std::string> inputs = {x.name, "@" + weight.name, "@" + bias.name};
  if (!state.empty())
    inputs.insert(inputs.end(), {"$" + state, first.name});
  return append(OpKind::ConvTranspose1d, std::move(name), std::move(inputs),
                {{"stride", static_cast<int64_t>(stride)}});
}

Result<Function> FunctionBuilder::finish(const std::vector<Value> &outputs) {
  QWENRT_RETURN_IF_ERROR(error_);
  for (const Value &output : outputs)
    function_.outputs.push_back(output.name);
  return std::move(function_);
}
