//===- ExportToolTest.cpp - qwen-export and qwen-synth as a user meets them -------------------------------------===//
#include "test/Checkpoint/TemporaryFolder.h"

#include <array>
#include <cstdio>
#include <sys/wait.h>

using qwenc::test::TemporaryFolder;

namespace {

struct Outcome {
  int status;
  std::string output; ///< standard output and error together
};

Outcome run(const std::string &command) {
  Outcome result{-1, ""};
  FILE *pipe = ::popen((command + " 2>&1").c_str(), "r");
  std::array<char, 4096> buffer;
  while (size_t count = std::fread(buffer.data(), 1, buffer.size(), pipe))
    result.output.append(buffer.data(), count);
  int status = ::pclose(pipe);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
  return result;
}

const std::string exporter = QWEN_EXPORT, synth = QWEN_SYNTH;
const std::string chatModel = QWENC_SOURCE_DIR "/models/tiny-qwen3-chat";

void expectUsageError(const std::string &command, const std::string &program) {
  Outcome result = run(command);
  EXPECT_EQ(result.status, 2) << command << "\n" << result.output;
  EXPECT_TRUE(result.output.starts_with(program + ": error: ")) << result.output;
}

} // namespace

TEST(ExportTool, WritesTheDocumentAndNothingElse) {
  TemporaryFolder folder;
  Outcome result = run(exporter + " " + chatModel + " -o " + folder.path("model.json"));
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_EQ(result.output, "");
  EXPECT_EQ(folder.fileCount(), 1u);
  EXPECT_NE(folder.read("model.json").find("\"name\": \"tiny-qwen3-chat\""), std::string::npos);
}

TEST(ExportTool, RefersToTheCheckpointFromTheDocumentsFolder) {
  TemporaryFolder folder;
  std::filesystem::create_directories(folder.path("out"));
  std::filesystem::create_directories(folder.path("ckpt"));
  ASSERT_EQ(run(synth + " --config " + chatModel + "/config.json --layers 1 -o " + folder.path("ckpt")).status, 0);
  std::string command = "cd " + folder.path("ckpt") + " && " + exporter + " . -o ../out/model.json";
  EXPECT_EQ(run(command).status, 0);
  EXPECT_NE(folder.read("out/model.json").find("\"path\": \"../ckpt\""), std::string::npos);
  EXPECT_NE(folder.read("out/model.json").find("\"name\": \"ckpt\""), std::string::npos);
  EXPECT_EQ(run("cd " + folder.path("ckpt") + " && " + exporter + " . -o model.json").status, 0);
  EXPECT_NE(folder.read("ckpt/model.json").find("\"path\": \".\""), std::string::npos);
}

TEST(ExportTool, WrongUsageIsStatus2) {
  for (const char *arguments : {"", " dir", " -o x", " dir -o", " dir other -o x", " dir -o x --bogus"})
    expectUsageError(exporter + arguments, "qwen-export");
  expectUsageError(exporter + " " + chatModel + " -o /dev/null --components audio", "qwen-export");
  expectUsageError(exporter + " " + chatModel + " -o /dev/null --components text,", "qwen-export");
  EXPECT_EQ(run(exporter + " " + chatModel + " -o /dev/null --components text").status, 0);
}

TEST(ExportTool, BadInputIsStatus1AndLeavesNoFile) {
  TemporaryFolder folder;
  Outcome result = run(exporter + " " + folder.path() + " -o " + folder.path("model.json"));
  EXPECT_EQ(result.status, 1);
  EXPECT_TRUE(result.output.starts_with("qwen-export: error: ")) << result.output;
  EXPECT_EQ(folder.fileCount(), 0u);
  result = run(exporter + " " + chatModel + " -o " + folder.path("missing/model.json"));
  EXPECT_EQ(result.status, 1);
  EXPECT_NE(result.output.find("cannot write"), std::string::npos) << result.output;
}

TEST(ExportTool, HelpListsTheOptions) {
  Outcome result = run(exporter + " --help");
  EXPECT_EQ(result.status, 0);
  for (const char *option : {"CHECKPOINT_DIR", "--output", "--components", "text, audio, vision, talker, code2wav"})
    EXPECT_NE(result.output.find(option), std::string::npos) << option;
}

TEST(SynthTool, WrongUsageIsStatus2) {
  for (const char *arguments :
       {"", " --preset qwen3-0.6b", " -o x", " --preset a --config b -o x", " --preset nothing -o x",
        " --preset qwen3-0.6b -o x --layers 0", " --preset qwen3-0.6b -o x --threads none"})
    expectUsageError(synth + arguments, "qwen-synth");
}

TEST(SynthTool, TakesAShapeFromAConfig) {
  TemporaryFolder folder;
  Outcome result = run(synth + " --config " + chatModel + "/config.json --layers 2 --seed 5 --redundant-head -o " +
                       folder.path("c"));
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_EQ(run(exporter + " " + folder.path("c") + " -o " + folder.path("model.json")).status, 0);
  EXPECT_NE(folder.read("model.json").find("layers.1.output"), std::string::npos);
  EXPECT_EQ(folder.read("model.json").find("layers.2.output"), std::string::npos);
  EXPECT_EQ(run(synth + " --config " + folder.path("absent") + " -o " + folder.path("d")).status, 1);
  folder.write("list", "[]");
  EXPECT_NE(
      run(synth + " --config " + folder.path("list") + " -o " + folder.path("d")).output.find("holds no JSON object"),
      std::string::npos);
}
