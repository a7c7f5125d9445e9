#include "models/Checkpoint/Message.h"

#include <gtest/gtest.h>

using namespace qwenc;
using qwenrt::Status;
using qwenrt::StatusCode;

namespace {

std::string shown(std::string message) {
  return errorText("tool", Status(StatusCode::InvalidInput, std::move(message)));
}

TEST(Message, StartsWithTheToolAndEndsWithTheLine) { EXPECT_EQ(shown("a, b, c"), "tool: error: a, b, c\n"); }

TEST(Message, PathsDisturbNoTerminalAndNoLine) {
  EXPECT_EQ(shown("'\x1b[31m\n\x7f' is no folder"), "tool: error: '\\x1b[31m\\x0a\\x7f' is no folder\n");
  EXPECT_EQ(shown("'a\xff\xe5\xa4' and '天'"), "tool: error: 'a\\xff\\xe5\\xa4' and '天'\n");
}

TEST(Message, ListsOfProblemsKeepTheirLines) {
  EXPECT_EQ(shown("2 problems: a\n  a\n  b\x1b"), "tool: error: 2 problems: a\n  a\n  b\\x1b\n");
}

} // namespace
