"""Which token a seed draws from logits: repetition penalty, temperature, top-k, top-p and the draw, in double precision."""

import math

MASK = 0xFFFFFFFF


def uniform(seed, step):
    """Number in [0, 1) of a step: the PCG output function on a mixed counter (O'Neill 2014)."""
    x = (seed * 747796405 + step * 2891336453 + 277803737) & MASK
    for _ in range(2):
        x = (x * 747796405 + 2891336453) & MASK
        word = (((x >> ((x >> 28) + 4)) ^ x) * 277803737) & MASK
        x = (word >> 22) ^ word
    return (x >> 8) / 16777216


def kept_ids(logits, masses, top_k, top_p):
    """The ids that may be drawn: equal logits are kept or dropped together, and the best is always kept."""
    kept = range(len(logits))
    if 0 < top_k < len(logits):
        bound = sorted(logits)[-top_k]
        kept = [i for i in kept if logits[i] >= bound]
    if top_p < 1:
        wanted, nucleus, before, last, tied = top_p * sum(masses[i] for i in kept), [], 0, None, 0
        for i in sorted(kept, key=lambda i: -logits[i]):
            before, tied, last = (before, tied + masses[i], last) if logits[i] == last else (before + tied, masses[i], logits[i])
            if before < wanted or not nucleus:
                nucleus.append(i)
        kept = sorted(nucleus)
    return kept


def draw(logits, history, step, temperature=1.0, top_k=0, top_p=1.0, repetition_penalty=1.0, seed=0):
    """The ids that may come out: one, or neighbours if the draw falls on their border to within the rounding of f32."""
    logits = list(logits)
    for seen in set(history):
        logits[seen] = logits[seen] / repetition_penalty if logits[seen] > 0 else logits[seen] * repetition_penalty
    largest = max(logits)
    masses = [math.exp((x - largest) / temperature) for x in logits]
    kept = kept_ids(logits, masses, top_k, top_p)
    total = sum(masses[i] for i in kept)
    target, slack, before, drawn = uniform(seed, step) * total, 1e-5 * total, 0, []
    for i in kept:
        if masses[i] > 0 and before - slack <= target <= before + masses[i] + slack:
            drawn.append(i)
        before += masses[i]
    return drawn
