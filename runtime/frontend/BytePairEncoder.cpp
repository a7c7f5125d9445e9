#include "runtime/frontend/BytePairEncoder.h"

#include <algorithm>
#include <functional>

namespace qwenrt {
namespace {

/// Up to here rescanning is quicker than a heap.
constexpr size_t kShortPieceBytes = 48;

constexpr uint32_t kEnd = UINT32_MAX;

} // namespace

BytePairEncoder::BytePairEncoder(std::span<const uint32_t> merges, std::span<const uint32_t> byteIds,
                                 uint32_t pieceCount) {
  const uint32_t mergeCount = static_cast<uint32_t>(merges.size() / 3);
  partnersBegin_.assign(size_t(pieceCount) + 1, 0);
  mergedIds_.reserve(mergeCount);
  for (uint32_t rank = 0; rank < mergeCount; ++rank) {
    ++partnersBegin_[merges[3 * rank] + 1];
    mergedIds_.push_back(merges[3 * rank + 2]);
  }
  for (uint32_t id = 0; id < pieceCount; ++id)
    partnersBegin_[id + 1] += partnersBegin_[id];

  partners_.resize(mergeCount);
  std::vector<uint32_t> fill(partnersBegin_.begin(), partnersBegin_.end() - 1);
  for (uint32_t rank = 0; rank < mergeCount; ++rank)
    partners_[fill[merges[3 * rank]]++] = uint64_t(merges[3 * rank + 1]) << 32 | rank;
  for (uint32_t id = 0; id < pieceCount; ++id)
    std::sort(partners_.begin() + partnersBegin_[id], partners_.begin() + partnersBegin_[id + 1]);

  std::copy_n(byteIds.begin(), 256, byteIds_.begin());
  bytePairRanks_.resize(65536);
  for (uint32_t pair = 0; pair < 65536; ++pair)
    bytePairRanks_[pair] = rankOf(byteIds_[pair >> 8], byteIds_[pair & 0xFF]);
}

uint32_t BytePairEncoder::rankOf(uint32_t left, uint32_t right) const {
  auto begin = partners_.begin() + partnersBegin_[left];
  auto end = partners_.begin() + partnersBegin_[left + 1];
  // The last entry of the pair, since the last of equal merges counts.
  auto it = std::upper_bound(begin, end, uint64_t(right) << 32 | UINT32_MAX);
  if (it == begin || uint32_t(*--it >> 32) != right)
    return kNoRank;
  return static_cast<uint32_t>(*it);
}

void BytePairEncoder::encode(std::string_view piece, std::vector<int32_t> &ids, Scratch &scratch) const {
  auto byte = [&](size_t i) { return static_cast<uint8_t>(piece[i]); };
  scratch.ids.resize(piece.size());
  scratch.ranks.resize(piece.size());
  for (size_t i = 0; i < piece.size(); ++i) {
    scratch.ids[i] = byteIds_[byte(i)];
    scratch.ranks[i] = i + 1 < piece.size() ? bytePairRanks_[uint32_t(byte(i)) << 8 | byte(i + 1)] : kNoRank;
  }
  if (piece.size() <= kShortPieceBytes)
    mergeShort(scratch);
  else
    mergeLong(scratch);
  ids.insert(ids.end(), scratch.ids.begin(), scratch.ids.end());
}

/// ranks[i] is the rank of the pair (ids[i], ids[i + 1]).
void BytePairEncoder::mergeShort(Scratch &scratch) const {
  std::vector<uint32_t> &ids = scratch.ids, &ranks = scratch.ranks;
  while (!ids.empty()) {
    uint32_t lowest = *std::min_element(ranks.begin(), ranks.end());
    if (lowest == kNoRank)
      return;
    size_t kept = 0;
    for (size_t i = 0; i < ids.size();) {
      bool merges = ranks[i] == lowest;
      // Ranks around a merge change; this one is set when its right neighbour is known.
      ids[kept] = merges ? mergedIds_[lowest] : ids[i];
      ranks[kept] = merges ? kNoRank : ranks[i];
      if (kept > 0 && (merges || ids[kept - 1] == mergedIds_[lowest]))
        ranks[kept - 1] = rankOf(ids[kept - 1], ids[kept]);
      ++kept;
      i += merges ? 2 : 1;
    }
    ids.resize(kept);
    ranks.resize(kept);
  }
}

/// Positions are byte offsets of the piece; ranks[i] is the rank of the pair that starts at position i, kNoRank where
/// none does. The places of each rank are kept in a list, the ranks that have one in a heap, so that the work is done
/// rank by rank as the definition says: a pair that appears while a rank is being merged waits for its turn even if it
/// is of lower rank.
void BytePairEncoder::mergeLong(Scratch &scratch) const {
  std::vector<uint32_t> &ids = scratch.ids, &ranks = scratch.ranks, &next = scratch.next, &previous = scratch.previous;
  std::vector<uint32_t> &rankHeap = scratch.rankHeap, &batch = scratch.batch;
  const uint32_t count = static_cast<uint32_t>(ids.size());
  next.resize(count);
  previous.resize(count);
  rankHeap.clear();
  scratch.places.clear();
  scratch.firstPlace.resize(mergedIds_.size(), kEnd); // all lists are empty between pieces

  auto addPlace = [&](uint32_t position) {
    uint32_t &first = scratch.firstPlace[ranks[position]];
    if (first == kEnd) {
      rankHeap.push_back(ranks[position]);
      std::push_heap(rankHeap.begin(), rankHeap.end(), std::greater<>());
    }
    scratch.places.push_back({position, first});
    first = static_cast<uint32_t>(scratch.places.size() - 1);
  };
  auto updatePair = [&](uint32_t position) {
    ranks[position] = next[position] == kEnd ? kNoRank : rankOf(ids[position], ids[next[position]]);
    if (ranks[position] != kNoRank)
      addPlace(position);
  };
  for (uint32_t i = 0; i < count; ++i) {
    next[i] = i + 1 < count ? i + 1 : kEnd;
    previous[i] = i > 0 ? i - 1 : kEnd;
    if (ranks[i] != kNoRank)
      addPlace(i);
  }

  while (!rankHeap.empty()) {
    const uint32_t rank = rankHeap.front();
    std::pop_heap(rankHeap.begin(), rankHeap.end(), std::greater<>());
    rankHeap.pop_back();
    batch.clear();
    for (uint32_t place = scratch.firstPlace[rank]; place != kEnd; place = scratch.places[place].next)
      batch.push_back(scratch.places[place].position);
    scratch.firstPlace[rank] = kEnd;
    // Lists grow at the front, mostly from left to right.
    std::reverse(batch.begin(), batch.end());
    if (!std::is_sorted(batch.begin(), batch.end()))
      std::sort(batch.begin(), batch.end());
    for (uint32_t position : batch) {
      if (ranks[position] != rank) // a neighbour's merge has changed the pair
        continue;
      const uint32_t right = next[position];
      ids[position] = mergedIds_[rank];
      ranks[right] = kNoRank;
      next[position] = next[right];
      if (next[position] != kEnd)
        previous[next[position]] = position;
      updatePair(position);
      if (previous[position] != kEnd)
        updatePair(previous[position]);
    }
  }

  size_t kept = 0;
  for (uint32_t i = 0; i != kEnd; i = next[i])
    ids[kept++] = ids[i];
  ids.resize(kept);
}

} // namespace qwenrt
