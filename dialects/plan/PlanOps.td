//===- PlanOps.td - Operations of the plan dialect ---------------------------------------*- tablegen -*-===//
#ifndef PLAN_OPS_TD
#define PLAN_OPS_TD

include "dialects/plan/PlanDialect.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Plan_Op<string mnemonic, list<Trait> traits = []> : Op<Plan_Dialect, mnemonic, traits>;

def Plan_Range : DialectType<Plan_Dialect, CPred<"::llvm::isa<::mlir::plan::RangeType>($_self)">, "range of bytes">;

//===----------------------------------------------------------------------------------------------------===//
// Module level: what exists
//===----------------------------------------------------------------------------------------------------===//

def Plan_WeightOp : Plan_Op<"weight", [Symbol, HasParent<"::mlir::ModuleOp">,
                                          DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "a tensor of the checkpoint and how its rows are laid out on the device";
  let description = [{
    `rows` rows of `row_bytes`, contiguous in the file, are placed `pitch_bytes` apart. `buffer` and `buffer_offset` are
    assigned by `plan-place-storage`. With `packed`, a name of WeightFormat in plan.fbs, the rows in the file are bf16 as
    ever and those on the device have the format: qwen-pack writes them, and the pitch holds one of them.

    ```mlir
    plan.weight @weight.up file 0 at 7272 rows 384 x 384 pitch 208 packed q8 layer 0
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, I64Attr:$file, I64Attr:$file_offset, I64Attr:$rows, I64Attr:$row_bytes,
                       I64Attr:$pitch_bytes, OptionalAttr<StrAttr>:$format, OptionalAttr<I64Attr>:$layer, OptionalAttr<FlatSymbolRefAttr>:$buffer,
                       OptionalAttr<I64Attr>:$buffer_offset);
  let assemblyFormat = [{
    $sym_name `file` $file `at` $file_offset `rows` $rows `x` $row_bytes `pitch` $pitch_bytes
    (`packed` custom<Word>($format)^)? (`layer` $layer^)?
    (`in` $buffer^ `at` $buffer_offset)? attr-dict
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    int64_t getSizeBytes() { return getRows() * getPitchBytes(); }
    /// Bytes of a row on the device; the verifier has seen that the format exists.
    int64_t getPlacedRowBytes();
  }];
}

def Plan_StorageOp : Plan_Op<"storage", [Symbol, HasParent<"::mlir::ModuleOp">,
                                            DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "memory that outlives a run: a cache, the state block, an output, the mailbox";
  let arguments = (ins SymbolNameAttr:$sym_name, Plan_PurposeAttr:$purpose, I64Attr:$size_bytes,
                       OptionalAttr<FlatSymbolRefAttr>:$buffer, OptionalAttr<I64Attr>:$buffer_offset);
  let assemblyFormat = "$sym_name $purpose `size` $size_bytes (`in` $buffer^ `at` $buffer_offset)? attr-dict";
  let hasVerifier = 1;
}

def Plan_BufferOp : Plan_Op<"buffer", [Symbol, HasParent<"::mlir::ModuleOp">]> {
  let summary = "one device allocation";
  let arguments = (ins SymbolNameAttr:$sym_name, Plan_PurposeAttr:$purpose, I64Attr:$size_bytes);
  let assemblyFormat = "$sym_name $purpose `size` $size_bytes attr-dict";
  let hasVerifier = 1;
}

def Plan_CellOp : Plan_Op<"cell", [HasParent<"::mlir::ModuleOp">, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "where host and kernels exchange one 32-bit value (or an array of them)";
  let description = "The kind is a name of CellKind in plan.fbs, in lower case: `position`, `head_row`, `tokens`, ...";
  let arguments = (ins StrAttr:$kind, FlatSymbolRefAttr:$storage, I64Attr:$offset, I64Attr:$count,
                       DefaultValuedAttr<I64Attr, "0">:$sequence);
  let assemblyFormat = "custom<Word>($kind) `in` $storage `at` $offset `count` $count (`sequence` $sequence^)? attr-dict";
  let hasVerifier = 1;
}

def Plan_KernelOp : Plan_Op<"kernel", [Symbol, HasParent<"::mlir::ModuleOp">, SymbolTable, NoTerminator, SingleBlock,
                                          NoRegionArguments]> {
  let summary = "a compute kernel: its SPIR-V module and what it may assume and touch";
  let description = [{
    The region holds one `spirv.module` whose entry point has the kernel's name. `operand_bytes[i]` bounds the bytes the
    kernel may touch through operand i. `features` are names of Feature in plan.fbs, in lower case with underscores.

    ```mlir
    plan.kernel @f32_copy workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (x read 256, y write 256) {
      spirv.module PhysicalStorageBuffer64 Vulkan requires ... { ... }
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, DenseI64ArrayAttr:$workgroup, I64Attr:$subgroup_size,
                       I64Attr:$shared_bytes, StrArrayAttr:$features, StrArrayAttr:$operand_names,
                       TypedArrayAttrBase<Plan_AccessAttr, "accesses">:$operand_access,
                       DenseI64ArrayAttr:$operand_bytes);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $sym_name `workgroup` $workgroup `subgroup` $subgroup_size `shared` $shared_bytes `features` $features
    `operands` custom<KernelOperands>($operand_names, $operand_access, $operand_bytes) attr-dict-with-keyword $body
  }];
  let hasVerifier = 1;
}

def Plan_EntryOp : Plan_Op<"entry", [Symbol, HasParent<"::mlir::ModuleOp">, NoTerminator, SingleBlock,
                                        NoRegionArguments]> {
  let summary = "a list of dispatches that one command buffer replays";
  let description = "The role is a name of Role in plan.fbs, lower case with underscores: `prefill`, `next_greedy`, ...";
  let arguments = (ins SymbolNameAttr:$sym_name, StrAttr:$role, I64Attr:$rows,
                       DefaultValuedAttr<I64Attr, "0">:$sequence);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $sym_name `role` custom<Word>($role) `rows` $rows (`sequence` $sequence^)? attr-dict-with-keyword $body
  }];
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
}

//===----------------------------------------------------------------------------------------------------===//
// Inside an entry: ranges and steps
//===----------------------------------------------------------------------------------------------------===//

def Plan_TensorOp : Plan_Op<"tensor", [HasParent<"EntryOp">, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "an input or output of the entry for callers: name, element type, shape, place";
  let description = [{
    `symbols[i]` names what bounds dimension i at run time, empty for a fixed one; a plan.symbol of the entry says which
    cell holds its value. `factors[i]` of each extent make the dimension, 1 where there are none. An `optional` input may be
    left out.

    ```mlir
    plan.tensor output "hidden" in @hidden at 0 f32 [64, 192] symbols ["S", ""]
    ```
  }];
  let arguments = (ins StrAttr:$direction, StrAttr:$name, FlatSymbolRefAttr:$storage, I64Attr:$offset, StrAttr:$dtype,
                       DenseI64ArrayAttr:$shape, StrArrayAttr:$symbols, OptionalAttr<DenseI64ArrayAttr>:$factors,
                       UnitAttr:$optional);
  let assemblyFormat = [{
    custom<Word>($direction) $name `in` $storage `at` $offset custom<Word>($dtype) $shape `symbols` $symbols
    (`factors` $factors^)? (`optional` $optional^)? attr-dict
  }];
  let extraClassDeclaration = [{
    /// How many of a dimension one extent of its symbol makes.
    int64_t getFactor(unsigned dim) { return getFactors() ? (*getFactors())[dim] : 1; }
  }];
  let hasVerifier = 1;
}

def Plan_SymbolOp : Plan_Op<"symbol", [HasParent<"EntryOp">, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "the cell that tells the entry how large a symbol is";
  let description = "`index` is the element of a cell of several.";
  let arguments = (ins StrAttr:$name, StrAttr:$cell, OptionalAttr<I64Attr>:$index, I64Attr:$max);
  let assemblyFormat = "$name `cell` custom<Word>($cell) (`[` $index^ `]`)? `max` $max attr-dict";
  let hasVerifier = 1;
}

def Plan_AllocOp : Plan_Op<"alloc", [HasParent<"EntryOp">, MemoryEffects<[MemAlloc]>]> {
  let summary = "arena memory for one activation; plan-assign-offsets gives it its place";
  let arguments = (ins StrAttr:$label, OptionalAttr<I64Attr>:$offset);
  let results = (outs Plan_Range:$range);
  let assemblyFormat = "$label (`at` $offset^)? attr-dict `:` type($range)";
  let hasVerifier = 1;
}

def Plan_WeightsOp : Plan_Op<"weights", [HasParent<"EntryOp">, Pure,
                                            DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "weights as one range; several are placed side by side in this order";
  let arguments = (ins TypedArrayAttrBase<FlatSymbolRefAttr, "weight symbols">:$weights);
  let results = (outs Plan_Range:$range);
  let assemblyFormat = "$weights attr-dict `:` type($range)";
  let hasVerifier = 1;
}

def Plan_RefOp : Plan_Op<"ref", [HasParent<"EntryOp">, Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "a range of a storage";
  let arguments = (ins FlatSymbolRefAttr:$storage, I64Attr:$offset);
  let results = (outs Plan_Range:$range);
  let assemblyFormat = "$storage `at` $offset attr-dict `:` type($range)";
  let hasVerifier = 1;
}

def Plan_DispatchOp : Plan_Op<"dispatch", [HasParent<"EntryOp">, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "one step: a kernel over a grid of workgroups";
  let description = [{
    Operands stand in the kernel's order. Estimates: `read_bytes` of device memory (weights), `read_bytes_per_position`
    for each cached position (attention over caches), `flops` of arithmetic at the entry's largest number of rows;
    `cost_ns` is filled from them by `plan-estimate-costs`.

    `groups` are those for all rows. With `rows`, as many are started along one direction as the rows that are there
    take: ceil(extent of the symbol * factor / rows per group), at least one. The host counts them before the run.

    ```mlir
    plan.dispatch @gemm groups [3, 256, 1] rows "V" * 4 per 64 along 1 (%x, %w, %y) label "fc1" reads 8192
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, DenseI64ArrayAttr:$groups, Variadic<Plan_Range>:$operands,
                       StrAttr:$label, I64Attr:$read_bytes, OptionalAttr<I64Attr>:$read_bytes_per_position,
                       OptionalAttr<I64Attr>:$flops, OptionalAttr<I64Attr>:$cost_ns,
                       OptionalAttr<StrAttr>:$rows_symbol, OptionalAttr<I64Attr>:$rows_factor,
                       OptionalAttr<I64Attr>:$rows_per_group, OptionalAttr<I64Attr>:$rows_direction);
  let assemblyFormat = [{
    $kernel `groups` $groups (`rows` $rows_symbol^ `*` $rows_factor `per` $rows_per_group `along` $rows_direction)?
    `(` $operands `)` `label` $label `reads` $read_bytes
    (`per_position` $read_bytes_per_position^)? (`flops` $flops^)? (`cost` $cost_ns^)? attr-dict
    `:` type($operands)
  }];
  let hasVerifier = 1;
}

def Plan_BarrierOp : Plan_Op<"barrier", [HasParent<"EntryOp">]> {
  let summary = "writes of the steps before are visible to the steps behind";
  let assemblyFormat = "attr-dict";
}

#endif // PLAN_OPS_TD
