//===- QwenDialect.td - The qwen dialect: the model's mathematics on tensors -------------*- tablegen -*-===//
#ifndef QWEN_DIALECT_TD
#define QWEN_DIALECT_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/TensorEncoding.td"

def Qwen_Dialect : Dialect {
  let name = "qwen";
  let cppNamespace = "::mlir::qwen";
  let summary = "The mathematics of the Qwen3 family on tensors, before any buffer exists";
  let description = [{
    Activations are `f32` tensors (or `bf16` where a target feeds matrix units), ids are `i32`, weights are `bf16` and
    named by symbol. The first dimension of an activation counts rows (tokens). How many rows are really there is known
    only when a plan runs: the encoding `#qwen.rows<S>` on a tensor type names the symbol that bounds dimension 0. After
    import the dimension is `?`; after specialisation it is the largest number of rows that the entry accepts.

    Everything is value-semantic, caches too: `qwen.kv_append` returns the cache with rows written, and lowering makes
    it an update in place.
  }];
  let useDefaultAttributePrinterParser = 1;
}

class Qwen_Attr<string name, string attrMnemonic, list<Trait> traits = []> : AttrDef<Qwen_Dialect, name, traits> {
  let mnemonic = attrMnemonic;
}

def Qwen_RowsAttr : Qwen_Attr<"Rows", "rows", [DeclareAttrInterfaceMethods<VerifiableTensorEncoding>]> {
  let summary = "names the symbol that counts the rows (dimension 0) of a tensor at run time";
  let description = [{
    ```mlir
    tensor<64x192xf32, #qwen.rows<S>>   // at most 64 rows, S of them meaningful
    tensor<64x192xf32, #qwen.rows<V * 4>>   // 4 V of them
    ```
  }];
  let parameters = (ins "::mlir::StringAttr":$symbol, DefaultValuedParameter<"int64_t", "1">:$factor);
  let assemblyFormat = "`<` custom<SymbolName>($symbol) (`*` $factor^)? `>`";
  let builders = [AttrBuilder<(ins "::mlir::StringAttr":$symbol), [{ return $_get($_ctxt, symbol, 1); }]>];
}

def Qwen_WeightFormatEnum : I32EnumAttr<"WeightFormat", "how a weight is stored; the numbers are those of plan.fbs", [
  I32EnumAttrCase<"BF16", 0, "bf16">,
  I32EnumAttrCase<"Q8", 1, "q8">,
  I32EnumAttrCase<"Q4", 2, "q4">
]> { let cppNamespace = "::mlir::qwen"; }

def Qwen_PackedAttr : Qwen_Attr<"Packed", "packed", [DeclareAttrInterfaceMethods<VerifiableTensorEncoding>]> {
  let summary = "the weight is stored in blocks of 32 along its rows";
  let description = [{
    The element type stays `bf16`: it says what the values are, the encoding how many bits of them are kept.

    ```mlir
    tensor<384x192xbf16, #qwen.packed<q8>>
    ```
  }];
  let parameters = (ins EnumParameter<Qwen_WeightFormatEnum>:$format);
  let assemblyFormat = "`<` $format `>`";
}

def Qwen_JoinAttr : I32EnumAttr<"Join", "how several weights of one fused linear meet", [
  I32EnumAttrCase<"Concat", 0, "concat">,      // outputs side by side: N = N0 + N1 + ..., one accumulator
  I32EnumAttrCase<"Parallel", 1, "parallel">   // equal N, one accumulator per weight, the epilogue joins them
]> { let cppNamespace = "::mlir::qwen"; }

def Qwen_PrologueAttr : I32EnumAttr<"Prologue", "what is applied to the input row while it is staged", [
  I32EnumAttrCase<"None", 0, "none">,
  I32EnumAttrCase<"RmsNorm", 1, "rms_norm">,
  I32EnumAttrCase<"CombineSplits", 2, "combine_splits">
]> { let cppNamespace = "::mlir::qwen"; }

def Qwen_SamplingAttr : I32EnumAttr<"Sampling", "how the next token is chosen", [
  I32EnumAttrCase<"Greedy", 0, "greedy">,
  I32EnumAttrCase<"Sample", 1, "sample">
]> { let cppNamespace = "::mlir::qwen"; }

#endif // QWEN_DIALECT_TD
