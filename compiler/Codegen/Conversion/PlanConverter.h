//===- PlanConverter.h - Fused operations to kernels and dispatches ----------------------------------*- C++ -*-===//
//
// The state of convert-qwen-to-plan (see Passes.h) and its members by file: Storage.cpp declares what a module holds,
// Entries.cpp what an entry takes and gives, Operands.cpp finds where values lie and writes dispatches, the other files
// choose the kernel of each operation. Private to the pass.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "compiler/Codegen/Kernels/Convolution.h"
#include "compiler/Codegen/Kernels/Encoders.h"
#include "compiler/Codegen/Kernels/NextToken.h"
#include "compiler/Codegen/Kernels/Speech.h"
#include "compiler/Codegen/Kernels/Vision.h"

#include "dialects/plan/PlanDialect.h"
#include "dialects/plan/PlanOps.h"
#include "dialects/plan/StateLayout.h"
#include "dialects/qwen/QwenDialect.h"
#include "dialects/qwen/QwenOps.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringSet.h"

namespace qwenc {

inline constexpr llvm::StringLiteral kState = "state";
inline constexpr llvm::StringLiteral kMailbox = "mailbox";

/// Element type of a tensor in memory; integers move as 4-byte words.
Elem elemOf(mlir::Type type);
int64_t dimOf(mlir::Value value, unsigned i);
/// Elements behind the first dimension.
uint32_t widthOf(mlir::Type type);
uint64_t bytesOf(mlir::Type type);
/// Elements of a weight that lie in one row on the device. The filters of a convolution are rows each; other tensors of
/// more than two dimensions are stacks of matrices.
int64_t storedWidth(mlir::RankedTensorType type);
/// How the rows of a weight lie on the device.
WeightLayout layoutOf(mlir::Type type);
/// The innermost name of a location: the value of the graph that the operation stems from.
std::string labelOf(mlir::Location loc);
/// The value behind reshapes.
mlir::Value sourceOf(mlir::Value value);
/// The symbol that counts the rows of a tensor, or "".
llvm::StringRef symbolOf(mlir::Type type);
/// Which history an entry works on.
int64_t sequenceOf(mlir::func::FuncOp entry);
/// The storage \p name of a sequence. All histories have one layout, so that kernels serve every one.
std::string ofSequence(llvm::StringRef name, int64_t number);

/// What a dispatch costs, for estimates: bytes of weights, bytes for each cached position, arithmetic of all rows.
struct Work {
  int64_t readBytes = 0, bytesPerPosition = 0, flops = 0;
};

/// Turns a module of specialised, fused entries into a plan, in place.
class PlanConverter {
public:
  PlanConverter(mlir::ModuleOp module, const TargetProfile &target);

  /// Fails behind a diagnostic; the module is then half converted.
  mlir::LogicalResult run();

private:
  // What a module holds (Storage.cpp).
  mlir::LogicalResult declareStorage();
  mlir::LogicalResult readStates();
  int64_t sequenceCount();
  void declareCells(mlir::Location loc, int64_t number);
  /// Whether an entry of the sequence has an argument of this binding.
  bool hasBinding(llvm::StringRef binding, int64_t number);
  static std::string stateStorage(llvm::StringRef name) { return "cache." + name.str(); }
  // These declare what they name where it is new.
  void storage(mlir::Location loc, llvm::StringRef name, mlir::plan::Purpose purpose, int64_t bytes);
  mlir::FailureOr<mlir::FlatSymbolRefAttr> weight(mlir::Operation *op, llvm::StringRef name);
  void declareWeight(mlir::qwen::ParameterOp parameter, llvm::StringRef symbol);
  mlir::LogicalResult kernel(mlir::Location loc, const KernelPlan &plan);

  // What an entry takes and gives (Entries.cpp).
  mlir::LogicalResult convertEntry(mlir::func::FuncOp func);
  mlir::LogicalResult declareInterface(mlir::func::FuncOp func);
  mlir::LogicalResult declareArgument(mlir::func::FuncOp func, mlir::BlockArgument argument);
  void declareTokens(mlir::func::FuncOp func, mlir::BlockArgument argument);
  void declareHidden(mlir::func::FuncOp func, mlir::BlockArgument argument);
  void declareBuffer(mlir::func::FuncOp func, mlir::BlockArgument argument);
  void declareRowCells(mlir::func::FuncOp func, mlir::BlockArgument argument, llvm::StringRef binding);
  mlir::LogicalResult declareFurtherInput(mlir::func::FuncOp func, mlir::BlockArgument argument,
                                          llvm::StringRef binding);
  void bindArgument(mlir::func::FuncOp func, mlir::BlockArgument argument, llvm::StringRef in);
  void declareSettings(mlir::func::FuncOp func);
  mlir::LogicalResult declareResults(mlir::func::FuncOp func);
  mlir::LogicalResult declareExposed(mlir::func::FuncOp func);
  void declareOutput(mlir::Location loc, mlir::Value value, llvm::StringRef name, std::string storageName);
  void declareTensor(mlir::Location loc, llvm::StringRef direction, llvm::StringRef name, llvm::StringRef in,
                     int64_t offset, llvm::StringRef dtype, mlir::RankedTensorType type, llvm::StringRef symbol,
                     bool isOptional = false);
  void declareSymbol(mlir::Location loc, llvm::StringRef name, llvm::StringRef cell, int64_t max,
                     mlir::IntegerAttr index = {});
  std::string bufferName(llvm::StringRef name);
  std::string resultStorage(mlir::func::FuncOp func, llvm::StringRef name, mlir::RankedTensorType type);

  // Where values lie, and dispatches (Operands.cpp).
  /// The cell that counts a symbol's rows while an entry runs.
  mlir::FailureOr<uint32_t> symbolCell(mlir::Location loc, llvm::StringRef symbol);
  mlir::FailureOr<RowBound> rowsOf(mlir::Location loc, mlir::Value value);
  mlir::Value ref(mlir::Location loc, llvm::StringRef storage, int64_t bytes);
  mlir::Value stateRef(mlir::Location loc) { return stateRef(loc, sequence); }
  mlir::Value stateRef(mlir::Location loc, int64_t number);
  mlir::Value mailboxRef(mlir::Location loc);
  mlir::Value alloc(mlir::Location loc, llvm::StringRef label, int64_t bytes);
  /// Where an operation writes its result: the storage of an output, or the arena.
  mlir::Value destination(mlir::Value result);
  /// Where a tensor lies that was written before.
  mlir::Value range(mlir::Value value);
  /// Weights, one behind the other in one range.
  mlir::FailureOr<mlir::Value> weightRange(mlir::Location loc, mlir::ValueRange values);
  /// Appends a range for each of \p values that is not null.
  mlir::LogicalResult appendWeights(mlir::Location loc, llvm::ArrayRef<mlir::Value> values,
                                    llvm::SmallVectorImpl<mlir::Value> &operands);
  mlir::LogicalResult dispatch(mlir::Location loc, const KernelPlan &plan, llvm::ArrayRef<mlir::Value> operands,
                               Work work = {});
  /// A dispatch whose operands end with the state, if \p rows may be absent, and where the results go.
  mlir::LogicalResult dispatchRows(const KernelPlan &plan, const RowBound &rows,
                                   llvm::SmallVector<mlir::Value> operands, llvm::ArrayRef<mlir::Value> results,
                                   Work work = {});
  struct RowsOfDispatch {
    mlir::StringAttr symbol;
    mlir::IntegerAttr factor, each, direction;
  };
  RowsOfDispatch rowsOfDispatch(const KernelPlan &plan);

  /// Finds the kernels of an operation.
  mlir::LogicalResult convert(mlir::Operation *op);
  // Rows.cpp:
  mlir::LogicalResult convertReadState(mlir::qwen::ReadStateOp op);
  mlir::LogicalResult lower(mlir::qwen::EmbeddingOp op);
  mlir::LogicalResult lower(mlir::qwen::ReplaceRowsOp op);
  mlir::LogicalResult lower(mlir::qwen::AddRowsOp op);
  template <typename RowsFromOp> mlir::LogicalResult lowerRowsFrom(RowsFromOp op, bool adds);
  mlir::LogicalResult lower(mlir::qwen::RmsNormOp op);
  mlir::LogicalResult lower(mlir::qwen::LayerNormOp op);
  mlir::LogicalResult lower(mlir::qwen::ElementwiseOp op);
  mlir::LogicalResult lower(mlir::qwen::BeginChunkOp op);
  mlir::LogicalResult lower(mlir::qwen::AdvanceOp op);
  mlir::LogicalResult lower(mlir::qwen::LastRowOp op);
  mlir::LogicalResult lower(mlir::qwen::HeadRowsOp op);
  mlir::LogicalResult lower(mlir::qwen::NextTokenOp op);

  // Products.cpp:
  mlir::LogicalResult lower(mlir::qwen::FusedLinearOp op);
  mlir::LogicalResult appendFactors(mlir::qwen::FusedLinearOp op, unsigned accumulators,
                                    llvm::SmallVectorImpl<mlir::Value> &operands);
  mlir::LogicalResult lower(mlir::qwen::RouteOp op);
  mlir::LogicalResult lower(mlir::qwen::FoldLinearsOp op);
  mlir::LogicalResult lower(mlir::qwen::FoldedRouterOp op);
  mlir::LogicalResult lower(mlir::qwen::GroupExpertsOp op);
  mlir::LogicalResult lower(mlir::qwen::WeightedSumOp op);
  mlir::LogicalResult lower(mlir::qwen::FusedExpertsOp op);

  // Attention.cpp:
  mlir::LogicalResult lower(mlir::qwen::RopeAppendOp op);
  mlir::LogicalResult lower(mlir::qwen::AttentionOp op);
  mlir::LogicalResult lower(mlir::qwen::DecodeAttentionOp op);
  mlir::LogicalResult lower(mlir::qwen::CombineSplitsOp op);
  template <typename QkvOp> mlir::LogicalResult qkvOperands(QkvOp op, llvm::SmallVectorImpl<mlir::Value> &operands);
  mlir::LogicalResult attentionDoesNotFit(mlir::Operation *op, uint32_t headDim);

  // Encoders.cpp:
  mlir::LogicalResult checkPatches(mlir::qwen::TapPatchesOp op);
  mlir::LogicalResult lower(mlir::qwen::SwapAxesOp op);
  mlir::LogicalResult lower(mlir::qwen::SinusoidOp op);
  mlir::LogicalResult lower(mlir::qwen::SliceOp op);
  mlir::LogicalResult lower(mlir::qwen::AxialRopeOp op);
  mlir::LogicalResult lower(mlir::qwen::GatherSumOp op);
  mlir::LogicalResult lower(mlir::qwen::SegmentAttentionOp op);
  /// Where the heads of \p value lie: it may be a part of a merged row. Appends the range of that row.
  HeadRows headRows(mlir::Value value, llvm::SmallVectorImpl<mlir::Value> &operands);

  // Speech.cpp:
  mlir::LogicalResult lower(mlir::qwen::InputRowsOp op);
  mlir::LogicalResult lower(mlir::qwen::BeginFrameOp op);
  mlir::LogicalResult lower(mlir::qwen::CodeRowOp op);
  mlir::LogicalResult lower(mlir::qwen::FrameRowOp op);

  // Vocoder.cpp:
  mlir::LogicalResult lower(mlir::qwen::CodebookMeanOp op);
  mlir::LogicalResult lower(mlir::qwen::RopeWindowAttentionOp op);
  mlir::LogicalResult lower(mlir::qwen::SnakeBetaOp op);
  mlir::LogicalResult lower(mlir::qwen::ClearLeadOp op);
  mlir::LogicalResult lower(mlir::qwen::CausalConv1dOp op);
  mlir::LogicalResult lower(mlir::qwen::ConvTranspose1dOp op);
  struct ConvSources {
    mlir::Value x, alpha = {}, beta = {}, first = {}, history = {};
  };
  /// Puts the rows of x behind their history, if they have one, and activates them on the way.
  mlir::LogicalResult convInput(mlir::Location loc, const ConvInput &input, const ConvSources &sources, mlir::Value to);
  /// The input of a convolution, behind the rows that it keeps.
  template <typename ConvOp> mlir::FailureOr<mlir::Value> extendedInput(ConvOp op, const RowBound &rows, uint32_t kept);
  template <typename ConvOp>
  mlir::LogicalResult dispatchConvolution(ConvOp op, const KernelPlan &plan, const RowBound &rows, uint32_t kept,
                                          llvm::ArrayRef<mlir::Value> parameters);

  mlir::ModuleOp module;
  const TargetProfile &target;
  mlir::OpBuilder b;               // inside the entry in work
  mlir::OpBuilder declarations{b}; // weights, storages, cells and kernels, in front of everything
  StateBlock state;
  llvm::StringMap<mlir::qwen::ParameterOp> parameters;
  llvm::MapVector<llvm::StringRef, mlir::RankedTensorType> states;
  llvm::StringSet<> storages, weights, kernels;
  llvm::DenseMap<mlir::Value, mlir::Value> ranges;        // tensor -> range
  llvm::DenseMap<mlir::Value, std::string> outputStorage; // returned tensor -> storage
  llvm::StringMap<int64_t> extents;                       // symbol -> element of the cell of extents
  int64_t sequence = 0;                                   // of the entry in work
  bool isComponent = false; // the entry in work is run with tensors, by the symbols of its inputs
};

} // namespace qwenc
