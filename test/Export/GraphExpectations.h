//===- GraphExpectations.h - What tests of exporters ask of graphs and refusals
//------------------------------------===//
#pragma once

#include "models/Graph/GraphReader.h"
#include "models/Graph/GraphWriter.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace qwenc::test {

/// The operation of the first function that makes \p name, or null.
inline const graph::Op *findOutput(const graph::Graph &graph, const std::string &name) {
  for (const graph::Op &op : graph.functions[0].ops)
    if (std::find(op.outputs.begin(), op.outputs.end(), name) != op.outputs.end())
      return &op;
  return nullptr;
}

/// "f32[S,6]", or "none".
inline std::string typeOf(const graph::Graph &graph, const std::string &name) {
  const graph::Op *op = findOutput(graph, name);
  return op ? toString(op->types[std::find(op->outputs.begin(), op->outputs.end(), name) - op->outputs.begin()])
            : "none";
}

/// What the operation that makes \p name reads: "x @weight".
inline std::string inputsOf(const graph::Graph &graph, const std::string &name) {
  std::string text;
  if (const graph::Op *op = findOutput(graph, name))
    for (const std::string &input : op->inputs)
      text += (text.empty() ? "" : " ") + input;
  return text;
}

/// "x: f32[S,6]; y: i32[S]; "
inline std::string signatureOf(const graph::Function &function) {
  std::string text;
  for (const graph::TypedName &input : function.inputs)
    text += input.name + ": " + toString(input.type) + "; ";
  return text;
}

inline void expectContains(const std::string &message, const std::string &part) {
  EXPECT_NE(message.find(part), std::string::npos) << "'" << message << "'\n  lacks: " << part;
}

/// The graph can be written and read back without loss.
inline void expectRoundTrip(const graph::Graph &graph) {
  const std::string text = writeGraph(graph);
  graph::Result<graph::Graph> again = graph::readGraph(text);
  ASSERT_TRUE(again.isOk()) << again.status().message();
  EXPECT_EQ(writeGraph(*again), text);
}

/// A value of config.json and the part of the message that refuses it.
struct RefusedValue {
  const char *key;
  nlohmann::json value;
  const char *expected;
};

} // namespace qwenc::test
