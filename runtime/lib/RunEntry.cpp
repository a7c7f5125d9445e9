//===- RunEntry.cpp - One entry on host tensors ------------------------------------------------------------------===//
#include "SessionState.h"
#include "Text.h"

#include <algorithm>
#include <cstring>
#include <map>

using namespace qwenrt;

namespace {

std::string shapeText(fb::DType dtype, const std::vector<uint64_t> &shape) {
  std::string result = text(fb::EnumNameDType(dtype), "[");
  for (size_t i = 0; i < shape.size(); ++i)
    result += text(i ? "," : "", shape[i]);
  return result + "]";
}

std::string shapeText(const fb::EntryTensor &tensor) {
  std::string result = text(fb::EnumNameDType(tensor.dtype()), "[");
  for (uint32_t i = 0; i < tensor.dims()->size(); ++i) {
    const fb::Dim &dim = *tensor.dims()->Get(i);
    bool symbolic = dim.symbol() && dim.symbol()->size();
    result +=
        text(i ? "," : "", symbolic ? text(printable(dim.symbol()->string_view()), "<=") : std::string(), dim.size());
  }
  return result + "]";
}

/// The extents of the symbols in one run.
using Extents = std::map<std::string_view, uint64_t>;

std::string_view symbolOf(const fb::Dim &dim) {
  return dim.symbol() ? dim.symbol()->string_view() : std::string_view();
}

/// Checks \p given against \p expected and notes the extents of its symbols.
Status bindShape(const fb::EntryTensor &expected, const HostTensor &given, Extents &extents) {
  Status mismatch(StatusCode::InvalidInput,
                  text("input '", printable(given.name), "' is ", shapeText(given.dtype, given.shape), ", expected ",
                       shapeText(expected), ", give it that type"));
  if (given.dtype != expected.dtype() || given.shape.size() != expected.dims()->size())
    return mismatch;
  uint64_t bytes = elementBytes(given.dtype);
  for (uint32_t i = 0; i < given.shape.size(); ++i) {
    const fb::Dim &dim = *expected.dims()->Get(i);
    uint64_t extent = given.shape[i];
    std::string_view symbol = symbolOf(dim);
    if (extent == 0 || extent > dim.size() || (symbol.empty() && extent != dim.size()))
      return mismatch;
    if (!symbol.empty())
      if (auto [at, first] = extents.try_emplace(symbol, extent); !first && at->second != extent)
        return {StatusCode::InvalidInput,
                text("input '", printable(given.name), "' has ", printable(symbol), " = ", extent, ", expected ",
                     at->second, " as another input has, make them agree")};
    bytes *= extent; // at most the verified size at the maximum
  }
  if (bytes != given.data.size())
    return {StatusCode::InvalidInput, text("input '", printable(given.name), "' has ", given.data.size(),
                                           " bytes, expected ", bytes, ", fill its shape")};
  return Status::ok();
}

/// Whether \p tensor is the token history: what stands in it are rows of the embedding table.
bool holdsTokens(const fb::EntryTensor &tensor, const fb::Cell *tokens) {
  return tokens && tensor.dtype() == fb::DType::I32 && tensor.buffer() == tokens->buffer() &&
         tensor.offset() >= tokens->offset() && tensor.offset() < tokens->offset() + uint64_t(tokens->count()) * 4;
}

const HostTensor *findTensor(std::span<const HostTensor> tensors, std::string_view name) {
  auto at =
      std::find_if(tensors.begin(), tensors.end(), [name](const HostTensor &tensor) { return tensor.name == name; });
  return at == tensors.end() ? nullptr : &*at;
}

} // namespace

Status Session::run(std::string_view name, std::span<const HostTensor> inputs, std::vector<HostTensor> &outputs) {
  State &state = *state_;
  outputs.clear();
  QWENRT_RETURN_IF_ERROR(state.requireLoaded());
  std::optional<uint32_t> ordinal = state.plan->findEntry(name);
  if (!ordinal)
    return {StatusCode::NotFound,
            text("plan has no entry '", printable(name), "', expected one of its own, see --entry list")};
  const fb::Entry &entry = state.entry(*ordinal);
  QWENRT_RETURN_IF_ERROR(checkEntry(state.plan->root(), entry, state.device->info()));

  Extents extents;
  for (const fb::EntryTensor *tensor : *entry.inputs()) {
    const HostTensor *given = findTensor(inputs, tensor->name()->string_view());
    if (!given)
      return {StatusCode::InvalidInput, text("input '", printable(tensor->name()->string_view()),
                                             "' is missing, expected ", shapeText(*tensor), ", add it")};
    QWENRT_RETURN_IF_ERROR(bindShape(*tensor, *given, extents));
    if (holdsTokens(*tensor, state.plan->findCell(fb::CellKind::Tokens))) {
      std::vector<int32_t> ids(given->data.size() / sizeof(int32_t));
      std::memcpy(ids.data(), given->data.data(), given->data.size());
      QWENRT_RETURN_IF_ERROR(state.checkTokens(ids));
    }
  }
  QWENRT_RETURN_IF_ERROR(reset());
  Transfer &transfer = state.replay->transfer();
  for (const fb::EntryTensor *tensor : *entry.inputs())
    QWENRT_RETURN_IF_ERROR(transfer.write(state.replay->buffer(tensor->buffer()), tensor->offset(),
                                          findTensor(inputs, tensor->name()->string_view())->data));
  for (const fb::SymbolCell *symbol : *entry.symbols())
    if (auto at = extents.find(symbol->symbol()->string_view()); at != extents.end())
      QWENRT_RETURN_IF_ERROR(state.writeCell(symbol->cell(), uint32_t(at->second)));

  uint64_t value = 0;
  QWENRT_RETURN_IF_ERROR(state.submit(*ordinal, 1, value));
  QWENRT_RETURN_IF_ERROR(state.replay->waitAll());
  for (const fb::SymbolCell *symbol : *entry.symbols()) // set by the device where no input said it
    if (!extents.count(symbol->symbol()->string_view())) {
      QWENRT_ASSIGN_OR_RETURN(uint32_t extent, state.readCell(symbol->cell()));
      extents[symbol->symbol()->string_view()] = std::min<uint64_t>(extent, symbol->max());
    }
  for (const fb::EntryTensor *tensor : *entry.outputs()) {
    HostTensor output = {tensor->name()->str(), tensor->dtype(), {}, {}};
    uint64_t bytes = elementBytes(tensor->dtype());
    for (const fb::Dim *dim : *tensor->dims()) {
      auto at = extents.find(symbolOf(*dim));
      output.shape.push_back(at == extents.end() ? dim->size() : std::min<uint64_t>(at->second, dim->size()));
      bytes *= output.shape.back();
    }
    output.data.resize(bytes);
    QWENRT_RETURN_IF_ERROR(transfer.read(state.replay->buffer(tensor->buffer()), tensor->offset(), output.data));
    outputs.push_back(std::move(output));
  }
  return reset();
}
