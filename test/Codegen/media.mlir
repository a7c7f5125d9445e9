// Prompts with media: rotary positions and media rows stand in the history, media are inputs that may be left out.

// RUN: qwen-opt %s --convert-qwen-to-plan=target=lavapipe | FileCheck %s
// RUN: qwen-opt %s --convert-qwen-to-plan=target=lavapipe | FileCheck %s --check-prefix=KERNELS

// CHECK: plan.cell position_delta in @state at 44 count 1
// CHECK: plan.cell rotary_positions in @state at 4736 count 291
// CHECK: plan.cell media_rows in @state at 5952 count 97

// Rows of media have no cell: a row takes the one that its history names, if it is one of the 90.
// KERNELS-LABEL: plan.kernel @replace_rows_of_90_n64_r24 {{.*}} operands (x read 6144, source read 23040, state read 6340, y write 6144)
// KERNELS: %[[FIRST:.*]] = spirv.Constant 1488 : i32
// KERNELS-NEXT: %[[AT:.*]] = spirv.IAdd %{{.*}}, %[[FIRST]] : i32
// KERNELS: spirv.AccessChain %{{[^,]*}}[%{{[^,]*}}, %[[AT]]]
// KERNELS: %[[INDEX:.*]] = spirv.Load "PhysicalStorageBuffer"
// KERNELS: %[[COUNT:.*]] = spirv.Constant 90 : i32
// KERNELS-NEXT: %[[IS:.*]] = spirv.ULessThan %[[INDEX]], %[[COUNT]] : i32
// KERNELS: %[[LAST:.*]] = spirv.Constant 89 : i32
// KERNELS-NEXT: %[[FROM:.*]] = spirv.GL.UMin %[[INDEX]], %[[LAST]] : i32
// KERNELS: spirv.IMul %[[FROM]],
// KERNELS-NOT: spirv.FAdd
// KERNELS: spirv.Select %[[IS]], %{{.*}}, %{{.*}} : i1, f32

// KERNELS-LABEL: plan.kernel @add_rows_of_90_n64_r24
// KERNELS: spirv.FAdd
// KERNELS: spirv.Select %{{.*}}, %{{.*}}, %{{.*}} : i1, f32

// Pair i turns with height or width by i % 3 while i is below three times their sections.
// KERNELS-LABEL: plan.kernel @rope_append_h2kv1d16_c96_f32_r24_mrope4_2_2_p
// KERNELS: %[[TURN:.*]] = spirv.UMod %[[PAIR:[^,]*]], %{{.*}} : i32
// KERNELS: spirv.Constant 6 : i32
// KERNELS-NEXT: spirv.ULessThan %[[PAIR]], %{{.*}} : i32
// KERNELS: spirv.ULessThan %[[PAIR]], %{{.*}} : i32
// KERNELS: %[[WIDTH:.*]] = spirv.Select %{{.*}}, %{{.*}}, %{{.*}} : i1, i32
// KERNELS-NEXT: spirv.Select %{{.*}}, %{{.*}}, %[[WIDTH]] : i1, i32
// KERNELS: spirv.Constant 1184 : i32

// A sampled token turns by its index and the shift that media before it have left.
// KERNELS-LABEL: plan.kernel @decode_attention_h2kv1d16_c96_f32_s3_mrope_p
// KERNELS: %[[COUNTED:.*]] = spirv.ConvertUToF %{{.*}} : i32 to f32
// KERNELS-NEXT: %[[DELTA:.*]] = spirv.Constant 11 : i32
// KERNELS: spirv.AccessChain %{{[^,]*}}[%{{[^,]*}}, %[[DELTA]]]
// KERNELS: %[[SHIFT:.*]] = spirv.Bitcast %{{.*}} : i32 to f32
// KERNELS-NEXT: spirv.FAdd %[[COUNTED]], %[[SHIFT]] : f32
// KERNELS-LABEL: plan.kernel @decode_attention_h2kv1d16_c96_f32_s3_p
// KERNELS: spirv.ConvertUToF
// KERNELS-NEXT: spirv.Constant 95 : i32

// CHECK-LABEL: plan.entry @prefill
// CHECK: plan.tensor input "input_ids" in @state at 64 i32 [24] symbols ["S"]
// CHECK-NEXT: plan.symbol "S" cell length max 24
// CHECK-NEXT: plan.tensor input "positions" in @state at 4736 f32 [24, 3] symbols ["S", ""] optional
// CHECK-NEXT: plan.tensor input "media_rows" in @state at 5952 i32 [24] symbols ["S"] optional
// CHECK: plan.tensor input "media" in @media at 0 f32 [90, 64] symbols ["", ""] optional
// CHECK: plan.tensor input "deepstack.0" in @deepstack.0 at 0 f32 [90, 64] symbols ["", ""] optional
// CHECK: plan.dispatch @embedding_v101_n64_r24
// CHECK: plan.dispatch @replace_rows_of_90_n64_r24 groups [24, 1, 1]
// CHECK: plan.dispatch @add_rows_of_90_n64_r24 groups [24, 1, 1]
// CHECK: plan.dispatch @rope_append_h2kv1d16_c96_f32_r24_mrope4_2_2_p

// Nobody gives the position of a token that is sampled.
// CHECK-LABEL: plan.entry @decode role
// CHECK-NOT: plan.tensor input "positions"
// CHECK: plan.dispatch @decode_attention_h2kv1d16_c96_f32_s3_mrope_p
// CHECK-LABEL: plan.entry @decode_text role
// CHECK: plan.dispatch @decode_attention_h2kv1d16_c96_f32_s3_p

module attributes {qwen.max_context = 96 : i64} {
  qwen.parameter @table : tensor<101x64xbf16> file 0 offset 1000
  qwen.state @k : tensor<96x1x16xf32>
  qwen.state @v : tensor<96x1x16xf32>

  func.func @prefill(%ids: tensor<24xi32, #qwen.rows<S>> {qwen.binding = "tokens"},
                     %positions: tensor<24x3xf32, #qwen.rows<S>> {qwen.binding = "positions"},
                     %index: tensor<24xi32, #qwen.rows<S>> {qwen.binding = "media_rows"},
                     %media: tensor<90x64xf32> {qwen.binding = "media", qwen.name = "media"},
                     %deep: tensor<90x64xf32> {qwen.binding = "media", qwen.name = "deepstack.0"})
      -> (tensor<24x32xf32, #qwen.rows<S>> {qwen.name = "hidden"}) attributes {qwen.role = "prefill", qwen.rows = 24 : i64} {
    qwen.begin_chunk 24
    %table = qwen.weight @table : tensor<101x64xbf16>
    %kc = qwen.read_state @k : tensor<96x1x16xf32>
    %vc = qwen.read_state @v : tensor<96x1x16xf32>
    %x = qwen.embedding %ids, %table : (tensor<24xi32, #qwen.rows<S>>, tensor<101x64xbf16>) -> tensor<24x64xf32, #qwen.rows<S>>
    %r = qwen.replace_rows %x, %media at %index
        : (tensor<24x64xf32, #qwen.rows<S>>, tensor<90x64xf32>, tensor<24xi32, #qwen.rows<S>>) -> tensor<24x64xf32, #qwen.rows<S>>
    %qkv = qwen.add_rows %r, %deep at %index
        : (tensor<24x64xf32, #qwen.rows<S>>, tensor<90x64xf32>, tensor<24xi32, #qwen.rows<S>>) -> tensor<24x64xf32, #qwen.rows<S>>
    %q, %k1, %v1 = qwen.rope_append %qkv norms() caches(%kc, %vc)
        {num_heads = 2 : i64, num_kv_heads = 1 : i64, head_dim = 16 : i64, theta = 1.0e6 : f64, sections = array<i64: 4, 2, 2>}
        : (tensor<24x64xf32, #qwen.rows<S>>, tensor<96x1x16xf32>, tensor<96x1x16xf32>)
        -> (tensor<24x2x16xf32, #qwen.rows<S>>, tensor<96x1x16xf32>, tensor<96x1x16xf32>)
    %y = qwen.reshape %q : tensor<24x2x16xf32, #qwen.rows<S>> -> tensor<24x32xf32, #qwen.rows<S>>
    qwen.advance
    return %y : tensor<24x32xf32, #qwen.rows<S>>
  }

  func.func @decode(%ids: tensor<1xi32> {qwen.binding = "tokens"}, %positions: tensor<1x3xf32> {qwen.binding = "positions"}) -> (tensor<1x32xf32> {qwen.name = "row"})
      attributes {qwen.role = "decode_greedy", qwen.rows = 1 : i64} {
    %table = qwen.weight @table : tensor<101x64xbf16>
    %kc = qwen.read_state @k : tensor<96x1x16xf32>
    %vc = qwen.read_state @v : tensor<96x1x16xf32>
    %qkv = qwen.embedding %ids, %table : (tensor<1xi32>, tensor<101x64xbf16>) -> tensor<1x64xf32>
    %p, %k1, %v1 = qwen.decode_attention %qkv norms() caches(%kc, %vc)
        {num_heads = 2 : i64, num_kv_heads = 1 : i64, head_dim = 16 : i64, theta = 1.0e6 : f64, scale = 0.25 : f64, splits = 3 : i64, sections = array<i64: 4, 2, 2>}
        : (tensor<1x64xf32>, tensor<96x1x16xf32>, tensor<96x1x16xf32>) -> (tensor<2x3x18xf32>, tensor<96x1x16xf32>, tensor<96x1x16xf32>)
    %row = qwen.combine_splits %p : tensor<2x3x18xf32> -> tensor<1x32xf32>
    return %row : tensor<1x32xf32>
  }

  func.func @decode_text(%ids: tensor<1xi32> {qwen.binding = "tokens"}) -> (tensor<1x32xf32> {qwen.name = "row"})
      attributes {qwen.role = "decode_greedy", qwen.rows = 1 : i64} {
    %table = qwen.weight @table : tensor<101x64xbf16>
    %kc = qwen.read_state @k : tensor<96x1x16xf32>
    %vc = qwen.read_state @v : tensor<96x1x16xf32>
    %qkv = qwen.embedding %ids, %table : (tensor<1xi32>, tensor<101x64xbf16>) -> tensor<1x64xf32>
    %p, %k1, %v1 = qwen.decode_attention %qkv norms() caches(%kc, %vc)
        {num_heads = 2 : i64, num_kv_heads = 1 : i64, head_dim = 16 : i64, theta = 1.0e6 : f64, scale = 0.25 : f64, splits = 3 : i64}
        : (tensor<1x64xf32>, tensor<96x1x16xf32>, tensor<96x1x16xf32>) -> (tensor<2x3x18xf32>, tensor<96x1x16xf32>, tensor<96x1x16xf32>)
    %row = qwen.combine_splits %p : tensor<2x3x18xf32> -> tensor<1x32xf32>
    return %row : tensor<1x32xf32>
  }
}
