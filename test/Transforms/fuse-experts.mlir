// RUN: qwen-opt %s --qwen-fuse-experts | FileCheck %s

// Gate and up share a product; the weighted sum of one row and the residual join the product before them.
// CHECK-LABEL: @decode
// CHECK-SAME: (%[[R:.*]]: tensor<1x8xf32>, %[[X:.*]]: tensor<1x8xf32>, %[[E:.*]]: tensor<1x2xi32>, %[[V:.*]]: tensor<1x2xf32>, %[[G:.*]]: tensor<4x6x8xbf16>, %[[U:.*]]: tensor<4x6x8xbf16>, %[[D:.*]]: tensor<4x8x6xbf16>)
// CHECK-NEXT: %[[H:.*]] = qwen.fused_experts %[[X]] experts(%[[E]]) weights(%[[G]], %[[U]]) {
// CHECK-NEXT: ^bb0(%[[GA:.*]]: f32, %[[UA:.*]]: f32):
// CHECK: %[[S:.*]] = arith.divf %[[GA]]
// CHECK-NEXT: %[[M:.*]] = arith.mulf %[[S]], %[[UA]]
// CHECK-NEXT: qwen.yield %[[M]]
// CHECK-NEXT: } : (tensor<1x8xf32>, tensor<1x2xi32>, tensor<4x6x8xbf16>, tensor<4x6x8xbf16>) -> tensor<1x2x6xf32>
// CHECK-NEXT: %[[Y:.*]] = qwen.fused_experts %[[H]] experts(%[[E]]) weights(%[[D]]) sum(%[[V]]) extras(%[[R]]) {
// CHECK-NEXT: ^bb0(%[[A:.*]]: f32, %[[RE:.*]]: f32):
// CHECK-NEXT: %[[Z:.*]] = arith.addf %[[RE]], %[[A]]
// CHECK-NEXT: qwen.yield %[[Z]]
// CHECK-NEXT: } : {{.*}} -> tensor<1x8xf32>
// CHECK-NEXT: return %[[Y]]
func.func @decode(%r: tensor<1x8xf32>, %x: tensor<1x8xf32>, %e: tensor<1x2xi32>, %v: tensor<1x2xf32>,
                  %wg: tensor<4x6x8xbf16>, %wu: tensor<4x6x8xbf16>, %wd: tensor<4x8x6xbf16>) -> tensor<1x8xf32> {
  %g = qwen.expert_linear %x, %e, %wg : (tensor<1x8xf32>, tensor<1x2xi32>, tensor<4x6x8xbf16>) -> tensor<1x2x6xf32>
  %u = qwen.expert_linear %x, %e, %wu : (tensor<1x8xf32>, tensor<1x2xi32>, tensor<4x6x8xbf16>) -> tensor<1x2x6xf32>
  %s = qwen.silu %g : tensor<1x2x6xf32>
  %m = qwen.mul %s, %u : tensor<1x2x6xf32>
  %d = qwen.expert_linear %m, %e, %wd : (tensor<1x2x6xf32>, tensor<1x2xi32>, tensor<4x8x6xbf16>) -> tensor<1x2x8xf32>
  %y = qwen.weighted_sum %d, %v : (tensor<1x2x8xf32>, tensor<1x2xf32>) -> tensor<1x8xf32>
  %z = qwen.add %r, %y : tensor<1x8xf32>
  return %z : tensor<1x8xf32>
}

// The weighted sum of many rows is a step of its own.
// CHECK-LABEL: @prefill
// CHECK: %[[D:.*]] = qwen.fused_experts %{{.*}} experts(%{{.*}}) weights(%{{.*}}) {
// CHECK: %[[S:.*]] = qwen.weighted_sum %[[D]]
// CHECK: qwen.add %{{.*}}, %[[S]]
func.func @prefill(%r: tensor<4x8xf32, #qwen.rows<S>>, %h: tensor<4x2x6xf32, #qwen.rows<S>>, %e: tensor<4x2xi32, #qwen.rows<S>>, %v: tensor<4x2xf32, #qwen.rows<S>>, %w: tensor<4x8x6xbf16>) -> tensor<4x8xf32, #qwen.rows<S>> {
  %d = qwen.expert_linear %h, %e, %w : (tensor<4x2x6xf32, #qwen.rows<S>>, tensor<4x2xi32, #qwen.rows<S>>, tensor<4x8x6xbf16>) -> tensor<4x2x8xf32, #qwen.rows<S>>
  %y = qwen.weighted_sum %d, %v : (tensor<4x2x8xf32, #qwen.rows<S>>, tensor<4x2xf32, #qwen.rows<S>>) -> tensor<4x8xf32, #qwen.rows<S>>
  %z = qwen.add %r, %y : tensor<4x8xf32, #qwen.rows<S>>
  return %z : tensor<4x8xf32, #qwen.rows<S>>
}

// A sum without elementwise operations behind it joins as well.
// CHECK-LABEL: @bare_sum
// CHECK: qwen.fused_experts %{{.*}} sum(%{{.*}}) {
// CHECK-NEXT: ^bb0(%[[A:.*]]: f32):
// CHECK-NEXT: qwen.yield %[[A]]
// CHECK-NOT: qwen.weighted_sum
// CHECK: return
func.func @bare_sum(%h: tensor<1x2x6xf32>, %e: tensor<1x2xi32>, %v: tensor<1x2xf32>, %w: tensor<4x8x6xbf16>) -> tensor<1x8xf32> {
  %d = qwen.expert_linear %h, %e, %w : (tensor<1x2x6xf32>, tensor<1x2xi32>, tensor<4x8x6xbf16>) -> tensor<1x2x8xf32>
  %y = qwen.weighted_sum %d, %v : (tensor<1x2x8xf32>, tensor<1x2xf32>) -> tensor<1x8xf32>
  return %y : tensor<1x8xf32>
}

// One row that a symbol counts may be absent.
// CHECK-LABEL: @counted_row
// CHECK: qwen.weighted_sum
func.func @counted_row(%h: tensor<1x2x6xf32, #qwen.rows<S>>, %e: tensor<1x2xi32, #qwen.rows<S>>, %v: tensor<1x2xf32, #qwen.rows<S>>, %w: tensor<4x8x6xbf16>) -> tensor<1x8xf32, #qwen.rows<S>> {
  %d = qwen.expert_linear %h, %e, %w : (tensor<1x2x6xf32, #qwen.rows<S>>, tensor<1x2xi32, #qwen.rows<S>>, tensor<4x8x6xbf16>) -> tensor<1x2x8xf32, #qwen.rows<S>>
  %y = qwen.weighted_sum %d, %v : (tensor<1x2x8xf32, #qwen.rows<S>>, tensor<1x2xf32, #qwen.rows<S>>) -> tensor<1x8xf32, #qwen.rows<S>>
  return %y : tensor<1x8xf32, #qwen.rows<S>>
}

// What has another reader is written out: a gate, a product before the sum, a sum.
// CHECK-LABEL: @read_elsewhere
// CHECK: %[[G:.*]] = qwen.fused_experts %{{.*}} weights(%{{[a-z0-9]*}}) {
// CHECK: %[[M:.*]] = qwen.fused_experts %{{.*}} weights(%{{[a-z0-9]*}}) extras(%[[G]]) {
// CHECK: %[[D:.*]] = qwen.fused_experts %[[M]]
// CHECK: %[[Y:.*]] = qwen.weighted_sum %[[D]]
// CHECK: return %[[G]], %[[D]], %[[Y]]
func.func @read_elsewhere(%x: tensor<1x8xf32>, %e: tensor<1x2xi32>, %v: tensor<1x2xf32>, %wg: tensor<4x6x8xbf16>,
                          %wu: tensor<4x6x8xbf16>, %wd: tensor<4x8x6xbf16>) -> (tensor<1x2x6xf32>, tensor<1x2x8xf32>, tensor<1x8xf32>) {
  %g = qwen.expert_linear %x, %e, %wg : (tensor<1x8xf32>, tensor<1x2xi32>, tensor<4x6x8xbf16>) -> tensor<1x2x6xf32>
  %u = qwen.expert_linear %x, %e, %wu : (tensor<1x8xf32>, tensor<1x2xi32>, tensor<4x6x8xbf16>) -> tensor<1x2x6xf32>
  %m = qwen.mul %g, %u : tensor<1x2x6xf32>
  %d = qwen.expert_linear %m, %e, %wd : (tensor<1x2x6xf32>, tensor<1x2xi32>, tensor<4x8x6xbf16>) -> tensor<1x2x8xf32>
  %y = qwen.weighted_sum %d, %v : (tensor<1x2x8xf32>, tensor<1x2xf32>) -> tensor<1x8xf32>
  return %g, %d, %y : tensor<1x2x6xf32>, tensor<1x2x8xf32>, tensor<1x8xf32>
}

// Products of other choices do not mix: the second is an extra of the first.
// CHECK-LABEL: @two_choices
// CHECK: %[[B:.*]] = qwen.fused_experts %{{.*}} experts(%{{.*}}) weights(%{{[a-z0-9]*}}) {
// CHECK: qwen.fused_experts %{{.*}} experts(%{{.*}}) weights(%{{[a-z0-9]*}}) extras(%[[B]]) {
// CHECK-NOT: qwen.expert_linear
func.func @two_choices(%x: tensor<1x8xf32>, %e: tensor<1x2xi32>, %f: tensor<1x2xi32>, %w: tensor<4x6x8xbf16>) -> tensor<1x2x6xf32> {
  %a = qwen.expert_linear %x, %e, %w : (tensor<1x8xf32>, tensor<1x2xi32>, tensor<4x6x8xbf16>) -> tensor<1x2x6xf32>
  %b = qwen.expert_linear %x, %f, %w : (tensor<1x8xf32>, tensor<1x2xi32>, tensor<4x6x8xbf16>) -> tensor<1x2x6xf32>
  %y = qwen.add %a, %b : tensor<1x2x6xf32>
  return %y : tensor<1x2x6xf32>
}
