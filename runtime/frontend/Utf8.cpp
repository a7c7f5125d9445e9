#include "runtime/frontend/Utf8.h"

#include <algorithm>
#include <cstring>

namespace qwenrt {
namespace {

/// What may follow a lead byte: the number of continuation bytes, and the range of the first of them.
struct LeadByte {
  uint8_t continuations; // 0 = no lead byte
  uint8_t firstLow;
  uint8_t firstHigh;
};

LeadByte classifyLead(uint8_t byte) {
  if (byte >= 0xC2 && byte <= 0xDF)
    return {1, 0x80, 0xBF};
  if (byte == 0xE0)
    return {2, 0xA0, 0xBF}; // below are overlong forms
  if (byte == 0xED)
    return {2, 0x80, 0x9F}; // above are surrogates
  if (byte >= 0xE1 && byte <= 0xEF)
    return {2, 0x80, 0xBF};
  if (byte == 0xF0)
    return {3, 0x90, 0xBF};
  if (byte >= 0xF1 && byte <= 0xF3)
    return {3, 0x80, 0xBF};
  if (byte == 0xF4)
    return {3, 0x80, 0x8F}; // above U+10FFFF
  return {0, 0, 0};
}

/// Number of ASCII bytes at \p offset, eight at a time.
size_t asciiRunLength(std::string_view text, size_t offset) {
  size_t i = offset;
  for (; i + 8 <= text.size(); i += 8) {
    uint64_t word;
    std::memcpy(&word, text.data() + i, 8);
    if (word & 0x8080808080808080u)
      break;
  }
  while (i < text.size() && static_cast<uint8_t>(text[i]) < 0x80)
    ++i;
  return i - offset;
}

} // namespace

Utf8Part utf8PartAt(std::string_view bytes, size_t offset) {
  using Kind = Utf8Part::Kind;
  uint8_t lead = static_cast<uint8_t>(bytes[offset]);
  if (lead < 0x80)
    return {Kind::Valid, 1};
  LeadByte expected = classifyLead(lead);
  if (expected.continuations == 0)
    return {Kind::Invalid, 1};
  uint8_t low = expected.firstLow, high = expected.firstHigh;
  for (uint8_t i = 1; i <= expected.continuations; ++i) {
    if (offset + i >= bytes.size())
      return {Kind::Incomplete, i};
    uint8_t byte = static_cast<uint8_t>(bytes[offset + i]);
    if (byte < low || byte > high)
      return {Kind::Invalid, i};
    low = 0x80, high = 0xBF;
  }
  return {Kind::Valid, static_cast<uint8_t>(expected.continuations + 1)};
}

std::optional<size_t> firstInvalidUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    i += asciiRunLength(text, i);
    if (i == text.size())
      break;
    Utf8Part part = utf8PartAt(text, i);
    if (part.kind != Utf8Part::Kind::Valid)
      return i;
    i += part.length;
  }
  return std::nullopt;
}

void appendUtf8(char32_t codePoint, std::string &text) {
  auto put = [&](char32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (codePoint < 0x80) {
    put(codePoint);
  } else if (codePoint < 0x800) {
    put(0xC0 | codePoint >> 6);
    put(0x80 | (codePoint & 0x3F));
  } else if (codePoint < 0x10000) {
    put(0xE0 | codePoint >> 12);
    put(0x80 | (codePoint >> 6 & 0x3F));
    put(0x80 | (codePoint & 0x3F));
  } else {
    put(0xF0 | codePoint >> 18);
    put(0x80 | (codePoint >> 12 & 0x3F));
    put(0x80 | (codePoint >> 6 & 0x3F));
    put(0x80 | (codePoint & 0x3F));
  }
}

void appendReplacingInvalid(std::string_view bytes, std::string &text) {
  for (size_t i = 0; i < bytes.size();) {
    Utf8Part part = utf8PartAt(bytes, i);
    if (part.kind == Utf8Part::Kind::Valid)
      text.append(bytes, i, part.length);
    else
      text += "\xEF\xBF\xBD";
    i += part.length;
  }
}

size_t incompleteTailLength(std::string_view bytes) {
  // The lead byte of an incomplete sequence stands among the last three bytes; anything between it and the end is a
  // continuation.
  for (size_t length = 1; length <= std::min<size_t>(3, bytes.size()); ++length) {
    uint8_t byte = static_cast<uint8_t>(bytes[bytes.size() - length]);
    if ((byte & 0xC0) == 0x80)
      continue;
    Utf8Part part = utf8PartAt(bytes, bytes.size() - length);
    return part.kind == Utf8Part::Kind::Incomplete ? length : 0;
  }
  return 0;
}

} // namespace qwenrt
