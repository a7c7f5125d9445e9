// RUN: qwen-opt %s --qwen-specialize-entries="context=32 chunk=16 logits-rows=4 kv-format=bf16" --split-input-file | FileCheck %s

// The talker has its own history and the cache format of the target; the history of the predictor is a frame, in f32.
// CHECK: module attributes {qwen.max_context = 32 : i64} {
// CHECK: qwen.state @talker.k : tensor<32x1x8xf32>
// CHECK: qwen.state @predictor.k : tensor<3x1x8xf32>
module attributes {qwen.symbols = {R = 64 : i64, S = 64 : i64},
                   qwen.speech = {decoder = @t.decoder, head = @t.head, predictor_decoder = @p.decoder, predictor_head = @p.head,
                                  tables = [@codes, @codes.1, @codes.2], suppress = array<i64: 8, 12, 9>}} {
  qwen.parameter @codes : tensor<12x8xbf16> file 0 offset 0
  qwen.parameter @codes.1 : tensor<8x8xbf16> file 0 offset 192
  qwen.parameter @codes.2 : tensor<8x8xbf16> file 0 offset 320
  qwen.parameter @head.1 : tensor<8x8xbf16> file 0 offset 448
  qwen.parameter @head.2 : tensor<8x8xbf16> file 0 offset 576
  qwen.parameter @norm : tensor<8xbf16> file 0 offset 704
  qwen.state @talker.k : tensor<?x1x8xf32>
  qwen.state @talker.v : tensor<?x1x8xf32>
  qwen.state @predictor.k : tensor<3x1x8xf32>
  qwen.state @predictor.v : tensor<3x1x8xf32>

  // CHECK-LABEL: func.func @talker.prefill
  // CHECK-SAME: %{{.*}}: tensor<16xi32, #qwen.rows<S>> {qwen.binding = "tokens"}
  // CHECK-SAME: %[[I:.*]]: tensor<32x8xf32> {qwen.binding = "buffer", qwen.name = "inputs", qwen.symbol = "S"}
  // CHECK-SAME: %[[P:.*]]: tensor<16x3xf32, #qwen.rows<S>> {qwen.binding = "positions"}
  // CHECK-SAME: (tensor<16x8xf32, #qwen.rows<S>> {qwen.name = "hidden"}) attributes {qwen.exact, qwen.role = "other", qwen.rows = 16 : i64, qwen.sequence = 1 : i64}
  // CHECK-NEXT: qwen.begin_chunk 16
  // CHECK-NEXT: qwen.input_rows %[[I]] : tensor<32x8xf32> -> tensor<16x8xf32, #qwen.rows<S>>
  // CHECK: qwen.mrope %{{.*}}, %[[P]]
  // CHECK: qwen.advance

  // CHECK-LABEL: func.func @predictor.begin
  // CHECK-SAME: (%[[H:.*]]: tensor<1x8xf32> {qwen.binding = "buffer", qwen.name = "last_hidden"})
  // CHECK-SAME: attributes {qwen.codes = 3 : i64, qwen.exact, qwen.role = "other", qwen.rows = 1 : i64, qwen.sequence = 2 : i64}
  // CHECK-NEXT: qwen.begin_frame
  // CHECK: qwen.reshape %[[H]]
  // CHECK: qwen.advance

  // CHECK-LABEL: func.func @talker.next_greedy
  // CHECK-SAME: %[[H:.*]]: tensor<16x8xf32, #qwen.rows<S>> {qwen.binding = "hidden"}
  // CHECK-SAME: (tensor<1x12xf32> {qwen.name = "logits"}, tensor<1x8xf32> {qwen.name = "last_hidden"})
  // CHECK-NEXT: %[[L:.*]] = qwen.last_row %[[H]]
  // CHECK: qwen.next_token %{{.*}} greedy suppress [8, 12, 9] : tensor<1x12xf32>

  // CHECK-LABEL: func.func @talker.decode_greedy
  // CHECK-SAME: %[[T:.*]]: tensor<32x8xf32> {qwen.binding = "buffer", qwen.name = "text_rows", qwen.symbol = "N"}
  // CHECK-SAME: %{{.*}}: tensor<1x3xf32> {qwen.binding = "positions"}
  // CHECK: qwen.frame_row %[[T]] tables(%{{.*}}, %{{.*}}, %{{.*}})
  // CHECK: qwen.next_token %{{.*}} greedy advances suppress [8, 12, 9]

  // CHECK-LABEL: func.func @predictor.decode_greedy
  // CHECK: %[[X:.*]], %[[N:.*]] = qwen.code_row
  // CHECK: qwen.reshape %[[X]]
  // CHECK: qwen.expert_linear %{{.*}}, %[[N]],
  // CHECK: qwen.next_token %{{.*}} greedy advances suppress [0, 0, 0] : tensor<1x8xf32>

  // CHECK: func.func @talker.next_sample
  // CHECK: func.func @talker.decode_sample
  // CHECK: func.func @predictor.decode_sample
  // CHECK-NOT: func.func
  func.func @t.decoder(%x: tensor<?x8xf32, #qwen.rows<S>> {qwen.name = "inputs"},
                       %positions: tensor<?x3xf32, #qwen.rows<S>> {qwen.binding = "positions", qwen.name = "positions"})
      -> (tensor<?x8xf32, #qwen.rows<S>> {qwen.name = "x"}) {
    %k = qwen.read_state @talker.k : tensor<?x1x8xf32>
    %v = qwen.read_state @talker.v : tensor<?x1x8xf32>
    %h = qwen.reshape %x : tensor<?x8xf32, #qwen.rows<S>> -> tensor<?x1x8xf32, #qwen.rows<S>>
    %q = qwen.mrope %h, %positions theta 1.0e4 sections [2, 1, 1]
        : (tensor<?x1x8xf32, #qwen.rows<S>>, tensor<?x3xf32, #qwen.rows<S>>) -> tensor<?x1x8xf32, #qwen.rows<S>>
    %k1 = qwen.kv_append %k, %q : (tensor<?x1x8xf32>, tensor<?x1x8xf32, #qwen.rows<S>>) -> tensor<?x1x8xf32>
    %v1 = qwen.kv_append %v, %h : (tensor<?x1x8xf32>, tensor<?x1x8xf32, #qwen.rows<S>>) -> tensor<?x1x8xf32>
    %a = qwen.attention %q, %k1, %v1 scale 0.5 causal
        : (tensor<?x1x8xf32, #qwen.rows<S>>, tensor<?x1x8xf32>, tensor<?x1x8xf32>) -> tensor<?x1x8xf32, #qwen.rows<S>>
    %y = qwen.reshape %a : tensor<?x1x8xf32, #qwen.rows<S>> -> tensor<?x8xf32, #qwen.rows<S>>
    return %y : tensor<?x8xf32, #qwen.rows<S>>
  }
  func.func @t.head(%h: tensor<?x8xf32, #qwen.rows<R>> {qwen.name = "hidden"})
      -> (tensor<?x12xf32, #qwen.rows<R>> {qwen.name = "logits"}, tensor<?x8xf32, #qwen.rows<R>> {qwen.name = "norm"}) {
    %n = qwen.weight @norm : tensor<8xbf16>
    %w = qwen.weight @codes : tensor<12x8xbf16>
    %x = qwen.rms_norm %h, %n eps 1.0e-6 : (tensor<?x8xf32, #qwen.rows<R>>, tensor<8xbf16>) -> tensor<?x8xf32, #qwen.rows<R>>
    %l = qwen.linear %x, %w : (tensor<?x8xf32, #qwen.rows<R>>, tensor<12x8xbf16>) -> tensor<?x12xf32, #qwen.rows<R>>
    return %l, %x : tensor<?x12xf32, #qwen.rows<R>>, tensor<?x8xf32, #qwen.rows<R>>
  }
  func.func @p.decoder(%x: tensor<?x8xf32, #qwen.rows<S>> {qwen.name = "inputs"}) -> (tensor<?x8xf32, #qwen.rows<S>> {qwen.name = "x"}) {
    %k = qwen.read_state @predictor.k : tensor<3x1x8xf32>
    %v = qwen.read_state @predictor.v : tensor<3x1x8xf32>
    %p = qwen.position_ids : tensor<?xi32, #qwen.rows<S>>
    %h = qwen.reshape %x : tensor<?x8xf32, #qwen.rows<S>> -> tensor<?x1x8xf32, #qwen.rows<S>>
    %q = qwen.rope %h, %p theta 1.0e4 : (tensor<?x1x8xf32, #qwen.rows<S>>, tensor<?xi32, #qwen.rows<S>>) -> tensor<?x1x8xf32, #qwen.rows<S>>
    %k1 = qwen.kv_append %k, %q : (tensor<3x1x8xf32>, tensor<?x1x8xf32, #qwen.rows<S>>) -> tensor<3x1x8xf32>
    %v1 = qwen.kv_append %v, %h : (tensor<3x1x8xf32>, tensor<?x1x8xf32, #qwen.rows<S>>) -> tensor<3x1x8xf32>
    %a = qwen.attention %q, %k1, %v1 scale 0.5 causal
        : (tensor<?x1x8xf32, #qwen.rows<S>>, tensor<3x1x8xf32>, tensor<3x1x8xf32>) -> tensor<?x1x8xf32, #qwen.rows<S>>
    %y = qwen.reshape %a : tensor<?x1x8xf32, #qwen.rows<S>> -> tensor<?x8xf32, #qwen.rows<S>>
    return %y : tensor<?x8xf32, #qwen.rows<S>>
  }
  func.func @p.head(%h: tensor<?x8xf32, #qwen.rows<R>> {qwen.name = "hidden"}, %step: tensor<?x1xi32, #qwen.rows<R>> {qwen.name = "step"})
      -> (tensor<?x8xf32, #qwen.rows<R>> {qwen.name = "logits"}) {
    %w = qwen.weight_stack [@head.1, @head.2] : tensor<2x8x8xbf16>
    %l = qwen.expert_linear %h, %step, %w
        : (tensor<?x8xf32, #qwen.rows<R>>, tensor<?x1xi32, #qwen.rows<R>>, tensor<2x8x8xbf16>) -> tensor<?x1x8xf32, #qwen.rows<R>>
    %y = qwen.reshape %l : tensor<?x1x8xf32, #qwen.rows<R>> -> tensor<?x8xf32, #qwen.rows<R>>
    return %y : tensor<?x8xf32, #qwen.rows<R>>
  }
}
