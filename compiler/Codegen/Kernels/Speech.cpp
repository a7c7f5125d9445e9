//===- Speech.cpp - Rows of codes and of text -------------------------------------------------------------------===//

#include "compiler/Codegen/Kernels/Speech.h"

#include "dialects/plan/StateLayout.h"

using namespace mlir;

namespace qwenc {

using plan::Access;
namespace layout = plan::layout;

namespace {

uint32_t rowWorkgroup(const TargetProfile &target) { return std::min<uint32_t>(256, target.maxWorkgroupInvocations); }

/// for (i = local index; i < n; i += invocations)
void forEach(KernelBuilder &k, uint32_t n, llvm::function_ref<void(Val)> body) {
  k.forLoop(k.localIndex(), k.u32(n), k.u32(k.invocations()), body);
}

/// Tables that lie one behind the other.
class Tables {
public:
  Tables(ArrayRef<uint32_t> rows, uint32_t width) : rows(rows), width(width) {
    for (uint32_t count : rows) {
      firstRows.push_back(total);
      total += count;
    }
  }

  uint64_t bytes() const { return weightBytes(total, width); }
  /// "_t1088_64x3": the rows of the first table and of the others, told apart where they differ.
  std::string suffix() const {
    std::string name = "_t";
    for (size_t i = 0; i < rows.size();) {
      size_t same = i;
      while (same < rows.size() && rows[same] == rows[i])
        ++same;
      name += (i ? "_" : "") + std::to_string(rows[i]) + "x" + std::to_string(same - i);
      i = same;
    }
    return name + "_n" + std::to_string(width);
  }
  /// First element of row \p row of table \p table, both within bounds whatever they are.
  Val element(KernelBuilder &k, uint32_t table, Val row) const {
    return (k.min(row, k.u32(rows[table] - 1)) + firstRows[table]) * paddedWidth(width);
  }
  Val element(KernelBuilder &k, Val table, Val row) const {
    Val result = element(k, rows.size() - 1, row);
    for (uint32_t i = rows.size() - 1; i-- > 0;)
      result = k.select(table == i, element(k, i, row), result);
    return result;
  }
  size_t count() const { return rows.size(); }

private:
  SmallVector<uint32_t> rows, firstRows;
  uint32_t width, total = 0;
};

Val token(KernelBuilder &k, Buffer cells, Val index) { return k.load(cells, Elem::U32, index + layout::kTokens / 4); }

} // namespace

KernelPlan gatherRowsKernel(const RowBound &rows, uint32_t vocab, uint32_t width, const StateBlock &state,
                            const TargetProfile &target) {
  KernelPlan plan;
  plan.name = "gather_v" + std::to_string(vocab) + "_n" + std::to_string(width) + rows.suffix() + "_of" +
              std::to_string(rows.max);
  plan.workgroup = {rowWorkgroup(target), 1, 1};
  plan.groups = {rows.max, 1, 1};
  plan.emit = [=](KernelBuilder &k) {
    Buffer ids = k.operand("ids", Access::Read, uint64_t(rows.max) * 4);
    Buffer table = k.operand("table", Access::Read, weightBytes(vocab, width));
    Buffer cells;
    if (rows.cellOffset)
      cells = k.operand("state", Access::Read, state.bytes());
    Buffer y = k.operand("y", Access::Write, uint64_t(rows.max) * width * 4);
    unsigned step = accessWidth(width, 8);
    Val row = k.workgroupId(0);
    k.ifThen(row < rowCount(k, rows, cells), [&] {
      // Negative ids are large unsigned numbers.
      Val id = k.load(ids, Elem::U32, row);
      Val isThere = id < vocab;
      Val from = k.min(id, k.u32(vocab - 1)) * paddedWidth(width);
      forEach(k, width / step, [&](Val i) {
        Vals values = k.load(table, Elem::BF16, from + i * step, step);
        for (Val &value : values)
          value = k.select(isThere, value, k.f32(0));
        k.store(y, Elem::F32, row * width + i * step, values);
      });
    });
    return success();
  };
  return plan;
}

KernelPlan inputRowsKernel(const RowBound &rows, uint32_t sourceRows, uint32_t width, const StateBlock &state,
                           const TargetProfile &target) {
  KernelPlan plan;
  plan.name = "input_rows_of_" + std::to_string(sourceRows) + "_n" + std::to_string(width) + rows.suffix();
  plan.workgroup = {rowWorkgroup(target), 1, 1};
  plan.groups = {rows.max, 1, 1};
  plan.emit = [=](KernelBuilder &k) {
    Buffer source = k.operand("source", Access::Read, uint64_t(sourceRows) * width * 4);
    Buffer cells = k.operand("state", Access::Read, state.bytes());
    Buffer y = k.operand("y", Access::Write, uint64_t(rows.max) * width * 4);
    unsigned step = accessWidth(width, 4);
    Val row = k.workgroupId(0);
    k.ifThen(row < rowCount(k, rows, cells), [&] {
      Val from = k.min(k.min(loadCell(k, cells, layout::kPosition), k.u32(sourceRows)) + row, k.u32(sourceRows - 1));
      forEach(k, width / step, [&](Val i) {
        k.store(y, Elem::F32, row * width + i * step, k.load(source, Elem::F32, from * width + i * step, step));
      });
    });
    return success();
  };
  return plan;
}

KernelPlan beginFrameKernel(const StateBlock &state, const TargetProfile &target) {
  KernelPlan plan;
  plan.name = "begin_frame";
  plan.workgroup = {target.subgroupSize ? target.subgroupSize : 128, 1, 1};
  plan.emit = [=](KernelBuilder &k) {
    Buffer before = k.operand("before", Access::Read, state.bytes());
    Buffer cells = k.operand("state", Access::ReadWrite, state.bytes());
    k.ifThen(k.localIndex() == 0, [&] {
      Val length = k.min(k.max(loadCell(k, before, layout::kLength), k.u32(1)), k.u32(state.maxContext + 1));
      k.store(cells, Elem::U32, k.u32(layout::kTokens / 4 + 1), token(k, before, length - 1));
      storeCell(k, cells, layout::kPosition, k.u32(0));
      storeCell(k, cells, layout::kLength, k.u32(2));
      storeCell(k, cells, layout::kRows, k.u32(1));
    });
    return success();
  };
  return plan;
}

KernelPlan codeRowKernel(ArrayRef<uint32_t> rows, uint32_t width, const StateBlock &state,
                         const TargetProfile &target) {
  KernelPlan plan;
  Tables tables(rows, width);
  plan.name = "code_row" + tables.suffix();
  plan.workgroup = {rowWorkgroup(target), 1, 1};
  plan.emit = [=](KernelBuilder &k) {
    Buffer cells = k.operand("state", Access::Read, state.bytes());
    Buffer table = k.operand("tables", Access::Read, tables.bytes());
    Buffer y = k.operand("y", Access::Write, uint64_t(width) * 4);
    Buffer step = k.operand("step", Access::Write, 4);
    const unsigned each = accessWidth(width, 8);
    Val position = k.min(k.max(loadCell(k, cells, layout::kPosition), k.u32(1)),
                         k.u32(std::min<uint32_t>(tables.count(), state.maxContext)));
    Val number = position - 1, from = tables.element(k, number, token(k, cells, position));
    forEach(k, width / each,
            [&](Val i) { k.store(y, Elem::F32, i * each, k.load(table, Elem::BF16, from + i * each, each)); });
    k.ifThen(k.localIndex() == 0, [&] { k.store(step, Elem::U32, k.u32(0), number); });
    return success();
  };
  return plan;
}

KernelPlan frameRowKernel(ArrayRef<uint32_t> rows, uint32_t textRows, uint32_t width, const StateBlock &state,
                          const TargetProfile &target) {
  KernelPlan plan;
  Tables tables(rows, width);
  plan.name = "frame_row" + tables.suffix() + "_text" + std::to_string(textRows);
  plan.workgroup = {rowWorkgroup(target), 1, 1};
  const unsigned each = accessWidth(width, 4);
  const uint32_t pieces = width / each, groups = llvm::divideCeil(pieces, plan.workgroup[0]);
  plan.groups = {groups, 1, 1};
  plan.emit = [=](KernelBuilder &k) {
    Buffer cells = k.operand("state", Access::Read, state.bytes());
    Buffer next = k.operand("next", Access::Read, state.bytes());
    Buffer text = k.operand("text", Access::Read, uint64_t(textRows) * width * 4);
    Buffer table = k.operand("tables", Access::Read, tables.bytes());
    Buffer y = k.operand("y", Access::Write, uint64_t(width) * 4);
    Val piece = k.workgroupId(0) * k.invocations() + k.localIndex();
    k.ifThen(piece < pieces, [&] {
      Vals sum;
      for (uint32_t i = 0; i < tables.count(); ++i) {
        Val code = token(k, next, k.u32(std::min<uint32_t>(i + 1, state.maxContext)));
        Vals values = k.load(table, Elem::BF16, tables.element(k, i, code) + piece * each, each);
        for (unsigned e = 0; e < each; ++e)
          sum.push_back(i ? sum[e] + values[e] : values[e]);
        if (i)
          sum.erase(sum.begin(), sum.begin() + each);
      }
      Val count = k.min(k.max(loadCell(k, cells, layout::kTextRows), k.u32(1)), k.u32(textRows));
      Val row = k.min(k.max(loadCell(k, cells, layout::kStep), k.u32(1)), count) - 1;
      Vals said = k.load(text, Elem::F32, row * width + piece * each, each);
      for (unsigned e = 0; e < each; ++e)
        sum[e] = sum[e] + said[e];
      k.store(y, Elem::F32, piece * each, sum);
    });
    return success();
  };
  return plan;
}

} // namespace qwenc
