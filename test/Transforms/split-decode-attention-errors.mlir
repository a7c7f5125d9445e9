// RUN: not qwen-opt %s --qwen-split-decode-attention=splits=0 2>&1 | FileCheck %s --check-prefix=ZERO
// RUN: not qwen-opt %s --qwen-split-decode-attention=splits=257 2>&1 | FileCheck %s --check-prefix=MANY

// ZERO: error: splits is 0, expected 1 to 256
// MANY: error: splits is 257, expected 1 to 256
func.func @f() {
  return
}
