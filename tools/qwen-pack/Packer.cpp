//===- Packer.cpp - From the checkpoint to the packed file of a plan ---------------------------------------------===//
#include "tools/qwen-pack/Packer.h"

#include "models/Checkpoint/File.h"
#include "models/Checkpoint/Json.h"
#include "models/Packing/BlockFormat.h"
#include "models/Packing/PackedFile.h"
#include "runtime/lib/Parallel.h"
#include "runtime/lib/WeightFiles.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <mutex>

using namespace qwenc;
namespace fb = qwenrt::fb;

namespace {

constexpr uint64_t kChunkBytes = 4 << 20; // of the checkpoint

/// A packed weight of the plan.
struct Source {
  const fb::WeightBinding *binding;
  PackedWeight weight;
};

/// Rows that one thread packs at once.
struct Chunk {
  const Source *source;
  uint64_t firstRow, rows;
};

std::vector<Source> packedSources(const fb::Plan &plan) {
  std::vector<Source> sources;
  for (const fb::WeightBinding *binding : *plan.weights())
    if (binding->format() != fb::WeightFormat::BF16) {
      auto format = static_cast<WeightFormat>(binding->format());
      // The plan's verifier has seen that the row has whole blocks.
      uint64_t columns = *qwenrt::columnsOf(format, binding->row_bytes());
      sources.push_back({binding, {binding->name()->str(), binding->rows(), columns, format}});
    }
  return sources;
}

/// What the plan expects of the file has to be what will be written.
Result<PackedLayout> layOut(const fb::Plan &plan, const std::vector<Source> &sources) {
  if (sources.empty())
    return Status(StatusCode::InvalidInput,
                  "plan has no quantised weights, expected one compiled with --weights-format q8 "
                  "or q4, run this one without a packed file");
  std::vector<PackedWeight> weights;
  for (const Source &source : sources)
    weights.push_back(source.weight);
  std::vector<uint64_t> checkpoint;
  for (const fb::WeightFile *file : *plan.weight_files())
    if (!file->packed())
      checkpoint.push_back(file->header_hash());
  QWENRT_ASSIGN_OR_RETURN(PackedLayout layout, layOutPackedFile(weights, checkpoint));
  const fb::WeightFile &expected = *plan.weight_files()->Get(sources[0].binding->file());
  bool agrees = expected.size_bytes() == layout.sizeBytes && expected.header_bytes() == layout.headerBytes() &&
                expected.header_hash() == layout.headerHash;
  for (size_t i = 0; i < sources.size(); ++i)
    agrees &= sources[i].binding->file_offset() == layout.offsetsBytes[i];
  if (!agrees)
    return Status(StatusCode::InvalidInput,
                  "plan describes another packed file than this qwen-pack writes, expected the "
                  "same layout, compile the plan with the qwenc of this version");
  return layout;
}

Status refuseInputs(const std::string &output, const std::vector<qwenrt::File> &files) {
  for (const qwenrt::File &file : files) {
    std::error_code error;
    if (std::filesystem::equivalent(output, file.path(), error) && !error)
      return Status(StatusCode::InvalidUsage,
                    "-o " + inQuotes(output) + " is a file of the checkpoint, expected another name, choose one");
  }
  return Status::ok();
}

std::vector<Chunk> cutChunks(const std::vector<Source> &sources) {
  std::vector<Chunk> chunks;
  for (const Source &source : sources) {
    uint64_t rows = std::max<uint64_t>(1, kChunkBytes / (2 * source.weight.columns));
    for (uint64_t first = 0; first < source.weight.rows; first += rows)
      chunks.push_back({&source, first, std::min(rows, source.weight.rows - first)});
  }
  return chunks;
}

/// Threads take chunks in order, pack them side by side and append them in order: what waits to be written is one chunk
/// for each thread.
class Packing {
public:
  Packing(const std::vector<qwenrt::File> &files, std::vector<Chunk> chunks, AtomicFile &output)
      : files(files), chunks(std::move(chunks)), output(output) {}

  Status run() {
    std::vector<uint16_t> rows;
    std::vector<std::byte> packed;
    for (size_t index; (index = next.fetch_add(1)) < chunks.size();) {
      QWENRT_RETURN_IF_ERROR(pack(chunks[index], rows, packed));
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return written == index || cancelled; });
      if (cancelled)
        return Status::ok();
      QWENRT_RETURN_IF_ERROR(output.write({reinterpret_cast<const char *>(packed.data()), packed.size()}));
      ++written;
      doneBytes += packed.size();
      changed.notify_all();
    }
    return Status::ok();
  }

  void cancel() {
    std::lock_guard lock(mutex);
    cancelled = true;
    changed.notify_all();
  }

  std::atomic<uint64_t> doneBytes = 0;

private:
  Status pack(const Chunk &chunk, std::vector<uint16_t> &rows, std::vector<std::byte> &packed) const {
    const PackedWeight &weight = chunk.source->weight;
    const qwenrt::File &file = files[chunk.source->binding->source_file()];
    uint64_t columns = weight.columns, rowBytes = storedRowBytes(weight.format, columns);
    uint64_t offset = chunk.source->binding->source_offset() + chunk.firstRow * columns * 2;
    rows.resize(chunk.rows * columns);
    packed.resize(chunk.rows * rowBytes);
    QWENRT_RETURN_IF_ERROR(file.readAt(offset, rows.data(), rows.size() * 2));
    file.dropPages(offset, rows.size() * 2);
    for (uint64_t row = 0; row < chunk.rows; ++row) {
      std::optional<uint64_t> broken = packRow(weight.format, std::span(rows).subspan(row * columns, columns),
                                               std::span(packed).subspan(row * rowBytes, rowBytes));
      if (broken)
        return Status(StatusCode::InvalidInput,
                      inQuotes(weight.name) + " holds an infinity or NaN in row " +
                          std::to_string(chunk.firstRow + row) + ", column " + std::to_string(*broken) +
                          ", expected finite weights, compile the plan with --weights-format bf16");
    }
    return Status::ok();
  }

  const std::vector<qwenrt::File> &files;
  std::vector<Chunk> chunks;
  AtomicFile &output;
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  std::condition_variable changed;
  size_t written = 0;
  bool cancelled = false;
};

} // namespace

Result<PackStatistics> qwenc::packWeights(const qwenrt::Plan &plan, const std::string &output,
                                          const PackOptions &options) {
  std::vector<Source> sources = packedSources(plan.root());
  QWENRT_ASSIGN_OR_RETURN(PackedLayout layout, layOut(plan.root(), sources));
  QWENRT_ASSIGN_OR_RETURN(std::vector<qwenrt::File> files, qwenrt::openCheckpointFiles(plan, options.checkpointFolder));
  QWENRT_RETURN_IF_ERROR(refuseInputs(output, files));
  QWENRT_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(output));
  QWENRT_RETURN_IF_ERROR(file.write(layout.header));
  PackStatistics statistics;
  for (const Source &source : sources)
    statistics.parameters += source.weight.rows * source.weight.columns;
  statistics.weights = sources.size();
  statistics.packedBytes = layout.sizeBytes - layout.header.size();

  Packing packing(files, cutChunks(sources), file);
  QWENRT_RETURN_IF_ERROR(qwenrt::runParallel(
      std::clamp(options.threads, 1u, maxPackThreads), [&] { return packing.run(); },
      [&] {
        if (options.progress)
          options.progress(packing.doneBytes, statistics.packedBytes);
      },
      [&] { packing.cancel(); }));
  QWENRT_RETURN_IF_ERROR(file.commit());
  return statistics;
}
