//===- PlanExportTest.cpp - Plan operations to a plan file and back -----------------------------------------------===//
//
// A hand-written module goes through planning and Export; the file is read back field by field, verified by the runtime
// and printed by qwen-plan-dump.
//
//===------------------------------------------------------------------------------------------------------------===//
#include "compiler/Export/Export.h"
#include "compiler/Planning/Passes.h"
#include "dialects/plan/PlanOps.h"
#include "qwenrt/Plan.h"
#include "runtime/schema/PlanFile.h"
#include "tools/qwen-plan-dump/PlanPrinter.h"

#include "mlir/Dialect/SPIRV/IR/SPIRVDialect.h"
#include "mlir/Dialect/SPIRV/IR/SPIRVOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

using namespace qwenc;
using namespace qwenrt;
namespace fs = std::filesystem;

namespace {

const std::string kSource = QWENC_SOURCE_DIR;

std::string readText(const fs::path &path) {
  std::ifstream stream(path, std::ios::binary);
  std::stringstream text;
  text << stream.rdbuf();
  return text.str();
}

std::string twoSteps() { return readText(kSource + "/test/PlanExport/Inputs/two-steps.mlir"); }

/// What an exporter would say about models/tiny-qwen3-chat, as far as a plan wants to know it.
graph::Graph tinyGraph() {
  graph::Graph graph;
  graph.model = {"tiny", "Qwen3ForCausalLM", 512, 1088};
  graph.checkpoint.path = "tiny-qwen3-chat";
  graph.checkpoint.files = {{"model.safetensors", 4855264, 7264, 0x0123456789abcdef}};
  graph.tokenizer = graph::TokenizerInfo{"qwen2-bpe", {"tokenizer.json", "tokenizer_config.json"}};
  graph.chat = graph::ChatInfo{"chatml", true};
  graph.generation = graph::GenerationInfo{{1064, 1062}, true, 0.5, 20, 0.75, 1.25};
  return graph;
}

ExportOptions tinyOptions() {
  return {.targetName = "lavapipe",
          .producer = "qwenc test",
          .graphFolder = kSource + "/models",
          .maxContext = 16,
          .kvFormat = KvFormat::F16,
          .mediaLimits = {}};
}

class PlanExport : public testing::Test {
protected:
  PlanExport() {
    context.loadDialect<mlir::plan::PlanDialect, mlir::spirv::SPIRVDialect>();
    parse(twoSteps());
  }

  void parse(const std::string &text) {
    module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    ASSERT_TRUE(module);
  }

  /// The phase "plan" of the compiler, for a target with 8 invocations per subgroup.
  void planModule() {
    mlir::PassManager passes(&context);
    passes.addPass(createPlaceStorage());
    passes.addPass(createAssignOffsets());
    passes.addPass(createInsertBarriers());
    passes.addPass(createEstimateCosts());
    VerifyPlanOptions limits;
    limits.subgroupSize = 8;
    limits.features = {"bfloat16", "shader_float16"};
    passes.addPass(createVerifyPlan(limits));
    ASSERT_TRUE(mlir::succeeded(passes.run(*module)));
  }

  Result<std::vector<std::byte>> build() { return buildPlanFile(*module, graph, options); }

  /// Plans, builds and verifies; the plan lives as long as the fixture.
  const fb::Plan &exported() {
    planModule();
    Result<std::vector<std::byte>> file = build();
    EXPECT_TRUE(file.isOk()) << file.status().message();
    Result<std::shared_ptr<const Plan>> opened = Plan::fromBytes(*file, ".");
    EXPECT_TRUE(opened.isOk()) << opened.status().message();
    plan = *opened;
    return plan->root();
  }

  void expectRefused(const std::string &message) {
    Result<std::vector<std::byte>> file = build();
    ASSERT_FALSE(file.isOk()) << "expected: " << message;
    EXPECT_NE(file.status().message().find(message), std::string::npos)
        << "message: " << file.status().message() << "\nexpected: " << message;
  }

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  graph::Graph graph = tinyGraph();
  ExportOptions options = tinyOptions();
  std::shared_ptr<const Plan> plan;
};

std::string replaced(std::string text, const std::string &what, const std::string &with) {
  size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return at == std::string::npos ? text : text.replace(at, what.size(), with);
}

//===------------------------------------------------------------------------------------------------------------===//
// Field by field
//===------------------------------------------------------------------------------------------------------------===//

TEST_F(PlanExport, ModelAndTarget) {
  const fb::Plan &root = exported();
  EXPECT_EQ(root.version(), 1u);
  EXPECT_EQ(root.producer()->str(), "qwenc test");
  EXPECT_EQ(root.model_name()->str(), "tiny");
  EXPECT_EQ(root.architecture()->str(), "Qwen3ForCausalLM");
  EXPECT_EQ(root.target()->str(), "lavapipe");
  EXPECT_EQ(root.vocab_size(), 1088u);
  EXPECT_EQ(root.max_context(), 16u);
  EXPECT_EQ(root.checkpoint_path()->str(), "tiny-qwen3-chat");
  EXPECT_EQ(root.graph_folder()->str(), kSource + "/models");
  EXPECT_EQ(root.kv_dtype(), fb::DType::F16);
}

TEST_F(PlanExport, WeightFilesAndBindings) {
  const fb::Plan &root = exported();
  ASSERT_EQ(root.weight_files()->size(), 1u);
  const fb::WeightFile &file = *root.weight_files()->Get(0);
  EXPECT_EQ(file.name()->str(), "model.safetensors");
  EXPECT_EQ(file.size_bytes(), 4855264u);
  EXPECT_EQ(file.header_bytes(), 7264u);
  EXPECT_EQ(file.header_hash(), 0x0123456789abcdefu);

  ASSERT_EQ(root.weights()->size(), 3u);
  const fb::WeightBinding &embedding = *root.weights()->Get(0);
  EXPECT_EQ(embedding.name()->str(), "model.embed_tokens.weight");
  EXPECT_EQ(embedding.layer(), -1);
  const fb::WeightBinding &up = *root.weights()->Get(2);
  EXPECT_EQ(up.name()->str(), "model.layers.0.up");
  EXPECT_EQ(up.file(), 0u);
  EXPECT_EQ(up.file_offset(), 10440u);
  EXPECT_EQ(up.rows(), 4u);
  EXPECT_EQ(up.row_bytes(), 24u);
  EXPECT_EQ(up.pitch_bytes(), 32u);
  EXPECT_EQ(root.buffers()->Get(up.buffer())->name()->str(), "weights0");
  EXPECT_EQ(up.buffer_offset(), 3072u + 128u); // the embedding, then gate, then up directly behind it
  EXPECT_EQ(up.layer(), 0);
}

TEST_F(PlanExport, BuffersAndCells) {
  const fb::Plan &root = exported();
  std::string buffers;
  for (const fb::Buffer *buffer : *root.buffers())
    buffers += buffer->name()->str() + " " + fb::EnumNameBufferPurpose(buffer->purpose()) + " " +
               std::to_string(buffer->size_bytes()) + "\n";
  EXPECT_EQ(buffers, "weights0 Weights 3328\n" // 3072 + 2 x 128
                     "cache0 Cache 4096\n"
                     "state0 State 132\n"
                     "output0 Output 1536\n"
                     "mailbox0 Mailbox 4096\n"
                     "arena Arena 1536\n");
  ASSERT_EQ(root.cells()->size(), 6u);
  const fb::Cell *tokens = plan->findCell(fb::CellKind::Tokens);
  ASSERT_TRUE(tokens);
  EXPECT_EQ(tokens->buffer(), 2u);
  EXPECT_EQ(tokens->offset(), 64u);
  EXPECT_EQ(tokens->count(), 17u);
  EXPECT_EQ(plan->findCell(fb::CellKind::Sampled)->buffer(), 4u);
}

TEST_F(PlanExport, Kernels) {
  const fb::Plan &root = exported();
  ASSERT_EQ(root.kernels()->size(), 2u);
  const fb::Kernel &kernel = *root.kernels()->Get(1);
  EXPECT_EQ(kernel.name()->str(), "f32_gate_up");
  EXPECT_EQ(kernel.spirv()->Get(0), 0x07230203u);
  EXPECT_EQ(kernel.workgroup()->x(), 8u);
  EXPECT_EQ(kernel.workgroup()->y(), 4u);
  EXPECT_EQ(kernel.workgroup()->z(), 1u);
  EXPECT_EQ(kernel.subgroup_size(), 0u);
  EXPECT_EQ(root.kernels()->Get(0)->subgroup_size(), 8u);
  EXPECT_EQ(kernel.shared_bytes(), 128u);
  EXPECT_EQ(static_cast<uint32_t>(kernel.features()),
            static_cast<uint32_t>(fb::Feature::BFloat16) | static_cast<uint32_t>(fb::Feature::ShaderFloat16));
  ASSERT_EQ(kernel.operands()->size(), 4u);
  EXPECT_EQ(kernel.operands()->Get(2)->name()->str(), "cache");
  EXPECT_EQ(kernel.operands()->Get(2)->access(), fb::Access::ReadWrite);
  EXPECT_EQ(kernel.operands()->Get(3)->access(), fb::Access::Write);
  EXPECT_EQ(kernel.operands()->Get(3)->min_bytes(), 384u);
}

TEST_F(PlanExport, EntriesTensorsAndSymbols) {
  const fb::Plan &root = exported();
  ASSERT_EQ(root.entries()->size(), 3u);
  const fb::Entry &prefill = *root.entries()->Get(0);
  EXPECT_EQ(prefill.name()->str(), "prefill");
  EXPECT_EQ(prefill.role(), fb::Role::Prefill);
  EXPECT_EQ(prefill.rows(), 4u);
  ASSERT_EQ(prefill.symbols()->size(), 1u);
  EXPECT_EQ(prefill.symbols()->Get(0)->symbol()->str(), "S");
  EXPECT_EQ(prefill.symbols()->Get(0)->cell(), fb::CellKind::Rows);
  EXPECT_EQ(prefill.symbols()->Get(0)->max(), 4u);
  ASSERT_EQ(prefill.inputs()->size(), 1u);
  EXPECT_EQ(prefill.inputs()->Get(0)->name()->str(), "input_ids");
  EXPECT_EQ(prefill.inputs()->Get(0)->dtype(), fb::DType::I32);
  EXPECT_EQ(prefill.inputs()->Get(0)->offset(), 64u);
  ASSERT_EQ(prefill.outputs()->size(), 1u);
  const fb::EntryTensor &hidden = *prefill.outputs()->Get(0);
  EXPECT_EQ(hidden.buffer(), 3u);
  EXPECT_EQ(hidden.size_bytes(), 4u * 96u * 4u);
  ASSERT_EQ(hidden.dims()->size(), 2u);
  EXPECT_EQ(hidden.dims()->Get(0)->symbol()->str(), "S");
  EXPECT_EQ(hidden.dims()->Get(1)->symbol(), nullptr);
  EXPECT_EQ(hidden.dims()->Get(1)->size(), 96u);
}

TEST_F(PlanExport, Dispatches) {
  const fb::Plan &root = exported();
  const auto &dispatches = *root.entries()->Get(2)->dispatches();
  ASSERT_EQ(dispatches.size(), 3u);
  EXPECT_FALSE(dispatches.Get(0)->barrier_before());
  EXPECT_TRUE(dispatches.Get(1)->barrier_before());
  EXPECT_TRUE(dispatches.Get(2)->barrier_before());
  const fb::Dispatch &last = *dispatches.Get(2);
  EXPECT_EQ(last.kernel(), 1u);
  EXPECT_EQ(last.label()->str(), "model.layers.0");
  EXPECT_EQ(last.read_bytes(), 4352u);
  EXPECT_EQ(last.cost_ns(), 5435u); // 5000 + 4352 / 10, rounded
  ASSERT_EQ(last.operands()->size(), 4u);
  const fb::Operand &gateUp = *last.operands()->Get(1);
  EXPECT_EQ(gateUp.buffer(), 0u);
  EXPECT_EQ(gateUp.offset(), 3072u);
  EXPECT_EQ(gateUp.size_bytes(), 256u);
  EXPECT_EQ(last.operands()->Get(3)->buffer(), 5u); // z in the arena, where x was
  EXPECT_EQ(last.operands()->Get(3)->offset(), 0u);
  EXPECT_EQ(root.entries()->Get(0)->dispatches()->Get(1)->groups()->y(), 2u);
}

TEST_F(PlanExport, TokenizerChatAndGeneration) {
  const fb::Plan &root = exported();
  ASSERT_TRUE(root.tokenizer());
  EXPECT_EQ(root.tokenizer()->byte_ids()->size(), 256u);
  EXPECT_GT(root.tokenizer()->piece_offsets()->size(), 257u);
  EXPECT_EQ(root.tokenizer()->merges()->size() % 3, 0u);
  EXPECT_GT(root.tokenizer()->merges()->size(), 0u);
  EXPECT_GT(root.tokenizer()->added()->size(), 0u);
  ASSERT_TRUE(root.chat());
  EXPECT_TRUE(root.chat()->thinking_switch());
  ASSERT_TRUE(root.generation());
  EXPECT_EQ(root.generation()->stop_ids()->Get(0), 1064u);
  EXPECT_TRUE(root.generation()->do_sample());
  EXPECT_EQ(root.generation()->temperature(), 0.5f);
  EXPECT_EQ(root.generation()->top_k(), 20u);
  EXPECT_EQ(root.generation()->top_p(), 0.75f);
  EXPECT_EQ(root.generation()->repetition_penalty(), 1.25f);
}

TEST_F(PlanExport, GraphsWithoutTextHaveNoTextTables) {
  graph.tokenizer.reset();
  graph.chat.reset();
  graph.generation.reset();
  const fb::Plan &root = exported();
  EXPECT_FALSE(root.tokenizer());
  EXPECT_FALSE(root.chat());
  EXPECT_FALSE(root.generation());
}

/// Gives \p graph an encoder of sound, one of images and the decoder that takes their rows, as far as Export reads
/// them.
void addMedia(graph::Graph &graph) {
  graph.symbols = {{"F", "frames", 800}, {"V", "tokens", 63}, {"M", "media tokens", 12}};
  graph.functions.resize(3);
  graph.functions[0] = {"ears", {{"features", {graph::DType::F32, {"F", 8}}}}, {}, {}};
  graph.functions[1] = {"eyes", {{"patches", {graph::DType::F32, {{"V", 4}, 12}}}}, {}, {}};
  graph.functions[2] = {"decoder", {{"media", {graph::DType::F32, {"M", 96}}}}, {}, {}};
  graph.generate = graph::GenerateInfo{"decoder", "head"};
  graph.media.emplace();
  graph.media->audio = graph::AudioInfo{"ears", 8, 100, 6};
  graph.media->vision = graph::VisionInfo{"eyes", 2, 1, 2, 5, 3, 16, 16384};
}

// The runtime would ask for entries that two steps do not have, so the bytes are read as they are.
TEST_F(PlanExport, Media) {
  addMedia(graph);
  options.mediaLimits = {.audioSeconds = 7, .imagePixels = 1000, .videoFrames = 9};
  planModule();
  std::vector<std::byte> file = build().value();
  const fb::Media *media = fb::GetPlan(file.data())->media();
  ASSERT_TRUE(media);
  EXPECT_EQ(media->max_rows(), 12u);
  const fb::AudioEncoder &audio = *media->audio();
  EXPECT_EQ(audio.entry()->str(), "ears");
  EXPECT_EQ(audio.mel_bins(), 8u);
  EXPECT_EQ(audio.chunk_frames(), 100u);
  EXPECT_EQ(audio.window_chunks(), 6u);
  EXPECT_EQ(audio.max_frames(), 800u);
  EXPECT_EQ(audio.limit_seconds(), 7u);
  const fb::VisionEncoder &vision = *media->vision();
  EXPECT_EQ(vision.entry()->str(), "eyes");
  EXPECT_EQ(vision.patch_size(), 2u);
  EXPECT_EQ(vision.temporal_patch_size(), 1u);
  EXPECT_EQ(vision.merge_size(), 2u);
  EXPECT_EQ(vision.position_side(), 5u);
  EXPECT_EQ(vision.deepstack(), 3u);
  EXPECT_EQ(vision.min_pixels(), 16u);
  EXPECT_EQ(vision.max_pixels(), 16384u);
  EXPECT_EQ(vision.max_patches(), 252u);
  EXPECT_EQ(vision.limit_image_pixels(), 1000u);
  EXPECT_EQ(vision.limit_video_frames(), 9u);
}

TEST_F(PlanExport, MediaRowsStandInTheContext) {
  addMedia(graph);
  graph.symbols[2].max = 1000;
  graph.media->vision.reset();
  planModule();
  std::vector<std::byte> file = build().value();
  const fb::Media *media = fb::GetPlan(file.data())->media();
  ASSERT_TRUE(media);
  EXPECT_EQ(media->max_rows(), 16u);
  EXPECT_TRUE(media->audio());
  EXPECT_FALSE(media->vision());
}

TEST_F(PlanExport, EncodersAloneHaveNoMediaTable) {
  addMedia(graph);
  graph.generate.reset();
  EXPECT_FALSE(exported().media());
}

//===------------------------------------------------------------------------------------------------------------===//
// The file
//===------------------------------------------------------------------------------------------------------------===//

TEST_F(PlanExport, SameInputSameBytes) {
  planModule();
  std::vector<std::byte> first = build().value();
  EXPECT_EQ(first, build().value());
  // Another context has its attributes at other addresses.
  mlir::MLIRContext other;
  other.loadDialect<mlir::plan::PlanDialect, mlir::spirv::SPIRVDialect>();
  std::string text;
  llvm::raw_string_ostream(text) << *module;
  auto again = mlir::parseSourceString<mlir::ModuleOp>(text, &other);
  ASSERT_TRUE(again);
  EXPECT_EQ(first, buildPlanFile(*again, graph, options).value());
}

TEST_F(PlanExport, TrailerBelongsToTheFlatbuffer) {
  planModule();
  std::vector<std::byte> file = build().value();
  auto trailer = planfile::trailerOf(std::span(file).first(file.size() - planfile::kTrailerBytes));
  EXPECT_TRUE(std::equal(trailer.begin(), trailer.end(), file.end() - planfile::kTrailerBytes));
  EXPECT_TRUE(verifyPlan(file).isOk());
  file[40] ^= std::byte{1};
  EXPECT_FALSE(verifyPlan(file).isOk());
}

TEST_F(PlanExport, WritesTheFile) {
  planModule();
  fs::path path = fs::path(testing::TempDir()) / "plan_export_test.fb";
  ASSERT_TRUE(exportPlan(*module, graph, options, path.string()).isOk());
  EXPECT_TRUE(Plan::open(path.string()).isOk());
  std::vector<std::byte> bytes = build().value();
  EXPECT_EQ(readText(path), std::string(reinterpret_cast<const char *>(bytes.data()), bytes.size()));
}

TEST_F(PlanExport, LeavesNoFileBehindAnError) {
  fs::path path = fs::path(testing::TempDir()) / "plan_export_refused.fb";
  fs::remove(path);
  EXPECT_FALSE(exportPlan(*module, graph, options, path.string()).isOk()); // not planned
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(PlanExport, FolderThatIsNotThere) {
  planModule();
  Status status = exportPlan(*module, graph, options, "/no/such/folder/plan.fb");
  ASSERT_FALSE(status.isOk());
  EXPECT_NE(status.message().find("/no/such/folder/plan.fb"), std::string::npos) << status.message();
}

//===------------------------------------------------------------------------------------------------------------===//
// What is refused
//===------------------------------------------------------------------------------------------------------------===//

TEST_F(PlanExport, RefusesAModuleWithoutPlaces) {
  expectRefused("@model.embed_tokens.weight has no place; run plan-place-storage first");
}

TEST_F(PlanExport, RefusesAKernelWithoutModule) {
  parse("plan.kernel @k workgroup [8, 1, 1] subgroup 0 shared 0 features [] operands (y write 16) {\n}");
  expectRefused("@k holds 0 spirv.module operations, expected one and nothing else; emit one per kernel");
}

TEST_F(PlanExport, RefusesAnEntryPointOfAnotherName) {
  parse(R"(plan.kernel @k workgroup [8, 1, 1] subgroup 0 shared 0 features [] operands (y write 16) {
    spirv.module PhysicalStorageBuffer64 Vulkan requires #spirv.vce<v1.5, [Shader], []> {
      spirv.func @other() "None" { spirv.Return }
      spirv.EntryPoint "GLCompute" @other
    }
  })");
  expectRefused("@k has 1 entry points, expected one of the kernel's name; rename the function");
}

TEST_F(PlanExport, RefusesAModuleThatDoesNotSerialize) {
  parse(R"(plan.kernel @k workgroup [8, 1, 1] subgroup 0 shared 0 features [] operands (y write 16) {
    spirv.module PhysicalStorageBuffer64 Vulkan {
      spirv.func @k() "None" { spirv.Return }
      spirv.EntryPoint "GLCompute" @k
    }
  })");
  Result<std::vector<std::byte>> file = build();
  ASSERT_FALSE(file.isOk());
  EXPECT_NE(file.status().message().find("vce_triple"), std::string::npos) << file.status().message();
}

TEST_F(PlanExport, RefusesAGraphOfAnotherModule) {
  planModule();
  graph.checkpoint.files.clear();
  expectRefused(
      "@model.embed_tokens.weight lies in file 0, the graph has 0 files; export the module with its own graph");
  graph.checkpoint.files = {{"model.safetensors", 10000, 7264, 0}};
  expectRefused("@model.embed_tokens.weight lies at 7272 to 10344 of file 0, whose data lies at 7272 to 10000;");
  graph.checkpoint.files = {{"model.safetensors", 4855264, 7272, 0}};
  expectRefused("whose data lies at 7280 to 4855264; export the module with its own graph");
}

TEST_F(PlanExport, RefusesAMissingTokenizer) {
  planModule();
  options.graphFolder = kSource; // models/ is missing in the path
  Result<std::vector<std::byte>> file = build();
  ASSERT_FALSE(file.isOk());
  EXPECT_NE(file.status().message().find("tiny-qwen3-chat/tokenizer"), std::string::npos) << file.status().message();
}

//===------------------------------------------------------------------------------------------------------------===//
// qwen-plan-dump
//===------------------------------------------------------------------------------------------------------------===//

TEST_F(PlanExport, DumpIsTheGoldenText) {
  options.graphFolder.clear(); // differs from machine to machine
  graph.checkpoint.path = kSource + "/models/tiny-qwen3-chat";
  std::string text = printPlan(exported(), {.weights = true});
  text = replaced(text, kSource, "SOURCE");
  EXPECT_EQ(text, readText(kSource + "/test/PlanExport/Inputs/two-steps.txt"));
}

TEST_F(PlanExport, DumpPrintsTheSectionsAskedFor) {
  const fb::Plan &root = exported();
  std::string kernels = printPlan(root, {false, true, false, false});
  EXPECT_TRUE(kernels.starts_with("\nkernels: 2\n")) << kernels;
  EXPECT_EQ(kernels.find("entries:"), std::string::npos);
  EXPECT_TRUE(printPlan(root, {false, false, true, false}).starts_with("\nentries: 3\n"));
  EXPECT_TRUE(printPlan(root, {false, false, false, true}).starts_with("\nweights: 3\n"));
  EXPECT_TRUE(printPlan(root, {true, false, false, false}).starts_with("plan \"tiny\" version 1\n"));
}

TEST_F(PlanExport, ArenaLivesAreRecovered) {
  const fb::Plan &root = exported();
  std::vector<ArenaValue> values = arenaValues(root, *root.entries()->Get(2));
  ASSERT_EQ(values.size(), 3u); // x and z share a place, z begins with a write behind the last read of x
  EXPECT_EQ(values[0].first, 0u);
  EXPECT_EQ(values[0].last, 1u);
  EXPECT_EQ(values[1].offset, 0u);
  EXPECT_EQ(values[1].first, 2u);
  EXPECT_EQ(values[2].offset, 768u);
}

TEST(DumpText, RoundedBytes) {
  EXPECT_EQ(roundedBytes(999), "999 B");
  EXPECT_EQ(roundedBytes(1000), "1.0 kB");
  EXPECT_EQ(roundedBytes(999949), "999.9 kB");
  EXPECT_EQ(roundedBytes(999950), "1.0 MB");
  EXPECT_EQ(roundedBytes(4292870144), "4.3 GB");
  EXPECT_EQ(roundedBytes(UINT64_MAX), "18.4 EB");
}

TEST(DumpText, QuotedIsOneShortLine) {
  EXPECT_EQ(quoteText("a\n\"b\"\\"), "\"a\\x0a\\\"b\\\"\\\\\"");
  EXPECT_EQ(quoteText(std::string(201, 'x')), "\"" + std::string(200, 'x') + "...\"");
}

/// Runs the program and returns its exit status; what it prints lands in \p output.
int runDump(const std::string &arguments, std::string &output) {
  fs::path path = fs::path(testing::TempDir()) / "plan_dump_output.txt";
  int status = std::system((std::string(PLAN_DUMP_TOOL) + " " + arguments + " > " + path.string() + " 2>&1").c_str());
  output = readText(path);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(PlanExport, DumpToolPrintsAndWritesKernels) {
  planModule();
  fs::path folder = fs::path(testing::TempDir()) / "plan_dump_test";
  fs::remove_all(folder);
  fs::create_directories(folder);
  std::string path = (folder / "plan.fb").string(), output;
  ASSERT_TRUE(exportPlan(*module, graph, options, path).isOk());
  EXPECT_EQ(runDump(path, output), 0);
  EXPECT_TRUE(output.starts_with("plan \"tiny\" version 1\n")) << output;
  EXPECT_EQ(runDump(path + " --spirv " + (folder / "spirv").string(), output), 0);
  EXPECT_EQ(output, "");
  std::string words = readText(folder / "spirv" / "f32_gate_up.spv");
  EXPECT_TRUE(words.starts_with("\x03\x02\x23\x07"));
  EXPECT_TRUE(fs::exists(folder / "spirv" / "f32_embed.spv"));
  EXPECT_EQ(runDump(path + " --spirv " + path + "/x", output), 1); // below a file
  EXPECT_TRUE(output.starts_with("qwen-plan-dump: error: cannot create folder '")) << output;
}

TEST_F(PlanExport, DumpToolRefusesKernelNamesThatAreNoFileNames) {
  std::string text = twoSteps();
  for (size_t at; (at = text.find("@f32_embed")) != std::string::npos;)
    text.replace(at, 10, "@\"../embed\"");
  parse(text);
  planModule();
  std::string path = (fs::path(testing::TempDir()) / "plan_dump_names.fb").string(), output;
  ASSERT_TRUE(exportPlan(*module, graph, options, path).isOk());
  EXPECT_EQ(runDump(path + " --spirv " + testing::TempDir() + "/plan_dump_names", output), 1);
  EXPECT_EQ(output,
            "qwen-plan-dump: error: kernel has the name \"../embed\", expected letters, digits, '_', '-' and '.' for "
            "a file, compile the plan again\n");
}

TEST(DumpTool, ExitStatusAndMessages) {
  std::string output;
  EXPECT_EQ(runDump("", output), 2);
  EXPECT_TRUE(output.starts_with("qwen-plan-dump: error: wrong usage: ")) << output;
  EXPECT_EQ(runDump("--no-such-option x", output), 2);
  EXPECT_EQ(runDump("/no/such/plan.fb", output), 1);
  EXPECT_TRUE(output.starts_with("qwen-plan-dump: error: ")) << output;
  EXPECT_EQ(runDump(kSource + "/CMakeLists.txt", output), 1);
  EXPECT_NE(output.find("expected QWENPLN1"), std::string::npos) << output;
  EXPECT_EQ(runDump("--help", output), 0);
  EXPECT_EQ(runDump(kSource + "/CMakeLists.txt > /dev/full", output), 1);
}

} // namespace
