//===- PlanNames.h - Names of the schema's enumerations as the dialect spells them ---------------------*- C++ -*-===//
//
// Cells, roles, features and element types are strings in the IR and enumerations in plan.fbs. The spelling follows
// from the schema, so that a value added there is known here: `HeadRow` -> "head_row", `BFloat16` -> "bfloat16".
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <optional>
#include <string>

namespace qwenrt::fb {
enum class CellKind : uint8_t;
enum class Role : uint8_t;
enum class Feature : uint32_t;
enum class DType : uint8_t;
} // namespace qwenrt::fb

namespace mlir::plan {

std::optional<qwenrt::fb::CellKind> symbolizeCellKind(llvm::StringRef name);
std::optional<qwenrt::fb::Role> symbolizeRole(llvm::StringRef name);
std::optional<qwenrt::fb::Feature> symbolizeFeature(llvm::StringRef name);
std::optional<qwenrt::fb::DType> symbolizeDType(llvm::StringRef name);

std::string stringifyCellKind(qwenrt::fb::CellKind kind);
std::string stringifyRole(qwenrt::fb::Role role);
std::string stringifyFeature(qwenrt::fb::Feature feature);
std::string stringifyDType(qwenrt::fb::DType dtype);

/// Every known name, separated by commas, for messages.
std::string cellKindNames();
std::string roleNames();
std::string featureNames();
std::string dtypeNames();

/// Bytes of one element.
int64_t elementBytes(qwenrt::fb::DType dtype);

} // namespace mlir::plan
