// RUN: qwen-opt %s -plan-insert-barriers | FileCheck %s
// RUN: qwen-opt %s -plan-insert-barriers -plan-insert-barriers | FileCheck %s
// Each kind of hazard, and what looks like one. The second run shows that barriers that are there are counted.

plan.storage @cache cache size 4096
plan.weight @w file 0 at 0 rows 8 x 32 pitch 32

plan.kernel @make workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (y write 256) {
}
plan.kernel @map workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (x read 256, y write 256) {
}
plan.kernel @gemv workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (x read 256, w read 256, y write 256) {
}
plan.kernel @update workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (x read_write 256) {
}

// CHECK-LABEL: plan.entry @raw
// CHECK: plan.dispatch @make
// CHECK-NEXT: plan.barrier
// CHECK-NEXT: plan.dispatch @map
// CHECK-NEXT: }
plan.entry @raw role other rows 1 {
  %x = plan.alloc "x" at 0 : !plan.range<256>
  %y = plan.alloc "y" at 256 : !plan.range<256>
  plan.dispatch @make groups [1, 1, 1](%x) label "" reads 0 : !plan.range<256>
  plan.dispatch @map groups [1, 1, 1](%x, %y) label "" reads 0 : !plan.range<256>, !plan.range<256>
}

// x and y share memory since their lives are apart: a write behind a read.
// CHECK-LABEL: plan.entry @war
// CHECK: plan.dispatch @map
// CHECK-NEXT: plan.barrier
// CHECK-NEXT: plan.dispatch @make
// CHECK-NEXT: }
plan.entry @war role other rows 1 {
  %c = plan.ref @cache at 0 : !plan.range<256>
  %x = plan.ref @cache at 512 : !plan.range<256>
  plan.dispatch @map groups [1, 1, 1](%c, %x) label "" reads 0 : !plan.range<256>, !plan.range<256>
  plan.dispatch @make groups [1, 1, 1](%c) label "" reads 0 : !plan.range<256>
}

// CHECK-LABEL: plan.entry @waw
// CHECK: plan.dispatch @make
// CHECK-NEXT: plan.barrier
// CHECK-NEXT: plan.dispatch @make
// CHECK-NEXT: }
plan.entry @waw role other rows 1 {
  %x = plan.alloc "x" at 0 : !plan.range<256>
  %y = plan.alloc "y" at 240 : !plan.range<256>               // 16 bytes of x and y are the same
  plan.dispatch @make groups [1, 1, 1](%x) label "" reads 0 : !plan.range<256>
  plan.dispatch @make groups [1, 1, 1](%y) label "" reads 0 : !plan.range<256>
}

// read_write is both.
// CHECK-LABEL: plan.entry @read_write
// CHECK: plan.dispatch @update
// CHECK-NEXT: plan.barrier
// CHECK-NEXT: plan.dispatch @update
// CHECK-NEXT: }
plan.entry @read_write role other rows 1 {
  %x = plan.ref @cache at 0 : !plan.range<256>
  plan.dispatch @update groups [1, 1, 1](%x) label "" reads 0 : !plan.range<256>
  plan.dispatch @update groups [1, 1, 1](%x) label "" reads 0 : !plan.range<256>
}

// Reads of the same bytes, neighbours in the arena, weights, the same offset of another space: no hazard.
// CHECK-LABEL: plan.entry @none
// CHECK-NOT: plan.barrier
// CHECK: }
plan.entry @none role other rows 1 {
  %c = plan.ref @cache at 0 : !plan.range<256>
  %x = plan.alloc "x" at 0 : !plan.range<256>
  %y = plan.alloc "y" at 256 : !plan.range<256>
  %w = plan.weights [@w] : !plan.range<256>
  plan.dispatch @map groups [1, 1, 1](%c, %x) label "" reads 0 : !plan.range<256>, !plan.range<256>
  plan.dispatch @gemv groups [1, 1, 1](%c, %w, %y) label "" reads 0
      : !plan.range<256>, !plan.range<256>, !plan.range<256>
}

// Ranges overlap, but the kernel may touch only the first 256 of the 512 bytes.
// CHECK-LABEL: plan.entry @touched_bytes
// CHECK-NOT: plan.barrier
// CHECK: }
plan.entry @touched_bytes role other rows 1 {
  %x = plan.ref @cache at 0 : !plan.range<512>
  %y = plan.ref @cache at 256 : !plan.range<256>
  plan.dispatch @make groups [1, 1, 1](%x) label "" reads 0 : !plan.range<512>
  plan.dispatch @make groups [1, 1, 1](%y) label "" reads 0 : !plan.range<256>
}

// One barrier serves two hazards: both results are needed behind it.
// CHECK-LABEL: plan.entry @fewest
// CHECK: plan.dispatch @make
// CHECK-NEXT: plan.dispatch @make
// CHECK-NEXT: plan.barrier
// CHECK-NEXT: plan.dispatch @map
// CHECK-NEXT: plan.dispatch @map
// CHECK-NEXT: }
plan.entry @fewest role other rows 1 {
  %a = plan.alloc "a" at 0 : !plan.range<256>
  %b = plan.alloc "b" at 256 : !plan.range<256>
  %c = plan.alloc "c" at 512 : !plan.range<256>
  %d = plan.alloc "d" at 768 : !plan.range<256>
  plan.dispatch @make groups [1, 1, 1](%a) label "" reads 0 : !plan.range<256>
  plan.dispatch @make groups [1, 1, 1](%b) label "" reads 0 : !plan.range<256>
  plan.dispatch @map groups [1, 1, 1](%a, %c) label "" reads 0 : !plan.range<256>, !plan.range<256>
  plan.dispatch @map groups [1, 1, 1](%b, %d) label "" reads 0 : !plan.range<256>, !plan.range<256>
}
