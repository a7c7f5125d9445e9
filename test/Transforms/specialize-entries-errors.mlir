// RUN: qwen-opt %s --qwen-specialize-entries=context=128 --split-input-file --verify-diagnostics -o /dev/null
// RUN: not qwen-opt %s --split-input-file --qwen-specialize-entries=context=0 2>&1 | FileCheck %s --check-prefix=CONTEXT
// RUN: not qwen-opt %s --split-input-file --qwen-specialize-entries=chunk=-1 2>&1 | FileCheck %s --check-prefix=CHUNK
// RUN: not qwen-opt %s --split-input-file --qwen-specialize-entries=logits-rows=4294967296 2>&1 | FileCheck %s --check-prefix=ROWS
// RUN: not qwen-opt %s --split-input-file --qwen-specialize-entries=kv-format=f8 2>&1 | FileCheck %s --check-prefix=FORMAT

// CONTEXT: error: context is 0, expected 1 to 2147483647
// CHUNK: error: chunk is -1, expected 1 to 2147483647
// ROWS: error: logits-rows is 4294967296, expected 1 to 2147483647
// FORMAT: error: kv-format is 'f8', expected f32, f16 or bf16
module attributes {qwen.decoder = @decoder, qwen.head = @head} {
  qwen.parameter @embed : tensor<32x8xbf16> file 0 offset 0
  // expected-error @+1 {{holds 64 positions, expected a symbol or the context 128}}
  qwen.state @k : tensor<64x1x8xf32>
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

module attributes {qwen.decoder = @decoder, qwen.head = @head} {
  qwen.parameter @embed : tensor<32x8xbf16> file 0 offset 0
  func.func @decoder(%ids: tensor<?xi32, #qwen.rows<S>>) -> tensor<?x8xf32, #qwen.rows<S>> {
    %e = qwen.weight @embed : tensor<32x8xbf16>
    %x = qwen.embedding %ids, %e : (tensor<?xi32, #qwen.rows<S>>, tensor<32x8xbf16>) -> tensor<?x8xf32, #qwen.rows<S>>
    // expected-error @+1 {{has type 'tensor<?xi32, #qwen.rows<T>>', expected rows counted by a symbol of the inputs or a static shape}}
    %p = qwen.position_ids : tensor<?xi32, #qwen.rows<T>>
    return %x : tensor<?x8xf32, #qwen.rows<S>>
  }
  func.func @head(%h: tensor<?x8xf32, #qwen.rows<S>>) -> tensor<?x32xf32, #qwen.rows<S>> {
    %e = qwen.weight @embed : tensor<32x8xbf16>
    %l = qwen.linear %h, %e : (tensor<?x8xf32, #qwen.rows<S>>, tensor<32x8xbf16>) -> tensor<?x32xf32, #qwen.rows<S>>
    return %l : tensor<?x32xf32, #qwen.rows<S>>
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
