// RUN: qwen-opt %s --qwen-fuse-linears | FileCheck %s

// CHECK-LABEL: @plain
// CHECK-SAME: (%[[X:.*]]: tensor<1x8xf32>, %[[W:.*]]: tensor<4x8xbf16>)
// CHECK-NEXT: qwen.fused_linear none concat %[[X]] weights(%[[W]]) {
// CHECK-NEXT: ^bb0(%[[A:.*]]: f32):
// CHECK-NEXT: qwen.yield %[[A]]
// CHECK-NEXT: } : (tensor<1x8xf32>, tensor<4x8xbf16>) -> tensor<1x4xf32>
func.func @plain(%x: tensor<1x8xf32>, %w: tensor<4x8xbf16>) -> tensor<1x4xf32> {
  %y = qwen.linear %x, %w : (tensor<1x8xf32>, tensor<4x8xbf16>) -> tensor<1x4xf32>
  return %y : tensor<1x4xf32>
}

// CHECK-LABEL: @bias
// CHECK-SAME: %[[B:[^:]*]]: tensor<4xbf16>
// CHECK-NEXT: qwen.fused_linear none concat %{{.*}} weights(%{{.*}}) extras(%[[B]]) {
// CHECK-NEXT: ^bb0(%[[A:.*]]: f32, %[[E:.*]]: f32):
// CHECK-NEXT: %[[S:.*]] = arith.addf %[[A]], %[[E]]
// CHECK-NEXT: qwen.yield %[[S]]
func.func @bias(%x: tensor<1x8xf32>, %w: tensor<4x8xbf16>, %b: tensor<4xbf16>) -> tensor<1x4xf32> {
  %y = qwen.linear %x, %w, %b : (tensor<1x8xf32>, tensor<4x8xbf16>, tensor<4xbf16>) -> tensor<1x4xf32>
  return %y : tensor<1x4xf32>
}
