// RUN: qwen-opt %s --qwen-fuse-rope-append --split-input-file | FileCheck %s

qwen.state @k : tensor<16x2x4xf32>
qwen.state @v : tensor<16x2x4xf32>

// CHECK-LABEL: @with_norms
// CHECK-SAME: (%[[QKV:.*]]: tensor<4x32xf32, #qwen.rows<S>>, %[[QN:.*]]: tensor<4xbf16>, %[[KN:.*]]: tensor<4xbf16>
// CHECK-NEXT: %[[KC:.*]] = qwen.read_state @k
// CHECK-NEXT: %[[VC:.*]] = qwen.read_state @v
// CHECK-NEXT: %[[Q:.*]], %[[K:.*]], %[[V:.*]] = qwen.rope_append %[[QKV]] norms(%[[QN]], %[[KN]]) caches(%[[KC]], %[[VC]])
// CHECK-SAME: eps = 1.250000e-01 : f64, head_dim = 4 : i64, num_heads = 4 : i64, num_kv_heads = 2 : i64, theta = 1.000000e+04
// CHECK-NEXT: %[[A:.*]] = qwen.attention %[[Q]], %[[K]], %[[V]] scale 5.000000e-01 causal
// CHECK-NEXT: return %[[A]]
func.func @with_norms(%qkv: tensor<4x32xf32, #qwen.rows<S>>, %qn: tensor<4xbf16>, %kn: tensor<4xbf16>, %given: tensor<4xi32, #qwen.rows<S>>) -> tensor<4x4x4xf32, #qwen.rows<S>> {
  %pos = qwen.position_ids : tensor<4xi32, #qwen.rows<S>>
  %q0 = qwen.slice %qkv at 0 : tensor<4x32xf32, #qwen.rows<S>> -> tensor<4x16xf32, #qwen.rows<S>>
  %q1 = qwen.reshape %q0 : tensor<4x16xf32, #qwen.rows<S>> -> tensor<4x4x4xf32, #qwen.rows<S>>
  %q2 = qwen.rms_norm %q1, %qn eps 0.125 : (tensor<4x4x4xf32, #qwen.rows<S>>, tensor<4xbf16>) -> tensor<4x4x4xf32, #qwen.rows<S>>
  %q3 = qwen.rope %q2, %pos theta 1.0e4 : (tensor<4x4x4xf32, #qwen.rows<S>>, tensor<4xi32, #qwen.rows<S>>) -> tensor<4x4x4xf32, #qwen.rows<S>>
  %k0 = qwen.slice %qkv at 16 : tensor<4x32xf32, #qwen.rows<S>> -> tensor<4x8xf32, #qwen.rows<S>>
  %k1 = qwen.reshape %k0 : tensor<4x8xf32, #qwen.rows<S>> -> tensor<4x2x4xf32, #qwen.rows<S>>
  %k2 = qwen.rms_norm %k1, %kn eps 0.125 : (tensor<4x2x4xf32, #qwen.rows<S>>, tensor<4xbf16>) -> tensor<4x2x4xf32, #qwen.rows<S>>
  %k3 = qwen.rope %k2, %pos theta 1.0e4 : (tensor<4x2x4xf32, #qwen.rows<S>>, tensor<4xi32, #qwen.rows<S>>) -> tensor<4x2x4xf32, #qwen.rows<S>>
  %v0 = qwen.slice %qkv at 24 : tensor<4x32xf32, #qwen.rows<S>> -> tensor<4x8xf32, #qwen.rows<S>>
  %v1 = qwen.reshape %v0 : tensor<4x8xf32, #qwen.rows<S>> -> tensor<4x2x4xf32, #qwen.rows<S>>
  %kc = qwen.read_state @k : tensor<16x2x4xf32>
  %vc = qwen.read_state @v : tensor<16x2x4xf32>
  %k4 = qwen.kv_append %kc, %k3 : (tensor<16x2x4xf32>, tensor<4x2x4xf32, #qwen.rows<S>>) -> tensor<16x2x4xf32>
  %v4 = qwen.kv_append %vc, %v1 : (tensor<16x2x4xf32>, tensor<4x2x4xf32, #qwen.rows<S>>) -> tensor<16x2x4xf32>
  %a = qwen.attention %q3, %k4, %v4 scale 0.5 causal : (tensor<4x4x4xf32, #qwen.rows<S>>, tensor<16x2x4xf32>, tensor<16x2x4xf32>) -> tensor<4x4x4xf32, #qwen.rows<S>>
  return %a : tensor<4x4x4xf32, #qwen.rows<S>>
}

// -----

qwen.state @k : tensor<16x1x8xf32>
qwen.state @v : tensor<16x1x8xf32>

// Other head counts, one row, no norms.
// CHECK-LABEL: @without_norms
// CHECK: qwen.rope_append %{{.*}} norms() caches(%{{.*}}, %{{.*}}) {head_dim = 8 : i64, num_heads = 6 : i64, num_kv_heads = 1 : i64
// CHECK-SAME: (tensor<1x64xf32>, tensor<16x1x8xf32>, tensor<16x1x8xf32>) -> (tensor<1x6x8xf32>
func.func @without_norms(%qkv: tensor<1x64xf32>, %qn: tensor<8xbf16>, %kn: tensor<8xbf16>, %given: tensor<1xi32>) -> tensor<1x6x8xf32> {
  %pos = qwen.position_ids : tensor<1xi32>
  %q0 = qwen.slice %qkv at 0 : tensor<1x64xf32> -> tensor<1x48xf32>
  %q1 = qwen.reshape %q0 : tensor<1x48xf32> -> tensor<1x6x8xf32>
  %q3 = qwen.rope %q1, %pos theta 1.0e4 : (tensor<1x6x8xf32>, tensor<1xi32>) -> tensor<1x6x8xf32>
  %k0 = qwen.slice %qkv at 48 : tensor<1x64xf32> -> tensor<1x8xf32>
  %k1 = qwen.reshape %k0 : tensor<1x8xf32> -> tensor<1x1x8xf32>
  %k3 = qwen.rope %k1, %pos theta 1.0e4 : (tensor<1x1x8xf32>, tensor<1xi32>) -> tensor<1x1x8xf32>
  %v0 = qwen.slice %qkv at 56 : tensor<1x64xf32> -> tensor<1x8xf32>
  %v1 = qwen.reshape %v0 : tensor<1x8xf32> -> tensor<1x1x8xf32>
  %kc = qwen.read_state @k : tensor<16x1x8xf32>
  %vc = qwen.read_state @v : tensor<16x1x8xf32>
  %k4 = qwen.kv_append %kc, %k3 : (tensor<16x1x8xf32>, tensor<1x1x8xf32>) -> tensor<16x1x8xf32>
  %v4 = qwen.kv_append %vc, %v1 : (tensor<16x1x8xf32>, tensor<1x1x8xf32>) -> tensor<16x1x8xf32>
  %a = qwen.attention %q3, %k4, %v4 scale 0.5 causal : (tensor<1x6x8xf32>, tensor<16x1x8xf32>, tensor<16x1x8xf32>) -> tensor<1x6x8xf32>
  return %a : tensor<1x6x8xf32>
}

// -----

qwen.state @k : tensor<16x2x4xf32>
qwen.state @v : tensor<16x2x4xf32>

// A document may define keys before queries: the weights of the product change places.
// CHECK-LABEL: @reordered
// CHECK-SAME: (%[[X:.*]]: tensor<4x8xf32, #qwen.rows<S>>, %[[WK:.*]]: tensor<8x8xbf16>, %[[WV:.*]]: tensor<8x8xbf16>, %[[WQ:.*]]: tensor<16x8xbf16>
// CHECK-NEXT: %[[QKV:.*]] = qwen.fused_linear none concat %[[X]] weights(%[[WQ]], %[[WK]], %[[WV]])
// CHECK: qwen.rope_append %[[QKV]] norms() caches(
// CHECK-NOT: qwen.slice
func.func @reordered(%x: tensor<4x8xf32, #qwen.rows<S>>, %wk: tensor<8x8xbf16>, %wv: tensor<8x8xbf16>, %wq: tensor<16x8xbf16>, %qn: tensor<4xbf16>, %kn: tensor<4xbf16>, %given: tensor<4xi32, #qwen.rows<S>>) -> tensor<4x4x4xf32, #qwen.rows<S>> {
  %qkv = qwen.fused_linear none concat %x weights(%wk, %wv, %wq) {
  ^bb0(%acc: f32):
    qwen.yield %acc : f32
  } : (tensor<4x8xf32, #qwen.rows<S>>, tensor<8x8xbf16>, tensor<8x8xbf16>, tensor<16x8xbf16>) -> tensor<4x32xf32, #qwen.rows<S>>
  %pos = qwen.position_ids : tensor<4xi32, #qwen.rows<S>>
  %q0 = qwen.slice %qkv at 16 : tensor<4x32xf32, #qwen.rows<S>> -> tensor<4x16xf32, #qwen.rows<S>>
  %q1 = qwen.reshape %q0 : tensor<4x16xf32, #qwen.rows<S>> -> tensor<4x4x4xf32, #qwen.rows<S>>
  %q3 = qwen.rope %q1, %pos theta 1.0e4 : (tensor<4x4x4xf32, #qwen.rows<S>>, tensor<4xi32, #qwen.rows<S>>) -> tensor<4x4x4xf32, #qwen.rows<S>>
  %k0 = qwen.slice %qkv at 0 : tensor<4x32xf32, #qwen.rows<S>> -> tensor<4x8xf32, #qwen.rows<S>>
  %k1 = qwen.reshape %k0 : tensor<4x8xf32, #qwen.rows<S>> -> tensor<4x2x4xf32, #qwen.rows<S>>
  %k3 = qwen.rope %k1, %pos theta 1.0e4 : (tensor<4x2x4xf32, #qwen.rows<S>>, tensor<4xi32, #qwen.rows<S>>) -> tensor<4x2x4xf32, #qwen.rows<S>>
  %v0 = qwen.slice %qkv at 8 : tensor<4x32xf32, #qwen.rows<S>> -> tensor<4x8xf32, #qwen.rows<S>>
  %v1 = qwen.reshape %v0 : tensor<4x8xf32, #qwen.rows<S>> -> tensor<4x2x4xf32, #qwen.rows<S>>
  %kc = qwen.read_state @k : tensor<16x2x4xf32>
  %vc = qwen.read_state @v : tensor<16x2x4xf32>
  %k4 = qwen.kv_append %kc, %k3 : (tensor<16x2x4xf32>, tensor<4x2x4xf32, #qwen.rows<S>>) -> tensor<16x2x4xf32>
  %v4 = qwen.kv_append %vc, %v1 : (tensor<16x2x4xf32>, tensor<4x2x4xf32, #qwen.rows<S>>) -> tensor<16x2x4xf32>
  %a = qwen.attention %q3, %k4, %v4 scale 0.5 causal : (tensor<4x4x4xf32, #qwen.rows<S>>, tensor<16x2x4xf32>, tensor<16x2x4xf32>) -> tensor<4x4x4xf32, #qwen.rows<S>>
  return %a : tensor<4x4x4xf32, #qwen.rows<S>>
}

// -----

qwen.state @k : tensor<16x2x4xf32>
qwen.state @v : tensor<16x2x4xf32>

// The step computes positions from the cells: positions from elsewhere stay with qwen.rope.
// CHECK-LABEL: @given_positions
// CHECK-NOT: qwen.rope_append
// CHECK: qwen.attention
// CHECK-NOT: qwen.rope_append
func.func @given_positions(%qkv: tensor<4x32xf32, #qwen.rows<S>>, %qn: tensor<4xbf16>, %kn: tensor<4xbf16>, %given: tensor<4xi32, #qwen.rows<S>>) -> tensor<4x4x4xf32, #qwen.rows<S>> {
  %pos = qwen.position_ids : tensor<4xi32, #qwen.rows<S>>
  %q0 = qwen.slice %qkv at 0 : tensor<4x32xf32, #qwen.rows<S>> -> tensor<4x16xf32, #qwen.rows<S>>
  %q1 = qwen.reshape %q0 : tensor<4x16xf32, #qwen.rows<S>> -> tensor<4x4x4xf32, #qwen.rows<S>>
  %q2 = qwen.rms_norm %q1, %qn eps 0.125 : (tensor<4x4x4xf32, #qwen.rows<S>>, tensor<4xbf16>) -> tensor<4x4x4xf32, #qwen.rows<S>>
  %q3 = qwen.rope %q2, %pos theta 1.0e4 : (tensor<4x4x4xf32, #qwen.rows<S>>, tensor<4xi32, #qwen.rows<S>>) -> tensor<4x4x4xf32, #qwen.rows<S>>
  %k0 = qwen.slice %qkv at 16 : tensor<4x32xf32, #qwen.rows<S>> -> tensor<4x8xf32, #qwen.rows<S>>
  %k1 = qwen.reshape %k0 : tensor<4x8xf32, #qwen.rows<S>> -> tensor<4x2x4xf32, #qwen.rows<S>>
  %k2 = qwen.rms_norm %k1, %kn eps 0.125 : (tensor<4x2x4xf32, #qwen.rows<S>>, tensor<4xbf16>) -> tensor<4x2x4xf32, #qwen.rows<S>>
  %k3 = qwen.rope %k2, %given theta 1.0e4 : (tensor<4x2x4xf32, #qwen.rows<S>>, tensor<4xi32, #qwen.rows<S>>) -> tensor<4x2x4xf32, #qwen.rows<S>>
  %v0 = qwen.slice %qkv at 24 : tensor<4x32xf32, #qwen.rows<S>> -> tensor<4x8xf32, #qwen.rows<S>>
  %v1 = qwen.reshape %v0 : tensor<4x8xf32, #qwen.rows<S>> -> tensor<4x2x4xf32, #qwen.rows<S>>
  %kc = qwen.read_state @k : tensor<16x2x4xf32>
  %vc = qwen.read_state @v : tensor<16x2x4xf32>
  %k4 = qwen.kv_append %kc, %k3 : (tensor<16x2x4xf32>, tensor<4x2x4xf32, #qwen.rows<S>>) -> tensor<16x2x4xf32>
  %v4 = qwen.kv_append %vc, %v1 : (tensor<16x2x4xf32>, tensor<4x2x4xf32, #qwen.rows<S>>) -> tensor<16x2x4xf32>
  %a = qwen.attention %q3, %k4, %v4 scale 0.5 causal : (tensor<4x4x4xf32, #qwen.rows<S>>, tensor<16x2x4xf32>, tensor<16x2x4xf32>) -> tensor<4x4x4xf32, #qwen.rows<S>>
  return %a : tensor<4x4x4xf32, #qwen.rows<S>>
}

// -----

qwen.state @k : tensor<16x2x4xf32>
qwen.state @v : tensor<16x2x4xf32>

// Query and key norms differ.
// CHECK-LABEL: @other_eps
// CHECK-NOT: qwen.rope_append
// CHECK: qwen.attention
// CHECK-NOT: qwen.rope_append
func.func @other_eps(%qkv: tensor<4x32xf32, #qwen.rows<S>>, %qn: tensor<4xbf16>, %kn: tensor<4xbf16>, %given: tensor<4xi32, #qwen.rows<S>>) -> tensor<4x4x4xf32, #qwen.rows<S>> {
  %pos = qwen.position_ids : tensor<4xi32, #qwen.rows<S>>
  %q0 = qwen.slice %qkv at 0 : tensor<4x32xf32, #qwen.rows<S>> -> tensor<4x16xf32, #qwen.rows<S>>
  %q1 = qwen.reshape %q0 : tensor<4x16xf32, #qwen.rows<S>> -> tensor<4x4x4xf32, #qwen.rows<S>>
  %q2 = qwen.rms_norm %q1, %qn eps 0.125 : (tensor<4x4x4xf32, #qwen.rows<S>>, tensor<4xbf16>) -> tensor<4x4x4xf32, #qwen.rows<S>>
  %q3 = qwen.rope %q2, %pos theta 1.0e4 : (tensor<4x4x4xf32, #qwen.rows<S>>, tensor<4xi32, #qwen.rows<S>>) -> tensor<4x4x4xf32, #qwen.rows<S>>
  %k0 = qwen.slice %qkv at 16 : tensor<4x32xf32, #qwen.rows<S>> -> tensor<4x8xf32, #qwen.rows<S>>
  %k1 = qwen.reshape %k0 : tensor<4x8xf32, #qwen.rows<S>> -> tensor<4x2x4xf32, #qwen.rows<S>>
  %k2 = qwen.rms_norm %k1, %kn eps 0.25 : (tensor<4x2x4xf32, #qwen.rows<S>>, tensor<4xbf16>) -> tensor<4x2x4xf32, #qwen.rows<S>>
  %k3 = qwen.rope %k2, %pos theta 1.0e4 : (tensor<4x2x4xf32, #qwen.rows<S>>, tensor<4xi32, #qwen.rows<S>>) -> tensor<4x2x4xf32, #qwen.rows<S>>
  %v0 = qwen.slice %qkv at 24 : tensor<4x32xf32, #qwen.rows<S>> -> tensor<4x8xf32, #qwen.rows<S>>
  %v1 = qwen.reshape %v0 : tensor<4x8xf32, #qwen.rows<S>> -> tensor<4x2x4xf32, #qwen.rows<S>>
  %kc = qwen.read_state @k : tensor<16x2x4xf32>
  %vc = qwen.read_state @v : tensor<16x2x4xf32>
  %k4 = qwen.kv_append %kc, %k3 : (tensor<16x2x4xf32>, tensor<4x2x4xf32, #qwen.rows<S>>) -> tensor<16x2x4xf32>
  %v4 = qwen.kv_append %vc, %v1 : (tensor<16x2x4xf32>, tensor<4x2x4xf32, #qwen.rows<S>>) -> tensor<16x2x4xf32>
  %a = qwen.attention %q3, %k4, %v4 scale 0.5 causal : (tensor<4x4x4xf32, #qwen.rows<S>>, tensor<16x2x4xf32>, tensor<16x2x4xf32>) -> tensor<4x4x4xf32, #qwen.rows<S>>
  return %a : tensor<4x4x4xf32, #qwen.rows<S>>
}

// -----

qwen.state @k : tensor<16x2x4xf32>
qwen.state @v : tensor<16x2x4xf32>

// Keys stand before queries in a row that no product of this function makes.
// CHECK-LABEL: @other_order
// CHECK-NOT: qwen.rope_append
// CHECK: qwen.attention
// CHECK-NOT: qwen.rope_append
func.func @other_order(%qkv: tensor<4x32xf32, #qwen.rows<S>>, %qn: tensor<4xbf16>, %kn: tensor<4xbf16>, %given: tensor<4xi32, #qwen.rows<S>>) -> tensor<4x4x4xf32, #qwen.rows<S>> {
  %pos = qwen.position_ids : tensor<4xi32, #qwen.rows<S>>
  %q0 = qwen.slice %qkv at 8 : tensor<4x32xf32, #qwen.rows<S>> -> tensor<4x16xf32, #qwen.rows<S>>
  %q1 = qwen.reshape %q0 : tensor<4x16xf32, #qwen.rows<S>> -> tensor<4x4x4xf32, #qwen.rows<S>>
  %q2 = qwen.rms_norm %q1, %qn eps 0.125 : (tensor<4x4x4xf32, #qwen.rows<S>>, tensor<4xbf16>) -> tensor<4x4x4xf32, #qwen.rows<S>>
  %q3 = qwen.rope %q2, %pos theta 1.0e4 : (tensor<4x4x4xf32, #qwen.rows<S>>, tensor<4xi32, #qwen.rows<S>>) -> tensor<4x4x4xf32, #qwen.rows<S>>
  %k0 = qwen.slice %qkv at 0 : tensor<4x32xf32, #qwen.rows<S>> -> tensor<4x8xf32, #qwen.rows<S>>
  %k1 = qwen.reshape %k0 : tensor<4x8xf32, #qwen.rows<S>> -> tensor<4x2x4xf32, #qwen.rows<S>>
  %k2 = qwen.rms_norm %k1, %kn eps 0.125 : (tensor<4x2x4xf32, #qwen.rows<S>>, tensor<4xbf16>) -> tensor<4x2x4xf32, #qwen.rows<S>>
  %k3 = qwen.rope %k2, %pos theta 1.0e4 : (tensor<4x2x4xf32, #qwen.rows<S>>, tensor<4xi32, #qwen.rows<S>>) -> tensor<4x2x4xf32, #qwen.rows<S>>
  %v0 = qwen.slice %qkv at 24 : tensor<4x32xf32, #qwen.rows<S>> -> tensor<4x8xf32, #qwen.rows<S>>
  %v1 = qwen.reshape %v0 : tensor<4x8xf32, #qwen.rows<S>> -> tensor<4x2x4xf32, #qwen.rows<S>>
  %kc = qwen.read_state @k : tensor<16x2x4xf32>
  %vc = qwen.read_state @v : tensor<16x2x4xf32>
  %k4 = qwen.kv_append %kc, %k3 : (tensor<16x2x4xf32>, tensor<4x2x4xf32, #qwen.rows<S>>) -> tensor<16x2x4xf32>
  %v4 = qwen.kv_append %vc, %v1 : (tensor<16x2x4xf32>, tensor<4x2x4xf32, #qwen.rows<S>>) -> tensor<16x2x4xf32>
  %a = qwen.attention %q3, %k4, %v4 scale 0.5 causal : (tensor<4x4x4xf32, #qwen.rows<S>>, tensor<16x2x4xf32>, tensor<16x2x4xf32>) -> tensor<4x4x4xf32, #qwen.rows<S>>
  return %a : tensor<4x4x4xf32, #qwen.rows<S>>
}

// -----

qwen.state @k : tensor<16x2x4xf32>
qwen.state @v : tensor<16x2x4xf32>

// Something else reads the rotated query.
// CHECK-LABEL: @read_elsewhere
// CHECK-NOT: qwen.rope_append
// CHECK: qwen.attention
// CHECK-NOT: qwen.rope_append
func.func @read_elsewhere(%qkv: tensor<4x32xf32, #qwen.rows<S>>, %qn: tensor<4xbf16>, %kn: tensor<4xbf16>, %given: tensor<4xi32, #qwen.rows<S>>) -> (tensor<4x4x4xf32, #qwen.rows<S>>, tensor<4x4x4xf32, #qwen.rows<S>>) {
  %pos = qwen.position_ids : tensor<4xi32, #qwen.rows<S>>
  %q0 = qwen.slice %qkv at 0 : tensor<4x32xf32, #qwen.rows<S>> -> tensor<4x16xf32, #qwen.rows<S>>
  %q1 = qwen.reshape %q0 : tensor<4x16xf32, #qwen.rows<S>> -> tensor<4x4x4xf32, #qwen.rows<S>>
  %q2 = qwen.rms_norm %q1, %qn eps 0.125 : (tensor<4x4x4xf32, #qwen.rows<S>>, tensor<4xbf16>) -> tensor<4x4x4xf32, #qwen.rows<S>>
  %q3 = qwen.rope %q2, %pos theta 1.0e4 : (tensor<4x4x4xf32, #qwen.rows<S>>, tensor<4xi32, #qwen.rows<S>>) -> tensor<4x4x4xf32, #qwen.rows<S>>
  %k0 = qwen.slice %qkv at 16 : tensor<4x32xf32, #qwen.rows<S>> -> tensor<4x8xf32, #qwen.rows<S>>
  %k1 = qwen.reshape %k0 : tensor<4x8xf32, #qwen.rows<S>> -> tensor<4x2x4xf32, #qwen.rows<S>>
  %k2 = qwen.rms_norm %k1, %kn eps 0.125 : (tensor<4x2x4xf32, #qwen.rows<S>>, tensor<4xbf16>) -> tensor<4x2x4xf32, #qwen.rows<S>>
  %k3 = qwen.rope %k2, %pos theta 1.0e4 : (tensor<4x2x4xf32, #qwen.rows<S>>, tensor<4xi32, #qwen.rows<S>>) -> tensor<4x2x4xf32, #qwen.rows<S>>
  %v0 = qwen.slice %qkv at 24 : tensor<4x32xf32, #qwen.rows<S>> -> tensor<4x8xf32, #qwen.rows<S>>
  %v1 = qwen.reshape %v0 : tensor<4x8xf32, #qwen.rows<S>> -> tensor<4x2x4xf32, #qwen.rows<S>>
  %kc = qwen.read_state @k : tensor<16x2x4xf32>
  %vc = qwen.read_state @v : tensor<16x2x4xf32>
  %k4 = qwen.kv_append %kc, %k3 : (tensor<16x2x4xf32>, tensor<4x2x4xf32, #qwen.rows<S>>) -> tensor<16x2x4xf32>
  %v4 = qwen.kv_append %vc, %v1 : (tensor<16x2x4xf32>, tensor<4x2x4xf32, #qwen.rows<S>>) -> tensor<16x2x4xf32>
  %a = qwen.attention %q3, %k4, %v4 scale 0.5 causal : (tensor<4x4x4xf32, #qwen.rows<S>>, tensor<16x2x4xf32>, tensor<16x2x4xf32>) -> tensor<4x4x4xf32, #qwen.rows<S>>
  return %a, %q3 : tensor<4x4x4xf32, #qwen.rows<S>>, tensor<4x4x4xf32, #qwen.rows<S>>
}

// -----

qwen.state @k : tensor<16x2x4xf32>
qwen.state @v : tensor<16x2x4xf32>

// Position moves between the cache write and the attention.
// CHECK-LABEL: @position_moves
// CHECK-NOT: qwen.rope_append
// CHECK: qwen.attention
// CHECK-NOT: qwen.rope_append
func.func @position_moves(%qkv: tensor<4x32xf32, #qwen.rows<S>>, %qn: tensor<4xbf16>, %kn: tensor<4xbf16>, %given: tensor<4xi32, #qwen.rows<S>>) -> tensor<4x4x4xf32, #qwen.rows<S>> {
  %pos = qwen.position_ids : tensor<4xi32, #qwen.rows<S>>
  %q0 = qwen.slice %qkv at 0 : tensor<4x32xf32, #qwen.rows<S>> -> tensor<4x16xf32, #qwen.rows<S>>
  %q1 = qwen.reshape %q0 : tensor<4x16xf32, #qwen.rows<S>> -> tensor<4x4x4xf32, #qwen.rows<S>>
  %q2 = qwen.rms_norm %q1, %qn eps 0.125 : (tensor<4x4x4xf32, #qwen.rows<S>>, tensor<4xbf16>) -> tensor<4x4x4xf32, #qwen.rows<S>>
  %q3 = qwen.rope %q2, %pos theta 1.0e4 : (tensor<4x4x4xf32, #qwen.rows<S>>, tensor<4xi32, #qwen.rows<S>>) -> tensor<4x4x4xf32, #qwen.rows<S>>
  %k0 = qwen.slice %qkv at 16 : tensor<4x32xf32, #qwen.rows<S>> -> tensor<4x8xf32, #qwen.rows<S>>
  %k1 = qwen.reshape %k0 : tensor<4x8xf32, #qwen.rows<S>> -> tensor<4x2x4xf32, #qwen.rows<S>>
  %k2 = qwen.rms_norm %k1, %kn eps 0.125 : (tensor<4x2x4xf32, #qwen.rows<S>>, tensor<4xbf16>) -> tensor<4x2x4xf32, #qwen.rows<S>>
  %k3 = qwen.rope %k2, %pos theta 1.0e4 : (tensor<4x2x4xf32, #qwen.rows<S>>, tensor<4xi32, #qwen.rows<S>>) -> tensor<4x2x4xf32, #qwen.rows<S>>
  %v0 = qwen.slice %qkv at 24 : tensor<4x32xf32, #qwen.rows<S>> -> tensor<4x8xf32, #qwen.rows<S>>
  %v1 = qwen.reshape %v0 : tensor<4x8xf32, #qwen.rows<S>> -> tensor<4x2x4xf32, #qwen.rows<S>>
  %kc = qwen.read_state @k : tensor<16x2x4xf32>
  %vc = qwen.read_state @v : tensor<16x2x4xf32>
  %k4 = qwen.kv_append %kc, %k3 : (tensor<16x2x4xf32>, tensor<4x2x4xf32, #qwen.rows<S>>) -> tensor<16x2x4xf32>
  %v4 = qwen.kv_append %vc, %v1 : (tensor<16x2x4xf32>, tensor<4x2x4xf32, #qwen.rows<S>>) -> tensor<16x2x4xf32>
  qwen.advance
  %a = qwen.attention %q3, %k4, %v4 scale 0.5 causal : (tensor<4x4x4xf32, #qwen.rows<S>>, tensor<16x2x4xf32>, tensor<16x2x4xf32>) -> tensor<4x4x4xf32, #qwen.rows<S>>
  return %a : tensor<4x4x4xf32, #qwen.rows<S>>
}

// -----

qwen.state @k : tensor<16x2x4xf32>
qwen.state @v : tensor<16x2x4xf32>

// Keys and values go to one state.
// CHECK-LABEL: @one_state
// CHECK-NOT: qwen.rope_append
// CHECK: qwen.attention
// CHECK-NOT: qwen.rope_append
func.func @one_state(%qkv: tensor<4x32xf32, #qwen.rows<S>>, %qn: tensor<4xbf16>, %kn: tensor<4xbf16>, %given: tensor<4xi32, #qwen.rows<S>>) -> tensor<4x4x4xf32, #qwen.rows<S>> {
  %pos = qwen.position_ids : tensor<4xi32, #qwen.rows<S>>
  %q0 = qwen.slice %qkv at 0 : tensor<4x32xf32, #qwen.rows<S>> -> tensor<4x16xf32, #qwen.rows<S>>
  %q1 = qwen.reshape %q0 : tensor<4x16xf32, #qwen.rows<S>> -> tensor<4x4x4xf32, #qwen.rows<S>>
  %q2 = qwen.rms_norm %q1, %qn eps 0.125 : (tensor<4x4x4xf32, #qwen.rows<S>>, tensor<4xbf16>) -> tensor<4x4x4xf32, #qwen.rows<S>>
  %q3 = qwen.rope %q2, %pos theta 1.0e4 : (tensor<4x4x4xf32, #qwen.rows<S>>, tensor<4xi32, #qwen.rows<S>>) -> tensor<4x4x4xf32, #qwen.rows<S>>
  %k0 = qwen.slice %qkv at 16 : tensor<4x32xf32, #qwen.rows<S>> -> tensor<4x8xf32, #qwen.rows<S>>
  %k1 = qwen.reshape %k0 : tensor<4x8xf32, #qwen.rows<S>> -> tensor<4x2x4xf32, #qwen.rows<S>>
  %k2 = qwen.rms_norm %k1, %kn eps 0.125 : (tensor<4x2x4xf32, #qwen.rows<S>>, tensor<4xbf16>) -> tensor<4x2x4xf32, #qwen.rows<S>>
  %k3 = qwen.rope %k2, %pos theta 1.0e4 : (tensor<4x2x4xf32, #qwen.rows<S>>, tensor<4xi32, #qwen.rows<S>>) -> tensor<4x2x4xf32, #qwen.rows<S>>
  %v0 = qwen.slice %qkv at 24 : tensor<4x32xf32, #qwen.rows<S>> -> tensor<4x8xf32, #qwen.rows<S>>
  %v1 = qwen.reshape %v0 : tensor<4x8xf32, #qwen.rows<S>> -> tensor<4x2x4xf32, #qwen.rows<S>>
  %kc = qwen.read_state @k : tensor<16x2x4xf32>
  %vc = qwen.read_state @v : tensor<16x2x4xf32>
  %k4 = qwen.kv_append %kc, %k3 : (tensor<16x2x4xf32>, tensor<4x2x4xf32, #qwen.rows<S>>) -> tensor<16x2x4xf32>
  %v4 = qwen.kv_append %kc, %v1 : (tensor<16x2x4xf32>, tensor<4x2x4xf32, #qwen.rows<S>>) -> tensor<16x2x4xf32>
  %a = qwen.attention %q3, %k4, %v4 scale 0.5 causal : (tensor<4x4x4xf32, #qwen.rows<S>>, tensor<16x2x4xf32>, tensor<16x2x4xf32>) -> tensor<4x4x4xf32, #qwen.rows<S>>
  return %a : tensor<4x4x4xf32, #qwen.rows<S>>
}

// -----

qwen.state @k : tensor<16x2x8xf32>
qwen.state @v : tensor<16x2x8xf32>

// The history has the positions of the entry's rows: the fused kernel finds them by itself.
// CHECK-LABEL: @sections
// CHECK-SAME: (%[[QKV:[^ :]*]]:
// CHECK: qwen.rope_append %[[QKV]] norms() caches(%{{.*}}, %{{.*}}) {head_dim = 8 : i64, num_heads = 4 : i64, num_kv_heads = 2 : i64, sections = array<i64: 2, 1, 1>, theta = 1.000000e+04 : f64}
// CHECK-NOT: qwen.mrope
func.func @sections(%qkv: tensor<4x64xf32, #qwen.rows<S>>, %positions: tensor<4x3xf32, #qwen.rows<S>> {qwen.binding = "positions"}) -> tensor<4x4x8xf32, #qwen.rows<S>> {
  %q0 = qwen.slice %qkv at 0 : tensor<4x64xf32, #qwen.rows<S>> -> tensor<4x32xf32, #qwen.rows<S>>
  %q1 = qwen.reshape %q0 : tensor<4x32xf32, #qwen.rows<S>> -> tensor<4x4x8xf32, #qwen.rows<S>>
  %q2 = qwen.mrope %q1, %positions theta 1.0e4 sections [2, 1, 1] : (tensor<4x4x8xf32, #qwen.rows<S>>, tensor<4x3xf32, #qwen.rows<S>>) -> tensor<4x4x8xf32, #qwen.rows<S>>
  %k0 = qwen.slice %qkv at 32 : tensor<4x64xf32, #qwen.rows<S>> -> tensor<4x16xf32, #qwen.rows<S>>
  %k1 = qwen.reshape %k0 : tensor<4x16xf32, #qwen.rows<S>> -> tensor<4x2x8xf32, #qwen.rows<S>>
  %k2 = qwen.mrope %k1, %positions theta 1.0e4 sections [2, 1, 1] : (tensor<4x2x8xf32, #qwen.rows<S>>, tensor<4x3xf32, #qwen.rows<S>>) -> tensor<4x2x8xf32, #qwen.rows<S>>
  %v0 = qwen.slice %qkv at 48 : tensor<4x64xf32, #qwen.rows<S>> -> tensor<4x16xf32, #qwen.rows<S>>
  %v1 = qwen.reshape %v0 : tensor<4x16xf32, #qwen.rows<S>> -> tensor<4x2x8xf32, #qwen.rows<S>>
  %kc = qwen.read_state @k : tensor<16x2x8xf32>
  %vc = qwen.read_state @v : tensor<16x2x8xf32>
  %k3 = qwen.kv_append %kc, %k2 : (tensor<16x2x8xf32>, tensor<4x2x8xf32, #qwen.rows<S>>) -> tensor<16x2x8xf32>
  %v3 = qwen.kv_append %vc, %v1 : (tensor<16x2x8xf32>, tensor<4x2x8xf32, #qwen.rows<S>>) -> tensor<16x2x8xf32>
  %a = qwen.attention %q2, %k3, %v3 scale 0.5 causal : (tensor<4x4x8xf32, #qwen.rows<S>>, tensor<16x2x8xf32>, tensor<16x2x8xf32>) -> tensor<4x4x8xf32, #qwen.rows<S>>
  return %a : tensor<4x4x8xf32, #qwen.rows<S>>
}

// -----

qwen.state @k : tensor<16x2x8xf32>
qwen.state @v : tensor<16x2x8xf32>

// Positions that are no input of the entry are not in the history.
// CHECK-LABEL: @computed_positions
// CHECK-NOT: qwen.rope_append
// CHECK: qwen.kv_append
// CHECK-NOT: qwen.rope_append
func.func @computed_positions(%qkv: tensor<4x64xf32, #qwen.rows<S>>, %positions: tensor<4x3xf32, #qwen.rows<S>>) -> tensor<4x4x8xf32, #qwen.rows<S>> {
  %q0 = qwen.slice %qkv at 0 : tensor<4x64xf32, #qwen.rows<S>> -> tensor<4x32xf32, #qwen.rows<S>>
  %q1 = qwen.reshape %q0 : tensor<4x32xf32, #qwen.rows<S>> -> tensor<4x4x8xf32, #qwen.rows<S>>
  %q2 = qwen.mrope %q1, %positions theta 1.0e4 sections [2, 1, 1] : (tensor<4x4x8xf32, #qwen.rows<S>>, tensor<4x3xf32, #qwen.rows<S>>) -> tensor<4x4x8xf32, #qwen.rows<S>>
  %k0 = qwen.slice %qkv at 32 : tensor<4x64xf32, #qwen.rows<S>> -> tensor<4x16xf32, #qwen.rows<S>>
  %k1 = qwen.reshape %k0 : tensor<4x16xf32, #qwen.rows<S>> -> tensor<4x2x8xf32, #qwen.rows<S>>
  %k2 = qwen.mrope %k1, %positions theta 1.0e4 sections [2, 1, 1] : (tensor<4x2x8xf32, #qwen.rows<S>>, tensor<4x3xf32, #qwen.rows<S>>) -> tensor<4x2x8xf32, #qwen.rows<S>>
  %v0 = qwen.slice %qkv at 48 : tensor<4x64xf32, #qwen.rows<S>> -> tensor<4x16xf32, #qwen.rows<S>>
  %v1 = qwen.reshape %v0 : tensor<4x16xf32, #qwen.rows<S>> -> tensor<4x2x8xf32, #qwen.rows<S>>
  %kc = qwen.read_state @k : tensor<16x2x8xf32>
  %vc = qwen.read_state @v : tensor<16x2x8xf32>
  %k3 = qwen.kv_append %kc, %k2 : (tensor<16x2x8xf32>, tensor<4x2x8xf32, #qwen.rows<S>>) -> tensor<16x2x8xf32>
  %v3 = qwen.kv_append %vc, %v1 : (tensor<16x2x8xf32>, tensor<4x2x8xf32, #qwen.rows<S>>) -> tensor<16x2x8xf32>
  %a = qwen.attention %q2, %k3, %v3 scale 0.5 causal : (tensor<4x4x8xf32, #qwen.rows<S>>, tensor<16x2x8xf32>, tensor<16x2x8xf32>) -> tensor<4x4x8xf32, #qwen.rows<S>>
  return %a : tensor<4x4x8xf32, #qwen.rows<S>>
}

// -----

qwen.state @k : tensor<16x2x8xf32>
qwen.state @v : tensor<16x2x8xf32>

// Nor are those of another input.
// CHECK-LABEL: @media_as_positions
// CHECK-NOT: qwen.rope_append
// CHECK: qwen.kv_append
// CHECK-NOT: qwen.rope_append
func.func @media_as_positions(%qkv: tensor<4x64xf32, #qwen.rows<S>>, %positions: tensor<4x3xf32, #qwen.rows<S>> {qwen.binding = "tensor", qwen.name = "positions"}) -> tensor<4x4x8xf32, #qwen.rows<S>> {
  %q0 = qwen.slice %qkv at 0 : tensor<4x64xf32, #qwen.rows<S>> -> tensor<4x32xf32, #qwen.rows<S>>
  %q1 = qwen.reshape %q0 : tensor<4x32xf32, #qwen.rows<S>> -> tensor<4x4x8xf32, #qwen.rows<S>>
  %q2 = qwen.mrope %q1, %positions theta 1.0e4 sections [2, 1, 1] : (tensor<4x4x8xf32, #qwen.rows<S>>, tensor<4x3xf32, #qwen.rows<S>>) -> tensor<4x4x8xf32, #qwen.rows<S>>
  %k0 = qwen.slice %qkv at 32 : tensor<4x64xf32, #qwen.rows<S>> -> tensor<4x16xf32, #qwen.rows<S>>
  %k1 = qwen.reshape %k0 : tensor<4x16xf32, #qwen.rows<S>> -> tensor<4x2x8xf32, #qwen.rows<S>>
  %k2 = qwen.mrope %k1, %positions theta 1.0e4 sections [2, 1, 1] : (tensor<4x2x8xf32, #qwen.rows<S>>, tensor<4x3xf32, #qwen.rows<S>>) -> tensor<4x2x8xf32, #qwen.rows<S>>
  %v0 = qwen.slice %qkv at 48 : tensor<4x64xf32, #qwen.rows<S>> -> tensor<4x16xf32, #qwen.rows<S>>
  %v1 = qwen.reshape %v0 : tensor<4x16xf32, #qwen.rows<S>> -> tensor<4x2x8xf32, #qwen.rows<S>>
  %kc = qwen.read_state @k : tensor<16x2x8xf32>
  %vc = qwen.read_state @v : tensor<16x2x8xf32>
  %k3 = qwen.kv_append %kc, %k2 : (tensor<16x2x8xf32>, tensor<4x2x8xf32, #qwen.rows<S>>) -> tensor<16x2x8xf32>
  %v3 = qwen.kv_append %vc, %v1 : (tensor<16x2x8xf32>, tensor<4x2x8xf32, #qwen.rows<S>>) -> tensor<16x2x8xf32>
  %a = qwen.attention %q2, %k3, %v3 scale 0.5 causal : (tensor<4x4x8xf32, #qwen.rows<S>>, tensor<16x2x8xf32>, tensor<16x2x8xf32>) -> tensor<4x4x8xf32, #qwen.rows<S>>
  return %a : tensor<4x4x8xf32, #qwen.rows<S>>
}

// -----

qwen.state @k : tensor<16x2x8xf32>
qwen.state @v : tensor<16x2x8xf32>

// Keys and queries that turn differently stay apart.
// CHECK-LABEL: @other_sections
// CHECK-NOT: qwen.rope_append
// CHECK: qwen.kv_append
// CHECK-NOT: qwen.rope_append
func.func @other_sections(%qkv: tensor<4x64xf32, #qwen.rows<S>>, %positions: tensor<4x3xf32, #qwen.rows<S>> {qwen.binding = "positions"}) -> tensor<4x4x8xf32, #qwen.rows<S>> {
  %q0 = qwen.slice %qkv at 0 : tensor<4x64xf32, #qwen.rows<S>> -> tensor<4x32xf32, #qwen.rows<S>>
  %q1 = qwen.reshape %q0 : tensor<4x32xf32, #qwen.rows<S>> -> tensor<4x4x8xf32, #qwen.rows<S>>
  %q2 = qwen.mrope %q1, %positions theta 1.0e4 sections [2, 1, 1] : (tensor<4x4x8xf32, #qwen.rows<S>>, tensor<4x3xf32, #qwen.rows<S>>) -> tensor<4x4x8xf32, #qwen.rows<S>>
  %k0 = qwen.slice %qkv at 32 : tensor<4x64xf32, #qwen.rows<S>> -> tensor<4x16xf32, #qwen.rows<S>>
  %k1 = qwen.reshape %k0 : tensor<4x16xf32, #qwen.rows<S>> -> tensor<4x2x8xf32, #qwen.rows<S>>
  %k2 = qwen.mrope %k1, %positions theta 1.0e4 sections [1, 2, 1] : (tensor<4x2x8xf32, #qwen.rows<S>>, tensor<4x3xf32, #qwen.rows<S>>) -> tensor<4x2x8xf32, #qwen.rows<S>>
  %v0 = qwen.slice %qkv at 48 : tensor<4x64xf32, #qwen.rows<S>> -> tensor<4x16xf32, #qwen.rows<S>>
  %v1 = qwen.reshape %v0 : tensor<4x16xf32, #qwen.rows<S>> -> tensor<4x2x8xf32, #qwen.rows<S>>
  %kc = qwen.read_state @k : tensor<16x2x8xf32>
  %vc = qwen.read_state @v : tensor<16x2x8xf32>
  %k3 = qwen.kv_append %kc, %k2 : (tensor<16x2x8xf32>, tensor<4x2x8xf32, #qwen.rows<S>>) -> tensor<16x2x8xf32>
  %v3 = qwen.kv_append %vc, %v1 : (tensor<16x2x8xf32>, tensor<4x2x8xf32, #qwen.rows<S>>) -> tensor<16x2x8xf32>
  %a = qwen.attention %q2, %k3, %v3 scale 0.5 causal : (tensor<4x4x8xf32, #qwen.rows<S>>, tensor<16x2x8xf32>, tensor<16x2x8xf32>) -> tensor<4x4x8xf32, #qwen.rows<S>>
  return %a : tensor<4x4x8xf32, #qwen.rows<S>>
}

// -----

qwen.state @k : tensor<16x2x8xf32>
qwen.state @v : tensor<16x2x8xf32>

// CHECK-LABEL: @other_theta
// CHECK-NOT: qwen.rope_append
// CHECK: qwen.kv_append
// CHECK-NOT: qwen.rope_append
func.func @other_theta(%qkv: tensor<4x64xf32, #qwen.rows<S>>, %positions: tensor<4x3xf32, #qwen.rows<S>> {qwen.binding = "positions"}) -> tensor<4x4x8xf32, #qwen.rows<S>> {
  %q0 = qwen.slice %qkv at 0 : tensor<4x64xf32, #qwen.rows<S>> -> tensor<4x32xf32, #qwen.rows<S>>
  %q1 = qwen.reshape %q0 : tensor<4x32xf32, #qwen.rows<S>> -> tensor<4x4x8xf32, #qwen.rows<S>>
  %q2 = qwen.mrope %q1, %positions theta 1.0e4 sections [2, 1, 1] : (tensor<4x4x8xf32, #qwen.rows<S>>, tensor<4x3xf32, #qwen.rows<S>>) -> tensor<4x4x8xf32, #qwen.rows<S>>
  %k0 = qwen.slice %qkv at 32 : tensor<4x64xf32, #qwen.rows<S>> -> tensor<4x16xf32, #qwen.rows<S>>
  %k1 = qwen.reshape %k0 : tensor<4x16xf32, #qwen.rows<S>> -> tensor<4x2x8xf32, #qwen.rows<S>>
  %k2 = qwen.mrope %k1, %positions theta 1.0e6 sections [2, 1, 1] : (tensor<4x2x8xf32, #qwen.rows<S>>, tensor<4x3xf32, #qwen.rows<S>>) -> tensor<4x2x8xf32, #qwen.rows<S>>
  %v0 = qwen.slice %qkv at 48 : tensor<4x64xf32, #qwen.rows<S>> -> tensor<4x16xf32, #qwen.rows<S>>
  %v1 = qwen.reshape %v0 : tensor<4x16xf32, #qwen.rows<S>> -> tensor<4x2x8xf32, #qwen.rows<S>>
  %kc = qwen.read_state @k : tensor<16x2x8xf32>
  %vc = qwen.read_state @v : tensor<16x2x8xf32>
  %k3 = qwen.kv_append %kc, %k2 : (tensor<16x2x8xf32>, tensor<4x2x8xf32, #qwen.rows<S>>) -> tensor<16x2x8xf32>
  %v3 = qwen.kv_append %vc, %v1 : (tensor<16x2x8xf32>, tensor<4x2x8xf32, #qwen.rows<S>>) -> tensor<16x2x8xf32>
  %a = qwen.attention %q2, %k3, %v3 scale 0.5 causal : (tensor<4x4x8xf32, #qwen.rows<S>>, tensor<16x2x8xf32>, tensor<16x2x8xf32>) -> tensor<4x4x8xf32, #qwen.rows<S>>
  return %a : tensor<4x4x8xf32, #qwen.rows<S>>
}

// -----

qwen.state @k : tensor<16x2x8xf32>
qwen.state @v : tensor<16x2x8xf32>

// CHECK-LABEL: @other_positions
// CHECK-NOT: qwen.rope_append
// CHECK: qwen.kv_append
// CHECK-NOT: qwen.rope_append
func.func @other_positions(%qkv: tensor<4x64xf32, #qwen.rows<S>>, %positions: tensor<4x3xf32, #qwen.rows<S>> {qwen.binding = "positions"}, %others: tensor<4x3xf32, #qwen.rows<S>> {qwen.binding = "positions"}) -> tensor<4x4x8xf32, #qwen.rows<S>> {
  %q0 = qwen.slice %qkv at 0 : tensor<4x64xf32, #qwen.rows<S>> -> tensor<4x32xf32, #qwen.rows<S>>
  %q1 = qwen.reshape %q0 : tensor<4x32xf32, #qwen.rows<S>> -> tensor<4x4x8xf32, #qwen.rows<S>>
  %q2 = qwen.mrope %q1, %positions theta 1.0e4 sections [2, 1, 1] : (tensor<4x4x8xf32, #qwen.rows<S>>, tensor<4x3xf32, #qwen.rows<S>>) -> tensor<4x4x8xf32, #qwen.rows<S>>
  %k0 = qwen.slice %qkv at 32 : tensor<4x64xf32, #qwen.rows<S>> -> tensor<4x16xf32, #qwen.rows<S>>
  %k1 = qwen.reshape %k0 : tensor<4x16xf32, #qwen.rows<S>> -> tensor<4x2x8xf32, #qwen.rows<S>>
  %k2 = qwen.mrope %k1, %others theta 1.0e4 sections [2, 1, 1] : (tensor<4x2x8xf32, #qwen.rows<S>>, tensor<4x3xf32, #qwen.rows<S>>) -> tensor<4x2x8xf32, #qwen.rows<S>>
  %v0 = qwen.slice %qkv at 48 : tensor<4x64xf32, #qwen.rows<S>> -> tensor<4x16xf32, #qwen.rows<S>>
  %v1 = qwen.reshape %v0 : tensor<4x16xf32, #qwen.rows<S>> -> tensor<4x2x8xf32, #qwen.rows<S>>
  %kc = qwen.read_state @k : tensor<16x2x8xf32>
  %vc = qwen.read_state @v : tensor<16x2x8xf32>
  %k3 = qwen.kv_append %kc, %k2 : (tensor<16x2x8xf32>, tensor<4x2x8xf32, #qwen.rows<S>>) -> tensor<16x2x8xf32>
  %v3 = qwen.kv_append %vc, %v1 : (tensor<16x2x8xf32>, tensor<4x2x8xf32, #qwen.rows<S>>) -> tensor<16x2x8xf32>
  %a = qwen.attention %q2, %k3, %v3 scale 0.5 causal : (tensor<4x4x8xf32, #qwen.rows<S>>, tensor<16x2x8xf32>, tensor<16x2x8xf32>) -> tensor<4x4x8xf32, #qwen.rows<S>>
  return %a : tensor<4x4x8xf32, #qwen.rows<S>>
}

// -----

qwen.state @k : tensor<16x2x8xf32>
qwen.state @v : tensor<16x2x8xf32>

// CHECK-LABEL: @one_rotation_counted
// CHECK-NOT: qwen.rope_append
// CHECK: qwen.kv_append
// CHECK-NOT: qwen.rope_append
func.func @one_rotation_counted(%qkv: tensor<4x64xf32, #qwen.rows<S>>, %positions: tensor<4x3xf32, #qwen.rows<S>> {qwen.binding = "positions"}) -> tensor<4x4x8xf32, #qwen.rows<S>> {
  %q0 = qwen.slice %qkv at 0 : tensor<4x64xf32, #qwen.rows<S>> -> tensor<4x32xf32, #qwen.rows<S>>
  %q1 = qwen.reshape %q0 : tensor<4x32xf32, #qwen.rows<S>> -> tensor<4x4x8xf32, #qwen.rows<S>>
  %q2 = qwen.mrope %q1, %positions theta 1.0e4 sections [2, 1, 1] : (tensor<4x4x8xf32, #qwen.rows<S>>, tensor<4x3xf32, #qwen.rows<S>>) -> tensor<4x4x8xf32, #qwen.rows<S>>
  %k0 = qwen.slice %qkv at 32 : tensor<4x64xf32, #qwen.rows<S>> -> tensor<4x16xf32, #qwen.rows<S>>
  %k1 = qwen.reshape %k0 : tensor<4x16xf32, #qwen.rows<S>> -> tensor<4x2x8xf32, #qwen.rows<S>>
  %counted = qwen.position_ids : tensor<4xi32, #qwen.rows<S>>
  %k2 = qwen.rope %k1, %counted theta 1.0e4 : (tensor<4x2x8xf32, #qwen.rows<S>>, tensor<4xi32, #qwen.rows<S>>) -> tensor<4x2x8xf32, #qwen.rows<S>>
  %v0 = qwen.slice %qkv at 48 : tensor<4x64xf32, #qwen.rows<S>> -> tensor<4x16xf32, #qwen.rows<S>>
  %v1 = qwen.reshape %v0 : tensor<4x16xf32, #qwen.rows<S>> -> tensor<4x2x8xf32, #qwen.rows<S>>
  %kc = qwen.read_state @k : tensor<16x2x8xf32>
  %vc = qwen.read_state @v : tensor<16x2x8xf32>
  %k3 = qwen.kv_append %kc, %k2 : (tensor<16x2x8xf32>, tensor<4x2x8xf32, #qwen.rows<S>>) -> tensor<16x2x8xf32>
  %v3 = qwen.kv_append %vc, %v1 : (tensor<16x2x8xf32>, tensor<4x2x8xf32, #qwen.rows<S>>) -> tensor<16x2x8xf32>
  %a = qwen.attention %q2, %k3, %v3 scale 0.5 causal : (tensor<4x4x8xf32, #qwen.rows<S>>, tensor<16x2x8xf32>, tensor<16x2x8xf32>) -> tensor<4x4x8xf32, #qwen.rows<S>>
  return %a : tensor<4x4x8xf32, #qwen.rows<S>>
}
