// RUN: qwen-opt %s --qwen-specialize-entries="context=128 chunk=16 logits-rows=4" --split-input-file --verify-diagnostics | FileCheck %s

// Media are inputs of prefill alone: sampled tokens are text. Other functions become entries with the extents of their symbols.
// CHECK: module attributes {qwen.max_context = 128 : i64} {
module attributes {qwen.decoder = @decoder, qwen.head = @head, qwen.symbols = {M = 512 : i64, S = 512 : i64, V = 6 : i64}} {
  qwen.parameter @embed : tensor<32x8xbf16> file 0 offset 0

  // CHECK-LABEL: func.func @prefill
  // CHECK-SAME: %[[IDS:.*]]: tensor<16xi32, #qwen.rows<S>> {qwen.binding = "tokens"}, %[[P:.*]]: tensor<16x3xf32, #qwen.rows<S>> {qwen.binding = "positions"},
  // CHECK-SAME: %[[I:.*]]: tensor<16xi32, #qwen.rows<S>> {qwen.binding = "media_rows"}, %[[M:.*]]: tensor<128x8xf32> {qwen.binding = "media", qwen.name = "media"})
  // CHECK: %[[E:.*]] = qwen.embedding
  // CHECK-NEXT: %[[R:.*]] = qwen.replace_rows %[[E]], %[[M]] at %[[I]]
  // CHECK-NEXT: %[[H:.*]] = qwen.reshape %[[R]]
  // CHECK-NEXT: qwen.mrope %[[H]], %[[P]]
  // CHECK: qwen.add_rows

  // CHECK-LABEL: func.func @decode_greedy
  // CHECK-SAME: %[[IDS:.*]]: tensor<1xi32> {qwen.binding = "tokens"}, %[[P:.*]]: tensor<1x3xf32> {qwen.binding = "positions"})
  // CHECK: %[[E:.*]] = qwen.embedding
  // CHECK-NEXT: %[[H:.*]] = qwen.reshape %[[E]]
  // CHECK-NEXT: %[[T:.*]] = qwen.mrope %[[H]], %[[P]]
  // CHECK-NEXT: %[[F:.*]] = qwen.reshape %[[T]]
  // CHECK-NOT: _rows
  // CHECK: qwen.linear %[[F]]
  func.func @decoder(%ids: tensor<?xi32, #qwen.rows<S>>, %positions: tensor<?x3xf32, #qwen.rows<S>> {qwen.binding = "positions", qwen.name = "positions"},
                     %index: tensor<?xi32, #qwen.rows<S>> {qwen.binding = "media_rows", qwen.name = "media_rows"},
                     %media: tensor<?x8xf32, #qwen.rows<M>> {qwen.binding = "media", qwen.name = "media"}) -> tensor<?x8xf32, #qwen.rows<S>> {
    %e = qwen.weight @embed : tensor<32x8xbf16>
    %x = qwen.embedding %ids, %e : (tensor<?xi32, #qwen.rows<S>>, tensor<32x8xbf16>) -> tensor<?x8xf32, #qwen.rows<S>>
    %r = qwen.replace_rows %x, %media at %index
        : (tensor<?x8xf32, #qwen.rows<S>>, tensor<?x8xf32, #qwen.rows<M>>, tensor<?xi32, #qwen.rows<S>>) -> tensor<?x8xf32, #qwen.rows<S>>
    %h = qwen.reshape %r : tensor<?x8xf32, #qwen.rows<S>> -> tensor<?x1x8xf32, #qwen.rows<S>>
    %t = qwen.mrope %h, %positions theta 1.0e4 sections [2, 1, 1]
        : (tensor<?x1x8xf32, #qwen.rows<S>>, tensor<?x3xf32, #qwen.rows<S>>) -> tensor<?x1x8xf32, #qwen.rows<S>>
    %f = qwen.reshape %t : tensor<?x1x8xf32, #qwen.rows<S>> -> tensor<?x8xf32, #qwen.rows<S>>
    %d = qwen.add_rows %f, %media at %index
        : (tensor<?x8xf32, #qwen.rows<S>>, tensor<?x8xf32, #qwen.rows<M>>, tensor<?xi32, #qwen.rows<S>>) -> tensor<?x8xf32, #qwen.rows<S>>
    return %d : tensor<?x8xf32, #qwen.rows<S>>
  }
  func.func @head(%h: tensor<?x8xf32, #qwen.rows<S>>) -> tensor<?x32xf32, #qwen.rows<S>> {
    %e = qwen.weight @embed : tensor<32x8xbf16>
    %l = qwen.linear %h, %e : (tensor<?x8xf32, #qwen.rows<S>>, tensor<32x8xbf16>) -> tensor<?x32xf32, #qwen.rows<S>>
    return %l : tensor<?x32xf32, #qwen.rows<S>>
  }

  // CHECK-LABEL: func.func @encoder
  // CHECK-SAME: (%[[X:.*]]: tensor<24x8xf32, #qwen.rows<V * 4>> {qwen.binding = "tensor", qwen.name = "patches"})
  // CHECK-SAME: -> (tensor<6x32xf32, #qwen.rows<V>> {qwen.name = "rows"}) attributes {qwen.role = "other", qwen.rows = 6 : i64}
  // CHECK-NEXT: qwen.gelu tanh %[[X]] : tensor<24x8xf32, #qwen.rows<V * 4>>
  // CHECK-NEXT: qwen.reshape %{{.*}} : tensor<24x8xf32, #qwen.rows<V * 4>> -> tensor<6x32xf32, #qwen.rows<V>>
  func.func @encoder(%x: tensor<?x8xf32, #qwen.rows<V * 4>> {qwen.name = "patches"}) -> (tensor<?x32xf32, #qwen.rows<V>> {qwen.name = "rows"}) {
    %g = qwen.gelu tanh %x : tensor<?x8xf32, #qwen.rows<V * 4>>
    %y = qwen.reshape %g : tensor<?x8xf32, #qwen.rows<V * 4>> -> tensor<?x32xf32, #qwen.rows<V>>
    return %y : tensor<?x32xf32, #qwen.rows<V>>
  }
}

// -----

// A module of encoders alone has no text generator.
// CHECK: module attributes {qwen.max_context = 128 : i64} {
// CHECK-NEXT: func.func @alone
module attributes {qwen.symbols = {V = 6 : i64}} {
  func.func @alone(%x: tensor<?x8xf32, #qwen.rows<V>> {qwen.name = "x"}) -> (tensor<?x8xf32, #qwen.rows<V>> {qwen.name = "y"}) {
    %y = qwen.silu %x : tensor<?x8xf32, #qwen.rows<V>>
    return %y : tensor<?x8xf32, #qwen.rows<V>>
  }
}

// -----

module {
  // expected-error @+1 {{module has no 'qwen.symbols' for #qwen.rows<V>, expected the greatest extent of each symbol}}
  func.func @alone(%x: tensor<?x8xf32, #qwen.rows<V>> {qwen.name = "x"}) -> (tensor<?x8xf32, #qwen.rows<V>> {qwen.name = "y"}) {
    %y = qwen.silu %x : tensor<?x8xf32, #qwen.rows<V>>
    return %y : tensor<?x8xf32, #qwen.rows<V>>
  }
}

// -----

module attributes {qwen.decoder = @decoder, qwen.head = @head, qwen.symbols = {M = 512 : i64, S = 512 : i64}} {
  func.func @decoder(%ids: tensor<?xi32, #qwen.rows<S>>, %index: tensor<?xi32, #qwen.rows<S>> {qwen.binding = "media_rows", qwen.name = "media_rows"})
      -> tensor<?x8xf32, #qwen.rows<S>> {
    %w = qwen.weight @embed : tensor<32x8xbf16>
    // expected-error @+1 {{reads media in decode, expected that only qwen.replace_rows and qwen.add_rows do}}
    %x = qwen.embedding %index, %w : (tensor<?xi32, #qwen.rows<S>>, tensor<32x8xbf16>) -> tensor<?x8xf32, #qwen.rows<S>>
    return %x : tensor<?x8xf32, #qwen.rows<S>>
  }
  qwen.parameter @embed : tensor<32x8xbf16> file 0 offset 0
  func.func @head(%h: tensor<?x8xf32, #qwen.rows<S>>) -> tensor<?x32xf32, #qwen.rows<S>> {
    %e = qwen.weight @embed : tensor<32x8xbf16>
    %l = qwen.linear %h, %e : (tensor<?x8xf32, #qwen.rows<S>>, tensor<32x8xbf16>) -> tensor<?x32xf32, #qwen.rows<S>>
    return %l : tensor<?x32xf32, #qwen.rows<S>>
  }
}

// -----

// Positions of other rows than those of the ids.
module attributes {qwen.decoder = @decoder, qwen.head = @head, qwen.symbols = {S = 512 : i64, T = 512 : i64}} {
  qwen.parameter @embed : tensor<32x8xbf16> file 0 offset 0
  // expected-error @+1 {{argument 1 has type 'tensor<?x3xf32, #qwen.rows<T>>', expected rows counted by S}}
  func.func @decoder(%ids: tensor<?xi32, #qwen.rows<S>>, %positions: tensor<?x3xf32, #qwen.rows<T>> {qwen.binding = "positions", qwen.name = "positions"})
      -> tensor<?x8xf32, #qwen.rows<S>> {
    %w = qwen.weight @embed : tensor<32x8xbf16>
    %x = qwen.embedding %ids, %w : (tensor<?xi32, #qwen.rows<S>>, tensor<32x8xbf16>) -> tensor<?x8xf32, #qwen.rows<S>>
    return %x : tensor<?x8xf32, #qwen.rows<S>>
  }
  func.func @head(%h: tensor<?x8xf32, #qwen.rows<S>>) -> tensor<?x32xf32, #qwen.rows<S>> {
    %e = qwen.weight @embed : tensor<32x8xbf16>
    %l = qwen.linear %h, %e : (tensor<?x8xf32, #qwen.rows<S>>, tensor<32x8xbf16>) -> tensor<?x32xf32, #qwen.rows<S>>
    return %l : tensor<?x32xf32, #qwen.rows<S>>
  }
}

// -----

// Media whose number nobody bounds.
module attributes {qwen.decoder = @decoder, qwen.head = @head, qwen.symbols = {M = 0 : i64, S = 512 : i64}} {
  qwen.parameter @embed : tensor<32x8xbf16> file 0 offset 0
  // expected-error @+1 {{module has no 'qwen.symbols' for #qwen.rows<M>, expected the greatest extent of each symbol}}
  func.func @decoder(%ids: tensor<?xi32, #qwen.rows<S>>, %media: tensor<?x8xf32, #qwen.rows<M>> {qwen.binding = "media", qwen.name = "media"})
      -> tensor<?x8xf32, #qwen.rows<S>> {
    %w = qwen.weight @embed : tensor<32x8xbf16>
    %x = qwen.embedding %ids, %w : (tensor<?xi32, #qwen.rows<S>>, tensor<32x8xbf16>) -> tensor<?x8xf32, #qwen.rows<S>>
    return %x : tensor<?x8xf32, #qwen.rows<S>>
  }
  func.func @head(%h: tensor<?x8xf32, #qwen.rows<S>>) -> tensor<?x32xf32, #qwen.rows<S>> {
    %e = qwen.weight @embed : tensor<32x8xbf16>
    %l = qwen.linear %h, %e : (tensor<?x8xf32, #qwen.rows<S>>, tensor<32x8xbf16>) -> tensor<?x32xf32, #qwen.rows<S>>
    return %l : tensor<?x32xf32, #qwen.rows<S>>
  }
}

// -----

// A result with rows that no input counts.
module attributes {qwen.symbols = {V = 6 : i64}} {
  func.func @encoder(%x: tensor<?x8xf32, #qwen.rows<V>> {qwen.name = "x"}) -> (tensor<?xi32, #qwen.rows<W>> {qwen.name = "y"}) {
    // expected-error @+1 {{has type 'tensor<?xi32, #qwen.rows<W>>', expected rows counted by a symbol of the inputs or a static shape}}
    %y = qwen.position_ids : tensor<?xi32, #qwen.rows<W>>
    return %y : tensor<?xi32, #qwen.rows<W>>
  }
}

// -----

// Factors beyond the numbers of types end in a type that verify-entries refuses, not in a wrong product.
// CHECK-LABEL: func.func @wide
// CHECK-SAME: tensor<9223372036854775804x8xf32
module attributes {qwen.symbols = {V = 9223372036854775807 : i64}} {
  func.func @wide(%x: tensor<?x8xf32, #qwen.rows<V * 4>> {qwen.name = "x"}) -> (tensor<?x8xf32, #qwen.rows<V * 4>> {qwen.name = "y"}) {
    %y = qwen.silu %x : tensor<?x8xf32, #qwen.rows<V * 4>>
    return %y : tensor<?x8xf32, #qwen.rows<V * 4>>
  }
}
