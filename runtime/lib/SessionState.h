//===- SessionState.h - What a session consists of ---------------------------------------------------------------===//
#pragma once

#include "Replay.h"
#include "qwenrt/Session.h"

#include <array>
#include <chrono>
#include <optional>

namespace qwenrt {

inline uint64_t nowNs() {
  return uint64_t(std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
}

/// Hears what happens to a history while it happens: how a speaker goes along with a session.
class SessionListener {
public:
  virtual ~SessionListener() = default;
  /// The prefill of tokens \p first .. \p first + \p count - 1 was submitted; its outputs stand until the next chunk.
  virtual Status onChunk(uint32_t first, uint32_t count) = 0;
  /// \p tokens were generated; with \p last no more of them follow.
  virtual Status onTokens(std::span<const int32_t> tokens, bool last) = 0;
  /// The history was cut to \p length tokens.
  virtual void onCut(uint32_t length) = 0;
};

/// A token of the history where the talker places it, which knows nothing of tracks that belong to videos.
struct SpokenPlace {
  std::array<float, 3> position;
  float next; ///< where a token behind it would stand on all axes
};

struct Session::State {
  std::shared_ptr<const Plan> plan;
  std::shared_ptr<Device> device;
  std::unique_ptr<Replay> replay; // after plan and device: it is destroyed first
  SessionOptions options;
  LoadStatistics load;
  bool loaded = false;

  /// The first entry of each role that the device can run.
  std::array<std::optional<uint32_t>, size_t(fb::Role::MAX) + 1> roles;
  /// The host's copy of the cells of the same names; equal to them whenever nothing is in flight.
  uint32_t length = 0, position = 0, step = 0;

  /// Of plans with media. Element i is where a token with index i stands if it follows the i tokens before it:
  /// length + 1 elements, so that rewinding finds its place again.
  std::vector<float> nextPositions = {0};
  uint64_t mediaUploadNs = 0;
  uint32_t mediaEnd = 0; ///< one behind the last token of the history that takes a media row

  /// The history as the host knows it, `length` elements each.
  std::vector<int32_t> tokens;
  std::vector<SpokenPlace> places;
  SessionListener *listener = nullptr;

  TraceDetail tracing = TraceDetail::None;
  std::vector<TraceEvent> trace;
  std::vector<TraceMark> marks; ///< with times of the host's clock

  const fb::Entry &entry(uint32_t ordinal) const { return *plan->root().entries()->Get(ordinal); }
  std::optional<uint32_t> role(fb::Role role) const { return roles[size_t(role)]; }
  Status prepare();
  Status requireLoaded() const;
  Status requireText() const;

  /// The ordinal of entry \p name; NotFound, or Unsupported if the device cannot run it.
  Result<uint32_t> runnableEntry(std::string_view name) const;

  Status writeCell(fb::CellKind kind, const void *value, uint32_t index = 0, uint32_t sequence = 0);
  Status writeCell(fb::CellKind kind, uint32_t value) { return writeCell(kind, static_cast<const void *>(&value)); }
  Result<uint32_t> readCell(fb::CellKind kind, uint32_t index = 0, uint32_t sequence = 0);
  /// Refuses more tokens than the context has room for.
  Status requireRoom(uint64_t tokens) const;
  Status checkMedia(const MediaTokens &tokens) const;
  /// Refuses ids that the vocabulary has not: kernels take them as row numbers.
  Status checkTokens(std::span<const int32_t> tokens) const;
  /// Writes history elements from \p index on.
  Status writeTokens(uint32_t index, std::span<const int32_t> tokens);
  /// Adds \p added to the host's copy of the history, as text.
  void remember(std::span<const int32_t> added);
  /// The same with positions [3, n], of which the first stands at \p first.
  void remember(std::span<const int32_t> added, std::span<const float> positions, float first);
  /// Cuts it.
  void forget(uint32_t length);
  /// The same of positions [n, 3] and media rows [n].
  Status writePlaces(uint32_t index, std::span<const float> positions, std::span<const int32_t> rows);
  /// Places the tokens \p begin .. \p end - 1 as text behind those before them.
  Status placeText(uint32_t begin, uint32_t end);
  /// PositionDelta, for tokens sampled from here on.
  Status writeDelta();
  /// Writes Length, Position and Step to their cells.
  Status writeProgress();

  bool tracesDispatches() const { return tracing == TraceDetail::Dispatches; }
  void mark(TraceMark::Kind kind, uint64_t value) {
    if (tracing != TraceDetail::None)
      marks.push_back({kind, Replay::clockNs(), value});
  }

  Status submit(uint32_t entry, uint32_t times, uint64_t &value);
  /// Runs \p entries one after another, in one submission unless each dispatch is traced.
  Status submit(std::span<const uint32_t> entries, uint64_t &value);
  /// Waits in slices; true early if \p cancel became true.
  Status wait(uint64_t value, const std::atomic<bool> *cancel, bool &cancelled);
};

/// One call of Session::generate or Session::prefill.
class Generator {
public:
  Generator(Session::State &state, const GenerateOptions &options) : state_(state), options_(options) {}

  /// Runs prefill entries until the caches hold the history.
  Status prefill();
  Status generate(const TokenCallback &onToken);
  GenerateResult takeResult() { return std::move(result_); }

private:
  /// Steps submitted together, and what to wait for.
  struct Batch {
    uint64_t value;
    uint32_t steps;
  };

  Status chooseEntries();
  Status writeSampling();
  Status limitBatches();
  Status prefillLogits(uint32_t firstRow, uint32_t rows);
  Status stepLogits(uint32_t entry);
  Status submitMore(std::vector<Batch> &inFlight);
  Status acceptBatch(const Batch &batch, const TokenCallback &onToken);
  Status acceptToken(int32_t token, const TokenCallback &onToken);
  Status readLogits(uint32_t entry, uint32_t rows, bool step, uint32_t firstRow);
  bool cancelRequested() const { return options_.cancel && options_.cancel->load(); }
  bool stepByStep() const { return options_.onLogits || !options_.forceIds.empty() || state_.tracesDispatches(); }

  Session::State &state_;
  const GenerateOptions &options_;
  GenerateResult result_;
  uint32_t nextEntry_ = 0, decodeEntry_ = 0;
  uint32_t target_ = 0;    ///< steps to run at most
  uint32_t submitted_ = 0; ///< steps submitted
  uint32_t firstStep_ = 0; ///< value of the Step cell at the first of them
  uint32_t batchSteps_ = 1, maxBatchSteps_ = 1, maxBatches_ = 1;
  uint64_t lastBatchNs_ = 0; ///< clock when the last batch was done
  uint64_t beginNs_ = 0;
  bool done_ = false;
};

} // namespace qwenrt
