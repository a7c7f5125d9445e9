//===- Convolution.cpp - Convolutions over time, in pushes -------------------------------------------------------===//

#include "compiler/Codegen/Kernels/Convolution.h"

using namespace mlir;

namespace qwenc {

using plan::Access;

namespace {

constexpr uint32_t kThreads = 16; // invocations along each side of a tile
constexpr uint32_t kInvocations = kThreads * kThreads;
constexpr uint32_t kMostSharedBytes = 32768; // more would leave a machine one workgroup at a time

uint32_t sharedBytes(const TargetProfile &target) {
  return std::min<uint32_t>(kMostSharedBytes, target.maxSharedBytes);
}

Val loadFirst(KernelBuilder &k, Buffer first) { return k.load(first, Elem::U32, k.u32(0)); }

std::string number(const char *name, uint64_t value) { return name + std::to_string(value); }

} // namespace

Val snakeBeta(KernelBuilder &k, Val x, Val alpha, Val beta) {
  Val angle = x * k.exp(alpha);
  // The square is even, and the reduction takes angles up to 2^17.
  angle = k.min(k.max(angle, -angle), k.f32(131071));
  Val sine = cosSin(k, angle).second;
  return x + sine * sine / (k.exp(beta) + 1e-9);
}

//===------------------------------------------------------------------------------------------------------------===//
// The input behind its history
//===------------------------------------------------------------------------------------------------------------===//

namespace {

class ConvInputWriter {
public:
  ConvInputWriter(KernelBuilder &k, const ConvInput &input, uint32_t historyChannels, uint32_t historyGroups)
      : k(k), input(input), historyChannels(historyChannels), historyGroups(historyGroups) {
    const uint64_t rowBytes = uint64_t(input.channels) * 4;
    x = k.operand("x", Access::Read, input.rows.max * rowBytes);
    if (input.snake) {
      alpha = k.operand("alpha", Access::Read, weightBytes(1, input.channels));
      beta = k.operand("beta", Access::Read, weightBytes(1, input.channels));
    }
    if (input.needsFirst())
      firstOperand = k.operand("first", Access::Read, 4);
    if (input.rows.cellOffset)
      cells = k.operand("state", Access::Read, input.state.bytes());
    if (input.kept)
      history = k.operand("history", Access::ReadWrite, input.kept * rowBytes);
    y = k.operand("y", Access::Write, (uint64_t(input.rows.max) + input.kept) * rowBytes);
  }

  void emit() {
    count = rowCount(k, input.rows, cells);
    if (input.needsFirst())
      first = loadFirst(k, firstOperand);
    Val group = k.workgroupId(0);
    if (input.kept)
      k.ifThen(group < historyGroups, [&] { writeHistory(group); });
    k.ifThen(group >= historyGroups, [&] { writeRows(group - historyGroups); });
  }

private:
  /// Elements \p column .. of row \p row of x as they enter.
  void activate(Val row, Val column, Vals &values) {
    Vals alphas, betas;
    if (input.snake) {
      alphas = k.load(alpha, Elem::BF16, column, values.size());
      betas = k.load(beta, Elem::BF16, column, values.size());
    }
    for (unsigned i = 0; i < values.size(); ++i) {
      if (input.snake)
        values[i] = snakeBeta(k, values[i], alphas[i], betas[i]);
      if (input.lead) {
        // The product stays small: from the lead on every frame is behind it.
        Val place = k.min(first, k.u32(input.lead)) * input.frameRows + row;
        values[i] = k.select(place < input.lead, k.f32(0), values[i]);
      }
    }
  }

  void writeRows(Val group) {
    const unsigned step = accessWidth(input.channels, 4);
    Val element = (group * kInvocations + k.localIndex()) * step;
    Val row = element / input.channels, column = element % input.channels;
    k.ifThen(row < count, [&] {
      Vals values = k.load(x, Elem::F32, element, step);
      activate(row, column, values);
      k.store(y, Elem::F32, element + input.kept * input.channels, values);
    });
  }

  /// Some channels of the history: what it was goes in front of y, what it becomes is there when all have read.
  void writeHistory(Val group) {
    const uint32_t elements = input.kept * historyChannels, c = input.channels;
    SmallVector<Val> places, becomes, isThere;
    for (uint32_t done = 0; done < elements; done += kInvocations) {
      Val index = k.localIndex() + done;
      Val row = k.min(index / historyChannels, k.u32(input.kept - 1));
      Val column = group * historyChannels + index % historyChannels;
      Val there = (index < elements) & (column < c);
      column = k.min(column, k.u32(c - 1));
      auto kept = [&](Val at) { return k.select(first == 0, k.f32(0), k.load(history, Elem::F32, at * c + column)); };
      Val place = row * c + column, source = count + row;
      k.ifThen(there, [&] { k.store(y, Elem::F32, place, kept(row)); });
      // A push may bring fewer rows than are kept.
      Val newRow = k.min(k.max(source, k.u32(input.kept)) - input.kept, k.u32(input.rows.max - 1));
      Vals value = {k.load(x, Elem::F32, newRow * c + column)};
      activate(newRow, column, value);
      becomes.push_back(k.select(source < input.kept, kept(k.min(source, k.u32(input.kept - 1))), value[0]));
      places.push_back(place);
      isThere.push_back(there);
    }
    k.barrierWithDeviceMemory();
    for (auto [place, value, there] : llvm::zip_equal(places, becomes, isThere))
      k.ifThen(there, [&] { k.store(history, Elem::F32, place, value); });
  }

  KernelBuilder &k;
  const ConvInput &input;
  uint32_t historyChannels, historyGroups;
  Buffer x, alpha, beta, firstOperand, cells, history, y;
  Val count, first;
};

} // namespace

KernelPlan convInputKernel(const ConvInput &input, const TargetProfile &target) {
  // As many channels to a workgroup as give each invocation about four elements.
  uint32_t historyChannels = 32;
  while (input.kept && historyChannels > 4 && historyChannels * input.kept > 4 * kInvocations)
    historyChannels /= 2;
  const uint32_t historyGroups = input.kept ? llvm::divideCeil(input.channels, historyChannels) : 0;
  const uint64_t perGroup = uint64_t(kInvocations) * accessWidth(input.channels, 4);
  KernelPlan plan;
  plan.name = number("conv_input_c", input.channels) + input.rows.suffix() + number("_h", input.kept);
  if (input.snake)
    plan.name += "_snake";
  if (input.lead)
    plan.name += number("_lead", input.lead) + number("of", input.frameRows);
  plan.workgroup = {kInvocations, 1, 1};
  plan.groups = {
      static_cast<int64_t>(historyGroups + llvm::divideCeil(uint64_t(input.rows.max) * input.channels, perGroup)), 1,
      1};
  plan.emit = [=](KernelBuilder &k) {
    ConvInputWriter(k, input, historyChannels, historyGroups).emit();
    return success();
  };
  return plan;
}

//===------------------------------------------------------------------------------------------------------------===//
// Convolutions that mix channels
//===------------------------------------------------------------------------------------------------------------===//

namespace {

/// A workgroup computes 16 * rows by 16 * columns results; a stage holds all taps of 4 * quads channels.
struct ConvTile {
  uint32_t rows, columns, quads;
};

/// The tiles of one frame should keep the machine busy: pushes of one frame are the rule when speech is streamed.
ConvTile chooseTile(uint32_t frameRows, uint32_t outputs, const TargetProfile &target) {
  const ConvTile candidates[] = {{4, 4, 0}, {4, 2, 0}, {2, 2, 0}, {2, 1, 0}};
  for (const ConvTile &tile : candidates) {
    uint64_t tiles = uint64_t(llvm::divideCeil(frameRows, tile.rows * kThreads)) *
                     llvm::divideCeil(outputs, tile.columns * kThreads);
    if (tiles * 4 >= uint64_t(target.computeUnits) * 3)
      return tile;
  }
  return frameRows <= kThreads ? ConvTile{1, 1, 0} : ConvTile{2, 1, 0};
}

/// Rows that a frame brings.
uint32_t frameRowsOf(const RowBound &rows) { return rows.cellOffset ? rows.factor : rows.max; }

/// Four channels at \p channel, zeros behind the last.
Vals loadChannels(KernelBuilder &k, Buffer x, Val row, Val channel, uint32_t channels) {
  Val inside = channel < channels;
  Vals values = k.load(x, Elem::F32, row * channels + k.select(inside, channel, k.u32(0)), 4);
  for (Val &value : values)
    value = k.select(inside, value, k.f32(0));
  return values;
}

/// What both kinds of convolution do: stages of channels pass through workgroup memory, the next one already on its
/// way in registers.
class StagedConvolution {
public:
  virtual ~StagedConvolution() = default;

protected:
  StagedConvolution(KernelBuilder &k, uint32_t channels, uint32_t quads, uint32_t stagedRows, uint32_t kept)
      : k(k), channels(channels), quads(quads), stagedRows(stagedRows), kept(kept), t(k.localIndex()) {
    tileX = k.shared(Elem::F32, stagedRows * quads, 4);
  }

  virtual void loadWeights(Val channel0, Vals &values) = 0;
  virtual void storeWeights(ArrayRef<Val> values) = 0;
  virtual void multiplyQuad(Val quad, Vals &sums) = 0;

  static uint32_t turns(uint32_t items) { return llvm::divideCeil(items, kInvocations); }

  /// body(item) for the items of this invocation.
  void forItems(uint32_t items, llvm::function_ref<void(Val item, uint32_t turn)> body) {
    for (uint32_t turn = 0; turn < turns(items); ++turn) {
      Val item = t + turn * kInvocations;
      if ((turn + 1) * kInvocations <= items)
        body(item, turn);
      else
        k.ifThen(item < items, [&] { body(item, turn); });
    }
  }

  Vals load(Val channel0) {
    Vals values;
    for (uint32_t turn = 0; turn < turns(stagedRows * quads); ++turn) {
      Val item = k.min(t + turn * kInvocations, k.u32(stagedRows * quads - 1));
      // Rows behind the last are computed and not stored.
      Val row = k.min(row0 + item / quads, rowEnd + (kept - 1));
      values.append(loadChannels(k, x, row, channel0 + item % quads * 4, channels));
    }
    loadWeights(channel0, values);
    return values;
  }

  Vals multiply(size_t sumCount) {
    Vals carried(sumCount, k.f32(0));
    carried.append(load(k.u32(0)));
    carried = k.forLoop(k.u32(0), k.u32(channels), k.u32(quads * 4), carried, [&](Val channel0, ArrayRef<Val> in) {
      ArrayRef<Val> staged = in.drop_front(sumCount);
      k.barrier();
      forItems(stagedRows * quads, [&](Val item, uint32_t turn) { k.store(tileX, item, staged.slice(turn * 4, 4)); });
      storeWeights(staged.drop_front(turns(stagedRows * quads) * 4));
      k.barrier();
      Vals next = load(channel0 + quads * 4);
      Vals sums(in.take_front(sumCount));
      sums = k.forLoop(k.u32(0), k.u32(quads), k.u32(1), sums, [&](Val quad, ArrayRef<Val> inner) {
        Vals result(inner);
        multiplyQuad(quad, result);
        return result;
      });
      sums.append(next);
      return sums;
    });
    carried.truncate(sumCount);
    return carried;
  }

  KernelBuilder &k;
  uint32_t channels, quads, stagedRows, kept;
  Val t, row0, rowEnd;
  Buffer x;
  Shared tileX;
};

class DenseConvolution : StagedConvolution {
public:
  static uint32_t stagedRowsOf(const Convolution &conv, const ConvTile &tile) {
    return tile.rows * kThreads + conv.kept();
  }
  static uint32_t pitchOf(const Convolution &conv, const ConvTile &tile) { return conv.taps * tile.quads | 1; }
  static uint32_t bytes(const Convolution &conv, const ConvTile &tile) {
    return 16 * (stagedRowsOf(conv, tile) * tile.quads + tile.columns * kThreads * pitchOf(conv, tile));
  }

  DenseConvolution(KernelBuilder &k, const Convolution &conv, const ConvTile &tile)
      : StagedConvolution(k, conv.channels, tile.quads, stagedRowsOf(conv, tile), conv.kept()), conv(conv), tile(tile) {
    x = k.operand("x", Access::Read, (uint64_t(conv.rows.max) + conv.kept()) * conv.channels * 4);
    weight = k.operand("weight", Access::Read, weightBytes(conv.outputs, conv.channels * conv.taps));
    bias = k.operand("bias", Access::Read, weightBytes(1, conv.outputs));
    if (conv.snake) {
      alpha = k.operand("alpha", Access::Read, weightBytes(1, conv.outputs));
      beta = k.operand("beta", Access::Read, weightBytes(1, conv.outputs));
    }
    if (conv.rows.cellOffset)
      cells = k.operand("state", Access::Read, conv.state.bytes());
    y = k.operand("y", Access::Write, uint64_t(conv.rows.max) * conv.outputs * 4);
    tileW = k.shared(Elem::F32, tile.columns * kThreads * pitchOf(conv, tile), 4);
  }

  void emit() {
    rowEnd = rowCount(k, conv.rows, cells);
    row0 = k.workgroupId(1) * (tile.rows * kThreads);
    column0 = k.workgroupId(0) * (tile.columns * kThreads);
    k.ifThen(row0 < rowEnd, [&] { store(multiply(tile.rows * tile.columns)); });
  }

private:
  uint32_t weightItems() const { return tile.columns * kThreads * quads; }

  /// Four channels of an output with all their taps lie side by side.
  void loadWeights(Val channel0, Vals &values) override {
    const uint32_t pitch = paddedWidth(conv.channels * conv.taps);
    for (uint32_t turn = 0; turn < turns(weightItems()); ++turn) {
      Val item = t + turn * kInvocations;
      Val output = k.min(column0 + item / quads, k.u32(conv.outputs - 1));
      Val channel = channel0 + item % quads * 4;
      Val inside = channel < conv.channels;
      Val from = output * pitch + k.select(inside, channel, k.u32(0)) * conv.taps;
      for (uint32_t tap = 0; tap < conv.taps; ++tap)
        for (Val value : k.load(weight, Elem::BF16, from + tap * 4, 4))
          values.push_back(k.select(inside, value, k.f32(0)));
    }
  }

  void storeWeights(ArrayRef<Val> values) override {
    forItems(weightItems(), [&](Val item, uint32_t turn) {
      ArrayRef<Val> taps = values.slice(turn * 4 * conv.taps, 4 * conv.taps);
      Val place = item / quads * pitchOf(conv, tile) + item % quads;
      for (uint32_t tap = 0; tap < conv.taps; ++tap)
        k.store(tileW, place + tap * quads,
                {taps[tap], taps[conv.taps + tap], taps[2 * conv.taps + tap], taps[3 * conv.taps + tap]});
    });
  }

  void multiplyQuad(Val quad, Vals &sums) override {
    Val tx = t % kThreads, ty = t / kThreads;
    for (uint32_t tap = 0; tap < conv.taps; ++tap) {
      SmallVector<Vals> inputs;
      for (uint32_t i = 0; i < tile.rows; ++i)
        inputs.push_back(k.load(tileX, (ty + (i * kThreads + tap * conv.dilation)) * quads + quad));
      for (uint32_t j = 0; j < tile.columns; ++j) {
        Vals w = k.load(tileW, (tx + j * kThreads) * pitchOf(conv, tile) + tap * quads + quad);
        for (uint32_t i = 0; i < tile.rows; ++i) {
          Val &sum = sums[i * tile.columns + j];
          sum = k.dot(inputs[i], w, sum);
        }
      }
    }
  }

  void store(ArrayRef<Val> sums) {
    for (uint32_t j = 0; j < tile.columns; ++j) {
      Val column = column0 + t % kThreads + j * kThreads;
      Val safe = k.min(column, k.u32(conv.outputs - 1));
      Val offset = k.load(bias, Elem::BF16, safe), a, b;
      if (conv.snake) {
        a = k.load(alpha, Elem::BF16, safe);
        b = k.load(beta, Elem::BF16, safe);
      }
      for (uint32_t i = 0; i < tile.rows; ++i) {
        Val row = row0 + t / kThreads + i * kThreads, value = sums[i * tile.columns + j] + offset;
        if (conv.snake)
          value = snakeBeta(k, value, a, b);
        if (conv.limit > 0)
          value = k.max(k.min(value, k.f32(conv.limit)), k.f32(-conv.limit));
        k.ifThen((row < rowEnd) & (column < conv.outputs),
                 [&] { k.store(y, Elem::F32, row * conv.outputs + column, value); });
      }
    }
  }

  const Convolution &conv;
  const ConvTile &tile;
  Buffer weight, bias, alpha, beta, cells, y;
  Shared tileW;
  Val column0;
};

class TransposedTile : StagedConvolution {
public:
  static uint32_t stagedRowsOf(const TransposedConvolution &conv, const ConvTile &tile) {
    return tile.rows * kThreads + conv.kept();
  }
  /// Of one output, with all its taps.
  static uint32_t pitchOf(const TransposedConvolution &conv, const ConvTile &tile) {
    return conv.taps * tile.quads | 1;
  }
  static uint32_t bytes(const TransposedConvolution &conv, const ConvTile &tile) {
    return 16 * (stagedRowsOf(conv, tile) * tile.quads + kThreads * pitchOf(conv, tile));
  }

  TransposedTile(KernelBuilder &k, const TransposedConvolution &conv, const ConvTile &tile)
      : StagedConvolution(k, conv.channels, tile.quads, stagedRowsOf(conv, tile), conv.kept()), conv(conv), tile(tile) {
    x = k.operand("x", Access::Read, (uint64_t(conv.rows.max) + conv.kept()) * conv.channels * 4);
    weight = k.operand("weight", Access::Read, weightBytes(conv.channels, conv.outputs * conv.taps));
    bias = k.operand("bias", Access::Read, weightBytes(1, conv.outputs));
    if (conv.rows.cellOffset)
      cells = k.operand("state", Access::Read, conv.state.bytes());
    y = k.operand("y", Access::Write, uint64_t(conv.rows.max) * conv.stride * conv.outputs * 4);
    tileW = k.shared(Elem::F32, kThreads * pitchOf(conv, tile), 4);
  }

  void emit() {
    rowEnd = rowCount(k, conv.rows, cells);
    row0 = k.workgroupId(1) * (tile.rows * kThreads);
    output0 = k.workgroupId(0) * kThreads;
    k.ifThen(row0 < rowEnd, [&] { store(multiply(tile.rows * conv.stride)); });
  }

private:
  /// An item is four neighbours among the 16 * taps weights of a channel, of four channels.
  uint32_t weightItems() const { return kThreads * conv.taps / 4 * quads; }

  void loadWeights(Val channel0, Vals &values) override {
    const uint32_t pitch = paddedWidth(conv.outputs * conv.taps);
    for (uint32_t turn = 0; turn < turns(weightItems()); ++turn) {
      Val item = t + turn * kInvocations;
      Val column = k.min(output0 * conv.taps + item / quads * 4, k.u32(pitch - 4));
      for (uint32_t c = 0; c < 4; ++c) {
        Val channel = channel0 + item % quads * 4 + c;
        Val inside = channel < conv.channels;
        for (Val value : k.load(weight, Elem::BF16, k.select(inside, channel, k.u32(0)) * pitch + column, 4))
          values.push_back(k.select(inside, value, k.f32(0)));
      }
    }
  }

  void storeWeights(ArrayRef<Val> values) override {
    forItems(weightItems(), [&](Val item, uint32_t turn) {
      ArrayRef<Val> four = values.slice(turn * 16, 16);
      for (uint32_t e = 0; e < 4; ++e) {
        Val column = item / quads * 4 + e;
        Val place = column / conv.taps * pitchOf(conv, tile) + column % conv.taps * quads + item % quads;
        k.store(tileW, place, {four[e], four[4 + e], four[8 + e], four[12 + e]});
      }
    });
  }

  void multiplyQuad(Val quad, Vals &sums) override {
    Val tx = t % kThreads, ty = t / kThreads;
    for (uint32_t j = 0; j <= conv.kept(); ++j) {
      SmallVector<Vals> inputs;
      for (uint32_t i = 0; i < tile.rows; ++i)
        inputs.push_back(k.load(tileX, (ty + (i * kThreads + conv.kept() - j)) * quads + quad));
      for (uint32_t r = 0; r < conv.stride; ++r) {
        Vals w = k.load(tileW, tx * pitchOf(conv, tile) + (r + j * conv.stride) * quads + quad);
        for (uint32_t i = 0; i < tile.rows; ++i) {
          Val &sum = sums[i * conv.stride + r];
          sum = k.dot(inputs[i], w, sum);
        }
      }
    }
  }

  void store(ArrayRef<Val> sums) {
    Val output = output0 + t % kThreads;
    Val offset = k.load(bias, Elem::BF16, k.min(output, k.u32(conv.outputs - 1)));
    for (uint32_t i = 0; i < tile.rows; ++i) {
      Val row = row0 + t / kThreads + i * kThreads;
      k.ifThen((row < rowEnd) & (output < conv.outputs), [&] {
        for (uint32_t r = 0; r < conv.stride; ++r)
          k.store(y, Elem::F32, (row * conv.stride + r) * conv.outputs + output, sums[i * conv.stride + r] + offset);
      });
    }
  }

  const TransposedConvolution &conv;
  const ConvTile &tile;
  Buffer weight, bias, cells, y;
  Shared tileW;
  Val output0;
};

/// \p tile with the largest stage that fits.
template <typename TileT, typename ConvT>
std::optional<ConvTile> fitStage(const ConvT &conv, ConvTile tile, uint32_t mostQuads, const TargetProfile &target) {
  for (tile.quads = mostQuads; tile.quads; tile.quads /= 2)
    if (TileT::bytes(conv, tile) <= sharedBytes(target))
      return tile;
  return std::nullopt;
}

} // namespace

FailureOr<KernelPlan> convolutionKernel(const Convolution &conv, const TargetProfile &target) {
  if (conv.channels % 4 != 0)
    return failure();
  std::optional<ConvTile> tile =
      fitStage<DenseConvolution>(conv, chooseTile(frameRowsOf(conv.rows), conv.outputs, target), 4, target);
  if (!tile)
    tile = fitStage<DenseConvolution>(conv, {1, 1, 0}, 4, target);
  if (!tile)
    return failure();
  KernelPlan plan;
  plan.name = number("conv_n", conv.outputs) + number("_c", conv.channels) + number("_t", conv.taps) +
              number("_d", conv.dilation) + conv.rows.suffix() + (conv.snake ? "_snake" : "");
  if (conv.limit > 0)
    plan.name += "_clamp" + parameterTag({conv.limit});
  plan.workgroup = {kInvocations, 1, 1};
  plan.groups = {llvm::divideCeil(conv.outputs, tile->columns * kThreads), 1, 1};
  plan.divideRows(conv.rows, 1, tile->rows * kThreads);
  plan.emit = [=, tile = *tile](KernelBuilder &k) {
    DenseConvolution(k, conv, tile).emit();
    return success();
  };
  return plan;
}

FailureOr<KernelPlan> transposedConvolutionKernel(const TransposedConvolution &conv, const TargetProfile &target) {
  if (conv.channels % 4 != 0 || conv.stride > 32)
    return failure();
  std::optional<ConvTile> tile =
      fitStage<TransposedTile>(conv, {frameRowsOf(conv.rows) <= kThreads ? 1u : 2u, 1, 0}, 8, target);
  if (!tile)
    return failure();
  KernelPlan plan;
  plan.name = number("conv_transpose_n", conv.outputs) + number("_c", conv.channels) + number("_t", conv.taps) +
              number("_s", conv.stride) + conv.rows.suffix();
  plan.workgroup = {kInvocations, 1, 1};
  plan.groups = {llvm::divideCeil(conv.outputs, kThreads), 1, 1};
  plan.divideRows(conv.rows, 1, tile->rows * kThreads);
  plan.emit = [=, tile = *tile](KernelBuilder &k) {
    TransposedTile(k, conv, tile).emit();
    return success();
  };
  return plan;
}

//===------------------------------------------------------------------------------------------------------------===//
// Convolutions of single channels, and what codes stand for
//===------------------------------------------------------------------------------------------------------------===//

KernelPlan depthwiseKernel(const Convolution &conv, const TargetProfile &) {
  KernelPlan plan;
  plan.name = number("conv_depthwise_c", conv.channels) + number("_t", conv.taps) + number("_d", conv.dilation) +
              conv.rows.suffix();
  plan.workgroup = {kInvocations, 1, 1};
  plan.groups = {static_cast<int64_t>(llvm::divideCeil(uint64_t(conv.rows.max) * conv.channels, kInvocations)), 1, 1};
  plan.emit = [=](KernelBuilder &k) {
    Buffer x = k.operand("x", Access::Read, (uint64_t(conv.rows.max) + conv.kept()) * conv.channels * 4);
    Buffer weight = k.operand("weight", Access::Read, weightBytes(conv.channels, conv.taps));
    Buffer bias = k.operand("bias", Access::Read, weightBytes(1, conv.channels));
    Buffer cells;
    if (conv.rows.cellOffset)
      cells = k.operand("state", Access::Read, conv.state.bytes());
    Buffer y = k.operand("y", Access::Write, uint64_t(conv.rows.max) * conv.channels * 4);
    Val element = k.workgroupId(0) * kInvocations + k.localIndex();
    Val row = element / conv.channels, channel = element % conv.channels;
    k.ifThen(row < rowCount(k, conv.rows, cells), [&] {
      Val sum = k.load(bias, Elem::BF16, channel);
      for (uint32_t tap = 0; tap < conv.taps; ++tap)
        sum = k.fma(k.load(weight, Elem::BF16, channel * paddedWidth(conv.taps) + tap),
                    k.load(x, Elem::F32, element + tap * conv.dilation * conv.channels), sum);
      k.store(y, Elem::F32, element, sum);
    });
    return success();
  };
  return plan;
}

KernelPlan codebookMeanKernel(const RowBound &rows, uint32_t groups, uint32_t codes, uint32_t width,
                              const StateBlock &state, const TargetProfile &target) {
  KernelPlan plan;
  plan.name = number("codebook_mean_g", groups) + number("_v", codes) + number("_n", width) + rows.suffix();
  plan.workgroup = {std::min<uint32_t>(kInvocations, target.maxWorkgroupInvocations), 1, 1};
  plan.divideRows(rows);
  plan.emit = [=](KernelBuilder &k) {
    Buffer ids = k.operand("codes", Access::Read, uint64_t(rows.max) * groups * 4);
    Buffer table = k.operand("table", Access::Read, weightBytes(uint64_t(groups) * codes, width));
    Buffer cells;
    if (rows.cellOffset)
      cells = k.operand("state", Access::Read, state.bytes());
    Buffer y = k.operand("y", Access::Write, uint64_t(rows.max) * width * 4);
    const unsigned step = accessWidth(width, 4);
    Val row = k.workgroupId(0);
    k.ifThen(row < rowCount(k, rows, cells), [&] {
      k.forLoop(k.localIndex(), k.u32(width / step), k.u32(k.invocations()), [&](Val i) {
        Vals sums =
            k.forLoop(k.u32(0), k.u32(groups), k.u32(1), Vals(step, k.f32(0)), [&](Val group, ArrayRef<Val> carried) {
              // A wrong code reads the group's last row instead of foreign memory.
              Val code = k.min(k.load(ids, Elem::U32, row * groups + group), k.u32(codes - 1));
              Val from = (group * codes + code) * paddedWidth(width) + i * step;
              Vals values = k.load(table, Elem::BF16, from, step), result;
              for (auto [sum, value] : llvm::zip_equal(carried, values))
                result.push_back(sum + value);
              return result;
            });
        for (Val &sum : sums)
          sum = sum / static_cast<double>(groups);
        k.store(y, Elem::F32, row * width + i * step, sums);
      });
    });
    return success();
  };
  return plan;
}

} // namespace qwenc
