// Eleven query heads of a key head are divided among six workgroups of at most two heads each. The one that finishes
// last combines the splits; it learns so from a counter in the state block, and the next step reads one row.

// RUN: qwen-opt %s --convert-qwen-to-plan=target=amd-gfx1151 | FileCheck %s
// RUN: qwen-opt %s --convert-qwen-to-plan=target=generic | FileCheck %s
// RUN: qwen-opt %s --convert-qwen-to-plan=target=amd-gfx1151 | FileCheck %s --check-prefix=ROWS
// RUN: qwen-opt %s --convert-qwen-to-plan=target=generic | FileCheck %s --check-prefix=TILES

// A split has 128 keys or is the only one.
// ROWS: spirv.Constant 128 : i32
// ROWS-NEXT: spirv.GL.UMax

// Two lanes have a key: they exchange their parts of eight scores, and nobody waits for anybody between the tiles.
// ROWS: spirv.mlir.loop -> f32
// ROWS-COUNT-8: spirv.GroupNonUniformShuffleXor
// ROWS-NOT: {{ShuffleXor|ControlBarrier}}
// ROWS: spirv.mlir.merge {{.*}} vector<4xi32>
// Then the slots leave their statistics; half of the invocations have none.
// ROWS-NOT: spirv.ControlBarrier
// ROWS: spirv.LogicalAnd
// ROWS: spirv.ControlBarrier

// Which lanes are in one subgroup is not known: the parts meet in workgroup memory.
// TILES-NOT: ShuffleXor
// TILES: spirv.mlir.loop -> f32
// TILES: spirv.ControlBarrier
// TILES: spirv.ControlBarrier
// TILES: spirv.mlir.merge {{.*}} vector<4xi32>

// CHECK: plan.kernel @decode_attention_h11kv1d16_c96_f16_s5
// CHECK-SAME: state read_write
// What other workgroups left is read past the caches of this one's core.
// CHECK: Coherent
// The newest value, and four keys and values of the first tile, are asked for before the first barrier.
// CHECK-COUNT-10: spirv.Load "PhysicalStorageBuffer" {{.*}} : vector<4xi32>
// CHECK: spirv.ControlBarrier
// CHECK-NOT: spirv.MemoryBarrier
// Every invocation's stores come before the count, and the count before the loads.
// CHECK: spirv.MemoryBarrier <Device>
// CHECK: spirv.ControlBarrier
// CHECK: spirv.AtomicIAdd <Device>
// CHECK: spirv.ControlBarrier
// CHECK: spirv.MemoryBarrier <Device>
// CHECK-NOT: spirv.AtomicIAdd

// CHECK: plan.kernel @combine_splits5_h11d16
// CHECK: plan.dispatch @decode_attention_h11kv1d16_c96_f16_s5{{.*}} groups [1, 5, 6]
// CHECK: plan.dispatch @combine_splits5_h11d16
module attributes {qwen.max_context = 96 : i64} {
  qwen.state @k : tensor<96x1x16xf16>
  qwen.state @v : tensor<96x1x16xf16>

  func.func @decode(%qkv: tensor<1x208xf32> {qwen.binding = "hidden"}) -> (tensor<1x176xf32> {qwen.name = "row"})
      attributes {qwen.role = "next_greedy", qwen.rows = 1 : i64} {
    %kc = qwen.read_state @k : tensor<96x1x16xf16>
    %vc = qwen.read_state @v : tensor<96x1x16xf16>
    %p, %k1, %v1 = qwen.decode_attention %qkv norms() caches(%kc, %vc)
        {num_heads = 11 : i64, num_kv_heads = 1 : i64, head_dim = 16 : i64, theta = 1.0e6 : f64, scale = 0.25 : f64, splits = 5 : i64}
        : (tensor<1x208xf32>, tensor<96x1x16xf16>, tensor<96x1x16xf16>)
        -> (tensor<11x5x18xf32>, tensor<96x1x16xf16>, tensor<96x1x16xf16>)
    %row = qwen.combine_splits %p : tensor<11x5x18xf32> -> tensor<1x176xf32>
    return %row : tensor<1x176xf32>
  }
}
