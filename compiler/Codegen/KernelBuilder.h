//===- KernelBuilder.h - Writing compute kernels as their loop nest -----------------------------------*- C++ -*-===//
//
// A kernel reads like its loop nest on paper; the spirv dialect stays out of sight:
//
//   KernelBuilder k(context, loc, "f32_add_1024", {256, 1, 1}, target);
//   Buffer x = k.operand("x", Access::Read, 4096), y = k.operand("y", Access::Write, 4096);
//   Val i = k.workgroupId(0) * 256 + k.localIndex();
//   k.store(y, Elem::F32, i, {k.load(x, Elem::F32, i) + 1.0f});
//
// Values are SSA values of type u32, f32 or bool (`Val`). Operands are 64-bit device addresses in push constants, in
// the order of declaration. Narrow element types exist only in memory: loads widen to f32, stores round to nearest
// even. Modules are SPIR-V 1.6 for Vulkan 1.3, addressing PhysicalStorageBuffer64, memory model GLSL450.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "compiler/Target/TargetProfile.h"
#include "dialects/plan/PlanOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"

#include <array>
#include <memory>
#include <string>

namespace qwenc {

class KernelBuilder;

/// Element types in memory. A Val is never BF16 or F16.
enum class Elem { F32, BF16, F16, U32 };
unsigned elemBytes(Elem elem);

/// A u32, f32 or bool of the kernel under construction. Integer arithmetic, shifts and comparisons are unsigned.
/// Literals take the type of the other side.
class Val {
public:
  Val() = default;
  Val(KernelBuilder *k, mlir::Value value) : k(k), value(value) {}
  bool isFloat() const;
  explicit operator bool() const { return static_cast<bool>(value); }

  KernelBuilder *k = nullptr;
  mlir::Value value;
};

using Vals = llvm::SmallVector<Val, 8>;

Val operator+(Val a, Val b);
Val operator-(Val a, Val b);
Val operator*(Val a, Val b);
Val operator/(Val a, Val b);
Val operator%(Val a, Val b);
Val operator&(Val a, Val b); ///< bitwise on u32, logical on bool
Val operator|(Val a, Val b); ///< bitwise on u32, logical on bool
Val operator^(Val a, Val b);
Val operator<<(Val a, Val b);
Val operator>>(Val a, Val b);
Val operator<(Val a, Val b);
Val operator<=(Val a, Val b);
Val operator>(Val a, Val b);
Val operator>=(Val a, Val b);
Val operator==(Val a, Val b);
Val operator!=(Val a, Val b);
Val operator-(Val a);

/// Literal operands on the right (and, for + and *, on the left).
Val literalLike(Val like, double number);
#define QWENC_LITERAL_OPERATOR(op)                                                                                     \
  template <typename T>                                                                                                \
  requires std::is_arithmetic_v<T> Val operator op(Val a, T b) { return a op literalLike(a, static_cast<double>(b)); }
QWENC_LITERAL_OPERATOR(+)
QWENC_LITERAL_OPERATOR(-)
QWENC_LITERAL_OPERATOR(*)
QWENC_LITERAL_OPERATOR(/)
QWENC_LITERAL_OPERATOR(%)
QWENC_LITERAL_OPERATOR(&)
QWENC_LITERAL_OPERATOR(|)
QWENC_LITERAL_OPERATOR(<<)
QWENC_LITERAL_OPERATOR(>>)
QWENC_LITERAL_OPERATOR(<)
QWENC_LITERAL_OPERATOR(<=)
QWENC_LITERAL_OPERATOR(>)
QWENC_LITERAL_OPERATOR(>=)
QWENC_LITERAL_OPERATOR(==)
QWENC_LITERAL_OPERATOR(!=)
#undef QWENC_LITERAL_OPERATOR

/// One operand of the kernel: device memory behind an address.
struct Buffer {
  unsigned index = 0;    ///< position among the operands
  bool coherent = false; ///< accesses see what other workgroups of the same dispatch stored, given barriers

  Buffer coherently() const { return {index, true}; }
};

/// An array in workgroup memory. Elements are f32, u32 or 16-bit floats (these are only stored, or loaded as matrices).
struct Shared {
  mlir::Operation *variable = nullptr;
  Elem elem = Elem::F32;
  unsigned width = 1; ///< elements of one access: 1, 4 (f32, u32) or 8 (16-bit)
  uint32_t count = 0; ///< accesses

  /// The same memory holding other elements; an access stays 16 bytes, so the array was made with 16-bit elements.
  Shared as(Elem other) const { return {variable, other, 16 / elemBytes(other), count}; }
};

/// A 16x16 cooperative matrix value: operands hold 16-bit floats, accumulators f32.
enum class MatrixUse { A, B, Accumulator };
/// Which index runs through neighbouring elements of memory: the column (rows lie one after another) or the row.
enum class MatrixOrder { Rows, Columns };

class KernelBuilder {
public:
  KernelBuilder(mlir::MLIRContext *context, mlir::Location loc, std::string name, std::array<uint32_t, 3> workgroup,
                const TargetProfile &target);
  ~KernelBuilder();
  KernelBuilder(const KernelBuilder &) = delete;

  const TargetProfile &target() const { return target_; }

  /// Declares the next operand; the kernel may touch bytes [0, bytes) of it.
  Buffer operand(llvm::StringRef name, mlir::plan::Access access, uint64_t bytes);

  // Constants and built-ins.
  Val u32(uint32_t number);
  Val f32(double number);
  Val boolean(bool truth);
  Val workgroupId(unsigned dim);
  Val localIndex();    ///< 0 .. invocations of the workgroup - 1
  Val subgroupIndex(); ///< which subgroup of the workgroup
  Val lane();          ///< invocation within the subgroup
  Val subgroupSize();  ///< a constant where the target fixes it
  Val subgroupCount(); ///< subgroups of the workgroup
  uint32_t invocations() const;

  // Device memory. `index` counts elements and is a multiple of `count`; count is 1, 2, 4 or 8 and at most 16 bytes are
  // moved at once (wider requests become several accesses).
  Vals load(Buffer buffer, Elem elem, Val index, unsigned count);
  Val load(Buffer buffer, Elem elem, Val index);
  void store(Buffer buffer, Elem elem, Val index, llvm::ArrayRef<Val> values);
  void store(Buffer buffer, Elem elem, Val index, Val value) { store(buffer, elem, index, llvm::ArrayRef<Val>(value)); }

  /// One access of `count` elements (at most 16 bytes) as it is, for data that waits in registers; widen() makes f32 of
  /// it, pack() makes it of f32.
  mlir::Value loadRaw(Buffer buffer, Elem elem, Val index, unsigned count);
  void storeRaw(Buffer buffer, Elem elem, Val index, unsigned count, mlir::Value raw);
  Vals widen(Elem elem, mlir::Value raw);
  mlir::Value pack(Elem elem, llvm::ArrayRef<Val> values);
  mlir::Value selectRaw(Val condition, mlir::Value a, mlir::Value b);
  /// 16 bytes as they are, for weights that wait in registers: `vectorIndex` counts 16-byte units.
  mlir::Value loadRaw16(Buffer buffer, Val vectorIndex);
  /// The vector, or zeros where \p condition is false.
  mlir::Value zeroUnless16(Val condition, mlir::Value raw);
  /// The four words of a raw vector.
  Vals wordsOf16(mlir::Value raw);
  /// The eight f32 of a raw vector of bf16.
  Vals widenBf16x8(mlir::Value raw);

  // Between the workgroups of one dispatch.
  Val atomicAdd(Buffer buffer, Val index, Val value); ///< u32; the value before
  void deviceBarrier();                               ///< orders this invocation's accesses of device memory

  // Workgroup memory.
  Shared shared(Elem elem, uint32_t count, unsigned width = 1);
  Vals load(const Shared &array, Val access);
  Val loadOne(const Shared &array, Val access);
  void store(const Shared &array, Val access, llvm::ArrayRef<Val> values);
  void storeRaw16(const Shared &array, Val access, mlir::Value raw);
  Val atomicAdd(const Shared &array, Val access, Val value); ///< u32; the value before
  void barrier();                                            ///< all invocations; orders workgroup memory
  void subgroupBarrier();                                    ///< the same for the invocations of one subgroup
  /// All invocations; orders device memory within the workgroup too, for data that passes through a buffer. Apart from
  /// barrier(), because on AMD it waits for every load in flight, also for weights loaded ahead.
  void barrierWithDeviceMemory();

  // Control flow.
  using LoopBody = llvm::function_ref<Vals(Val i, llvm::ArrayRef<Val> carried)>;
  Vals forLoop(Val lower, Val upper, Val step, llvm::ArrayRef<Val> init, LoopBody body);
  void forLoop(Val lower, Val upper, Val step, llvm::function_ref<void(Val i)> body);
  void ifThen(Val condition, llvm::function_ref<void()> body);
  Vals ifElse(Val condition, llvm::function_ref<Vals()> thenBody, llvm::function_ref<Vals()> elseBody);
  Val select(Val condition, Val a, Val b);

  // Arithmetic.
  Val fma(Val a, Val b, Val c);
  Val mulExact(Val a, Val b); ///< product rounded by itself, never contracted into a fused operation
  Val addExact(Val a, Val b);
  Val exp(Val x);
  Val inverseSqrt(Val x);
  Val sqrt(Val x);
  Val floor(Val x);
  Val max(Val a, Val b);
  Val min(Val a, Val b);
  Val bitcastToU32(Val x);
  Val bitcastToF32(Val x);
  Val toF32(Val x);                                                       ///< u32 -> f32
  Val toU32(Val x);                                                       ///< f32 >= 0 -> u32, truncated
  Val dot(llvm::ArrayRef<Val> a, llvm::ArrayRef<Val> b, Val accumulator); ///< chain of fused multiply-adds
  Val logicalNot(Val a);
  /// table[index] for a small table of constants.
  Val lookup(llvm::ArrayRef<float> table, Val index);

  // Cooperation.
  Val subgroupAdd(Val x);
  Val subgroupMax(Val x);
  /// x of the lane whose number differs from this lane's in the bits of `mask`.
  Val shuffleXor(Val x, uint32_t mask);
  /// Sum or maximum over the workgroup, the same bits in every invocation. Contains barriers.
  Val workgroupAdd(Val x);
  Val workgroupMax(Val x);

  // Cooperative matrices 16x16, scope subgroup; every invocation of the subgroup takes part.
  mlir::Value matrixZero();
  /// Elements as the array's, f32 for accumulators; `access` and `strideAccesses` count accesses of the array. A matrix
  /// of activations [m][k] is A by Rows; weights or keys [n][k] are B by Columns; values [k][n] are B by Rows.
  mlir::Value matrixLoad(const Shared &array, Val access, uint32_t strideAccesses, MatrixUse use, MatrixOrder order);
  mlir::Value matrixMulAdd(mlir::Value a, mlir::Value b, mlir::Value c);
  mlir::Value matrixScale(mlir::Value a, mlir::Value b); ///< element by element
  void matrixStore(const Shared &array, Val access, uint32_t strideAccesses, mlir::Value matrix); ///< by Rows
  void forLoopMatrices(Val lower, Val upper, Val step, llvm::SmallVectorImpl<mlir::Value> &carried,
                       llvm::function_ref<void(Val i, llvm::SmallVectorImpl<mlir::Value> &carried)> body);

  /// Ends the kernel and creates the plan.kernel operation at \p builder.
  mlir::plan::KernelOp finish(mlir::OpBuilder &builder);

private:
  friend class Val;
  struct Impl;
  std::unique_ptr<Impl> impl_;
  const TargetProfile &target_;

public:
  Impl &impl() { return *impl_; }
};

} // namespace qwenc
