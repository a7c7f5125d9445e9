// Products of f32 rows on f16 matrices: every row is staged at a power of two of its own.

// RUN: qwen-opt %s --convert-qwen-to-plan=target=amd-gfx1151 | FileCheck %s
// RUN: qwen-opt %s --convert-qwen-to-plan=target=nvidia-h200 | FileCheck %s --check-prefix=H200
// RUN: qwen-opt %s --convert-qwen-to-plan=target=generic | FileCheck %s --check-prefix=WITHOUT

// Only f32 that is marked, and only where the target has f16 matrices; the other product stays f32.
// WITHOUT-NOT: gemm_matrix
// H200: plan.kernel @gemm_matrix_scaled_n1024_k1024
// H200: plan.kernel @gemm_n1024_k1024

// CHECK: plan.kernel @gemm_matrix_scaled_n1024_k1024 workgroup [512, 1, 1] subgroup 64 shared 42016 features ["cooperative_matrix", "shader_float16"]
// The scales that the tile begins with.
// CHECK: spirv.Store "Workgroup"
// CHECK: spirv.ControlBarrier <Workgroup>
// At most twice: all of k.
// CHECK: spirv.mlir.loop
// CHECK: spirv.mlir.selection -> i32
// CHECK: spirv.mlir.loop
// Eight elements of x, then of the weights: the largest magnitude of each, and its product with the scale of its row.
// CHECK-COUNT-8: spirv.FNegate
// CHECK-NOT: spirv.FNegate
// CHECK-COUNT-4: spirv.GL.PackHalf2x16
// CHECK-COUNT-8: spirv.FNegate
// CHECK-NOT: spirv.FNegate
// CHECK-COUNT-4: spirv.GL.PackHalf2x16
// CHECK-NOT: spirv.GL.PackHalf2x16
// CHECK: spirv.ControlBarrier <Workgroup>
// CHECK-COUNT-16: spirv.KHR.CooperativeMatrixMulAdd
// CHECK-NOT: spirv.KHR.CooperativeMatrixMulAdd
// CHECK: spirv.ControlBarrier <Workgroup>
// CHECK-COUNT-16: spirv.KHR.CooperativeMatrixMulAdd
// CHECK-NOT: spirv.KHR.CooperativeMatrixMulAdd
// CHECK: spirv.mlir.merge
// The magnitudes of all rows meet, a row may change its scale, and all invocations learn whether one did.
// CHECK: spirv.ControlBarrier <Workgroup>
// CHECK: spirv.Store "Workgroup"
// CHECK: spirv.ControlBarrier <Workgroup>
// CHECK: spirv.GL.UMin
// CHECK: spirv.mlir.selection
// CHECK: spirv.Store "Workgroup"
// CHECK: spirv.GroupNonUniformFMax
// CHECK: spirv.ControlBarrier <Workgroup>
// CHECK: spirv.ControlBarrier <Workgroup>
// CHECK: spirv.GroupNonUniformFMax
// The results leave inside of the loop; each is multiplied by two powers of two.
// CHECK: spirv.mlir.selection
// CHECK: spirv.KHR.CooperativeMatrixStore
// CHECK: %[[PART:.*]] = spirv.FMul
// CHECK-NEXT: spirv.FMul %[[PART]]
// CHECK: spirv.Store "PhysicalStorageBuffer"

// CHECK: plan.dispatch @gemm_matrix_scaled_n1024_k1024 groups [8, 4, 1]
// CHECK: plan.dispatch @gemm_n1024_k1024 groups
module attributes {qwen.max_context = 96 : i64} {
  qwen.parameter @out : tensor<1024x1024xbf16> file 0 offset 0
  func.func @prefill(%h: tensor<512x1024xf32> {qwen.binding = "hidden"})
      -> (tensor<512x1024xf32> {qwen.name = "y"}, tensor<512x1024xf32> {qwen.name = "z"})
      attributes {qwen.role = "prefill", qwen.rows = 512 : i64} {
    %out = qwen.weight @out : tensor<1024x1024xbf16>
    %y = qwen.fused_linear none concat %h weights(%out) {
    ^bb0(%a: f32):
      qwen.yield %a : f32
    } {qwen.scaled} : (tensor<512x1024xf32>, tensor<1024x1024xbf16>) -> tensor<512x1024xf32>
    %z = qwen.fused_linear none concat %h weights(%out) {
    ^bb0(%a: f32):
      qwen.yield %a : f32
    } : (tensor<512x1024xf32>, tensor<1024x1024xbf16>) -> tensor<512x1024xf32>
    return %y, %z : tensor<512x1024xf32>, tensor<512x1024xf32>
  }
}
