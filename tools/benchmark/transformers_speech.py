#!/usr/bin/env python3
"""Measures what a frame of speech costs in transformers, in bf16 at the published size with random weights.

Usage: transformers_speech.py FOLDER -o results.json    FOLDER is that of omni.py prepare; needs a CUDA device, PyTorch, transformers

The talker's own generate runs, called as the whole model calls it, with sampling as published but without an end of speech. Within it
each of the talker's steps and each of the code predictor's generations is timed between two synchronisations; a whole frame is timed
in runs without them. The vocoder decodes chunks as the whole model asks it to. Nothing is compiled, caches are as transformers makes them.
"""

import argparse
import functools
import json
import pathlib
import statistics
import time

import talker_reference
import torch
import transformers
from talker_reference import configurations, models

PROMPT_ROWS = 184  # with FRAMES behind them the talker's steps stand at 200 rows, give or take half of the frames
FRAMES = 32
VOCODER_FRAMES = 256
TEXT_ROWS = 24  # text behind the first token; later frames add the row for padding
RUNS = 3
SAMPLE_RATE_HZ = 24000
ATTENTIONS = ("sdpa", "eager")
SAMPLING = {"do_sample": True, "temperature": 0.9, "top_k": 50, "top_p": 1.0, "repetition_penalty": 1.05}


def milliseconds(function, *words, **named):
    torch.cuda.synchronize()
    begin = time.perf_counter()
    result = function(*words, **named)
    torch.cuda.synchronize()
    return 1e3 * (time.perf_counter() - begin), result


def timed(function, times):
    """The same function, which notes how long each call takes."""

    @functools.wraps(function)
    def call(*words, **named):
        took, result = milliseconds(function, *words, **named)
        times.append(took)
        return result

    return call


def build(folder):
    config = json.loads((folder / "config.json").read_text())
    talker_config = talker_reference.settled_talker(config["talker_config"])
    code2wav_config = configurations.Qwen3OmniMoeCode2WavConfig(**talker_reference.settle_rotary(config["code2wav_config"]))
    made = []
    with torch.device("cuda"):
        for kind, part in ((models.Qwen3OmniMoeTalkerForConditionalGeneration, talker_config), (models.Qwen3OmniMoeCode2Wav, code2wav_config)):
            made.append(kind._from_config(part, dtype=torch.bfloat16).eval())
    for parameter in (parameter for model in made for parameter in model.parameters()):
        parameter.data = parameter.data.to(torch.bfloat16)
    return *made, config


def speech(talker, config):
    """The call of the talker's generate that makes so many first codes; each but the last becomes a frame."""
    width, vocabulary = talker.config.text_config.hidden_size, talker.config.text_config.vocab_size
    with torch.device("cuda"):
        rows, text, pad = (0.02 * torch.randn(1, count, width, dtype=torch.bfloat16) for count in (PROMPT_ROWS, TEXT_ROWS, 1))
        words = {"inputs_embeds": rows, "trailing_text_hidden": text, "tts_pad_embed": pad,
                 "talker_input_ids": torch.full((1, PROMPT_ROWS), config["tts_pad_token_id"]),
                 "attention_mask": torch.ones(1, PROMPT_ROWS, dtype=torch.long)}
    words |= SAMPLING | {"eos_token_id": talker.config.codec_eos_token_id, "suppress_tokens": list(range(vocabulary - 1024, vocabulary)),
                         "output_hidden_states": True, "return_dict_in_generate": True}
    return lambda codes: talker.generate(max_new_tokens=codes, **words)


def measure(talker, code2wav, config):
    """Medians in milliseconds, of a frame each."""
    speak = speech(talker, config)
    speak(4)  # the first calls choose kernels
    frames = [(milliseconds(speak, FRAMES + 1)[0] - milliseconds(speak, 1)[0]) / FRAMES for _ in range(RUNS)]
    steps, predictions = [], []
    talker.forward, talker.code_predictor.generate = timed(talker.forward, steps), timed(talker.code_predictor.generate, predictions)
    hidden = speak(FRAMES + 1).hidden_states
    del talker.forward, talker.code_predictor.generate
    codes = torch.stack([states[-1] for states in hidden if states[-1] is not None], dim=1).transpose(1, 2)
    groups = config["talker_config"]["num_code_groups"]
    if codes.shape != (1, groups, FRAMES) or (len(steps), len(predictions)) != (FRAMES + 1, FRAMES):
        raise SystemExit(f"the talker made codes {list(codes.shape)} in {len(steps)} steps, expected {[1, groups, FRAMES]} in {FRAMES + 1}")
    codes = codes.repeat(1, 1, VOCODER_FRAMES // FRAMES)
    with torch.no_grad():
        vocoder = [milliseconds(code2wav.chunked_decode, codes)[0] / VOCODER_FRAMES for _ in range(RUNS + 1)][1:]
    row = {"talker_step_ms": steps[1:], "predictor_ms": predictions, "talker_and_predictor_ms": frames, "vocoder_ms": vocoder}
    row = {key: statistics.median(times) for key, times in row.items()}
    row["frame_ms"] = row["talker_and_predictor_ms"] + row["vocoder_ms"]
    row["real_time_factor"] = row["frame_ms"] / (1e3 * int(code2wav.total_upsample) / SAMPLE_RATE_HZ)
    return {key: round(value, 4) for key, value in row.items()}


def main(words=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("-o", dest="output", type=pathlib.Path, required=True)
    arguments = parser.parse_args(words)
    torch.manual_seed(1)
    talker, code2wav, config = build(arguments.folder)
    results = {"device": torch.cuda.get_device_name(), "transformers": transformers.__version__, "torch": torch.__version__, "dtype": "bfloat16",
               "experts": getattr(talker.config.text_config, "_experts_implementation", None), "prompt_rows": PROMPT_ROWS, "frames": FRAMES,
               "vocoder_frames": VOCODER_FRAMES, "attention": {}}
    for attention in ATTENTIONS:
        for module in (*talker.modules(), *code2wav.modules()):
            if hasattr(module, "config"):
                module.config._attn_implementation = attention
        results["attention"][attention] = measure(talker, code2wav, config)
        arguments.output.write_text(json.dumps(results, indent=1) + "\n")
        print(attention, json.dumps(results["attention"][attention]), flush=True)


if __name__ == "__main__":
    main()
