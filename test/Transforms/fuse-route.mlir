// RUN: qwen-opt %s --qwen-fuse-route | FileCheck %s

// CHECK-LABEL: @normalized
// CHECK-SAME: (%[[L:.*]]: tensor<1x16xf32>)
// CHECK-NEXT: %[[W:.*]], %[[E:.*]] = qwen.route %[[L]] normalize : (tensor<1x16xf32>) -> (tensor<1x4xf32>, tensor<1x4xi32>)
// CHECK-NEXT: return %[[W]], %[[E]]
func.func @normalized(%l: tensor<1x16xf32>) -> (tensor<1x4xf32>, tensor<1x4xi32>) {
  %p = qwen.softmax %l : tensor<1x16xf32>
  %v, %e = qwen.top_k %p : (tensor<1x16xf32>) -> (tensor<1x4xf32>, tensor<1x4xi32>)
  %w = qwen.sum_normalize %v : tensor<1x4xf32>
  return %w, %e : tensor<1x4xf32>, tensor<1x4xi32>
}

// CHECK-LABEL: @plain
// CHECK-NEXT: %[[W:.*]], %[[E:.*]] = qwen.route %{{[a-z0-9]*}} : (tensor<4x16xf32, #qwen.rows<S>>) -> (tensor<4x2xf32, #qwen.rows<S>>, tensor<4x2xi32, #qwen.rows<S>>)
// CHECK-NEXT: return %[[W]], %[[E]]
func.func @plain(%l: tensor<4x16xf32, #qwen.rows<S>>) -> (tensor<4x2xf32, #qwen.rows<S>>, tensor<4x2xi32, #qwen.rows<S>>) {
  %p = qwen.softmax %l : tensor<4x16xf32, #qwen.rows<S>>
  %v, %e = qwen.top_k %p : (tensor<4x16xf32, #qwen.rows<S>>) -> (tensor<4x2xf32, #qwen.rows<S>>, tensor<4x2xi32, #qwen.rows<S>>)
  return %v, %e : tensor<4x2xf32, #qwen.rows<S>>, tensor<4x2xi32, #qwen.rows<S>>
}

// Every normalisation of the values is the route's.
// CHECK-LABEL: @normalized_twice
// CHECK-NEXT: %[[W:.*]], %{{.*}} = qwen.route %{{.*}} normalize
// CHECK-NEXT: return %[[W]], %[[W]]
func.func @normalized_twice(%l: tensor<1x16xf32>) -> (tensor<1x4xf32>, tensor<1x4xf32>) {
  %p = qwen.softmax %l : tensor<1x16xf32>
  %v, %e = qwen.top_k %p : (tensor<1x16xf32>) -> (tensor<1x4xf32>, tensor<1x4xi32>)
  %w = qwen.sum_normalize %v : tensor<1x4xf32>
  %u = qwen.sum_normalize %v : tensor<1x4xf32>
  return %w, %u : tensor<1x4xf32>, tensor<1x4xf32>
}

// Values that are read both ways stay apart.
// CHECK-LABEL: @both_ways
// CHECK: qwen.softmax
// CHECK: qwen.top_k
// CHECK: qwen.sum_normalize
func.func @both_ways(%l: tensor<1x16xf32>) -> (tensor<1x4xf32>, tensor<1x4xf32>) {
  %p = qwen.softmax %l : tensor<1x16xf32>
  %v, %e = qwen.top_k %p : (tensor<1x16xf32>) -> (tensor<1x4xf32>, tensor<1x4xi32>)
  %w = qwen.sum_normalize %v : tensor<1x4xf32>
  return %v, %w : tensor<1x4xf32>, tensor<1x4xf32>
}

// A softmax that something else reads stays for that; a choice among other values is none of an expert.
// CHECK-LABEL: @read_elsewhere
// CHECK: %[[P:.*]] = qwen.softmax
// CHECK: %[[V:.*]], %{{.*}} = qwen.route
// CHECK: %[[U:.*]], %{{.*}} = qwen.top_k
// CHECK: return %[[P]], %[[U]], %[[V]]
func.func @read_elsewhere(%l: tensor<1x16xf32>) -> (tensor<1x16xf32>, tensor<1x4xf32>, tensor<1x4xf32>) {
  %p = qwen.softmax %l : tensor<1x16xf32>
  %v, %e = qwen.top_k %p : (tensor<1x16xf32>) -> (tensor<1x4xf32>, tensor<1x4xi32>)
  %u, %f = qwen.top_k %l : (tensor<1x16xf32>) -> (tensor<1x4xf32>, tensor<1x4xi32>)
  return %p, %u, %v : tensor<1x16xf32>, tensor<1x4xf32>, tensor<1x4xf32>
}
