//===- PlanDialect.td - The plan dialect: buffers, dispatches and barriers as IR ---------*- tablegen -*-===//
#ifndef PLAN_DIALECT_TD
#define PLAN_DIALECT_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"

def Plan_Dialect : Dialect {
  let name = "plan";
  let cppNamespace = "::mlir::plan";
  let summary = "Buffers, kernels, dispatches and barriers: what becomes a plan file";
  let description = [{
    Mirrors `runtime/schema/plan.fbs`, so that planning can be read and tested as text. There are no tensors here, only
    ranges of bytes. A module holds weights, storages, cells, kernels and entries; planning assigns places and barriers.
  }];
  let useDefaultTypePrinterParser = 1;
}

def Plan_RangeType : TypeDef<Plan_Dialect, "Range"> {
  let mnemonic = "range";
  let summary = "a range of bytes that one kernel operand reaches";
  let parameters = (ins "int64_t":$sizeBytes);
  let genVerifyDecl = 1;
  let assemblyFormat = "`<` $sizeBytes `>`";
}

def Plan_PurposeAttr : I32EnumAttr<"Purpose", "what a storage is for; see BufferPurpose in plan.fbs", [
  I32EnumAttrCase<"Weights", 0, "weights">, I32EnumAttrCase<"Arena", 1, "arena">,
  I32EnumAttrCase<"Cache", 2, "cache">, I32EnumAttrCase<"State", 3, "state">,
  I32EnumAttrCase<"Output", 4, "output">, I32EnumAttrCase<"Mailbox", 5, "mailbox">,
  I32EnumAttrCase<"Derived", 6, "derived">
]> { let cppNamespace = "::mlir::plan"; }

def Plan_AccessAttr : I32EnumAttr<"Access", "what a kernel does with an operand", [
  I32EnumAttrCase<"Read", 0, "read">, I32EnumAttrCase<"Write", 1, "write">,
  I32EnumAttrCase<"ReadWrite", 2, "read_write">
]> { let cppNamespace = "::mlir::plan"; }

#endif // PLAN_DIALECT_TD
