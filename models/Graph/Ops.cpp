//===- Ops.cpp - The operations of model.json and their types ---------------------------------------------------===//
#include "models/Graph/Ops.h"

#include "models/Checkpoint/Json.h"

#include <algorithm>
#include <cmath>

using namespace qwenc;
using namespace qwenc::graph;

namespace {

using Types = std::span<const ValueType>;
using Inferred = Result<std::vector<ValueType>>;

Status mismatch(std::string found, std::string expected) {
  return Status(StatusCode::InvalidInput,
                std::move(found) + ", expected " + std::move(expected) + ", correct the operation's inputs");
}

Status wrongOperand(std::string_view name, const ValueType &type, std::string expected) {
  return mismatch(std::string(name) + " of type " + toString(type), std::move(expected));
}

bool isF32(const ValueType &type, size_t minRank) { return type.dtype == DType::F32 && type.dims.size() >= minRank; }

bool isVector(const ValueType &type, const Dim &length) { return type.dims.size() == 1 && type.dims[0] == length; }

ValueType withLastDim(ValueType type, Dim dim) {
  type.dims.back() = std::move(dim);
  return type;
}

Inferred inferEmbedding(Types operands, const Op &) {
  const ValueType &ids = operands[0], &table = operands[1];
  if (ids.dtype != DType::I32 || ids.dims.empty())
    return wrongOperand("ids", ids, "i32 ids with at least one dim");
  if (table.dims.size() != 2)
    return wrongOperand("table", table, "a table [V,H]");
  ValueType rows{DType::F32, ids.dims};
  rows.dims.push_back(table.dims[1]);
  return std::vector{rows};
}

Inferred inferPositionIds(Types, const Op &op) {
  return std::vector{ValueType{DType::I32, {Dim(op.attr<std::string>("symbol"))}}};
}

Inferred inferRmsNorm(Types operands, const Op &) {
  const ValueType &x = operands[0], &weight = operands[1];
  if (!isF32(x, 1))
    return wrongOperand("x", x, "f32 with at least one dim");
  if (!isVector(weight, x.dims.back()))
    return wrongOperand("weight", weight, "one value per element of the last dim of x " + toString(x));
  return std::vector{x};
}

Inferred inferLinear(Types operands, const Op &) {
  const ValueType &x = operands[0], &weight = operands[1];
  if (!isF32(x, 1))
    return wrongOperand("x", x, "f32 with at least one dim");
  if (weight.dims.size() != 2 || weight.dims[1] != x.dims.back())
    return wrongOperand("weight", weight, "[N,K] with K the last dim of x " + toString(x));
  if (operands.size() == 3 && !isVector(operands[2], weight.dims[0]))
    return wrongOperand("bias", operands[2], "one value per row of weight " + toString(weight));
  return std::vector{withLastDim(x, weight.dims[0])};
}

/// Symbols in order and the product of numbers and factors: equal for two shapes exactly if they hold the same
/// elements.
struct ElementCount {
  std::vector<std::string> symbols;
  uint64_t product = 1;
  bool operator==(const ElementCount &) const = default;
};

ElementCount countElements(const std::vector<Dim> &dims) {
  ElementCount count;
  for (const Dim &dim : dims) {
    if (dim.isSymbol())
      count.symbols.push_back(dim.symbol);
    if (__builtin_mul_overflow(count.product, dim.size, &count.product))
      count.product = UINT64_MAX; // not reached by types within maxElementCount
  }
  std::sort(count.symbols.begin(), count.symbols.end());
  return count;
}

Inferred inferReshape(Types operands, const Op &op) {
  ValueType result{operands[0].dtype, op.attr<std::vector<Dim>>("shape")};
  if (countElements(operands[0].dims) != countElements(result.dims))
    return wrongOperand("x", operands[0], "as many elements as the new shape " + toString(result));
  return std::vector{result};
}

Inferred inferRope(Types operands, const Op &) {
  const ValueType &x = operands[0], &positions = operands[1];
  if (!isF32(x, 3) || x.dims.size() != 3 || x.dims[2].isSymbol() || x.dims[2].size % 2 != 0)
    return wrongOperand("x", x, "f32[S,heads,D] with an even number D");
  if (positions.dtype != DType::I32 || !isVector(positions, x.dims[0]))
    return wrongOperand("positions", positions, "one i32 position per row of x " + toString(x));
  return std::vector{x};
}

Inferred inferKvAppend(Types operands, const Op &) {
  const ValueType &state = operands[0], &x = operands[1];
  if (state.dims.size() != 3)
    return wrongOperand("state", state, "[C,heads,D]");
  if (!isF32(x, 3) || x.dims.size() != 3 || x.dims[1] != state.dims[1] || x.dims[2] != state.dims[2])
    return wrongOperand("x", x, "f32[S,heads,D] with heads and D of the state " + toString(state));
  return std::vector{state};
}

Inferred inferAttention(Types operands, const Op &) {
  const ValueType &q = operands[0], &k = operands[1], &v = operands[2];
  if (!isF32(q, 3) || q.dims.size() != 3 || q.dims[1].isSymbol() || q.dims[2].isSymbol())
    return wrongOperand("q", q, "f32[S,Hq,D] with numbers Hq and D");
  if (!isF32(k, 3) || k.dims.size() != 3 || k.dims[2] != q.dims[2])
    return wrongOperand("k", k, "f32[C,Hkv,D] with D of q " + toString(q));
  if (k.dims[1].isSymbol() || k.dims[1].size == 0 || q.dims[1].size % k.dims[1].size != 0)
    return wrongOperand("k", k, "a number of heads that divides the heads of q " + toString(q));
  if (v != k)
    return wrongOperand("v", v, "the type of k " + toString(k));
  return std::vector{q};
}

Inferred inferElementwiseUnary(Types operands, const Op &) {
  if (operands[0].dtype != DType::F32)
    return wrongOperand("x", operands[0], "f32");
  return std::vector{operands[0]};
}

Inferred inferElementwiseBinary(Types operands, const Op &) {
  if (operands[0].dtype != DType::F32)
    return wrongOperand("a", operands[0], "f32");
  if (operands[1] != operands[0])
    return wrongOperand("b", operands[1], "the type of a " + toString(operands[0]));
  return std::vector{operands[0]};
}

Inferred inferLastAxis(Types operands, const Op &) {
  if (!isF32(operands[0], 1) || operands[0].dims.back().isSymbol())
    return wrongOperand("x", operands[0], "f32 whose last dim is a number");
  return std::vector{operands[0]};
}

Inferred inferTopK(Types operands, const Op &op) {
  const ValueType &x = operands[0];
  auto count = static_cast<uint64_t>(op.attr<int64_t>("k"));
  if (!isF32(x, 2) || x.dims.size() != 2 || x.dims[1].isSymbol() || x.dims[1].size < count)
    return wrongOperand("x", x, "f32[R,N] with a number N of at least k = " + std::to_string(count));
  ValueType values = withLastDim(x, Dim(count));
  return std::vector{values, ValueType{DType::I32, values.dims}};
}

Inferred inferExpertLinear(Types operands, const Op &) {
  const ValueType &x = operands[0], &experts = operands[1], &weight = operands[2];
  if (experts.dtype != DType::I32 || experts.dims.size() != 2 || experts.dims[1].isSymbol())
    return wrongOperand("experts", experts, "i32[R,k] with a number k");
  if (weight.dims.size() != 3)
    return wrongOperand("weight", weight, "a stack [E,N,K]");
  bool shared = x.dims.size() == 2 && x.dims[0] == experts.dims[0];
  bool own = x.dims.size() == 3 && x.dims[0] == experts.dims[0] && x.dims[1] == experts.dims[1];
  if (!isF32(x, 2) || !(shared || own) || x.dims.back() != weight.dims[2])
    return wrongOperand("x", x,
                        "f32[R,K] or f32[R,k,K] with R and k of experts " + toString(experts) + " and K of weight " +
                            toString(weight));
  return std::vector{ValueType{DType::F32, {experts.dims[0], experts.dims[1], weight.dims[1]}}};
}

Inferred inferWeightedSum(Types operands, const Op &) {
  const ValueType &x = operands[0], &weights = operands[1];
  if (!isF32(x, 3) || x.dims.size() != 3)
    return wrongOperand("x", x, "f32[R,k,N]");
  if (weights != ValueType{DType::F32, {x.dims[0], x.dims[1]}})
    return wrongOperand("weights", weights, "f32[R,k] with R and k of x " + toString(x));
  return std::vector{ValueType{DType::F32, {x.dims[0], x.dims[2]}}};
}

Inferred inferLayerNorm(Types operands, const Op &op) {
  const ValueType &x = operands[0];
  if (!isF32(x, 1))
    return wrongOperand("x", x, "f32 with at least one dim");
  for (size_t i : {1, 2})
    if (!isVector(operands[i], x.dims.back()))
      return wrongOperand(opInfo(op.kind).operands[i].name, operands[i],
                          "one value per element of the last dim of x " + toString(x));
  return std::vector{x};
}

bool isPairs(const ValueType &type, DType dtype, const Dim &rows, uint64_t columns) {
  return type == ValueType{dtype, {rows, Dim(columns)}};
}

Inferred inferSegmentAttention(Types operands, const Op &) {
  const ValueType &q = operands[0], &segments = operands[3];
  if (!isF32(q, 3) || q.dims.size() != 3 || q.dims[1].isSymbol() || q.dims[2].isSymbol())
    return wrongOperand("q", q, "f32[R,heads,D] with numbers heads and D");
  if (operands[1] != q)
    return wrongOperand("k", operands[1], "the type of q " + toString(q));
  if (operands[2] != q)
    return wrongOperand("v", operands[2], "the type of q " + toString(q));
  if (!isPairs(segments, DType::I32, q.dims[0], 2))
    return wrongOperand("segments", segments, "i32[R,2] with R of q " + toString(q));
  return std::vector{q};
}

Inferred inferAxialRope(Types operands, const Op &) {
  const ValueType &x = operands[0];
  if (!isF32(x, 3) || x.dims.size() != 3 || x.dims[2].isSymbol() || x.dims[2].size % 4 != 0)
    return wrongOperand("x", x, "f32[R,heads,D] with a number D divisible by 4");
  if (!isPairs(operands[1], DType::I32, x.dims[0], 2))
    return wrongOperand("places", operands[1], "i32[R,2] with R of x " + toString(x));
  return std::vector{x};
}

Inferred inferMRope(Types operands, const Op &op) {
  const ValueType &x = operands[0];
  if (!isF32(x, 3) || x.dims.size() != 3 || x.dims[2].isSymbol() || x.dims[2].size % 2 != 0)
    return wrongOperand("x", x, "f32[S,heads,D] with an even number D");
  if (!isPairs(operands[1], DType::F32, x.dims[0], 3))
    return wrongOperand("positions", operands[1], "f32[S,3] with S of x " + toString(x));
  const auto &sections = op.attr<std::vector<Dim>>("sections");
  uint64_t pairs = 0;
  bool areNumbers = true;
  for (const Dim &section : sections) {
    areNumbers = areNumbers && !section.isSymbol();
    pairs += section.isSymbol() ? 0 : section.size; // each at most 2^31
  }
  if (sections.size() != 3 || !areNumbers || pairs != x.dims[2].size / 2)
    return mismatch("attribute 'sections' with " + std::to_string(sections.size()) + " numbers that add up to " +
                        std::to_string(pairs),
                    "three numbers that add up to half of D of x " + toString(x));
  return std::vector{x};
}

Inferred inferRowsFrom(Types operands, const Op &) {
  const ValueType &x = operands[0], &rows = operands[1];
  if (!isF32(x, 2) || x.dims.size() != 2)
    return wrongOperand("x", x, "f32[S,H]");
  if (!isF32(rows, 2) || rows.dims.size() != 2 || rows.dims[1] != x.dims[1])
    return wrongOperand("rows", rows, "f32[M,H] with H of x " + toString(x));
  if (operands[2] != ValueType{DType::I32, {x.dims[0]}})
    return wrongOperand("index", operands[2], "i32[S] with S of x " + toString(x));
  return std::vector{x};
}

Inferred inferScaleRows(Types operands, const Op &) {
  const ValueType &x = operands[0];
  if (!isF32(x, 2) || x.dims.size() != 2)
    return wrongOperand("x", x, "f32[R,N]");
  if (operands[1] != ValueType{DType::F32, {x.dims[0], Dim(1)}})
    return wrongOperand("factor", operands[1], "f32[R,1] with R of x " + toString(x));
  return std::vector{x};
}

Inferred inferTapConv(Types operands, const Op &) {
  const ValueType &x = operands[0], &taps = operands[1], &weight = operands[2], &bias = operands[3];
  if (!isF32(x, 3) || x.dims.size() != 3 || x.dims[1].isSymbol() || x.dims[1].size == 0 || x.dims[2].isSymbol())
    return wrongOperand("x", x, "f32[T,M,C] with numbers M and C above zero");
  if (taps.dtype != DType::I32 || taps.dims.size() != 2 || taps.dims[1] != Dim(3))
    return wrongOperand("taps", taps, "i32[T2,3]");
  if (weight.dims.size() != 4 || weight.dims[1] != x.dims[2] || weight.dims[2] != Dim(3) || weight.dims[3] != Dim(3))
    return wrongOperand("weight", weight, "[N,C,3,3] with C of x " + toString(x));
  if (!isVector(bias, weight.dims[0]))
    return wrongOperand("bias", bias, "one value per row of weight " + toString(weight));
  return std::vector{ValueType{DType::F32, {taps.dims[0], Dim((x.dims[1].size - 1) / 2 + 1), weight.dims[0]}}};
}

Inferred inferSinusoid(Types operands, const Op &op) {
  const ValueType &positions = operands[0];
  auto width = static_cast<uint64_t>(op.attr<int64_t>("width"));
  if (positions.dtype != DType::I32 || positions.dims.size() != 1)
    return wrongOperand("positions", positions, "i32[R]");
  if (width % 2 != 0 || width < 4)
    return mismatch("attribute 'width' of " + std::to_string(width), "an even number of at least 4");
  return std::vector{ValueType{DType::F32, {positions.dims[0], Dim(width)}}};
}

Inferred inferSwapAxes(Types operands, const Op &) {
  const ValueType &x = operands[0];
  if (!isF32(x, 3) || x.dims.size() != 3)
    return wrongOperand("x", x, "f32[R,A,B]");
  return std::vector{ValueType{DType::F32, {x.dims[0], x.dims[2], x.dims[1]}}};
}

bool isFirst(const ValueType &type) { return type == ValueType{DType::I32, {Dim(1)}}; }

/// The extent of \p dim times \p factor; types beyond the limits are refused with the value.
Dim times(Dim dim, uint64_t factor) {
  if (__builtin_mul_overflow(dim.size, factor, &dim.size))
    dim.size = UINT64_MAX;
  return dim;
}

Inferred inferCodebookMean(Types operands, const Op &) {
  const ValueType &codes = operands[0], &table = operands[1];
  if (codes.dtype != DType::I32 || codes.dims.size() != 2 || codes.dims[1].isSymbol() || codes.dims[1].size == 0)
    return wrongOperand("codes", codes, "i32[R,G] with a number G");
  if (table.dims.size() != 2 || table.dims[0].size % codes.dims[1].size != 0)
    return wrongOperand("table", table, "a table [G*V,H] with G of codes " + toString(codes));
  return std::vector{ValueType{DType::F32, {codes.dims[0], table.dims[1]}}};
}

Inferred inferRowNumbers(Types operands, const Op &op) {
  if (!isFirst(operands[0]))
    return wrongOperand("first", operands[0], "i32[1]");
  return std::vector{ValueType{DType::I32, {Dim(op.attr<std::string>("symbol"))}}};
}

Inferred inferWindowAttention(Types operands, const Op &op) {
  const ValueType &q = operands[0], &positions = operands[3];
  auto window = static_cast<uint64_t>(op.attr<int64_t>("window"));
  if (!isF32(q, 3) || q.dims.size() != 3 || q.dims[1].isSymbol() || q.dims[2].isSymbol())
    return wrongOperand("q", q, "f32[R,heads,D] with numbers heads and D");
  if (operands[1] != q)
    return wrongOperand("k", operands[1], "the type of q " + toString(q));
  if (operands[2] != q)
    return wrongOperand("v", operands[2], "the type of q " + toString(q));
  if (positions != ValueType{DType::I32, {q.dims[0]}})
    return wrongOperand("positions", positions, "one i32 number per row of q " + toString(q));
  for (size_t i : {4, 5}) {
    const ValueType &state = operands[i];
    if (state.dims.size() != 3 || state.dims[0].isSymbol() || state.dims[0].size < window ||
        state.dims[1] != q.dims[1] || state.dims[2] != q.dims[2])
      return wrongOperand(opInfo(op.kind).operands[i].name, state,
                          "[W,heads,D] with a number W of at least window = " + std::to_string(window) +
                              ", heads and D of q " + toString(q));
  }
  return std::vector{q};
}

Inferred inferScale(Types operands, const Op &) {
  const ValueType &x = operands[0];
  if (!isF32(x, 1))
    return wrongOperand("x", x, "f32 with at least one dim");
  if (!isVector(operands[1], x.dims.back()))
    return wrongOperand("weight", operands[1], "one value per element of the last dim of x " + toString(x));
  return std::vector{x};
}

Inferred inferSnakeBeta(Types operands, const Op &op) {
  const ValueType &x = operands[0];
  if (!isF32(x, 2) || x.dims.size() != 2)
    return wrongOperand("x", x, "f32[R,N]");
  for (size_t i : {1, 2})
    if (!isVector(operands[i], x.dims.back()))
      return wrongOperand(opInfo(op.kind).operands[i].name, operands[i],
                          "one value per element of the last dim of x " + toString(x));
  return std::vector{x};
}

Inferred inferClearLead(Types operands, const Op &) {
  if (!isF32(operands[0], 2) || operands[0].dims.size() != 2)
    return wrongOperand("x", operands[0], "f32[R,N]");
  if (!isFirst(operands[1]))
    return wrongOperand("first", operands[1], "i32[1]");
  return std::vector{operands[0]};
}

bool isNumber(const ValueType &type, size_t dim) { return !type.dims[dim].isSymbol() && type.dims[dim].size > 0; }

Inferred inferCausalConv1d(Types operands, const Op &op) {
  const ValueType &x = operands[0], &weight = operands[1], &state = operands[3];
  auto dilation = static_cast<uint64_t>(op.attr<int64_t>("dilation"));
  if (!isF32(x, 2) || x.dims.size() != 2 || !isNumber(x, 1))
    return wrongOperand("x", x, "f32[T,C] with a number C");
  if (state.dims.size() != 2 || !isNumber(state, 0) || state.dims[1] != x.dims[1] || state.dims[0].size % dilation != 0)
    return wrongOperand("state", state,
                        "a multiple of dilation " + std::to_string(dilation) + " rows of C of x " + toString(x));
  uint64_t taps = state.dims[0].size / dilation + 1;
  bool dense = weight.dims.size() == 2 && weight.dims[1] == times(x.dims[1], taps);
  bool depthwise = weight.dims.size() == 2 && weight.dims[1] == Dim(taps) && weight.dims[0] == x.dims[1];
  if (!dense && !depthwise)
    return wrongOperand("weight", weight,
                        "[N,C*" + std::to_string(taps) + "] or [C," + std::to_string(taps) + "] with C of x " +
                            toString(x));
  if (!isVector(operands[2], weight.dims[0]))
    return wrongOperand("bias", operands[2], "one value per row of weight " + toString(weight));
  if (!isFirst(operands[4]))
    return wrongOperand("first", operands[4], "i32[1]");
  return std::vector{withLastDim(x, weight.dims[0])};
}

Inferred inferConvTranspose1d(Types operands, const Op &op) {
  const ValueType &x = operands[0], &weight = operands[1], &bias = operands[2];
  auto stride = static_cast<uint64_t>(op.attr<int64_t>("stride"));
  if (!isF32(x, 2) || x.dims.size() != 2 || !isNumber(x, 1))
    return wrongOperand("x", x, "f32[T,C] with a number C");
  if (bias.dims.size() != 1 || !isNumber(bias, 0))
    return wrongOperand("bias", bias, "[N]");
  uint64_t outputs = bias.dims[0].size, columns = weight.dims.size() == 2 ? weight.dims[1].size : 0;
  if (weight.dims.size() != 2 || weight.dims[0] != x.dims[1] || columns % outputs != 0 || columns == 0 ||
      columns / outputs % stride != 0)
    return wrongOperand("weight", weight,
                        "[C,N*k] with C of x " + toString(x) + ", N of bias " + toString(bias) +
                            " and k a multiple of stride " + std::to_string(stride));
  uint64_t kept = columns / outputs / stride - 1;
  if (operands.size() != (kept ? 5 : 3))
    return mismatch(std::to_string(operands.size()) + " inputs",
                    kept ? "a state of " + std::to_string(kept) + " rows and first" : "no state");
  if (kept && operands[3] != ValueType{DType::F32, {Dim(kept), x.dims[1]}})
    return wrongOperand("state", operands[3], std::to_string(kept) + " rows of C of x " + toString(x));
  if (kept && !isFirst(operands[4]))
    return wrongOperand("first", operands[4], "i32[1]");
  return std::vector{ValueType{DType::F32, {times(x.dims[0], stride), bias.dims[0]}}};
}

const std::vector<OpInfo> &opTable() {
  using enum OperandKind;
  using enum AttrKind;
  constexpr bool optional = true;
  static const std::vector<OpInfo> table = {
      {OpKind::Embedding, "embedding", {{"ids", Value}, {"table", Weight}}, {}, inferEmbedding},
      {OpKind::PositionIds, "position_ids", {}, {{"symbol", Symbol}}, inferPositionIds},
      {OpKind::RmsNorm, "rms_norm", {{"x", Value}, {"weight", Weight}}, {{"eps", PositiveNumber}}, inferRmsNorm},
      {OpKind::Linear, "linear", {{"x", Value}, {"weight", Weight}, {"bias", Weight, optional}}, {}, inferLinear},
      {OpKind::Reshape, "reshape", {{"x", Value}}, {{"shape", Shape}}, inferReshape},
      {OpKind::Rope, "rope", {{"x", Value}, {"positions", Value}}, {{"theta", PositiveNumber}}, inferRope},
      {OpKind::KvAppend, "kv_append", {{"state", State}, {"x", Value}}, {}, inferKvAppend},
      {OpKind::Attention,
       "attention",
       {{"q", Value}, {"k", Value}, {"v", Value}},
       {{"scale", PositiveNumber}, {"causal", Bool}},
       inferAttention},
      {OpKind::Silu, "silu", {{"x", Value}}, {}, inferElementwiseUnary},
      {OpKind::Mul, "mul", {{"a", Value}, {"b", Value}}, {}, inferElementwiseBinary},
      {OpKind::Add, "add", {{"a", Value}, {"b", Value}}, {}, inferElementwiseBinary},
      {OpKind::Softmax, "softmax", {{"x", Value}}, {}, inferLastAxis},
      {OpKind::TopK, "top_k", {{"x", Value}}, {{"k", Count}}, inferTopK},
      {OpKind::SumNormalize, "sum_normalize", {{"x", Value}}, {}, inferLastAxis},
      {OpKind::ExpertLinear,
       "expert_linear",
       {{"x", Value}, {"experts", Value}, {"weight", Weight}},
       {},
       inferExpertLinear},
      {OpKind::WeightedSum, "weighted_sum", {{"x", Value}, {"weights", Value}}, {}, inferWeightedSum},
      {OpKind::LayerNorm,
       "layer_norm",
       {{"x", Value}, {"weight", Weight}, {"bias", Weight}},
       {{"eps", PositiveNumber}},
       inferLayerNorm},
      {OpKind::Gelu, "gelu", {{"x", Value}}, {{"tanh", Bool}}, inferElementwiseUnary},
      {OpKind::SegmentAttention,
       "segment_attention",
       {{"q", Value}, {"k", Value}, {"v", Value}, {"segments", Value}},
       {{"scale", PositiveNumber}},
       inferSegmentAttention},
      {OpKind::AxialRope, "axial_rope", {{"x", Value}, {"places", Value}}, {{"theta", PositiveNumber}}, inferAxialRope},
      {OpKind::MRope,
       "mrope",
       {{"x", Value}, {"positions", Value}},
       {{"theta", PositiveNumber}, {"sections", Shape}},
       inferMRope},
      {OpKind::ReplaceRows, "replace_rows", {{"x", Value}, {"rows", Value}, {"index", Value}}, {}, inferRowsFrom},
      {OpKind::AddRows, "add_rows", {{"x", Value}, {"rows", Value}, {"index", Value}}, {}, inferRowsFrom},
      {OpKind::TapConv,
       "tap_conv",
       {{"x", Value}, {"taps", Value}, {"weight", Weight}, {"bias", Weight}},
       {},
       inferTapConv},
      {OpKind::Sinusoid,
       "sinusoid",
       {{"positions", Value}},
       {{"width", Count}, {"theta", PositiveNumber}},
       inferSinusoid},
      {OpKind::SwapAxes, "swap_axes", {{"x", Value}}, {}, inferSwapAxes},
      {OpKind::Sigmoid, "sigmoid", {{"x", Value}}, {}, inferElementwiseUnary},
      {OpKind::ScaleRows, "scale_rows", {{"x", Value}, {"factor", Value}}, {}, inferScaleRows},
      {OpKind::CodebookMean, "codebook_mean", {{"codes", Value}, {"table", Weight}}, {}, inferCodebookMean},
      {OpKind::RowNumbers, "row_numbers", {{"first", Value}}, {{"symbol", Symbol}}, inferRowNumbers},
      {OpKind::WindowAttention,
       "window_attention",
       {{"q", Value}, {"k", Value}, {"v", Value}, {"positions", Value}, {"k_state", State}, {"v_state", State}},
       {{"window", Count}, {"scale", PositiveNumber}},
       inferWindowAttention},
      {OpKind::Scale, "scale", {{"x", Value}, {"weight", Weight}}, {}, inferScale},
      {OpKind::Clamp, "clamp", {{"x", Value}}, {{"limit", PositiveNumber}}, inferElementwiseUnary},
      {OpKind::SnakeBeta, "snake_beta", {{"x", Value}, {"alpha", Weight}, {"beta", Weight}}, {}, inferSnakeBeta},
      {OpKind::ClearLead,
       "clear_lead",
       {{"x", Value}, {"first", Value}},
       {{"frame_rows", Count}, {"lead", Count}},
       inferClearLead},
      {OpKind::CausalConv1d,
       "causal_conv1d",
       {{"x", Value}, {"weight", Weight}, {"bias", Weight}, {"state", State}, {"first", Value}},
       {{"dilation", Count}},
       inferCausalConv1d},
      {OpKind::ConvTranspose1d,
       "conv_transpose1d",
       {{"x", Value}, {"weight", Weight}, {"bias", Weight}, {"state", State, optional}, {"first", Value, optional}},
       {{"stride", Count}},
       inferConvTranspose1d},
  };
  return table;
}

bool hasKind(const AttrValue &value, AttrKind kind) {
  switch (kind) {
  case AttrKind::PositiveNumber: {
    const double *number = std::get_if<double>(&value);
    return number && std::isfinite(*number) && *number > 0;
  }
  case AttrKind::Count: {
    const int64_t *number = std::get_if<int64_t>(&value);
    return number && *number > 0;
  }
  case AttrKind::Bool:
    return std::holds_alternative<bool>(value);
  case AttrKind::Symbol:
    return std::holds_alternative<std::string>(value);
  case AttrKind::Shape:
    return std::holds_alternative<std::vector<Dim>>(value);
  }
  return false;
}

std::string_view kindName(AttrKind kind) {
  switch (kind) {
  case AttrKind::PositiveNumber:
    return "a number above zero";
  case AttrKind::Count:
    return "an integer above zero";
  case AttrKind::Bool:
    return "true or false";
  case AttrKind::Symbol:
    return "the name of a symbol";
  case AttrKind::Shape:
    return "an array of numbers and symbols";
  }
  return "";
}

Status checkAttributes(const Op &op, const OpInfo &info) {
  for (const AttrInfo &attr : info.attrs) {
    auto found = op.attrs.find(std::string(attr.name));
    if (found == op.attrs.end() || !hasKind(found->second, attr.kind))
      return Status(StatusCode::InvalidInput, "attribute '" + std::string(attr.name) +
                                                  "' is missing or of another kind, expected " +
                                                  std::string(kindName(attr.kind)) + ", correct the operation's attrs");
  }
  // An attribute nobody reads could have changed the meaning.
  if (op.attrs.size() == info.attrs.size())
    return Status::ok();
  std::string unknown, known;
  for (const AttrInfo &attr : info.attrs)
    known += (known.empty() ? "" : " ") + std::string(attr.name);
  for (const auto &[name, value] : op.attrs)
    if (std::none_of(info.attrs.begin(), info.attrs.end(), [&](const AttrInfo &attr) { return attr.name == name; }))
      unknown = name;
  return Status(StatusCode::InvalidInput, "unknown attribute " + inQuotes(unknown) + ", expected only [" + known +
                                              "], update qwenc or remove the attribute");
}

} // namespace

const OpInfo &qwenc::graph::opInfo(OpKind kind) { return opTable()[static_cast<size_t>(kind)]; }

const OpInfo *qwenc::graph::findOp(std::string_view name) {
  for (const OpInfo &info : opTable())
    if (info.name == name)
      return &info;
  return nullptr;
}

std::string qwenc::graph::knownOpNames() {
  std::string names;
  for (const OpInfo &info : opTable())
    names += (names.empty() ? "" : " ") + std::string(info.name);
  return names;
}

Inferred qwenc::graph::inferTypes(const Op &op, Types operands) {
  const OpInfo &info = opInfo(op.kind);
  size_t required = 0;
  for (const OperandInfo &operand : info.operands)
    required += !operand.optional;
  if (operands.size() < required || operands.size() > info.operands.size())
    return mismatch(std::to_string(operands.size()) + " inputs",
                    std::to_string(required) + (required == info.operands.size()
                                                    ? std::string()
                                                    : " to " + std::to_string(info.operands.size())));
  QWENRT_RETURN_IF_ERROR(checkAttributes(op, info));
  return info.infer(operands, op);
}
