//===- Bench.cpp - Prompt processing and token generation, measured ----------------------------------------------===//
#include "Terminal.h"
#include "TextMode.h"
#include "runtime/lib/Text.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

using namespace qwenrt;
using namespace qwenrt::tool;

namespace {

/// "pp512", "tg128@1024"
struct Item {
  std::string name;
  bool generation = false;
  uint32_t tokens = 0;
  uint32_t depth = 0; ///< tokens in the history before
};

Result<Item> parseItem(std::string_view name) {
  Item item = {std::string(name), name.starts_with("tg"), 0, 0};
  Status wrong(StatusCode::InvalidUsage,
               text("bench item '", printable(name), "' is unknown, expected pp512, tg128 or tg128@1024, correct it"));
  if (!item.generation && !name.starts_with("pp"))
    return wrong;
  const char *end = name.data() + name.size();
  auto tokens = std::from_chars(name.data() + 2, end, item.tokens);
  if (tokens.ec != std::errc() || item.tokens == 0)
    return wrong;
  if (tokens.ptr == end)
    return item;
  auto depth = std::from_chars(tokens.ptr + 1, end, item.depth);
  if (*tokens.ptr != '@' || depth.ec != std::errc() || depth.ptr != end)
    return wrong;
  return item;
}

Result<std::vector<Item>> parseItems(std::string_view list) {
  std::vector<Item> items;
  for (size_t start = 0; start <= list.size();) {
    size_t comma = std::min(list.find(',', start), list.size());
    QWENRT_ASSIGN_OR_RETURN(Item item, parseItem(list.substr(start, comma - start)));
    items.push_back(std::move(item));
    start = comma + 1;
  }
  return items;
}

/// Token ids without pattern, the same in every run.
std::vector<int32_t> someTokens(uint32_t count, uint32_t vocabulary) {
  std::vector<int32_t> tokens(count);
  uint64_t state = 1;
  for (int32_t &token : tokens) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    token = int32_t((state >> 33) % std::max(1u, vocabulary));
  }
  return tokens;
}

/// Nanoseconds of one run of \p item; the history holds its depth before and after.
Result<uint64_t> measureOnce(Session &session, const Item &item, const std::vector<int32_t> &tokens,
                             GenerateOptions options) {
  QWENRT_RETURN_IF_ERROR(session.rewind(item.depth));
  if (!item.generation) {
    QWENRT_RETURN_IF_ERROR(session.append(std::span(tokens).subspan(item.depth, item.tokens)));
    return session.prefill();
  }
  QWENRT_RETURN_IF_ERROR(session.append(std::span(tokens).subspan(item.depth, 1)));
  options.maxNewTokens = item.tokens + 1; // the first belongs to the prompt
  QWENRT_ASSIGN_OR_RETURN(GenerateResult result, session.generate(options));
  return result.decodeNs;
}

/// Median of several runs after one that warms up; fewer runs where one takes long.
Result<uint64_t> measure(Session &session, const Item &item, const std::vector<int32_t> &tokens,
                         const GenerateOptions &options, uint32_t repeat) {
  QWENRT_RETURN_IF_ERROR(session.reset());
  QWENRT_RETURN_IF_ERROR(session.append(std::span(tokens).first(item.depth)));
  if (item.depth)
    QWENRT_RETURN_IF_ERROR(session.prefill().status());
  QWENRT_ASSIGN_OR_RETURN(uint64_t warmUp, measureOnce(session, item, tokens, options));
  constexpr uint64_t kSecond = 1'000'000'000;
  uint32_t runs = repeat ? repeat : warmUp < 2 * kSecond ? 5 : warmUp < 10 * kSecond ? 3 : 1;
  std::vector<uint64_t> times;
  for (uint32_t i = 0; i < runs && !interrupted(); ++i) {
    QWENRT_ASSIGN_OR_RETURN(uint64_t ns, measureOnce(session, item, tokens, options));
    times.push_back(std::max<uint64_t>(1, ns));
  }
  if (times.empty())
    return Status(StatusCode::InvalidInput, "interrupted, expected the measurement to end, run it again");
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  return times[times.size() / 2];
}

void printLine(const Session &session, const Item &item, uint64_t ns, double bandwidth) {
  double seconds = double(ns) / 1e9;
  // The caches grow by one position per step; the middle of the item stands for all.
  double bytes = item.generation ? double(session.decodeReadBytes(item.depth + item.tokens / 2)) * item.tokens
                                 : double(session.prefillReadBytes(item.tokens));
  std::string share = bandwidth > 0 ? text(", ", formatFixed(100 * bytes / seconds / bandwidth, 1), " % of ",
                                           formatFixed(bandwidth / 1e9, 1), " GB/s")
                                    : "";
  writeOutput(text(item.name, ": ", formatFixed(item.tokens / seconds, 2), " tokens/s, ", formatFixed(seconds * 1e3, 2),
                   " ms, ", formatFixed(bytes / seconds / 1e9, 2), " GB/s", share, "\n"));
}

Status bench(const Options &options, std::shared_ptr<const Plan> plan) {
  QWENRT_ASSIGN_OR_RETURN(std::vector<Item> items, parseItems(options.bench));
  for (const Item &item : items)
    if (uint64_t(item.tokens) + item.depth + (item.generation ? 1 : 0) > plan->root().max_context())
      return {StatusCode::InvalidInput,
              text("bench item '", item.name, "' needs ", uint64_t(item.tokens) + item.depth + item.generation,
                   " positions, expected at most ", plan->root().max_context(),
                   ", compile with a larger --max-context")};
  QWENRT_ASSIGN_OR_RETURN(GenerateOptions generation, generateOptions(options, *plan, /*checkpointByDefault=*/false));
  generation.stopIds.clear();
  QWENRT_ASSIGN_OR_RETURN(Runtime runtime, openRuntime(options, plan));
  Result<double> bandwidth = runtime.session->measureReadBandwidth();
  if (!bandwidth.isOk() && bandwidth.status().code() != StatusCode::Unsupported)
    return bandwidth.status();
  if (!bandwidth.isOk())
    printNote(text("note: ", bandwidth.status().message()));
  std::vector<int32_t> tokens = someTokens(plan->root().max_context(), plan->root().vocab_size());
  InterruptScope scope;
  for (const Item &item : items) {
    QWENRT_ASSIGN_OR_RETURN(uint64_t ns, measure(*runtime.session, item, tokens, generation, options.repeat));
    printLine(*runtime.session, item, ns, bandwidth.isOk() ? *bandwidth : 0);
  }
  return closeRuntime(options, runtime);
}

} // namespace

int tool::runBench(const Options &options, std::shared_ptr<const Plan> plan) {
  Status status = bench(options, std::move(plan));
  return status.isOk() ? 0 : reportFailure(status);
}
