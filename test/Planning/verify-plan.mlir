// RUN: qwen-opt %s -plan-place-storage -plan-assign-offsets -plan-insert-barriers -plan-estimate-costs \
// RUN:   -plan-verify="subgroup-size=8 features=shader_float16,bfloat16 max-workgroup-count=65535,65535,65535" \
// RUN:   | FileCheck %s
// The passes in their order leave a plan that verifies, at the very limits of the target.

// CHECK: plan.buffer @weights0 weights size 256
// CHECK: plan.buffer @output0 output size 512
// CHECK: plan.buffer @arena arena size 512
plan.weight @w file 0 at 0 rows 8 x 32 pitch 32
plan.storage @out output size 512

// 256 invocations, 32768 bytes, 16 operands of 8 bytes.
plan.kernel @limits workgroup [32, 4, 2] subgroup 8 shared 32768 features ["bfloat16", "shader_float16"]
    operands (x read 256, w read 256, c read 16, d read 16, e read 16, f read 16, g read 16, h read 16, i read 16,
              j read 16, k read 16, l read 16, m read 16, n read 16, o read 16, y write 512) {
}
plan.kernel @make workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (y write 512) {
}
plan.entry @e role decode_greedy rows 1 {
  %x = plan.alloc "x" : !plan.range<512>
  %w = plan.weights [@w] : !plan.range<256>
  %y = plan.ref @out at 0 : !plan.range<512>
  // CHECK: plan.dispatch @make {{.*}} cost 5000
  // CHECK-NEXT: plan.barrier
  // CHECK-NEXT: plan.dispatch @limits {{.*}} cost 5026
  plan.dispatch @make groups [65535, 65535, 65535](%x) label "make" reads 0 : !plan.range<512>
  plan.dispatch @limits groups [1, 1, 1](%x, %w, %w, %w, %w, %w, %w, %w, %w, %w, %w, %w, %w, %w, %w, %y) label "all"
      reads 256 : !plan.range<512>, !plan.range<256>, !plan.range<256>, !plan.range<256>, !plan.range<256>,
                  !plan.range<256>, !plan.range<256>, !plan.range<256>, !plan.range<256>, !plan.range<256>,
                  !plan.range<256>, !plan.range<256>, !plan.range<256>, !plan.range<256>, !plan.range<256>,
                  !plan.range<512>
}
