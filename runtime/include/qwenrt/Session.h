//===- Session.h - Run a plan on a device ------------------------------------------------------------------------===//
//
// A session owns a plan's buffers on one device. Either single entries are run on host tensors, or text is generated:
//
//   auto plan = Plan::open("plan.fb");
//   auto device = Device::open({}, &(*plan)->root());
//   auto session = Session::create(*plan, *device);
//   (*session)->load("");                          // weights and pipelines
//   (*session)->append(promptIds);
//   (*session)->generate(options, [](int32_t token) { ...; return true; });
//
// A session is used by one thread at a time. After DeviceLost it is of no more use.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "qwenrt/Device.h"
#include "qwenrt/Plan.h"
#include "qwenrt/Status.h"
#include "qwenrt/Trace.h"

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qwenrt {

/// How weights reach device memory.
enum class UploadPath {
  Auto,     ///< Direct where all device memory is mapped and cached by the processor, else Staging
  Direct,   ///< files are read straight into mapped device memory
  Streamed, ///< into a core's cache, then with wide stores into mapped device memory
  Staging,  ///< into pinned host memory, copied by the device
};
/// "auto", "direct", "streamed", "staging"
const char *uploadPathName(UploadPath path);

struct SessionOptions {
  UploadPath upload = UploadPath::Auto;
  unsigned loaderThreads = 0; ///< threads that read weights, at most 16; 0: by the number of processors
  /// File of packed weights, for plans that have some; empty: beside the plan or in the checkpoint's folder.
  std::string packedWeights;
  bool pipelineCache = true; ///< keep compiled kernels on disk
  std::string cacheFolder;   ///< empty: $XDG_CACHE_HOME/qwenrt or ~/.cache/qwenrt
  bool media = false;        ///< load compiles the encoders too, else their first run does
  bool speech = false;       ///< the same of the entries that speak
};

/// How far Session::load is.
struct LoadProgress {
  uint64_t bytesDone = 0, bytesTotal = 0; ///< of weights
  int32_t layer = -1;                     ///< being read, -1: none in particular
  int32_t layers = 0;                     ///< of the plan
  uint32_t kernelsDone = 0, kernelsTotal = 0;
};

/// What creating the session and loading took.
struct LoadStatistics {
  uint64_t weightBytes = 0;
  uint64_t weightNs = 0;
  uint64_t pipelineNs = 0; ///< compiling kernels
  uint32_t pipelines = 0;
  bool warmPipelines = false;           ///< a pipeline cache of this device was found
  UploadPath upload = UploadPath::Auto; ///< the path taken
  unsigned threads = 0;                 ///< that read weights
  uint64_t readNs = 0;                  ///< in files, sum of the threads; with Direct also writing device memory
  uint64_t copyNs = 0;                  ///< writing device memory, or submitting copies
  uint64_t waitNs = 0;                  ///< for the device's copies
  uint64_t peakAnonymousBytes = 0;      ///< host memory without files, the largest of the samples during loading
  uint64_t neededBytes = 0;             ///< device memory that the plan takes
  uint64_t availableBytes = 0;          ///< device memory that was free before
  uint64_t derivedBytes = 0;            ///< of weights that the device made of others, after loading
  uint64_t deriveNs = 0;
};

/// A tensor on the host: row-major, packed, little endian.
struct HostTensor {
  std::string name;
  fb::DType dtype = fb::DType::F32;
  std::vector<uint64_t> shape;
  std::vector<std::byte> data;
};

/// A tensor on the host that somebody else holds: pixels of an image are too many to copy them once more.
struct HostTensorView {
  std::string_view name;
  fb::DType dtype = fb::DType::F32;
  std::vector<uint64_t> shape;
  std::span<const std::byte> data;
  /// In place of data, of tensors of f32: writes rows (along the first axis) \p first and following where the device
  /// takes them from. The place has room for whole rows and is never read.
  std::function<void(uint64_t first, std::span<std::byte> rows)> fill;

  HostTensorView() = default;
  HostTensorView(const HostTensor &tensor)
      : name(tensor.name), dtype(tensor.dtype), shape(tensor.shape), data(tensor.data) {}
  HostTensorView(std::string_view name, fb::DType dtype, std::vector<uint64_t> shape, std::span<const std::byte> data)
      : name(name), dtype(dtype), shape(std::move(shape)), data(data) {}
};

/// Tokens of a prompt with media, in which every placeholder is expanded.
struct MediaTokens {
  std::span<const int32_t> tokens;  ///< [n]
  std::span<const float> positions; ///< [3, n], row-major: time, height and width of each token
  std::span<const int32_t> rows;    ///< [n]: the row of encodeMedia that replaces the token's embedding, or -1
  float next = 0;                   ///< where the token behind them stands on all axes
  /// [3, n] as a talker counts them, which is not told of tracks that belong to videos; empty: as positions.
  std::span<const float> spokenPositions = {};
};

/// How tokens are drawn. The plan's kernels do it; greedy ignores all other fields except the penalty.
struct Sampling {
  bool greedy = true;
  float temperature = 1;       ///< > 0
  uint32_t topK = 0;           ///< 0: off
  float topP = 1;              ///< 1: off
  float repetitionPenalty = 1; ///< 1: off
  uint32_t seed = 0;
};

/// One row of logits: \p row of the prompt part counts the appended tokens, of the steps the new tokens.
struct LogitsRow {
  bool step = false;
  uint32_t row = 0;
  std::span<const float> values;
};

struct GenerateOptions {
  uint32_t maxNewTokens = UINT32_MAX;
  std::vector<int32_t> stopIds; ///< generation ends with the first of these, which is the last token reported
  Sampling sampling;
  std::vector<int32_t>
      forceIds; ///< if not empty: these tokens are fed instead of the sampled ones, then generation ends
  /// If set, hears the logits of every appended token, then of every step. Slower: each step waits for the host.
  std::function<Status(const LogitsRow &)> onLogits;
  /// If set, becoming true ends generation after the step at hand. May be set from a signal handler.
  const std::atomic<bool> *cancel = nullptr;
};

enum class Finish {
  Stop,      ///< a stop token
  Length,    ///< maxNewTokens, or the end of forceIds
  Context,   ///< the caches are full
  Cancelled, ///< by the callback or the flag
};

struct GenerateResult {
  Finish finish = Finish::Length;
  std::vector<int32_t> tokens;  ///< with the stop token
  std::vector<int32_t> sampled; ///< what the model chose at each step; differs from tokens only when forced
  uint32_t promptTokens = 0;    ///< processed by this call
  uint64_t prefillNs = 0;
  uint64_t firstTokenNs = 0; ///< from the call to the first token
  uint64_t decodeNs = 0;     ///< from the first token to the last
};

/// Hears each new token; false ends generation.
using TokenCallback = std::function<bool(int32_t token)>;

class Session {
public:
  /// Checks the plan against the device and its free memory, then makes all buffers; reads no weights.
  static Result<std::unique_ptr<Session>> create(std::shared_ptr<const Plan> plan, std::shared_ptr<Device> device,
                                                 const SessionOptions &options = {});
  ~Session();
  Session(const Session &) = delete;
  Session &operator=(const Session &) = delete;

  /// Reads the weights from the checkpoint in the folder \p weights (empty: where the plan says) and compiles the
  /// kernels of all entries with a role. A regular file as \p weights is the packed ones of a plan that has some.
  /// \p progress is called on this thread a few times a second.
  Status load(const std::string &weights, const std::function<void(const LoadProgress &)> &progress = {});
  const LoadStatistics &loadStatistics() const;

  enum class RunState : uint8_t { Reset, Keep };
  /// Runs \p entry once on \p inputs, in any order; tensors that the entry does not take are ignored. \p outputs
  /// becomes all its outputs. Symbolic extents follow from the inputs; an extent that no input has is read from its
  /// cell after the run. Optional inputs that are missing stand for text without media. Caches and state are zeroed
  /// before and behind, so that a run depends on its inputs alone; with RunState::Keep they are left as they are, so
  /// that one run goes on where another stopped, and missing inputs keep what stands there.
  Status run(std::string_view entry, std::span<const HostTensor> inputs, std::vector<HostTensor> &outputs,
             RunState runState = RunState::Reset);

  /// Forgets everything: history, caches, step count.
  Status reset();
  /// Forgets all but the first \p length tokens of the history.
  Status rewind(uint32_t length);
  /// Adds tokens to the history. InvalidInput if the context cannot hold them.
  Status append(std::span<const int32_t> tokens);
  /// Runs the encoder \p entry of the plan's media table once and leaves its rows on the device as rows \p firstRow and
  /// following of the next prompt; returns how many. Nothing else changes: the conversation goes on. All media of a
  /// prompt are encoded before it is appended, the first one to row 0. InvalidInput if an input does not fit, or the
  /// plan does not hold so many rows; Unsupported if \p entry is no encoder.
  Result<uint32_t> encodeMedia(std::string_view entry, std::span<const HostTensorView> inputs, uint32_t firstRow);
  /// Nanoseconds that the host has spent in encodeMedia on inputs, before it submitted encoders; of all calls so far.
  uint64_t mediaUploadNs() const;
  /// Adds tokens among which some stand for media. InvalidInput if the context cannot hold them, a row is beyond the
  /// plan's or a position is not finite; Unsupported if the plan takes no media.
  Status append(const MediaTokens &tokens);
  /// Where the next token stands on all axes; without media that is length().
  float nextPosition() const;
  /// Processes what has been appended and samples on from there, several steps ahead of the host. Afterwards the
  /// history holds the reported tokens, so that append and generate go on with the conversation.
  Result<GenerateResult> generate(const GenerateOptions &options, const TokenCallback &onToken = {});
  /// Processes what has been appended, without sampling; returns nanoseconds.
  Result<uint64_t> prefill();

  /// Tokens in the history, and how many of them are in the caches.
  uint32_t length() const;
  uint32_t position() const;
  uint32_t maxContext() const;

  /// From now on every run is traced; once. Unsupported if the device has no timestamps. Runs appear in the trace when
  /// they have been waited for, which generate and runEntry do.
  Status enableTrace(TraceDetail detail = TraceDetail::Dispatches);
  const std::vector<TraceEvent> &trace() const;
  std::vector<TraceMark> traceMarks() const;

  /// Bytes that processing \p tokens tokens of an empty history, or one decode step with \p positions in the caches,
  /// reads from device memory by the plan's estimate.
  uint64_t prefillReadBytes(uint32_t tokens) const;
  uint64_t decodeReadBytes(uint32_t positions) const;
  /// Bytes per second that a plain reading kernel reaches over the largest weight buffer.
  Result<double> measureReadBandwidth();

private:
  friend class Generator;
  friend class EntryRun;
  friend class Speaker;
  friend class Vocoder;
  struct State;
  explicit Session(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

} // namespace qwenrt
