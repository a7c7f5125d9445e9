//===- VisionEncoder.cpp - The thinker's encoder of images and videos ---------------------------------------------===//
//
// A vision transformer over patches (Dosovitskiy et al. 2021) of any grid: the table of positions is resampled to the
// grid, queries and keys turn with row and column, and patches attend within their frame. Neighbouring patches then
// become one token. Rows leave behind some blocks too, for the decoder's first layers (DeepStack, Meng et al. 2024).
//
//   x = W patch + b + sum_j cell_weights[j] P[cells[j]]
//   for each block:  x = x + Attention(LN(x));  x = x + fc2(GELU(fc1(LN(x))))
//   rows = MLP(join(LN(x)));  deepstack.i = MLP_i(LN(join(x))), x behind block deepstack[i]
//
// Symbol in shapes: V tokens of merge_size^2 patches each.
//
//===------------------------------------------------------------------------------------------------------------===//
#include "models/Qwen3/VisionEncoder.h"

#include "models/Graph/GraphBuilder.h"
#include "models/Qwen3/ConfigReader.h"

#include <algorithm>
#include <cmath>

using namespace qwenc;
using namespace qwenc::graph;
using nlohmann::json;

namespace {

const std::string kPrefix = "thinker.visual.";

/// Fixed by the architecture.
constexpr double kNormEps = 1e-6, kRopeTheta = 10000;
constexpr uint64_t kColours = 3;
/// Published with the model, for checkpoints without preprocessor_config.json.
constexpr uint64_t kMinPixels = 3136, kMaxPixels = 12845056;

/// The other components of Qwen3-Omni.
constexpr std::string_view kOtherComponents[] = {"thinker.model.", "thinker.lm_head.", "thinker.audio_tower.",
                                                 "talker.", "code2wav."};

/// Behind which blocks rows leave.
void readDeepstack(ConfigReader &reader, VisionConfig &config) {
  const json *indexes = reader.find("deepstack_visual_indexes");
  if (!indexes)
    return;
  bool ok = indexes->is_array() && indexes->size() <= config.blocks;
  for (size_t i = 0; ok && i < indexes->size(); ++i) {
    std::optional<uint64_t> block = asUnsigned((*indexes)[i]);
    ok = block && *block < config.blocks && (config.deepstack.empty() || *block > config.deepstack.back());
    config.deepstack.push_back(block.value_or(0));
  }
  if (!ok)
    reader.problem("deepstack_visual_indexes", indexes, "an ascending list of block numbers below depth");
}

/// Features of the configuration class that the published model leaves off.
void refuseUnsupported(ConfigReader &reader) {
  const json *activation = reader.find("hidden_act");
  const std::string *name = activation ? asString(*activation) : nullptr;
  if (activation && (!name || *name != "gelu_pytorch_tanh"))
    reader.problem("hidden_act", activation, "\"gelu_pytorch_tanh\", the only activation supported");
}

uint64_t squareRoot(uint64_t number) {
  auto root = static_cast<uint64_t>(std::llround(std::sqrt(double(number))));
  return root * root == number ? root : 0;
}

/// Newer files have the bounds in "size", under names that mean the sides of other models.
void readPixelBounds(const json &preprocessor, std::vector<std::string> &problems, VisionConfig &config) {
  auto bound = [&](const char *key, const char *sizeKey, uint64_t otherwise) {
    const json *size = member(preprocessor, "size");
    const json *found = member(preprocessor, key);
    if ((!found || found->is_null()) && size)
      found = member(*size, sizeKey);
    if (!found || found->is_null())
      return otherwise;
    std::optional<uint64_t> number = asUnsigned(*found);
    if (number && *number >= 1 && *number <= maxDimSize)
      return *number;
    problems.push_back(std::string("preprocessor_config.json: ") + key + " is no integer in 1 .. 2^31, expected a " +
                       "number of pixels, correct preprocessor_config.json");
    return otherwise;
  };
  config.minPixels = bound("min_pixels", "shortest_edge", kMinPixels);
  config.maxPixels = bound("max_pixels", "longest_edge", kMaxPixels);
  if (config.minPixels > config.maxPixels)
    problems.push_back("preprocessor_config.json: min_pixels is " + std::to_string(config.minPixels) +
                       ", expected at most max_pixels " + std::to_string(config.maxPixels) +
                       ", correct preprocessor_config.json");
}

/// What both files say has to agree, and pixels have to be mapped to -1 .. 1.
void checkPreprocessor(const json &preprocessor, std::vector<std::string> &problems, const VisionConfig &config) {
  auto expect = [&](const char *key, uint64_t expected) {
    const json *found = member(preprocessor, key);
    if (found && !found->is_null() && asUnsigned(*found) != expected)
      problems.push_back(std::string("preprocessor_config.json: ") + key + " is not " + std::to_string(expected) +
                         ", expected the number of config.json's vision_config, correct one of them");
  };
  expect("patch_size", config.patchSize);
  expect("temporal_patch_size", config.temporalPatchSize);
  expect("merge_size", config.mergeSize);
  for (const char *key : {"image_mean", "image_std"})
    if (const json *found = member(preprocessor, key); found && *found != json({0.5, 0.5, 0.5}))
      problems.push_back(std::string("preprocessor_config.json: ") + key + " is not [0.5, 0.5, 0.5], expected that, " +
                         "the only normalisation supported, correct preprocessor_config.json");
}

} // namespace

std::string VisionConfig::blockPrefix(uint64_t block) { return kPrefix + "blocks." + std::to_string(block) + "."; }

VisionConfig qwenc::readVisionConfig(const json &source, const json *preprocessor, std::vector<std::string> &problems) {
  const json *thinker = member(source, "thinker_config");
  const json *vision = thinker ? member(*thinker, "vision_config") : nullptr;
  if (!vision || !vision->is_object()) {
    ConfigReader(source, problems)
        .problem("thinker_config.vision_config", vision, "an object with the encoder's sizes");
    return {};
  }
  // The bounds are far above the published model and keep every product of sizes within 64 bits.
  ConfigReader reader(*vision, problems, "thinker_config.vision_config.");
  VisionConfig config;
  config.blocks = reader.size("depth", 1024);
  config.width = reader.size("hidden_size", 1 << 16);
  config.heads = reader.size("num_heads", 4096);
  config.intermediateSize = reader.size("intermediate_size", 1 << 22);
  config.outputWidth = reader.size("out_hidden_size", 1 << 20);
  config.patchSize = reader.size("patch_size", 256);
  config.temporalPatchSize = reader.size("temporal_patch_size", 16);
  config.channels = reader.size("in_channels", 16, kColours);
  config.mergeSize = reader.size("spatial_merge_size", 16);
  uint64_t cells = reader.size("num_position_embeddings", 1 << 24);
  config.positionSide = squareRoot(cells);
  if (cells && !config.positionSide)
    reader.problem("num_position_embeddings", reader.find("num_position_embeddings"), "a square number");
  if (config.channels && config.channels != kColours)
    reader.problem("in_channels", reader.find("in_channels"), "3, the colours of a pixel");
  if (config.heads && config.width % (4 * config.heads) != 0)
    reader.problem("num_heads", reader.find("num_heads"),
                   "a divisor of hidden_size " + std::to_string(config.width) +
                       " that leaves heads of a multiple of 4");
  readDeepstack(reader, config);
  refuseUnsupported(reader);
  const json *text = member(*thinker, "text_config");
  const json *hidden = text ? member(*text, "hidden_size") : nullptr;
  if (hidden && config.outputWidth && asUnsigned(*hidden) != config.outputWidth)
    reader.problem("out_hidden_size", reader.find("out_hidden_size"), "the text_config.hidden_size " + hidden->dump());
  const json none = json::object();
  readPixelBounds(preprocessor ? *preprocessor : none, problems, config);
  checkPreprocessor(preprocessor ? *preprocessor : none, problems, config);
  return config;
}

std::vector<TensorSpec> qwenc::visionTensors(const VisionConfig &config) {
  std::vector<TensorSpec> specs;
  auto add = [&](const std::string &module, std::vector<uint64_t> shape, TensorRole role) {
    uint64_t rows = shape[0];
    specs.push_back({kPrefix + module + ".weight", std::move(shape), role});
    specs.push_back({kPrefix + module + ".bias", {rows}, TensorRole::Bias});
  };
  using enum TensorRole;
  const uint64_t width = config.width, joined = width * config.patchesPerToken();
  add("patch_embed.proj", {width, config.channels, config.temporalPatchSize, config.patchSize, config.patchSize},
      Linear);
  specs.push_back({kPrefix + "pos_embed.weight", {config.positionSide * config.positionSide, width}, UntiedEmbedding});
  for (uint64_t b = 0; b < config.blocks; ++b) {
    std::string block = "blocks." + std::to_string(b) + ".";
    add(block + "norm1", {width}, Norm);
    add(block + "attn.qkv", {3 * width, width}, Linear);
    add(block + "attn.proj", {width, width}, Linear);
    add(block + "norm2", {width}, Norm);
    add(block + "mlp.linear_fc1", {config.intermediateSize, width}, Linear);
    add(block + "mlp.linear_fc2", {width, config.intermediateSize}, Linear);
  }
  auto addMerger = [&](const std::string &merger, uint64_t normWidth) {
    add(merger + ".ln_q", {normWidth}, Norm);
    add(merger + ".mlp.0", {joined, joined}, Linear);
    add(merger + ".mlp.2", {config.outputWidth, joined}, Linear);
  };
  addMerger("merger", width);
  for (size_t i = 0; i < config.deepstack.size(); ++i)
    addMerger("merger_list." + std::to_string(i), joined);
  return specs;
}

namespace {

/// The tensors as the graph uses them, parts of the same bytes: the filters of the patches, which do not overlap, are
/// the rows of a matrix, and q, k and v are three linears.
std::vector<TensorSpec> splitTensors(const VisionConfig &config, Checkpoint &checkpoint) {
  std::vector<TensorSpec> specs = visionTensors(config), result;
  auto replace = [&](const TensorSpec &whole, const std::string &name, std::vector<uint64_t> shape, uint64_t part) {
    CheckpointTensor tensor = checkpoint.tensors.at(whole.name);
    uint64_t elements = 1;
    for (uint64_t dim : shape)
      elements *= dim;
    tensor.stored.shape = shape;
    tensor.stored.sizeBytes = elements * 2;
    tensor.stored.offsetBytes += part * tensor.stored.sizeBytes;
    checkpoint.tensors.insert_or_assign(name, std::move(tensor));
    result.push_back({name, std::move(shape), whole.role});
  };
  for (const TensorSpec &spec : specs) {
    size_t merged = spec.name.find("attn.qkv.");
    if (merged != std::string::npos) {
      std::vector<uint64_t> shape = spec.shape;
      shape[0] = config.width;
      for (uint64_t part = 0; part < 3; ++part)
        replace(spec, std::string(spec.name).replace(merged, 8, std::string("attn.") + "qkv"[part]), shape, part);
    } else if (spec.shape.size() > 2) {
      replace(spec, spec.name, {config.width, config.patchValues()}, 0);
    } else {
      result.push_back(spec);
    }
  }
  return result;
}

/// Inputs by the names that the runtime knows them by.
struct Inputs {
  Value patches, cells, cellWeights, places, segments;
};

/// Builds the function; values of block 3 are called "vision.blocks.3.".
class VisionBuilder {
public:
  VisionBuilder(const Graph &graph, const VisionConfig &config)
      : f(graph, "vision.encoder"), config(config), patches("V", config.patchesPerToken()) {}

  Result<Function> build() {
    addInputs();
    std::vector<Value> outputs(1);
    Value x = embedPatches();
    for (uint64_t b = 0; b < config.blocks; ++b) {
      x = block(b, x);
      const size_t i = outputs.size() - 1;
      if (i < config.deepstack.size() && config.deepstack[i] == b)
        outputs.push_back(deepstackRows(i, x));
    }
    outputs[0] = mainRows(x);
    return f.finish(outputs);
  }

private:
  void addInputs() {
    in.patches = f.input("patches", {DType::F32, {patches, config.patchValues()}});
    in.cells = f.input("cells", {DType::I32, {patches, 4}});
    in.cellWeights = f.input("cell_weights", {DType::F32, {patches, 4}});
    in.places = f.input("places", {DType::I32, {patches, 2}});
    in.segments = f.input("segments", {DType::I32, {patches, 2}});
  }

  Value linear(const std::string &name, const Value &x, const std::string &module) {
    return f.linear(name, x, {module + ".weight"}, WeightName{module + ".bias"});
  }
  Value norm(const std::string &name, const Value &x, const std::string &module) {
    return f.layerNorm(name, x, {module + ".weight"}, {module + ".bias"}, kNormEps);
  }

  Value embedPatches() {
    Value corners = f.embedding("vision.cells", in.cells, {kPrefix + "pos_embed.weight"}); // [V*4, 4, width]
    Value positions = f.weightedSum("vision.positions", corners, in.cellWeights);          // [V*4, width]
    Value x = linear("vision.patch_embed", in.patches, kPrefix + "patch_embed.proj");
    return f.add("vision.embeddings", x, positions);
  }

  Value block(uint64_t b, const Value &x) {
    const std::string name = "vision.blocks." + std::to_string(b) + ".", weights = VisionConfig::blockPrefix(b);
    Value attention = attend(name, weights + "attn.", norm(name + "attention_norm", x, weights + "norm1"));
    Value y = f.add(name + "attention_residual", x, linear(name + "proj", attention, weights + "attn.proj"));
    Value mlpInput = norm(name + "mlp_norm", y, weights + "norm2");
    Value activated =
        f.gelu(name + "gelu", linear(name + "fc1", mlpInput, weights + "mlp.linear_fc1"), /*tanh=*/true); // [V*4, I]
    return f.add(name + "output", y, linear(name + "fc2", activated, weights + "mlp.linear_fc2"));
  }

  Value attend(const std::string &name, const std::string &weights, const Value &x) {
    const uint64_t headDim = config.width / config.heads;
    auto project = [&](const std::string &which) {
      return f.reshape(name + which + "_heads", linear(name + which, x, weights + which),
                       {patches, config.heads, headDim});
    };
    Value query = project("q"), keys = project("k"), values = project("v"); // [V*4, heads, D]
    query = f.axialRope(name + "q_turned", query, in.places, kRopeTheta);
    keys = f.axialRope(name + "k_turned", keys, in.places, kRopeTheta);
    Value context =
        f.segmentAttention(name + "attention", query, keys, values, in.segments, 1.0 / std::sqrt(double(headDim)));
    return f.reshape(name + "attention_rows", context, {patches, config.width});
  }

  /// The patches of a token as one row.
  Value join(const std::string &name, const Value &x) {
    return f.reshape(name, x, {"V", config.width * config.patchesPerToken()});
  }
  Value mergerMlp(const std::string &result, const std::string &name, const std::string &weights, const Value &x) {
    Value activated = f.gelu(name + "gelu", linear(name + "fc1", x, weights + "mlp.0"), /*tanh=*/false);
    return linear(result, activated, weights + "mlp.2");
  }
  Value mainRows(const Value &x) {
    const std::string name = "vision.merger.", weights = kPrefix + "merger.";
    Value rows = join(name + "rows", norm(name + "norm", x, weights + "ln_q"));
    return mergerMlp("rows", name, weights, rows);
  }
  Value deepstackRows(size_t i, const Value &x) {
    const std::string name = "vision.mergers." + std::to_string(i) + ".";
    const std::string weights = kPrefix + "merger_list." + std::to_string(i) + ".";
    Value rows = norm(name + "norm", join(name + "rows", x), weights + "ln_q");
    return mergerMlp("deepstack." + std::to_string(i), name, weights, rows);
  }

  FunctionBuilder f;
  const VisionConfig &config;
  Dim patches;
  Inputs in;
};

void describe(const VisionConfig &config, Graph &graph) {
  const uint64_t side = config.patchSize * config.mergeSize;
  const double perPixel = 1.0 / double(side * side);
  auto mostTokens = static_cast<uint64_t>(std::ceil(double(config.maxPixels) * perPixel));
  graph.symbols.push_back({"V", "tokens of images and frames", mostTokens, SymbolLimit::ImagePixels, perPixel});
  if (!graph.media)
    graph.media.emplace();
  graph.media->vision =
      VisionInfo{"vision.encoder",    config.patchSize,        config.temporalPatchSize, config.mergeSize,
                 config.positionSide, config.deepstack.size(), config.minPixels,         config.maxPixels};
}

} // namespace

Status qwenc::exportVisionEncoder(const Checkpoint &source, Graph &graph) {
  std::vector<std::string> problems;
  const json *preprocessor = source.preprocessorConfig ? &*source.preprocessorConfig : nullptr;
  VisionConfig config = readVisionConfig(source.config, preprocessor, problems);
  // Shapes that follow from wrong numbers would only bury the cause.
  if (problems.empty())
    checkTensors(source, visionTensors(config), kOtherComponents, problems);
  QWENRT_RETURN_IF_ERROR(reportProblems("the vision encoder of the checkpoint", problems));
  Checkpoint checkpoint = source;
  std::vector<TensorSpec> used = splitTensors(config, checkpoint);
  addWeights(checkpoint, used, graph);
  describe(config, graph);
  QWENRT_ASSIGN_OR_RETURN(Function encoder, VisionBuilder(graph, config).build());
  graph.functions.push_back(std::move(encoder));
  return Status::ok();
}
