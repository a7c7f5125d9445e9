//===- Text.cpp ------------------------------------------------------------------------------------------------===//
#include "Text.h"

#include "runtime/frontend/Utf8.h"

#include <cstdio>

using namespace qwenrt;

std::string qwenrt::formatFixed(double value, int digits) {
  char buffer[64];
  std::snprintf(buffer, sizeof(buffer), "%.*f", digits, value);
  return buffer;
}

std::string qwenrt::formatBytes(uint64_t sizeBytes) {
  double value = double(sizeBytes);
  if (sizeBytes < 1000)
    return text(sizeBytes, " B");
  if (sizeBytes < 1000000)
    return formatFixed(value / 1e3, 1) + " kB";
  if (sizeBytes < 1000000000)
    return formatFixed(value / 1e6, 1) + " MB";
  return formatFixed(value / 1e9, 2) + " GB";
}

std::string qwenrt::printable(std::string_view text) {
  constexpr size_t kLongest = 200;
  std::string result;
  for (size_t at = 0; at < text.size();) {
    Utf8Part part = utf8PartAt(text, at);
    if (at + part.length > kLongest)
      return result + "...";
    bool control = static_cast<unsigned char>(text[at]) < 0x20 || text[at] == 0x7f;
    if (control || part.kind != Utf8Part::Kind::Valid)
      result += '?';
    else
      result += text.substr(at, part.length);
    at += part.length;
  }
  return result;
}

std::string qwenrt::jsonString(std::string_view text) {
  std::string result = "\"";
  for (size_t at = 0; at < text.size();) {
    Utf8Part part = utf8PartAt(text, at);
    char c = text[at];
    if (part.kind != Utf8Part::Kind::Valid) {
      result += "\\ufffd";
    } else if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escaped[8];
      std::snprintf(escaped, sizeof(escaped), "\\u%04x", unsigned(static_cast<unsigned char>(c)));
      result += escaped;
    } else {
      result += text.substr(at, part.length);
    }
    at += part.length;
  }
  return result + "\"";
}
