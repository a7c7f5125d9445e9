// Widths that are no multiple of anything: rows padded in the weights, single elements in the activations.

// RUN: qwen-opt %s --convert-qwen-to-plan=target=lavapipe | FileCheck %s

module attributes {qwen.max_context = 96 : i64} {
  // CHECK: plan.weight @weight.odd file 0 at 9000 rows 31 x 74 pitch 80
  qwen.parameter @odd : tensor<31x37xbf16> file 0 offset 9000

  // CHECK-LABEL: plan.entry @next_greedy
  // CHECK: plan.dispatch @last_row_r24_n37
  // CHECK: plan.dispatch @gemv_n31_k37
  // CHECK: plan.dispatch @append_argmax_v31 groups [1, 1, 1]
  func.func @next_greedy(%hidden: tensor<24x37xf32> {qwen.binding = "hidden"})
      -> (tensor<1x31xf32> {qwen.name = "logits"}) attributes {qwen.role = "next_greedy", qwen.rows = 1 : i64} {
    %odd = qwen.weight @odd : tensor<31x37xbf16>
    %x = qwen.last_row %hidden : tensor<24x37xf32> -> tensor<1x37xf32>
    %l = qwen.fused_linear none concat %x weights(%odd) {
    ^bb0(%a: f32):
      qwen.yield %a : f32
    } : (tensor<1x37xf32>, tensor<31x37xbf16>) -> tensor<1x31xf32>
    qwen.next_token %l greedy : tensor<1x31xf32>
    return %l : tensor<1x31xf32>
  }

  // CHECK-LABEL: plan.entry @logits
  // CHECK: plan.tensor input "hidden" in @hidden at 0 f32 [8, 37] symbols ["R", ""]
  // CHECK: plan.symbol "R" cell head_rows max 8
  // CHECK: plan.dispatch @head_rows_of_24_n37_r8
  // CHECK: plan.dispatch @gemm_n31_k37_r8
  func.func @logits(%hidden: tensor<24x37xf32> {qwen.binding = "hidden"})
      -> (tensor<8x31xf32, #qwen.rows<R>> {qwen.name = "logits"}) attributes {qwen.role = "logits", qwen.rows = 8 : i64} {
    %odd = qwen.weight @odd : tensor<31x37xbf16>
    %x = qwen.head_rows %hidden : tensor<24x37xf32> -> tensor<8x37xf32, #qwen.rows<R>>
    %l = qwen.fused_linear none concat %x weights(%odd) {
    ^bb0(%a: f32):
      qwen.yield %a : f32
    } : (tensor<8x37xf32, #qwen.rows<R>>, tensor<31x37xbf16>) -> tensor<8x31xf32, #qwen.rows<R>>
    return %l : tensor<8x31xf32, #qwen.rows<R>>
  }
}
