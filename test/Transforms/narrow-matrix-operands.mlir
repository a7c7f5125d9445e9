// RUN: qwen-opt %s --qwen-narrow-matrix-operands | FileCheck %s

// Norm, attention (through a view), product and elementwise results that only products read.
// CHECK-LABEL: @narrowed
// CHECK: qwen.rms_norm %{{.*}} -> tensor<4x16xbf16, #qwen.rows<S>>
// CHECK: qwen.attention %{{.*}} -> tensor<4x4x4xbf16, #qwen.rows<S>>
// CHECK: qwen.reshape %{{.*}} : tensor<4x4x4xbf16, #qwen.rows<S>> -> tensor<4x16xbf16, #qwen.rows<S>>
// CHECK: } : (tensor<4x16xbf16, #qwen.rows<S>>, tensor<16x16xbf16>) -> tensor<4x16xbf16, #qwen.rows<S>>
// CHECK: qwen.elementwise
// CHECK: } : (tensor<4x16xf32, #qwen.rows<S>>) -> tensor<4x16xbf16, #qwen.rows<S>>
// The sum of the residual stream is an extra, so the result stays wide.
// CHECK: extras(
// CHECK: } : (tensor<4x16xbf16, #qwen.rows<S>>, tensor<16x16xbf16>, tensor<4x16xf32, #qwen.rows<S>>) -> tensor<4x16xf32, #qwen.rows<S>>
func.func @narrowed(%x: tensor<4x16xf32, #qwen.rows<S>>, %q: tensor<4x4x4xf32, #qwen.rows<S>>, %k: tensor<16x2x4xf32>,
                    %n: tensor<16xbf16>, %w: tensor<16x16xbf16>)
    -> (tensor<4x16xf32, #qwen.rows<S>>, tensor<4x16xf32, #qwen.rows<S>>, tensor<4x16xf32, #qwen.rows<S>>) {
  %0 = qwen.rms_norm %x, %n eps 0.125 : (tensor<4x16xf32, #qwen.rows<S>>, tensor<16xbf16>) -> tensor<4x16xf32, #qwen.rows<S>>
  %1 = qwen.attention %q, %k, %k scale 0.5 causal : (tensor<4x4x4xf32, #qwen.rows<S>>, tensor<16x2x4xf32>, tensor<16x2x4xf32>) -> tensor<4x4x4xf32, #qwen.rows<S>>
  %2 = qwen.reshape %1 : tensor<4x4x4xf32, #qwen.rows<S>> -> tensor<4x16xf32, #qwen.rows<S>>
  %3 = qwen.fused_linear none concat %0 weights(%w) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<4x16xf32, #qwen.rows<S>>, tensor<16x16xbf16>) -> tensor<4x16xf32, #qwen.rows<S>>
  %4 = qwen.elementwise (%x) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<4x16xf32, #qwen.rows<S>>) -> tensor<4x16xf32, #qwen.rows<S>>
  %5 = qwen.fused_linear none concat %2 weights(%w) extras(%x) {
  ^bb0(%a: f32, %b: f32):
    qwen.yield %b : f32
  } : (tensor<4x16xf32, #qwen.rows<S>>, tensor<16x16xbf16>, tensor<4x16xf32, #qwen.rows<S>>) -> tensor<4x16xf32, #qwen.rows<S>>
  %6 = qwen.fused_linear none concat %3 weights(%w) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<4x16xf32, #qwen.rows<S>>, tensor<16x16xbf16>) -> tensor<4x16xf32, #qwen.rows<S>>
  %7 = qwen.fused_linear none concat %4 weights(%w) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<4x16xf32, #qwen.rows<S>>, tensor<16x16xbf16>) -> tensor<4x16xf32, #qwen.rows<S>>
  return %5, %6, %7 : tensor<4x16xf32, #qwen.rows<S>>, tensor<4x16xf32, #qwen.rows<S>>, tensor<4x16xf32, #qwen.rows<S>>
}

// One row, a value also read as an extra, a value that is returned: nothing changes.
// CHECK-LABEL: @left_wide
// CHECK-NOT: xbf16, #qwen.rows
// CHECK-NOT: -> tensor<1x16xbf16>
// CHECK: return
func.func @left_wide(%x: tensor<4x16xf32, #qwen.rows<S>>, %y: tensor<1x16xf32>, %n: tensor<16xbf16>, %w: tensor<16x16xbf16>)
    -> (tensor<4x16xf32, #qwen.rows<S>>, tensor<1x16xf32>, tensor<4x16xf32, #qwen.rows<S>>, tensor<4x16xf32, #qwen.rows<S>>) {
  %0 = qwen.rms_norm %x, %n eps 0.125 : (tensor<4x16xf32, #qwen.rows<S>>, tensor<16xbf16>) -> tensor<4x16xf32, #qwen.rows<S>>
  %1 = qwen.fused_linear none concat %0 weights(%w) extras(%0) {
  ^bb0(%a: f32, %b: f32):
    qwen.yield %b : f32
  } : (tensor<4x16xf32, #qwen.rows<S>>, tensor<16x16xbf16>, tensor<4x16xf32, #qwen.rows<S>>) -> tensor<4x16xf32, #qwen.rows<S>>
  %2 = qwen.rms_norm %y, %n eps 0.125 : (tensor<1x16xf32>, tensor<16xbf16>) -> tensor<1x16xf32>
  %3 = qwen.fused_linear none concat %2 weights(%w) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<1x16xf32>, tensor<16x16xbf16>) -> tensor<1x16xf32>
  %4 = qwen.rms_norm %x, %n eps 0.25 : (tensor<4x16xf32, #qwen.rows<S>>, tensor<16xbf16>) -> tensor<4x16xf32, #qwen.rows<S>>
  %5 = qwen.fused_linear none concat %4 weights(%w) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<4x16xf32, #qwen.rows<S>>, tensor<16x16xbf16>) -> tensor<4x16xf32, #qwen.rows<S>>
  return %4, %3, %1, %5 : tensor<4x16xf32, #qwen.rows<S>>, tensor<1x16xf32>, tensor<4x16xf32, #qwen.rows<S>>, tensor<4x16xf32, #qwen.rows<S>>
}

// The router reads the norm in f32, the experts a second, narrow one; what they hand on to the next product is narrow too.
// CHECK-LABEL: @routed
// CHECK-SAME: (%[[X:[^:]*]]: tensor<4x16xf32, #qwen.rows<S>>
// CHECK-DAG: %[[WIDE:.*]] = qwen.rms_norm %[[X]], %{{.*}} -> tensor<4x16xf32, #qwen.rows<S>>
// CHECK-DAG: %[[NARROW:.*]] = qwen.rms_norm %[[X]], %{{.*}} -> tensor<4x16xbf16, #qwen.rows<S>>
// CHECK: %[[L:.*]] = qwen.fused_linear none concat %[[WIDE]]
// CHECK: -> tensor<4x8xf32, #qwen.rows<S>>
// CHECK: qwen.route %[[L]]
// CHECK: %[[H:.*]] = qwen.fused_experts %[[NARROW]]
// CHECK: -> tensor<4x2x6xbf16, #qwen.rows<S>>
// CHECK: qwen.fused_experts %[[H]]
// CHECK: -> tensor<4x2x16xf32, #qwen.rows<S>>
// CHECK: qwen.weighted_sum
func.func @routed(%x: tensor<4x16xf32, #qwen.rows<S>>, %n: tensor<16xbf16>, %r: tensor<8x16xbf16>, %w: tensor<8x6x16xbf16>, %d: tensor<8x16x6xbf16>) -> tensor<4x16xf32, #qwen.rows<S>> {
  %0 = qwen.rms_norm %x, %n eps 0.125 : (tensor<4x16xf32, #qwen.rows<S>>, tensor<16xbf16>) -> tensor<4x16xf32, #qwen.rows<S>>
  %1 = qwen.fused_linear none concat %0 weights(%r) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<4x16xf32, #qwen.rows<S>>, tensor<8x16xbf16>) -> tensor<4x8xf32, #qwen.rows<S>>
  %v, %e = qwen.route %1 : (tensor<4x8xf32, #qwen.rows<S>>) -> (tensor<4x2xf32, #qwen.rows<S>>, tensor<4x2xi32, #qwen.rows<S>>)
  %2 = qwen.fused_experts %0 experts(%e) weights(%w) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<4x16xf32, #qwen.rows<S>>, tensor<4x2xi32, #qwen.rows<S>>, tensor<8x6x16xbf16>) -> tensor<4x2x6xf32, #qwen.rows<S>>
  %3 = qwen.fused_experts %2 experts(%e) weights(%d) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<4x2x6xf32, #qwen.rows<S>>, tensor<4x2xi32, #qwen.rows<S>>, tensor<8x16x6xbf16>) -> tensor<4x2x16xf32, #qwen.rows<S>>
  %4 = qwen.weighted_sum %3, %v : (tensor<4x2x16xf32, #qwen.rows<S>>, tensor<4x2xf32, #qwen.rows<S>>) -> tensor<4x16xf32, #qwen.rows<S>>
  return %4 : tensor<4x16xf32, #qwen.rows<S>>
}

// What callers read stays wide.
// CHECK-LABEL: @exposed
// CHECK: %[[N:.*]] = qwen.rms_norm {{.*}} -> tensor<4x16xf32, #qwen.rows<S>>
// CHECK: qwen.expose %[[N]]
func.func @exposed(%x: tensor<4x16xf32, #qwen.rows<S>>, %n: tensor<16xbf16>, %w: tensor<16x16xbf16>) -> tensor<4x16xf32, #qwen.rows<S>> {
  %0 = qwen.rms_norm %x, %n eps 0.125 : (tensor<4x16xf32, #qwen.rows<S>>, tensor<16xbf16>) -> tensor<4x16xf32, #qwen.rows<S>>
  qwen.expose %0 "norm" : tensor<4x16xf32, #qwen.rows<S>>
  %1 = qwen.fused_linear none concat %0 weights(%w) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<4x16xf32, #qwen.rows<S>>, tensor<16x16xbf16>) -> tensor<4x16xf32, #qwen.rows<S>>
  return %1 : tensor<4x16xf32, #qwen.rows<S>>
}

// Patches and swapped axes move elements as views do; what they move is narrowed with them. Layer norms too.
// CHECK-LABEL: @encoder
// CHECK: qwen.layer_norm %{{.*}} -> tensor<4x16xbf16, #qwen.rows<A>>
// CHECK: qwen.reshape %{{.*}} -> tensor<4x2x8xbf16, #qwen.rows<A>>
// CHECK: qwen.tap_patches %{{.*}} -> tensor<4x72xbf16, #qwen.rows<A>>
// CHECK: } : (tensor<4x72xbf16, #qwen.rows<A>>, tensor<16x72xbf16>) -> tensor<4x16xbf16, #qwen.rows<A>>
// CHECK: qwen.swap_axes %{{.*}} : tensor<4x2x8xbf16, #qwen.rows<A>> -> tensor<4x8x2xbf16, #qwen.rows<A>>
// CHECK: } : (tensor<4x16xbf16, #qwen.rows<A>>, tensor<16x16xbf16>) -> tensor<4x16xf32, #qwen.rows<A>>
func.func @encoder(%x: tensor<4x16xf32, #qwen.rows<A>>, %t: tensor<4x3xi32, #qwen.rows<A>>, %n: tensor<16xbf16>, %w: tensor<16x72xbf16>,
                   %v: tensor<16x16xbf16>) -> tensor<4x16xf32, #qwen.rows<A>> {
  %0 = qwen.layer_norm %x, %n, %n eps 0.125 : (tensor<4x16xf32, #qwen.rows<A>>, tensor<16xbf16>, tensor<16xbf16>) -> tensor<4x16xf32, #qwen.rows<A>>
  %1 = qwen.reshape %0 : tensor<4x16xf32, #qwen.rows<A>> -> tensor<4x2x8xf32, #qwen.rows<A>>
  %2 = qwen.tap_patches %1 taps %t : (tensor<4x2x8xf32, #qwen.rows<A>>, tensor<4x3xi32, #qwen.rows<A>>) -> tensor<4x72xf32, #qwen.rows<A>>
  %3 = qwen.fused_linear none concat %2 weights(%w) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<4x72xf32, #qwen.rows<A>>, tensor<16x72xbf16>) -> tensor<4x16xf32, #qwen.rows<A>>
  %4 = qwen.reshape %3 : tensor<4x16xf32, #qwen.rows<A>> -> tensor<4x2x8xf32, #qwen.rows<A>>
  %5 = qwen.swap_axes %4 : tensor<4x2x8xf32, #qwen.rows<A>> -> tensor<4x8x2xf32, #qwen.rows<A>>
  %6 = qwen.reshape %5 : tensor<4x8x2xf32, #qwen.rows<A>> -> tensor<4x16xf32, #qwen.rows<A>>
  %7 = qwen.fused_linear none concat %6 weights(%v) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<4x16xf32, #qwen.rows<A>>, tensor<16x16xbf16>) -> tensor<4x16xf32, #qwen.rows<A>>
  return %7 : tensor<4x16xf32, #qwen.rows<A>>
}

// Codes of speech follow from what these rows hold.
// CHECK-LABEL: @exact
// CHECK: qwen.rms_norm %{{.*}} -> tensor<4x16xf32, #qwen.rows<S>>
func.func @exact(%x: tensor<4x16xf32, #qwen.rows<S>>, %n: tensor<16xbf16>, %w: tensor<16x16xbf16>) -> tensor<4x16xf32, #qwen.rows<S>> attributes {qwen.exact} {
  %a = qwen.rms_norm %x, %n eps 1.0e-6 : (tensor<4x16xf32, #qwen.rows<S>>, tensor<16xbf16>) -> tensor<4x16xf32, #qwen.rows<S>>
  %y = qwen.fused_linear none concat %a weights(%w) {
  ^bb0(%s: f32):
    qwen.yield %s : f32
  } : (tensor<4x16xf32, #qwen.rows<S>>, tensor<16x16xbf16>) -> tensor<4x16xf32, #qwen.rows<S>>
  return %y : tensor<4x16xf32, #qwen.rows<S>>
}
