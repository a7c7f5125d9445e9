//===- GraphVerifier.cpp - What a schema cannot say -------------------------------------------------------------===//
#include "models/Graph/GraphVerifier.h"

#include "models/Checkpoint/Json.h"
#include "models/Graph/Ops.h"

#include <cmath>
#include <unordered_set>
#include <utility>

using namespace qwenc;
using namespace qwenc::graph;

namespace {

constexpr size_t maxNameBytes = 1024;

Status invalid(std::string message) { return Status(StatusCode::InvalidInput, std::move(message)); }

/// A name that can be referred to and printed.
Status checkName(const std::string &what, const std::string &name) {
  bool printable = !name.empty() && name.size() <= maxNameBytes && name[0] != '@' && name[0] != '$';
  for (char c : name)
    printable = printable && static_cast<unsigned char>(c) >= 0x20 && c != 0x7f;
  if (!printable)
    return invalid(what + " name " + inQuotes(name) +
                   ", expected 1 to 1024 printable bytes that do not start with @ or $, rename it");
  return Status::ok();
}

/// The names of one kind of thing: well-formed and unique.
template <typename Range> Status checkNames(const std::string &what, const Range &things) {
  std::unordered_set<std::string_view> seen;
  for (const auto &thing : things) {
    QWENRT_RETURN_IF_ERROR(checkName(what, thing.name));
    if (!seen.insert(thing.name).second)
      return invalid(what + " " + inQuotes(thing.name) + " is defined twice, expected unique names, rename one");
  }
  return Status::ok();
}

class Verifier {
public:
  explicit Verifier(const Graph &graph) : graph_(graph), index_(graph) {}

  Status run() {
    QWENRT_RETURN_IF_ERROR(checkModel());
    QWENRT_RETURN_IF_ERROR(checkSymbols());
    QWENRT_RETURN_IF_ERROR(checkFiles());
    QWENRT_RETURN_IF_ERROR(checkWeights());
    QWENRT_RETURN_IF_ERROR(checkStacks());
    QWENRT_RETURN_IF_ERROR(checkStates());
    QWENRT_RETURN_IF_ERROR(checkNames("function", graph_.functions));
    for (const Function &function : graph_.functions) {
      Status status = checkFunction(function);
      if (!status)
        return std::move(status).withContext("function " + inQuotes(function.name));
    }
    QWENRT_RETURN_IF_ERROR(checkMedia());
    QWENRT_RETURN_IF_ERROR(checkTalker());
    QWENRT_RETURN_IF_ERROR(checkSpeech());
    return checkGenerate();
  }

private:
  using Values = std::unordered_map<std::string_view, const ValueType *>;

  Status checkModel() const;
  Status checkSymbols() const;
  Status checkFiles() const;
  Status checkWeights() const;
  Status checkStacks() const;
  Status checkStates() const;
  Status checkType(const std::string &what, const ValueType &type) const;
  Status checkFunction(const Function &function) const;
  Status checkOp(const Op &op, Values &values, std::unordered_set<std::string_view> &appended) const;
  Result<ValueType> resolve(const std::string &input, OperandKind kind, const Values &values) const;
  Status checkMedia() const;
  Status checkMediaInputs() const;
  Status checkTalker() const;
  Status checkSpeech() const;
  Status checkGenerate() const;

  const Graph &graph_;
  GraphIndex index_;
};

Status Verifier::checkModel() const {
  if (graph_.model.maxPositions > maxDimSize || graph_.model.vocabSize > maxDimSize)
    return invalid("model with max_positions " + std::to_string(graph_.model.maxPositions) + " and vocab_size " +
                   std::to_string(graph_.model.vocabSize) + ", expected at most 2^31 each, correct the document");
  if (graph_.tokenizer)
    for (const std::string &name : graph_.tokenizer->files)
      if (name.empty() || name == "." || name == ".." || name.find_first_of(std::string_view("/\\\0", 3)) != name.npos)
        return invalid("tokenizer file " + inQuotes(name) +
                       ", expected the name of a file in the checkpoint's folder, correct the document");
  if (!graph_.generation)
    return Status::ok();
  const GenerationInfo &generation = *graph_.generation;
  if (!(std::isfinite(generation.temperature) && generation.temperature > 0))
    return invalid("generation temperature " + std::to_string(generation.temperature) +
                   ", expected a number above zero, use do_sample false for greedy decoding");
  if (!(generation.topP > 0 && generation.topP <= 1))
    return invalid("generation top_p " + std::to_string(generation.topP) +
                   ", expected a number above 0 and up to 1, use 1 to switch it off");
  if (!(std::isfinite(generation.repetitionPenalty) && generation.repetitionPenalty > 0))
    return invalid("generation repetition_penalty " + std::to_string(generation.repetitionPenalty) +
                   ", expected a number above zero, use 1 to switch it off");
  return Status::ok();
}

Status Verifier::checkSymbols() const {
  QWENRT_RETURN_IF_ERROR(checkNames("symbol", graph_.symbols));
  for (const Symbol &symbol : graph_.symbols) {
    // Written in types, so it must parse as one dim there.
    Result<ValueType> type = parseValueType("i32[" + symbol.name + "]");
    if (!type || type->dims != std::vector<Dim>{Dim(symbol.name)})
      return invalid("symbol name " + inQuotes(symbol.name) + ", expected letters, digits and _, rename it");
    if (symbol.max == 0 || symbol.max > maxDimSize)
      return invalid("symbol " + inQuotes(symbol.name) + " with max " + std::to_string(symbol.max) +
                     ", expected 1 to 2^31, correct the symbol");
    bool limited = symbol.limit != SymbolLimit::None;
    if (limited && !(std::isfinite(symbol.perUnit) && symbol.perUnit > 0))
      return invalid("symbol " + inQuotes(symbol.name) + " with per_unit " + std::to_string(symbol.perUnit) +
                     ", expected a number above zero beside a limit, correct the symbol");
  }
  return Status::ok();
}

Status Verifier::checkFiles() const {
  QWENRT_RETURN_IF_ERROR(checkNames("checkpoint file", graph_.checkpoint.files));
  for (const WeightFile &file : graph_.checkpoint.files) {
    if (file.name == "." || file.name == ".." || file.name.find_first_of("/\\") != std::string::npos)
      return invalid("checkpoint file " + inQuotes(file.name) +
                     ", expected the name of a file in the checkpoint's folder, correct the document");
    if (file.sizeBytes < 8 || file.headerBytes > file.sizeBytes - 8)
      return invalid("checkpoint file " + inQuotes(file.name) + " of " + std::to_string(file.sizeBytes) +
                     " bytes with a header of " + std::to_string(file.headerBytes) +
                     ", expected the header inside the file, export the checkpoint again");
  }
  return Status::ok();
}

/// Every extent within bounds, every symbol declared, and the greatest element count within maxElementCount.
Status Verifier::checkType(const std::string &what, const ValueType &type) const {
  if (type.dims.size() > maxTypeRank)
    return invalid(what + " with " + std::to_string(type.dims.size()) + " dims, expected at most " +
                   std::to_string(maxTypeRank) + ", reshape it");
  uint64_t elements = 1;
  for (const Dim &dim : type.dims) {
    uint64_t size = dim.size;
    if (dim.isSymbol()) {
      const Symbol *symbol = index_.symbol(dim.symbol);
      if (!symbol)
        return invalid(what + " uses symbol " + inQuotes(dim.symbol) +
                       ", expected one of the document's symbols, declare it");
      if (__builtin_mul_overflow(symbol->max, dim.size, &size))
        size = UINT64_MAX;
    }
    if (size == 0 || size > maxDimSize)
      return invalid(what + " with a dim of " + std::to_string(size) + ", expected 1 to 2^31, correct the type");
    if (__builtin_mul_overflow(elements, size, &elements) || elements > maxElementCount)
      return invalid(what + " of type " + toString(type) +
                     " with more than 2^48 elements, expected fewer, correct the type");
  }
  return Status::ok();
}

Status Verifier::checkWeights() const {
  QWENRT_RETURN_IF_ERROR(checkNames("weight", graph_.weights));
  for (const Weight &weight : graph_.weights) {
    std::string what = "weight " + inQuotes(weight.name);
    if (weight.dtype != DType::BF16)
      return invalid(what + " of dtype " + std::string(dtypeName(weight.dtype)) +
                     ", expected bf16, convert the checkpoint");
    ValueType type = weightType(weight);
    QWENRT_RETURN_IF_ERROR(checkType(what, type));
    if (weight.file >= graph_.checkpoint.files.size())
      return invalid(what + " in file " + std::to_string(weight.file) + ", expected one of the " +
                     std::to_string(graph_.checkpoint.files.size()) + " checkpoint files, correct the document");
    const WeightFile &file = graph_.checkpoint.files[weight.file];
    uint64_t sizeBytes = dtypeSizeBytes(weight.dtype);
    for (uint64_t dim : weight.shape)
      sizeBytes *= dim; // bounded by checkType
    uint64_t dataStart = 8 + file.headerBytes;
    if (weight.offset < dataStart || weight.offset > file.sizeBytes || sizeBytes > file.sizeBytes - weight.offset)
      return invalid(what + " at bytes " + std::to_string(weight.offset) + " + " + std::to_string(sizeBytes) +
                     ", expected them in the data area " + std::to_string(dataStart) + " .. " +
                     std::to_string(file.sizeBytes) + " of " + inQuotes(file.name) + ", export the checkpoint again");
  }
  return Status::ok();
}

Status Verifier::checkStacks() const {
  QWENRT_RETURN_IF_ERROR(checkNames("weight stack", graph_.stacks));
  // Members lie side by side on the device, so that a weight has one place in one stack.
  std::unordered_set<std::string_view> stacked;
  for (const WeightStack &stack : graph_.stacks) {
    std::string what = "weight stack " + inQuotes(stack.name);
    if (index_.weight(stack.name))
      return invalid(what + " has the name of a weight, expected unique names, rename it");
    const Weight *first = nullptr;
    for (const std::string &name : stack.weights) {
      const Weight *weight = index_.weight(name);
      if (!weight)
        return invalid(what + " holds " + inQuotes(name) + ", expected weights of the document, correct the name");
      first = first ? first : weight;
      if (weightType(*weight) != weightType(*first))
        return invalid(what + " holds " + inQuotes(name) + " of type " + toString(weightType(*weight)) +
                       ", expected the type of its first weight " + toString(weightType(*first)) +
                       ", correct the stack");
      if (!stacked.insert(name).second)
        return invalid(what + " holds " + inQuotes(name) +
                       " a second time, expected each weight in one stack, remove it");
    }
    if (!first)
      return invalid(what + " is empty, expected at least one weight, remove it");
    QWENRT_RETURN_IF_ERROR(checkType(what, *index_.parameterType(stack.name)));
  }
  return Status::ok();
}

Status Verifier::checkStates() const {
  QWENRT_RETURN_IF_ERROR(checkNames("state", graph_.states));
  for (const State &state : graph_.states) {
    bool isFixed = state.kind == "key_window" || state.kind == "conv_history";
    if (state.kind != "kv_cache" && !isFixed)
      return invalid("state " + inQuotes(state.name) + " of kind " + inQuotes(state.kind) +
                     ", expected 'kv_cache', 'key_window' or 'conv_history', update qwenc or correct the document");
    for (const Dim &dim : state.shape)
      if (isFixed && dim.isSymbol())
        return invalid("state " + inQuotes(state.name) + " of kind " + inQuotes(state.kind) + " with symbol " +
                       inQuotes(dim.symbol) + ", expected numbers only, correct the document");
    QWENRT_RETURN_IF_ERROR(checkType("state " + inQuotes(state.name), stateType(state)));
  }
  return Status::ok();
}

Status Verifier::checkFunction(const Function &function) const {
  Values values;
  for (const TypedName &input : function.inputs) {
    QWENRT_RETURN_IF_ERROR(checkName("input", input.name));
    QWENRT_RETURN_IF_ERROR(checkType("input " + inQuotes(input.name), input.type));
    if (!values.emplace(input.name, &input.type).second)
      return invalid("input " + inQuotes(input.name) + " is defined twice, expected unique names, rename one");
  }
  std::unordered_set<std::string_view> appended;
  for (size_t i = 0; i < function.ops.size(); ++i) {
    const Op &op = function.ops[i];
    Status status = checkOp(op, values, appended);
    if (!status)
      return std::move(status).withContext("op " + std::to_string(i) + " " + std::string(opInfo(op.kind).name) +
                                           (op.outputs.empty() ? "" : " " + inQuotes(op.outputs[0])));
  }
  if (function.outputs.empty())
    return invalid("no outputs, expected at least one, name the values that the function returns");
  std::unordered_set<std::string_view> returned;
  for (const std::string &output : function.outputs) {
    if (!values.contains(output))
      return invalid("output " + inQuotes(output) + ", expected a value defined in the function, correct the name");
    if (!returned.insert(output).second)
      return invalid("output " + inQuotes(output) + " is returned twice, expected unique outputs, remove one");
  }
  return Status::ok();
}

Result<ValueType> Verifier::resolve(const std::string &input, OperandKind kind, const Values &values) const {
  std::string_view rest = std::string_view(input).substr(input.empty() ? 0 : 1);
  switch (kind) {
  case OperandKind::Weight:
    if (std::optional<ValueType> type = input.starts_with('@') ? index_.parameterType(rest) : std::nullopt)
      return *type;
    return invalid("input " + inQuotes(input) +
                   ", expected @ and the name of a weight or stack of the document, correct the input");
  case OperandKind::State:
    if (const State *state = input.starts_with('$') ? index_.state(rest) : nullptr)
      return stateType(*state);
    return invalid("input " + inQuotes(input) +
                   ", expected $ and the name of a state of the document, correct the input");
  case OperandKind::Value:
    if (auto found = values.find(input); found != values.end())
      return *found->second;
    return invalid("input " + inQuotes(input) +
                   ", expected a value defined before this operation, correct name or order");
  }
  return invalid("unknown operand kind, expected value, weight or state, report this");
}

Status Verifier::checkOp(const Op &op, Values &values, std::unordered_set<std::string_view> &appended) const {
  const OpInfo &info = opInfo(op.kind);
  std::vector<ValueType> operands;
  for (size_t i = 0; i < op.inputs.size() && i < info.operands.size(); ++i) {
    QWENRT_ASSIGN_OR_RETURN(ValueType type, resolve(op.inputs[i], info.operands[i].kind, values));
    operands.push_back(std::move(type));
  }
  // Surplus inputs count, whatever they are.
  operands.resize(op.inputs.size());
  for (const auto &[name, value] : op.attrs) {
    if (const auto *shape = std::get_if<std::vector<Dim>>(&value))
      QWENRT_RETURN_IF_ERROR(checkType("attribute " + inQuotes(name), {DType::F32, *shape}));
  }
  QWENRT_ASSIGN_OR_RETURN(std::vector<ValueType> inferred, inferTypes(op, operands));
  if (op.kind == OpKind::KvAppend && !appended.insert(op.inputs[0]).second)
    return invalid("second kv_append to " + inQuotes(op.inputs[0]) +
                   ", expected one per state and function, merge them");
  if (op.outputs.size() != inferred.size() || op.types.size() != inferred.size())
    return invalid(std::to_string(op.outputs.size()) + " outputs and " + std::to_string(op.types.size()) +
                   " types, expected " + std::to_string(inferred.size()) + " of each, correct the operation");
  for (size_t i = 0; i < inferred.size(); ++i) {
    QWENRT_RETURN_IF_ERROR(checkName("output", op.outputs[i]));
    QWENRT_RETURN_IF_ERROR(checkType("output", inferred[i]));
    if (op.types[i] != inferred[i])
      return invalid("type " + toString(op.types[i]) + ", expected " + toString(inferred[i]) +
                     " from the inputs, correct the type");
    if (!values.emplace(op.outputs[i], &op.types[i]).second)
      return invalid("output " + inQuotes(op.outputs[i]) + " is defined twice, expected unique names, rename one");
  }
  return Status::ok();
}

const ValueType *typeOfOutput(const Function &function) {
  for (const Op &op : function.ops)
    for (size_t i = 0; i < op.outputs.size(); ++i)
      if (op.outputs[i] == function.outputs[0])
        return &op.types[i];
  for (const TypedName &input : function.inputs)
    if (input.name == function.outputs[0])
      return &input.type;
  return nullptr;
}

/// The type that goes with the input's binding; \p ids are those of the decoder, of rank 1.
Status checkBinding(const TypedName &input, const ValueType &ids) {
  const ValueType &type = input.type;
  bool isOk = false;
  std::string expected;
  switch (input.binding) {
  case Binding::Positions:
    isOk = type == ValueType{DType::F32, {ids.dims[0], Dim(3)}};
    expected = "f32[S,3]";
    break;
  case Binding::MediaRows:
    isOk = type == ids;
    expected = "i32[S]";
    break;
  case Binding::Media:
    isOk = type.dtype == DType::F32 && type.dims.size() == 2 && type.dims[0].isSymbol() &&
           type.dims[0].symbol != ids.dims[0].symbol;
    expected = "f32[M,H] with another symbol M";
    break;
  case Binding::None:
    break;
  }
  if (isOk)
    return Status::ok();
  return invalid("decoder input " + inQuotes(input.name) + " of type " + toString(type) + ", expected " + expected +
                 " for its binding " + inQuotes(bindingName(input.binding)) + ", correct the function");
}

/// The inputs of a decoder beside its ids. A row has one position and one row of media.
Status checkBindings(const Function &decoder) {
  bool seen[4] = {};
  for (size_t i = 1; i < decoder.inputs.size(); ++i) {
    const TypedName &input = decoder.inputs[i];
    QWENRT_RETURN_IF_ERROR(checkBinding(input, decoder.inputs[0].type));
    if (input.binding != Binding::Media && std::exchange(seen[static_cast<size_t>(input.binding)], true))
      return invalid("decoder input " + inQuotes(input.name) + " is the second with binding " +
                     inQuotes(bindingName(input.binding)) + ", expected one, correct the function");
  }
  return Status::ok();
}

/// Inputs behind the first that have a binding.
size_t countBound(const Function &function) {
  size_t count = 0;
  for (size_t i = 1; i < function.inputs.size(); ++i)
    count += function.inputs[i].binding != Binding::None;
  return count;
}

Status Verifier::checkMedia() const {
  if (!graph_.media)
    return Status::ok();
  if (!graph_.media->audio && !graph_.media->vision)
    return invalid("media without audio and vision, expected an encoder of one of them, leave media out");
  auto checkEncoder = [&](const std::string &name) -> Status {
    if (index_.function(name))
      return Status::ok();
    return invalid("media names encoder " + inQuotes(name) + ", expected a function of the document, correct the name");
  };
  auto checkNumber = [](const char *what, uint64_t number) -> Status {
    if (number > 0 && number <= maxDimSize)
      return Status::ok();
    return invalid("media with " + std::string(what) + " " + std::to_string(number) +
                   ", expected 1 to 2^31, correct the document");
  };
  if (const std::optional<AudioInfo> &audio = graph_.media->audio) {
    QWENRT_RETURN_IF_ERROR(checkEncoder(audio->encoder));
    QWENRT_RETURN_IF_ERROR(checkNumber("mel_bins", audio->melBins));
    QWENRT_RETURN_IF_ERROR(checkNumber("chunk_frames", audio->chunkFrames));
    QWENRT_RETURN_IF_ERROR(checkNumber("window_chunks", audio->windowChunks));
  }
  if (const std::optional<VisionInfo> &vision = graph_.media->vision) {
    QWENRT_RETURN_IF_ERROR(checkEncoder(vision->encoder));
    QWENRT_RETURN_IF_ERROR(checkNumber("patch_size", vision->patchSize));
    QWENRT_RETURN_IF_ERROR(checkNumber("temporal_patch_size", vision->temporalPatchSize));
    QWENRT_RETURN_IF_ERROR(checkNumber("merge_size", vision->mergeSize));
    QWENRT_RETURN_IF_ERROR(checkNumber("position_side", vision->positionSide));
    QWENRT_RETURN_IF_ERROR(checkNumber("min_pixels", vision->minPixels));
    QWENRT_RETURN_IF_ERROR(checkNumber("max_pixels", vision->maxPixels));
    if (vision->minPixels > vision->maxPixels || vision->deepstack > 16)
      return invalid("media with min_pixels " + std::to_string(vision->minPixels) + ", max_pixels " +
                     std::to_string(vision->maxPixels) + " and deepstack " + std::to_string(vision->deepstack) +
                     ", expected min_pixels up to max_pixels and at most 16 deepstack outputs, correct the document");
  }
  return checkMediaInputs();
}

/// The rows of the encoders have a place in the decoder, if there is one.
Status Verifier::checkMediaInputs() const {
  const Function *decoder = graph_.generate ? index_.function(graph_.generate->decoder) : nullptr;
  if (!decoder)
    return Status::ok();
  auto check = [&](const std::string &name) -> Status {
    for (const TypedName &input : decoder->inputs)
      if (input.name == name && input.binding == Binding::Media)
        return Status::ok();
    return invalid("media without an input " + inQuotes(name) + " of the decoder, expected one with binding 'media', " +
                   "add it or leave media out");
  };
  QWENRT_RETURN_IF_ERROR(check("media"));
  for (uint64_t i = 0; i < (graph_.media->vision ? graph_.media->vision->deepstack : 0); ++i)
    QWENRT_RETURN_IF_ERROR(check("deepstack." + std::to_string(i)));
  return Status::ok();
}

Status Verifier::checkSpeech() const {
  if (!graph_.speech || !graph_.speech->vocoder)
    return Status::ok();
  const VocoderInfo &vocoder = *graph_.speech->vocoder;
  if (!index_.function(vocoder.decoder))
    return invalid("speech names vocoder " + inQuotes(vocoder.decoder) +
                   ", expected a function of the document, correct the name");
  for (auto [what, number] : {std::pair<const char *, uint64_t>{"groups", vocoder.groups},
                              {"codebook_size", vocoder.codebookSize},
                              {"frame_samples", vocoder.frameSamples},
                              {"sample_rate", vocoder.sampleRate}})
    if (number == 0 || number > maxDimSize)
      return invalid("speech with " + std::string(what) + " " + std::to_string(number) +
                     ", expected 1 to 2^31, correct the document");
  if (vocoder.lostSamples > maxDimSize)
    return invalid("speech with lost_samples " + std::to_string(vocoder.lostSamples) +
                   ", expected at most 2^31, correct the document");
  return Status::ok();
}

Status Verifier::checkGenerate() const {
  if (!graph_.generate)
    return Status::ok();
  const Function *functions[2] = {index_.function(graph_.generate->decoder), index_.function(graph_.generate->head)};
  const std::string *names[2] = {&graph_.generate->decoder, &graph_.generate->head};
  for (int i = 0; i < 2; ++i) {
    if (!functions[i])
      return invalid("generate names function " + inQuotes(*names[i]) +
                     ", expected a function of the document, correct the name");
    size_t bound = i == 0 ? countBound(*functions[i]) : 0;
    // A decoder may leave further rows.
    if (functions[i]->inputs.size() != 1 + bound || (i == 1 && functions[i]->outputs.size() != 1))
      return invalid("generate function " + inQuotes(*names[i]) + " with " +
                     std::to_string(functions[i]->inputs.size()) + " inputs and " +
                     std::to_string(functions[i]->outputs.size()) +
                     " outputs, expected one of each beside the inputs with a binding, correct the function");
  }
  const ValueType &ids = functions[0]->inputs[0].type, &hidden = *typeOfOutput(*functions[0]);
  const ValueType &rows = functions[1]->inputs[0].type, &logits = *typeOfOutput(*functions[1]);
  auto hasFactor = [](const ValueType &type) { return type.dims[0].isSymbol() && type.dims[0].size != 1; };
  if (ids.dtype != DType::I32 || ids.dims.size() != 1 || hasFactor(ids) || hidden.dtype != DType::F32 ||
      hidden.dims.size() != 2)
    return invalid("generate decoder maps " + toString(ids) + " to " + toString(hidden) +
                   ", expected i32[S] to f32[S,H], correct the function");
  QWENRT_RETURN_IF_ERROR(checkBindings(*functions[0]));
  if (rows.dtype != DType::F32 || rows.dims.size() != 2 || hasFactor(rows) || rows.dims[1] != hidden.dims[1] ||
      logits.dtype != DType::F32 || logits.dims != std::vector<Dim>{rows.dims[0], Dim(graph_.model.vocabSize)})
    return invalid("generate head maps " + toString(rows) + " to " + toString(logits) +
                   ", expected f32[R,H] to f32[R," + std::to_string(graph_.model.vocabSize) +
                   "] with H of the decoder " + toString(hidden) + ", correct the function");
  return Status::ok();
}

Status Verifier::checkTalker() const {
  if (!graph_.speech || !graph_.speech->talker)
    return Status::ok();
  const TalkerInfo &talker = *graph_.speech->talker;
  const std::pair<const std::string *, size_t> functions[] = {
      {&talker.decoder, 1},       {&talker.head, 2}, {&talker.predictorDecoder, 1},
      {&talker.predictorHead, 1}, {&talker.text, 1}, {&talker.media, 1},
  };
  for (auto [name, outputs] : functions) {
    const Function *function = index_.function(*name);
    if (!function || function->inputs.empty() || function->outputs.size() != outputs)
      return invalid("speech names function " + inQuotes(*name) + ", expected one of the document with inputs and " +
                     std::to_string(outputs) + (outputs == 1 ? " output" : " outputs") + ", correct the name");
  }
  const ValueType logits = *typeOfOutput(*index_.function(talker.head));
  uint64_t codes = logits.dims.empty() || logits.dims.back().isSymbol() ? 0 : logits.dims.back().size;
  for (const std::string &name : talker.tables)
    if (const Weight *table = index_.weight(name); !table || table->shape.size() != 2)
      return invalid("speech names table " + inQuotes(name) +
                     ", expected a weight of two dims in the document, correct the name");
  if (talker.suppressedFirst >= talker.suppressedEnd || talker.suppressedEnd > codes)
    return invalid("speech suppresses ids " + std::to_string(talker.suppressedFirst) + " to " +
                   std::to_string(talker.suppressedEnd) + ", expected ids among the " + std::to_string(codes) +
                   " of the head, correct the document");
  for (std::string_view name : talkerIdNames()) {
    auto found = talker.ids.find(std::string(name));
    uint64_t end = name.starts_with("codec_") ? codes : graph_.model.vocabSize;
    if (found == talker.ids.end() || (end && found->second >= end))
      return invalid("speech has no id " + inQuotes(name) + " below " + std::to_string(end) +
                     ", expected one, correct the document");
  }
  for (const auto &[name, id] : talker.speakers)
    if (id >= codes)
      return invalid("speaker " + inQuotes(name) + " with id " + std::to_string(id) + ", expected one below " +
                     std::to_string(codes) + ", correct the document");
  if (talker.maxFrames == 0 || talker.maxFrames > maxDimSize)
    return invalid("speech with max_frames " + std::to_string(talker.maxFrames) +
                   ", expected 1 to 2^31, correct the document");
  return Status::ok();
}

} // namespace

Status qwenc::graph::verifyGraph(const Graph &graph) { return Verifier(graph).run(); }
