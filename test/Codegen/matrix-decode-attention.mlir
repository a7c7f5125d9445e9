// Decode attention of eight query heads for a key head on cooperative matrices: one workgroup has all heads and a split
// of the keys, a subgroup 16 of them; one more runs ahead of who combines the splits. With fewer than four query heads,
// caches of f32, dims that are no power of two, other subgroups or no matrices of the cache's type, the keys are read by
// scalar code.

// RUN: qwen-opt %s --convert-qwen-to-plan=target=nvidia-h200 | FileCheck %s
// RUN: qwen-opt %s --convert-qwen-to-plan=target=amd-gfx1151 | FileCheck %s --check-prefix=WITHOUT
// RUN: sed -e 's/xf16>/xf32>/g' %s | qwen-opt --convert-qwen-to-plan=target=nvidia-h200 | FileCheck %s --check-prefix=WITHOUT
// RUN: sed -e 's/xf16>/xbf16>/g' %s | qwen-opt --convert-qwen-to-plan=target=nvidia-h200 | FileCheck %s --check-prefix=BF16
// RUN: echo '{"base": "nvidia-h200", "dont_unroll_loops": false}' > %t.json
// RUN: qwen-opt %s --convert-qwen-to-plan=target=%t.json | FileCheck %s --check-prefix=UNROLL

// WITHOUT-NOT: decode_attention_matrix
// WITHOUT: plan.dispatch @decode_attention_h8kv1d64
// WITHOUT-NOT: decode_attention_matrix

// BF16: plan.kernel @decode_attention_matrix_h8kv1d64_c96_bf16_s5{{.*}} features ["cooperative_matrix", "bfloat16"]

// UNROLL: plan.kernel @decode_attention_matrix
// UNROLL: spirv.mlir.loop
// UNROLL-NOT: DontUnroll

// CHECK: plan.kernel @decode_attention_matrix_h8kv1d64_c96_f16_s5{{.*}} workgroup [256, 1, 1] subgroup 32 {{.*}} features ["cooperative_matrix", "shader_float16"]
// What other workgroups left is read past the caches of this one's core.
// CHECK: Coherent
// The queries once, before the loop.
// CHECK-COUNT-4: spirv.KHR.CooperativeMatrixLoad {{.*}} <RowMajor> {{.*}} !spirv.coopmatrix<16x16xf16, Subgroup, MatrixA>
// A step is written once: a second copy would have to be fetched as well.
// CHECK: spirv.mlir.loop control(DontUnroll)
// Subgroups do not wait for each other between their keys.
// CHECK-NOT: spirv.ControlBarrier <Workgroup>
// CHECK-COUNT-4: spirv.KHR.CooperativeMatrixMulAdd {{.*}}xf32, Subgroup, MatrixAcc>
// CHECK-NOT: spirv.ControlBarrier <Workgroup>
// CHECK-COUNT-4: spirv.KHR.CooperativeMatrixMulAdd {{.*}}xf32, Subgroup, MatrixAcc>
// CHECK-NOT: spirv.ControlBarrier <Workgroup>
// CHECK: spirv.mlir.merge
// CHECK-COUNT-4: spirv.KHR.CooperativeMatrixStore
// CHECK: spirv.ControlBarrier <Workgroup>
// Every invocation's stores come before the count, and the count before the loads.
// CHECK: spirv.MemoryBarrier <Device>
// CHECK: spirv.ControlBarrier <Workgroup>
// CHECK: spirv.AtomicIAdd <Device>
// CHECK: spirv.ControlBarrier <Workgroup>
// CHECK: spirv.MemoryBarrier <Device>
// CHECK-NOT: spirv.AtomicIAdd

// CHECK: plan.dispatch @decode_attention_matrix_h8kv1d64_c96_f16_s5{{.*}} groups [1, 6, 1]
// CHECK: plan.dispatch @combine_splits5_h8d64
module attributes {qwen.max_context = 96 : i64} {
  qwen.state @k : tensor<96x1x64xf16>
  qwen.state @v : tensor<96x1x64xf16>

  func.func @decode(%qkv: tensor<1x640xf32> {qwen.binding = "hidden"}) -> (tensor<1x512xf32> {qwen.name = "row"})
      attributes {qwen.role = "next_greedy", qwen.rows = 1 : i64} {
    %kc = qwen.read_state @k : tensor<96x1x64xf16>
    %vc = qwen.read_state @v : tensor<96x1x64xf16>
    %p, %k1, %v1 = qwen.decode_attention %qkv norms() caches(%kc, %vc)
        {num_heads = 8 : i64, num_kv_heads = 1 : i64, head_dim = 64 : i64, theta = 1.0e6 : f64, scale = 0.25 : f64, splits = 5 : i64}
        : (tensor<1x640xf32>, tensor<96x1x64xf16>, tensor<96x1x64xf16>)
        -> (tensor<8x5x66xf32>, tensor<96x1x64xf16>, tensor<96x1x64xf16>)
    %row = qwen.combine_splits %p : tensor<8x5x66xf32> -> tensor<1x512xf32>
    return %row : tensor<1x512xf32>
  }
}
