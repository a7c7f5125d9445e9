// How many workgroups choose the next token: one among few ids; among many they share the ids, and the last goes on.

// RUN: qwen-opt %s --convert-qwen-to-plan=target=generic | FileCheck %s

module attributes {qwen.max_context = 96 : i64} {
  qwen.parameter @w8192 : tensor<8192x8xbf16> file 0 offset 0
  qwen.parameter @w8193 : tensor<8193x8xbf16> file 0 offset 131072
  qwen.parameter @w1024 : tensor<1024x8xbf16> file 0 offset 262160
  qwen.parameter @w1025 : tensor<1025x8xbf16> file 0 offset 278544

  // CHECK: plan.kernel @sample_v8192
  // CHECK-SAME: operands (logits read 32768, scratch write 32768, partials write 8, state
  // CHECK-NOT: spirv.AtomicIAdd <Device>
  // CHECK: plan.kernel @sample_v8193
  // CHECK-SAME: operands (logits read 32772, scratch write 32772, partials write 1032, state
  // CHECK: spirv.AtomicIAdd <Device>
  // CHECK: plan.kernel @append_argmax_v1024
  // CHECK-NOT: spirv.AtomicIAdd <Device>
  // CHECK: plan.kernel @append_argmax_v1025
  // CHECK: spirv.AtomicIAdd <Device>

  // CHECK-LABEL: plan.entry @few
  // CHECK: plan.dispatch @sample_v8192 groups [1, 1, 1]
  func.func @few(%h: tensor<1x8xf32> {qwen.binding = "hidden"}) -> (tensor<1x8192xf32> {qwen.name = "l_few"})
      attributes {qwen.role = "next_sample", qwen.rows = 1 : i64} {
    %w = qwen.weight @w8192 : tensor<8192x8xbf16>
    %l = qwen.fused_linear none concat %h weights(%w) {
    ^bb0(%a: f32):
      qwen.yield %a : f32
    } : (tensor<1x8xf32>, tensor<8192x8xbf16>) -> tensor<1x8192xf32>
    qwen.next_token %l sample : tensor<1x8192xf32>
    return %l : tensor<1x8192xf32>
  }

  // CHECK-LABEL: plan.entry @many
  // CHECK: plan.dispatch @sample_v8193 groups [129, 1, 1]
  func.func @many(%h: tensor<1x8xf32> {qwen.binding = "hidden"}) -> (tensor<1x8193xf32> {qwen.name = "l_many"})
      attributes {qwen.role = "next_sample", qwen.rows = 1 : i64} {
    %w = qwen.weight @w8193 : tensor<8193x8xbf16>
    %l = qwen.fused_linear none concat %h weights(%w) {
    ^bb0(%a: f32):
      qwen.yield %a : f32
    } : (tensor<1x8xf32>, tensor<8193x8xbf16>) -> tensor<1x8193xf32>
    qwen.next_token %l sample : tensor<1x8193xf32>
    return %l : tensor<1x8193xf32>
  }

  // CHECK-LABEL: plan.entry @few_greedy
  // CHECK: plan.dispatch @append_argmax_v1024 groups [1, 1, 1]
  func.func @few_greedy(%h: tensor<1x8xf32> {qwen.binding = "hidden"}) -> (tensor<1x1024xf32> {qwen.name = "l_few_greedy"})
      attributes {qwen.role = "next_greedy", qwen.rows = 1 : i64} {
    %w = qwen.weight @w1024 : tensor<1024x8xbf16>
    %l = qwen.fused_linear none concat %h weights(%w) {
    ^bb0(%a: f32):
      qwen.yield %a : f32
    } : (tensor<1x8xf32>, tensor<1024x8xbf16>) -> tensor<1x1024xf32>
    qwen.next_token %l greedy : tensor<1x1024xf32>
    return %l : tensor<1x1024xf32>
  }

  // CHECK-LABEL: plan.entry @many_greedy
  // CHECK: plan.dispatch @append_argmax_v1025 groups [2, 1, 1]
  func.func @many_greedy(%h: tensor<1x8xf32> {qwen.binding = "hidden"}) -> (tensor<1x1025xf32> {qwen.name = "l_many_greedy"})
      attributes {qwen.role = "next_greedy", qwen.rows = 1 : i64} {
    %w = qwen.weight @w1025 : tensor<1025x8xbf16>
    %l = qwen.fused_linear none concat %h weights(%w) {
    ^bb0(%a: f32):
      qwen.yield %a : f32
    } : (tensor<1x8xf32>, tensor<1025x8xbf16>) -> tensor<1x1025xf32>
    qwen.next_token %l greedy : tensor<1x1025xf32>
    return %l : tensor<1x1025xf32>
  }
}
