// RUN: qwen-opt %s --qwen-fuse-linears --qwen-fuse-epilogue | FileCheck %s

// CHECK-LABEL: @residual
// CHECK-SAME: (%[[R:.*]]: tensor<1x4xf32>, %[[X:.*]]: tensor<1x8xf32>, %[[W:.*]]: tensor<4x8xbf16>)
// CHECK-NEXT: %[[Y:.*]] = qwen.fused_linear none concat %[[X]] weights(%[[W]]) extras(%[[R]]) {
// CHECK-NEXT: ^bb0(%[[A:.*]]: f32, %[[E:.*]]: f32):
// CHECK-NEXT: %[[S:.*]] = arith.addf %[[E]], %[[A]]
// CHECK-NEXT: qwen.yield %[[S]]
// CHECK: return %[[Y]]
func.func @residual(%r: tensor<1x4xf32>, %x: tensor<1x8xf32>, %w: tensor<4x8xbf16>) -> tensor<1x4xf32> {
  %o = qwen.linear %x, %w : (tensor<1x8xf32>, tensor<4x8xbf16>) -> tensor<1x4xf32>
  %y = qwen.add %r, %o : tensor<1x4xf32>
  return %y : tensor<1x4xf32>
}

// A bias stays in front of the tree; an input used twice is one extra.
// CHECK-LABEL: @bias_then_tree
// CHECK: qwen.fused_linear none concat %{{.*}} weights(%{{.*}}) extras(%[[B:.*]], %[[R:.*]]) {
// CHECK-NEXT: ^bb0(%[[A:.*]]: f32, %[[BE:.*]]: f32, %[[RE:.*]]: f32):
// CHECK-NEXT: %[[S:.*]] = arith.addf %[[A]], %[[BE]]
// CHECK-NEXT: %[[M:.*]] = arith.mulf %[[S]], %[[RE]]
// CHECK-NEXT: %[[T:.*]] = arith.addf %[[M]], %[[RE]]
// CHECK-NEXT: qwen.yield %[[T]]
func.func @bias_then_tree(%r: tensor<1x4xf32>, %x: tensor<1x8xf32>, %w: tensor<4x8xbf16>, %b: tensor<4xbf16>) -> tensor<1x4xf32> {
  %o = qwen.linear %x, %w, %b : (tensor<1x8xf32>, tensor<4x8xbf16>, tensor<4xbf16>) -> tensor<1x4xf32>
  %m = qwen.mul %o, %r : tensor<1x4xf32>
  %y = qwen.add %m, %r : tensor<1x4xf32>
  return %y : tensor<1x4xf32>
}

// Both operands are the product: a square.
// CHECK-LABEL: @square
// CHECK: ^bb0(%[[A:.*]]: f32):
// CHECK-NEXT: %[[M:.*]] = arith.mulf %[[A]], %[[A]]
func.func @square(%x: tensor<1x8xf32>, %w: tensor<4x8xbf16>) -> tensor<1x4xf32> {
  %o = qwen.linear %x, %w : (tensor<1x8xf32>, tensor<4x8xbf16>) -> tensor<1x4xf32>
  %m = qwen.mul %o, %o : tensor<1x4xf32>
  return %m : tensor<1x4xf32>
}

// Of two products the later one takes the addition, the earlier one is there by then.
// CHECK-LABEL: @two_products
// CHECK: %[[P:.*]] = qwen.fused_linear none concat %{{.*}} weights(%{{.*}}) {
// CHECK: %[[Q:.*]] = qwen.fused_linear none concat %{{.*}} weights(%{{.*}}) extras(%[[P]])
// CHECK: return %[[Q]]
func.func @two_products(%x: tensor<1x8xf32>, %z: tensor<1x8xf32>, %w: tensor<4x8xbf16>) -> tensor<1x4xf32> {
  %a = qwen.linear %x, %w : (tensor<1x8xf32>, tensor<4x8xbf16>) -> tensor<1x4xf32>
  %b = qwen.linear %z, %w : (tensor<1x8xf32>, tensor<4x8xbf16>) -> tensor<1x4xf32>
  %y = qwen.add %a, %b : tensor<1x4xf32>
  return %y : tensor<1x4xf32>
}

// A residual stream: each addition joins its product, the sum is an extra of the next.
// CHECK-LABEL: @stream
// CHECK: %[[X1:.*]] = qwen.fused_linear none concat %{{.*}} weights(%{{.*}}) extras(%{{.*}})
// CHECK: %[[X2:.*]] = qwen.fused_linear none concat %[[X1]] weights(%{{.*}}) extras(%[[X1]])
// CHECK: return %[[X2]]
func.func @stream(%x: tensor<1x8xf32>, %w: tensor<8x8xbf16>) -> tensor<1x8xf32> {
  %a = qwen.linear %x, %w : (tensor<1x8xf32>, tensor<8x8xbf16>) -> tensor<1x8xf32>
  %x1 = qwen.add %x, %a : tensor<1x8xf32>
  %b = qwen.linear %x1, %w : (tensor<1x8xf32>, tensor<8x8xbf16>) -> tensor<1x8xf32>
  %x2 = qwen.add %x1, %b : tensor<1x8xf32>
  return %x2 : tensor<1x8xf32>
}

// Something else reads the product: it has to stay.
// CHECK-LABEL: @read_elsewhere
// CHECK: qwen.fused_linear none concat %{{.*}} weights(%{{.*}}) {
// CHECK: qwen.silu
func.func @read_elsewhere(%x: tensor<1x8xf32>, %w: tensor<8x8xbf16>) -> (tensor<1x8xf32>, tensor<1x8xf32>) {
  %a = qwen.linear %x, %w : (tensor<1x8xf32>, tensor<8x8xbf16>) -> tensor<1x8xf32>
  %y = qwen.silu %a : tensor<1x8xf32>
  return %y, %a : tensor<1x8xf32>, tensor<1x8xf32>
}

// Operand addresses lie in 128 bytes of push constants: a tree stops growing at six inputs, the rest stays.
// CHECK-LABEL: @many_inputs
// CHECK: qwen.add
// CHECK: qwen.fused_linear none concat %{{.*}} weights(%{{.*}}) extras(%{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}, %{{[^,)]*}}) {
func.func @many_inputs(%x: tensor<1x8xf32>, %w: tensor<8x8xbf16>, %a: tensor<1x8xf32>, %b: tensor<1x8xf32>, %c: tensor<1x8xf32>,
                       %d: tensor<1x8xf32>, %e: tensor<1x8xf32>, %f: tensor<1x8xf32>, %g: tensor<1x8xf32>) -> tensor<1x8xf32> {
  %0 = qwen.add %a, %b : tensor<1x8xf32>
  %1 = qwen.add %0, %c : tensor<1x8xf32>
  %2 = qwen.add %1, %d : tensor<1x8xf32>
  %3 = qwen.add %2, %e : tensor<1x8xf32>
  %4 = qwen.add %3, %f : tensor<1x8xf32>
  %5 = qwen.add %4, %g : tensor<1x8xf32>
  %6 = qwen.linear %x, %w : (tensor<1x8xf32>, tensor<8x8xbf16>) -> tensor<1x8xf32>
  %7 = qwen.add %5, %6 : tensor<1x8xf32>
  return %7 : tensor<1x8xf32>
}
