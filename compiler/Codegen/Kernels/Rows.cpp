//===- Rows.cpp - Gathers, norms, elementwise bodies, chunk control ---------------------------------------------===//

#include "compiler/Codegen/Kernels/HalfRange.h"
#include "compiler/Codegen/Kernels/Kernels.h"

#include "dialects/plan/StateLayout.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace qwenc {

using plan::Access;

//===------------------------------------------------------------------------------------------------------------===//
// What all kernels share
//===------------------------------------------------------------------------------------------------------------===//

unsigned accessWidth(uint32_t width, unsigned most) {
  unsigned result = most;
  while (width % result != 0)
    result /= 2;
  return result;
}

const char *elemName(Elem elem) {
  switch (elem) {
  case Elem::F32:
    return "f32";
  case Elem::BF16:
    return "bf16";
  case Elem::F16:
    return "f16";
  case Elem::U32:
    return "u32";
  }
  return "";
}

std::string parameterTag(ArrayRef<double> parameters) {
  uint32_t hash = 2166136261u; // FNV-1a over the f32 bits
  for (double parameter : parameters) {
    uint32_t bits = llvm::bit_cast<uint32_t>(static_cast<float>(parameter));
    for (int shift = 0; shift < 32; shift += 8)
      hash = (hash ^ ((bits >> shift) & 0xff)) * 16777619u;
  }
  return "_p" + llvm::utohexstr(hash, /*LowerCase=*/true);
}

std::string RowBound::suffix() const {
  if (!cellOffset)
    return "";
  // Most kernels take the rows of a chunk; the others say which cell counts theirs.
  std::string name = "_r" + std::to_string(max);
  if (*cellOffset != plan::layout::kRows)
    name += "c" + std::to_string(*cellOffset);
  return factor == 1 ? name : name + "x" + std::to_string(factor);
}

uint64_t StateBlock::bytes() const { return plan::layout::stateBytes(maxContext); }

Val loadCell(KernelBuilder &k, Buffer state, uint32_t offsetBytes) {
  return k.load(state, Elem::U32, k.u32(offsetBytes / 4));
}
void storeCell(KernelBuilder &k, Buffer state, uint32_t offsetBytes, Val value) {
  k.store(state, Elem::U32, k.u32(offsetBytes / 4), value);
}

Val isLastWorkgroup(KernelBuilder &k, Buffer state, Val counter, Val count) {
  Shared before = k.shared(Elem::U32, 1);
  k.deviceBarrier();
  k.barrier();
  k.ifThen(k.localIndex() == 0, [&] {
    Val arrived = k.atomicAdd(state, counter, k.u32(1));
    k.store(before, k.u32(0), {arrived});
    k.ifThen(arrived == count - 1, [&] { k.store(state, Elem::U32, counter, k.u32(0)); });
  });
  k.barrier();
  return k.loadOne(before, k.u32(0)) == count - 1;
}

Val loadToken(KernelBuilder &k, Buffer state, const StateBlock &block, Val row, uint32_t vocab) {
  Val index = k.min(loadCell(k, state, plan::layout::kPosition) + row, k.u32(block.maxContext));
  Val token = k.load(state, Elem::U32, index + plan::layout::kTokens / 4);
  // The host checks ids; a wrong one reads the last row instead of foreign memory.
  return k.min(token, k.u32(vocab - 1));
}

Val rowCount(KernelBuilder &k, const RowBound &rows, Buffer state) {
  if (!rows.cellOffset)
    return k.u32(rows.max);
  // The host writes cells; a kernel never trusts them beyond what its operands hold.
  Val count = k.min(loadCell(k, state, *rows.cellOffset), k.u32(rows.max / rows.factor));
  return rows.factor == 1 ? count : count * rows.factor;
}

namespace {

/// Invocations for a kernel that walks along a row: a multiple of every subgroup size the target may have.
uint32_t rowWorkgroup(const TargetProfile &target) { return std::min<uint32_t>(256, target.maxWorkgroupInvocations); }

/// for (i = local index; i < n; i += invocations)
void forEach(KernelBuilder &k, uint32_t n, llvm::function_ref<void(Val)> body) {
  k.forLoop(k.localIndex(), k.u32(n), k.u32(k.invocations()), body);
}

} // namespace

//===------------------------------------------------------------------------------------------------------------===//
// Gathers
//===------------------------------------------------------------------------------------------------------------===//

KernelPlan embeddingKernel(const RowBound &rows, uint32_t vocab, uint32_t width, const StateBlock &state,
                           const TargetProfile &target) {
  KernelPlan plan;
  plan.name = "embedding_v" + std::to_string(vocab) + "_n" + std::to_string(width) + rows.suffix();
  plan.workgroup = {rowWorkgroup(target), 1, 1};
  plan.divideRows(rows);
  plan.emit = [=](KernelBuilder &k) {
    Buffer cells = k.operand("state", Access::Read, state.bytes());
    Buffer table = k.operand("table", Access::Read, weightBytes(vocab, width));
    Buffer y = k.operand("y", Access::Write, uint64_t(rows.max) * width * 4);
    unsigned step = accessWidth(width, 8);
    Val row = k.workgroupId(0);
    k.ifThen(row < rowCount(k, rows, cells), [&] {
      Val token = loadToken(k, cells, state, row, vocab);
      forEach(k, width / step, [&](Val i) {
        Vals values = k.load(table, Elem::BF16, token * paddedWidth(width) + i * step, step);
        k.store(y, Elem::F32, row * width + i * step, values);
      });
    });
    return success();
  };
  return plan;
}

KernelPlan lastRowKernel(uint32_t inputRows, uint32_t width, const StateBlock &state, const TargetProfile &target) {
  KernelPlan plan;
  plan.name = "last_row_r" + std::to_string(inputRows) + "_n" + std::to_string(width);
  plan.workgroup = {rowWorkgroup(target), 1, 1};
  plan.emit = [=](KernelBuilder &k) {
    Buffer x = k.operand("x", Access::Read, uint64_t(inputRows) * width * 4);
    Buffer cells = k.operand("state", Access::Read, state.bytes());
    Buffer y = k.operand("y", Access::Write, uint64_t(width) * 4);
    Val rows = k.max(loadCell(k, cells, plan::layout::kRows), k.u32(1));
    Val row = k.min(rows, k.u32(inputRows)) - 1;
    forEach(k, width, [&](Val i) { k.store(y, Elem::F32, i, k.load(x, Elem::F32, row * width + i)); });
    return success();
  };
  return plan;
}

KernelPlan headRowsKernel(uint32_t inputRows, const RowBound &rows, uint32_t width, const StateBlock &state,
                          const TargetProfile &target) {
  KernelPlan plan;
  plan.name = "head_rows_of_" + std::to_string(inputRows) + "_n" + std::to_string(width) + rows.suffix();
  plan.workgroup = {rowWorkgroup(target), 1, 1};
  plan.divideRows(rows);
  plan.emit = [=](KernelBuilder &k) {
    Buffer x = k.operand("x", Access::Read, uint64_t(inputRows) * width * 4);
    Buffer cells = k.operand("state", Access::Read, state.bytes());
    Buffer y = k.operand("y", Access::Write, uint64_t(rows.max) * width * 4);
    Val row = k.workgroupId(0);
    k.ifThen(row < rowCount(k, rows, cells), [&] {
      Val from = k.min(loadCell(k, cells, plan::layout::kHeadRow) + row, k.u32(inputRows - 1));
      forEach(k, width, [&](Val i) { k.store(y, Elem::F32, row * width + i, k.load(x, Elem::F32, from * width + i)); });
    });
    return success();
  };
  return plan;
}

//===------------------------------------------------------------------------------------------------------------===//
// Norms and elementwise bodies
//===------------------------------------------------------------------------------------------------------------===//

KernelPlan rmsNormKernel(const RowBound &rows, uint32_t width, double eps, Elem output, const StateBlock &state,
                         const TargetProfile &target) {
  KernelPlan plan;
  plan.name = "rms_norm_n" + std::to_string(width) + rows.suffix() + "_" + elemName(output) + parameterTag({eps});
  plan.workgroup = {rowWorkgroup(target), 1, 1};
  plan.divideRows(rows);
  plan.emit = [=](KernelBuilder &k) {
    Buffer x = k.operand("x", Access::Read, uint64_t(rows.max) * width * 4);
    Buffer weight = k.operand("weight", Access::Read, weightBytes(1, width));
    Buffer cells;
    if (rows.cellOffset)
      cells = k.operand("state", Access::Read, state.bytes());
    Buffer y = k.operand("y", Access::Write, uint64_t(rows.max) * width * elemBytes(output));
    unsigned step = accessWidth(width, 4);
    Val row = k.workgroupId(0);
    k.ifThen(row < rowCount(k, rows, cells), [&] {
      Val squares = k.forLoop(k.localIndex(), k.u32(width / step), k.u32(k.invocations()), {k.f32(0)},
                              [&](Val i, ArrayRef<Val> carried) -> Vals {
                                Vals v = k.load(x, Elem::F32, row * width + i * step, step);
                                return {k.dot(v, v, carried[0])};
                              })[0];
      Val scale = k.inverseSqrt(k.workgroupAdd(squares) / width + eps);
      forEach(k, width / step, [&](Val i) {
        Vals v = k.load(x, Elem::F32, row * width + i * step, step);
        Vals w = k.load(weight, Elem::BF16, i * step, step);
        Vals result;
        for (auto [a, b] : llvm::zip_equal(v, w)) {
          result.push_back(clampTo(k, output, a * scale * b));
        }
        k.store(y, output, row * width + i * step, result);
      });
    });
    return success();
  };
  return plan;
}

KernelPlan layerNormKernel(const RowBound &rows, uint32_t width, double eps, Elem output, const StateBlock &state,
                           const TargetProfile &target) {
  KernelPlan plan;
  plan.name = "layer_norm_n" + std::to_string(width) + rows.suffix() + "_" + elemName(output) + parameterTag({eps});
  plan.workgroup = {rowWorkgroup(target), 1, 1};
  plan.divideRows(rows);
  plan.emit = [=](KernelBuilder &k) {
    Buffer x = k.operand("x", Access::Read, uint64_t(rows.max) * width * 4);
    Buffer weight = k.operand("weight", Access::Read, weightBytes(1, width));
    Buffer bias = k.operand("bias", Access::Read, weightBytes(1, width));
    Buffer cells;
    if (rows.cellOffset)
      cells = k.operand("state", Access::Read, state.bytes());
    Buffer y = k.operand("y", Access::Write, uint64_t(rows.max) * width * elemBytes(output));
    unsigned step = accessWidth(width, 4);
    Val row = k.workgroupId(0);
    k.ifThen(row < rowCount(k, rows, cells), [&] {
      auto load = [&](Val i) { return k.load(x, Elem::F32, row * width + i * step, step); };
      auto sum = [&](llvm::function_ref<Val(Val)> term) {
        Val part = k.forLoop(k.localIndex(), k.u32(width / step), k.u32(k.invocations()), {k.f32(0)},
                             [&](Val i, ArrayRef<Val> carried) -> Vals {
                               Val total = carried[0];
                               for (Val v : load(i))
                                 total = total + term(v);
                               return {total};
                             })[0];
        return k.workgroupAdd(part) / width;
      };
      // Two passes: the variance of values far from 0 would drown in the square of their mean.
      Val mean = sum([](Val v) { return v; });
      Val variance = sum([&](Val v) { return (v - mean) * (v - mean); });
      Val scale = k.inverseSqrt(variance + eps);
      forEach(k, width / step, [&](Val i) {
        Vals v = load(i), w = k.load(weight, Elem::BF16, i * step, step), b = k.load(bias, Elem::BF16, i * step, step);
        Vals result;
        for (unsigned e = 0; e < step; ++e)
          result.push_back(clampTo(k, output, (v[e] - mean) * scale * w[e] + b[e]));
        k.store(y, output, row * width + i * step, result);
      });
    });
    return success();
  };
  return plan;
}

KernelPlan mediaRowsKernel(const RowBound &rows, uint32_t sourceRows, uint32_t width, bool adds,
                           const StateBlock &state, const TargetProfile &target) {
  KernelPlan plan;
  plan.name = std::string(adds ? "add" : "replace") + "_rows_of_" + std::to_string(sourceRows) + "_n" +
              std::to_string(width) + rows.suffix();
  plan.workgroup = {rowWorkgroup(target), 1, 1};
  plan.divideRows(rows);
  plan.emit = [=](KernelBuilder &k) {
    Buffer x = k.operand("x", Access::Read, uint64_t(rows.max) * width * 4);
    Buffer source = k.operand("source", Access::Read, uint64_t(sourceRows) * width * 4);
    Buffer cells = k.operand("state", Access::Read, state.bytes());
    Buffer y = k.operand("y", Access::Write, uint64_t(rows.max) * width * 4);
    unsigned step = accessWidth(width, 4);
    Val row = k.workgroupId(0);
    k.ifThen(row < rowCount(k, rows, cells), [&] {
      Val position = k.min(loadCell(k, cells, plan::layout::kPosition) + row, k.u32(state.maxContext));
      Val index = k.load(cells, Elem::U32, position + plan::layout::mediaRows(state.maxContext) / 4);
      // -1 is the largest unsigned number, and no other is trusted either.
      Val isMedia = index < sourceRows;
      Val from = k.min(index, k.u32(sourceRows - 1));
      forEach(k, width / step, [&](Val i) {
        Vals own = k.load(x, Elem::F32, row * width + i * step, step);
        Vals media = k.load(source, Elem::F32, from * width + i * step, step);
        Vals result;
        for (auto [a, b] : llvm::zip_equal(own, media))
          result.push_back(k.select(isMedia, adds ? a + b : b, a));
        k.store(y, Elem::F32, row * width + i * step, result);
      });
    });
    return success();
  };
  return plan;
}

KernelPlan elementwiseKernel(const RowBound &rows, uint32_t width, ArrayRef<Elem> inputs, Elem output, Region &body,
                             const StateBlock &state, const TargetProfile &target) {
  KernelPlan plan;
  std::string operations = bodyName(body);
  plan.name = (operations.empty() ? "copy" : "elementwise_" + operations) + "_n" + std::to_string(width) +
              rows.suffix() + "_" + elemName(output);
  for (Elem elem : inputs)
    plan.name += std::string("_") + elemName(elem);
  plan.workgroup = {rowWorkgroup(target), 1, 1};
  plan.divideRows(rows);
  SmallVector<Elem> elems(inputs);
  Region *region = &body;
  plan.emit = [=](KernelBuilder &k) -> LogicalResult {
    SmallVector<Buffer> in;
    for (auto [i, elem] : llvm::enumerate(elems))
      in.push_back(k.operand("x" + std::to_string(i), Access::Read, uint64_t(rows.max) * width * elemBytes(elem)));
    Buffer cells;
    if (rows.cellOffset)
      cells = k.operand("state", Access::Read, state.bytes());
    Buffer y = k.operand("y", Access::Write, uint64_t(rows.max) * width * elemBytes(output));
    unsigned step = accessWidth(width, 4);
    Val row = k.workgroupId(0);
    LogicalResult result = success();
    k.ifThen(row < rowCount(k, rows, cells), [&] {
      forEach(k, width / step, [&](Val i) {
        Val first = row * width + i * step;
        SmallVector<Vals> values;
        for (auto [buffer, elem] : llvm::zip_equal(in, elems))
          values.push_back(k.load(buffer, elem, first, step));
        Vals out;
        for (unsigned e = 0; e < step; ++e) {
          Vals arguments;
          for (Vals &v : values)
            arguments.push_back(v[e]);
          FailureOr<Val> value = emitBody(k, *region, arguments);
          if (failed(value)) {
            result = failure();
            value = k.f32(0);
          }
          out.push_back(*value);
        }
        k.store(y, output, first, out);
      });
    });
    return result;
  };
  return plan;
}

//===------------------------------------------------------------------------------------------------------------===//
// Chunk control
//===------------------------------------------------------------------------------------------------------------===//

namespace {
/// A kernel of one invocation that does anything: its workgroup is one full subgroup of the largest size.
std::array<uint32_t, 3> singleWorkgroup(const TargetProfile &target) {
  return {target.subgroupSize ? target.subgroupSize : 128, 1, 1};
}
} // namespace

KernelPlan beginChunkKernel(uint32_t chunk, const StateBlock &state, const TargetProfile &target) {
  KernelPlan plan;
  plan.name = "begin_chunk_r" + std::to_string(chunk);
  plan.workgroup = singleWorkgroup(target);
  plan.emit = [=](KernelBuilder &k) {
    Buffer cells = k.operand("state", Access::ReadWrite, state.bytes());
    k.ifThen(k.localIndex() == 0, [&] {
      Val length = k.min(loadCell(k, cells, plan::layout::kLength), k.u32(state.maxContext));
      Val position = k.min(loadCell(k, cells, plan::layout::kPosition), length);
      storeCell(k, cells, plan::layout::kRows, k.min(length - position, k.u32(chunk)));
    });
    return success();
  };
  return plan;
}

KernelPlan advanceKernel(const StateBlock &state, const TargetProfile &target) {
  KernelPlan plan;
  plan.name = "advance";
  plan.workgroup = singleWorkgroup(target);
  plan.emit = [=](KernelBuilder &k) {
    Buffer cells = k.operand("state", Access::ReadWrite, state.bytes());
    k.ifThen(k.localIndex() == 0, [&] {
      Val position = loadCell(k, cells, plan::layout::kPosition);
      storeCell(k, cells, plan::layout::kPosition, position + loadCell(k, cells, plan::layout::kRows));
    });
    return success();
  };
  return plan;
}

} // namespace qwenc
