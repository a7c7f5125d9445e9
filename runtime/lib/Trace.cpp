//===- Trace.cpp -------------------------------------------------------------------------------------------------===//
#include "qwenrt/Trace.h"

#include "Text.h"

#include <algorithm>
#include <cstdio>
#include <map>

using namespace qwenrt;

std::string qwenrt::chromeTrace(std::span<const TraceEvent> events, std::span<const TraceMark> marks) {
  std::string json = "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n";
  for (size_t i = 0; i < events.size(); ++i) {
    const TraceEvent &event = events[i];
    json += text("{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"cat\":", jsonString(event.entry),
                 ",\"name\":", jsonString(event.kernel), ",\"ts\":", formatFixed(double(event.startNs) / 1e3, 3),
                 ",\"dur\":", formatFixed(double(event.durationNs) / 1e3, 3),
                 ",\"args\":{\"label\":", jsonString(event.label), ",\"groups\":[", event.groups[0], ",",
                 event.groups[1], ",", event.groups[2], "],\"read_bytes\":", event.readBytes, "}}",
                 i + 1 < events.size() || !marks.empty() ? ",\n" : "\n");
  }
  for (size_t i = 0; i < marks.size(); ++i) {
    const bool audio = marks[i].kind == TraceMark::Kind::Audio;
    json +=
        text("{\"ph\":\"i\",\"s\":\"t\",\"pid\":1,\"tid\":2,\"cat\":\"host\",\"name\":\"", audio ? "audio" : "token",
             "\",\"ts\":", formatFixed(double(marks[i].timeNs) / 1e3, 3), ",\"args\":{\"", audio ? "samples" : "id",
             "\":", marks[i].value, "}}", i + 1 < marks.size() ? ",\n" : "\n");
  }
  return json + "]}\n";
}

namespace {

struct KernelTotal {
  std::string name;
  uint64_t ns = 0, calls = 0, readBytes = 0;
};

} // namespace

std::string qwenrt::kernelTable(std::span<const TraceEvent> events, size_t rows) {
  std::map<std::string, KernelTotal> byName;
  uint64_t allNs = 0;
  for (const TraceEvent &event : events) {
    KernelTotal &total = byName[event.kernel];
    total.name = event.kernel;
    total.ns += event.durationNs;
    total.calls += 1;
    total.readBytes += event.readBytes;
    allNs += event.durationNs;
  }
  std::vector<KernelTotal> totals;
  for (auto &[name, total] : byName)
    totals.push_back(std::move(total));
  std::sort(totals.begin(), totals.end(),
            [](const KernelTotal &a, const KernelTotal &b) { return a.ns != b.ns ? a.ns > b.ns : a.name < b.name; });

  std::string table = "  share   total ms    calls    mean us     GB/s  kernel\n";
  for (size_t i = 0; i < std::min(rows, totals.size()); ++i) {
    const KernelTotal &total = totals[i];
    char line[128];
    std::snprintf(line, sizeof(line), "%6.1f%% %10.3f %8llu %10.2f %8.1f  ",
                  allNs ? 100.0 * double(total.ns) / double(allNs) : 0.0, double(total.ns) / 1e6,
                  static_cast<unsigned long long>(total.calls), double(total.ns) / 1e3 / double(total.calls),
                  total.ns ? double(total.readBytes) / double(total.ns) : 0.0);
    table += text(line, total.name, "\n");
  }
  return table;
}
