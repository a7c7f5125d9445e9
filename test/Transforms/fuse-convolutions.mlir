// RUN: qwen-opt %s --split-input-file --qwen-fuse-convolutions | FileCheck %s

qwen.state @h : tensor<18x8xf32> fixed
qwen.state @h1 : tensor<1x8xf32> fixed

// The snake before it and the one behind it, and what is cleared before the first.
// CHECK-LABEL: @both
// CHECK-SAME: (%[[X:.*]]: tensor<32x8xf32, #qwen.rows<F * 4>>, %[[F:[a-z0-9]*]]: tensor<1xi32>
// CHECK-NOT: qwen.clear_lead
// CHECK-NOT: qwen.snake_beta
// CHECK: %[[Y:.*]] = qwen.causal_conv1d %[[X]], {{.*}} dilation 3 snake(%{{.*}}, %{{.*}}) then(%{{.*}}, %{{.*}}) {frame_rows = 4 : i64, lead = 5 : i64}
// CHECK-NEXT: return %[[Y]]
func.func @both(%x: tensor<32x8xf32, #qwen.rows<F * 4>>, %first: tensor<1xi32>, %w: tensor<8x56xbf16>, %v: tensor<8xbf16>)
    -> tensor<32x8xf32, #qwen.rows<F * 4>> {
  %h = qwen.read_state @h : tensor<18x8xf32>
  %c = qwen.clear_lead %x, %first lead 5 rows 4 : (tensor<32x8xf32, #qwen.rows<F * 4>>, tensor<1xi32>) -> tensor<32x8xf32, #qwen.rows<F * 4>>
  %s = qwen.snake_beta %c, %v, %v : (tensor<32x8xf32, #qwen.rows<F * 4>>, tensor<8xbf16>, tensor<8xbf16>) -> tensor<32x8xf32, #qwen.rows<F * 4>>
  %y = qwen.causal_conv1d %s, %w, %v history(%h, %first) dilation 3
      : (tensor<32x8xf32, #qwen.rows<F * 4>>, tensor<8x56xbf16>, tensor<8xbf16>, tensor<18x8xf32>, tensor<1xi32>) -> tensor<32x8xf32, #qwen.rows<F * 4>>
  %z = qwen.snake_beta %y, %v, %v : (tensor<32x8xf32, #qwen.rows<F * 4>>, tensor<8xbf16>, tensor<8xbf16>) -> tensor<32x8xf32, #qwen.rows<F * 4>>
  return %z : tensor<32x8xf32, #qwen.rows<F * 4>>
}

// A clamp behind it; a lead alone before it.
// CHECK-LABEL: @clamp
// CHECK: qwen.causal_conv1d {{.*}} {frame_rows = 4 : i64, lead = 5 : i64, limit = 1.000000e+00 : f64}
// CHECK-NEXT: return
func.func @clamp(%x: tensor<32x8xf32, #qwen.rows<F * 4>>, %first: tensor<1xi32>, %w: tensor<8x56xbf16>, %v: tensor<8xbf16>)
    -> tensor<32x8xf32, #qwen.rows<F * 4>> {
  %h = qwen.read_state @h : tensor<18x8xf32>
  %c = qwen.clear_lead %x, %first lead 5 rows 4 : (tensor<32x8xf32, #qwen.rows<F * 4>>, tensor<1xi32>) -> tensor<32x8xf32, #qwen.rows<F * 4>>
  %y = qwen.causal_conv1d %c, %w, %v history(%h, %first) dilation 3
      : (tensor<32x8xf32, #qwen.rows<F * 4>>, tensor<8x56xbf16>, tensor<8xbf16>, tensor<18x8xf32>, tensor<1xi32>) -> tensor<32x8xf32, #qwen.rows<F * 4>>
  %z = qwen.clamp %y limit 1.0 : tensor<32x8xf32, #qwen.rows<F * 4>>
  return %z : tensor<32x8xf32, #qwen.rows<F * 4>>
}

// What somebody else reads stays: the cleared rows, the activated ones, the sums of the convolution.
// CHECK-LABEL: @shared
// CHECK: qwen.clear_lead
// CHECK: qwen.snake_beta
// CHECK: qwen.causal_conv1d {{.*}} dilation 3 :
// CHECK: qwen.snake_beta
func.func @shared(%x: tensor<32x8xf32, #qwen.rows<F * 4>>, %first: tensor<1xi32>, %w: tensor<8x56xbf16>, %v: tensor<8xbf16>)
    -> tensor<32x8xf32, #qwen.rows<F * 4>> {
  %h = qwen.read_state @h : tensor<18x8xf32>
  %c = qwen.clear_lead %x, %first lead 5 rows 4 : (tensor<32x8xf32, #qwen.rows<F * 4>>, tensor<1xi32>) -> tensor<32x8xf32, #qwen.rows<F * 4>>
  %s = qwen.snake_beta %c, %v, %v : (tensor<32x8xf32, #qwen.rows<F * 4>>, tensor<8xbf16>, tensor<8xbf16>) -> tensor<32x8xf32, #qwen.rows<F * 4>>
  qwen.expose %s "active" : tensor<32x8xf32, #qwen.rows<F * 4>>
  %y = qwen.causal_conv1d %s, %w, %v history(%h, %first) dilation 3
      : (tensor<32x8xf32, #qwen.rows<F * 4>>, tensor<8x56xbf16>, tensor<8xbf16>, tensor<18x8xf32>, tensor<1xi32>) -> tensor<32x8xf32, #qwen.rows<F * 4>>
  qwen.expose %y "conv" : tensor<32x8xf32, #qwen.rows<F * 4>>
  %z = qwen.snake_beta %y, %v, %v : (tensor<32x8xf32, #qwen.rows<F * 4>>, tensor<8xbf16>, tensor<8xbf16>) -> tensor<32x8xf32, #qwen.rows<F * 4>>
  return %z : tensor<32x8xf32, #qwen.rows<F * 4>>
}

// CHECK-LABEL: @transposed
// CHECK-NOT: qwen.snake_beta
// CHECK: qwen.conv_transpose1d {{.*}} stride 2 snake(%{{.*}}, %{{.*}}) :
func.func @transposed(%x: tensor<32x8xf32, #qwen.rows<F * 4>>, %first: tensor<1xi32>, %w: tensor<8x16xbf16>, %v: tensor<8xbf16>, %b: tensor<4xbf16>)
    -> tensor<64x4xf32, #qwen.rows<F * 8>> {
  %h = qwen.read_state @h1 : tensor<1x8xf32>
  %s = qwen.snake_beta %x, %v, %v : (tensor<32x8xf32, #qwen.rows<F * 4>>, tensor<8xbf16>, tensor<8xbf16>) -> tensor<32x8xf32, #qwen.rows<F * 4>>
  %y = qwen.conv_transpose1d %s, %w, %b history(%h, %first) stride 2
      : (tensor<32x8xf32, #qwen.rows<F * 4>>, tensor<8x16xbf16>, tensor<4xbf16>, tensor<1x8xf32>, tensor<1xi32>) -> tensor<64x4xf32, #qwen.rows<F * 8>>
  return %y : tensor<64x4xf32, #qwen.rows<F * 8>>
}
