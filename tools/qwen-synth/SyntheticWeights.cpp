//===- SyntheticWeights.cpp - Reproducible random bf16 values ---------------------------------------------------===//
#include "tools/qwen-synth/SyntheticWeights.h"

#include <bit>
#include <cmath>

using namespace qwenc;

namespace {

/// Finalizer of SplitMix64 (Steele, Lea, Flood 2014): a bijection that mixes all bits.
uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/// Round to nearest, ties to even; no NaN comes here.
uint16_t toBf16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

struct Distribution {
  double mean, deviation;
};

/// Activations stay near one: norms near one, linear rows of unit length, logits of a tied head a few units wide.
Distribution distributionOf(const TensorSpec &spec) {
  // What one element of a result adds up: filters have several dimensions.
  double width = 1;
  for (size_t i = spec.shape.size() > 1 ? 1 : 0; i < spec.shape.size(); ++i)
    width *= static_cast<double>(spec.shape[i]);
  switch (spec.role) {
  case TensorRole::Embedding:
    return {0.0, 4.0 / std::sqrt(width)};
  case TensorRole::UntiedEmbedding:
    return {0.0, 1.0};
  case TensorRole::AttentionOutput:
    // Attention over many tokens with random keys adds their mean, nearly the same to each. Were it large, all tokens
    // of a mixture would look alike after some layers and choose the same experts.
    return {0.0, 0.25 / std::sqrt(width)};
  case TensorRole::Norm:
    return {1.0, 0.05};
  case TensorRole::Linear:
    return {0.0, 1.0 / std::sqrt(width)};
  case TensorRole::Router:
    // Wide enough that the choice depends on the token: collapsed routers would flatter every measurement.
    return {0.0, 2.0 / std::sqrt(width)};
  case TensorRole::Bias:
    return {0.0, 0.02};
  }
  return {0.0, 1.0};
}

} // namespace

SyntheticTensor::SyntheticTensor(const TensorSpec &spec, uint64_t seed)
    : key_(mix(seed + 0x9e3779b97f4a7c15u) ^ fnv1a64(spec.name)) {
  Distribution distribution = distributionOf(spec);
  // Sum of four bytes: mean 4 * 127.5, variance 4 * (256^2 - 1) / 12.
  const double deviation = std::sqrt(4.0 * (256.0 * 256.0 - 1.0) / 12.0);
  for (size_t sum = 0; sum < patterns_.size(); ++sum)
    patterns_[sum] = toBf16(static_cast<float>(distribution.mean + distribution.deviation *
                                                                       (static_cast<double>(sum) - 510.0) / deviation));
}

void SyntheticTensor::fill(uint64_t firstElement, std::span<uint16_t> values) const {
  constexpr uint64_t evenBytes = 0x00ff00ff00ff00ffu;
  uint64_t counter = key_ + firstElement / 2 * 0x9e3779b97f4a7c15u;
  for (size_t i = 0; i < values.size(); i += 2) {
    uint64_t bits = mix(counter);
    counter += 0x9e3779b97f4a7c15u;
    uint64_t pairs = (bits & evenBytes) + ((bits >> 8) & evenBytes); // four sums of two bytes
    uint64_t sums = pairs + (pairs >> 16);                           // sums of four in bits 0..15 and 32..47
    values[i] = patterns_[sums & 0xffff];
    if (i + 1 < values.size())
      values[i + 1] = patterns_[(sums >> 32) & 0xffff];
  }
}
