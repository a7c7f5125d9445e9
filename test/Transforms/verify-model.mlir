// RUN: qwen-opt %s --qwen-verify-model --split-input-file --verify-diagnostics -o /dev/null
// The first module is fine.

module attributes {qwen.decoder = @decoder, qwen.head = @head} {
  qwen.parameter @embed : tensor<32x8xbf16> file 0 offset 0
  func.func @decoder(%ids: tensor<?xi32, #qwen.rows<S>>) -> tensor<?x8xf32, #qwen.rows<S>> {
    %e = qwen.weight @embed : tensor<32x8xbf16>
    %x = qwen.embedding %ids, %e : (tensor<?xi32, #qwen.rows<S>>, tensor<32x8xbf16>) -> tensor<?x8xf32, #qwen.rows<S>>
    return %x : tensor<?x8xf32, #qwen.rows<S>>
  }
  func.func @head(%h: tensor<?x8xf32, #qwen.rows<S>>) -> tensor<?x32xf32, #qwen.rows<S>> {
    %e = qwen.weight @embed : tensor<32x8xbf16>
    %l = qwen.linear %h, %e : (tensor<?x8xf32, #qwen.rows<S>>, tensor<32x8xbf16>) -> tensor<?x32xf32, #qwen.rows<S>>
    return %l : tensor<?x32xf32, #qwen.rows<S>>
  }
}

// -----

// expected-error @+1 {{module has no attribute 'qwen.decoder', expected the symbol of the function that maps ids to hidden rows}}
module {
}

// -----

// expected-error @+1 {{module has no attribute 'qwen.head', expected the symbol of the function that maps hidden rows to logits}}
module attributes {qwen.decoder = @decoder} {
  qwen.parameter @embed : tensor<32x8xbf16> file 0 offset 0
  func.func @decoder(%ids: tensor<?xi32, #qwen.rows<S>>) -> tensor<?x8xf32, #qwen.rows<S>> {
    %e = qwen.weight @embed : tensor<32x8xbf16>
    %x = qwen.embedding %ids, %e : (tensor<?xi32, #qwen.rows<S>>, tensor<32x8xbf16>) -> tensor<?x8xf32, #qwen.rows<S>>
    return %x : tensor<?x8xf32, #qwen.rows<S>>
  }
}

// -----

// expected-error @+1 {{'qwen.head' names @head, expected a function of this module}}
module attributes {qwen.decoder = @decoder, qwen.head = @head} {
  qwen.parameter @embed : tensor<32x8xbf16> file 0 offset 0
  func.func @decoder(%ids: tensor<?xi32, #qwen.rows<S>>) -> tensor<?x8xf32, #qwen.rows<S>> {
    %e = qwen.weight @embed : tensor<32x8xbf16>
    %x = qwen.embedding %ids, %e : (tensor<?xi32, #qwen.rows<S>>, tensor<32x8xbf16>) -> tensor<?x8xf32, #qwen.rows<S>>
    return %x : tensor<?x8xf32, #qwen.rows<S>>
  }
}

// -----

module attributes {qwen.decoder = @decoder, qwen.head = @decoder} {
  qwen.parameter @embed : tensor<32x8xbf16> file 0 offset 0
  // expected-error @+1 {{function is decoder and head, expected two functions}}
  func.func @decoder(%ids: tensor<?xi32, #qwen.rows<S>>) -> tensor<?x8xf32, #qwen.rows<S>> {
    %e = qwen.weight @embed : tensor<32x8xbf16>
    %x = qwen.embedding %ids, %e : (tensor<?xi32, #qwen.rows<S>>, tensor<32x8xbf16>) -> tensor<?x8xf32, #qwen.rows<S>>
    return %x : tensor<?x8xf32, #qwen.rows<S>>
  }
}

// -----

module attributes {qwen.decoder = @decoder, qwen.head = @head} {
  qwen.parameter @embed : tensor<32x8xbf16> file 0 offset 0
  func.func @decoder(%ids: tensor<?xi32, #qwen.rows<S>>) -> tensor<?x8xf32, #qwen.rows<S>> {
    %e = qwen.weight @embed : tensor<32x8xbf16>
    %x = qwen.embedding %ids, %e : (tensor<?xi32, #qwen.rows<S>>, tensor<32x8xbf16>) -> tensor<?x8xf32, #qwen.rows<S>>
    return %x : tensor<?x8xf32, #qwen.rows<S>>
  }
  // expected-error @+1 {{function has no single block, expected a body without control flow}}
  func.func private @head(tensor<?x8xf32, #qwen.rows<S>>) -> tensor<?x32xf32, #qwen.rows<S>>
}

// -----

module attributes {qwen.decoder = @decoder, qwen.head = @head} {
  qwen.parameter @embed : tensor<32x8xbf16> file 0 offset 0
  // expected-error @+1 {{function has 0 inputs and 0 results, expected one of each}}
  func.func @decoder() {
    return
  }
  func.func @head(%h: tensor<?x8xf32, #qwen.rows<S>>) -> tensor<?x32xf32, #qwen.rows<S>> {
    %e = qwen.weight @embed : tensor<32x8xbf16>
    %l = qwen.linear %h, %e : (tensor<?x8xf32, #qwen.rows<S>>, tensor<32x8xbf16>) -> tensor<?x32xf32, #qwen.rows<S>>
    return %l : tensor<?x32xf32, #qwen.rows<S>>
  }
}

// -----

module attributes {qwen.decoder = @decoder, qwen.head = @head} {
  qwen.parameter @embed : tensor<32x8xbf16> file 0 offset 0
  // expected-error @+1 {{function takes 'tensor<4xi32>', expected 'i32' of rank 1 with a rows encoding}}
  func.func @decoder(%x: tensor<4xi32>) -> tensor<4xi32> {
    return %x : tensor<4xi32>
  }
  func.func @head(%h: tensor<?x8xf32, #qwen.rows<S>>) -> tensor<?x32xf32, #qwen.rows<S>> {
    %e = qwen.weight @embed : tensor<32x8xbf16>
    %l = qwen.linear %h, %e : (tensor<?x8xf32, #qwen.rows<S>>, tensor<32x8xbf16>) -> tensor<?x32xf32, #qwen.rows<S>>
    return %l : tensor<?x32xf32, #qwen.rows<S>>
  }
}

// -----

module attributes {qwen.decoder = @decoder, qwen.head = @head} {
  qwen.parameter @embed : tensor<32x8xbf16> file 0 offset 0
  // expected-error @+1 {{function returns 'tensor<?xi32, #qwen.rows<S>>', expected f32 of rank 2 that counts the rows of the input}}
  func.func @decoder(%x: tensor<?xi32, #qwen.rows<S>>) -> tensor<?xi32, #qwen.rows<S>> {
    return %x : tensor<?xi32, #qwen.rows<S>>
  }
  func.func @head(%h: tensor<?x8xf32, #qwen.rows<S>>) -> tensor<?x32xf32, #qwen.rows<S>> {
    %e = qwen.weight @embed : tensor<32x8xbf16>
    %l = qwen.linear %h, %e : (tensor<?x8xf32, #qwen.rows<S>>, tensor<32x8xbf16>) -> tensor<?x32xf32, #qwen.rows<S>>
    return %l : tensor<?x32xf32, #qwen.rows<S>>
  }
}

// -----

module attributes {qwen.decoder = @decoder, qwen.head = @head} {
  qwen.parameter @embed : tensor<32x8xbf16> file 0 offset 0
  func.func @decoder(%ids: tensor<?xi32, #qwen.rows<S>>) -> tensor<?x8xf32, #qwen.rows<S>> {
    %e = qwen.weight @embed : tensor<32x8xbf16>
    %x = qwen.embedding %ids, %e : (tensor<?xi32, #qwen.rows<S>>, tensor<32x8xbf16>) -> tensor<?x8xf32, #qwen.rows<S>>
    return %x : tensor<?x8xf32, #qwen.rows<S>>
  }
  // expected-error @+1 {{function takes 'tensor<?x9xf32, #qwen.rows<S>>', expected hidden rows as the decoder returns them: 'tensor<?x8xf32, #qwen.rows<S>>'}}
  func.func @head(%h: tensor<?x9xf32, #qwen.rows<S>>) -> tensor<?x32xf32, #qwen.rows<S>> {
    %e = qwen.weight @other : tensor<32x9xbf16>
    %l = qwen.linear %h, %e : (tensor<?x9xf32, #qwen.rows<S>>, tensor<32x9xbf16>) -> tensor<?x32xf32, #qwen.rows<S>>
    return %l : tensor<?x32xf32, #qwen.rows<S>>
  }
  qwen.parameter @other : tensor<32x9xbf16> file 0 offset 512
}

// -----

module attributes {qwen.decoder = @decoder, qwen.head = @head} {
  qwen.parameter @embed : tensor<32x8xbf16> file 0 offset 0
  func.func @decoder(%ids: tensor<?xi32, #qwen.rows<S>>) -> tensor<?x8xf32, #qwen.rows<S>> {
    %e = qwen.weight @embed : tensor<32x8xbf16>
    %x = qwen.embedding %ids, %e : (tensor<?xi32, #qwen.rows<S>>, tensor<32x8xbf16>) -> tensor<?x8xf32, #qwen.rows<S>>
    return %x : tensor<?x8xf32, #qwen.rows<S>>
  }
  func.func @head(%h: tensor<?x8xf32, #qwen.rows<S>>) -> tensor<?x32xf32, #qwen.rows<S>> {
    %e = qwen.weight @embed : tensor<32x8xbf16>
    %l = qwen.linear %h, %e : (tensor<?x8xf32, #qwen.rows<S>>, tensor<32x8xbf16>) -> tensor<?x32xf32, #qwen.rows<S>>
    return %l : tensor<?x32xf32, #qwen.rows<S>>
  }
  // expected-error @+1 {{argument 0 has type 'tensor<?x8xf32>', expected a tensor with a static shape or counted rows}}
  func.func @other(%x: tensor<?x8xf32> {qwen.name = "x"}) {
    return
  }
}

// -----

module {
  // expected-error @+1 {{argument 0 has no 'qwen.name', expected a name for callers}}
  func.func @other(%x: tensor<4x8xf32>) {
    return
  }
}

// -----

module {
  // expected-error @+1 {{result 0 has no 'qwen.name', expected a name for callers}}
  func.func @other(%x: tensor<4x8xf32> {qwen.name = "x"}) -> tensor<4x8xf32> {
    return %x : tensor<4x8xf32>
  }
}

// -----

module attributes {qwen.decoder = @decoder, qwen.head = @head} {
  qwen.parameter @embed : tensor<32x8xbf16> file 0 offset 0
  // expected-error @+1 {{argument 1 has no known 'qwen.binding', expected "positions", "media_rows" or "media" on counted rows with a 'qwen.name'}}
  func.func @decoder(%ids: tensor<?xi32, #qwen.rows<S>>, %p: tensor<?x3xf32, #qwen.rows<S>> {qwen.name = "positions"}) -> tensor<?x8xf32, #qwen.rows<S>> {
    %t = qwen.weight @embed : tensor<32x8xbf16>
    %e = qwen.embedding %ids, %t : (tensor<?xi32, #qwen.rows<S>>, tensor<32x8xbf16>) -> tensor<?x8xf32, #qwen.rows<S>>
    return %e : tensor<?x8xf32, #qwen.rows<S>>
  }
  func.func @head(%h: tensor<?x8xf32, #qwen.rows<S>>) -> tensor<?x8xf32, #qwen.rows<S>> {
    return %h : tensor<?x8xf32, #qwen.rows<S>>
  }
}

// -----

module attributes {qwen.decoder = @decoder, qwen.head = @head} {
  qwen.parameter @embed : tensor<32x8xbf16> file 0 offset 0
  func.func @decoder(%ids: tensor<?xi32, #qwen.rows<S>>) -> tensor<?x8xf32, #qwen.rows<S>> {
    %e = qwen.weight @embed : tensor<32x8xbf16>
    %x = qwen.embedding %ids, %e : (tensor<?xi32, #qwen.rows<S>>, tensor<32x8xbf16>) -> tensor<?x8xf32, #qwen.rows<S>>
    return %x : tensor<?x8xf32, #qwen.rows<S>>
  }
  func.func @head(%h: tensor<?x8xf32, #qwen.rows<S>>) -> tensor<?x32xf32, #qwen.rows<S>> {
    %e = qwen.weight @embed : tensor<32x8xbf16>
    %l = qwen.linear %h, %e : (tensor<?x8xf32, #qwen.rows<S>>, tensor<32x8xbf16>) -> tensor<?x32xf32, #qwen.rows<S>>
    return %l : tensor<?x32xf32, #qwen.rows<S>>
  }
  func.func @other(%x: tensor<4x8xf32>) {
    // expected-error @+1 {{is not an operation of a model, expected only primitive operations of the qwen dialect}}
    %0 = qwen.slice %x at 0 : tensor<4x8xf32> -> tensor<4x4xf32>
    return
  }
}
