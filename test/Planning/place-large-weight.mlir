// RUN: qwen-opt %s -plan-place-storage="max-allocation-bytes=1024 max-weight-bytes=2048" | FileCheck %s
// RUN: qwen-opt %s -plan-place-storage="max-allocation-bytes=1024 max-weight-bytes=2048" -plan-verify="max-allocation-bytes=1024 max-weight-bytes=2048"
// RUN: not qwen-opt %s -plan-place-storage="max-allocation-bytes=1024 max-weight-bytes=2048" -plan-verify="max-allocation-bytes=1024" 2>&1 | FileCheck %s --check-prefix=VERIFY
// RUN: not qwen-opt %s -plan-place-storage="max-allocation-bytes=1024 max-weight-bytes=2047" 2>&1 | FileCheck %s --check-prefix=SMALL
// RUN: not qwen-opt %s -plan-place-storage="max-weight-bytes=18446744073709551615" 2>&1 | FileCheck %s --check-prefix=RANGE
// A weight of more than 1024 bytes lies alone in a buffer of its size; the others fill buffers of 1024 bytes as before.

// CHECK:      plan.buffer @weights0 weights size 256
// CHECK-NEXT: plan.buffer @weights1 weights size 2048
// CHECK-NEXT: plan.buffer @weights2 weights size 1536
// CHECK-NEXT: plan.buffer @weights3 weights size 512
// VERIFY: 'plan.buffer' op @weights1 has 2048 bytes, expected at most 1024 in one allocation on target generic
// SMALL: weight needs 2048 bytes in one buffer, expected at most 2047 on this target, choose a target or a profile that allows more
// RANGE: max-weight-bytes is 18446744073709551615, expected 0 to 2^63 - 1

// CHECK: plan.weight @norm {{.*}} in @weights0 at 0
plan.weight @norm file 0 at 0 rows 1 x 256 pitch 256
// CHECK: plan.weight @embed {{.*}} in @weights1 at 0
plan.weight @embed file 0 at 256 rows 64 x 32 pitch 32
// CHECK: plan.weight @gate {{.*}} in @weights2 at 0
plan.weight @gate file 0 at 2304 rows 24 x 32 pitch 32
// CHECK: plan.weight @up {{.*}} in @weights2 at 768
plan.weight @up file 0 at 3072 rows 24 x 32 pitch 32
// CHECK: plan.weight @down {{.*}} in @weights3 at 0
plan.weight @down file 0 at 3840 rows 16 x 32 pitch 32

plan.entry @e role prefill rows 1 {
  %w = plan.weights [@gate, @up] : !plan.range<1536>
}
