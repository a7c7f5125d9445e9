//===- Tokenizer.h - Text to token ids and back -----------------------------------------------------------------===//
//
// The byte-level BPE of the Qwen2 and Qwen3 models. Encoding: cut out the added tokens written in the text (leftmost,
// then longest, case-sensitive, also inside words); normalize each stretch between them to NFC by itself; split it into
// pieces (PieceSplitter.h); merge the bytes of each piece (BytePairEncoder.h). Nothing is prepended or appended.
// Decoding: concatenate the bytes of the pieces and the text of the added tokens, replace every maximal ill-formed part
// by U+FFFD.
//
// Cost: O(n log n) time for n bytes of any text, a few dozen bytes of memory per byte. A Tokenizer is immutable after
// creation; its functions may be called from several threads.
//
// Source: Hugging Face tokenizers, models Qwen2Tokenizer and Qwen2TokenizerFast.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "qwenrt/Status.h"
#include "runtime/frontend/BytePairEncoder.h"

#include <bitset>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qwenrt {

namespace fb {
struct Tokenizer;
}

/// Where the tables of a tokenizer lie; field by field table Tokenizer of plan.fbs. Nothing is believed before create()
/// has checked it.
struct TokenizerView {
  struct AddedToken {
    uint32_t id;
    std::string_view content;
    bool special;
  };
  std::span<const uint8_t> pieceBytes;
  std::span<const uint32_t> pieceOffsets;
  std::span<const uint32_t> merges;
  std::span<const uint32_t> byteIds;
  std::vector<AddedToken> added;
};

struct EncodeOptions {
  /// Off: text that looks like an added token is encoded as plain text.
  bool recogniseSpecial = true;
};

class Tokenizer {
public:
  /// Text longer than this is refused; it is hundreds of times the longest context, and encoding takes up to 150 bytes
  /// of memory per byte.
  static constexpr size_t kMaxTextBytes = size_t(1) << 26;

  /// Copies what \p view refers to. InvalidInput if tables contradict each other.
  static Result<Tokenizer> create(const TokenizerView &view);

  /// The tokenizer of a plan whose flatbuffer has been verified.
  static Result<Tokenizer> fromPlan(const fb::Tokenizer &table);

  /// The ids of \p text. InvalidInput if it is not UTF-8 (the message names the byte offset) or too long.
  Result<std::vector<int32_t>> encode(std::string_view text, EncodeOptions options = {}) const;

  /// The text of \p ids; \p skipSpecial leaves out added tokens marked special. Ids without a token add nothing.
  std::string decode(std::span<const int32_t> ids, bool skipSpecial = false) const;

  /// The raw bytes of one id, which need not be whole characters. Empty for ids without a token.
  std::string_view bytesOf(int32_t id, bool skipSpecial = false) const;

  /// The id of the added token written \p content, none if there is no such token.
  std::optional<int32_t> addedTokenId(std::string_view content) const;

  /// True if \p id is an added token marked special.
  bool isSpecial(int32_t id) const;

  /// True if \p id has a piece or an added token.
  bool hasToken(int32_t id) const { return !bytesOf(id).empty(); }

  /// One more than the largest id; below the rows of the embedding table where that is padded.
  uint32_t idBound() const;

private:
  struct AddedToken {
    uint32_t id;
    std::string content;
    bool special;
  };
  struct AddedMatch {
    size_t begin;
    const AddedToken *token; ///< null if there is no more
  };

  Tokenizer() = default;
  Status addTokens(const TokenizerView &view);
  uint32_t pieceCount() const { return static_cast<uint32_t>(pieceOffsets_.size() - 1); }
  const AddedToken *addedTokenById(uint32_t id) const;
  AddedMatch findAddedToken(std::string_view text, size_t offset) const;
  const AddedToken *longestAddedTokenAt(std::string_view text) const;
  void encodeStretch(std::string_view text, std::vector<int32_t> &ids, BytePairEncoder::Scratch &scratch) const;

  std::string pieceBytes_;
  std::vector<uint32_t> pieceOffsets_;
  BytePairEncoder encoder_;
  std::vector<AddedToken> added_;   // by content
  std::vector<uint32_t> addedById_; // indices into added_, by id
  std::bitset<256> addedFirstBytes_;
};

/// Turns ids into text as they come. What push() and finish() return, concatenated, is decode() of all the ids.
class StreamDecoder {
public:
  /// \p tokenizer must outlive the decoder.
  explicit StreamDecoder(const Tokenizer &tokenizer, bool skipSpecial = false)
      : tokenizer_(&tokenizer), skipSpecial_(skipSpecial) {}

  /// The text that is certain after \p id: whole characters. A character whose bytes are not complete yet is held back.
  std::string push(int32_t id);

  /// The rest: U+FFFD if a character stayed incomplete. The decoder is then as new.
  std::string finish();

private:
  const Tokenizer *tokenizer_;
  bool skipSpecial_;
  std::string pending_; // at most 3 bytes between calls
};

} // namespace qwenrt
