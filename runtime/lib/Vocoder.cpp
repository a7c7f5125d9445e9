//===- Vocoder.cpp -----------------------------------------------------------------------------------------------===//
#include "Vocoder.h"

#include "EntryRun.h"

#include <algorithm>
#include <cstring>

using namespace qwenrt;

namespace {

/// A longer push would not make the device's work smaller, but the wait for it longer.
constexpr uint32_t kLongestPush = 16;

} // namespace

bool Vocoder::ready(bool last) const {
  const uint32_t waiting = frames() - done_;
  return waiting > 0 && (last || waiting >= (chunks_.frames ? chunks_.frames : wanted_));
}

Status Vocoder::push(bool last, std::vector<float> &samples) {
  samples.clear();
  if (!ready(last))
    return Status::ok();
  if (chunks_.frames)
    return pushChunk(samples);
  const uint32_t count = std::min({frames() - done_, wanted_, tables_.vocoder->max_frames()});
  QWENRT_RETURN_IF_ERROR(run(done_, count, done_, samples));
  done_ += count;
  wanted_ = std::min({2 * count, kLongestPush, tables_.vocoder->max_frames()});
  return Status::ok();
}

Status Vocoder::pushChunk(std::vector<float> &samples) {
  const uint32_t count = std::min(frames() - done_, chunks_.frames);
  const uint32_t context = done_ > chunks_.context ? chunks_.context : done_;
  const uint32_t begin = done_ - context, end = done_ + count;
  for (uint32_t first = begin; first < end;) {
    const uint32_t part = std::min(end - first, tables_.vocoder->max_frames());
    QWENRT_RETURN_IF_ERROR(run(first, part, first - begin, samples));
    first += part;
  }
  // Behind the lost ones, the samples of the context; the chunk's own are short of as many as were lost.
  const uint64_t known = uint64_t(context) * tables_.vocoder->frame_samples();
  samples.erase(samples.begin(), samples.begin() + ptrdiff_t(std::min<uint64_t>(known, samples.size())));
  done_ += count;
  return Status::ok();
}

Status Vocoder::run(uint32_t first, uint32_t count, uint32_t before, std::vector<float> &samples) {
  const fb::Vocoder &vocoder = *tables_.vocoder;
  const uint32_t groups = vocoder.groups();
  const int32_t number = int32_t(before);
  auto bytes = [](const int32_t *values, size_t n) { return std::as_bytes(std::span(values, n)); };
  const HostTensorView inputs[] = {
      {"codes", fb::DType::I32, {count, groups}, bytes(codes_.data() + size_t(first) * groups, size_t(count) * groups)},
      {"first_frame", fb::DType::I32, {1}, bytes(&number, 1)}};
  EntryRun run(state_, tables_.entry);
  QWENRT_RETURN_IF_ERROR(run.bind(inputs));
  QWENRT_RETURN_IF_ERROR(run.write());
  uint64_t value = 0;
  QWENRT_RETURN_IF_ERROR(state_.submit(tables_.entry, 1, value));
  bool cancelled = false;
  QWENRT_RETURN_IF_ERROR(state_.wait(value, nullptr, cancelled));
  HostTensor output;
  QWENRT_RETURN_IF_ERROR(run.read(*tables_.samples, output));
  // Where few rows come of a frame the utterance loses more than its first frame makes.
  const uint64_t earlier = uint64_t(before) * vocoder.frame_samples();
  const size_t made = output.data.size() / sizeof(float), old = samples.size();
  const size_t lost = vocoder.lost_samples() - std::min<uint64_t>(vocoder.lost_samples(), earlier);
  if (made <= lost)
    return Status::ok();
  samples.resize(old + made - lost);
  std::memcpy(samples.data() + old, output.data.data() + lost * sizeof(float), (made - lost) * sizeof(float));
  return Status::ok();
}
