//===- Safetensors.cpp - Headers of safetensors files -----------------------------------------------------------===//
#include "models/Checkpoint/Safetensors.h"

#include "models/Checkpoint/File.h"
#include "models/Checkpoint/Json.h"
#include "runtime/schema/Fnv1a.h"

#include <algorithm>
#include <array>
#include <unistd.h>

using namespace qwenc;
using nlohmann::json;

namespace {

struct DTypeInfo {
  StoredDType dtype;
  std::string_view name;
  uint64_t sizeBytes;
};

constexpr std::array<DTypeInfo, 15> dtypeTable = {{
    {StoredDType::F64, "F64", 8},
    {StoredDType::F32, "F32", 4},
    {StoredDType::F16, "F16", 2},
    {StoredDType::BF16, "BF16", 2},
    {StoredDType::I64, "I64", 8},
    {StoredDType::U64, "U64", 8},
    {StoredDType::I32, "I32", 4},
    {StoredDType::U32, "U32", 4},
    {StoredDType::I16, "I16", 2},
    {StoredDType::U16, "U16", 2},
    {StoredDType::I8, "I8", 1},
    {StoredDType::U8, "U8", 1},
    {StoredDType::Bool, "BOOL", 1},
    {StoredDType::F8E4M3, "F8_E4M3", 1},
    {StoredDType::F8E5M2, "F8_E5M2", 1},
}};

/// More axes than any tensor of the field has; keeps a hostile shape from being carried around.
constexpr size_t maxRank = 16;

Status invalid(std::string message) { return Status(StatusCode::InvalidInput, std::move(message)); }

Status parseDType(const json &entry, StoredTensor &tensor) {
  const json *field = member(entry, "dtype");
  const std::string *name = field ? asString(*field) : nullptr;
  if (!name)
    return invalid("no dtype text, expected one such as \"BF16\", restore the file from its source");
  std::optional<StoredDType> dtype = storedDTypeFromName(*name);
  if (!dtype)
    return invalid("unknown dtype " + inQuotes(*name) +
                   ", expected one of F64 F32 F16 BF16 I64 U64 I32 U32 I16 U16 I8 U8 BOOL F8_E4M3 F8_E5M2, convert the "
                   "checkpoint");
  tensor.dtype = *dtype;
  return Status::ok();
}

/// Reads the shape and computes the bytes that it needs.
Status parseShape(const json &entry, StoredTensor &tensor) {
  const json *field = member(entry, "shape");
  if (!field || !field->is_array())
    return invalid("no shape array, expected one, restore the file from its source");
  if (field->size() > maxRank)
    return invalid("shape of " + std::to_string(field->size()) + " dimensions, expected at most " +
                   std::to_string(maxRank) + ", convert the checkpoint");
  uint64_t sizeBytes = storedDTypeSizeBytes(tensor.dtype);
  for (const json &element : *field) {
    std::optional<uint64_t> dim = asUnsigned(element);
    if (!dim)
      return invalid("a dimension that is no integer in 0 .. 2^64-1, expected one, restore the file from its source");
    tensor.shape.push_back(*dim);
    if (__builtin_mul_overflow(sizeBytes, *dim, &sizeBytes))
      return invalid("shape whose size overflows 64 bits, expected a tensor that fits its file, restore the file from "
                     "its source");
  }
  tensor.sizeBytes = sizeBytes;
  return Status::ok();
}

/// Reads data_offsets, checks them against the data area and leaves the begin, relative to it, in offsetBytes.
Status parseRange(const json &entry, uint64_t dataSizeBytes, StoredTensor &tensor) {
  const json *field = member(entry, "data_offsets");
  if (!field || !field->is_array() || field->size() != 2 || !asUnsigned((*field)[0]) || !asUnsigned((*field)[1]))
    return invalid("no data_offsets pair of integers in 0 .. 2^64-1, expected [begin, end], restore the file from its "
                   "source");
  uint64_t begin = *asUnsigned((*field)[0]), end = *asUnsigned((*field)[1]);
  if (begin > end)
    return invalid("data_offsets [" + std::to_string(begin) + ", " + std::to_string(end) +
                   "] run backwards, expected begin <= end, restore the file from its source");
  if (end > dataSizeBytes)
    return invalid("data ends at byte " + std::to_string(end) + " of a data area of " + std::to_string(dataSizeBytes) +
                   " bytes, expected it inside the file, download the truncated file again");
  if (end - begin != tensor.sizeBytes)
    return invalid("data_offsets span " + std::to_string(end - begin) + " bytes, expected " +
                   std::to_string(tensor.sizeBytes) + " from shape and dtype, restore the file from its source");
  tensor.offsetBytes = begin;
  return Status::ok();
}

Status parseMetadata(const json &entry, SafetensorsHeader &header) {
  if (!entry.is_object())
    return invalid("__metadata__ is not an object, expected one of texts, restore the file from its source");
  for (auto item = entry.begin(); item != entry.end(); ++item) {
    const std::string *text = asString(*item);
    if (!text)
      return invalid("__metadata__ key " + inQuotes(item.key()) +
                     " holds no text, expected one, restore the file from its source");
    header.metadata[item.key()] = *text;
  }
  return Status::ok();
}

/// The data area has to be covered exactly once: a gap or an overlap means that header and data do not belong together.
Status checkCoverage(const SafetensorsHeader &header, uint64_t dataSizeBytes) {
  using Entry = std::pair<const std::string, StoredTensor>;
  std::vector<const Entry *> byOffset;
  for (const Entry &entry : header.tensors)
    byOffset.push_back(&entry);
  std::sort(byOffset.begin(), byOffset.end(), [](const Entry *a, const Entry *b) {
    return std::pair(a->second.offsetBytes, a->second.sizeBytes) <
           std::pair(b->second.offsetBytes, b->second.sizeBytes);
  });
  uint64_t covered = 0;
  const Entry *previous = nullptr;
  for (const Entry *entry : byOffset) {
    uint64_t begin = entry->second.offsetBytes;
    if (begin < covered)
      return invalid("tensors " + inQuotes(previous->first) + " and " + inQuotes(entry->first) +
                     " overlap, expected separate ranges, restore the file from its source");
    if (begin > covered)
      return invalid("gap of " + std::to_string(begin - covered) + " bytes before tensor " + inQuotes(entry->first) +
                     ", expected data without gaps, restore the file from its source");
    covered = begin + entry->second.sizeBytes;
    previous = entry;
  }
  if (covered != dataSizeBytes)
    return invalid("data area of " + std::to_string(dataSizeBytes) + " bytes, of which the tensors cover " +
                   std::to_string(covered) + ", expected data without gaps, restore the file from its source");
  return Status::ok();
}

std::string lengthBytes(uint64_t length) {
  std::string bytes(8, '\0');
  for (unsigned i = 0; i < 8; ++i)
    bytes[i] = static_cast<char>(length >> (8 * i));
  return bytes;
}

} // namespace

std::string_view qwenc::storedDTypeName(StoredDType dtype) { return dtypeTable[static_cast<size_t>(dtype)].name; }

std::optional<StoredDType> qwenc::storedDTypeFromName(std::string_view name) {
  for (const DTypeInfo &info : dtypeTable)
    if (info.name == name)
      return info.dtype;
  return std::nullopt;
}

uint64_t qwenc::storedDTypeSizeBytes(StoredDType dtype) { return dtypeTable[static_cast<size_t>(dtype)].sizeBytes; }

uint64_t qwenc::fnv1a64(std::string_view bytes, uint64_t state) {
  return qwenrt::fnv1a(bytes.data(), bytes.size(), state);
}

Result<uint64_t> qwenc::parseSafetensorsLength(std::string_view start, uint64_t fileSizeBytes) {
  if (start.size() < 8 || fileSizeBytes < 8)
    return invalid("file of " + std::to_string(fileSizeBytes) +
                   " bytes, expected at least the 8 bytes of the header length, download the file again");
  uint64_t length = 0;
  for (unsigned i = 0; i < 8; ++i)
    length |= uint64_t(static_cast<unsigned char>(start[i])) << (8 * i);
  if (length > maxSafetensorsHeaderBytes)
    return invalid("header length " + std::to_string(length) + ", expected at most " +
                   std::to_string(maxSafetensorsHeaderBytes) + " bytes, check that it is a safetensors file");
  if (length > fileSizeBytes - 8)
    return invalid("header length " + std::to_string(length) + " in a file of " + std::to_string(fileSizeBytes) +
                   " bytes, expected the header inside the file, download the truncated file again");
  return length;
}

Result<SafetensorsHeader> qwenc::parseSafetensorsHeader(std::string_view text, uint64_t dataSizeBytes) {
  if (text.empty() || text[0] != '{')
    return invalid("header that does not start with '{', expected a JSON object, check that it is a safetensors file");
  SafetensorsHeader header;
  header.headerBytes = text.size();
  if (__builtin_add_overflow(dataSizeBytes, text.size() + 8, &header.fileSizeBytes))
    return invalid("data area of " + std::to_string(dataSizeBytes) + " bytes, expected less than 2^64, check the file");
  header.headerHash = fnv1a64(text, fnv1a64(lengthBytes(text.size())));

  // Object of objects of arrays: three levels. Eight values per tensor are typical.
  JsonLimits limits{maxSafetensorsHeaderBytes, /*maxDepth=*/3, /*maxValues=*/4'000'000};
  Result<json> document = parseJson(text, limits);
  if (!document)
    return document.status().withContext("header");

  for (auto item = document->begin(); item != document->end(); ++item) {
    if (item.key() == "__metadata__") {
      QWENRT_RETURN_IF_ERROR(parseMetadata(*item, header));
      continue;
    }
    std::string context = "tensor " + inQuotes(item.key());
    if (!item->is_object())
      return invalid(context + ": is not an object, expected dtype, shape and data_offsets, restore the file from its "
                               "source");
    StoredTensor tensor;
    Status status = parseDType(*item, tensor);
    if (status)
      status = parseShape(*item, tensor);
    if (status)
      status = parseRange(*item, dataSizeBytes, tensor);
    if (!status)
      return std::move(status).withContext(context);
    header.tensors.emplace(item.key(), std::move(tensor));
  }
  QWENRT_RETURN_IF_ERROR(checkCoverage(header, dataSizeBytes));
  for (auto &entry : header.tensors)
    entry.second.offsetBytes += 8 + header.headerBytes;
  return header;
}

Result<SafetensorsHeader> qwenc::readSafetensorsHeader(const std::string &path) {
  uint64_t fileSizeBytes = 0;
  QWENRT_ASSIGN_OR_RETURN(int fd, openRegularFile(path, fileSizeBytes));
  auto read = [&]() -> Result<SafetensorsHeader> {
    std::string start(std::min<uint64_t>(8, fileSizeBytes), '\0');
    QWENRT_RETURN_IF_ERROR(readExactly(fd, 0, start.data(), start.size(), path));
    QWENRT_ASSIGN_OR_RETURN(uint64_t length, parseSafetensorsLength(start, fileSizeBytes));
    std::string text(length, '\0');
    QWENRT_RETURN_IF_ERROR(readExactly(fd, 8, text.data(), length, path));
    return parseSafetensorsHeader(text, fileSizeBytes - 8 - length);
  };
  Result<SafetensorsHeader> header = read();
  ::close(fd);
  if (!header)
    return header.status().withContext("'" + path + "'");
  return header;
}
