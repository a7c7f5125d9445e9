// A router that runs beside the projection before it: an entry makes the matrix, a step multiplies by it.

// RUN: qwen-opt %s --convert-qwen-to-plan=target=lavapipe --split-input-file --verify-diagnostics | FileCheck %s

module attributes {qwen.max_context = 96 : i64} {
  qwen.parameter @r : tensor<9x8xbf16> file 0 offset 0
  qwen.parameter @w : tensor<8xbf16> file 0 offset 144
  qwen.parameter @o : tensor<8x32xbf16, #qwen.packed<q8>> file 0 offset 160
  qwen.parameter @a : tensor<32x8xbf16> file 0 offset 500
  qwen.parameter @g.0 : tensor<6x8xbf16> file 0 offset 1000
  qwen.parameter @g.1 : tensor<6x8xbf16> file 0 offset 2000
  qwen.parameter @g.2 : tensor<6x8xbf16> file 0 offset 3000
  qwen.parameter @g.3 : tensor<6x8xbf16> file 0 offset 4000
  qwen.parameter @g.4 : tensor<6x8xbf16> file 0 offset 5000
  qwen.parameter @g.5 : tensor<6x8xbf16> file 0 offset 6000
  qwen.parameter @g.6 : tensor<6x8xbf16> file 0 offset 7000
  qwen.parameter @g.7 : tensor<6x8xbf16> file 0 offset 8000
  qwen.parameter @g.8 : tensor<6x8xbf16> file 0 offset 9000
  // It is no cache: a new conversation must not clear it.
  // CHECK: plan.storage @cache.f derived size 1440
  qwen.state @f : tensor<9x40xf32> derived

  // CHECK-LABEL: plan.entry @prepare role prepare
  // CHECK: %[[F:.*]] = plan.ref @cache.f at 0 : !plan.range<1440>
  // CHECK: plan.dispatch @fold_linears_n9_k32x8_q8 groups [1, 2, 1](%{{[0-9]*}}, %{{[0-9]*}}, %{{[0-9]*}}, %[[F]])
  func.func @prepare() attributes {qwen.role = "prepare", qwen.rows = 1 : i64} {
    %s = qwen.read_state @f : tensor<9x40xf32>
    %r = qwen.weight @r : tensor<9x8xbf16>
    %w = qwen.weight @w : tensor<8xbf16>
    %o = qwen.weight @o : tensor<8x32xbf16, #qwen.packed<q8>>
    %0 = qwen.fold_linears %s, %r norm(%w) %o
        : (tensor<9x40xf32>, tensor<9x8xbf16>, tensor<8xbf16>, tensor<8x32xbf16, #qwen.packed<q8>>) -> tensor<9x40xf32>
    return
  }

  // CHECK-LABEL: plan.entry @step
  // CHECK: %[[S:.*]] = plan.ref @cache.f
  // The first nine workgroups are the router's.
  // CHECK: plan.dispatch @gemv_n8_k32_q8_router9_addf_ef32 groups [10, 1, 1](%{{[0-9]*}}, %{{[0-9]*}}, %{{[0-9]*}}, %{{[0-9]*}}, %[[S]], %[[L:[0-9]*]])
  // CHECK: plan.dispatch @gemv_n6_k8_rms_norm_{{.*}}_experts9x2_shared_route_top2_normalized_folded groups [{{.*}}](%{{[0-9]*}}, %{{[0-9]*}}, %[[L]],
  func.func @step(%x: tensor<1x8xf32> {qwen.binding = "hidden"})
      -> (tensor<1x2x6xf32> {qwen.name = "y"}) attributes {qwen.role = "decode_greedy", qwen.rows = 1 : i64} {
    %s = qwen.read_state @f : tensor<9x40xf32>
    %w = qwen.weight @w : tensor<8xbf16>
    %v = qwen.weight @a : tensor<32x8xbf16>
    %a = qwen.fused_linear none concat %x weights(%v) {
    ^bb0(%acc: f32):
      qwen.yield %acc : f32
    } : (tensor<1x8xf32>, tensor<32x8xbf16>) -> tensor<1x32xf32>
    %g = qwen.weight_stack [@g.0, @g.1, @g.2, @g.3, @g.4, @g.5, @g.6, @g.7, @g.8] : tensor<9x6x8xbf16>
    %l = qwen.folded_router %a, %x, %s : (tensor<1x32xf32>, tensor<1x8xf32>, tensor<9x40xf32>) -> tensor<1x9xf32>
    %o = qwen.weight @o : tensor<8x32xbf16, #qwen.packed<q8>>
    %h = qwen.fused_linear none concat %a weights(%o) extras(%x) {
    ^bb0(%acc: f32, %r: f32):
      %sum = arith.addf %acc, %r : f32
      qwen.yield %sum : f32
    } : (tensor<1x32xf32>, tensor<8x32xbf16, #qwen.packed<q8>>, tensor<1x8xf32>) -> tensor<1x8xf32>
    %p, %e = qwen.route %l folded normalize joined : (tensor<1x9xf32>) -> (tensor<1x2xf32>, tensor<1x2xi32>)
    %y = qwen.fused_experts %h experts(%e) weights(%g) norm(%w eps 1.0e-6) {
    ^bb0(%acc: f32):
      qwen.yield %acc : f32
    } : (tensor<1x8xf32>, tensor<1x2xi32>, tensor<9x6x8xbf16>, tensor<8xbf16>) -> tensor<1x2x6xf32>
    return %y : tensor<1x2x6xf32>
  }
}

// -----

module attributes {qwen.max_context = 96 : i64} {
  qwen.parameter @r : tensor<3x8xbf16> file 0 offset 0
  qwen.parameter @w : tensor<8xbf16> file 0 offset 144
  qwen.parameter @o : tensor<8x6xbf16> file 0 offset 160
  qwen.state @f : tensor<3x14xf32> derived
  func.func @prepare() attributes {qwen.role = "prepare", qwen.rows = 1 : i64} {
    %s = qwen.read_state @f : tensor<3x14xf32>
    %r = qwen.weight @r : tensor<3x8xbf16>
    %w = qwen.weight @w : tensor<8xbf16>
    %o = qwen.weight @o : tensor<8x6xbf16>
    // expected-error @+1 {{has 6 and 8 elements in a row, expected multiples of 4}}
    %0 = qwen.fold_linears %s, %r norm(%w) %o : (tensor<3x14xf32>, tensor<3x8xbf16>, tensor<8xbf16>, tensor<8x6xbf16>) -> tensor<3x14xf32>
    return
  }
}

// -----

module attributes {qwen.max_context = 96 : i64} {
  qwen.state @f : tensor<3x14xf32> derived
  qwen.parameter @a : tensor<6x8xbf16> file 0 offset 0
  func.func @step(%x: tensor<1x8xf32> {qwen.binding = "hidden"}) -> (tensor<1x3xf32> {qwen.name = "y"})
      attributes {qwen.role = "decode_greedy", qwen.rows = 1 : i64} {
    %s = qwen.read_state @f : tensor<3x14xf32>
    %v = qwen.weight @a : tensor<6x8xbf16>
    %a = qwen.fused_linear none concat %x weights(%v) {
    ^bb0(%acc: f32):
      qwen.yield %acc : f32
    } : (tensor<1x8xf32>, tensor<6x8xbf16>) -> tensor<1x6xf32>
    // expected-error @+1 {{has 6 and 8 elements in a row, expected multiples of 4 and a target with a known size of subgroups}}
    %l = qwen.folded_router %a, %x, %s : (tensor<1x6xf32>, tensor<1x8xf32>, tensor<3x14xf32>) -> tensor<1x3xf32>
    return %l : tensor<1x3xf32>
  }
}

// -----

module attributes {qwen.max_context = 96 : i64} {
  qwen.state @f : tensor<3x16xf32> derived
  func.func @step(%x: tensor<1x8xf32> {qwen.binding = "hidden"}) -> (tensor<1x3xf32> {qwen.name = "y"})
      attributes {qwen.role = "decode_greedy", qwen.rows = 1 : i64} {
    %s = qwen.read_state @f : tensor<3x16xf32>
    // expected-error @+1 {{stands beside no product, expected a qwen.fused_linear of its input and residual behind it}}
    %l = qwen.folded_router %x, %x, %s : (tensor<1x8xf32>, tensor<1x8xf32>, tensor<3x16xf32>) -> tensor<1x3xf32>
    return %l : tensor<1x3xf32>
  }
}
