// RUN: qwen-opt %s --qwen-fuse-parallel-linears | FileCheck %s

// CHECK-LABEL: @gate_up
// CHECK-SAME: (%[[X:.*]]: tensor<4x8xf32, #qwen.rows<S>>, %[[WG:.*]]: tensor<16x8xbf16>, %[[WU:.*]]: tensor<16x8xbf16>)
// CHECK-NEXT: %[[Y:.*]] = qwen.fused_linear none parallel %[[X]] weights(%[[WG]], %[[WU]]) {
// CHECK-NEXT: ^bb0(%[[G:.*]]: f32, %[[U:.*]]: f32):
// CHECK-NEXT: %[[ONE:.*]] = arith.constant 1.000000e+00
// CHECK-NEXT: %[[NEG:.*]] = arith.negf %[[G]]
// CHECK-NEXT: %[[EXP:.*]] = math.exp %[[NEG]]
// CHECK-NEXT: %[[DEN:.*]] = arith.addf %[[ONE]], %[[EXP]]
// CHECK-NEXT: %[[SILU:.*]] = arith.divf %[[G]], %[[DEN]]
// CHECK-NEXT: %[[M:.*]] = arith.mulf %[[SILU]], %[[U]]
// CHECK-NEXT: qwen.yield %[[M]]
// CHECK: return %[[Y]]
func.func @gate_up(%x: tensor<4x8xf32, #qwen.rows<S>>, %wg: tensor<16x8xbf16>, %wu: tensor<16x8xbf16>) -> tensor<4x16xf32, #qwen.rows<S>> {
  %g = qwen.linear %x, %wg : (tensor<4x8xf32, #qwen.rows<S>>, tensor<16x8xbf16>) -> tensor<4x16xf32, #qwen.rows<S>>
  %u = qwen.linear %x, %wu : (tensor<4x8xf32, #qwen.rows<S>>, tensor<16x8xbf16>) -> tensor<4x16xf32, #qwen.rows<S>>
  %s = qwen.silu %g : tensor<4x16xf32, #qwen.rows<S>>
  %m = qwen.mul %s, %u : tensor<4x16xf32, #qwen.rows<S>>
  return %m : tensor<4x16xf32, #qwen.rows<S>>
}

// The rest of the tree comes along; what is no linear of this input is an extra.
// CHECK-LABEL: @with_extra
// CHECK-SAME: (%[[X:.*]]: tensor<1x8xf32>, %[[R:.*]]: tensor<1x8xf32>
// CHECK: qwen.fused_linear none parallel %[[X]] weights(%{{.*}}, %{{.*}}) extras(%[[R]]) {
// CHECK-NEXT: ^bb0(%[[A:.*]]: f32, %[[B:.*]]: f32, %[[E:.*]]: f32):
// CHECK-NEXT: %[[M:.*]] = arith.mulf %[[A]], %[[B]]
// CHECK-NEXT: %[[S:.*]] = arith.addf %[[E]], %[[M]]
// CHECK-NEXT: qwen.yield %[[S]]
func.func @with_extra(%x: tensor<1x8xf32>, %r: tensor<1x8xf32>, %w: tensor<8x8xbf16>) -> tensor<1x8xf32> {
  %a = qwen.linear %x, %w : (tensor<1x8xf32>, tensor<8x8xbf16>) -> tensor<1x8xf32>
  %b = qwen.linear %x, %w : (tensor<1x8xf32>, tensor<8x8xbf16>) -> tensor<1x8xf32>
  %m = qwen.mul %a, %b : tensor<1x8xf32>
  %y = qwen.add %r, %m : tensor<1x8xf32>
  return %y : tensor<1x8xf32>
}

// Not fused: one is read elsewhere, inputs differ, one has a bias.
// CHECK-LABEL: @left_alone
// CHECK-NOT: qwen.fused_linear
func.func @left_alone(%x: tensor<1x8xf32>, %z: tensor<1x8xf32>, %w: tensor<8x8xbf16>, %bias: tensor<8xbf16>)
    -> (tensor<1x8xf32>, tensor<1x8xf32>, tensor<1x8xf32>, tensor<1x8xf32>) {
  %a = qwen.linear %x, %w : (tensor<1x8xf32>, tensor<8x8xbf16>) -> tensor<1x8xf32>
  %b = qwen.linear %x, %w : (tensor<1x8xf32>, tensor<8x8xbf16>) -> tensor<1x8xf32>
  %m = qwen.mul %a, %b : tensor<1x8xf32>
  %c = qwen.linear %x, %w : (tensor<1x8xf32>, tensor<8x8xbf16>) -> tensor<1x8xf32>
  %d = qwen.linear %z, %w : (tensor<1x8xf32>, tensor<8x8xbf16>) -> tensor<1x8xf32>
  %n = qwen.mul %c, %d : tensor<1x8xf32>
  %e = qwen.linear %x, %w, %bias : (tensor<1x8xf32>, tensor<8x8xbf16>, tensor<8xbf16>) -> tensor<1x8xf32>
  %f = qwen.linear %x, %w : (tensor<1x8xf32>, tensor<8x8xbf16>) -> tensor<1x8xf32>
  %o = qwen.mul %e, %f : tensor<1x8xf32>
  return %m, %a, %n, %o : tensor<1x8xf32>, tensor<1x8xf32>, tensor<1x8xf32>, tensor<1x8xf32>
}
