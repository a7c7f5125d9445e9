//===- WeightReader.cpp - Weights of any format as f32 values ----------------------------------------------------===//

#include "compiler/Codegen/Kernels/WeightReader.h"

using namespace mlir;

namespace qwenc {

std::string WeightLayout::suffix() const {
  return format == WeightFormat::BF16 ? "" : "_" + std::string(weightFormatName(format));
}

//===------------------------------------------------------------------------------------------------------------===//
// 16 bytes along a row
//===------------------------------------------------------------------------------------------------------------===//

WeightReader::Unit WeightReader::loadUnit(Val row, Val unit) {
  Unit loaded;
  loaded.raw = k.loadRaw16(buffer, row * (layout.pitchBytes() / 16) + unit);
  if (isPacked()) {
    uint32_t unitsPerBlock = qwenrt::kBlockWeights / layout.unitWeights();
    loaded.scale = loadScale(row, unitsPerBlock == 1 ? unit : unit / unitsPerBlock);
  }
  return loaded;
}

Vals WeightReader::unscaledEight(const Unit &unit, unsigned part) {
  if (!isPacked())
    return k.widenBf16x8(unit.raw);
  Vals words = k.wordsOf16(unit.raw), result;
  unsigned perWord = 32 / qwenrt::weightBits(layout.format);
  for (unsigned word = part * 8 / perWord; word < (part + 1) * 8 / perWord; ++word)
    for (unsigned i = 0; i < perWord; ++i) {
      auto [shift, raise] = placeOf(i);
      Val shifted = shift ? words[word] >> shift : words[word];
      uint32_t bits = qwenrt::weightBits(layout.format), mask = ((1u << bits) - 1) << raise;
      double bias = 8388608.0 + double(1u << (bits - 1 + raise));
      result.push_back(k.bitcastToF32((shifted & mask) | 0x4b000000u) - bias);
    }
  return result;
}

WeightReader::Place WeightReader::placeOf(unsigned i) const {
  const unsigned bits = qwenrt::weightBits(layout.format), mantissa = 23;
  Place place = {0, 0};
  for (unsigned at = 0; at < i; ++at) {
    place.raise += bits;
    if (place.raise + bits > mantissa)
      place = {place.shift + place.raise, 0};
  }
  return place;
}

double WeightReader::inputFactor(unsigned i) const {
  if (!isPacked())
    return 1;
  return 1.0 / double(1u << placeOf(i % (32 / qwenrt::weightBits(layout.format))).raise);
}

//===------------------------------------------------------------------------------------------------------------===//
// Eight weights for matrix units
//===------------------------------------------------------------------------------------------------------------===//

unsigned WeightReader::eightSize() const { return isPacked() ? 8 * qwenrt::weightBits(layout.format) / 32 + 1 : 1; }

void WeightReader::loadEight(Val row, Val piece, SmallVectorImpl<Value> &raw) {
  if (!isPacked()) {
    raw.push_back(k.loadRaw16(buffer, row * (layout.pitchBytes() / 16) + piece));
    return;
  }
  unsigned words = 8 * qwenrt::weightBits(layout.format) / 32;
  for (Val word : k.load(buffer, Elem::U32, row * (layout.pitchBytes() / 4) + piece * words, words))
    raw.push_back(word.value);
  raw.push_back(loadScale(row, piece / (qwenrt::kBlockWeights / 8)).value);
}

Vals WeightReader::widenEight(Val inside, ArrayRef<Value> raw) {
  if (!isPacked())
    return k.widenBf16x8(inside ? k.zeroUnless16(inside, raw.front()) : raw.front());
  // Without its scale a packed weight is nothing.
  Val scale(&k, raw.back());
  scale = inside ? k.select(inside, scale, k.f32(0)) : scale;
  Vals values;
  for (Value word : raw.drop_back())
    values.append(unpack({&k, word}, k.u32(0), 32 / qwenrt::weightBits(layout.format)));
  for (Val &value : values)
    value = value * scale;
  return values;
}

void WeightReader::storeEight(const Shared &tile, Val access, Val inside, ArrayRef<Value> raw) {
  if (!isPacked() && tile.elem == Elem::BF16)
    return k.storeRaw16(tile, access, inside ? k.zeroUnless16(inside, raw.front()) : raw.front());
  k.store(tile, access, widenEight(inside, raw));
}

//===------------------------------------------------------------------------------------------------------------===//
// Four weights
//===------------------------------------------------------------------------------------------------------------===//

Vals WeightReader::loadFour(Val row, Val depth) {
  if (!isPacked())
    return k.load(buffer, Elem::BF16, row * paddedWidth(layout.width) + depth, 4);
  unsigned perWord = 32 / qwenrt::weightBits(layout.format);
  Val word = k.load(buffer, Elem::U32, row * (layout.pitchBytes() / 4) + depth / perWord);
  Val scale = loadScale(row, depth / qwenrt::kBlockWeights);
  Vals values = unpack(word, perWord == 4 ? k.u32(0) : depth % perWord, 4);
  for (Val &value : values)
    value = value * scale;
  return values;
}

//===------------------------------------------------------------------------------------------------------------===//
// Bits
//===------------------------------------------------------------------------------------------------------------===//

Val WeightReader::loadScale(Val row, Val block) {
  auto offset = static_cast<uint32_t>(qwenrt::quantBytes(layout.format, layout.width) / 2);
  return k.load(buffer, Elem::BF16, row * (layout.pitchBytes() / 2) + block + offset);
}

/// A biased weight put behind the exponent of 2^23 is the number 2^23 + weight: two bitwise operations and an exact
/// subtraction, where conversions run at a fraction of the rate on some devices.
Vals WeightReader::unpack(Val word, Val first, unsigned count) {
  const uint32_t bits = qwenrt::weightBits(layout.format);
  const double bias = 8388608.0 + double(1u << (bits - 1));
  Val shifted = count * bits == 32 ? word : word >> (first * bits);
  Vals values;
  for (unsigned i = 0; i < count; ++i) {
    Val biased = (i ? shifted >> (i * bits) : shifted) & ((1u << bits) - 1);
    values.push_back(k.bitcastToF32(biased | 0x4b000000u) - bias);
  }
  return values;
}

} // namespace qwenc
