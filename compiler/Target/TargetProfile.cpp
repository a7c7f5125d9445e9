//===- TargetProfile.cpp - Profiles by name or from a file --------------------------------------------------------===//
#include "compiler/Target/TargetProfile.h"

#include "compiler/Target/BuiltinProfiles.h"
#include "models/Checkpoint/Json.h"

#include <algorithm>

using nlohmann::json;

namespace qwenc {
namespace {

/// Profiles are a few lines; anything larger is another file.
constexpr uint64_t kMaxProfileBytes = 64 << 10;

/// Sets one field of a profile from its JSON value. Returns what was expected if the value is not that, else "".
using Setter = std::string (*)(TargetProfile &profile, const json &value);

template <typename T> std::string setInteger(T &field, const json &value, uint64_t least, uint64_t most) {
  std::optional<uint64_t> number = asUnsigned(value);
  if (!number || *number < least || *number > most)
    return "an integer from " + std::to_string(least) + " to " + std::to_string(most);
  field = static_cast<T>(*number);
  return "";
}

std::string setNumber(double &field, const json &value, double least, double most, const char *expected) {
  std::optional<double> number = asNumber(value);
  if (!number || *number < least || *number > most)
    return expected;
  field = *number;
  return "";
}

std::string setFlag(bool &field, const json &value) {
  if (!value.is_boolean())
    return "true or false";
  field = value.get<bool>();
  return "";
}

std::string setSubgroupSize(TargetProfile &profile, const json &value) {
  std::optional<uint64_t> size = asUnsigned(value);
  bool isPower = size && *size >= 4 && *size <= 128 && (*size & (*size - 1)) == 0;
  if (!isPower && size != 0)
    return "0 or a power of two from 4 to 128";
  profile.subgroupSize = static_cast<uint32_t>(*size);
  return "";
}

std::string setWorkgroupCount(TargetProfile &profile, const json &value) {
  std::string expected = "three integers from 65535 to 4294967295";
  if (!value.is_array() || value.size() != 3)
    return expected;
  for (size_t axis = 0; axis < 3; ++axis)
    if (!setInteger(profile.maxWorkgroupCount[axis], value[axis], 65535, UINT32_MAX).empty())
      return expected;
  return "";
}

std::string setName(TargetProfile &profile, const json &value) {
  const std::string *name = asString(value);
  auto isPlain = [](unsigned char c) { return c > ' ' && c < 127; };
  if (!name || name->empty() || name->size() > 64 || !std::all_of(name->begin(), name->end(), isPlain))
    return "1 to 64 printable ASCII characters without blanks";
  profile.name = *name;
  return "";
}

std::string setKvFormat(TargetProfile &profile, const json &value) {
  const std::string *name = asString(value);
  if (name && *name == "f32")
    profile.kvFormat = KvFormat::F32;
  else if (name && *name == "f16")
    profile.kvFormat = KvFormat::F16;
  else if (name && *name == "bf16")
    profile.kvFormat = KvFormat::BF16;
  else
    return "\"f32\", \"f16\" or \"bf16\"";
  return "";
}

struct Key {
  const char *name;
  Setter set;
};

/// Bounds are what Vulkan guarantees below and what no device exceeds above.
const Key kKeys[] = {
    {"name", setName},
    {"subgroup_size", setSubgroupSize},
    {"max_workgroup_invocations",
     [](TargetProfile &p, const json &v) { return setInteger(p.maxWorkgroupInvocations, v, 128, 1024); }},
    {"max_shared_bytes",
     [](TargetProfile &p, const json &v) { return setInteger(p.maxSharedBytes, v, 16384, 1 << 20); }},
    {"max_push_constant_bytes",
     [](TargetProfile &p, const json &v) { return setInteger(p.maxPushConstantBytes, v, 128, 256); }},
    {"max_workgroup_count", setWorkgroupCount},
    {"max_allocation_bytes",
     [](TargetProfile &p, const json &v) { return setInteger(p.maxAllocationBytes, v, 1 << 20, uint64_t(1) << 40); }},
    {"max_weight_bytes",
     [](TargetProfile &p, const json &v) { return setInteger(p.maxWeightBytes, v, 0, uint64_t(1) << 40); }},
    {"bf16_cooperative_matrix", [](TargetProfile &p, const json &v) { return setFlag(p.bf16CooperativeMatrix, v); }},
    {"f16_cooperative_matrix", [](TargetProfile &p, const json &v) { return setFlag(p.f16CooperativeMatrix, v); }},
    {"shader_float16", [](TargetProfile &p, const json &v) { return setFlag(p.shaderFloat16, v); }},
    {"shader_int8", [](TargetProfile &p, const json &v) { return setFlag(p.shaderInt8, v); }},
    {"compute_units", [](TargetProfile &p, const json &v) { return setInteger(p.computeUnits, v, 1, 65536); }},
    {"kv_format", setKvFormat},
    {"prefill_chunk", [](TargetProfile &p, const json &v) { return setInteger(p.prefillChunk, v, 1, 16384); }},
    {"mixture_prefill_chunk",
     [](TargetProfile &p, const json &v) { return setInteger(p.mixturePrefillChunk, v, 1, 16384); }},
    {"decode_splits", [](TargetProfile &p, const json &v) { return setInteger(p.decodeSplits, v, 1, 256); }},
    {"narrow_matrix_operands", [](TargetProfile &p, const json &v) { return setFlag(p.narrowMatrixOperands, v); }},
    {"dont_unroll_loops", [](TargetProfile &p, const json &v) { return setFlag(p.dontUnrollLoops, v); }},
    {"read_bytes_per_ns",
     [](TargetProfile &p, const json &v) {
       return setNumber(p.readBytesPerNs, v, 0.001, 1e6, "a number from 0.001 to 1000000");
     }},
    {"flops_per_ns",
     [](TargetProfile &p, const json &v) {
       return setNumber(p.flopsPerNs, v, 0.001, 1e6, "a number from 0.001 to 1000000");
     }},
    {"step_overhead_ns",
     [](TargetProfile &p, const json &v) {
       return setNumber(p.stepOverheadNs, v, 0, 1e9, "a number from 0 to 1000000000");
     }},
};

std::string joined(const std::vector<std::string> &names) {
  std::string text;
  for (const std::string &name : names)
    text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::string keyNames() {
  std::vector<std::string> names = {"base"};
  for (const Key &key : kKeys)
    names.push_back(key.name);
  return joined(names);
}

const TargetProfile *findBuiltin(std::string_view name) {
  for (const TargetProfile &profile : builtinProfiles())
    if (profile.name == name)
      return &profile;
  return nullptr;
}

Result<TargetProfile> baseOf(const json &document) {
  const json *base = member(document, "base");
  if (!base)
    return *findBuiltin("generic");
  const std::string *name = asString(*base);
  const TargetProfile *profile = name ? findBuiltin(*name) : nullptr;
  if (!profile)
    return Status(StatusCode::InvalidInput,
                  "base is " + inQuotes(base->dump(-1, ' ', true, json::error_handler_t::replace)) +
                      ", expected one of " + joined(builtinTargetNames()) + ", correct the file");
  return *profile;
}

Result<TargetProfile> readProfile(const json &document, std::string defaultName) {
  if (!document.is_object())
    return Status(StatusCode::InvalidInput,
                  "the document is no JSON object, expected a target profile, give another file");
  QWENRT_ASSIGN_OR_RETURN(TargetProfile profile, baseOf(document));
  profile.name = std::move(defaultName);
  for (const auto &[name, value] : document.items()) {
    if (name == "base")
      continue;
    auto key = std::find_if(std::begin(kKeys), std::end(kKeys), [&](const Key &k) { return name == k.name; });
    if (key == std::end(kKeys))
      return Status(StatusCode::InvalidInput,
                    "unknown key " + inQuotes(name) + ", expected one of " + keyNames() + ", correct the file");
    if (std::string expected = key->set(profile, value); !expected.empty())
      return Status(StatusCode::InvalidInput, name + " is " +
                                                  inQuotes(value.dump(-1, ' ', true, json::error_handler_t::replace)) +
                                                  ", expected " + expected + ", correct the file");
  }
  return profile;
}

/// "dir/my-gpu.json" -> "my-gpu", or "custom" where that cannot stand in messages.
std::string nameFromPath(std::string_view path) {
  std::string_view name = path.substr(path.rfind('/') + 1); // npos + 1 = 0
  name = name.substr(0, name.rfind(".json"));
  TargetProfile checked;
  return setName(checked, json(std::string(name))).empty() ? checked.name : "custom";
}

} // namespace

std::vector<std::string> builtinTargetNames() {
  std::vector<std::string> names;
  for (const TargetProfile &profile : builtinProfiles())
    names.push_back(profile.name);
  return names;
}

Result<TargetProfile> loadTargetProfile(std::string_view nameOrFile) {
  if (const TargetProfile *profile = findBuiltin(nameOrFile))
    return *profile;
  bool isPath = nameOrFile.find('/') != nameOrFile.npos || nameOrFile.ends_with(".json");
  if (!isPath)
    return Status(StatusCode::InvalidUsage, "unknown target " + inQuotes(nameOrFile) + ", expected one of " +
                                                joined(builtinTargetNames()) +
                                                " or a profile file, name a file by a path with / or .json");
  std::string path(nameOrFile);
  QWENRT_ASSIGN_OR_RETURN(json document,
                          readJsonFile(path, {.maxBytes = kMaxProfileBytes, .maxDepth = 4, .maxValues = 64}));
  Result<TargetProfile> profile = readProfile(document, nameFromPath(path));
  if (!profile)
    return profile.status().withContext(path);
  return profile;
}

} // namespace qwenc
