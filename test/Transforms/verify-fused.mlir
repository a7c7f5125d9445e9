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

func.func @f(%x: tensor<1x8xf32>) {
  // expected-error @+1 {{is left for code generation, expected only fused operations, run qwen-fuse-rope-append first}}
  %0 = qwen.slice %x at 4 : tensor<1x8xf32> -> tensor<1x4xf32>
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
