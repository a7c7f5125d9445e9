// RUN: qwen-opt %s | qwen-opt | FileCheck %s
// RUN: qwen-opt %s --mlir-print-op-generic | qwen-opt | FileCheck %s
// Every operation of the dialect in its pretty form, read, printed and read again.

// CHECK: qwen.parameter @embed : tensor<32x8xbf16> file 0 offset 64
qwen.parameter @embed : tensor<32x8xbf16> file 0 offset 64
// CHECK: qwen.parameter @packed : tensor<4x32xbf16, #qwen.packed<q4>> file 1 offset 64
qwen.parameter @packed : tensor<4x32xbf16, #qwen.packed<q4>> file 1 offset 64
// CHECK: qwen.state @layers.0.k : tensor<16x2x4xf32>
qwen.state @layers.0.k : tensor<16x2x4xf32>
// CHECK: qwen.state @dynamic : tensor<?x2x4xf16>
qwen.state @dynamic : tensor<?x2x4xf16>
qwen.parameter @expert.0 : tensor<6x8xbf16> file 0 offset 1024
qwen.parameter @expert.1 : tensor<6x8xbf16> file 0 offset 2048

// CHECK-LABEL: @primitives
// CHECK-SAME: tensor<?xi32, #qwen.rows<S>>
func.func @primitives(%ids: tensor<?xi32, #qwen.rows<S>>, %w: tensor<8xbf16>, %b: tensor<16xbf16>, %wq: tensor<16x8xbf16>) {
  // CHECK: %[[E:.*]] = qwen.weight @embed : tensor<32x8xbf16>
  %e = qwen.weight @embed : tensor<32x8xbf16>
  // CHECK: qwen.embedding %{{.*}}, %[[E]] : (tensor<?xi32, #qwen.rows<S>>, tensor<32x8xbf16>) -> tensor<?x8xf32, #qwen.rows<S>>
  %x = qwen.embedding %ids, %e : (tensor<?xi32, #qwen.rows<S>>, tensor<32x8xbf16>) -> tensor<?x8xf32, #qwen.rows<S>>
  // CHECK: qwen.position_ids : tensor<?xi32, #qwen.rows<S>>
  %positions = qwen.position_ids : tensor<?xi32, #qwen.rows<S>>
  // CHECK: qwen.rms_norm %{{.*}}, %{{.*}} eps 1.250000e-01 :
  %n = qwen.rms_norm %x, %w eps 0.125 : (tensor<?x8xf32, #qwen.rows<S>>, tensor<8xbf16>) -> tensor<?x8xf32, #qwen.rows<S>>
  // CHECK: %[[Q:.*]] = qwen.linear %{{.*}}, %{{.*}} : (tensor<?x8xf32, #qwen.rows<S>>, tensor<16x8xbf16>)
  %q = qwen.linear %n, %wq : (tensor<?x8xf32, #qwen.rows<S>>, tensor<16x8xbf16>) -> tensor<?x16xf32, #qwen.rows<S>>
  // CHECK: qwen.linear %{{.*}}, %{{.*}}, %{{.*}} : (tensor<?x8xf32, #qwen.rows<S>>, tensor<16x8xbf16>, tensor<16xbf16>)
  %qb = qwen.linear %n, %wq, %b : (tensor<?x8xf32, #qwen.rows<S>>, tensor<16x8xbf16>, tensor<16xbf16>) -> tensor<?x16xf32, #qwen.rows<S>>
  // CHECK: qwen.slice %{{.*}} at 8 : tensor<?x16xf32, #qwen.rows<S>> -> tensor<?x8xf32, #qwen.rows<S>>
  %k = qwen.slice %q at 8 : tensor<?x16xf32, #qwen.rows<S>> -> tensor<?x8xf32, #qwen.rows<S>>
  // CHECK: qwen.reshape %{{.*}} : tensor<?x16xf32, #qwen.rows<S>> -> tensor<?x4x4xf32, #qwen.rows<S>>
  %qh = qwen.reshape %q : tensor<?x16xf32, #qwen.rows<S>> -> tensor<?x4x4xf32, #qwen.rows<S>>
  %kh = qwen.reshape %k : tensor<?x8xf32, #qwen.rows<S>> -> tensor<?x2x4xf32, #qwen.rows<S>>
  // CHECK: qwen.rope %{{.*}}, %{{.*}} theta 1.000000e+06 :
  %qr = qwen.rope %qh, %positions theta 1.0e6 : (tensor<?x4x4xf32, #qwen.rows<S>>, tensor<?xi32, #qwen.rows<S>>) -> tensor<?x4x4xf32, #qwen.rows<S>>
  // CHECK: qwen.read_state @layers.0.k : tensor<16x2x4xf32>
  %c = qwen.read_state @layers.0.k : tensor<16x2x4xf32>
  // CHECK: qwen.kv_append %{{.*}}, %{{.*}} : (tensor<16x2x4xf32>, tensor<?x2x4xf32, #qwen.rows<S>>) -> tensor<16x2x4xf32>
  %c1 = qwen.kv_append %c, %kh : (tensor<16x2x4xf32>, tensor<?x2x4xf32, #qwen.rows<S>>) -> tensor<16x2x4xf32>
  // CHECK: qwen.attention %{{.*}}, %{{.*}}, %{{.*}} scale 5.000000e-01 causal :
  %a = qwen.attention %qr, %c1, %c1 scale 0.5 causal : (tensor<?x4x4xf32, #qwen.rows<S>>, tensor<16x2x4xf32>, tensor<16x2x4xf32>) -> tensor<?x4x4xf32, #qwen.rows<S>>
  // CHECK: qwen.attention %{{.*}}, %{{.*}}, %{{.*}} scale 5.000000e-01 :
  %a1 = qwen.attention %qr, %c1, %c1 scale 0.5 : (tensor<?x4x4xf32, #qwen.rows<S>>, tensor<16x2x4xf32>, tensor<16x2x4xf32>) -> tensor<?x4x4xf32, #qwen.rows<S>>
  // CHECK: qwen.silu %{{.*}} : tensor<?x8xf32, #qwen.rows<S>>
  %s = qwen.silu %x : tensor<?x8xf32, #qwen.rows<S>>
  // CHECK: qwen.mul %{{.*}}, %{{.*}} : tensor<?x8xf32, #qwen.rows<S>>
  %m = qwen.mul %s, %n : tensor<?x8xf32, #qwen.rows<S>>
  // CHECK: qwen.add %{{.*}}, %{{.*}} : tensor<?x8xf32, #qwen.rows<S>>
  %y = qwen.add %m, %x : tensor<?x8xf32, #qwen.rows<S>>
  return
}

// CHECK-LABEL: @entry
func.func @entry(%hidden: tensor<64x8xf32, #qwen.rows<S>>, %logits: tensor<1x32xf32>) {
  // CHECK: qwen.begin_chunk 64
  qwen.begin_chunk 64
  // CHECK: qwen.last_row %{{.*}} : tensor<64x8xf32, #qwen.rows<S>> -> tensor<1x8xf32>
  %last = qwen.last_row %hidden : tensor<64x8xf32, #qwen.rows<S>> -> tensor<1x8xf32>
  // CHECK: qwen.head_rows %{{.*}} : tensor<64x8xf32, #qwen.rows<S>> -> tensor<16x8xf32, #qwen.rows<R>>
  %rows = qwen.head_rows %hidden : tensor<64x8xf32, #qwen.rows<S>> -> tensor<16x8xf32, #qwen.rows<R>>
  // CHECK: qwen.next_token %{{.*}} greedy advances : tensor<1x32xf32>
  qwen.next_token %logits greedy advances : tensor<1x32xf32>
  // CHECK: qwen.next_token %{{.*}} sample : tensor<1x32xf32>
  qwen.next_token %logits sample : tensor<1x32xf32>
  // CHECK: qwen.advance
  qwen.advance
  return
}

// CHECK-LABEL: @products
func.func @products(%x: tensor<1x8xf32>, %p: tensor<2x3x6xf32>, %wa: tensor<16x8xbf16>, %wb: tensor<4x8xbf16>,
                    %norm: tensor<8xbf16>, %bias: tensor<16xbf16>, %residual: tensor<1x16xf32>) {
  // CHECK: qwen.fused_linear none concat %{{.*}} weights(%{{.*}}, %{{.*}}) {
  // CHECK-NEXT: ^bb0(%[[A:.*]]: f32):
  // CHECK-NEXT: qwen.yield %[[A]] : f32
  // CHECK-NEXT: } : (tensor<1x8xf32>, tensor<16x8xbf16>, tensor<4x8xbf16>) -> tensor<1x20xf32>
  %0 = qwen.fused_linear none concat %x weights(%wa, %wb) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<1x8xf32>, tensor<16x8xbf16>, tensor<4x8xbf16>) -> tensor<1x20xf32>
  // CHECK: qwen.fused_linear rms_norm parallel %{{.*}} weights(%{{.*}}, %{{.*}}) norm(%{{.*}} eps 1.250000e-01) extras(%{{.*}}, %{{.*}}) {
  %1 = qwen.fused_linear rms_norm parallel %x weights(%wa, %wa) norm(%norm eps 0.125) extras(%bias, %residual) {
  ^bb0(%a: f32, %b: f32, %c: f32, %d: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %c, %d : f32
    %y = arith.addf %m, %s : f32
    qwen.yield %y : f32
  } : (tensor<1x8xf32>, tensor<16x8xbf16>, tensor<16x8xbf16>, tensor<8xbf16>, tensor<16xbf16>, tensor<1x16xf32>) -> tensor<1x16xf32>
  // CHECK: qwen.fused_linear combine_splits concat %{{.*}} weights(%{{.*}}) {
  %2 = qwen.fused_linear combine_splits concat %p weights(%wa) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<2x3x6xf32>, tensor<16x8xbf16>) -> tensor<1x16xf32>
  // CHECK: qwen.elementwise(%{{.*}}, %{{.*}}) {
  %3 = qwen.elementwise (%1, %2) {
  ^bb0(%a: f32, %b: f32):
    %e = math.exp %a : f32
    %y = arith.addf %e, %b : f32
    qwen.yield %y : f32
  } : (tensor<1x16xf32>, tensor<1x16xf32>) -> tensor<1x16xf32>
  return
}

// CHECK-LABEL: @attention_steps
func.func @attention_steps(%many: tensor<4x32xf32, #qwen.rows<S>>, %one: tensor<1x32xf32>, %qn: tensor<4xbf16>,
                           %kn: tensor<4xbf16>, %kc: tensor<16x2x4xf16>, %vc: tensor<16x2x4xf16>) {
  // CHECK: %{{.*}}, %{{.*}}, %{{.*}} = qwen.rope_append %{{.*}} norms(%{{.*}}, %{{.*}}) caches(%{{.*}}, %{{.*}}) {eps = 1.250000e-01 : f64, head_dim = 4 : i64, num_heads = 4 : i64, num_kv_heads = 2 : i64, theta = 1.000000e+04 : f64}
  %q, %k, %v = qwen.rope_append %many norms(%qn, %kn) caches(%kc, %vc)
    {num_heads = 4, num_kv_heads = 2, head_dim = 4, theta = 1.0e4, eps = 0.125}
    : (tensor<4x32xf32, #qwen.rows<S>>, tensor<4xbf16>, tensor<4xbf16>, tensor<16x2x4xf16>, tensor<16x2x4xf16>)
    -> (tensor<4x4x4xf32, #qwen.rows<S>>, tensor<16x2x4xf16>, tensor<16x2x4xf16>)
  // CHECK: qwen.decode_attention %{{.*}} norms() caches(%{{.*}}, %{{.*}}) {{.*}}splits = 3
  %p, %k1, %v1 = qwen.decode_attention %one norms() caches(%kc, %vc)
    {num_heads = 4, num_kv_heads = 2, head_dim = 4, theta = 1.0e4, scale = 0.5, splits = 3}
    : (tensor<1x32xf32>, tensor<16x2x4xf16>, tensor<16x2x4xf16>)
    -> (tensor<4x3x6xf32>, tensor<16x2x4xf16>, tensor<16x2x4xf16>)
  // CHECK: qwen.combine_splits %{{.*}} : tensor<4x3x6xf32> -> tensor<1x16xf32>
  %c = qwen.combine_splits %p : tensor<4x3x6xf32> -> tensor<1x16xf32>
  return
}

// CHECK-LABEL: @mixture
func.func @mixture(%x: tensor<?x8xf32, #qwen.rows<S>>, %logits: tensor<?x2xf32, #qwen.rows<S>>) {
  // CHECK: %[[W:.*]] = qwen.weight_stack [@expert.0, @expert.1] : tensor<2x6x8xbf16>
  %w = qwen.weight_stack [@expert.0, @expert.1] : tensor<2x6x8xbf16>
  // CHECK: %[[P:.*]] = qwen.softmax %{{.*}} : tensor<?x2xf32, #qwen.rows<S>>
  %p = qwen.softmax %logits : tensor<?x2xf32, #qwen.rows<S>>
  // CHECK: %[[V:.*]], %[[E:.*]] = qwen.top_k %[[P]] : (tensor<?x2xf32, #qwen.rows<S>>) -> (tensor<?x1xf32, #qwen.rows<S>>, tensor<?x1xi32, #qwen.rows<S>>)
  %v, %e = qwen.top_k %p : (tensor<?x2xf32, #qwen.rows<S>>) -> (tensor<?x1xf32, #qwen.rows<S>>, tensor<?x1xi32, #qwen.rows<S>>)
  // CHECK: %[[N:.*]] = qwen.sum_normalize %[[V]] : tensor<?x1xf32, #qwen.rows<S>>
  %n = qwen.sum_normalize %v : tensor<?x1xf32, #qwen.rows<S>>
  // CHECK: %[[Y:.*]] = qwen.expert_linear %{{.*}}, %[[E]], %[[W]] : (tensor<?x8xf32, #qwen.rows<S>>, tensor<?x1xi32, #qwen.rows<S>>, tensor<2x6x8xbf16>) -> tensor<?x1x6xf32, #qwen.rows<S>>
  %y = qwen.expert_linear %x, %e, %w : (tensor<?x8xf32, #qwen.rows<S>>, tensor<?x1xi32, #qwen.rows<S>>, tensor<2x6x8xbf16>) -> tensor<?x1x6xf32, #qwen.rows<S>>
  // CHECK: qwen.weighted_sum %[[Y]], %[[N]] : (tensor<?x1x6xf32, #qwen.rows<S>>, tensor<?x1xf32, #qwen.rows<S>>) -> tensor<?x6xf32, #qwen.rows<S>>
  %z = qwen.weighted_sum %y, %n : (tensor<?x1x6xf32, #qwen.rows<S>>, tensor<?x1xf32, #qwen.rows<S>>) -> tensor<?x6xf32, #qwen.rows<S>>
  // CHECK: qwen.expose %[[E]] "experts" : tensor<?x1xi32, #qwen.rows<S>>
  qwen.expose %e "experts" : tensor<?x1xi32, #qwen.rows<S>>
  return
}

// CHECK-LABEL: @fused_mixture
func.func @fused_mixture(%x: tensor<1x8xf32>, %rows: tensor<4x8xf32, #qwen.rows<S>>, %logits: tensor<1x4xf32>, %many: tensor<4x4xf32, #qwen.rows<S>>,
                         %w: tensor<4x6x8xbf16>, %d: tensor<4x8x6xbf16>, %norm: tensor<8xbf16>) {
  // CHECK: qwen.route %{{.*}} normalize : (tensor<1x4xf32>) -> (tensor<1x2xf32>, tensor<1x2xi32>)
  %v, %e = qwen.route %logits normalize : (tensor<1x4xf32>) -> (tensor<1x2xf32>, tensor<1x2xi32>)
  // CHECK: qwen.route %{{[a-z0-9]*}} : (tensor<4x4xf32, #qwen.rows<S>>)
  %vs, %es = qwen.route %many : (tensor<4x4xf32, #qwen.rows<S>>) -> (tensor<4x2xf32, #qwen.rows<S>>, tensor<4x2xi32, #qwen.rows<S>>)
  // CHECK: %[[O:.*]], %[[T:.*]] = qwen.group_experts %{{.*}} count 4 tile 2 : (tensor<4x2xi32, #qwen.rows<S>>) -> (tensor<8xi32>, tensor<8x4xi32>)
  %o, %t = qwen.group_experts %es count 4 tile 2 : (tensor<4x2xi32, #qwen.rows<S>>) -> (tensor<8xi32>, tensor<8x4xi32>)
  // CHECK: qwen.fused_experts %{{.*}} experts(%{{.*}}) weights(%{{.*}}, %{{.*}}) norm(%{{.*}} eps 1.250000e-01) {
  %h = qwen.fused_experts %x experts(%e) weights(%w, %w) norm(%norm eps 0.125) {
  ^bb0(%a: f32, %b: f32):
    qwen.yield %b : f32
  } : (tensor<1x8xf32>, tensor<1x2xi32>, tensor<4x6x8xbf16>, tensor<4x6x8xbf16>, tensor<8xbf16>) -> tensor<1x2x6xf32>
  // CHECK: qwen.fused_experts %{{.*}} experts(%{{.*}}) weights(%{{.*}}) sum(%{{.*}}) extras(%{{.*}}) {
  %y = qwen.fused_experts %h experts(%e) weights(%d) sum(%v) extras(%x) {
  ^bb0(%a: f32, %b: f32):
    qwen.yield %b : f32
  } : (tensor<1x2x6xf32>, tensor<1x2xi32>, tensor<4x8x6xbf16>, tensor<1x2xf32>, tensor<1x8xf32>) -> tensor<1x8xf32>
  // CHECK: qwen.fused_experts %{{.*}} experts(%{{.*}}) weights(%{{.*}}) grouped(%[[O]], %[[T]]) {
  %g = qwen.fused_experts %rows experts(%es) weights(%w) grouped(%o, %t) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<4x8xf32, #qwen.rows<S>>, tensor<4x2xi32, #qwen.rows<S>>, tensor<4x6x8xbf16>, tensor<8xi32>, tensor<8x4xi32>) -> tensor<4x2x6xf32, #qwen.rows<S>>
  return
}

// CHECK-LABEL: @media_prompt
func.func @media_prompt(%x: tensor<?x8xf32, #qwen.rows<S>>, %rows: tensor<?x8xf32, #qwen.rows<M>>, %index: tensor<?xi32, #qwen.rows<S>>,
                        %heads: tensor<?x2x8xf32, #qwen.rows<S>>, %positions: tensor<?x3xf32, #qwen.rows<S>>, %patches: tensor<?x8xf32, #qwen.rows<V * 4>>) {
  // CHECK: qwen.replace_rows %{{.*}}, %{{.*}} at %{{.*}} : (tensor<?x8xf32, #qwen.rows<S>>, tensor<?x8xf32, #qwen.rows<M>>, tensor<?xi32, #qwen.rows<S>>)
  %0 = qwen.replace_rows %x, %rows at %index
      : (tensor<?x8xf32, #qwen.rows<S>>, tensor<?x8xf32, #qwen.rows<M>>, tensor<?xi32, #qwen.rows<S>>) -> tensor<?x8xf32, #qwen.rows<S>>
  // CHECK: qwen.add_rows
  %1 = qwen.add_rows %0, %rows at %index
      : (tensor<?x8xf32, #qwen.rows<S>>, tensor<?x8xf32, #qwen.rows<M>>, tensor<?xi32, #qwen.rows<S>>) -> tensor<?x8xf32, #qwen.rows<S>>
  // CHECK: qwen.mrope %{{.*}}, %{{.*}} theta 1.000000e+04 sections [2, 1, 1]
  %2 = qwen.mrope %heads, %positions theta 1.0e4 sections [2, 1, 1]
      : (tensor<?x2x8xf32, #qwen.rows<S>>, tensor<?x3xf32, #qwen.rows<S>>) -> tensor<?x2x8xf32, #qwen.rows<S>>
  // CHECK: qwen.reshape %{{.*}} : tensor<?x8xf32, #qwen.rows<V * 4>> -> tensor<?x32xf32, #qwen.rows<V>>
  %3 = qwen.reshape %patches : tensor<?x8xf32, #qwen.rows<V * 4>> -> tensor<?x32xf32, #qwen.rows<V>>
  return
}

qwen.parameter @bias.0 : tensor<16xbf16> file 0 offset 4000
qwen.parameter @bias.1 : tensor<4xbf16> file 0 offset 4032

// CHECK-LABEL: @encoder_of_sound
func.func @encoder_of_sound(%x: tensor<9x5x8xf32, #qwen.rows<A0>>, %t: tensor<5x3xi32, #qwen.rows<A>>, %p: tensor<5xi32, #qwen.rows<A>>,
                            %w: tensor<6x8x3x3xbf16>, %b: tensor<6xbf16>) {
  // CHECK: %[[C:.*]] = qwen.tap_conv %{{.*}} taps %{{.*}}, %{{.*}}, %{{.*}} : (tensor<9x5x8xf32, #qwen.rows<A0>>, tensor<5x3xi32, #qwen.rows<A>>, tensor<6x8x3x3xbf16>, tensor<6xbf16>) -> tensor<5x3x6xf32, #qwen.rows<A>>
  %c = qwen.tap_conv %x taps %t, %w, %b : (tensor<9x5x8xf32, #qwen.rows<A0>>, tensor<5x3xi32, #qwen.rows<A>>, tensor<6x8x3x3xbf16>, tensor<6xbf16>) -> tensor<5x3x6xf32, #qwen.rows<A>>
  // CHECK: %[[G:.*]] = qwen.gelu %[[C]] : tensor<5x3x6xf32, #qwen.rows<A>>
  %g = qwen.gelu %c : tensor<5x3x6xf32, #qwen.rows<A>>
  // CHECK: qwen.gelu tanh %[[C]] : tensor<5x3x6xf32, #qwen.rows<A>>
  %h = qwen.gelu tanh %c : tensor<5x3x6xf32, #qwen.rows<A>>
  // CHECK: qwen.swap_axes %[[G]] : tensor<5x3x6xf32, #qwen.rows<A>> -> tensor<5x6x3xf32, #qwen.rows<A>>
  %s = qwen.swap_axes %g : tensor<5x3x6xf32, #qwen.rows<A>> -> tensor<5x6x3xf32, #qwen.rows<A>>
  // CHECK: %[[S:.*]] = qwen.sinusoid %{{.*}} theta 1.000000e+04 : (tensor<5xi32, #qwen.rows<A>>) -> tensor<5x6xf32, #qwen.rows<A>>
  %y = qwen.sinusoid %p theta 1.0e4 : (tensor<5xi32, #qwen.rows<A>>) -> tensor<5x6xf32, #qwen.rows<A>>
  // CHECK: qwen.layer_norm %[[S]], %{{.*}}, %{{.*}} eps 1.000000e-05 : (tensor<5x6xf32, #qwen.rows<A>>, tensor<6xbf16>, tensor<6xbf16>) -> tensor<5x6xf32, #qwen.rows<A>>
  %n = qwen.layer_norm %y, %b, %b eps 1.0e-5 : (tensor<5x6xf32, #qwen.rows<A>>, tensor<6xbf16>, tensor<6xbf16>) -> tensor<5x6xf32, #qwen.rows<A>>
  // CHECK: qwen.tap_patches %{{.*}} taps %{{.*}} : (tensor<9x5x8xf32, #qwen.rows<A0>>, tensor<5x3xi32, #qwen.rows<A>>) -> tensor<15x72xf32, #qwen.rows<A * 3>>
  %q = qwen.tap_patches %x taps %t : (tensor<9x5x8xf32, #qwen.rows<A0>>, tensor<5x3xi32, #qwen.rows<A>>) -> tensor<15x72xf32, #qwen.rows<A * 3>>
  // CHECK: qwen.weight_stack [@bias.0, @bias.1] : tensor<20xbf16>
  %v = qwen.weight_stack [@bias.0, @bias.1] : tensor<20xbf16>
  return
}


// CHECK-LABEL: @speech
func.func @speech(%x: tensor<?x8xf32, #qwen.rows<S>>, %factor: tensor<?x1xf32, #qwen.rows<S>>, %rows: tensor<16x8xf32>, %first: tensor<6x8xbf16>,
                  %other: tensor<4x8xbf16>, %logits: tensor<1x6xf32>) {
  // CHECK: %[[F:.*]] = qwen.sigmoid %{{.*}} : tensor<?x1xf32, #qwen.rows<S>>
  %f = qwen.sigmoid %factor : tensor<?x1xf32, #qwen.rows<S>>
  // CHECK: qwen.scale_rows %{{.*}}, %[[F]] : (tensor<?x8xf32, #qwen.rows<S>>, tensor<?x1xf32, #qwen.rows<S>>) -> tensor<?x8xf32, #qwen.rows<S>>
  %s = qwen.scale_rows %x, %f : (tensor<?x8xf32, #qwen.rows<S>>, tensor<?x1xf32, #qwen.rows<S>>) -> tensor<?x8xf32, #qwen.rows<S>>
  // CHECK: qwen.begin_frame
  qwen.begin_frame
  // CHECK: qwen.input_rows %{{.*}} : tensor<16x8xf32> -> tensor<4x8xf32, #qwen.rows<S>>
  %i = qwen.input_rows %rows : tensor<16x8xf32> -> tensor<4x8xf32, #qwen.rows<S>>
  // CHECK: qwen.code_row %{{.*}}, %{{.*}} : (tensor<6x8xbf16>, tensor<4x8xbf16>) -> (tensor<1x8xf32>, tensor<1x1xi32>)
  %c, %step = qwen.code_row %first, %other : (tensor<6x8xbf16>, tensor<4x8xbf16>) -> (tensor<1x8xf32>, tensor<1x1xi32>)
  // CHECK: qwen.frame_row %{{.*}} tables(%{{.*}}, %{{.*}}) : (tensor<16x8xf32>, tensor<6x8xbf16>, tensor<4x8xbf16>) -> tensor<1x8xf32>
  %r = qwen.frame_row %rows tables(%first, %other) : (tensor<16x8xf32>, tensor<6x8xbf16>, tensor<4x8xbf16>) -> tensor<1x8xf32>
  // CHECK: qwen.next_token %{{.*}} greedy advances suppress [2, 6, 3] : tensor<1x6xf32>
  qwen.next_token %logits greedy advances suppress [2, 6, 3] : tensor<1x6xf32>
  return
}


// CHECK-LABEL: @encoder_of_images
func.func @encoder_of_images(%x: tensor<8x2x4xf32, #qwen.rows<V * 4>>, %k: tensor<8x2x4xf16, #qwen.rows<V * 4>>, %n: tensor<8x2xi32, #qwen.rows<V * 4>>,
                             %ids: tensor<8x4xi32, #qwen.rows<V * 4>>, %shares: tensor<8x4xf32, #qwen.rows<V * 4>>, %table: tensor<9x6xbf16>) {
  // CHECK: qwen.axial_rope %{{.*}}, %{{.*}} theta 1.000000e+04 : (tensor<8x2x4xf32, #qwen.rows<V * 4>>, tensor<8x2xi32, #qwen.rows<V * 4>>) -> tensor<8x2x4xf16, #qwen.rows<V * 4>>
  %t = qwen.axial_rope %x, %n theta 1.0e4 : (tensor<8x2x4xf32, #qwen.rows<V * 4>>, tensor<8x2xi32, #qwen.rows<V * 4>>) -> tensor<8x2x4xf16, #qwen.rows<V * 4>>
  // CHECK: qwen.segment_attention %{{.*}}, %{{.*}}, %{{.*}} segments %{{.*}} scale 5.000000e-01
  %a = qwen.segment_attention %t, %k, %k segments %n scale 0.5
      : (tensor<8x2x4xf16, #qwen.rows<V * 4>>, tensor<8x2x4xf16, #qwen.rows<V * 4>>, tensor<8x2x4xf16, #qwen.rows<V * 4>>, tensor<8x2xi32, #qwen.rows<V * 4>>)
      -> tensor<8x2x4xf32, #qwen.rows<V * 4>>
  // CHECK: qwen.gather_sum %{{.*}}, %{{.*}}, %{{.*}} : (tensor<8x4xi32, #qwen.rows<V * 4>>, tensor<8x4xf32, #qwen.rows<V * 4>>, tensor<9x6xbf16>) -> tensor<8x6xf32, #qwen.rows<V * 4>>
  %g = qwen.gather_sum %ids, %shares, %table : (tensor<8x4xi32, #qwen.rows<V * 4>>, tensor<8x4xf32, #qwen.rows<V * 4>>, tensor<9x6xbf16>) -> tensor<8x6xf32, #qwen.rows<V * 4>>
  return
}


// CHECK-LABEL: @vocoder
func.func @vocoder(%codes: tensor<?x4xi32, #qwen.rows<F>>, %first: tensor<1xi32>, %q: tensor<?x2x4xf32, #qwen.rows<F>>,
                   %table: tensor<32x8xbf16>, %v8: tensor<8xbf16>, %conv: tensor<4x56xbf16>, %v4: tensor<4xbf16>, %deep: tensor<8x7xbf16>,
                   %up: tensor<8x16xbf16>, %up2: tensor<8x16xbf16>) {
  // CHECK: %[[X:.*]] = qwen.codebook_mean %{{.*}}, %{{.*}} : (tensor<?x4xi32, #qwen.rows<F>>, tensor<32x8xbf16>) -> tensor<?x8xf32, #qwen.rows<F>>
  %x = qwen.codebook_mean %codes, %table : (tensor<?x4xi32, #qwen.rows<F>>, tensor<32x8xbf16>) -> tensor<?x8xf32, #qwen.rows<F>>
  // CHECK: %[[N:.*]] = qwen.row_numbers %{{.*}} : (tensor<1xi32>) -> tensor<?xi32, #qwen.rows<F>>
  %n = qwen.row_numbers %first : (tensor<1xi32>) -> tensor<?xi32, #qwen.rows<F>>
  %k = qwen.read_state @window : tensor<12x2x4xf32>
  %v = qwen.read_state @window : tensor<12x2x4xf32>
  // CHECK: qwen.window_attention %{{.*}}, %{{.*}}, %{{.*}} at %[[N]] states(%{{.*}}, %{{.*}}) window 8 scale 5.000000e-01
  %a = qwen.window_attention %q, %q, %q at %n states(%k, %v) window 8 scale 0.5
      : (tensor<?x2x4xf32, #qwen.rows<F>>, tensor<?x2x4xf32, #qwen.rows<F>>, tensor<?x2x4xf32, #qwen.rows<F>>, tensor<?xi32, #qwen.rows<F>>,
         tensor<12x2x4xf32>, tensor<12x2x4xf32>) -> tensor<?x2x4xf32, #qwen.rows<F>>
  // CHECK: qwen.scale %[[X]], %{{.*}}
  %s = qwen.scale %x, %v8 : (tensor<?x8xf32, #qwen.rows<F>>, tensor<8xbf16>) -> tensor<?x8xf32, #qwen.rows<F>>
  // CHECK: qwen.clear_lead %{{.*}}, %{{.*}} lead 3 rows 2
  %c = qwen.clear_lead %s, %first lead 3 rows 2 : (tensor<?x8xf32, #qwen.rows<F>>, tensor<1xi32>) -> tensor<?x8xf32, #qwen.rows<F>>
  // CHECK: qwen.snake_beta
  %b = qwen.snake_beta %c, %v8, %v8 : (tensor<?x8xf32, #qwen.rows<F>>, tensor<8xbf16>, tensor<8xbf16>) -> tensor<?x8xf32, #qwen.rows<F>>
  %h = qwen.read_state @history : tensor<6x8xf32>
  // CHECK: qwen.causal_conv1d %{{.*}}, %{{.*}}, %{{.*}} history(%{{.*}}, %{{.*}}) dilation 1 :
  %y = qwen.causal_conv1d %b, %conv, %v4 history(%h, %first) dilation 1
      : (tensor<?x8xf32, #qwen.rows<F>>, tensor<4x56xbf16>, tensor<4xbf16>, tensor<6x8xf32>, tensor<1xi32>) -> tensor<?x4xf32, #qwen.rows<F>>
  // CHECK: qwen.causal_conv1d %{{.*}} dilation 1 snake(%{{.*}}, %{{.*}}) then(%{{.*}}, %{{.*}}) {frame_rows = 2 : i64, lead = 3 : i64}
  %z = qwen.causal_conv1d %s, %conv, %v4 history(%h, %first) dilation 1 snake(%v8, %v8) then(%v4, %v4) {lead = 3 : i64, frame_rows = 2 : i64}
      : (tensor<?x8xf32, #qwen.rows<F>>, tensor<4x56xbf16>, tensor<4xbf16>, tensor<6x8xf32>, tensor<1xi32>, tensor<8xbf16>, tensor<8xbf16>,
         tensor<4xbf16>, tensor<4xbf16>) -> tensor<?x4xf32, #qwen.rows<F>>
  // CHECK: qwen.causal_conv1d
  %d = qwen.causal_conv1d %s, %deep, %v8 history(%h, %first) dilation 1
      : (tensor<?x8xf32, #qwen.rows<F>>, tensor<8x7xbf16>, tensor<8xbf16>, tensor<6x8xf32>, tensor<1xi32>) -> tensor<?x8xf32, #qwen.rows<F>>
  // CHECK: qwen.conv_transpose1d %{{.*}}, %{{.*}}, %{{.*}} stride 4 :
  %u = qwen.conv_transpose1d %s, %up, %v4 stride 4
      : (tensor<?x8xf32, #qwen.rows<F>>, tensor<8x16xbf16>, tensor<4xbf16>) -> tensor<?x4xf32, #qwen.rows<F * 4>>
  %g = qwen.read_state @row : tensor<1x8xf32>
  // CHECK: qwen.conv_transpose1d %{{.*}}, %{{.*}}, %{{.*}} history(%{{.*}}, %{{.*}}) stride 2 snake(%{{.*}}, %{{.*}})
  %w = qwen.conv_transpose1d %s, %up, %v4 history(%g, %first) stride 2 snake(%v8, %v8)
      : (tensor<?x8xf32, #qwen.rows<F>>, tensor<8x16xbf16>, tensor<4xbf16>, tensor<1x8xf32>, tensor<1xi32>, tensor<8xbf16>, tensor<8xbf16>)
      -> tensor<?x4xf32, #qwen.rows<F * 2>>
  // CHECK: qwen.clamp %{{.*}} limit 1.000000e+00
  %l = qwen.clamp %y limit 1.0 : tensor<?x4xf32, #qwen.rows<F>>
  return
}
// CHECK: qwen.state @window : tensor<12x2x4xf32> fixed
qwen.state @window : tensor<12x2x4xf32> fixed
qwen.state @history : tensor<6x8xf32> fixed
qwen.state @row : tensor<1x8xf32> fixed

// CHECK-LABEL: @fused_window
func.func @fused_window(%qkv: tensor<4x24xf32, #qwen.rows<F>>, %first: tensor<1xi32>) {
  %k = qwen.read_state @window : tensor<12x2x4xf32>
  %v = qwen.read_state @window : tensor<12x2x4xf32>
  // CHECK: qwen.rope_window_attention %{{.*}} from %{{.*}} states(%{{.*}}, %{{.*}})
  %y = qwen.rope_window_attention %qkv from %first states(%k, %v)
      {num_heads = 2 : i64, head_dim = 4 : i64, window = 8 : i64, theta = 1.0e4 : f64, scale = 0.5 : f64}
      : (tensor<4x24xf32, #qwen.rows<F>>, tensor<1xi32>, tensor<12x2x4xf32>, tensor<12x2x4xf32>) -> tensor<4x2x4xf32, #qwen.rows<F>>
  return
}

// CHECK: qwen.state @folded : tensor<4x24xf32> derived
qwen.state @folded : tensor<4x24xf32> derived

// CHECK-LABEL: @folded_router
func.func @folded_router(%r: tensor<4x8xbf16>, %w: tensor<8xbf16>, %o: tensor<8x16xbf16>, %a: tensor<2x3x10xf32>, %x: tensor<1x8xf32>,
                         %row: tensor<1x16xf32>, %g: tensor<4x6x8xbf16>) {
  %s = qwen.read_state @folded : tensor<4x24xf32>
  // CHECK: qwen.fold_linears %{{.*}}, %{{.*}} norm(%{{.*}}) %{{.*}} :
  %f = qwen.fold_linears %s, %r norm(%w) %o : (tensor<4x24xf32>, tensor<4x8xbf16>, tensor<8xbf16>, tensor<8x16xbf16>) -> tensor<4x24xf32>
  // CHECK: qwen.folded_router %{{.*}}, %{{.*}}, %{{.*}} : (tensor<1x16xf32>, tensor<1x8xf32>, tensor<4x24xf32>) -> tensor<1x4xf32>
  %y = qwen.folded_router %row, %x, %s : (tensor<1x16xf32>, tensor<1x8xf32>, tensor<4x24xf32>) -> tensor<1x4xf32>
  // CHECK: qwen.folded_router %{{.*}}, %{{.*}}, %{{.*}} : (tensor<2x3x10xf32>, tensor<1x8xf32>, tensor<4x24xf32>) -> tensor<1x4xf32>
  %l = qwen.folded_router %a, %x, %s : (tensor<2x3x10xf32>, tensor<1x8xf32>, tensor<4x24xf32>) -> tensor<1x4xf32>
  // CHECK: qwen.route %{{.*}} folded normalize joined :
  %p, %e = qwen.route %l folded normalize joined : (tensor<1x4xf32>) -> (tensor<1x2xf32>, tensor<1x2xi32>)
  %h = qwen.fused_experts %x experts(%e) weights(%g) norm(%w eps 1.0e-6) {
  ^bb0(%acc: f32):
    qwen.yield %acc : f32
  } : (tensor<1x8xf32>, tensor<1x2xi32>, tensor<4x6x8xbf16>, tensor<8xbf16>) -> tensor<1x2x6xf32>
  return
}
