//===- TemporaryFolder.h - A folder that lives as long as a test ------------------------------------------------===//
#pragma once

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>

namespace qwenc::test {

class TemporaryFolder {
public:
  TemporaryFolder() {
    static int serial = 0;
    path_ = std::filesystem::path(::testing::TempDir()) /
            ("qwenc-" + std::to_string(::getpid()) + "-" + std::to_string(serial++));
    std::filesystem::create_directories(path_);
  }
  TemporaryFolder(const TemporaryFolder &) = delete;
  ~TemporaryFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }

  std::string path() const { return path_.string(); }
  std::string path(const std::string &name) const { return (path_ / name).string(); }
  void write(const std::string &name, std::string_view content) const {
    std::ofstream(path_ / name, std::ios::binary) << content;
  }
  std::string read(const std::string &name) const {
    std::ifstream stream(path_ / name, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(stream), {});
  }
  bool has(const std::string &name) const { return std::filesystem::exists(path_ / name); }
  size_t fileCount() const {
    return static_cast<size_t>(
        std::distance(std::filesystem::directory_iterator(path_), std::filesystem::directory_iterator()));
  }

private:
  std::filesystem::path path_;
};

} // namespace qwenc::test

/// The message of a refused Status or Result has to contain \p part, and has to be one line.
#define EXPECT_REFUSED(result, part)                                                                                   \
  do {                                                                                                                 \
    const auto &refused_ = (result);                                                                                   \
    EXPECT_FALSE(refused_.isOk()) << "accepted, expected: " << part;                                                   \
    EXPECT_NE(::qwenc::test::messageOf(refused_).find(part), std::string::npos)                                        \
        << ::qwenc::test::messageOf(refused_) << "\n  lacks: " << part;                                                \
    EXPECT_EQ(::qwenc::test::messageOf(refused_).find('\n'), std::string::npos);                                       \
  } while (false)

namespace qwenc::test {
template <typename T> std::string messageOf(const T &result) {
  if constexpr (requires { result.message(); })
    return result.message();
  else
    return result.status().message();
}
} // namespace qwenc::test
