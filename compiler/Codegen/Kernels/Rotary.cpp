//===- Rotary.cpp - Rotary position embedding (Su et al. 2021), half-split pairs ---------------------------------===//

#include "compiler/Codegen/Kernels/Kernels.h"

#include "dialects/plan/StateLayout.h"

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

RotaryTable::RotaryTable(KernelBuilder &k, const Rotary &rotary, uint32_t dim)
    : k(k), frequencies(inverseFrequencies(rotary.theta, dim)), cosines(k.shared(Elem::F32, dim / 2)),
      sines(k.shared(Elem::F32, dim / 2)) {}

void RotaryTable::prepare() {
  if (frequencies.size() <= k.invocations())
    prepared = k.lookup(frequencies, k.min(k.localIndex(), k.u32(frequencies.size() - 1)));
}

std::string Rotary::suffix() const {
  std::string name;
  for (uint32_t section : sections)
    name += (name.empty() ? "_mrope" : "_") + std::to_string(section);
  return name;
}

Val rotaryPosition(KernelBuilder &k, const Rotary &rotary, const StateBlock &state, Buffer cells, Val index, Val pair) {
  if (rotary.sections.empty())
    return k.toF32(index);
  Val turn = pair % 3;
  auto turnsWith = [&](uint32_t axis) { return (turn == axis) & (pair < 3 * rotary.sections[axis]); };
  Val axis = k.select(turnsWith(1), k.u32(1), k.select(turnsWith(2), k.u32(2), k.u32(0)));
  Val token = k.min(index, k.u32(state.maxContext));
  return k.load(cells, Elem::F32, token * 3 + axis + plan::layout::rotaryPositions(state.maxContext) / 4);
}

Val sampledPosition(KernelBuilder &k, const Rotary &rotary, Buffer cells, Val index) {
  Val position = k.toF32(index);
  if (rotary.sections.empty())
    return position;
  return position + k.bitcastToF32(loadCell(k, cells, plan::layout::kPositionDelta));
}

void RotaryTable::fill(llvm::function_ref<Val(Val)> position) {
  auto fillOne = [&](Val i, Val frequency) {
    // The angle is one rounded product, as the reference computes it; contraction would move it by up to half an ulp of
    // the position.
    auto [c, s] = cosSin(k, k.mulExact(position(i), frequency));
    k.store(cosines, i, {c});
    k.store(sines, i, {s});
  };
  Val t = k.localIndex(), count = k.u32(frequencies.size());
  if (prepared)
    k.ifThen(t < count, [&] { fillOne(t, prepared); });
  else
    k.forLoop(t, count, k.u32(k.invocations()), [&](Val i) { fillOne(i, k.lookup(frequencies, i)); });
}

std::pair<Val, Val> RotaryTable::rotate(Val i, Val x1, Val x2) const {
  Val c = k.loadOne(cosines, i), s = k.loadOne(sines, i);
  return {x1 * c - x2 * s, x2 * c + x1 * s};
}

HeadPairs::HeadPairs(KernelBuilder &k, const Rotary &rotary, uint32_t dim, Buffer x, Val source,
                     std::function<Val(Val)> weight)
    : k(k), rotary(rotary), half(dim / 2), x(x), source(source), weight(std::move(weight)) {
  const uint32_t size = k.target().subgroupSize;
  // Lanes behind the last pair load it again.
  for (uint32_t first = 0; size && first < half; first += size)
    loaded.push_back(load(first + size <= half ? k.lane() + first : k.min(k.lane() + first, k.u32(half - 1))));
}

HeadPairs::Pair HeadPairs::load(Val i) const {
  Pair pair{i, k.load(x, Elem::F32, source + i), k.load(x, Elem::F32, source + i + half), {}, {}};
  if (rotary.normalise) {
    pair.weight1 = weight(i);
    pair.weight2 = weight(i + half);
  }
  return pair;
}

void HeadPairs::normalise() {
  if (!rotary.normalise)
    return;
  auto add = [&](const Pair &pair, Val sum) { return k.fma(pair.x2, pair.x2, k.fma(pair.x1, pair.x1, sum)); };
  Val squares = k.f32(0);
  for (auto [turn, pair] : llvm::enumerate(loaded)) {
    Val first = k.lane() + uint32_t(turn * k.target().subgroupSize);
    Val sum = add(pair, squares);
    squares = (turn + 1) * k.target().subgroupSize <= half ? sum : k.select(first < half, sum, squares);
  }
  if (loaded.empty())
    squares = k.forLoop(k.lane(), k.u32(half), k.subgroupSize(), {squares}, [&](Val i, ArrayRef<Val> c) -> Vals {
      return {add({i, k.load(x, Elem::F32, source + i), k.load(x, Elem::F32, source + i + half), {}, {}}, c[0])};
    })[0];
  factor = k.inverseSqrt(k.subgroupAdd(squares) / (2 * half) + rotary.eps);
}

void HeadPairs::rotate(const Pair &pair, const RotaryTable &table,
                       llvm::function_ref<void(Val, Val, Val)> write) const {
  Val x1 = pair.x1, x2 = pair.x2;
  if (rotary.normalise) {
    x1 = x1 * factor * pair.weight1;
    x2 = x2 * factor * pair.weight2;
  }
  auto [y1, y2] = table.rotate(pair.i, x1, x2);
  write(pair.i, y1, y2);
}

void HeadPairs::rotate(const RotaryTable &table, llvm::function_ref<void(Val, Val, Val)> write) const {
  for (auto [turn, pair] : llvm::enumerate(loaded)) {
    const uint32_t first = turn * k.target().subgroupSize;
    if (first + k.target().subgroupSize <= half)
      rotate(pair, table, write);
    else
      k.ifThen(k.lane() + first < half, [&] { rotate(pair, table, write); });
  }
  if (loaded.empty())
    k.forLoop(k.lane(), k.u32(half), k.subgroupSize(), [&](Val i) { rotate(load(i), table, write); });
}

} // namespace qwenc
