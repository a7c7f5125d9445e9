//===- GraphWriter.cpp - Graph to model.json text ---------------------------------------------------------------===//
#include "models/Graph/GraphWriter.h"

#include "models/Checkpoint/File.h"
#include "models/Checkpoint/Json.h"
#include "models/Graph/Ops.h"

#include <charconv>
#include <cstdio>

using namespace qwenc;
using namespace qwenc::graph;

namespace {

std::string quote(const std::string &text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// The shortest text that reads back as the same number, recognisable as a fraction.
std::string number(double value) {
  char buffer[64];
  auto [end, error] = std::to_chars(buffer, buffer + sizeof(buffer), value);
  std::string text(buffer, end);
  return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
}

const char *boolean(bool value) { return value ? "true" : "false"; }

std::string dims(const std::vector<Dim> &shape) {
  std::string text = "[";
  for (const Dim &dim : shape)
    text += (text.size() == 1 ? "" : ", ") + (dim.isSymbol() ? quote(toString(dim)) : toString(dim));
  return text + "]";
}

/// {"[": items joined by commas}: one line; \p write turns an item into JSON.
template <typename Range, typename Write> std::string inlineArray(const Range &items, Write write) {
  std::string text = "[";
  for (const auto &item : items)
    text += (text.size() == 1 ? "" : ", ") + std::string(write(item));
  return text + "]";
}

/// An array with one item per line, indented by \p indent.
template <typename Range, typename Write>
std::string lineArray(const Range &items, const std::string &indent, Write write) {
  std::string text = "[";
  for (const auto &item : items)
    text += (text.size() == 1 ? "\n" : ",\n") + indent + write(item);
  return text + "]";
}

std::string attribute(const AttrValue &value) {
  struct Visitor {
    std::string operator()(int64_t value) const { return std::to_string(value); }
    std::string operator()(double value) const { return number(value); }
    std::string operator()(bool value) const { return boolean(value); }
    std::string operator()(const std::string &value) const { return quote(value); }
    std::string operator()(const std::vector<Dim> &value) const { return dims(value); }
  };
  return std::visit(Visitor{}, value);
}

std::string writeFile(const WeightFile &file) {
  char hash[17];
  std::snprintf(hash, sizeof(hash), "%016llx", static_cast<unsigned long long>(file.headerHash));
  return "{\"name\": " + quote(file.name) + ", \"size_bytes\": " + std::to_string(file.sizeBytes) +
         ", \"header_bytes\": " + std::to_string(file.headerBytes) + ", \"header_hash\": \"fnv1a64:" + hash + "\"}";
}

std::string writeWeight(const Weight &weight) {
  return "{\"name\": " + quote(weight.name) + ", \"file\": " + std::to_string(weight.file) +
         ", \"offset\": " + std::to_string(weight.offset) + ", \"dtype\": \"" + std::string(dtypeName(weight.dtype)) +
         "\", \"shape\": " + inlineArray(weight.shape, [](uint64_t dim) { return std::to_string(dim); }) + "}";
}

std::string writeSymbol(const Symbol &symbol) {
  std::string limit;
  if (symbol.limit != SymbolLimit::None)
    limit = ", \"limit\": " + quote(std::string(limitName(symbol.limit))) + ", \"per_unit\": " + number(symbol.perUnit);
  return "{\"name\": " + quote(symbol.name) + ", \"meaning\": " + quote(symbol.meaning) +
         ", \"max\": " + std::to_string(symbol.max) + limit + "}";
}

std::string writeMedia(const MediaInfo &media) {
  std::string text;
  auto field = [&](const char *name, uint64_t value) {
    text += std::string(", \"") + name + "\": " + std::to_string(value);
  };
  if (media.audio) {
    text += "\"audio\": {\"encoder\": " + quote(media.audio->encoder);
    field("mel_bins", media.audio->melBins);
    field("chunk_frames", media.audio->chunkFrames);
    field("window_chunks", media.audio->windowChunks);
    text += "}";
  }
  if (media.vision) {
    text += std::string(media.audio ? ",\n    " : "") + "\"vision\": {\"encoder\": " + quote(media.vision->encoder);
    field("patch_size", media.vision->patchSize);
    field("temporal_patch_size", media.vision->temporalPatchSize);
    field("merge_size", media.vision->mergeSize);
    field("position_side", media.vision->positionSide);
    field("deepstack", media.vision->deepstack);
    field("min_pixels", media.vision->minPixels);
    field("max_pixels", media.vision->maxPixels);
    text += "}";
  }
  return "{" + text + "}";
}

std::string writeStack(const WeightStack &stack) {
  return "{\"name\": " + quote(stack.name) + ", \"weights\": " + inlineArray(stack.weights, quote) + "}";
}

std::string writeGeneration(const GenerationInfo &generation) {
  return "{\"stop_ids\": " + inlineArray(generation.stopIds, [](uint32_t id) { return std::to_string(id); }) +
         ", \"do_sample\": " + boolean(generation.doSample) + ", \"temperature\": " + number(generation.temperature) +
         ", \"top_k\": " + std::to_string(generation.topK) + ", \"top_p\": " + number(generation.topP) +
         ", \"repetition_penalty\": " + number(generation.repetitionPenalty) + "}";
}

std::string writeIds(const std::map<std::string, uint32_t> &ids) {
  std::string text;
  for (const auto &[name, id] : ids)
    text += (text.empty() ? "" : ", ") + quote(name) + ": " + std::to_string(id);
  return "{" + text + "}";
}

std::string writeTalker(const TalkerInfo &talker) {
  return "{\"decoder\": " + quote(talker.decoder) + ", \"head\": " + quote(talker.head) +
         ", \"predictor_decoder\": " + quote(talker.predictorDecoder) +
         ", \"predictor_head\": " + quote(talker.predictorHead) + ", \"text\": " + quote(talker.text) +
         ", \"media\": " + quote(talker.media) + ",\n    \"tables\": " + inlineArray(talker.tables, quote) +
         ",\n    \"suppressed_first\": " + std::to_string(talker.suppressedFirst) +
         ", \"suppressed_end\": " + std::to_string(talker.suppressedEnd) +
         ", \"max_frames\": " + std::to_string(talker.maxFrames) + ",\n    \"ids\": " + writeIds(talker.ids) +
         ",\n    \"speakers\": " + writeIds(talker.speakers) +
         ",\n    \"sampling\": " + writeGeneration(talker.sampling) +
         ",\n    \"predictor_sampling\": " + writeGeneration(talker.predictorSampling) + "}";
}

std::string writeSpeech(const SpeechInfo &speech) {
  std::string text;
  auto field = [&](const char *name, uint64_t value) {
    text += std::string(", \"") + name + "\": " + std::to_string(value);
  };
  if (speech.talker)
    text += "\"talker\": " + writeTalker(*speech.talker);
  if (speech.vocoder) {
    text +=
        std::string(speech.talker ? ",\n    " : "") + "\"vocoder\": {\"decoder\": " + quote(speech.vocoder->decoder);
    field("groups", speech.vocoder->groups);
    field("codebook_size", speech.vocoder->codebookSize);
    field("frame_samples", speech.vocoder->frameSamples);
    field("lost_samples", speech.vocoder->lostSamples);
    field("sample_rate", speech.vocoder->sampleRate);
    text += "}";
  }
  return "{" + text + "}";
}

std::string writeOp(const Op &op) {
  std::string text =
      "{\"op\": \"" + std::string(opInfo(op.kind).name) + "\", \"inputs\": " + inlineArray(op.inputs, quote);
  if (!op.attrs.empty())
    text += ", \"attrs\": {";
  bool first = true;
  for (const auto &[name, value] : op.attrs) {
    text += (first ? "" : ", ") + quote(name) + ": " + attribute(value);
    first = false;
  }
  if (!op.attrs.empty())
    text += "}";
  return text + ", \"outputs\": " + inlineArray(op.outputs, quote) +
         ", \"types\": " + inlineArray(op.types, [](const ValueType &type) { return quote(toString(type)); }) + "}";
}

std::string writeFunction(const Function &function) {
  return "{\"name\": " + quote(function.name) + ",\n     \"inputs\": " +
         inlineArray(function.inputs,
                     [](const TypedName &input) {
                       return "{\"name\": " + quote(input.name) + ", \"type\": " + quote(toString(input.type)) +
                              (input.binding == Binding::None
                                   ? ""
                                   : ", \"binding\": " + quote(std::string(bindingName(input.binding)))) +
                              "}";
                     }) +
         ",\n     \"ops\": " + lineArray(function.ops, "       ", writeOp) +
         ",\n     \"outputs\": " + inlineArray(function.outputs, quote) + "}";
}

std::string writeTextInfo(const Graph &graph) {
  std::string text = "  \"tokenizer\": ";
  text += graph.tokenizer ? "{\"kind\": " + quote(graph.tokenizer->kind) +
                                ", \"files\": " + inlineArray(graph.tokenizer->files, quote) + "}"
                          : "null";
  text += ",\n  \"chat\": ";
  text += graph.chat ? "{\"format\": " + quote(graph.chat->format) +
                           ", \"thinking_switch\": " + boolean(graph.chat->thinkingSwitch) + "}"
                     : "null";
  return text + ",\n  \"generation\": " + (graph.generation ? writeGeneration(*graph.generation) : "null") + ",\n";
}

} // namespace

std::string qwenc::graph::writeGraph(const Graph &graph) {
  std::string text = "{\n  \"format\": \"qwen-graph\", \"version\": " + std::to_string(graphVersion) +
                     ", \"producer\": " + quote(graph.producer) + ",\n";
  text += "  \"model\": {\"name\": " + quote(graph.model.name) +
          ", \"architecture\": " + quote(graph.model.architecture) +
          ", \"max_positions\": " + std::to_string(graph.model.maxPositions) +
          ", \"vocab_size\": " + std::to_string(graph.model.vocabSize) + "},\n";
  text += "  \"checkpoint\": {\"path\": " + quote(graph.checkpoint.path) +
          ",\n    \"files\": " + lineArray(graph.checkpoint.files, "      ", writeFile) + "},\n";
  text += writeTextInfo(graph);
  text += "  \"symbols\": " + lineArray(graph.symbols, "    ", writeSymbol) + ",\n";
  text += "  \"weights\": " + lineArray(graph.weights, "    ", writeWeight) + ",\n";
  if (!graph.stacks.empty())
    text += "  \"weight_stacks\": " + lineArray(graph.stacks, "    ", writeStack) + ",\n";
  text += "  \"states\": " +
          lineArray(graph.states, "    ",
                    [](const State &state) {
                      return "{\"name\": " + quote(state.name) + ", \"kind\": " + quote(state.kind) +
                             ", \"shape\": " + dims(state.shape) + "}";
                    }) +
          ",\n";
  text += "  \"functions\": " + lineArray(graph.functions, "    ", writeFunction) + ",\n";
  text += "  \"generate\": ";
  text += graph.generate
              ? "{\"decoder\": " + quote(graph.generate->decoder) + ", \"head\": " + quote(graph.generate->head) + "}"
              : "null";
  if (graph.media)
    text += ",\n  \"media\": " + writeMedia(*graph.media);
  if (graph.speech)
    text += ",\n  \"speech\": " + writeSpeech(*graph.speech);
  return text + "\n}\n";
}

Status qwenc::graph::writeGraphFile(const Graph &graph, const std::string &path) {
  QWENRT_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(path));
  QWENRT_RETURN_IF_ERROR(file.write(writeGraph(graph)));
  return file.commit();
}
