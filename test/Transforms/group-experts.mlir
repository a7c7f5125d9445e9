// RUN: qwen-opt %s --qwen-group-experts=tile=2 | FileCheck %s
// RUN: not qwen-opt %s --qwen-group-experts=tile=0 2>&1 | FileCheck %s --check-prefix=TILE

// TILE: error: tile is 0, expected a positive number

// Products of one choice share its groups: eight choices in tiles of two, at most one more tile for each expert.
// CHECK-LABEL: @shared
// CHECK-SAME: (%[[X:.*]]: tensor<4x8xf32, #qwen.rows<S>>, %[[L:[^:]*]]: tensor<4x3xf32, #qwen.rows<S>>
// CHECK-NEXT: %[[V:.*]], %[[E:.*]] = qwen.route %[[L]]
// CHECK-NEXT: %[[O:.*]], %[[T:.*]] = qwen.group_experts %[[E]] count 3 tile 2 : (tensor<4x2xi32, #qwen.rows<S>>) -> (tensor<8xi32>, tensor<7x4xi32>)
// CHECK-NEXT: %[[H:.*]] = qwen.fused_experts %[[X]] experts(%[[E]]) weights(%{{.*}}) grouped(%[[O]], %[[T]]) {
// CHECK: qwen.fused_experts %[[H]] experts(%[[E]]) weights(%{{.*}}) grouped(%[[O]], %[[T]]) {
// CHECK-NOT: qwen.group_experts
// CHECK: return
func.func @shared(%x: tensor<4x8xf32, #qwen.rows<S>>, %l: tensor<4x3xf32, #qwen.rows<S>>, %w: tensor<3x6x8xbf16>, %d: tensor<3x8x6xbf16>) -> tensor<4x2x8xf32, #qwen.rows<S>> {
  %v, %e = qwen.route %l : (tensor<4x3xf32, #qwen.rows<S>>) -> (tensor<4x2xf32, #qwen.rows<S>>, tensor<4x2xi32, #qwen.rows<S>>)
  %h = qwen.fused_experts %x experts(%e) weights(%w) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<4x8xf32, #qwen.rows<S>>, tensor<4x2xi32, #qwen.rows<S>>, tensor<3x6x8xbf16>) -> tensor<4x2x6xf32, #qwen.rows<S>>
  %y = qwen.fused_experts %h experts(%e) weights(%d) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<4x2x6xf32, #qwen.rows<S>>, tensor<4x2xi32, #qwen.rows<S>>, tensor<3x8x6xbf16>) -> tensor<4x2x8xf32, #qwen.rows<S>>
  return %y : tensor<4x2x8xf32, #qwen.rows<S>>
}

// Two choices have groups each; one row needs none.
// CHECK-LABEL: @apart
// CHECK-COUNT-2: qwen.group_experts
// CHECK-NOT: qwen.group_experts
// CHECK: qwen.fused_experts %{{.*}} experts(%{{.*}}) weights(%{{[a-z0-9]*}}) {
// CHECK-NEXT: ^bb0
// CHECK-NEXT: qwen.yield
// CHECK-NEXT: } : (tensor<1x8xf32>
func.func @apart(%x: tensor<4x8xf32>, %e: tensor<4x2xi32>, %f: tensor<4x2xi32>, %x1: tensor<1x8xf32>, %e1: tensor<1x2xi32>, %w: tensor<3x6x8xbf16>)
    -> (tensor<4x2x6xf32>, tensor<4x2x6xf32>, tensor<1x2x6xf32>) {
  %0 = qwen.fused_experts %x experts(%e) weights(%w) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<4x8xf32>, tensor<4x2xi32>, tensor<3x6x8xbf16>) -> tensor<4x2x6xf32>
  %1 = qwen.fused_experts %x experts(%f) weights(%w) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<4x8xf32>, tensor<4x2xi32>, tensor<3x6x8xbf16>) -> tensor<4x2x6xf32>
  %2 = qwen.fused_experts %x1 experts(%e1) weights(%w) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<1x8xf32>, tensor<1x2xi32>, tensor<3x6x8xbf16>) -> tensor<1x2x6xf32>
  return %0, %1, %2 : tensor<4x2x6xf32>, tensor<4x2x6xf32>, tensor<1x2x6xf32>
}
