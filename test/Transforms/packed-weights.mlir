// RUN: qwen-opt %s --qwen-merge-linears --qwen-fuse-parallel-linears --qwen-fuse-linears --split-input-file | FileCheck %s
// The fusions carry the format along and never join products of two formats.

qwen.parameter @a : tensor<8x32xbf16, #qwen.packed<q8>> file 0 offset 0
qwen.parameter @b : tensor<8x32xbf16> file 0 offset 512
qwen.parameter @c : tensor<4x32xbf16, #qwen.packed<q8>> file 0 offset 1024

// CHECK-LABEL: @merge
// CHECK-DAG: %[[A:.*]] = qwen.weight @a
// CHECK-DAG: %[[B:.*]] = qwen.weight @b
// CHECK-DAG: %[[C:.*]] = qwen.weight @c
// CHECK-DAG: qwen.fused_linear none concat %{{.*}} weights(%[[A]], %[[C]]) {
// CHECK-DAG: qwen.fused_linear none concat %{{.*}} weights(%[[B]]) {
func.func @merge(%x: tensor<1x32xf32>) -> (tensor<1x2x4xf32>, tensor<1x2x4xf32>, tensor<1x2x2xf32>) {
  %a = qwen.weight @a : tensor<8x32xbf16, #qwen.packed<q8>>
  %b = qwen.weight @b : tensor<8x32xbf16>
  %c = qwen.weight @c : tensor<4x32xbf16, #qwen.packed<q8>>
  %p = qwen.linear %x, %a : (tensor<1x32xf32>, tensor<8x32xbf16, #qwen.packed<q8>>) -> tensor<1x8xf32>
  %q = qwen.linear %x, %b : (tensor<1x32xf32>, tensor<8x32xbf16>) -> tensor<1x8xf32>
  %r = qwen.linear %x, %c : (tensor<1x32xf32>, tensor<4x32xbf16, #qwen.packed<q8>>) -> tensor<1x4xf32>
  %ph = qwen.reshape %p : tensor<1x8xf32> -> tensor<1x2x4xf32>
  %qh = qwen.reshape %q : tensor<1x8xf32> -> tensor<1x2x4xf32>
  %rh = qwen.reshape %r : tensor<1x4xf32> -> tensor<1x2x2xf32>
  return %ph, %qh, %rh : tensor<1x2x4xf32>, tensor<1x2x4xf32>, tensor<1x2x2xf32>
}

// -----

qwen.parameter @gate : tensor<8x32xbf16, #qwen.packed<q8>> file 0 offset 0
qwen.parameter @up : tensor<8x32xbf16, #qwen.packed<q4>> file 0 offset 512
qwen.parameter @up8 : tensor<8x32xbf16, #qwen.packed<q8>> file 0 offset 1024

// CHECK-LABEL: @parallel
// CHECK: qwen.fused_linear none parallel %{{.*}} weights(%{{.*}}, %{{.*}}) {
// CHECK: (tensor<1x32xf32>, tensor<8x32xbf16, #qwen.packed<q8>>, tensor<8x32xbf16, #qwen.packed<q8>>) -> tensor<1x8xf32>
func.func @parallel(%x: tensor<1x32xf32>) -> tensor<1x8xf32> {
  %g = qwen.weight @gate : tensor<8x32xbf16, #qwen.packed<q8>>
  %u = qwen.weight @up8 : tensor<8x32xbf16, #qwen.packed<q8>>
  %a = qwen.linear %x, %g : (tensor<1x32xf32>, tensor<8x32xbf16, #qwen.packed<q8>>) -> tensor<1x8xf32>
  %b = qwen.linear %x, %u : (tensor<1x32xf32>, tensor<8x32xbf16, #qwen.packed<q8>>) -> tensor<1x8xf32>
  %y = qwen.mul %a, %b : tensor<1x8xf32>
  return %y : tensor<1x8xf32>
}

// CHECK-LABEL: @two_formats
// CHECK-NOT: parallel
func.func @two_formats(%x: tensor<1x32xf32>) -> tensor<1x8xf32> {
  %g = qwen.weight @gate : tensor<8x32xbf16, #qwen.packed<q8>>
  %u = qwen.weight @up : tensor<8x32xbf16, #qwen.packed<q4>>
  %a = qwen.linear %x, %g : (tensor<1x32xf32>, tensor<8x32xbf16, #qwen.packed<q8>>) -> tensor<1x8xf32>
  %b = qwen.linear %x, %u : (tensor<1x32xf32>, tensor<8x32xbf16, #qwen.packed<q4>>) -> tensor<1x8xf32>
  %y = qwen.mul %a, %b : tensor<1x8xf32>
  return %y : tensor<1x8xf32>
}
