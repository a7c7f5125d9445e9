// Products of one row: how many invocations share the input, and how many loads of weights are on their way.

// RUN: qwen-opt %s --convert-qwen-to-plan=target=nvidia-h200 | FileCheck %s
// RUN: qwen-opt %s --convert-qwen-to-plan=target=lavapipe | FileCheck %s --check-prefix=NARROW
// RUN: qwen-opt %s --convert-qwen-to-plan=target=amd-gfx1151 | FileCheck %s --check-prefix=WIDE
// RUN: qwen-opt %s --convert-qwen-to-plan=target=generic | FileCheck %s --check-prefix=UNKNOWN

// Four subgroups, but not fewer than 64 invocations; 256 where the size of a subgroup is not known.
// CHECK: plan.kernel @gemv_n512_k4096 workgroup [128, 1, 1] subgroup 32
// NARROW: plan.kernel @gemv_n512_k4096 workgroup [64, 1, 1] subgroup 8
// NARROW: plan.dispatch @gemv_n512_k4096 groups [32, 1, 1]
// WIDE: plan.kernel @gemv_n512_k4096 workgroup [256, 1, 1] subgroup 64
// UNKNOWN: plan.kernel @gemv_n512_k4096 workgroup [256, 1, 1] subgroup 0

// Sixteen turns of 32 lanes. The input and the weights of four turns are asked for before anything waits,
// CHECK-COUNT-12: spirv.Load "PhysicalStorageBuffer"
// CHECK-NOT: spirv.Load "PhysicalStorageBuffer"
// CHECK: spirv.ControlBarrier <Workgroup>
// then those of another turn before each that is multiplied.
// CHECK: spirv.Load "PhysicalStorageBuffer"
// CHECK-NOT: spirv.Load "PhysicalStorageBuffer"
// CHECK-COUNT-8: spirv.GL.Fma
// CHECK-NOT: spirv.GL.Fma
// CHECK-COUNT-11: spirv.Load "PhysicalStorageBuffer"
// CHECK-NOT: spirv.Load "PhysicalStorageBuffer"
// CHECK-COUNT-40: spirv.GL.Fma
// CHECK-NOT: spirv.GL.Fma
// CHECK: spirv.Store "PhysicalStorageBuffer"
// CHECK: plan.dispatch @gemv_n512_k4096 groups [128, 1, 1]
module attributes {qwen.max_context = 96 : i64} {
  qwen.parameter @w : tensor<512x4096xbf16> file 0 offset 0
  func.func @next_greedy(%hidden: tensor<24x4096xf32> {qwen.binding = "hidden"})
      -> (tensor<1x512xf32> {qwen.name = "logits"}) attributes {qwen.role = "next_greedy", qwen.rows = 1 : i64} {
    %w = qwen.weight @w : tensor<512x4096xbf16>
    %x = qwen.last_row %hidden : tensor<24x4096xf32> -> tensor<1x4096xf32>
    %l = qwen.fused_linear none concat %x weights(%w) {
    ^bb0(%acc: f32):
      qwen.yield %acc : f32
    } : (tensor<1x4096xf32>, tensor<512x4096xbf16>) -> tensor<1x512xf32>
    qwen.next_token %l greedy : tensor<1x512xf32>
    return %l : tensor<1x512xf32>
  }
}
