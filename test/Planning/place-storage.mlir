// RUN: qwen-opt %s -plan-place-storage="max-allocation-bytes=1024" | FileCheck %s
// Buffers of at most 1024 bytes. Arithmetic stands beside each line; places start at multiples of 256.

// CHECK:      plan.buffer @weights0 weights size 928
// CHECK-NEXT: plan.buffer @weights1 weights size 1024
// CHECK-NEXT: plan.buffer @cache0 cache size 912
// CHECK-NEXT: plan.buffer @cache1 cache size 400
// CHECK-NEXT: plan.buffer @state0 state size 184
// CHECK-NEXT: plan.buffer @output0 output size 576
// CHECK-NEXT: plan.buffer @mailbox0 mailbox size 128

// CHECK: plan.weight @embed {{.*}} in @weights0 at 0
plan.weight @embed file 0 at 0 rows 10 x 16 pitch 16          // 0 .. 160
// CHECK: plan.weight @q {{.*}} in @weights0 at 256
plan.weight @q file 0 at 160 rows 8 x 32 pitch 32             // chain q k v: 256 .. 512
// CHECK: plan.weight @norm {{.*}} in @weights1 at 0
plan.weight @norm file 0 at 416 rows 1 x 64 pitch 64          // 928 -> 1024, + 64 > 1024: the next buffer, 0 .. 64
// CHECK: plan.weight @k {{.*}} in @weights0 at 512
plan.weight @k file 0 at 480 rows 9 x 30 pitch 32             // 512 .. 800, rows padded from 30 to 32
// CHECK: plan.weight @v {{.*}} in @weights0 at 800
plan.weight @v file 0 at 750 rows 4 x 32 pitch 32             // 800 .. 928
// CHECK: plan.weight @down {{.*}} in @weights1 at 256
plan.weight @down file 0 at 878 rows 8 x 96 pitch 96          // 64 -> 256 .. 1024: exactly full

// CHECK: plan.storage @k0 {{.*}} in @cache0 at 0
plan.storage @k0 cache size 400                               // 0 .. 400
// CHECK: plan.storage @v0 {{.*}} in @cache0 at 512
plan.storage @v0 cache size 400                               // 512 .. 912
// CHECK: plan.storage @state {{.*}} in @state0 at 0
plan.storage @state state size 184
// CHECK: plan.storage @k1 {{.*}} in @cache1 at 0
plan.storage @k1 cache size 400                               // 1024 + 400 > 1024: the next buffer
// CHECK: plan.storage @hidden {{.*}} in @output0 at 0
plan.storage @hidden output size 500
// CHECK: plan.storage @logits {{.*}} in @output0 at 512
plan.storage @logits output size 64
// CHECK: plan.storage @mailbox {{.*}} in @mailbox0 at 0
plan.storage @mailbox mailbox size 128

plan.entry @decode role decode_greedy rows 1 {
  %qkv = plan.weights [@q, @k, @v] : !plan.range<672>         // 256 + 288 + 128
  %q = plan.weights [@q] : !plan.range<256>
}
plan.entry @prefill role prefill rows 4 {
  %kv = plan.weights [@k, @v] : !plan.range<416>              // part of the chain above: the same places serve
}
