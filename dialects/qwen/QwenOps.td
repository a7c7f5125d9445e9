//===- QwenOps.td - Operations of the qwen dialect ---------------------------------------*- tablegen -*-===//
//
// Groups in the order of the road: symbols, primitive operations (what model.json says), entry operations (what
// specialisation adds), fused operations (what the fusions leave for code generation).
//
//===----------------------------------------------------------------------------------------------------===//
#ifndef QWEN_OPS_TD
#define QWEN_OPS_TD

include "dialects/qwen/QwenDialect.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Qwen_Op<string mnemonic, list<Trait> traits = []> : Op<Qwen_Dialect, mnemonic, traits>;

def Activation : RankedTensorOf<[F32, BF16, F16]>;
def WeightTensor : RankedTensorOf<[BF16]>;
def IdTensor : RankedTensorOf<[I32]>;
def StateTensor : RankedTensorOf<[F32, F16, BF16]>;

//===----------------------------------------------------------------------------------------------------===//
// Symbols
//===----------------------------------------------------------------------------------------------------===//

def Qwen_ParameterOp : Qwen_Op<"parameter", [Symbol]> {
  let summary = "a tensor of the checkpoint, by reference";
  let description = [{
    Names a stored tensor: which safetensors file, at which byte. No data enters the compiler.

    ```mlir
    qwen.parameter @model.norm.weight : tensor<192xbf16> file 0 offset 7272
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<WeightTensor>:$type, I64Attr:$file, I64Attr:$offset);
  let assemblyFormat = "$sym_name `:` $type `file` $file `offset` $offset attr-dict";
  let hasVerifier = 1;
}

def Qwen_StateOp : Qwen_Op<"state", [Symbol]> {
  let summary = "a tensor that survives from run to run, such as a KV cache";
  let description = [{
    The first dimension counts cached positions, unless the state is `fixed`: then it holds as many rows as it says. A
    `derived` state is fixed too; the entry `prepare` makes it of weights, once, and a new conversation leaves it alone.

    ```mlir
    qwen.state @layers.0.k : tensor<512x2x64xf32>
    qwen.state @decoder.0.history : tensor<6x64xf32> fixed
    qwen.state @folded.router : tensor<128x6144xf32> derived
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<StateTensor>:$type, UnitAttr:$fixed, UnitAttr:$derived);
  let assemblyFormat = "$sym_name `:` $type (`fixed` $fixed^)? (`derived` $derived^)? attr-dict";
  let hasVerifier = 1;
}

def Qwen_WeightOp : Qwen_Op<"weight", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "the value of a parameter";
  let arguments = (ins FlatSymbolRefAttr:$parameter);
  let results = (outs WeightTensor:$value);
  let assemblyFormat = "$parameter attr-dict `:` type($value)";
}

def Qwen_WeightStackOp : Qwen_Op<"weight_stack", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "parameters of one shape as one tensor with a new first dimension: the experts of a layer";
  let description = [{
    Vectors may also lie side by side, as the biases of merged linears do; all but the last have a multiple of 8 elements.

    ```mlir
    %gate = qwen.weight_stack [@experts.0.gate, @experts.1.gate] : tensor<2x64x128xbf16>
    ```
  }];
  let arguments = (ins TypedArrayAttrBase<FlatSymbolRefAttr, "parameter symbols">:$parameters);
  let results = (outs WeightTensor:$value);
  let assemblyFormat = "$parameters attr-dict `:` type($value)";
}

def Qwen_ReadStateOp : Qwen_Op<"read_state", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "the value of a state when the entry starts";
  let arguments = (ins FlatSymbolRefAttr:$state);
  let results = (outs StateTensor:$value);
  let assemblyFormat = "$state attr-dict `:` type($value)";
}

//===----------------------------------------------------------------------------------------------------===//
// Primitive operations: one for each operation of model.json
//===----------------------------------------------------------------------------------------------------===//

def Qwen_EmbeddingOp : Qwen_Op<"embedding", [Pure]> {
  let summary = "row gather: y[r, ..] = table[ids[r, ..]]";
  let description = [{
    With `joined` nothing is left to compute here: the first product that reads the row takes it from the table, and leaves
    it for what reads it behind.

    ```mlir
    %x = qwen.embedding %tokens, %table joined : (tensor<1xi32>, tensor<1433x128xbf16>) -> tensor<1x128xf32>
    ```
  }];
  let arguments = (ins IdTensor:$ids, WeightTensor:$table, UnitAttr:$joined);
  let results = (outs Activation:$result);
  let assemblyFormat = "$ids `,` $table (`joined` $joined^)? attr-dict `:` functional-type(operands, results)";
  let extraClassDeclaration = [{
    /// The first reader of one row of an entry's tokens, when it is a product that normalises the row.
    FusedLinearOp getGatheringProduct();
  }];
  let hasVerifier = 1;
}

def Qwen_PositionIdsOp : Qwen_Op<"position_ids", [Pure]> {
  let summary = "index of each row in the sequence: positions already cached + row number";
  let results = (outs IdTensor:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Qwen_RmsNormOp : Qwen_Op<"rms_norm", [Pure]> {
  let summary = "x * rsqrt(mean(x^2) + eps) * weight over the last axis, statistics in f32";
  let arguments = (ins Activation:$input, WeightTensor:$weight, F64Attr:$eps);
  let results = (outs Activation:$result);
  let assemblyFormat = "$input `,` $weight `eps` $eps attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Qwen_LinearOp : Qwen_Op<"linear", [Pure]> {
  let summary = "x W^T (+ bias), accumulated in f32; W is [out, in]";
  let arguments = (ins Activation:$input, WeightTensor:$weight, Optional<WeightTensor>:$bias);
  let results = (outs Activation:$result);
  let assemblyFormat = "$input `,` $weight (`,` $bias^)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Qwen_ReshapeOp : Qwen_Op<"reshape", [Pure]> {
  let summary = "the same elements in another row-major shape; dimension 0 stays";
  let arguments = (ins Activation:$input);
  let results = (outs Activation:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Qwen_SliceOp : Qwen_Op<"slice", [Pure]> {
  let summary = "columns [offset, offset + N) of a [R, M] tensor; appears when linears are merged";
  let arguments = (ins Activation:$input, I64Attr:$offset);
  let results = (outs Activation:$result);
  let assemblyFormat = "$input `at` $offset attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Qwen_RopeOp : Qwen_Op<"rope", [Pure]> {
  let summary = "rotary embedding, half-split pairs; angle = position * theta^(-2i/D)";
  let arguments = (ins Activation:$input, IdTensor:$positions, F64Attr:$theta);
  let results = (outs Activation:$result);
  let assemblyFormat = "$input `,` $positions `theta` $theta attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Qwen_KvAppendOp : Qwen_Op<"kv_append", [MemoryEffects<[MemWrite]>]> {
  let summary = "the cache with the given rows written behind the positions already cached";
  let description = "Has a write effect, because the rows stay in the state when nothing in this entry reads them.";
  let arguments = (ins StateTensor:$cache, Activation:$rows);
  let results = (outs StateTensor:$result);
  let assemblyFormat = "$cache `,` $rows attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Qwen_AttentionOp : Qwen_Op<"attention", [Pure]> {
  let summary = "grouped-query attention over cached keys and values, softmax in f32";
  let description = [{
    Query row `s` sees keys `0 .. cached + s` when causal. Query head `i` uses key head `i / (Hq / Hkv)`.
  }];
  let arguments = (ins Activation:$query, StateTensor:$keys, StateTensor:$values, F64Attr:$scale, UnitAttr:$causal);
  let results = (outs Activation:$result);
  let assemblyFormat = [{
    $query `,` $keys `,` $values `scale` $scale (`causal` $causal^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Qwen_SiluOp : Qwen_Op<"silu", [Pure, SameOperandsAndResultType]> {
  let summary = "x / (1 + exp(-x))";
  let arguments = (ins Activation:$input);
  let results = (outs Activation:$result);
  let assemblyFormat = "$input attr-dict `:` type($result)";
}

def Qwen_MulOp : Qwen_Op<"mul", [Pure, Commutative, SameOperandsAndResultType]> {
  let summary = "elementwise product";
  let arguments = (ins Activation:$lhs, Activation:$rhs);
  let results = (outs Activation:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($result)";
}

def Qwen_AddOp : Qwen_Op<"add", [Pure, Commutative, SameOperandsAndResultType]> {
  let summary = "elementwise sum";
  let arguments = (ins Activation:$lhs, Activation:$rhs);
  let results = (outs Activation:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($result)";
}

def Qwen_SoftmaxOp : Qwen_Op<"softmax", [Pure, SameOperandsAndResultType]> {
  let summary = "exp(x - max) / sum(exp(x - max)) over the last axis";
  let arguments = (ins Activation:$input);
  let results = (outs Activation:$result);
  let assemblyFormat = "$input attr-dict `:` type($result)";
}

def Qwen_TopKOp : Qwen_Op<"top_k", [Pure]> {
  let summary = "the largest values of each row in descending order, and their columns; the lower column on a tie";
  let arguments = (ins Activation:$input);
  let results = (outs Activation:$values, IdTensor:$indices);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Qwen_SumNormalizeOp : Qwen_Op<"sum_normalize", [Pure, SameOperandsAndResultType]> {
  let summary = "x / sum(x) over the last axis";
  let arguments = (ins Activation:$input);
  let results = (outs Activation:$result);
  let assemblyFormat = "$input attr-dict `:` type($result)";
}

def Qwen_ExpertLinearOp : Qwen_Op<"expert_linear", [Pure]> {
  let summary = "a linear whose weight each row chooses: y[r, j] = x[r] W[experts[r, j]]^T";
  let description = "The input is `[R, K]`, or `[R, k, K]` with a row for each chosen expert; the result is `[R, k, N]`.";
  let arguments = (ins Activation:$input, IdTensor:$experts, WeightTensor:$weight);
  let results = (outs Activation:$result);
  let assemblyFormat = "$input `,` $experts `,` $weight attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Qwen_WeightedSumOp : Qwen_Op<"weighted_sum", [Pure]> {
  let summary = "y[r] = sum over j of weights[r, j] x[r, j], in order of j";
  let arguments = (ins Activation:$input, Activation:$weights);
  let results = (outs Activation:$result);
  let assemblyFormat = "$input `,` $weights attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------------------------------------===//
// Primitive operations of encoders and of prompts with media
//===----------------------------------------------------------------------------------------------------===//

def Qwen_LayerNormOp : Qwen_Op<"layer_norm", [Pure]> {
  let summary = "(x - mean(x)) * rsqrt(var(x) + eps) * weight + bias over the last axis, statistics in f32";
  let arguments = (ins Activation:$input, WeightTensor:$weight, WeightTensor:$bias, F64Attr:$eps);
  let results = (outs Activation:$result);
  let assemblyFormat = "$input `,` $weight `,` $bias `eps` $eps attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Qwen_GeluOp : Qwen_Op<"gelu", [Pure, SameOperandsAndResultType]> {
  let summary = "x / 2 (1 + erf(x / sqrt 2)), or its approximation by tanh";
  let description = "With `tanh`: `x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`. Hendrycks and Gimpel 2016.";
  let arguments = (ins Activation:$input, UnitAttr:$tanh);
  let results = (outs Activation:$result);
  let assemblyFormat = "(`tanh` $tanh^)? $input attr-dict `:` type($result)";
}

def Qwen_SegmentAttentionOp : Qwen_Op<"segment_attention", [Pure]> {
  let summary = "attention in which row r sees the keys segments[r, 0] .. segments[r, 1] - 1, softmax in f32";
  let description = [{
    Windows of sound, frames of a video, blocks behind a causal window: whatever a row sees is one stretch of rows. A row
    whose stretch is empty or leaves the rows that are there sees what is left of it; of nothing it makes 0.
  }];
  let arguments = (ins Activation:$query, Activation:$keys, Activation:$values, IdTensor:$segments, F64Attr:$scale);
  let results = (outs Activation:$result);
  let assemblyFormat = [{
    $query `,` $keys `,` $values `segments` $segments `scale` $scale attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Qwen_AxialRopeOp : Qwen_Op<"axial_rope", [Pure]> {
  let summary = "rotary embedding in a plane, half-split pairs; the first half of the pairs turns with the row, the other with the column";
  let description = [{
    With n = D / 4: pair i < n turns by `places[r, 0] * theta^(-2i / (2n))`, pair n + i by `places[r, 1]` times the same.
  }];
  let arguments = (ins Activation:$input, IdTensor:$places, F64Attr:$theta);
  let results = (outs Activation:$result);
  let assemblyFormat = "$input `,` $places `theta` $theta attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Qwen_MRopeOp : Qwen_Op<"mrope", [Pure]> {
  let summary = "rotary embedding of positions in time, height and width, interleaved; half-split pairs";
  let description = [{
    Pair i turns by `theta^(-2i/D)` times the height if `i % 3 == 1` and `i < 3 sections[1]`, the width if `i % 3 == 2` and
    `i < 3 sections[2]`, else the time. Qwen3-VL, M-RoPE interleaved.
  }];
  let arguments = (ins Activation:$input, RankedTensorOf<[F32]>:$positions, F64Attr:$theta, DenseI64ArrayAttr:$sections);
  let results = (outs Activation:$result);
  let assemblyFormat = [{
    $input `,` $positions `theta` $theta `sections` $sections attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

class Qwen_RowsFromOp<string mnemonic> : Qwen_Op<mnemonic, [Pure]> {
  let arguments = (ins Activation:$input, Activation:$rows, IdTensor:$index);
  let results = (outs Activation:$result);
  let assemblyFormat = "$input `,` $rows `at` $index attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Qwen_ReplaceRowsOp : Qwen_RowsFromOp<"replace_rows"> {
  let summary = "y[r] = rows[index[r]], or x[r] where the index is below 0";
}

def Qwen_AddRowsOp : Qwen_RowsFromOp<"add_rows"> {
  let summary = "y[r] = x[r] + rows[index[r]], or x[r] where the index is below 0";
}

def Qwen_TapConvOp : Qwen_Op<"tap_conv", [Pure]> {
  let summary = "3 x 3 convolution of stride 2 over [rows, M], whose rows are found by index";
  let description = [{
    `y[r, m, o] = bias[o] + sum over i, j, c of weight[o, c, j, i] * x[taps[r, i], 2 m + j - 1, c]`; what lies beyond M, and
    a tap below 0, counts as 0. So chunks of any length lie one behind the other without padding between them.
  }];
  let arguments = (ins Activation:$input, IdTensor:$taps, WeightTensor:$weight, WeightTensor:$bias);
  let results = (outs Activation:$result);
  let assemblyFormat = "$input `taps` $taps `,` $weight `,` $bias attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Qwen_SinusoidOp : Qwen_Op<"sinusoid", [Pure]> {
  let summary = "sines, then cosines of position * theta^(-i / (N / 2 - 1)), i = 0 .. N / 2 - 1";
  let arguments = (ins IdTensor:$positions, F64Attr:$theta);
  let results = (outs Activation:$result);
  let assemblyFormat = "$positions `theta` $theta attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Qwen_SwapAxesOp : Qwen_Op<"swap_axes", [Pure]> {
  let summary = "y[r, a, b] = x[r, b, a]";
  let arguments = (ins Activation:$input);
  let results = (outs Activation:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Qwen_SigmoidOp : Qwen_Op<"sigmoid", [Pure, SameOperandsAndResultType]> {
  let summary = "1 / (1 + exp(-x))";
  let arguments = (ins Activation:$input);
  let results = (outs Activation:$result);
  let assemblyFormat = "$input attr-dict `:` type($result)";
}

def Qwen_ScaleRowsOp : Qwen_Op<"scale_rows", [Pure]> {
  let summary = "y[r, n] = x[r, n] * factor[r, 0]";
  let arguments = (ins Activation:$input, Activation:$factor);
  let results = (outs Activation:$result);
  let assemblyFormat = "$input `,` $factor attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------------------------------------===//
// Primitive operations of vocoders, which are run in pushes of frames with states carried between them
//===----------------------------------------------------------------------------------------------------===//

def Qwen_CodebookMeanOp : Qwen_Op<"codebook_mean", [Pure]> {
  let summary = "mean over groups of y[r] = table[g V + codes[r, g]], V rows of the table for each group g";
  let arguments = (ins IdTensor:$codes, WeightTensor:$table);
  let results = (outs Activation:$result);
  let assemblyFormat = "$codes `,` $table attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Qwen_RowNumbersOp : Qwen_Op<"row_numbers", [Pure]> {
  let summary = "the numbers of rows that follow one another: first[0] + row";
  let arguments = (ins IdTensor:$first);
  let results = (outs IdTensor:$result);
  let assemblyFormat = "$first attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Qwen_WindowAttentionOp : Qwen_Op<"window_attention", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "attention over the last rows of a sequence that arrives in pushes, softmax in f32";
  let description = [{
    The row with number p sees keys p - window + 1 .. p, as far as they are not below 0. The states hold what later pushes see:
    the key and value of number p lie at row p modulo the state's rows, so that nothing is moved. Numbers follow one another.
  }];
  let arguments = (ins Activation:$query, Activation:$keys, Activation:$values, IdTensor:$positions, StateTensor:$k_state,
                       StateTensor:$v_state, I64Attr:$window, F64Attr:$scale);
  let results = (outs Activation:$result);
  let assemblyFormat = [{
    $query `,` $keys `,` $values `at` $positions `states` `(` $k_state `,` $v_state `)` `window` $window `scale` $scale
    attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Qwen_ScaleOp : Qwen_Op<"scale", [Pure]> {
  let summary = "x * weight over the last axis";
  let arguments = (ins Activation:$input, WeightTensor:$weight);
  let results = (outs Activation:$result);
  let assemblyFormat = "$input `,` $weight attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Qwen_ClampOp : Qwen_Op<"clamp", [Pure, SameOperandsAndResultType]> {
  let summary = "x, at least -limit and at most limit";
  let arguments = (ins Activation:$input, F64Attr:$limit);
  let results = (outs Activation:$result);
  let assemblyFormat = "$input `limit` $limit attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Qwen_SnakeBetaOp : Qwen_Op<"snake_beta", [Pure]> {
  let summary = "x + sin^2(x exp(alpha)) / (exp(beta) + 1e-9) over the last axis";
  let description = "Ziyin et al. 2020, with a magnitude of its own (Lee et al. 2022, BigVGAN); both parameters are logarithms.";
  let arguments = (ins Activation:$input, WeightTensor:$alpha, WeightTensor:$beta);
  let results = (outs Activation:$result);
  let assemblyFormat = "$input `,` $alpha `,` $beta attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Qwen_ClearLeadOp : Qwen_Op<"clear_lead", [Pure]> {
  let summary = "x with the first rows of the sequence set to 0: row r of a push is row first[0] * frame_rows + r of it";
  let arguments = (ins Activation:$input, IdTensor:$first, I64Attr:$frame_rows, I64Attr:$lead);
  let results = (outs Activation:$result);
  let assemblyFormat = "$input `,` $first `lead` $lead `rows` $frame_rows attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Qwen_CausalConv1dOp : Qwen_Op<"causal_conv1d", [AttrSizedOperandSegments, MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "convolution over rows that sees no later row: y[t, n] = bias[n] + sum weight[n, c, i] x[t + (i - k + 1) dilation, c]";
  let description = [{
    A weight [N, C * k] mixes channels, a weight [C, k] does not. The state holds the (k - 1) * dilation rows before the push; it
    counts as zeros where `first[0]` is 0. For code generation the operation also takes what stands around it: a snake_beta (with a
    clear_lead before it) on the input, a snake_beta or a clamp on the result.
  }];
  let arguments = (ins Activation:$input, WeightTensor:$weight, WeightTensor:$bias, StateTensor:$history, IdTensor:$first,
                       Optional<WeightTensor>:$in_alpha, Optional<WeightTensor>:$in_beta,
                       Optional<WeightTensor>:$out_alpha, Optional<WeightTensor>:$out_beta, I64Attr:$dilation,
                       OptionalAttr<I64Attr>:$frame_rows, OptionalAttr<I64Attr>:$lead, OptionalAttr<F64Attr>:$limit);
  let results = (outs Activation:$result);
  let assemblyFormat = [{
    $input `,` $weight `,` $bias `history` `(` $history `,` $first `)` `dilation` $dilation
    (`snake` `(` $in_alpha^ `,` $in_beta `)`)? (`then` `(` $out_alpha^ `,` $out_beta `)`)?
    attr-dict `:` functional-type(operands, results)
  }];
  let extraClassDeclaration = [{
    int64_t getKernelSize() { return getHistory().getType().getDimSize(0) / static_cast<int64_t>(getDilation()) + 1; }
    bool isDepthwise() { return getWeight().getType().getDimSize(1) == getKernelSize(); }
  }];
  let hasVerifier = 1;
}

def Qwen_ConvTranspose1dOp : Qwen_Op<"conv_transpose1d", [AttrSizedOperandSegments, MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "transposed convolution over rows: y[q s + r, n] = bias[n] + sum weight[c, n, r + j s] x[q - j, c], s the stride";
  let description = [{
    The weight is [C, N * k], k a multiple of the stride. With k above the stride the state holds the k / s - 1 rows before the push;
    it counts as zeros where `first[0]` is 0. Takes a snake_beta on its input as causal_conv1d does.
  }];
  let arguments = (ins Activation:$input, WeightTensor:$weight, WeightTensor:$bias, Optional<StateTensor>:$history,
                       Optional<IdTensor>:$first, Optional<WeightTensor>:$in_alpha, Optional<WeightTensor>:$in_beta,
                       I64Attr:$stride, OptionalAttr<I64Attr>:$frame_rows, OptionalAttr<I64Attr>:$lead);
  let results = (outs Activation:$result);
  let assemblyFormat = [{
    $input `,` $weight `,` $bias (`history` `(` $history^ `,` $first `)`)? `stride` $stride
    (`snake` `(` $in_alpha^ `,` $in_beta `)`)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Qwen_ExposeOp : Qwen_Op<"expose", [MemoryEffects<[MemWrite]>]> {
  let summary = "makes a value an output of every entry that computes it";
  let description = [{
    Import writes it for `qwenc --expose`, for tests of intermediate stages and for people who look inside. The effect is the
    caller's reading: no clean-up removes the operation, and as a reader it keeps fusions from hiding the value.

    ```mlir
    qwen.expose %experts "layers.0.experts" : tensor<?x4xi32, #qwen.rows<S>>
    ```
  }];
  let arguments = (ins RankedTensorOf<[F32, I32]>:$value, StrAttr:$name);
  let assemblyFormat = "$value $name attr-dict `:` type($value)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------------------------------------===//
// Entry operations: what specialisation adds around the model's functions
//===----------------------------------------------------------------------------------------------------===//

def Qwen_BeginChunkOp : Qwen_Op<"begin_chunk"> {
  let summary = "sets the Rows cell to min(rows, Length - Position): how many tokens this prefill run takes";
  let arguments = (ins I64Attr:$rows);
  let assemblyFormat = "$rows attr-dict";
  let hasVerifier = 1;
}

def Qwen_AdvanceOp : Qwen_Op<"advance"> {
  let summary = "adds Rows to Position after a prefill chunk";
  let assemblyFormat = "attr-dict";
}

def Qwen_LastRowOp : Qwen_Op<"last_row"> {
  let summary = "row Rows - 1 of the hidden rows that the last prefill chunk left";
  let arguments = (ins Activation:$input);
  let results = (outs Activation:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Qwen_HeadRowsOp : Qwen_Op<"head_rows"> {
  let summary = "rows HeadRow .. HeadRow + HeadRows - 1 of the hidden rows of the last prefill chunk";
  let arguments = (ins Activation:$input);
  let results = (outs Activation:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Qwen_NextTokenOp : Qwen_Op<"next_token"> {
  let summary = "chooses a token from logits and appends it to the history";
  let description = [{
    Writes `Tokens[Length]` and the mailbox ring, then adds one to Length and Step, and to Position with `advances`.
    `greedy` takes the largest logit, the lowest id on a tie. `sample` applies, in this order, repetition penalty,
    temperature, top-k, top-p and draws; the parameters are cells, so that one plan serves every setting.

    With `suppress [first, end, kept]` the ids first .. end - 1 apart from kept are never chosen, and `greedy` applies the
    repetition penalty too.
  }];
  let arguments = (ins Activation:$logits, Qwen_SamplingAttr:$sampling, UnitAttr:$advances,
                       OptionalAttr<DenseI64ArrayAttr>:$suppress);
  let assemblyFormat = [{
    $logits $sampling (`advances` $advances^)? (`suppress` $suppress^)? attr-dict `:` type($logits)
  }];
  let hasVerifier = 1;
}

// Speech: the talker (sequence 1) chooses the first code of a frame, the predictor (sequence 2) the others. The history of
// the predictor is one frame: nothing, then the codes of groups 0, 1, ...

def Qwen_InputRowsOp : Qwen_Op<"input_rows", [Pure]> {
  let summary = "rows that lie beside the history: y[r] = rows[Position + r]";
  let arguments = (ins Activation:$rows);
  let results = (outs Activation:$result);
  let assemblyFormat = "$rows attr-dict `:` type($rows) `->` type($result)";
  let hasVerifier = 1;
}

def Qwen_BeginFrameOp : Qwen_Op<"begin_frame"> {
  let summary = "starts the history of a frame: the last token of the sequence before becomes token 1, the only row is row 0";
  let assemblyFormat = "attr-dict";
}

def Qwen_CodeRowOp : Qwen_Op<"code_row", [Pure]> {
  let summary = "row Tokens[Position] of table Position - 1, and that number";
  let arguments = (ins Variadic<WeightTensor>:$tables);
  let results = (outs Activation:$row, IdTensor:$step);
  let assemblyFormat = "$tables attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Qwen_FrameRowOp : Qwen_Op<"frame_row", [Pure]> {
  let summary = "the rows of a frame's codes, one of each table, and of the text, added up";
  let description = [{
    Code i is token i + 1 of the next sequence. The row of the text is row Step - 1, the last one when there are fewer: its
    count is the cell TextRows.
  }];
  let arguments = (ins Activation:$text, Variadic<WeightTensor>:$tables);
  let results = (outs Activation:$result);
  let assemblyFormat = "$text `tables` `(` $tables `)` attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------------------------------------===//
// Fused operations: each becomes one kernel (a skeleton with a generated body)
//===----------------------------------------------------------------------------------------------------===//

def Qwen_YieldOp : Qwen_Op<"yield", [Pure, Terminator, ParentOneOf<["FusedLinearOp", "FusedExpertsOp", "ElementwiseOp"]>]> {
  let summary = "the element a body computes";
  let arguments = (ins AnyFloat:$value);
  let assemblyFormat = "$value attr-dict `:` type($value)";
}

def Qwen_FusedLinearOp : Qwen_Op<"fused_linear", [
    AttrSizedOperandSegments, Pure, IsolatedFromAbove, SingleBlock]> {
  let summary = "matrix products of one input with a prologue on the input and an epilogue on the accumulators";
  let description = [{
    `result[r, n] = epilogue(acc_0[r, n], ..., extra_0[r, n], ...)` with `acc_i[r, n] = sum_k prologue(input)[r, k] *
    weight_i[n, k]`.

    - join `concat`: the weights are stacked along N, one accumulator. join `parallel`: equal N, one accumulator each.
    - prologue `rms_norm`: the input row is normalised with `norm_weight` and `eps`. `combine_splits`: the input is the
      result `[heads, splits, D + 2]` of `qwen.decode_attention`, of which the row of heads * D is taken.
    - an extra is `[R, N]` (elementwise) or `[N]` (broadcast over rows).
    - the epilogue region holds scalar `arith` and `math` operations on f32 and yields one f32; its arguments are the
      accumulators, then one element of each extra.

    ```mlir
    %y = qwen.fused_linear rms_norm parallel %x weights(%gate, %up) norm(%w eps 1.0e-6) {
    ^bb0(%g: f32, %u: f32):
      ...
      qwen.yield %m : f32
    } : (tensor<1x192xf32>, tensor<384x192xbf16>, tensor<384x192xbf16>, tensor<192xbf16>) -> tensor<1x384xf32>
    ```
  }];
  let arguments = (ins Activation:$input, Variadic<WeightTensor>:$weights, Optional<WeightTensor>:$norm_weight,
                       Variadic<RankedTensorOf<[F32, BF16]>>:$extras, Qwen_PrologueAttr:$prologue, Qwen_JoinAttr:$join,
                       OptionalAttr<F64Attr>:$eps);
  let results = (outs Activation:$result);
  let regions = (region SizedRegion<1>:$epilogue);
  let assemblyFormat = [{
    $prologue $join $input `weights` `(` $weights `)` (`norm` `(` $norm_weight^ `eps` $eps `)`)?
    (`extras` `(` $extras^ `)`)? $epilogue attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Qwen_ElementwiseOp : Qwen_Op<"elementwise", [Pure, IsolatedFromAbove, SingleBlock]> {
  let summary = "elementwise operations that found no product to join, as one body";
  let description = [{
    The body is written as the epilogue of `qwen.fused_linear` is: its arguments are one f32 element of each input, it
    yields one f32. All inputs have the shape of the result.

    ```mlir
    %y = qwen.elementwise (%a, %b) {
    ^bb0(%x: f32, %y: f32):
      %s = arith.addf %x, %y : f32
      qwen.yield %s : f32
    } : (tensor<1x192xf32>, tensor<1x192xf32>) -> tensor<1x192xf32>
    ```
  }];
  let arguments = (ins Variadic<Activation>:$inputs);
  let results = (outs Activation:$result);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "`(` $inputs `)` $body attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

class Qwen_QkvOp<string mnemonic> : Qwen_Op<mnemonic, [
    AttrSizedOperandSegments, MemoryEffects<[MemRead, MemWrite]>]> {
  // qkv is [R, (Hq + 2 Hkv) * D]: query heads, key heads, value heads.
  // With sections the rows turn by their rotary positions in the history (qwen.mrope), else by their index.
  dag qkvArguments = (ins Activation:$qkv, Optional<WeightTensor>:$q_norm, Optional<WeightTensor>:$k_norm,
                          StateTensor:$k_cache, StateTensor:$v_cache, I64Attr:$num_heads, I64Attr:$num_kv_heads,
                          I64Attr:$head_dim, F64Attr:$theta, OptionalAttr<F64Attr>:$eps,
                          OptionalAttr<DenseI64ArrayAttr>:$sections);
}

def Qwen_RopeAppendOp : Qwen_QkvOp<"rope_append"> {
  let summary = "splits a merged q/k/v row, normalises q and k per head, rotates both, writes k and v to the caches";
  let arguments = qkvArguments;
  let results = (outs Activation:$query, StateTensor:$k_result, StateTensor:$v_result);
  let assemblyFormat = [{
    $qkv `norms` `(` ($q_norm^ `,` $k_norm)? `)` `caches` `(` $k_cache `,` $v_cache `)` attr-dict
    `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Qwen_DecodeAttentionOp : Qwen_QkvOp<"decode_attention"> {
  let summary = "rope_append of one row and split-key attention over the caches, as one step";
  let description = [{
    The result is where the splits of every query head meet: D numerators, the running maximum and the sum of
    exponentials of each. In the end the place of the first split's numerators holds the head's row, from which
    `qwen.combine_splits` (or the prologue of the output projection) takes it.
  }];
  let arguments = !con(qkvArguments, (ins F64Attr:$scale, I64Attr:$splits));
  let results = (outs Activation:$partials, StateTensor:$k_result, StateTensor:$v_result);
  let assemblyFormat = [{
    $qkv `norms` `(` ($q_norm^ `,` $k_norm)? `)` `caches` `(` $k_cache `,` $v_cache `)` attr-dict
    `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Qwen_CombineSplitsOp : Qwen_Op<"combine_splits", [Pure]> {
  let summary = "the row that split-key attention left: [heads, splits, D + 2] -> [1, heads * D]";
  let arguments = (ins Activation:$partials);
  let results = (outs Activation:$result);
  let assemblyFormat = "$partials attr-dict `:` type($partials) `->` type($result)";
  let hasVerifier = 1;
}

def Qwen_TapPatchesOp : Qwen_Op<"tap_patches", [Pure]> {
  let summary = "what a tap convolution meets at each of its results, as rows of a product; never written out";
  let description = [{
    `y[r * P + m, (3 j + i) * C + c] = x[taps[r, i], 2 m + j - 1, c]` for an input `[T, M, C]`, i, j below 3 and P =
    ceil(M / 2); 0 where `qwen.tap_conv` counts 0. The product that reads the patches finds their elements itself.
  }];
  let arguments = (ins Activation:$input, IdTensor:$taps);
  let results = (outs Activation:$result);
  let assemblyFormat = "$input `taps` $taps attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Qwen_GatherSumOp : Qwen_Op<"gather_sum", [Pure]> {
  let summary = "weighted sum of rows of a table: y[r] = sum over j of weights[r, j] table[ids[r, j]], in order of j";
  let arguments = (ins IdTensor:$ids, Activation:$weights, WeightTensor:$table);
  let results = (outs Activation:$result);
  let assemblyFormat = "$ids `,` $weights `,` $table attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Qwen_RopeWindowAttentionOp : Qwen_Op<"rope_window_attention", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "window_attention of a merged row of queries, keys and values, rotated by the numbers of their rows";
  let arguments = (ins Activation:$qkv, IdTensor:$first, StateTensor:$k_state, StateTensor:$v_state, I64Attr:$num_heads,
                       I64Attr:$head_dim, I64Attr:$window, F64Attr:$theta, F64Attr:$scale);
  let results = (outs Activation:$result);
  let assemblyFormat = [{
    $qkv `from` $first `states` `(` $k_state `,` $v_state `)` attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------------------------------------===//
// Fused operations of mixtures of experts
//===----------------------------------------------------------------------------------------------------===//

def Qwen_RouteOp : Qwen_Op<"route", [Pure]> {
  let summary = "softmax over all experts, the choice of the best, and the weights of the chosen ones";
  let description = [{
    The choice compares logits, which order experts as the probabilities do; the lower expert wins a tie. With `normalize`
    the chosen probabilities are divided by their sum.

    ```mlir
    %weights, %experts = qwen.route %logits normalize : (tensor<1x16xf32>) -> (tensor<1x4xf32>, tensor<1x4xi32>)
    ```

    With `joined` nothing is left to compute here: the first product that takes the choice makes it, for those behind it
    too.

    With `folded` the logits are those of qwen.folded_router, still multiplied by the root mean square of the row that this
    product normalises (sqrt(mean(x^2) + eps)). That orders experts alike; the product computes the weights of the quotient.
  }];
  let arguments = (ins Activation:$logits, UnitAttr:$normalize, UnitAttr:$joined, UnitAttr:$folded);
  let results = (outs Activation:$weights, IdTensor:$experts);
  let assemblyFormat = [{
    $logits (`folded` $folded^)? (`normalize` $normalize^)? (`joined` $joined^)? attr-dict `:`
    functional-type(operands, results)
  }];
  let extraClassDeclaration = [{
    /// The first reader of the results, when it is a product that can make the choice: one that has a result for each
    /// choice, so that its workgroups need one expert each.
    FusedExpertsOp getChoosingProduct();
  }];
  let hasVerifier = 1;
}

def Qwen_FoldLinearsOp : Qwen_Op<"fold_linears", [MemoryEffects<[MemWrite]>]> {
  let summary = "two products, the residual between them and the norm's weight as one matrix, in f32";
  let description = [{
    For `h = x + a inner^T` and `y = norm(h) outer^T` the matrix `[outer diag(w) inner | outer diag(w)]` takes the row
    `[a | x]` to `rms(h) y`, without waiting for h. Written into a derived state.

    ```mlir
    %s = qwen.read_state @folded.router : tensor<128x6144xf32>
    %f = qwen.fold_linears %s, %outer norm(%w) %inner
       : (tensor<128x6144xf32>, tensor<128x2048xbf16>, tensor<2048xbf16>, tensor<2048x4096xbf16>) -> tensor<128x6144xf32>
    ```
  }];
  let arguments = (ins StateTensor:$state, WeightTensor:$outer, WeightTensor:$norm_weight, WeightTensor:$inner);
  let results = (outs StateTensor:$result);
  let assemblyFormat = [{
    $state `,` $outer `norm` `(` $norm_weight `)` $inner attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Qwen_FoldedRouterOp : Qwen_Op<"folded_router", [Pure]> {
  let summary = "the row [input | residual] times a matrix that qwen.fold_linears made";
  let description = [{
    The input is a row `[1, K]` or what qwen.decode_attention leaves, `[heads, splits, D + 2]`, of which the combined row
    is taken. The logits are the router's times the root mean square of the row that the router would normalise. The kernel
    of the projection behind it computes them.

    ```mlir
    %l = qwen.folded_router %partials, %x, %f
       : (tensor<32x16x130xf32>, tensor<1x2048xf32>, tensor<128x6144xf32>) -> tensor<1x128xf32>
    ```
  }];
  let arguments = (ins Activation:$input, Activation:$residual, StateTensor:$folded);
  let results = (outs Activation:$logits);
  let assemblyFormat = "$input `,` $residual `,` $folded attr-dict `:` functional-type(operands, results)";
  let extraClassDeclaration = [{
    /// The product of the same input and residual, in whose kernel the router runs; null if there is none.
    FusedLinearOp getProjection();
  }];
  let hasVerifier = 1;
}

def Qwen_GroupExpertsOp : Qwen_Op<"group_experts", [Pure]> {
  let summary = "sorts the choices of many rows by expert, so that each expert's rows meet its weights together";
  let description = [{
    A choice is numbered r * k + j. `order` lists the choices, those of one expert side by side. `tiles` cuts the list into
    parts of at most `tile` choices of one expert: expert, first place in the list, place behind the last, 0. The parts
    behind the last one are empty. The order within an expert is free: no result depends on it.
  }];
  let arguments = (ins IdTensor:$experts, I64Attr:$count, I64Attr:$tile);
  let results = (outs IdTensor:$order, IdTensor:$tiles);
  let assemblyFormat = "$experts `count` $count `tile` $tile attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Tiles that \p choices choices among \p count experts need at most.
    static int64_t maxTiles(int64_t choices, int64_t count, int64_t tile) {
      return choices / tile + std::min(choices, count);
    }
  }];
}

def Qwen_FusedExpertsOp : Qwen_Op<"fused_experts", [
    AttrSizedOperandSegments, Pure, IsolatedFromAbove, SingleBlock]> {
  let summary = "expert linears of one input and one choice, with a prologue, an epilogue and perhaps the weighted sum";
  let description = [{
    `acc_i[r, j, n] = sum_k prologue(input)[r(, j), k] * weight_i[experts[r, j], n, k]`.

    - Without `sum`: `result[r, j, n] = epilogue(acc_0, ..., extras...)`.
    - With `sum` (one row, one weight): `acc[r, n] = sum over j of route_weights[r, j] acc_0[r, j, n]`, and
      `result[r, n] = epilogue(acc, extras...)`.
    - `norm`: the input row is normalised first (one row).
    - `grouped`: the results of qwen.group_experts; needed for many rows.

    ```mlir
    %h = qwen.fused_experts %x experts(%e) weights(%gate, %up) norm(%w eps 1.0e-6) {
    ^bb0(%g: f32, %u: f32):
      ...
    } : (tensor<1x128xf32>, tensor<1x4xi32>, tensor<16x64x128xbf16>, ...) -> tensor<1x4x64xf32>
    ```
  }];
  let arguments = (ins Activation:$input, IdTensor:$experts, Variadic<WeightTensor>:$weights,
                       Optional<WeightTensor>:$norm_weight, Optional<Activation>:$route_weights,
                       Variadic<Activation>:$extras, Optional<IdTensor>:$order, Optional<IdTensor>:$tiles,
                       OptionalAttr<F64Attr>:$eps);
  let results = (outs Activation:$result);
  let regions = (region SizedRegion<1>:$epilogue);
  let assemblyFormat = [{
    $input `experts` `(` $experts `)` `weights` `(` $weights `)` (`norm` `(` $norm_weight^ `eps` $eps `)`)?
    (`sum` `(` $route_weights^ `)`)? (`extras` `(` $extras^ `)`)? (`grouped` `(` $order^ `,` $tiles `)`)?
    $epilogue attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

#endif // QWEN_OPS_TD
