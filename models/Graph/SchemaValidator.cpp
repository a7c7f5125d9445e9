//===- SchemaValidator.cpp - The built-in JSON Schema of model.json ---------------------------------------------===//
//
// valijson reports some failures by exceptions and prints to stderr; both end here.
//
//===------------------------------------------------------------------------------------------------------------===//
#include "models/Graph/SchemaValidator.h"

#include "models/Checkpoint/Json.h"

#include <exception>
#include <memory>

#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

using namespace qwenc;
using namespace qwenc::graph;
using nlohmann::json;
using valijson::adapters::NlohmannJsonAdapter;

namespace {

Status invalid(std::string message) { return Status(StatusCode::InvalidInput, std::move(message)); }

/// <root>, [functions], [0] becomes functions[0].
std::string placeOf(const std::vector<std::string> &context) {
  std::string place;
  for (const std::string &part : context) {
    bool isKey = part.size() > 2 && part.front() == '[' && (part[1] < '0' || part[1] > '9');
    if (part == "<root>")
      continue;
    place += isKey ? (place.empty() ? "" : ".") + part.substr(1, part.size() - 2) : part;
  }
  return place.empty() ? "the document" : place;
}

/// The parsed schema, made once. May throw.
const valijson::Schema &modelSchema() {
  static const valijson::Schema *schema = [] {
    json document = json::parse(modelSchemaText);
    auto parsed = std::make_unique<valijson::Schema>();
    valijson::SchemaParser().populateSchema(NlohmannJsonAdapter(document), *parsed);
    return parsed.release(); // lives as long as the program
  }();
  return *schema;
}

/// The first problem. The list of problems is the validator's only way to tell; it can not be longer than the document.
Status firstProblem(const valijson::Schema &schema, const NlohmannJsonAdapter &target) {
  valijson::ValidationResults results;
  valijson::Validator(valijson::Validator::kStrongTypes).validate(schema, target, &results);
  // Failures of nested parts come before the failures of what contains them.
  valijson::ValidationResults::Error problem;
  if (!results.popError(problem))
    return invalid("document does not follow the schema, expected model.schema.json, export it again");
  while (!problem.description.empty() && problem.description.back() == '.')
    problem.description.pop_back();
  std::string description = inQuotes(problem.description);
  return invalid("schema: " + inQuotes(placeOf(problem.context)) + ": " +
                 description.substr(1, description.size() - 2) +
                 ", expected what model.schema.json says, export it again");
}

} // namespace

qwenrt::Status qwenc::graph::validateAgainstSchema(const json &document) {
  try {
    const valijson::Schema &schema = modelSchema();
    NlohmannJsonAdapter target(document);
    // Without a list of results the validator stops at the first problem.
    if (valijson::Validator(valijson::Validator::kStrongTypes).validate(schema, target, nullptr))
      return Status::ok();
    return firstProblem(schema, target);
  } catch (const std::exception &exception) {
    return invalid("schema validation failed: " + inQuotes(exception.what()) +
                   ", expected a valid document, export it again");
  }
}
