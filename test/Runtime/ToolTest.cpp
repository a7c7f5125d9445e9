//===- ToolTest.cpp - qwenrt from its command line ---------------------------------------------------------------===//
#include "TestDevice.h"
#include "ToolTestSupport.h"
#include "models/Checkpoint/SafetensorsWriter.h"

#include <cstring>

using namespace qwenrt;
using namespace qwenrt::test;
using nlohmann::json;
using qwenc::test::TemporaryFolder;

namespace {

//===----------------------------------------------------------------------===//
// Wrong usage, wrong files: no device
//===----------------------------------------------------------------------===//

TEST_F(ToolTest, WrongUsageIsExitStatusTwo) {
  EXPECT_FAILS(shell("qwenrt"), 2, "no mode given");
  EXPECT_FAILS(shell("qwenrt --prompt hi"), 2, "no plan given");
  EXPECT_FAILS(run("--prompt a --input-ids 1"), 2, "--input-ids given beside --prompt, expected one mode");
  EXPECT_FAILS(run("--prompt a --nonsense"), 2, "expected a command line as --help shows it");
  EXPECT_FAILS(run("--prompt a --top-p 2"), 2, "expected a command line");
  EXPECT_FAILS(run("--entry scale"), 2, "--entry given without --inputs and --outputs");
  EXPECT_FAILS(run("--prompt a --inputs x"), 2, "--inputs given without --entry NAME");
  EXPECT_FAILS(run("--prompt a --profile-runs"), 2, "--profile-runs given without --profile, expected both, add it");
  EXPECT_FAILS(run("--interactive --logits x"), 2, "--logits given without --prompt or --input-ids");
  EXPECT_FAILS(run("--prompt a --raw --system b"), 2, "--system given beside --raw");
  EXPECT_FAILS(run("--input-ids 1 --system b"), 2, "--system given beside --input-ids");
  EXPECT_FAILS(run("--entry list --repeat 2"), 2, "--repeat given without");
  for (const char *option : {"--max-new-tokens", "--top-k", "--seed"}) {
    EXPECT_FAILS(run(std::string("--prompt a ") + option + " ''"), 2, "expected a command line");
    EXPECT_FAILS(run(std::string("--prompt a ") + option + " 4294967296"), 2, "expected a command line");
  }
  EXPECT_FAILS(run("--prompt a $'--\\x1b\\xff'"), 2, "--??, expected a command line");
  EXPECT_FAILS(run("--prompt a --max-new-tokens -1"), 2, "error: --max-new-tokens: ");
  EXPECT_FAILS(run("--prompt a b"), 2, "error: the following argument was not expected: b, expected a command line");
  EXPECT_FAILS(run("--bench pp5,xx"), 2, "bench item 'xx' is unknown");
  EXPECT_FAILS(run("--bench tg0"), 2, "bench item 'tg0' is unknown");
  EXPECT_FAILS(run("--bench tg1@"), 2, "bench item 'tg1@' is unknown");
  EXPECT_FAILS(run("--input-ids 1 --force-ids ''"), 2, "--force-ids is empty");
}

TEST_F(ToolTest, OptionsThatDoNothingAreRefused) {
  EXPECT_FAILS(run("--interactive --raw"), 2, "--raw given without --prompt, --input-ids or --cases, expected");
  EXPECT_FAILS(run("--bench pp5 --ignore-eos"), 2, "--ignore-eos given without --prompt, --input-ids, --inter");
  EXPECT_FAILS(run("--tokenize a --temperature 1"), 2, "--temperature given without --prompt, --input-ids, --inter");
  EXPECT_FAILS(run("--tokenize a --stats"), 2, "--stats given without");
  EXPECT_FAILS(run("--tokenize a --audio b"), 2, "--audio given without --prompt, --input-ids or --interactive");
  EXPECT_FAILS(run("--input-ids 1 --thinking on"), 2, "--thinking given beside --input-ids");
  EXPECT_FAILS(run("--prompt a --raw --thinking off"), 2, "--thinking given beside --raw");
  EXPECT_FAILS(run("--prompt a --sampling greedy --top-k 2"), 2, "--top-k given beside --sampling greedy");
}

TEST_F(ToolTest, SpeechOptionsThatMakeNoSense) {
  EXPECT_FAILS(run("--prompt a --speech ''"), 2, "--speech names no file");
  EXPECT_FAILS(run("--prompt a --print-codes --speech-logits ''"), 2, "--speech-logits names no file");
  EXPECT_FAILS(run("--prompt a --speech-logits b"), 2, "--speech-logits given without --speech");
  EXPECT_FAILS(run("--interactive --speech a --speech-logits b"), 2, "--speech-logits given without --prompt or");
  EXPECT_FAILS(run("--prompt a --speaker b"), 2, "--speaker given without --speech");
  EXPECT_FAILS(run("--prompt a --print-codes --vocoder-chunk 1"), 2, "--vocoder-chunk given without --speech");
  EXPECT_FAILS(run("--prompt a --speech b --vocoder-chunk 0"), 2, "--vocoder-chunk is 0");
  EXPECT_FAILS(run("--prompt a --speech b --speech-max-frames 0"), 2, "--speech-max-frames is 0");
  EXPECT_FAILS(run("--prompt a --speech b --vocoder-context 1"), 2, "--vocoder-context given without --vocoder-chunk");
  EXPECT_FAILS(run("--prompt a --speech b --speech-greedy --speech-top-k 1"), 2,
               "--speech-top-k given beside --speech-greedy");
  EXPECT_FAILS(run("--interactive --print-codes"), 2, "--print-codes given without --prompt or --input-ids");
}

TEST_F(ToolTest, ComponentsThatThePlanDoesNotHave) {
  auto missing = [](const char *component, const char *option) {
    return std::string("plan of Fake has no ") + component + ", expected one for " + option + ", leave it";
  };
  for (const char *option : {"--audio a.wav", "--use-audio-in-video"})
    EXPECT_FAILS(run(std::string("--prompt a ") + option), 1,
                 missing("audio encoder", std::string(option, strcspn(option, " ")).c_str()));
  for (const char *option : {"--image", "--video", "--fps", "--min-pixels", "--max-pixels"})
    EXPECT_FAILS(run(std::string("--prompt a ") + option + " 2 " + option + " 4"), 1,
                 missing("vision encoder", option));
  for (const char *option : {"--speaker a", "--speech-temperature 1", "--speech-top-k 1", "--speech-top-p 1",
                             "--speech-repetition-penalty 1", "--speech-max-frames 1", "--speech-greedy",
                             "--speech-ignore-eos", "--print-codes", "--speech-logits a"})
    EXPECT_FAILS(run(std::string("--prompt a --print-codes ") + option), 1,
                 missing("talker", std::string(option, strcspn(option, " ")).c_str()));
  EXPECT_FAILS(run("--prompt a --speech a.wav --vocoder-chunk 2 --vocoder-context 1"), 1,
               missing("vocoder", "--speech"));
  EXPECT_FAILS(run("--prompt a --fps x"), 2, "--fps");
}

TEST_F(ToolTest, BrokenInputIsExitStatusOne) {
  EXPECT_FAILS(shell("qwenrt none.fb --prompt a"), 1,
               "cannot open 'none.fb': No such file or directory, expected a file that can be read");
  EXPECT_FAILS(shell("head -c 100 plan.fb >cut.fb; qwenrt cut.fb --prompt a"), 1, "does not end with the plan magic");
  EXPECT_FAILS(run("--input-ids 1,x"), 1, "'1,x' is no list of token ids");
  EXPECT_FAILS(run("--input-ids @none.json"), 1, "none.json");
  EXPECT_FAILS(run("--prompt @none.txt"), 1, "none.txt");
  EXPECT_FAILS(run("--prompt a --thinking off"), 1, "has no thinking switch");
  EXPECT_FAILS(run("--entry none --inputs a --outputs b"), 1, "plan has no entry 'none'");
  EXPECT_FAILS(run("--bench pp33"), 1, "bench item 'pp33' needs 33 positions, expected at most 32");
  source.byteTokenizer = false;
  std::vector<std::byte> file = source.encodeFile();
  folder.write("plan.fb", {reinterpret_cast<const char *>(file.data()), file.size()});
  EXPECT_FAILS(run("--prompt a"), 1, "plan has no tokenizer");
}

TEST_F(ToolTest, WithoutADriverItSaysSo) {
  EXPECT_FAILS(shell("export VK_DRIVER_FILES=/nonexistent VK_ICD_FILENAMES=/nonexistent; qwenrt $plan --input-ids 1"),
               1, "no Vulkan driver found");
}

TEST_F(ToolTest, TokenizerNeedsNoDevice) {
  std::string none = "export VK_DRIVER_FILES=/nonexistent VK_ICD_FILENAMES=/nonexistent; ";
  EXPECT_PRINTS(shell(none + "qwenrt $plan --tokenize 'ab<|im_end|>'"), "[97,98,257]\n");
  EXPECT_PRINTS(shell(none + "printf 'hi' >t; qwenrt $plan --tokenize @t"), "[104,105]\n");
  EXPECT_PRINTS(shell(none + "qwenrt $plan --detokenize 104,105"), "hi\n");
  EXPECT_PRINTS(shell(none + "echo '[104, 105]' >ids.json; qwenrt $plan --detokenize @ids.json"), "hi\n");
  EXPECT_PRINTS(shell(none + "echo '104,105' >ids.txt; qwenrt $plan --detokenize @ids.txt"), "hi\n");
  EXPECT_FAILS(shell("qwenrt $plan --detokenize 104,258"), 1, "token id 258 is unknown, expected 0 to 257");
  EXPECT_FAILS(shell("printf '\\xff' >t; qwenrt $plan --tokenize @t"), 1, "UTF-8");
}

TEST_F(ToolTest, ListsEntries) {
  Outcome outcome = run("--entry list");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_NE(outcome.out.find("prefill (Prefill, rows 4, 1 dispatches)"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("  in  x: f32[S<=8]"), std::string::npos) << outcome.out;
}

TEST_F(ToolTest, HelpAndVersion) {
  Outcome help = shell("qwenrt --help");
  EXPECT_EQ(help.code, 0);
  for (const char *option : {"--prompt", "--input-ids", "--interactive", "--logits", "--force-ids", "--bench",
                             "--profile", "--list-devices", "--upload", "--cases"})
    EXPECT_NE(help.out.find(option), std::string::npos) << option;
  // Every option says its default.
  for (size_t at = 0, end; (end = help.out.find('\n', at)) != std::string::npos; at = end + 1) {
    std::string line = help.out.substr(at, end - at);
    if (line.rfind("    --", 0) != 0)
      continue;
    bool wrapped = line.find("  ", 6) == std::string::npos;
    if (wrapped)
      line += help.out.substr(end + 1, help.out.find('\n', end + 1) - end - 1);
    EXPECT_TRUE(line.find("(default: ") != std::string::npos || line.find("(required with it)") != std::string::npos)
        << line;
  }
  EXPECT_EQ(shell("qwenrt --version").out.rfind("qwenrt 0.", 0), 0u);
}

//===----------------------------------------------------------------------===//
// On a device
//===----------------------------------------------------------------------===//

class ToolDeviceTest : public ToolTest {
protected:
  void SetUp() override {
    SKIP_WITHOUT_DEVICE();
    ToolTest::SetUp();
  }

  /// The entry "scale" turns the two floats 3 and 4 of \p input into 4 and 9.
  void expectScaled(const qwenc::TensorData &input) {
    ASSERT_TRUE(qwenc::writeSafetensors(folder.path("i.safetensors"), {&input, 1}).isOk());
    Outcome outcome = run("--entry scale --inputs i.safetensors --outputs o.safetensors");
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    auto header = qwenc::readSafetensorsHeader(folder.path("o.safetensors"));
    ASSERT_TRUE(header.isOk());
    float y[2];
    std::memcpy(y, folder.read("o.safetensors").data() + header->tensors.at("y").offsetBytes, 8);
    EXPECT_EQ(y[0], 4);
    EXPECT_EQ(y[1], 9);
  }
};

TEST_F(ToolDeviceTest, NeverFallsBackToTheCpu) {
  if (anyDevice()->info().kind != DeviceKind::Cpu)
    GTEST_SKIP() << "there is a GPU";
  EXPECT_FAILS(shell("qwenrt $plan --input-ids 1"), 1, "found no GPU but");
  EXPECT_FAILS(shell("qwenrt $plan --input-ids 1 --device 0"), 1, "is a CPU, expected a GPU, pass --allow-cpu");
}

TEST_F(ToolDeviceTest, PrintsIds) {
  EXPECT_PRINTS(run("--input-ids 5,6,7 --max-new-tokens 10 --print-ids"), idsText({5, 6, 7}, 10));
  EXPECT_PRINTS(run("--input-ids '[5,6,7]' --max-new-tokens 4 --print-ids --upload staging"), idsText({5, 6, 7}, 4));
  EXPECT_PRINTS(run("--input-ids 5,6,7 --max-new-tokens 10 --print-ids --repeat 3"), idsText({5, 6, 7}, 10));
  EXPECT_PRINTS(run("--prompt ab --raw --max-new-tokens 3 --print-ids"), idsText({97, 98}, 3));
}

TEST_F(ToolDeviceTest, StreamsText) {
  std::vector<int32_t> history = {97, 98};
  std::string expected;
  for (int i = 0; i < 3; ++i) {
    history.push_back(fakeNextToken(history));
    expected += char(history.back());
  }
  EXPECT_PRINTS(run("--prompt ab --raw --max-new-tokens 3"), expected + "\n");
}

TEST_F(ToolDeviceTest, StopTokenIsAmongTheIdsButNotInTheText) {
  int32_t first = fakeNextToken({5, 6});
  std::string stop = std::to_string(first);
  EXPECT_PRINTS(run("--input-ids 5,6 --stop-ids " + stop + " --print-ids"), "[" + stop + "]\n");
  EXPECT_PRINTS(run("--input-ids 5,6 --stop-ids " + stop), "\n");
  EXPECT_PRINTS(run("--input-ids 5,6 --ignore-eos --stop-ids " + stop + " --print-ids"), "[" + stop + "]\n");
  source.stopIds = {uint32_t(first)}; // as a checkpoint says it
  writePlan();
  EXPECT_PRINTS(run("--input-ids 5,6 --print-ids"), "[" + stop + "]\n");
  EXPECT_PRINTS(run("--input-ids 5,6 --ignore-eos --print-ids --max-new-tokens 3"), idsText({5, 6}, 3));
  EXPECT_PRINTS(run("--input-ids 5,6 --stop-ids 49 --print-ids --max-new-tokens 3"), idsText({5, 6}, 3));
}

TEST_F(ToolDeviceTest, SaysWhenTheContextIsFull) {
  Outcome outcome = run("--input-ids 5,6,7 --print-ids");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.err, "stopped: context of 32 tokens is full\n");
  EXPECT_EQ(outcome.out, idsText({5, 6, 7}, 30));
}

TEST_F(ToolDeviceTest, WritesLogitsAndForcesIds) {
  EXPECT_PRINTS(run("--input-ids 5,6,7,8,9 --force-ids 1,2,3 --logits l.safetensors --print-ids"), "[1,2,3]\n");
  auto header = qwenc::readSafetensorsHeader(folder.path("l.safetensors"));
  ASSERT_TRUE(header.isOk()) << header.status().message();
  EXPECT_EQ(header->tensors.at("logits").shape, (std::vector<uint64_t>{5, 50}));
  EXPECT_EQ(header->tensors.at("step_logits").shape, (std::vector<uint64_t>{3, 50}));
  // The best of the second step's row follows from the first forced token.
  std::string content = folder.read("l.safetensors");
  std::vector<float> row(50);
  std::memcpy(row.data(), content.data() + header->tensors.at("step_logits").offsetBytes + 200, 200);
  EXPECT_EQ(std::max_element(row.begin(), row.end()) - row.begin(), fakeNextToken({5, 6, 7, 8, 9, 1}));
}

TEST_F(ToolDeviceTest, RunsCases) {
  folder.write(
      "cases.json",
      R"({"cases": [{"input_ids": [5, 6], "max_new_tokens": 2, "name": "a"}, {"prompt": "x", "raw": true, "max_new_tokens": 1},
                               {"input_ids": [9], "force_ids": [3, 4], "logits": "c.safetensors"}, {"input_ids": "no"}, {"input_ids": []}]})");
  Outcome outcome = run("--cases cases.json");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("qwenrt: error: 2 of 5 cases failed"), std::string::npos) << outcome.err;
  std::vector<json> lines;
  for (size_t at = 0, end; (end = outcome.out.find('\n', at)) != std::string::npos; at = end + 1)
    lines.push_back(json::parse(outcome.out.substr(at, end - at), nullptr, false));
  ASSERT_EQ(lines.size(), 5u) << outcome.out;
  EXPECT_EQ(lines[0]["name"], "a");
  EXPECT_EQ(lines[0]["ids"].dump() + "\n", idsText({5, 6}, 2));
  EXPECT_EQ(lines[0]["finish"], "length");
  EXPECT_EQ(lines[1]["ids"].dump() + "\n", idsText({'x'}, 1));
  EXPECT_EQ(lines[2]["ids"], json({3, 4}));
  EXPECT_EQ(lines[2]["sampled"], json({fakeNextToken({9}), fakeNextToken({9, 3})}));
  EXPECT_TRUE(folder.has("c.safetensors"));
  EXPECT_NE(lines[3]["error"].dump().find("wrong 'input_ids'"), std::string::npos);
  EXPECT_NE(lines[4]["error"].dump().find("prompt has no tokens"), std::string::npos);
}

TEST_F(ToolDeviceTest, HoldsAChat) {
  Outcome outcome = run("--interactive --max-new-tokens 2", "a\r\n/reset \na\n/image x\n/audio\nb\xff\nwhat is this "
                                                            "long question\n/quit\t\r\nnever\n");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  size_t half = outcome.out.find('\n') + 1;
  EXPECT_EQ(outcome.out.substr(0, half),
            outcome.out.substr(half)); // the same answer after /reset, then a question too long for the context
  EXPECT_EQ(outcome.err.rfind("qwenrt: error: plan of Fake has no vision encoder, expected one for /image", 0), 0u)
      << outcome.err;
  EXPECT_NE(outcome.err.find("has no audio encoder, expected one for /audio"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("qwenrt: error: invalid UTF-8"), std::string::npos) << outcome.err; // the chat goes on
  EXPECT_NE(outcome.err.find("/reset starts a new chat"), std::string::npos) << outcome.err;
}

TEST_F(ToolDeviceTest, RunsAnEntry) {
  float x[2] = {3, 4};
  qwenc::TensorData tensor = {{"x", qwenc::StoredDType::F32, {2}}, std::as_bytes(std::span(x))};
  expectScaled(tensor);
  tensor.description.dtype = qwenc::StoredDType::I64;
  tensor.description.shape = {1};
  ASSERT_TRUE(qwenc::writeSafetensors(folder.path("i.safetensors"), {&tensor, 1}).isOk());
  EXPECT_FAILS(run("--entry scale --inputs i.safetensors --outputs o.safetensors"), 1,
               "input 'x' has dtype I64, expected f32[S<=8]");
  float many[9] = {};
  tensor = {{"x", qwenc::StoredDType::F32, {9}}, std::as_bytes(std::span(many))};
  ASSERT_TRUE(qwenc::writeSafetensors(folder.path("i.safetensors"), {&tensor, 1}).isOk());
  EXPECT_FAILS(run("--entry scale --inputs i.safetensors --outputs o.safetensors"), 1,
               "input 'x' has 36 bytes, expected f32[S<=8]");
}

TEST_F(ToolDeviceTest, AnInterruptedRunIsNoSuccess) {
  EXPECT_FAILS(shell("'" QWENRT_TOOL "' $plan --allow-cpu --input-ids 5,6 --ignore-eos --repeat 1000000 >text & "
                     "until test -s text; do sleep 0.01; done; kill -INT $!; wait $!"),
               1, " tokens, expected the answer to end");
}

TEST_F(ToolDeviceTest, EntriesTakeIdsOf64Bits) {
  source.entries[kScale].inputs[0].dtype = fb::DType::I32; // the kernel sees the same bits
  writePlan();
  int64_t x[2] = {0x40400000, 0x40800000}; // 3 and 4 as float
  qwenc::TensorData tensor = {{"x", qwenc::StoredDType::I64, {2}}, std::as_bytes(std::span(x))};
  expectScaled(tensor);
  x[1] = int64_t(1) << 32;
  ASSERT_TRUE(qwenc::writeSafetensors(folder.path("i.safetensors"), {&tensor, 1}).isOk());
  EXPECT_FAILS(run("--entry scale --inputs i.safetensors --outputs o.safetensors"), 1,
               "input 'x' holds 4294967296, expected numbers of 32 bits");
}

TEST_F(ToolDeviceTest, Benchmarks) {
  source.buffers[kWeights].sizeBytes = 1 << 20;
  writePlan();
  Outcome outcome = run("--bench pp20,tg5@10 --repeat 2");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out.rfind("pp20: ", 0), 0u) << outcome.out;
  EXPECT_NE(outcome.out.find("\ntg5@10: "), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find(" % of "), std::string::npos) << outcome.out;
}

TEST_F(ToolDeviceTest, BenchmarksSampling) {
  for (auto [options, entry] : {std::pair("", "decode_greedy"), std::pair("--temperature 0.6", "decode_sample")}) {
    Outcome outcome = run(std::string("--bench tg5 --repeat 1 --profile t.json --profile-runs ") + options);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_NE(folder.read("t.json").find(entry), std::string::npos) << options;
  }
}

TEST_F(ToolDeviceTest, ProfilesAndPrintsStatistics) {
  Outcome outcome = run("--input-ids 5,6 --max-new-tokens 3 --print-ids --stats --profile t.json");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, idsText({5, 6}, 3));
  json trace = json::parse(folder.read("t.json"), nullptr, false);
  ASSERT_TRUE(trace.is_object());
  EXPECT_EQ(trace["traceEvents"].size(), 6u + 3); // dispatches and tokens
  for (const char *part :
       {"device memory: Weights 48 B, Arena 64 B, Cache 128 B, State 196 B, Output 416 B, Mailbox 64 B; 852 B of ",
        " free\n", "load: ", "weights: 32 B in", "), 1 threads: ", " reading, ", " copying, ", " waiting",
        "pipelines: 3 in", "cache cold", "time to first token: ", "(load ", "host memory: peak ",
        ", anonymous while loading ", "fake_sample"})
    EXPECT_NE(outcome.err.find(part), std::string::npos) << part << "\n" << outcome.err;
  // Notes never come before an error.
  EXPECT_FAILS(run("--input-ids 258 --stats"), 1, "token id 258 is unknown");
}

TEST_F(ToolDeviceTest, ProfilesWholeRuns) {
  Outcome outcome = run("--input-ids 5,6 --max-new-tokens 3 --print-ids --profile t.json --profile-runs");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  json trace = json::parse(folder.read("t.json"), nullptr, false);
  ASSERT_TRUE(trace.is_object());
  std::vector<std::string> names;
  for (const json &event : trace["traceEvents"])
    names.push_back(event["name"]);
  EXPECT_EQ(names, (std::vector<std::string>{"prefill", "next_greedy", "decode_greedy", "decode_greedy", "token",
                                             "token", "token"}));
}

TEST_F(ToolDeviceTest, EachUploadPathIsNamedInTheStatistics) {
  for (auto [path, words] : {std::pair("direct", "direct (mapped)"), std::pair("streamed", "streamed (mapped)"),
                             std::pair("staging", "staging (staged)")}) {
    Outcome outcome =
        run(std::string("--input-ids 5,6 --max-new-tokens 3 --print-ids --stats --load-threads 2 --upload ") + path);
    EXPECT_EQ(outcome.out, idsText({5, 6}, 3));
    EXPECT_NE(outcome.err.find(words), std::string::npos) << outcome.err;
  }
}

TEST_F(ToolDeviceTest, TerminalSeesTheBudgetBeforeLoading) {
  // script(1) may be missing, and a container may have no pseudo-terminals.
  if (shell("script -qec true /dev/null").code != 0)
    GTEST_SKIP() << "no terminal can be made here";
  std::string command = "'" QWENRT_TOOL "' plan.fb --allow-cpu --input-ids 5,6 --max-new-tokens 3 --print-ids";
  std::string seen = shell("script -qec \"" + command + "\" /dev/null").out;
  size_t budget = seen.find("device memory: Weights 48 B, "), bar = seen.find("loading ["),
         layer = seen.find("32 B of 32 B, layer 1 of 1");
  EXPECT_NE(layer, std::string::npos) << seen;
  EXPECT_LT(budget, bar) << seen;
  EXPECT_EQ(shell("script -qec \"" + command + " --quiet\" /dev/null").out.find("device memory"), std::string::npos);
}

TEST_F(ToolDeviceTest, PlanThatDoesNotFitIsRefusedBeforeAnyFileIsOpened) {
  for (int i = 0; i < 200; ++i) // each small enough for one allocation
    source.buffers.push_back({"more" + std::to_string(i), fb::BufferPurpose::Cache, uint64_t(1) << 30});
  writePlan();
  EXPECT_FAILS(run("--input-ids 5 --weights /nonexistent"), 1, "plan needs 214.75 GB of device memory (Weights 48 B, ");
}

TEST_F(ToolDeviceTest, ListsDevices) {
  Outcome outcome = run("--list-devices");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_NE(outcome.out.find("can run this plan"), std::string::npos) << outcome.out;
  source.kernels[0].sharedBytes = 1 << 20;
  writePlan();
  EXPECT_NE(run("--list-devices")
                .out.find("cannot run this plan: kernel 'fake_prefill' needs 1048576 bytes of shared memory"),
            std::string::npos);
  EXPECT_NE(shell("qwenrt --list-devices").out.find("can run plans"), std::string::npos);
}

TEST_F(ToolDeviceTest, MissingWeightsAreNamed) {
  EXPECT_FAILS(run("--input-ids 1 --weights /nonexistent"), 1, "found no 'model.safetensors' in '/nonexistent'");
}

TEST_F(ToolDeviceTest, OutputThatCannotBeWritten) {
  EXPECT_FAILS(shell("qwenrt $plan --allow-cpu --input-ids 5,6 --print-ids --max-new-tokens 3 >/dev/full"), 1,
               "cannot write to standard output");
  Outcome outcome =
      shell("qwenrt $plan --allow-cpu --input-ids 5,6 --ignore-eos --max-new-tokens 20 | true; exit ${PIPESTATUS[0]}");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.err, "");
  for (const char *option : {"--logits", "--profile"}) {
    Outcome early = run(std::string("--input-ids 5,6 --max-new-tokens 3 --print-ids ") + option + " /nonexistent/x");
    EXPECT_FAILS(early, 1, "cannot write '/nonexistent/x'");
    EXPECT_EQ(early.out, ""); // said before the run
  }
  EXPECT_FAILS(run("--input-ids 5 --max-new-tokens 1 --logits cache"), 1, "'cache' is a folder");
}

TEST_F(ToolDeviceTest, ValidationOfACleanRun) {
  Outcome outcome = run("--input-ids 5,6 --max-new-tokens 3 --print-ids --validate");
  if (outcome.err.find("no validation layer found") != std::string::npos)
    GTEST_SKIP() << outcome.err;
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

} // namespace
