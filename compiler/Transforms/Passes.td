//===- Passes.td - From the model's functions to fused operations ------------------------*- tablegen -*-===//
//
// In the order of the road. compiler/Pipelines says why each stands where it does.
//
//===----------------------------------------------------------------------------------------------------===//
#ifndef QWEN_TRANSFORMS_PASSES_TD
#define QWEN_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

//===----------------------------------------------------------------------------------------------------===//
// Between phases: what a level may hold
//===----------------------------------------------------------------------------------------------------===//

def VerifyModelPass : Pass<"qwen-verify-model", "::mlir::ModuleOp"> {
  let summary = "reject what is not a model: only primitive operations, a decoder and a head";
  let description = [{
    After import a module holds parameters, states and functions of primitive operations, and the attributes `qwen.decoder`
    and `qwen.head` name two of the functions: the decoder maps ids `[S]` to hidden rows `[S, H]`, the head hidden rows to
    logits `[S, V]`. The query, key and value projections of attention over a cache have biases, or none has.
  }];
}

def VerifyEntriesPass : Pass<"qwen-verify-entries", "::mlir::ModuleOp"> {
  let summary = "reject what is not a set of entries: static shapes, roles, bindings";
  let description = [{
    After specialisation every function is an entry with `qwen.role` and `qwen.rows`, all shapes are static and no tensor
    exceeds 2^44 bytes, arguments have a `qwen.binding` and results a `qwen.name`. Position moves only at the end of an
    entry, and an entry reads each state once, so that a cache can be updated in place.
  }];
}

def VerifyFusedPass : Pass<"qwen-verify-fused", "::mlir::func::FuncOp"> {
  let summary = "reject operations that code generation does not take, naming the pass that removes them";
  let description = [{
    Only fused and entry operations, primitive ones with a kernel of their own (`embedding`, `rms_norm`, `attention`, ...),
    `weight` and `read_state` may be left, and `reshape`, which code generation reads as another view of the same bytes.
  }];
}

//===----------------------------------------------------------------------------------------------------===//
// Storage of weights
//===----------------------------------------------------------------------------------------------------===//

def QuantizeWeightsPass : Pass<"qwen-quantize-weights", "::mlir::ModuleOp"> {
  let summary = "store the matrices of products in blocks of few bits";
  let description = [{
    Marks the parameters that are read only as the matrix of `qwen.linear` or `qwen.expert_linear` and whose rows are whole
    blocks of 32. What a gather reads (embeddings, and a head tied to them), vectors (norms, biases), products that choose (a
    router: an operation with integer results reads them) and those of waveforms stay bf16. With `format` bf16 the pass does
    nothing.

    ```mlir
    qwen.parameter @up : tensor<384x192xbf16> file 0 offset 7272
    ...
      %w = qwen.weight @up : tensor<384x192xbf16>
      %y = qwen.linear %x, %w : (tensor<?x192xf32, #qwen.rows<S>>, tensor<384x192xbf16>) -> ...
    ```
    ==>
    ```mlir
    qwen.parameter @up : tensor<384x192xbf16, #qwen.packed<q8>> file 0 offset 7272
    ...
      %w = qwen.weight @up : tensor<384x192xbf16, #qwen.packed<q8>>
      %y = qwen.linear %x, %w : (tensor<?x192xf32, #qwen.rows<S>>, tensor<384x192xbf16, #qwen.packed<q8>>) -> ...
    ```
  }];
  let options = [Option<"format", "format", "std::string", "\"bf16\"", "format of the weights: bf16, q8 or q4">];
  let statistics = [Statistic<"packedCount", "packed-weights", "weights stored in blocks">];
}

//===----------------------------------------------------------------------------------------------------===//
// Specialisation
//===----------------------------------------------------------------------------------------------------===//

def SpecializeEntriesPass : Pass<"qwen-specialize-entries", "::mlir::ModuleOp"> {
  let summary = "build the entries of a text generator from the decoder and the head";
  let description = [{
    Clones the two functions into the entries that the runtime replays, with static shapes: `prefill` (up to `chunk` rows),
    `next_greedy` and `next_sample` (last hidden row to token), `decode_greedy` and `decode_sample` (one token), `logits`
    (up to `logits-rows` hidden rows to logits). States get `context` positions of the element type `kv-format`,
    those of a talker of f32.

    ```mlir
    module attributes {qwen.decoder = @decoder, qwen.head = @head} {
      func.func @decoder(%ids: tensor<?xi32, #qwen.rows<S>>) -> tensor<?x8xf32, #qwen.rows<S>> { ... }
      func.func @head(%h: tensor<?x8xf32, #qwen.rows<S>>) -> tensor<?x32xf32, #qwen.rows<S>> { ... }
    }
    ```
    ==>
    ```mlir
    func.func @prefill(%ids: tensor<64xi32, #qwen.rows<S>> {qwen.binding = "tokens"})
        -> (tensor<64x8xf32, #qwen.rows<S>> {qwen.name = "hidden"}) attributes {qwen.role = "prefill", qwen.rows = 64} {
      qwen.begin_chunk 64
      ...
      qwen.advance
      return %hidden
    }
    func.func @decode_greedy(%ids: tensor<1xi32> {qwen.binding = "tokens"})
        -> (tensor<1x32xf32> {qwen.name = "logits"}) attributes {qwen.role = "decode_greedy", qwen.rows = 1} {
      ...
      qwen.next_token %logits greedy advances : tensor<1x32xf32>
      return %logits
    }
    ```
  }];
  let options = [
    Option<"context", "context", "int64_t", "8192", "positions a cache holds">,
    Option<"chunk", "chunk", "int64_t", "64", "rows one prefill run takes">,
    Option<"logitsRows", "logits-rows", "int64_t", "16", "rows one run of the logits entry takes">,
    Option<"kvFormat", "kv-format", "std::string", "\"f32\"", "element type of the caches: f32, f16 or bf16">
  ];
  let statistics = [Statistic<"entryCount", "entries", "entries built">];
}

//===----------------------------------------------------------------------------------------------------===//
// Fusion
//===----------------------------------------------------------------------------------------------------===//

def LowerTapConvsPass : Pass<"qwen-lower-tap-convs", "::mlir::func::FuncOp"> {
  let summary = "every tap convolution becomes a product of its patches";
  let description = [{
    The channels of a filter move behind its nine places, so that what a product reads of an input row lies together. An
    activation that alone follows the convolution follows the product instead, whose epilogue it then joins.

    ```mlir
    %c = qwen.tap_conv %x taps %t, %w, %b : (tensor<9x128x24xf32, #qwen.rows<T>>, ...) -> tensor<5x64x24xf32, #qwen.rows<A>>
    %g = qwen.gelu %c : tensor<5x64x24xf32, #qwen.rows<A>>
    ```
    ==>
    ```mlir
    %f = qwen.reshape %w : tensor<24x24x3x3xbf16> -> tensor<24x24x9xbf16>
    %s = qwen.swap_axes %f : tensor<24x24x9xbf16> -> tensor<24x9x24xbf16>
    %m = qwen.reshape %s : tensor<24x9x24xbf16> -> tensor<24x216xbf16>
    %p = qwen.tap_patches %x taps %t : (...) -> tensor<320x216xf32, #qwen.rows<A * 64>>
    %l = qwen.linear %p, %m, %b : (...) -> tensor<320x24xf32, #qwen.rows<A * 64>>
    %h = qwen.gelu %l : tensor<320x24xf32, #qwen.rows<A * 64>>
    %g = qwen.reshape %h : tensor<320x24xf32, #qwen.rows<A * 64>> -> tensor<5x64x24xf32, #qwen.rows<A>>
    ```
  }];
  let statistics = [Statistic<"loweredCount", "lowered-convolutions", "convolutions rewritten">];
}

def MergeLinearsPass : Pass<"qwen-merge-linears", "::mlir::func::FuncOp"> {
  let summary = "one product over stacked weights for linears of one input whose results go separate ways";
  let description = [{
    Takes linears whose results are only viewed (reshape, slice), all with a bias or all without: query, key and value
    projections. Linears that meet in elementwise operations are left to `qwen-fuse-parallel-linears`.

    ```mlir
    %q = qwen.linear %x, %wq : ... -> tensor<1x8xf32>
    %k = qwen.linear %x, %wk : ... -> tensor<1x4xf32>
    ```
    ==>
    ```mlir
    %m = qwen.fused_linear none concat %x weights(%wq, %wk) { identity } : ... -> tensor<1x12xf32>
    %q = qwen.slice %m at 0 : tensor<1x12xf32> -> tensor<1x8xf32>
    %k = qwen.slice %m at 8 : tensor<1x12xf32> -> tensor<1x4xf32>
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect"];
  let statistics = [Statistic<"mergedCount", "merged-linears", "linears that became part of a stacked product">];
}

def FuseParallelLinearsPass : Pass<"qwen-fuse-parallel-linears", "::mlir::func::FuncOp"> {
  let summary = "one product with several accumulators for linears of one input that meet in elementwise operations";
  let description = [{
    ```mlir
    %g = qwen.linear %x, %wg : ... -> tensor<1x16xf32>
    %u = qwen.linear %x, %wu : ... -> tensor<1x16xf32>
    %s = qwen.silu %g : tensor<1x16xf32>
    %m = qwen.mul %s, %u : tensor<1x16xf32>
    ```
    ==>
    ```mlir
    %m = qwen.fused_linear none parallel %x weights(%wg, %wu) {
    ^bb0(%g: f32, %u: f32):
      ... silu(g) * u ...
    } : ... -> tensor<1x16xf32>
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect"];
  let statistics = [Statistic<"fusedCount", "fused-linears", "linears that share a product">];
}

def FuseLinearsPass : Pass<"qwen-fuse-linears", "::mlir::func::FuncOp"> {
  let summary = "every other linear becomes a fused product with an identity epilogue";
  let description = [{
    ```mlir
    %y = qwen.linear %x, %w, %b : ... -> tensor<1x8xf32>
    ```
    ==>
    ```mlir
    %y = qwen.fused_linear none concat %x weights(%w) extras(%b) {
    ^bb0(%a: f32, %e: f32):
      %s = arith.addf %a, %e : f32
      qwen.yield %s : f32
    } : ... -> tensor<1x8xf32>
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect"];
  let statistics = [Statistic<"fusedCount", "fused-linears", "linears rewritten">];
}

def FuseEpiloguePass : Pass<"qwen-fuse-epilogue", "::mlir::func::FuncOp"> {
  let summary = "elementwise operations that follow a product join its epilogue";
  let description = [{
    A tree of elementwise operations whose only reader of the product it is moves into the region; the tree's other inputs
    become extras.

    ```mlir
    %o = qwen.fused_linear none concat %x weights(%w) { identity } : ... -> tensor<1x8xf32>
    %y = qwen.add %residual, %o : tensor<1x8xf32>
    ```
    ==>
    ```mlir
    %y = qwen.fused_linear none concat %x weights(%w) extras(%residual) {
    ^bb0(%a: f32, %e: f32):
      %s = arith.addf %e, %a : f32
      qwen.yield %s : f32
    } : ... -> tensor<1x8xf32>
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect"];
  let statistics = [Statistic<"fusedCount", "fused-epilogues", "products that took elementwise operations">];
}

def FuseRopeAppendPass : Pass<"qwen-fuse-rope-append", "::mlir::func::FuncOp"> {
  let summary = "split, head norms, rotation and cache write of a merged q/k/v row become one step";
  let description = [{
    ```mlir
    %q0 = qwen.slice %qkv at 0        %k0 = qwen.slice %qkv at 8         %v0 = qwen.slice %qkv at 12
    %q1 = qwen.reshape %q0            %k1 = qwen.reshape %k0             %v1 = qwen.reshape %v0
    %q2 = qwen.rms_norm %q1, %qw      %k2 = qwen.rms_norm %k1, %kw
    %q3 = qwen.rope %q2, %positions   %k3 = qwen.rope %k2, %positions
                                      %k  = qwen.kv_append %kc, %k3      %v  = qwen.kv_append %vc, %v1
    %a = qwen.attention %q3, %k, %v
    ```
    ==>
    ```mlir
    %q, %k, %v = qwen.rope_append %qkv norms(%qw, %kw) caches(%kc, %vc) {...}
    %a = qwen.attention %q, %k, %v
    ```
  }];
  let statistics = [Statistic<"fusedCount", "fused-attentions", "attentions whose inputs became one step">];
}

def SplitDecodeAttentionPass : Pass<"qwen-split-decode-attention", "::mlir::func::FuncOp"> {
  let summary = "attention of one row is split over the keys and joins the cache write";
  let description = [{
    ```mlir
    %q, %k, %v = qwen.rope_append %qkv norms(...) caches(%kc, %vc) {...}
    %a = qwen.attention %q, %k, %v scale 0.5 causal : ... -> tensor<1x4x2xf32>
    ```
    ==>
    ```mlir
    %p, %k, %v = qwen.decode_attention %qkv norms(...) caches(%kc, %vc) {scale = 0.5, splits = 4, ...}
    %c = qwen.combine_splits %p : tensor<4x4x4xf32> -> tensor<1x8xf32>
    %a = qwen.reshape %c : tensor<1x8xf32> -> tensor<1x4x2xf32>
    ```
  }];
  let options = [Option<"splits", "splits", "int64_t", "4", "parts of the keys that are attended side by side">];
  let statistics = [Statistic<"splitCount", "split-attentions", "attentions split">];
}

def FuseProloguePass : Pass<"qwen-fuse-prologue", "::mlir::func::FuncOp"> {
  let summary = "what prepares the input of a one-row product happens while the product stages its row";
  let description = [{
    A norm of one row is cheaper to repeat in every workgroup than to wait for, so a norm with several readers joins each.

    ```mlir
    %n = qwen.rms_norm %x, %w eps 1.0e-6 : ... -> tensor<1x8xf32>
    %y = qwen.fused_linear none concat %n weights(%a) { ... } : ...
    ```
    ==>
    ```mlir
    %y = qwen.fused_linear rms_norm concat %x weights(%a) norm(%w eps 1.0e-6) { ... } : ...
    ```
  }];
  let statistics = [Statistic<"fusedCount", "fused-prologues", "products that took a prologue">];
}

def FuseGatherSumPass : Pass<"qwen-fuse-gather-sum", "::mlir::func::FuncOp"> {
  let summary = "weighted sums of rows of a table become one step";
  let description = [{
    The table of positions of an encoder, resampled to the grid of an image: the gathered rows need no place in memory.

    ```mlir
    %rows = qwen.embedding %ids, %table : (tensor<8x4xi32>, tensor<64x16xbf16>) -> tensor<8x4x16xf32>
    %y = qwen.weighted_sum %rows, %weights : (tensor<8x4x16xf32>, tensor<8x4xf32>) -> tensor<8x16xf32>
    ```
    ==>
    ```mlir
    %y = qwen.gather_sum %ids, %weights, %table : (tensor<8x4xi32>, tensor<8x4xf32>, tensor<64x16xbf16>) -> tensor<8x16xf32>
    ```
  }];
  let statistics = [Statistic<"fusedCount", "fused-sums", "weighted sums that gather their rows">];
}

def FuseElementwisePass : Pass<"qwen-fuse-elementwise", "::mlir::func::FuncOp"> {
  let summary = "elementwise operations that found no product become one body each tree";
  let description = [{
    ```mlir
    %s = qwen.silu %a : tensor<1x8xf32>
    %y = qwen.mul %s, %b : tensor<1x8xf32>
    ```
    ==>
    ```mlir
    %y = qwen.elementwise (%a, %b) { ... } : (tensor<1x8xf32>, tensor<1x8xf32>) -> tensor<1x8xf32>
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect"];
  let statistics = [Statistic<"fusedCount", "fused-operations", "elementwise operations put into a body">];
}

def NarrowMatrixOperandsPass : Pass<"qwen-narrow-matrix-operands", "::mlir::func::FuncOp"> {
  let summary = "activations of many rows that only feed products are stored in 16 bits";
  let description = [{
    For targets whose matrix units take 16-bit operands. The residual stream, extras and results stay f32, and so does
    everything in functions that are `qwen.exact` or make waveforms. Products take a copy of what callers give to the entry of
    a component. Queries, keys and values that only attention within segments reads are stored as f16, or bf16 without `f16`,
    where a rotation or a slice makes each of them.

    With `f16`, functions that choose experts keep more bits, since a rounding can change a choice: norms, and attention over
    f16 values, have a bound and are stored as f16; products of linears are stored at a scale of 1/64, and the epilogues
    that take them multiply by 64. Both factors are exact.

    ```mlir
    %n = qwen.rms_norm %x, %w eps 1.0e-6 : ... -> tensor<64x8xf32, #qwen.rows<S>>
    %y = qwen.fused_linear none concat %n weights(%a) { ... } : ...
    ```
    ==>
    ```mlir
    %n = qwen.rms_norm %x, %w eps 1.0e-6 : ... -> tensor<64x8xbf16, #qwen.rows<S>>
    %y = qwen.fused_linear none concat %n weights(%a) { ... } : ...
    ```
  }];
  let options = [Option<"f16", "f16", "bool", "false", "use f16, which keeps three bits more, in functions that route">];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
  let statistics = [Statistic<"narrowedCount", "narrowed-values", "activations stored in 16 bits">];
}

def ScaleMatrixOperandsPass : Pass<"qwen-scale-matrix-operands", "::mlir::func::FuncOp"> {
  let summary = "products of many rows may be computed on f16 matrix units, at scales of their rows";
  let description = [{
    For targets whose matrix units take f16 but not bf16. f16 ends at 65504, while weights are bf16 and activations f32, so
    both stay what they are, and the kernel brings every row into range by a power of two of its own. Routers, whose choice
    a rounding can change, and products of waveforms and of functions that are `qwen.exact` stay f32.

    ```mlir
    %y = qwen.fused_linear none concat %x weights(%a) { ... } : (tensor<64x8xf32, #qwen.rows<S>>, ...
    ```
    ==>
    ```mlir
    %y = qwen.fused_linear none concat %x weights(%a) { ... } {qwen.scaled} : (tensor<64x8xf32, #qwen.rows<S>>, ...
    ```
  }];
  let statistics = [Statistic<"scaledCount", "scaled-products", "products that f16 matrix units may compute">];
}

//===----------------------------------------------------------------------------------------------------===//
// Mixtures of experts
//===----------------------------------------------------------------------------------------------------===//

def FuseRoutePass : Pass<"qwen-fuse-route", "::mlir::func::FuncOp"> {
  let summary = "softmax, choice and weights of experts become one step";
  let description = [{
    ```mlir
    %p = qwen.softmax %logits : tensor<1x16xf32>
    %v, %e = qwen.top_k %p : (tensor<1x16xf32>) -> (tensor<1x4xf32>, tensor<1x4xi32>)
    %w = qwen.sum_normalize %v : tensor<1x4xf32>
    ```
    ==>
    ```mlir
    %w, %e = qwen.route %logits normalize : (tensor<1x16xf32>) -> (tensor<1x4xf32>, tensor<1x4xi32>)
    ```
  }];
  let statistics = [Statistic<"fusedCount", "fused-routes", "choices of experts fused">];
}

def FuseExpertsPass : Pass<"qwen-fuse-experts", "::mlir::func::FuncOp"> {
  let summary = "expert linears become grouped products with an epilogue; of one row also with the weighted sum";
  let description = [{
    Expert linears of one input and one choice that meet in elementwise operations share a product, as linears do in
    `qwen-fuse-parallel-linears`. The weighted sum of one row is part of the product before it: each output is then one long
    dot product over all chosen experts, and the elementwise operations behind the sum join the epilogue.

    ```mlir
    %d = qwen.expert_linear %h, %e, %wd : ... -> tensor<1x4x128xf32>
    %s = qwen.weighted_sum %d, %w : ... -> tensor<1x128xf32>
    %y = qwen.add %residual, %s : tensor<1x128xf32>
    ```
    ==>
    ```mlir
    %y = qwen.fused_experts %h experts(%e) weights(%wd) sum(%w) extras(%residual) {
    ^bb0(%a: f32, %r: f32):
      %s = arith.addf %r, %a : f32
      qwen.yield %s : f32
    } : ... -> tensor<1x128xf32>
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect"];
  let statistics = [Statistic<"fusedCount", "fused-expert-linears", "expert linears that became products">,
                    Statistic<"sumCount", "fused-sums", "weighted sums that joined a product">];
}

def JoinEmbeddingPass : Pass<"qwen-join-embedding", "::mlir::func::FuncOp"> {
  let summary = "the first product of a decode step takes its row from the table";
  let description = [{
    Every workgroup of the product finds the token for itself, which costs less than a step; one of them leaves the row for
    the residual.

    ```mlir
    %x = qwen.embedding %tokens, %table : (tensor<1xi32>, tensor<1433x128xbf16>) -> tensor<1x128xf32>
    %y = qwen.fused_linear rms_norm concat %x weights(%w) ... : ... -> tensor<1x256xf32>
    ```
    ==>
    ```mlir
    %x = qwen.embedding %tokens, %table joined : (tensor<1xi32>, tensor<1433x128xbf16>) -> tensor<1x128xf32>
    %y = qwen.fused_linear rms_norm concat %x weights(%w) ... : ... -> tensor<1x256xf32>
    ```
  }];
  let statistics = [Statistic<"joinedCount", "joined-embeddings", "rows that a product takes from the table">];
}

def JoinRoutePass : Pass<"qwen-join-route", "::mlir::func::FuncOp"> {
  let summary = "the first product that takes the choice of one row makes it";
  let description = [{
    Each workgroup chooses for itself, and one of them for the products behind: some hundred logits cost less than a step.

    ```mlir
    %w, %e = qwen.route %l normalize : (tensor<1x16xf32>) -> (tensor<1x4xf32>, tensor<1x4xi32>)
    %h = qwen.fused_experts %x experts(%e) weights(%gate, %up) ... : ... -> tensor<1x4x64xf32>
    ```
    ==>
    ```mlir
    %w, %e = qwen.route %l normalize joined : (tensor<1x16xf32>) -> (tensor<1x4xf32>, tensor<1x4xi32>)
    %h = qwen.fused_experts %x experts(%e) weights(%gate, %up) ... : ... -> tensor<1x4x64xf32>
    ```
  }];
  let options = [Option<"maxExperts", "max-experts", "int64_t", "256", "experts among which one workgroup chooses">];
  let statistics = [Statistic<"joinedCount", "joined-routes", "choices that a product makes">];
}

def FoldRoutersPass : Pass<"qwen-fold-routers", "::mlir::ModuleOp"> {
  let summary = "the router of one row does not wait for the row that it reads";
  let description = [{
    A router reads the norm of what a projection adds to the residual, and is a step of its own between two large ones. Its
    product and the projection fold into one matrix of the projection's input and the residual, up to the norm's factor,
    which orders no experts and is known where the weights of the choice are computed. So it runs beside the projection. The
    entry `prepare` folds the weights in f32 when they are loaded.

    It costs the bytes of a wider matrix, and is done where these take less time than a step.

    ```mlir
    %h = qwen.fused_linear combine_splits concat %a weights(%o) extras(%x) { a sum } : ... -> tensor<1x2048xf32>
    %l = qwen.fused_linear rms_norm concat %h weights(%r) norm(%w eps 1.0e-6) { ... } : ... -> tensor<1x128xf32>
    %p, %e = qwen.route %l normalize joined : (tensor<1x128xf32>) -> (tensor<1x8xf32>, tensor<1x8xi32>)
    ```
    ==>
    ```mlir
    qwen.state @"folded(r,w,o)" : tensor<128x6144xf32> derived
    ...
    %f = qwen.read_state @"folded(r,w,o)" : tensor<128x6144xf32>
    %l = qwen.folded_router %a, %x, %f : ... -> tensor<1x128xf32>
    %h = qwen.fused_linear combine_splits concat %a weights(%o) extras(%x) { a sum } : ... -> tensor<1x2048xf32>
    %p, %e = qwen.route %l folded normalize joined : (tensor<1x128xf32>) -> (tensor<1x8xf32>, tensor<1x8xi32>)
    ```
  }];
  let options = [Option<"readBytesPerNs", "read-bytes-per-ns", "double", "10", "speed of device memory, in GB/s">,
                 Option<"stepOverheadNs", "step-overhead-ns", "double", "5000", "time of one dependent step">];
  let statistics = [Statistic<"foldedCount", "folded-routers", "routers that run beside the projection before them">];
}

def GroupExpertsPass : Pass<"qwen-group-experts", "::mlir::func::FuncOp"> {
  let summary = "choices of many rows are sorted by expert, once for all products that share them";
  let description = [{
    ```mlir
    %h = qwen.fused_experts %x experts(%e) weights(%g, %u) { ... } : ... -> tensor<64x4x48xf32, #qwen.rows<S>>
    ```
    ==>
    ```mlir
    %order, %tiles = qwen.group_experts %e count 16 tile 64 : ... -> (tensor<256xi32>, tensor<20x4xi32>)
    %h = qwen.fused_experts %x experts(%e) weights(%g, %u) grouped(%order, %tiles) { ... } : ...
    ```
  }];
  let options = [Option<"tile", "tile", "int64_t", "64", "choices of one expert that a workgroup takes">];
  let statistics = [Statistic<"groupedCount", "grouped-products", "products over sorted choices">];
}

def FuseWindowAttentionPass : Pass<"qwen-fuse-window-attention", "::mlir::func::FuncOp"> {
  let summary = "split, rotation and window attention of a merged row as one operation";
  let description = [{
    ```mlir
    %row = qwen.fused_linear none concat %x weights(%wq, %wk, %wv) ...
    %q = qwen.rope (heads of %row), %n theta 1.0e4 ...
    %y = qwen.window_attention %q, %k, %v at %n states(%ks, %vs) window 72 scale 0.125 ...
    ```
    ==>
    ```mlir
    %y = qwen.rope_window_attention %row from %first states(%ks, %vs) {...}
    ```
    where `%n` is `qwen.row_numbers %first`.
  }];
  let statistics = [Statistic<"fusedCount", "fused-attention", "attention over windows that took its rotation">];
}

def FuseConvolutionsPass : Pass<"qwen-fuse-convolutions", "::mlir::func::FuncOp"> {
  let summary = "convolutions over time take the activations around them";
  let description = [{
    A `qwen.snake_beta` that only a convolution reads is applied where its input is put behind the history, with a
    `qwen.clear_lead` that only the snake reads; a snake or clamp that is the only reader of a `qwen.causal_conv1d` is applied to
    its sums.

    ```mlir
    %c = qwen.clear_lead %x, %first lead 8 rows 32 ...
    %s = qwen.snake_beta %c, %a, %b ...
    %y = qwen.causal_conv1d %s, %w, %bias history(%h, %first) dilation 3 ...
    %z = qwen.snake_beta %y, %a2, %b2 ...
    ```
    ==>
    ```mlir
    %z = qwen.causal_conv1d %x, %w, %bias history(%h, %first) dilation 3 snake(%a, %b) then(%a2, %b2) {lead = 8, frame_rows = 32} ...
    ```
  }];
  let statistics = [Statistic<"fusedCount", "fused-activations", "activations that a convolution took">];
}

#endif // QWEN_TRANSFORMS_PASSES_TD
