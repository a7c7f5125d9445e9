// RUN: qwen-opt %s | qwen-opt | FileCheck %s
// RUN: qwen-opt %s --mlir-print-op-generic | qwen-opt | FileCheck %s
// Every operation of the dialect in its pretty form, read, printed and read again.

// CHECK: plan.buffer @weights0 weights size 65536
plan.buffer @weights0 weights size 65536
// CHECK: plan.buffer @arena arena size 1024
plan.buffer @arena arena size 1024
// CHECK: plan.buffer @cache0 cache size 4096
plan.buffer @cache0 cache size 4096

// CHECK: plan.weight @model.embed file 0 at 7272 rows 64 x 384 pitch 384
plan.weight @model.embed file 0 at 7272 rows 64 x 384 pitch 384
// CHECK: plan.weight @model.layers.0.q file 1 at 31848 rows 8 x 384 pitch 400 layer 0 in @weights0 at 256
plan.weight @model.layers.0.q file 1 at 31848 rows 8 x 384 pitch 400 layer 0 in @weights0 at 256

// CHECK: plan.weight @model.layers.1.q file 1 at 38000 rows 8 x 384 pitch 112 packed q4 layer 1
plan.weight @model.layers.1.q file 1 at 38000 rows 8 x 384 pitch 112 packed q4 layer 1

// CHECK: plan.storage @k cache size 4096 in @cache0 at 0
plan.storage @k cache size 4096 in @cache0 at 0
// CHECK: plan.storage @state state size 128
plan.storage @state state size 128
// CHECK: plan.storage @hidden output size 49152
plan.storage @hidden output size 49152
// CHECK: plan.storage @mailbox mailbox size 4096
plan.storage @mailbox mailbox size 4096

// CHECK: plan.cell position in @state at 0 count 1
plan.cell position in @state at 0 count 1
// CHECK: plan.cell rows in @state at 8 count 1
plan.cell rows in @state at 8 count 1
// CHECK: plan.cell tokens in @state at 64 count 16
plan.cell tokens in @state at 64 count 16
// CHECK: plan.cell extents in @state at 32 count 8
plan.cell extents in @state at 32 count 8
// CHECK: plan.cell sampled in @mailbox at 0 count 1024
plan.cell sampled in @mailbox at 0 count 1024

// CHECK: plan.kernel @f32_norm workgroup [64, 1, 1] subgroup 8 shared 256 features ["bfloat16", "shader_float16"]
// CHECK-SAME: operands (x read 768, weight read 3200, "odd name" read_write 16, y write 768) {
plan.kernel @f32_norm workgroup [64, 1, 1] subgroup 8 shared 256 features ["bfloat16", "shader_float16"]
    operands (x read 768, weight read 3200, "odd name" read_write 16, y write 768) {
}

// CHECK: plan.entry @prefill role prefill rows 64 {
plan.entry @prefill role prefill rows 64 {
  // CHECK: plan.symbol "S" cell rows max 64
  plan.symbol "S" cell rows max 64
  // CHECK: plan.tensor output "hidden" in @hidden at 0 f32 [64, 192] symbols ["S", ""]
  plan.tensor output "hidden" in @hidden at 0 f32 [64, 192] symbols ["S", ""]
  // CHECK: %[[X:.*]] = plan.alloc "x" : !plan.range<768>
  %x = plan.alloc "x" : !plan.range<768>
  // CHECK: %[[Y:.*]] = plan.alloc "y" at 256 : !plan.range<768>
  %y = plan.alloc "y" at 256 : !plan.range<768>
  // CHECK: %[[W:.*]] = plan.weights [@model.embed, @model.layers.0.q] : !plan.range<27776>
  %w = plan.weights [@model.embed, @model.layers.0.q] : !plan.range<27776>
  // CHECK: %[[K:.*]] = plan.ref @k at 1024 : !plan.range<3072>
  %k = plan.ref @k at 1024 : !plan.range<3072>
  // CHECK: plan.dispatch @f32_norm groups [4, 2, 1](%[[X]], %[[W]], %[[K]], %[[Y]]) label "layers.0" reads 6400
  // CHECK-SAME: !plan.range<768>, !plan.range<27776>, !plan.range<3072>, !plan.range<768>
  plan.dispatch @f32_norm groups [4, 2, 1](%x, %w, %k, %y) label "layers.0" reads 6400
      : !plan.range<768>, !plan.range<27776>, !plan.range<3072>, !plan.range<768>
  // CHECK: plan.barrier
  plan.barrier
  // CHECK: plan.dispatch @f32_norm {{.*}} reads 0 cost 2900
  plan.dispatch @f32_norm groups [1, 1, 1](%y, %w, %k, %x) label "" reads 0 cost 2900
      : !plan.range<768>, !plan.range<27776>, !plan.range<3072>, !plan.range<768>
}

// The patches of V tokens, four for each; media may be left out.
// CHECK: plan.entry @encoder role other rows 6 {
plan.entry @encoder role other rows 6 {
  // CHECK: plan.symbol "V" cell extents[7] max 6
  plan.symbol "V" cell extents[7] max 6
  // CHECK: plan.tensor input "patches" in @hidden at 0 f32 [24, 8] symbols ["V", ""] factors [4, 1]
  plan.tensor input "patches" in @hidden at 0 f32 [24, 8] symbols ["V", ""] factors [4, 1]
  // CHECK: plan.tensor input "cells" in @hidden at 1024 i32 [24, 4] symbols ["V", ""] factors [4, 1] optional
  plan.tensor input "cells" in @hidden at 1024 i32 [24, 4] symbols ["V", ""] factors [4, 1] optional
  // CHECK: plan.tensor input "media" in @hidden at 2048 f32 [4, 8] symbols ["", ""] optional
  plan.tensor input "media" in @hidden at 2048 f32 [4, 8] symbols ["", ""] optional
  %x = plan.alloc "x" : !plan.range<3200>
  %w = plan.weights [@model.embed, @model.layers.0.q] : !plan.range<27776>
  // As many groups along y as the rows that are there take, four for each V and ten per group.
  // CHECK: plan.dispatch @f32_norm groups [4, 3, 1] rows "V" * 4 per 10 along 1(%{{.*}}) label "rows"
  plan.dispatch @f32_norm groups [4, 3, 1] rows "V" * 4 per 10 along 1 (%x, %w, %x, %x) label "rows" reads 0
      : !plan.range<3200>, !plan.range<27776>, !plan.range<3200>, !plan.range<3200>
}
