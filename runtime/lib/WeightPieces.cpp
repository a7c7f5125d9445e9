//===- WeightPieces.cpp -------------------------------------------------------------------------------------------===//
#include "WeightPieces.h"

#include <cstring>
#include <tuple>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

using namespace qwenrt;

namespace {

/// A batch with less room than this is closed, so that the rest of a tensor does not become crumbs.
constexpr uint64_t kSmallestRoom = 64 << 10;
constexpr uint64_t kStagingAlignment = 16;

/// The bindings in the order of the files; a weight that is placed twice in the order of the places.
std::vector<const fb::WeightBinding *> sortedBindings(const fb::Plan &plan) {
  std::vector<const fb::WeightBinding *> bindings(plan.weights()->begin(), plan.weights()->end());
  auto key = [](const fb::WeightBinding *binding) {
    return std::tuple(binding->file(), binding->file_offset(), binding->buffer(), binding->buffer_offset());
  };
  std::sort(bindings.begin(), bindings.end(),
            [key](const fb::WeightBinding *a, const fb::WeightBinding *b) { return key(a) < key(b); });
  return bindings;
}

} // namespace

WeightPieces qwenrt::cutWeights(const fb::Plan &plan) {
  WeightPieces result;
  uint64_t used = kBatchBytes; // of the batch that is being filled; full: the first piece opens one
  const fb::WeightBinding *previous = nullptr;
  for (const fb::WeightBinding *weight : sortedBindings(plan)) {
    if (previous && previous->file() != weight->file())
      used = kBatchBytes;
    previous = weight;
    result.fileBytes += weight->rows() * weight->row_bytes();
    result.layers = std::max(result.layers, weight->layer() + (weight->layer() < INT32_MAX));
    uint64_t total = weight->rows() * weight->pitch_bytes();
    for (uint64_t begin = 0; begin < total;) {
      if (kBatchBytes - used < std::min(kSmallestRoom, total - begin)) {
        result.batches.push_back({result.pieces.size(), 0});
        used = 0;
      }
      uint64_t end = begin + std::min(total - begin, kBatchBytes - used);
      result.pieces.push_back({weight, begin, end, used});
      ++result.batches.back().pieceCount;
      used =
          std::min(kBatchBytes, (used + (end - begin) + kStagingAlignment - 1) / kStagingAlignment * kStagingAlignment);
      begin = end;
    }
  }
  return result;
}

Status qwenrt::readPlaced(const File &file, const WeightPiece &piece, std::byte *target) {
  uint64_t fileBytes = piece.fileBytes();
  // Rows are read to the end of the piece's memory and move towards its start: each stays behind what is yet to move.
  std::byte *source = target + (piece.placedBytes() - fileBytes);
  QWENRT_RETURN_IF_ERROR(file.readAt(piece.fileBegin(), source, fileBytes));
  if (!piece.padded())
    return Status::ok();
  uint64_t pitch = piece.weight->pitch_bytes(), rowBytes = piece.weight->row_bytes();
  for (uint64_t at = piece.begin; at < piece.end;) {
    uint64_t within = at % pitch, stop = std::min(piece.end, at - within + pitch);
    uint64_t data = within < rowBytes ? std::min(rowBytes - within, stop - at) : 0;
    std::memmove(target, source, data);
    source += data;
    std::memset(target + data, 0, stop - at - data);
    target += stop - at;
    at = stop;
  }
  return Status::ok();
}

void qwenrt::copyStreaming(std::byte *target, const std::byte *source, size_t sizeBytes) {
#if defined(__SSE2__)
  constexpr size_t kLine = 64;
  size_t head = std::min(sizeBytes, (kLine - reinterpret_cast<uintptr_t>(target) % kLine) % kLine);
  std::memcpy(target, source, head);
  target += head;
  source += head;
  sizeBytes -= head;
  for (; sizeBytes >= kLine; sizeBytes -= kLine, target += kLine, source += kLine) {
    const auto *from = reinterpret_cast<const __m128i *>(source);
    auto *to = reinterpret_cast<__m128i *>(target);
    __m128i a = _mm_loadu_si128(from), b = _mm_loadu_si128(from + 1), c = _mm_loadu_si128(from + 2),
            d = _mm_loadu_si128(from + 3);
    _mm_stream_si128(to, a);
    _mm_stream_si128(to + 1, b);
    _mm_stream_si128(to + 2, c);
    _mm_stream_si128(to + 3, d);
  }
  std::memcpy(target, source, sizeBytes);
  _mm_sfence();
#else
  std::memcpy(target, source, sizeBytes);
#endif
}
