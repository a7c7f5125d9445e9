//===- Runtime.cpp -----------------------------------------------------------------------------------------------===//
#include "Runtime.h"

#include "Terminal.h"
#include "models/Checkpoint/File.h"
#include "runtime/lib/Text.h"

#include <chrono>
#include <filesystem>
#include <sys/resource.h>

using namespace qwenrt;
using namespace qwenrt::tool;

namespace {

/// "weights 1.19 GB, arena 12.0 MB, ..."
std::string budgetText(const Plan &plan) {
  std::string parts;
  for (unsigned i = 0; i <= unsigned(fb::BufferPurpose::MAX); ++i) {
    auto purpose = fb::BufferPurpose(i);
    if (uint64_t bytes = plan.purposeBytes(purpose))
      parts += text(parts.empty() ? "" : ", ", fb::EnumNameBufferPurpose(purpose), " ", formatBytes(bytes));
  }
  return parts;
}

/// What the plan takes of the device, and what there was.
std::string memoryText(const Plan &plan, const LoadStatistics &load) {
  return text("device memory: ", budgetText(plan), "; ", formatBytes(load.neededBytes), " of ",
              formatBytes(load.availableBytes), " free");
}

std::string milliseconds(uint64_t ns) { return formatFixed(double(ns) / 1e6, 1) + " ms"; }

std::string rate(double amount, uint64_t ns, double unit, int digits) {
  return ns ? formatFixed(amount / (double(ns) / 1e9) / unit, digits) : "0";
}

uint64_t nowNs() {
  return uint64_t(std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
}

/// Nobody should wait for a run whose result has no place. Devices and pipes are opened only once, at the end.
Status checkOutputs(const Options &options) {
  for (const std::string &path : {options.logitsPath, options.outputsPath, options.profilePath,
                                  options.speech.path == "-" ? std::string() : options.speech.path}) {
    std::error_code error;
    std::filesystem::file_status status = std::filesystem::status(path, error);
    bool special = std::filesystem::exists(status) && !std::filesystem::is_regular_file(status) &&
                   !std::filesystem::is_directory(status);
    if (!path.empty() && !special)
      QWENRT_RETURN_IF_ERROR(qwenc::AtomicFile::create(path).status());
  }
  return Status::ok();
}

void printRuntimeStats(const Runtime &runtime) {
  const DeviceInfo &device = runtime.device->info();
  printNote(text("device: ", printable(device.name), " (", deviceKindName(device.kind), "), ", device.driver));
  const LoadStatistics &load = runtime.session->loadStatistics();
  printNote(memoryText(*runtime.plan, load));
  printNote(text("load: ", milliseconds(runtime.openNs + runtime.loadNs), " (device and buffers ",
                 milliseconds(runtime.openNs), ", weights beside pipelines ", milliseconds(runtime.loadNs), ")"));
  printNote(text("weights: ", formatBytes(load.weightBytes), " in ", milliseconds(load.weightNs), ", ",
                 rate(double(load.weightBytes), load.weightNs, 1e9, 2), " GB/s, ", uploadPathName(load.upload), " (",
                 load.upload == UploadPath::Staging ? "staged" : "mapped", "), ", load.threads,
                 " threads: ", milliseconds(load.readNs), " reading, ", milliseconds(load.copyNs), " copying, ",
                 milliseconds(load.waitNs), " waiting"));
  if (load.derivedBytes)
    printNote(text("derived weights: ", formatBytes(load.derivedBytes), " in ", milliseconds(load.deriveNs)));
  printNote(text("pipelines: ", load.pipelines, " in ", milliseconds(load.pipelineNs), ", cache ",
                 load.warmPipelines ? "warm" : "cold"));
}

Status writeTrace(const Options &options, const Runtime &runtime) {
  QWENRT_ASSIGN_OR_RETURN(qwenc::AtomicFile file, qwenc::AtomicFile::create(options.profilePath));
  QWENRT_RETURN_IF_ERROR(file.write(chromeTrace(runtime.session->trace(), runtime.session->traceMarks())));
  QWENRT_RETURN_IF_ERROR(file.commit());
  constexpr size_t kRows = 15;
  printNote(kernelTable(runtime.session->trace(), kRows));
  return Status::ok();
}

} // namespace

Result<Runtime> tool::openRuntime(const Options &options, std::shared_ptr<const Plan> plan) {
  QWENRT_RETURN_IF_ERROR(checkOutputs(options));
  Runtime runtime;
  runtime.plan = std::move(plan);
  uint64_t start = nowNs();
  QWENRT_ASSIGN_OR_RETURN(runtime.device, Device::open(options.device, &runtime.plan->root()));
  SessionOptions session = options.session;
  session.media = !options.mediaFiles.empty();
  session.speech = !options.speech.path.empty() || options.speech.printCodes;
  QWENRT_ASSIGN_OR_RETURN(runtime.session, Session::create(runtime.plan, runtime.device, session));
  uint64_t opened = nowNs();
  {
    ProgressLine line(options.quiet);
    line.note(memoryText(*runtime.plan, runtime.session->loadStatistics()));
    QWENRT_RETURN_IF_ERROR(
        runtime.session->load(options.weightsFolder, [&line](const LoadProgress &progress) { line.show(progress); }));
  }
  runtime.openNs = opened - start;
  runtime.loadNs = nowNs() - opened;
  if (!options.profilePath.empty())
    QWENRT_RETURN_IF_ERROR(
        runtime.session->enableTrace(options.profileRuns ? TraceDetail::Runs : TraceDetail::Dispatches));
  return runtime;
}

Status tool::closeRuntime(const Options &options, Runtime &runtime, const GenerateResult *result,
                          const MediaTimes &media) {
  if (!options.profilePath.empty())
    QWENRT_RETURN_IF_ERROR(writeTrace(options, runtime));
  if (options.stats) { // behind everything that can fail: an error is the first line
    printRuntimeStats(runtime);
    if (result)
      printGenerationStats(*result, media, &runtime);
    rusage usage = {};
    getrusage(RUSAGE_SELF, &usage);
    printNote(text("host memory: peak ", formatBytes(uint64_t(usage.ru_maxrss) * 1024), ", anonymous while loading ",
                   formatBytes(runtime.session->loadStatistics().peakAnonymousBytes)));
  }
  runtime.session.reset(); // its objects are checked as well
  if (uint32_t messages = runtime.device->validationMessages())
    return {StatusCode::Unsupported,
            text("validation layer printed ", messages, " messages, expected none, report them")};
  return Status::ok();
}

Result<Tokenizer> tool::openTokenizer(const Plan &plan) {
  if (!plan.root().tokenizer())
    return Status(StatusCode::Unsupported,
                  "plan has no tokenizer, expected one for text, give token ids with --input-ids and --print-ids");
  return Tokenizer::fromPlan(*plan.root().tokenizer());
}

void tool::printGenerationStats(const GenerateResult &result, const MediaTimes &media, const Runtime *runtime) {
  size_t steps = result.tokens.size() > 1 ? result.tokens.size() - 1 : 0;
  printNote(text("prompt: ", result.promptTokens, " tokens in ", milliseconds(result.prefillNs), ", ",
                 rate(double(result.promptTokens), result.prefillNs, 1, 1), " tokens/s"));
  uint64_t loadNs = runtime ? runtime->openNs + runtime->loadNs : 0, mediaNs = media.frontEndNs + media.encoderNs;
  if (!result.tokens.empty())
    printNote(text(
        "time to first token: ", milliseconds(loadNs + mediaNs + result.firstTokenNs), " (",
        runtime ? text("load ", milliseconds(loadNs), ", ") : std::string(),
        mediaNs ? text("front end ", milliseconds(media.frontEndNs), ", encoder ", milliseconds(media.encoderNs), ", ")
                : std::string(),
        "prompt ", milliseconds(result.prefillNs), ", first token ",
        milliseconds(result.firstTokenNs - std::min(result.firstTokenNs, result.prefillNs)), ")"));
  if (media.encoderNs)
    printNote(text("encoder: inputs to the device ", milliseconds(media.uploadNs), ", the rest ",
                   milliseconds(media.encoderNs - media.uploadNs)));
  printNote(text("generation: ", steps, " further tokens in ", milliseconds(result.decodeNs), ", ",
                 rate(double(steps), result.decodeNs, 1, 1), " tokens/s"));
}
