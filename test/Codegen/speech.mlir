// The kernels of speech, on histories of their own.

// RUN: qwen-opt %s --convert-qwen-to-plan=target=lavapipe | FileCheck %s

module attributes {qwen.max_context = 32 : i64} {
  qwen.parameter @codes : tensor<12x24xbf16> file 0 offset 0
  qwen.parameter @codes.1 : tensor<8x24xbf16> file 0 offset 576
  qwen.parameter @codes.2 : tensor<8x24xbf16> file 0 offset 960
  qwen.parameter @down : tensor<24x24xbf16> file 0 offset 1344
  qwen.parameter @gate : tensor<1x24xbf16> file 0 offset 2496

  // CHECK-DAG: plan.storage @state state size 5060
  // CHECK-DAG: plan.storage @state.1 state size 5060
  // CHECK-DAG: plan.storage @mailbox.2 mailbox
  // CHECK-DAG: plan.storage @talker.inputs output size 3072
  // CHECK-DAG: plan.cell position in @state at 0 count 1{{$}}
  // CHECK-DAG: plan.cell position in @state.1 at 0 count 1 sequence 1
  // CHECK-DAG: plan.cell text_rows in @state.1 at 48 count 1 sequence 1
  // CHECK-DAG: plan.cell sampled in @mailbox.2 at 0 count 1024 sequence 2

  // CHECK-LABEL: plan.entry @talker.prefill role other rows 16 sequence 1
  // CHECK-DAG: plan.tensor input "input_ids" in @state.1
  // CHECK-DAG: plan.tensor input "inputs" in @talker.inputs
  // CHECK-DAG: plan.ref @state.1
  // CHECK: plan.dispatch @input_rows_of_32_n24_r16
  // CHECK: plan.dispatch @gemm_n1_k24_r16_sigmoid groups
  // CHECK: plan.dispatch @gemm_n24_k24_r16_mulf_rf32
  func.func @talker.prefill(%ids: tensor<16xi32, #qwen.rows<S>> {qwen.binding = "tokens"},
                            %inputs: tensor<32x24xf32> {qwen.binding = "buffer", qwen.name = "inputs", qwen.symbol = "S"})
      -> (tensor<16x24xf32, #qwen.rows<S>> {qwen.name = "y"}) attributes {qwen.role = "other", qwen.rows = 16 : i64, qwen.sequence = 1 : i64} {
    %down = qwen.weight @down : tensor<24x24xbf16>
    %gate = qwen.weight @gate : tensor<1x24xbf16>
    qwen.begin_chunk 16
    %x = qwen.input_rows %inputs : tensor<32x24xf32> -> tensor<16x24xf32, #qwen.rows<S>>
    %factor = qwen.fused_linear none concat %x weights(%gate) {
    ^bb0(%a: f32):
      %one = arith.constant 1.0 : f32
      %n = arith.negf %a : f32
      %e = math.exp %n : f32
      %d = arith.addf %e, %one : f32
      %s = arith.divf %one, %d : f32
      qwen.yield %s : f32
    } : (tensor<16x24xf32, #qwen.rows<S>>, tensor<1x24xbf16>) -> tensor<16x1xf32, #qwen.rows<S>>
    %y = qwen.fused_linear none concat %x weights(%down) extras(%factor) {
    ^bb0(%a: f32, %f: f32):
      %s = arith.mulf %a, %f : f32
      qwen.yield %s : f32
    } : (tensor<16x24xf32, #qwen.rows<S>>, tensor<24x24xbf16>, tensor<16x1xf32, #qwen.rows<S>>) -> tensor<16x24xf32, #qwen.rows<S>>
    qwen.advance
    return %y : tensor<16x24xf32, #qwen.rows<S>>
  }

  // CHECK-LABEL: plan.entry @talker.decode_greedy
  // CHECK-DAG: plan.symbol "N" cell text_rows max 32
  // CHECK-DAG: plan.tensor input "repetition_penalty" in @state.1
  // CHECK: plan.dispatch @frame_row_t12x1_8x2_n24_text32
  // CHECK: plan.dispatch @penalised_argmax_v12_without8_12_keep9_advance
  func.func @talker.decode_greedy(%text: tensor<32x24xf32> {qwen.binding = "buffer", qwen.name = "text_rows", qwen.symbol = "N"},
                                  %l: tensor<1x12xf32> {qwen.binding = "buffer", qwen.name = "given"})
      -> (tensor<1x24xf32> {qwen.name = "row"}) attributes {qwen.role = "other", qwen.rows = 1 : i64, qwen.sequence = 1 : i64} {
    %c0 = qwen.weight @codes : tensor<12x24xbf16>
    %c1 = qwen.weight @codes.1 : tensor<8x24xbf16>
    %c2 = qwen.weight @codes.2 : tensor<8x24xbf16>
    %x = qwen.frame_row %text tables(%c0, %c1, %c2) : (tensor<32x24xf32>, tensor<12x24xbf16>, tensor<8x24xbf16>, tensor<8x24xbf16>) -> tensor<1x24xf32>
    qwen.next_token %l greedy advances suppress [8, 12, 9] : tensor<1x12xf32>
    return %x : tensor<1x24xf32>
  }

  // CHECK-LABEL: plan.entry @predictor.decode_sample role other rows 1 sequence 2
  // CHECK: plan.tensor output "codes" in @state.2 at 68
  // CHECK: plan.dispatch @begin_frame
  // CHECK: plan.dispatch @code_row_t12x1_8x2_n24
  // CHECK: plan.dispatch @sample_v12_without8_12_keep9
  func.func @predictor.decode_sample(%l: tensor<1x12xf32> {qwen.binding = "buffer", qwen.name = "given"})
      -> (tensor<1x24xf32> {qwen.name = "row"})
      attributes {qwen.codes = 3 : i64, qwen.role = "other", qwen.rows = 1 : i64, qwen.sequence = 2 : i64} {
    %c0 = qwen.weight @codes : tensor<12x24xbf16>
    %c1 = qwen.weight @codes.1 : tensor<8x24xbf16>
    %c2 = qwen.weight @codes.2 : tensor<8x24xbf16>
    qwen.begin_frame
    %x, %n = qwen.code_row %c0, %c1, %c2 : (tensor<12x24xbf16>, tensor<8x24xbf16>, tensor<8x24xbf16>) -> (tensor<1x24xf32>, tensor<1x1xi32>)
    qwen.next_token %l sample suppress [8, 12, 9] : tensor<1x12xf32>
    return %x : tensor<1x24xf32>
  }

  // CHECK-LABEL: plan.entry @talker.text role other rows 6
  // CHECK: plan.dispatch @gather_v12_n24_r6
  func.func @talker.text(%ids: tensor<6xi32, #qwen.rows<T>> {qwen.binding = "tensor", qwen.name = "codes"})
      -> (tensor<6x24xf32, #qwen.rows<T>> {qwen.name = "rows"}) attributes {qwen.role = "other", qwen.rows = 6 : i64} {
    %c = qwen.weight @codes : tensor<12x24xbf16>
    %x = qwen.embedding %ids, %c : (tensor<6xi32, #qwen.rows<T>>, tensor<12x24xbf16>) -> tensor<6x24xf32, #qwen.rows<T>>
    return %x : tensor<6x24xf32, #qwen.rows<T>>
  }
}
