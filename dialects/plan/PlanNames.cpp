//===- PlanNames.cpp - Names of the schema's enumerations as the dialect spells them ------------------------------===//
#include "dialects/plan/PlanNames.h"

#include "plan_generated.h"
#include "runtime/schema/PlanNames.h"

using namespace qwenrt;

namespace {

template <typename Enum, size_t N>
std::optional<Enum> symbolize(const Enum (&values)[N], const char *(*name)(Enum), llvm::StringRef wanted) {
  for (Enum value : values)
    if (snakeCase(name(value)) == wanted)
      return value;
  return std::nullopt;
}

template <typename Enum, size_t N> std::string join(const Enum (&values)[N], const char *(*name)(Enum)) {
  std::string names;
  for (Enum value : values)
    names += (names.empty() ? "" : ", ") + snakeCase(name(value));
  return names;
}

} // namespace

namespace mlir::plan {

std::optional<fb::CellKind> symbolizeCellKind(llvm::StringRef name) {
  return symbolize(fb::EnumValuesCellKind(), fb::EnumNameCellKind, name);
}
std::optional<fb::Role> symbolizeRole(llvm::StringRef name) {
  return symbolize(fb::EnumValuesRole(), fb::EnumNameRole, name);
}
std::optional<fb::Feature> symbolizeFeature(llvm::StringRef name) {
  return symbolize(fb::EnumValuesFeature(), fb::EnumNameFeature, name);
}
std::optional<fb::DType> symbolizeDType(llvm::StringRef name) {
  return symbolize(fb::EnumValuesDType(), fb::EnumNameDType, name);
}

std::string stringifyCellKind(fb::CellKind kind) { return snakeCase(fb::EnumNameCellKind(kind)); }
std::string stringifyRole(fb::Role role) { return snakeCase(fb::EnumNameRole(role)); }
std::string stringifyFeature(fb::Feature feature) { return snakeCase(fb::EnumNameFeature(feature)); }
std::string stringifyDType(fb::DType dtype) { return snakeCase(fb::EnumNameDType(dtype)); }

std::string cellKindNames() { return join(fb::EnumValuesCellKind(), fb::EnumNameCellKind); }
std::string roleNames() { return join(fb::EnumValuesRole(), fb::EnumNameRole); }
std::string featureNames() { return join(fb::EnumValuesFeature(), fb::EnumNameFeature); }
std::string dtypeNames() { return join(fb::EnumValuesDType(), fb::EnumNameDType); }

int64_t elementBytes(fb::DType dtype) { return qwenrt::bytesOfElement(dtype); }

} // namespace mlir::plan
