//===- Plan.cpp - Read a plan file -------------------------------------------------------------------------------===//
#include "qwenrt/Plan.h"

#include "File.h"
#include "Text.h"
#include "VerifyPlan.h"
#include "runtime/schema/PlanNames.h"

#include <cstring>

using namespace qwenrt;

uint32_t qwenrt::elementBytes(fb::DType dtype) { return bytesOfElement(dtype); }

Result<std::shared_ptr<const Plan>> Plan::open(const std::string &path) {
  QWENRT_ASSIGN_OR_RETURN(File file, File::open(path));
  if (file.sizeBytes() >= FLATBUFFERS_MAX_BUFFER_SIZE)
    return Status(StatusCode::InvalidInput, text("'", printable(path), "' has ", formatBytes(file.sizeBytes()),
                                                 ", expected a plan below 2 GiB, give a file written by qwenc"));
  std::vector<uint64_t> words((file.sizeBytes() + 7) / 8);
  QWENRT_RETURN_IF_ERROR(file.readAt(0, words.data(), file.sizeBytes()));
  std::span bytes(reinterpret_cast<const std::byte *>(words.data()), file.sizeBytes());
  if (Status status = verifyPlan(bytes); !status)
    return std::move(status).withContext(printable(path));
  auto plan = std::shared_ptr<Plan>(new Plan());
  plan->storage_ = std::move(words);
  plan->sizeBytes_ = file.sizeBytes();
  size_t slash = path.rfind('/');
  plan->folder_ = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  return std::shared_ptr<const Plan>(std::move(plan));
}

Result<std::shared_ptr<const Plan>> Plan::fromBytes(std::span<const std::byte> file, std::string folder) {
  auto plan = std::shared_ptr<Plan>(new Plan());
  plan->storage_.resize((file.size() + 7) / 8);
  if (!file.empty())
    std::memcpy(plan->storage_.data(), file.data(), file.size());
  std::span aligned(reinterpret_cast<const std::byte *>(plan->storage_.data()), file.size());
  QWENRT_RETURN_IF_ERROR(verifyPlan(aligned));
  plan->sizeBytes_ = file.size();
  plan->folder_ = std::move(folder);
  return std::shared_ptr<const Plan>(std::move(plan));
}

std::optional<uint32_t> qwenrt::findEntry(const fb::Plan &plan, std::string_view name) {
  for (uint32_t i = 0; i < plan.entries()->size(); ++i)
    if (plan.entries()->Get(i)->name()->string_view() == name)
      return i;
  return std::nullopt;
}

const fb::Cell *qwenrt::findCell(const fb::Plan &plan, fb::CellKind kind, uint32_t sequence) {
  for (const fb::Cell *cell : *plan.cells())
    if (cell->kind() == kind && cell->sequence() == sequence)
      return cell;
  return nullptr;
}

std::optional<uint32_t> Plan::findEntry(std::string_view name) const { return qwenrt::findEntry(root(), name); }

const fb::Cell *Plan::findCell(fb::CellKind kind, uint32_t sequence) const {
  return qwenrt::findCell(root(), kind, sequence);
}

uint64_t Plan::purposeBytes(fb::BufferPurpose purpose) const {
  uint64_t total = 0;
  for (const fb::Buffer *buffer : *root().buffers())
    if (buffer->purpose() == purpose)
      total += buffer->size_bytes();
  return total;
}

bool Plan::generatesText() const {
  for (const fb::Entry *entry : *root().entries())
    if (entry->role() == fb::Role::Prefill)
      return true;
  return false;
}
