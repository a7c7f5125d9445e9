//===- SyntheticCheckpoint.cpp - Checkpoints of any shape without a download ------------------------------------===//
#include "tools/qwen-synth/SyntheticCheckpoint.h"

#include "models/Checkpoint/File.h"
#include "models/Checkpoint/SafetensorsWriter.h"
#include "models/Qwen3/AudioEncoder.h"
#include "models/Qwen3/Code2Wav.h"
#include "models/Qwen3/Exporter.h"
#include "models/Qwen3/Talker.h"
#include "models/Qwen3/VisionEncoder.h"
#include "tools/qwen-synth/SyntheticWeights.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <mutex>
#include <thread>

using namespace qwenc;
using nlohmann::json;

namespace {

/// Qwen3-0.6B as published: tied, with the copy of the embedding in the file.
json qwen3Config0_6B() {
  return {{"architectures", {"Qwen3ForCausalLM"}},
          {"attention_bias", false},
          {"attention_dropout", 0.0},
          {"bos_token_id", 151643},
          {"eos_token_id", 151645},
          {"head_dim", 128},
          {"hidden_act", "silu"},
          {"hidden_size", 1024},
          {"initializer_range", 0.02},
          {"intermediate_size", 3072},
          {"max_position_embeddings", 40960},
          {"max_window_layers", 28},
          {"model_type", "qwen3"},
          {"num_attention_heads", 16},
          {"num_hidden_layers", 28},
          {"num_key_value_heads", 8},
          {"rms_norm_eps", 1e-6},
          {"rope_scaling", nullptr},
          {"rope_theta", 1000000},
          {"sliding_window", nullptr},
          {"tie_word_embeddings", true},
          {"torch_dtype", "bfloat16"},
          {"transformers_version", "4.51.0"},
          {"use_cache", true},
          {"use_sliding_window", false},
          {"vocab_size", 151936}};
}

/// The text decoder of Qwen3-Omni-30B-A3B as published, without the other components.
json omniThinkerConfig() {
  json text = {
      {"attention_bias", false},
      {"decoder_sparse_step", 1},
      {"head_dim", 128},
      {"hidden_act", "silu"},
      {"hidden_size", 2048},
      {"intermediate_size", 768},
      {"max_position_embeddings", 65536},
      {"mlp_only_layers", json::array()},
      {"model_type", "qwen3_omni_moe_text"},
      {"moe_intermediate_size", 768},
      {"norm_topk_prob", true},
      {"num_attention_heads", 32},
      {"num_experts", 128},
      {"num_experts_per_tok", 8},
      {"num_hidden_layers", 48},
      {"num_key_value_heads", 4},
      {"rms_norm_eps", 1e-6},
      {"rope_scaling",
       {{"interleaved", true}, {"mrope_section", {24, 20, 20}}, {"rope_type", "default"}, {"type", "default"}}},
      {"rope_theta", 1000000},
      {"tie_word_embeddings", false},
      {"use_sliding_window", false},
      {"vocab_size", 152064}};
  return {{"architectures", {"Qwen3OmniMoeForConditionalGeneration"}},
          {"model_type", "qwen3_omni_moe"},
          {"im_end_token_id", 151645},
          {"enable_audio_output", false},
          {"thinker_config", {{"model_type", "qwen3_omni_moe_thinker"}, {"text_config", std::move(text)}}}};
}

/// The encoder of sound of Qwen3-Omni-30B-A3B as published, without the other components.
json omniAudioConfig() {
  json audio = {{"activation_function", "gelu"},
                {"d_model", 1280},
                {"downsample_hidden_size", 480},
                {"encoder_attention_heads", 20},
                {"encoder_ffn_dim", 5120},
                {"encoder_layers", 32},
                {"max_source_positions", 1500},
                {"model_type", "qwen3_omni_moe_audio_encoder"},
                {"n_window", 50},
                {"n_window_infer", 800},
                {"num_mel_bins", 128},
                {"output_dim", 2048},
                {"scale_embedding", false}};
  return {{"architectures", {"Qwen3OmniMoeForConditionalGeneration"}},
          {"model_type", "qwen3_omni_moe"},
          {"enable_audio_output", false},
          {"thinker_config", {{"model_type", "qwen3_omni_moe_thinker"}, {"audio_config", std::move(audio)}}}};
}

/// The encoder of images and videos of Qwen3-Omni-30B-A3B as published, without the other components.
json omniVisionConfig() {
  json vision = {{"deepstack_visual_indexes", {8, 16, 24}},
                 {"depth", 27},
                 {"hidden_act", "gelu_pytorch_tanh"},
                 {"hidden_size", 1152},
                 {"in_channels", 3},
                 {"intermediate_size", 4304},
                 {"model_type", "qwen3_omni_moe_vision_encoder"},
                 {"num_heads", 16},
                 {"num_position_embeddings", 2304},
                 {"out_hidden_size", 2048},
                 {"patch_size", 16},
                 {"spatial_merge_size", 2},
                 {"temporal_patch_size", 2}};
  return {{"architectures", {"Qwen3OmniMoeForConditionalGeneration"}},
          {"model_type", "qwen3_omni_moe"},
          {"enable_audio_output", false},
          {"thinker_config", {{"model_type", "qwen3_omni_moe_thinker"}, {"vision_config", std::move(vision)}}}};
}

/// The vocoder of Qwen3-Omni-30B-A3B as published, without the other components.
json omniCode2WavConfig() {
  json vocoder = {{"model_type", "qwen3_omni_moe_code2wav"},
                  {"attention_bias", false},
                  {"codebook_size", 2048},
                  {"decoder_dim", 1536},
                  {"hidden_act", "silu"},
                  {"hidden_size", 1024},
                  {"intermediate_size", 3072},
                  {"layer_scale_initial_scale", 0.01},
                  {"max_position_embeddings", 8000},
                  {"num_attention_heads", 16},
                  {"num_hidden_layers", 8},
                  {"num_key_value_heads", 16},
                  {"num_quantizers", 16},
                  {"rms_norm_eps", 1e-5},
                  {"rope_theta", 10000},
                  {"sliding_window", 72},
                  {"upsample_rates", {8, 5, 4, 3}},
                  {"upsampling_ratios", {2, 2}}};
  return {{"architectures", {"Qwen3OmniMoeForConditionalGeneration"}},
          {"model_type", "qwen3_omni_moe"},
          {"enable_audio_output", true},
          {"code2wav_config", std::move(vocoder)}};
}

/// The text decoder with the talker and the code predictor of Qwen3-Omni-30B-A3B as published.
json omniSpeechConfig() {
  json config = omniThinkerConfig();
  json text = config["thinker_config"]["text_config"];
  json talkerText = text;
  talkerText.update({{"hidden_size", 1024},
                     {"intermediate_size", 2048},
                     {"model_type", "qwen3_omni_moe_talker_text"},
                     {"moe_intermediate_size", 384},
                     {"num_attention_heads", 16},
                     {"num_experts_per_tok", 6},
                     {"num_hidden_layers", 20},
                     {"num_key_value_heads", 2},
                     {"shared_expert_intermediate_size", 768},
                     {"vocab_size", 3072}});
  json predictor = {{"attention_bias", false},
                    {"head_dim", 128},
                    {"hidden_act", "silu"},
                    {"hidden_size", 1024},
                    {"intermediate_size", 3072},
                    {"max_position_embeddings", 32768},
                    {"model_type", "qwen3_omni_moe_talker_code_predictor"},
                    {"num_attention_heads", 16},
                    {"num_code_groups", 16},
                    {"num_hidden_layers", 5},
                    {"num_key_value_heads", 8},
                    {"rms_norm_eps", 1e-6},
                    {"rope_scaling", nullptr},
                    {"rope_theta", 1000000},
                    {"tie_word_embeddings", false},
                    {"use_sliding_window", false},
                    {"vocab_size", 2048}};
  config["talker_config"] = {{"accept_hidden_layer", 24},
                             {"audio_token_id", 151675},
                             {"code_predictor_config", std::move(predictor)},
                             {"codec_bos_id", 2149},
                             {"codec_eos_token_id", 2150},
                             {"codec_nothink_id", 2155},
                             {"codec_pad_id", 2148},
                             {"codec_think_bos_id", 2156},
                             {"codec_think_eos_id", 2157},
                             {"image_token_id", 151655},
                             {"num_code_groups", 16},
                             {"speaker_id", {{"aiden", 2303}, {"chelsie", 2301}, {"ethan", 2302}}},
                             {"text_config", std::move(talkerText)},
                             {"thinker_hidden_size", 2048},
                             {"video_token_id", 151656}};
  config.update({{"assistant_token_id", 77091},
                 {"enable_audio_output", true},
                 {"im_start_token_id", 151644},
                 {"tts_bos_token_id", 151672},
                 {"tts_eos_token_id", 151673},
                 {"tts_pad_token_id", 151671},
                 {"user_token_id", 872}});
  return config;
}

/// The tensors of all components that \p config describes and this program knows, the text decoder's first.
std::vector<TensorSpec> tensorsOf(const json &config, std::vector<std::string> &problems) {
  const json *thinker = member(config, "thinker_config");
  bool hasAudio = thinker && member(*thinker, "audio_config");
  bool hasVision = thinker && member(*thinker, "vision_config");
  bool hasVocoder = member(config, "code2wav_config") != nullptr;
  bool hasText = !(hasAudio || hasVision || hasVocoder) || (thinker && member(*thinker, "text_config"));
  DecoderConfig text = hasText ? readTextConfig(config, problems) : DecoderConfig();
  AudioConfig audio = hasAudio ? readAudioConfig(config, problems) : AudioConfig();
  VisionConfig vision = hasVision ? readVisionConfig(config, nullptr, problems) : VisionConfig();
  Code2WavConfig vocoder = hasVocoder ? readCode2WavConfig(config, problems) : Code2WavConfig();
  std::vector<TensorSpec> talker;
  if (member(config, "talker_config"))
    talker = talkerTensors(config, problems);
  if (!problems.empty())
    return {};
  std::vector<TensorSpec> specs;
  if (hasText)
    specs = decoderTensors(text);
  if (hasAudio)
    std::ranges::move(audioTensors(audio), std::back_inserter(specs));
  if (hasVision)
    std::ranges::move(visionTensors(vision), std::back_inserter(specs));
  if (hasVocoder)
    std::ranges::move(code2WavTensors(vocoder), std::back_inserter(specs));
  std::ranges::move(talker, std::back_inserter(specs));
  return specs;
}

/// A tensor, where its data goes, and what fills it.
struct Placement {
  TensorSpec source; ///< of a redundant head the embedding, so that both are equal
  uint64_t offsetBytes = 0, sizeBytes = 0;
};

struct Shard {
  std::string name;
  std::vector<TensorDescription> tensors;
  std::vector<Placement> placements;
  uint64_t dataBytes = 0;
};

/// Tensors in the order of their names, as the reference library writes them, cut into shards.
std::vector<Shard> planShards(std::vector<TensorSpec> specs, const SynthesisOptions &options) {
  const TensorSpec embedding = specs.front();
  std::sort(specs.begin(), specs.end(), [](const TensorSpec &a, const TensorSpec &b) { return a.name < b.name; });
  std::vector<Shard> shards(1);
  for (TensorSpec &spec : specs) {
    bool isCopy = !spec.used;
    if (isCopy && !options.redundantHead)
      continue;
    TensorDescription tensor{spec.name, StoredDType::BF16, spec.shape};
    uint64_t sizeBytes = tensor.sizeBytes();
    if (options.maxShardBytes && shards.back().dataBytes && shards.back().dataBytes + sizeBytes > options.maxShardBytes)
      shards.emplace_back();
    Shard &shard = shards.back();
    shard.placements.push_back({isCopy ? embedding : spec, shard.dataBytes, sizeBytes});
    shard.tensors.push_back(std::move(tensor));
    shard.dataBytes += sizeBytes;
  }
  for (size_t i = 0; i < shards.size(); ++i) {
    char name[64] = "model.safetensors";
    if (options.maxShardBytes)
      std::snprintf(name, sizeof(name), "model-%05zu-of-%05zu.safetensors", i + 1, shards.size());
    shards[i].name = name;
  }
  return shards;
}

/// Work for one thread at a time: a piece of one tensor.
struct Piece {
  const Placement *placement;
  uint64_t firstElement, elementCount;
};

Status fillData(AtomicFile &file, uint64_t dataStart, const Shard &shard, const SynthesisOptions &options) {
  constexpr uint64_t pieceElements = uint64_t(1) << 20;
  std::vector<Piece> pieces;
  for (const Placement &placement : shard.placements)
    for (uint64_t first = 0; first < placement.sizeBytes / 2; first += pieceElements)
      pieces.push_back({&placement, first, std::min(pieceElements, placement.sizeBytes / 2 - first)});

  std::atomic<size_t> next{0};
  std::mutex mutex;
  Status status;
  auto work = [&] {
    std::vector<uint16_t> values(pieceElements);
    for (size_t i = next++; i < pieces.size(); i = next++) {
      const Piece &piece = pieces[i];
      std::span<uint16_t> part(values.data(), piece.elementCount);
      SyntheticTensor(piece.placement->source, options.seed).fill(piece.firstElement, part);
      Status written = file.writeAt(dataStart + piece.placement->offsetBytes + piece.firstElement * 2,
                                    {reinterpret_cast<const char *>(part.data()), part.size_bytes()});
      if (written)
        continue;
      std::lock_guard lock(mutex);
      status = std::move(written);
      next = pieces.size();
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 1; i < options.threads; ++i)
    threads.emplace_back(work);
  work();
  for (std::thread &thread : threads)
    thread.join();
  return status;
}

Status writeShard(const std::string &folder, const Shard &shard, const SynthesisOptions &options) {
  QWENRT_ASSIGN_OR_RETURN(std::string header, encodeSafetensorsHeader(shard.tensors, {{"format", "pt"}}));
  QWENRT_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create((std::filesystem::path(folder) / shard.name).string()));
  QWENRT_RETURN_IF_ERROR(file.write(header));
  QWENRT_RETURN_IF_ERROR(file.resize(header.size() + shard.dataBytes));
  if (!options.sparse)
    QWENRT_RETURN_IF_ERROR(fillData(file, header.size(), shard, options));
  return file.commit();
}

Status writeJson(const std::string &folder, const char *name, const json &document) {
  QWENRT_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create((std::filesystem::path(folder) / name).string()));
  QWENRT_RETURN_IF_ERROR(file.write(document.dump(2, ' ', false, json::error_handler_t::replace) + "\n"));
  return file.commit();
}

json indexOf(const std::vector<Shard> &shards) {
  json map = json::object();
  uint64_t totalBytes = 0;
  for (const Shard &shard : shards) {
    totalBytes += shard.dataBytes;
    for (const TensorDescription &tensor : shard.tensors)
      map[tensor.name] = shard.name;
  }
  return {{"metadata", {{"total_size", totalBytes}}}, {"weight_map", std::move(map)}};
}

/// Greedy, with the stop ids of the config.
json generationConfig(const json &config) {
  json generation = {{"do_sample", false}, {"transformers_version", "4.51.0"}};
  for (const char *key : {"bos_token_id", "eos_token_id"})
    if (const json *id = member(config, key))
      generation[key] = *id;
  return generation;
}

Status checkArchitecture(const json &config) {
  const json *type = member(config, "model_type");
  const std::string *name = type ? asString(*type) : nullptr;
  for (const Architecture &architecture : architectures())
    if (name && *name == architecture.modelType)
      return Status::ok();
  return Status(StatusCode::Unsupported,
                "model_type " + (name ? inQuotes(*name) : std::string("missing")) +
                    ", expected 'qwen3', 'qwen3_moe' or 'qwen3_omni_moe', give the config.json "
                    "of such a model");
}

} // namespace

Result<SynthesisOptions> qwenc::presetOptions(std::string_view name) {
  SynthesisOptions options;
  if (name == "qwen3-0.6b") {
    options.config = qwen3Config0_6B();
    options.redundantHead = true;
    return options;
  }
  if (name == "qwen3-omni-thinker") {
    options.config = omniThinkerConfig();
    options.maxShardBytes = uint64_t(5) << 30;
    return options;
  }
  if (name == "qwen3-omni-audio") {
    options.config = omniAudioConfig();
    return options;
  }
  if (name == "qwen3-omni-vision") {
    options.config = omniVisionConfig();
    return options;
  }
  if (name == "qwen3-omni-code2wav") {
    options.config = omniCode2WavConfig();
    return options;
  }
  if (name == "qwen3-omni-speech") {
    options.config = omniSpeechConfig();
    options.maxShardBytes = uint64_t(5) << 30;
    return options;
  }
  return Status(StatusCode::InvalidUsage,
                "preset " + inQuotes(name) + ", expected one of [" + presetNames() + "], correct --preset");
}

std::string qwenc::presetNames() {
  return "qwen3-0.6b qwen3-omni-thinker qwen3-omni-audio qwen3-omni-vision qwen3-omni-speech qwen3-omni-code2wav";
}

void qwenc::setLayerCount(json &config, uint64_t layers) {
  json *text = &config;
  if (auto talker = config.find("talker_config"); talker != config.end() && talker->is_object()) {
    (*talker)["text_config"]["num_hidden_layers"] = layers;
    // A hidden state between the thinker's layers, where there are two.
    (*talker)["accept_hidden_layer"] = std::max<uint64_t>(layers / 2, 1);
  }
  auto thinker = config.find("thinker_config");
  if (thinker != config.end() && thinker->is_object()) {
    auto component = [&](const char *name) -> json * {
      auto found = thinker->find(name);
      return found != thinker->end() && found->is_object() ? &*found : nullptr;
    };
    if (json *audio = component("audio_config"))
      (*audio)["encoder_layers"] = layers;
    if (json *vision = component("vision_config")) {
      (*vision)["depth"] = layers;
      if (vision->contains("deepstack_visual_indexes")) // of the blocks that are left, the last
        (*vision)["deepstack_visual_indexes"] = {layers - 1};
    }
    text = component("text_config");
    if (!text)
      return;
  }
  (*text)["num_hidden_layers"] = layers;
  text->erase("layer_types"); // has one element per layer where it exists
}

Status qwenc::writeSyntheticCheckpoint(const std::string &folder, const SynthesisOptions &options) {
  QWENRT_RETURN_IF_ERROR(checkArchitecture(options.config));
  std::vector<std::string> problems;
  std::vector<TensorSpec> specs = tensorsOf(options.config, problems);
  QWENRT_RETURN_IF_ERROR(reportProblems("the configuration", problems));

  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error)
    return Status(StatusCode::Io, "cannot make folder '" + folder + "' (" + error.message() +
                                      "), expected a writable place, choose another output folder");
  // A checkpoint of the other form, left from an earlier run, would be found first or lie about.
  for (const char *name : {"model.safetensors", "model.safetensors.index.json"})
    std::filesystem::remove(std::filesystem::path(folder) / name, error);
  std::vector<Shard> shards = planShards(std::move(specs), options);
  for (const Shard &shard : shards)
    QWENRT_RETURN_IF_ERROR(writeShard(folder, shard, options));
  if (options.maxShardBytes)
    QWENRT_RETURN_IF_ERROR(writeJson(folder, "model.safetensors.index.json", indexOf(shards)));
  QWENRT_RETURN_IF_ERROR(writeJson(folder, "generation_config.json", generationConfig(options.config)));
  return writeJson(folder, "config.json", options.config);
}
