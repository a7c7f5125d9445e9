"""Time per token against the bytes a token reads, with the read bandwidth as the line that nothing passes. Plain SVG."""

import collections
import html
import math

Point = collections.namedtuple("Point", "title format depth bytes seconds")

WIDTH, HEIGHT = 960, 600
LEFT, RIGHT, TOP, BOTTOM = 84, 40, 84, 64
FONT = 13
# Distinguishable for all kinds of colour vision, on white and on dark grey.
COLOURS = (("#0b6bcb", "#62b0ff"), ("#c4500b", "#ffa05c"), ("#0a8060", "#45cfa8"), ("#8e44ad", "#d79bee"))
SHAPES = ("circle", "square", "triangle")


def nice_ticks(low, high):
    """1, 2, 5 times powers of ten within the range; only powers where there would be many."""
    steps = (1, 2, 5) if high / low < 2e3 else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [s * 10.0**p for p in powers for s in steps if low <= s * 10.0**p <= high]


def size_text(size):
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:g} {unit}"
    return f"{size:g} B"


def time_text(seconds):
    for unit, factor in (("s", 1), ("ms", 1e-3)):
        if seconds >= factor * 0.999:
            return f"{seconds / factor:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def bandwidth_text(bytes_per_second):
    return f"{bytes_per_second / 1e12:.2f} TB/s" if bytes_per_second >= 1e12 else f"{bytes_per_second / 1e9:.4g} GB/s"


class Frame:
    """Logarithmic axes around all points, with the line across them."""

    def __init__(self, points, bandwidth):
        sizes, times = [p.bytes for p in points], [p.seconds for p in points]
        self.x0, self.x1 = min(sizes) / 1.7, max(sizes) * 2
        self.y0, self.y1 = min(min(times), self.x0 / bandwidth) / 1.3, max(max(times), self.x1 / bandwidth) * 1.6

    def x(self, size):
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(size / self.x0) / math.log(self.x1 / self.x0)

    def y(self, seconds):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * math.log(seconds / self.y0) / math.log(self.y1 / self.y0)


def text(x, y, content, kind="", anchor="start", extra=""):
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{extra}>{html.escape(content)}</text>'


def style(count):
    """Light by default, dark where the reader's system is and the program that shows the picture asks for it."""
    light = "".join(f".c{i}{{fill:{COLOURS[i % len(COLOURS)][0]};stroke:{COLOURS[i % len(COLOURS)][0]}}}" for i in range(count))
    light += "".join(f".t{i}{{fill:{COLOURS[i % len(COLOURS)][0]}}}" for i in range(count))
    dark = "".join(f".c{i}{{fill:{COLOURS[i % len(COLOURS)][1]};stroke:{COLOURS[i % len(COLOURS)][1]}}}" for i in range(count))
    dark += "".join(f".t{i}{{fill:{COLOURS[i % len(COLOURS)][1]}}}" for i in range(count))
    return (f"text{{font:{FONT}px system-ui,sans-serif;fill:#24292f}}.title{{font-size:17px;font-weight:600}}.quiet{{fill:#57606a}}"
            ".grid{stroke:#8c959f;stroke-opacity:.25}.axis{stroke:#8c959f}.page{fill:#ffffff}.roof{stroke:#57606a;stroke-width:2;fill:none}"
            ".below{fill:#8c959f;fill-opacity:.12}.leader{stroke:#8c959f}.mark{stroke-width:2}.hollow{fill-opacity:0}" + light +
            "@media(prefers-color-scheme:dark){.page{fill:#161b22}text{fill:#e6edf3}.quiet{fill:#9da7b1}.roof{stroke:#9da7b1}" + dark + "}")


def marker(shape, x, y, kind):
    r = 5.5
    if shape == "circle":
        return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{r}"/>'
    if shape == "square":
        return f'<rect class="{kind}" x="{x - r:.1f}" y="{y - r:.1f}" width="{2 * r}" height="{2 * r}"/>'
    return f'<path class="{kind}" d="M{x:.1f} {y - 6.5:.1f}L{x + 6.5:.1f} {y + 5:.1f}L{x - 6.5:.1f} {y + 5:.1f}Z"/>'


def overlap(a, b):
    """Area that two boxes (left, top, right, bottom) share."""
    return max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))


def roof_overlap(box, frame, bandwidth):
    """How much of a label lies below the line or across it."""
    return sum(max(0, box[3] - frame.y(frame.x0 * (frame.x1 / frame.x0) ** ((x - LEFT) / (WIDTH - LEFT - RIGHT)) / bandwidth) + 4)
               for x in (box[0], box[2])) * 10


def nearest(spot, box):
    """The place on a box that is next to a spot."""
    return min(max(spot[0], box[0]), box[2]), min(max(spot[1], box[1]), box[3])


def leader(spot, box):
    """What the line between a point and its label covers."""
    x, y = nearest(spot, box)
    return min(x, spot[0]) - 1, min(y, spot[1]) - 1, max(x, spot[0]) + 1, max(y, spot[1]) + 1


def place_labels(labels, spots, frame, bandwidth):
    """A box for each label: beside its point where there is room, else further off."""
    marks = [(x - 10, y - 10, x + 10, y + 10) for x, y in spots]
    taken, boxes = [], []
    for index, (label, (x, y)) in enumerate(zip(labels, spots)):
        others = taken + marks[:index] + marks[index + 1 :]
        width, best = 0.6 * FONT * len(label), None
        for distance in (12, 24, 40, 60, 84, 112):
            for dx, dy in ((1, 0), (-1, 0), (0, -1), (1, -0.8), (-1, -0.8), (0, 1), (1, 0.8), (-1, 0.8)):
                left = x + dx * distance - (width if dx < 0 else 0 if dx > 0 else width / 2)
                middle = y + dy * (distance + 4)
                box = (left, middle - 9, left + width, middle + 9)
                inside = box[0] > LEFT + 2 and box[2] < WIDTH - 4 and box[1] > TOP and box[3] < HEIGHT - BOTTOM - 2
                near = [i for i, (px, py) in enumerate(spots) if box[0] - 22 < px < box[2] + 22 and box[1] - 6 < py < box[3] + 6]
                doubt = 60 * sum(spots[i] != (x, y) for i in near)  # a label must not seem to belong to another point
                cost = sum(overlap(box, other) + 20 * overlap(leader((x, y), box), other) for other in others)
                cost += doubt + roof_overlap(box, frame, bandwidth) + distance + (0 if inside else 1e5)
                if best is None or cost < best[0]:
                    best = (cost, box)
        boxes.append(best[1])
        taken += [best[1], leader((x, y), best[1])]
    return boxes


def axes(frame):
    parts = []
    for size in nice_ticks(frame.x0, frame.x1):
        x = frame.x(size)
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(text(x, HEIGHT - BOTTOM + 20, size_text(size), "quiet", "middle"))
    for seconds in nice_ticks(frame.y0, frame.y1):
        y = frame.y(seconds)
        parts.append(f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>')
        parts.append(text(LEFT - 10, y + 4, time_text(seconds), "quiet", "end"))
    parts.append(f'<path class="axis" fill="none" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>')
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 18, "bytes read per token (weights and KV cache)", "quiet", "middle"))
    return parts


def roof(frame, bandwidth):
    """The line and the area below it, where nothing can be."""
    x0, x1 = frame.x(frame.x0), frame.x(frame.x1)
    y0, y1 = frame.y(frame.x0 / bandwidth), frame.y(frame.x1 / bandwidth)
    angle = math.degrees(math.atan2(y1 - y0, x1 - x0))
    at = 0.72
    x, y = x0 + at * (x1 - x0), y0 + at * (y1 - y0) + 22
    return [f'<path class="below" d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}V{HEIGHT - BOTTOM}H{x0:.1f}Z"/>',
            f'<path class="roof" d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}"/>',
            text(x, y, f"read bandwidth, {bandwidth_text(bandwidth)}", "quiet", "middle", f' transform="rotate({angle:.1f} {x:.1f} {y:.1f})"')]


def legend(titles, formats):
    parts, x = [], LEFT
    for i, title in enumerate(titles):
        parts += [f'<rect class="c{i}" x="{x}" y="50" width="12" height="12" rx="2"/>', text(x + 18, 61, title)]
        x += 18 + 0.58 * FONT * len(title) + 24
    for i, form in enumerate(formats):
        parts += [marker(SHAPES[i % len(SHAPES)], x + 6, 56, "quiet"), text(x + 18, 61, form)]
        x += 18 + 0.58 * FONT * len(form) + 20
    parts.append(text(x, 61, "hollow: behind a history", "quiet"))
    return parts


def draw(points, bandwidth, device=""):
    """The plot as SVG. The bandwidth is in bytes per second."""
    frame = Frame(points, bandwidth)
    titles, formats = list(dict.fromkeys(p.title for p in points)), list(dict.fromkeys(p.format for p in points))
    spots = [(frame.x(p.bytes), frame.y(p.seconds)) for p in points]
    labels = [f"{p.format}{f' @{p.depth}' if p.depth else ''} · {100 * p.bytes / bandwidth / p.seconds:.0f} %" for p in points]
    boxes = place_labels(labels, spots, frame, bandwidth)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img">',
             f"<title>{html.escape('Time per token against bytes per token, ' + device)}</title>", f"<style>{style(len(titles))}</style>",
             f'<rect class="page" width="{WIDTH}" height="{HEIGHT}" rx="8"/>',
             text(LEFT, 30, "Decode: time per token" + (f", {device}" if device else ""), "title")]
    parts += legend(titles, formats) + axes(frame) + roof(frame, bandwidth)
    for box, (x, y) in zip(boxes, spots):
        near = nearest((x, y), box)
        if math.dist((x, y), near) > 16:
            parts.append(f'<line class="leader" x1="{x:.1f}" y1="{y:.1f}" x2="{near[0]:.1f}" y2="{near[1]:.1f}"/>')
    for p, label, box, (x, y) in zip(points, labels, boxes, spots):
        kind = f"mark c{titles.index(p.title)}" + (" hollow" if p.depth else "")
        hint = f"{p.title} {p.format}, depth {p.depth}: {p.bytes / 1e9:.2f} GB, {time_text(p.seconds)}, {1 / p.seconds:.0f} tokens/s"
        parts.append(f"<g><title>{html.escape(hint)}</title>{marker(SHAPES[formats.index(p.format) % len(SHAPES)], x, y, kind)}</g>")
        parts.append(text(box[0], (box[1] + box[3]) / 2 + 4, label, f"t{titles.index(p.title)}"))
    return "\n".join(parts + ["</svg>"]) + "\n"
