//===- Code2Wav.cpp - The vocoder of Qwen3-Omni -------------------------------------------------------------------===//
//
//   codes -> mean of embeddings -> transformer over a window of frames
//         -> stages: transposed convolution, ConvNeXt block (Liu et al. 2022)
//         -> convolution -> blocks: SnakeBeta, transposed convolution, three dilated residual units
//         -> SnakeBeta -> convolution -> samples
//
// Everything is causal, so a push of frames continues where the last one ended: keys and values of the window and the
// last rows of each convolution's input are states. The published model cuts as many columns from both ends of a
// transposed convolution as its kernel is longer than its stride; uncut, the same numbers come one column later, and
// the rows at the beginning of an utterance that are cut away there stand for nothing here (`lead`). They are set to 0
// wherever they would enter a convolution, and the first samples are dropped by the caller.
//
//===------------------------------------------------------------------------------------------------------------===//
#include "models/Qwen3/Code2Wav.h"

#include "models/Graph/GraphBuilder.h"
#include "models/Qwen3/ConfigReader.h"

#include <cmath>
#include <unordered_map>

using namespace qwenc;
using namespace qwenc::graph;
using nlohmann::json;

namespace {

constexpr uint64_t kTaps = 7; // of all convolutions that are not transposed
constexpr uint64_t kDilations[] = {1, 3, 9};
constexpr uint64_t kPushFrames = 32; // frames of one push: 2.56 s, where large products are as fast as they get
constexpr uint64_t kSampleRate = 24000;
constexpr double kLayerNormEps = 1e-6;
const std::string kPrefix = "code2wav.";

//===------------------------------------------------------------------------------------------------------------===//
// Config
//===------------------------------------------------------------------------------------------------------------===//

class VocoderReader {
public:
  VocoderReader(const json &config, std::vector<std::string> &problems) : config_(config), problems_(problems) {}

  uint64_t size(const char *key, uint64_t max) {
    const json *found = member(config_, key);
    std::optional<uint64_t> number = found ? asUnsigned(*found) : std::nullopt;
    if (number && *number >= 1 && *number <= max)
      return *number;
    problem(key, found, "an integer in 1 .. " + std::to_string(max));
    return 1;
  }

  std::vector<uint64_t> rates(const char *key, size_t most) {
    const json *found = member(config_, key);
    std::vector<uint64_t> rates;
    bool ok = found && found->is_array() && found->size() >= 1 && found->size() <= most;
    for (size_t i = 0; ok && i < found->size(); ++i) {
      std::optional<uint64_t> rate = asUnsigned((*found)[i]);
      ok = rate && *rate >= 1 && *rate <= 32;
      rates.push_back(rate.value_or(1));
    }
    if (!ok) {
      problem(key, found, "1 to " + std::to_string(most) + " integers in 1 .. 32");
      return {1};
    }
    return rates;
  }

  void problem(const std::string &key, const json *found, const std::string &expected) {
    std::string shown = found ? found->dump(-1, ' ', false, json::error_handler_t::replace) : "missing";
    if (shown.size() > 80)
      shown = shown.substr(0, 80) + "...";
    problems_.push_back("config.json: code2wav_config." + key + " is " + shown + ", expected " + expected +
                        ", correct config.json");
  }
  const json *find(const char *key) const { return member(config_, key); }

private:
  const json &config_;
  std::vector<std::string> &problems_;
};

uint64_t product(const std::vector<uint64_t> &factors, size_t count) {
  uint64_t result = 1;
  for (size_t i = 0; i < count; ++i)
    result *= factors[i];
  return result;
}

} // namespace

uint64_t Code2WavConfig::frameRows(size_t blocks) const {
  return product(upsamplingRatios, upsamplingRatios.size()) * product(upsampleRates, blocks);
}

uint64_t Code2WavConfig::lead(size_t blocks) const {
  uint64_t lead = 0;
  for (size_t i = 0; i < blocks; ++i)
    lead = (lead + 1) * upsampleRates[i];
  return lead;
}

Code2WavConfig qwenc::readCode2WavConfig(const json &config, std::vector<std::string> &problems) {
  Code2WavConfig result;
  const json *inner = member(config, "code2wav_config");
  if (!inner || !inner->is_object()) {
    problems.push_back("config.json has no code2wav_config, expected the sizes of the vocoder, correct config.json or "
                       "leave component code2wav out");
    return result;
  }
  VocoderReader reader(*inner, problems);
  result.groups = reader.size("num_quantizers", 1024);
  result.codebookSize = reader.size("codebook_size", 1 << 20);
  result.hiddenSize = reader.size("hidden_size", 1 << 16);
  result.heads = reader.size("num_attention_heads", 4096);
  result.layers = reader.size("num_hidden_layers", 1024);
  result.intermediateSize = reader.size("intermediate_size", 1 << 20);
  result.window = reader.size("sliding_window", 4096);
  ConfigReader shared(*inner, problems, "code2wav_config.");
  result.rmsNormEps = shared.positive("rms_norm_eps", shared.find("rms_norm_eps"));
  result.ropeTheta = readRopeTheta(shared);
  if (const json *activation = shared.find("hidden_act"); activation && *activation != "silu")
    reader.problem("hidden_act", activation, "\"silu\", the only activation supported");
  result.upsamplingRatios = reader.rates("upsampling_ratios", 4);
  result.decoderDim = reader.size("decoder_dim", 1 << 16);
  result.upsampleRates = reader.rates("upsample_rates", 6);
  if (result.hiddenSize % (2 * result.heads) != 0)
    reader.problem("num_attention_heads", reader.find("num_attention_heads"),
                   "a number that divides hidden_size " + std::to_string(result.hiddenSize) +
                       " into heads of even size");
  // Kernels take four channels at a time.
  if (uint64_t fours = uint64_t(4) << result.upsampleRates.size(); result.decoderDim % fours != 0)
    reader.problem("decoder_dim", reader.find("decoder_dim"), "a multiple of " + std::to_string(fours));
  if (result.hiddenSize % 4 != 0)
    reader.problem("hidden_size", reader.find("hidden_size"), "a multiple of 4");
  constexpr uint64_t maxFrameSamples = 1 << 16;
  if (result.frameRows(result.upsampleRates.size()) > maxFrameSamples)
    reader.problem("upsample_rates", reader.find("upsample_rates"),
                   "rates and ratios whose product is at most " + std::to_string(maxFrameSamples));
  if (const json *key = reader.find("num_key_value_heads"); key && asUnsigned(*key) != result.heads)
    reader.problem("num_key_value_heads", key, "num_attention_heads " + std::to_string(result.heads));
  return result;
}

//===------------------------------------------------------------------------------------------------------------===//
// Tensors
//===------------------------------------------------------------------------------------------------------------===//

namespace {

class TensorList {
public:
  void add(const std::string &name, std::vector<uint64_t> shape, TensorRole role) {
    specs.push_back({kPrefix + name, std::move(shape), role});
  }
  void norm(const std::string &name, uint64_t size) { add(name, {size}, TensorRole::Norm); }
  void bias(const std::string &name, uint64_t size) { add(name, {size}, TensorRole::Bias); }
  void linear(const std::string &name, uint64_t out, uint64_t in) { add(name, {out, in}, TensorRole::Linear); }
  void conv(const std::string &name, std::vector<uint64_t> shape, uint64_t outputs) {
    add(name + ".weight", std::move(shape), TensorRole::Linear);
    bias(name + ".bias", outputs);
  }
  void snake(const std::string &name, uint64_t size) {
    bias(name + ".alpha", size);
    bias(name + ".beta", size);
  }

  std::vector<TensorSpec> specs;
};

std::string layerName(uint64_t layer) { return "pre_transformer.layers." + std::to_string(layer) + "."; }
std::string stageName(uint64_t stage) { return "upsample." + std::to_string(stage) + "."; }
/// The tensors call the first convolution decoder.0, so that blocks count from 1.
std::string blockName(uint64_t block) { return "decoder." + std::to_string(block + 1) + "."; }
std::string unitName(uint64_t block, uint64_t unit) {
  return blockName(block) + "block." + std::to_string(unit + 2) + ".";
}

void addTransformer(const Code2WavConfig &config, TensorList &list) {
  const uint64_t hidden = config.hiddenSize;
  for (uint64_t l = 0; l < config.layers; ++l) {
    const std::string prefix = layerName(l);
    list.norm(prefix + "input_layernorm.weight", hidden);
    for (const char *name : {"q_proj", "k_proj", "v_proj", "o_proj"})
      list.linear(prefix + "self_attn." + name + ".weight", hidden, hidden);
    list.norm(prefix + "self_attn_layer_scale.scale", hidden);
    list.norm(prefix + "post_attention_layernorm.weight", hidden);
    list.linear(prefix + "mlp.gate_proj.weight", config.intermediateSize, hidden);
    list.linear(prefix + "mlp.up_proj.weight", config.intermediateSize, hidden);
    list.linear(prefix + "mlp.down_proj.weight", hidden, config.intermediateSize);
    list.norm(prefix + "mlp_layer_scale.scale", hidden);
  }
  list.norm("pre_transformer.norm.weight", hidden);
}

void addStages(const Code2WavConfig &config, TensorList &list) {
  const uint64_t hidden = config.hiddenSize;
  for (size_t j = 0; j < config.upsamplingRatios.size(); ++j) {
    const std::string prefix = stageName(j);
    list.conv(prefix + "0.conv", {hidden, hidden, config.upsamplingRatios[j]}, hidden);
    list.conv(prefix + "1.dwconv.conv", {hidden, 1, kTaps}, hidden);
    list.norm(prefix + "1.norm.weight", hidden);
    list.bias(prefix + "1.norm.bias", hidden);
    list.conv(prefix + "1.pwconv1", {4 * hidden, hidden}, 4 * hidden);
    list.conv(prefix + "1.pwconv2", {hidden, 4 * hidden}, hidden);
    list.norm(prefix + "1.gamma", hidden);
  }
}

void addBlocks(const Code2WavConfig &config, TensorList &list) {
  uint64_t channels = config.decoderDim;
  list.conv("decoder.0.conv", {channels, config.hiddenSize, kTaps}, channels);
  for (size_t b = 0; b < config.upsampleRates.size(); ++b) {
    list.snake(blockName(b) + "block.0", channels);
    list.conv(blockName(b) + "block.1.conv", {channels, channels / 2, 2 * config.upsampleRates[b]}, channels / 2);
    channels /= 2;
    for (uint64_t u = 0; u < std::size(kDilations); ++u) {
      const std::string prefix = unitName(b, u);
      list.snake(prefix + "act1", channels);
      list.conv(prefix + "conv1.conv", {channels, channels, kTaps}, channels);
      list.snake(prefix + "act2", channels);
      list.conv(prefix + "conv2.conv", {channels, channels, 1}, channels);
    }
  }
  const uint64_t end = config.upsampleRates.size() + 1;
  list.snake("decoder." + std::to_string(end), channels);
  list.conv("decoder." + std::to_string(end + 1) + ".conv", {1, channels, kTaps}, 1);
}

} // namespace

std::vector<TensorSpec> qwenc::code2WavTensors(const Code2WavConfig &config) {
  TensorList list;
  list.add("code_embedding.weight", {config.groups * config.codebookSize, config.hiddenSize},
           TensorRole::UntiedEmbedding);
  addTransformer(config, list);
  addStages(config, list);
  addBlocks(config, list);
  return std::move(list.specs);
}

//===------------------------------------------------------------------------------------------------------------===//
// Function
//===------------------------------------------------------------------------------------------------------------===//

namespace {

/// Values are named as the modules whose results they are, so that stages are found by the checkpoint's names. Shapes
/// below are rows of a push of F frames by channels.
class VocoderBuilder {
public:
  VocoderBuilder(const Graph &graph, const Code2WavConfig &config) : config(config), f(graph, "code2wav.decode") {}

  Result<Function> build() {
    Value codes = f.input("codes", {DType::I32, {"F", config.groups}});
    first = f.input("first_frame", {DType::I32, {Dim(1)}});
    Value x = f.codebookMean(kPrefix + "embedding", codes, weight("code_embedding.weight")); // [F, H]
    Value positions = f.rowNumbers(kPrefix + "positions", first, "F");
    for (uint64_t l = 0; l < config.layers; ++l)
      x = layer(l, x, positions);
    x = f.rmsNorm(kPrefix + "pre_transformer", x, weight("pre_transformer.norm.weight"), config.rmsNormEps);
    for (size_t j = 0; j < config.upsamplingRatios.size(); ++j)
      x = stage(j, x);
    x = conv("decoder.0", x, "decoder.0.conv", 1);
    for (size_t b = 0; b < config.upsampleRates.size(); ++b)
      x = block(b, x);
    const size_t blocks = config.upsampleRates.size();
    const std::string end = "decoder." + std::to_string(blocks + 1), last = "decoder." + std::to_string(blocks + 2);
    x = snake(end, clear(end + ".cleared", x, blocks), end);
    x = conv(last, x, last + ".conv", 1);
    x = f.clamp(kPrefix + "waveform", x, 1.0);
    return f.finish({f.reshape("samples", x, {Dim("F", config.frameRows(blocks))})});
  }

private:
  static WeightName weight(const std::string &name) { return {kPrefix + name}; }

  Value conv(const std::string &name, const Value &x, const std::string &module, uint64_t dilation) {
    return f.causalConv1d(kPrefix + name, x, weight(module + ".weight"), weight(module + ".bias"),
                          kPrefix + module + ".history", first, dilation);
  }
  Value snake(const std::string &name, const Value &x, const std::string &module) {
    return f.snakeBeta(kPrefix + name, x, weight(module + ".alpha"), weight(module + ".beta"));
  }
  Value clear(const std::string &name, const Value &x, size_t blocks) {
    return blocks == 0 ? x : f.clearLead(kPrefix + name, x, first, config.frameRows(blocks), config.lead(blocks));
  }

  Value layer(uint64_t index, const Value &x, const Value &positions) {
    const std::string module = layerName(index), name = kPrefix + "layers." + std::to_string(index) + ".";
    const uint64_t D = config.hiddenSize / config.heads;
    auto norm = [&](const char *value, const Value &input, const char *tensor) {
      return f.rmsNorm(name + value, input, weight(module + tensor), config.rmsNormEps);
    };
    auto linear = [&](const char *value, const Value &input, const char *tensor) {
      return f.linear(name + value, input, weight(module + tensor + ".weight"));
    };
    auto heads = [&](const char *value, const Value &input) {
      return f.reshape(name + value, input, {"F", config.heads, D});
    };
    Value input = norm("input_norm", x, "input_layernorm.weight");
    Value q = heads("q_heads", linear("q_proj", input, "self_attn.q_proj"));
    Value k = heads("k_heads", linear("k_proj", input, "self_attn.k_proj"));
    Value v = heads("v_heads", linear("v_proj", input, "self_attn.v_proj"));
    Value qRope = f.rope(name + "q_rope", q, positions, config.ropeTheta);
    Value kRope = f.rope(name + "k_rope", k, positions, config.ropeTheta);
    Value context = f.windowAttention(name + "attention", qRope, kRope, v, positions, {name + "k", name + "v"},
                                      config.window, 1.0 / std::sqrt(double(D)));
    Value rows = f.reshape(name + "attention_rows", context, {"F", config.hiddenSize});
    Value output = f.scale(name + "attention_scale", linear("o_proj", rows, "self_attn.o_proj"),
                           weight(module + "self_attn_layer_scale.scale"));
    Value residual = f.add(name + "attention_residual", x, output);
    Value mlpInput = norm("post_attention_norm", residual, "post_attention_layernorm.weight");
    Value gate = f.silu(name + "silu", linear("gate_proj", mlpInput, "mlp.gate_proj"));
    Value up = linear("up_proj", mlpInput, "mlp.up_proj");
    Value down = linear("down_proj", f.mul(name + "mlp_product", gate, up), "mlp.down_proj");
    return f.add(name + "output", residual,
                 f.scale(name + "mlp_scale", down, weight(module + "mlp_layer_scale.scale")));
  }

  /// A transposed convolution as long as its stride, then a ConvNeXt block.
  Value stage(uint64_t index, const Value &x) {
    const std::string module = stageName(index), name = kPrefix + module;
    Value wide = f.convTranspose1d(name + "conv", x, weight(module + "0.conv.weight"), weight(module + "0.conv.bias"),
                                   config.upsamplingRatios[index]);
    Value mixed = conv(module + "dwconv", wide, module + "1.dwconv.conv", 1);
    Value norm = f.layerNorm(name + "norm", mixed, weight(module + "1.norm.weight"), weight(module + "1.norm.bias"),
                             kLayerNormEps);
    Value inner =
        f.linear(name + "pwconv1", norm, weight(module + "1.pwconv1.weight"), weight(module + "1.pwconv1.bias"));
    Value outer = f.linear(name + "pwconv2", f.gelu(name + "gelu", inner, /*tanh=*/false),
                           weight(module + "1.pwconv2.weight"), weight(module + "1.pwconv2.bias"));
    return f.add(name + "output", wide, f.scale(name + "gamma", outer, weight(module + "1.gamma")));
  }

  Value block(uint64_t index, const Value &x) {
    const std::string module = blockName(index);
    Value active = snake(module + "snake", clear(module + "cleared", x, index), module + "block.0");
    const std::string transposed = module + "block.1.conv";
    Value y = f.convTranspose1d(kPrefix + module + "upsampled", active, weight(transposed + ".weight"),
                                weight(transposed + ".bias"), config.upsampleRates[index],
                                kPrefix + transposed + ".history", first);
    for (uint64_t u = 0; u < std::size(kDilations); ++u)
      y = unit(index, u, y);
    return y;
  }

  /// The lead is cleared for the convolution only: what a residual carries there is cleared before its next reader.
  Value unit(uint64_t blockIndex, uint64_t index, const Value &x) {
    const std::string module = unitName(blockIndex, index), name = kPrefix + module;
    Value act1 = snake(module + "act1", clear(module + "cleared", x, blockIndex + 1), module + "act1");
    Value conv1 = conv(module + "conv1", act1, module + "conv1.conv", kDilations[index]);
    Value act2 = snake(module + "act2", conv1, module + "act2");
    Value conv2 =
        f.linear(name + "conv2", act2, weight(module + "conv2.conv.weight"), weight(module + "conv2.conv.bias"));
    return f.add(name + "output", conv2, x);
  }

  const Code2WavConfig &config;
  FunctionBuilder f;
  Value first;
};

/// A convolution's weight as a matrix: the taps of a channel side by side.
void joinTaps(const std::vector<TensorSpec> &specs, Graph &graph) {
  std::unordered_map<std::string_view, bool> isOwn;
  for (const TensorSpec &spec : specs)
    isOwn[spec.name] = spec.shape.size() == 3;
  for (Weight &weight : graph.weights)
    if (weight.shape.size() == 3 && isOwn[weight.name])
      weight.shape = {weight.shape[0], weight.shape[1] * weight.shape[2]};
}

void addSymbolsAndStates(const Code2WavConfig &config, Graph &graph) {
  graph.symbols.push_back({"F", "frames of one push", kPushFrames});
  // The window of every frame of a push is there while its own keys arrive.
  const uint64_t slots = config.window - 1 + kPushFrames;
  for (uint64_t l = 0; l < config.layers; ++l)
    for (const char *name : {"k", "v"})
      graph.states.push_back({kPrefix + "layers." + std::to_string(l) + "." + name,
                              "key_window",
                              {slots, config.heads, config.hiddenSize / config.heads}});
  auto history = [&](const std::string &module, uint64_t rows, uint64_t channels) {
    graph.states.push_back({kPrefix + module + ".history", "conv_history", {rows, channels}});
  };
  for (size_t j = 0; j < config.upsamplingRatios.size(); ++j)
    history(stageName(j) + "1.dwconv.conv", kTaps - 1, config.hiddenSize);
  history("decoder.0.conv", kTaps - 1, config.hiddenSize);
  uint64_t channels = config.decoderDim;
  for (size_t b = 0; b < config.upsampleRates.size(); ++b) {
    history(blockName(b) + "block.1.conv", 1, channels);
    channels /= 2;
    for (uint64_t u = 0; u < std::size(kDilations); ++u)
      history(unitName(b, u) + "conv1.conv", (kTaps - 1) * kDilations[u], channels);
  }
  history("decoder." + std::to_string(config.upsampleRates.size() + 2) + ".conv", kTaps - 1, channels);
}

} // namespace

Status qwenc::exportCode2Wav(const Checkpoint &checkpoint, Graph &graph) {
  constexpr std::string_view others[] = {"thinker.", "talker."};
  std::vector<std::string> problems;
  Code2WavConfig config = readCode2WavConfig(checkpoint.config, problems);
  std::vector<TensorSpec> specs;
  // Shapes that follow from wrong numbers would only bury the cause.
  if (problems.empty()) {
    specs = code2WavTensors(config);
    checkTensors(checkpoint, specs, others, problems);
  }
  QWENRT_RETURN_IF_ERROR(reportProblems("the vocoder", problems));
  addWeights(checkpoint, specs, graph);
  joinTaps(specs, graph);
  addSymbolsAndStates(config, graph);
  QWENRT_ASSIGN_OR_RETURN(Function function, VocoderBuilder(graph, config).build());
  graph.functions.push_back(std::move(function));
  const size_t blocks = config.upsampleRates.size();
  if (!graph.speech)
    graph.speech.emplace();
  graph.speech->vocoder = VocoderInfo{"code2wav.decode",        config.groups,       config.codebookSize,
                                      config.frameRows(blocks), config.lead(blocks), kSampleRate};
  return Status::ok();
}
