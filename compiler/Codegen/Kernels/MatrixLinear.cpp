//===- MatrixLinear.cpp - Matrix products on cooperative matrices ------------------------------------------------===//
//
// A workgroup computes a tile of results (MatrixTile.h), a subgroup a part of it in matrices of 16x16. Both operands
// have 16 bits, those of the input, and pass through workgroup memory in 16-byte pieces, a stage of some columns of k
// at a time; later stages are already on their way in registers, where weights wait as they are stored. The sums go
// back through workgroup memory in f32, so that the epilogue is the same generated body as everywhere.
//
// A scaled product takes f32 and any weights, and stages both as f16 at scales of their rows (RowScales.h).
//
//===------------------------------------------------------------------------------------------------------------===//

#include "compiler/Codegen/Kernels/Encoders.h"
#include "compiler/Codegen/Kernels/RowScales.h"
#include "compiler/Codegen/MatrixTile.h"

using namespace mlir;

namespace qwenc {

namespace {

constexpr uint32_t kMatrix = 16;

class MatrixLinear {
public:
  MatrixLinear(KernelBuilder &k, const Linear &linear, const MatrixTile &tile)
      : k(k), linear(linear), tile(tile), ops(declareOperands(k, linear)), rowMatrices(tile.subgroupRows / kMatrix),
        columnMatrices(tile.subgroupColumns / kMatrix) {
    staged = k.shared(linear.scaled ? Elem::F16 : linear.input, tile.sharedPieces(linear.accumulators), 8);
    if (linear.scaled)
      scales.emplace(k, tile.rows, linear.accumulators * tile.columns);
    results = staged.as(Elem::F32);
    for (Buffer weight : ops.weights)
      readers.emplace_back(k, weight, linear.weights());
  }

  LogicalResult emit() {
    column0 = k.workgroupId(0) * tile.columns;
    t = k.localIndex();
    const uint32_t subgroupsPerRow = tile.columns / tile.subgroupColumns;
    subgroupRow = k.subgroupIndex() / subgroupsPerRow * tile.subgroupRows;
    subgroupColumn = k.subgroupIndex() % subgroupsPerRow * tile.subgroupColumns;
    RowTile rowTile(k, linear, ops, k.workgroupId(1), tile.rows);
    rows = &rowTile;
    LogicalResult result = success();
    k.ifThen(rowTile.isPresent(), [&] {
      findSources();
      if (scales) {
        result = emitScaled();
        return;
      }
      SmallVector<Value> sums = multiply();
      k.barrier();
      result = storeTile(sums);
    });
    return result;
  }

private:
  uint32_t rowPieces() const { return linear.k / 8; }
  uint32_t stages() const { return llvm::divideCeil(linear.k, tile.depth); }
  uint32_t sumCount() const { return linear.accumulators * rowMatrices * columnMatrices; }
  uint32_t sumIndex(unsigned accumulator, uint32_t i, uint32_t j) const {
    return (accumulator * columnMatrices + j) * rowMatrices + i;
  }

  /// Multiplies, and once more if rows turned out to need other scales.
  LogicalResult emitScaled() {
    LogicalResult result = success();
    scales->begin();
    k.barrier();
    k.forLoop(k.u32(0), k.u32(2), k.u32(1), {k.u32(0)}, [&](Val attempt, ArrayRef<Val> isDone) -> Vals {
      return k.ifElse(
          isDone[0] == 0,
          [&]() -> Vals {
            findScales();
            SmallVector<Value> sums = multiply();
            k.barrier();
            leaveLargest();
            k.barrier();
            Val isWrong = scales->adjust(results, tile.pitch(), tile.pieces());
            Val isLast = k.logicalNot(isWrong) | (attempt == 1);
            k.ifThen(isLast, [&] { result = storeTile(sums); });
            return {k.select(isLast, k.u32(1), k.u32(0))};
          },
          [&]() -> Vals { return {k.u32(1)}; });
    });
    return result;
  }

  void findScales() {
    pieceScales.clear();
    auto find = [&](uint32_t firstRow, uint32_t count) {
      forPieces(count, [&](Val row, Val, bool) {
        pieceScales.push_back(scales->scaleOf(k.min(row, k.u32(count - 1)) + firstRow));
      });
    };
    find(0, tile.rows);
    for (unsigned a = 0; a < linear.accumulators; ++a)
      find(tile.rows + a * tile.columns, tile.columns);
  }

  /// The largest magnitudes of the pieces that this invocation staged, where those were.
  void leaveLargest() {
    size_t next = 0;
    auto leave = [&](uint32_t firstRow, uint32_t count) {
      forPieces(count, [&](Val row, Val piece, bool isFull) {
        Val most = largest[next++];
        where(isFull ? Val() : row < count,
              [&] { k.store(results, (row + firstRow) * tile.pitch() + piece, Vals(4, most)); });
      });
    };
    leave(0, tile.rows);
    for (unsigned a = 0; a < linear.accumulators; ++a)
      leave(tile.rows + a * tile.columns, tile.columns);
  }

  /// Where the rows that this invocation stages lie: the same in every stage.
  void findSources() {
    forPieces(tile.rows, [&](Val row, Val, bool) {
      inputRows.push_back(rows->inputRow(k.min(rows->begin() + row, rows->end() - 1)));
      if (linear.taps)
        patches.emplace_back(k, linear, ops, inputRows.back());
    });
    forPieces(tile.columns, [&](Val row, Val, bool) {
      weightRows.push_back(rows->weightRow(k.min(column0 + row, k.u32(linear.n - 1))));
    });
    // Where results go is asked for now: behind the product the answer would be waited for.
    for (uint32_t i = 0; i < rowMatrices; ++i)
      for (uint32_t done = 0; done < quadsOfStrip(); done += k.target().subgroupSize)
        resultRows.push_back(rows->resultRow(k.min(stripRow(i, k.lane() + done), rows->end() - 1)));
  }

  SmallVector<Value> multiply() {
    SmallVector<Value> carried(sumCount(), k.matrixZero());
    for (uint32_t i = 0; i < tile.ahead; ++i)
      carried.append(load(k.u32(i)));
    const size_t loads = (carried.size() - sumCount()) / tile.ahead, maxima = carried.size();
    carried.append(pieceScales.size(), k.f32(0).value);
    k.forLoopMatrices(k.u32(0), k.u32(stages()), k.u32(tile.ahead), carried,
                      [&](Val stage0, SmallVectorImpl<Value> &values) {
                        MutableArrayRef<Value> live(values), sums = live.take_front(sumCount());
                        largest.clear();
                        for (Value most : live.drop_front(maxima))
                          largest.push_back({&k, most});
                        // Each stage keeps its own registers: moving a value would wait for its load.
                        for (uint32_t i = 0; i < tile.ahead; ++i) {
                          MutableArrayRef<Value> raw = live.slice(sumCount() + i * loads, loads);
                          const uint32_t buffer = i % tile.buffers * tile.stagePieces(linear.accumulators);
                          Val stage = stage0 + i;
                          if (tile.buffers == 1)
                            k.barrier();
                          store(stage, buffer, raw);
                          k.barrier();
                          llvm::copy(load(stage + tile.ahead), raw.begin());
                          for (uint32_t step = 0; step < tile.depth / kMatrix; ++step)
                            multiplyStep(buffer + step * kMatrix / 8, sums);
                        }
                        for (auto [value, most] : llvm::zip_equal(live.drop_front(maxima), largest))
                          value = most.value;
                      });
    for (auto [value, most] : llvm::zip_equal(ArrayRef<Value>(carried).drop_front(maxima), largest))
      most.value = value;
    carried.truncate(sumCount());
    return carried;
  }

  /// For each piece this invocation stages of `count` rows: body(row, piece of the row, whether all invocations have
  /// one).
  void forPieces(uint32_t count, llvm::function_ref<void(Val, Val, bool)> body) {
    const uint32_t slots = count * tile.pieces();
    for (uint32_t done = 0; done < slots; done += k.invocations()) {
      Val slot = t + done;
      body(slot / tile.pieces(), slot % tile.pieces(), done + k.invocations() <= slots);
    }
  }

  /// The pieces of a stage in the order in which store() takes them. Behind the end of a row its last piece is read.
  SmallVector<Value> load(Val stage) {
    SmallVector<Value> raw;
    auto pieceAt = [&](Val piece) { return k.min(stage * tile.pieces() + piece, k.u32(rowPieces() - 1)); };
    size_t next = 0;
    forPieces(tile.rows, [&](Val, Val piece, bool) {
      Val at = linear.taps ? patches[next].find(pieceAt(piece) * 8).index / 8
                           : inputRows[next] * rowPieces() + pieceAt(piece);
      if (scales)
        raw.append({k.loadRaw16(ops.x, at * 2), k.loadRaw16(ops.x, at * 2 + 1)});
      else
        raw.push_back(k.loadRaw16(ops.x, at));
      ++next;
    });
    for (WeightReader &reader : readers) {
      next = 0;
      forPieces(tile.columns, [&](Val, Val piece, bool) { reader.loadEight(weightRows[next++], pieceAt(piece), raw); });
    }
    return raw;
  }

  /// Puts a stage into workgroup memory: rows of x, then of each weight; zeros behind the end of a row.
  void store(Val stage, uint32_t buffer, ArrayRef<Value> raw) {
    const bool hasEnd = linear.k % (tile.depth * tile.ahead) != 0;
    // `put` takes the place in workgroup memory, whether the piece lies inside its row, the values that were loaded,
    // and whether this invocation has a piece, if not all have one.
    auto take = [&](uint32_t firstRow, uint32_t count, unsigned size,
                    llvm::function_ref<void(Val, Val, ArrayRef<Value>, Val)> put) {
      size_t next = 0;
      forPieces(count, [&](Val row, Val piece, bool isFull) {
        ArrayRef<Value> values = raw.take_front(size);
        raw = raw.drop_front(size);
        const PatchRow *patch = linear.taps && firstRow == 0 ? &patches[next++] : nullptr;
        Val inside = hasEnd ? stage * tile.pieces() + piece < rowPieces() : Val();
        if (patch)
          inside = patch->find((stage * tile.pieces() + piece) * 8).isInside;
        put(row * tile.pitch() + piece + (buffer + firstRow * tile.pitch()), inside, values,
            isFull ? Val() : row < count);
      });
    };
    size_t slot = 0; // of the scales
    auto putScaled = [&](Val place, Vals eight, Val exists) {
      scales->apply(pieceScales[slot], eight, largest[slot]);
      ++slot;
      where(exists, [&] { k.store(staged, place, eight); });
    };
    take(0, tile.rows, scales ? 2 : 1, [&](Val place, Val inside, ArrayRef<Value> values, Val exists) {
      if (!scales)
        return where(exists, [&] {
          k.storeRaw16(staged, place, inside ? k.zeroUnless16(inside, values.front()) : values.front());
        });
      Vals eight;
      for (Value four : values)
        eight.append(k.widen(Elem::F32, inside ? k.zeroUnless16(inside, four) : four));
      putScaled(place, eight, exists);
    });
    for (auto [a, reader] : llvm::enumerate(readers)) {
      auto put = [&](Val place, Val inside, ArrayRef<Value> values, Val exists) {
        if (scales)
          putScaled(place, reader.widenEight(inside, values), exists);
        else
          where(exists, [&] { reader.storeEight(staged, place, inside, values); });
      };
      take(tile.rows + a * tile.columns, tile.columns, reader.eightSize(), put);
    }
  }

  /// \p body where \p condition holds; none holds always.
  void where(Val condition, llvm::function_ref<void()> body) {
    if (condition)
      k.ifThen(condition, body);
    else
      body();
  }

  /// sums += x[:, 16 of k] * W[:, 16 of k]; `piece` is where these 16 begin in a row of the stage.
  void multiplyStep(uint32_t piece, MutableArrayRef<Value> sums) {
    auto operand = [&](Val row, MatrixUse use, MatrixOrder order) {
      return k.matrixLoad(staged, row * tile.pitch() + piece, tile.pitch(), use, order);
    };
    SmallVector<Value> x;
    for (uint32_t i = 0; i < rowMatrices; ++i)
      x.push_back(operand(subgroupRow + i * kMatrix, MatrixUse::A, MatrixOrder::Rows));
    for (unsigned a = 0; a < linear.accumulators; ++a)
      for (uint32_t j = 0; j < columnMatrices; ++j) {
        Val row = subgroupColumn + (tile.rows + a * tile.columns + j * kMatrix);
        Value w = operand(row, MatrixUse::B, MatrixOrder::Columns);
        for (uint32_t i = 0; i < rowMatrices; ++i) {
          Value &sum = sums[sumIndex(a, i, j)];
          sum = k.matrixMulAdd(x[i], w, sum);
        }
      }
  }

  LogicalResult storeTile(ArrayRef<Value> sums) {
    for (uint32_t i = 0; i < rowMatrices; ++i)
      for (uint32_t j = 0; j < columnMatrices; j += tile.stripColumns() / kMatrix)
        if (failed(storeStrip(sums, i, j)))
          return failure();
    return success();
  }

  /// Four neighbouring results of a strip: their place in it, and in the matrix.
  struct Quad {
    Val access, row, result, column;       // `row` counts in the tile's rows, `result` in the result's
    SmallVector<SmallVector<Vals>> extras; // for each store of the quad
  };

  uint32_t quadsOfStrip() const { return kMatrix * tile.stripColumns() / 4; }
  /// The row of the tile in which quad \p slot of a strip lies.
  Val stripRow(uint32_t i, Val slot) {
    return rows->begin() + subgroupRow + slot / (tile.stripColumns() / 4) + i * kMatrix;
  }

  /// Results of the row of matrices i, from column of matrices j on.
  LogicalResult storeStrip(ArrayRef<Value> sums, uint32_t i, uint32_t j) {
    const uint32_t columns = tile.stripColumns(), pitch = tile.stripPitch(linear.accumulators);
    const unsigned width = accessWidth(linear.n, 4);
    Val strip = k.subgroupIndex() * (kMatrix * pitch);
    SmallVector<Quad> quads;
    size_t next = i * llvm::divideCeil(quadsOfStrip(), k.target().subgroupSize);
    for (uint32_t done = 0; done < quadsOfStrip(); done += k.target().subgroupSize) {
      Val slot = k.lane() + done, row = slot / (columns / 4), quad = slot % (columns / 4);
      quads.push_back({strip + row * pitch + quad,
                       stripRow(i, slot),
                       resultRows[next++],
                       column0 + subgroupColumn + quad * 4 + j * kMatrix,
                       {}});
    }
    // All loads before the first store, which could change what they read for all the driver knows.
    for (Quad &quad : quads)
      for (unsigned part = 0; part < 4; part += width)
        quad.extras.push_back(
            loadExtras(k, linear, ops, quad.result, k.min(quad.column + part, k.u32(linear.n - width)), width));
    for (unsigned a = 0; a < linear.accumulators; ++a)
      for (uint32_t c = 0; c < columns / kMatrix; ++c)
        k.matrixStore(results, strip + (a * columns / 4 + c * kMatrix / 4), pitch, sums[sumIndex(a, i, j + c)]);
    k.subgroupBarrier();
    LogicalResult result = success();
    for (const Quad &quad : quads) {
      SmallVector<Vals> four;
      for (unsigned a = 0; a < linear.accumulators; ++a) {
        four.push_back(k.load(results, quad.access + a * columns / 4));
        if (scales)
          unscale(four.back(), quad.row - rows->begin(), quad.column - column0 + (tile.rows + a * tile.columns));
      }
      for (unsigned part = 0; part < 4; part += width)
        k.ifThen((quad.row < rows->end()) & (quad.column + part < linear.n), [&] {
          SmallVector<Vals> accumulators;
          for (const Vals &values : four)
            accumulators.push_back(Vals(ArrayRef<Val>(values).slice(part, width)));
          if (failed(storeResults(k, linear, ops, quad.result, quad.column + part, accumulators,
                                  quad.extras[part / width])))
            result = failure();
        });
    }
    k.subgroupBarrier();
    return result;
  }

  /// Four neighbouring sums of a row of the stage's input and rows of its weights from \p weightRow on.
  void unscale(MutableArrayRef<Val> sums, Val inputRow, Val weightRow) {
    for (auto [i, sum] : llvm::enumerate(sums))
      sum = scales->inverse(inputRow, weightRow + static_cast<uint32_t>(i))(sum);
  }

  KernelBuilder &k;
  const Linear &linear;
  const MatrixTile &tile;
  LinearOperands ops;
  uint32_t rowMatrices, columnMatrices; // of a subgroup
  Shared staged, results;               // the same memory: stages, then strips of results
  std::vector<WeightReader> readers;
  Val column0, t, subgroupRow, subgroupColumn;
  const RowTile *rows = nullptr;
  Vals inputRows, weightRows; // of the pieces this invocation stages
  Vals resultRows;            // of the quads of each row of matrices
  std::vector<PatchRow> patches;
  std::optional<RowScales> scales; // of a scaled product
  Vals pieceScales, largest;       // of the pieces this invocation stages: their rows' scales, magnitudes so far
};

MatrixProduct productOf(const Linear &linear) {
  if (!linear.experts)
    return {linear.rows.max, linear.n, linear.k, linear.accumulators, 0, linear.scaled};
  // Choices are grouped into tiles already; as many as there are, each on weights of its own.
  uint32_t tile = linear.experts->tile;
  return {linear.experts->tiles * tile, linear.n, linear.k, linear.accumulators, tile, linear.scaled};
}

} // namespace

FailureOr<KernelPlan> matrixLinearKernel(const Linear &linear, const TargetProfile &target) {
  bool hasMatrices = (linear.input == Elem::BF16 && target.bf16CooperativeMatrix) ||
                     ((linear.input == Elem::F16 || linear.scaled) && target.f16CooperativeMatrix);
  assert((!linear.scaled || linear.input == Elem::F32) && "what is f16 has a scale already");
  if (!hasMatrices || linear.k % 8 != 0 || (linear.taps && linear.taps->channels % 8 != 0))
    return failure();
  std::optional<MatrixTile> tile = chooseMatrixTile(productOf(linear), target);
  if (!tile)
    return failure();
  KernelPlan plan;
  plan.name = std::string("gemm_matrix") + (linear.scaled ? "_scaled" : "") + linear.suffix();
  plan.workgroup = {tile->subgroups() * target.subgroupSize, 1, 1};
  plan.groups[0] = llvm::divideCeil(linear.n, tile->columns);
  if (linear.experts)
    plan.groups[1] = linear.experts->tiles;
  else
    plan.divideRows(linear.rows, 1, tile->rows);
  plan.emit = [=, tile = *tile](KernelBuilder &k) { return MatrixLinear(k, linear, tile).emit(); };
  return plan;
}

} // namespace qwenc
