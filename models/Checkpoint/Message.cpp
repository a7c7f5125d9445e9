//===- Message.cpp ----------------------------------------------------------------------------------------------===//
#include "models/Checkpoint/Message.h"

#include "runtime/frontend/Utf8.h"

#include <cstdio>

using namespace qwenc;

size_t qwenc::appendPrintable(std::string_view text, size_t offset, std::string &result) {
  qwenrt::Utf8Part part = qwenrt::utf8PartAt(text, offset);
  std::string_view bytes = text.substr(offset, part.length);
  unsigned char first = static_cast<unsigned char>(bytes[0]);
  if (part.kind == qwenrt::Utf8Part::Kind::Valid && first >= 0x20 && first != 0x7f) {
    result += bytes;
    return part.length;
  }
  for (char byte : bytes) {
    char escape[8];
    std::snprintf(escape, sizeof(escape), "\\x%02x", static_cast<unsigned char>(byte));
    result += escape;
  }
  return part.length;
}

std::string qwenc::errorText(std::string_view tool, const qwenrt::Status &status) {
  std::string_view message = status.message();
  std::string result = std::string(tool) + ": error: ";
  for (size_t at = 0; at < message.size();) {
    bool nextProblem = message.substr(at).starts_with("\n  ");
    if (nextProblem)
      result += message[at++];
    else
      at += appendPrintable(message, at, result);
  }
  return result + "\n";
}

int qwenc::reportError(std::string_view tool, const qwenrt::Status &status) {
  std::fputs(errorText(tool, status).c_str(), stderr);
  return status.code() == qwenrt::StatusCode::InvalidUsage ? 2 : 1;
}
