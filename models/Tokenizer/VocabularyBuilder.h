//===- VocabularyBuilder.h - Checks shared by the tokenizer readers ---------------------------------------------===//
//
// Private to models/Tokenizer. The readers differ in where names and ids stand; what makes a vocabulary sound is the
// same.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "models/Checkpoint/Json.h"
#include "models/Tokenizer/TokenizerData.h"

#include <nlohmann/json.hpp>

namespace qwenc {

class VocabularyBuilder {
public:
  /// \p source names the file in messages.
  explicit VocabularyBuilder(std::string source) : source_(std::move(source)) {}

  /// Fills pieces and byte ids from a JSON object spelling -> id. Must come first. \p vocab has to outlive the builder.
  qwenrt::Status setVocabulary(const nlohmann::json &vocab);

  /// Appends the merge of two spellings; its rank is the number of merges before it.
  qwenrt::Status addMerge(const std::string &left, const std::string &right);

  /// Appends an added token from a JSON object with content, special and the flags of Hugging Face's AddedToken.
  qwenrt::Status addAddedToken(uint64_t id, const nlohmann::json &token);

  qwenrt::Result<TokenizerData> finish();

private:
  qwenrt::Result<uint32_t> idOfSpelling(const std::string &spelling, const char *what) const;

  std::string source_;
  const nlohmann::json *vocab_ = nullptr;
  TokenizerData data_;
};

/// Parses \p text as a JSON object; \p source names the file in the message.
qwenrt::Result<nlohmann::json> parseObject(std::string_view text, const std::string &source);

/// The added token that \p token describes; refuses flags that change how text is matched.
qwenrt::Result<AddedToken> parseAddedToken(uint64_t id, const nlohmann::json &token);

/// Sorts by id and refuses an id or a content that stands twice, or an id that a different piece has.
qwenrt::Status sortAndCheckAddedTokens(TokenizerData &data);

/// \p value as it stands in a message: compact JSON, shortened, one line.
std::string describe(const nlohmann::json &value);

} // namespace qwenc
