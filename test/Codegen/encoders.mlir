// Convolutions as products of patches, swapped axes and sinusoids, of rows that an input counts.

// RUN: qwen-opt %s --convert-qwen-to-plan=target=lavapipe | FileCheck %s
// RUN: qwen-opt %s --convert-qwen-to-plan=target=nvidia-h200 | FileCheck %s --check-prefix=MATRIX

module attributes {qwen.max_context = 96 : i64} {
  // A filter is a row on the device; biases of merged products lie side by side.
  // CHECK-DAG: plan.weight @weight.conv1 file 0 at 0 rows 24 x 18 pitch 32
  // CHECK-DAG: plan.weight @weight.conv2 file 0 at 1000 rows 16 x 432 pitch 432
  // CHECK-DAG: plan.weight @weight.q.bias file 0 at 22000 rows 1 x 16 pitch 16
  qwen.parameter @conv1 : tensor<24x1x3x3xbf16> file 0 offset 0
  qwen.parameter @conv2 : tensor<16x24x3x3xbf16> file 0 offset 1000
  qwen.parameter @odd : tensor<6x5x3x3xbf16> file 0 offset 16000
  qwen.parameter @bias : tensor<24xbf16> file 0 offset 18000
  qwen.parameter @q : tensor<8x16xbf16> file 0 offset 20000
  qwen.parameter @k : tensor<16x16xbf16> file 0 offset 21000
  qwen.parameter @q.bias : tensor<8xbf16> file 0 offset 22000
  qwen.parameter @k.bias : tensor<16xbf16> file 0 offset 22100

  // The input of a product of patches is where the convolution found it, and its taps.
  // CHECK-DAG: plan.kernel @gemm_n24_k9_r36c{{[0-9]+}}x4_taps18x7x1_addf_bbf16_ybf16 workgroup {{.*}} operands (x read 504, taps read 108, state read {{[0-9]+}}, weight0 read 768, extra0 read 48, y write 1728)
  // MATRIX-DAG: plan.kernel @gemm_matrix_n16_k216_r10c{{[0-9]+}}x2_taps9x4x24_xbf16 workgroup {{.*}} operands (x read 1728, taps read 60, state read {{[0-9]+}}, weight0 read 6912, y write 640)
  // Rows whose filters are no multiple of 16 bytes keep zeros behind them.
  // CHECK-DAG: plan.kernel @swap_axes_5x9_bf16_pitch48 workgroup {{.*}} operands (x read 576, y write 576)

  // CHECK-LABEL: plan.entry @encoder role other rows 18
  // CHECK: plan.symbol "T" cell extents[0] max 18
  // CHECK: plan.symbol "U" cell extents[1] max 9
  // CHECK: plan.symbol "A" cell extents[2] max 5
  // CHECK: plan.dispatch @gemm_n24_k9_r36c{{[0-9]+}}x4_taps18x7x1_addf_bbf16_ybf16 groups [1, 2, 1] rows "U" * 4 per 32 along 1(
  // CHECK: plan.dispatch @swap_axes_24x9_bf16_pitch216 groups [16, 1, 1](
  // CHECK: plan.dispatch @gemm_n16_k216_r10c{{[0-9]+}}x2_taps9x4x24_xbf16
  // MATRIX: plan.dispatch @gemm_matrix_n16_k216_r10c{{[0-9]+}}x2_taps9x4x24_xbf16
  // CHECK: plan.dispatch @swap_axes_2x16_r5c{{[0-9]+}}_f32 groups [5, 1, 1] rows "A" * 1 per 1 along 0(
  // CHECK: plan.dispatch @sinusoid_n16_r5c{{[0-9]+}}_p{{[0-9a-f]+}} groups [5, 1, 1] rows "A" * 1 per 1 along 0(
  // Channels that eight do not divide have no pieces that lie together.
  // MATRIX: plan.dispatch @gemm_n6_k45_r10c{{[0-9]+}}x2_taps9x4x5
  // CHECK: plan.weights [@weight.q.bias, @weight.k.bias] : !plan.range<48>
  // CHECK: plan.dispatch @gemm_n24_k16_r5c{{[0-9]+}}_addf_bbf16
  func.func @encoder(%x: tensor<18x7xf32, #qwen.rows<T>> {qwen.binding = "tensor", qwen.name = "x"},
                     %t1: tensor<9x3xi32, #qwen.rows<U>> {qwen.binding = "tensor", qwen.name = "t1"},
                     %t2: tensor<5x3xi32, #qwen.rows<A>> {qwen.binding = "tensor", qwen.name = "t2"},
                     %p: tensor<5xi32, #qwen.rows<A>> {qwen.binding = "tensor", qwen.name = "p"},
                     %z: tensor<9x4x5xf32, #qwen.rows<U>> {qwen.binding = "tensor", qwen.name = "z"})
      -> (tensor<5x16x2xf32, #qwen.rows<A>> {qwen.name = "y"}, tensor<5x16xf32, #qwen.rows<A>> {qwen.name = "s"},
          tensor<10x6xf32, #qwen.rows<A * 2>> {qwen.name = "o"}, tensor<5x24xf32, #qwen.rows<A>> {qwen.name = "m"})
      attributes {qwen.role = "other", qwen.rows = 18 : i64} {
    %w1 = qwen.weight @conv1 : tensor<24x1x3x3xbf16>
    %b1 = qwen.weight @bias : tensor<24xbf16>
    %m1 = qwen.reshape %w1 : tensor<24x1x3x3xbf16> -> tensor<24x9xbf16>
    %x1 = qwen.reshape %x : tensor<18x7xf32, #qwen.rows<T>> -> tensor<18x7x1xf32, #qwen.rows<T>>
    %p1 = qwen.tap_patches %x1 taps %t1 : (tensor<18x7x1xf32, #qwen.rows<T>>, tensor<9x3xi32, #qwen.rows<U>>) -> tensor<36x9xf32, #qwen.rows<U * 4>>
    %c1 = qwen.fused_linear none concat %p1 weights(%m1) extras(%b1) {
    ^bb0(%a: f32, %b: f32):
      %s = arith.addf %a, %b : f32
      qwen.yield %s : f32
    } : (tensor<36x9xf32, #qwen.rows<U * 4>>, tensor<24x9xbf16>, tensor<24xbf16>) -> tensor<36x24xbf16, #qwen.rows<U * 4>>
    %c2 = qwen.reshape %c1 : tensor<36x24xbf16, #qwen.rows<U * 4>> -> tensor<9x4x24xbf16, #qwen.rows<U>>

    %w2 = qwen.weight @conv2 : tensor<16x24x3x3xbf16>
    %f2 = qwen.reshape %w2 : tensor<16x24x3x3xbf16> -> tensor<16x24x9xbf16>
    %s2 = qwen.swap_axes %f2 : tensor<16x24x9xbf16> -> tensor<16x9x24xbf16>
    %m2 = qwen.reshape %s2 : tensor<16x9x24xbf16> -> tensor<16x216xbf16>
    %p2 = qwen.tap_patches %c2 taps %t2 : (tensor<9x4x24xbf16, #qwen.rows<U>>, tensor<5x3xi32, #qwen.rows<A>>) -> tensor<10x216xbf16, #qwen.rows<A * 2>>
    %c3 = qwen.fused_linear none concat %p2 weights(%m2) {
    ^bb0(%a: f32):
      qwen.yield %a : f32
    } : (tensor<10x216xbf16, #qwen.rows<A * 2>>, tensor<16x216xbf16>) -> tensor<10x16xf32, #qwen.rows<A * 2>>
    %c4 = qwen.reshape %c3 : tensor<10x16xf32, #qwen.rows<A * 2>> -> tensor<5x2x16xf32, #qwen.rows<A>>
    %y = qwen.swap_axes %c4 : tensor<5x2x16xf32, #qwen.rows<A>> -> tensor<5x16x2xf32, #qwen.rows<A>>
    %s = qwen.sinusoid %p theta 1.0e4 : (tensor<5xi32, #qwen.rows<A>>) -> tensor<5x16xf32, #qwen.rows<A>>

    %w5 = qwen.weight @odd : tensor<6x5x3x3xbf16>
    %f5 = qwen.reshape %w5 : tensor<6x5x3x3xbf16> -> tensor<6x5x9xbf16>
    %s5 = qwen.swap_axes %f5 : tensor<6x5x9xbf16> -> tensor<6x9x5xbf16>
    %m5 = qwen.reshape %s5 : tensor<6x9x5xbf16> -> tensor<6x45xbf16>
    %p5 = qwen.tap_patches %z taps %t2 : (tensor<9x4x5xf32, #qwen.rows<U>>, tensor<5x3xi32, #qwen.rows<A>>) -> tensor<10x45xf32, #qwen.rows<A * 2>>
    %o = qwen.fused_linear none concat %p5 weights(%m5) {
    ^bb0(%a: f32):
      qwen.yield %a : f32
    } : (tensor<10x45xf32, #qwen.rows<A * 2>>, tensor<6x45xbf16>) -> tensor<10x6xf32, #qwen.rows<A * 2>>

    %wq = qwen.weight @q : tensor<8x16xbf16>
    %wk = qwen.weight @k : tensor<16x16xbf16>
    %bqk = qwen.weight_stack [@q.bias, @k.bias] : tensor<24xbf16>
    %m = qwen.fused_linear none concat %s weights(%wq, %wk) extras(%bqk) {
    ^bb0(%a: f32, %b: f32):
      %sum = arith.addf %a, %b : f32
      qwen.yield %sum : f32
    } : (tensor<5x16xf32, #qwen.rows<A>>, tensor<8x16xbf16>, tensor<16x16xbf16>, tensor<24xbf16>) -> tensor<5x24xf32, #qwen.rows<A>>
    return %y, %s, %o, %m : tensor<5x16x2xf32, #qwen.rows<A>>, tensor<5x16xf32, #qwen.rows<A>>, tensor<10x6xf32, #qwen.rows<A * 2>>, tensor<5x24xf32, #qwen.rows<A>>
  }
}
