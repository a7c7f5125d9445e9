// RUN: qwen-opt %s --qwen-merge-linears --split-input-file | FileCheck %s

qwen.parameter @wq : tensor<8x4xbf16> file 0 offset 0
qwen.parameter @wk : tensor<4x4xbf16> file 0 offset 64

// The weight of the second linear moves before the merged product, the slices keep the order.
// CHECK-LABEL: @views
// CHECK-SAME: (%[[X:.*]]: tensor<?x4xf32, #qwen.rows<S>>)
// CHECK: %[[WQ:.*]] = qwen.weight @wq
// CHECK: %[[WK:.*]] = qwen.weight @wk
// CHECK: %[[M:.*]] = qwen.fused_linear none concat %[[X]] weights(%[[WQ]], %[[WK]]) {
// CHECK-NEXT: ^bb0(%[[A:.*]]: f32):
// CHECK-NEXT: qwen.yield %[[A]]
// CHECK: -> tensor<?x12xf32, #qwen.rows<S>>
// CHECK: %[[Q:.*]] = qwen.slice %[[M]] at 0 : tensor<?x12xf32, #qwen.rows<S>> -> tensor<?x8xf32, #qwen.rows<S>>
// CHECK: %[[K:.*]] = qwen.slice %[[M]] at 8 : tensor<?x12xf32, #qwen.rows<S>> -> tensor<?x4xf32, #qwen.rows<S>>
// CHECK: qwen.reshape %[[Q]]
// CHECK: qwen.reshape %[[K]]
// CHECK-NOT: qwen.linear
func.func @views(%x: tensor<?x4xf32, #qwen.rows<S>>) -> (tensor<?x2x4xf32, #qwen.rows<S>>, tensor<?x1x4xf32, #qwen.rows<S>>) {
  %wq = qwen.weight @wq : tensor<8x4xbf16>
  %q = qwen.linear %x, %wq : (tensor<?x4xf32, #qwen.rows<S>>, tensor<8x4xbf16>) -> tensor<?x8xf32, #qwen.rows<S>>
  %qh = qwen.reshape %q : tensor<?x8xf32, #qwen.rows<S>> -> tensor<?x2x4xf32, #qwen.rows<S>>
  %wk = qwen.weight @wk : tensor<4x4xbf16>
  %k = qwen.linear %x, %wk : (tensor<?x4xf32, #qwen.rows<S>>, tensor<4x4xbf16>) -> tensor<?x4xf32, #qwen.rows<S>>
  %kh = qwen.reshape %k : tensor<?x4xf32, #qwen.rows<S>> -> tensor<?x1x4xf32, #qwen.rows<S>>
  return %qh, %kh : tensor<?x2x4xf32, #qwen.rows<S>>, tensor<?x1x4xf32, #qwen.rows<S>>
}

// -----

qwen.parameter @w : tensor<4x4xbf16> file 0 offset 0
qwen.parameter @u : tensor<4x4xbf16> file 0 offset 64

// A weight that something earlier reads too stays where it is.
// CHECK-LABEL: @shared_weight
// CHECK: %[[W:.*]] = qwen.weight @w
// CHECK: qwen.embedding %{{.*}}, %[[W]]
// CHECK: qwen.fused_linear none concat %{{.*}} weights(%[[W]], %{{.*}})
func.func @shared_weight(%ids: tensor<1xi32>) -> (tensor<1x2x2xf32>, tensor<1x2x2xf32>) {
  %w = qwen.weight @w : tensor<4x4xbf16>
  %x = qwen.embedding %ids, %w : (tensor<1xi32>, tensor<4x4xbf16>) -> tensor<1x4xf32>
  %a = qwen.linear %x, %w : (tensor<1x4xf32>, tensor<4x4xbf16>) -> tensor<1x4xf32>
  %u = qwen.weight @u : tensor<4x4xbf16>
  %b = qwen.linear %x, %u : (tensor<1x4xf32>, tensor<4x4xbf16>) -> tensor<1x4xf32>
  %ah = qwen.reshape %a : tensor<1x4xf32> -> tensor<1x2x2xf32>
  %bh = qwen.reshape %b : tensor<1x4xf32> -> tensor<1x2x2xf32>
  return %ah, %bh : tensor<1x2x2xf32>, tensor<1x2x2xf32>
}

// -----

qwen.parameter @w : tensor<4x4xbf16> file 0 offset 0
qwen.parameter @b : tensor<4xbf16> file 0 offset 64

// Not merged: linears that meet elementwise, whose biases fill no units of 16 bytes, that are alone on their input, or whose result is returned.
// CHECK-LABEL: @left_alone
// CHECK-NOT: qwen.fused_linear
// CHECK-COUNT-6: qwen.linear
// CHECK-NOT: qwen.fused_linear
func.func @left_alone(%x: tensor<1x4xf32>, %y: tensor<1x4xf32>)
    -> (tensor<1x4xf32>, tensor<1x2x2xf32>, tensor<1x2x2xf32>, tensor<1x4xf32>) {
  %w = qwen.weight @w : tensor<4x4xbf16>
  %bias = qwen.weight @b : tensor<4xbf16>
  %g = qwen.linear %x, %w : (tensor<1x4xf32>, tensor<4x4xbf16>) -> tensor<1x4xf32>
  %u = qwen.linear %x, %w : (tensor<1x4xf32>, tensor<4x4xbf16>) -> tensor<1x4xf32>
  %m = qwen.mul %g, %u : tensor<1x4xf32>
  %c = qwen.linear %x, %w, %bias : (tensor<1x4xf32>, tensor<4x4xbf16>, tensor<4xbf16>) -> tensor<1x4xf32>
  %d = qwen.linear %x, %w, %bias : (tensor<1x4xf32>, tensor<4x4xbf16>, tensor<4xbf16>) -> tensor<1x4xf32>
  %ch = qwen.reshape %c : tensor<1x4xf32> -> tensor<1x2x2xf32>
  %e = qwen.linear %y, %w : (tensor<1x4xf32>, tensor<4x4xbf16>) -> tensor<1x4xf32>
  %eh = qwen.reshape %e : tensor<1x4xf32> -> tensor<1x2x2xf32>
  %f = qwen.linear %y, %w : (tensor<1x4xf32>, tensor<4x4xbf16>) -> tensor<1x4xf32>
  %s = qwen.add %d, %f : tensor<1x4xf32>
  %t = qwen.add %m, %s : tensor<1x4xf32>
  return %t, %ch, %eh, %f : tensor<1x4xf32>, tensor<1x2x2xf32>, tensor<1x2x2xf32>, tensor<1x4xf32>
}

// -----

qwen.parameter @wq : tensor<8x4xbf16> file 0 offset 0
qwen.parameter @bq : tensor<8xbf16> file 0 offset 64
qwen.parameter @wk : tensor<16x4xbf16> file 0 offset 80
qwen.parameter @bk : tensor<16xbf16> file 0 offset 208
qwen.parameter @wv : tensor<8x4xbf16> file 0 offset 240

// Biases lie side by side as their weights do; a linear without one is no part of such a product.
// CHECK-LABEL: @biases
// CHECK: %[[B:.*]] = qwen.weight_stack [@bq, @bk] : tensor<24xbf16>
// CHECK: %[[M:.*]] = qwen.fused_linear none concat %{{.*}} weights(%{{.*}}, %{{.*}}) extras(%[[B]]) {
// CHECK-NEXT: ^bb0(%[[A:.*]]: f32, %[[E:.*]]: f32):
// CHECK-NEXT: %[[S:.*]] = arith.addf %[[A]], %[[E]]
// CHECK-NEXT: qwen.yield %[[S]]
// CHECK: qwen.slice %[[M]] at 0 : tensor<2x24xf32> -> tensor<2x8xf32>
// CHECK: qwen.slice %[[M]] at 8 : tensor<2x24xf32> -> tensor<2x16xf32>
// CHECK: qwen.linear
func.func @biases(%x: tensor<2x4xf32>) -> (tensor<2x2x4xf32>, tensor<2x4x4xf32>, tensor<2x2x4xf32>) {
  %wq = qwen.weight @wq : tensor<8x4xbf16>
  %bq = qwen.weight @bq : tensor<8xbf16>
  %wk = qwen.weight @wk : tensor<16x4xbf16>
  %bk = qwen.weight @bk : tensor<16xbf16>
  %wv = qwen.weight @wv : tensor<8x4xbf16>
  %q = qwen.linear %x, %wq, %bq : (tensor<2x4xf32>, tensor<8x4xbf16>, tensor<8xbf16>) -> tensor<2x8xf32>
  %k = qwen.linear %x, %wk, %bk : (tensor<2x4xf32>, tensor<16x4xbf16>, tensor<16xbf16>) -> tensor<2x16xf32>
  %v = qwen.linear %x, %wv : (tensor<2x4xf32>, tensor<8x4xbf16>) -> tensor<2x8xf32>
  %qh = qwen.reshape %q : tensor<2x8xf32> -> tensor<2x2x4xf32>
  %kh = qwen.reshape %k : tensor<2x16xf32> -> tensor<2x4x4xf32>
  %vh = qwen.reshape %v : tensor<2x8xf32> -> tensor<2x2x4xf32>
  return %qh, %kh, %vh : tensor<2x2x4xf32>, tensor<2x4x4xf32>, tensor<2x2x4xf32>
}
