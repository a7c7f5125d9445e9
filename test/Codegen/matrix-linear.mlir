// Products on cooperative matrices: the tile follows from the shape, two stages are on their way while one is
// multiplied, extras are loaded before the sums pass through workgroup memory.

// RUN: qwen-opt %s --convert-qwen-to-plan=target=nvidia-h200 | FileCheck %s
// RUN: qwen-opt %s --convert-qwen-to-plan=target=generic | FileCheck %s --check-prefix=WITHOUT

// WITHOUT-NOT: gemm_matrix
// Tiles of 64x64 in stages of 16: both operands in rows of five fours.
// WITHOUT: plan.kernel @gemm_n1024_k1000_addf_ef32_xbf16 workgroup [256, 1, 1] {{.*}} shared 10240
// WITHOUT: plan.dispatch @gemm_n1024_k1000_addf_ef32_xbf16 groups [16, 8, 1]
// WITHOUT-NOT: gemm_matrix

// 1000 elements of k are 15.6 stages of 64: pieces behind the end become zero when they are stored, not when loaded.
// CHECK: plan.kernel @gemm_matrix_n1024_k1000_addf_ef32_xbf16 workgroup [128, 1, 1] subgroup 32 shared 36864 features ["cooperative_matrix", "bfloat16"]
// CHECK: spirv.mlir.loop
// CHECK: spirv.Select {{.*}} : i1, i32
// CHECK: spirv.ControlBarrier <Workgroup>
// CHECK-NOT: spirv.Select
// CHECK-NOT: spirv.ControlBarrier
// CHECK-COUNT-16: spirv.KHR.CooperativeMatrixMulAdd
// CHECK-NOT: spirv.KHR.CooperativeMatrixMulAdd
// CHECK: spirv.ControlBarrier <Workgroup>
// CHECK-NOT: spirv.ControlBarrier
// CHECK-COUNT-16: spirv.KHR.CooperativeMatrixMulAdd
// CHECK-NOT: spirv.KHR.CooperativeMatrixMulAdd
// CHECK: spirv.mlir.merge
// Strips of 16x32: their extras, the matrices, then the results.
// CHECK: spirv.ControlBarrier <Workgroup>
// CHECK-COUNT-4: spirv.Load "PhysicalStorageBuffer"
// CHECK-NOT: spirv.Load "PhysicalStorageBuffer"
// CHECK-COUNT-2: spirv.KHR.CooperativeMatrixStore
// CHECK: spirv.ControlBarrier <Subgroup>
// CHECK-COUNT-4: spirv.Store "PhysicalStorageBuffer"
// CHECK: spirv.ControlBarrier <Subgroup>

// Two accumulators of 64x32 results for a subgroup, stages in one buffer: a second barrier before the stage is replaced,
// and no second stage.
// CHECK: plan.kernel @gemm_matrix_n3072x2_k1024_mulf_xbf16 workgroup [128, 1, 1] subgroup 32 shared 36864
// CHECK: spirv.mlir.loop
// CHECK: spirv.ControlBarrier <Workgroup>
// CHECK-NOT: spirv.Select
// CHECK: spirv.ControlBarrier <Workgroup>
// CHECK-COUNT-64: spirv.KHR.CooperativeMatrixMulAdd
// CHECK-NOT: spirv.KHR.CooperativeMatrixMulAdd
// CHECK: spirv.mlir.merge

// f16 operands: weights, which lie in memory as bf16, are converted when they are staged, the other operand is not.
// CHECK: plan.kernel @gemm_matrix_n1024_k3072_xf16 workgroup [128, 1, 1] subgroup 32 shared 36864 features ["cooperative_matrix", "shader_float16"]
// CHECK: spirv.mlir.loop
// CHECK-COUNT-16: spirv.GL.PackHalf2x16
// CHECK-NOT: spirv.GL.PackHalf2x16
// CHECK: spirv.ControlBarrier <Workgroup>
// CHECK-NOT: spirv.GL.PackHalf2x16
// CHECK: spirv.KHR.CooperativeMatrixMulAdd {{.*}}<16x16xf16, Subgroup, MatrixA>{{.*}}<16x16xf16, Subgroup, MatrixB>{{.*}}<16x16xf32, Subgroup, MatrixAcc>

// CHECK: plan.dispatch @gemm_matrix_n1024_k1000_addf_ef32_xbf16 groups [16, 8, 1]
// CHECK: plan.dispatch @gemm_matrix_n3072x2_k1024_mulf_xbf16 groups [48, 4, 1]
// CHECK: plan.dispatch @gemm_matrix_n3072_k1024_xbf16_yf16 groups [24, 4, 1]
// CHECK: plan.dispatch @gemm_matrix_n1024_k3072_xf16 groups [16, 8, 1]
module attributes {qwen.max_context = 96 : i64} {
  qwen.parameter @out : tensor<1024x1000xbf16> file 0 offset 0
  qwen.parameter @gate : tensor<3072x1024xbf16> file 0 offset 4000000
  qwen.parameter @up : tensor<3072x1024xbf16> file 0 offset 16000000
  qwen.parameter @down : tensor<1024x3072xbf16> file 0 offset 24000000
  func.func @prefill(%h: tensor<512x1000xf32> {qwen.binding = "hidden"})
      -> (tensor<512x1024xf32> {qwen.name = "y"}, tensor<512x3072xf32> {qwen.name = "m"}, tensor<512x1024xf32> {qwen.name = "d"})
      attributes {qwen.role = "prefill", qwen.rows = 512 : i64} {
    %out = qwen.weight @out : tensor<1024x1000xbf16>
    %gate = qwen.weight @gate : tensor<3072x1024xbf16>
    %up = qwen.weight @up : tensor<3072x1024xbf16>
    %down = qwen.weight @down : tensor<1024x3072xbf16>
    %x = qwen.elementwise (%h) {
    ^bb0(%a: f32):
      qwen.yield %a : f32
    } : (tensor<512x1000xf32>) -> tensor<512x1000xbf16>
    %r = qwen.fused_linear none concat %x weights(%out) {
    ^bb0(%a: f32):
      qwen.yield %a : f32
    } : (tensor<512x1000xbf16>, tensor<1024x1000xbf16>) -> tensor<512x1024xf32>
    %z = qwen.fused_linear none concat %x weights(%out) {
    ^bb0(%a: f32):
      qwen.yield %a : f32
    } : (tensor<512x1000xbf16>, tensor<1024x1000xbf16>) -> tensor<512x1024xbf16>
    %y = qwen.fused_linear none concat %x weights(%out) extras(%r) {
    ^bb0(%a: f32, %e: f32):
      %s = arith.addf %a, %e : f32
      qwen.yield %s : f32
    } : (tensor<512x1000xbf16>, tensor<1024x1000xbf16>, tensor<512x1024xf32>) -> tensor<512x1024xf32>
    %m = qwen.fused_linear none parallel %z weights(%gate, %up) {
    ^bb0(%g: f32, %u: f32):
      %p = arith.mulf %g, %u : f32
      qwen.yield %p : f32
    } : (tensor<512x1024xbf16>, tensor<3072x1024xbf16>, tensor<3072x1024xbf16>) -> tensor<512x3072xf32>
    %u = qwen.fused_linear none concat %z weights(%up) {
    ^bb0(%a: f32):
      qwen.yield %a : f32
    } : (tensor<512x1024xbf16>, tensor<3072x1024xbf16>) -> tensor<512x3072xf16>
    %d = qwen.fused_linear none concat %u weights(%down) {
    ^bb0(%a: f32):
      qwen.yield %a : f32
    } : (tensor<512x3072xf16>, tensor<1024x3072xbf16>) -> tensor<512x1024xf32>
    return %y, %m, %d : tensor<512x1024xf32>, tensor<512x3072xf32>, tensor<512x1024xf32>
  }
}
