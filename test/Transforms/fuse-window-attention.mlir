// RUN: qwen-opt %s --split-input-file --qwen-fuse-window-attention | FileCheck %s

qwen.state @k : tensor<12x2x4xf32> fixed
qwen.state @v : tensor<12x2x4xf32> fixed

// CHECK-LABEL: @merged
// CHECK-SAME: (%[[ROW:.*]]: tensor<5x24xf32, #qwen.rows<F>>, %[[FIRST:.*]]: tensor<1xi32>)
// CHECK-NOT: qwen.rope
// CHECK: %[[K:.*]] = qwen.read_state @k
// CHECK: %[[V:.*]] = qwen.read_state @v
// CHECK-NEXT: qwen.rope_window_attention %[[ROW]] from %[[FIRST]] states(%[[K]], %[[V]]) {head_dim = 4 : i64, num_heads = 2 : i64, scale = 5.000000e-01 : f64, theta = 1.000000e+04 : f64, window = 8 : i64}
func.func @merged(%row: tensor<5x24xf32, #qwen.rows<F>>, %first: tensor<1xi32>) -> tensor<5x2x4xf32, #qwen.rows<F>> {
  %n = qwen.row_numbers %first : (tensor<1xi32>) -> tensor<5xi32, #qwen.rows<F>>
  %q0 = qwen.slice %row at 0 : tensor<5x24xf32, #qwen.rows<F>> -> tensor<5x8xf32, #qwen.rows<F>>
  %k0 = qwen.slice %row at 8 : tensor<5x24xf32, #qwen.rows<F>> -> tensor<5x8xf32, #qwen.rows<F>>
  %v0 = qwen.slice %row at 16 : tensor<5x24xf32, #qwen.rows<F>> -> tensor<5x8xf32, #qwen.rows<F>>
  %q1 = qwen.reshape %q0 : tensor<5x8xf32, #qwen.rows<F>> -> tensor<5x2x4xf32, #qwen.rows<F>>
  %k1 = qwen.reshape %k0 : tensor<5x8xf32, #qwen.rows<F>> -> tensor<5x2x4xf32, #qwen.rows<F>>
  %v1 = qwen.reshape %v0 : tensor<5x8xf32, #qwen.rows<F>> -> tensor<5x2x4xf32, #qwen.rows<F>>
  %q = qwen.rope %q1, %n theta 1.0e4 : (tensor<5x2x4xf32, #qwen.rows<F>>, tensor<5xi32, #qwen.rows<F>>) -> tensor<5x2x4xf32, #qwen.rows<F>>
  %k = qwen.rope %k1, %n theta 1.0e4 : (tensor<5x2x4xf32, #qwen.rows<F>>, tensor<5xi32, #qwen.rows<F>>) -> tensor<5x2x4xf32, #qwen.rows<F>>
  %ks = qwen.read_state @k : tensor<12x2x4xf32>
  %vs = qwen.read_state @v : tensor<12x2x4xf32>
  %y = qwen.window_attention %q, %k, %v1 at %n states(%ks, %vs) window 8 scale 0.5
      : (tensor<5x2x4xf32, #qwen.rows<F>>, tensor<5x2x4xf32, #qwen.rows<F>>, tensor<5x2x4xf32, #qwen.rows<F>>, tensor<5xi32, #qwen.rows<F>>,
         tensor<12x2x4xf32>, tensor<12x2x4xf32>) -> tensor<5x2x4xf32, #qwen.rows<F>>
  return %y : tensor<5x2x4xf32, #qwen.rows<F>>
}

// Keys that are not rotated are another model.
// CHECK-LABEL: @unrotated
// CHECK: qwen.window_attention
func.func @unrotated(%row: tensor<5x24xf32, #qwen.rows<F>>, %first: tensor<1xi32>) -> tensor<5x2x4xf32, #qwen.rows<F>> {
  %n = qwen.row_numbers %first : (tensor<1xi32>) -> tensor<5xi32, #qwen.rows<F>>
  %q0 = qwen.slice %row at 0 : tensor<5x24xf32, #qwen.rows<F>> -> tensor<5x8xf32, #qwen.rows<F>>
  %k0 = qwen.slice %row at 8 : tensor<5x24xf32, #qwen.rows<F>> -> tensor<5x8xf32, #qwen.rows<F>>
  %v0 = qwen.slice %row at 16 : tensor<5x24xf32, #qwen.rows<F>> -> tensor<5x8xf32, #qwen.rows<F>>
  %q1 = qwen.reshape %q0 : tensor<5x8xf32, #qwen.rows<F>> -> tensor<5x2x4xf32, #qwen.rows<F>>
  %k1 = qwen.reshape %k0 : tensor<5x8xf32, #qwen.rows<F>> -> tensor<5x2x4xf32, #qwen.rows<F>>
  %v1 = qwen.reshape %v0 : tensor<5x8xf32, #qwen.rows<F>> -> tensor<5x2x4xf32, #qwen.rows<F>>
  %q = qwen.rope %q1, %n theta 1.0e4 : (tensor<5x2x4xf32, #qwen.rows<F>>, tensor<5xi32, #qwen.rows<F>>) -> tensor<5x2x4xf32, #qwen.rows<F>>
  %ks = qwen.read_state @k : tensor<12x2x4xf32>
  %vs = qwen.read_state @v : tensor<12x2x4xf32>
  %y = qwen.window_attention %q, %k1, %v1 at %n states(%ks, %vs) window 8 scale 0.5
      : (tensor<5x2x4xf32, #qwen.rows<F>>, tensor<5x2x4xf32, #qwen.rows<F>>, tensor<5x2x4xf32, #qwen.rows<F>>, tensor<5xi32, #qwen.rows<F>>,
         tensor<12x2x4xf32>, tensor<12x2x4xf32>) -> tensor<5x2x4xf32, #qwen.rows<F>>
  return %y : tensor<5x2x4xf32, #qwen.rows<F>>
}
