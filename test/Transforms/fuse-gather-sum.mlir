// RUN: qwen-opt %s --pass-pipeline='builtin.module(func.func(qwen-fuse-gather-sum))' | FileCheck %s

qwen.parameter @table : tensor<64x16xbf16> file 0 offset 8

// CHECK-LABEL: @sums
func.func @sums(%ids: tensor<8x4xi32, #qwen.rows<V * 4>>, %w: tensor<8x4xf32, #qwen.rows<V * 4>>) -> tensor<8x16xf32, #qwen.rows<V * 4>> {
  %t = qwen.weight @table : tensor<64x16xbf16>
  // CHECK-NOT: qwen.embedding
  // CHECK: qwen.gather_sum %arg0, %arg1, %{{.*}} : (tensor<8x4xi32, #qwen.rows<V * 4>>, tensor<8x4xf32, #qwen.rows<V * 4>>, tensor<64x16xbf16>) -> tensor<8x16xf32, #qwen.rows<V * 4>>
  // CHECK-NOT: qwen.weighted_sum
  %rows = qwen.embedding %ids, %t : (tensor<8x4xi32, #qwen.rows<V * 4>>, tensor<64x16xbf16>) -> tensor<8x4x16xf32, #qwen.rows<V * 4>>
  %y = qwen.weighted_sum %rows, %w : (tensor<8x4x16xf32, #qwen.rows<V * 4>>, tensor<8x4xf32, #qwen.rows<V * 4>>) -> tensor<8x16xf32, #qwen.rows<V * 4>>
  return %y : tensor<8x16xf32, #qwen.rows<V * 4>>
}

// Rows that others read are there anyway; other sums gather nothing.
// CHECK-LABEL: @others
func.func @others(%ids: tensor<8x4xi32>, %w: tensor<8x4xf32>, %x: tensor<8x4x16xf32>) -> (tensor<8x16xf32>, tensor<8x16xf32>) {
  %t = qwen.weight @table : tensor<64x16xbf16>
  // CHECK: qwen.embedding
  // CHECK: qwen.weighted_sum
  // CHECK: qwen.weighted_sum
  %rows = qwen.embedding %ids, %t : (tensor<8x4xi32>, tensor<64x16xbf16>) -> tensor<8x4x16xf32>
  qwen.expose %rows "rows" : tensor<8x4x16xf32>
  %y = qwen.weighted_sum %rows, %w : (tensor<8x4x16xf32>, tensor<8x4xf32>) -> tensor<8x16xf32>
  %z = qwen.weighted_sum %x, %w : (tensor<8x4x16xf32>, tensor<8x4xf32>) -> tensor<8x16xf32>
  return %y, %z : tensor<8x16xf32>, tensor<8x16xf32>
}
