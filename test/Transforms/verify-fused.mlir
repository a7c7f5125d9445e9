// RUN: qwen-opt %s --qwen-verify-fused --split-input-file --verify-diagnostics -o /dev/null
// The first function is fine.

func.func @fine(%x: tensor<4x16xf32>, %w: tensor<16xbf16>) -> tensor<4x4x4xf32> {
  %0 = qwen.rms_norm %x, %w eps 0.125 : (tensor<4x16xf32>, tensor<16xbf16>) -> tensor<4x16xf32>
  %1 = qwen.reshape %0 : tensor<4x16xf32> -> tensor<4x4x4xf32>
  return %1 : tensor<4x4x4xf32>
}

// -----

func.func @f(%x: tensor<1x8xf32>, %w: tensor<4x8xbf16>) {
  // expected-error @+1 {{is left for code generation, expected only fused operations, run qwen-fuse-linears first}}
  %0 = qwen.linear %x, %w : (tensor<1x8xf32>, tensor<4x8xbf16>) -> tensor<1x4xf32>
  return
}

// -----

func.func @f(%x: tensor<1x8xf32>) {
  // expected-error @+1 {{is left for code generation, expected only fused operations, run qwen-fuse-elementwise first}}
  %0 = qwen.silu %x : tensor<1x8xf32>
  return
}

// -----

func.func @f(%x: tensor<1x8xf32>) {
  // expected-error @+1 {{is left for code generation, expected only fused operations, run qwen-fuse-elementwise first}}
  %0 = qwen.mul %x, %x : tensor<1x8xf32>
  return
}

// -----

func.func @f(%x: tensor<1x8xf32>) {
  // expected-error @+1 {{is left for code generation, expected only fused operations, run qwen-fuse-elementwise first}}
  %0 = qwen.add %x, %x : tensor<1x8xf32>
  return
}

// -----

func.func @f() {
  // expected-error @+1 {{is left for code generation, expected only fused operations, run qwen-fuse-rope-append first}}
  %0 = qwen.position_ids : tensor<1xi32>
  return
}

// -----

func.func @f(%x: tensor<1x2x4xf32>, %p: tensor<1xi32>) {
  // expected-error @+1 {{is left for code generation, expected only fused operations, run qwen-fuse-rope-append first}}
  %0 = qwen.rope %x, %p theta 1.0 : (tensor<1x2x4xf32>, tensor<1xi32>) -> tensor<1x2x4xf32>
  return
}

// -----

func.func @f(%x: tensor<1x2x4xf32>, %c: tensor<16x2x4xf32>) {
  // expected-error @+1 {{is left for code generation, expected only fused operations, run qwen-fuse-rope-append first}}
  %0 = qwen.kv_append %c, %x : (tensor<16x2x4xf32>, tensor<1x2x4xf32>) -> tensor<16x2x4xf32>
  return
}

// -----

func.func @f() {
  // expected-error @+1 {{is left for code generation, expected only fused operations, remove it}}
  %0 = arith.constant 1.0 : f32
  return
}

// -----

func.func @f(%x: tensor<1x8xf32>) {
  // expected-error @+1 {{is left for code generation, expected only fused operations, run qwen-fuse-route first}}
  %0 = qwen.softmax %x : tensor<1x8xf32>
  return
}

// -----

func.func @f(%x: tensor<1x8xf32>) {
  // expected-error @+1 {{is left for code generation, expected only fused operations, run qwen-fuse-route first}}
  %0, %1 = qwen.top_k %x : (tensor<1x8xf32>) -> (tensor<1x2xf32>, tensor<1x2xi32>)
  return
}

// -----

func.func @f(%x: tensor<1x8xf32>) {
  // expected-error @+1 {{is left for code generation, expected only fused operations, run qwen-fuse-route first}}
  %0 = qwen.sum_normalize %x : tensor<1x8xf32>
  return
}

// -----

func.func @f(%x: tensor<1x8xf32>, %e: tensor<1x2xi32>, %w: tensor<4x6x8xbf16>) {
  // expected-error @+1 {{is left for code generation, expected only fused operations, run qwen-fuse-experts first}}
  %0 = qwen.expert_linear %x, %e, %w : (tensor<1x8xf32>, tensor<1x2xi32>, tensor<4x6x8xbf16>) -> tensor<1x2x6xf32>
  return
}

// -----

// An exposed value may be what keeps a fusion from its work.
func.func @f(%x: tensor<1x8xf32>) {
  // expected-error @+1 {{is left for code generation, expected only fused operations, run qwen-fuse-route first and expose no value that it fuses}}
  %0 = qwen.softmax %x : tensor<1x8xf32>
  qwen.expose %0 "probabilities" : tensor<1x8xf32>
  return
}

// -----

// What is left of a mixture is fine.
func.func @fine(%l: tensor<4x3xf32>, %x: tensor<4x2x6xf32>) {
  %v, %e = qwen.route %l : (tensor<4x3xf32>) -> (tensor<4x2xf32>, tensor<4x2xi32>)
  %o, %t = qwen.group_experts %e count 3 tile 2 : (tensor<4x2xi32>) -> (tensor<8xi32>, tensor<7x4xi32>)
  %y = qwen.weighted_sum %x, %v : (tensor<4x2x6xf32>, tensor<4x2xf32>) -> tensor<4x6xf32>
  qwen.expose %e "experts" : tensor<4x2xi32>
  return
}

// -----

func.func @f(%x: tensor<9x5x8xf32>, %t: tensor<5x3xi32>, %w: tensor<6x8x3x3xbf16>, %b: tensor<6xbf16>) {
  // expected-error @+1 {{is left for code generation, expected only fused operations, run qwen-lower-tap-convs first}}
  %0 = qwen.tap_conv %x taps %t, %w, %b : (tensor<9x5x8xf32>, tensor<5x3xi32>, tensor<6x8x3x3xbf16>, tensor<6xbf16>) -> tensor<5x3x6xf32>
  return
}
