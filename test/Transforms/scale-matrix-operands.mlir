// RUN: qwen-opt %s --qwen-scale-matrix-operands | FileCheck %s

// Products of many rows are marked; the router's is not, since a rounded logit could change a choice.
// CHECK-LABEL: @many_rows
// CHECK: qwen.fused_linear none concat %{{.*}} weights(%{{.*}}) {
// CHECK: } {qwen.scaled} : (tensor<4x16xf32, #qwen.rows<S>>, tensor<16x16xbf16>)
// CHECK: qwen.fused_linear none concat
// CHECK: } : (tensor<4x16xf32, #qwen.rows<S>>, tensor<8x16xbf16>)
// CHECK: qwen.route
// CHECK: qwen.fused_experts
// CHECK: } {qwen.scaled} : (tensor<4x16xf32, #qwen.rows<S>>
func.func @many_rows(%x: tensor<4x16xf32, #qwen.rows<S>>, %o: tensor<16x16xbf16>, %r: tensor<8x16xbf16>, %w: tensor<8x6x16xbf16>)
    -> tensor<4x2x6xf32, #qwen.rows<S>> {
  %y = qwen.fused_linear none concat %x weights(%o) {
  ^bb0(%s: f32):
    qwen.yield %s : f32
  } : (tensor<4x16xf32, #qwen.rows<S>>, tensor<16x16xbf16>) -> tensor<4x16xf32, #qwen.rows<S>>
  %l = qwen.fused_linear none concat %y weights(%r) {
  ^bb0(%s: f32):
    qwen.yield %s : f32
  } : (tensor<4x16xf32, #qwen.rows<S>>, tensor<8x16xbf16>) -> tensor<4x8xf32, #qwen.rows<S>>
  %p, %e = qwen.route %l : (tensor<4x8xf32, #qwen.rows<S>>) -> (tensor<4x2xf32, #qwen.rows<S>>, tensor<4x2xi32, #qwen.rows<S>>)
  %h = qwen.fused_experts %y experts(%e) weights(%w) {
  ^bb0(%s: f32):
    qwen.yield %s : f32
  } : (tensor<4x16xf32, #qwen.rows<S>>, tensor<4x2xi32, #qwen.rows<S>>, tensor<8x6x16xbf16>) -> tensor<4x2x6xf32, #qwen.rows<S>>
  return %h : tensor<4x2x6xf32, #qwen.rows<S>>
}

// One row is read by vector products; what is 16 bits already needs no scale.
// CHECK-LABEL: @left_alone
// CHECK-NOT: qwen.scaled
func.func @left_alone(%x: tensor<1x16xf32>, %n: tensor<4x16xbf16, #qwen.rows<S>>, %o: tensor<16x16xbf16>)
    -> (tensor<1x16xf32>, tensor<4x16xf32, #qwen.rows<S>>) {
  %y = qwen.fused_linear none concat %x weights(%o) {
  ^bb0(%s: f32):
    qwen.yield %s : f32
  } : (tensor<1x16xf32>, tensor<16x16xbf16>) -> tensor<1x16xf32>
  %z = qwen.fused_linear none concat %n weights(%o) {
  ^bb0(%s: f32):
    qwen.yield %s : f32
  } : (tensor<4x16xbf16, #qwen.rows<S>>, tensor<16x16xbf16>) -> tensor<4x16xf32, #qwen.rows<S>>
  return %y, %z : tensor<1x16xf32>, tensor<4x16xf32, #qwen.rows<S>>
}

// A waveform shows what 16 bits lose.
// CHECK-LABEL: @waveform
// CHECK-NOT: qwen.scaled
func.func @waveform(%x: tensor<3x8xf32>, %w: tensor<4x56xbf16>, %b: tensor<4xbf16>, %h: tensor<6x8xf32>, %f: tensor<1xi32>, %o: tensor<16x4xbf16>)
    -> tensor<3x16xf32> {
  %c = qwen.causal_conv1d %x, %w, %b history(%h, %f) dilation 1 : (tensor<3x8xf32>, tensor<4x56xbf16>, tensor<4xbf16>, tensor<6x8xf32>, tensor<1xi32>) -> tensor<3x4xf32>
  %y = qwen.fused_linear none concat %c weights(%o) {
  ^bb0(%s: f32):
    qwen.yield %s : f32
  } : (tensor<3x4xf32>, tensor<16x4xbf16>) -> tensor<3x16xf32>
  return %y : tensor<3x16xf32>
}

// Codes of speech follow from what these rows hold.
// CHECK-LABEL: @exact
// CHECK-NOT: qwen.scaled
func.func @exact(%x: tensor<4x16xf32, #qwen.rows<S>>, %o: tensor<16x16xbf16>) -> tensor<4x16xf32, #qwen.rows<S>> attributes {qwen.exact} {
  %y = qwen.fused_linear none concat %x weights(%o) {
  ^bb0(%s: f32):
    qwen.yield %s : f32
  } : (tensor<4x16xf32, #qwen.rows<S>>, tensor<16x16xbf16>) -> tensor<4x16xf32, #qwen.rows<S>>
  return %y : tensor<4x16xf32, #qwen.rows<S>>
}
