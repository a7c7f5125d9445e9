#include "TemporaryFolder.h"

#include "models/Checkpoint/Checkpoint.h"
#include "models/Checkpoint/SafetensorsWriter.h"

using namespace qwenc;
using qwenc::test::TemporaryFolder;

namespace {

/// A folder with config.json and whatever the test adds.
class CheckpointFolder : public ::testing::Test {
protected:
  CheckpointFolder() { folder.write("config.json", "{}"); }

  void addFile(const std::string &name, const std::vector<std::string> &tensors) {
    std::vector<TensorData> data;
    for (const std::string &tensor : tensors)
      data.push_back({{tensor, StoredDType::U8, {1}}, std::as_bytes(std::span("x", 1))});
    ASSERT_TRUE(writeSafetensors(folder.path(name), data).isOk());
  }
  void addIndex(const std::string &map) {
    folder.write("model.safetensors.index.json", "{\"weight_map\": " + map + "}");
  }
  Result<Checkpoint> open() { return openCheckpoint(folder.path()); }

  TemporaryFolder folder;
};

} // namespace

TEST_F(CheckpointFolder, OpensASingleFile) {
  addFile("model.safetensors", {"a", "b"});
  Result<Checkpoint> checkpoint = open();
  ASSERT_TRUE(checkpoint.isOk()) << checkpoint.status().message();
  ASSERT_EQ(checkpoint->files.size(), 1u);
  EXPECT_EQ(checkpoint->files[0].name, "model.safetensors");
  EXPECT_EQ(checkpoint->files[0].sizeBytes, std::filesystem::file_size(folder.path("model.safetensors")));
  EXPECT_EQ(checkpoint->tensors.size(), 2u);
  EXPECT_TRUE(checkpoint->tokenizerFiles.empty());
  EXPECT_FALSE(checkpoint->generationConfig);
}

TEST_F(CheckpointFolder, MergesShards) {
  addFile("model-1.safetensors", {"a"});
  addFile("model-2.safetensors", {"b", "c"});
  addIndex(R"({"a": "model-1.safetensors", "b": "model-2.safetensors", "c": "model-2.safetensors"})");
  Result<Checkpoint> checkpoint = open();
  ASSERT_TRUE(checkpoint.isOk()) << checkpoint.status().message();
  EXPECT_EQ(checkpoint->tensors.at("a").file, 0u);
  EXPECT_EQ(checkpoint->files[checkpoint->tensors.at("c").file].name, "model-2.safetensors");
}

TEST_F(CheckpointFolder, RefusesAContradictingIndex) {
  addFile("one", {"a"});
  addFile("two", {"b", "c"});
  addIndex(R"({"a": "one", "b": "two"})");
  EXPECT_REFUSED(open(), "holds tensor 'c', which '");
  addIndex(R"({"a": "one", "b": "one", "c": "two"})");
  EXPECT_REFUSED(open(), "maps tensor 'b' to 'one', which does not hold it");
  addIndex(R"({"a": "one", "b": "two", "c": "two", "d": "two"})");
  EXPECT_REFUSED(open(), "maps tensor 'd' to 'two', which does not hold it");
  addFile("two", {"a", "b"});
  addIndex(R"({"a": "one", "b": "two"})");
  EXPECT_REFUSED(open(), "tensor 'a' is stored in 'one' and in 'two'");
  addIndex(R"({"a": "one", "b": "three"})");
  EXPECT_REFUSED(open(), "three' not found");
}

TEST_F(CheckpointFolder, RefusesABrokenIndex) {
  folder.write("model.safetensors.index.json", "{}");
  EXPECT_REFUSED(open(), "has no weight_map");
  addIndex("[]");
  EXPECT_REFUSED(open(), "has no weight_map");
  addIndex("{}");
  EXPECT_REFUSED(open(), "has no weight_map");
  addIndex("{\"a\": 1}");
  EXPECT_REFUSED(open(), "maps tensor 'a' to no text");
  folder.write("model.safetensors.index.json", "[]");
  EXPECT_REFUSED(open(), "holds no JSON object");
}

TEST_F(CheckpointFolder, NeverFollowsAnIndexOutOfTheFolder) {
  for (const char *name : {"../secret", "/etc/passwd", "..", ".", "", "sub/file", "a\\\\b", "a\\u0000b"}) {
    addIndex(std::string("{\"a\": \"") + name + "\"}");
    EXPECT_REFUSED(open(), "expected the name of a file in the same folder");
  }
}

TEST_F(CheckpointFolder, RefusesMissingAndBrokenFiles) {
  EXPECT_REFUSED(open(), "no weights in '");
  addFile("model.safetensors", {"a"});
  folder.write("config.json", "{");
  EXPECT_REFUSED(open(), "config.json': broken JSON");
  folder.write("config.json", "[]");
  EXPECT_REFUSED(open(), "config.json' holds no JSON object");
  std::filesystem::remove(folder.path("config.json"));
  EXPECT_REFUSED(open(), "config.json' not found");
  EXPECT_REFUSED(openCheckpoint(folder.path("absent")), "is no folder");
  folder.write("config.json", "{}");
  folder.write("generation_config.json", "1");
  EXPECT_REFUSED(open(), "generation_config.json' holds no JSON object");
  std::filesystem::remove(folder.path("generation_config.json"));
  folder.write("model.safetensors", "short");
  EXPECT_REFUSED(open(), "model.safetensors': file of 5 bytes");
}

TEST_F(CheckpointFolder, FindsTheTokenizer) {
  addFile("model.safetensors", {"a"});
  folder.write("vocab.json", "{}");
  EXPECT_TRUE(open()->tokenizerFiles.empty());
  folder.write("merges.txt", "");
  folder.write("tokenizer_config.json", "{}");
  EXPECT_EQ(open()->tokenizerFiles, (std::vector<std::string>{"vocab.json", "merges.txt", "tokenizer_config.json"}));
  folder.write("tokenizer.json", "{}");
  EXPECT_EQ(open()->tokenizerFiles, (std::vector<std::string>{"tokenizer.json", "tokenizer_config.json"}));
}

TEST_F(CheckpointFolder, FindsTheThinkingSwitchWhereverTheTemplateStands) {
  addFile("model.safetensors", {"a"});
  folder.write("tokenizer_config.json", R"({"chat_template": "plain"})");
  EXPECT_FALSE(open()->thinkingSwitch);
  folder.write("tokenizer_config.json", R"({"chat_template": "{% if enable_thinking %}"})");
  EXPECT_TRUE(open()->thinkingSwitch);
  folder.write("tokenizer_config.json",
               R"({"chat_template": [{"name": "default", "template": "enable_thinking"}, 1]})");
  EXPECT_TRUE(open()->thinkingSwitch);
  folder.write("tokenizer_config.json", "{}");
  folder.write("chat_template.json", R"({"chat_template": "enable_thinking"})");
  EXPECT_TRUE(open()->thinkingSwitch);
  folder.write("chat_template.json", "{}");
  EXPECT_FALSE(open()->thinkingSwitch);
  folder.write("chat_template.jinja", "enable_thinking");
  EXPECT_TRUE(open()->thinkingSwitch);
  folder.write("tokenizer_config.json", "x");
  EXPECT_REFUSED(open(), "tokenizer_config.json': broken JSON");
}
