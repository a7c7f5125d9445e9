// RUN: qwen-opt %s --qwen-split-decode-attention=splits=3 | FileCheck %s

// CHECK-LABEL: @one_row
// CHECK-SAME: (%[[QKV:.*]]: tensor<1x32xf32>, %[[QN:.*]]: tensor<4xbf16>, %[[KN:.*]]: tensor<4xbf16>, %[[KC:.*]]: tensor<256x2x4xf16>, %[[VC:.*]]: tensor<256x2x4xf16>)
// CHECK-NEXT: %[[P:.*]], %{{.*}}, %{{.*}} = qwen.decode_attention %[[QKV]] norms(%[[QN]], %[[KN]]) caches(%[[KC]], %[[VC]])
// CHECK-SAME: eps = 1.250000e-01 : f64, head_dim = 4 : i64, num_heads = 4 : i64, num_kv_heads = 2 : i64, scale = 5.000000e-01 : f64, splits = 3 : i64, theta = 1.000000e+04 : f64
// CHECK-SAME: -> (tensor<4x3x6xf32>, tensor<256x2x4xf16>, tensor<256x2x4xf16>)
// CHECK-NEXT: %[[C:.*]] = qwen.combine_splits %[[P]] : tensor<4x3x6xf32> -> tensor<1x16xf32>
// CHECK-NEXT: return %[[C]]
func.func @one_row(%qkv: tensor<1x32xf32>, %qn: tensor<4xbf16>, %kn: tensor<4xbf16>, %kc: tensor<256x2x4xf16>, %vc: tensor<256x2x4xf16>) -> tensor<1x16xf32> {
  %q, %k, %v = qwen.rope_append %qkv norms(%qn, %kn) caches(%kc, %vc)
    {num_heads = 4, num_kv_heads = 2, head_dim = 4, theta = 1.0e4, eps = 0.125}
    : (tensor<1x32xf32>, tensor<4xbf16>, tensor<4xbf16>, tensor<256x2x4xf16>, tensor<256x2x4xf16>)
    -> (tensor<1x4x4xf32>, tensor<256x2x4xf16>, tensor<256x2x4xf16>)
  %a = qwen.attention %q, %k, %v scale 0.5 causal : (tensor<1x4x4xf32>, tensor<256x2x4xf16>, tensor<256x2x4xf16>) -> tensor<1x4x4xf32>
  %r = qwen.reshape %a : tensor<1x4x4xf32> -> tensor<1x16xf32>
  return %r : tensor<1x16xf32>
}

// Many rows attend as they are; so does one row of a counted tensor.
// CHECK-LABEL: @many_rows
// CHECK-NOT: qwen.decode_attention
// CHECK: qwen.attention
func.func @many_rows(%qkv: tensor<1x32xf32, #qwen.rows<S>>, %kc: tensor<256x2x4xf16>, %vc: tensor<256x2x4xf16>) -> tensor<1x4x4xf32, #qwen.rows<S>> {
  %q, %k, %v = qwen.rope_append %qkv norms() caches(%kc, %vc)
    {num_heads = 4, num_kv_heads = 2, head_dim = 4, theta = 1.0e4}
    : (tensor<1x32xf32, #qwen.rows<S>>, tensor<256x2x4xf16>, tensor<256x2x4xf16>)
    -> (tensor<1x4x4xf32, #qwen.rows<S>>, tensor<256x2x4xf16>, tensor<256x2x4xf16>)
  %a = qwen.attention %q, %k, %v scale 0.5 causal : (tensor<1x4x4xf32, #qwen.rows<S>>, tensor<256x2x4xf16>, tensor<256x2x4xf16>) -> tensor<1x4x4xf32, #qwen.rows<S>>
  return %a : tensor<1x4x4xf32, #qwen.rows<S>>
}

// Something else reads the rotated query.
// CHECK-LABEL: @read_elsewhere
// CHECK-NOT: qwen.decode_attention
// CHECK: qwen.attention
func.func @read_elsewhere(%qkv: tensor<1x32xf32>, %kc: tensor<256x2x4xf16>, %vc: tensor<256x2x4xf16>) -> (tensor<1x4x4xf32>, tensor<1x4x4xf32>) {
  %q, %k, %v = qwen.rope_append %qkv norms() caches(%kc, %vc)
    {num_heads = 4, num_kv_heads = 2, head_dim = 4, theta = 1.0e4}
    : (tensor<1x32xf32>, tensor<256x2x4xf16>, tensor<256x2x4xf16>)
    -> (tensor<1x4x4xf32>, tensor<256x2x4xf16>, tensor<256x2x4xf16>)
  %a = qwen.attention %q, %k, %v scale 0.5 causal : (tensor<1x4x4xf32>, tensor<256x2x4xf16>, tensor<256x2x4xf16>) -> tensor<1x4x4xf32>
  return %a, %q : tensor<1x4x4xf32>, tensor<1x4x4xf32>
}

// 100 keys are two blocks of 64, whatever the target would have.
// CHECK-LABEL: func.func @short_cache
// CHECK: qwen.decode_attention
// CHECK-SAME: splits = 2
func.func @short_cache(%qkv: tensor<1x32xf32>, %qn: tensor<4xbf16>, %kn: tensor<4xbf16>, %kc: tensor<100x2x4xf16>, %vc: tensor<100x2x4xf16>) -> tensor<1x16xf32> {
  %q, %k, %v = qwen.rope_append %qkv norms(%qn, %kn) caches(%kc, %vc)
    {num_heads = 4, num_kv_heads = 2, head_dim = 4, theta = 1.0e4, eps = 0.125}
    : (tensor<1x32xf32>, tensor<4xbf16>, tensor<4xbf16>, tensor<100x2x4xf16>, tensor<100x2x4xf16>)
    -> (tensor<1x4x4xf32>, tensor<100x2x4xf16>, tensor<100x2x4xf16>)
  %a = qwen.attention %q, %k, %v scale 0.5 causal : (tensor<1x4x4xf32>, tensor<100x2x4xf16>, tensor<100x2x4xf16>) -> tensor<1x4x4xf32>
  %r = qwen.reshape %a : tensor<1x4x4xf32> -> tensor<1x16xf32>
  return %r : tensor<1x16xf32>
}
