//===- AudioEncoder.cpp - The thinker's encoder of sound ----------------------------------------------------------===//
//
// Three convolutions halve mel bins and frames of chunks, a projection makes rows of what is left, sinusoids say where
// in its chunk a row stands, and pre-norm transformer layers attend within windows of chunks.
//
//   x = conv_out(conv3(conv2(conv1(mel)))) + P          conv: 3 x 3, stride 2, behind each GELU
//   for each layer:  x = x + Attention(LN(x));  x = x + fc2(GELU(fc1(LN(x))))
//   rows = proj2(GELU(proj1(LN(x))))
//
// Symbols in shapes: A0 mel frames, A1 and A2 columns behind the first two convolutions, A tokens.
//
//===------------------------------------------------------------------------------------------------------------===//
#include "models/Qwen3/AudioEncoder.h"

#include "models/Graph/GraphBuilder.h"
#include "models/Qwen3/ConfigReader.h"

#include <cmath>

using namespace qwenc;
using namespace qwenc::graph;
using nlohmann::json;

namespace {

const std::string kPrefix = "thinker.audio_tower.";

/// Fixed by the architecture.
constexpr double kNormEps = 1e-5, kSinusoidTheta = 10000;
constexpr double kFramesPerSecond = 100;
/// An hour of sound; a plan is compiled for far less (--max-audio-seconds).
constexpr uint64_t kMaxFrames = 360000;

/// The other components of Qwen3-Omni.
constexpr std::string_view kOtherComponents[] = {"thinker.model.", "thinker.lm_head.", "thinker.visual.", "talker.",
                                                 "code2wav."};

uint64_t halved(uint64_t extent, unsigned times) {
  for (unsigned i = 0; i < times && extent > 0; ++i)
    extent = (extent - 1) / 2 + 1;
  return extent;
}

/// Windows are whole chunks. The rest of the window size is dropped, as in transformers.
void readWindows(ConfigReader &reader, AudioConfig &config) {
  uint64_t halfChunk = reader.size("n_window", 1 << 16);
  config.chunkFrames = 2 * halfChunk;
  uint64_t windowFrames = reader.size("n_window_infer", 1 << 20);
  config.windowChunks = config.chunkFrames ? windowFrames / config.chunkFrames : 0;
  if (windowFrames && halfChunk && config.windowChunks == 0)
    reader.problem("n_window_infer", reader.find("n_window_infer"),
                   "at least 2 n_window = " + std::to_string(config.chunkFrames));
}

/// Features of the configuration class that the published model leaves off.
void refuseUnsupported(ConfigReader &reader) {
  const json *activation = reader.find("activation_function");
  const std::string *name = activation ? asString(*activation) : nullptr;
  if (activation && (!name || *name != "gelu"))
    reader.problem("activation_function", activation, "\"gelu\", the only activation supported");
  if (reader.flag("scale_embedding"))
    reader.problem("scale_embedding", reader.find("scale_embedding"), "false, the only form supported");
}

} // namespace

std::string AudioConfig::layerPrefix(uint64_t layer) { return kPrefix + "layers." + std::to_string(layer) + "."; }

uint64_t AudioConfig::binsBehind(unsigned convolutions) const { return halved(melBins, convolutions); }

uint64_t AudioConfig::columnsBehind(unsigned convolutions) const { return halved(chunkFrames, convolutions); }

AudioConfig qwenc::readAudioConfig(const json &source, std::vector<std::string> &problems) {
  const json *thinker = member(source, "thinker_config");
  const json *audio = thinker ? member(*thinker, "audio_config") : nullptr;
  if (!audio || !audio->is_object()) {
    ConfigReader(source, problems).problem("thinker_config.audio_config", audio, "an object with the encoder's sizes");
    return {};
  }
  // The bounds are far above the published model and keep every product of sizes within 64 bits.
  ConfigReader reader(*audio, problems, "thinker_config.audio_config.");
  AudioConfig config;
  config.melBins = reader.size("num_mel_bins", 4096);
  config.channels = reader.size("downsample_hidden_size", 1 << 16);
  config.width = reader.size("d_model", 1 << 20);
  config.layers = reader.size("encoder_layers", 1024);
  config.heads = reader.size("encoder_attention_heads", 4096);
  config.intermediateSize = reader.size("encoder_ffn_dim", 1 << 22);
  config.outputWidth = reader.size("output_dim", 1 << 20);
  readWindows(reader, config);
  refuseUnsupported(reader);
  if (config.heads && config.width % config.heads != 0)
    reader.problem("encoder_attention_heads", reader.find("encoder_attention_heads"),
                   "a divisor of d_model " + std::to_string(config.width));
  if (config.width && (config.width % 2 != 0 || config.width < 4))
    reader.problem("d_model", reader.find("d_model"), "an even number of at least 4, half sines and half cosines");
  const json *text = member(*thinker, "text_config");
  const json *hidden = text ? member(*text, "hidden_size") : nullptr;
  if (hidden && config.outputWidth && asUnsigned(*hidden) != config.outputWidth)
    reader.problem("output_dim", reader.find("output_dim"), "the text_config.hidden_size " + hidden->dump());
  return config;
}

std::vector<TensorSpec> qwenc::audioTensors(const AudioConfig &config) {
  std::vector<TensorSpec> specs;
  auto add = [&](const std::string &module, std::vector<uint64_t> shape, TensorRole role, bool hasBias = true) {
    uint64_t rows = shape[0];
    specs.push_back({kPrefix + module + ".weight", std::move(shape), role});
    if (hasBias)
      specs.push_back({kPrefix + module + ".bias", {rows}, TensorRole::Bias});
  };
  const uint64_t width = config.width, channels = config.channels;
  add("conv2d1", {channels, 1, 3, 3}, TensorRole::Linear);
  add("conv2d2", {channels, channels, 3, 3}, TensorRole::Linear);
  add("conv2d3", {channels, channels, 3, 3}, TensorRole::Linear);
  add("conv_out", {width, channels * config.binsBehind(3)}, TensorRole::Linear, /*hasBias=*/false);
  for (uint64_t l = 0; l < config.layers; ++l) {
    std::string layer = "layers." + std::to_string(l) + ".";
    add(layer + "self_attn_layer_norm", {width}, TensorRole::Norm);
    for (const char *module : {"q_proj", "k_proj", "v_proj", "out_proj"})
      add(layer + "self_attn." + module, {width, width}, TensorRole::Linear);
    add(layer + "final_layer_norm", {width}, TensorRole::Norm);
    add(layer + "fc1", {config.intermediateSize, width}, TensorRole::Linear);
    add(layer + "fc2", {width, config.intermediateSize}, TensorRole::Linear);
  }
  add("ln_post", {width}, TensorRole::Norm);
  add("proj1", {width, width}, TensorRole::Linear);
  add("proj2", {config.outputWidth, width}, TensorRole::Linear);
  return specs;
}

namespace {

/// Values of one prefix, with the weights of the modules whose names follow the tower's or the layer's.
class Scope {
public:
  Scope(FunctionBuilder &f, std::string values, std::string weights)
      : f_(f), values_(std::move(values)), weights_(std::move(weights)) {}

  std::string operator()(const char *value) const { return values_ + value; }
  Value linear(const char *name, const Value &x, const std::string &module) const {
    return f_.linear(values_ + name, x, weight(module), bias(module));
  }
  Value norm(const char *name, const Value &x, const std::string &module) const {
    return f_.layerNorm(values_ + name, x, weight(module), bias(module), kNormEps);
  }
  Value convolution(const char *name, const Value &x, const Value &taps, const std::string &module) const {
    Value sum = f_.tapConv(values_ + name, x, taps, weight(module), bias(module));
    return f_.gelu(values_ + name + "_gelu", sum, /*tanh=*/false);
  }
  WeightName weight(const std::string &module) const { return {weights_ + module + ".weight"}; }
  WeightName bias(const std::string &module) const { return {weights_ + module + ".bias"}; }

private:
  FunctionBuilder &f_;
  std::string values_, weights_;
};

/// Inputs by the names that the runtime knows them by.
struct Inputs {
  Value features, taps[3], times, segments;
};

Inputs addInputs(FunctionBuilder &f, const AudioConfig &config) {
  auto table = [&](const char *name, const char *symbol, uint64_t columns) {
    return f.input(name, {DType::I32, {symbol, columns}});
  };
  return {f.input("features", {DType::F32, {"A0", config.melBins}}),
          {table("taps_1", "A1", 3), table("taps_2", "A2", 3), table("taps_3", "A", 3)},
          f.input("times", {DType::I32, {"A"}}),
          table("segments", "A", 2)};
}

/// Rows of tokens from mel frames.
Value stem(FunctionBuilder &f, const AudioConfig &config, const Scope &tower, const Inputs &in) {
  const uint64_t bins = config.binsBehind(3), channels = config.channels;
  Value x = f.reshape("audio.mel", in.features, {"A0", config.melBins, 1});
  x = tower.convolution("conv1", x, in.taps[0], "conv2d1");                          // [A1, bins, channels]
  x = tower.convolution("conv2", x, in.taps[1], "conv2d2");                          // [A2, bins, channels]
  x = tower.convolution("conv3", x, in.taps[2], "conv2d3");                          // [A, bins, channels]
  x = f.swapAxes("audio.conv3_channels", x);                                         // [A, channels, bins]
  x = f.reshape("audio.conv3_rows", x, {"A", channels * bins});                      // [A, channels * bins]
  Value rows = f.linear("audio.conv_out", x, tower.weight("conv_out"));              // [A, width]
  Value places = f.sinusoid("audio.places", in.times, config.width, kSinusoidTheta); // [A, width]
  return f.add("audio.placed_rows", rows, places);
}

Value encoderLayer(FunctionBuilder &f, const AudioConfig &config, uint64_t l, const Value &x, const Value &segments) {
  const uint64_t heads = config.heads, headDim = config.width / config.heads;
  Scope layer(f, "audio.layers." + std::to_string(l) + ".", AudioConfig::layerPrefix(l));
  Value attentionInput = layer.norm("attention_norm", x, "self_attn_layer_norm");
  auto project = [&](const char *name, const char *headsName, const char *module) {
    return f.reshape(layer(headsName), layer.linear(name, attentionInput, module), {"A", heads, headDim});
  };
  Value q = project("q_proj", "q_heads", "self_attn.q_proj"); // [A, heads, D]
  Value k = project("k_proj", "k_heads", "self_attn.k_proj");
  Value v = project("v_proj", "v_heads", "self_attn.v_proj");
  Value context = f.segmentAttention(layer("attention"), q, k, v, segments, 1.0 / std::sqrt(double(headDim)));
  Value rows = f.reshape(layer("attention_rows"), context, {"A", config.width});
  Value y = f.add(layer("attention_residual"), x, layer.linear("out_proj", rows, "self_attn.out_proj"));
  Value mlpInput = layer.norm("mlp_norm", y, "final_layer_norm");
  Value activated = f.gelu(layer("gelu"), layer.linear("fc1", mlpInput, "fc1"), /*tanh=*/false); // [A, I]
  return f.add(layer("output"), y, layer.linear("fc2", activated, "fc2"));
}

Result<Function> buildEncoder(const Graph &graph, const AudioConfig &config) {
  FunctionBuilder f(graph, "audio.encoder");
  Inputs in = addInputs(f, config);
  Scope tower(f, "audio.", kPrefix);
  Value x = stem(f, config, tower, in);
  for (uint64_t l = 0; l < config.layers; ++l)
    x = encoderLayer(f, config, l, x, in.segments);
  x = tower.norm("norm", x, "ln_post");
  x = f.gelu(tower("proj1_gelu"), tower.linear("proj1", x, "proj1"), /*tanh=*/false);
  // The runtime knows the result by this name.
  return f.finish({f.linear("rows", x, tower.weight("proj2"), tower.bias("proj2"))});
}

/// Runs are whole windows, so a second has so many of each as its chunks have.
void addSymbols(const AudioConfig &config, Graph &graph) {
  auto add = [&](const char *name, const char *meaning, uint64_t perChunk) {
    double perSecond = kFramesPerSecond * double(perChunk) / double(config.chunkFrames);
    graph.symbols.push_back({name, meaning, kMaxFrames, SymbolLimit::AudioSeconds, perSecond});
  };
  add("A0", "mel frames in one run", config.chunkFrames);
  add("A1", "columns behind the first convolution", config.columnsBehind(1));
  add("A2", "columns behind the second convolution", config.columnsBehind(2));
  add("A", "tokens of sound", config.columnsBehind(3));
}

} // namespace

Status qwenc::exportAudioEncoder(const Checkpoint &checkpoint, Graph &graph) {
  std::vector<std::string> problems;
  AudioConfig config = readAudioConfig(checkpoint.config, problems);
  // Shapes that follow from wrong numbers would only bury the cause.
  if (problems.empty())
    checkTensors(checkpoint, audioTensors(config), kOtherComponents, problems);
  QWENRT_RETURN_IF_ERROR(reportProblems("the audio encoder of the checkpoint", problems));
  addWeights(checkpoint, audioTensors(config), graph);
  addSymbols(config, graph);
  QWENRT_ASSIGN_OR_RETURN(Function encoder, buildEncoder(graph, config));
  graph.functions.push_back(std::move(encoder));
  if (!graph.media)
    graph.media.emplace();
  graph.media->audio = AudioInfo{"audio.encoder", config.melBins, config.chunkFrames, config.windowChunks};
  return Status::ok();
}
