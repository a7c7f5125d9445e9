// What the tokenizer's tests share: golden files and the way from TokenizerData to a Tokenizer.
#pragma once

#include "models/Tokenizer/ByteTable.h"
#include "models/Tokenizer/TokenizerData.h"
#include "runtime/frontend/Tokenizer.h"

#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

namespace qwenc::test {

inline const std::string kDataFolder = QWENC_SOURCE_DIR "/test/Tokenizer/data";
inline const std::string kTinyModelFolder = QWENC_SOURCE_DIR "/models/tiny-qwen3-chat";

inline std::string readText(const std::string &path) {
  std::ifstream stream(path, std::ios::binary);
  EXPECT_TRUE(stream.good()) << "missing " << path;
  return {std::istreambuf_iterator<char>(stream), {}};
}

inline nlohmann::json readJson(const std::string &path) {
  return nlohmann::json::parse(readText(path), nullptr, false);
}

inline qwenrt::TokenizerView viewOf(const TokenizerData &data) {
  qwenrt::TokenizerView view{data.pieceBytes, data.pieceOffsets, data.merges, data.byteIds, {}};
  for (const AddedToken &token : data.added)
    view.added.push_back({token.id, token.content, token.special});
  return view;
}

/// The value of \p result, which must be one.
template <typename T> T valueOf(qwenrt::Result<T> result) {
  if (!result) {
    ADD_FAILURE() << result.status().message();
    std::abort();
  }
  return std::move(result).value();
}

inline qwenrt::Tokenizer makeTokenizer(const TokenizerData &data) {
  return valueOf(qwenrt::Tokenizer::create(viewOf(data)));
}

/// The tokenizer of the golden strings: 1400 pieces, 33 added tokens.
inline const qwenrt::Tokenizer &goldenTokenizer() {
  static const qwenrt::Tokenizer tokenizer =
      makeTokenizer(valueOf(readTokenizerJson(readText(kDataFolder + "/tokenizer.json"))));
  return tokenizer;
}

/// The smallest tokenizer.json that is complete: the 256 bytes in byte order, pieces "ab" (256) and "abc" (257), added
/// token "<t>" (300).
inline nlohmann::json minimalTokenizerJson() {
  nlohmann::json document = nlohmann::json::parse(R"json({
    "version": "1.0", "truncation": null, "padding": null,
    "added_tokens": [{"id": 300, "content": "<t>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
                      "special": true}],
    "normalizer": {"type": "NFC"},
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
      {"type": "Split", "behavior": "Isolated", "invert": false, "pattern": {"Regex": ""}},
      {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false}]},
    "post_processor": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false},
    "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false},
    "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "", "end_of_word_suffix": "",
              "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": {}, "merges": ["a b", "ab c"]}
  })json");
  document["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  nlohmann::json &vocab = document["model"]["vocab"];
  for (int byte = 0; byte < 256; ++byte)
    vocab[spellByte(static_cast<uint8_t>(byte))] = byte;
  vocab["ab"] = 256;
  vocab["abc"] = 257;
  return document;
}

} // namespace qwenc::test
