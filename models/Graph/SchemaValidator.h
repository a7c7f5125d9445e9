//===- SchemaValidator.h - The built-in JSON Schema of model.json -----------------------------------------------===//
#pragma once

#include "qwenrt/Status.h"

#include <nlohmann/json_fwd.hpp>

namespace qwenc::graph {

/// The text of model.schema.json.
extern const char *const modelSchemaText;

/// Checks \p document against model.schema.json. Errors: InvalidInput with the place of the first problem.
qwenrt::Status validateAgainstSchema(const nlohmann::json &document);

} // namespace qwenc::graph
