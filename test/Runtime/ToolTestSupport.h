//===- ToolTestSupport.h - Run qwenrt from its command line
//---------------------------------------------------------===//
#pragma once

#include "TestPlan.h"
#include "test/Checkpoint/TemporaryFolder.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cstdlib>
#include <sys/wait.h>

namespace qwenrt::test {

struct Outcome {
  int code = -1;
  std::string out, err;
};

class ToolTest : public testing::Test {
protected:
  void SetUp() override { writePlan(); }

  void writePlan() {
    source.byteTokenizer = true;
    source.vocabulary = source.media ? 265 : 258;
    folder.write("model.safetensors", fakeCheckpoint(source));
    std::vector<std::byte> file = source.encodeFile();
    folder.write("plan.fb", {reinterpret_cast<const char *>(file.data()), file.size()});
  }

  /// Runs a shell command line in which `qwenrt` and `plan` stand for the program and the plan.
  Outcome shell(const std::string &command, const std::string &input = "") {
    folder.write("in", input);
    std::string script = "cd '" + folder.path() + "'; export XDG_CACHE_HOME='" + folder.path("cache") +
                         "'; qwenrt() { '" QWENRT_TOOL "' \"$@\"; }; plan=plan.fb; " + command;
    folder.write("script", script);
    int status = std::system(("bash '" + folder.path("script") + "' <'" + folder.path("in") + "' >'" +
                              folder.path("out") + "' 2>'" + folder.path("err") + "'")
                                 .c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, folder.read("out"), folder.read("err")};
  }
  Outcome run(const std::string &arguments, const std::string &input = "") {
    return shell("qwenrt $plan --allow-cpu " + arguments, input);
  }

  static std::string idsText(std::vector<int32_t> history, size_t count) {
    nlohmann::json ids = nlohmann::json::array();
    for (size_t i = 0; i < count; ++i) {
      history.push_back(fakeNextToken(history));
      ids.push_back(history.back());
    }
    return ids.dump() + "\n";
  }

  TestPlan source = fakeModel();
  qwenc::test::TemporaryFolder folder;
};

#define EXPECT_FAILS(outcome, status, part)                                                                            \
  do {                                                                                                                 \
    Outcome outcome_ = (outcome);                                                                                      \
    EXPECT_EQ(outcome_.code, status) << outcome_.err;                                                                  \
    EXPECT_EQ(outcome_.err.rfind("qwenrt: error: ", 0), 0u) << outcome_.err;                                           \
    EXPECT_NE(outcome_.err.find(part), std::string::npos) << outcome_.err;                                             \
  } while (false)

#define EXPECT_PRINTS(outcome, text)                                                                                   \
  do {                                                                                                                 \
    Outcome outcome_ = (outcome);                                                                                      \
    EXPECT_EQ(outcome_.code, 0) << outcome_.err;                                                                       \
    EXPECT_EQ(outcome_.out, text);                                                                                     \
  } while (false)

} // namespace qwenrt::test
