//===- VerifyPlan.cpp - Trailer, structure, buffers, weights, cells, kernels -------------------------------------===//
#include "VerifyPlan.h"

#include "Spirv.h"
#include "qwenrt/Plan.h"
#include "runtime/schema/PlanFile.h"
#include "runtime/schema/WeightFormat.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
#include <string_view>
#include <vector>

using namespace qwenrt;

namespace {

constexpr size_t kSmallestFlatbuffer = 8;

uint64_t readU64(const std::byte *at) {
  uint64_t value = 0;
  for (int i = 7; i >= 0; --i)
    value = value << 8 | uint64_t(at[i]);
  return value;
}

/// The flatbuffer of \p file, after its trailer has been checked.
Result<std::span<const std::byte>> checkTrailer(std::span<const std::byte> file) {
  if (file.size() < kSmallestFlatbuffer + planfile::kTrailerBytes)
    return Status(StatusCode::InvalidInput,
                  text("file has ", file.size(), " bytes, expected a plan of at least ",
                       kSmallestFlatbuffer + planfile::kTrailerBytes, ", give a file written by qwenc"));
  std::span<const std::byte> body = file.first(file.size() - planfile::kTrailerBytes);
  const std::byte *trailer = file.data() + body.size();
  if (std::memcmp(trailer + 16, planfile::kMagic.data(), planfile::kMagic.size()) != 0)
    return Status(StatusCode::InvalidInput,
                  "file does not end with the plan magic, expected QWENPLN1, it is cut or no plan; compile it again");
  if (uint64_t length = readU64(trailer); length != body.size())
    return Status(StatusCode::InvalidInput, text("trailer says the plan has ", length, " bytes, expected ", body.size(),
                                                 ", the file is damaged; compile it again"));
  if (readU64(trailer + 8) != fnv1a(body.data(), body.size()))
    return Status(
        StatusCode::InvalidInput,
        "hash of the plan differs from its trailer, expected them equal, the file is damaged; compile it again");
  return body;
}

Status checkStructure(std::span<const std::byte> body) {
  if (body.size() < kSmallestFlatbuffer || body.size() >= FLATBUFFERS_MAX_BUFFER_SIZE)
    return {StatusCode::InvalidInput,
            text("plan has ", body.size(), " bytes, expected 8 B to 2 GiB, give a file written by qwenc")};
  const auto *bytes = reinterpret_cast<const uint8_t *>(body.data());
  if (!fb::PlanBufferHasIdentifier(bytes))
    return {StatusCode::InvalidInput, "file has no plan identifier, expected QWPL, give a file written by qwenc"};
  // A table takes at least 4 bytes, so an honest file never has more: the bound keeps shared subtrees from exploding.
  flatbuffers::Verifier::Options options;
  options.max_depth = 16;
  options.max_tables = flatbuffers::uoffset_t(body.size() / 4 + 1);
  flatbuffers::Verifier verifier(bytes, body.size(), options);
  if (!fb::VerifyPlanBuffer(verifier))
    return badPlan("structure of the plan is broken", "a flatbuffer of the plan schema");
  return Status::ok();
}

Status checkVersion(const fb::Plan &plan) {
  if (plan.version() > kPlanVersion)
    return {StatusCode::Unsupported, text("plan has version ", plan.version(), ", expected ", kPlanVersion,
                                          ", use a newer qwenrt or compile the plan with the qwenc of this one")};
  if (plan.version() < kPlanVersion)
    return {StatusCode::Unsupported, text("plan has version ", plan.version(), ", expected ", kPlanVersion,
                                          ", compile the plan again with the qwenc of this qwenrt")};
  return Status::ok();
}

} // namespace

Status qwenrt::verifyPlan(std::span<const std::byte> file, VerifyOptions options) {
  std::span<const std::byte> body = file;
  if (options.checkTrailer) {
    QWENRT_ASSIGN_OR_RETURN(body, checkTrailer(file));
  }
  QWENRT_RETURN_IF_ERROR(checkStructure(body));
  const fb::Plan &plan = *fb::GetPlan(body.data());
  QWENRT_RETURN_IF_ERROR(checkVersion(plan));
  QWENRT_RETURN_IF_ERROR(verifyBuffers(plan));
  QWENRT_RETURN_IF_ERROR(verifyWeights(plan));
  QWENRT_RETURN_IF_ERROR(verifyCells(plan));
  QWENRT_RETURN_IF_ERROR(verifyKernels(plan, body.size()));
  QWENRT_RETURN_IF_ERROR(verifyEntries(plan));
  QWENRT_RETURN_IF_ERROR(verifyMedia(plan));
  QWENRT_RETURN_IF_ERROR(verifySpeech(plan));
  return verifyGeneration(plan);
}

Status qwenrt::verifyBuffers(const fb::Plan &plan) {
  uint64_t total = 0;
  for (uint32_t i = 0; i < plan.buffers()->size(); ++i) {
    const fb::Buffer &buffer = *plan.buffers()->Get(i);
    std::string name = nameOf("buffer", i, buffer);
    if (buffer.purpose() > fb::BufferPurpose::MAX)
      return badPlan(text(name, " has purpose ", unsigned(buffer.purpose())), "a known one");
    if (buffer.size_bytes() == 0)
      return badPlan(text(name, " has no bytes"), "a size above zero");
    if (__builtin_add_overflow(total, buffer.size_bytes(), &total) || total > uint64_t(1) << 62)
      return badPlan(text("buffers up to ", name, " exceed 2^62 bytes"), "sizes that a device can hold");
  }
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

namespace {

/// A file name that stays inside its folder.
bool staysInside(std::string_view name) {
  if (name.empty() || name.size() > kMaxNameBytes || name.front() == '/' || name.find('\0') != name.npos)
    return false;
  for (size_t start = 0; start <= name.size();) {
    size_t end = std::min(name.find('/', start), name.size());
    if (name.substr(start, end - start) == "..")
      return false;
    start = end + 1;
  }
  return true;
}

Status checkWeightFile(const fb::WeightFile &file, uint32_t ordinal, bool isLast) {
  std::string name = nameOf("weight file", ordinal, file);
  if (!staysInside(file.name()->string_view()))
    return badPlan(text(name, " has a path that leaves the checkpoint"), "a name below the checkpoint's folder");
  if (!rangeFits(8, file.header_bytes(), file.size_bytes()))
    return badPlan(text(name, " has a header of ", file.header_bytes(), " bytes"),
                   text("one within its ", file.size_bytes()));
  if (file.packed() && !isLast)
    return badPlan(text(name, " is packed and not the last one"), "one packed file behind the checkpoint's");
  return Status::ok();
}

/// A packed weight lies in the packed file in rows of its format and says which bf16 tensor it comes from.
Status checkPacked(const fb::Plan &plan, const fb::WeightBinding &weight, const std::string &name) {
  bool isPacked = weight.format() != fb::WeightFormat::BF16;
  if (weight.format() > fb::WeightFormat::MAX)
    return badPlan(text(name, " has format ", unsigned(weight.format())), "a known one");
  if (plan.weight_files()->Get(weight.file())->packed() != isPacked)
    return badPlan(text(name, " has format ", weightFormatName(WeightFormat(weight.format()))),
                   isPacked ? "bf16 in a file of the checkpoint" : "a packed one in the packed file");
  if (!isPacked)
    return Status::ok();
  std::optional<uint64_t> columns = columnsOf(WeightFormat(weight.format()), weight.row_bytes());
  if (!columns)
    return badPlan(text(name, " has rows of ", weight.row_bytes(), " bytes"), "whole blocks of its format");
  if (weight.source_file() >= plan.weight_files()->size() || plan.weight_files()->Get(weight.source_file())->packed())
    return badPlan(text(name, " comes from file ", weight.source_file()), "the ordinal of a file of the checkpoint");
  const fb::WeightFile &source = *plan.weight_files()->Get(weight.source_file());
  uint64_t sourceBytes = 0;
  if (__builtin_mul_overflow(weight.rows(), *columns, &sourceBytes) ||
      __builtin_mul_overflow(sourceBytes, uint64_t(2), &sourceBytes) ||
      weight.source_offset() < 8 + source.header_bytes() ||
      !rangeFits(weight.source_offset(), sourceBytes, source.size_bytes()))
    return badPlan(
        text(name, " is packed from ", weight.rows(), " rows of ", *columns, " weights at ", weight.source_offset()),
        text("a range within the data of its file of ", source.size_bytes(), " bytes"));
  return Status::ok();
}

/// Where a binding lies in its buffer, for the search for overlaps.
struct Placement {
  uint32_t buffer;
  uint64_t begin, end;
  uint32_t ordinal;
  bool operator<(const Placement &other) const {
    return buffer != other.buffer ? buffer < other.buffer : begin < other.begin;
  }
};

Result<Placement> checkWeight(const fb::Plan &plan, uint32_t ordinal) {
  const fb::WeightBinding &weight = *plan.weights()->Get(ordinal);
  std::string name = nameOf("weight", ordinal, weight);
  if (weight.file() >= plan.weight_files()->size())
    return badPlan(text(name, " names file ", weight.file()), text("an ordinal below ", plan.weight_files()->size()));
  if (weight.buffer() >= plan.buffers()->size())
    return badPlan(text(name, " names buffer ", weight.buffer()), text("an ordinal below ", plan.buffers()->size()));
  if (weight.rows() == 0 || weight.row_bytes() == 0)
    return badPlan(text(name, " has ", weight.rows(), " rows of ", weight.row_bytes(), " bytes"), "neither to be zero");
  if (weight.pitch_bytes() < weight.row_bytes())
    return badPlan(text(name, " has pitch ", weight.pitch_bytes()),
                   text("at least its row of ", weight.row_bytes(), " bytes"));
  uint64_t fileBytes = 0, placedBytes = 0;
  if (__builtin_mul_overflow(weight.rows(), weight.row_bytes(), &fileBytes) ||
      __builtin_mul_overflow(weight.rows(), weight.pitch_bytes(), &placedBytes))
    return badPlan(text(name, " has ", weight.rows(), " rows"), "a size that fits 64 bits");

  const fb::WeightFile &file = *plan.weight_files()->Get(weight.file());
  if (weight.file_offset() < 8 + file.header_bytes() || !rangeFits(weight.file_offset(), fileBytes, file.size_bytes()))
    return badPlan(text(name, " reads ", fileBytes, " bytes at ", weight.file_offset()),
                   text("a range within the data of its file of ", file.size_bytes(), " bytes"));
  QWENRT_RETURN_IF_ERROR(checkPacked(plan, weight, name));
  const fb::Buffer &buffer = *plan.buffers()->Get(weight.buffer());
  if (buffer.purpose() != fb::BufferPurpose::Weights)
    return badPlan(text(name, " goes to ", nameOf("buffer", weight.buffer(), buffer)), "a buffer for weights");
  if (!rangeFits(weight.buffer_offset(), placedBytes, buffer.size_bytes()))
    return badPlan(text(name, " takes ", placedBytes, " bytes at ", weight.buffer_offset()),
                   text("a range within its buffer of ", buffer.size_bytes(), " bytes"));
  return Placement{weight.buffer(), weight.buffer_offset(), weight.buffer_offset() + placedBytes, ordinal};
}

} // namespace

Status qwenrt::verifyWeights(const fb::Plan &plan) {
  for (uint32_t i = 0; i < plan.weight_files()->size(); ++i)
    QWENRT_RETURN_IF_ERROR(checkWeightFile(*plan.weight_files()->Get(i), i, i + 1 == plan.weight_files()->size()));

  std::vector<Placement> placements;
  placements.reserve(plan.weights()->size());
  for (uint32_t i = 0; i < plan.weights()->size(); ++i) {
    QWENRT_ASSIGN_OR_RETURN(Placement placement, checkWeight(plan, i));
    placements.push_back(placement);
  }
  std::sort(placements.begin(), placements.end());
  for (size_t i = 1; i < placements.size(); ++i) {
    const Placement &before = placements[i - 1], &after = placements[i];
    if (before.buffer == after.buffer && after.begin < before.end)
      return badPlan(text(nameOf("weight", after.ordinal, *plan.weights()->Get(after.ordinal)), " overlaps ",
                          nameOf("weight", before.ordinal, *plan.weights()->Get(before.ordinal))),
                     "weights side by side");
  }
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Cells, kernels, generation settings
//===----------------------------------------------------------------------===//

Status qwenrt::verifyCells(const fb::Plan &plan) {
  std::set<std::pair<fb::CellKind, uint32_t>> seen;
  std::vector<Placement> placements;
  for (uint32_t i = 0; i < plan.cells()->size(); ++i) {
    const fb::Cell &cell = *plan.cells()->Get(i);
    if (cell.kind() > fb::CellKind::MAX)
      return badPlan(text("cell ", i, " has kind ", unsigned(cell.kind())), "a known one");
    std::string name = text("cell ", fb::EnumNameCellKind(cell.kind()));
    if (!seen.insert({cell.kind(), cell.sequence()}).second)
      return badPlan(text(name, " stands twice"), "each kind once for each sequence");
    if (cell.buffer() >= plan.buffers()->size())
      return badPlan(text(name, " names buffer ", cell.buffer()), text("an ordinal below ", plan.buffers()->size()));
    const fb::Buffer &buffer = *plan.buffers()->Get(cell.buffer());
    bool mailbox = cell.kind() == fb::CellKind::Sampled;
    if (buffer.purpose() != (mailbox ? fb::BufferPurpose::Mailbox : fb::BufferPurpose::State))
      return badPlan(text(name, " lies in ", nameOf("buffer", cell.buffer(), buffer)),
                     mailbox ? "a mailbox buffer" : "a state buffer");
    bool many = mailbox || cell.kind() == fb::CellKind::Tokens || cell.kind() == fb::CellKind::Extents ||
                cell.kind() == fb::CellKind::RotaryPositions || cell.kind() == fb::CellKind::MediaRows;
    if (cell.count() == 0 || (!many && cell.count() != 1))
      return badPlan(text(name, " has ", cell.count(), " elements"), many ? "at least one" : "one");
    if (cell.offset() % 4 != 0 || !rangeFits(cell.offset(), uint64_t(cell.count()) * 4, buffer.size_bytes()))
      return badPlan(text(name, " takes ", cell.count(), " elements at byte ", cell.offset()),
                     text("whole words within its buffer of ", buffer.size_bytes(), " bytes"));
    placements.push_back({cell.buffer(), cell.offset(), cell.offset() + uint64_t(cell.count()) * 4, i});
  }
  std::sort(placements.begin(), placements.end());
  for (size_t i = 1; i < placements.size(); ++i)
    if (placements[i - 1].buffer == placements[i].buffer && placements[i].begin < placements[i - 1].end)
      return badPlan(
          text("cell ", fb::EnumNameCellKind(plan.cells()->Get(placements[i].ordinal)->kind()), " overlaps another"),
          "cells side by side");
  return Status::ok();
}

static Status verifyKernel(const fb::Kernel &kernel, uint32_t ordinal) {
  std::string name = nameOf("kernel", ordinal, kernel);
  if (kernel.name()->size() == 0 || kernel.name()->size() > kMaxNameBytes)
    return badPlan(text(name, " has a name of ", kernel.name()->size(), " bytes"), text("1 to ", kMaxNameBytes));
  const fb::Extent3 *workgroup = kernel.workgroup();
  if (!workgroup)
    return badPlan(text(name, " has no workgroup size"), "one");
  uint64_t x = workgroup->x(), y = workgroup->y(), z = workgroup->z();
  bool sane = x - 1 < kMaxWorkgroupInvocations && y - 1 < kMaxWorkgroupInvocations && z - 1 < kMaxWorkgroupInvocations;
  if (!sane || x * y * z > kMaxWorkgroupInvocations)
    return badPlan(text(name, " has workgroup ", x, "x", y, "x", z),
                   text("1 to ", kMaxWorkgroupInvocations, " invocations"));
  uint32_t subgroup = kernel.subgroup_size();
  if (subgroup > kMaxSubgroupSize || (subgroup & (subgroup - 1)) != 0)
    return badPlan(text(name, " requires subgroups of ", subgroup), text("a power of two up to ", kMaxSubgroupSize));
  if (kernel.shared_bytes() > kMaxSharedBytes)
    return badPlan(text(name, " takes ", kernel.shared_bytes(), " bytes of shared memory"),
                   text("at most ", kMaxSharedBytes));
  if (uint32_t(kernel.features()) & ~uint32_t(fb::Feature::ANY))
    return {StatusCode::Unsupported, text(name, " needs feature bits ", uint32_t(kernel.features()),
                                          ", expected known ones, use a newer qwenrt")};
  if (kernel.operands()->size() > kMaxOperands)
    return badPlan(text(name, " has ", kernel.operands()->size(), " operands"), text("at most ", kMaxOperands));
  for (uint32_t i = 0; i < kernel.operands()->size(); ++i)
    if (kernel.operands()->Get(i)->access() > fb::Access::MAX)
      return badPlan(text(name, " has an unknown access of operand ", i), "read, write or both");
  return verifySpirv(kernel);
}

Status qwenrt::verifyKernels(const fb::Plan &plan, uint64_t fileBytes) {
  uint64_t words = 0;
  for (uint32_t i = 0; i < plan.kernels()->size(); ++i) {
    const fb::Kernel &kernel = *plan.kernels()->Get(i);
    words += kernel.spirv()->size();
    if (words > fileBytes / 4) // kernels that share bytes could make the walk quadratic
      return badPlan(text("kernels up to ", i, " hold ", words, " words of SPIR-V"), "no more than the file has");
    QWENRT_RETURN_IF_ERROR(verifyKernel(kernel, i));
  }
  return Status::ok();
}

Status qwenrt::verifySampling(const fb::Generation &sampling, const std::string &name) {
  auto sane = [](float value, float low, float high) { return std::isfinite(value) && value >= low && value <= high; };
  if (!sane(sampling.temperature(), 0, 1e6f))
    return badPlan(text(name, " have a broken temperature"), "a number from 0");
  if (!sane(sampling.top_p(), 0, 1))
    return badPlan(text(name, " have a broken top_p"), "a number from 0 to 1");
  if (!sane(sampling.repetition_penalty(), 1e-6f, 1e6f))
    return badPlan(text(name, " have a broken repetition_penalty"), "a number above 0");
  for (uint32_t i = 0; i < sampling.stop_ids()->size(); ++i)
    if (sampling.stop_ids()->Get(i) > 0x7fffffff)
      return badPlan(text("stop id ", i, " is ", sampling.stop_ids()->Get(i)), "a token id");
  return Status::ok();
}

Status qwenrt::verifyGeneration(const fb::Plan &plan) {
  return plan.generation() ? verifySampling(*plan.generation(), "generation settings") : Status::ok();
}
