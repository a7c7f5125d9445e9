// A function that is run with tensors: its inputs are named and count their own rows, four patches for each token.

// RUN: qwen-opt %s --convert-qwen-to-plan=target=lavapipe | FileCheck %s
// RUN: qwen-opt %s --convert-qwen-to-plan=target=lavapipe | FileCheck %s --check-prefix=KERNELS

// CHECK: plan.cell extents in @state at 4608 count 32

// Statistics in two passes; the number of rows is four times the cell, and no larger than the operands.
// KERNELS-LABEL: plan.kernel @layer_norm_n32_r16c4608x4_f32_p{{[0-9a-f]+}} {{.*}} operands (x read 2048, weight read 64, bias read 64, state read 6340, y write 2048)
// KERNELS: spirv.Constant 1152 : i32
// KERNELS: %[[V:.*]] = spirv.Load "PhysicalStorageBuffer"
// KERNELS-NEXT: %[[MAX:.*]] = spirv.Constant 4 : i32
// KERNELS-NEXT: %[[BOUND:.*]] = spirv.GL.UMin %[[V]], %[[MAX]] : i32
// KERNELS-NEXT: %[[FACTOR:.*]] = spirv.Constant 4 : i32
// KERNELS-NEXT: %[[ROWS:.*]] = spirv.IMul %[[BOUND]], %[[FACTOR]] : i32
// KERNELS-NEXT: spirv.ULessThan %{{.*}}, %[[ROWS]] : i32
// KERNELS: spirv.GroupNonUniformFAdd
// KERNELS: spirv.FSub
// KERNELS: spirv.GroupNonUniformFAdd
// KERNELS: spirv.GL.InverseSqrt

// The name says which cell counts the rows: another symbol's, none, those of a chunk or those of the head.
// KERNELS-LABEL: plan.kernel @gemm_n16_k128_r4c4608_gelu_p
// KERNELS-LABEL: plan.kernel @layer_norm_n32_r16c4612_f32_p
// KERNELS-LABEL: plan.kernel @layer_norm_n32_f32_p{{[0-9a-f]+}} {{.*}} operands (x read 384, weight read 64, bias read 64, y write 384)
// KERNELS-LABEL: plan.kernel @layer_norm_n32_r16_f32_p
// KERNELS-LABEL: plan.kernel @layer_norm_n32_r16c16_f32_p

// CHECK-LABEL: plan.entry @encoder role other rows 16
// CHECK: plan.symbol "V" cell extents[0] max 4
// CHECK-NEXT: plan.tensor input "patches" in @input.encoder.patches at 0 f32 [16, 32] symbols ["V", ""] factors [4, 1]
// CHECK-NOT: optional
// CHECK: plan.tensor input "cells" in @input.encoder.cells at 0 i32 [16, 4] symbols ["V", ""] factors [4, 1]
// CHECK: plan.symbol "T" cell extents[1] max 16
// CHECK-NEXT: plan.tensor input "sound" in @input.encoder.sound at 0 f32 [16, 32] symbols ["T", ""]
// CHECK: plan.tensor input "table" in @input.encoder.table at 0 f32 [3, 32] symbols ["", ""]
// CHECK: plan.tensor output "rows" in @output.encoder.rows at 0 f32 [4, 16] symbols ["V", ""]
// CHECK-NEXT: plan.tensor output "heard" in @output.encoder.heard at 0 f32 [16, 32] symbols ["T", ""]
// CHECK-NEXT: plan.tensor output "fixed" in @output.encoder.fixed at 0 f32 [3, 32] symbols ["", ""]
// CHECK-NEXT: plan.tensor output "heads" in @output.encoder.rows at 0 f32 [4, 2, 8] symbols ["V", "", ""]
// Groups follow the rows that are there, by the symbol that counts them; a table has all of its rows.
// CHECK: plan.dispatch @layer_norm_n32_r16c4608x4_f32_p{{[0-9a-f]+}} groups [16, 1, 1] rows "V" * 4 per 1 along 0(
// CHECK: plan.dispatch @gemm_n16_k128_r4c4608_gelu_p{{[0-9a-f_]+}} groups [1, 1, 1] rows "V" * 1 per 32 along 1(
// CHECK: plan.dispatch @layer_norm_n32_r16c4612_f32_p{{[0-9a-f]+}} groups [16, 1, 1] rows "T" * 1 per 1 along 0(
// CHECK: plan.dispatch @layer_norm_n32_f32_p{{[0-9a-f]+}} groups [3, 1, 1](

// CHECK-LABEL: plan.entry @chooser
// CHECK: plan.tensor output "chosen" in @output.chooser.chosen at 0 i32 [4, 2] symbols ["V", ""]
// CHECK: plan.dispatch @route_{{.*}} groups [4, 1, 1] rows "V" * 1 per 1 along 0(

// The rows of a chunk are counted by the device.
// CHECK-LABEL: plan.entry @prefill
// CHECK: plan.dispatch @layer_norm_n32_r16_f32_p{{[0-9a-f]+}} groups [16, 1, 1](
// CHECK-LABEL: plan.entry @logits
// CHECK: plan.dispatch @layer_norm_n32_r16c16_f32_p{{[0-9a-f]+}} groups [16, 1, 1](

module attributes {qwen.max_context = 96 : i64} {
  qwen.parameter @norm : tensor<32xbf16> file 0 offset 1000
  qwen.parameter @bias : tensor<32xbf16> file 0 offset 1064
  qwen.parameter @merge : tensor<16x128xbf16> file 0 offset 2000
  qwen.parameter @head : tensor<48x32xbf16> file 0 offset 8000

  func.func @encoder(%x: tensor<16x32xf32, #qwen.rows<V * 4>> {qwen.binding = "tensor", qwen.name = "patches"},
                     %cells: tensor<16x4xi32, #qwen.rows<V * 4>> {qwen.binding = "tensor", qwen.name = "cells"},
                     %sound: tensor<16x32xf32, #qwen.rows<T>> {qwen.binding = "tensor", qwen.name = "sound"},
                     %table: tensor<3x32xf32> {qwen.binding = "tensor", qwen.name = "table"})
      -> (tensor<4x16xf32, #qwen.rows<V>> {qwen.name = "rows"}, tensor<16x32xf32, #qwen.rows<T>> {qwen.name = "heard"},
          tensor<3x32xf32> {qwen.name = "fixed"}, tensor<4x2x8xf32, #qwen.rows<V>> {qwen.name = "heads"}) attributes {qwen.role = "other", qwen.rows = 16 : i64} {
    %w = qwen.weight @norm : tensor<32xbf16>
    %b = qwen.weight @bias : tensor<32xbf16>
    %merge = qwen.weight @merge : tensor<16x128xbf16>
    %n = qwen.layer_norm %x, %w, %b eps 1.0e-6
        : (tensor<16x32xf32, #qwen.rows<V * 4>>, tensor<32xbf16>, tensor<32xbf16>) -> tensor<16x32xf32, #qwen.rows<V * 4>>
    %m = qwen.reshape %n : tensor<16x32xf32, #qwen.rows<V * 4>> -> tensor<4x128xf32, #qwen.rows<V>>
    %y = qwen.fused_linear none concat %m weights(%merge) {
    ^bb0(%a: f32):
      %half = arith.constant 0.5 : f32
      %root = arith.constant 0.707106769 : f32
      %one = arith.constant 1.0 : f32
      %s = arith.mulf %a, %root : f32
      %e = math.erf %s : f32
      %f = arith.addf %e, %one : f32
      %h = arith.mulf %a, %half : f32
      %g = arith.mulf %h, %f : f32
      qwen.yield %g : f32
    } : (tensor<4x128xf32, #qwen.rows<V>>, tensor<16x128xbf16>) -> tensor<4x16xf32, #qwen.rows<V>>
    %z = qwen.layer_norm %sound, %w, %b eps 1.0e-6
        : (tensor<16x32xf32, #qwen.rows<T>>, tensor<32xbf16>, tensor<32xbf16>) -> tensor<16x32xf32, #qwen.rows<T>>
    %t = qwen.layer_norm %table, %w, %b eps 1.0e-6 : (tensor<3x32xf32>, tensor<32xbf16>, tensor<32xbf16>) -> tensor<3x32xf32>
    %heads = qwen.reshape %y : tensor<4x16xf32, #qwen.rows<V>> -> tensor<4x2x8xf32, #qwen.rows<V>>
    return %y, %z, %t, %heads
        : tensor<4x16xf32, #qwen.rows<V>>, tensor<16x32xf32, #qwen.rows<T>>, tensor<3x32xf32>, tensor<4x2x8xf32, #qwen.rows<V>>
  }

  func.func @chooser(%x: tensor<4x8xf32, #qwen.rows<V>> {qwen.binding = "tensor", qwen.name = "x"})
      -> (tensor<4x2xi32, #qwen.rows<V>> {qwen.name = "chosen"}) attributes {qwen.role = "other", qwen.rows = 4 : i64} {
    %weights, %chosen = qwen.route %x : (tensor<4x8xf32, #qwen.rows<V>>) -> (tensor<4x2xf32, #qwen.rows<V>>, tensor<4x2xi32, #qwen.rows<V>>)
    return %chosen : tensor<4x2xi32, #qwen.rows<V>>
  }

  func.func @prefill(%hidden: tensor<16x32xf32, #qwen.rows<S>> {qwen.binding = "hidden"}) -> (tensor<16x32xf32, #qwen.rows<S>> {qwen.name = "hidden"})
      attributes {qwen.role = "prefill", qwen.rows = 16 : i64} {
    %w = qwen.weight @norm : tensor<32xbf16>
    %b = qwen.weight @bias : tensor<32xbf16>
    %n = qwen.layer_norm %hidden, %w, %b eps 1.0e-6
        : (tensor<16x32xf32, #qwen.rows<S>>, tensor<32xbf16>, tensor<32xbf16>) -> tensor<16x32xf32, #qwen.rows<S>>
    return %n : tensor<16x32xf32, #qwen.rows<S>>
  }

  func.func @logits(%hidden: tensor<16x32xf32, #qwen.rows<S>> {qwen.binding = "hidden"}) -> (tensor<16x48xf32, #qwen.rows<R>> {qwen.name = "logits"})
      attributes {qwen.role = "logits", qwen.rows = 16 : i64} {
    %w = qwen.weight @norm : tensor<32xbf16>
    %b = qwen.weight @bias : tensor<32xbf16>
    %head = qwen.weight @head : tensor<48x32xbf16>
    %taken = qwen.head_rows %hidden : tensor<16x32xf32, #qwen.rows<S>> -> tensor<16x32xf32, #qwen.rows<R>>
    %n = qwen.layer_norm %taken, %w, %b eps 1.0e-6
        : (tensor<16x32xf32, #qwen.rows<R>>, tensor<32xbf16>, tensor<32xbf16>) -> tensor<16x32xf32, #qwen.rows<R>>
    %l = qwen.fused_linear none concat %n weights(%head) {
    ^bb0(%a: f32):
      qwen.yield %a : f32
    } : (tensor<16x32xf32, #qwen.rows<R>>, tensor<48x32xbf16>) -> tensor<16x48xf32, #qwen.rows<R>>
    return %l : tensor<16x48xf32, #qwen.rows<R>>
  }
}
