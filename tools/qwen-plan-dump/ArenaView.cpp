//===- ArenaView.cpp - Lifetimes in the arena, recovered from the dispatches --------------------------------------===//
#include "tools/qwen-plan-dump/PlanPrinter.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <tuple>

using namespace qwenrt;

namespace qwenc {
namespace {

/// Columns of the bar; a longer entry is scaled.
constexpr uint32_t kBarColumns = 64;

/// The value that a range holds and whether it has been read.
struct Current {
  size_t value;
  bool wasRead;
};

std::string bar(const ArenaValue &value, uint32_t dispatchCount) {
  uint32_t columns = std::min(dispatchCount, kBarColumns);
  std::string line(columns, '.');
  auto columnOf = [&](uint64_t dispatch) { return dispatch * columns / dispatchCount; };
  for (uint64_t column = columnOf(value.first); column <= columnOf(value.last); ++column)
    line[column] = '#';
  return line;
}

} // namespace

std::vector<ArenaValue> arenaValues(const fb::Plan &plan, const fb::Entry &entry) {
  std::vector<ArenaValue> values;
  std::map<std::pair<uint64_t, uint64_t>, Current> current;
  for (uint32_t ordinal = 0; ordinal < entry.dispatches()->size(); ++ordinal) {
    const fb::Dispatch &dispatch = *entry.dispatches()->Get(ordinal);
    const fb::Kernel &kernel = *plan.kernels()->Get(dispatch.kernel());
    for (uint32_t i = 0; i < dispatch.operands()->size(); ++i) {
      const fb::Operand &operand = *dispatch.operands()->Get(i);
      if (plan.buffers()->Get(operand.buffer())->purpose() != fb::BufferPurpose::Arena)
        continue;
      fb::Access access = kernel.operands()->Get(i)->access();
      auto [at, isNew] = current.try_emplace({operand.offset(), operand.size_bytes()}, Current{values.size(), false});
      bool begins = isNew || (access == fb::Access::Write && at->second.wasRead);
      if (begins) {
        at->second = {values.size(), false};
        values.push_back({operand.offset(), operand.size_bytes(), ordinal, ordinal});
      }
      values[at->second.value].last = ordinal;
      at->second.wasRead |= access != fb::Access::Write;
    }
  }
  std::sort(values.begin(), values.end(), [](const ArenaValue &a, const ArenaValue &b) {
    return std::tie(a.offset, a.first, a.sizeBytes) < std::tie(b.offset, b.first, b.sizeBytes);
  });
  return values;
}

std::string printArena(const fb::Plan &plan, const fb::Entry &entry) {
  std::vector<ArenaValue> values = arenaValues(plan, entry);
  if (values.empty())
    return "";
  uint64_t end = 0;
  for (const ArenaValue &value : values)
    end = std::max(end, value.offset + value.sizeBytes);
  std::string text = fmt::format("    arena: values {}, bytes {}\n", values.size(), end);
  for (const ArenaValue &value : values)
    fmt::format_to(std::back_inserter(text), "      {:>10} + {:<10} dispatch {:>3}..{:<3} {}\n", value.offset,
                   value.sizeBytes, value.first, value.last, bar(value, entry.dispatches()->size()));
  return text;
}

} // namespace qwenc
