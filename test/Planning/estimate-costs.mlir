// RUN: qwen-opt %s -plan-estimate-costs="read-bytes-per-ns=4450 step-overhead-ns=2900" | FileCheck %s
// RUN: not qwen-opt %s -plan-estimate-costs="read-bytes-per-ns=0" 2>&1 | FileCheck %s --check-prefix=RATE
// RUN: not qwen-opt %s -plan-estimate-costs="step-overhead-ns=-1" 2>&1 | FileCheck %s --check-prefix=OVERHEAD
// RUN: not qwen-opt %s -plan-estimate-costs="flops-per-ns=0" 2>&1 | FileCheck %s --check-prefix=FLOPS
// FLOPS: flops-per-ns is {{0.*}}, expected 0.001 to 1e9
// RATE: read-bytes-per-ns is {{0.*}} and step-overhead-ns 5.{{.*}}, expected 0.001 to 1e9 and 0 to 1e9
// OVERHEAD: and step-overhead-ns -1.{{.*}}, expected

plan.storage @state state size 468
plan.cell tokens in @state at 64 count 101
plan.kernel @make workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (y write 256) {
}
plan.entry @e role other rows 1 {
  %x = plan.alloc "x" at 0 : !plan.range<256>
  // CHECK: label "nothing" reads 0 cost 2900
  plan.dispatch @make groups [1, 1, 1](%x) label "nothing" reads 0 : !plan.range<256>
  // 2900 + 44500000 / 4450 = 12900
  // CHECK: label "gemv" reads 44500000 cost 12900
  plan.dispatch @make groups [1, 1, 1](%x) label "gemv" reads 44500000 : !plan.range<256>
  // 2900 + 1000000 / 4450 = 3124.7, rounded; the old estimate is replaced
  // CHECK: label "again" reads 1000000 cost 3125
  plan.dispatch @make groups [1, 1, 1](%x) label "again" reads 1000000 cost 1 : !plan.range<256>
  // 100 positions: 2900 + (1000000 + 100 * 34500) / 4450 = 3900
  // CHECK: label "attention" reads 1000000 per_position 34500 cost 3900
  plan.dispatch @make groups [1, 1, 1](%x) label "attention" reads 1000000 per_position 34500 : !plan.range<256>
  // arithmetic takes longer than reading: 2900 + 1000000 / 500
  // CHECK: label "gemm" reads 4450 flops 1000000 cost 4900
  plan.dispatch @make groups [1, 1, 1](%x) label "gemm" reads 4450 flops 1000000 : !plan.range<256>
}
