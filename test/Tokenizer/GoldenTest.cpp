// Encoding and decoding against ids that Hugging Face's Qwen2Tokenizer produced.

#include "TestSupport.h"

#include "runtime/frontend/Chat.h"

using namespace qwenc;
using namespace qwenc::test;
using nlohmann::json;
using qwenrt::StreamDecoder;
using qwenrt::Tokenizer;
using Ids = std::vector<int32_t>;

namespace {

const json &golden() {
  static const json document = readJson(kDataFolder + "/golden.json");
  return document;
}

void expectSameData(const TokenizerData &a, const TokenizerData &b) {
  EXPECT_EQ(a.pieceBytes, b.pieceBytes);
  EXPECT_EQ(a.pieceOffsets, b.pieceOffsets);
  EXPECT_EQ(a.merges, b.merges);
  EXPECT_EQ(a.byteIds, b.byteIds);
  EXPECT_EQ(a.added, b.added);
}

/// The reference decodes without knowledge of what follows, so that a cut character is a U+FFFD; the stream holds it
/// back.
std::string streamed(const Tokenizer &tokenizer, const Ids &ids, bool skipSpecial, size_t count) {
  StreamDecoder decoder(tokenizer, skipSpecial);
  std::string text;
  for (size_t i = 0; i < count; ++i)
    text += decoder.push(ids[i]);
  return text + decoder.finish();
}

} // namespace

TEST(GoldenTest, TheFormsOfTheSameTokenizerAreEquivalent) {
  TokenizerData pairs = valueOf(readTokenizerJson(readText(kDataFolder + "/tokenizer.json")));
  expectSameData(pairs, valueOf(readTokenizerJson(readText(kDataFolder + "/tokenizer.merges_as_strings.json"))));
  expectSameData(pairs, valueOf(readTokenizer(kDataFolder, {"vocab.json", "merges.txt", "tokenizer_config.json"})));
  expectSameData(pairs, valueOf(readTokenizer(kDataFolder, {"tokenizer.json", "tokenizer_config.json"})));
  EXPECT_EQ(pairs.pieceOffsets.size(), 1401u);
  EXPECT_EQ(pairs.merges.size(), 3u * 1144u);
  EXPECT_EQ(pairs.added.size(), 33u);

  TokenizerData tiny = valueOf(readTokenizer(kTinyModelFolder, {"tokenizer.json", "tokenizer_config.json"}));
  expectSameData(tiny, valueOf(readTokenizer(kTinyModelFolder, {"vocab.json", "merges.txt", "tokenizer_config.json"})));
}

TEST(GoldenTest, Strings) {
  ASSERT_EQ(golden()["strings"].size(), 156u);
  for (const json &item : golden()["strings"]) {
    const std::string text = item["text"];
    const Ids ids = item["ids"];
    EXPECT_EQ(valueOf(goldenTokenizer().encode(text)), ids) << item["text"];
    EXPECT_EQ(goldenTokenizer().decode(ids), item["decoded"].get<std::string>());
    EXPECT_EQ(goldenTokenizer().decode(ids, /*skipSpecial=*/true), item["decoded_skip_special"].get<std::string>());
  }
}

TEST(GoldenTest, StreamingGivesTheSameText) {
  for (const json &item : golden()["strings"]) {
    const Ids ids = item["ids"];
    EXPECT_EQ(streamed(goldenTokenizer(), ids, false, ids.size()), item["decoded"].get<std::string>());
    EXPECT_EQ(streamed(goldenTokenizer(), ids, true, ids.size()), item["decoded_skip_special"].get<std::string>());
  }
}

TEST(GoldenTest, StreamPrefixes) {
  ASSERT_EQ(golden()["stream"].size(), 5u);
  for (const json &item : golden()["stream"]) {
    const Ids ids = item["ids"];
    EXPECT_EQ(valueOf(goldenTokenizer().encode(item["text"].get<std::string>())), ids);
    for (size_t count = 0; count <= ids.size(); ++count) {
      const std::string expected = item["decoded_prefixes"][count];
      EXPECT_EQ(goldenTokenizer().decode(std::span(ids).first(count)), expected);
      EXPECT_EQ(streamed(goldenTokenizer(), ids, false, count), expected);
    }
  }
}

TEST(GoldenTest, SingleTokens) {
  ASSERT_EQ(golden()["single_tokens"].size(), 1433u);
  for (const json &item : golden()["single_tokens"]) {
    const Ids ids = {item["id"].get<int32_t>()};
    EXPECT_EQ(goldenTokenizer().decode(ids), item["decoded"].get<std::string>()) << ids[0];
  }
  EXPECT_EQ(goldenTokenizer().idBound(), 1433u);
}

TEST(GoldenTest, AddedTokenIds) {
  for (const auto &[content, id] : golden()["ids"].items())
    if (content.starts_with("<"))
      EXPECT_EQ(goldenTokenizer().addedTokenId(content), id.get<int32_t>()) << content;
  EXPECT_EQ(goldenTokenizer().addedTokenId("user"), std::nullopt);
  EXPECT_TRUE(goldenTokenizer().isSpecial(1402));
  EXPECT_FALSE(goldenTokenizer().isSpecial(1424)) << "<think> is an added token but not special";
  EXPECT_FALSE(goldenTokenizer().isSpecial(-1));
}

TEST(GoldenTest, Chats) {
  ASSERT_EQ(golden()["chats"].size(), 8u);
  for (const json &item : golden()["chats"]) {
    std::vector<qwenrt::Turn> turns;
    for (const json &message : item["messages"]) {
      qwenrt::Turn turn{message["role"], ""};
      if (message["content"].is_string()) {
        turn.content = message["content"];
      } else {
        for (const json &part : message["content"]) {
          const std::string type = part["type"];
          turn.content += type == "text"    ? part["text"].get<std::string>()
                          : type == "image" ? std::string(mediaPart(qwenrt::Media::Image))
                          : type == "audio" ? std::string(mediaPart(qwenrt::Media::Audio))
                                            : std::string(mediaPart(qwenrt::Media::Video));
        }
      }
      turns.push_back(std::move(turn));
    }
    const std::string rendered = renderPrompt(turns, item["add_generation_prompt"].get<bool>());
    EXPECT_EQ(rendered, item["rendered"].get<std::string>());
    EXPECT_EQ(valueOf(goldenTokenizer().encode(rendered)), item["ids"].get<Ids>());
  }
}

TEST(GoldenTest, ChatsOfTheTinyModel) {
  const Tokenizer tokenizer = makeTokenizer(valueOf(readTokenizer(kTinyModelFolder, {"tokenizer.json"})));
  const json cases = readJson(kTinyModelFolder + "/golden/golden.json")["cases"];
  ASSERT_EQ(cases.size(), 12u);
  for (const json &item : cases) {
    std::vector<qwenrt::Turn> turns;
    for (const json &message : item["messages"])
      turns.push_back({message["role"], message["content"]});
    const std::string rendered = renderPrompt(turns, /*addGenerationPrompt=*/true);
    EXPECT_EQ(rendered, item["rendered"].get<std::string>());
    EXPECT_EQ(valueOf(tokenizer.encode(rendered)), item["input_ids"].get<Ids>());
    EXPECT_EQ(tokenizer.decode(item["output_ids"].get<Ids>(), /*skipSpecial=*/true),
              item["output_text"].get<std::string>());
  }
}
