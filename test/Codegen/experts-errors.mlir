// RUN: qwen-opt %s --convert-qwen-to-plan=target=lavapipe --split-input-file --verify-diagnostics -o /dev/null

module attributes {qwen.max_context = 96 : i64} {
  qwen.parameter @w.0 : tensor<8x8xbf16> file 0 offset 0
  qwen.parameter @w.1 : tensor<8x8xbf16> file 0 offset 128
  func.func @f(%x: tensor<4x8xf32, #qwen.rows<S>> {qwen.binding = "hidden"}, %l: tensor<4x2xf32, #qwen.rows<S>> {qwen.binding = "hidden"}) attributes {qwen.role = "prefill", qwen.rows = 4 : i64} {
    %w = qwen.weight_stack [@w.0, @w.1] : tensor<2x8x8xbf16>
    %v, %e = qwen.route %l : (tensor<4x2xf32, #qwen.rows<S>>) -> (tensor<4x1xf32, #qwen.rows<S>>, tensor<4x1xi32, #qwen.rows<S>>)
    // expected-error @+1 {{has many rows without grouped choices; run qwen-group-experts on what was not grouped before}}
    %y = qwen.fused_experts %x experts(%e) weights(%w) {
    ^bb0(%a: f32):
      qwen.yield %a : f32
    } : (tensor<4x8xf32, #qwen.rows<S>>, tensor<4x1xi32, #qwen.rows<S>>, tensor<2x8x8xbf16>) -> tensor<4x1x8xf32, #qwen.rows<S>>
    return
  }
}

// -----

module attributes {qwen.max_context = 96 : i64} {
  qwen.parameter @w.0 : tensor<8x8xbf16> file 0 offset 0
  qwen.parameter @w.1 : tensor<8x8xbf16> file 0 offset 128
  func.func @f(%x: tensor<1x8xf32> {qwen.binding = "hidden"}, %l: tensor<1x2xf32> {qwen.binding = "hidden"}) attributes {qwen.role = "prefill", qwen.rows = 4 : i64} {
    %w = qwen.weight_stack [@w.0, @w.1] : tensor<2x8x8xbf16>
    %v, %e = qwen.route %l : (tensor<1x2xf32>) -> (tensor<1x1xf32>, tensor<1x1xi32>)
    %o, %t = qwen.group_experts %e count 2 tile 4 : (tensor<1x1xi32>) -> (tensor<1xi32>, tensor<1x4xi32>)
    // expected-error @+1 {{has grouped choices of one row; run qwen-group-experts on what was not grouped before}}
    %y = qwen.fused_experts %x experts(%e) weights(%w) grouped(%o, %t) {
    ^bb0(%a: f32):
      qwen.yield %a : f32
    } : (tensor<1x8xf32>, tensor<1x1xi32>, tensor<2x8x8xbf16>, tensor<1xi32>, tensor<1x4xi32>) -> tensor<1x1x8xf32>
    return
  }
}

// -----

module attributes {qwen.max_context = 96 : i64} {
  qwen.parameter @w.0 : tensor<8x8xbf16> file 0 offset 0
  qwen.parameter @w.1 : tensor<8x8xbf16> file 0 offset 128
  func.func @f(%x: tensor<4x8xf32, #qwen.rows<S>> {qwen.binding = "hidden"}, %l: tensor<4x2xf32, #qwen.rows<S>> {qwen.binding = "hidden"}) attributes {qwen.role = "prefill", qwen.rows = 4 : i64} {
    %w = qwen.weight_stack [@w.0, @w.1] : tensor<2x8x8xbf16>
    %v, %e = qwen.route %l : (tensor<4x2xf32, #qwen.rows<S>>) -> (tensor<4x1xf32, #qwen.rows<S>>, tensor<4x1xi32, #qwen.rows<S>>)
    // expected-error @+1 {{takes groups from elsewhere, expected them from qwen.group_experts}}
    %y = qwen.fused_experts %x experts(%e) weights(%w) grouped(%e, %e) {
    ^bb0(%a: f32):
      qwen.yield %a : f32
    } : (tensor<4x8xf32, #qwen.rows<S>>, tensor<4x1xi32, #qwen.rows<S>>, tensor<2x8x8xbf16>, tensor<4x1xi32, #qwen.rows<S>>, tensor<4x1xi32, #qwen.rows<S>>) -> tensor<4x1x8xf32, #qwen.rows<S>>
    return
  }
}

// -----

module attributes {qwen.max_context = 96 : i64} {
  func.func @f(%l: tensor<4x2xf32, #qwen.rows<S>> {qwen.binding = "hidden"}) attributes {qwen.role = "prefill", qwen.rows = 4 : i64} {
    %v, %e = qwen.route %l : (tensor<4x2xf32, #qwen.rows<S>>) -> (tensor<4x1xf32, #qwen.rows<S>>, tensor<4x1xi32, #qwen.rows<S>>)
    // expected-error @+1 {{chooses among 2049 experts, expected at most 2048}}
    %o, %t = qwen.group_experts %e count 2049 tile 4 : (tensor<4x1xi32, #qwen.rows<S>>) -> (tensor<4xi32>, tensor<5x4xi32>)
    return
  }
}

// -----

module attributes {qwen.max_context = 96 : i64} {
  func.func @f(%l: tensor<4x2xf32, #qwen.rows<S>> {qwen.binding = "hidden"}) attributes {qwen.role = "prefill", qwen.rows = 4 : i64} {
    %v, %e = qwen.route %l : (tensor<4x2xf32, #qwen.rows<S>>) -> (tensor<4x1xf32, #qwen.rows<S>>, tensor<4x1xi32, #qwen.rows<S>>)
    qwen.expose %v "chosen" : tensor<4x1xf32, #qwen.rows<S>>
    // expected-error @+1 {{exposed value has the name 'chosen' of another output, expected different names; rename it in the graph}}
    qwen.expose %e "chosen" : tensor<4x1xi32, #qwen.rows<S>>
    return
  }
}

// -----

module attributes {qwen.max_context = 96 : i64} {
  func.func @f(%l: tensor<4x2xf32, #qwen.rows<S>> {qwen.binding = "hidden"}) attributes {qwen.role = "prefill", qwen.rows = 4 : i64} {
    // expected-error @+1 {{exposed value 'rows' is made by no kernel, expected the result of one; do not expose it}}
    qwen.expose %l "rows" : tensor<4x2xf32, #qwen.rows<S>>
    return
  }
}

// -----

module attributes {qwen.max_context = 96 : i64} {
  func.func @f(%l: tensor<4x2xf32, #qwen.rows<S>> {qwen.binding = "hidden"}) attributes {qwen.role = "prefill", qwen.rows = 4 : i64} {
    %p = qwen.position_ids : tensor<4xi32, #qwen.rows<S>>
    // expected-error @+1 {{exposed value 'positions' is made by no kernel, expected the result of one; do not expose it}}
    qwen.expose %p "positions" : tensor<4xi32, #qwen.rows<S>>
    return
  }
}

// -----

module attributes {qwen.max_context = 96 : i64} {
  func.func @f(%l: tensor<4x2049xf32, #qwen.rows<S>> {qwen.binding = "hidden"}) attributes {qwen.role = "prefill", qwen.rows = 4 : i64} {
    // expected-error @+1 {{chooses among 2049 experts, expected at most 2048}}
    %v, %e = qwen.route %l : (tensor<4x2049xf32, #qwen.rows<S>>) -> (tensor<4x2xf32, #qwen.rows<S>>, tensor<4x2xi32, #qwen.rows<S>>)
    return
  }
}

// -----

module attributes {qwen.max_context = 96 : i64} {
  func.func @f(%l: tensor<4x128xf32, #qwen.rows<S>> {qwen.binding = "hidden"}) attributes {qwen.role = "prefill", qwen.rows = 4 : i64} {
    // expected-error @+1 {{takes 65 experts for a row, expected at most 64}}
    %v, %e = qwen.route %l : (tensor<4x128xf32, #qwen.rows<S>>) -> (tensor<4x65xf32, #qwen.rows<S>>, tensor<4x65xi32, #qwen.rows<S>>)
    return
  }
}

// -----

module attributes {qwen.max_context = 96 : i64} {
  func.func @f(%x: tensor<4x65x8xf32, #qwen.rows<S>> {qwen.binding = "hidden"}, %l: tensor<4x65xf32, #qwen.rows<S>> {qwen.binding = "hidden"}) attributes {qwen.role = "prefill", qwen.rows = 4 : i64} {
    // expected-error @+1 {{takes 65 experts for a row, expected at most 64}}
    %v = qwen.weighted_sum %x, %l : (tensor<4x65x8xf32, #qwen.rows<S>>, tensor<4x65xf32, #qwen.rows<S>>) -> tensor<4x8xf32, #qwen.rows<S>>
    return
  }
}

// -----

module attributes {qwen.max_context = 96 : i64} {
  qwen.parameter @w.0 : tensor<8x8xbf16> file 0 offset 0
  qwen.parameter @w.1 : tensor<8x8xbf16> file 0 offset 128
  func.func @f(%x: tensor<1x8xf32> {qwen.binding = "hidden"}, %e: tensor<1x65xi32> {qwen.binding = "hidden"}) attributes {qwen.role = "prefill", qwen.rows = 4 : i64} {
    %w = qwen.weight_stack [@w.0, @w.1] : tensor<2x8x8xbf16>
    // expected-error @+1 {{takes 65 experts for a row, expected at most 64}}
    %y = qwen.fused_experts %x experts(%e) weights(%w) {
    ^bb0(%a: f32):
      qwen.yield %a : f32
    } : (tensor<1x8xf32>, tensor<1x65xi32>, tensor<2x8x8xbf16>) -> tensor<1x65x8xf32>
    return
  }
}
