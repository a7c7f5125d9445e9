// RUN: qwen-opt %s --qwen-join-route | FileCheck %s
// RUN: qwen-opt %s --qwen-join-route=max-experts=8 | FileCheck %s --check-prefix=FEW

// The first reader has a result for each choice: it chooses, also for the sum behind it.
// CHECK-LABEL: @first_product
// CHECK: qwen.route %{{.*}} normalize joined : (tensor<1x16xf32>)
// FEW-LABEL: @first_product
// FEW-NOT: joined
func.func @first_product(%l: tensor<1x16xf32>, %x: tensor<1x8xf32>, %g: tensor<16x6x8xbf16>, %d: tensor<16x8x6xbf16>)
    -> tensor<1x8xf32> {
  %w, %e = qwen.route %l normalize : (tensor<1x16xf32>) -> (tensor<1x4xf32>, tensor<1x4xi32>)
  %h = qwen.fused_experts %x experts(%e) weights(%g) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<1x8xf32>, tensor<1x4xi32>, tensor<16x6x8xbf16>) -> tensor<1x4x6xf32>
  %y = qwen.fused_experts %h experts(%e) weights(%d) sum(%w) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<1x4x6xf32>, tensor<1x4xi32>, tensor<16x8x6xbf16>, tensor<1x4xf32>) -> tensor<1x8xf32>
  return %y : tensor<1x8xf32>
}

// A sum needs all experts in each of its workgroups: the choice stays a step.
// CHECK-LABEL: @sum_first
// CHECK-NOT: joined
func.func @sum_first(%l: tensor<1x16xf32>, %h: tensor<1x4x6xf32>, %d: tensor<16x8x6xbf16>) -> tensor<1x8xf32> {
  %w, %e = qwen.route %l : (tensor<1x16xf32>) -> (tensor<1x4xf32>, tensor<1x4xi32>)
  %y = qwen.fused_experts %h experts(%e) weights(%d) sum(%w) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<1x4x6xf32>, tensor<1x4xi32>, tensor<16x8x6xbf16>, tensor<1x4xf32>) -> tensor<1x8xf32>
  return %y : tensor<1x8xf32>
}

// Many rows are sorted by expert first.
// CHECK-LABEL: @many_rows
// CHECK-NOT: joined
func.func @many_rows(%l: tensor<4x16xf32, #qwen.rows<S>>, %x: tensor<4x8xf32, #qwen.rows<S>>, %g: tensor<16x6x8xbf16>)
    -> tensor<4x2x6xf32, #qwen.rows<S>> {
  %w, %e = qwen.route %l : (tensor<4x16xf32, #qwen.rows<S>>) -> (tensor<4x2xf32, #qwen.rows<S>>, tensor<4x2xi32, #qwen.rows<S>>)
  %h = qwen.fused_experts %x experts(%e) weights(%g) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<4x8xf32, #qwen.rows<S>>, tensor<4x2xi32, #qwen.rows<S>>, tensor<16x6x8xbf16>) -> tensor<4x2x6xf32, #qwen.rows<S>>
  return %h : tensor<4x2x6xf32, #qwen.rows<S>>
}
