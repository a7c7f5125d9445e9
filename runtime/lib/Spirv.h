//===- Spirv.h - What a plan's kernels must look like ------------------------------------------------------------===//
#pragma once

#include "plan_generated.h"
#include "qwenrt/Status.h"

namespace qwenrt {

/// Checks the frame of a kernel's SPIR-V: header, instruction lengths, capabilities that its feature bits cover, 64-bit
/// physical addressing, a compute entry point of the kernel's name and its workgroup size. The instructions themselves
/// are the compiler's responsibility.
Status verifySpirv(const fb::Kernel &kernel);

} // namespace qwenrt
