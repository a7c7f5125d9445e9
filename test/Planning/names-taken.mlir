// RUN: qwen-opt %s -plan-place-storage -plan-assign-offsets | FileCheck %s
// Names of buffers give way to names that are there.

// CHECK: plan.buffer @[[CACHE:cache0_[0-9]+]] cache size 64
// CHECK: plan.buffer @{{arena_[0-9]+}} arena size 256
// CHECK: plan.storage @cache0 cache size 64 in @[[CACHE]] at 0
plan.storage @cache0 cache size 64
plan.kernel @arena workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (y write 16) {
}
plan.entry @e role other rows 1 {
  %y = plan.alloc "y" : !plan.range<16>
  plan.dispatch @arena groups [1, 1, 1](%y) label "" reads 0 : !plan.range<16>
}
