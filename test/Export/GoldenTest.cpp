#include "TinyCheckpoint.h"

#include "models/Graph/GraphWriter.h"

using namespace qwenc;
using qwenc::test::TinyCheckpoint;

// The whole document of a one-layer model. After a wanted change run with QWENC_UPDATE_GOLDEN=1 and read the diff.
TEST(Golden, OneLayerDocument) {
  const char *path = QWENC_SOURCE_DIR "/test/Export/one-layer.model.json";
  Result<graph::Graph> graph = TinyCheckpoint().exported();
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  std::string text = graph::writeGraph(*graph);
  if (std::getenv("QWENC_UPDATE_GOLDEN"))
    std::ofstream(path) << text;
  std::ifstream stream(path);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(stream), {}), text);
}

TEST(Golden, EmbeddedModelExports) {
  Result<Checkpoint> checkpoint = openCheckpoint(QWENC_SOURCE_DIR "/models/tiny-qwen3-chat");
  ASSERT_TRUE(checkpoint.isOk()) << checkpoint.status().message();
  Result<graph::Graph> graph = exportCheckpoint(*checkpoint, {"p", "c", "tiny-qwen3-chat", {}});
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  EXPECT_EQ(graph->weights.size(), 6 * 11 + 2u);
  EXPECT_EQ(graph->functions[0].ops.size(), 2 + 6 * 24u);
  EXPECT_EQ(graph->generation->stopIds, (std::vector<uint32_t>{1064, 1062}));
  EXPECT_EQ(graph->tokenizer->files, (std::vector<std::string>{"tokenizer.json", "tokenizer_config.json"}));
  EXPECT_EQ(graph->functions[0].outputs, std::vector<std::string>{"layers.5.output"});
}
