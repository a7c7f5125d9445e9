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

// x / 2 (1 + erf(x / sqrt 2)).
// CHECK-LABEL: @gelu
// CHECK: qwen.elementwise(%{{[^,]*}}) {
// CHECK-NEXT: ^bb0(%[[X:.*]]: f32):
// CHECK-DAG: %[[ROOT:.*]] = arith.constant 0.707106769 : f32
// CHECK-DAG: %[[SCALED:.*]] = arith.mulf %[[X]], %[[ROOT]] : f32
// CHECK: %[[ERF:.*]] = math.erf %[[SCALED]] : f32
// CHECK-DAG: %[[ONE:.*]] = arith.constant 1.000000e+00 : f32
// CHECK-DAG: %[[FACTOR:.*]] = arith.addf %[[ERF]], %[[ONE]] : f32
// CHECK-DAG: %[[HALF:.*]] = arith.constant 5.000000e-01 : f32
// CHECK-DAG: %[[HALVED:.*]] = arith.mulf %[[X]], %[[HALF]] : f32
// CHECK: %[[Y:.*]] = arith.mulf %[[HALVED]], %[[FACTOR]] : f32
// CHECK-NEXT: qwen.yield %[[Y]] : f32
func.func @gelu(%a: tensor<4x8xf32, #qwen.rows<V * 4>>) -> tensor<4x8xf32, #qwen.rows<V * 4>> {
  %g = qwen.gelu %a : tensor<4x8xf32, #qwen.rows<V * 4>>
  return %g : tensor<4x8xf32, #qwen.rows<V * 4>>
}

// x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), with what follows it in the same tree.
// CHECK-LABEL: @gelu_tanh
// CHECK: qwen.elementwise(%{{[^,]*}}, %{{[^,]*}}) {
// CHECK-NEXT: ^bb0(%[[X:.*]]: f32, %[[B:.*]]: f32):
// CHECK-DAG: %[[C:.*]] = arith.constant 4.471500e-02 : f32
// CHECK-DAG: %[[SQUARE:.*]] = arith.mulf %[[X]], %[[X]] : f32
// CHECK-DAG: %[[CX:.*]] = arith.mulf %[[X]], %[[C]] : f32
// CHECK-DAG: %[[CUBE:.*]] = arith.mulf %[[SQUARE]], %[[CX]] : f32
// CHECK: %[[SUM:.*]] = arith.addf %[[X]], %[[CUBE]] : f32
// CHECK-DAG: %[[ROOT:.*]] = arith.constant 0.797884583 : f32
// CHECK-DAG: %[[SCALED:.*]] = arith.mulf %[[SUM]], %[[ROOT]] : f32
// CHECK: %[[TANH:.*]] = math.tanh %[[SCALED]] : f32
// CHECK: %[[FACTOR:.*]] = arith.addf %[[TANH]],
// CHECK: %[[Y:.*]] = arith.mulf %{{.*}}, %[[FACTOR]] : f32
// CHECK-NEXT: %[[Z:.*]] = arith.addf %[[Y]], %[[B]] : f32
// CHECK-NEXT: qwen.yield %[[Z]] : f32
// CHECK-NOT: math.erf
func.func @gelu_tanh(%a: tensor<4x8xf32>, %b: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %g = qwen.gelu tanh %a : tensor<4x8xf32>
  %y = qwen.add %g, %b : tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}
