// RUN: qwen-opt %s -verify-diagnostics -plan-insert-barriers

plan.kernel @make workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (y write 256) {
}
plan.entry @e role other rows 1 {
  // expected-error @+1 {{"x" has no offset; run plan-assign-offsets first}}
  %x = plan.alloc "x" : !plan.range<256>
  plan.dispatch @make groups [1, 1, 1](%x) label "" reads 0 : !plan.range<256>
}
