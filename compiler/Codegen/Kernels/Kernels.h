//===- Kernels.h - The kernel skeletons ---------------------------------------------------------------*- C++ -*-===//
//
// Each function describes one kernel for a shape and a target: its name (which is its specification and its label in
// traces), its workgroup, its grid, and how to write it. Names: operation, fused parts, shape; `r64` = at most 64 rows,
// `n`/`k` = output/input width, `h`/`kv`/`d` = query heads, key/value heads, head dim, `c` = context.
//
// Rows are present or not at run time: a RowBound with a cell means that the kernel reads how many there are and that
// workgroups behind the last row leave at once.
//
// Weights are bf16 with rows padded by zeros to a multiple of 8 (`paddedWidth`), so that every weight load has 16
// bytes; those of products may be packed (WeightReader.h). KV caches are [kv heads][context][head dim].
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "compiler/Codegen/KernelBuilder.h"
#include "compiler/Codegen/Kernels/WeightReader.h"
#include "compiler/Codegen/ScalarBody.h"

#include <functional>
#include <optional>

namespace qwenc {

/// How many rows an activation has: at most `max`; the exact number is `factor` times a cell of the state block, or
/// `max`.
struct RowBound {
  uint32_t max = 1;
  std::optional<uint32_t> cellOffset;
  uint32_t factor = 1;
  /// "_r64": the part of a kernel's name; empty for exactly `max` rows, which operands say.
  std::string suffix() const;
};

/// The direction of a grid along which workgroups take rows, `each` per workgroup: those behind the last row that is
/// there need not start.
struct RowGroups {
  RowBound rows;
  unsigned direction = 0;
  uint32_t each = 1;
};

struct KernelPlan {
  std::string name;
  std::array<uint32_t, 3> workgroup = {1, 1, 1};
  std::array<int64_t, 3> groups = {1, 1, 1};
  std::optional<RowGroups> rowGroups; ///< none: every workgroup has to start
  std::function<mlir::LogicalResult(KernelBuilder &)> emit;

  /// As many groups in \p direction as all rows take, \p each per group.
  void divideRows(const RowBound &rows, unsigned direction = 0, uint32_t each = 1) {
    groups[direction] = llvm::divideCeil(rows.max, each);
    if (rows.cellOffset)
      rowGroups = {rows, direction, each};
  }
};

/// "f16"
const char *elemName(Elem elem);

/// "_p1a2b3c4d": tells kernels apart whose constants differ (eps, scale, theta) and that have the same shape.
std::string parameterTag(llvm::ArrayRef<double> parameters);

/// Bytes of a padded bf16 weight matrix.
constexpr uint64_t weightBytes(uint64_t rows, uint32_t width) { return rows * paddedWidth(width) * 2; }

/// Elements that one access can move when rows of `width` elements start 16-byte aligned: 8, 4, 2 or 1, at most `most`.
unsigned accessWidth(uint32_t width, unsigned most);

/// Size of the state block for a context, in bytes; every kernel that reads cells declares it.
struct StateBlock {
  uint32_t maxContext = 0;
  uint64_t bytes() const;
};

Val loadCell(KernelBuilder &k, Buffer state, uint32_t offsetBytes);
void storeCell(KernelBuilder &k, Buffer state, uint32_t offsetBytes, Val value);
/// True for all invocations of the last of \p count workgroups that come here; each has stored its part before. Behind
/// a deviceBarrier() it may load, coherently, what the others left. \p counter is a word of the state block that is
/// zero between dispatches (layout::arrivals). Contains barriers.
Val isLastWorkgroup(KernelBuilder &k, Buffer state, Val counter, Val count);
/// The token history's entry of row \p row behind the position, below \p vocab.
Val loadToken(KernelBuilder &k, Buffer state, const StateBlock &block, Val row, uint32_t vocab);
/// Rows present: the cell or the constant.
Val rowCount(KernelBuilder &k, const RowBound &rows, Buffer state);

//===------------------------------------------------------------------------------------------------------------===//
// Rows.cpp: gathers, norms, elementwise, chunk control
//===------------------------------------------------------------------------------------------------------------===//

/// Operands: state, table [v, h], y [rows, h]. Row r takes token history[position + r].
KernelPlan embeddingKernel(const RowBound &rows, uint32_t vocab, uint32_t width, const StateBlock &state,
                           const TargetProfile &target);
/// Operands: x [rows, n], weight [n], bias [n], (state,) y. Ba et al. 2016.
KernelPlan layerNormKernel(const RowBound &rows, uint32_t width, double eps, Elem output, const StateBlock &state,
                           const TargetProfile &target);
/// Operands: x [rows, n], source [sourceRows, n], state, y. Rows of the source that the history's media rows name
/// replace the row of x, or are added to it.
KernelPlan mediaRowsKernel(const RowBound &rows, uint32_t sourceRows, uint32_t width, bool adds,
                           const StateBlock &state, const TargetProfile &target);
/// Operands: x [rows, n], weight [n], (state,) y. Zhang and Sennrich 2019, with the weight applied in f32.
KernelPlan rmsNormKernel(const RowBound &rows, uint32_t width, double eps, Elem output, const StateBlock &state,
                         const TargetProfile &target);
/// Operands: inputs..., (state,) y; `body` joins one element of each.
KernelPlan elementwiseKernel(const RowBound &rows, uint32_t width, llvm::ArrayRef<Elem> inputs, Elem output,
                             mlir::Region &body, const StateBlock &state, const TargetProfile &target);
/// Operands: x [inputRows, n], state, y. Copies the last row of the chunk.
KernelPlan lastRowKernel(uint32_t inputRows, uint32_t width, const StateBlock &state, const TargetProfile &target);
/// Operands: x [inputRows, n], state, y [rows, n]. Copies HeadRows rows from HeadRow on.
KernelPlan headRowsKernel(uint32_t inputRows, const RowBound &rows, uint32_t width, const StateBlock &state,
                          const TargetProfile &target);
/// Operand: state. Rows = min(chunk, Length - Position).
KernelPlan beginChunkKernel(uint32_t chunk, const StateBlock &state, const TargetProfile &target);
/// Operand: state. Position += Rows.
KernelPlan advanceKernel(const StateBlock &state, const TargetProfile &target);

//===------------------------------------------------------------------------------------------------------------===//
// Matrix products
//===------------------------------------------------------------------------------------------------------------===//

enum class LinearPrologue { None, RmsNorm, CombineSplits };

/// Weights are stacks [count, n, k] of which each row takes `choices` experts.
struct Experts {
  uint32_t count = 0, choices = 0;
  bool ownInput = false; ///< the input is [rows, choices, k], not [rows, k]
  bool sum = false;      ///< one row: the choices are weighted and added up; else the result is [rows, choices, n]
  uint32_t tiles = 0;    ///< of the choices sorted by expert (groupExpertsKernel), when there is more than one row
  uint32_t tile = 0;     ///< choices in one of these at most
};

/// A choice of experts from the logits of a row.
struct Route {
  uint32_t choices = 0;
  bool normalize = false; ///< the chosen probabilities are divided by their sum
  bool folded = false;    ///< of qwen.folded_router: the logits are still multiplied by what the norm divides by
};

/// The matrix [outputs, input + residual] of f32 that qwen.fold_linears makes.
struct FoldedShape {
  uint32_t outputs = 0, input = 0, residual = 0;
  uint32_t width() const { return input + residual; }
  uint64_t bytes() const { return uint64_t(outputs) * width() * 4; }
  bool hasWholeFours() const { return input % 4 == 0 && residual % 4 == 0; }
};

/// The input is [rows, bins, channels], of which a row of the product takes patches (qwen.tap_patches).
struct TapInput {
  uint32_t rows = 0, bins = 0, channels = 0;
  uint32_t places() const { return (bins - 1) / 2 + 1; } ///< rows of the product for each row of taps
  uint64_t elements() const { return uint64_t(rows) * bins * channels; }
};

/// result[r, n] = epilogue(acc_0, ..., extra_0[r, n], ...), acc_i = sum_k prologue(x)[r, k] * W_i[n, k].
/// Operands: x, (taps,) (norm,) (state,) (logits, or experts, (route weights,) (order, tiles,)) W_0..,
/// extras.., y, (with logits: route weights, experts).
struct Linear {
  RowBound rows;
  uint32_t n = 0, k = 0;
  unsigned accumulators = 1;
  WeightFormat format = WeightFormat::BF16;
  Elem input = Elem::F32, output = Elem::F32;
  bool scaled = false; ///< many rows of f32 may be multiplied as f16, each row at a scale of its own
  LinearPrologue prologue = LinearPrologue::None;
  double eps = 0;
  uint32_t combineHeads = 0, combineSplits = 0; ///< shape of the partials when prologue is CombineSplits
  struct Extra {
    bool broadcast = false; ///< [n] instead of [rows, n]
    bool perRow = false;    ///< [rows, 1] instead of [rows, n]
    Elem elem = Elem::F32;
  };
  llvm::SmallVector<Extra> extras;
  mlir::Region *epilogue = nullptr;
  StateBlock state;
  std::optional<Experts> experts;
  std::optional<TapInput> taps;
  /// One row, normalised: the input is the token's row of an embedding table of this many rows, and left for what reads
  /// it behind.
  std::optional<uint32_t> gathered;
  /// One row: the experts are chosen here, from a router's logits, and left for products behind.
  std::optional<Route> route;
  /// One row, a known size of subgroups: the first workgroups are those of a router that runs beside the product and
  /// reads the same input and residual (qwen.folded_router).
  std::optional<FoldedShape> router;

  bool needsState() const { return gathered || rows.cellOffset.has_value(); }
  uint64_t inputBytes() const;
  /// Rows of the result: one for each choice, unless choices are added up.
  uint64_t resultRows() const { return uint64_t(rows.max) * (experts && !experts->sum ? experts->choices : 1); }
  WeightLayout weights() const { return {format, k}; }
  /// Bytes of one accumulator's weights.
  uint64_t weightBytes() const { return (experts ? experts->count : 1) * weights().bytes(n); }
  /// "_n1024_k2048_combine_addf": the parts all three skeletons share in their names.
  std::string suffix() const;
};

/// The operands of a Linear, declared in order.
struct LinearOperands {
  Buffer x, taps, norm, state, y;
  Buffer logits, experts, routeWeights, order, tiles;
  llvm::SmallVector<Buffer> weights, extras;
  Buffer folded; // of a router, with logits
  Buffer row;    // that was gathered
};
LinearOperands declareOperands(KernelBuilder &k, const Linear &linear);
/// The extras at [row, column .. column + count - 1].
llvm::SmallVector<Vals> loadExtras(KernelBuilder &k, const Linear &linear, const LinearOperands &ops, Val row,
                                   Val column, unsigned count);
/// epilogue(acc, extras) stored to y at [row, column ..]; all of `accumulators[i]` and of `extras[i]` have one size.
mlir::LogicalResult storeResults(KernelBuilder &k, const Linear &linear, const LinearOperands &ops, Val row, Val column,
                                 llvm::ArrayRef<Vals> accumulators, llvm::ArrayRef<Vals> extras);
/// The same with the extras loaded here.
mlir::LogicalResult storeResults(KernelBuilder &k, const Linear &linear, const LinearOperands &ops, Val row, Val column,
                                 llvm::ArrayRef<Vals> accumulators);

/// The rows of a product of many rows that one workgroup takes: rows of the input, or choices of one expert in the
/// order that groupExpertsKernel left.
class RowTile {
public:
  /// Tile \p index of \p size rows.
  RowTile(KernelBuilder &k, const Linear &linear, const LinearOperands &ops, Val index, uint32_t size);

  Val isPresent() const { return begin_ < end_; }
  /// Rows have numbers from begin() to end() - 1.
  Val begin() const { return begin_; }
  Val end() const { return end_; }
  /// The input row of row \p number, which is below end().
  Val inputRow(Val number) const;
  /// The row of the result.
  Val resultRow(Val number) const;
  /// Row \p output of this tile's weights.
  Val weightRow(Val output) const { return expertRows_ ? expertRows_ + output : output; }

private:
  KernelBuilder &k;
  const Linear &linear;
  Buffer order_;
  Val begin_, end_, expertRows_;
};

/// The choice that stands at \p index; a number that names no expert becomes the last one.
Val loadExpert(KernelBuilder &k, const Experts &experts, Buffer choices, Val index);

/// One row: a subgroup per output, the input row staged in workgroup memory through the prologue.
KernelPlan vectorLinearKernel(const Linear &linear, const TargetProfile &target);
/// Many rows, f32 multiply-adds on tiles of 64x64, or of 32x32 where those would leave most of the machine idle.
KernelPlan tileLinearKernel(const Linear &linear, const TargetProfile &target);
/// Many rows, cooperative matrices; fails without an input that the target's take, bf16, f16 or scaled f32, and
/// k % 8 == 0.
mlir::FailureOr<KernelPlan> matrixLinearKernel(const Linear &linear, const TargetProfile &target);

//===------------------------------------------------------------------------------------------------------------===//
// Experts.cpp: mixtures of experts around the products
//===------------------------------------------------------------------------------------------------------------===//

/// Operands: logits [rows, experts], (state,) weights [rows, choices], experts [rows, choices]. A workgroup takes a
/// row.
KernelPlan routeKernel(const RowBound &rows, uint32_t experts, uint32_t choices, bool normalize,
                       const StateBlock &state, const TargetProfile &target);
/// The choice of experts of one row by a workgroup.
class ExpertChooser {
public:
  ExpertChooser(KernelBuilder &k, uint32_t experts, const Route &route);
  /// Chooses among \p logits [rows, experts] of a row. Declares workgroup memory; contains barriers.
  void choose(Buffer logits, Val row);
  /// The expert of choice \p index.
  Val expertAt(Val index);
  /// Whether findAt() fits the target.
  bool canFind() const;
  /// The expert of choice \p index of a row, found by each subgroup for itself: neither workgroup memory nor barriers.
  Val findAt(Buffer logits, Val row, Val index);
  /// Leaves weights [rows, choices] and experts [rows, choices] of the row, of the logits times \p factor if there is
  /// one. Contains barriers.
  void store(Buffer logits, Val row, Buffer weights, Buffer indices, Val factor = {});

private:
  Val orderKey(Val logit);
  Val rankOf(Val own, Val expert);
  /// exp(logit - largest), both times the factor.
  Val exponential(Val logit, Val largest, Val factor);
  Val sum(Buffer logits, Val row, Val largest, Val factor);

  KernelBuilder &k;
  uint32_t experts;
  Route route;
  uint32_t fours;
  Shared staged, chosen, chosenLogits;
};

/// Operands: experts [rows, choices], (state,) order [rows * choices], tiles [maxTiles, 4]. A counting sort.
KernelPlan groupExpertsKernel(const RowBound &rows, uint32_t experts, uint32_t choices, uint32_t tile,
                              uint32_t maxTiles, const StateBlock &state, const TargetProfile &target);
/// Operands: x [rows, choices, n], weights [rows, choices], (state,) y [rows, n].
KernelPlan weightedSumKernel(const RowBound &rows, uint32_t choices, uint32_t width, const StateBlock &state,
                             const TargetProfile &target);

//===------------------------------------------------------------------------------------------------------------===//
// FoldedLinear.cpp: a product behind another and a residual, as one matrix
//===------------------------------------------------------------------------------------------------------------===//

/// Operands: outer [outputs, residual], norm [residual], inner [residual, input] of format \p inner, folded. Rows have
/// whole fours.
KernelPlan foldLinearsKernel(const FoldedShape &shape, WeightFormat inner, const TargetProfile &target);
/// The router of \p linear as the work of workgroup \p output, one for each logit.
void emitFoldedRouter(KernelBuilder &k, const Linear &linear, const LinearOperands &ops, Val output);

//===------------------------------------------------------------------------------------------------------------===//
// Attention
//===------------------------------------------------------------------------------------------------------------===//

struct Heads {
  uint32_t query = 0, keyValue = 0, dim = 0;
  uint32_t context = 0;
  Elem cache = Elem::F32;
  uint64_t cacheBytes() const { return uint64_t(keyValue) * context * dim * elemBytes(cache); }
  uint32_t qkvWidth() const { return (query + 2 * keyValue) * dim; }
  std::string suffix() const;
};

struct Rotary {
  double theta = 0;
  bool normalise = false; ///< RMSNorm of each head of q and k before the rotation
  double eps = 0;
  /// Pairs that turn with time, height and width (qwen.mrope); empty: all turn with the row's index.
  llvm::SmallVector<uint32_t, 3> sections;

  /// "_mrope24_20_20", or empty.
  std::string suffix() const;
};

/// inv_freq[i] = 1 / theta^(2i / dim) in f32, as the reference rounds it.
std::vector<float> inverseFrequencies(double theta, uint32_t dim);
/// cos and sin of x >= 0 (up to 2^17), f32 accurate: Cody-Waite reduction, then polynomials on [-pi/4, pi/4].
std::pair<Val, Val> cosSin(KernelBuilder &k, Val x);

/// Cosines and sines of one position in workgroup memory, computed once for all heads.
class RotaryTable {
public:
  RotaryTable(KernelBuilder &k, const Rotary &rotary, uint32_t dim);
  /// Does what does not depend on the position, where that has to be waited for.
  void prepare();
  /// All invocations; a barrier stands between this and rotate(). \p position gives that of a pair, in f32.
  void fill(llvm::function_ref<Val(Val pair)> position);
  /// The pair (x1, x2) = (x[i], x[i + dim/2]) rotated.
  std::pair<Val, Val> rotate(Val i, Val x1, Val x2) const;

private:
  KernelBuilder &k;
  std::vector<float> frequencies;
  Val prepared; // this invocation's frequency
  Shared cosines, sines;
};

/// The position by which pair \p pair of the token with \p index in the history turns.
Val rotaryPosition(KernelBuilder &k, const Rotary &rotary, const StateBlock &state, Buffer cells, Val index, Val pair);
/// The same for a token that was sampled, whose axes are equal.
Val sampledPosition(KernelBuilder &k, const Rotary &rotary, Buffer cells, Val index);

/// One head of queries or keys in the hands of a subgroup: its norm and rotation. Where the subgroup size is fixed, the
/// constructor asks for everything and waits for nothing.
class HeadPairs {
public:
  /// \p weight loads an element of the norm's weight.
  HeadPairs(KernelBuilder &k, const Rotary &rotary, uint32_t dim, Buffer x, Val source,
            std::function<Val(Val element)> weight);
  /// Finds the norm's factor.
  void normalise();
  /// write(i, first, second) for each pair.
  void rotate(const RotaryTable &table, llvm::function_ref<void(Val i, Val y1, Val y2)> write) const;

private:
  struct Pair {
    Val i, x1, x2, weight1, weight2;
  };
  Pair load(Val i) const;
  void rotate(const Pair &pair, const RotaryTable &table, llvm::function_ref<void(Val, Val, Val)> write) const;

  KernelBuilder &k;
  const Rotary &rotary;
  uint32_t half;
  Buffer x;
  Val source, factor;
  std::function<Val(Val)> weight;
  llvm::SmallVector<Pair> loaded;
};

/// Operands: qkv [rows, (h + 2 kv) d], (q_norm [d], k_norm [d],) state, k cache, v cache, q [rows, h, d].
KernelPlan ropeAppendKernel(const RowBound &rows, const Heads &heads, const Rotary &rotary, const StateBlock &state,
                            const TargetProfile &target);
/// Operands: q [rows, h, d], state, k cache, v cache, y [rows, h, d]. Causal, online softmax over key tiles
/// (Milakov and Gimelshein 2018; Dao et al. 2022).
mlir::FailureOr<KernelPlan> prefillAttentionKernel(const RowBound &rows, const Heads &heads, double scale, Elem output,
                                                   const StateBlock &state, const TargetProfile &target);
/// The same on cooperative matrices whose operands have the cache's type (queries and softmax weights are rounded to
/// it); statistics and sums are f32. Fails where the target has no such matrices or the shape does not divide into
/// them.
mlir::FailureOr<KernelPlan> matrixAttentionKernel(const RowBound &rows, const Heads &heads, double scale, Elem output,
                                                  const StateBlock &state, const TargetProfile &target);
/// Operands: qkv [(h + 2 kv) d], (q_norm, k_norm,) state, k cache, v cache, partials [h, splits, d + 2].
/// One row: rope_append and split-key attention (flash decoding) in one step. The workgroup that finishes last combines
/// the splits of its heads.
mlir::FailureOr<KernelPlan> decodeAttentionKernel(const Heads &heads, const Rotary &rotary, double scale,
                                                  uint32_t splits, const StateBlock &state,
                                                  const TargetProfile &target);
/// What decodeAttentionKernel leaves: the row of each head lies where its first split's numerators were.
struct SplitShape {
  uint32_t heads = 0, splits = 0, dim = 0;
  uint64_t bytes() const { return uint64_t(heads) * splits * (dim + 2) * 4; }
  /// Where element `index` of the combined row [heads, dim] lies.
  Val combined(Val index) const { return index / dim * (splits * dim) + index % dim; }
};
/// Operands: partials, y [h d]. Gathers the row where no product could take it as its prologue.
KernelPlan combineSplitsKernel(const SplitShape &shape, const TargetProfile &target);

} // namespace qwenc
