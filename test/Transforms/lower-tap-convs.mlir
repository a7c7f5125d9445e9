// RUN: qwen-opt %s --qwen-lower-tap-convs --split-input-file --verify-diagnostics | FileCheck %s

// Channels move behind the places of the filter; the activation follows the product.
// CHECK-LABEL: @activated
// CHECK-SAME: (%[[X:.*]]: tensor<9x5x8xf32, #qwen.rows<A0>>, %[[T:.*]]: tensor<5x3xi32, #qwen.rows<A>>, %[[W:.*]]: tensor<6x8x3x3xbf16>, %[[B:.*]]: tensor<6xbf16>)
// CHECK: %[[F:.*]] = qwen.reshape %[[W]] : tensor<6x8x3x3xbf16> -> tensor<6x8x9xbf16>
// CHECK: %[[S:.*]] = qwen.swap_axes %[[F]] : tensor<6x8x9xbf16> -> tensor<6x9x8xbf16>
// CHECK: %[[M:.*]] = qwen.reshape %[[S]] : tensor<6x9x8xbf16> -> tensor<6x72xbf16>
// CHECK: %[[P:.*]] = qwen.tap_patches %[[X]] taps %[[T]] : {{.*}} -> tensor<15x72xf32, #qwen.rows<A * 3>>
// CHECK: %[[L:.*]] = qwen.linear %[[P]], %[[M]], %[[B]] : {{.*}} -> tensor<15x6xf32, #qwen.rows<A * 3>>
// CHECK: %[[G:.*]] = qwen.gelu tanh %[[L]] : tensor<15x6xf32, #qwen.rows<A * 3>>
// CHECK: %[[R:.*]] = qwen.reshape %[[G]] : tensor<15x6xf32, #qwen.rows<A * 3>> -> tensor<5x3x6xf32, #qwen.rows<A>>
// CHECK: return %[[R]]
func.func @activated(%x: tensor<9x5x8xf32, #qwen.rows<A0>>, %t: tensor<5x3xi32, #qwen.rows<A>>, %w: tensor<6x8x3x3xbf16>,
                     %b: tensor<6xbf16>) -> tensor<5x3x6xf32, #qwen.rows<A>> {
  %c = qwen.tap_conv %x taps %t, %w, %b : (tensor<9x5x8xf32, #qwen.rows<A0>>, tensor<5x3xi32, #qwen.rows<A>>, tensor<6x8x3x3xbf16>, tensor<6xbf16>) -> tensor<5x3x6xf32, #qwen.rows<A>>
  %g = qwen.gelu tanh %c : tensor<5x3x6xf32, #qwen.rows<A>>
  return %g : tensor<5x3x6xf32, #qwen.rows<A>>
}

// One channel has nothing to swap; a sum that others read too stays before the activation.
// CHECK-LABEL: @read_twice
// CHECK-NOT: qwen.swap_axes
// CHECK: %[[M:.*]] = qwen.reshape %{{.*}} : tensor<6x1x3x3xbf16> -> tensor<6x9xbf16>
// CHECK: %[[L:.*]] = qwen.linear %{{.*}}, %[[M]], %{{.*}} -> tensor<15x6xf32, #qwen.rows<A * 3>>
// CHECK: %[[R:.*]] = qwen.reshape %[[L]] : tensor<15x6xf32, #qwen.rows<A * 3>> -> tensor<5x3x6xf32, #qwen.rows<A>>
// CHECK: %[[G:.*]] = qwen.gelu %[[R]] : tensor<5x3x6xf32, #qwen.rows<A>>
// CHECK: return %[[R]], %[[G]]
func.func @read_twice(%x: tensor<9x5x1xf32, #qwen.rows<T>>, %t: tensor<5x3xi32, #qwen.rows<A>>, %w: tensor<6x1x3x3xbf16>, %b: tensor<6xbf16>)
    -> (tensor<5x3x6xf32, #qwen.rows<A>>, tensor<5x3x6xf32, #qwen.rows<A>>) {
  %c = qwen.tap_conv %x taps %t, %w, %b : (tensor<9x5x1xf32, #qwen.rows<T>>, tensor<5x3xi32, #qwen.rows<A>>, tensor<6x1x3x3xbf16>, tensor<6xbf16>) -> tensor<5x3x6xf32, #qwen.rows<A>>
  %g = qwen.gelu %c : tensor<5x3x6xf32, #qwen.rows<A>>
  return %c, %g : tensor<5x3x6xf32, #qwen.rows<A>>, tensor<5x3x6xf32, #qwen.rows<A>>
}

// -----

func.func @not_counted(%x: tensor<9x5x1xf32>, %t: tensor<5x3xi32>, %w: tensor<6x1x3x3xbf16>, %b: tensor<6xbf16>) -> tensor<5x3x6xf32> {
  // expected-error @+1 {{has 'tensor<5x3x6xf32>', expected rows that a symbol counts}}
  %c = qwen.tap_conv %x taps %t, %w, %b : (tensor<9x5x1xf32>, tensor<5x3xi32>, tensor<6x1x3x3xbf16>, tensor<6xbf16>) -> tensor<5x3x6xf32>
  return %c : tensor<5x3x6xf32>
}
