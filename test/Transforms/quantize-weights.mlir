// RUN: qwen-opt %s --qwen-quantize-weights=format=q8 --allow-unregistered-dialect --split-input-file | FileCheck %s
// RUN: qwen-opt %s --qwen-quantize-weights=format=q4 --allow-unregistered-dialect --split-input-file | FileCheck %s --check-prefix=Q4
// RUN: qwen-opt %s --qwen-quantize-weights --allow-unregistered-dialect --split-input-file | FileCheck %s --check-prefix=BF16
// RUN: not qwen-opt %s --qwen-quantize-weights=format=q2 --allow-unregistered-dialect --split-input-file 2>&1 | FileCheck %s --check-prefix=Q2

// Q2: format is 'q2', expected bf16, q8 or q4
// BF16-NOT: qwen.packed

// The matrices of products, wherever they are read.
// CHECK: qwen.parameter @up : tensor<8x32xbf16, #qwen.packed<q8>> file 0 offset 0
// Q4: qwen.parameter @up : tensor<8x32xbf16, #qwen.packed<q4>> file 0 offset 0
qwen.parameter @up : tensor<8x32xbf16> file 0 offset 0
// Biases are vectors.
// CHECK: qwen.parameter @bias : tensor<32xbf16> file
qwen.parameter @bias : tensor<32xbf16> file 0 offset 512
// Rows have to be whole blocks.
// CHECK: qwen.parameter @narrow : tensor<32x8xbf16> file
qwen.parameter @narrow : tensor<32x8xbf16> file 0 offset 576
// What nothing reads stays as it is.
// CHECK: qwen.parameter @unread : tensor<8x32xbf16> file
qwen.parameter @unread : tensor<8x32xbf16> file 0 offset 1088

// CHECK-LABEL: @products
func.func @products(%x: tensor<?x32xf32, #qwen.rows<S>>) -> tensor<?x32xf32, #qwen.rows<S>> {
  // CHECK: %[[UP:.*]] = qwen.weight @up : tensor<8x32xbf16, #qwen.packed<q8>>
  %up = qwen.weight @up : tensor<8x32xbf16>
  %narrow = qwen.weight @narrow : tensor<32x8xbf16>
  %bias = qwen.weight @bias : tensor<32xbf16>
  // CHECK: qwen.linear %{{.*}}, %[[UP]] : (tensor<?x32xf32, #qwen.rows<S>>, tensor<8x32xbf16, #qwen.packed<q8>>)
  %y = qwen.linear %x, %up : (tensor<?x32xf32, #qwen.rows<S>>, tensor<8x32xbf16>) -> tensor<?x8xf32, #qwen.rows<S>>
  %z = qwen.linear %y, %narrow, %bias : (tensor<?x8xf32, #qwen.rows<S>>, tensor<32x8xbf16>, tensor<32xbf16>) -> tensor<?x32xf32, #qwen.rows<S>>
  return %z : tensor<?x32xf32, #qwen.rows<S>>
}

// CHECK-LABEL: @elsewhere
func.func @elsewhere(%x: tensor<?x32xf32, #qwen.rows<R>>) -> tensor<?x8xf32, #qwen.rows<R>> {
  // CHECK: qwen.weight @up : tensor<8x32xbf16, #qwen.packed<q8>>
  %up = qwen.weight @up : tensor<8x32xbf16>
  %y = qwen.linear %x, %up : (tensor<?x32xf32, #qwen.rows<R>>, tensor<8x32xbf16>) -> tensor<?x8xf32, #qwen.rows<R>>
  return %y : tensor<?x8xf32, #qwen.rows<R>>
}

// -----

// A table that is also a head is gathered from: it stays.
// CHECK: qwen.parameter @tied : tensor<8x32xbf16> file
qwen.parameter @tied : tensor<8x32xbf16> file 0 offset 0
// A head of its own is packed.
// CHECK: qwen.parameter @head : tensor<8x32xbf16, #qwen.packed<q8>> file
qwen.parameter @head : tensor<8x32xbf16> file 0 offset 512

func.func @embed(%ids: tensor<1xi32>) -> tensor<1x32xf32> {
  %t = qwen.weight @tied : tensor<8x32xbf16>
  %x = qwen.embedding %ids, %t : (tensor<1xi32>, tensor<8x32xbf16>) -> tensor<1x32xf32>
  return %x : tensor<1x32xf32>
}
func.func @heads(%x: tensor<1x32xf32>) -> (tensor<1x8xf32>, tensor<1x8xf32>) {
  %t = qwen.weight @tied : tensor<8x32xbf16>
  %h = qwen.weight @head : tensor<8x32xbf16>
  %a = qwen.linear %x, %t : (tensor<1x32xf32>, tensor<8x32xbf16>) -> tensor<1x8xf32>
  %b = qwen.linear %x, %h : (tensor<1x32xf32>, tensor<8x32xbf16>) -> tensor<1x8xf32>
  return %a, %b : tensor<1x8xf32>, tensor<1x8xf32>
}

// -----

// A router chooses, here behind a softmax: a small error there is another expert.
// CHECK: qwen.parameter @router : tensor<8x32xbf16> file
qwen.parameter @router : tensor<8x32xbf16> file 0 offset 0
func.func @routes(%x: tensor<1x32xf32>) -> tensor<1x2xi32> {
  %w = qwen.weight @router : tensor<8x32xbf16>
  %l = qwen.linear %x, %w : (tensor<1x32xf32>, tensor<8x32xbf16>) -> tensor<1x8xf32>
  %p = "test.softmax"(%l) : (tensor<1x8xf32>) -> tensor<1x8xf32>
  %v, %i = "test.top_k"(%p) : (tensor<1x8xf32>) -> (tensor<1x2xf32>, tensor<1x2xi32>)
  return %i : tensor<1x2xi32>
}

// -----

// The matrices of experts, all of a stack alike.
// CHECK: qwen.parameter @up.0 : tensor<8x32xbf16, #qwen.packed<q8>> file
qwen.parameter @up.0 : tensor<8x32xbf16> file 0 offset 0
// CHECK: qwen.parameter @up.1 : tensor<8x32xbf16, #qwen.packed<q8>> file
// Q4: qwen.parameter @up.1 : tensor<8x32xbf16, #qwen.packed<q4>> file
qwen.parameter @up.1 : tensor<8x32xbf16> file 0 offset 512
// Their rows are no whole blocks.
// CHECK: qwen.parameter @down.0 : tensor<32x8xbf16> file
qwen.parameter @down.0 : tensor<32x8xbf16> file 0 offset 1024
// CHECK: qwen.parameter @down.1 : tensor<32x8xbf16> file
qwen.parameter @down.1 : tensor<32x8xbf16> file 0 offset 1536
// One of them is gathered from elsewhere: both stay.
// CHECK: qwen.parameter @other.0 : tensor<8x32xbf16> file
qwen.parameter @other.0 : tensor<8x32xbf16> file 0 offset 2048
// CHECK: qwen.parameter @table : tensor<8x32xbf16> file
qwen.parameter @table : tensor<8x32xbf16> file 0 offset 2560
// The router stays.
// CHECK: qwen.parameter @router : tensor<2x32xbf16> file
qwen.parameter @router : tensor<2x32xbf16> file 0 offset 3072

// CHECK-LABEL: @mixture
func.func @mixture(%x: tensor<1x32xf32>, %ids: tensor<1xi32>) -> (tensor<1x1x32xf32>, tensor<1x1x8xf32>, tensor<1x32xf32>) {
  // CHECK: %[[UP:.*]] = qwen.weight_stack [@up.0, @up.1] : tensor<2x8x32xbf16, #qwen.packed<q8>>
  %up = qwen.weight_stack [@up.0, @up.1] : tensor<2x8x32xbf16>
  // CHECK: qwen.weight_stack [@down.0, @down.1] : tensor<2x32x8xbf16>
  %down = qwen.weight_stack [@down.0, @down.1] : tensor<2x32x8xbf16>
  // CHECK: qwen.weight_stack [@other.0, @table] : tensor<2x8x32xbf16>
  %other = qwen.weight_stack [@other.0, @table] : tensor<2x8x32xbf16>
  %table = qwen.weight @table : tensor<8x32xbf16>
  %router = qwen.weight @router : tensor<2x32xbf16>
  %l = qwen.linear %x, %router : (tensor<1x32xf32>, tensor<2x32xbf16>) -> tensor<1x2xf32>
  %p = qwen.softmax %l : tensor<1x2xf32>
  %v, %e = qwen.top_k %p : (tensor<1x2xf32>) -> (tensor<1x1xf32>, tensor<1x1xi32>)
  // CHECK: qwen.expert_linear %{{.*}}, %{{.*}}, %[[UP]] : (tensor<1x32xf32>, tensor<1x1xi32>, tensor<2x8x32xbf16, #qwen.packed<q8>>)
  %y = qwen.expert_linear %x, %e, %up : (tensor<1x32xf32>, tensor<1x1xi32>, tensor<2x8x32xbf16>) -> tensor<1x1x8xf32>
  %z = qwen.expert_linear %y, %e, %down : (tensor<1x1x8xf32>, tensor<1x1xi32>, tensor<2x32x8xbf16>) -> tensor<1x1x32xf32>
  %o = qwen.expert_linear %x, %e, %other : (tensor<1x32xf32>, tensor<1x1xi32>, tensor<2x8x32xbf16>) -> tensor<1x1x8xf32>
  %t = qwen.embedding %ids, %table : (tensor<1xi32>, tensor<8x32xbf16>) -> tensor<1x32xf32>
  return %z, %o, %t : tensor<1x1x32xf32>, tensor<1x1x8xf32>, tensor<1x32xf32>
}
