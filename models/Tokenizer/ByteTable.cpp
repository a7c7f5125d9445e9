#include "models/Tokenizer/ByteTable.h"

#include <array>

namespace qwenc {
namespace {

constexpr uint32_t kAlphabetEnd = 256 + 68;

constexpr bool standsForItself(uint32_t byte) {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
}

struct ByteTable {
  std::array<uint16_t, 256> codePointOfByte{};
  std::array<int16_t, kAlphabetEnd> byteOfCodePoint{};
};

constexpr ByteTable makeByteTable() {
  ByteTable table;
  table.byteOfCodePoint.fill(-1);
  uint16_t next = 256;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint16_t codePoint = standsForItself(byte) ? static_cast<uint16_t>(byte) : next++;
    table.codePointOfByte[byte] = codePoint;
    table.byteOfCodePoint[codePoint] = static_cast<int16_t>(byte);
  }
  return table;
}

constexpr ByteTable kTable = makeByteTable();

} // namespace

std::string spellByte(uint8_t byte) {
  uint16_t codePoint = kTable.codePointOfByte[byte];
  if (codePoint < 0x80)
    return std::string(1, static_cast<char>(codePoint));
  return {static_cast<char>(0xC0 | (codePoint >> 6)), static_cast<char>(0x80 | (codePoint & 0x3F))};
}

std::optional<std::string> bytesOfSpelling(std::string_view spelling) {
  std::string bytes;
  bytes.reserve(spelling.size());
  for (size_t i = 0; i < spelling.size();) {
    // The whole alphabet lies below U+0800, so that longer sequences need no decoding to be refused.
    uint8_t lead = static_cast<uint8_t>(spelling[i]);
    uint32_t codePoint = lead;
    if (lead >= 0x80) {
      if ((lead & 0xE0) != 0xC0 || i + 1 >= spelling.size() || (static_cast<uint8_t>(spelling[i + 1]) & 0xC0) != 0x80)
        return std::nullopt;
      codePoint = (uint32_t(lead & 0x1F) << 6) | (static_cast<uint8_t>(spelling[i + 1]) & 0x3F);
    }
    if (codePoint >= kAlphabetEnd || kTable.byteOfCodePoint[codePoint] < 0)
      return std::nullopt;
    bytes.push_back(static_cast<char>(kTable.byteOfCodePoint[codePoint]));
    i += lead >= 0x80 ? 2 : 1;
  }
  return bytes;
}

} // namespace qwenc
