// RUN: qwen-opt %s --convert-qwen-to-plan=target=lavapipe --split-input-file --verify-diagnostics -o /dev/null

module attributes {qwen.max_context = 96 : i64} {
  qwen.parameter @w : tensor<8xbf16> file 0 offset 0
  func.func @f(%x: tensor<4x2x8xf32, #qwen.rows<V>> {qwen.binding = "tensor", qwen.name = "x"}) attributes {qwen.role = "other", qwen.rows = 4 : i64} {
    %w = qwen.weight @w : tensor<8xbf16>
    // expected-error @+1 {{normalises more than rows and columns, expected a tensor of rank 2; reshape it}}
    %y = qwen.layer_norm %x, %w, %w eps 1.0e-6 : (tensor<4x2x8xf32, #qwen.rows<V>>, tensor<8xbf16>, tensor<8xbf16>) -> tensor<4x2x8xf32, #qwen.rows<V>>
    return
  }
}

// -----

module attributes {qwen.max_context = 96 : i64} {
  func.func @f(%x: tensor<4x8xf32, #qwen.rows<V>> {qwen.binding = "tensor", qwen.name = "x"}, %m: tensor<3x8xf32> {qwen.binding = "tensor", qwen.name = "m"},
               %i: tensor<4xi32, #qwen.rows<V>> {qwen.binding = "tensor", qwen.name = "i"}) attributes {qwen.role = "other", qwen.rows = 4 : i64} {
    // expected-error @+1 {{takes its index from elsewhere, expected the entry's media_rows}}
    %y = qwen.replace_rows %x, %m at %i : (tensor<4x8xf32, #qwen.rows<V>>, tensor<3x8xf32>, tensor<4xi32, #qwen.rows<V>>) -> tensor<4x8xf32, #qwen.rows<V>>
    return
  }
}

// -----

// Rows that no input counts.
module attributes {qwen.max_context = 96 : i64} {
  qwen.parameter @t : tensor<8x8xbf16> file 0 offset 0
  func.func @f(%x: tensor<4x8xf32, #qwen.rows<V>> {qwen.binding = "tensor", qwen.name = "x"}) attributes {qwen.role = "other", qwen.rows = 4 : i64} {
    %p = qwen.head_rows %x : tensor<4x8xf32, #qwen.rows<V>> -> tensor<4x8xf32, #qwen.rows<W>>
    // expected-error @-1 {{no input counts the rows of symbol W, expected one}}
    return
  }
}

// -----

module attributes {qwen.max_context = 96 : i64} {
  // expected-error @+1 {{inputs have more than 32 symbols, expected fewer}}
  func.func @f(%x0: tensor<4x8xf32, #qwen.rows<V0>> {qwen.binding = "tensor", qwen.name = "x0"}, %x1: tensor<4x8xf32, #qwen.rows<V1>> {qwen.binding = "tensor", qwen.name = "x1"}, %x2: tensor<4x8xf32, #qwen.rows<V2>> {qwen.binding = "tensor", qwen.name = "x2"}, %x3: tensor<4x8xf32, #qwen.rows<V3>> {qwen.binding = "tensor", qwen.name = "x3"}, %x4: tensor<4x8xf32, #qwen.rows<V4>> {qwen.binding = "tensor", qwen.name = "x4"}, %x5: tensor<4x8xf32, #qwen.rows<V5>> {qwen.binding = "tensor", qwen.name = "x5"}, %x6: tensor<4x8xf32, #qwen.rows<V6>> {qwen.binding = "tensor", qwen.name = "x6"}, %x7: tensor<4x8xf32, #qwen.rows<V7>> {qwen.binding = "tensor", qwen.name = "x7"}, %x8: tensor<4x8xf32, #qwen.rows<V8>> {qwen.binding = "tensor", qwen.name = "x8"}, %x9: tensor<4x8xf32, #qwen.rows<V9>> {qwen.binding = "tensor", qwen.name = "x9"}, %x10: tensor<4x8xf32, #qwen.rows<V10>> {qwen.binding = "tensor", qwen.name = "x10"}, %x11: tensor<4x8xf32, #qwen.rows<V11>> {qwen.binding = "tensor", qwen.name = "x11"}, %x12: tensor<4x8xf32, #qwen.rows<V12>> {qwen.binding = "tensor", qwen.name = "x12"}, %x13: tensor<4x8xf32, #qwen.rows<V13>> {qwen.binding = "tensor", qwen.name = "x13"}, %x14: tensor<4x8xf32, #qwen.rows<V14>> {qwen.binding = "tensor", qwen.name = "x14"}, %x15: tensor<4x8xf32, #qwen.rows<V15>> {qwen.binding = "tensor", qwen.name = "x15"}, %x16: tensor<4x8xf32, #qwen.rows<V16>> {qwen.binding = "tensor", qwen.name = "x16"}, %x17: tensor<4x8xf32, #qwen.rows<V17>> {qwen.binding = "tensor", qwen.name = "x17"}, %x18: tensor<4x8xf32, #qwen.rows<V18>> {qwen.binding = "tensor", qwen.name = "x18"}, %x19: tensor<4x8xf32, #qwen.rows<V19>> {qwen.binding = "tensor", qwen.name = "x19"}, %x20: tensor<4x8xf32, #qwen.rows<V20>> {qwen.binding = "tensor", qwen.name = "x20"}, %x21: tensor<4x8xf32, #qwen.rows<V21>> {qwen.binding = "tensor", qwen.name = "x21"}, %x22: tensor<4x8xf32, #qwen.rows<V22>> {qwen.binding = "tensor", qwen.name = "x22"}, %x23: tensor<4x8xf32, #qwen.rows<V23>> {qwen.binding = "tensor", qwen.name = "x23"}, %x24: tensor<4x8xf32, #qwen.rows<V24>> {qwen.binding = "tensor", qwen.name = "x24"}, %x25: tensor<4x8xf32, #qwen.rows<V25>> {qwen.binding = "tensor", qwen.name = "x25"}, %x26: tensor<4x8xf32, #qwen.rows<V26>> {qwen.binding = "tensor", qwen.name = "x26"}, %x27: tensor<4x8xf32, #qwen.rows<V27>> {qwen.binding = "tensor", qwen.name = "x27"}, %x28: tensor<4x8xf32, #qwen.rows<V28>> {qwen.binding = "tensor", qwen.name = "x28"}, %x29: tensor<4x8xf32, #qwen.rows<V29>> {qwen.binding = "tensor", qwen.name = "x29"}, %x30: tensor<4x8xf32, #qwen.rows<V30>> {qwen.binding = "tensor", qwen.name = "x30"}, %x31: tensor<4x8xf32, #qwen.rows<V31>> {qwen.binding = "tensor", qwen.name = "x31"}, %x32: tensor<4x8xf32, #qwen.rows<V32>> {qwen.binding = "tensor", qwen.name = "x32"}) attributes {qwen.role = "other", qwen.rows = 4 : i64} {
    return
  }
}

// -----

module attributes {qwen.max_context = 96 : i64} {
  // expected-error @+1 {{argument 0 has no known qwen.binding}}
  func.func @f(%x: tensor<4x8xf32, #qwen.rows<V>> {qwen.binding = "smell", qwen.name = "x"}) attributes {qwen.role = "other", qwen.rows = 4 : i64} {
    return
  }
}

// -----

// No kernel would write the result.
module attributes {qwen.max_context = 96 : i64} {
  // expected-error @+1 {{result 'y' is an input, expected the result of a kernel; return a computed value}}
  func.func @f(%x: tensor<4x8xf32, #qwen.rows<V>> {qwen.binding = "tensor", qwen.name = "x"}) -> (tensor<4x2x4xf32, #qwen.rows<V>> {qwen.name = "y"})
      attributes {qwen.role = "other", qwen.rows = 4 : i64} {
    %y = qwen.reshape %x : tensor<4x8xf32, #qwen.rows<V>> -> tensor<4x2x4xf32, #qwen.rows<V>>
    return %y : tensor<4x2x4xf32, #qwen.rows<V>>
  }
}
