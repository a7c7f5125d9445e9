//===- KernelTable.cpp - What a driver's compiler says about kernels, as text -------------------------------------===//
#include "tools/qwen-kernel-stats/KernelTable.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <iterator>
#include <tuple>

using namespace qwenrt;

namespace qwenc {
namespace {

struct Column {
  const char *title;
  std::string_view statistic; ///< as RADV names it
};

constexpr Column kColumns[] = {
    {"vgpr", "VGPRs"},
    {"sgpr", "SGPRs"},
    {"vspill", "Spilled VGPRs"},
    {"sspill", "Spilled SGPRs"},
    {"lds B", "LDS size"},
    {"scratch", "Scratch size"},
    {"waves", "Subgroups per SIMD"},
    {"code B", "Code size"},
    {"instr", "Instructions"},
    {"valu", "VALU"},
    {"vopd", "VOPD"},
    {"salu", "SALU"},
    {"vmem", "VMEM"},
    {"smem", "SMEM"},
    {"inv.tp", "Inverse Throughput"},
    {"latency", "Latency"},
};

std::string number(const Statistic &statistic) {
  return std::visit([](auto value) { return fmt::format("{}", value); }, statistic.value);
}

bool isZero(const Statistic &statistic) {
  return std::visit([](auto value) { return value == 0; }, statistic.value);
}

/// Names come from a plan file: nothing in them may disturb the table.
std::string plain(std::string_view text) {
  std::string result(text.substr(0, 200));
  std::replace_if(result.begin(), result.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return result;
}

/// Memory behind registers, whatever a driver calls it: RADV's "Spilled VGPRs" and "Scratch size", ANV's "Spill count".
bool isSpill(std::string_view name) {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return lower.find("spill") != std::string::npos || lower.find("scratch") != std::string::npos;
}

std::string readsOf(const KernelStatistics &kernel) {
  if (kernel.dispatches == 0)
    return "never dispatched";
  return fmt::format("{:.3f} MB in {} of {}", static_cast<double>(kernel.readBytes) / 1e6, kernel.dispatches,
                     plain(kernel.entry));
}

std::vector<std::string> cellsOf(const KernelStatistics &kernel) {
  std::vector<std::string> cells = {plain(kernel.name), std::to_string(kernel.invocations),
                                    kernel.subgroupSize ? std::to_string(kernel.subgroupSize) : "-"};
  for (const Column &column : kColumns) {
    const Statistic *statistic = findStatistic(kernel, column.statistic);
    cells.push_back(statistic ? number(*statistic) : "-");
  }
  cells.push_back(readsOf(kernel));
  return cells;
}

} // namespace

const Statistic *findStatistic(const KernelStatistics &kernel, std::string_view name) {
  for (const Statistic &statistic : kernel.statistics)
    if (statistic.name == name)
      return &statistic;
  return nullptr;
}

std::vector<KernelStatistics> describeKernels(const fb::Plan &plan) {
  std::vector<KernelStatistics> kernels;
  for (const fb::Kernel *kernel : *plan.kernels()) {
    KernelStatistics description;
    description.name = kernel->name()->str();
    description.invocations = kernel->workgroup()->x() * kernel->workgroup()->y() * kernel->workgroup()->z();
    kernels.push_back(std::move(description));
  }
  for (const fb::Entry *entry : *plan.entries()) {
    std::vector<std::pair<uint32_t, uint64_t>> uses(kernels.size()); // dispatches, bytes
    for (const fb::Dispatch *dispatch : *entry->dispatches()) {
      ++uses[dispatch->kernel()].first;
      uses[dispatch->kernel()].second += dispatch->read_bytes();
    }
    for (size_t i = 0; i < kernels.size(); ++i)
      if (uses[i].first && (kernels[i].dispatches == 0 || uses[i].second > kernels[i].readBytes)) {
        kernels[i].entry = entry->name()->str();
        std::tie(kernels[i].dispatches, kernels[i].readBytes) = uses[i];
      }
  }
  return kernels;
}

std::vector<std::string> problemsOf(const KernelStatistics &kernel) {
  if (!kernel.compiled)
    return {kernel.compiled.message()};
  std::vector<std::string> problems;
  for (const Statistic &statistic : kernel.statistics)
    if (isSpill(statistic.name) && !isZero(statistic))
      problems.push_back(
          fmt::format("kernel '{}' has {} {}, expected 0, give each invocation less work or the workgroup fewer "
                      "invocations",
                      plain(kernel.name), plain(statistic.name), number(statistic)));
  return problems;
}

std::string printTable(const std::vector<KernelStatistics> &kernels) {
  std::vector<std::vector<std::string>> rows = {{"kernel", "group", "wave"}};
  for (const Column &column : kColumns)
    rows[0].emplace_back(column.title);
  rows[0].emplace_back("plan reads");
  for (const KernelStatistics &kernel : kernels)
    rows.push_back(cellsOf(kernel));
  std::vector<size_t> widths(rows[0].size());
  for (const std::vector<std::string> &row : rows)
    for (size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], row[i].size());
  std::string text;
  for (const std::vector<std::string> &row : rows) {
    fmt::format_to(std::back_inserter(text), "{:<{}}", row[0], widths[0]);
    for (size_t i = 1; i + 1 < row.size(); ++i)
      fmt::format_to(std::back_inserter(text), " {:>{}}", row[i], widths[i]);
    fmt::format_to(std::back_inserter(text), "  {}\n", row.back());
  }
  return text;
}

std::string printJson(const std::vector<KernelStatistics> &kernels, const std::string &device,
                      const std::string &plan) {
  using Json = nlohmann::ordered_json;
  Json list = Json::array();
  for (const KernelStatistics &kernel : kernels) {
    Json statistics = Json::object();
    for (const Statistic &statistic : kernel.statistics)
      std::visit([&](auto value) { statistics[statistic.name] = value; }, statistic.value);
    Json item = {{"name", kernel.name},
                 {"invocations", kernel.invocations},
                 {"subgroup_size", kernel.subgroupSize},
                 {"entry", kernel.entry},
                 {"dispatches", kernel.dispatches},
                 {"read_bytes", kernel.readBytes},
                 {"statistics", std::move(statistics)},
                 {"problems", problemsOf(kernel)}};
    if (kernel.skipped)
      item["skipped"] = *kernel.skipped;
    list.push_back(std::move(item));
  }
  Json document = {{"device", device}, {"plan", plan}, {"kernels", std::move(list)}};
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; // names need not be UTF-8
}

} // namespace qwenc
