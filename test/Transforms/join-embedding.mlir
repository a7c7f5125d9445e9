// RUN: qwen-opt %s --qwen-join-embedding | FileCheck %s

// One row of the tokens, read first by a product that normalises it; the residual reads what that leaves.
// CHECK-LABEL: @first_product
// CHECK: %[[X:.*]] = qwen.embedding %{{.*}}, %{{.*}} joined : (tensor<1xi32>, tensor<32x8xbf16>) -> tensor<1x8xf32>
// CHECK: qwen.fused_linear rms_norm concat %[[X]]
func.func @first_product(%ids: tensor<1xi32> {qwen.binding = "tokens"}, %t: tensor<32x8xbf16>, %n: tensor<8xbf16>,
                         %q: tensor<8x8xbf16>) -> tensor<1x8xf32> {
  %x = qwen.embedding %ids, %t : (tensor<1xi32>, tensor<32x8xbf16>) -> tensor<1x8xf32>
  %y = qwen.fused_linear rms_norm concat %x weights(%q) norm(%n eps 1.0e-6) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<1x8xf32>, tensor<8x8xbf16>, tensor<8xbf16>) -> tensor<1x8xf32>
  %z = qwen.fused_linear none concat %y weights(%q) extras(%x) {
  ^bb0(%a: f32, %r: f32):
    %s = arith.addf %a, %r : f32
    qwen.yield %s : f32
  } : (tensor<1x8xf32>, tensor<8x8xbf16>, tensor<1x8xf32>) -> tensor<1x8xf32>
  return %z : tensor<1x8xf32>
}

// A chunk gathers its rows in a step of their own.
// CHECK-LABEL: @many_rows
// CHECK-NOT: joined
func.func @many_rows(%ids: tensor<4xi32, #qwen.rows<S>> {qwen.binding = "tokens"}, %t: tensor<32x8xbf16>,
                     %q: tensor<8x8xbf16>) -> tensor<4x8xf32, #qwen.rows<S>> {
  %x = qwen.embedding %ids, %t : (tensor<4xi32, #qwen.rows<S>>, tensor<32x8xbf16>) -> tensor<4x8xf32, #qwen.rows<S>>
  %y = qwen.fused_linear none concat %x weights(%q) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<4x8xf32, #qwen.rows<S>>, tensor<8x8xbf16>) -> tensor<4x8xf32, #qwen.rows<S>>
  return %y : tensor<4x8xf32, #qwen.rows<S>>
}

// Who looks at the row first needs it before the product has run.
// CHECK-LABEL: @exposed
// CHECK-NOT: joined
func.func @exposed(%ids: tensor<1xi32> {qwen.binding = "tokens"}, %t: tensor<32x8xbf16>, %n: tensor<8xbf16>,
                   %q: tensor<8x8xbf16>) -> tensor<1x8xf32> {
  %x = qwen.embedding %ids, %t : (tensor<1xi32>, tensor<32x8xbf16>) -> tensor<1x8xf32>
  qwen.expose %x "embedding" : tensor<1x8xf32>
  %y = qwen.fused_linear rms_norm concat %x weights(%q) norm(%n eps 1.0e-6) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<1x8xf32>, tensor<8x8xbf16>, tensor<8xbf16>) -> tensor<1x8xf32>
  return %y : tensor<1x8xf32>
}
