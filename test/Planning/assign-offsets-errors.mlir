// RUN: qwen-opt %s -split-input-file -verify-diagnostics -plan-assign-offsets

plan.kernel @map workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (x read 16, y write 16) {
}
plan.entry @e role prefill rows 1 {
  %x = plan.alloc "x" : !plan.range<16>
  %y = plan.alloc "y" : !plan.range<16>
  // expected-error @+1 {{reads "x" through operand 'x' before any dispatch has written it; put a dispatch that writes it before this one}}
  plan.dispatch @map groups [1, 1, 1](%x, %y) label "" reads 0 : !plan.range<16>, !plan.range<16>
}

// -----

plan.kernel @make workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (y write 16) {
}
plan.entry @e role prefill rows 1 {
  // expected-error @+1 {{"x" has an offset already; run plan-assign-offsets once}}
  %x = plan.alloc "x" at 0 : !plan.range<16>
  plan.dispatch @make groups [1, 1, 1](%x) label "" reads 0 : !plan.range<16>
}

// -----

// expected-error @+1 {{is an arena already; run plan-assign-offsets once}}
plan.buffer @arena arena size 256

// -----

plan.kernel @make workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (y write 16) {
}
plan.entry @e role prefill rows 1 {
  // expected-error @+1 {{has 9223372036854775807 bytes, expected fewer than 2^63 - 256}}
  %x = plan.alloc "x" : !plan.range<9223372036854775807>
  plan.dispatch @make groups [1, 1, 1](%x) label "" reads 0 : !plan.range<9223372036854775807>
}

// -----

plan.kernel @make workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (y write 16) {
}
plan.entry @e role prefill rows 1 {
  %x = plan.alloc "x" : !plan.range<4611686018427387904>
  // expected-error @+1 {{and the allocations before it have more than 2^63 bytes, expected fewer}}
  %y = plan.alloc "y" : !plan.range<4611686018427387904>
  plan.dispatch @make groups [1, 1, 1](%x) label "" reads 0 : !plan.range<4611686018427387904>
  plan.dispatch @make groups [1, 1, 1](%y) label "" reads 0 : !plan.range<4611686018427387904>
}
