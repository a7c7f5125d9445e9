// RUN: qwen-opt %s -split-input-file -verify-diagnostics -plan-place-storage="max-allocation-bytes=1024"
// RUN: not qwen-opt %S/place-storage.mlir -plan-place-storage="max-allocation-bytes=0" 2>&1 | FileCheck %s
// CHECK: max-allocation-bytes is 0, expected 1 to 2^63 - 1

// expected-error @+1 {{weight needs 2048 bytes in one buffer, expected at most 1024 on this target, choose a target or a profile that allows more}}
plan.weight @embed file 0 at 0 rows 64 x 32 pitch 32

// -----

// Each fits, the stack does not: 2 x 768.
// expected-error @+1 {{weight and the weights stacked behind it need 1536 bytes in one buffer, expected at most 1024 on this target, choose}}
plan.weight @gate file 0 at 0 rows 24 x 32 pitch 32
plan.weight @up file 0 at 0 rows 24 x 32 pitch 32
plan.entry @e role prefill rows 1 {
  %w = plan.weights [@gate, @up] : !plan.range<1536>
}

// -----

// expected-error @+1 {{storage needs 1025 bytes in one buffer, expected at most 1024 on this target, lower --max-context, --prefill-chunk or the media limits}}
plan.storage @a cache size 1025

// -----

plan.storage @a state size 1000
// expected-error @+1 {{does not fit into the one buffer of purpose state, expected at most 1024 bytes there on this target, lower --max-context or choose a target that allows more}}
plan.storage @b state size 100

// -----

plan.buffer @w weights size 256
// expected-error @+1 {{already lies in @w; run plan-place-storage once}}
plan.weight @a file 0 at 0 rows 8 x 32 pitch 32 in @w at 0

// -----

// Stacks that disagree about what is behind @a.
plan.weight @a file 0 at 0 rows 1 x 32 pitch 32
plan.weight @b file 0 at 0 rows 1 x 32 pitch 32
plan.weight @c file 0 at 0 rows 1 x 32 pitch 32
plan.entry @e role prefill rows 1 {
  %0 = plan.weights [@a, @b] : !plan.range<64>
  // expected-error @+1 {{places @c directly behind @a, another stack places @b there; stack weights in one order everywhere}}
  %1 = plan.weights [@a, @c] : !plan.range<64>
}

// -----

// ... about what is before @b.
plan.weight @a file 0 at 0 rows 1 x 32 pitch 32
plan.weight @b file 0 at 0 rows 1 x 32 pitch 32
plan.weight @c file 0 at 0 rows 1 x 32 pitch 32
plan.entry @e role prefill rows 1 {
  %0 = plan.weights [@a, @b] : !plan.range<64>
  // expected-error @+1 {{places @c directly before @b, another stack places @a there; stack weights in one order everywhere}}
  %1 = plan.weights [@c, @b] : !plan.range<64>
}

// -----

// ... and about the order, across three stacks.
plan.weight @a file 0 at 0 rows 1 x 32 pitch 32
plan.weight @b file 0 at 0 rows 1 x 32 pitch 32
plan.weight @c file 0 at 0 rows 1 x 32 pitch 32
plan.entry @e role prefill rows 1 {
  %0 = plan.weights [@a, @b] : !plan.range<64>
  %1 = plan.weights [@b, @c] : !plan.range<64>
  // expected-error @+1 {{places @a behind @c and, with other stacks, before it; stack weights in one order everywhere}}
  %2 = plan.weights [@c, @a] : !plan.range<64>
}

// -----

// Two stacks of 2^62 + 16 bytes each that overlap in @b.
// expected-error @+1 {{and its neighbours have more than 2^63 bytes, expected fewer}}
plan.weight @a file 0 at 0 rows 1 x 16 pitch 4611686018427387904
plan.weight @b file 0 at 0 rows 1 x 16 pitch 16
plan.weight @c file 0 at 0 rows 1 x 16 pitch 4611686018427387904
plan.entry @e role prefill rows 1 {
  %0 = plan.weights [@a, @b] : !plan.range<4611686018427387920>
  %1 = plan.weights [@b, @c] : !plan.range<4611686018427387920>
}
