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
    std::string factor = dim.factor() == 1 ? "" : text(dim.factor(), "*");
    result += text(i ? "," : "", symbolic ? text(factor, printable(dim.symbol()->string_view()), "<=", dim.size())
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
      lines += text("  in  ", printable(tensor->name()->string_view()), ": ", typeText(*tensor),
                    tensor->optional() ? ", optional\n" : "\n");
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

/// Reads those tensors of \p path that \p entry takes, under names that begin with \p prefix there; types that plans do
/// not have are left for the entry to miss.
Result<std::vector<HostTensor>> readInputs(const std::string &path, const fb::Entry &entry, const std::string &prefix) {
  QWENRT_ASSIGN_OR_RETURN(qwenc::SafetensorsHeader header, qwenc::readSafetensorsHeader(path));
  QWENRT_ASSIGN_OR_RETURN(File file, File::open(path));
  std::vector<HostTensor> inputs;
  for (const fb::EntryTensor *wanted : *entry.inputs()) {
    auto at = header.tensors.find(prefix + wanted->name()->str());
    if (at == header.tensors.end())
      continue;
    const qwenc::StoredTensor &stored = at->second;
    HostTensor input = {wanted->name()->str(), fb::DType::F32, stored.shape, {}};
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

struct Step {
  std::string entry, prefix; ///< what its tensors' names begin with in the files
  std::vector<HostTensor> inputs;
};

/// The entries to run: one, or several separated by commas, whose tensors are numbered: "0/input_ids".
Result<std::vector<Step>> readSteps(const Options &options, const Plan &plan) {
  constexpr size_t maxSteps = 4096;
  std::vector<Step> steps;
  for (size_t start = 0; start <= options.entry.size() && steps.size() < maxSteps;) {
    size_t end = std::min(options.entry.find(',', start), options.entry.size());
    steps.push_back({options.entry.substr(start, end - start), text(steps.size(), "/"), {}});
    start = end + 1;
  }
  if (steps.size() == 1)
    steps[0].prefix.clear();
  for (Step &step : steps) {
    std::optional<uint32_t> ordinal = plan.findEntry(step.entry);
    if (!ordinal)
      return Status(StatusCode::NotFound,
                    text("plan has no entry '", printable(step.entry), "', expected one of its own, see --entry list"));
    QWENRT_ASSIGN_OR_RETURN(step.inputs,
                            readInputs(options.inputsPath, *plan.root().entries()->Get(*ordinal), step.prefix));
  }
  return std::move(steps);
}

Status runEntries(const Options &options, std::shared_ptr<const Plan> plan) {
  QWENRT_ASSIGN_OR_RETURN(std::vector<Step> steps, readSteps(options, *plan));
  QWENRT_ASSIGN_OR_RETURN(Runtime runtime, openRuntime(options, plan));
  std::vector<HostTensor> all;
  for (const Step &step : steps) {
    std::vector<HostTensor> outputs;
    QWENRT_RETURN_IF_ERROR(runtime.session->run(
        step.entry, step.inputs, outputs, steps.size() == 1 ? Session::RunState::Reset : Session::RunState::Keep));
    for (HostTensor &output : outputs) {
      output.name = step.prefix + output.name;
      all.push_back(std::move(output));
    }
  }
  QWENRT_RETURN_IF_ERROR(writeOutputs(options.outputsPath, all));
  return closeRuntime(options, runtime);
}

} // namespace

int tool::runEntryMode(const Options &options, std::shared_ptr<const Plan> plan) {
  if (options.entry == "list") {
    listEntries(plan->root());
    return 0;
  }
  Status status = runEntries(options, std::move(plan));
  return status.isOk() ? 0 : reportFailure(status);
}
