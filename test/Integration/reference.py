"""A plain text decoder in Python, dense or with experts, for shapes that no golden has. Slow, in double precision."""

import functools
import math

import safetensors


class Reference:
    def __init__(self, folder, config):
        self.config, self.weights = config, safetensors.read(folder / "model.safetensors")
        self.norm_eps, self.head_dim = config["rms_norm_eps"], config["head_dim"]

    @functools.cache
    def matrix(self, name):
        (rows, width), values = self.weights[name]
        return [values[row * width : (row + 1) * width] for row in range(rows)]

    def linear(self, name, x):
        rows = [dot(row, x) for row in self.matrix(name + ".weight")]
        return add(rows, self.weights[name + ".bias"][1]) if name + ".bias" in self.weights else rows

    def rms_norm(self, name, x):
        scale = 1 / math.sqrt(dot(x, x) / len(x) + self.norm_eps)
        return [value * scale * weight for value, weight in zip(x, self.weights[name + ".weight"][1])]

    def heads(self, x):
        return [x[i : i + self.head_dim] for i in range(0, len(x), self.head_dim)]

    def rope(self, x, position):
        half = self.head_dim // 2
        angles = [position * self.config["rope_theta"] ** (-i / half) for i in range(half)]
        first = [x[i] * math.cos(a) - x[i + half] * math.sin(a) for i, a in enumerate(angles)]
        return first + [x[i + half] * math.cos(a) + x[i] * math.sin(a) for i, a in enumerate(angles)]

    def attention(self, prefix, x, position, cache):
        query, key, value = (self.heads(self.linear(f"{prefix}.{name}_proj", x)) for name in "qkv")
        query = [self.rope(self.rms_norm(f"{prefix}.q_norm", head), position) for head in query]
        cache.append(([self.rope(self.rms_norm(f"{prefix}.k_norm", head), position) for head in key], value))
        rows = []
        for i, head in enumerate(query):
            group = i * len(key) // len(query)
            scores = softmax([dot(head, keys[group]) / math.sqrt(self.head_dim) for keys, _ in cache])
            rows += weighted_sum(scores, [values[group] for _, values in cache])
        return self.linear(f"{prefix}.o_proj", rows)

    def mlp(self, prefix, x):
        gate, up = self.linear(f"{prefix}.gate_proj", x), self.linear(f"{prefix}.up_proj", x)
        return self.linear(f"{prefix}.down_proj", [g / (1 + math.exp(-g)) * u for g, u in zip(gate, up)])

    def experts(self, prefix, x):
        chances = softmax(self.linear(f"{prefix}.gate", x))
        chosen = sorted(range(len(chances)), key=lambda i: -chances[i])[: self.config["num_experts_per_tok"]]
        total = sum(chances[i] for i in chosen) if self.config["norm_topk_prob"] else 1
        return weighted_sum([chances[i] / total for i in chosen], [self.mlp(f"{prefix}.experts.{i}", x) for i in chosen])

    @functools.cache
    def logits(self, ids):
        """The logits at each position of a tuple of ids, one list."""
        table = self.matrix("model.embed_tokens.weight")
        caches, logits = [[] for _ in range(self.config["num_hidden_layers"])], []
        for position, token in enumerate(ids):
            x = table[token]
            for layer, cache in enumerate(caches):
                prefix = f"model.layers.{layer}"
                x = add(x, self.attention(f"{prefix}.self_attn", self.rms_norm(f"{prefix}.input_layernorm", x), position, cache))
                block = self.experts if f"{prefix}.mlp.gate.weight" in self.weights else self.mlp
                x = add(x, block(f"{prefix}.mlp", self.rms_norm(f"{prefix}.post_attention_layernorm", x)))
            last = self.rms_norm("model.norm", x)
            logits += [dot(row, last) for row in (table if self.config["tie_word_embeddings"] else self.matrix("lm_head.weight"))]
        return logits


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def add(a, b):
    return [x + y for x, y in zip(a, b)]


def softmax(x):
    largest = max(x)
    exponentials = [math.exp(value - largest) for value in x]
    total = sum(exponentials)
    return [value / total for value in exponentials]


def weighted_sum(weights, rows):
    return [dot(weights, column) for column in zip(*rows)]
