//===- RowSoftmax.cpp - Softmax of rows that lanes of a subgroup share -------------------------------------------===//
#include "compiler/Codegen/Kernels/RowSoftmax.h"

using namespace mlir;

namespace qwenc {

namespace {
constexpr double kMasked = -1e30;
} // namespace

SmallVector<Value> RowSoftmax::begin() const {
  SmallVector<Value> carried(carriedCount(), k.f32(0).value);
  for (uint32_t head = 0; head < heads; ++head)
    carried[numeratorCount() + head] = k.f32(kMasked).value;
  return carried;
}

void RowSoftmax::add(Vals dots, ArrayRef<Val> visible, llvm::function_ref<Vals(uint32_t)> value,
                     MutableArrayRef<Value> carried) const {
  // Exchange by exchange, not key by key: neighbouring exchanges do not wait for each other.
  for (uint32_t mask = 1; mask < pieces; mask *= 2)
    for (Val &dot : dots)
      dot = dot + k.shuffleXor(dot, mask);
  for (uint32_t head = 0; head < heads; ++head) {
    Value &maximum = carried[numeratorCount() + head], &sum = carried[numeratorCount() + heads + head];
    Val largest(&k, maximum);
    for (auto [j, isVisible] : llvm::enumerate(visible))
      largest = k.max(largest, k.select(isVisible, dots[j * heads + head], k.f32(kMasked)));
    Val factor = k.exp(Val(&k, maximum) - largest), total = Val(&k, sum) * factor;
    for (auto [j, isVisible] : llvm::enumerate(visible)) {
      Val &weight = dots[j * heads + head];
      // Selected once more: in a slot that has seen no key yet, the exponent of a hidden one would be zero.
      weight = k.select(isVisible, k.exp(weight - largest), k.f32(0));
      total = total + weight;
    }
    for (Value &numerator : carried.slice(head * width, width))
      numerator = (Val(&k, numerator) * factor).value;
    maximum = largest.value;
    sum = total.value;
  }
  for (uint32_t j = 0; j < visible.size(); ++j) {
    Vals x = value(j);
    for (uint32_t head = 0; head < heads; ++head)
      for (uint32_t e = 0; e < width; ++e) {
        Value &numerator = carried[head * width + e];
        numerator = k.fma(dots[j * heads + head], x[e], {&k, numerator}).value;
      }
  }
}

void RowSoftmax::meet(const Shared &memory, Val slot, Val piece, MutableArrayRef<Value> carried,
                      llvm::function_ref<void(uint32_t, Val, Val)> done) const {
  // With the shortest rows, some invocations are behind the last slot.
  k.ifThen((piece == 0) & (slot < slots), [&] {
    for (uint32_t i = 0; i < 2 * heads; ++i)
      k.store(memory, slot + i * slots, {{&k, carried[numeratorCount() + i]}});
  });
  k.barrier();
  for (uint32_t head = 0; head < heads; ++head) {
    Val largest = k.loadOne(memory, k.u32(head * slots));
    for (uint32_t s = 1; s < slots; ++s)
      largest = k.max(largest, k.loadOne(memory, k.u32(head * slots + s)));
    Val factor = k.exp(Val(&k, carried[numeratorCount() + head]) - largest);
    for (Value &numerator : carried.slice(head * width, width))
      numerator = (Val(&k, numerator) * factor).value;
    k.ifThen(k.subgroupIndex() == head % (k.invocations() / k.target().subgroupSize),
             [&] { done(head, largest, totalOf(memory, head, largest)); });
  }
}

/// The sum of a head over all slots, found by one subgroup.
Val RowSoftmax::totalOf(const Shared &memory, uint32_t head, Val maximum) const {
  Val part = k.f32(0);
  for (uint32_t first = 0; first < slots; first += k.target().subgroupSize) {
    Val own = k.lane() + first, safe = k.min(own, k.u32(slots - 1));
    Val weight = k.exp(k.loadOne(memory, safe + head * slots) - maximum);
    part = k.fma(k.loadOne(memory, safe + (heads + head) * slots), k.select(own < slots, weight, k.f32(0)), part);
  }
  return k.subgroupAdd(part);
}

} // namespace qwenc
