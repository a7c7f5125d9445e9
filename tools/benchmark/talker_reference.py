"""The talker and code predictor of transformers in float32, fed with the codes of a run of qwenrt.

Teacher forced: the rows that the talker reads are made of the codes that qwenrt chose, and go through the reference in chunks, its own
keys and values behind them. The code predictor sees all codes of a frame at once, behind the reference's own state of the talker.

Router flips are dealt with as router_flips.py says: the reference is made to choose as qwenrt did.
"""

import json
import pathlib

import router_flips
import torch
import transformers
from safetensors import safe_open
from transformers import DynamicCache
from transformers.models.qwen3_omni_moe import configuration_qwen3_omni_moe as configurations
from transformers.models.qwen3_omni_moe import modeling_qwen3_omni_moe as models

CHUNK = 512
WINDOW = 64  # frames at the beginning and at the end
DRIFT = 500  # frames that a line of the drift sums up


def settle_rotary(config):
    """A part of the configuration with the rotary settings where transformers 5 has them."""
    kept = {key: value for key, value in config.items() if key not in ("rope_scaling", "rope_theta", "layer_types")}
    scaling = {key: value for key, value in (config.get("rope_scaling") or {}).items() if key != "type"}
    return {**kept, "rope_parameters": {**scaling, "rope_type": "default", "rope_theta": config["rope_theta"]}}


def settled_talker(parts):
    """The configuration of the talker, of what config.json says about it."""
    inner = {part: settle_rotary(parts[part]) for part in ("text_config", "code_predictor_config")}
    config = configurations.Qwen3OmniMoeTalkerConfig(**{**parts, **inner})
    config.spatial_merge_size = parts.get("spatial_merge_size", 2)
    return config


def relative(got, want):
    """Relative L2 along the last dimension."""
    return (got - want).norm(dim=-1) / want.norm(dim=-1)


class Router:
    """Stands behind the gate of a layer: keeps the margins, and exchanges experts where it is told to."""

    def __init__(self, gate, layer, config):
        self.layer, self.count, self.norm = layer, config["num_experts_per_tok"], config["norm_topk_prob"]
        self.exchange, self.margins = [], None
        gate.register_forward_hook(self.route)

    def route(self, _module, _inputs, output):
        logits = output[0]
        chances = logits.float().softmax(-1)
        best = chances.topk(self.count + 1, dim=-1)
        self.margins = best.values[:, -2] - best.values[:, -1]
        chosen = best.indices[:, :-1].clone()
        if self.exchange:
            chosen[self.exchange, -1] = best.indices[self.exchange, -1]
        weights = chances.gather(-1, chosen)
        if self.norm:
            weights = weights / weights.sum(-1, keepdim=True)
        if output[1].shape != weights.shape or output[2].shape != chosen.shape:
            raise SystemExit(f"the router of transformers {transformers.__version__} returns {[o.shape for o in output]}, expected logits, weights, indices")
        return (logits, weights.to(output[1].dtype), chosen.to(output[2].dtype))


class Reference:
    def __init__(self, folder, device):
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        torch.set_float32_matmul_precision("highest")
        torch.set_grad_enabled(False)
        self.device = torch.device(device)
        self.config = json.loads((pathlib.Path(folder) / "config.json").read_text())
        self.talker_config = self.config["talker_config"]
        self.talker = self.build()
        self.embedding = self.load(pathlib.Path(folder))
        text = self.talker_config["text_config"]
        self.routers = [Router(layer.mlp.gate, i, text) for i, layer in enumerate(self.talker.model.layers)]

    def versions(self):
        name = torch.cuda.get_device_name() if self.device.type == "cuda" else "cpu"
        return {"transformers": transformers.__version__, "torch": torch.__version__, "device": name, "dtype": "float32, TF32 off"}

    def build(self):
        with self.device:
            talker = models.Qwen3OmniMoeTalkerForConditionalGeneration._from_config(settled_talker(self.talker_config)).float().eval()
        for module in talker.modules():  # plain matrix products, in the order of the formulas
            if hasattr(module, "config"):
                module.config._attn_implementation = "eager"
                module.config._experts_implementation = "eager"
        return talker.to(self.device)

    def load(self, folder):
        """Fills the model; returns the thinker's embeddings, which stay on the host."""
        parameters, filled, embedding = dict(self.talker.named_parameters()), set(), None
        middle = self.talker_config["text_config"]["moe_intermediate_size"]
        for path in sorted(folder.glob("*.safetensors")):
            with safe_open(path, "pt") as file:
                for name in file.keys():
                    if name == "thinker.model.embed_tokens.weight":
                        embedding = file.get_tensor(name)
                    if not name.startswith("talker."):
                        continue
                    name, values = name.removeprefix("talker."), file.get_tensor(name).to(self.device).float()
                    if ".experts." in name and name not in parameters:
                        layer, rest = name.split(".experts.")
                        expert, kind, _ = rest.split(".")
                        packed = layer + (".experts.down_proj" if kind == "down_proj" else ".experts.gate_up_proj")
                        target = parameters[packed][int(expert)]
                        target = {"gate_proj": target[:middle], "up_proj": target[middle:], "down_proj": target}[kind]
                        filled.add(packed)
                    else:
                        target = parameters[name]
                        filled.add(name)
                    if target.shape != values.shape:
                        raise SystemExit(f"{name} is {list(values.shape)}, the model has {list(target.shape)}")
                    target.copy_(values)
        missing = [name for name in parameters if name not in filled]
        if missing or embedding is None:
            raise SystemExit(f"the checkpoint has no {(missing or ['thinker.model.embed_tokens.weight'])[:5]}")
        return embedding

    def text(self, ids):
        rows = self.embedding[torch.tensor(ids)].to(self.device).float()
        return self.talker.text_projection(rows)

    def code(self, ids):
        return self.talker.model.codec_embedding(torch.tensor(ids, device=self.device))

    def prompt(self, ids, new_ids, speaker):
        """The rows of the talker's prompt, and those of the text behind it, of which the last repeats."""
        config, talker = self.config, self.talker_config
        starts = [i for i, token in enumerate(ids) if token == config["im_start_token_id"]]
        turns = [ids[begin:end] for begin, end in zip(starts, starts[1:] + [len(ids)])]
        users = [token for turn in turns if turn[1] == config["user_token_id"] for token in turn]
        said = turns[-1] + new_ids[:-1]
        pad, bos, eos = (config[f"tts_{name}_token_id"] for name in ("pad", "bos", "eos"))
        rows = self.text(users + said[:3] + 4 * [pad] + [bos, said[3]])
        names = ("codec_nothink_id", "codec_think_bos_id", "codec_think_eos_id")
        rows[-6:] += self.code([talker[name] for name in names] + [talker["speaker_id"][speaker], talker["codec_pad_id"], talker["codec_bos_id"]])
        return rows, self.text(said[4:] + [eos, pad])

    def step_rows(self, codes, text):
        """What the talker reads behind each frame."""
        rows = self.talker.model.codec_embedding(codes[:, 0])
        for group, table in enumerate(self.talker.code_predictor.model.codec_embedding, start=1):
            rows = rows + table(codes[:, group])
        return rows + text[torch.arange(len(codes), device=self.device).clamp(max=len(text) - 1)]

    def decode(self, rows, cache, first, exchanged):
        """States and logits of a chunk of rows, of which the first stands at `first`; margins, of each row those of
        all layers."""
        for router in self.routers:
            router.exchange = [place - first for place in range(first, first + len(rows)) if (place, router.layer) in exchanged]
        states = self.talker.model(inputs_embeds=rows[None], past_key_values=cache, use_cache=True).last_hidden_state[0]
        return states, self.talker.codec_head(states), torch.stack([router.margins for router in self.routers], dim=1).tolist()

    def follow(self, rows, opening, ours):
        """The talker over all rows; frame t is chosen from row opening + t. Returns states and logits of the frames, and the flips."""
        exchanged, states, logits, unexplained, beyond, runs = {}, [], [], [], 0, 0
        for first in range(0, len(rows), CHUNK):
            part, search = rows[first : first + CHUNK], router_flips.Search(exchanged)
            while True:
                if not first:
                    cache = DynamicCache()
                elif (more := cache.get_seq_length() - first) > 0:
                    cache.crop(-more)
                state, logit, margins = self.decode(part, cache, first, exchanged)
                runs += 1
                skipped = max(opening - first, 0)
                frames = slice(first + skipped - opening, first + len(part) - opening)
                errors = relative(logit[skipped:], ours[frames]).tolist() if frames.stop > 0 else []
                places = range(first + skipped, first + len(part))
                if not search.step(dict(zip(places, errors)), dict(zip(places, margins[skipped:]))):
                    break
            beyond += search.beyond
            states.append(state[skipped:])
            logits.append(logit[skipped:])
            unexplained += [{"frame": place - opening, "error": error} for place, error in search.unexplained.items()]
        flips = [{"frame": place - opening, "layer": layer, "margin": margin} for (place, layer), margin in sorted(exchanged.items())]
        return torch.cat(states), torch.cat(logits), flips, unexplained, beyond, runs

    def predict(self, states, codes):
        """Logits of groups 1 and on, [frames, groups - 1, codes]."""
        predictor, batches = self.talker.code_predictor, []
        for first in range(0, len(codes), CHUNK):
            part = codes[first : first + CHUNK]
            tables = [self.talker.model.codec_embedding, *predictor.model.codec_embedding]
            rows = [states[first : first + CHUNK]] + [tables[group](part[:, group]) for group in range(codes.shape[1] - 1)]
            hidden = predictor.model(inputs_embeds=torch.stack(rows, dim=1), use_cache=False).last_hidden_state
            batches.append(torch.stack([head(hidden[:, i + 1]) for i, head in enumerate(predictor.lm_head)], dim=1))
        return torch.cat(batches)

    def scores(self, logits, codes, penalty):
        """What the first codes are chosen from: every code chosen before is penalised, special ones but the end are not allowed."""
        chosen = torch.nn.functional.one_hot(codes[:, 0], logits.shape[1])
        before = (chosen.cumsum(0) - chosen) > 0
        scores = torch.where(before, torch.where(logits > 0, logits / penalty, logits * penalty), logits)
        end = self.talker_config["codec_eos_token_id"]
        kept = scores[:, end].clone()
        scores[:, -1024:] = -torch.inf
        scores[:, end] = kept
        return scores

    def compare(self, ids, new_ids, speaker, path, penalty):
        with safe_open(path, "pt") as file:
            ours = {name: file.get_tensor(name).to(self.device) for name in file.keys()}
        codes = ours["codes"].long()
        prompt, text = self.prompt(ids, new_ids, speaker)
        rows = torch.cat([prompt, self.step_rows(codes, text)[:-1]])
        states, talker, flips, unexplained, beyond, runs = self.follow(rows, len(prompt) - 1, ours["talker"])
        predictor = self.predict(states, codes)
        result = {"frames": len(codes), "prompt_rows": len(prompt), "end_tokens": int((codes[:, 0] == self.talker_config["codec_eos_token_id"]).sum()),
                  "rows_beyond_bound": beyond, "router_flips": len(flips), "unexplained": len(unexplained), "unexplained_rows": unexplained[:50],
                  "passes": runs}
        parts = {"talker": (ours["talker"][:, None], talker[:, None]), "predictor": (ours["predictor"], predictor)}
        whole = len(codes)
        for name, (got, want) in parts.items():
            spans = {"begin": (0, WINDOW), "end": (whole - WINDOW, whole), "all": (0, whole)}
            result[name] = {span: summary(got[a:b], want[a:b]) for span, (a, b) in spans.items()}
        scores = torch.cat([pad_to(self.scores(talker, codes, penalty)[:, None], talker.shape[1]), pad_to(predictor, talker.shape[1])], dim=1)
        result.update(choices(scores, codes, "reference"))
        own = torch.cat([pad_to(self.scores(ours["talker"], codes, penalty)[:, None], talker.shape[1]), pad_to(ours["predictor"], talker.shape[1])], dim=1)
        result["not_best_of_own_logits"] = choices(own, codes, "own")["choices_that_differ"]
        result["drift"] = [{"frame": a, **{name: summary(got[a : a + DRIFT], want[a : a + DRIFT])["whole"] for name, (got, want) in parts.items()}}
                           for a in range(0, whole, DRIFT)]
        result["flips"] = flips[:200]
        result["different_first_codes"] = {"all": len(set(codes[:, 0].tolist())), "end": len(set(codes[-WINDOW:, 0].tolist()))}
        return result


def summary(got, want):
    """Over all rows at once, and of the row that differs most."""
    rows = relative(got, want)
    return {"whole": float((got - want).norm() / want.norm()), "worst": float(rows.max()), "median": float(rows.median())}


def pad_to(scores, width):
    return torch.nn.functional.pad(scores, (0, width - scores.shape[-1]), value=-torch.inf)


def choices(scores, codes, whose):
    """Where the best code is another one than was chosen, and by how much."""
    best = scores.max(-1)
    chosen = scores.gather(-1, codes[..., None])[..., 0]
    places = (best.indices != codes).nonzero().tolist()
    rows = [{"frame": frame, "group": group, "margin": float(best.values[frame, group] - chosen[frame, group])} for frame, group in places]
    return {"choices": codes.numel(), "choices_that_differ": len(rows), "largest_margin": max((row["margin"] for row in rows), default=0.0),
            "mismatches": rows[:50]}
