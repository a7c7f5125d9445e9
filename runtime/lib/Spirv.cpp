//===- Spirv.cpp -------------------------------------------------------------------------------------------------===//
#include "Spirv.h"

#include "Text.h"

#include <algorithm>
#include <array>
#include <cstring>

using namespace qwenrt;

namespace {

constexpr uint32_t kMagic = 0x07230203;
constexpr uint32_t kHeaderWords = 5;
constexpr uint32_t kNewestVersion = 0x00010600;
constexpr uint32_t kOpMemoryModel = 14, kOpEntryPoint = 15, kOpExecutionMode = 16, kOpCapability = 17;
constexpr uint32_t kExecutionModelGLCompute = 5, kExecutionModeLocalSize = 17;
constexpr uint32_t kAddressingPhysicalStorageBuffer64 = 5348;

/// Capabilities of the generic minimum: Matrix, Shader, Int64, Int16, GroupNonUniform and its kinds, 16-bit storage,
/// dot products (mandatory in Vulkan 1.3), Vulkan memory model with device scope, PhysicalStorageBufferAddresses.
constexpr std::array<uint32_t, 22> kGenericCapabilities = {
    0, 1, 11, 22, 61, 62, 63, 64, 65, 66, 67, 68, 4433, 4434, 4435, 5345, 5346, 5347, 6016, 6017, 6018, 6019};

struct FeatureCapability {
  uint32_t capability;
  fb::Feature feature;
  const char *name;
};
constexpr std::array<FeatureCapability, 7> kFeatureCapabilities = {{
    {9, fb::Feature::ShaderFloat16, "ShaderFloat16"},
    {39, fb::Feature::ShaderInt8, "ShaderInt8"},
    {4448, fb::Feature::ShaderInt8, "ShaderInt8"}, // StorageBuffer8BitAccess
    {6022, fb::Feature::CooperativeMatrix, "CooperativeMatrix"},
    {5116, fb::Feature::BFloat16, "BFloat16"}, // BFloat16TypeKHR
    {5117, fb::Feature::BFloat16, "BFloat16"}, // BFloat16DotProductKHR
    {5118, fb::Feature::BFloat16, "BFloat16"}, // BFloat16CooperativeMatrixKHR
}};

Status bad(const fb::Kernel &kernel, const std::string &found, const std::string &expected) {
  return {StatusCode::InvalidInput, text("kernel '", printable(kernel.name()->string_view()), "' ", found,
                                         ", expected ", expected, ", compile the plan again")};
}

Status checkCapability(const fb::Kernel &kernel, uint32_t capability) {
  if (std::find(kGenericCapabilities.begin(), kGenericCapabilities.end(), capability) != kGenericCapabilities.end())
    return Status::ok();
  for (const FeatureCapability &known : kFeatureCapabilities) {
    if (known.capability != capability)
      continue;
    if (uint32_t(kernel.features()) & uint32_t(known.feature))
      return Status::ok();
    return bad(kernel, text("declares SPIR-V capability ", capability),
               text("the feature bit ", known.name, " to say so"));
  }
  return bad(kernel, text("declares SPIR-V capability ", capability), "one that a plan may use");
}

/// The literal string that starts at \p words, if it ends within \p count words.
bool literalEquals(const uint32_t *words, uint32_t count, std::string_view expected) {
  const char *chars = reinterpret_cast<const char *>(words);
  size_t length = strnlen(chars, size_t(count) * 4);
  return length < size_t(count) * 4 && std::string_view(chars, length) == expected;
}

/// What the walk over the instructions found.
struct Frame {
  bool physicalAddressing = false;
  bool entryPoint = false;
  uint32_t entryPointId = 0;
};

Status checkInstruction(const fb::Kernel &kernel, const uint32_t *words, uint32_t count, Frame &frame) {
  switch (words[0] & 0xffff) {
  case kOpCapability:
    if (count != 2)
      return bad(kernel, "has a broken OpCapability", "two words");
    return checkCapability(kernel, words[1]);
  case kOpMemoryModel:
    frame.physicalAddressing = count == 3 && words[1] == kAddressingPhysicalStorageBuffer64;
    return Status::ok();
  case kOpEntryPoint:
    if (count < 4 || words[1] != kExecutionModelGLCompute)
      return bad(kernel, "has an entry point of another kind", "GLCompute");
    if (literalEquals(words + 3, count - 3, kernel.name()->string_view())) {
      frame.entryPoint = true;
      frame.entryPointId = words[2];
    }
    return Status::ok();
  case kOpExecutionMode:
    if (count != 6 || words[2] != kExecutionModeLocalSize || words[1] != frame.entryPointId)
      return Status::ok();
    if (words[3] != kernel.workgroup()->x() || words[4] != kernel.workgroup()->y() ||
        words[5] != kernel.workgroup()->z())
      return bad(kernel, text("has a module of workgroup size ", words[3], "x", words[4], "x", words[5]),
                 text(kernel.workgroup()->x(), "x", kernel.workgroup()->y(), "x", kernel.workgroup()->z()));
    return Status::ok();
  default:
    return Status::ok();
  }
}

} // namespace

Status qwenrt::verifySpirv(const fb::Kernel &kernel) {
  const uint32_t *words = kernel.spirv()->data();
  uint32_t count = kernel.spirv()->size();
  if (count < kHeaderWords || words[0] != kMagic)
    return bad(kernel, "does not start with the SPIR-V magic", "a SPIR-V module");
  if (words[1] > kNewestVersion)
    return bad(kernel, text("has SPIR-V version word ", words[1]), "at most 1.6");

  Frame frame;
  for (uint32_t at = kHeaderWords; at < count;) {
    uint32_t length = words[at] >> 16;
    if (length == 0 || length > count - at)
      return bad(kernel, text("has a SPIR-V instruction of ", length, " words at word ", at),
                 "instructions that fill the module");
    QWENRT_RETURN_IF_ERROR(checkInstruction(kernel, words + at, length, frame));
    at += length;
  }
  if (!frame.entryPoint)
    return bad(kernel, "has no entry point of its name", "one");
  if (!frame.physicalAddressing)
    return bad(kernel, "does not use 64-bit physical addressing", "PhysicalStorageBuffer64");
  return Status::ok();
}
