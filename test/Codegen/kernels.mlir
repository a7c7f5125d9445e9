// Every skeleton once: the entries below hold each fused operation in the forms that code generation tells apart.

// RUN: qwen-opt %s --convert-qwen-to-plan=target=lavapipe | FileCheck %s

module attributes {qwen.max_context = 96 : i64} {
  qwen.parameter @embed : tensor<101x32xbf16> file 0 offset 1000
  qwen.parameter @norm : tensor<32xbf16> file 0 offset 2000
  qwen.parameter @head_norm : tensor<16xbf16> file 0 offset 3000
  qwen.parameter @layers.3.qkv : tensor<64x32xbf16> file 0 offset 4000
  qwen.parameter @gate : tensor<48x32xbf16> file 0 offset 5000
  qwen.parameter @up : tensor<48x32xbf16> file 0 offset 6000
  qwen.parameter @down : tensor<32x48xbf16> file 0 offset 7000
  qwen.parameter @out : tensor<32x32xbf16> file 0 offset 8000
  qwen.state @k : tensor<96x1x16xf32>
  qwen.state @v : tensor<96x1x16xf32>

  // Weights keep their place in the file; rows are padded to 8 elements and the layer comes from the name.
  // CHECK-DAG: plan.weight @weight.layers.3.qkv file 0 at 4000 rows 64 x 64 pitch 64 layer 3
  // CHECK-DAG: plan.weight @weight.head_norm file 0 at 3000 rows 1 x 32 pitch 32
  // CHECK-DAG: plan.storage @cache.k cache size 6144
  // CHECK-DAG: plan.cell tokens in @state at 64 count 97

  // CHECK-LABEL: plan.entry @prefill role prefill rows 24
  // CHECK: plan.tensor input "input_ids" in @state at 64 i32 [24] symbols ["S"]
  // CHECK: plan.symbol "S" cell length max 24
  // CHECK: plan.tensor output "hidden" in @hidden at 0 f32 [24, 32] symbols ["S", ""]
  // CHECK: plan.dispatch @begin_chunk_r24
  // CHECK: plan.dispatch @embedding_v101_n32_r24 groups [24, 1, 1]
  // CHECK: plan.dispatch @rms_norm_n32_r24_f32
  // One tile of 64x64 would leave all cores but one idle: tiles of 32x32.
  // CHECK: plan.dispatch @gemm_n64_k32_r24 groups [2, 1, 1]
  // CHECK: plan.dispatch @rope_append_norm_h2kv1d16_c96_f32_r24{{.*}} groups [1, 24, 1]
  // CHECK: plan.dispatch @attention_h2kv1d16_c96_f32_r24
  // CHECK: plan.dispatch @gemm_n32_k32_r24_addf_ef32
  // CHECK: plan.dispatch @gemm_n48x2_k32_r24_silu_mulf
  // CHECK: plan.dispatch @gemm_n32_k48_r24
  // CHECK: plan.dispatch @elementwise_addf_n32_r24_f32_f32_f32
  // CHECK: plan.dispatch @advance
  func.func @prefill(%ids: tensor<24xi32, #qwen.rows<S>> {qwen.binding = "tokens"})
      -> (tensor<24x32xf32, #qwen.rows<S>> {qwen.name = "hidden"}) attributes {qwen.role = "prefill", qwen.rows = 24 : i64} {
    qwen.begin_chunk 24
    %embed = qwen.weight @embed : tensor<101x32xbf16>
    %norm = qwen.weight @norm : tensor<32xbf16>
    %hn = qwen.weight @head_norm : tensor<16xbf16>
    %wqkv = qwen.weight @layers.3.qkv : tensor<64x32xbf16>
    %gate = qwen.weight @gate : tensor<48x32xbf16>
    %up = qwen.weight @up : tensor<48x32xbf16>
    %down = qwen.weight @down : tensor<32x48xbf16>
    %out = qwen.weight @out : tensor<32x32xbf16>
    %kc = qwen.read_state @k : tensor<96x1x16xf32>
    %vc = qwen.read_state @v : tensor<96x1x16xf32>
    %x = qwen.embedding %ids, %embed : (tensor<24xi32, #qwen.rows<S>>, tensor<101x32xbf16>) -> tensor<24x32xf32, #qwen.rows<S>>
    %n = qwen.rms_norm %x, %norm eps 1.0e-6 : (tensor<24x32xf32, #qwen.rows<S>>, tensor<32xbf16>) -> tensor<24x32xf32, #qwen.rows<S>>
    %qkv = qwen.fused_linear none concat %n weights(%wqkv) {
    ^bb0(%a: f32):
      qwen.yield %a : f32
    } : (tensor<24x32xf32, #qwen.rows<S>>, tensor<64x32xbf16>) -> tensor<24x64xf32, #qwen.rows<S>>
    %q, %k1, %v1 = qwen.rope_append %qkv norms(%hn, %hn) caches(%kc, %vc)
        {num_heads = 2 : i64, num_kv_heads = 1 : i64, head_dim = 16 : i64, theta = 1.0e6 : f64, eps = 1.0e-6 : f64}
        : (tensor<24x64xf32, #qwen.rows<S>>, tensor<16xbf16>, tensor<16xbf16>, tensor<96x1x16xf32>, tensor<96x1x16xf32>)
        -> (tensor<24x2x16xf32, #qwen.rows<S>>, tensor<96x1x16xf32>, tensor<96x1x16xf32>)
    %att = qwen.attention %q, %k1, %v1 scale 0.25 causal
        : (tensor<24x2x16xf32, #qwen.rows<S>>, tensor<96x1x16xf32>, tensor<96x1x16xf32>) -> tensor<24x2x16xf32, #qwen.rows<S>>
    %flat = qwen.reshape %att : tensor<24x2x16xf32, #qwen.rows<S>> -> tensor<24x32xf32, #qwen.rows<S>>
    %y = qwen.fused_linear none concat %flat weights(%out) extras(%x) {
    ^bb0(%a: f32, %e: f32):
      %s = arith.addf %a, %e : f32
      qwen.yield %s : f32
    } : (tensor<24x32xf32, #qwen.rows<S>>, tensor<32x32xbf16>, tensor<24x32xf32, #qwen.rows<S>>) -> tensor<24x32xf32, #qwen.rows<S>>
    %m = qwen.fused_linear none parallel %y weights(%gate, %up) {
    ^bb0(%g: f32, %u: f32):
      %one = arith.constant 1.0 : f32
      %neg = arith.negf %g : f32
      %exp = math.exp %neg : f32
      %den = arith.addf %one, %exp : f32
      %silu = arith.divf %g, %den : f32
      %p = arith.mulf %silu, %u : f32
      qwen.yield %p : f32
    } : (tensor<24x32xf32, #qwen.rows<S>>, tensor<48x32xbf16>, tensor<48x32xbf16>) -> tensor<24x48xf32, #qwen.rows<S>>
    %d = qwen.fused_linear none concat %m weights(%down) {
    ^bb0(%a: f32):
      qwen.yield %a : f32
    } : (tensor<24x48xf32, #qwen.rows<S>>, tensor<32x48xbf16>) -> tensor<24x32xf32, #qwen.rows<S>>
    %z = qwen.elementwise (%y, %d) {
    ^bb0(%a: f32, %b: f32):
      %s = arith.addf %a, %b : f32
      qwen.yield %s : f32
    } : (tensor<24x32xf32, #qwen.rows<S>>, tensor<24x32xf32, #qwen.rows<S>>) -> tensor<24x32xf32, #qwen.rows<S>>
    qwen.advance
    return %z : tensor<24x32xf32, #qwen.rows<S>>
  }

  // CHECK-LABEL: plan.entry @decode_sample role decode_sample rows 1
  // CHECK: plan.dispatch @gemv_n64_k32_rms_norm
  // CHECK: plan.dispatch @decode_attention_norm_h2kv1d16_c96_f32_s3
  // CHECK: plan.dispatch @gemv_n32_k32_combine2x3_addf_ef32
  // CHECK: plan.dispatch @gemv_n101_k32
  // CHECK: plan.dispatch @sample_v101_advance
  func.func @decode_sample(%ids: tensor<1xi32> {qwen.binding = "tokens"})
      -> (tensor<1x101xf32> {qwen.name = "logits"}) attributes {qwen.role = "decode_sample", qwen.rows = 1 : i64} {
    %embed = qwen.weight @embed : tensor<101x32xbf16>
    %norm = qwen.weight @norm : tensor<32xbf16>
    %hn = qwen.weight @head_norm : tensor<16xbf16>
    %wqkv = qwen.weight @layers.3.qkv : tensor<64x32xbf16>
    %out = qwen.weight @out : tensor<32x32xbf16>
    %kc = qwen.read_state @k : tensor<96x1x16xf32>
    %vc = qwen.read_state @v : tensor<96x1x16xf32>
    %x = qwen.embedding %ids, %embed : (tensor<1xi32>, tensor<101x32xbf16>) -> tensor<1x32xf32>
    %qkv = qwen.fused_linear rms_norm concat %x weights(%wqkv) norm(%norm eps 1.0e-6) {
    ^bb0(%a: f32):
      qwen.yield %a : f32
    } : (tensor<1x32xf32>, tensor<64x32xbf16>, tensor<32xbf16>) -> tensor<1x64xf32>
    %p, %k1, %v1 = qwen.decode_attention %qkv norms(%hn, %hn) caches(%kc, %vc)
        {num_heads = 2 : i64, num_kv_heads = 1 : i64, head_dim = 16 : i64, theta = 1.0e6 : f64, eps = 1.0e-6 : f64, scale = 0.25 : f64, splits = 3 : i64}
        : (tensor<1x64xf32>, tensor<16xbf16>, tensor<16xbf16>, tensor<96x1x16xf32>, tensor<96x1x16xf32>)
        -> (tensor<2x3x18xf32>, tensor<96x1x16xf32>, tensor<96x1x16xf32>)
    %y = qwen.fused_linear combine_splits concat %p weights(%out) extras(%x) {
    ^bb0(%a: f32, %e: f32):
      %s = arith.addf %a, %e : f32
      qwen.yield %s : f32
    } : (tensor<2x3x18xf32>, tensor<32x32xbf16>, tensor<1x32xf32>) -> tensor<1x32xf32>
    %l = qwen.fused_linear none concat %y weights(%embed) {
    ^bb0(%a: f32):
      qwen.yield %a : f32
    } : (tensor<1x32xf32>, tensor<101x32xbf16>) -> tensor<1x101xf32>
    qwen.next_token %l sample advances : tensor<1x101xf32>
    return %l : tensor<1x101xf32>
  }
}
