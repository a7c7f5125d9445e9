//===- EntryMode.cpp - One entry of the plan on given tensors ----------------------------------------------------===//
#include "Terminal.h"
#include "TextMode.h"
#include "models/Checkpoint/SafetensorsWriter.h"
#include "runtime/lib/File.h"
#include "runtime/lib/Text.h"

#include <cstring>

using namespace qwenrt;
using namespace qwenrt::tool;

namespace {

/// Element types on both sides.
constexpr struct {
  fb::DType plan;
  qwenc::StoredDType stored;
} kDTypes[] = {{fb::DType::F32, qwenc::StoredDType::F32}, {fb::DType::BF16, qwenc::StoredDType::BF16},
               {fb::DType::F16, qwenc::StoredDType::F16}, {fb::DType::I32, qwenc::StoredDType::I32},
               {fb::DType::U32, qwenc::StoredDType::U32}, {fb::DType::U8, qwenc::StoredDType::U8}};

std::string typeText(const fb::EntryTensor &tensor) {
  std::string result = fb::EnumNameDType(tensor.dtype());
  for (char &c : result)
    c = char(std::tolower(static_cast<unsigned char>(c)));
  result += "[";
  for (uint32_t i = 0; i < tensor.dims()->size(); ++i) {
    const fb::Dim &dim = *tensor.dims()->Get(i);
    bool symbolic = dim.symbol() && dim.symbol()->size();
    result += text(i ? "," : "", symbolic ? text(printable(dim.symbol()->string_view()), "<=", dim.size())
                                          : std::to_string(dim.size()));
  }
  return result + "]";
}

/// One line per entry and one per tensor.
void listEntries(const fb::Plan &plan) {
  std::string lines;
  for (const fb::Entry *entry : *plan.entries()) {
    lines += text(printable(entry->name()->string_view()), " (", fb::EnumNameRole(entry->role()), ", rows ",
                  entry->rows(), ", ", entry->dispatches()->size(), " dispatches)\n");
    for (const fb::EntryTensor *tensor : *entry->inputs())
      lines += text("  in  ", printable(tensor->name()->string_view()), ": ", typeText(*tensor), "\n");
    for (const fb::EntryTensor *tensor : *entry->outputs())
      lines += text("  out ", printable(tensor->name()->string_view()), ": ", typeText(*tensor), "\n");
  }
  writeOutput(lines);
}

/// What PyTorch and NumPy write for token ids; InvalidInput if a value needs more than 32 bits.
Status narrowToI32(HostTensor &tensor) {
  size_t count = tensor.data.size() / sizeof(int64_t);
  for (size_t i = 0; i < count; ++i) {
    int64_t wide = 0;
    std::memcpy(&wide, tensor.data.data() + i * sizeof(wide), sizeof(wide));
    int32_t narrow = int32_t(wide);
    if (narrow != wide)
      return {StatusCode::InvalidInput,
              text("input '", printable(tensor.name), "' holds ", wide, ", expected numbers of 32 bits, correct it")};
    std::memcpy(tensor.data.data() + i * sizeof(narrow), &narrow, sizeof(narrow));
  }
  tensor.data.resize(count * sizeof(int32_t));
  return Status::ok();
}

/// Reads those tensors of \p path that \p entry takes; types that plans do not have are left for the entry to miss.
Result<std::vector<HostTensor>> readInputs(const std::string &path, const fb::Entry &entry) {
  QWENRT_ASSIGN_OR_RETURN(qwenc::SafetensorsHeader header, qwenc::readSafetensorsHeader(path));
  QWENRT_ASSIGN_OR_RETURN(File file, File::open(path));
  std::vector<HostTensor> inputs;
  for (const fb::EntryTensor *wanted : *entry.inputs()) {
    auto at = header.tensors.find(wanted->name()->str());
    if (at == header.tensors.end())
      continue;
    const qwenc::StoredTensor &stored = at->second;
    HostTensor input = {at->first, fb::DType::F32, stored.shape, {}};
    bool known = false;
    for (const auto &dtype : kDTypes)
      if (dtype.stored == stored.dtype) {
        input.dtype = dtype.plan;
        known = true;
      }
    bool narrow = stored.dtype == qwenc::StoredDType::I64 && wanted->dtype() == fb::DType::I32;
    if (narrow)
      input.dtype = fb::DType::I32;
    if (!known && !narrow)
      return Status(StatusCode::InvalidInput,
                    text("input '", printable(at->first), "' has dtype ", qwenc::storedDTypeName(stored.dtype),
                         ", expected ", typeText(*wanted), ", convert it"));
    if (stored.sizeBytes > wanted->size_bytes() * (narrow ? 2 : 1))
      return Status(StatusCode::InvalidInput, text("input '", printable(at->first), "' has ", stored.sizeBytes,
                                                   " bytes, expected ", typeText(*wanted), ", make it smaller"));
    input.data.resize(stored.sizeBytes);
    QWENRT_RETURN_IF_ERROR(file.readAt(stored.offsetBytes, input.data.data(), stored.sizeBytes));
    if (narrow)
      QWENRT_RETURN_IF_ERROR(narrowToI32(input));
    inputs.push_back(std::move(input));
  }
  return inputs;
}

Status writeOutputs(const std::string &path, const std::vector<HostTensor> &outputs) {
  std::vector<qwenc::TensorData> tensors;
  for (const HostTensor &output : outputs) {
    qwenc::StoredDType stored = qwenc::StoredDType::F32;
    for (const auto &dtype : kDTypes)
      if (dtype.plan == output.dtype)
        stored = dtype.stored;
    tensors.push_back({{output.name, stored, output.shape}, output.data});
  }
  return qwenc::writeSafetensors(path, tensors);
}

Status runEntry(const Options &options, std::shared_ptr<const Plan> plan) {
  std::optional<uint32_t> ordinal = plan->findEntry(options.entry);
  if (!ordinal)
    return {StatusCode::NotFound,
            text("plan has no entry '", printable(options.entry), "', expected one of its own, see --entry list")};
  std::vector<std::vector<HostTensor>> inputs;
  for (const std::string &path : options.inputsPaths) {
    QWENRT_ASSIGN_OR_RETURN(std::vector<HostTensor> tensors, readInputs(path, *plan->root().entries()->Get(*ordinal)));
    inputs.push_back(std::move(tensors));
  }
  QWENRT_ASSIGN_OR_RETURN(Runtime runtime, openRuntime(options, plan));
  QWENRT_RETURN_IF_ERROR(runtime.session->reset());
  for (size_t i = 0; i < inputs.size(); ++i) {
    std::vector<HostTensor> outputs;
    QWENRT_RETURN_IF_ERROR(runtime.session->runOn(options.entry, inputs[i], outputs));
    QWENRT_RETURN_IF_ERROR(writeOutputs(options.outputsPaths[i], outputs));
  }
  return closeRuntime(options, runtime);
}

} // namespace

int tool::runEntryMode(const Options &options, std::shared_ptr<const Plan> plan) {
  if (options.entry == "list") {
    listEntries(plan->root());
    return 0;
  }
  Status status = runEntry(options, std::move(plan));
  return status.isOk() ? 0 : reportFailure(status);
}
