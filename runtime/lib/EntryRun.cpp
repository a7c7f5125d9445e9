//===- EntryRun.cpp ----------------------------------------------------------------------------------------------===//
#include "EntryRun.h"

#include "Text.h"

#include <algorithm>
#include <cstring>

using namespace qwenrt;

namespace {

std::string_view symbolOf(const fb::Dim &dim) {
  return dim.symbol() ? dim.symbol()->string_view() : std::string_view();
}

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
    result += i ? "," : "";
    if (dim.factor() != 1)
      result += text(dim.factor(), "*");
    if (!symbolOf(dim).empty())
      result += text(printable(symbolOf(dim)), "<=");
    result += std::to_string(dim.size());
  }
  return result + "]";
}

bool liesIn(const fb::EntryTensor &tensor, const fb::Cell *cell) {
  return cell && tensor.buffer() == cell->buffer() && tensor.offset() >= cell->offset() &&
         tensor.offset() < cell->offset() + uint64_t(cell->count()) * 4;
}

uint64_t rowCount(const HostTensorView &tensor) { return tensor.shape.empty() ? 1 : tensor.shape[0]; }

uint64_t rowBytes(const HostTensorView &tensor) {
  uint64_t bytes = elementBytes(tensor.dtype);
  for (size_t i = 1; i < tensor.shape.size(); ++i)
    bytes *= tensor.shape[i];
  return bytes;
}

const HostTensorView *findTensor(std::span<const HostTensorView> tensors, std::string_view name) {
  auto at = std::find_if(tensors.begin(), tensors.end(),
                         [name](const HostTensorView &tensor) { return tensor.name == name; });
  return at == tensors.end() ? nullptr : &*at;
}

} // namespace

/// Checks \p given against \p expected and notes the extents of its symbols.
Status EntryRun::bindShape(const fb::EntryTensor &expected, const HostTensorView &given) {
  Status mismatch(StatusCode::InvalidInput,
                  text("input '", printable(given.name), "' is ", shapeText(given.dtype, given.shape), ", expected ",
                       shapeText(expected), ", give it that type"));
  if (given.dtype != expected.dtype() || given.shape.size() != expected.dims()->size() ||
      (given.fill && given.dtype != fb::DType::F32)) // nobody could look at ids that are not there yet
    return mismatch;
  uint64_t bytes = elementBytes(given.dtype);
  for (uint32_t i = 0; i < given.shape.size(); ++i) {
    const fb::Dim &dim = *expected.dims()->Get(i);
    std::string_view symbol = symbolOf(dim);
    uint64_t elements = given.shape[i], extent = elements / dim.factor();
    if (elements == 0 || elements > dim.size() || elements % dim.factor() != 0 ||
        (symbol.empty() && elements != dim.size()))
      return mismatch;
    if (!symbol.empty())
      if (auto [at, first] = extents_.try_emplace(symbol, extent); !first && at->second != extent)
        return {StatusCode::InvalidInput,
                text("input '", printable(given.name), "' has ", printable(symbol), " = ", extent, ", expected ",
                     at->second, " as another input has, make them agree")};
    bytes *= elements; // at most the verified size at the maximum
  }
  if (!given.fill && bytes != given.data.size())
    return {StatusCode::InvalidInput, text("input '", printable(given.name), "' has ", given.data.size(),
                                           " bytes, expected ", bytes, ", fill its shape")};
  return Status::ok();
}

Status EntryRun::bind(std::span<const HostTensorView> inputs) {
  inputs_ = inputs;
  // What stands in the history of text are rows of a table that the host knows.
  const fb::Cell *tokens = entry_.sequence() == 0 ? state_.plan->findCell(fb::CellKind::Tokens) : nullptr;
  for (const fb::EntryTensor *tensor : *entry_.inputs()) {
    const HostTensorView *given = findTensor(inputs, tensor->name()->string_view());
    if (!given && tensor->optional())
      continue;
    if (!given)
      return {StatusCode::InvalidInput, text("input '", printable(tensor->name()->string_view()),
                                             "' is missing, expected ", shapeText(*tensor), ", add it")};
    QWENRT_RETURN_IF_ERROR(bindShape(*tensor, *given));
    if (tensor->dtype() == fb::DType::I32 && liesIn(*tensor, tokens)) {
      std::vector<int32_t> ids(given->data.size() / sizeof(int32_t));
      std::memcpy(ids.data(), given->data.data(), given->data.size());
      QWENRT_RETURN_IF_ERROR(state_.checkTokens(ids));
    }
  }
  return Status::ok();
}

Status EntryRun::write() {
  Transfer &transfer = state_.replay->transfer();
  for (const fb::EntryTensor *tensor : *entry_.inputs()) {
    const HostTensorView *given = findTensor(inputs_, tensor->name()->string_view());
    const DeviceBuffer &buffer = state_.replay->buffer(tensor->buffer());
    if (given && given->fill)
      QWENRT_RETURN_IF_ERROR(transfer.write(buffer, tensor->offset(), rowBytes(*given), rowCount(*given), given->fill));
    else if (given)
      QWENRT_RETURN_IF_ERROR(transfer.write(buffer, tensor->offset(), given->data));
    else
      QWENRT_RETURN_IF_ERROR(writeDefault(*tensor));
  }
  return writeExtents();
}

Status EntryRun::writeExtent(std::string_view symbol, uint64_t value) {
  extents_[symbol] = value;
  return writeExtents();
}

Status EntryRun::writeExtents() {
  for (const fb::SymbolCell *symbol : *entry_.symbols())
    if (std::optional<uint64_t> value = extent(symbol->symbol()->string_view())) {
      uint32_t word = uint32_t(*value);
      QWENRT_RETURN_IF_ERROR(state_.writeCell(symbol->cell(), &word, symbol->index(), entry_.sequence()));
    }
  return state_.replay->setExtents(ordinal_, [this](std::string_view symbol) { return extent(symbol); });
}

/// Text without media: positions count up and no token takes a row. What no token takes needs no value.
Status EntryRun::writeDefault(const fb::EntryTensor &tensor) {
  const bool positions = liesIn(tensor, state_.plan->findCell(fb::CellKind::RotaryPositions, entry_.sequence()));
  if (!positions && !liesIn(tensor, state_.plan->findCell(fb::CellKind::MediaRows, entry_.sequence())))
    return Status::ok();
  uint64_t elements = 1;
  for (const fb::Dim *dim : *tensor.dims())
    elements *= extentOf(*dim);
  std::vector<float> values(positions ? elements : 0);
  for (uint64_t i = 0; i < values.size(); ++i)
    values[i] = float(i / 3);
  std::vector<int32_t> rows(positions ? 0 : elements, -1);
  std::span<const std::byte> bytes = positions ? std::as_bytes(std::span(values)) : std::as_bytes(std::span(rows));
  // The range of the tensor is proved, its element type is not.
  bytes = bytes.first(std::min<size_t>(bytes.size(), tensor.size_bytes()));
  return state_.replay->transfer().write(state_.replay->buffer(tensor.buffer()), tensor.offset(), bytes);
}

std::optional<uint64_t> EntryRun::extent(std::string_view symbol) const {
  auto at = extents_.find(symbol);
  return at == extents_.end() ? std::nullopt : std::optional(at->second);
}

uint64_t EntryRun::extentOf(const fb::Dim &dim) const {
  std::optional<uint64_t> value = extent(symbolOf(dim));
  return value ? std::min(*value * dim.factor(), dim.size()) : dim.size();
}

Status EntryRun::readExtents() {
  for (const fb::SymbolCell *symbol : *entry_.symbols())
    if (!extent(symbol->symbol()->string_view())) {
      QWENRT_ASSIGN_OR_RETURN(uint32_t value, state_.readCell(symbol->cell(), symbol->index(), entry_.sequence()));
      extents_[symbol->symbol()->string_view()] = std::min<uint64_t>(value, symbol->max());
    }
  return Status::ok();
}

Status EntryRun::read(const fb::EntryTensor &tensor, HostTensor &output) {
  output = {tensor.name()->str(), tensor.dtype(), {}, {}};
  uint64_t bytes = elementBytes(tensor.dtype());
  for (const fb::Dim *dim : *tensor.dims()) {
    output.shape.push_back(extentOf(*dim));
    bytes *= output.shape.back();
  }
  output.data.resize(bytes);
  return state_.replay->transfer().read(state_.replay->buffer(tensor.buffer()), tensor.offset(), output.data);
}
