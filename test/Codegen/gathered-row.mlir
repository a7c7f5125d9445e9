// The first product of a decode step takes its row from the table, and the argmax of many logits is one step.

// RUN: qwen-opt %s --convert-qwen-to-plan=target=nvidia-h200 | FileCheck %s
// RUN: qwen-opt %s --convert-qwen-to-plan=target=generic | FileCheck %s --check-prefix=UNKNOWN

module attributes {qwen.max_context = 96 : i64} {
  qwen.parameter @table : tensor<3000x36xbf16> file 0 offset 0
  qwen.parameter @norm : tensor<36xbf16> file 0 offset 216000
  qwen.parameter @q : tensor<36x36xbf16> file 0 offset 216128

  // The weights are asked for before the token is known; one workgroup leaves the row, before its norm's weight.
  // CHECK: plan.kernel @gemv_n36_k36_rms_norm_p{{.*}}_gathered3000_xbf16
  // CHECK-SAME: operands (x read 240000, norm read 80, state read {{[0-9]+}}, weight0 read 2880, y write 144, row write 144)
  // CHECK: %[[WEIGHT:.*]] = spirv.Load "PhysicalStorageBuffer" %{{.*}} : vector<4xi32>
  // CHECK: %[[POSITION:.*]] = spirv.Load "PhysicalStorageBuffer" %{{.*}} : i32
  // CHECK: %[[TOKEN:.*]] = spirv.Load "PhysicalStorageBuffer" %{{.*}} : i32
  // CHECK: spirv.GL.UMin %[[TOKEN]], %{{.*}} : i32
  // CHECK: spirv.mlir.selection
  // CHECK: spirv.Store "PhysicalStorageBuffer"
  // CHECK: spirv.ControlBarrier <Workgroup>
  // UNKNOWN: plan.kernel @gemv_n36_k36_rms_norm_p{{.*}}_gathered3000_xbf16 workgroup [256, 1, 1] subgroup 0

  // All workgroups of the argmax leave their best, and the last to arrive chooses among them.
  // CHECK: plan.kernel @append_argmax_v3000_advance
  // CHECK-SAME: operands (logits read 12000, partials write 24, state read_write
  // CHECK: spirv.AtomicIAdd <Device>

  // CHECK-LABEL: plan.entry @decode_greedy
  // CHECK-NOT: embedding_
  // CHECK: %[[TABLE:.*]] = plan.weights {{\[}}@weight.table]
  // CHECK: plan.dispatch @gemv_n36_k36_rms_norm_p{{.*}}_gathered3000_xbf16 groups [9, 1, 1](%[[TABLE]], %{{.*}}, %[[ROW:[0-9]+]]) label "" reads 2960
  // CHECK: plan.dispatch @gemv_n36_k36_addf_ef32 groups {{.*}}(%{{.*}}, %{{.*}}, %[[ROW]], %{{.*}})
  // CHECK: plan.dispatch @append_argmax_v3000_advance groups [3, 1, 1]
  // UNKNOWN-LABEL: plan.entry @decode_greedy
  // UNKNOWN-NOT: embedding_
  func.func @decode_greedy(%ids: tensor<1xi32> {qwen.binding = "tokens"}) -> (tensor<1x3000xf32> {qwen.name = "logits"})
      attributes {qwen.role = "decode_greedy", qwen.rows = 1 : i64} {
    %table = qwen.weight @table : tensor<3000x36xbf16>
    %n = qwen.weight @norm : tensor<36xbf16>
    %q = qwen.weight @q : tensor<36x36xbf16>
    %x = qwen.embedding %ids, %table joined : (tensor<1xi32>, tensor<3000x36xbf16>) -> tensor<1x36xf32>
    %y = qwen.fused_linear rms_norm concat %x weights(%q) norm(%n eps 1.0e-6) {
    ^bb0(%a: f32):
      qwen.yield %a : f32
    } : (tensor<1x36xf32>, tensor<36x36xbf16>, tensor<36xbf16>) -> tensor<1x36xf32>
    %z = qwen.fused_linear none concat %y weights(%q) extras(%x) {
    ^bb0(%a: f32, %r: f32):
      %s = arith.addf %a, %r : f32
      qwen.yield %s : f32
    } : (tensor<1x36xf32>, tensor<36x36xbf16>, tensor<1x36xf32>) -> tensor<1x36xf32>
    %l = qwen.fused_linear none concat %z weights(%table) {
    ^bb0(%a: f32):
      qwen.yield %a : f32
    } : (tensor<1x36xf32>, tensor<3000x36xbf16>) -> tensor<1x3000xf32>
    qwen.next_token %l greedy advances : tensor<1x3000xf32>
    return %l : tensor<1x3000xf32>
  }
}
