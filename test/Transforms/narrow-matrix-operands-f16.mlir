// RUN: qwen-opt %s --qwen-narrow-matrix-operands=f16=true | FileCheck %s
// RUN: qwen-opt %s --qwen-narrow-matrix-operands | FileCheck %s --check-prefix=BF16
// The second run shows the same without the option.

// What has a bound is stored as it is. A product leaves at 1/64 of its value, inside the range of f16, and what reads it
// multiplies its sums, not its extras, by 64.
// CHECK-LABEL: @routed
// CHECK-SAME: (%[[X:[^:]*]]: tensor<4x16xf32, #qwen.rows<S>>
// CHECK: qwen.attention {{.*}} -> tensor<4x4x4xf16, #qwen.rows<S>>
// CHECK: %[[FLAT:.*]] = qwen.reshape {{.*}} -> tensor<4x16xf16, #qwen.rows<S>>
// CHECK: %[[Y:.*]] = qwen.fused_linear none concat %[[FLAT]]
// CHECK-NOT: arith.mulf
// CHECK: -> tensor<4x16xf32, #qwen.rows<S>>
// CHECK-DAG: %[[WIDE:.*]] = qwen.rms_norm %[[Y]], %{{.*}} -> tensor<4x16xf32, #qwen.rows<S>>
// CHECK-DAG: %[[NARROW:.*]] = qwen.rms_norm %[[Y]], %{{.*}} -> tensor<4x16xf16, #qwen.rows<S>>
// CHECK: %[[L:.*]] = qwen.fused_linear none concat %[[WIDE]]
// CHECK-NOT: arith.mulf
// CHECK: -> tensor<4x8xf32, #qwen.rows<S>>
// CHECK: qwen.route %[[L]]
// CHECK: %[[H:.*]] = qwen.fused_experts %[[NARROW]]
// CHECK-NEXT: ^bb0(%[[GATE:.*]]: f32, %[[UP:.*]]: f32):
// CHECK-NEXT: %[[M:.*]] = arith.mulf %[[GATE]], %[[UP]] : f32
// CHECK-NEXT: %[[SCALE:.*]] = arith.constant 1.562500e-02 : f32
// CHECK-NEXT: %[[SCALED:.*]] = arith.mulf %[[M]], %[[SCALE]] : f32
// CHECK-NEXT: %[[MOST:.*]] = arith.constant 6.550400e+04 : f32
// CHECK-NEXT: %[[BELOW:.*]] = arith.minimumf %[[SCALED]], %[[MOST]] : f32
// CHECK-NEXT: %[[LEAST:.*]] = arith.constant -6.550400e+04 : f32
// CHECK-NEXT: %[[CLAMPED:.*]] = arith.maximumf %[[BELOW]], %[[LEAST]] : f32
// CHECK-NEXT: qwen.yield %[[CLAMPED]] : f32
// CHECK: -> tensor<4x2x6xf16, #qwen.rows<S>>
// CHECK: qwen.fused_experts %[[H]]
// CHECK-NEXT: ^bb0(%[[SUM:.*]]: f32, %[[EXTRA:.*]]: f32):
// CHECK-NEXT: %[[BACK:.*]] = arith.constant 6.400000e+01 : f32
// CHECK-NEXT: %[[FULL:.*]] = arith.mulf %[[SUM]], %[[BACK]] : f32
// CHECK-NEXT: %[[R:.*]] = arith.addf %[[FULL]], %[[EXTRA]] : f32
// CHECK-NEXT: qwen.yield %[[R]] : f32
// CHECK: -> tensor<4x2x16xf32, #qwen.rows<S>>
//
// BF16-LABEL: @routed
// BF16: qwen.attention {{.*}} -> tensor<4x4x4xbf16, #qwen.rows<S>>
// BF16-DAG: qwen.rms_norm {{.*}} -> tensor<4x16xf32, #qwen.rows<S>>
// BF16-DAG: qwen.rms_norm {{.*}} -> tensor<4x16xbf16, #qwen.rows<S>>
// BF16: qwen.fused_experts
// BF16-NEXT: ^bb0(%[[GATE:.*]]: f32, %[[UP:.*]]: f32):
// BF16-NEXT: arith.mulf %[[GATE]], %[[UP]] : f32
// BF16-NEXT: qwen.yield
// BF16: -> tensor<4x2x6xbf16, #qwen.rows<S>>
// BF16: qwen.fused_experts
// BF16-NEXT: ^bb0(%[[SUM:.*]]: f32, %[[EXTRA:.*]]: f32):
// BF16-NEXT: arith.addf %[[SUM]], %[[EXTRA]] : f32
func.func @routed(%x: tensor<4x16xf32, #qwen.rows<S>>, %q: tensor<4x4x4xf32, #qwen.rows<S>>, %k: tensor<16x2x4xf16>, %n: tensor<16xbf16>,
                  %o: tensor<16x16xbf16>, %r: tensor<8x16xbf16>, %w: tensor<8x6x16xbf16>, %d: tensor<8x16x6xbf16>,
                  %e: tensor<4x2x16xf32, #qwen.rows<S>>) -> tensor<4x2x16xf32, #qwen.rows<S>> {
  %a = qwen.attention %q, %k, %k scale 0.5 causal : (tensor<4x4x4xf32, #qwen.rows<S>>, tensor<16x2x4xf16>, tensor<16x2x4xf16>) -> tensor<4x4x4xf32, #qwen.rows<S>>
  %f = qwen.reshape %a : tensor<4x4x4xf32, #qwen.rows<S>> -> tensor<4x16xf32, #qwen.rows<S>>
  %y = qwen.fused_linear none concat %f weights(%o) extras(%x) {
  ^bb0(%s: f32, %b: f32):
    %t = arith.addf %s, %b : f32
    qwen.yield %t : f32
  } : (tensor<4x16xf32, #qwen.rows<S>>, tensor<16x16xbf16>, tensor<4x16xf32, #qwen.rows<S>>) -> tensor<4x16xf32, #qwen.rows<S>>
  %0 = qwen.rms_norm %y, %n eps 0.125 : (tensor<4x16xf32, #qwen.rows<S>>, tensor<16xbf16>) -> tensor<4x16xf32, #qwen.rows<S>>
  %1 = qwen.fused_linear none concat %0 weights(%r) {
  ^bb0(%s: f32):
    qwen.yield %s : f32
  } : (tensor<4x16xf32, #qwen.rows<S>>, tensor<8x16xbf16>) -> tensor<4x8xf32, #qwen.rows<S>>
  %v, %c = qwen.route %1 : (tensor<4x8xf32, #qwen.rows<S>>) -> (tensor<4x2xf32, #qwen.rows<S>>, tensor<4x2xi32, #qwen.rows<S>>)
  %2 = qwen.fused_experts %0 experts(%c) weights(%w, %w) {
  ^bb0(%g: f32, %u: f32):
    %m = arith.mulf %g, %u : f32
    qwen.yield %m : f32
  } : (tensor<4x16xf32, #qwen.rows<S>>, tensor<4x2xi32, #qwen.rows<S>>, tensor<8x6x16xbf16>, tensor<8x6x16xbf16>) -> tensor<4x2x6xf32, #qwen.rows<S>>
  %3 = qwen.fused_experts %2 experts(%c) weights(%d) extras(%e) {
  ^bb0(%s: f32, %b: f32):
    %t = arith.addf %s, %b : f32
    qwen.yield %t : f32
  } : (tensor<4x2x6xf32, #qwen.rows<S>>, tensor<4x2xi32, #qwen.rows<S>>, tensor<8x16x6xbf16>, tensor<4x2x16xf32, #qwen.rows<S>>) -> tensor<4x2x16xf32, #qwen.rows<S>>
  return %3 : tensor<4x2x16xf32, #qwen.rows<S>>
}

// Attention over f32 values has no bound that f16 holds.
// CHECK-LABEL: @wide_cache
// CHECK: qwen.attention {{.*}} -> tensor<4x4x4xbf16, #qwen.rows<S>>
// CHECK: qwen.fused_linear
// CHECK-NEXT: ^bb0(%[[SUM:.*]]: f32):
// CHECK-NEXT: qwen.yield %[[SUM]]
func.func @wide_cache(%q: tensor<4x4x4xf32, #qwen.rows<S>>, %k: tensor<16x2x4xf32>, %w: tensor<8x16xbf16>)
    -> (tensor<4x2xf32, #qwen.rows<S>>, tensor<4x2xi32, #qwen.rows<S>>) {
  %a = qwen.attention %q, %k, %k scale 0.5 causal : (tensor<4x4x4xf32, #qwen.rows<S>>, tensor<16x2x4xf32>, tensor<16x2x4xf32>) -> tensor<4x4x4xf32, #qwen.rows<S>>
  %f = qwen.reshape %a : tensor<4x4x4xf32, #qwen.rows<S>> -> tensor<4x16xf32, #qwen.rows<S>>
  %y = qwen.fused_linear none concat %f weights(%w) {
  ^bb0(%s: f32):
    qwen.yield %s : f32
  } : (tensor<4x16xf32, #qwen.rows<S>>, tensor<8x16xbf16>) -> tensor<4x8xf32, #qwen.rows<S>>
  %z = qwen.elementwise (%y) {
  ^bb0(%s: f32):
    qwen.yield %s : f32
  } : (tensor<4x8xf32, #qwen.rows<S>>) -> tensor<4x8xf32, #qwen.rows<S>>
  %v, %c = qwen.route %z : (tensor<4x8xf32, #qwen.rows<S>>) -> (tensor<4x2xf32, #qwen.rows<S>>, tensor<4x2xi32, #qwen.rows<S>>)
  return %v, %c : tensor<4x2xf32, #qwen.rows<S>>, tensor<4x2xi32, #qwen.rows<S>>
}

// Nothing is chosen here: bf16, whose products need no conversion.
// CHECK-LABEL: @dense
// CHECK: qwen.rms_norm {{.*}} -> tensor<4x16xbf16, #qwen.rows<S>>
// CHECK: qwen.fused_linear
// CHECK-NEXT: ^bb0(%[[SUM:.*]]: f32):
// CHECK-NEXT: qwen.yield %[[SUM]]
func.func @dense(%x: tensor<4x16xf32, #qwen.rows<S>>, %n: tensor<16xbf16>, %w: tensor<16x16xbf16>) -> tensor<4x16xf32, #qwen.rows<S>> {
  %0 = qwen.rms_norm %x, %n eps 0.125 : (tensor<4x16xf32, #qwen.rows<S>>, tensor<16xbf16>) -> tensor<4x16xf32, #qwen.rows<S>>
  %1 = qwen.fused_linear none concat %0 weights(%w) {
  ^bb0(%s: f32):
    qwen.yield %s : f32
  } : (tensor<4x16xf32, #qwen.rows<S>>, tensor<16x16xbf16>) -> tensor<4x16xf32, #qwen.rows<S>>
  return %1 : tensor<4x16xf32, #qwen.rows<S>>
}
