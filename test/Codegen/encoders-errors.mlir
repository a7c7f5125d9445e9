// RUN: qwen-opt %s --convert-qwen-to-plan=target=lavapipe --split-input-file --verify-diagnostics -o /dev/null

module attributes {qwen.max_context = 96 : i64} {
  func.func @f(%x: tensor<9x4x8xf32> {qwen.binding = "tensor", qwen.name = "x"}, %t: tensor<5x3xi32> {qwen.binding = "tensor", qwen.name = "t"})
      -> (tensor<10x72xf32> {qwen.name = "y"}) attributes {qwen.role = "other", qwen.rows = 9 : i64} {
    // expected-error @+1 {{patches are read by func.return, expected only products without a prologue; run qwen-fuse-linears first}}
    %p = qwen.tap_patches %x taps %t : (tensor<9x4x8xf32>, tensor<5x3xi32>) -> tensor<10x72xf32>
    return %p : tensor<10x72xf32>
  }
}

// -----

module attributes {qwen.max_context = 96 : i64} {
  func.func @f(%x: tensor<65536x256x256xf32> {qwen.binding = "tensor", qwen.name = "x"}, %t: tensor<5x3xi32> {qwen.binding = "tensor", qwen.name = "t"})
      attributes {qwen.role = "other", qwen.rows = 9 : i64} {
    // expected-error @+1 {{convolves 'tensor<65536x256x256xf32>' into 640 places, expected fewer than 477218588 elements and places; compile for shorter media}}
    %p = qwen.tap_patches %x taps %t : (tensor<65536x256x256xf32>, tensor<5x3xi32>) -> tensor<640x2304xf32>
    return
  }
}

// -----

module attributes {qwen.max_context = 96 : i64} {
  func.func @f(%x: tensor<1x256x1xf32> {qwen.binding = "tensor", qwen.name = "x"}, %t: tensor<16777216x3xi32> {qwen.binding = "tensor", qwen.name = "t"})
      attributes {qwen.role = "other", qwen.rows = 9 : i64} {
    // expected-error @+1 {{convolves 'tensor<1x256x1xf32>' into 2147483648 places, expected fewer than 477218588 elements and places}}
    %p = qwen.tap_patches %x taps %t : (tensor<1x256x1xf32>, tensor<16777216x3xi32>) -> tensor<2147483648x9xf32>
    return
  }
}

// -----

// Sixteen queries and keys of 256 elements are more than 32 KiB.
module attributes {qwen.max_context = 96 : i64} {
  func.func @f(%x: tensor<40x3x256xf32> {qwen.binding = "tensor", qwen.name = "x"},
               %segments: tensor<40x2xi32> {qwen.binding = "tensor", qwen.name = "segments"})
      -> (tensor<40x3x256xf32> {qwen.name = "y"}) attributes {qwen.role = "other", qwen.rows = 40 : i64} {
    // expected-error @+1 {{head dim 256 does not fit the attention kernel of target lavapipe, expected a multiple of 4 whose tiles fit 32768 bytes of shared memory, choose another target}}
    %y = qwen.segment_attention %x, %x, %x segments %segments scale 0.125
        : (tensor<40x3x256xf32>, tensor<40x3x256xf32>, tensor<40x3x256xf32>, tensor<40x2xi32>) -> tensor<40x3x256xf32>
    return %y : tensor<40x3x256xf32>
  }
}
