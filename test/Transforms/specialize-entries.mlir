// RUN: qwen-opt %s --qwen-specialize-entries="context=128 chunk=16 logits-rows=4 kv-format=f16" | FileCheck %s
// RUN: qwen-opt %s --qwen-specialize-entries="context=128 chunk=16 logits-rows=4 kv-format=f16" --qwen-verify-entries -o /dev/null

// CHECK: module attributes {qwen.max_context = 128 : i64} {
module attributes {qwen.decoder = @decoder, qwen.head = @head} {
  qwen.parameter @embed : tensor<32x8xbf16> file 0 offset 0
  // CHECK: qwen.state @k : tensor<128x1x8xf16>
  qwen.state @k : tensor<?x1x8xf32>

  // CHECK-NOT: @decoder
  // CHECK-LABEL: func.func @prefill
  // CHECK-SAME: (%[[IDS:.*]]: tensor<16xi32, #qwen.rows<S>> {qwen.binding = "tokens"})
  // CHECK-SAME: -> (tensor<16x8xf32, #qwen.rows<S>> {qwen.name = "hidden"})
  // CHECK-SAME: attributes {qwen.role = "prefill", qwen.rows = 16 : i64}
  // CHECK-NEXT: qwen.begin_chunk 16
  // CHECK-NEXT: %[[E:.*]] = qwen.weight @embed : tensor<32x8xbf16>
  // CHECK-NEXT: qwen.embedding %[[IDS]], %[[E]] : (tensor<16xi32, #qwen.rows<S>>, tensor<32x8xbf16>) -> tensor<16x8xf32, #qwen.rows<S>>
  // CHECK-NEXT: qwen.position_ids : tensor<16xi32, #qwen.rows<S>>
  // CHECK: qwen.reshape %{{.*}} : tensor<16x8xf32, #qwen.rows<S>> -> tensor<16x1x8xf32, #qwen.rows<S>>
  // CHECK: %[[C:.*]] = qwen.read_state @k : tensor<128x1x8xf16>
  // CHECK: qwen.kv_append %[[C]], %{{.*}} : (tensor<128x1x8xf16>, tensor<16x1x8xf32, #qwen.rows<S>>) -> tensor<128x1x8xf16>
  // CHECK: %[[H:.*]] = qwen.silu
  // CHECK-NEXT: qwen.advance
  // CHECK-NEXT: return %[[H]]

  // CHECK-LABEL: func.func @next_greedy
  // CHECK-SAME: (%[[H:.*]]: tensor<16x8xf32, #qwen.rows<S>> {qwen.binding = "hidden"}) -> (tensor<1x32xf32> {qwen.name = "logits"})
  // CHECK-SAME: attributes {qwen.role = "next_greedy", qwen.rows = 1 : i64}
  // CHECK-NEXT: %[[R:.*]] = qwen.last_row %[[H]] : tensor<16x8xf32, #qwen.rows<S>> -> tensor<1x8xf32>
  // CHECK: %[[L:.*]] = qwen.linear %[[R]], %{{.*}} -> tensor<1x32xf32>
  // CHECK-NEXT: qwen.next_token %[[L]] greedy : tensor<1x32xf32>
  // CHECK-NEXT: return %[[L]]

  // CHECK-LABEL: func.func @next_sample
  // CHECK: qwen.next_token %{{.*}} sample : tensor<1x32xf32>

  // CHECK-LABEL: func.func @decode_greedy
  // CHECK-SAME: (%[[IDS:.*]]: tensor<1xi32> {qwen.binding = "tokens"}) -> (tensor<1x32xf32> {qwen.name = "logits"})
  // CHECK-SAME: attributes {qwen.role = "decode_greedy", qwen.rows = 1 : i64}
  // CHECK-NOT: qwen.begin_chunk
  // CHECK: qwen.embedding %[[IDS]], %{{.*}} : (tensor<1xi32>, tensor<32x8xbf16>) -> tensor<1x8xf32>
  // CHECK: %[[H:.*]] = qwen.silu
  // CHECK: %[[L:.*]] = qwen.linear %[[H]], %{{.*}} -> tensor<1x32xf32>
  // CHECK-NEXT: qwen.next_token %[[L]] greedy advances : tensor<1x32xf32>
  // CHECK-NEXT: return %[[L]]

  // CHECK-LABEL: func.func @decode_sample
  // CHECK: qwen.next_token %{{.*}} sample advances : tensor<1x32xf32>

  // CHECK-LABEL: func.func @logits
  // CHECK-SAME: (%[[H:.*]]: tensor<16x8xf32, #qwen.rows<S>> {qwen.binding = "hidden"}) -> (tensor<4x32xf32, #qwen.rows<R>> {qwen.name = "logits"})
  // CHECK-SAME: attributes {qwen.role = "logits", qwen.rows = 4 : i64}
  // CHECK-NEXT: %[[R:.*]] = qwen.head_rows %[[H]] : tensor<16x8xf32, #qwen.rows<S>> -> tensor<4x8xf32, #qwen.rows<R>>
  // CHECK: %[[L:.*]] = qwen.linear %[[R]], %{{.*}} -> tensor<4x32xf32, #qwen.rows<R>>
  // CHECK-NEXT: return %[[L]]
  // CHECK-NOT: @head
  func.func @decoder(%ids: tensor<?xi32, #qwen.rows<S>>) -> tensor<?x8xf32, #qwen.rows<S>> {
    %e = qwen.weight @embed : tensor<32x8xbf16>
    %x = qwen.embedding %ids, %e : (tensor<?xi32, #qwen.rows<S>>, tensor<32x8xbf16>) -> tensor<?x8xf32, #qwen.rows<S>>
    %p = qwen.position_ids : tensor<?xi32, #qwen.rows<S>>
    %h = qwen.reshape %x : tensor<?x8xf32, #qwen.rows<S>> -> tensor<?x1x8xf32, #qwen.rows<S>>
    %r = qwen.rope %h, %p theta 1.0e4 : (tensor<?x1x8xf32, #qwen.rows<S>>, tensor<?xi32, #qwen.rows<S>>) -> tensor<?x1x8xf32, #qwen.rows<S>>
    %c = qwen.read_state @k : tensor<?x1x8xf32>
    %c1 = qwen.kv_append %c, %r : (tensor<?x1x8xf32>, tensor<?x1x8xf32, #qwen.rows<S>>) -> tensor<?x1x8xf32>
    %a = qwen.attention %r, %c1, %c1 scale 0.5 causal : (tensor<?x1x8xf32, #qwen.rows<S>>, tensor<?x1x8xf32>, tensor<?x1x8xf32>) -> tensor<?x1x8xf32, #qwen.rows<S>>
    %b = qwen.reshape %a : tensor<?x1x8xf32, #qwen.rows<S>> -> tensor<?x8xf32, #qwen.rows<S>>
    %y = qwen.silu %b : tensor<?x8xf32, #qwen.rows<S>>
    return %y : tensor<?x8xf32, #qwen.rows<S>>
  }
  func.func @head(%h: tensor<?x8xf32, #qwen.rows<T>>) -> tensor<?x32xf32, #qwen.rows<T>> {
    %e = qwen.weight @embed : tensor<32x8xbf16>
    %l = qwen.linear %h, %e : (tensor<?x8xf32, #qwen.rows<T>>, tensor<32x8xbf16>) -> tensor<?x32xf32, #qwen.rows<T>>
    return %l : tensor<?x32xf32, #qwen.rows<T>>
  }
}
