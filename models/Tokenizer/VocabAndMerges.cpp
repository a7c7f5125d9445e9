// Reads the older form of a tokenizer: vocab.json, merges.txt and the added tokens of tokenizer_config.json.

#include "models/Tokenizer/VocabularyBuilder.h"

#include <charconv>

using nlohmann::json;
using qwenrt::Result;
using qwenrt::Status;
using qwenrt::StatusCode;

namespace qwenc {
namespace {

constexpr const char *kConfigSource = "tokenizer_config.json";
constexpr const char *kTakePublished = ", take the tokenizer files published with the checkpoint";

/// Settings of tokenizer_config.json that would change the ids.
Status checkConfig(const json &config) {
  auto isTrue = [&](const char *key) {
    auto it = config.find(key);
    return it != config.end() && it->is_boolean() && it->get<bool>();
  };
  auto refuse = [](const std::string &setting) {
    return Status(StatusCode::Unsupported, std::string(kConfigSource) + ": " + setting +
                                               " is true, expected false, use a "
                                               "checkpoint with Qwen2's own tokenizer");
  };
  for (const char *key : {"add_prefix_space", "split_special_tokens"})
    if (isTrue(key))
      return refuse(key);
  auto bos = config.find("bos_token");
  if (isTrue("add_bos_token") && bos != config.end() && !bos->is_null())
    return refuse("add_bos_token");
  return Status::ok();
}

/// Without tokenizer.json only the class says which splitting pattern is meant.
Status checkTokenizerClass(const json &config) {
  auto it = config.find("tokenizer_class");
  if (it == config.end() || it->is_null() || *it == "Qwen2Tokenizer" || *it == "Qwen2TokenizerFast")
    return Status::ok();
  return {StatusCode::Unsupported, std::string(kConfigSource) + ": tokenizer_class is " + describe(*it) +
                                       ", expected 'Qwen2Tokenizer', use a checkpoint with Qwen2's own tokenizer"};
}

Result<std::vector<AddedToken>> readAddedTokensDecoder(const json &config) {
  std::vector<AddedToken> tokens;
  auto decoder = config.find("added_tokens_decoder");
  if (decoder == config.end())
    return tokens;
  if (!decoder->is_object())
    return Status(StatusCode::InvalidInput, "added_tokens_decoder is " + describe(*decoder) +
                                                ", expected an object from id to token" + kTakePublished);
  for (const auto &[key, token] : decoder->items()) {
    uint64_t id = 0;
    auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size())
      return Status(StatusCode::InvalidInput,
                    "added token has the id " + inQuotes(key) + ", expected a whole number" + kTakePublished);
    QWENRT_ASSIGN_OR_RETURN(AddedToken added, parseAddedToken(id, token));
    tokens.push_back(std::move(added));
  }
  return tokens;
}

Status mergeAddedTokens(std::vector<AddedToken> tokens, TokenizerData &data) {
  const size_t knownCount = data.added.size(); // sorted by id
  for (AddedToken &token : tokens) {
    auto knownEnd = data.added.begin() + static_cast<ptrdiff_t>(knownCount);
    auto known = std::lower_bound(data.added.begin(), knownEnd, token.id,
                                  [](const AddedToken &a, uint32_t id) { return a.id < id; });
    if (known != knownEnd && known->id == token.id && known->content == token.content)
      known->special = token.special;
    else
      data.added.push_back(std::move(token));
  }
  return sortAndCheckAddedTokens(data);
}

Status readMergesTxt(std::string_view text, VocabularyBuilder &builder) {
  for (size_t line = 1; !text.empty(); ++line) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view merge = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (merge.ends_with('\r'))
      merge.remove_suffix(1);
    if (merge.empty() || (line == 1 && merge.starts_with("#version")))
      continue;
    size_t space = merge.find(' ');
    if (space == std::string_view::npos || merge.find(' ', space + 1) != std::string_view::npos)
      return {StatusCode::InvalidInput, "merges.txt: line " + std::to_string(line) + " is " + inQuotes(merge) +
                                            ", expected two pieces and one space" + kTakePublished};
    QWENRT_RETURN_IF_ERROR(builder.addMerge(std::string(merge.substr(0, space)), std::string(merge.substr(space + 1)))
                               .withContext("merges.txt: line " + std::to_string(line)));
  }
  return Status::ok();
}

} // namespace

Status applyTokenizerConfig(std::string_view tokenizerConfigJson, TokenizerData &data) {
  QWENRT_ASSIGN_OR_RETURN(const json config, parseObject(tokenizerConfigJson, kConfigSource));
  QWENRT_RETURN_IF_ERROR(checkConfig(config));
  Result<std::vector<AddedToken>> tokens = readAddedTokensDecoder(config);
  if (!tokens)
    return tokens.status().withContext(kConfigSource);
  return mergeAddedTokens(std::move(tokens).value(), data).withContext(kConfigSource);
}

Result<TokenizerData> readVocabAndMerges(std::string_view vocabJson, std::string_view mergesTxt,
                                         std::string_view tokenizerConfigJson) {
  if (mergesTxt.size() > kMaxFileBytes)
    return Status(StatusCode::InvalidInput, "merges.txt has " + std::to_string(mergesTxt.size()) +
                                                " bytes, expected at most " + std::to_string(kMaxFileBytes) +
                                                kTakePublished);
  QWENRT_ASSIGN_OR_RETURN(const json vocab, parseObject(vocabJson, "vocab.json"));
  VocabularyBuilder builder("vocab.json");
  QWENRT_RETURN_IF_ERROR(builder.setVocabulary(vocab));
  QWENRT_RETURN_IF_ERROR(readMergesTxt(mergesTxt, builder));
  QWENRT_ASSIGN_OR_RETURN(TokenizerData data, builder.finish());
  if (!tokenizerConfigJson.empty()) {
    QWENRT_ASSIGN_OR_RETURN(const json config, parseObject(tokenizerConfigJson, kConfigSource));
    QWENRT_RETURN_IF_ERROR(checkTokenizerClass(config));
    QWENRT_RETURN_IF_ERROR(applyTokenizerConfig(tokenizerConfigJson, data));
  }
  return data;
}

} // namespace qwenc
