//===- Rotary.cpp - Rotary position embedding (Su et al. 2021), half-split pairs ---------------------------------===//

#include "compiler/Codegen/Kernels/Kernels.h"

#include <cmath>

using namespace mlir;

namespace qwenc {

std::vector<float> inverseFrequencies(double theta, uint32_t dim) {
  std::vector<float> result(dim / 2);
  for (uint32_t i = 0; i < result.size(); ++i) {
    // Rounded where the reference rounds: the exponent, the power and the quotient are f32.
    float exponent = static_cast<float>(2 * i) / static_cast<float>(dim);
    float power = static_cast<float>(std::pow(theta, static_cast<double>(exponent)));
    result[i] = 1.0f / power;
  }
  return result;
}

namespace {
/// The leading `bits` significant bits of x > 0.
double leadingBits(double x, int bits) {
  int exponent = 0;
  double mantissa = std::frexp(x, &exponent);
  return std::ldexp(std::floor(std::ldexp(mantissa, bits)), exponent - bits);
}
} // namespace

std::pair<Val, Val> cosSin(KernelBuilder &k, Val x) {
  // GPU sine and cosine are specified only near zero, and positions reach 2^17 radians. pi/2 is split into parts of 7
  // bits, so that n * part is exact for n < 2^17; the last part carries the rest.
  const double halfPi = 1.57079632679489661923;
  double part1 = leadingBits(halfPi, 7);
  double part2 = leadingBits(halfPi - part1, 7);
  double part3 = leadingBits(halfPi - part1 - part2, 7);
  double part4 = halfPi - part1 - part2 - part3;
  Val n = k.floor(k.addExact(k.mulExact(x, k.f32(1 / halfPi)), k.f32(0.5)));
  Val r = x;
  for (double part : {part1, part2, part3, part4})
    r = k.addExact(r, k.mulExact(n, k.f32(-part)));

  // Minimax polynomials of degree 7 and 8 on [-pi/4, pi/4].
  Val r2 = r * r;
  Val sine = k.fma(r2, k.f32(-1.9515295891e-4), k.f32(8.3321608736e-3));
  sine = k.fma(r2, sine, k.f32(-1.6666654611e-1));
  sine = k.fma(r * r2, sine, r);
  Val cosine = k.fma(r2, k.f32(2.443315711809948e-5), k.f32(-1.388731625493765e-3));
  cosine = k.fma(r2, cosine, k.f32(4.166664568298827e-2));
  cosine = k.fma(r2 * r2, cosine, k.fma(r2, k.f32(-0.5), k.f32(1)));

  // Quadrant n mod 4: (c, s), (-s, c), (-c, -s), (s, -c).
  Val quadrant = k.toU32(n) & 3;
  Val odd = (quadrant & 1) != 0;
  Val c = k.select(odd, sine, cosine), s = k.select(odd, cosine, sine);
  Val negativeCosine = (quadrant == 1) | (quadrant == 2);
  Val negativeSine = quadrant >= 2;
  return {k.select(negativeCosine, -c, c), k.select(negativeSine, -s, s)};
}

std::pair<Val, Val> rotatePair(KernelBuilder &k, ArrayRef<float> inverseFrequency, Val i, Val position, Val x1,
                               Val x2) {
  // The angle is one rounded product, as the reference computes it; contraction would move it by up to half an ulp of
  // the position.
  Val angle = k.mulExact(k.toF32(position), k.lookup(inverseFrequency, i));
  auto [c, s] = cosSin(k, angle);
  return {x1 * c - x2 * s, x2 * c + x1 * s};
}

} // namespace qwenc
