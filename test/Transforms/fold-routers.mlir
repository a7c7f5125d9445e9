// RUN: qwen-opt %s --qwen-fold-routers="read-bytes-per-ns=1000 step-overhead-ns=1000" --split-input-file | FileCheck %s
// RUN: qwen-opt %s --qwen-fold-routers="read-bytes-per-ns=1 step-overhead-ns=10" --split-input-file | FileCheck %s --check-prefix=SLOW

// The bytes of the wider matrix take longer than a step.
// SLOW-NOT: folded

// The router runs beside the projection; both entries share the folded weights, which a third one makes.
// CHECK: qwen.state @"folded(r,w,o)" : tensor<4x24xf32> derived
// CHECK-LABEL: @greedy
// CHECK: %[[F:.*]] = qwen.read_state @"folded(r,w,o)"
// CHECK: %[[L:.*]] = qwen.folded_router %arg0, %arg1, %[[F]]
// CHECK: %[[H:.*]] = qwen.fused_linear combine_splits
// CHECK-NOT: qwen.fused_linear
// CHECK: qwen.route %[[L]] folded normalize joined
// CHECK: qwen.fused_experts %[[H]]
// CHECK-LABEL: @sample
// CHECK: qwen.folded_router
// CHECK-LABEL: func.func @prepare() attributes {qwen.role = "prepare", qwen.rows = 1 : i64}
// CHECK: %[[S:.*]] = qwen.read_state @"folded(r,w,o)"
// CHECK: qwen.fold_linears %[[S]], %{{.*}} norm(%{{.*}}) %{{.*}}
// CHECK-NOT: qwen.fold_linears
qwen.parameter @r : tensor<4x8xbf16> file 0 offset 0
qwen.parameter @w : tensor<8xbf16> file 0 offset 0
qwen.parameter @o : tensor<8x16xbf16> file 0 offset 0
func.func @greedy(%a: tensor<2x3x10xf32>, %x: tensor<1x8xf32>, %g: tensor<4x6x8xbf16>) -> tensor<1x2x6xf32> {
  %r = qwen.weight @r : tensor<4x8xbf16>
  %w = qwen.weight @w : tensor<8xbf16>
  %o = qwen.weight @o : tensor<8x16xbf16>
  %h = qwen.fused_linear combine_splits concat %a weights(%o) extras(%x) {
  ^bb0(%acc: f32, %e: f32):
    %s = arith.addf %e, %acc : f32
    qwen.yield %s : f32
  } : (tensor<2x3x10xf32>, tensor<8x16xbf16>, tensor<1x8xf32>) -> tensor<1x8xf32>
  %l = qwen.fused_linear rms_norm concat %h weights(%r) norm(%w eps 1.0e-6) {
  ^bb0(%acc: f32):
    qwen.yield %acc : f32
  } : (tensor<1x8xf32>, tensor<4x8xbf16>, tensor<8xbf16>) -> tensor<1x4xf32>
  %p, %e = qwen.route %l normalize joined : (tensor<1x4xf32>) -> (tensor<1x2xf32>, tensor<1x2xi32>)
  %y = qwen.fused_experts %h experts(%e) weights(%g) norm(%w eps 1.0e-6) {
  ^bb0(%acc: f32):
    qwen.yield %acc : f32
  } : (tensor<1x8xf32>, tensor<1x2xi32>, tensor<4x6x8xbf16>, tensor<8xbf16>) -> tensor<1x2x6xf32>
  return %y : tensor<1x2x6xf32>
}
func.func @sample(%a: tensor<2x3x10xf32>, %x: tensor<1x8xf32>, %g: tensor<4x6x8xbf16>) -> tensor<1x2x6xf32> {
  %r = qwen.weight @r : tensor<4x8xbf16>
  %w = qwen.weight @w : tensor<8xbf16>
  %o = qwen.weight @o : tensor<8x16xbf16>
  %h = qwen.fused_linear combine_splits concat %a weights(%o) extras(%x) {
  ^bb0(%acc: f32, %e: f32):
    %s = arith.addf %acc, %e : f32
    qwen.yield %s : f32
  } : (tensor<2x3x10xf32>, tensor<8x16xbf16>, tensor<1x8xf32>) -> tensor<1x8xf32>
  %l = qwen.fused_linear rms_norm concat %h weights(%r) norm(%w eps 1.0e-6) {
  ^bb0(%acc: f32):
    qwen.yield %acc : f32
  } : (tensor<1x8xf32>, tensor<4x8xbf16>, tensor<8xbf16>) -> tensor<1x4xf32>
  %p, %e = qwen.route %l normalize joined : (tensor<1x4xf32>) -> (tensor<1x2xf32>, tensor<1x2xi32>)
  %y = qwen.fused_experts %h experts(%e) weights(%g) norm(%w eps 1.0e-6) {
  ^bb0(%acc: f32):
    qwen.yield %acc : f32
  } : (tensor<1x8xf32>, tensor<1x2xi32>, tensor<4x6x8xbf16>, tensor<8xbf16>) -> tensor<1x2x6xf32>
  return %y : tensor<1x2x6xf32>
}

// -----

// What the experts read is not what the router reads, or their norm is another: the factor is not known there.
// CHECK-LABEL: @other_norm
// CHECK-NOT: folded
qwen.parameter @r : tensor<4x8xbf16> file 0 offset 0
qwen.parameter @w : tensor<8xbf16> file 0 offset 0
qwen.parameter @v : tensor<8xbf16> file 0 offset 0
qwen.parameter @o : tensor<8x16xbf16> file 0 offset 0
func.func @other_norm(%a: tensor<1x16xf32>, %x: tensor<1x8xf32>, %g: tensor<4x6x8xbf16>) -> tensor<1x2x6xf32> {
  %r = qwen.weight @r : tensor<4x8xbf16>
  %w = qwen.weight @w : tensor<8xbf16>
  %v = qwen.weight @v : tensor<8xbf16>
  %o = qwen.weight @o : tensor<8x16xbf16>
  %h = qwen.fused_linear none concat %a weights(%o) extras(%x) {
  ^bb0(%acc: f32, %e: f32):
    %s = arith.addf %e, %acc : f32
    qwen.yield %s : f32
  } : (tensor<1x16xf32>, tensor<8x16xbf16>, tensor<1x8xf32>) -> tensor<1x8xf32>
  %l = qwen.fused_linear rms_norm concat %h weights(%r) norm(%w eps 1.0e-6) {
  ^bb0(%acc: f32):
    qwen.yield %acc : f32
  } : (tensor<1x8xf32>, tensor<4x8xbf16>, tensor<8xbf16>) -> tensor<1x4xf32>
  %p, %e = qwen.route %l normalize joined : (tensor<1x4xf32>) -> (tensor<1x2xf32>, tensor<1x2xi32>)
  %y = qwen.fused_experts %h experts(%e) weights(%g) norm(%v eps 1.0e-6) {
  ^bb0(%acc: f32):
    qwen.yield %acc : f32
  } : (tensor<1x8xf32>, tensor<1x2xi32>, tensor<4x6x8xbf16>, tensor<8xbf16>) -> tensor<1x2x6xf32>
  return %y : tensor<1x2x6xf32>
}

// -----

// The projection's result is scaled: that is no sum with the residual.
// CHECK-LABEL: @no_sum
// CHECK-NOT: folded
qwen.parameter @r : tensor<4x8xbf16> file 0 offset 0
qwen.parameter @w : tensor<8xbf16> file 0 offset 0
qwen.parameter @o : tensor<8x16xbf16> file 0 offset 0
func.func @no_sum(%a: tensor<1x16xf32>, %x: tensor<1x8xf32>, %g: tensor<4x6x8xbf16>) -> tensor<1x2x6xf32> {
  %r = qwen.weight @r : tensor<4x8xbf16>
  %w = qwen.weight @w : tensor<8xbf16>
  %o = qwen.weight @o : tensor<8x16xbf16>
  %h = qwen.fused_linear none concat %a weights(%o) extras(%x) {
  ^bb0(%acc: f32, %e: f32):
    %s = arith.mulf %e, %acc : f32
    qwen.yield %s : f32
  } : (tensor<1x16xf32>, tensor<8x16xbf16>, tensor<1x8xf32>) -> tensor<1x8xf32>
  %l = qwen.fused_linear rms_norm concat %h weights(%r) norm(%w eps 1.0e-6) {
  ^bb0(%acc: f32):
    qwen.yield %acc : f32
  } : (tensor<1x8xf32>, tensor<4x8xbf16>, tensor<8xbf16>) -> tensor<1x4xf32>
  %p, %e = qwen.route %l normalize joined : (tensor<1x4xf32>) -> (tensor<1x2xf32>, tensor<1x2xi32>)
  %y = qwen.fused_experts %h experts(%e) weights(%g) norm(%w eps 1.0e-6) {
  ^bb0(%acc: f32):
    qwen.yield %acc : f32
  } : (tensor<1x8xf32>, tensor<1x2xi32>, tensor<4x6x8xbf16>, tensor<8xbf16>) -> tensor<1x2x6xf32>
  return %y : tensor<1x2x6xf32>
}

// -----

// A weight has the name of the entry that folds.
// CHECK: qwen.state @"folded(r,prepare,o)"
// CHECK-LABEL: @weight_called_prepare
// CHECK: qwen.folded_router
// CHECK-LABEL: func.func @prepare_0() attributes {qwen.role = "prepare", qwen.rows = 1 : i64}
// CHECK: qwen.fold_linears
qwen.parameter @r : tensor<4x8xbf16> file 0 offset 0
qwen.parameter @prepare : tensor<8xbf16> file 0 offset 0
qwen.parameter @o : tensor<8x16xbf16> file 0 offset 0
func.func @weight_called_prepare(%a: tensor<2x3x10xf32>, %x: tensor<1x8xf32>, %g: tensor<4x6x8xbf16>) -> tensor<1x2x6xf32> {
  %r = qwen.weight @r : tensor<4x8xbf16>
  %w = qwen.weight @prepare : tensor<8xbf16>
  %o = qwen.weight @o : tensor<8x16xbf16>
  %h = qwen.fused_linear combine_splits concat %a weights(%o) extras(%x) {
  ^bb0(%acc: f32, %e: f32):
    %s = arith.addf %e, %acc : f32
    qwen.yield %s : f32
  } : (tensor<2x3x10xf32>, tensor<8x16xbf16>, tensor<1x8xf32>) -> tensor<1x8xf32>
  %l = qwen.fused_linear rms_norm concat %h weights(%r) norm(%w eps 1.0e-6) {
  ^bb0(%acc: f32):
    qwen.yield %acc : f32
  } : (tensor<1x8xf32>, tensor<4x8xbf16>, tensor<8xbf16>) -> tensor<1x4xf32>
  %p, %e = qwen.route %l normalize joined : (tensor<1x4xf32>) -> (tensor<1x2xf32>, tensor<1x2xi32>)
  %y = qwen.fused_experts %h experts(%e) weights(%g) norm(%w eps 1.0e-6) {
  ^bb0(%acc: f32):
    qwen.yield %acc : f32
  } : (tensor<1x8xf32>, tensor<1x2xi32>, tensor<4x6x8xbf16>, tensor<8xbf16>) -> tensor<1x2x6xf32>
  return %y : tensor<1x2x6xf32>
}
