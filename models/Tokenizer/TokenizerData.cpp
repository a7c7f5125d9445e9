#include "models/Tokenizer/TokenizerData.h"

#include "models/Tokenizer/ByteTable.h"
#include "models/Tokenizer/VocabularyBuilder.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <system_error>

using nlohmann::json;
using qwenrt::Result;
using qwenrt::Status;
using qwenrt::StatusCode;

namespace qwenc {
namespace {

constexpr const char *kTakePublished = "take the tokenizer files published with the checkpoint";
constexpr int kMaxJsonDepth = 64;

Status broken(const std::string &message) { return {StatusCode::InvalidInput, message + ", " + kTakePublished}; }

Status unsupported(const std::string &message) {
  return {StatusCode::Unsupported, message + ", use a checkpoint with Qwen2's own tokenizer"};
}

/// True if \p text nests deeper than kMaxJsonDepth. nlohmann's parser does not recurse, but every level costs memory
/// and later visits.
bool nestsTooDeep(std::string_view text) {
  int depth = 0;
  bool inString = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (inString) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        inString = false;
    } else if (c == '"') {
      inString = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxJsonDepth)
        return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

Result<std::string> readFile(const std::string &folder, const std::string &name) {
  std::filesystem::path path = std::filesystem::path(folder) / name;
  std::error_code error;
  uint64_t sizeBytes = std::filesystem::file_size(path, error);
  if (error)
    return Status(StatusCode::NotFound, "no readable file " + inQuotes(path.string()) +
                                            ", expected a tokenizer file of the checkpoint, download it completely");
  if (sizeBytes > kMaxFileBytes)
    return broken(inQuotes(path.string()) + " has " + std::to_string(sizeBytes) + " bytes, expected at most " +
                  std::to_string(kMaxFileBytes));
  std::string text(sizeBytes, '\0');
  std::ifstream stream(path, std::ios::binary);
  if (!stream.read(text.data(), static_cast<std::streamsize>(sizeBytes)))
    return Status(StatusCode::Io, "cannot read " + inQuotes(path.string()) + ", expected " + std::to_string(sizeBytes) +
                                      " bytes, check its permissions");
  return text;
}

bool names(const std::vector<std::string> &files, std::string_view name) {
  return std::find(files.begin(), files.end(), name) != files.end();
}

std::string_view pieceOf(const TokenizerData &data, uint32_t id) {
  if (size_t(id) + 1 >= data.pieceOffsets.size())
    return {};
  return {reinterpret_cast<const char *>(data.pieceBytes.data()) + data.pieceOffsets[id],
          data.pieceOffsets[id + 1] - data.pieceOffsets[id]};
}

/// A boolean flag of an added token that must be off.
Status checkFlagOff(const json &token, const char *flag, const std::string &content) {
  auto it = token.find(flag);
  if (it == token.end())
    return Status::ok();
  if (!it->is_boolean())
    return broken("added token " + inQuotes(content) + " has " + flag + " = " + describe(*it) +
                  ", expected true or false");
  if (it->get<bool>())
    return unsupported("added token " + inQuotes(content) + " has " + flag +
                       " = true, expected a token matched exactly");
  return Status::ok();
}

} // namespace

// Messages ------------------------------------------------------------------------------------------------------------

std::string describe(const json &value) {
  // Containers are never printed: they may be huge.
  if (value.is_string())
    return inQuotes(value.get_ref<const std::string &>());
  if (value.is_array())
    return "an array";
  if (value.is_object())
    return "an object";
  return value.dump();
}

Result<json> parseObject(std::string_view text, const std::string &source) {
  if (text.size() > kMaxFileBytes)
    return broken(source + " has " + std::to_string(text.size()) + " bytes, expected at most " +
                  std::to_string(kMaxFileBytes));
  if (nestsTooDeep(text))
    return broken(source + " nests deeper than " + std::to_string(kMaxJsonDepth) +
                  " levels, expected a tokenizer file");
  json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object())
    return broken(source + (document.is_discarded() ? " is no valid JSON" : " holds " + describe(document)) +
                  ", expected a JSON object");
  return document;
}

// Vocabulary ----------------------------------------------------------------------------------------------------------

Status VocabularyBuilder::setVocabulary(const json &vocab) {
  if (!vocab.is_object())
    return broken(source_ + ": the vocabulary is " + describe(vocab) + ", expected an object from piece to id");
  // A vocabulary may have holes where added tokens sit, but its size must not come from a single huge id.
  const uint64_t idBound = std::min<uint64_t>(kMaxTokenId, 2 * uint64_t(vocab.size()) + 256);
  std::vector<const std::string *> spellings;
  for (auto it = vocab.begin(); it != vocab.end(); ++it) {
    const std::string &spelling = it.key();
    const json &id = it.value();
    if (!id.is_number_unsigned())
      return broken(source_ + ": piece " + inQuotes(spelling) + " has the id " + describe(id) +
                    ", expected a whole number");
    uint64_t value = id.get<uint64_t>();
    if (value >= idBound)
      return broken(source_ + ": piece " + inQuotes(spelling) + " has the id " + std::to_string(value) +
                    ", expected ids below " + std::to_string(idBound) + " for " + std::to_string(vocab.size()) +
                    " pieces");
    if (value >= spellings.size())
      spellings.resize(value + 1, nullptr);
    if (spellings[value])
      return broken(source_ + ": pieces " + inQuotes(*spellings[value]) + " and " + inQuotes(spelling) +
                    " both have the id " + std::to_string(value) + ", expected one piece per id");
    spellings[value] = &spelling;
  }
  vocab_ = &vocab;

  data_.pieceOffsets.reserve(spellings.size() + 1);
  data_.pieceOffsets.push_back(0);
  for (uint32_t id = 0; id < spellings.size(); ++id) {
    if (spellings[id]) {
      std::optional<std::string> bytes = bytesOfSpelling(*spellings[id]);
      if (!bytes)
        return broken(source_ + ": piece " + std::to_string(id) + " is spelled " + inQuotes(*spellings[id]) +
                      ", expected characters of the byte-level alphabet only");
      if (bytes->size() > kMaxPieceBytes)
        return broken(source_ + ": piece " + std::to_string(id) + " has " + std::to_string(bytes->size()) +
                      " bytes, expected at most " + std::to_string(kMaxPieceBytes));
      data_.pieceBytes.insert(data_.pieceBytes.end(), bytes->begin(), bytes->end());
    }
    data_.pieceOffsets.push_back(static_cast<uint32_t>(data_.pieceBytes.size()));
  }

  for (uint32_t byte = 0; byte < 256; ++byte) {
    auto it = vocab.find(spellByte(static_cast<uint8_t>(byte)));
    if (it == vocab.end())
      return broken(source_ + ": no piece for the single byte " + std::to_string(byte) +
                    ", expected all 256 bytes in the vocabulary");
    data_.byteIds.push_back(it->get<uint32_t>());
  }
  return Status::ok();
}

Result<uint32_t> VocabularyBuilder::idOfSpelling(const std::string &spelling, const char *what) const {
  auto it = vocab_->find(spelling);
  if (it == vocab_->end() || spelling.empty())
    return broken(source_ + ": merge " + std::to_string(data_.merges.size() / 3) + what + inQuotes(spelling) +
                  ", expected a piece of the vocabulary");
  return it->get<uint32_t>();
}

Status VocabularyBuilder::addMerge(const std::string &left, const std::string &right) {
  QWENRT_ASSIGN_OR_RETURN(uint32_t leftId, idOfSpelling(left, " starts from "));
  QWENRT_ASSIGN_OR_RETURN(uint32_t rightId, idOfSpelling(right, " appends "));
  QWENRT_ASSIGN_OR_RETURN(uint32_t mergedId, idOfSpelling(left + right, " gives "));
  data_.merges.insert(data_.merges.end(), {leftId, rightId, mergedId});
  return Status::ok();
}

Status VocabularyBuilder::addAddedToken(uint64_t id, const json &token) {
  QWENRT_ASSIGN_OR_RETURN(AddedToken added, parseAddedToken(id, token));
  data_.added.push_back(std::move(added));
  return Status::ok();
}

Result<TokenizerData> VocabularyBuilder::finish() {
  if (Status status = sortAndCheckAddedTokens(data_); !status)
    return std::move(status).withContext(source_);
  return std::move(data_);
}

// Added tokens --------------------------------------------------------------------------------------------------------

Result<AddedToken> parseAddedToken(uint64_t id, const json &token) {
  if (!token.is_object())
    return broken("added token " + std::to_string(id) + " is " + describe(token) + ", expected an object");
  auto content = token.find("content");
  if (content == token.end() || !content->is_string())
    return broken("added token " + std::to_string(id) + " has " +
                  (content == token.end() ? "no content" : "the content " + describe(*content)) +
                  ", expected a string");
  AddedToken added;
  added.content = content->get_ref<const std::string &>();
  if (id >= kMaxTokenId)
    return broken("added token " + inQuotes(added.content) + " has the id " + std::to_string(id) +
                  ", expected ids below " + std::to_string(kMaxTokenId));
  added.id = static_cast<uint32_t>(id);
  if (added.content.empty() || added.content.size() > kMaxTokenBytes)
    return broken("added token " + std::to_string(id) + " has " + std::to_string(added.content.size()) +
                  " bytes, expected 1 to " + std::to_string(kMaxTokenBytes));
  // `normalized` tokens are matched after NFC, the others on the raw text, as the runtime does.
  for (const char *flag : {"lstrip", "rstrip", "single_word", "normalized"})
    QWENRT_RETURN_IF_ERROR(checkFlagOff(token, flag, added.content));
  if (auto special = token.find("special"); special != token.end()) {
    if (!special->is_boolean())
      return broken("added token " + inQuotes(added.content) + " has special = " + describe(*special) +
                    ", expected true or false");
    added.special = special->get<bool>();
  }
  return added;
}

Status sortAndCheckAddedTokens(TokenizerData &data) {
  std::sort(data.added.begin(), data.added.end(), [](const auto &a, const auto &b) { return a.id < b.id; });
  std::vector<std::string_view> contents;
  for (size_t i = 0; i < data.added.size(); ++i) {
    const AddedToken &token = data.added[i];
    if (i > 0 && data.added[i - 1].id == token.id)
      return broken("added tokens " + inQuotes(data.added[i - 1].content) + " and " + inQuotes(token.content) +
                    " both have the id " + std::to_string(token.id) + ", expected one token per id");
    std::string_view piece = pieceOf(data, token.id);
    if (!piece.empty() && piece != token.content)
      return broken("added token " + inQuotes(token.content) + " has the id " + std::to_string(token.id) +
                    " of the piece " + inQuotes(piece) + ", expected an id of its own");
    contents.push_back(token.content);
  }
  std::sort(contents.begin(), contents.end());
  if (auto it = std::adjacent_find(contents.begin(), contents.end()); it != contents.end())
    return broken("added token " + inQuotes(*it) + " stands twice, expected one id per token");
  return Status::ok();
}

// Files ---------------------------------------------------------------------------------------------------------------

Result<TokenizerData> readTokenizer(const std::string &checkpointFolder, const std::vector<std::string> &files) {
  for (const std::string &name : files)
    if (name.find_first_of("/\\") != std::string::npos || name == "..")
      return broken("tokenizer file " + inQuotes(name) + " leaves the checkpoint's folder, expected a plain file name");

  std::string config;
  if (names(files, "tokenizer_config.json")) {
    QWENRT_ASSIGN_OR_RETURN(config, readFile(checkpointFolder, "tokenizer_config.json"));
  }
  if (names(files, "tokenizer.json")) {
    QWENRT_ASSIGN_OR_RETURN(std::string text, readFile(checkpointFolder, "tokenizer.json"));
    Result<TokenizerData> data = readTokenizerJson(text);
    if (data && !config.empty())
      QWENRT_RETURN_IF_ERROR(applyTokenizerConfig(config, *data));
    return data;
  }
  if (names(files, "vocab.json") && names(files, "merges.txt")) {
    QWENRT_ASSIGN_OR_RETURN(std::string vocab, readFile(checkpointFolder, "vocab.json"));
    QWENRT_ASSIGN_OR_RETURN(std::string merges, readFile(checkpointFolder, "merges.txt"));
    return readVocabAndMerges(vocab, merges, config);
  }
  std::string found;
  for (const std::string &name : files)
    found += (found.empty() ? "" : " ") + inQuotes(name);
  return Status(StatusCode::NotFound,
                "tokenizer files " + (found.empty() ? "none" : found) +
                    ", expected tokenizer.json or vocab.json with merges.txt, name them in the graph");
}

} // namespace qwenc
