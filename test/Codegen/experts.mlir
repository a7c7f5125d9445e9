// Mixtures of experts: a step of one row, and many rows whose choices are sorted first.

// RUN: qwen-opt %s --convert-qwen-to-plan=target=lavapipe | FileCheck %s

module attributes {qwen.max_context = 96 : i64} {
  qwen.parameter @embed : tensor<101x32xbf16> file 0 offset 1000
  qwen.parameter @norm : tensor<32xbf16> file 0 offset 2000
  qwen.parameter @router : tensor<3x32xbf16> file 0 offset 3000
  qwen.parameter @gate.0 : tensor<12x32xbf16> file 0 offset 4000
  qwen.parameter @gate.1 : tensor<12x32xbf16> file 0 offset 5000
  qwen.parameter @gate.2 : tensor<12x32xbf16> file 0 offset 6000
  qwen.parameter @down.0 : tensor<32x12xbf16> file 0 offset 7000
  qwen.parameter @down.1 : tensor<32x12xbf16> file 0 offset 8000
  qwen.parameter @down.2 : tensor<32x12xbf16> file 0 offset 9000

  // Experts of a stack lie side by side, each row padded to 8 elements.
  // CHECK-DAG: plan.weight @weight.down.1 file 0 at 8000 rows 32 x 24 pitch 32

  // CHECK-LABEL: plan.entry @prefill role prefill rows 24
  // CHECK: plan.tensor output "hidden" in @hidden at 0 f32 [24, 32] symbols ["S", ""]
  // CHECK: plan.tensor output "experts" in @expose.experts.24 at 0 i32 [24, 2] symbols ["S", ""]
  // CHECK: plan.tensor output "inner" in @expose.inner.24 at 0 f32 [24, 2, 12] symbols ["S", "", ""]
  // The same bytes as rows, and the result by another name.
  // CHECK: plan.tensor output "rows" in @expose.inner.24 at 0 f32 [24, 24] symbols ["S", ""]
  // CHECK: plan.tensor output "sum" in @hidden at 0 f32 [24, 32] symbols ["S", ""]
  // CHECK-NOT: plan.tensor
  // CHECK: %[[E:.*]] = plan.ref @expose.experts.24
  // CHECK: plan.dispatch @route_e3_top2_normalized_r24 groups [24, 1, 1](%{{[0-9]*}}, %{{[0-9]*}}, %[[W:[0-9]*]], %[[E]])
  // CHECK: plan.dispatch @group_experts_e3_top2_t8_max24_r24 groups [1, 1, 1](%[[E]], %{{[0-9]*}}, %[[O:[0-9]*]], %[[T:[0-9]*]])
  // CHECK: %[[G:.*]] = plan.weights [@weight.gate.0, @weight.gate.1, @weight.gate.2]
  // CHECK: %[[H:.*]] = plan.ref @expose.inner.24
  // CHECK: plan.dispatch @gemm_n12_k32_r24_experts3x2_shared groups [1, 9, 1](%{{[0-9]*}}, %{{[0-9]*}}, %[[E]], %[[O]], %[[T]], %[[G]], %[[H]])
  // CHECK: %[[D:.*]] = plan.weights [@weight.down.0, @weight.down.1, @weight.down.2]
  // CHECK: plan.dispatch @gemm_n32_k12_r24_experts3x2 groups [1, 9, 1](%[[H]], %{{[0-9]*}}, %[[E]], %[[O]], %[[T]], %[[D]], %[[Y:[0-9]*]])
  // CHECK: %[[R:.*]] = plan.ref @hidden
  // CHECK: plan.dispatch @weighted_sum_n32_top2_r24 groups [24, 1, 1](%[[Y]], %[[W]], %{{[0-9]*}}, %[[R]])
  func.func @prefill(%ids: tensor<24xi32, #qwen.rows<S>> {qwen.binding = "tokens"})
      -> (tensor<24x32xf32, #qwen.rows<S>> {qwen.name = "hidden"}) attributes {qwen.role = "prefill", qwen.rows = 24 : i64} {
    qwen.begin_chunk 24
    %embed = qwen.weight @embed : tensor<101x32xbf16>
    %router = qwen.weight @router : tensor<3x32xbf16>
    %gate = qwen.weight_stack [@gate.0, @gate.1, @gate.2] : tensor<3x12x32xbf16>
    %down = qwen.weight_stack [@down.0, @down.1, @down.2] : tensor<3x32x12xbf16>
    %x = qwen.embedding %ids, %embed : (tensor<24xi32, #qwen.rows<S>>, tensor<101x32xbf16>) -> tensor<24x32xf32, #qwen.rows<S>>
    %l = qwen.fused_linear none concat %x weights(%router) {
    ^bb0(%a: f32):
      qwen.yield %a : f32
    } : (tensor<24x32xf32, #qwen.rows<S>>, tensor<3x32xbf16>) -> tensor<24x3xf32, #qwen.rows<S>>
    %v, %e = qwen.route %l normalize : (tensor<24x3xf32, #qwen.rows<S>>) -> (tensor<24x2xf32, #qwen.rows<S>>, tensor<24x2xi32, #qwen.rows<S>>)
    qwen.expose %e "experts" : tensor<24x2xi32, #qwen.rows<S>>
    %o, %t = qwen.group_experts %e count 3 tile 8 : (tensor<24x2xi32, #qwen.rows<S>>) -> (tensor<48xi32>, tensor<9x4xi32>)
    %h = qwen.fused_experts %x experts(%e) weights(%gate) grouped(%o, %t) {
    ^bb0(%a: f32):
      qwen.yield %a : f32
    } : (tensor<24x32xf32, #qwen.rows<S>>, tensor<24x2xi32, #qwen.rows<S>>, tensor<3x12x32xbf16>, tensor<48xi32>, tensor<9x4xi32>) -> tensor<24x2x12xf32, #qwen.rows<S>>
    qwen.expose %h "inner" : tensor<24x2x12xf32, #qwen.rows<S>>
    %flat = qwen.reshape %h : tensor<24x2x12xf32, #qwen.rows<S>> -> tensor<24x24xf32, #qwen.rows<S>>
    qwen.expose %flat "rows" : tensor<24x24xf32, #qwen.rows<S>>
    %d = qwen.fused_experts %h experts(%e) weights(%down) grouped(%o, %t) {
    ^bb0(%a: f32):
      qwen.yield %a : f32
    } : (tensor<24x2x12xf32, #qwen.rows<S>>, tensor<24x2xi32, #qwen.rows<S>>, tensor<3x32x12xbf16>, tensor<48xi32>, tensor<9x4xi32>) -> tensor<24x2x32xf32, #qwen.rows<S>>
    %y = qwen.weighted_sum %d, %v : (tensor<24x2x32xf32, #qwen.rows<S>>, tensor<24x2xf32, #qwen.rows<S>>) -> tensor<24x32xf32, #qwen.rows<S>>
    qwen.expose %y "sum" : tensor<24x32xf32, #qwen.rows<S>>
    qwen.advance
    return %y : tensor<24x32xf32, #qwen.rows<S>>
  }

  // The exposed logits are the entry's result already.
  // CHECK-LABEL: plan.entry @decode_greedy role decode_greedy rows 1
  // CHECK: plan.tensor output "logits" in @logits.1
  // CHECK-NOT: plan.tensor
  // CHECK: plan.dispatch @route_e3_top2 groups [1, 1, 1]
  // CHECK: plan.dispatch @gemv_n12_k32_rms_norm_{{.*}}_experts3x2_shared groups [2, 2, 1]
  // CHECK: plan.dispatch @gemv_n32_k12_experts3_sum2_addf_ef32 groups [4, 1, 1]
  func.func @decode_greedy(%ids: tensor<1xi32> {qwen.binding = "tokens"})
      -> (tensor<1x101xf32> {qwen.name = "logits"}) attributes {qwen.role = "decode_greedy", qwen.rows = 1 : i64} {
    %embed = qwen.weight @embed : tensor<101x32xbf16>
    %norm = qwen.weight @norm : tensor<32xbf16>
    %router = qwen.weight @router : tensor<3x32xbf16>
    %gate = qwen.weight_stack [@gate.0, @gate.1, @gate.2] : tensor<3x12x32xbf16>
    %down = qwen.weight_stack [@down.0, @down.1, @down.2] : tensor<3x32x12xbf16>
    %x = qwen.embedding %ids, %embed : (tensor<1xi32>, tensor<101x32xbf16>) -> tensor<1x32xf32>
    %l = qwen.fused_linear rms_norm concat %x weights(%router) norm(%norm eps 1.0e-6) {
    ^bb0(%a: f32):
      qwen.yield %a : f32
    } : (tensor<1x32xf32>, tensor<3x32xbf16>, tensor<32xbf16>) -> tensor<1x3xf32>
    %v, %e = qwen.route %l : (tensor<1x3xf32>) -> (tensor<1x2xf32>, tensor<1x2xi32>)
    %h = qwen.fused_experts %x experts(%e) weights(%gate) norm(%norm eps 1.0e-6) {
    ^bb0(%a: f32):
      qwen.yield %a : f32
    } : (tensor<1x32xf32>, tensor<1x2xi32>, tensor<3x12x32xbf16>, tensor<32xbf16>) -> tensor<1x2x12xf32>
    %y = qwen.fused_experts %h experts(%e) weights(%down) sum(%v) extras(%x) {
    ^bb0(%a: f32, %r: f32):
      %s = arith.addf %r, %a : f32
      qwen.yield %s : f32
    } : (tensor<1x2x12xf32>, tensor<1x2xi32>, tensor<3x32x12xbf16>, tensor<1x2xf32>, tensor<1x32xf32>) -> tensor<1x32xf32>
    %z = qwen.fused_linear none concat %y weights(%embed) {
    ^bb0(%a: f32):
      qwen.yield %a : f32
    } : (tensor<1x32xf32>, tensor<101x32xbf16>) -> tensor<1x101xf32>
    qwen.expose %z "logits" : tensor<1x101xf32>
    qwen.next_token %z greedy advances : tensor<1x101xf32>
    return %z : tensor<1x101xf32>
  }
}
