#include "test/Checkpoint/TemporaryFolder.h"

#include "models/Graph/Ops.h"

#include <cmath>

using namespace qwenc;
using namespace qwenc::graph;

namespace {

using Attrs = std::map<std::string, AttrValue>;

/// Result types of an operation on operands given as text; the message when it is refused.
std::string infer(const char *name, const std::vector<std::string> &operands, const Attrs &attrs = {}) {
  Op op;
  op.kind = findOp(name)->kind;
  op.attrs = attrs;
  std::vector<ValueType> types;
  for (const std::string &operand : operands)
    types.push_back(*parseValueType(operand));
  Result<std::vector<ValueType>> inferred = inferTypes(op, types);
  if (!inferred)
    return inferred.status().message();
  std::string text;
  for (const ValueType &type : *inferred)
    text += (text.empty() ? "" : " ") + toString(type);
  return text;
}

struct Case {
  const char *op;
  std::vector<std::string> operands;
  Attrs attrs;
  const char *expected; ///< the type, or the start of the message
};

const Attrs eps = {{"eps", 1e-6}}, theta = {{"theta", 1e6}}, scaled = {{"scale", 0.5}, {"causal", true}},
            four = {{"k", int64_t(4)}}, scaleOnly = {{"scale", 0.5}}, exactGelu = {{"tanh", false}},
            sections = {{"theta", 1e6}, {"sections", std::vector<Dim>{2, 1, 1}}};

Attrs sinusoid(int64_t width) { return {{"width", width}, {"theta", 1e4}}; }

Attrs withSections(std::vector<Dim> sections) { return {{"theta", 1e6}, {"sections", std::move(sections)}}; }

} // namespace

TEST(Ops, TableIsInTheOrderOfTheKinds) {
  EXPECT_EQ(opInfo(OpKind::Embedding).name, "embedding");
  EXPECT_EQ(opInfo(OpKind::SwapAxes).name, "swap_axes");
  for (int kind = 0; kind <= static_cast<int>(OpKind::SwapAxes); ++kind)
    EXPECT_EQ(static_cast<int>(opInfo(static_cast<OpKind>(kind)).kind), kind);
  EXPECT_EQ(findOp("conv3d"), nullptr);
}

TEST(Ops, InferTypes) {
  for (const Case &c :
       std::vector<Case>{{"embedding", {"i32[S]", "bf16[10,4]"}, {}, "f32[S,4]"},
                         {"position_ids", {}, {{"symbol", std::string("S")}}, "i32[S]"},
                         {"rms_norm", {"f32[S,2,4]", "bf16[4]"}, eps, "f32[S,2,4]"},
                         {"linear", {"f32[S,4]", "bf16[8,4]"}, {}, "f32[S,8]"},
                         {"linear", {"f32[S,4]", "bf16[8,4]", "bf16[8]"}, {}, "f32[S,8]"},
                         {"reshape", {"f32[S,8]"}, {{"shape", std::vector<Dim>{"S", 2, 4}}}, "f32[S,2,4]"},
                         {"reshape", {"f32[S,2,C]"}, {{"shape", std::vector<Dim>{"C", 2, "S"}}}, "f32[C,2,S]"},
                         {"rope", {"f32[S,2,4]", "i32[S]"}, theta, "f32[S,2,4]"},
                         {"kv_append", {"f32[C,2,4]", "f32[S,2,4]"}, {}, "f32[C,2,4]"},
                         {"attention", {"f32[S,4,8]", "f32[C,2,8]", "f32[C,2,8]"}, scaled, "f32[S,4,8]"},
                         {"silu", {"f32[S,4]"}, {}, "f32[S,4]"},
                         {"mul", {"f32[S,4]", "f32[S,4]"}, {}, "f32[S,4]"},
                         {"add", {"f32[S,4]", "f32[S,4]"}, {}, "f32[S,4]"},
                         {"softmax", {"f32[S,16]"}, {}, "f32[S,16]"},
                         {"top_k", {"f32[S,16]"}, four, "f32[S,4] i32[S,4]"},
                         {"top_k", {"f32[S,4]"}, four, "f32[S,4] i32[S,4]"},
                         {"sum_normalize", {"f32[S,4]"}, {}, "f32[S,4]"},
                         {"expert_linear", {"f32[S,8]", "i32[S,4]", "bf16[16,6,8]"}, {}, "f32[S,4,6]"},
                         {"expert_linear", {"f32[S,4,8]", "i32[S,4]", "bf16[16,6,8]"}, {}, "f32[S,4,6]"},
                         {"weighted_sum", {"f32[S,4,6]", "f32[S,4]"}, {}, "f32[S,6]"}})
    EXPECT_EQ(infer(c.op, c.operands, c.attrs), c.expected) << c.op;
}

TEST(Ops, InferTypesOfMedia) {
  for (const Case &c : std::vector<Case>{
           {"embedding", {"i32[V*4,4]", "bf16[10,6]"}, {}, "f32[V*4,4,6]"},
           {"linear", {"f32[V*4,4]", "bf16[8,4]"}, {}, "f32[V*4,8]"},
           {"reshape", {"f32[V*4,8]"}, {{"shape", std::vector<Dim>{"V", 32}}}, "f32[V,32]"},
           {"reshape", {"f32[V,32]"}, {{"shape", std::vector<Dim>{{"V", 4}, 8}}}, "f32[V*4,8]"},
           {"layer_norm", {"f32[V,2,4]", "bf16[4]", "bf16[4]"}, eps, "f32[V,2,4]"},
           {"gelu", {"f32[V,4]"}, exactGelu, "f32[V,4]"},
           {"gelu", {"f32[V,4]"}, {{"tanh", true}}, "f32[V,4]"},
           {"segment_attention", {"f32[V,2,4]", "f32[V,2,4]", "f32[V,2,4]", "i32[V,2]"}, scaleOnly, "f32[V,2,4]"},
           {"axial_rope", {"f32[V*4,2,8]", "i32[V*4,2]"}, theta, "f32[V*4,2,8]"},
           {"mrope", {"f32[S,2,8]", "f32[S,3]"}, sections, "f32[S,2,8]"},
           {"replace_rows", {"f32[S,6]", "f32[M,6]", "i32[S]"}, {}, "f32[S,6]"},
           {"add_rows", {"f32[S,6]", "f32[M,6]", "i32[S]"}, {}, "f32[S,6]"},
           {"tap_conv", {"f32[F,7,5]", "i32[T,3]", "bf16[6,5,3,3]", "bf16[6]"}, {}, "f32[T,4,6]"},
           {"tap_conv", {"f32[F,8,5]", "i32[T,3]", "bf16[6,5,3,3]", "bf16[6]"}, {}, "f32[T,4,6]"},
           {"tap_conv", {"f32[F,1,5]", "i32[T,3]", "bf16[6,5,3,3]", "bf16[6]"}, {}, "f32[T,1,6]"},
           {"sinusoid", {"i32[T]"}, sinusoid(4), "f32[T,4]"},
           {"swap_axes", {"f32[T,4,6]"}, {}, "f32[T,6,4]"}})
    EXPECT_EQ(infer(c.op, c.operands, c.attrs), c.expected) << c.op;
}

TEST(Ops, RefuseTypesThatDoNotFit) {
  for (const Case &c : std::vector<Case>{
           {"embedding", {"f32[S]", "bf16[10,4]"}, {}, "ids of type f32[S], expected i32 ids"},
           {"embedding", {"i32[]", "bf16[10,4]"}, {}, "ids of type i32[], expected i32 ids"},
           {"embedding", {"i32[S]", "bf16[10]"}, {}, "table of type bf16[10], expected a table [V,H]"},
           {"rms_norm", {"i32[S]", "bf16[4]"}, eps, "x of type i32[S], expected f32"},
           {"rms_norm", {"f32[]", "bf16[4]"}, eps, "x of type f32[], expected f32 with at least one dim"},
           {"rms_norm", {"f32[S,4]", "bf16[5]"}, eps, "weight of type bf16[5], expected one value per element"},
           {"linear", {"f32[S,4]", "bf16[8,5]"}, {}, "weight of type bf16[8,5], expected [N,K] with K"},
           {"linear", {"f32[S,4]", "bf16[4]"}, {}, "weight of type bf16[4], expected [N,K]"},
           {"linear", {"f32[S,4]", "bf16[8,4]", "bf16[4]"}, {}, "bias of type bf16[4], expected one value per row"},
           {"linear", {"i32[S,4]", "bf16[8,4]"}, {}, "x of type i32[S,4], expected f32"},
           {"reshape",
            {"f32[S,8]"},
            {{"shape", std::vector<Dim>{"S", 9}}},
            "x of type f32[S,8], expected as many elements"},
           {"reshape",
            {"f32[S,8]"},
            {{"shape", std::vector<Dim>{"C", 8}}},
            "x of type f32[S,8], expected as many elements"},
           {"rope", {"f32[S,2,3]", "i32[S]"}, theta, "x of type f32[S,2,3], expected f32[S,heads,D] with an even"},
           {"rope", {"f32[S,4]", "i32[S]"}, theta, "x of type f32[S,4], expected f32[S,heads,D]"},
           {"rope", {"f32[S,2,4]", "i32[C]"}, theta, "positions of type i32[C], expected one i32 position"},
           {"rope", {"f32[S,2,4]", "f32[S]"}, theta, "positions of type f32[S], expected one i32 position"},
           {"kv_append", {"f32[C,2]", "f32[S,2,4]"}, {}, "state of type f32[C,2], expected [C,heads,D]"},
           {"kv_append", {"f32[C,2,4]", "f32[S,1,4]"}, {}, "x of type f32[S,1,4], expected f32[S,heads,D] with heads"},
           {"attention", {"f32[S,4]", "f32[C,2,8]", "f32[C,2,8]"}, scaled, "q of type f32[S,4], expected f32[S,Hq,D]"},
           {"attention",
            {"f32[S,4,8]", "f32[C,2,4]", "f32[C,2,4]"},
            scaled,
            "k of type f32[C,2,4], expected f32[C,Hkv,D]"},
           {"attention",
            {"f32[S,4,8]", "f32[C,3,8]", "f32[C,3,8]"},
            scaled,
            "k of type f32[C,3,8], expected a number of heads"},
           {"attention",
            {"f32[S,4,8]", "f32[C,0,8]", "f32[C,0,8]"},
            scaled,
            "k of type f32[C,0,8], expected a number of heads"},
           {"attention",
            {"f32[S,4,8]", "f32[C,2,8]", "f32[S,2,8]"},
            scaled,
            "v of type f32[S,2,8], expected the type of k"},
           {"silu", {"i32[S]"}, {}, "x of type i32[S], expected f32"},
           {"mul", {"i32[S]", "i32[S]"}, {}, "a of type i32[S], expected f32"},
           {"add", {"f32[S,4]", "f32[4]"}, {}, "b of type f32[4], expected the type of a f32[S,4]"},
           {"softmax", {"i32[S,4]"}, {}, "x of type i32[S,4], expected f32 whose last dim is a number"},
           {"softmax", {"f32[S]"}, {}, "x of type f32[S], expected f32 whose last dim is a number"},
           {"softmax", {"f32[]"}, {}, "x of type f32[], expected f32 whose last dim is a number"},
           {"sum_normalize", {"f32[4,S]"}, {}, "x of type f32[4,S], expected f32 whose last dim is a number"},
           {"top_k", {"f32[S,3]"}, four, "x of type f32[S,3], expected f32[R,N] with a number N of at least k = 4"},
           {"top_k", {"f32[S,2,8]"}, four, "x of type f32[S,2,8], expected f32[R,N]"},
           {"top_k", {"f32[8,S]"}, four, "x of type f32[8,S], expected f32[R,N]"},
           {"top_k", {"i32[S,8]"}, four, "x of type i32[S,8], expected f32[R,N]"},
           {"expert_linear",
            {"f32[S,8]", "f32[S,4]", "bf16[16,6,8]"},
            {},
            "experts of type f32[S,4], expected i32[R,k] with a number k"},
           {"expert_linear", {"f32[S,8]", "i32[S]", "bf16[16,6,8]"}, {}, "experts of type i32[S], expected i32[R,k]"},
           {"expert_linear", {"f32[S,8]", "i32[4,S]", "bf16[16,6,8]"}, {}, "experts of type i32[4,S], expected"},
           {"expert_linear", {"f32[S,8]", "i32[S,4]", "bf16[6,8]"}, {}, "weight of type bf16[6,8], expected a stack"},
           {"expert_linear",
            {"f32[S,9]", "i32[S,4]", "bf16[16,6,8]"},
            {},
            "x of type f32[S,9], expected f32[R,K] or f32[R,k,K] with R and k of experts i32[S,4] and K of weight "
            "bf16[16,6,8]"},
           {"expert_linear", {"f32[C,8]", "i32[S,4]", "bf16[16,6,8]"}, {}, "x of type f32[C,8], expected f32[R,K]"},
           {"expert_linear", {"f32[S,3,8]", "i32[S,4]", "bf16[16,6,8]"}, {}, "x of type f32[S,3,8], expected f32[R,K]"},
           {"expert_linear", {"i32[S,8]", "i32[S,4]", "bf16[16,6,8]"}, {}, "x of type i32[S,8], expected f32[R,K]"},
           {"expert_linear", {"f32[8]", "i32[S,4]", "bf16[16,6,8]"}, {}, "x of type f32[8], expected f32[R,K]"},
           {"weighted_sum", {"f32[S,6]", "f32[S,4]"}, {}, "x of type f32[S,6], expected f32[R,k,N]"},
           {"weighted_sum", {"f32[S,4,6]", "f32[S,3]"}, {}, "weights of type f32[S,3], expected f32[R,k]"},
           {"weighted_sum", {"f32[S,4,6]", "i32[S,4]"}, {}, "weights of type i32[S,4], expected f32[R,k]"},
           {"sigmoid", {"i32[S]"}, {}, "x of type i32[S], expected f32"},
           {"scale_rows", {"f32[S]", "f32[S,1]"}, {}, "x of type f32[S], expected f32[R,N]"},
           {"scale_rows", {"f32[S,6]", "f32[S,2]"}, {}, "factor of type f32[S,2], expected f32[R,1] with R of x"},
           {"scale_rows", {"f32[S,6]", "f32[C,1]"}, {}, "factor of type f32[C,1], expected f32[R,1] with R of x"},
           {"add", {"f32[S]"}, {}, "1 inputs, expected 2"},
           {"linear", {"f32[S]"}, {}, "1 inputs, expected 2 to 3"},
           {"silu", {"f32[S]", "f32[S]"}, {}, "2 inputs, expected 1"}})
    EXPECT_TRUE(infer(c.op, c.operands, c.attrs).starts_with(c.expected))
        << infer(c.op, c.operands, c.attrs) << "\n  expected: " << c.expected;
}

TEST(Ops, RefuseTypesOfMediaThatDoNotFit) {
  const char *three = "f32[V,2,4]";
  for (const Case &c : std::vector<Case>{
           {"reshape",
            {"f32[V*4,8]"},
            {{"shape", std::vector<Dim>{"V", 8}}},
            "x of type f32[V*4,8], expected as many elements as the new shape f32[V,8]"},
           {"mul", {"f32[V*4]", "f32[V]"}, {}, "b of type f32[V], expected the type of a f32[V*4]"},
           {"layer_norm", {"i32[V,4]", "bf16[4]", "bf16[4]"}, eps, "x of type i32[V,4], expected f32 with"},
           {"layer_norm", {"f32[]", "bf16[4]", "bf16[4]"}, eps, "x of type f32[], expected f32 with at least one dim"},
           {"layer_norm",
            {"f32[V,4]", "bf16[5]", "bf16[4]"},
            eps,
            "weight of type bf16[5], expected one value per element of the last dim of x f32[V,4]"},
           {"layer_norm", {"f32[V,4]", "bf16[4]", "bf16[1,4]"}, eps, "bias of type bf16[1,4], expected one value per"},
           {"layer_norm", {"f32[V,4]", "bf16[4]"}, eps, "2 inputs, expected 3"},
           {"gelu", {"i32[V,4]"}, exactGelu, "x of type i32[V,4], expected f32"},
           {"segment_attention",
            {"f32[V,4]", three, three, "i32[V,2]"},
            scaleOnly,
            "q of type f32[V,4], expected f32[R,heads,D] with numbers heads and D"},
           {"segment_attention", {"f32[V,S,4]", three, three, "i32[V,2]"}, scaleOnly, "q of type f32[V,S,4], expected"},
           {"segment_attention", {"f32[V,4,S]", three, three, "i32[V,2]"}, scaleOnly, "q of type f32[V,4,S], expected"},
           {"segment_attention", {"i32[V,2,4]", three, three, "i32[V,2]"}, scaleOnly, "q of type i32[V,2,4], expected"},
           {"segment_attention",
            {three, "f32[V,1,4]", three, "i32[V,2]"},
            scaleOnly,
            "k of type f32[V,1,4], expected the type of q f32[V,2,4]"},
           {"segment_attention",
            {three, three, "f32[S,2,4]", "i32[V,2]"},
            scaleOnly,
            "v of type f32[S,2,4], expected the type of q f32[V,2,4]"},
           {"segment_attention",
            {three, three, three, "i32[V,3]"},
            scaleOnly,
            "segments of type i32[V,3], expected i32[R,2] with R of q f32[V,2,4]"},
           {"segment_attention", {three, three, three, "f32[V,2]"}, scaleOnly, "segments of type f32[V,2], expected"},
           {"segment_attention", {three, three, three, "i32[S,2]"}, scaleOnly, "segments of type i32[S,2], expected"},
           {"axial_rope",
            {"f32[V,2,6]", "i32[V,2]"},
            theta,
            "x of type f32[V,2,6], expected f32[R,heads,D] with a number D divisible by 4"},
           {"axial_rope", {"f32[V,8]", "i32[V,2]"}, theta, "x of type f32[V,8], expected f32[R,heads,D]"},
           {"axial_rope", {"f32[V,2,S*4]", "i32[V,2]"}, theta, "x of type f32[V,2,S*4], expected f32[R,heads,D]"},
           {"axial_rope",
            {"f32[V*4,2,8]", "i32[V,2]"},
            theta,
            "places of type i32[V,2], expected i32[R,2] with R of x f32[V*4,2,8]"},
           {"axial_rope", {"f32[V,2,8]", "f32[V,2]"}, theta, "places of type f32[V,2], expected i32[R,2]"},
           {"mrope",
            {"f32[S,2,7]", "f32[S,3]"},
            sections,
            "x of type f32[S,2,7], expected f32[S,heads,D] with an even"},
           {"mrope", {"f32[S,8]", "f32[S,3]"}, sections, "x of type f32[S,8], expected f32[S,heads,D]"},
           {"mrope", {"f32[S,2,V*8]", "f32[S,3]"}, sections, "x of type f32[S,2,V*8], expected f32[S,heads,D]"},
           {"mrope", {"f32[S,2,8]", "i32[S,3]"}, sections, "positions of type i32[S,3], expected f32[S,3] with S of x"},
           {"mrope", {"f32[S,2,8]", "f32[S,2]"}, sections, "positions of type f32[S,2], expected f32[S,3]"},
           {"mrope", {"f32[S,2,8]", "f32[C,3]"}, sections, "positions of type f32[C,3], expected f32[S,3]"},
           {"mrope",
            {"f32[S,2,8]", "f32[S,3]"},
            withSections({2, 2}),
            "attribute 'sections' with 2 numbers that add up to 4, expected three numbers that add up to half of D of "
            "x f32[S,2,8]"},
           {"mrope",
            {"f32[S,2,8]", "f32[S,3]"},
            withSections({2, 1, 2}),
            "attribute 'sections' with 3 numbers that add up to 5, expected three"},
           {"mrope",
            {"f32[S,2,8]", "f32[S,3]"},
            withSections({"S", 3, 1}),
            "attribute 'sections' with 3 numbers that add up to 4, expected three numbers"},
           {"replace_rows", {"f32[S,2,3]", "f32[M,6]", "i32[S]"}, {}, "x of type f32[S,2,3], expected f32[S,H]"},
           {"replace_rows", {"i32[S,6]", "f32[M,6]", "i32[S]"}, {}, "x of type i32[S,6], expected f32[S,H]"},
           {"replace_rows",
            {"f32[S,6]", "f32[M,5]", "i32[S]"},
            {},
            "rows of type f32[M,5], expected f32[M,H] with H of x f32[S,6]"},
           {"add_rows", {"f32[S,6]", "i32[M,6]", "i32[S]"}, {}, "rows of type i32[M,6], expected f32[M,H]"},
           {"add_rows", {"f32[S,6]", "f32[M,2,6]", "i32[S]"}, {}, "rows of type f32[M,2,6], expected f32[M,H]"},
           {"add_rows",
            {"f32[S,6]", "f32[M,6]", "i32[M]"},
            {},
            "index of type i32[M], expected i32[S] with S of x f32[S,6]"},
           {"add_rows", {"f32[S,6]", "f32[M,6]", "f32[S]"}, {}, "index of type f32[S], expected i32[S]"},
           {"tap_conv",
            {"f32[F,7]", "i32[T,3]", "bf16[6,5,3,3]", "bf16[6]"},
            {},
            "x of type f32[F,7], expected f32[T,M,C] with numbers M and C above zero"},
           {"tap_conv", {"f32[F,S,5]", "i32[T,3]", "bf16[6,5,3,3]", "bf16[6]"}, {}, "x of type f32[F,S,5], expected"},
           {"tap_conv", {"f32[F,0,5]", "i32[T,3]", "bf16[6,5,3,3]", "bf16[6]"}, {}, "x of type f32[F,0,5], expected"},
           {"tap_conv", {"f32[F,7,S]", "i32[T,3]", "bf16[6,5,3,3]", "bf16[6]"}, {}, "x of type f32[F,7,S], expected"},
           {"tap_conv", {"i32[F,7,5]", "i32[T,3]", "bf16[6,5,3,3]", "bf16[6]"}, {}, "x of type i32[F,7,5], expected"},
           {"tap_conv",
            {"f32[F,7,5]", "i32[T,2]", "bf16[6,5,3,3]", "bf16[6]"},
            {},
            "taps of type i32[T,2], expected i32[T2,3]"},
           {"tap_conv", {"f32[F,7,5]", "f32[T,3]", "bf16[6,5,3,3]", "bf16[6]"}, {}, "taps of type f32[T,3], expected"},
           {"tap_conv", {"f32[F,7,5]", "i32[T]", "bf16[6,5,3,3]", "bf16[6]"}, {}, "taps of type i32[T], expected"},
           {"tap_conv",
            {"f32[F,7,5]", "i32[T,3]", "bf16[6,4,3,3]", "bf16[6]"},
            {},
            "weight of type bf16[6,4,3,3], expected [N,C,3,3] with C of x f32[F,7,5]"},
           {"tap_conv",
            {"f32[F,7,5]", "i32[T,3]", "bf16[6,5,9]", "bf16[6]"},
            {},
            "weight of type bf16[6,5,9], expected"},
           {"tap_conv",
            {"f32[F,7,5]", "i32[T,3]", "bf16[6,5,3,2]", "bf16[6]"},
            {},
            "weight of type bf16[6,5,3,2], exp"},
           {"tap_conv",
            {"f32[F,7,5]", "i32[T,3]", "bf16[6,5,2,3]", "bf16[6]"},
            {},
            "weight of type bf16[6,5,2,3], exp"},
           {"tap_conv",
            {"f32[F,7,5]", "i32[T,3]", "bf16[6,5,3,3]", "bf16[5]"},
            {},
            "bias of type bf16[5], expected one value per row of weight bf16[6,5,3,3]"},
           {"sinusoid", {"f32[T]"}, sinusoid(4), "positions of type f32[T], expected i32[R]"},
           {"sinusoid", {"i32[T,1]"}, sinusoid(4), "positions of type i32[T,1], expected i32[R]"},
           {"sinusoid", {"i32[T]"}, sinusoid(2), "attribute 'width' of 2, expected an even number of at least 4"},
           {"sinusoid", {"i32[T]"}, sinusoid(7), "attribute 'width' of 7, expected an even number of at least 4"},
           {"swap_axes", {"f32[T,4]"}, {}, "x of type f32[T,4], expected f32[R,A,B]"},
           {"swap_axes", {"i32[T,4,6]"}, {}, "x of type i32[T,4,6], expected f32[R,A,B]"}})
    EXPECT_TRUE(infer(c.op, c.operands, c.attrs).starts_with(c.expected))
        << infer(c.op, c.operands, c.attrs) << "\n  expected: " << c.expected;
}

TEST(Ops, TypesOfVocoders) {
  const Attrs window = {{"window", int64_t(8)}, {"scale", 0.5}}, dilated = {{"dilation", int64_t(3)}},
              stride = {{"stride", int64_t(2)}}, lead = {{"frame_rows", int64_t(4)}, {"lead", int64_t(3)}};
  const std::vector<std::string> attended = {"f32[F,2,4]", "f32[F,2,4]", "f32[F,2,4]", "i32[F]"};
  auto states = [&](const char *k, const char *v) {
    std::vector<std::string> operands = attended;
    operands.insert(operands.end(), {k, v});
    return operands;
  };
  for (const Case &c : std::vector<Case>{
           {"codebook_mean", {"i32[F,4]", "bf16[32,8]"}, {}, "f32[F,8]"},
           {"codebook_mean", {"f32[F,4]", "bf16[32,8]"}, {}, "codes of type f32[F,4], expected i32[R,G]"},
           {"codebook_mean", {"i32[F,4]", "bf16[30,8]"}, {}, "table of type bf16[30,8], expected a table [G*V,H]"},
           {"row_numbers", {"i32[1]"}, {{"symbol", std::string("F")}}, "i32[F]"},
           {"row_numbers", {"i32[2]"}, {{"symbol", std::string("F")}}, "first of type i32[2], expected i32[1]"},
           {"window_attention", states("f32[9,2,4]", "f32[9,2,4]"), window, "f32[F,2,4]"},
           {"window_attention", states("f32[7,2,4]", "f32[9,2,4]"), window, "k_state of type f32[7,2,4], expected [W"},
           {"window_attention", states("f32[9,2,4]", "f32[C,2,4]"), window, "v_state of type f32[C,2,4], expected [W"},
           {"scale", {"f32[F*2,8]", "bf16[8]"}, {}, "f32[F*2,8]"},
           {"scale", {"f32[F,8]", "bf16[4]"}, {}, "weight of type bf16[4], expected one value per element"},
           {"clamp", {"f32[F]"}, {{"limit", 1.0}}, "f32[F]"},
           {"snake_beta", {"f32[F,8]", "bf16[8]", "bf16[8]"}, {}, "f32[F,8]"},
           {"snake_beta", {"f32[F,8]", "bf16[8]", "bf16[9]"}, {}, "beta of type bf16[9], expected one value"},
           {"clear_lead", {"f32[F*4,8]", "i32[1]"}, lead, "f32[F*4,8]"},
           {"clear_lead", {"f32[F*4,8]", "i32[F]"}, lead, "first of type i32[F], expected i32[1]"},
           {"causal_conv1d", {"f32[F,8]", "bf16[4,56]", "bf16[4]", "f32[18,8]", "i32[1]"}, dilated, "f32[F,4]"},
           {"causal_conv1d", {"f32[F,8]", "bf16[8,7]", "bf16[8]", "f32[18,8]", "i32[1]"}, dilated, "f32[F,8]"},
           {"causal_conv1d",
            {"f32[F,8]", "bf16[4,48]", "bf16[4]", "f32[18,8]", "i32[1]"},
            dilated,
            "weight of type bf16[4,48], expected [N,C*7] or [C,7]"},
           {"causal_conv1d",
            {"f32[F,8]", "bf16[4,56]", "bf16[4]", "f32[17,8]", "i32[1]"},
            dilated,
            "state of type f32[17,8], expected a multiple of dilation 3 rows"},
           {"causal_conv1d",
            {"f32[F,8]", "bf16[4,56]", "bf16[5]", "f32[18,8]", "i32[1]"},
            dilated,
            "bias of type bf16[5], expected one value per row"},
           {"conv_transpose1d", {"f32[F*2,8]", "bf16[8,8]", "bf16[4]"}, stride, "f32[F*4,4]"},
           {"conv_transpose1d", {"f32[F,8]", "bf16[8,16]", "bf16[4]", "f32[1,8]", "i32[1]"}, stride, "f32[F*2,4]"},
           {"conv_transpose1d",
            {"f32[F,8]", "bf16[8,16]", "bf16[4]"},
            stride,
            "3 inputs, expected a state of 1 rows and first"},
           {"conv_transpose1d",
            {"f32[F,8]", "bf16[8,8]", "bf16[4]", "f32[1,8]", "i32[1]"},
            stride,
            "5 inputs, expected no state"},
           {"conv_transpose1d",
            {"f32[F,8]", "bf16[8,12]", "bf16[4]"},
            stride,
            "weight of type bf16[8,12], expected [C,N*k]"},
           {"conv_transpose1d",
            {"f32[F,8]", "bf16[8,16]", "bf16[4]", "f32[2,8]", "i32[1]"},
            stride,
            "state of type f32[2,8], expected 1 rows"}})
    EXPECT_TRUE(infer(c.op, c.operands, c.attrs).starts_with(c.expected))
        << infer(c.op, c.operands, c.attrs) << "\n  expected: " << c.expected;
}

TEST(Ops, RefuseAttributesThatDoNotFit) {
  std::vector<std::string> operands = {"f32[S,4]", "bf16[4]"};
  for (const Attrs &bad : std::vector<Attrs>{{}, {{"eps", 0.0}}, {{"eps", -1.0}}, {{"eps", true}}, {{"eps", INFINITY}}})
    EXPECT_EQ(infer("rms_norm", operands, bad).substr(0, 73),
              "attribute 'eps' is missing or of another kind, expected a number above ze");
  EXPECT_TRUE(infer("rms_norm", operands, {{"eps", 1e-6}, {"scale", 2.0}})
                  .starts_with("unknown attribute 'scale', expected only [eps]"));
  for (const Attrs &bad :
       std::vector<Attrs>{{}, {{"k", int64_t(0)}}, {{"k", int64_t(-4)}}, {{"k", 4.0}}, {{"k", true}}})
    EXPECT_TRUE(infer("top_k", {"f32[S,16]"}, bad)
                    .starts_with("attribute 'k' is missing or of another kind, expected an integer above zero"));
  EXPECT_TRUE(infer("position_ids", {}, {{"symbol", true}}).starts_with("attribute 'symbol' is missing"));
  EXPECT_TRUE(infer("reshape", {"f32[S]"}, {{"shape", 1.0}}).starts_with("attribute 'shape' is missing"));
  EXPECT_TRUE(infer("attention", {"f32[S,4,8]", "f32[C,2,8]", "f32[C,2,8]"}, {{"scale", 0.5}, {"causal", 1.0}})
                  .starts_with("attribute 'causal' is missing or of another kind, expected true or false"));
  EXPECT_TRUE(infer("gelu", {"f32[V,4]"}).starts_with("attribute 'tanh' is missing or of another kind"));
  EXPECT_TRUE(infer("sinusoid", {"i32[T]"}, {{"theta", 1e4}}).starts_with("attribute 'width' is missing"));
  EXPECT_TRUE(infer("mrope", {"f32[S,2,8]", "f32[S,3]"}, theta)
                  .starts_with("attribute 'sections' is missing or of another kind, expected an array of numbers"));
}
