// The tokenizer readers: tolerated variants, and the message that every broken or foreign file earns.

#include "TestSupport.h"

#include <chrono>
#include <filesystem>
#include <functional>
#include <unistd.h>

using namespace qwenc;
using namespace qwenc::test;
using nlohmann::json;
using qwenrt::StatusCode;

namespace {

using Edit = std::function<void(json &)>;

qwenrt::Status readEdited(const Edit &edit) {
  json document = minimalTokenizerJson();
  edit(document);
  return readTokenizerJson(document.dump()).status();
}

void expectRefused(const Edit &edit, StatusCode code, const std::string &message) {
  qwenrt::Status status = readEdited(edit);
  EXPECT_EQ(status.code(), code) << message;
  EXPECT_NE(status.message().find(message), std::string::npos)
      << "expected: " << message << "\nfound: " << status.message();
}

void expectUnsupported(const Edit &edit, const std::string &message) {
  expectRefused(edit, StatusCode::Unsupported, message);
}
void expectBroken(const Edit &edit, const std::string &message) {
  expectRefused(edit, StatusCode::InvalidInput, message);
}

void expectMessage(const qwenrt::Status &status, StatusCode code, const std::string &message) {
  EXPECT_EQ(status.code(), code);
  EXPECT_NE(status.message().find(message), std::string::npos)
      << "expected: " << message << "\nfound: " << status.message();
}

json &splitStep(json &d) { return d["pre_tokenizer"]["pretokenizers"][0]; }
json &byteLevelStep(json &d) { return d["pre_tokenizer"]["pretokenizers"][1]; }
json &vocab(json &d) { return d["model"]["vocab"]; }
json &addedToken(json &d) { return d["added_tokens"][0]; }

struct VocabAndMerges {
  std::string vocab = minimalTokenizerJson()["model"]["vocab"].dump();
  std::string merges = "#version: 0.2\na b\nab c\n";
  json config = {{"added_tokens_decoder", {{"300", {{"content", "<t>"}, {"special", true}}}}},
                 {"tokenizer_class", "Qwen2Tokenizer"}};
  qwenrt::Result<TokenizerData> read() const { return readVocabAndMerges(vocab, merges, config.dump()); }
};

} // namespace

TEST(TokenizerJsonTest, Minimal) {
  TokenizerData data = valueOf(readTokenizerJson(minimalTokenizerJson().dump()));
  EXPECT_EQ(data.pieceOffsets.size(), 259u);
  EXPECT_EQ(data.merges, (std::vector<uint32_t>{'a', 'b', 256, 256, 'c', 257}));
  for (uint32_t byte = 0; byte < 256; ++byte) {
    EXPECT_EQ(data.byteIds[byte], byte);
    EXPECT_EQ(data.pieceBytes[byte], byte) << "the byte table must be inverted";
  }
  ASSERT_EQ(data.added.size(), 1u);
  EXPECT_EQ(data.added[0].id, 300u);
  EXPECT_TRUE(data.added[0].special);
}

TEST(TokenizerJsonTest, EquivalentForms) {
  auto accepts = [](const Edit &edit) { return readEdited(edit).message(); };
  EXPECT_EQ(accepts([](json &d) { d["normalizer"] = {{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}}}}; }),
            "");
  EXPECT_EQ(accepts([](json &d) { d["post_processor"] = nullptr; }), "");
  EXPECT_EQ(accepts([](json &d) { d.erase("decoder"); }), "");
  EXPECT_EQ(accepts([](json &d) { d.erase("added_tokens"); }), "");
  EXPECT_EQ(accepts([](json &d) { d["model"].erase("type"); }), "");
  EXPECT_EQ(accepts([](json &d) { d["model"]["dropout"] = 0.0; }), "");
  EXPECT_EQ(accepts([](json &d) { d["model"]["end_of_word_suffix"] = nullptr; }), "");
  EXPECT_EQ(accepts([](json &d) { d["model"].erase("ignore_merges"); }), "");
  EXPECT_EQ(
      accepts([](json &d) { d["model"]["merges"] = json::array({json::array({"a", "b"}), json::array({"ab", "c"})}); }),
      "");
  EXPECT_EQ(accepts([](json &d) { byteLevelStep(d)["trim_offsets"] = true; }), "");
  EXPECT_EQ(accepts([](json &d) { addedToken(d) = {{"id", 7}, {"content", "\x07"}}; }), "")
      << "an added token may have the id of the piece written like it";
}

TEST(TokenizerJsonTest, IdsMayHaveHoles) {
  json document = minimalTokenizerJson();
  vocab(document)["abc"] = 280;
  TokenizerData data = valueOf(readTokenizerJson(document.dump()));
  EXPECT_EQ(data.pieceOffsets.size(), 282u);
  EXPECT_EQ(data.pieceOffsets[257], data.pieceOffsets[280]) << "ids without a piece are empty";
  EXPECT_EQ(makeTokenizer(data).decode(std::vector<int32_t>{270, 280}), "abc");
}

TEST(TokenizerJsonTest, RefusesOtherPipelines) {
  expectUnsupported([](json &d) { d["normalizer"] = nullptr; }, "the normalizer is null, expected NFC");
  expectUnsupported([](json &d) { d["normalizer"]["type"] = "NFKC"; }, "the normalizer is 'NFKC', expected NFC");
  expectUnsupported(
      [](json &d) {
        d["normalizer"] = {{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}, {{"type", "Lowercase"}}}}};
      },
      "the normalizer is 'Sequence', expected NFC");
  expectUnsupported([](json &d) { d["pre_tokenizer"] = {{"type", "ByteLevel"}}; },
                    "the pre-tokenizer is 'ByteLevel', expected a Sequence of Split and ByteLevel");
  expectUnsupported([](json &d) { d.erase("pre_tokenizer"); }, "the pre-tokenizer is null");
  expectUnsupported([](json &d) { d["pre_tokenizer"]["pretokenizers"].push_back({{"type", "Digits"}}); },
                    "the pre-tokenizer is 'Sequence'");
  expectUnsupported([](json &d) { splitStep(d)["type"] = "Digits"; },
                    "the first pre-tokenizer is 'Digits', expected Split");
  expectUnsupported([](json &d) { splitStep(d)["pattern"]["Regex"] = "\\s+"; },
                    "the splitting pattern is '\\s+', expected Qwen2's");
  expectUnsupported([](json &d) { splitStep(d)["pattern"] = {{"String", " "}}; }, "the splitting pattern is null");
  expectUnsupported([](json &d) { splitStep(d)["behavior"] = "Removed"; },
                    "the splitting behavior is 'Removed', expected 'Isolated'");
  expectUnsupported([](json &d) { splitStep(d)["invert"] = true; },
                    "invert of the splitting pattern is true, expected false");
  expectUnsupported([](json &d) { byteLevelStep(d)["type"] = "Metaspace"; },
                    "the second pre-tokenizer is 'Metaspace', expected ByteLevel");
  expectUnsupported([](json &d) { byteLevelStep(d)["add_prefix_space"] = true; },
                    "add_prefix_space is true, expected false");
  expectUnsupported([](json &d) { byteLevelStep(d)["use_regex"] = true; },
                    "use_regex of ByteLevel is true, expected false");
  expectUnsupported([](json &d) { d["post_processor"]["type"] = "TemplateProcessing"; },
                    "the post-processor is 'TemplateProcessing', expected ByteLevel or none");
  expectUnsupported([](json &d) { d["decoder"]["type"] = "WordPiece"; },
                    "the decoder is 'WordPiece', expected ByteLevel or none");
}

TEST(TokenizerJsonTest, RefusesOtherModels) {
  expectUnsupported([](json &d) { d.erase("model"); }, "the model is null, expected BPE");
  expectUnsupported([](json &d) { d["model"]["type"] = "Unigram"; }, "the model is 'Unigram', expected BPE");
  expectUnsupported([](json &d) { d["model"]["dropout"] = 0.1; }, "dropout is 0.1, expected none");
  expectUnsupported([](json &d) { d["model"]["continuing_subword_prefix"] = "##"; },
                    "continuing_subword_prefix is '##', expected none");
  expectUnsupported([](json &d) { d["model"]["end_of_word_suffix"] = "</w>"; },
                    "end_of_word_suffix is '</w>', expected none");
  expectUnsupported([](json &d) { d["model"]["byte_fallback"] = true; }, "byte_fallback is true, expected false");
  expectUnsupported([](json &d) { d["model"]["ignore_merges"] = true; }, "ignore_merges is true, expected false");
}

TEST(TokenizerJsonTest, RefusesBrokenVocabularies) {
  expectBroken([](json &d) { vocab(d) = json::array(); }, "the vocabulary is an array, expected an object");
  expectBroken([](json &d) { vocab(d)["ab"] = 257; },
               "pieces 'ab' and 'abc' both have the id 257, expected one piece per id");
  expectBroken([](json &d) { vocab(d)["ab"] = -1; }, "piece 'ab' has the id -1, expected a whole number");
  expectBroken([](json &d) { vocab(d)["ab"] = 256.0; }, "piece 'ab' has the id 256.0, expected a whole number");
  expectBroken([](json &d) { vocab(d)["ab"] = "256"; }, "piece 'ab' has the id '256', expected a whole number");
  expectBroken([](json &d) { vocab(d)["ab"] = 16777216; },
               "piece 'ab' has the id 16777216, expected ids below 772 for 258 pieces");
  expectBroken([](json &d) { vocab(d)["a b"] = 258; },
               "piece 258 is spelled 'a b', expected characters of the byte-level alphabet");
  expectBroken([](json &d) { vocab(d)["\u4eca"] = 258; }, "piece 258 is spelled '今'");
  expectBroken([](json &d) { vocab(d)[std::string(1025, 'a')] = 258; },
               "piece 258 has 1025 bytes, expected at most 1024");
  expectBroken([](json &d) { vocab(d).erase("\u0120"); }, "no piece for the single byte 32, expected all 256 bytes");
}

TEST(TokenizerJsonTest, RefusesBrokenMerges) {
  expectBroken([](json &d) { d["model"].erase("merges"); }, "the merges are null, expected an array");
  auto setMerge = [](json merge) { return [merge](json &d) { d["model"]["merges"][1] = merge; }; };
  expectBroken(setMerge("xy c"), "merge 1 starts from 'xy', expected a piece of the vocabulary");
  expectBroken(setMerge("ab xy"), "merge 1 appends 'xy', expected a piece of the vocabulary");
  expectBroken(setMerge("c c"), "merge 1 gives 'cc', expected a piece of the vocabulary");
  expectBroken(setMerge(" c"), "merge 1 starts from '', expected a piece");
  expectBroken(setMerge("abc"), "merge 1 is 'abc', expected a pair of pieces");
  expectBroken(setMerge("a b c"), "merge 1 is 'a b c', expected a pair of pieces");
  expectBroken(setMerge({"a", "b", "c"}), "merge 1 is an array, expected a pair of pieces");
  expectBroken(setMerge({"a", 1}), "merge 1 is an array, expected a pair of pieces");
  expectBroken(setMerge(json(7)), "merge 1 is 7, expected a pair of pieces");
}

TEST(TokenizerJsonTest, RefusesBrokenAddedTokens) {
  expectBroken([](json &d) { d["added_tokens"] = "x"; }, "added_tokens is 'x', expected an array");
  expectBroken([](json &d) { addedToken(d) = 5; }, "an added token has the id null, expected a whole number");
  expectBroken([](json &d) { addedToken(d)["id"] = "300"; },
               "an added token has the id '300', expected a whole number");
  expectBroken([](json &d) { addedToken(d).erase("content"); }, "added token 300 has no content, expected a string");
  expectBroken([](json &d) { addedToken(d)["content"] = 1; }, "added token 300 has the content 1, expected a string");
  expectBroken([](json &d) { addedToken(d)["content"] = ""; }, "added token 300 has 0 bytes, expected 1 to 256");
  expectBroken([](json &d) { addedToken(d)["content"] = std::string(257, 'x'); },
               "added token 300 has 257 bytes, expected 1 to 256");
  expectBroken([](json &d) { addedToken(d)["id"] = 1u << 24; },
               "added token '<t>' has the id 16777216, expected ids below 16777216");
  expectBroken([](json &d) { addedToken(d)["id"] = 256; },
               "added token '<t>' has the id 256 of the piece 'ab', expected an id of its own");
  expectBroken([](json &d) { addedToken(d)["special"] = 1; },
               "added token '<t>' has special = 1, expected true or false");
  expectBroken([](json &d) { addedToken(d)["lstrip"] = "no"; },
               "added token '<t>' has lstrip = 'no', expected true or false");
  for (const char *flag : {"lstrip", "rstrip", "single_word", "normalized"})
    expectUnsupported([&](json &d) { addedToken(d)[flag] = true; },
                      std::string("added token '<t>' has ") + flag + " = true, expected");
  expectBroken([](json &d) { d["added_tokens"].push_back({{"id", 300}, {"content", "<u>"}}); },
               "both have the id 300, expected one token per id");
  expectBroken([](json &d) { d["added_tokens"].push_back({{"id", 301}, {"content", "<t>"}}); },
               "added token '<t>' stands twice");
}

TEST(TokenizerJsonTest, RefusesWhatIsNoJsonObject) {
  auto status = [](std::string_view text) { return readTokenizerJson(text).status(); };
  expectMessage(status(""), StatusCode::InvalidInput, "tokenizer.json is no valid JSON, expected a JSON object");
  expectMessage(status("{\"model\":"), StatusCode::InvalidInput, "is no valid JSON");
  expectMessage(status("{\"a\":\"\xff\"}"), StatusCode::InvalidInput, "is no valid JSON");
  expectMessage(status("[1]"), StatusCode::InvalidInput, "tokenizer.json holds an array, expected a JSON object");
  expectMessage(status(std::string(1000000, '[')), StatusCode::InvalidInput, "nests deeper than 64 levels");
  expectMessage(status(std::string(kMaxFileBytes + 1, ' ')), StatusCode::InvalidInput,
                "has 67108865 bytes, expected at most 67108864");
}

TEST(VocabAndMergesTest, GivesTheSameAsTokenizerJson) {
  TokenizerData data = valueOf(VocabAndMerges{}.read());
  TokenizerData expected = valueOf(readTokenizerJson(minimalTokenizerJson().dump()));
  EXPECT_EQ(data.merges, expected.merges);
  EXPECT_EQ(data.pieceBytes, expected.pieceBytes);
  ASSERT_EQ(data.added.size(), 1u);
  EXPECT_EQ(data.added[0].content, "<t>");
}

TEST(VocabAndMergesTest, LineForms) {
  const std::vector<uint32_t> merges = valueOf(VocabAndMerges{}.read()).merges;
  VocabAndMerges files;
  files.merges = "a b\r\n\r\nab c"; // no version line, CRLF, a blank line, no line feed at the end
  EXPECT_EQ(valueOf(files.read()).merges, merges);
}

TEST(VocabAndMergesTest, RefusesBrokenFiles) {
  auto withMerges = [](const std::string &text) {
    VocabAndMerges files;
    files.merges = text;
    return files.read().status();
  };
  expectMessage(withMerges("a b\nabc\n"), StatusCode::InvalidInput,
                "merges.txt: line 2 is 'abc', expected two pieces and one space");
  expectMessage(withMerges("a b\nab c d\n"), StatusCode::InvalidInput,
                "merges.txt: line 2 is 'ab c d', expected two pieces and one space");
  expectMessage(withMerges("a b\n#version c\n"), StatusCode::InvalidInput,
                "merges.txt: line 2: vocab.json: merge 1 starts from '#version'");
  expectMessage(withMerges(std::string(kMaxFileBytes + 1, '\n')), StatusCode::InvalidInput,
                "merges.txt has 67108865 bytes");
  EXPECT_EQ(readVocabAndMerges("{", "", "").status().code(), StatusCode::InvalidInput);
}

TEST(VocabAndMergesTest, RefusesOtherConfigs) {
  auto withConfig = [](const Edit &edit) {
    VocabAndMerges files;
    edit(files.config);
    return files.read().status();
  };
  expectMessage(withConfig([](json &c) { c["tokenizer_class"] = "GPT2Tokenizer"; }), StatusCode::Unsupported,
                "tokenizer_class is 'GPT2Tokenizer', expected 'Qwen2Tokenizer'");
  expectMessage(withConfig([](json &c) { c["add_prefix_space"] = true; }), StatusCode::Unsupported,
                "add_prefix_space is true, expected false");
  expectMessage(withConfig([](json &c) { c["split_special_tokens"] = true; }), StatusCode::Unsupported,
                "split_special_tokens is true");
  expectMessage(withConfig([](json &c) { c["add_bos_token"] = true, c["bos_token"] = "<t>"; }), StatusCode::Unsupported,
                "add_bos_token is true");
  EXPECT_TRUE(withConfig([](json &c) { c["add_bos_token"] = true, c["bos_token"] = nullptr; }).isOk());
  expectMessage(withConfig([](json &c) { c["added_tokens_decoder"] = 1; }), StatusCode::InvalidInput,
                "added_tokens_decoder is 1, expected an object from id to token");
  expectMessage(withConfig([](json &c) { c["added_tokens_decoder"]["30x"] = {{"content", "<u>"}}; }),
                StatusCode::InvalidInput,
                "tokenizer_config.json: added token has the id '30x', expected a whole number");
  expectMessage(withConfig([](json &c) { c["added_tokens_decoder"]["301"] = "x"; }), StatusCode::InvalidInput,
                "tokenizer_config.json: added token 301 is 'x', expected an object");
}

TEST(TokenizerConfigTest, CompletesTokenizerJson) {
  TokenizerData data = valueOf(readTokenizerJson(minimalTokenizerJson().dump()));
  const json config = {
      {"added_tokens_decoder",
       {{"300", {{"content", "<t>"}, {"special", false}}}, {"290", {{"content", "<u>"}, {"special", true}}}}}};
  ASSERT_TRUE(applyTokenizerConfig(config.dump(), data).isOk());
  ASSERT_EQ(data.added.size(), 2u);
  EXPECT_EQ(data.added[0].content, "<u>");
  EXPECT_EQ(data.added[1].content, "<t>");
  EXPECT_FALSE(data.added[1].special) << "the config's flag wins";

  const json contradicting = {{"added_tokens_decoder", {{"300", {{"content", "<v>"}}}}}};
  expectMessage(applyTokenizerConfig(contradicting.dump(), data), StatusCode::InvalidInput, "both have the id 300");
}

TEST(ReadTokenizerTest, RefusesMissingOrForeignFiles) {
  expectMessage(readTokenizer(kDataFolder, {"config.json"}).status(), StatusCode::NotFound,
                "tokenizer files 'config.json', expected tokenizer.json or vocab.json with merges.txt");
  expectMessage(readTokenizer(kDataFolder, {}).status(), StatusCode::NotFound, "tokenizer files none, expected");
  expectMessage(readTokenizer(kDataFolder, {"../tokenizer.json"}).status(), StatusCode::InvalidInput,
                "tokenizer file '../tokenizer.json' leaves the checkpoint's folder");
  expectMessage(readTokenizer(kDataFolder + "/nowhere", {"tokenizer.json"}).status(), StatusCode::NotFound,
                "no readable file");
}

TEST(ReadTokenizerTest, RefusesHugeFilesBeforeReadingThem) {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("qwenc-reader-test-" + std::to_string(::getpid()));
  std::filesystem::create_directory(folder);
  std::ofstream(folder / "tokenizer.json").put('{');
  std::filesystem::resize_file(folder / "tokenizer.json", uint64_t(1) << 40); // sparse
  expectMessage(readTokenizer(folder.string(), {"tokenizer.json"}).status(), StatusCode::InvalidInput,
                "has 1099511627776 bytes, expected at most 67108864");
  std::filesystem::remove_all(folder);
}

TEST(ReadTokenizerTest, ReportsFilesThatEndEarly) {
  const std::filesystem::path lyingFile = "/sys/devices/system/cpu/online"; // claims 4096 bytes
  if (!std::filesystem::exists(lyingFile))
    GTEST_SKIP() << "no file that claims more bytes than it has";
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("qwenc-short-file-test-" + std::to_string(::getpid()));
  std::filesystem::create_directory(folder);
  std::filesystem::create_symlink(lyingFile, folder / "tokenizer.json");
  expectMessage(readTokenizer(folder.string(), {"tokenizer.json"}).status(), StatusCode::Io, "expected 4096 bytes");
  std::filesystem::remove_all(folder);
}

TEST(TokenizerJsonTest, RealSizeVocabularyReadsInTime) {
  // 151,387 merges as the published vocabulary has them: every new piece joins an older one and a letter.
  json document = minimalTokenizerJson();
  json &merges = document["model"]["merges"] = json::array();
  std::vector<std::string> pieces = {"a", "b", "c", "d", "e", "f", "g", "h"};
  vocab(document).erase("ab");
  vocab(document).erase("abc");
  for (size_t left = 0; merges.size() < 151387; ++left)
    for (char letter = 'a'; letter <= 'h' && merges.size() < 151387; ++letter) {
      merges.push_back(pieces[left] + " " + letter);
      pieces.push_back(pieces[left] + letter);
      vocab(document)[pieces.back()] = 255 + merges.size();
    }
  addedToken(document)["id"] = 151643;
  const std::string text = document.dump();
  auto start = std::chrono::steady_clock::now();
  TokenizerData data = valueOf(readTokenizerJson(text));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  EXPECT_EQ(data.pieceOffsets.size(), 151644u);
  EXPECT_LT(seconds, 5.0);
  start = std::chrono::steady_clock::now();
  makeTokenizer(data);
  const double createSeconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  EXPECT_LT(createSeconds, 2.0);
  std::printf("          tokenizer of real size from arrays: %.0f ms\n", createSeconds * 1e3);
  std::printf("          tokenizer.json of real size, %zu bytes: %.0f ms\n", text.size(), seconds * 1e3);
}
