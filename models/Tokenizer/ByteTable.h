//===- ByteTable.h - The printable alphabet of byte-level BPE files ---------------------------------------------===//
//
// GPT-2 style vocabularies spell each byte of a piece as one printable code point: bytes 33..126, 161..172 and 174..255
// stand for themselves, the other 68, in increasing order, are U+0100, U+0101, ... (so a space is U+0120, a line feed
// U+010A).
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace qwenc {

/// The UTF-8 spelling of \p byte in vocabulary files (one or two bytes long).
std::string spellByte(uint8_t byte);

/// The bytes that \p spelling stands for; none if it holds a character outside the alphabet.
std::optional<std::string> bytesOfSpelling(std::string_view spelling);

} // namespace qwenc
