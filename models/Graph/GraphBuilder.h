//===- GraphBuilder.h - Writing functions of a graph as one writes them on paper --------------------------------===//
#pragma once

#include "models/Graph/Graph.h"

namespace qwenc::graph {

/// A value of the function under construction.
struct Value {
  std::string name;
};

/// A weight of the graph, by the checkpoint's name, or a stack of weights.
struct WeightName {
  std::string name;
};

/// Appends operations to one function; result types follow from the table in Ops.h. The first argument of every
/// operation is the name of its result. A mistake (wrong shape, unknown name) is kept and returned by finish(), so that
/// a definition needs no checks between its lines. The weights and states of \p graph have to be there before.
class FunctionBuilder {
public:
  FunctionBuilder(const Graph &graph, std::string name);

  Value input(std::string name, ValueType type, Binding binding = Binding::None);
  Value embedding(std::string name, const Value &ids, const WeightName &table);
  Value positionIds(std::string name, const std::string &symbol);
  Value rmsNorm(std::string name, const Value &x, const WeightName &weight, double eps);
  Value linear(std::string name, const Value &x, const WeightName &weight,
               const std::optional<WeightName> &bias = std::nullopt);
  Value reshape(std::string name, const Value &x, std::vector<Dim> shape);
  Value rope(std::string name, const Value &x, const Value &positions, double theta);
  Value kvAppend(std::string name, const std::string &state, const Value &x);
  Value attention(std::string name, const Value &q, const Value &k, const Value &v, double scale, bool causal);
  Value silu(std::string name, const Value &x);
  Value mul(std::string name, const Value &a, const Value &b);
  Value add(std::string name, const Value &a, const Value &b);
  Value softmax(std::string name, const Value &x);
  /// Values and indices.
  std::pair<Value, Value> topK(std::string values, std::string indices, const Value &x, uint64_t k);
  Value sumNormalize(std::string name, const Value &x);
  Value expertLinear(std::string name, const Value &x, const Value &experts, const WeightName &stack);
  Value weightedSum(std::string name, const Value &x, const Value &weights);
  Value layerNorm(std::string name, const Value &x, const WeightName &weight, const WeightName &bias, double eps);
  Value gelu(std::string name, const Value &x, bool tanh);
  Value segmentAttention(std::string name, const Value &q, const Value &k, const Value &v, const Value &segments,
                         double scale);
  Value axialRope(std::string name, const Value &x, const Value &places, double theta);
  Value mrope(std::string name, const Value &x, const Value &positions, double theta,
              const std::vector<uint64_t> &sections);
  Value replaceRows(std::string name, const Value &x, const Value &rows, const Value &index);
  Value addRows(std::string name, const Value &x, const Value &rows, const Value &index);
  Value tapConv(std::string name, const Value &x, const Value &taps, const WeightName &weight, const WeightName &bias);
  Value sinusoid(std::string name, const Value &positions, uint64_t width, double theta);
  Value swapAxes(std::string name, const Value &x);
  Value sigmoid(std::string name, const Value &x);
  Value scaleRows(std::string name, const Value &x, const Value &factor);
  Value codebookMean(std::string name, const Value &codes, const WeightName &table);
  Value rowNumbers(std::string name, const Value &first, const std::string &symbol);
  /// \p states: of keys and of values.
  Value windowAttention(std::string name, const Value &q, const Value &k, const Value &v, const Value &positions,
                        const std::pair<std::string, std::string> &states, uint64_t window, double scale);
  Value scale(std::string name, const Value &x, const WeightName &weight);
  Value clamp(std::string name, const Value &x, double limit);
  Value snakeBeta(std::string name, const Value &x, const WeightName &alpha, const WeightName &beta);
  Value clearLead(std::string name, const Value &x, const Value &first, uint64_t frameRows, uint64_t lead);
  Value causalConv1d(std::string name, const Value &x, const WeightName &weight, const WeightName &bias,
                     const std::string &state, const Value &first, uint64_t dilation);
  /// Without state and first where the kernel is as long as the stride.
  Value convTranspose1d(std::string name, const Value &x, const WeightName &weight, const WeightName &bias,
                        uint64_t stride, const std::string &state = {}, const Value &first = {});

  /// The finished function, or the first mistake.
  Result<Function> finish(const std::vector<Value> &outputs);

private:
  Value append(OpKind kind, std::string name, std::vector<std::string> inputs,
               std::map<std::string, AttrValue> attrs = {}, std::vector<std::string> furtherOutputs = {});
  Result<ValueType> typeOf(const std::string &input) const;

  GraphIndex index_;
  Function function_;
  std::map<std::string, ValueType> types_;
  Status error_;
};

} // namespace qwenc::graph
