//===- BuiltinProfiles.h - The targets that qwenc knows by name ----------------------------------------*- C++ -*-===//
//
// Private to compiler/Target.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "compiler/Target/TargetProfile.h"

namespace qwenc {

/// In the order in which messages name them; generic is the first.
const std::vector<TargetProfile> &builtinProfiles();

} // namespace qwenc
