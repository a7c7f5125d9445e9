// RUN: qwen-opt %s --qwen-fuse-prologue | FileCheck %s

// A norm with two readers joins both and disappears.
// CHECK-LABEL: @norm
// CHECK-SAME: (%[[X:.*]]: tensor<1x8xf32>, %[[N:.*]]: tensor<8xbf16>, %[[W:.*]]: tensor<8x8xbf16>)
// CHECK-NEXT: qwen.fused_linear rms_norm concat %[[X]] weights(%[[W]]) norm(%[[N]] eps 1.250000e-01) {
// CHECK: qwen.fused_linear rms_norm concat %[[X]] weights(%[[W]]) norm(%[[N]] eps 1.250000e-01) extras(%[[X]]) {
// CHECK-NOT: qwen.rms_norm
func.func @norm(%x: tensor<1x8xf32>, %n: tensor<8xbf16>, %w: tensor<8x8xbf16>) -> (tensor<1x8xf32>, tensor<1x8xf32>) {
  %0 = qwen.rms_norm %x, %n eps 0.125 : (tensor<1x8xf32>, tensor<8xbf16>) -> tensor<1x8xf32>
  %1 = qwen.fused_linear none concat %0 weights(%w) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<1x8xf32>, tensor<8x8xbf16>) -> tensor<1x8xf32>
  %2 = qwen.fused_linear none concat %0 weights(%w) extras(%x) {
  ^bb0(%a: f32, %b: f32):
    %s = arith.addf %a, %b : f32
    qwen.yield %s : f32
  } : (tensor<1x8xf32>, tensor<8x8xbf16>, tensor<1x8xf32>) -> tensor<1x8xf32>
  return %1, %2 : tensor<1x8xf32>, tensor<1x8xf32>
}

// A norm that something else reads as well stays for that.
// CHECK-LABEL: @norm_read_elsewhere
// CHECK: %[[N:.*]] = qwen.rms_norm
// CHECK: qwen.fused_linear rms_norm concat
// CHECK: return %[[N]]
func.func @norm_read_elsewhere(%x: tensor<1x8xf32>, %n: tensor<8xbf16>, %w: tensor<8x8xbf16>) -> (tensor<1x8xf32>, tensor<1x8xf32>) {
  %0 = qwen.rms_norm %x, %n eps 0.125 : (tensor<1x8xf32>, tensor<8xbf16>) -> tensor<1x8xf32>
  %1 = qwen.fused_linear none concat %0 weights(%w) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<1x8xf32>, tensor<8x8xbf16>) -> tensor<1x8xf32>
  return %0, %1 : tensor<1x8xf32>, tensor<1x8xf32>
}

// CHECK-LABEL: @splits
// CHECK-SAME: (%[[P:.*]]: tensor<2x3x6xf32>
// CHECK-NEXT: qwen.fused_linear combine_splits concat %[[P]] weights(%{{.*}}) {
// CHECK-NOT: qwen.combine_splits
func.func @splits(%p: tensor<2x3x6xf32>, %w: tensor<4x8xbf16>) -> tensor<1x4xf32> {
  %0 = qwen.combine_splits %p : tensor<2x3x6xf32> -> tensor<1x8xf32>
  %1 = qwen.fused_linear none concat %0 weights(%w) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<1x8xf32>, tensor<4x8xbf16>) -> tensor<1x4xf32>
  return %1 : tensor<1x4xf32>
}

// With many rows the norm is a step of its own: a product reads its input rows many times.
// CHECK-LABEL: @many_rows
// CHECK: qwen.rms_norm
// CHECK: qwen.fused_linear none concat
func.func @many_rows(%x: tensor<4x8xf32, #qwen.rows<S>>, %n: tensor<8xbf16>, %w: tensor<8x8xbf16>) -> tensor<4x8xf32, #qwen.rows<S>> {
  %0 = qwen.rms_norm %x, %n eps 0.125 : (tensor<4x8xf32, #qwen.rows<S>>, tensor<8xbf16>) -> tensor<4x8xf32, #qwen.rows<S>>
  %1 = qwen.fused_linear none concat %0 weights(%w) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<4x8xf32, #qwen.rows<S>>, tensor<8x8xbf16>) -> tensor<4x8xf32, #qwen.rows<S>>
  return %1 : tensor<4x8xf32, #qwen.rows<S>>
}

// A product has one prologue.
// CHECK-LABEL: @norm_of_norm
// CHECK: %[[N:.*]] = qwen.rms_norm
// CHECK: qwen.fused_linear rms_norm concat %[[N]]
func.func @norm_of_norm(%x: tensor<1x8xf32>, %n: tensor<8xbf16>, %w: tensor<8x8xbf16>) -> tensor<1x8xf32> {
  %0 = qwen.rms_norm %x, %n eps 0.125 : (tensor<1x8xf32>, tensor<8xbf16>) -> tensor<1x8xf32>
  %1 = qwen.rms_norm %0, %n eps 0.25 : (tensor<1x8xf32>, tensor<8xbf16>) -> tensor<1x8xf32>
  %2 = qwen.fused_linear none concat %1 weights(%w) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<1x8xf32>, tensor<8x8xbf16>) -> tensor<1x8xf32>
  return %2 : tensor<1x8xf32>
}

// The norm of one row joins the router and the experts; an input of its own for each choice is no normalised row.
// CHECK-LABEL: @experts
// CHECK-SAME: (%[[X:.*]]: tensor<1x8xf32>, %[[N:[^:]*]]: tensor<8xbf16>
// CHECK: qwen.fused_linear rms_norm concat %[[X]]
// CHECK: %[[H:.*]] = qwen.fused_experts %[[X]] experts(%{{.*}}) weights(%{{.*}}) norm(%[[N]] eps 1.250000e-01) {
// CHECK: qwen.fused_experts %[[H]] experts(%{{.*}}) weights(%{{[a-z0-9]*}}) {
// CHECK-NOT: qwen.rms_norm
// CHECK: return
func.func @experts(%x: tensor<1x8xf32>, %n: tensor<8xbf16>, %r: tensor<4x8xbf16>, %w: tensor<4x6x8xbf16>, %d: tensor<4x8x6xbf16>) -> tensor<1x2x8xf32> {
  %0 = qwen.rms_norm %x, %n eps 0.125 : (tensor<1x8xf32>, tensor<8xbf16>) -> tensor<1x8xf32>
  %1 = qwen.fused_linear none concat %0 weights(%r) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<1x8xf32>, tensor<4x8xbf16>) -> tensor<1x4xf32>
  %v, %e = qwen.route %1 : (tensor<1x4xf32>) -> (tensor<1x2xf32>, tensor<1x2xi32>)
  %2 = qwen.fused_experts %0 experts(%e) weights(%w) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<1x8xf32>, tensor<1x2xi32>, tensor<4x6x8xbf16>) -> tensor<1x2x6xf32>
  %3 = qwen.fused_experts %2 experts(%e) weights(%d) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<1x2x6xf32>, tensor<1x2xi32>, tensor<4x8x6xbf16>) -> tensor<1x2x8xf32>
  return %3 : tensor<1x2x8xf32>
}

// Experts of many rows read the norm.
// CHECK-LABEL: @rows_of_experts
// CHECK: %[[N:.*]] = qwen.rms_norm
// CHECK: qwen.fused_experts %[[N]]
func.func @rows_of_experts(%x: tensor<4x8xf32>, %n: tensor<8xbf16>, %e: tensor<4x2xi32>, %w: tensor<4x6x8xbf16>) -> tensor<4x2x6xf32> {
  %0 = qwen.rms_norm %x, %n eps 0.125 : (tensor<4x8xf32>, tensor<8xbf16>) -> tensor<4x8xf32>
  %1 = qwen.fused_experts %0 experts(%e) weights(%w) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<4x8xf32>, tensor<4x2xi32>, tensor<4x6x8xbf16>) -> tensor<4x2x6xf32>
  return %1 : tensor<4x2x6xf32>
}
