"""The encoder of sound in plain Python on plain chunks, for shapes small enough to wait for.

Convolves each padded chunk as an image and drops the columns behind its tokens, without tables of taps.
"""

import math

import safetensors

PREFIX = "thinker.audio_tower."


def halved(extent):
    return (extent - 1) // 2 + 1


def gelu(x):
    return x / 2 * (1 + math.erf(x / math.sqrt(2)))


def dot(a, b):
    return math.fsum(x * y for x, y in zip(a, b))


class Reference:
    def __init__(self, folder, config):
        self.config = config
        self.tensors = safetensors.read(folder / "model.safetensors")

    def vector(self, name):
        return self.tensors[PREFIX + name][1]

    def linear(self, x, name, bias=True):
        (rows, width), values = self.tensors[PREFIX + name + ".weight"]
        weight = [values[r * width : (r + 1) * width] for r in range(rows)]
        add = self.vector(name + ".bias") if bias else [0] * rows
        return [[dot(row, weight[n]) + add[n] for n in range(rows)] for row in x]

    def norm(self, x, name):
        weight, bias = self.vector(name + ".weight"), self.vector(name + ".bias")
        result = []
        for row in x:
            mean = math.fsum(row) / len(row)
            scale = 1 / math.sqrt(math.fsum((v - mean) ** 2 for v in row) / len(row) + 1e-5)
            result.append([(v - mean) * scale * w + b for v, w, b in zip(row, weight, bias)])
        return result

    def convolution(self, image, name):
        """image[channel][bin][column]"""
        (outputs, inputs, _, _), weight = self.tensors[PREFIX + name + ".weight"]
        bias, bins, columns = self.vector(name + ".bias"), len(image[0]), len(image[0][0])

        def at(n, b, t):
            total = bias[n]
            for c in range(inputs):
                for j in range(3):
                    for i in range(3):
                        y, x = 2 * b + j - 1, 2 * t + i - 1
                        if 0 <= y < bins and 0 <= x < columns:
                            total += weight[((n * inputs + c) * 3 + j) * 3 + i] * image[c][y][x]
            return gelu(total)

        return [[[at(n, b, t) for t in range(halved(columns))] for b in range(halved(bins))] for n in range(outputs)]

    def chunk(self, frames, width):
        """Rows of the tokens of one chunk, whose frames are padded to `width`."""
        bins, tokens = len(frames[0]), halved(halved(halved(len(frames))))
        frames = frames + [[0.0] * bins] * (width - len(frames))
        image = [[[frame[b] for frame in frames] for b in range(bins)]]
        for name in ("conv2d1", "conv2d2", "conv2d3"):
            image = self.convolution(image, name)
        columns = [[v for channel in image for v in (row[t] for row in channel)] for t in range(tokens)]
        rows = self.linear(columns, "conv_out", bias=False)
        half = len(rows[0]) // 2
        for t, row in enumerate(rows):
            for c in range(half):
                angle = t * math.exp(-c * math.log(10000) / (half - 1))
                row[c] += math.sin(angle)
                row[half + c] += math.cos(angle)
        return rows

    def attention(self, x, layer):
        q, k, v = (self.linear(x, f"{layer}.self_attn.{name}_proj") for name in "qkv")
        heads = self.config["encoder_attention_heads"]
        dim = len(x[0]) // heads
        result = [[0.0] * len(x[0]) for _ in x]
        for first in range(0, len(x[0]), dim):
            part = slice(first, first + dim)
            for r, row in enumerate(q):
                scores = [dot(row[part], key[part]) / math.sqrt(dim) for key in k]
                largest = max(scores)
                weights = [math.exp(score - largest) for score in scores]
                for d in range(first, first + dim):
                    result[r][d] = dot(weights, [value[d] for value in v]) / math.fsum(weights)
        return self.linear(result, f"{layer}.self_attn.out_proj")

    def window(self, x):
        for index in range(self.config["encoder_layers"]):
            layer = f"layers.{index}"
            y = self.attention(self.norm(x, f"{layer}.self_attn_layer_norm"), layer)
            x = [[a + b for a, b in zip(*rows)] for rows in zip(x, y)]
            y = self.linear(self.norm(x, f"{layer}.final_layer_norm"), f"{layer}.fc1")
            y = self.linear([[gelu(v) for v in row] for row in y], f"{layer}.fc2")
            x = [[a + b for a, b in zip(*rows)] for rows in zip(x, y)]
        y = self.linear(self.norm(x, "ln_post"), "proj1")
        return self.linear([[gelu(v) for v in row] for row in y], "proj2")

    def rows(self, clips):
        """The encoder's rows, flat, for clips[clip][frame][bin] of one call."""
        chunk = 2 * self.config["n_window"]
        width = min(chunk, max(len(clip) for clip in clips))
        chunks_of_window = self.config["n_window_infer"] // chunk
        result = []
        for clip in clips:
            chunks = [self.chunk(clip[first : first + chunk], width) for first in range(0, len(clip), chunk)]
            for first in range(0, len(chunks), chunks_of_window):
                window = [row for part in chunks[first : first + chunks_of_window] for row in part]
                result.extend(v for row in self.window(window) for v in row)
        return result
