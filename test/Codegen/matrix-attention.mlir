// Attention on cooperative matrices: two query heads and 32 positions make a tile of 64 rows, so 40 rows take two
// workgroups for each of the two key heads. Operands have the cache's type, sums are f32. On a device of one core a
// workgroup is never alone, and one subgroup computes 16 rows; on an H200 two share them.

// RUN: qwen-opt %s --convert-qwen-to-plan=target=%S/../Gpu/h200-large-tiles.json | FileCheck %s
// RUN: qwen-opt %s --convert-qwen-to-plan=target=nvidia-h200 | FileCheck %s --check-prefix=SPLIT
// RUN: sed -e 's/xf16>/xbf16>/g' %s | qwen-opt --convert-qwen-to-plan=target=amd-gfx1151 | FileCheck %s --check-prefix=WITHOUT
// RUN: sed -e 's/xf16>/xbf16>/g' %s | qwen-opt --convert-qwen-to-plan=target=nvidia-h200 | FileCheck %s --check-prefix=BF16
// RUN: sed -e 's/xf16>/xf32>/g' %s | qwen-opt --convert-qwen-to-plan=target=nvidia-h200 | FileCheck %s --check-prefix=WITHOUT
// RUN: sed -e 's/x48x/x40x/g' %s | qwen-opt --convert-qwen-to-plan=target=nvidia-h200 | FileCheck %s --check-prefix=WITHOUT

// WITHOUT-NOT: attention_matrix
// WITHOUT: plan.dispatch @attention_h4kv2d
// WITHOUT-NOT: attention_matrix

// CHECK: plan.kernel @attention_matrix_h4kv2d48_c96_f16_r40{{.*}} workgroup [128, 1, 1] subgroup 32 shared 24576 features ["cooperative_matrix", "shader_float16"]
// CHECK: spirv.module
// CHECK-SAME: GroupNonUniformShuffle
// CHECK-SAME: Float16
// The queries once, before the loop.
// CHECK-COUNT-3: spirv.KHR.CooperativeMatrixLoad {{.*}} <RowMajor> {{.*}} !spirv.coopmatrix<16x16xf16, Subgroup, MatrixA>
// CHECK-NOT: MatrixA>
// CHECK: spirv.mlir.loop
// Two buffers: one barrier of the workgroup in a step.
// CHECK: spirv.ControlBarrier <Workgroup>
// CHECK-NOT: spirv.ControlBarrier <Workgroup>
// CHECK: spirv.KHR.CooperativeMatrixLoad {{.*}} <ColumnMajor> {{.*}} !spirv.coopmatrix<16x16xf16, Subgroup, MatrixB>
// CHECK-COUNT-6: spirv.KHR.CooperativeMatrixMulAdd {{.*}}xf32, Subgroup, MatrixAcc>
// CHECK-COUNT-2: spirv.KHR.CooperativeMatrixStore
// CHECK: spirv.ControlBarrier <Subgroup>, <Subgroup>
// CHECK: spirv.GroupNonUniformShuffleXor <Subgroup>
// CHECK: spirv.ControlBarrier <Subgroup>, <Subgroup>
// CHECK: spirv.ControlBarrier <Subgroup>, <Subgroup>
// CHECK: spirv.KHR.CooperativeMatrixLoad {{.*}} !spirv.coopmatrix<16x16xf32, Subgroup, MatrixAcc>
// CHECK-COUNT-3: spirv.FMul {{.*}} : !spirv.coopmatrix<16x16xf32, Subgroup, MatrixAcc>
// CHECK: spirv.KHR.CooperativeMatrixLoad {{.*}} <RowMajor> {{.*}} !spirv.coopmatrix<16x16xf16, Subgroup, MatrixB>
// CHECK: spirv.mlir.merge
// CHECK: plan.dispatch @attention_matrix_h4kv2d48_c96_f16_r40{{.*}} groups [2, 2, 1]

// SPLIT: plan.kernel @attention_matrix_h4kv2d48_c96_f16_r40{{.*}} workgroup [256, 1, 1] subgroup 32 shared 26624
// SPLIT: spirv.mlir.loop
// Half of the 32 keys of a step in each subgroup.
// SPLIT-COUNT-6: spirv.KHR.CooperativeMatrixMulAdd
// SPLIT-NOT: spirv.KHR.CooperativeMatrixMulAdd
// SPLIT: spirv.mlir.merge
// The sums of the second half pass to the subgroup of the first.
// SPLIT: spirv.ControlBarrier <Workgroup>
// SPLIT: spirv.mlir.selection
// SPLIT: spirv.mlir.selection
// SPLIT-COUNT-3: spirv.KHR.CooperativeMatrixStore
// SPLIT: spirv.ControlBarrier <Workgroup>
// SPLIT: spirv.mlir.selection
// SPLIT-COUNT-3: spirv.KHR.CooperativeMatrixStore
// SPLIT: plan.dispatch @attention_matrix_h4kv2d48_c96_f16_r40{{.*}} groups [2, 2, 1]

// BF16: plan.kernel @attention_matrix_h4kv2d48_c96_bf16_r40{{.*}} features ["cooperative_matrix", "bfloat16"]
// BF16-NOT: Float16,
// BF16: !spirv.coopmatrix<16x16xbf16, Subgroup, MatrixA>
module attributes {qwen.max_context = 96 : i64} {
  qwen.state @k : tensor<96x2x48xf16>
  qwen.state @v : tensor<96x2x48xf16>
  func.func @prefill(%q: tensor<40x4x48xf32, #qwen.rows<S>> {qwen.binding = "hidden"})
      -> (tensor<40x4x48xf32, #qwen.rows<S>> {qwen.name = "hidden"}) attributes {qwen.role = "prefill", qwen.rows = 40 : i64} {
    %kc = qwen.read_state @k : tensor<96x2x48xf16>
    %vc = qwen.read_state @v : tensor<96x2x48xf16>
    %att = qwen.attention %q, %kc, %vc scale 0.125 causal
        : (tensor<40x4x48xf32, #qwen.rows<S>>, tensor<96x2x48xf16>, tensor<96x2x48xf16>) -> tensor<40x4x48xf32, #qwen.rows<S>>
    return %att : tensor<40x4x48xf32, #qwen.rows<S>>
  }
}
