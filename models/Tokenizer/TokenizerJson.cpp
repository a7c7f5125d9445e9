// Reads tokenizer.json and refuses every setting that would tokenize differently from Qwen2's rules.

#include "models/Tokenizer/VocabularyBuilder.h"

using nlohmann::json;
using qwenrt::Result;
using qwenrt::Status;
using qwenrt::StatusCode;

namespace qwenc {
namespace {

constexpr const char *kSource = "tokenizer.json";

/// The one splitting pattern of the Qwen2 and Qwen3 family; the runtime implements it by hand.
constexpr const char *kPattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

Status unsupported(const std::string &what, const std::string &found, const std::string &expected) {
  return {StatusCode::Unsupported, std::string(kSource) + ": " + what + " is " + found + ", expected " + expected +
                                       ", use a checkpoint with Qwen2's own tokenizer"};
}

const json &memberOf(const json &object, const char *key) {
  static const json kNull;
  if (!object.is_object())
    return kNull;
  auto it = object.find(key);
  return it == object.end() ? kNull : *it;
}

bool isString(const json &value, std::string_view expected) {
  return value.is_string() && value.get_ref<const std::string &>() == expected;
}

bool isBool(const json &value, bool expected) { return value.is_boolean() && value.get<bool>() == expected; }

/// A component of the pipeline as it stands in a message: its type if it has one.
std::string componentName(const json &component) {
  const json &type = memberOf(component, "type");
  return type.is_null() ? describe(component) : describe(type);
}

/// A sequence of one is the same as its element.
const json &withoutSequence(const json &component, const char *listKey) {
  const json &list = memberOf(component, listKey);
  if (isString(memberOf(component, "type"), "Sequence") && list.is_array() && list.size() == 1)
    return list[0];
  return component;
}

Status checkNormalizer(const json &document) {
  const json &normalizer = withoutSequence(memberOf(document, "normalizer"), "normalizers");
  if (!isString(memberOf(normalizer, "type"), "NFC"))
    return unsupported("the normalizer", componentName(normalizer), "NFC");
  return Status::ok();
}

Status checkSplit(const json &split) {
  if (!isString(memberOf(split, "type"), "Split"))
    return unsupported("the first pre-tokenizer", componentName(split), "Split by Qwen2's pattern");
  const json &pattern = memberOf(memberOf(split, "pattern"), "Regex");
  if (!isString(pattern, kPattern))
    return unsupported("the splitting pattern", describe(pattern), "Qwen2's");
  if (!isString(memberOf(split, "behavior"), "Isolated"))
    return unsupported("the splitting behavior", describe(memberOf(split, "behavior")), "'Isolated'");
  if (!isBool(memberOf(split, "invert"), false))
    return unsupported("invert of the splitting pattern", describe(memberOf(split, "invert")), "false");
  return Status::ok();
}

Status checkByteLevel(const json &byteLevel) {
  if (!isString(memberOf(byteLevel, "type"), "ByteLevel"))
    return unsupported("the second pre-tokenizer", componentName(byteLevel), "ByteLevel");
  if (!isBool(memberOf(byteLevel, "add_prefix_space"), false))
    return unsupported("add_prefix_space", describe(memberOf(byteLevel, "add_prefix_space")), "false");
  if (!isBool(memberOf(byteLevel, "use_regex"), false))
    return unsupported("use_regex of ByteLevel", describe(memberOf(byteLevel, "use_regex")), "false");
  return Status::ok();
}

Status checkPreTokenizer(const json &document) {
  const json &preTokenizer = memberOf(document, "pre_tokenizer");
  const json &steps = memberOf(preTokenizer, "pretokenizers");
  if (!isString(memberOf(preTokenizer, "type"), "Sequence") || !steps.is_array() || steps.size() != 2)
    return unsupported("the pre-tokenizer", componentName(preTokenizer), "a Sequence of Split and ByteLevel");
  QWENRT_RETURN_IF_ERROR(checkSplit(steps[0]));
  return checkByteLevel(steps[1]);
}

/// Post-processors and decoders other than ByteLevel add tokens or change text; ByteLevel's own options only move
/// offsets.
Status checkByteLevelOrAbsent(const json &document, const char *key, const std::string &what) {
  const json &component = memberOf(document, key);
  if (component.is_null() || isString(memberOf(component, "type"), "ByteLevel"))
    return Status::ok();
  return unsupported(what, componentName(component), "ByteLevel or none");
}

Status checkModel(const json &model) {
  if (!model.is_object())
    return unsupported("the model", describe(model), "BPE");
  // Files from before 2021 have no type.
  if (const json &type = memberOf(model, "type"); !type.is_null() && !isString(type, "BPE"))
    return unsupported("the model", describe(type), "BPE");
  const json &dropout = memberOf(model, "dropout");
  if (!dropout.is_null() && !(dropout.is_number() && dropout.get<double>() == 0.0))
    return unsupported("dropout", describe(dropout), "none");
  for (const char *key : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (const json &affix = memberOf(model, key); !affix.is_null() && !isString(affix, ""))
      return unsupported(key, describe(affix), "none");
  for (const char *key : {"byte_fallback", "ignore_merges"})
    if (const json &flag = memberOf(model, key); !flag.is_null() && !isBool(flag, false))
      return unsupported(key, describe(flag), "false");
  return Status::ok();
}

Status brokenMerge(size_t rank, const std::string &found) {
  return {StatusCode::InvalidInput,
          std::string(kSource) + ": merge " + std::to_string(rank) + " is " + found +
              ", expected a pair of pieces or \"left right\", take the tokenizer files published "
              "with the checkpoint"};
}

Status readMerges(const json &merges, VocabularyBuilder &builder) {
  if (!merges.is_array())
    return {StatusCode::InvalidInput,
            std::string(kSource) + ": the merges are " + describe(merges) +
                ", expected an array, take the tokenizer files published with the checkpoint"};
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const json &merge = merges[rank];
    if (merge.is_string()) {
      const std::string &text = merge.get_ref<const std::string &>();
      size_t space = text.find(' ');
      if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos)
        return brokenMerge(rank, inQuotes(text));
      QWENRT_RETURN_IF_ERROR(builder.addMerge(text.substr(0, space), text.substr(space + 1)));
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      QWENRT_RETURN_IF_ERROR(
          builder.addMerge(merge[0].get_ref<const std::string &>(), merge[1].get_ref<const std::string &>()));
    } else {
      return brokenMerge(rank, describe(merge));
    }
  }
  return Status::ok();
}

Status readAddedTokens(const json &tokens, VocabularyBuilder &builder) {
  if (tokens.is_null())
    return Status::ok();
  auto broken = [](const std::string &found) {
    return Status(StatusCode::InvalidInput,
                  std::string(kSource) + ": " + found + ", take the tokenizer files published with the checkpoint");
  };
  if (!tokens.is_array())
    return broken("added_tokens is " + describe(tokens) + ", expected an array");
  for (const json &token : tokens) {
    const json &id = memberOf(token, "id");
    if (!id.is_number_unsigned())
      return broken("an added token has the id " + describe(id) + ", expected a whole number");
    QWENRT_RETURN_IF_ERROR(builder.addAddedToken(id.get<uint64_t>(), token).withContext(kSource));
  }
  return Status::ok();
}

} // namespace

Result<TokenizerData> readTokenizerJson(std::string_view tokenizerJson) {
  QWENRT_ASSIGN_OR_RETURN(const json document, parseObject(tokenizerJson, kSource));
  QWENRT_RETURN_IF_ERROR(checkNormalizer(document));
  QWENRT_RETURN_IF_ERROR(checkPreTokenizer(document));
  QWENRT_RETURN_IF_ERROR(checkByteLevelOrAbsent(document, "post_processor", "the post-processor"));
  QWENRT_RETURN_IF_ERROR(checkByteLevelOrAbsent(document, "decoder", "the decoder"));
  const json &model = memberOf(document, "model");
  QWENRT_RETURN_IF_ERROR(checkModel(model));

  VocabularyBuilder builder(kSource);
  QWENRT_RETURN_IF_ERROR(builder.setVocabulary(memberOf(model, "vocab")));
  QWENRT_RETURN_IF_ERROR(readMerges(memberOf(model, "merges"), builder));
  QWENRT_RETURN_IF_ERROR(readAddedTokens(memberOf(document, "added_tokens"), builder));
  return builder.finish();
}

} // namespace qwenc
