//===- VerifyEntries.cpp - Entries: dispatches, tensors, symbols, roles ------------------------------------------===//
#include "VerifyPlan.h"
#include "qwenrt/Plan.h"

#include <set>
#include <string_view>

using namespace qwenrt;

namespace {

/// Checks one entry of the plan; `where` names it in messages.
class EntryVerifier {
public:
  EntryVerifier(const fb::Plan &plan, uint32_t ordinal)
      : plan(plan), entry(*plan.entries()->Get(ordinal)), where(nameOf("entry", ordinal, entry)) {}

  Status verify() {
    if (entry.name()->size() == 0 || entry.name()->size() > kMaxNameBytes)
      return badPlan(text(where, " has a name of ", entry.name()->size(), " bytes"), text("1 to ", kMaxNameBytes));
    if (entry.role() > fb::Role::MAX)
      return badPlan(text(where, " has role ", unsigned(entry.role())), "a known one");
    QWENRT_RETURN_IF_ERROR(verifySymbols());
    QWENRT_RETURN_IF_ERROR(verifyTensors(*entry.inputs(), "input"));
    QWENRT_RETURN_IF_ERROR(verifyTensors(*entry.outputs(), "output"));
    for (uint32_t i = 0; i < entry.dispatches()->size(); ++i)
      QWENRT_RETURN_IF_ERROR(verifyDispatch(*entry.dispatches()->Get(i), i));
    return verifyRole();
  }

private:
  Status verifySymbols() {
    std::set<std::string_view> names;
    for (const fb::SymbolCell *symbol : *entry.symbols()) {
      std::string name = text(where, " has symbol '", printable(symbol->symbol()->string_view()), "'");
      if (!names.insert(symbol->symbol()->string_view()).second)
        return badPlan(text(name, " twice"), "each symbol once");
      bool integer = symbol->cell() <= fb::CellKind::Step || symbol->cell() == fb::CellKind::Extents ||
                     symbol->cell() == fb::CellKind::TextRows;
      const fb::Cell *cell = integer ? findCell(symbol->cell()) : nullptr;
      if (!cell)
        return badPlan(text(name, " for cell ", unsigned(symbol->cell())), "a counting cell of the plan");
      if (symbol->index() >= cell->count())
        return badPlan(text(name, " at element ", symbol->index()), text("one below ", cell->count()));
      if (symbol->max() == 0 || symbol->max() > UINT32_MAX)
        return badPlan(text(name, " of maximum ", symbol->max()), "1 to 2^32 - 1");
    }
    return Status::ok();
  }

  Status verifyTensors(const flatbuffers::Vector<flatbuffers::Offset<fb::EntryTensor>> &tensors, const char *what) {
    std::set<std::string_view> names;
    for (const fb::EntryTensor *tensor : tensors) {
      std::string name = text(where, " has ", what, " '", printable(tensor->name()->string_view()), "'");
      if (!names.insert(tensor->name()->string_view()).second)
        return badPlan(text(name, " twice"), "each name once");
      QWENRT_RETURN_IF_ERROR(verifyTensor(*tensor, name));
    }
    return Status::ok();
  }

  Status verifyTensor(const fb::EntryTensor &tensor, const std::string &name) {
    if (tensor.dtype() > fb::DType::MAX)
      return badPlan(text(name, " of dtype ", unsigned(tensor.dtype())), "a known one");
    if (tensor.dims()->size() > kMaxDims)
      return badPlan(text(name, " of ", tensor.dims()->size(), " dimensions"), text("at most ", kMaxDims));
    uint64_t sizeBytes = elementBytes(tensor.dtype());
    for (const fb::Dim *dim : *tensor.dims()) {
      if (dim->size() == 0 || __builtin_mul_overflow(sizeBytes, dim->size(), &sizeBytes))
        return badPlan(text(name, " with an extent of ", dim->size()),
                       "extents above zero of a size that fits 64 bits");
      QWENRT_RETURN_IF_ERROR(verifyDimSymbol(*dim, name));
    }
    if (sizeBytes != tensor.size_bytes())
      return badPlan(text(name, " of ", tensor.size_bytes(), " bytes"), text(sizeBytes, " by its shape"));
    if (tensor.buffer() >= plan.buffers()->size())
      return badPlan(text(name, " in buffer ", tensor.buffer()), text("an ordinal below ", plan.buffers()->size()));
    const fb::Buffer &buffer = *plan.buffers()->Get(tensor.buffer());
    if (buffer.purpose() == fb::BufferPurpose::Weights)
      return badPlan(text(name, " in ", nameOf("buffer", tensor.buffer(), buffer)), "a buffer that is not for weights");
    if (!rangeFits(tensor.offset(), tensor.size_bytes(), buffer.size_bytes()))
      return badPlan(text(name, " of ", tensor.size_bytes(), " bytes at ", tensor.offset()),
                     text("a range within its buffer of ", buffer.size_bytes(), " bytes"));
    return Status::ok();
  }

  /// A dimension never exceeds what the maximum of its symbol makes it: the runtime sizes its copies by the symbol.
  Status verifyDimSymbol(const fb::Dim &dim, const std::string &name) {
    bool symbolic = dim.symbol() && dim.symbol()->size();
    if (dim.factor() == 0 || dim.factor() > UINT32_MAX || (!symbolic && dim.factor() != 1))
      return badPlan(text(name, " with a factor of ", dim.factor()),
                     symbolic ? "1 to 2^32 - 1" : "1 where there is no symbol");
    if (!symbolic)
      return Status::ok();
    if (dim.size() % dim.factor() != 0)
      return badPlan(text(name, " with an extent of ", dim.size()), text("a multiple of its factor ", dim.factor()));
    for (const fb::SymbolCell *symbol : *entry.symbols())
      if (symbol->symbol()->string_view() == dim.symbol()->string_view() && symbol->max() != dim.size() / dim.factor())
        return badPlan(text(name, " with an extent of ", dim.size()),
                       text(dim.factor() == 1 ? std::string() : text(dim.factor(), " times "), "the maximum ",
                            symbol->max(), " of its symbol"));
    return Status::ok();
  }

  Status verifyDispatch(const fb::Dispatch &dispatch, uint32_t ordinal) {
    std::string name = text("dispatch ", ordinal, " of ", where);
    if (dispatch.kernel() >= plan.kernels()->size())
      return badPlan(text(name, " names kernel ", dispatch.kernel()),
                     text("an ordinal below ", plan.kernels()->size()));
    const fb::Extent3 *groups = dispatch.groups();
    if (!groups || groups->x() == 0 || groups->y() == 0 || groups->z() == 0)
      return badPlan(text(name, " has no workgroups"), "at least one in each direction");
    QWENRT_RETURN_IF_ERROR(verifyRows(dispatch, name));
    const fb::Kernel &kernel = *plan.kernels()->Get(dispatch.kernel());
    if (dispatch.operands()->size() != kernel.operands()->size())
      return badPlan(text(name, " has ", dispatch.operands()->size(), " operands"),
                     text(kernel.operands()->size(), " as kernel '", printable(kernel.name()->string_view()), "' has"));
    for (uint32_t i = 0; i < dispatch.operands()->size(); ++i)
      QWENRT_RETURN_IF_ERROR(
          verifyOperand(*dispatch.operands()->Get(i), *kernel.operands()->Get(i), text("operand ", i, " of ", name)));
    return Status::ok();
  }

  /// Groups of the rows that are there are never more than those that the device was found to take.
  Status verifyRows(const fb::Dispatch &dispatch, const std::string &name) {
    if (!dispatch.rows_symbol())
      return Status::ok();
    if (entry.role() != fb::Role::Other)
      return badPlan(text(name, " counts rows in an entry of role ", fb::EnumNameRole(entry.role())), "role Other");
    if (dispatch.rows_factor() == 0 || dispatch.rows_per_group() == 0 || dispatch.rows_direction() > 2)
      return badPlan(text(name, " takes rows by ", dispatch.rows_factor(), " per ", dispatch.rows_per_group(),
                          " along direction ", dispatch.rows_direction()),
                     "a factor and rows per group above zero, along direction 0, 1 or 2");
    const fb::Extent3 &groups = *dispatch.groups();
    uint32_t along = dispatch.rows_direction() == 0   ? groups.x()
                     : dispatch.rows_direction() == 1 ? groups.y()
                                                      : groups.z();
    for (const fb::SymbolCell *symbol : *entry.symbols()) {
      if (symbol->symbol()->string_view() != dispatch.rows_symbol()->string_view())
        continue;
      uint64_t rows = symbol->max() * dispatch.rows_factor(); // both have 32 bits
      uint64_t needed = rows / dispatch.rows_per_group() + (rows % dispatch.rows_per_group() != 0);
      if (along != needed)
        return badPlan(text(name, " has ", along, " workgroups along direction ", dispatch.rows_direction()),
                       text(needed, " for ", rows, " rows"));
      return Status::ok();
    }
    return badPlan(text(name, " counts rows of '", printable(dispatch.rows_symbol()->string_view()), "'"),
                   "a symbol of the entry");
  }

  Status verifyOperand(const fb::Operand &operand, const fb::KernelOperand &expected, const std::string &name) {
    if (operand.buffer() >= plan.buffers()->size())
      return badPlan(text(name, " names buffer ", operand.buffer()), text("an ordinal below ", plan.buffers()->size()));
    const fb::Buffer &buffer = *plan.buffers()->Get(operand.buffer());
    if (operand.offset() % kOperandAlignment != 0)
      return badPlan(text(name, " starts at byte ", operand.offset()), text("a multiple of ", kOperandAlignment));
    if (!rangeFits(operand.offset(), operand.size_bytes(), buffer.size_bytes()))
      return badPlan(text(name, " reaches ", operand.size_bytes(), " bytes from ", operand.offset()),
                     text("a range within its buffer of ", buffer.size_bytes(), " bytes"));
    if (operand.size_bytes() < expected.min_bytes())
      return badPlan(text(name, " has ", operand.size_bytes(), " bytes"),
                     text("the ", expected.min_bytes(), " its kernel may touch"));
    if (expected.access() != fb::Access::Read && buffer.purpose() == fb::BufferPurpose::Weights)
      return badPlan(text(name, " writes to ", nameOf("buffer", operand.buffer(), buffer)), "weights to be read only");
    return verifyDerived(buffer, expected.access(), name);
  }

  /// Derived buffers are made before anything reads them, and by nobody else.
  Status verifyDerived(const fb::Buffer &buffer, fb::Access access, const std::string &name) {
    const bool derived = buffer.purpose() == fb::BufferPurpose::Derived, prepares = entry.role() == fb::Role::Prepare;
    if (access == fb::Access::Read || derived == prepares || (prepares && buffer.purpose() == fb::BufferPurpose::Arena))
      return Status::ok();
    return badPlan(text(name, " writes to a buffer of purpose ", fb::EnumNameBufferPurpose(buffer.purpose())),
                   "an entry of role Prepare to write Derived buffers, and no other entry to");
  }

  Status verifyRole() {
    fb::Role role = entry.role();
    if (role == fb::Role::Other)
      return Status::ok();
    if (role == fb::Role::Prepare)
      return verifyPrepare();
    if (entry.rows() == 0)
      return badPlan(text(where, " processes no rows"), "at least one");
    bool samples = role != fb::Role::Prefill && role != fb::Role::Logits;
    if (samples && entry.rows() != 1)
      return badPlan(text(where, " processes ", entry.rows(), " rows"), "one for a decode step");
    QWENRT_RETURN_IF_ERROR(requireCells({fb::CellKind::Position, fb::CellKind::Length, fb::CellKind::Rows,
                                         fb::CellKind::Step, fb::CellKind::Tokens, fb::CellKind::Sampled}));
    if (role == fb::Role::NextSample || role == fb::Role::DecodeSample)
      QWENRT_RETURN_IF_ERROR(requireCells({fb::CellKind::Seed, fb::CellKind::Temperature, fb::CellKind::TopK,
                                           fb::CellKind::TopP, fb::CellKind::RepetitionPenalty}));
    if (role == fb::Role::Logits)
      QWENRT_RETURN_IF_ERROR(requireCells({fb::CellKind::HeadRow, fb::CellKind::HeadRows}));
    if (plan.max_context() == 0 || findCell(fb::CellKind::Tokens)->count() < uint64_t(plan.max_context()) + 1)
      return badPlan(text("token history has ", findCell(fb::CellKind::Tokens)->count(), " elements"),
                     text("one more than the context of ", plan.max_context()));
    return verifyLogitsTensor();
  }

  /// It runs before anybody can give it something.
  Status verifyPrepare() {
    if (entry.inputs()->size() == 0 && entry.outputs()->size() == 0 && entry.symbols()->size() == 0)
      return Status::ok();
    return badPlan(text(where, " has inputs, outputs or symbols"), "none of an entry that derives weights");
  }

  /// Logits are read by the host as rows of f32, by name.
  Status verifyLogitsTensor() {
    if (entry.role() == fb::Role::Prefill)
      return Status::ok();
    for (const fb::EntryTensor *tensor : *entry.outputs()) {
      if (tensor->name()->string_view() != "logits")
        continue;
      bool matches = tensor->dtype() == fb::DType::F32 && tensor->dims()->size() == 2 &&
                     tensor->dims()->Get(0)->size() == entry.rows();
      if (!matches)
        return badPlan(text(where, " has logits of another type"), text("f32[", entry.rows(), ", vocabulary]"));
      return Status::ok();
    }
    if (entry.role() == fb::Role::Logits)
      return badPlan(text(where, " has no output 'logits'"), "one");
    return Status::ok();
  }

  Status requireCells(std::initializer_list<fb::CellKind> kinds) {
    for (fb::CellKind kind : kinds)
      if (!findCell(kind))
        return badPlan(text(where, " needs cell ", fb::EnumNameCellKind(kind), ", which the plan has not"), "it");
    return Status::ok();
  }

  const fb::Cell *findCell(fb::CellKind kind) const { return qwenrt::findCell(plan, kind, entry.sequence()); }

  const fb::Plan &plan;
  const fb::Entry &entry;
  std::string where;
};

/// Text generation needs a prefill and at least one way to sample, complete.
Status verifyRoles(const fb::Plan &plan) {
  std::set<fb::Role> roles;
  for (const fb::Entry *entry : *plan.entries())
    roles.insert(entry->role());
  auto complete = [&](fb::Role next, fb::Role decode) { return roles.count(next) == roles.count(decode); };
  if (!complete(fb::Role::NextGreedy, fb::Role::DecodeGreedy) ||
      !complete(fb::Role::NextSample, fb::Role::DecodeSample))
    return badPlan("plan has a next step without its decode step or the reverse", "both");
  bool samples = roles.count(fb::Role::NextGreedy) || roles.count(fb::Role::NextSample);
  if (bool(roles.count(fb::Role::Prefill)) != samples)
    return badPlan(samples ? "plan has no prefill entry" : "plan has a prefill entry but no decode entries", "both");
  if (roles.count(fb::Role::Logits) && !samples)
    return badPlan("plan has a logits entry but no prefill entry", "both");
  return Status::ok();
}

} // namespace

Status qwenrt::verifyEntries(const fb::Plan &plan) {
  std::set<std::string_view> names;
  for (uint32_t i = 0; i < plan.entries()->size(); ++i) {
    if (!names.insert(plan.entries()->Get(i)->name()->string_view()).second)
      return badPlan(text(nameOf("entry", i, *plan.entries()->Get(i)), " has the name of another"),
                     "names that differ");
    QWENRT_RETURN_IF_ERROR(EntryVerifier(plan, i).verify());
  }
  return verifyRoles(plan);
}
