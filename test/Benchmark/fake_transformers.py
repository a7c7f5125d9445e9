"""Stands in for PyTorch and transformers where neither is: models whose calls take their time by a clock of their own."""

import sys
import types
from unittest import mock

MILLISECONDS = {"prefill": 50, "step": 2, "predictor": 5, "chunk": 256, "between": 1}


class Clock:
    now = 0.0

    def pass_by(self, what):
        self.now += MILLISECONDS[what] / 1e3


CLOCK = Clock()


class Predictor:
    def generate(self):
        CLOCK.pass_by("predictor")


class Talker:
    def __init__(self, lost=0):
        self.code_predictor, self.config, self.lost = Predictor(), mock.MagicMock(), lost
        self.config.text_config = types.SimpleNamespace(hidden_size=8, vocab_size=3072, _experts_implementation="of all")

    def forward(self, kind):
        CLOCK.pass_by(kind)

    def generate(self, max_new_tokens, **words):
        assert words["do_sample"] and 2150 in words["suppress_tokens"] and 2047 not in words["suppress_tokens"], words
        self.forward("prefill")
        for _ in range(max_new_tokens - 1 - self.lost):
            CLOCK.pass_by("between")
            self.code_predictor.generate()
            self.forward("step")
        return types.SimpleNamespace(hidden_states=[("states", None)] + (max_new_tokens - 1) * [("states", "codes")])

    def modules(self):
        return [self]


class Vocoder:
    total_upsample = 1920
    config = mock.MagicMock()

    def chunked_decode(self, codes):
        CLOCK.pass_by("chunk")

    def modules(self):
        return [self]


def install():
    """Makes them importable, and time theirs."""
    torch = mock.MagicMock(__version__="2")
    torch.cuda.get_device_name.return_value = "Fake"
    torch.stack.side_effect = lambda codes, dim: mock.MagicMock(
        **{"transpose.return_value": mock.MagicMock(shape=(1, 16, len(codes)), **{"repeat.return_value": "codes"})})
    transformers = mock.MagicMock(__version__="5")
    names = ("safetensors", "transformers.models", "transformers.models.qwen3_omni_moe")
    sys.modules.update({"torch": torch, "transformers": transformers, **{name: mock.MagicMock() for name in names}})
    return mock.patch("time.perf_counter", lambda: CLOCK.now)
