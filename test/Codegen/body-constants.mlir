// Bodies of the same operations are one kernel only when their constants are the same.

// RUN: qwen-opt %s --convert-qwen-to-plan=target=lavapipe | FileCheck %s

module attributes {qwen.max_context = 96 : i64} {
  qwen.parameter @w : tensor<16x16xbf16> file 0 offset 0

  // CHECK: plan.kernel @[[TWICE:gemv_n16_k16_mulf_p[0-9a-f]+]] workgroup
  // CHECK: plan.kernel @[[THRICE:gemv_n16_k16_mulf_p[0-9a-f]+]] workgroup
  // CHECK-NOT: plan.kernel @gemv
  // CHECK-LABEL: plan.entry @next_greedy
  // CHECK: plan.dispatch @[[TWICE]] groups
  // CHECK: plan.dispatch @[[THRICE]] groups
  // CHECK: plan.dispatch @[[TWICE]] groups
  func.func @next_greedy(%hidden: tensor<24x16xf32> {qwen.binding = "hidden"})
      -> (tensor<1x16xf32> {qwen.name = "logits"}) attributes {qwen.role = "next_greedy", qwen.rows = 1 : i64} {
    %w = qwen.weight @w : tensor<16x16xbf16>
    %x = qwen.last_row %hidden : tensor<24x16xf32> -> tensor<1x16xf32>
    %a = qwen.fused_linear none concat %x weights(%w) {
    ^bb0(%e: f32):
      %c = arith.constant 2.0 : f32
      %y = arith.mulf %e, %c : f32
      qwen.yield %y : f32
    } : (tensor<1x16xf32>, tensor<16x16xbf16>) -> tensor<1x16xf32>
    %b = qwen.fused_linear none concat %a weights(%w) {
    ^bb0(%e: f32):
      %c = arith.constant 3.0 : f32
      %y = arith.mulf %e, %c : f32
      qwen.yield %y : f32
    } : (tensor<1x16xf32>, tensor<16x16xbf16>) -> tensor<1x16xf32>
    %l = qwen.fused_linear none concat %b weights(%w) {
    ^bb0(%e: f32):
      %c = arith.constant 2.0 : f32
      %y = arith.mulf %e, %c : f32
      qwen.yield %y : f32
    } : (tensor<1x16xf32>, tensor<16x16xbf16>) -> tensor<1x16xf32>
    qwen.next_token %l greedy : tensor<1x16xf32>
    return %l : tensor<1x16xf32>
  }
}
