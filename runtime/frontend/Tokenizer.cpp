#include "runtime/frontend/Tokenizer.h"

#include "runtime/frontend/Normalization.h"
#include "runtime/frontend/PieceSplitter.h"
#include "runtime/frontend/Utf8.h"

#include "plan_generated.h"

#include <algorithm>
#include <cstdio>
#include <numeric>

namespace qwenrt {
namespace {

/// Limits of a plan's tables, the same as the compiler's: they bound the work per byte of text and of plan.
constexpr uint32_t kMaxTokenId = 1u << 24;
constexpr uint32_t kMaxPieceBytes = 1024;
constexpr size_t kMaxTokenBytes = 256;

Status broken(const std::string &found) {
  return {StatusCode::InvalidInput, "tokenizer of the plan: " + found + ", compile the plan again"};
}

std::string_view pieceAt(const TokenizerView &view, uint32_t id) {
  return {reinterpret_cast<const char *>(view.pieceBytes.data()) + view.pieceOffsets[id],
          view.pieceOffsets[id + 1] - view.pieceOffsets[id]};
}

Status checkPieces(const TokenizerView &view) {
  const auto &offsets = view.pieceOffsets;
  if (offsets.empty() || offsets.size() - 1 > kMaxTokenId)
    return broken(std::to_string(offsets.size()) + " piece offsets, expected 1 to " + std::to_string(kMaxTokenId + 1));
  if (offsets.front() != 0 || offsets.back() != view.pieceBytes.size())
    return broken("piece offsets run from " + std::to_string(offsets.front()) + " to " +
                  std::to_string(offsets.back()) + ", expected 0 to " + std::to_string(view.pieceBytes.size()));
  for (size_t id = 0; id + 1 < offsets.size(); ++id)
    if (offsets[id + 1] < offsets[id] || offsets[id + 1] - offsets[id] > kMaxPieceBytes)
      return broken("piece " + std::to_string(id) + " spans bytes " + std::to_string(offsets[id]) + " to " +
                    std::to_string(offsets[id + 1]) + ", expected 0 to " + std::to_string(kMaxPieceBytes) +
                    " bytes upwards");
  return Status::ok();
}

Status checkByteIds(const TokenizerView &view) {
  if (view.byteIds.size() != 256)
    return broken(std::to_string(view.byteIds.size()) + " byte ids, expected 256");
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t id = view.byteIds[byte];
    if (id >= view.pieceOffsets.size() - 1 || pieceAt(view, id) != std::string(1, static_cast<char>(byte)))
      return broken("byte " + std::to_string(byte) + " has the id " + std::to_string(id) +
                    ", expected that of a piece of just this byte");
  }
  return Status::ok();
}

Status checkMerges(const TokenizerView &view) {
  if (view.merges.size() % 3 != 0)
    return broken(std::to_string(view.merges.size()) + " merge values, expected triples");
  const uint32_t pieceCount = static_cast<uint32_t>(view.pieceOffsets.size() - 1);
  for (size_t i = 0; i < view.merges.size(); i += 3) {
    const uint32_t left = view.merges[i], right = view.merges[i + 1], merged = view.merges[i + 2];
    if (left >= pieceCount || right >= pieceCount || merged >= pieceCount)
      return broken("merge " + std::to_string(i / 3) + " joins ids " + std::to_string(left) + " and " +
                    std::to_string(right) + " to " + std::to_string(merged) + ", expected ids below " +
                    std::to_string(pieceCount));
    std::string_view leftPiece = pieceAt(view, left), rightPiece = pieceAt(view, right),
                     mergedPiece = pieceAt(view, merged);
    // Merging always lengthens: the encoder relies on it to come to an end.
    if (leftPiece.empty() || rightPiece.empty() || mergedPiece.size() != leftPiece.size() + rightPiece.size() ||
        !mergedPiece.starts_with(leftPiece) || !mergedPiece.ends_with(rightPiece))
      return broken("merge " + std::to_string(i / 3) + " joins ids " + std::to_string(left) + " and " +
                    std::to_string(right) + " to " + std::to_string(merged) +
                    ", expected the piece of both bytes together");
  }
  return Status::ok();
}

template <typename T> std::span<const T> spanOf(const flatbuffers::Vector<T> *vector) {
  if (!vector)
    return {};
  return {vector->data(), vector->size()};
}

} // namespace

// Creation ------------------------------------------------------------------------------------------------------------

Result<Tokenizer> Tokenizer::create(const TokenizerView &view) {
  QWENRT_RETURN_IF_ERROR(checkPieces(view));
  QWENRT_RETURN_IF_ERROR(checkByteIds(view));
  QWENRT_RETURN_IF_ERROR(checkMerges(view));
  Tokenizer tokenizer;
  tokenizer.pieceBytes_.assign(reinterpret_cast<const char *>(view.pieceBytes.data()), view.pieceBytes.size());
  tokenizer.pieceOffsets_.assign(view.pieceOffsets.begin(), view.pieceOffsets.end());
  QWENRT_RETURN_IF_ERROR(tokenizer.addTokens(view));
  tokenizer.encoder_ = BytePairEncoder(view.merges, view.byteIds, tokenizer.pieceCount());
  return tokenizer;
}

Status Tokenizer::addTokens(const TokenizerView &view) {
  for (const TokenizerView::AddedToken &token : view.added) {
    if (token.id >= kMaxTokenId)
      return broken("added token id " + std::to_string(token.id) + ", expected ids below " +
                    std::to_string(kMaxTokenId));
    if (token.content.empty() || token.content.size() > kMaxTokenBytes || firstInvalidUtf8(token.content))
      return broken("added token " + std::to_string(token.id) + " has " + std::to_string(token.content.size()) +
                    " bytes, expected 1 to " + std::to_string(kMaxTokenBytes) + " of UTF-8");
    added_.push_back({token.id, std::string(token.content), token.special});
    addedFirstBytes_.set(static_cast<uint8_t>(token.content.front()));
  }
  std::sort(added_.begin(), added_.end(), [](const auto &a, const auto &b) { return a.content < b.content; });
  addedById_.resize(added_.size());
  std::iota(addedById_.begin(), addedById_.end(), 0u);
  std::sort(addedById_.begin(), addedById_.end(), [&](uint32_t a, uint32_t b) { return added_[a].id < added_[b].id; });
  for (size_t i = 1; i < added_.size(); ++i) {
    if (added_[i].content == added_[i - 1].content)
      return broken("added token " + std::to_string(added_[i].id) + " is written like token " +
                    std::to_string(added_[i - 1].id) + ", expected each once");
    if (added_[addedById_[i]].id == added_[addedById_[i - 1]].id)
      return broken("two added tokens have the id " + std::to_string(added_[addedById_[i]].id) + ", expected one");
  }
  return Status::ok();
}

Result<Tokenizer> Tokenizer::fromPlan(const fb::Tokenizer &table) {
  TokenizerView view;
  view.pieceBytes = spanOf(table.piece_bytes());
  view.pieceOffsets = spanOf(table.piece_offsets());
  view.merges = spanOf(table.merges());
  view.byteIds = spanOf(table.byte_ids());
  if (table.added())
    for (const fb::AddedToken *token : *table.added())
      view.added.push_back(
          {token->id(), token->content() ? token->content()->string_view() : std::string_view(), token->special()});
  return create(view);
}

// Ids and tokens ------------------------------------------------------------------------------------------------------

const Tokenizer::AddedToken *Tokenizer::addedTokenById(uint32_t id) const {
  auto it = std::lower_bound(addedById_.begin(), addedById_.end(), id,
                             [&](uint32_t index, uint32_t wanted) { return added_[index].id < wanted; });
  return it != addedById_.end() && added_[*it].id == id ? &added_[*it] : nullptr;
}

std::optional<int32_t> Tokenizer::addedTokenId(std::string_view content) const {
  auto it = std::lower_bound(added_.begin(), added_.end(), content,
                             [](const AddedToken &token, std::string_view wanted) { return token.content < wanted; });
  if (it == added_.end() || it->content != content)
    return std::nullopt;
  return static_cast<int32_t>(it->id);
}

bool Tokenizer::isSpecial(int32_t id) const {
  const AddedToken *token = id < 0 ? nullptr : addedTokenById(static_cast<uint32_t>(id));
  return token && token->special;
}

uint32_t Tokenizer::idBound() const {
  return std::max(pieceCount(), addedById_.empty() ? 0 : added_[addedById_.back()].id + 1);
}

std::string_view Tokenizer::bytesOf(int32_t id, bool skipSpecial) const {
  if (id < 0)
    return {};
  const uint32_t index = static_cast<uint32_t>(id);
  if (const AddedToken *token = addedTokenById(index))
    return skipSpecial && token->special ? std::string_view() : token->content;
  if (index >= pieceCount())
    return {};
  return std::string_view(pieceBytes_).substr(pieceOffsets_[index], pieceOffsets_[index + 1] - pieceOffsets_[index]);
}

// Encoding ------------------------------------------------------------------------------------------------------------

/// The longest added token that \p text starts with. The sorted tokens that agree with the text so far form a range,
/// which every further byte narrows; the shortest of a range stands first in it.
const Tokenizer::AddedToken *Tokenizer::longestAddedTokenAt(std::string_view text) const {
  const AddedToken *longest = nullptr;
  auto begin = added_.begin(), end = added_.end();
  for (size_t i = 0; begin != end; ++i) {
    if (begin->content.size() == i) {
      longest = &*begin++;
    }
    if (begin == end || i == text.size())
      break;
    uint8_t byte = static_cast<uint8_t>(text[i]);
    auto byteAt = [&](const AddedToken &token) { return static_cast<uint8_t>(token.content[i]); };
    begin = std::lower_bound(begin, end, byte, [&](const AddedToken &token, uint8_t b) { return byteAt(token) < b; });
    end = std::upper_bound(begin, end, byte, [&](uint8_t b, const AddedToken &token) { return b < byteAt(token); });
  }
  return longest;
}

Tokenizer::AddedMatch Tokenizer::findAddedToken(std::string_view text, size_t offset) const {
  for (; offset < text.size(); ++offset) {
    if (!addedFirstBytes_[static_cast<uint8_t>(text[offset])])
      continue;
    if (const AddedToken *token = longestAddedTokenAt(text.substr(offset)))
      return {offset, token};
  }
  return {text.size(), nullptr};
}

void Tokenizer::encodeStretch(std::string_view text, std::vector<int32_t> &ids,
                              BytePairEncoder::Scratch &scratch) const {
  std::string normalized;
  if (!isTriviallyNfc(text)) {
    normalized = toNfc(text);
    text = normalized;
  }
  for (PieceSplitter splitter(text); !splitter.done();)
    encoder_.encode(splitter.next(), ids, scratch);
}

Result<std::vector<int32_t>> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  if (text.size() > kMaxTextBytes)
    return Status(StatusCode::InvalidInput, "text of " + std::to_string(text.size()) + " bytes, expected at most " +
                                                std::to_string(kMaxTextBytes) + ", shorten it");
  if (std::optional<size_t> offset = firstInvalidUtf8(text)) {
    char byte[8];
    std::snprintf(byte, sizeof(byte), "0x%02x", static_cast<uint8_t>(text[*offset]));
    return Status(StatusCode::InvalidInput, "invalid UTF-8 at byte offset " + std::to_string(*offset) + " (" + byte +
                                                "), expected UTF-8 text, convert it first");
  }
  std::vector<int32_t> ids;
  BytePairEncoder::Scratch scratch;
  if (!options.recogniseSpecial) {
    encodeStretch(text, ids, scratch);
    return ids;
  }
  for (size_t offset = 0; offset < text.size();) {
    AddedMatch match = findAddedToken(text, offset);
    encodeStretch(text.substr(offset, match.begin - offset), ids, scratch);
    offset = match.begin;
    if (match.token) {
      ids.push_back(static_cast<int32_t>(match.token->id));
      offset += match.token->content.size();
    }
  }
  return ids;
}

// Decoding ------------------------------------------------------------------------------------------------------------

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skipSpecial) const {
  std::string bytes, text;
  for (int32_t id : ids)
    bytes += bytesOf(id, skipSpecial);
  appendReplacingInvalid(bytes, text);
  return text;
}

std::string StreamDecoder::push(int32_t id) {
  pending_ += tokenizer_->bytesOf(id, skipSpecial_);
  const size_t certain = pending_.size() - incompleteTailLength(pending_);
  std::string text;
  appendReplacingInvalid(std::string_view(pending_).substr(0, certain), text);
  pending_.erase(0, certain);
  return text;
}

std::string StreamDecoder::finish() {
  std::string text;
  appendReplacingInvalid(pending_, text);
  pending_.clear();
  return text;
}

} // namespace qwenrt
