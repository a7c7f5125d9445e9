// RUN: qwen-opt %s --qwen-verify-entries --split-input-file --verify-diagnostics -o /dev/null
// The first entry is fine.

func.func @e(%t: tensor<1xi32> {qwen.binding = "tokens"}) attributes {qwen.role = "decode_greedy", qwen.rows = 1 : i64} {
  return
}

// -----

// Weights and stacks of them do not use the rows.
qwen.parameter @a : tensor<6x8xbf16> file 0 offset 0
func.func @e(%t: tensor<4xi32> {qwen.binding = "tokens"}) attributes {qwen.role = "prefill", qwen.rows = 4 : i64} {
  %w = qwen.weight_stack [@a] : tensor<1x6x8xbf16>
  qwen.begin_chunk 4
  return
}

// -----

// expected-error @+1 {{function has no attribute 'qwen.role', expected an entry, run qwen-specialize-entries first}}
func.func @e(%t: tensor<1xi32> {qwen.binding = "tokens"})  {
  return
}

// -----

// expected-error @+1 {{entry has role "decode", expected one of other, prefill, next_greedy, next_sample, decode_greedy, decode_sample, logits}}
func.func @e(%t: tensor<1xi32> {qwen.binding = "tokens"}) attributes {qwen.role = "decode", qwen.rows = 1 : i64} {
  return
}

// -----

// expected-error @+1 {{entry has no positive 'qwen.rows', expected the rows of one run}}
func.func @e(%t: tensor<1xi32> {qwen.binding = "tokens"}) attributes {qwen.role = "logits", qwen.rows = 0 : i64} {
  return
}

// -----

// expected-error @+1 {{entry has no single block, expected a body without control flow}}
func.func private @e() attributes {qwen.role = "decode_greedy", qwen.rows = 1 : i64}

// -----

// expected-error @+1 {{argument 0 has no known 'qwen.binding', expected tokens, hidden, positions, media_rows, media, tensor or buffer}}
func.func @e(%t: tensor<1xi32> {qwen.binding = "ids"}) attributes {qwen.role = "decode_greedy", qwen.rows = 1 : i64} {
  return
}

// -----

// expected-error @+1 {{argument 0 has no 'qwen.name', expected a name for callers}}
func.func @encoder(%x: tensor<4x8xf32> {qwen.binding = "tensor"}) attributes {qwen.role = "other", qwen.rows = 4 : i64} {
  return
}

// -----

// expected-error @+1 {{argument 1 has no 'qwen.name', expected a name for callers}}
func.func @prefill(%ids: tensor<4xi32, #qwen.rows<S>> {qwen.binding = "tokens"}, %x: tensor<4x8xf32> {qwen.binding = "media"})
    attributes {qwen.role = "prefill", qwen.rows = 4 : i64} {
  return
}

// -----

// Positions and media rows stand in the history: nobody needs a name for them.
func.func @prefill(%ids: tensor<4xi32, #qwen.rows<S>> {qwen.binding = "tokens"}, %p: tensor<4x3xf32, #qwen.rows<S>> {qwen.binding = "positions"},
                   %i: tensor<4xi32, #qwen.rows<S>> {qwen.binding = "media_rows"}, %x: tensor<4x8xf32> {qwen.binding = "media", qwen.name = "media"})
    attributes {qwen.role = "prefill", qwen.rows = 4 : i64} {
  return
}

// -----

// expected-error @+1 {{result 0 has no 'qwen.name', expected a name for callers}}
func.func @e(%t: tensor<1xi32> {qwen.binding = "tokens"}) -> tensor<1xi32> attributes {qwen.role = "decode_greedy", qwen.rows = 1 : i64} {
  return %t : tensor<1xi32>
}

// -----

// expected-error @+1 {{value has type 'tensor<?xi32, #qwen.rows<S>>', expected a static shape, run qwen-specialize-entries first}}
func.func @e(%t: tensor<?xi32, #qwen.rows<S>> {qwen.binding = "tokens"}) attributes {qwen.role = "decode_greedy", qwen.rows = 1 : i64} {
  return
}

// -----

// expected-error @+1 {{value has type 'tensor<4194304x1048576x8xf32>', expected at most 17592186044416 bytes, lower the context or the rows}}
qwen.state @k : tensor<4194304x1048576x8xf32>

// -----

// expected-error @+1 {{value has type 'tensor<0x1x8xf32>', expected no empty dimension}}
qwen.state @k : tensor<0x1x8xf32>

// -----

// expected-error @+1 {{value has type 'tensor<?x1x8xf32>', expected a static shape, run qwen-specialize-entries first}}
qwen.state @k : tensor<?x1x8xf32>

// -----

func.func @e(%t: tensor<1xi32> {qwen.binding = "tokens"}) attributes {qwen.role = "decode_greedy", qwen.rows = 1 : i64} {
  qwen.advance
  // expected-error @+1 {{stands behind the step that moves the position, expected only the return there}}
  %p = qwen.position_ids : tensor<1xi32>
  return
}

// -----

func.func @e(%t: tensor<1xi32> {qwen.binding = "tokens"}) attributes {qwen.role = "decode_greedy", qwen.rows = 1 : i64} {
  %p = qwen.position_ids : tensor<1xi32>
  // expected-error @+1 {{stands behind operations that use the rows, expected it before them}}
  qwen.begin_chunk 4
  return
}

// -----

qwen.state @k : tensor<16x1x8xf32>
func.func @e(%t: tensor<1xi32> {qwen.binding = "tokens"}) attributes {qwen.role = "decode_greedy", qwen.rows = 1 : i64} {
  %a = qwen.read_state @k : tensor<16x1x8xf32>
  // expected-error @+1 {{reads @k again, expected one read of a state in an entry}}
  %b = qwen.read_state @k : tensor<16x1x8xf32>
  return
}

// -----

qwen.state @k : tensor<16x1x8xf32>
func.func @e(%x: tensor<1x1x8xf32> {qwen.binding = "hidden"}) attributes {qwen.role = "decode_greedy", qwen.rows = 1 : i64} {
  // expected-error @+1 {{has several uses, expected one, so that the state can be updated in place}}
  %c = qwen.read_state @k : tensor<16x1x8xf32>
  %a = qwen.attention %x, %c, %c scale 0.5 causal : (tensor<1x1x8xf32>, tensor<16x1x8xf32>, tensor<16x1x8xf32>) -> tensor<1x1x8xf32>
  return
}
