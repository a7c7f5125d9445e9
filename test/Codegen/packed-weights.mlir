// Products of packed weights: the format stands in the name, rows lie at multiples of 16 bytes, estimates count what is read.

// RUN: qwen-opt %s --convert-qwen-to-plan=target=lavapipe | FileCheck %s
// RUN: qwen-opt %s --convert-qwen-to-plan=target=nvidia-h200 | FileCheck %s --check-prefix=MATRIX

module attributes {qwen.max_context = 96 : i64} {
  // 96 weights and 3 scales: 102 bytes.
  // CHECK-DAG: plan.weight @weight.layers.1.a file 0 at 9000 rows 40 x 192 pitch 112 packed q8 layer 1
  // CHECK-DAG: plan.weight @weight.layers.1.b file 0 at 20000 rows 24 x 192 pitch 112 packed q8 layer 1
  // 48 bytes of weights and 3 scales: 54 bytes.
  // CHECK-DAG: plan.weight @weight.c file 0 at 30000 rows 64 x 192 pitch 64 packed q4
  qwen.parameter @layers.1.a : tensor<40x96xbf16, #qwen.packed<q8>> file 0 offset 9000
  qwen.parameter @layers.1.b : tensor<24x96xbf16, #qwen.packed<q8>> file 0 offset 20000
  qwen.parameter @c : tensor<64x96xbf16, #qwen.packed<q4>> file 0 offset 30000

  qwen.parameter @norm : tensor<96xbf16> file 0 offset 60000

  // CHECK-DAG: plan.kernel @gemv_n64_k96_q8 workgroup {{.*}} operands (x read 384, weight0 read 7168, y write 256)
  // CHECK-DAG: plan.kernel @gemv_n64_k96_q4 workgroup {{.*}} operands (x read 384, weight0 read 4096, y write 256)

  // CHECK-LABEL: plan.entry @next_greedy
  // CHECK: plan.weights [@weight.layers.1.a, @weight.layers.1.b] : !plan.range<7168>
  // CHECK: plan.dispatch @gemv_n64_k96_q8 {{.*}} reads 7168
  // CHECK: plan.dispatch @gemv_n64_k96_q4 {{.*}} reads 4096
  func.func @next_greedy(%hidden: tensor<24x96xf32> {qwen.binding = "hidden"})
      -> (tensor<1x64xf32> {qwen.name = "logits"}) attributes {qwen.role = "next_greedy", qwen.rows = 1 : i64} {
    %a = qwen.weight @layers.1.a : tensor<40x96xbf16, #qwen.packed<q8>>
    %b = qwen.weight @layers.1.b : tensor<24x96xbf16, #qwen.packed<q8>>
    %c = qwen.weight @c : tensor<64x96xbf16, #qwen.packed<q4>>
    %x = qwen.last_row %hidden : tensor<24x96xf32> -> tensor<1x96xf32>
    %y = qwen.fused_linear none concat %x weights(%a, %b) {
    ^bb0(%acc: f32):
      qwen.yield %acc : f32
    } : (tensor<1x96xf32>, tensor<40x96xbf16, #qwen.packed<q8>>, tensor<24x96xbf16, #qwen.packed<q8>>) -> tensor<1x64xf32>
    %z = qwen.fused_linear none concat %x weights(%c) {
    ^bb0(%acc: f32):
      qwen.yield %acc : f32
    } : (tensor<1x96xf32>, tensor<64x96xbf16, #qwen.packed<q4>>) -> tensor<1x64xf32>
    %l = qwen.elementwise (%y, %z) {
    ^bb0(%p: f32, %q: f32):
      %s = arith.addf %p, %q : f32
      qwen.yield %s : f32
    } : (tensor<1x64xf32>, tensor<1x64xf32>) -> tensor<1x64xf32>
    qwen.next_token %l greedy : tensor<1x64xf32>
    return %l : tensor<1x64xf32>
  }

  // Tiles become bf16 where the target multiplies matrices of it, f32 elsewhere.
  // CHECK-LABEL: plan.entry @logits
  // CHECK: plan.dispatch @gemm_n64_k96_q4_r8c16_xbf16
  // MATRIX-LABEL: plan.entry @logits
  // MATRIX: plan.dispatch @gemm_matrix_n64_k96_q4_r8c16_xbf16
  func.func @logits(%hidden: tensor<24x96xf32> {qwen.binding = "hidden"})
      -> (tensor<8x64xf32, #qwen.rows<R>> {qwen.name = "logits"}) attributes {qwen.role = "logits", qwen.rows = 8 : i64} {
    %c = qwen.weight @c : tensor<64x96xbf16, #qwen.packed<q4>>
    %norm = qwen.weight @norm : tensor<96xbf16>
    %h = qwen.head_rows %hidden : tensor<24x96xf32> -> tensor<8x96xf32, #qwen.rows<R>>
    %x = qwen.rms_norm %h, %norm eps 1.0e-6 : (tensor<8x96xf32, #qwen.rows<R>>, tensor<96xbf16>) -> tensor<8x96xbf16, #qwen.rows<R>>
    %l = qwen.fused_linear none concat %x weights(%c) {
    ^bb0(%acc: f32):
      qwen.yield %acc : f32
    } : (tensor<8x96xbf16, #qwen.rows<R>>, tensor<64x96xbf16, #qwen.packed<q4>>) -> tensor<8x64xf32, #qwen.rows<R>>
    return %l : tensor<8x64xf32, #qwen.rows<R>>
  }
}
