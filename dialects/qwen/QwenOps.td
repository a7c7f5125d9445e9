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

def Activation : RankedTensorOf<[F32, BF16]>;
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
    The first dimension counts cached positions.

    ```mlir
    qwen.state @layers.0.k : tensor<512x2x64xf32>
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<StateTensor>:$type);
  let assemblyFormat = "$sym_name `:` $type attr-dict";
  let hasVerifier = 1;
}

def Qwen_WeightOp : Qwen_Op<"weight", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "the value of a parameter";
  let arguments = (ins FlatSymbolRefAttr:$parameter);
  let results = (outs WeightTensor:$value);
  let assemblyFormat = "$parameter attr-dict `:` type($value)";
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
  let summary = "row gather: y[r] = table[ids[r]]";
  let arguments = (ins IdTensor:$ids, WeightTensor:$table);
  let results = (outs Activation:$result);
  let assemblyFormat = "$ids `,` $table attr-dict `:` functional-type(operands, results)";
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
  }];
  let arguments = (ins Activation:$logits, Qwen_SamplingAttr:$sampling, UnitAttr:$advances);
  let assemblyFormat = "$logits $sampling (`advances` $advances^)? attr-dict `:` type($logits)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------------------------------------===//
// Fused operations: each becomes one kernel (a skeleton with a generated body)
//===----------------------------------------------------------------------------------------------------===//

def Qwen_YieldOp : Qwen_Op<"yield", [Pure, Terminator, ParentOneOf<["FusedLinearOp", "ElementwiseOp"]>]> {
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
      partial result `[heads, splits, D + 2]` of `qwen.decode_attention`, combined to a row of heads * D.
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
  dag qkvArguments = (ins Activation:$qkv, Optional<WeightTensor>:$q_norm, Optional<WeightTensor>:$k_norm,
                          StateTensor:$k_cache, StateTensor:$v_cache, I64Attr:$num_heads, I64Attr:$num_kv_heads,
                          I64Attr:$head_dim, F64Attr:$theta, OptionalAttr<F64Attr>:$eps);
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
    The result holds for every query head and split: D numerators, then the running maximum and the sum of
    exponentials, so that `qwen.combine_splits` (or the prologue of the output projection) can finish the softmax.
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
  let summary = "finishes a split softmax: [heads, splits, D + 2] -> [1, heads * D]";
  let arguments = (ins Activation:$partials);
  let results = (outs Activation:$result);
  let assemblyFormat = "$partials attr-dict `:` type($partials) `->` type($result)";
  let hasVerifier = 1;
}

#endif // QWEN_OPS_TD
