//===- SafetensorsWriter.h - Writing safetensors files ----------------------------------------------------------===//
#pragma once

#include "models/Checkpoint/File.h"
#include "models/Checkpoint/Safetensors.h"

#include <cstddef>
#include <span>

namespace qwenc {

/// Name, dtype and shape of a tensor to write.
struct TensorDescription {
  std::string name;
  StoredDType dtype = StoredDType::F32;
  std::vector<uint64_t> shape; ///< row-major

  /// Product of shape times element size; the caller keeps it below 2^64.
  uint64_t sizeBytes() const;
};

/// The first bytes of a file (length and JSON, padded with spaces so that the data area starts at a multiple of 8); the
/// data of \p tensors follows in the given order. Errors: InvalidInput for duplicate or non-UTF-8 names.
Result<std::string> encodeSafetensorsHeader(std::span<const TensorDescription> tensors,
                                            const std::map<std::string, std::string> &metadata = {});

/// Writes a file piece by piece, in the order of the descriptions; the file appears when finish() succeeds.
class SafetensorsWriter {
public:
  static Result<SafetensorsWriter> create(const std::string &path, std::span<const TensorDescription> tensors,
                                          const std::map<std::string, std::string> &metadata = {});

  /// Appends data: any split is fine, tensor borders need not be respected. Errors: InvalidInput when more bytes come
  /// than the tensors have, Io.
  Status append(std::span<const std::byte> data);

  /// Errors: InvalidInput when bytes are missing, Io.
  Status finish();

private:
  SafetensorsWriter(AtomicFile file, uint64_t remainingBytes)
      : file_(std::move(file)), remainingBytes_(remainingBytes) {}

  AtomicFile file_;
  uint64_t remainingBytes_;
};

/// A whole tensor in memory.
struct TensorData {
  TensorDescription description;
  std::span<const std::byte> data; ///< description.sizeBytes() bytes, little endian
};

/// Writes all \p tensors to \p path at once (to a temporary name, then renamed).
Status writeSafetensors(const std::string &path, std::span<const TensorData> tensors,
                        const std::map<std::string, std::string> &metadata = {});

} // namespace qwenc
