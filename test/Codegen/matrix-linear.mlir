// Products on cooperative matrices: the tile follows from the shape, two stages are on their way while one is
// multiplied, extras are loaded before the sums pass through workgroup memory.

// RUN: qwen-opt %s --convert-qwen-to-plan=target=nvidia-h200 | FileCheck %s
// RUN: qwen-opt %s --convert-qwen-to-plan=target=generic | FileCheck %s --check-prefix=WITHOUT

// WITHOUT-NOT: gemm_matrix
// WITHOUT: plan.dispatch @gemm_n1024_k1000
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

// One buffer: 51200 bytes of two stages would not fit. 48 columns of a subgroup leave in strips of 16.
// CHECK: plan.kernel @gemm_matrix_n3072x2_k1024_mulf_xbf16 workgroup [256, 1, 1] subgroup 32 shared 25600
// CHECK: spirv.mlir.loop
// CHECK: spirv.ControlBarrier <Workgroup>
// CHECK-NOT: spirv.Select
// CHECK: spirv.ControlBarrier <Workgroup>
// CHECK-COUNT-24: spirv.KHR.CooperativeMatrixMulAdd
// CHECK-NOT: spirv.KHR.CooperativeMatrixMulAdd
// CHECK: spirv.ControlBarrier <Workgroup>

// CHECK: plan.dispatch @gemm_matrix_n1024_k1000_addf_ef32_xbf16 groups [16, 8, 1]
// CHECK: plan.dispatch @gemm_matrix_n3072x2_k1024_mulf_xbf16 groups [32, 4, 1]
module attributes {qwen.max_context = 96 : i64} {
  qwen.parameter @out : tensor<1024x1000xbf16> file 0 offset 0
  qwen.parameter @gate : tensor<3072x1024xbf16> file 0 offset 4000000
  qwen.parameter @up : tensor<3072x1024xbf16> file 0 offset 16000000
  func.func @prefill(%h: tensor<512x1000xf32> {qwen.binding = "hidden"})
      -> (tensor<512x1024xf32> {qwen.name = "y"}, tensor<512x3072xf32> {qwen.name = "m"})
      attributes {qwen.role = "prefill", qwen.rows = 512 : i64} {
    %out = qwen.weight @out : tensor<1024x1000xbf16>
    %gate = qwen.weight @gate : tensor<3072x1024xbf16>
    %up = qwen.weight @up : tensor<3072x1024xbf16>
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
    return %y, %m : tensor<512x1024xf32>, tensor<512x3072xf32>
  }
}
