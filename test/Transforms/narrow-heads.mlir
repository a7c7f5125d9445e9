// Heads that only attention within segments reads are stored in 16 bits, all of them or none; so is a copy of the tensor that an
// entry gets for a product.

// RUN: qwen-opt %s --qwen-narrow-matrix-operands=f16=true | FileCheck %s
// RUN: qwen-opt %s --qwen-narrow-matrix-operands | FileCheck %s --check-prefix=BF16

// The merged row stays f32: rotations read it.
// CHECK-LABEL: @turned
// CHECK: qwen.slice %arg0 at 0 : tensor<8x96xf32, #qwen.rows<V>> -> tensor<8x32xf32, #qwen.rows<V>>
// CHECK: qwen.slice %arg0 at 64 : tensor<8x96xf32, #qwen.rows<V>> -> tensor<8x32xf16, #qwen.rows<V>>
// CHECK: qwen.reshape %{{.*}} : tensor<8x32xf16, #qwen.rows<V>> -> tensor<8x2x16xf16, #qwen.rows<V>>
// CHECK-COUNT-2: qwen.axial_rope {{.*}} -> tensor<8x2x16xf16, #qwen.rows<V>>
// CHECK: qwen.segment_attention {{.*}} -> tensor<8x2x16xf32, #qwen.rows<V>>
// BF16-LABEL: @turned
// BF16-COUNT-2: qwen.axial_rope {{.*}} -> tensor<8x2x16xbf16, #qwen.rows<V>>
func.func @turned(%qkv: tensor<8x96xf32, #qwen.rows<V>>, %places: tensor<8x2xi32, #qwen.rows<V>>, %segments: tensor<8x2xi32, #qwen.rows<V>>)
    -> tensor<8x2x16xf32, #qwen.rows<V>> {
  %q = qwen.slice %qkv at 0 : tensor<8x96xf32, #qwen.rows<V>> -> tensor<8x32xf32, #qwen.rows<V>>
  %k = qwen.slice %qkv at 32 : tensor<8x96xf32, #qwen.rows<V>> -> tensor<8x32xf32, #qwen.rows<V>>
  %v = qwen.slice %qkv at 64 : tensor<8x96xf32, #qwen.rows<V>> -> tensor<8x32xf32, #qwen.rows<V>>
  %qh = qwen.reshape %q : tensor<8x32xf32, #qwen.rows<V>> -> tensor<8x2x16xf32, #qwen.rows<V>>
  %kh = qwen.reshape %k : tensor<8x32xf32, #qwen.rows<V>> -> tensor<8x2x16xf32, #qwen.rows<V>>
  %vh = qwen.reshape %v : tensor<8x32xf32, #qwen.rows<V>> -> tensor<8x2x16xf32, #qwen.rows<V>>
  %qt = qwen.axial_rope %qh, %places theta 1.0e4 : (tensor<8x2x16xf32, #qwen.rows<V>>, tensor<8x2xi32, #qwen.rows<V>>) -> tensor<8x2x16xf32, #qwen.rows<V>>
  %kt = qwen.axial_rope %kh, %places theta 1.0e4 : (tensor<8x2x16xf32, #qwen.rows<V>>, tensor<8x2xi32, #qwen.rows<V>>) -> tensor<8x2x16xf32, #qwen.rows<V>>
  %a = qwen.segment_attention %qt, %kt, %vh segments %segments scale 0.25
      : (tensor<8x2x16xf32, #qwen.rows<V>>, tensor<8x2x16xf32, #qwen.rows<V>>, tensor<8x2x16xf32, #qwen.rows<V>>, tensor<8x2xi32, #qwen.rows<V>>)
      -> tensor<8x2x16xf32, #qwen.rows<V>>
  return %a : tensor<8x2x16xf32, #qwen.rows<V>>
}

// Somebody else reads the values, so keys stay wide with them.
// CHECK-LABEL: @read_twice
// CHECK-NOT: f16
// CHECK: return
func.func @read_twice(%qkv: tensor<8x96xf32, #qwen.rows<V>>, %segments: tensor<8x2xi32, #qwen.rows<V>>)
    -> (tensor<8x2x16xf32, #qwen.rows<V>>, tensor<8x2x16xf32, #qwen.rows<V>>) {
  %q = qwen.slice %qkv at 0 : tensor<8x96xf32, #qwen.rows<V>> -> tensor<8x32xf32, #qwen.rows<V>>
  %k = qwen.slice %qkv at 32 : tensor<8x96xf32, #qwen.rows<V>> -> tensor<8x32xf32, #qwen.rows<V>>
  %v = qwen.slice %qkv at 64 : tensor<8x96xf32, #qwen.rows<V>> -> tensor<8x32xf32, #qwen.rows<V>>
  %qh = qwen.reshape %q : tensor<8x32xf32, #qwen.rows<V>> -> tensor<8x2x16xf32, #qwen.rows<V>>
  %kh = qwen.reshape %k : tensor<8x32xf32, #qwen.rows<V>> -> tensor<8x2x16xf32, #qwen.rows<V>>
  %vh = qwen.reshape %v : tensor<8x32xf32, #qwen.rows<V>> -> tensor<8x2x16xf32, #qwen.rows<V>>
  %a = qwen.segment_attention %qh, %kh, %vh segments %segments scale 0.25
      : (tensor<8x2x16xf32, #qwen.rows<V>>, tensor<8x2x16xf32, #qwen.rows<V>>, tensor<8x2x16xf32, #qwen.rows<V>>, tensor<8x2xi32, #qwen.rows<V>>)
      -> tensor<8x2x16xf32, #qwen.rows<V>>
  return %a, %vh : tensor<8x2x16xf32, #qwen.rows<V>>, tensor<8x2x16xf32, #qwen.rows<V>>
}

// A product that only attention reads stores narrow values itself, in the range of f16; they are read where they lie.
// CHECK-LABEL: @product
// CHECK: qwen.fused_linear
// CHECK: arith.minimumf
// CHECK: arith.maximumf
// CHECK: } : {{.*}} -> tensor<8x96xf16, #qwen.rows<A>>
// CHECK-COUNT-3: qwen.slice %{{.*}} : tensor<8x96xf16, #qwen.rows<A>> -> tensor<8x32xf16, #qwen.rows<A>>
// BF16-LABEL: @product
// BF16-NOT: arith.minimumf
// BF16: } : {{.*}} -> tensor<8x96xbf16, #qwen.rows<A>>
func.func @product(%x: tensor<8x16xf32, #qwen.rows<A>>, %w: tensor<96x16xbf16>, %segments: tensor<8x2xi32, #qwen.rows<A>>)
    -> tensor<8x2x16xf32, #qwen.rows<A>> {
  %qkv = qwen.fused_linear none concat %x weights(%w) {
  ^bb0(%s: f32):
    qwen.yield %s : f32
  } : (tensor<8x16xf32, #qwen.rows<A>>, tensor<96x16xbf16>) -> tensor<8x96xf32, #qwen.rows<A>>
  %q = qwen.slice %qkv at 0 : tensor<8x96xf32, #qwen.rows<A>> -> tensor<8x32xf32, #qwen.rows<A>>
  %k = qwen.slice %qkv at 32 : tensor<8x96xf32, #qwen.rows<A>> -> tensor<8x32xf32, #qwen.rows<A>>
  %v = qwen.slice %qkv at 64 : tensor<8x96xf32, #qwen.rows<A>> -> tensor<8x32xf32, #qwen.rows<A>>
  %qh = qwen.reshape %q : tensor<8x32xf32, #qwen.rows<A>> -> tensor<8x2x16xf32, #qwen.rows<A>>
  %kh = qwen.reshape %k : tensor<8x32xf32, #qwen.rows<A>> -> tensor<8x2x16xf32, #qwen.rows<A>>
  %vh = qwen.reshape %v : tensor<8x32xf32, #qwen.rows<A>> -> tensor<8x2x16xf32, #qwen.rows<A>>
  %a = qwen.segment_attention %qh, %kh, %vh segments %segments scale 0.25
      : (tensor<8x2x16xf32, #qwen.rows<A>>, tensor<8x2x16xf32, #qwen.rows<A>>, tensor<8x2x16xf32, #qwen.rows<A>>, tensor<8x2xi32, #qwen.rows<A>>)
      -> tensor<8x2x16xf32, #qwen.rows<A>>
  return %a : tensor<8x2x16xf32, #qwen.rows<A>>
}

// CHECK-LABEL: @given
// CHECK-SAME: (%[[X:[^:]*]]: tensor<8x32xf32, #qwen.rows<V>>
// CHECK: %[[COPY:.*]] = qwen.elementwise(%[[X]])
// CHECK: -> tensor<8x32xbf16, #qwen.rows<V>>
// CHECK: qwen.fused_linear none concat %[[COPY]] weights(%{{.*}}) extras(%[[X]])
func.func @given(%x: tensor<8x32xf32, #qwen.rows<V>> {qwen.binding = "tensor"}, %w: tensor<32x32xbf16>) -> tensor<8x32xf32, #qwen.rows<V>> {
  %y = qwen.fused_linear none concat %x weights(%w) extras(%x) {
  ^bb0(%a: f32, %b: f32):
    %s = arith.addf %a, %b : f32
    qwen.yield %s : f32
  } : (tensor<8x32xf32, #qwen.rows<V>>, tensor<32x32xbf16>, tensor<8x32xf32, #qwen.rows<V>>) -> tensor<8x32xf32, #qwen.rows<V>>
  return %y : tensor<8x32xf32, #qwen.rows<V>>
}
