// RUN: qwen-opt %s --qwen-fuse-elementwise | FileCheck %s

// CHECK-LABEL: @tree
// CHECK-SAME: (%[[A:.*]]: tensor<4x8xf32, #qwen.rows<S>>, %[[B:.*]]: tensor<4x8xf32, #qwen.rows<S>>)
// CHECK-NEXT: %[[Y:.*]] = qwen.elementwise(%[[A]], %[[B]]) {
// CHECK-NEXT: ^bb0(%[[X:.*]]: f32, %[[Z:.*]]: f32):
// CHECK: arith.divf %[[X]]
// CHECK-NEXT: %[[M:.*]] = arith.mulf %{{.*}}, %[[Z]]
// CHECK-NEXT: qwen.yield %[[M]]
// CHECK: return %[[Y]]
func.func @tree(%a: tensor<4x8xf32, #qwen.rows<S>>, %b: tensor<4x8xf32, #qwen.rows<S>>) -> tensor<4x8xf32, #qwen.rows<S>> {
  %s = qwen.silu %a : tensor<4x8xf32, #qwen.rows<S>>
  %m = qwen.mul %s, %b : tensor<4x8xf32, #qwen.rows<S>>
  return %m : tensor<4x8xf32, #qwen.rows<S>>
}

// An intermediate value that something else reads ends a tree.
// CHECK-LABEL: @two_trees
// CHECK: %[[S:.*]] = qwen.elementwise(%{{.*}}) {
// CHECK: %[[M:.*]] = qwen.elementwise(%[[S]], %{{.*}}) {
// CHECK: return %[[M]], %[[S]]
func.func @two_trees(%a: tensor<4x8xf32>, %b: tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
  %s = qwen.silu %a : tensor<4x8xf32>
  %m = qwen.mul %s, %b : tensor<4x8xf32>
  return %m, %s : tensor<4x8xf32>, tensor<4x8xf32>
}

// A value that is read twice inside one tree is computed once.
// CHECK-LABEL: @shared_inside
// CHECK: qwen.elementwise(%{{[^,]*}}, %{{[^,]*}}) {
// CHECK: %[[S:.*]] = arith.addf
// CHECK-NEXT: %[[M:.*]] = arith.mulf %[[S]], %[[S]]
// CHECK-NOT: qwen.elementwise
func.func @shared_inside(%a: tensor<4x8xf32>, %b: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %s = qwen.add %a, %b : tensor<4x8xf32>
  %m = qwen.mul %s, %s : tensor<4x8xf32>
  return %m : tensor<4x8xf32>
}
