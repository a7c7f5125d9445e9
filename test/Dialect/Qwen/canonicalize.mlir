// RUN: qwen-opt %s --canonicalize | FileCheck %s

// CHECK-LABEL: @reshape_of_reshape
// CHECK-SAME: (%[[X:.*]]: tensor<4x16xf32>)
// CHECK-NEXT: %[[Y:.*]] = qwen.reshape %[[X]] : tensor<4x16xf32> -> tensor<4x2x8xf32>
// CHECK-NEXT: return %[[Y]]
func.func @reshape_of_reshape(%x: tensor<4x16xf32>) -> tensor<4x2x8xf32> {
  %0 = qwen.reshape %x : tensor<4x16xf32> -> tensor<4x4x4xf32>
  %1 = qwen.reshape %0 : tensor<4x4x4xf32> -> tensor<4x2x8xf32>
  return %1 : tensor<4x2x8xf32>
}

// CHECK-LABEL: @reshape_there_and_back
// CHECK-SAME: (%[[X:.*]]: tensor<4x16xf32>)
// CHECK-NEXT: return %[[X]]
func.func @reshape_there_and_back(%x: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %0 = qwen.reshape %x : tensor<4x16xf32> -> tensor<4x4x4xf32>
  %1 = qwen.reshape %0 : tensor<4x4x4xf32> -> tensor<4x16xf32>
  return %1 : tensor<4x16xf32>
}

// CHECK-LABEL: @slice_of_whole
// CHECK-SAME: (%[[X:.*]]: tensor<4x16xf32>)
// CHECK-NEXT: return %[[X]]
func.func @slice_of_whole(%x: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %0 = qwen.slice %x at 0 : tensor<4x16xf32> -> tensor<4x16xf32>
  return %0 : tensor<4x16xf32>
}

// CHECK-LABEL: @slice_of_slice
// CHECK-SAME: (%[[X:.*]]: tensor<4x16xf32>)
// CHECK-NEXT: %[[Y:.*]] = qwen.slice %[[X]] at 7 : tensor<4x16xf32> -> tensor<4x2xf32>
// CHECK-NEXT: return %[[Y]]
func.func @slice_of_slice(%x: tensor<4x16xf32>) -> tensor<4x2xf32> {
  %0 = qwen.slice %x at 4 : tensor<4x16xf32> -> tensor<4x8xf32>
  %1 = qwen.slice %0 at 3 : tensor<4x8xf32> -> tensor<4x2xf32>
  return %1 : tensor<4x2xf32>
}

// A cache write stays even if nothing reads its result; a product without readers goes.
// CHECK-LABEL: @effects
// CHECK-NEXT: qwen.kv_append
// CHECK-NEXT: return
func.func @effects(%c: tensor<16x2x4xf32>, %x: tensor<4x2x4xf32>, %y: tensor<4x8xf32>, %w: tensor<8x8xbf16>) {
  %0 = qwen.kv_append %c, %x : (tensor<16x2x4xf32>, tensor<4x2x4xf32>) -> tensor<16x2x4xf32>
  %1 = qwen.fused_linear none concat %y weights(%w) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<4x8xf32>, tensor<8x8xbf16>) -> tensor<4x8xf32>
  return
}
