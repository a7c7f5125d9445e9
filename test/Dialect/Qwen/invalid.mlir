// RUN: qwen-opt %s --split-input-file --verify-diagnostics
// One broken use for each labelled constraint of dialects/qwen/README.md.

// (C1)
// expected-error @+1 {{has type 'tensor<?x8xbf16>', expected a static shape of rank 1 or more without rows encoding}}
qwen.parameter @w : tensor<?x8xbf16> file 0 offset 0

// -----

// (C1)
// expected-error @+1 {{lies in file -1 at offset 0, expected both at least 0}}
qwen.parameter @w : tensor<8xbf16> file -1 offset 0

// -----

// (C1)
func.func @f() {
  // expected-error @+1 {{@w names no qwen.parameter, expected one in this module}}
  %w = qwen.weight @w : tensor<8xbf16>
  return
}

// -----

// (C1)
qwen.parameter @w : tensor<8xbf16> file 0 offset 0
func.func @f() {
  // expected-error @+1 {{has type 'tensor<4xbf16>', expected 'tensor<8xbf16>' as @w has}}
  %w = qwen.weight @w : tensor<4xbf16>
  return
}

// -----

// (C2)
// expected-error @+1 {{has type 'tensor<16x?xf32>', expected that only dimension 0 is dynamic}}
qwen.state @k : tensor<16x?xf32>

// -----

// (C2)
// expected-error @+1 {{has type 'tensor<f32>', expected positions in dimension 0 and no rows encoding}}
qwen.state @k : tensor<f32>

// -----

// (C2)
qwen.parameter @k : tensor<8xbf16> file 0 offset 0
func.func @f() {
  // expected-error @+1 {{@k names no qwen.state, expected one in this module}}
  %w = qwen.read_state @k : tensor<8xbf16>
  return
}

// -----

// (C2)
qwen.state @k : tensor<16x2x4xf32>
func.func @f() {
  // expected-error @+1 {{has type 'tensor<16x2x4xf16>', expected 'tensor<16x2x4xf32>' as @k has}}
  %w = qwen.read_state @k : tensor<16x2x4xf16>
  return
}

// -----

// (C3)
func.func @f(%x: tensor<4x8xf32>, %w: tensor<16x8xbf16>) {
  // expected-error @+1 {{dimension 0 of result is 5, expected 4}}
  %0 = qwen.linear %x, %w : (tensor<4x8xf32>, tensor<16x8xbf16>) -> tensor<5x16xf32>
  return
}

// -----

// (C3)
func.func @f(%x: tensor<4x8xf32, #qwen.rows<S>>, %w: tensor<16x8xbf16>) {
  // expected-error @+1 {{result counts other rows than the input, expected the same rows encoding}}
  %0 = qwen.linear %x, %w : (tensor<4x8xf32, #qwen.rows<S>>, tensor<16x8xbf16>) -> tensor<4x16xf32, #qwen.rows<R>>
  return
}

// -----

// (C3)
func.func @f(%x: tensor<?x8xf32, #qwen.rows<S>>, %w: tensor<16x8xbf16>) {
  // expected-error @+1 {{dimension 0 of result is 4, expected ?}}
  %0 = qwen.linear %x, %w : (tensor<?x8xf32, #qwen.rows<S>>, tensor<16x8xbf16>) -> tensor<4x16xf32, #qwen.rows<S>>
  return
}

// -----

// (C3)
func.func @f(%x: tensor<1x1xf32>) {
  // expected-error @+1 {{result has rank 0, expected rows in dimension 0}}
  %0 = qwen.reshape %x : tensor<1x1xf32> -> tensor<f32>
  return
}

// -----

// (C4)
func.func @f(%x: tensor<4x8xf32>, %w: tensor<?x8xbf16>) {
  // expected-error @+1 {{weight has type 'tensor<?x8xbf16>', expected a static shape without encoding}}
  %0 = qwen.linear %x, %w : (tensor<4x8xf32>, tensor<?x8xbf16>) -> tensor<4x?xf32>
  return
}

// -----

// (C5)
func.func @f(%ids: tensor<4x1x1xi32>, %t: tensor<32x8xbf16>) {
  // expected-error @+1 {{ids has rank 3, expected rows or rows and columns}}
  %0 = qwen.embedding %ids, %t : (tensor<4x1x1xi32>, tensor<32x8xbf16>) -> tensor<4x8xf32>
  return
}

// -----

// (C5)
func.func @f(%ids: tensor<4x2xi32>, %t: tensor<32x8xbf16>) {
  // expected-error @+1 {{dimension 1 of result is 3, expected 2}}
  %0 = qwen.embedding %ids, %t : (tensor<4x2xi32>, tensor<32x8xbf16>) -> tensor<4x3x8xf32>
  return
}

// -----

// (C5)
func.func @f(%ids: tensor<4xi32>, %t: tensor<32xbf16>) {
  // expected-error @+1 {{table has rank 1, expected 2}}
  %0 = qwen.embedding %ids, %t : (tensor<4xi32>, tensor<32xbf16>) -> tensor<4x8xf32>
  return
}

// -----

// (C5)
func.func @f(%ids: tensor<4xi32>, %t: tensor<32x8xbf16>) {
  // expected-error @+1 {{dimension 1 of result is 9, expected 8}}
  %0 = qwen.embedding %ids, %t : (tensor<4xi32>, tensor<32x8xbf16>) -> tensor<4x9xf32>
  return
}

// -----

// (C5) several rows
func.func @f(%ids: tensor<4xi32> {qwen.binding = "tokens"}, %t: tensor<32x8xbf16>, %w: tensor<16x8xbf16>, %n: tensor<8xbf16>) {
  // expected-error @+1 {{is joined to no product, expected that a qwen.fused_linear with rms_norm is the first to read one row of the entry's tokens}}
  %0 = qwen.embedding %ids, %t joined : (tensor<4xi32>, tensor<32x8xbf16>) -> tensor<4x8xf32>
  %y = qwen.fused_linear none concat %0 weights(%w) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<4x8xf32>, tensor<16x8xbf16>) -> tensor<4x16xf32>
  return
}

// -----

// (C5) ids of callers
func.func @f(%ids: tensor<1xi32>, %t: tensor<32x8xbf16>, %w: tensor<16x8xbf16>, %n: tensor<8xbf16>) {
  // expected-error @+1 {{is joined to no product, expected that a qwen.fused_linear with rms_norm is the first to read one row of the entry's tokens}}
  %0 = qwen.embedding %ids, %t joined : (tensor<1xi32>, tensor<32x8xbf16>) -> tensor<1x8xf32>
  %y = qwen.fused_linear rms_norm concat %0 weights(%w) norm(%n eps 1.0e-6) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<1x8xf32>, tensor<16x8xbf16>, tensor<8xbf16>) -> tensor<1x16xf32>
  return
}

// -----

// (C5) a product that takes the row as it is
func.func @f(%ids: tensor<1xi32> {qwen.binding = "tokens"}, %t: tensor<32x8xbf16>, %w: tensor<16x8xbf16>, %n: tensor<8xbf16>) {
  // expected-error @+1 {{is joined to no product, expected that a qwen.fused_linear with rms_norm is the first to read one row of the entry's tokens}}
  %0 = qwen.embedding %ids, %t joined : (tensor<1xi32>, tensor<32x8xbf16>) -> tensor<1x8xf32>
  %y = qwen.fused_linear none concat %0 weights(%w) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<1x8xf32>, tensor<16x8xbf16>) -> tensor<1x16xf32>
  return
}

// -----

// (C5) a reader before the product
func.func @f(%ids: tensor<1xi32> {qwen.binding = "tokens"}, %t: tensor<32x8xbf16>, %w: tensor<16x8xbf16>, %n: tensor<8xbf16>) {
  // expected-error @+1 {{is joined to no product, expected that a qwen.fused_linear with rms_norm is the first to read one row of the entry's tokens}}
  %0 = qwen.embedding %ids, %t joined : (tensor<1xi32>, tensor<32x8xbf16>) -> tensor<1x8xf32>
  qwen.expose %0 "row" : tensor<1x8xf32>
  %y = qwen.fused_linear rms_norm concat %0 weights(%w) norm(%n eps 1.0e-6) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<1x8xf32>, tensor<16x8xbf16>, tensor<8xbf16>) -> tensor<1x16xf32>
  return
}

// -----

// (C6)
func.func @f(%x: tensor<4x8xf32>, %w: tensor<4xbf16>) {
  // expected-error @+1 {{dimension 0 of weight is 4, expected 8}}
  %0 = qwen.rms_norm %x, %w eps 0.1 : (tensor<4x8xf32>, tensor<4xbf16>) -> tensor<4x8xf32>
  return
}

// -----

// (C6)
func.func @f(%x: tensor<8xf32>, %w: tensor<8xbf16>) {
  // expected-error @+1 {{input has rank 1, expected rows and columns}}
  %0 = qwen.rms_norm %x, %w eps 0.1 : (tensor<8xf32>, tensor<8xbf16>) -> tensor<8xf32>
  return
}

// -----

// (C6)
func.func @f(%x: tensor<4x8xf32>, %w: tensor<8xbf16>) {
  // expected-error @+1 {{eps is -1.000000e-01, expected a finite number of at least 0}}
  %0 = qwen.rms_norm %x, %w eps -0.1 : (tensor<4x8xf32>, tensor<8xbf16>) -> tensor<4x8xf32>
  return
}

// -----

// (C6)
func.func @f(%x: tensor<4x8xf32>, %w: tensor<8xbf16>) {
  // expected-error @+1 {{result has type 'tensor<4x9xf32>', expected the shape of the input 'tensor<4x8xf32>'}}
  %0 = qwen.rms_norm %x, %w eps 0.1 : (tensor<4x8xf32>, tensor<8xbf16>) -> tensor<4x9xf32>
  return
}

// -----

// (C7)
func.func @f(%x: tensor<4x2x8xf32>, %w: tensor<16x8xbf16>) {
  // expected-error @+1 {{input has rank 3, expected 2}}
  %0 = qwen.linear %x, %w : (tensor<4x2x8xf32>, tensor<16x8xbf16>) -> tensor<4x16xf32>
  return
}

// -----

// (C7)
func.func @f(%x: tensor<4x8xf32>, %w: tensor<16x9xbf16>) {
  // expected-error @+1 {{dimension 1 of weight is 9, expected 8}}
  %0 = qwen.linear %x, %w : (tensor<4x8xf32>, tensor<16x9xbf16>) -> tensor<4x16xf32>
  return
}

// -----

// (C7)
func.func @f(%x: tensor<4x8xf32>, %w: tensor<16x8xbf16>, %b: tensor<15xbf16>) {
  // expected-error @+1 {{dimension 0 of bias is 15, expected 16}}
  %0 = qwen.linear %x, %w, %b : (tensor<4x8xf32>, tensor<16x8xbf16>, tensor<15xbf16>) -> tensor<4x16xf32>
  return
}

// -----

// (C8)
func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{turns 8 elements of a row into 6, expected the same number}}
  %0 = qwen.reshape %x : tensor<4x8xf32> -> tensor<4x2x3xf32>
  return
}

// -----

// (C8)
func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{dimension 0 of result is 8, expected 4}}
  %0 = qwen.reshape %x : tensor<4x8xf32> -> tensor<8x4xf32>
  return
}

// -----

// (C8)
func.func @f(%x: tensor<4x?xf32>) {
  // expected-error @+1 {{expected static sizes behind dimension 0}}
  %0 = qwen.reshape %x : tensor<4x?xf32> -> tensor<4x2x?xf32>
  return
}

// -----

// (C8)
func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{result has type 'tensor<4x2x4xbf16>', expected the element type of the input 'tensor<4x8xf32>'}}
  %0 = qwen.reshape %x : tensor<4x8xf32> -> tensor<4x2x4xbf16>
  return
}

// -----

// (C8)
func.func @f(%x: tensor<f32>) {
  // expected-error @+1 {{input has rank 0, expected rows in dimension 0}}
  %0 = qwen.reshape %x : tensor<f32> -> tensor<1xf32>
  return
}

// -----

// (C9)
func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{takes 4 columns at 5, expected them within the 8 columns of the input}}
  %0 = qwen.slice %x at 5 : tensor<4x8xf32> -> tensor<4x4xf32>
  return
}

// -----

// (C9)
func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{takes 4 columns at -1, expected them within the 8 columns of the input}}
  %0 = qwen.slice %x at -1 : tensor<4x8xf32> -> tensor<4x4xf32>
  return
}

// -----

// (C9)
func.func @f(%x: tensor<4x?xf32>) {
  // expected-error @+1 {{expected a static number of columns}}
  %0 = qwen.slice %x at 0 : tensor<4x?xf32> -> tensor<4x4xf32>
  return
}

// -----

// (C9)
func.func @f(%x: tensor<4x8xbf16>) {
  // expected-error @+1 {{result has type 'tensor<4x4xf32>', expected the element type of the input 'tensor<4x8xbf16>', or 16 bits of f32}}
  %0 = qwen.slice %x at 0 : tensor<4x8xbf16> -> tensor<4x4xf32>
  return
}

// -----

// (C10)
func.func @f(%x: tensor<4x2x3xf32>, %p: tensor<4xi32>) {
  // expected-error @+1 {{rotates 'tensor<4x2x3xf32>', expected an even, static last dimension}}
  %0 = qwen.rope %x, %p theta 1.0 : (tensor<4x2x3xf32>, tensor<4xi32>) -> tensor<4x2x3xf32>
  return
}

// -----

// (C10)
func.func @f(%x: tensor<4x2x4xf32>, %p: tensor<5xi32>) {
  // expected-error @+1 {{dimension 0 of positions is 5, expected 4}}
  %0 = qwen.rope %x, %p theta 1.0 : (tensor<4x2x4xf32>, tensor<5xi32>) -> tensor<4x2x4xf32>
  return
}

// -----

// (C10)
func.func @f(%x: tensor<4x2x4xf32>, %p: tensor<4xi32>) {
  // expected-error @+1 {{theta is 0.000000e+00, expected a positive finite number}}
  %0 = qwen.rope %x, %p theta 0.0 : (tensor<4x2x4xf32>, tensor<4xi32>) -> tensor<4x2x4xf32>
  return
}

// -----

// (C10)
func.func @f(%x: tensor<4x2x4xf32>, %p: tensor<4xi32>) {
  // expected-error @+1 {{result has type 'tensor<4x4x2xf32>', expected the shape of the input 'tensor<4x2x4xf32>'}}
  %0 = qwen.rope %x, %p theta 1.0 : (tensor<4x2x4xf32>, tensor<4xi32>) -> tensor<4x4x2xf32>
  return
}

// -----

// (C11)
func.func @f(%c: tensor<16x2x4xf32>, %x: tensor<4x3x4xf32>) {
  // expected-error @+1 {{dimension 1 of rows is 3, expected 2}}
  %0 = qwen.kv_append %c, %x : (tensor<16x2x4xf32>, tensor<4x3x4xf32>) -> tensor<16x2x4xf32>
  return
}

// -----

// (C11)
func.func @f(%c: tensor<16x2x4xf32>, %x: tensor<4x2x6xf32>) {
  // expected-error @+1 {{dimension 2 of rows is 6, expected 4}}
  %0 = qwen.kv_append %c, %x : (tensor<16x2x4xf32>, tensor<4x2x6xf32>) -> tensor<16x2x4xf32>
  return
}

// -----

// (C11)
func.func @f(%c: tensor<16x2x4xf32>, %x: tensor<4x2x4xf32>) {
  // expected-error @+1 {{result has type 'tensor<20x2x4xf32>', expected 'tensor<16x2x4xf32>' as the cache has}}
  %0 = qwen.kv_append %c, %x : (tensor<16x2x4xf32>, tensor<4x2x4xf32>) -> tensor<20x2x4xf32>
  return
}

// -----

// (C12)
func.func @f(%q: tensor<4x3x4xf32>, %k: tensor<16x2x4xf32>) {
  // expected-error @+1 {{has 3 query heads over 2 key heads, expected a static multiple of them}}
  %0 = qwen.attention %q, %k, %k scale 0.5 causal : (tensor<4x3x4xf32>, tensor<16x2x4xf32>, tensor<16x2x4xf32>) -> tensor<4x3x4xf32>
  return
}

// -----

// (C12)
func.func @f(%q: tensor<4x4x4xf32>, %k: tensor<16x2x4xf32>, %v: tensor<16x2x4xf16>) {
  // expected-error @+1 {{values have type 'tensor<16x2x4xf16>', expected 'tensor<16x2x4xf32>' as the keys have}}
  %0 = qwen.attention %q, %k, %v scale 0.5 causal : (tensor<4x4x4xf32>, tensor<16x2x4xf32>, tensor<16x2x4xf16>) -> tensor<4x4x4xf32>
  return
}

// -----

// (C12)
func.func @f(%q: tensor<4x4x4xf32>, %k: tensor<16x2x6xf32>) {
  // expected-error @+1 {{dimension 2 of keys is 6, expected 4}}
  %0 = qwen.attention %q, %k, %k scale 0.5 causal : (tensor<4x4x4xf32>, tensor<16x2x6xf32>, tensor<16x2x6xf32>) -> tensor<4x4x4xf32>
  return
}

// -----

// (C12)
func.func @f(%q: tensor<4x4x4xf32>, %k: tensor<16x2x4xf32>) {
  // expected-error @+1 {{scale is -5.000000e-01, expected a positive finite number}}
  %0 = qwen.attention %q, %k, %k scale -0.5 causal : (tensor<4x4x4xf32>, tensor<16x2x4xf32>, tensor<16x2x4xf32>) -> tensor<4x4x4xf32>
  return
}

// -----

// (C12)
func.func @f(%q: tensor<4x4x4xf32>, %k: tensor<16x2x4xf32>) {
  // expected-error @+1 {{result has type 'tensor<4x16xf32>', expected the shape of the query 'tensor<4x4x4xf32>'}}
  %0 = qwen.attention %q, %k, %k scale 0.5 causal : (tensor<4x4x4xf32>, tensor<16x2x4xf32>, tensor<16x2x4xf32>) -> tensor<4x16xf32>
  return
}

// -----

// (C13)
func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{dimension 0 of result is 2, expected 1}}
  %0 = qwen.last_row %x : tensor<4x8xf32> -> tensor<2x8xf32>
  return
}

// -----

// (C13)
func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{dimension 1 of result is 9, expected 8}}
  %0 = qwen.head_rows %x : tensor<4x8xf32> -> tensor<2x9xf32>
  return
}

// -----

// (C13)
func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{result has type 'tensor<2x8xbf16>', expected the element type of the input 'tensor<4x8xf32>'}}
  %0 = qwen.head_rows %x : tensor<4x8xf32> -> tensor<2x8xbf16>
  return
}

// -----

// (C14)
func.func @f(%x: tensor<2x8xf32>) {
  // expected-error @+1 {{dimension 0 of logits is 2, expected 1}}
  qwen.next_token %x greedy : tensor<2x8xf32>
  return
}

// -----

// (C15)
func.func @f(%x: tensor<1x8xf32>, %w: tensor<4x8xbf16>) {
  // expected-error @+1 {{body has 2 arguments, expected 1}}
  %0 = qwen.fused_linear none concat %x weights(%w) {
  ^bb0(%a: f32, %b: f32):
    qwen.yield %a : f32
  } : (tensor<1x8xf32>, tensor<4x8xbf16>) -> tensor<1x4xf32>
  return
}

// -----

// (C15)
func.func @f(%x: tensor<1x8xf32>, %w: tensor<4x8xbf16>) {
  // expected-error @+1 {{body has an argument that is not f32, expected only f32}}
  %0 = qwen.fused_linear none concat %x weights(%w) {
  ^bb0(%a: f64):
    %b = arith.truncf %a : f64 to f32
    qwen.yield %b : f32
  } : (tensor<1x8xf32>, tensor<4x8xbf16>) -> tensor<1x4xf32>
  return
}

// -----

// (C15)
func.func @f(%x: tensor<1x8xf32>, %w: tensor<4x8xbf16>) {
  // expected-error @+1 {{body holds 'qwen.position_ids', expected only operations of arith and math}}
  %0 = qwen.fused_linear none concat %x weights(%w) {
  ^bb0(%a: f32):
    %t = qwen.position_ids : tensor<1xi32>
    qwen.yield %a : f32
  } : (tensor<1x8xf32>, tensor<4x8xbf16>) -> tensor<1x4xf32>
  return
}

// -----

// (C15)
func.func @f(%x: tensor<1x8xf32>, %w: tensor<4x8xbf16>) {
  // expected-error @+1 {{body yields 'f64', expected f32}}
  %0 = qwen.fused_linear none concat %x weights(%w) {
  ^bb0(%a: f32):
    %b = arith.extf %a : f32 to f64
    qwen.yield %b : f64
  } : (tensor<1x8xf32>, tensor<4x8xbf16>) -> tensor<1x4xf32>
  return
}

// -----

// (C15)
func.func @f(%x: f32) {
  // expected-error @+1 {{expects parent op to be one of 'qwen.fused_linear, qwen.fused_experts, qwen.elementwise'}}
  qwen.yield %x : f32
}

// -----

// (C16)
func.func @f(%x: tensor<1x8xf32>, %w: tensor<4x8xbf16>) {
  // expected-error @+1 {{prologue 'rms_norm' without norm, expected a norm for rms_norm and only there}}
  %0 = qwen.fused_linear rms_norm concat %x weights(%w) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<1x8xf32>, tensor<4x8xbf16>) -> tensor<1x4xf32>
  return
}

// -----

// (C16)
func.func @f(%x: tensor<1x8xf32>, %w: tensor<4x8xbf16>, %n: tensor<8xbf16>) {
  // expected-error @+1 {{prologue 'none' with norm, expected a norm for rms_norm and only there}}
  %0 = qwen.fused_linear none concat %x weights(%w) norm(%n eps 0.1) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<1x8xf32>, tensor<4x8xbf16>, tensor<8xbf16>) -> tensor<1x4xf32>
  return
}

// -----

// (C16)
func.func @f(%x: tensor<1x8xf32>, %w: tensor<4x8xbf16>, %n: tensor<6xbf16>) {
  // expected-error @+1 {{dimension 0 of norm weight is 6, expected 8}}
  %0 = qwen.fused_linear rms_norm concat %x weights(%w) norm(%n eps 0.1) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<1x8xf32>, tensor<4x8xbf16>, tensor<6xbf16>) -> tensor<1x4xf32>
  return
}

// -----

// (C16)
func.func @f(%x: tensor<2x3x2xf32>, %w: tensor<4x8xbf16>) {
  // expected-error @+1 {{combines 'tensor<2x3x2xf32>', expected a static [heads, splits, D + 2]}}
  %0 = qwen.fused_linear combine_splits concat %x weights(%w) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<2x3x2xf32>, tensor<4x8xbf16>) -> tensor<1x4xf32>
  return
}

// -----

// (C16)
func.func @f(%x: tensor<2x3x6xf32>, %w: tensor<4x8xbf16>) {
  // expected-error @+1 {{dimension 0 of result is 2, expected 1}}
  %0 = qwen.fused_linear combine_splits concat %x weights(%w) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<2x3x6xf32>, tensor<4x8xbf16>) -> tensor<2x4xf32>
  return
}

// -----

// (C17)
func.func @f(%x: tensor<1x8xf32>) {
  // expected-error @+1 {{has no weights, expected one or more}}
  %0 = qwen.fused_linear none concat %x weights() {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<1x8xf32>) -> tensor<1x4xf32>
  return
}

// -----

// (C17)
func.func @f(%x: tensor<1x8xf32>, %w: tensor<4x8xbf16>) {
  // expected-error @+1 {{dimension 1 of result is 4, expected 8}}
  %0 = qwen.fused_linear none concat %x weights(%w, %w) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<1x8xf32>, tensor<4x8xbf16>, tensor<4x8xbf16>) -> tensor<1x4xf32>
  return
}

// -----

// (C17)
func.func @f(%x: tensor<1x8xf32>, %w: tensor<4x8xbf16>, %u: tensor<5x8xbf16>) {
  // expected-error @+1 {{dimension 0 of weight is 5, expected 4}}
  %0 = qwen.fused_linear none parallel %x weights(%w, %u) {
  ^bb0(%a: f32, %b: f32):
    qwen.yield %a : f32
  } : (tensor<1x8xf32>, tensor<4x8xbf16>, tensor<5x8xbf16>) -> tensor<1x4xf32>
  return
}

// -----

// (C17)
func.func @f(%x: tensor<1x8xf32>, %w: tensor<4x9xbf16>) {
  // expected-error @+1 {{dimension 1 of weight is 9, expected 8}}
  %0 = qwen.fused_linear none concat %x weights(%w) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<1x8xf32>, tensor<4x9xbf16>) -> tensor<1x4xf32>
  return
}

// -----

// (C17)
func.func @f(%x: tensor<1x8xf32>, %w: tensor<4x8xbf16>, %e: tensor<1x5xf32>) {
  // expected-error @+1 {{extra has type 'tensor<1x5xf32>', expected [N], [R, 1] or the shape of the result 'tensor<1x4xf32>'}}
  %0 = qwen.fused_linear none concat %x weights(%w) extras(%e) {
  ^bb0(%a: f32, %b: f32):
    qwen.yield %a : f32
  } : (tensor<1x8xf32>, tensor<4x8xbf16>, tensor<1x5xf32>) -> tensor<1x4xf32>
  return
}

// -----

// (C18)
func.func @f(%x: tensor<1x8xf32>) {
  // expected-error @+1 {{has no inputs, expected one or more}}
  %0 = qwen.elementwise () {
    %c = arith.constant 1.0 : f32
    qwen.yield %c : f32
  } : () -> tensor<1x8xf32>
  return
}

// -----

// (C18)
func.func @f(%x: tensor<1x8xf32>) {
  // expected-error @+1 {{input has type 'tensor<1x8xf32>', expected the shape of the result 'tensor<1x4xf32>'}}
  %0 = qwen.elementwise (%x) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<1x8xf32>) -> tensor<1x4xf32>
  return
}

// -----

// (C19)
func.func @f(%x: tensor<4x32xf32>, %k: tensor<16x2x4xf32>, %v: tensor<16x2x4xf32>) {
  // expected-error @+1 {{num_heads is 0, expected a positive number}}
  %q, %k1, %v1 = qwen.rope_append %x norms() caches(%k, %v) {num_heads = 0, num_kv_heads = 2, head_dim = 4, theta = 1.0e4}
    : (tensor<4x32xf32>, tensor<16x2x4xf32>, tensor<16x2x4xf32>) -> (tensor<4x4x4xf32>, tensor<16x2x4xf32>, tensor<16x2x4xf32>)
  return
}

// -----

// (C19)
func.func @f(%x: tensor<4x32xf32>, %k: tensor<16x2x4xf32>, %v: tensor<16x2x4xf32>) {
  // expected-error @+1 {{theta is 0.000000e+00, expected a positive finite number}}
  %q, %k1, %v1 = qwen.rope_append %x norms() caches(%k, %v) {num_heads = 4, num_kv_heads = 2, head_dim = 4, theta = 0.0}
    : (tensor<4x32xf32>, tensor<16x2x4xf32>, tensor<16x2x4xf32>) -> (tensor<4x4x4xf32>, tensor<16x2x4xf32>, tensor<16x2x4xf32>)
  return
}

// -----

// (C19)
func.func @f(%x: tensor<4x32xf32>, %k: tensor<16x2x4xf32>, %v: tensor<16x2x4xf32>) {
  // expected-error @+1 {{has 3 query heads over 2 key heads of 4 elements, expected a multiple of the key heads and an even number of elements}}
  %q, %k1, %v1 = qwen.rope_append %x norms() caches(%k, %v) {num_heads = 3, num_kv_heads = 2, head_dim = 4, theta = 1.0e4}
    : (tensor<4x32xf32>, tensor<16x2x4xf32>, tensor<16x2x4xf32>) -> (tensor<4x4x4xf32>, tensor<16x2x4xf32>, tensor<16x2x4xf32>)
  return
}

// -----

// (C19)
func.func @f(%x: tensor<4x32xf32>, %k: tensor<16x2x4xf32>, %v: tensor<16x2x4xf32>) {
  // expected-error @+1 {{dimension 1 of qkv is 32, expected 48}}
  %q, %k1, %v1 = qwen.rope_append %x norms() caches(%k, %v) {num_heads = 4, num_kv_heads = 2, head_dim = 6, theta = 1.0e4}
    : (tensor<4x32xf32>, tensor<16x2x4xf32>, tensor<16x2x4xf32>) -> (tensor<4x4x4xf32>, tensor<16x2x4xf32>, tensor<16x2x4xf32>)
  return
}

// -----

// (C19)
func.func @f(%x: tensor<4x32xf32>, %k: tensor<16x2x4xf32>, %v: tensor<16x2x4xf32>) {
  // expected-error @+1 {{has more columns than 64 bits count, expected fewer}}
  %q, %k1, %v1 = qwen.rope_append %x norms() caches(%k, %v) {num_heads = 4, num_kv_heads = 2, head_dim = 4611686018427387904, theta = 1.0e4}
    : (tensor<4x32xf32>, tensor<16x2x4xf32>, tensor<16x2x4xf32>) -> (tensor<4x4x4xf32>, tensor<16x2x4xf32>, tensor<16x2x4xf32>)
  return
}

// -----

// (C19)
func.func @f(%x: tensor<4x32xf32>, %k: tensor<16x2x4xf32>, %v: tensor<8x2x4xf32>) {
  // expected-error @+1 {{caches have types 'tensor<16x2x4xf32>' and 'tensor<8x2x4xf32>', expected one type for both and for their results}}
  %q, %k1, %v1 = qwen.rope_append %x norms() caches(%k, %v) {num_heads = 4, num_kv_heads = 2, head_dim = 4, theta = 1.0e4}
    : (tensor<4x32xf32>, tensor<16x2x4xf32>, tensor<8x2x4xf32>) -> (tensor<4x4x4xf32>, tensor<16x2x4xf32>, tensor<8x2x4xf32>)
  return
}

// -----

// (C19)
func.func @f(%x: tensor<4x32xf32>, %k: tensor<16x4x4xf32>, %v: tensor<16x4x4xf32>) {
  // expected-error @+1 {{dimension 1 of cache is 4, expected 2}}
  %q, %k1, %v1 = qwen.rope_append %x norms() caches(%k, %v) {num_heads = 4, num_kv_heads = 2, head_dim = 4, theta = 1.0e4}
    : (tensor<4x32xf32>, tensor<16x4x4xf32>, tensor<16x4x4xf32>) -> (tensor<4x4x4xf32>, tensor<16x4x4xf32>, tensor<16x4x4xf32>)
  return
}

// -----

// (C19)
func.func @f(%x: tensor<4x32xf32>, %k: tensor<16x2x8xf32>, %v: tensor<16x2x8xf32>) {
  // expected-error @+1 {{dimension 2 of cache is 8, expected 4}}
  %q, %k1, %v1 = qwen.rope_append %x norms() caches(%k, %v) {num_heads = 4, num_kv_heads = 2, head_dim = 4, theta = 1.0e4}
    : (tensor<4x32xf32>, tensor<16x2x8xf32>, tensor<16x2x8xf32>) -> (tensor<4x4x4xf32>, tensor<16x2x8xf32>, tensor<16x2x8xf32>)
  return
}

// -----

// (C19)
func.func @f(%x: tensor<4x32xf32>, %k: tensor<16x2x4xf32>, %v: tensor<16x2x4xf32>) {
  // expected-error @+1 {{has only some of q_norm, k_norm and eps, expected all or none}}
  %q, %k1, %v1 = qwen.rope_append %x norms() caches(%k, %v) {num_heads = 4, num_kv_heads = 2, head_dim = 4, theta = 1.0e4, eps = 0.1}
    : (tensor<4x32xf32>, tensor<16x2x4xf32>, tensor<16x2x4xf32>) -> (tensor<4x4x4xf32>, tensor<16x2x4xf32>, tensor<16x2x4xf32>)
  return
}

// -----

// (C19)
func.func @f(%x: tensor<4x32xf32>, %k: tensor<16x2x4xf32>, %v: tensor<16x2x4xf32>, %n: tensor<4xbf16>) {
  // expected-error @+1 {{has only some of q_norm, k_norm and eps, expected all or none}}
  %q, %k1, %v1 = qwen.rope_append %x norms(%n, %n) caches(%k, %v) {num_heads = 4, num_kv_heads = 2, head_dim = 4, theta = 1.0e4}
    : (tensor<4x32xf32>, tensor<4xbf16>, tensor<4xbf16>, tensor<16x2x4xf32>, tensor<16x2x4xf32>) -> (tensor<4x4x4xf32>, tensor<16x2x4xf32>, tensor<16x2x4xf32>)
  return
}

// -----

// (C19)
func.func @f(%x: tensor<4x32xf32>, %k: tensor<16x2x4xf32>, %v: tensor<16x2x4xf32>, %n: tensor<8xbf16>) {
  // expected-error @+1 {{dimension 0 of q_norm is 8, expected 4}}
  %q, %k1, %v1 = qwen.rope_append %x norms(%n, %n) caches(%k, %v) {num_heads = 4, num_kv_heads = 2, head_dim = 4, theta = 1.0e4, eps = 0.1}
    : (tensor<4x32xf32>, tensor<8xbf16>, tensor<8xbf16>, tensor<16x2x4xf32>, tensor<16x2x4xf32>) -> (tensor<4x4x4xf32>, tensor<16x2x4xf32>, tensor<16x2x4xf32>)
  return
}

// -----

// (C19)
func.func @f(%x: tensor<4x32xf32>, %k: tensor<16x2x4xf32>, %v: tensor<16x2x4xf32>, %n: tensor<4xbf16>, %m: tensor<8xbf16>) {
  // expected-error @+1 {{dimension 0 of k_norm is 8, expected 4}}
  %q, %k1, %v1 = qwen.rope_append %x norms(%n, %m) caches(%k, %v) {num_heads = 4, num_kv_heads = 2, head_dim = 4, theta = 1.0e4, eps = 0.1}
    : (tensor<4x32xf32>, tensor<4xbf16>, tensor<8xbf16>, tensor<16x2x4xf32>, tensor<16x2x4xf32>) -> (tensor<4x4x4xf32>, tensor<16x2x4xf32>, tensor<16x2x4xf32>)
  return
}

// -----

// (C19)
func.func @f(%x: tensor<4x32xf32>, %k: tensor<16x2x4xf32>, %v: tensor<16x2x4xf32>) {
  // expected-error @+1 {{dimension 1 of query is 2, expected 4}}
  %q, %k1, %v1 = qwen.rope_append %x norms() caches(%k, %v) {num_heads = 4, num_kv_heads = 2, head_dim = 4, theta = 1.0e4}
    : (tensor<4x32xf32>, tensor<16x2x4xf32>, tensor<16x2x4xf32>) -> (tensor<4x2x8xf32>, tensor<16x2x4xf32>, tensor<16x2x4xf32>)
  return
}

// -----

// (C20)
func.func @f(%x: tensor<1x32xf32>, %k: tensor<16x2x4xf32>) {
  // expected-error @+1 {{splits is 0, expected a positive number}}
  %p, %k1, %v1 = qwen.decode_attention %x norms() caches(%k, %k) {num_heads = 4, num_kv_heads = 2, head_dim = 4, theta = 1.0e4, scale = 0.5, splits = 0}
    : (tensor<1x32xf32>, tensor<16x2x4xf32>, tensor<16x2x4xf32>) -> (tensor<4x3x6xf32>, tensor<16x2x4xf32>, tensor<16x2x4xf32>)
  return
}

// -----

// (C20)
func.func @f(%x: tensor<2x32xf32>, %k: tensor<16x2x4xf32>) {
  // expected-error @+1 {{dimension 0 of qkv is 2, expected 1}}
  %p, %k1, %v1 = qwen.decode_attention %x norms() caches(%k, %k) {num_heads = 4, num_kv_heads = 2, head_dim = 4, theta = 1.0e4, scale = 0.5, splits = 3}
    : (tensor<2x32xf32>, tensor<16x2x4xf32>, tensor<16x2x4xf32>) -> (tensor<4x3x6xf32>, tensor<16x2x4xf32>, tensor<16x2x4xf32>)
  return
}

// -----

// (C20)
func.func @f(%x: tensor<1x32xf32>, %k: tensor<16x2x4xf32>) {
  // expected-error @+1 {{dimension 1 of partials is 2, expected 3}}
  %p, %k1, %v1 = qwen.decode_attention %x norms() caches(%k, %k) {num_heads = 4, num_kv_heads = 2, head_dim = 4, theta = 1.0e4, scale = 0.5, splits = 3}
    : (tensor<1x32xf32>, tensor<16x2x4xf32>, tensor<16x2x4xf32>) -> (tensor<4x2x6xf32>, tensor<16x2x4xf32>, tensor<16x2x4xf32>)
  return
}

// -----

// (C20)
func.func @f(%x: tensor<1x32xf32>, %k: tensor<16x2x4xf32>) {
  // expected-error @+1 {{dimension 2 of partials is 4, expected 6}}
  %p, %k1, %v1 = qwen.decode_attention %x norms() caches(%k, %k) {num_heads = 4, num_kv_heads = 2, head_dim = 4, theta = 1.0e4, scale = 0.5, splits = 3}
    : (tensor<1x32xf32>, tensor<16x2x4xf32>, tensor<16x2x4xf32>) -> (tensor<4x3x4xf32>, tensor<16x2x4xf32>, tensor<16x2x4xf32>)
  return
}

// -----

// (C20)
func.func @f(%x: tensor<4x3x2xf32>) {
  // expected-error @+1 {{combines 'tensor<4x3x2xf32>', expected a static [heads, splits, D + 2]}}
  %0 = qwen.combine_splits %x : tensor<4x3x2xf32> -> tensor<1x0xf32>
  return
}

// -----

// (C20)
func.func @f(%x: tensor<4x3x6xf32>) {
  // expected-error @+1 {{dimension 1 of result is 8, expected 16}}
  %0 = qwen.combine_splits %x : tensor<4x3x6xf32> -> tensor<1x8xf32>
  return
}

// -----

// (C21)
// expected-error @+1 {{rows encoding stands on a tensor of rank 0, expected a dimension 0 to count}}
func.func private @f(tensor<f32, #qwen.rows<S>>)

// -----

// (C21)
// expected-error @+1 {{rows encoding has an empty symbol name, expected a name}}
func.func private @f(tensor<4xf32, #qwen.rows<"">>)

// -----

// (C22)
func.func @f() {
  // expected-error @+1 {{rows is 0, expected a positive number}}
  qwen.begin_chunk 0
  return
}

// -----

// (C22)
func.func @f() {
  // expected-error @+1 {{result has rank 2, expected 1}}
  %0 = qwen.position_ids : tensor<4x1xi32>
  return
}

// -----

// (C23)
// expected-error @+1 {{packed encoding says bf16, expected q8 or q4; leave the encoding out}}
func.func private @f(tensor<4x32xbf16, #qwen.packed<bf16>>)

// -----

// (C23)
// expected-error @+1 {{packed encoding stands on another tensor than [N, K] or [E, N, K] of bf16 with K a multiple of 32, expected such a weight}}
func.func private @f(tensor<4x33xbf16, #qwen.packed<q8>>)

// -----

// (C23)
// expected-error @+1 {{packed encoding stands on another tensor}}
func.func private @f(tensor<32xbf16, #qwen.packed<q4>>)

// -----

// (C23)
// expected-error @+1 {{packed encoding stands on another tensor}}
func.func private @f(tensor<2x2x4x32xbf16, #qwen.packed<q4>>)

// -----

// (C4)
func.func @f(%ids: tensor<1xi32>, %w: tensor<4x32xbf16, #qwen.packed<q8>>) {
  // expected-error @+1 {{expected a static shape without encoding}}
  %0 = qwen.embedding %ids, %w : (tensor<1xi32>, tensor<4x32xbf16, #qwen.packed<q8>>) -> tensor<1x32xf32>
  return
}

// -----

// (C24)
func.func @f(%x: tensor<1x32xf32>, %a: tensor<4x32xbf16, #qwen.packed<q8>>, %b: tensor<4x32xbf16>) {
  // expected-error @+1 {{weight has type 'tensor<4x32xbf16>', expected the format of the first, q8}}
  %0 = qwen.fused_linear none concat %x weights(%a, %b) {
  ^bb0(%acc: f32):
    qwen.yield %acc : f32
  } : (tensor<1x32xf32>, tensor<4x32xbf16, #qwen.packed<q8>>, tensor<4x32xbf16>) -> tensor<1x8xf32>
  return
}

// -----

// (C25)
qwen.parameter @a : tensor<6x8xbf16> file 0 offset 0
qwen.parameter @b : tensor<6x4xbf16> file 0 offset 96
func.func @f() {
  // expected-error @+1 {{@c names no qwen.parameter, expected one in this module}}
  %0 = qwen.weight_stack [@a, @c] : tensor<2x6x8xbf16>
  return
}

// -----

// (C25)
qwen.parameter @a : tensor<6x8xbf16> file 0 offset 0
qwen.parameter @b : tensor<6x4xbf16> file 0 offset 96
func.func @f() {
  // expected-error @+1 {{has type 'tensor<6x8xbf16>', expected 'tensor<6x4xbf16>' as @b has}}
  %0 = qwen.weight_stack [@a, @b] : tensor<2x6x8xbf16>
  return
}

// -----

// (C25)
qwen.parameter @a : tensor<6x32xbf16, #qwen.packed<q8>> file 0 offset 0
qwen.parameter @b : tensor<6x32xbf16> file 0 offset 384
func.func @f() {
  // expected-error @+1 {{has type 'tensor<6x32xbf16, #qwen.packed<q8>>', expected 'tensor<6x32xbf16>' as @b has}}
  %0 = qwen.weight_stack [@a, @b] : tensor<2x6x32xbf16, #qwen.packed<q8>>
  return
}

// -----

// (C25)
qwen.parameter @a : tensor<6x8xbf16> file 0 offset 0
qwen.parameter @b : tensor<6x4xbf16> file 0 offset 96
func.func @f() {
  // expected-error @+1 {{dimension 0 of the stack is 3, expected 2}}
  %0 = qwen.weight_stack [@a, @a] : tensor<3x6x8xbf16>
  return
}

// -----

// (C25)
qwen.parameter @a : tensor<6x8xbf16> file 0 offset 0
qwen.parameter @b : tensor<6x4xbf16> file 0 offset 96
func.func @f() {
  // expected-error @+1 {{has type 'tensor<?x6x8xbf16>', expected a static shape of rank 1 or more}}
  %0 = qwen.weight_stack [@a] : tensor<?x6x8xbf16>
  return
}

// -----

// (C25)
qwen.parameter @a : tensor<6x8xbf16> file 0 offset 0
qwen.parameter @b : tensor<6x4xbf16> file 0 offset 96
func.func @f() {
  // expected-error @+1 {{@a cannot lie at element 0, expected vectors of which all but the last have a multiple of 8 elements}}
  %0 = qwen.weight_stack [@a] : tensor<1xbf16>
  return
}

// -----

// (C25)
qwen.parameter @a : tensor<12xbf16> file 0 offset 0
qwen.parameter @b : tensor<8xbf16> file 0 offset 24
func.func @f() {
  // expected-error @+1 {{@b cannot lie at element 12, expected vectors of which all but the last have a multiple of 8 elements}}
  %0 = qwen.weight_stack [@a, @b] : tensor<20xbf16>
  return
}

// -----

// (C25)
qwen.parameter @a : tensor<12xbf16> file 0 offset 0
qwen.parameter @b : tensor<8xbf16> file 0 offset 24
func.func @f() {
  // expected-error @+1 {{dimension 0 of the stack is 16, expected 20}}
  %0 = qwen.weight_stack [@b, @a] : tensor<16xbf16>
  return
}

// -----

// (C26)
func.func @f(%x: tensor<1x2x8xf32>) {
  // expected-error @+1 {{input has rank 3, expected 2}}
  %0, %1 = qwen.top_k %x : (tensor<1x2x8xf32>) -> (tensor<1x4xf32>, tensor<1x4xi32>)
  return
}

// -----

// (C26)
func.func @f(%x: tensor<1x8xf32>) {
  // expected-error @+1 {{chooses from 'tensor<1x8xf32>' into 'tensor<1x9xf32>', expected 1 or more of a static number of columns}}
  %0, %1 = qwen.top_k %x : (tensor<1x8xf32>) -> (tensor<1x9xf32>, tensor<1x9xi32>)
  return
}

// -----

// (C26)
func.func @f(%x: tensor<1x8xf32>) {
  // expected-error @+1 {{chooses from 'tensor<1x8xf32>' into 'tensor<1x0xf32>', expected 1 or more}}
  %0, %1 = qwen.top_k %x : (tensor<1x8xf32>) -> (tensor<1x0xf32>, tensor<1x0xi32>)
  return
}

// -----

// (C26)
func.func @f(%x: tensor<1x?xf32>) {
  // expected-error @+1 {{chooses from 'tensor<1x?xf32>' into 'tensor<1x4xf32>', expected 1 or more of a static}}
  %0, %1 = qwen.top_k %x : (tensor<1x?xf32>) -> (tensor<1x4xf32>, tensor<1x4xi32>)
  return
}

// -----

// (C26)
func.func @f(%x: tensor<1x8xf32>) {
  // expected-error @+1 {{dimension 1 of indices is 3, expected 4}}
  %0, %1 = qwen.route %x : (tensor<1x8xf32>) -> (tensor<1x4xf32>, tensor<1x3xi32>)
  return
}

// -----

// (C26)
func.func @f(%l: tensor<1x8xf32>) -> tensor<1x4xf32> {
  // expected-error @+1 {{is joined to no product, expected that a qwen.fused_experts of [R, K] is the first to read it}}
  %0, %1 = qwen.route %l joined : (tensor<1x8xf32>) -> (tensor<1x4xf32>, tensor<1x4xi32>)
  return %0 : tensor<1x4xf32>
}

// -----

// (C26)
func.func @f(%l: tensor<2x8xf32>) {
  // expected-error @+1 {{dimension 0 of logits is 2, expected 1}}
  %0, %1 = qwen.route %l joined : (tensor<2x8xf32>) -> (tensor<2x4xf32>, tensor<2x4xi32>)
  return
}

// -----

// (C26)
func.func @f(%x: tensor<2x8xf32, #qwen.rows<S>>) {
  // expected-error @+1 {{indices counts other rows than the input, expected the same rows encoding}}
  %0, %1 = qwen.route %x : (tensor<2x8xf32, #qwen.rows<S>>) -> (tensor<2x4xf32, #qwen.rows<S>>, tensor<2x4xi32>)
  return
}

// -----

// (C27)
func.func @f(%x: tensor<1x8xf32>, %e: tensor<1x4xi32>, %w: tensor<6x8xbf16>) {
  // expected-error @+1 {{weight has rank 2, expected 3}}
  %0 = qwen.expert_linear %x, %e, %w : (tensor<1x8xf32>, tensor<1x4xi32>, tensor<6x8xbf16>) -> tensor<1x4x6xf32>
  return
}

// -----

// (C27)
func.func @f(%x: tensor<1x8xf32>, %e: tensor<4xi32>, %w: tensor<16x6x8xbf16>) {
  // expected-error @+1 {{experts has rank 1, expected 2}}
  %0 = qwen.expert_linear %x, %e, %w : (tensor<1x8xf32>, tensor<4xi32>, tensor<16x6x8xbf16>) -> tensor<1x4x6xf32>
  return
}

// -----

// (C27)
func.func @f(%x: tensor<8xf32>, %e: tensor<1x4xi32>, %w: tensor<16x6x8xbf16>) {
  // expected-error @+1 {{input has rank 1, expected [R, K] or [R, k, K]}}
  %0 = qwen.expert_linear %x, %e, %w : (tensor<8xf32>, tensor<1x4xi32>, tensor<16x6x8xbf16>) -> tensor<1x4x6xf32>
  return
}

// -----

// (C27)
func.func @f(%x: tensor<1x3x8xf32>, %e: tensor<1x4xi32>, %w: tensor<16x6x8xbf16>) {
  // expected-error @+1 {{dimension 1 of input is 3, expected 4}}
  %0 = qwen.expert_linear %x, %e, %w : (tensor<1x3x8xf32>, tensor<1x4xi32>, tensor<16x6x8xbf16>) -> tensor<1x4x6xf32>
  return
}

// -----

// (C27)
func.func @f(%x: tensor<1x7xf32>, %e: tensor<1x4xi32>, %w: tensor<16x6x8xbf16>) {
  // expected-error @+1 {{dimension 1 of input is 7, expected 8}}
  %0 = qwen.expert_linear %x, %e, %w : (tensor<1x7xf32>, tensor<1x4xi32>, tensor<16x6x8xbf16>) -> tensor<1x4x6xf32>
  return
}

// -----

// (C27)
func.func @f(%x: tensor<1x8xf32>, %e: tensor<1x4xi32>, %w: tensor<16x6x8xbf16>) {
  // expected-error @+1 {{dimension 1 of result is 3, expected 4}}
  %0 = qwen.expert_linear %x, %e, %w : (tensor<1x8xf32>, tensor<1x4xi32>, tensor<16x6x8xbf16>) -> tensor<1x3x6xf32>
  return
}

// -----

// (C27)
func.func @f(%x: tensor<1x4x8xf32>, %e: tensor<1x4xi32>, %w: tensor<16x6x8xbf16>) {
  // expected-error @+1 {{dimension 2 of result is 8, expected 6}}
  %0 = qwen.expert_linear %x, %e, %w : (tensor<1x4x8xf32>, tensor<1x4xi32>, tensor<16x6x8xbf16>) -> tensor<1x4x8xf32>
  return
}

// -----

// (C28)
func.func @f(%x: tensor<1x8xf32>, %v: tensor<1x4xf32>) {
  // expected-error @+1 {{input has rank 2, expected 3}}
  %0 = qwen.weighted_sum %x, %v : (tensor<1x8xf32>, tensor<1x4xf32>) -> tensor<1x8xf32>
  return
}

// -----

// (C28)
func.func @f(%x: tensor<1x4x8xf32>, %v: tensor<1x3xf32>) {
  // expected-error @+1 {{dimension 1 of weights is 3, expected 4}}
  %0 = qwen.weighted_sum %x, %v : (tensor<1x4x8xf32>, tensor<1x3xf32>) -> tensor<1x8xf32>
  return
}

// -----

// (C28)
func.func @f(%x: tensor<1x4x8xf32>, %v: tensor<1x4xf32>) {
  // expected-error @+1 {{dimension 1 of result is 4, expected 8}}
  %0 = qwen.weighted_sum %x, %v : (tensor<1x4x8xf32>, tensor<1x4xf32>) -> tensor<1x4xf32>
  return
}

// -----

// (C29)
func.func @f(%e: tensor<4x2xi32>) {
  // expected-error @+1 {{count is 0, expected a positive number}}
  %0, %1 = qwen.group_experts %e count 0 tile 2 : (tensor<4x2xi32>) -> (tensor<8xi32>, tensor<8x4xi32>)
  return
}

// -----

// (C29)
func.func @f(%e: tensor<4x2xi32>) {
  // expected-error @+1 {{tile is -1, expected a positive number}}
  %0, %1 = qwen.group_experts %e count 4 tile -1 : (tensor<4x2xi32>) -> (tensor<8xi32>, tensor<8x4xi32>)
  return
}

// -----

// (C29)
func.func @f(%e: tensor<?x2xi32>) {
  // expected-error @+1 {{sorts 'tensor<?x2xi32>', expected a static shape}}
  %0, %1 = qwen.group_experts %e count 4 tile 2 : (tensor<?x2xi32>) -> (tensor<8xi32>, tensor<8x4xi32>)
  return
}

// -----

// (C29)
func.func @f(%e: tensor<4x2xi32>) {
  // expected-error @+1 {{dimension 0 of order is 7, expected 8}}
  %0, %1 = qwen.group_experts %e count 4 tile 2 : (tensor<4x2xi32>) -> (tensor<7xi32>, tensor<8x4xi32>)
  return
}

// -----

// (C29)
func.func @f(%e: tensor<4x2xi32>) {
  // expected-error @+1 {{dimension 0 of tiles is 4, expected 8}}
  %0, %1 = qwen.group_experts %e count 4 tile 2 : (tensor<4x2xi32>) -> (tensor<8xi32>, tensor<4x4xi32>)
  return
}

// -----

// (C29)
func.func @f(%e: tensor<4x2xi32>) {
  // expected-error @+1 {{dimension 1 of tiles is 3, expected 4}}
  %0, %1 = qwen.group_experts %e count 4 tile 2 : (tensor<4x2xi32>) -> (tensor<8xi32>, tensor<8x3xi32>)
  return
}

// -----

// (C30)
func.func @f(%x: tensor<1x8xf32>, %e: tensor<1x4xi32>, %w: tensor<16x6x8xbf16>, %u: tensor<16x5x8xbf16>) {
  // expected-error @+1 {{has weights of types 'tensor<16x6x8xbf16>' and 'tensor<16x5x8xbf16>', expected one type}}
  %0 = qwen.fused_experts %x experts(%e) weights(%w, %u) {
  ^bb0(%a0: f32, %a1: f32):
    qwen.yield %a0 : f32
  } : (tensor<1x8xf32>, tensor<1x4xi32>, tensor<16x6x8xbf16>, tensor<16x5x8xbf16>) -> tensor<1x4x6xf32>
  return
}

// -----

// (C30)
func.func @f(%x: tensor<1x8xf32>, %e: tensor<1x4xi32>) {
  // expected-error @+1 {{has no weights, expected one or more}}
  %0 = "qwen.fused_experts"(%x, %e) <{operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0>}> ({
  ^bb0(%a: f32):
    qwen.yield %a : f32
  }) : (tensor<1x8xf32>, tensor<1x4xi32>) -> tensor<1x4x6xf32>
  return
}

// -----

// (C30)
func.func @f(%h: tensor<1x4x8xf32>, %e: tensor<1x4xi32>, %w: tensor<16x6x8xbf16>, %n: tensor<8xbf16>) {
  // expected-error @+1 {{has only some of norm weight, eps and an input of rank 2, expected all or no norm}}
  %0 = qwen.fused_experts %h experts(%e) weights(%w) norm(%n eps 0.125) {
  ^bb0(%a0: f32):
    qwen.yield %a0 : f32
  } : (tensor<1x4x8xf32>, tensor<1x4xi32>, tensor<16x6x8xbf16>, tensor<8xbf16>) -> tensor<1x4x6xf32>
  return
}

// -----

// (C30)
func.func @f(%x: tensor<1x8xf32>, %e: tensor<1x4xi32>, %w: tensor<16x6x8xbf16>, %n: tensor<8xbf16>) {
  // expected-error @+1 {{eps is -1.000000e+00, expected a finite number of at least 0}}
  %0 = qwen.fused_experts %x experts(%e) weights(%w) norm(%n eps -1.0) {
  ^bb0(%a0: f32):
    qwen.yield %a0 : f32
  } : (tensor<1x8xf32>, tensor<1x4xi32>, tensor<16x6x8xbf16>, tensor<8xbf16>) -> tensor<1x4x6xf32>
  return
}

// -----

// (C30)
func.func @f(%x: tensor<1x8xf32>, %e: tensor<1x4xi32>, %w: tensor<16x6x8xbf16>, %m: tensor<6xbf16>) {
  // expected-error @+1 {{dimension 0 of norm weight is 6, expected 8}}
  %0 = qwen.fused_experts %x experts(%e) weights(%w) norm(%m eps 0.125) {
  ^bb0(%a0: f32):
    qwen.yield %a0 : f32
  } : (tensor<1x8xf32>, tensor<1x4xi32>, tensor<16x6x8xbf16>, tensor<6xbf16>) -> tensor<1x4x6xf32>
  return
}

// -----

// (C30)
func.func @f(%x: tensor<1x8xf32>, %e: tensor<1x4xi32>, %w: tensor<16x6x8xbf16>, %o: tensor<4xi32>) {
  // expected-error @+1 {{has only one of order and tiles, expected both or none}}
  %0 = "qwen.fused_experts"(%x, %e, %w, %o) <{operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 1, 0>}> ({
  ^bb0(%a: f32):
    qwen.yield %a : f32
  }) : (tensor<1x8xf32>, tensor<1x4xi32>, tensor<16x6x8xbf16>, tensor<4xi32>) -> tensor<1x4x6xf32>
  return
}

// -----

// (C30)
func.func @f(%x: tensor<1x8xf32>, %e: tensor<1x4xi32>, %w: tensor<16x6x8xbf16>) {
  // expected-error @+1 {{dimension 2 of result is 8, expected 6}}
  %0 = qwen.fused_experts %x experts(%e) weights(%w) {
  ^bb0(%a0: f32):
    qwen.yield %a0 : f32
  } : (tensor<1x8xf32>, tensor<1x4xi32>, tensor<16x6x8xbf16>) -> tensor<1x4x8xf32>
  return
}

// -----

// (C30)
func.func @f(%h: tensor<1x4x8xf32>, %e: tensor<1x4xi32>, %w: tensor<16x6x8xbf16>, %v: tensor<1x4xf32>) {
  // expected-error @+1 {{sums up the choices of 2 weights, expected one weight, an input of rank 3 and no grouping}}
  %0 = qwen.fused_experts %h experts(%e) weights(%w, %w) sum(%v) {
  ^bb0(%a0: f32, %a1: f32):
    qwen.yield %a0 : f32
  } : (tensor<1x4x8xf32>, tensor<1x4xi32>, tensor<16x6x8xbf16>, tensor<16x6x8xbf16>, tensor<1x4xf32>) -> tensor<1x6xf32>
  return
}

// -----

// (C30)
func.func @f(%x: tensor<1x8xf32>, %e: tensor<1x4xi32>, %w: tensor<16x6x8xbf16>, %v: tensor<1x4xf32>) {
  // expected-error @+1 {{sums up the choices of 1 weights, expected one weight, an input of rank 3 and no grouping}}
  %0 = qwen.fused_experts %x experts(%e) weights(%w) sum(%v) {
  ^bb0(%a0: f32):
    qwen.yield %a0 : f32
  } : (tensor<1x8xf32>, tensor<1x4xi32>, tensor<16x6x8xbf16>, tensor<1x4xf32>) -> tensor<1x6xf32>
  return
}

// -----

// (C30)
func.func @f(%h: tensor<1x4x8xf32>, %e: tensor<1x4xi32>, %w: tensor<16x6x8xbf16>, %q: tensor<1x3xf32>) {
  // expected-error @+1 {{dimension 1 of route weights is 3, expected 4}}
  %0 = qwen.fused_experts %h experts(%e) weights(%w) sum(%q) {
  ^bb0(%a0: f32):
    qwen.yield %a0 : f32
  } : (tensor<1x4x8xf32>, tensor<1x4xi32>, tensor<16x6x8xbf16>, tensor<1x3xf32>) -> tensor<1x6xf32>
  return
}

// -----

// (C30)
func.func @f(%h: tensor<1x4x8xf32>, %e: tensor<1x4xi32>, %w: tensor<16x6x8xbf16>, %v: tensor<1x4xf32>) {
  // expected-error @+1 {{result has rank 3, expected 2}}
  %0 = qwen.fused_experts %h experts(%e) weights(%w) sum(%v) {
  ^bb0(%a0: f32):
    qwen.yield %a0 : f32
  } : (tensor<1x4x8xf32>, tensor<1x4xi32>, tensor<16x6x8xbf16>, tensor<1x4xf32>) -> tensor<1x4x6xf32>
  return
}

// -----

// (C30)
func.func @f(%x: tensor<1x8xf32>, %e: tensor<1x4xi32>, %w: tensor<16x6x8xbf16>) {
  // expected-error @+1 {{extra has type 'tensor<1x8xf32>', expected the shape of the result 'tensor<1x4x6xf32>'}}
  %0 = qwen.fused_experts %x experts(%e) weights(%w) extras(%x) {
  ^bb0(%a0: f32, %a1: f32):
    qwen.yield %a0 : f32
  } : (tensor<1x8xf32>, tensor<1x4xi32>, tensor<16x6x8xbf16>, tensor<1x8xf32>) -> tensor<1x4x6xf32>
  return
}

// -----

// (C15)
func.func @f(%x: tensor<1x8xf32>, %e: tensor<1x4xi32>, %w: tensor<16x6x8xbf16>) {
  // expected-error @+1 {{body has 2 arguments, expected 1}}
  %0 = qwen.fused_experts %x experts(%e) weights(%w) {
  ^bb0(%a0: f32, %a1: f32):
    qwen.yield %a0 : f32
  } : (tensor<1x8xf32>, tensor<1x4xi32>, tensor<16x6x8xbf16>) -> tensor<1x4x6xf32>
  return
}

// -----

// (C31)
func.func @f(%x: tensor<f32>) {
  // expected-error @+1 {{value has rank 0, expected rows in dimension 0}}
  qwen.expose %x "x" : tensor<f32>
  return
}

// -----

// (C31)
func.func @f(%x: tensor<1xf32>) {
  // expected-error @+1 {{has an empty name, expected one for callers}}
  qwen.expose %x "" : tensor<1xf32>
  return
}

// -----

// (C8)
func.func @f(%x: tensor<8x4xf32, #qwen.rows<V * 4>>) {
  // expected-error @+1 {{expected the same extent of the symbol}}
  %0 = qwen.reshape %x : tensor<8x4xf32, #qwen.rows<V * 4>> -> tensor<4x8xf32, #qwen.rows<V>>
  return
}

// -----

// (C8)
func.func @f(%x: tensor<8x4xf32, #qwen.rows<V * 4>>) {
  // expected-error @+1 {{turns 16 elements of a row into 8, expected the same number}}
  %0 = qwen.reshape %x : tensor<8x4xf32, #qwen.rows<V * 4>> -> tensor<2x8xf32, #qwen.rows<V>>
  return
}

// -----

// (C21)
// expected-error @+1 {{rows encoding has factor 4, expected a positive number that divides dimension 0}}
func.func @f(%x: tensor<6x4xf32, #qwen.rows<V * 4>>) {
  return
}

// -----

// (C34)
func.func @f(%x: tensor<4x2x8xf32>, %p: tensor<4x3xf32>) {
  // expected-error @+1 {{has 2 sections of 4 pairs, expected three of 4 pairs together}}
  %0 = qwen.mrope %x, %p theta 1.0e4 sections [2, 2] : (tensor<4x2x8xf32>, tensor<4x3xf32>) -> tensor<4x2x8xf32>
  return
}

// -----

// (C34)
func.func @f(%x: tensor<4x2x8xf32>, %p: tensor<4x2xf32>) {
  // expected-error @+1 {{dimension 1 of positions is 2, expected 3}}
  %0 = qwen.mrope %x, %p theta 1.0e4 sections [2, 1, 1] : (tensor<4x2x8xf32>, tensor<4x2xf32>) -> tensor<4x2x8xf32>
  return
}

// -----

// (C34)
func.func @f(%qkv: tensor<4x24xf32, #qwen.rows<S>>, %c: tensor<16x1x8xf32>) {
  // expected-error @+1 {{has 3 sections of 3 pairs, expected three of 4 pairs together}}
  %q:3 = qwen.rope_append %qkv norms() caches(%c, %c) {num_heads = 1, num_kv_heads = 1, head_dim = 8, theta = 1.0e4, sections = array<i64: 1, 1, 1>}
      : (tensor<4x24xf32, #qwen.rows<S>>, tensor<16x1x8xf32>, tensor<16x1x8xf32>)
        -> (tensor<4x1x8xf32, #qwen.rows<S>>, tensor<16x1x8xf32>, tensor<16x1x8xf32>)
  return
}

// -----

// (C35)
func.func @f(%x: tensor<4x8xf32>, %r: tensor<2x6xf32>, %i: tensor<4xi32>) {
  // expected-error @+1 {{dimension 1 of rows is 6, expected 8}}
  %0 = qwen.replace_rows %x, %r at %i : (tensor<4x8xf32>, tensor<2x6xf32>, tensor<4xi32>) -> tensor<4x8xf32>
  return
}

// -----

// (C35)
func.func @f(%x: tensor<4x8xf32>, %r: tensor<2x8xf32>, %i: tensor<3xi32>) {
  // expected-error @+1 {{dimension 0 of index is 3, expected 4}}
  %0 = qwen.add_rows %x, %r at %i : (tensor<4x8xf32>, tensor<2x8xf32>, tensor<3xi32>) -> tensor<4x8xf32>
  return
}

// -----

// (C32)
func.func @f(%x: tensor<4x8xf32>, %w: tensor<8xbf16>, %b: tensor<4xbf16>) {
  // expected-error @+1 {{dimension 0 of bias is 4, expected 8}}
  %0 = qwen.layer_norm %x, %w, %b eps 1.0e-5 : (tensor<4x8xf32>, tensor<8xbf16>, tensor<4xbf16>) -> tensor<4x8xf32>
  return
}

// -----

// (C32)
func.func @f(%x: tensor<4x8xf32>, %w: tensor<4xbf16>, %b: tensor<8xbf16>) {
  // expected-error @+1 {{dimension 0 of weight is 4, expected 8}}
  %0 = qwen.layer_norm %x, %w, %b eps 1.0e-5 : (tensor<4x8xf32>, tensor<4xbf16>, tensor<8xbf16>) -> tensor<4x8xf32>
  return
}

// -----

// (C32)
func.func @f(%x: tensor<4x8xf32>, %w: tensor<8xbf16>) {
  // expected-error @+1 {{eps is -1.000000e+00, expected a finite number of at least 0}}
  %0 = qwen.layer_norm %x, %w, %w eps -1.0 : (tensor<4x8xf32>, tensor<8xbf16>, tensor<8xbf16>) -> tensor<4x8xf32>
  return
}

// -----

// (C36)
func.func @f(%x: tensor<9x5x2xf32>, %t: tensor<5x3xi32>, %w: tensor<6x2x3x3xbf16>, %b: tensor<6xbf16>) {
  // expected-error @+1 {{dimension 1 of result is 2, expected 3}}
  %0 = qwen.tap_conv %x taps %t, %w, %b : (tensor<9x5x2xf32>, tensor<5x3xi32>, tensor<6x2x3x3xbf16>, tensor<6xbf16>) -> tensor<5x2x6xf32>
  return
}

// -----

// (C36)
func.func @f(%x: tensor<9x5x2xf32>, %t: tensor<5x3xi32>, %w: tensor<6x2x3x3xbf16>, %b: tensor<6xbf16>) {
  // expected-error @+1 {{dimension 0 of result is 9, expected 5}}
  %0 = qwen.tap_conv %x taps %t, %w, %b : (tensor<9x5x2xf32>, tensor<5x3xi32>, tensor<6x2x3x3xbf16>, tensor<6xbf16>) -> tensor<9x3x6xf32>
  return
}

// -----

// (C36)
func.func @f(%x: tensor<9x5x2xf32>, %t: tensor<5x2xi32>, %w: tensor<6x2x3x3xbf16>, %b: tensor<6xbf16>) {
  // expected-error @+1 {{dimension 1 of taps is 2, expected 3}}
  %0 = qwen.tap_conv %x taps %t, %w, %b : (tensor<9x5x2xf32>, tensor<5x2xi32>, tensor<6x2x3x3xbf16>, tensor<6xbf16>) -> tensor<5x3x6xf32>
  return
}

// -----

// (C36)
func.func @f(%x: tensor<9x5x2xf32>, %t: tensor<5x3xi32>, %w: tensor<6x4x3x3xbf16>, %b: tensor<6xbf16>) {
  // expected-error @+1 {{dimension 1 of weight is 4, expected 2}}
  %0 = qwen.tap_conv %x taps %t, %w, %b : (tensor<9x5x2xf32>, tensor<5x3xi32>, tensor<6x4x3x3xbf16>, tensor<6xbf16>) -> tensor<5x3x6xf32>
  return
}

// -----

// (C36)
func.func @f(%x: tensor<9x5x2xf32>, %t: tensor<5x3xi32>, %w: tensor<6x2x3x5xbf16>, %b: tensor<6xbf16>) {
  // expected-error @+1 {{dimension 3 of weight is 5, expected 3}}
  %0 = qwen.tap_conv %x taps %t, %w, %b : (tensor<9x5x2xf32>, tensor<5x3xi32>, tensor<6x2x3x5xbf16>, tensor<6xbf16>) -> tensor<5x3x6xf32>
  return
}

// -----

// (C36)
func.func @f(%x: tensor<9x5x2xf32>, %t: tensor<5x3xi32>, %w: tensor<6x2x3x3xbf16>, %b: tensor<5xbf16>) {
  // expected-error @+1 {{dimension 0 of bias is 5, expected 6}}
  %0 = qwen.tap_conv %x taps %t, %w, %b : (tensor<9x5x2xf32>, tensor<5x3xi32>, tensor<6x2x3x3xbf16>, tensor<5xbf16>) -> tensor<5x3x6xf32>
  return
}

// -----

// (C36)
func.func @f(%x: tensor<9x?x2xf32>, %t: tensor<5x3xi32>, %w: tensor<6x2x3x3xbf16>, %b: tensor<6xbf16>) {
  // expected-error @+1 {{input has type 'tensor<9x?x2xf32>', expected static dimensions behind the rows}}
  %0 = qwen.tap_conv %x taps %t, %w, %b : (tensor<9x?x2xf32>, tensor<5x3xi32>, tensor<6x2x3x3xbf16>, tensor<6xbf16>) -> tensor<5x3x6xf32>
  return
}

// -----

// (C36)
func.func @f(%x: tensor<9x5x2xf32>, %t: tensor<5x3xi32, #qwen.rows<A>>) {
  // expected-error @+1 {{result has type 'tensor<15x18xf32>', expected 3 rows for each of 'tensor<5x3xi32, #qwen.rows<A>>'}}
  %0 = qwen.tap_patches %x taps %t : (tensor<9x5x2xf32>, tensor<5x3xi32, #qwen.rows<A>>) -> tensor<15x18xf32>
  return
}

// -----

// (C36)
func.func @f(%x: tensor<9x5x2xf32>, %t: tensor<5x3xi32, #qwen.rows<A>>) {
  // expected-error @+1 {{result has type 'tensor<15x18xf32, #qwen.rows<A * 5>>', expected 3 rows for each of 'tensor<5x3xi32, #qwen.rows<A>>'}}
  %0 = qwen.tap_patches %x taps %t : (tensor<9x5x2xf32>, tensor<5x3xi32, #qwen.rows<A>>) -> tensor<15x18xf32, #qwen.rows<A * 5>>
  return
}

// -----

// (C36)
func.func @f(%x: tensor<9x5x2xf32>, %t: tensor<5x3xi32, #qwen.rows<A>>) {
  // expected-error @+1 {{dimension 1 of result is 9, expected 18}}
  %0 = qwen.tap_patches %x taps %t : (tensor<9x5x2xf32>, tensor<5x3xi32, #qwen.rows<A>>) -> tensor<15x9xf32, #qwen.rows<A * 3>>
  return
}

// -----

// (C36)
func.func @f(%x: tensor<?x5x2xf32>, %t: tensor<?x3xi32>) {
  // expected-error @+1 {{takes 'tensor<?x5x2xf32>' at 'tensor<?x3xi32>', expected static dimensions}}
  %0 = qwen.tap_patches %x taps %t : (tensor<?x5x2xf32>, tensor<?x3xi32>) -> tensor<?x18xf32>
  return
}

// -----

// (C37)
func.func @f(%p: tensor<4xi32>) {
  // expected-error @+1 {{result has type 'tensor<4x5xf32>', expected an even number of at least 4 columns}}
  %0 = qwen.sinusoid %p theta 1.0e4 : (tensor<4xi32>) -> tensor<4x5xf32>
  return
}

// -----

// (C37)
func.func @f(%p: tensor<4xi32>) {
  // expected-error @+1 {{result has type 'tensor<4x2xf32>', expected an even number of at least 4 columns}}
  %0 = qwen.sinusoid %p theta 1.0e4 : (tensor<4xi32>) -> tensor<4x2xf32>
  return
}

// -----

// (C37)
func.func @f(%p: tensor<4xi32>) {
  // expected-error @+1 {{theta is 0.000000e+00, expected a positive finite number}}
  %0 = qwen.sinusoid %p theta 0.0 : (tensor<4xi32>) -> tensor<4x8xf32>
  return
}

// -----

// (C38)
func.func @f(%x: tensor<4x2x3xf32>) {
  // expected-error @+1 {{dimension 1 of result is 2, expected 3}}
  %0 = qwen.swap_axes %x : tensor<4x2x3xf32> -> tensor<4x2x3xf32>
  return
}

// -----

// (C38)
func.func @f(%x: tensor<4x2x3xf32>) {
  // expected-error @+1 {{result has rank 2, expected 3}}
  %0 = qwen.swap_axes %x : tensor<4x2x3xf32> -> tensor<4x6xf32>
  return
}


// -----

// (C14)
func.func @f(%x: tensor<1x8xf32>) {
  // expected-error @+1 {{suppresses [4, 9, 5], expected the first id, the one behind the last, at most 8, and the one to keep}}
  qwen.next_token %x greedy suppress [4, 9, 5] : tensor<1x8xf32>
  return
}

// -----

// (C14)
func.func @f(%x: tensor<1x8xf32>) {
  // expected-error @+1 {{suppresses [4, 6], expected the first id}}
  qwen.next_token %x greedy suppress [4, 6] : tensor<1x8xf32>
  return
}

// -----

// (C14)
func.func @f(%x: tensor<1x8xf32>) {
  // expected-error @+1 {{suppresses all ids, expected one or more to choose from}}
  qwen.next_token %x greedy suppress [0, 8, 8] : tensor<1x8xf32>
  return
}

// -----

// (C40)
func.func @f(%x: tensor<4x8xf32>, %f: tensor<4x2xf32>) {
  // expected-error @+1 {{dimension 1 of factor is 2, expected 1}}
  %0 = qwen.scale_rows %x, %f : (tensor<4x8xf32>, tensor<4x2xf32>) -> tensor<4x8xf32>
  return
}

// -----

// (C40)
func.func @f(%x: tensor<4x8xf32>, %f: tensor<3x1xf32>) {
  // expected-error @+1 {{dimension 0 of factor is 3, expected 4}}
  %0 = qwen.scale_rows %x, %f : (tensor<4x8xf32>, tensor<3x1xf32>) -> tensor<4x8xf32>
  return
}

// -----

// (C41)
func.func @f(%x: tensor<16x8xf32>) {
  // expected-error @+1 {{dimension 1 of result is 6, expected 8}}
  %0 = qwen.input_rows %x : tensor<16x8xf32> -> tensor<4x6xf32>
  return
}

// -----

// (C42)
func.func @f(%t: tensor<6x8xbf16>) {
  // expected-error @+1 {{dimension 1 of table is 8, expected 4}}
  %0, %1 = qwen.code_row %t : (tensor<6x8xbf16>) -> (tensor<1x4xf32>, tensor<1x1xi32>)
  return
}

// -----

// (C42)
func.func @f(%t: tensor<6x8xbf16>) {
  // expected-error @+1 {{dimension 1 of step is 2, expected 1}}
  %0, %1 = qwen.code_row %t : (tensor<6x8xbf16>) -> (tensor<1x8xf32>, tensor<1x2xi32>)
  return
}

// -----

// (C42)
func.func @f(%x: tensor<16x8xf32>) {
  // expected-error @+1 {{has no tables, expected one for each code}}
  %0 = qwen.frame_row %x tables() : (tensor<16x8xf32>) -> tensor<1x8xf32>
  return
}

// -----

// (C42)
func.func @f(%x: tensor<16x6xf32>, %t: tensor<6x8xbf16>) {
  // expected-error @+1 {{dimension 1 of text is 6, expected 8}}
  %0 = qwen.frame_row %x tables(%t) : (tensor<16x6xf32>, tensor<6x8xbf16>) -> tensor<1x8xf32>
  return
}


// -----

// (C33)
func.func @f(%x: tensor<4x2x8xf32>, %k: tensor<4x1x8xf32>, %s: tensor<4x2xi32>) {
  // expected-error @+1 {{keys have type 'tensor<4x1x8xf32>' and values 'tensor<4x1x8xf32>', expected the shape of the query 'tensor<4x2x8xf32>'}}
  %0 = qwen.segment_attention %x, %k, %k segments %s scale 1.0 : (tensor<4x2x8xf32>, tensor<4x1x8xf32>, tensor<4x1x8xf32>, tensor<4x2xi32>) -> tensor<4x2x8xf32>
  return
}

// -----

// (C33)
func.func @f(%x: tensor<4x2x8xf32>, %k: tensor<4x2x8xf16>, %s: tensor<4x2xi32>) {
  // expected-error @+1 {{keys have type 'tensor<4x2x8xf16>' and values 'tensor<4x2x8xf32>'}}
  %0 = qwen.segment_attention %x, %k, %x segments %s scale 1.0 : (tensor<4x2x8xf32>, tensor<4x2x8xf16>, tensor<4x2x8xf32>, tensor<4x2xi32>) -> tensor<4x2x8xf32>
  return
}

// -----

// (C33)
func.func @f(%x: tensor<4x2x8xf32>, %s: tensor<4x3xi32>) {
  // expected-error @+1 {{dimension 1 of segments is 3, expected 2}}
  %0 = qwen.segment_attention %x, %x, %x segments %s scale 1.0 : (tensor<4x2x8xf32>, tensor<4x2x8xf32>, tensor<4x2x8xf32>, tensor<4x3xi32>) -> tensor<4x2x8xf32>
  return
}

// -----

// (C33)
func.func @f(%x: tensor<4x2x8xf32>, %s: tensor<4x2xi32>) {
  // expected-error @+1 {{scale is 0.000000e+00, expected a positive finite number}}
  %0 = qwen.segment_attention %x, %x, %x segments %s scale 0.0 : (tensor<4x2x8xf32>, tensor<4x2x8xf32>, tensor<4x2x8xf32>, tensor<4x2xi32>) -> tensor<4x2x8xf32>
  return
}

// -----

// (C33)
func.func @f(%x: tensor<4x2x8xf32>, %s: tensor<4x2xi32>) {
  // expected-error @+1 {{result has type 'tensor<4x16xf32>', expected the shape of the input 'tensor<4x2x8xf32>'}}
  %0 = qwen.segment_attention %x, %x, %x segments %s scale 1.0 : (tensor<4x2x8xf32>, tensor<4x2x8xf32>, tensor<4x2x8xf32>, tensor<4x2xi32>) -> tensor<4x16xf32>
  return
}

// -----

// (C34)
func.func @f(%x: tensor<4x2x6xf32>, %p: tensor<4x2xi32>) {
  // expected-error @+1 {{rotates 'tensor<4x2x6xf32>', expected a static last dimension divisible by 4}}
  %0 = qwen.axial_rope %x, %p theta 1.0e4 : (tensor<4x2x6xf32>, tensor<4x2xi32>) -> tensor<4x2x6xf32>
  return
}

// -----

// (C34)
func.func @f(%x: tensor<4x2x8xf32>, %p: tensor<3x2xi32>) {
  // expected-error @+1 {{dimension 0 of places is 3, expected 4}}
  %0 = qwen.axial_rope %x, %p theta 1.0e4 : (tensor<4x2x8xf32>, tensor<3x2xi32>) -> tensor<4x2x8xf32>
  return
}

// -----

// (C34)
func.func @f(%x: tensor<4x2x8xf32>, %p: tensor<4x2xi32>) {
  // expected-error @+1 {{theta is -1.000000e+00, expected a positive finite number}}
  %0 = qwen.axial_rope %x, %p theta -1.0 : (tensor<4x2x8xf32>, tensor<4x2xi32>) -> tensor<4x2x8xf32>
  return
}

// -----

// (C39)
func.func @f(%ids: tensor<4x2xi32>, %w: tensor<4x3xf32>, %t: tensor<9x6xbf16>) {
  // expected-error @+1 {{dimension 1 of weights is 3, expected 2}}
  %0 = qwen.gather_sum %ids, %w, %t : (tensor<4x2xi32>, tensor<4x3xf32>, tensor<9x6xbf16>) -> tensor<4x6xf32>
  return
}

// -----

// (C39)
func.func @f(%ids: tensor<4xi32>, %w: tensor<4x3xf32>, %t: tensor<9x6xbf16>) {
  // expected-error @+1 {{ids has rank 1, expected 2}}
  %0 = qwen.gather_sum %ids, %w, %t : (tensor<4xi32>, tensor<4x3xf32>, tensor<9x6xbf16>) -> tensor<4x6xf32>
  return
}

// -----

// (C39)
func.func @f(%ids: tensor<4x2xi32>, %w: tensor<4x2xf32>, %t: tensor<9x6xbf16>) {
  // expected-error @+1 {{dimension 1 of result is 5, expected 6}}
  %0 = qwen.gather_sum %ids, %w, %t : (tensor<4x2xi32>, tensor<4x2xf32>, tensor<9x6xbf16>) -> tensor<4x5xf32>
  return
}


// -----

// (C2)
// expected-error @+1 {{is fixed and has type 'tensor<?x8xf32>', expected a static shape}}
qwen.state @s : tensor<?x8xf32> fixed

// -----

// (C43)
func.func @f(%c: tensor<3x4xi32>, %t: tensor<30x8xbf16>) {
  // expected-error @+1 {{has codes 'tensor<3x4xi32>' and table 'tensor<30x8xbf16>', expected as many rows of the table for each group}}
  %0 = qwen.codebook_mean %c, %t : (tensor<3x4xi32>, tensor<30x8xbf16>) -> tensor<3x8xf32>
  return
}

// -----

// (C43)
func.func @f(%c: tensor<3x4xi32>, %t: tensor<32x8xbf16>) {
  // expected-error @+1 {{dimension 1 of result is 9, expected 8}}
  %0 = qwen.codebook_mean %c, %t : (tensor<3x4xi32>, tensor<32x8xbf16>) -> tensor<3x9xf32>
  return
}

// -----

// (C44)
func.func @f(%f: tensor<2xi32>) {
  // expected-error @+1 {{dimension 0 of first is 2, expected 1}}
  %0 = qwen.row_numbers %f : (tensor<2xi32>) -> tensor<3xi32>
  return
}

// -----

// (C45)
func.func @f(%q: tensor<3x2x4xf32>, %p: tensor<3xi32>, %k: tensor<7x2x4xf32>, %x: tensor<3x2x6xf32>) {
  // expected-error @+1 {{k_state has type 'tensor<7x2x4xf32>', expected at least the 8 rows of the window}}
  %0 = qwen.window_attention %q, %q, %q at %p states(%k, %k) window 8 scale 0.5 : (tensor<3x2x4xf32>, tensor<3x2x4xf32>, tensor<3x2x4xf32>, tensor<3xi32>, tensor<7x2x4xf32>, tensor<7x2x4xf32>) -> tensor<3x2x4xf32>
  return
}

// -----

// (C45)
func.func @f(%q: tensor<3x2x4xf32>, %p: tensor<3xi32>, %k: tensor<9x3x4xf32>, %x: tensor<3x2x6xf32>) {
  // expected-error @+1 {{dimension 1 of k_state is 3, expected 2}}
  %0 = qwen.window_attention %q, %q, %q at %p states(%k, %k) window 8 scale 0.5 : (tensor<3x2x4xf32>, tensor<3x2x4xf32>, tensor<3x2x4xf32>, tensor<3xi32>, tensor<9x3x4xf32>, tensor<9x3x4xf32>) -> tensor<3x2x4xf32>
  return
}

// -----

// (C45)
func.func @f(%q: tensor<3x2x4xf32>, %p: tensor<3xi32>, %k: tensor<9x2x4xf32>, %x: tensor<3x2x6xf32>) {
  // expected-error @+1 {{keys have type 'tensor<3x2x6xf32>' and values 'tensor<3x2x4xf32>', expected the type of the query 'tensor<3x2x4xf32>'}}
  %0 = qwen.window_attention %q, %x, %q at %p states(%k, %k) window 8 scale 0.5 : (tensor<3x2x4xf32>, tensor<3x2x6xf32>, tensor<3x2x4xf32>, tensor<3xi32>, tensor<9x2x4xf32>, tensor<9x2x4xf32>) -> tensor<3x2x4xf32>
  return
}

// -----

// (C45)
func.func @f(%q: tensor<3x2x4xf32>, %p: tensor<3xi32>, %k: tensor<9x2x4xf32>, %x: tensor<3x2x6xf32>) {
  // expected-error @+1 {{window is 0, expected a positive number}}
  %0 = qwen.window_attention %q, %q, %q at %p states(%k, %k) window 0 scale 0.5 : (tensor<3x2x4xf32>, tensor<3x2x4xf32>, tensor<3x2x4xf32>, tensor<3xi32>, tensor<9x2x4xf32>, tensor<9x2x4xf32>) -> tensor<3x2x4xf32>
  return
}

// -----

// (C45)
func.func @f(%q: tensor<3x20xf32>, %f: tensor<1xi32>, %k: tensor<9x2x4xf32>) {
  // expected-error @+1 {{dimension 1 of qkv is 20, expected 24}}
  %0 = qwen.rope_window_attention %q from %f states(%k, %k) {num_heads = 2 : i64, head_dim = 4 : i64, window = 8 : i64, theta = 1.0e4 : f64, scale = 0.5 : f64} : (tensor<3x20xf32>, tensor<1xi32>, tensor<9x2x4xf32>, tensor<9x2x4xf32>) -> tensor<3x2x4xf32>
  return
}

// -----

// (C46)
func.func @f(%x: tensor<3x8xf32>, %w: tensor<7xbf16>) {
  // expected-error @+1 {{dimension 0 of weight is 7, expected 8}}
  %0 = qwen.scale %x, %w : (tensor<3x8xf32>, tensor<7xbf16>) -> tensor<3x8xf32>
  return
}

// -----

// (C46)
func.func @f(%x: tensor<8xf32>, %w: tensor<8xbf16>) {
  // expected-error @+1 {{input has rank 1, expected rows and columns}}
  %0 = qwen.scale %x, %w : (tensor<8xf32>, tensor<8xbf16>) -> tensor<8xf32>
  return
}

// -----

// (C46)
func.func @f(%x: tensor<8xf32>) {
  // expected-error @+1 {{limit is 0.000000e+00, expected a positive finite number}}
  %0 = qwen.clamp %x limit 0.0 : tensor<8xf32>
  return
}

// -----

// (C47)
func.func @f(%x: tensor<3x8xf32>, %a: tensor<8xbf16>, %b: tensor<7xbf16>) {
  // expected-error @+1 {{dimension 0 of beta is 7, expected 8}}
  %0 = qwen.snake_beta %x, %a, %b : (tensor<3x8xf32>, tensor<8xbf16>, tensor<7xbf16>) -> tensor<3x8xf32>
  return
}

// -----

// (C48)
func.func @f(%x: tensor<3x8xf32>, %f: tensor<1xi32>) {
  // expected-error @+1 {{lead is 0, expected a positive number}}
  %0 = qwen.clear_lead %x, %f lead 0 rows 2 : (tensor<3x8xf32>, tensor<1xi32>) -> tensor<3x8xf32>
  return
}

// -----

// (C49)
func.func @f(%x: tensor<3x8xf32>, %f: tensor<1xi32>, %b: tensor<4xbf16>, %w: tensor<4x56xbf16>, %h: tensor<7x8xf32>) {
  // expected-error @+1 {{history has type 'tensor<7x8xf32>', expected a multiple of dilation 3 rows of the input's channels}}
  %0 = qwen.causal_conv1d %x, %w, %b history(%h, %f) dilation 3 : (tensor<3x8xf32>, tensor<4x56xbf16>, tensor<4xbf16>, tensor<7x8xf32>, tensor<1xi32>) -> tensor<3x4xf32>
  return
}

// -----

// (C49)
func.func @f(%x: tensor<3x8xf32>, %f: tensor<1xi32>, %b: tensor<4xbf16>, %w: tensor<4x48xbf16>, %h: tensor<6x8xf32>) {
  // expected-error @+1 {{weight has type 'tensor<4x48xbf16>', expected [N, 56] or [8, 7]}}
  %0 = qwen.causal_conv1d %x, %w, %b history(%h, %f) dilation 1 : (tensor<3x8xf32>, tensor<4x48xbf16>, tensor<4xbf16>, tensor<6x8xf32>, tensor<1xi32>) -> tensor<3x4xf32>
  return
}

// -----

// (C49)
func.func @f(%x: tensor<3x8xf32>, %f: tensor<1xi32>, %b: tensor<4xbf16>, %w: tensor<4x56xbf16>, %h: tensor<6x8xf32>, %a: tensor<8xbf16>, %a1: tensor<7xbf16>) {
  // expected-error @+1 {{dimension 0 of snake is 7, expected 8}}
  %0 = qwen.causal_conv1d %x, %w, %b history(%h, %f) dilation 1 snake(%a, %a1) : (tensor<3x8xf32>, tensor<4x56xbf16>, tensor<4xbf16>, tensor<6x8xf32>, tensor<1xi32>, tensor<8xbf16>, tensor<7xbf16>) -> tensor<3x4xf32>
  return
}

// -----

// (C49)
func.func @f(%x: tensor<3x8xf32>, %f: tensor<1xi32>, %b: tensor<4xbf16>, %w: tensor<4x56xbf16>, %h: tensor<6x8xf32>) {
  // expected-error @+1 {{has a lead without rows or rows without a lead, expected both or none}}
  %0 = qwen.causal_conv1d %x, %w, %b history(%h, %f) dilation 1 {lead = 2 : i64} : (tensor<3x8xf32>, tensor<4x56xbf16>, tensor<4xbf16>, tensor<6x8xf32>, tensor<1xi32>) -> tensor<3x4xf32>
  return
}

// -----

// (C49)
func.func @f(%x: tensor<3x8xf32>, %f: tensor<1xi32>, %b: tensor<4xbf16>, %w: tensor<4x56xbf16>, %h: tensor<6x8xf32>) {
  // expected-error @+1 {{dimension 1 of result is 5, expected 4}}
  %0 = qwen.causal_conv1d %x, %w, %b history(%h, %f) dilation 1 : (tensor<3x8xf32>, tensor<4x56xbf16>, tensor<4xbf16>, tensor<6x8xf32>, tensor<1xi32>) -> tensor<3x5xf32>
  return
}

// -----

// (C50)
func.func @f(%x: tensor<3x8xf32>, %f: tensor<1xi32>, %b: tensor<4xbf16>, %w: tensor<8x12xbf16>) {
  // expected-error @+1 {{weight has type 'tensor<8x12xbf16>', expected a multiple of stride 2 columns for each of 4 outputs}}
  %0 = qwen.conv_transpose1d %x, %w, %b stride 2 : (tensor<3x8xf32>, tensor<8x12xbf16>, tensor<4xbf16>) -> tensor<6x4xf32>
  return
}

// -----

// (C50)
func.func @f(%x: tensor<3x8xf32>, %f: tensor<1xi32>, %b: tensor<4xbf16>, %w: tensor<8x16xbf16>) {
  // expected-error @+1 {{has no history of 1 rows, expected one with its first row exactly where the kernel is longer than the stride}}
  %0 = qwen.conv_transpose1d %x, %w, %b stride 2 : (tensor<3x8xf32>, tensor<8x16xbf16>, tensor<4xbf16>) -> tensor<6x4xf32>
  return
}

// -----

// (C50)
func.func @f(%x: tensor<3x8xf32>, %f: tensor<1xi32>, %b: tensor<4xbf16>, %w: tensor<8x16xbf16>, %h: tensor<2x8xf32>) {
  // expected-error @+1 {{dimension 0 of history is 2, expected 1}}
  %0 = qwen.conv_transpose1d %x, %w, %b history(%h, %f) stride 2 : (tensor<3x8xf32>, tensor<8x16xbf16>, tensor<4xbf16>, tensor<2x8xf32>, tensor<1xi32>) -> tensor<6x4xf32>
  return
}

// -----

// (C50)
func.func @f(%x: tensor<3x8xf32>, %f: tensor<1xi32>, %b: tensor<4xbf16>, %w: tensor<8x8xbf16>) {
  // expected-error @+1 {{makes 'tensor<5x4xf32>' of 'tensor<3x8xf32>', expected 2 rows for each row}}
  %0 = qwen.conv_transpose1d %x, %w, %b stride 2 : (tensor<3x8xf32>, tensor<8x8xbf16>, tensor<4xbf16>) -> tensor<5x4xf32>
  return
}

// -----

// (C2)
// expected-error @+1 {{is derived and has type 'tensor<?x8xf32>', expected a static shape}}
qwen.state @s : tensor<?x8xf32> derived

// -----

// (C26)
func.func @f(%l: tensor<1x8xf32>) {
  // expected-error @+1 {{has logits of a folded router and is joined to no product, expected one with a norm}}
  %0, %1 = qwen.route %l folded : (tensor<1x8xf32>) -> (tensor<1x4xf32>, tensor<1x4xi32>)
  return
}

// -----

// (C26)
func.func @f(%l: tensor<1x8xf32>, %x: tensor<1x16xf32>, %g: tensor<8x6x16xbf16>) {
  // expected-error @+1 {{has logits of a folded router and is joined to a product without norm, expected a norm}}
  %0, %1 = qwen.route %l folded joined : (tensor<1x8xf32>) -> (tensor<1x4xf32>, tensor<1x4xi32>)
  %2 = qwen.fused_experts %x experts(%1) weights(%g) {
  ^bb0(%a: f32):
    qwen.yield %a : f32
  } : (tensor<1x16xf32>, tensor<1x4xi32>, tensor<8x6x16xbf16>) -> tensor<1x4x6xf32>
  return
}

// -----

// (C51)
qwen.state @s : tensor<4x24xf32> derived
func.func @f(%r: tensor<4x8xbf16>, %w: tensor<8xbf16>, %o: tensor<6x16xbf16>) {
  %s = qwen.read_state @s : tensor<4x24xf32>
  // expected-error @+1 {{dimension 0 of inner weight is 6, expected 8}}
  %0 = qwen.fold_linears %s, %r norm(%w) %o : (tensor<4x24xf32>, tensor<4x8xbf16>, tensor<8xbf16>, tensor<6x16xbf16>) -> tensor<4x24xf32>
  return
}

// -----

// (C51)
qwen.state @s : tensor<4x24xf32> derived
func.func @f(%r: tensor<4x8xbf16>, %w: tensor<6xbf16>, %o: tensor<8x16xbf16>) {
  %s = qwen.read_state @s : tensor<4x24xf32>
  // expected-error @+1 {{dimension 0 of norm weight is 6, expected 8}}
  %0 = qwen.fold_linears %s, %r norm(%w) %o : (tensor<4x24xf32>, tensor<4x8xbf16>, tensor<6xbf16>, tensor<8x16xbf16>) -> tensor<4x24xf32>
  return
}

// -----

// (C51)
qwen.state @s : tensor<4x20xf32> derived
func.func @f(%r: tensor<4x8xbf16>, %w: tensor<8xbf16>, %o: tensor<8x16xbf16>) {
  %s = qwen.read_state @s : tensor<4x20xf32>
  // expected-error @+1 {{dimension 1 of state is 20, expected 24}}
  %0 = qwen.fold_linears %s, %r norm(%w) %o : (tensor<4x20xf32>, tensor<4x8xbf16>, tensor<8xbf16>, tensor<8x16xbf16>) -> tensor<4x20xf32>
  return
}

// -----

// (C51)
qwen.state @s : tensor<4x24xf16> derived
func.func @f(%r: tensor<4x8xbf16>, %w: tensor<8xbf16>, %o: tensor<8x16xbf16>) {
  %s = qwen.read_state @s : tensor<4x24xf16>
  // expected-error @+1 {{writes 'tensor<4x24xf16>' as 'tensor<4x24xf16>', expected one type of f32}}
  %0 = qwen.fold_linears %s, %r norm(%w) %o : (tensor<4x24xf16>, tensor<4x8xbf16>, tensor<8xbf16>, tensor<8x16xbf16>) -> tensor<4x24xf16>
  return
}

// -----

// (C51)
qwen.state @s : tensor<4x24xf32> fixed
func.func @f(%r: tensor<4x8xbf16>, %w: tensor<8xbf16>, %o: tensor<8x16xbf16>) {
  %s = qwen.read_state @s : tensor<4x24xf32>
  // expected-error @+1 {{writes what is no derived state, expected a qwen.read_state of one}}
  %0 = qwen.fold_linears %s, %r norm(%w) %o : (tensor<4x24xf32>, tensor<4x8xbf16>, tensor<8xbf16>, tensor<8x16xbf16>) -> tensor<4x24xf32>
  return
}

// -----

// (C52)
func.func @f(%a: tensor<2x16xf32>, %x: tensor<1x8xf32>, %s: tensor<4x24xf32>) {
  // expected-error @+1 {{takes 'tensor<2x16xf32>', expected one row or a static [heads, splits, D + 2]}}
  %0 = qwen.folded_router %a, %x, %s : (tensor<2x16xf32>, tensor<1x8xf32>, tensor<4x24xf32>) -> tensor<1x4xf32>
  return
}

// -----

// (C52)
func.func @f(%a: tensor<2x3x10xf32>, %x: tensor<1x8xf32>, %s: tensor<4x25xf32>) {
  // expected-error @+1 {{dimension 1 of folded weight is 25, expected 24}}
  %0 = qwen.folded_router %a, %x, %s : (tensor<2x3x10xf32>, tensor<1x8xf32>, tensor<4x25xf32>) -> tensor<1x4xf32>
  return
}

// -----

// (C52)
func.func @f(%a: tensor<1x16xf32>, %x: tensor<1x8xf32>, %s: tensor<4x24xf16>) {
  // expected-error @+1 {{has weights 'tensor<4x24xf16>', expected f32 of a static shape}}
  %0 = qwen.folded_router %a, %x, %s : (tensor<1x16xf32>, tensor<1x8xf32>, tensor<4x24xf16>) -> tensor<1x4xf32>
  return
}

// -----

// (C52)
func.func @f(%a: tensor<1x16xf32>, %x: tensor<1x8xf32>, %s: tensor<4x24xf32>) {
  // expected-error @+1 {{dimension 1 of logits is 5, expected 4}}
  %0 = qwen.folded_router %a, %x, %s : (tensor<1x16xf32>, tensor<1x8xf32>, tensor<4x24xf32>) -> tensor<1x5xf32>
  return
}
