#!/usr/bin/env python3
"""Tables and the roofline plot of a results.json that run.py wrote.

Usage: report.py results.json [--markdown FILE] [--svg FILE] [--peers FILE]

Without --markdown the tables go to standard output. A FILE with the two lines BEGIN and END (below) keeps the rest of its text; any
other FILE is written whole. Other engines have columns only where the device is of the kind that they were measured on.
"""

import argparse
import json
import pathlib
import statistics
import sys

import roofline

HERE = pathlib.Path(__file__).resolve().parent
BEGIN, END = "<!-- benchmark: begin -->", "<!-- benchmark: end -->"
NONE = "-"


def number(value, digits=0):
    return NONE if value is None else f"{value:,.{digits}f}"


def rate(value):
    """Tokens per second with three digits or more."""
    return number(value, 0 if value is None or value >= 100 else 1)


def as_written(value):
    """A number of another engine, with no more digits than it was given with."""
    return NONE if value is None else f"{value:,}"


def item_parts(item):
    """'tg128@4096' -> ('tg', 128, 4096)."""
    tokens, _, depth = item[2:].partition("@")
    return item[:2], int(tokens), int(depth or 0)


def items_of(record):
    """Item -> measurement, of the bench and the long bench of a model and format."""
    items = {}
    for part in ("long", "bench"):
        items.update(record.get(part, {}).get("items", {}))
    return items


def measured(record, kind, size):
    """The measurement of a decode depth ('tg') or a prefill length ('pp')."""
    for item, result in items_of(record).items():
        found, tokens, depth = item_parts(item)
        if found == kind and result.get("runs") and (depth == size if kind == "tg" else tokens == size and not depth):
            return result
    return None


def share(result):
    """Median share of the read bandwidth, in percent."""
    shares = [run["share_percent"] for run in result["runs"] if "share_percent" in run] if result else []
    return statistics.median(shares) if shares else None


def sizes(results, kind):
    """All depths or lengths that were measured, ascending."""
    found = set()
    for _, _, record in rows(results):
        for item in items_of(record):
            part, tokens, depth = item_parts(item)
            if part == kind:
                found.add(depth if kind == "tg" else tokens)
    return sorted(found)


def rows(results):
    for name, model in results["models"].items():
        for form, record in model["formats"].items():
            yield (name, model), form, record


def markdown_table(header, lines):
    text = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(text + ["| " + " | ".join(line) + " |" for line in lines])


class Peers:
    """What other engines reached on the same kind of card; empty for another card."""

    def __init__(self, path, device):
        data = json.loads(path.read_text()) if path else {}
        applies = device and data.get("device", "").lower() in device.get("name", "").lower()
        self.engines = data.get("engines", []) if data and applies else []
        self.where = data.get("where", "") if self.engines else ""
        self.measurements = data.get("measurements", []) if self.engines else []

    def engines_with(self, key):
        return [engine for engine in self.engines if any(m["engine"] == engine and key in m for m in self.measurements)]

    def cell(self, model, form, engine, show):
        """What an engine reached, one value for each kind of weights it has."""
        parts = []
        for m in self.measurements:
            if (m["model"], m["format"], m["engine"]) == (model, form, engine) and (text := show(m)):
                parts.append(f"{text} ({m['weights']})" if "weights" in m else text)
        return "; ".join(parts) or NONE


def decode_table(results, peers):
    depths, engines = sizes(results, "tg"), peers.engines_with("decode")
    compared = [depth for depth in depths if any(str(depth) in m.get("decode", {}) for m in peers.measurements)]
    header = ["model", "weights"] + [f"depth {depth:,} (share)" for depth in depths]
    sampled = sorted({item for _, _, record in rows(results) for item in record.get("sampled", {}).get("items", ())})
    header += [f"depth {item_parts(item)[2]:,}, sampled" for item in sampled]
    header += [f"{engine}, {' / '.join(f'{d:,}' for d in compared)}" for engine in engines]
    lines = []
    for (name, model), form, record in rows(results):
        line = [model["title"], form]
        for depth in depths:
            result = measured(record, "tg", depth)
            part = share(result)
            line.append(rate(result["tokens_per_second"] if result else None) + (f" ({part:.0f} %)" if part is not None else ""))
        line += [rate(record.get("sampled", {}).get("items", {}).get(item, {}).get("tokens_per_second")) for item in sampled]

        def show(m):
            plain = " / ".join(as_written(m["decode"].get(str(d))) for d in compared) if "decode" in m else ""
            return plain + (f", greedy {as_written(m['greedy']['0'])}" if plain and "greedy" in m else "")

        lines.append(line + [peers.cell(name, form, engine, show) for engine in engines])
    return markdown_table(header, lines)


def prefill_table(results, peers):
    lengths, engines = sizes(results, "pp"), peers.engines_with("prefill")
    header = ["model", "weights"] + [f"{length:,} tokens" for length in lengths] + [f"{engine}, 512" for engine in engines]
    lines = []
    for (name, model), form, record in rows(results):
        found = [measured(record, "pp", length) for length in lengths]
        line = [model["title"], form] + [rate(result["tokens_per_second"] if result else None) for result in found]
        show = lambda m: as_written(m["prefill"].get("512")) if "prefill" in m else ""
        lines.append(line + [peers.cell(name, form, engine, show) for engine in engines])
    return markdown_table(header, lines)


def processes_of(record):
    """Statistics of all processes of a model and format that loaded the standard plan."""
    return record.get("generate", {}).get("runs", []) + record.get("bench", {}).get("processes", [])


def loads_of(record):
    """Those that found their pipelines compiled: compiling takes processors from loading. All where none did."""
    processes = processes_of(record)
    return [p for p in processes if p.get("pipeline_cache") == "warm"] or processes


def median_of(processes, key, cache=None):
    values = [p[key] for p in processes if key in p and (cache is None or p.get("pipeline_cache") == cache)]
    return statistics.median(values) if values else None


def load_table(results, peers):
    engines = peers.engines_with("load_s")
    header = ["model", "weights", "loaded GB", "GB/s", "weights s", "path", "anonymous host MB", "pipelines cold ms", "warm ms", "first token ms",
              "empty program ms"] + [f"{engine}, load s" for engine in engines]
    lines = []
    scaled = lambda value, factor: None if value is None else value * factor
    for (name, model), form, record in rows(results):
        processes, loads, start = processes_of(record), loads_of(record), record.get("start", {})
        paths = sorted({p["upload"] for p in loads if "upload" in p})
        lines.append([
            model["title"], form, number(scaled(median_of(loads, "weight_bytes"), 1e-9), 2), number(median_of(loads, "weight_gbs"), 1),
            number(scaled(median_of(loads, "weight_ms"), 1e-3), 2), ", ".join(paths) or NONE,
            number(scaled(median_of(loads, "host_anonymous_bytes"), 1e-6)), number(median_of(processes, "pipeline_ms", "cold")),
            number(median_of(processes, "pipeline_ms", "warm")), number(scaled(start.get("first_token_s"), 1e3)),
            number(scaled(start.get("empty_program_s"), 1e3))]
            + [peers.cell(name, form, engine, lambda m: as_written(m["load_s"]) if "load_s" in m else "") for engine in engines])
    return markdown_table(header, lines)


def results_table(results):
    lines = []
    for (_, model), form, record in rows(results):
        run = record.get("generate", {})
        if "ids_hash" in run:
            same = {True: "yes", False: "NO"}[run["identical"]] if len(run["runs"]) > 1 else NONE
            lines.append([model["title"], form, f"`{run['ids_hash'][:16]}`", f"`{run['logits_hash'][:16]}`", same])
    return markdown_table(["model", "weights", "greedy ids", "bits of the logits", "same in both processes"], lines)


def experts_lines(results):
    for (_, model), form, record in rows(results):
        run = record.get("experts", {})
        if "per_layer" in run:
            yield (f"{model['title']}, {form}: a prefill of {run['tokens']} tokens touches at least {run['min']} and in the median "
                   f"{run['median']:g} of {run['experts']} experts of a layer, over {len(run['per_layer'])} layers.")


def bandwidth_gbs(results):
    """Median of what the plain reading kernel reached; None if nothing was measured."""
    values = [run["read_bandwidth_gbs"] for _, _, record in rows(results) for item in items_of(record).values() for run in item["runs"]
              if "read_bandwidth_gbs" in run]
    return statistics.median(values) if values else None


def heading(results):
    device = results.get("device") or {}
    text = f"{device.get('name', 'unknown device')}, {device.get('driver', 'unknown driver')}; {results['date'][:10]}"
    if results.get("revision"):
        text += f"; revision {results['revision']}"
    text += f"; target {results.get('target')}"
    ceiling = bandwidth_gbs(results)
    return text + (f"; read bandwidth {ceiling:,.0f} GB/s." if ceiling else ".")


def markdown(results, peers):
    parts = [heading(results), "Decode, tokens/s, greedy sampling on the device included; share of the read bandwidth, counting weights and KV cache:",
             decode_table(results, peers), "Prefill, tokens/s:", prefill_table(results, peers), "Load and start:", load_table(results, peers)]
    parts += list(experts_lines(results))
    parts += ["Fingerprints of a fixed greedy generation:", results_table(results)]
    if peers.where:
        parts.append(peers.where)
    if results["errors"]:
        parts.append("Not measured:\n" + "\n".join(f"- `{error['item']}`: {error['message']}" for error in results["errors"]))
    return "\n\n".join(parts) + "\n"


def points(results):
    """(label, model, format, depth, bytes per token, seconds per token) of each decode measurement."""
    for (_, model), form, record in rows(results):
        for item, result in items_of(record).items():
            kind, tokens, depth = item_parts(item)
            if kind != "tg" or not result.get("runs"):
                continue
            seconds = statistics.median(run["ms"] for run in result["runs"]) / 1e3
            size = statistics.median(run["gbs"] * 1e9 * run["ms"] / 1e3 for run in result["runs"])
            if seconds > 0 and size > 0:
                yield roofline.Point(model["title"], form, depth, size / tokens, seconds / tokens)


def write_section(path, text):
    """Replaces what stands between BEGIN and END, or writes the file."""
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    before, begin, rest = old.partition(BEGIN)
    _, end, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}" if begin and end else text, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description="Tables and roofline plot of a results.json.")
    parser.add_argument("results", type=pathlib.Path)
    parser.add_argument("--markdown", type=pathlib.Path, metavar="FILE", help=f"file to write, or to fill between '{BEGIN}' and '{END}'")
    parser.add_argument("--svg", type=pathlib.Path, metavar="FILE", help="where the roofline plot goes")
    parser.add_argument("--peers", type=pathlib.Path, default=HERE / "peers.json", help="other engines (default: peers.json here)")
    options = parser.parse_args()
    try:
        results = json.loads(options.results.read_text())
        assert results["format"] == 1
    except (OSError, ValueError, KeyError, TypeError, AssertionError):
        print(f"report.py: error: '{options.results}' is no results.json of format 1, expected one, run run.py", file=sys.stderr)
        return 1
    text = markdown(results, Peers(options.peers, results.get("device")))
    if options.markdown:
        write_section(options.markdown, text)
    else:
        print(text, end="")
    if options.svg:
        ceiling = bandwidth_gbs(results)
        found = list(points(results))
        if not found or not ceiling:
            print("report.py: error: no decode measurement with a read bandwidth, expected at least one to plot, run the bench items", file=sys.stderr)
            return 1
        options.svg.write_text(roofline.draw(found, ceiling * 1e9, (results.get("device") or {}).get("name", "")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
