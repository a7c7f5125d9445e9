//===- TokenizerData.h - A Qwen checkpoint's tokenizer as plain arrays ------------------------------------------===//
//
// Qwen models tokenize by byte-level BPE behind one fixed pre-split pattern, so that a tokenizer is fully described by
// its vocabulary, its merges and its added tokens. The readers accept the two equivalent forms in which checkpoints
// publish them and refuse every setting that would make text come out differently (another normalizer, another pattern,
// dropout, tokens that swallow blanks ...).
//
// The result mirrors table Tokenizer of runtime/schema/plan.fbs field by field.
//
// Errors: InvalidInput for broken or contradictory files, Unsupported for tokenizers of another kind, NotFound and Io
// for files. No input throws; time is O(n log n) in the size of the files.
//
// Sources: Hugging Face tokenizers' tokenizer.json; GPT-2's vocab.json and merges.txt.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "qwenrt/Status.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qwenc {

/// A token that is cut out of the raw text before anything else, for example <|im_start|>.
struct AddedToken {
  uint32_t id = 0;
  std::string content;  ///< UTF-8, 1 .. kMaxTokenBytes bytes
  bool special = false; ///< left out when decoding without special tokens

  bool operator==(const AddedToken &) const = default;
};

struct TokenizerData {
  std::vector<uint8_t> pieceBytes;    ///< raw bytes of the pieces 0 .. n-1, concatenated; ids without a piece are empty
  std::vector<uint32_t> pieceOffsets; ///< n + 1 offsets into pieceBytes
  std::vector<uint32_t> merges;       ///< triples left id, right id, merged id; the index of the triple is its rank
  std::vector<uint32_t> byteIds;      ///< 256: the id of each single byte
  std::vector<AddedToken> added;      ///< by increasing id; ids may lie beyond the pieces
};

/// Ids are below this bound (the largest published vocabulary has 152,064 rows).
inline constexpr uint32_t kMaxTokenId = 1u << 24;
/// Bounds the work per input byte; the longest piece of the published vocabulary has 128 bytes.
inline constexpr size_t kMaxPieceBytes = 1024;
/// Longest added token.
inline constexpr size_t kMaxTokenBytes = 256;
/// Larger tokenizer files are refused before they are read (the published ones have 11 MB); parsed, a file takes up to
/// 16 times its size.
inline constexpr uint64_t kMaxFileBytes = 64u << 20;

/// Reads the text of a tokenizer.json. Merges may be pairs ["a","b"] or strings "a b".
qwenrt::Result<TokenizerData> readTokenizerJson(std::string_view tokenizerJson);

/// Reads the texts of vocab.json and merges.txt, and the added tokens from that of tokenizer_config.json (may be empty:
/// none).
qwenrt::Result<TokenizerData> readVocabAndMerges(std::string_view vocabJson, std::string_view mergesTxt,
                                                 std::string_view tokenizerConfigJson);

/// Adds what tokenizer_config.json says about added tokens to \p data: tokens that tokenizer.json lacks are appended,
/// the special flag of the config wins (as in Hugging Face's loader). Refuses contradicting ids.
qwenrt::Status applyTokenizerConfig(std::string_view tokenizerConfigJson, TokenizerData &data);

/// Reads the tokenizer from \p files, plain names relative to \p checkpointFolder: tokenizer.json if named, otherwise
/// vocab.json and merges.txt; tokenizer_config.json, if named, completes either.
qwenrt::Result<TokenizerData> readTokenizer(const std::string &checkpointFolder, const std::vector<std::string> &files);

} // namespace qwenc
