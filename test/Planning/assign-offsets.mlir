// RUN: qwen-opt %s -plan-assign-offsets | FileCheck %s
// Sizes are rounded up to 256. A life is counted in epochs: the barriers that the dispatches need anyway.

// The larger entry decides: @chain needs 768, @side 1536, @gaps 2304.
// CHECK: plan.buffer @arena arena size 2304

plan.storage @s output size 4096

plan.kernel @make workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (y write 16) {
}
plan.kernel @map workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (x read 16, y write 16) {
}
plan.kernel @join workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (a read 16, b read 16, y write 16) {
}

// A chain: two at a time are alive.
// CHECK-LABEL: plan.entry @chain
plan.entry @chain role decode_greedy rows 1 {
  // By size: x and z (512), y (256), w (256).
  // CHECK: plan.alloc "x" at 0 :
  %x = plan.alloc "x" : !plan.range<512>                      // epochs 0..1, first, so at 0
  // CHECK: plan.alloc "y" at 512 :
  %y = plan.alloc "y" : !plan.range<200>                      // epochs 1..2, beside x and z: 512 .. 768
  // CHECK: plan.alloc "z" at 0 :
  %z = plan.alloc "z" : !plan.range<500>                      // epochs 2..3, x is dead: 0 .. 512
  // CHECK: plan.alloc "w" at 512 :
  %w = plan.alloc "w" : !plan.range<256>                      // epoch 3, y is dead: 512 .. 768
  // CHECK-NOT: plan.alloc "unused"
  %u = plan.alloc "unused" : !plan.range<100000>              // no use: erased
  plan.dispatch @make groups [1, 1, 1](%x) label "" reads 0 : !plan.range<512>
  plan.dispatch @map groups [1, 1, 1](%x, %y) label "" reads 0 : !plan.range<512>, !plan.range<200>
  plan.dispatch @map groups [1, 1, 1](%y, %z) label "" reads 0 : !plan.range<200>, !plan.range<500>
  plan.dispatch @map groups [1, 1, 1](%z, %w) label "" reads 0 : !plan.range<500>, !plan.range<256>
}

// Two independent dispatches run in one epoch: sharing memory between them would cost a barrier, so they do not share.
// CHECK-LABEL: plan.entry @side
plan.entry @side role decode_sample rows 1 {
  // CHECK: plan.alloc "a" at 0 :
  %a = plan.alloc "a" : !plan.range<512>                      // epochs 0..1 (read only by dispatch 1)
  // CHECK: plan.alloc "b" at 512 :
  %b = plan.alloc "b" : !plan.range<512>                      // epoch 1
  // CHECK: plan.alloc "c" at 1024 :
  %c = plan.alloc "c" : !plan.range<512>                      // epoch 1: b is last used before, yet in the same epoch
  %out = plan.ref @s at 0 : !plan.range<16>
  plan.dispatch @make groups [1, 1, 1](%a) label "" reads 0 : !plan.range<512>
  plan.dispatch @map groups [1, 1, 1](%a, %b) label "" reads 0 : !plan.range<512>, !plan.range<512>
  plan.dispatch @map groups [1, 1, 1](%a, %c) label "" reads 0 : !plan.range<512>, !plan.range<512>
}

// Best fit: of the two gaps that are free, "f" takes the smaller one.
// CHECK-LABEL: plan.entry @gaps
plan.entry @gaps role prefill rows 8 {
  // By size: a 1024, b 512, c 512, d 256, f 256.
  // CHECK: plan.alloc "a" at 0 :
  %a = plan.alloc "a" : !plan.range<1024>                     // epoch 0..1:    0 .. 1024
  // CHECK: plan.alloc "b" at 1024 :
  %b = plan.alloc "b" : !plan.range<512>                      // epoch 0..2: 1024 .. 1536
  // CHECK: plan.alloc "c" at 1536 :
  %c = plan.alloc "c" : !plan.range<512>                      // epoch 0..1: 1536 .. 2048, beside a and b
  // CHECK: plan.alloc "d" at 2048 :
  %d = plan.alloc "d" : !plan.range<256>                      // epoch 0..2: 2048 .. 2304, beside all
  // CHECK: plan.alloc "f" at 1536 :
  %f = plan.alloc "f" : !plan.range<256>                      // epoch 2: free are 0 .. 1024 (a) and 1536 .. 2048 (c)
  %out = plan.ref @s at 0 : !plan.range<16>
  plan.dispatch @make groups [1, 1, 1](%a) label "" reads 0 : !plan.range<1024>
  plan.dispatch @make groups [1, 1, 1](%b) label "" reads 0 : !plan.range<512>
  plan.dispatch @make groups [1, 1, 1](%c) label "" reads 0 : !plan.range<512>
  plan.dispatch @make groups [1, 1, 1](%d) label "" reads 0 : !plan.range<256>
  plan.dispatch @join groups [1, 1, 1](%a, %c, %out) label "" reads 0
      : !plan.range<1024>, !plan.range<512>, !plan.range<16>
  plan.dispatch @map groups [1, 1, 1](%out, %f) label "" reads 0 : !plan.range<16>, !plan.range<256>
  plan.dispatch @join groups [1, 1, 1](%b, %d, %f) label "" reads 0
      : !plan.range<512>, !plan.range<256>, !plan.range<256>
}
