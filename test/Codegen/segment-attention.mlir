// Attention within stretches of rows: heads of their own and heads cut out of a merged row, which may be turned.

// RUN: qwen-opt %s --convert-qwen-to-plan=target=lavapipe | FileCheck %s
// RUN: qwen-opt %s --convert-qwen-to-plan=target=nvidia-h200 | FileCheck %s --check-prefix=H200

module attributes {qwen.max_context = 96 : i64} {
  qwen.parameter @qkv : tensor<432x144xbf16> file 0 offset 1000
  qwen.parameter @table : tensor<64x432xbf16> file 0 offset 200000

  // The kernel finds the heads in the merged row; a workgroup takes 32 rows of one head.
  // CHECK-LABEL: plan.entry @merged
  // CHECK: plan.dispatch @gemm_n432_k144
  // CHECK: plan.dispatch @segment_attention_h2d72_r80{{.*}}x4_p432c0_p432c144_p432c288_{{.*}} groups [3, 2, 1] rows "V" * 4 per 32 along 0(
  func.func @merged(%x: tensor<80x144xf32, #qwen.rows<V * 4>> {qwen.binding = "tensor", qwen.name = "x"},
                    %segments: tensor<80x2xi32, #qwen.rows<V * 4>> {qwen.binding = "tensor", qwen.name = "segments"})
      -> (tensor<80x144xf32, #qwen.rows<V * 4>> {qwen.name = "y"}) attributes {qwen.role = "other", qwen.rows = 80 : i64} {
    %w = qwen.weight @qkv : tensor<432x144xbf16>
    %qkv = qwen.fused_linear none concat %x weights(%w) {
    ^bb0(%a: f32):
      qwen.yield %a : f32
    } : (tensor<80x144xf32, #qwen.rows<V * 4>>, tensor<432x144xbf16>) -> tensor<80x432xf32, #qwen.rows<V * 4>>
    %q = qwen.slice %qkv at 0 : tensor<80x432xf32, #qwen.rows<V * 4>> -> tensor<80x144xf32, #qwen.rows<V * 4>>
    %k = qwen.slice %qkv at 144 : tensor<80x432xf32, #qwen.rows<V * 4>> -> tensor<80x144xf32, #qwen.rows<V * 4>>
    %v = qwen.slice %qkv at 288 : tensor<80x432xf32, #qwen.rows<V * 4>> -> tensor<80x144xf32, #qwen.rows<V * 4>>
    %qh = qwen.reshape %q : tensor<80x144xf32, #qwen.rows<V * 4>> -> tensor<80x2x72xf32, #qwen.rows<V * 4>>
    %kh = qwen.reshape %k : tensor<80x144xf32, #qwen.rows<V * 4>> -> tensor<80x2x72xf32, #qwen.rows<V * 4>>
    %vh = qwen.reshape %v : tensor<80x144xf32, #qwen.rows<V * 4>> -> tensor<80x2x72xf32, #qwen.rows<V * 4>>
    %a = qwen.segment_attention %qh, %kh, %vh segments %segments scale 0.125
        : (tensor<80x2x72xf32, #qwen.rows<V * 4>>, tensor<80x2x72xf32, #qwen.rows<V * 4>>, tensor<80x2x72xf32, #qwen.rows<V * 4>>,
           tensor<80x2xi32, #qwen.rows<V * 4>>) -> tensor<80x2x72xf32, #qwen.rows<V * 4>>
    %y = qwen.reshape %a : tensor<80x2x72xf32, #qwen.rows<V * 4>> -> tensor<80x144xf32, #qwen.rows<V * 4>>
    return %y : tensor<80x144xf32, #qwen.rows<V * 4>>
  }

  // Exactly 40 rows: no cell counts them.
  // CHECK-LABEL: plan.entry @fixed
  // CHECK: plan.dispatch @segment_attention_h3d32_{{.*}} groups [2, 3, 1]
  func.func @fixed(%x: tensor<40x3x32xf32> {qwen.binding = "tensor", qwen.name = "x"},
                   %segments: tensor<40x2xi32> {qwen.binding = "tensor", qwen.name = "segments"})
      -> (tensor<40x3x32xf32> {qwen.name = "y"}) attributes {qwen.role = "other", qwen.rows = 40 : i64} {
    %a = qwen.segment_attention %x, %x, %x segments %segments scale 0.5
        : (tensor<40x3x32xf32>, tensor<40x3x32xf32>, tensor<40x3x32xf32>, tensor<40x2xi32>) -> tensor<40x3x32xf32>
    return %a : tensor<40x3x32xf32>
  }

  // What is narrow is a tensor of its own; rotations read the merged row.
  // CHECK-LABEL: plan.entry @turned
  // CHECK: plan.dispatch @gather_sum_k4_v64_n432_r80{{.*}}x4 groups [80, 1, 1] rows "V" * 4 per 1 along 0(
  // CHECK: plan.dispatch @copy_columns_n144_r80{{.*}}x4_p432c288_f32_yf16 groups [80, 1, 1] rows "V" * 4 per 1 along 0(
  // CHECK: plan.dispatch @axial_rope_h2d72_r80{{.*}}x4_p432c0_f32_{{.*}}_yf16 groups [80, 1, 1] rows "V" * 4 per 1 along 0(
  // CHECK: plan.dispatch @axial_rope_h2d72_r80{{.*}}x4_p432c144_f32_{{.*}}_yf16 groups [80, 1, 1]
  // CHECK: plan.dispatch @segment_attention_h2d72_r80{{.*}}x4_f16_f16_f16_{{.*}} groups [3, 2, 1] rows "V" * 4 per 32 along 0(
  // A tile of 128 rows; heads of 72 padded to 80, two buffers of keys and values, and the strips.
  // H200-LABEL: plan.kernel @segment_attention_matrix_h2d72_r80
  // H200-SAME: workgroup [128, 1, 1] subgroup 32
  // The queries of two strips, once.
  // H200-COUNT-10: spirv.KHR.CooperativeMatrixLoad {{.*}} <RowMajor> {{.*}} !spirv.coopmatrix<16x16xf16, Subgroup, MatrixA>
  // H200: spirv.mlir.loop
  // H200: spirv.KHR.CooperativeMatrixLoad {{.*}} <ColumnMajor> {{.*}} !spirv.coopmatrix<16x16xf16, Subgroup, MatrixB>
  // H200-COUNT-2: spirv.KHR.CooperativeMatrixMulAdd
  // H200: plan.dispatch @segment_attention_matrix_h2d72_r80{{.*}} groups [1, 2, 1] rows "V" * 4 per 128 along 0(
  func.func @turned(%ids: tensor<80x4xi32, #qwen.rows<V * 4>> {qwen.binding = "tensor", qwen.name = "ids"},
                    %shares: tensor<80x4xf32, #qwen.rows<V * 4>> {qwen.binding = "tensor", qwen.name = "shares"},
                    %places: tensor<80x2xi32, #qwen.rows<V * 4>> {qwen.binding = "tensor", qwen.name = "places"},
                    %segments: tensor<80x2xi32, #qwen.rows<V * 4>> {qwen.binding = "tensor", qwen.name = "segments"})
      -> (tensor<80x144xf32, #qwen.rows<V * 4>> {qwen.name = "y"}) attributes {qwen.role = "other", qwen.rows = 80 : i64} {
    %t = qwen.weight @table : tensor<64x432xbf16>
    %qkv = qwen.gather_sum %ids, %shares, %t
        : (tensor<80x4xi32, #qwen.rows<V * 4>>, tensor<80x4xf32, #qwen.rows<V * 4>>, tensor<64x432xbf16>) -> tensor<80x432xf32, #qwen.rows<V * 4>>
    %q = qwen.slice %qkv at 0 : tensor<80x432xf32, #qwen.rows<V * 4>> -> tensor<80x144xf32, #qwen.rows<V * 4>>
    %k = qwen.slice %qkv at 144 : tensor<80x432xf32, #qwen.rows<V * 4>> -> tensor<80x144xf32, #qwen.rows<V * 4>>
    %v = qwen.slice %qkv at 288 : tensor<80x432xf32, #qwen.rows<V * 4>> -> tensor<80x144xf16, #qwen.rows<V * 4>>
    %qh = qwen.reshape %q : tensor<80x144xf32, #qwen.rows<V * 4>> -> tensor<80x2x72xf32, #qwen.rows<V * 4>>
    %kh = qwen.reshape %k : tensor<80x144xf32, #qwen.rows<V * 4>> -> tensor<80x2x72xf32, #qwen.rows<V * 4>>
    %vh = qwen.reshape %v : tensor<80x144xf16, #qwen.rows<V * 4>> -> tensor<80x2x72xf16, #qwen.rows<V * 4>>
    %qt = qwen.axial_rope %qh, %places theta 1.0e4
        : (tensor<80x2x72xf32, #qwen.rows<V * 4>>, tensor<80x2xi32, #qwen.rows<V * 4>>) -> tensor<80x2x72xf16, #qwen.rows<V * 4>>
    %kt = qwen.axial_rope %kh, %places theta 1.0e4
        : (tensor<80x2x72xf32, #qwen.rows<V * 4>>, tensor<80x2xi32, #qwen.rows<V * 4>>) -> tensor<80x2x72xf16, #qwen.rows<V * 4>>
    %a = qwen.segment_attention %qt, %kt, %vh segments %segments scale 0.125
        : (tensor<80x2x72xf16, #qwen.rows<V * 4>>, tensor<80x2x72xf16, #qwen.rows<V * 4>>, tensor<80x2x72xf16, #qwen.rows<V * 4>>,
           tensor<80x2xi32, #qwen.rows<V * 4>>) -> tensor<80x2x72xf32, #qwen.rows<V * 4>>
    %y = qwen.reshape %a : tensor<80x2x72xf32, #qwen.rows<V * 4>> -> tensor<80x144xf32, #qwen.rows<V * 4>>
    return %y : tensor<80x144xf32, #qwen.rows<V * 4>>
  }
}
