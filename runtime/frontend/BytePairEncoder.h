//===- BytePairEncoder.h - Byte-pair merges within one piece ----------------------------------------------------===//
//
// A piece starts as its single bytes. Then the neighbouring pair of lowest rank is merged at all its places from left
// to right, again and again until no neighbouring pair has a merge. A piece is never looked up whole.
//
// Short pieces (nearly all) rescan their few pairs for the minimum; long ones keep the places of each pair in lists and
// the ranks in a heap, O(n log n), so that a megabyte without a blank is no attack. Merges are found by binary search
// in the sorted partners of the left token: no hash function that a hostile vocabulary could make collide.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace qwenrt {

class BytePairEncoder {
public:
  BytePairEncoder() = default;

  /// \p merges holds triples left, right, merged id in rank order, all ids < \p pieceCount; a pair that stands twice
  /// has its last rank.
  /// \p byteIds holds the ids of the 256 single bytes. A merged piece must be longer than its parts.
  BytePairEncoder(std::span<const uint32_t> merges, std::span<const uint32_t> byteIds, uint32_t pieceCount);

  /// Working memory, reused between pieces.
  struct Scratch {
    struct Place {
      uint32_t position, next;
    };
    std::vector<uint32_t> ids, ranks, next, previous, rankHeap, batch;
    std::vector<Place> places;
    std::vector<uint32_t> firstPlace; // by rank
  };

  /// Appends the ids of \p piece (any bytes, fewer than 2^30) to \p ids.
  void encode(std::string_view piece, std::vector<int32_t> &ids, Scratch &scratch) const;

private:
  static constexpr uint32_t kNoRank = UINT32_MAX;

  uint32_t rankOf(uint32_t left, uint32_t right) const;
  void mergeShort(Scratch &scratch) const;
  void mergeLong(Scratch &scratch) const;

  std::vector<uint32_t> mergedIds_;     // by rank
  std::vector<uint64_t> partners_;      // right id << 32 | rank, sorted within the range of each left id
  std::vector<uint32_t> partnersBegin_; // by left id, one more at the end
  std::array<uint32_t, 256> byteIds_{};
  std::vector<uint32_t> bytePairRanks_; // first byte << 8 | second byte: every piece starts with these
};

} // namespace qwenrt
