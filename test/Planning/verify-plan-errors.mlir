// RUN: qwen-opt %s -split-input-file -verify-diagnostics -plan-verify="target-name=lavapipe subgroup-size=8 max-allocation-bytes=1048576"
// RUN: not qwen-opt %S/verify-plan.mlir -plan-verify="max-workgroup-count=1,2" 2>&1 | FileCheck %s --check-prefix=COUNT
// RUN: not qwen-opt %S/verify-plan.mlir -plan-place-storage -plan-assign-offsets -plan-insert-barriers \
// RUN:   -plan-estimate-costs -plan-verify 2>&1 | FileCheck %s --check-prefix=ANY
// COUNT: max-workgroup-count has 2 numbers, expected three
// ANY: @limits needs subgroups of 8, expected any size from 4 to 128 on target generic, emit the kernel for the target's subgroup size

// (P1)
// expected-error @+1 {{@w has no place; run plan-place-storage first}}
plan.weight @w file 0 at 0 rows 8 x 32 pitch 32

// -----

// (P1)
// expected-error @+1 {{@s has no place; run plan-place-storage first}}
plan.storage @s cache size 64

// -----

// (P1)
plan.kernel @make workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (y write 16) {
}
plan.entry @e role other rows 1 {
  // expected-error @+1 {{"x" has no offset; run plan-assign-offsets first}}
  %x = plan.alloc "x" : !plan.range<16>
  plan.dispatch @make groups [1, 1, 1](%x) label "" reads 0 cost 1 : !plan.range<16>
}

// -----

// (P1)
plan.kernel @make workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (y write 16) {
}
plan.entry @e role other rows 1 {
  // expected-error @+1 {{"x" has no buffer of purpose arena to lie in; run plan-assign-offsets on allocations without offsets}}
  %x = plan.alloc "x" at 0 : !plan.range<16>
  plan.dispatch @make groups [1, 1, 1](%x) label "" reads 0 cost 1 : !plan.range<16>
}

// -----

// (P1)
plan.buffer @arena arena size 256
plan.kernel @make workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (y write 16) {
}
plan.entry @e role other rows 1 {
  %x = plan.alloc "x" at 0 : !plan.range<16>
  // expected-error @+1 {{"norm" has no cost; run plan-estimate-costs first}}
  plan.dispatch @make groups [1, 1, 1](%x) label "norm" reads 0 : !plan.range<16>
}

// -----

// (P2)
plan.buffer @arena arena size 256
// expected-error @+1 {{@other is a second arena, expected one that entries share}}
plan.buffer @other arena size 256

// -----

// (P2)
plan.buffer @arena arena size 256
plan.kernel @make workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (y write 16) {
}
plan.entry @e role other rows 1 {
  %x = plan.alloc "x" at 16 : !plan.range<256>
  // expected-error @+1 {{operand 'y' needs 256 bytes at 16, buffer @arena has 256; run plan-assign-offsets on allocations without offsets}}
  plan.dispatch @make groups [1, 1, 1](%x) label "" reads 0 cost 1 : !plan.range<256>
}

// -----

// (P3)
plan.buffer @w weights size 512
// expected-error @+1 {{@a begins at 128, before @b ends at 256; run plan-place-storage on a module without places}}
plan.weight @a file 0 at 0 rows 8 x 32 pitch 32 in @w at 128
plan.weight @b file 0 at 0 rows 8 x 32 pitch 32 in @w at 0

// -----

// (P4)
plan.buffer @arena arena size 256
plan.buffer @w weights size 1024
plan.weight @a file 0 at 0 rows 8 x 32 pitch 32 in @w at 0
plan.weight @b file 0 at 0 rows 8 x 32 pitch 32 in @w at 512
plan.kernel @map workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (x read 16, y write 16) {
}
plan.entry @e role other rows 1 {
  %y = plan.alloc "y" at 0 : !plan.range<256>
  // expected-error @+1 {{stacks @b, which does not lie directly behind the weight before it; run plan-place-storage on weights without places}}
  %x = plan.weights [@a, @b] : !plan.range<512>
  plan.dispatch @map groups [1, 1, 1](%x, %y) label "" reads 0 cost 1 : !plan.range<512>, !plan.range<256>
}

// -----

// (P4)
plan.buffer @arena arena size 256
plan.buffer @w weights size 1024
plan.weight @a file 0 at 0 rows 1 x 24 pitch 24 in @w at 0
plan.weight @b file 0 at 0 rows 1 x 24 pitch 24 in @w at 24
plan.kernel @map workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (x read 16, y write 16) {
}
plan.entry @e role other rows 1 {
  %y = plan.alloc "y" at 0 : !plan.range<256>
  %x = plan.weights [@b] : !plan.range<24>
  // expected-error @+1 {{operand 'x' starts at byte 24 of buffer @w, expected a multiple of 16; give the weights stacked before it a pitch that is a multiple of 16}}
  plan.dispatch @map groups [1, 1, 1](%x, %y) label "" reads 0 cost 1 : !plan.range<24>, !plan.range<256>
}

// -----

// (P5)
plan.buffer @arena arena size 256
plan.kernel @make workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (y write 16) {
}
plan.entry @e role other rows 1 {
  %y = plan.alloc "y" at 0 : !plan.range<256>
  plan.dispatch @make groups [1, 1, 1](%y) label "first" reads 0 cost 1 : !plan.range<256>
  plan.barrier
  plan.dispatch @make groups [1, 1, 1](%y) label "second" reads 0 cost 1 : !plan.range<256>
  // expected-error @+1 {{"third" touches bytes of a dispatch before it without a barrier between them; run plan-insert-barriers first}}
  plan.dispatch @make groups [1, 1, 1](%y) label "third" reads 0 cost 1 : !plan.range<256>
}

// -----

// (P8): barriers order the dispatches, but what @map reads is gone.
plan.buffer @arena arena size 512
plan.kernel @make workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (y write 16) {
}
plan.kernel @map workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (x read 16, y write 16) {
}
plan.entry @e role other rows 1 {
  %x = plan.alloc "x" at 0 : !plan.range<256>
  // expected-error @+1 {{"y" lies in the bytes of "x", which is still used; run plan-assign-offsets on allocations without offsets}}
  %y = plan.alloc "y" at 240 : !plan.range<256>
  plan.dispatch @make groups [1, 1, 1](%x) label "" reads 0 cost 1 : !plan.range<256>
  plan.barrier
  plan.dispatch @make groups [1, 1, 1](%y) label "" reads 0 cost 1 : !plan.range<256>
  plan.barrier
  plan.dispatch @map groups [1, 1, 1](%x, %y) label "" reads 0 cost 1 : !plan.range<256>, !plan.range<256>
}

// -----

// (P6)
// expected-error @+1 {{@cache has 1048577 bytes, expected at most 1048576 in one allocation on target lavapipe, use a smaller chunk or context, or another target}}
plan.buffer @cache cache size 1048577

// -----

// (P6)
// expected-error @+1 {{@wide needs 64x5x1 invocations, expected at most 256 in a workgroup on target lavapipe, use a smaller workgroup or another target}}
plan.kernel @wide workgroup [64, 5, 1] subgroup 0 shared 0 features [] operands (y write 16) {
}

// -----

// (P6): a product beyond 64 bits is still too many.
// expected-error @+1 {{@wide needs 4294967295x4294967295x4294967295 invocations, expected at most 256}}
plan.kernel @wide workgroup [4294967295, 4294967295, 4294967295] subgroup 0 shared 0 features [] operands (y write 16) {
}

// -----

// (P6)
// expected-error @+1 {{@f32_attention needs 40960 bytes of shared memory, expected at most 32768 on target lavapipe, use a smaller tile or another target}}
plan.kernel @f32_attention workgroup [64, 1, 1] subgroup 0 shared 40960 features [] operands (y write 16) {
}

// -----

// (P6)
// expected-error @+1 {{@many needs 136 bytes of push constants, expected at most 128 on target lavapipe, use fewer operands or another target}}
plan.kernel @many workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (a read 4, b read 4, c read 4, d read 4,
  e read 4, f read 4, g read 4, h read 4, i read 4, j read 4, k read 4, l read 4, m read 4, n read 4, o read 4,
  p read 4, q write 4) {
}

// -----

// (P6)
// expected-error @+1 {{@wave needs subgroups of 32, expected subgroups of 8 on target lavapipe, emit the kernel for the target's subgroup size}}
plan.kernel @wave workgroup [64, 1, 1] subgroup 32 shared 0 features [] operands (y write 16) {
}

// -----

// (P6)
// expected-error @+1 {{@half needs feature shader_float16, expected only features that there are on target lavapipe, emit a kernel without it or use another target}}
plan.kernel @half workgroup [64, 1, 1] subgroup 0 shared 0 features ["shader_float16"] operands (y write 16) {
}

// -----

// (P6)
// expected-error @+1 {{@half declares SPIR-V capability Float16, expected feature shader_float16 to say so, name it among the kernel's}}
plan.kernel @half workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (y write 16) {
  spirv.module PhysicalStorageBuffer64 GLSL450 requires #spirv.vce<v1.6, [Shader, Float16], []> {
  }
}

// -----

// (P6)
// expected-error @+1 {{@bytes declares SPIR-V capability StorageBuffer8BitAccess, expected feature shader_int8 to}}
plan.kernel @bytes workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (y write 16) {
  spirv.module PhysicalStorageBuffer64 GLSL450 requires #spirv.vce<v1.6, [Shader, StorageBuffer8BitAccess], []> {
  }
}

// -----

// (P6)
// expected-error @+1 {{@matrix declares SPIR-V capability CooperativeMatrixKHR, expected feature cooperative_matrix to}}
plan.kernel @matrix workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (y write 16) {
  spirv.module PhysicalStorageBuffer64 GLSL450 requires #spirv.vce<v1.6, [Shader, CooperativeMatrixKHR], [SPV_KHR_cooperative_matrix]> {
  }
}

// -----

// (P6)
// expected-error @+1 {{@brain declares SPIR-V capability BFloat16TypeKHR, expected feature bfloat16 to}}
plan.kernel @brain workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (y write 16) {
  spirv.module PhysicalStorageBuffer64 GLSL450 requires #spirv.vce<v1.6, [Shader, BFloat16TypeKHR], [SPV_KHR_bfloat16]> {
  }
}

// -----

// (P6)
plan.buffer @arena arena size 256
plan.kernel @make workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (y write 16) {
}
plan.entry @e role other rows 1 {
  %y = plan.alloc "y" at 0 : !plan.range<256>
  // expected-error @+1 {{"embed" has 65536 workgroups in y, expected at most 65535 on target lavapipe, let a workgroup do more rows}}
  plan.dispatch @make groups [1, 65536, 1](%y) label "embed" reads 0 cost 1 : !plan.range<256>
}

// -----

// (P7)
plan.buffer @state0 state size 64
plan.storage @state state size 64 in @state0 at 0
plan.cell position in @state at 0 count 1
// expected-error @+1 {{'position' stands twice, expected each kind once; emit one cell}}
plan.cell position in @state at 4 count 1

// -----

// (P7)
plan.buffer @state0 state size 64
plan.storage @state state size 64 in @state0 at 0
plan.cell position in @state at 8 count 1
// expected-error @+1 {{'tokens' overlaps 'position', expected cells side by side; use the offsets of StateLayout.h}}
plan.cell tokens in @state at 0 count 3
