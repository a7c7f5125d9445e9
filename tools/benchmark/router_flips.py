"""Finds where two runs of a mixture chose other experts because two were as good as equal.

Where two experts are as good as equal, rounding decides which one is taken (a router flip), and the two runs are different models for one
row of one layer. What the other run chose cannot be read, so it is inferred: a row whose logits differ by more than BOUND is computed again
with the last chosen and the first unchosen expert exchanged, in the layers whose margin is below MARGIN, smallest first. An exchange that
at least halves the error is kept and counted; the rows behind it then see the same keys and values in both runs. A row that none of them
explains stays as it is and is counted apart.
"""

BOUND = 1e-3  # relative L2 of the logits of a row
MARGIN = 1e-4  # between the probabilities of two experts
PASSES = 8  # over the same rows at most


class Search:
    """One exchange at a time in each row, all rows together. `exchanged` maps (place of a row, layer) to the margin there."""

    def __init__(self, exchanged):
        self.exchanged, self.passes, self.beyond = exchanged, 0, 0
        self.trial, self.refused, self.known = {}, {}, {}

    def step(self, errors, margins):
        """Takes what a pass gave, by place: the error, and the margin of each layer. True if `exchanged` has changed, so that another
        pass is needed; what the last one gave then does not count."""
        self.passes += 1
        changed = False
        for place, error in errors.items():
            changed |= self.judge(place, error, margins[place])
        if self.passes == 1:
            self.beyond = sum(error > BOUND for error in errors.values())
        if self.passes < PASSES:
            for place in errors:
                changed |= self.exchange(place)
        return changed

    @property
    def unexplained(self):
        return {place: error for place, (error, _) in self.known.items() if error > BOUND}

    def judge(self, place, error, margins):
        """True if the exchange on trial was no good, and is taken back."""
        layer = self.trial.pop(place, None)
        if layer is None or error <= self.known[place][0] / 2:
            if layer is not None:
                self.refused.pop(place, None)
            self.known[place] = (error, margins)
            return False
        self.refused.setdefault(place, set()).add(layer)
        del self.exchanged[place, layer]
        return True

    def exchange(self, place):
        error, margins = self.known[place]
        if error <= BOUND:
            return False
        refused = self.refused.get(place, ())
        candidates = [(margin, layer) for layer, margin in enumerate(margins)
                      if margin < MARGIN and (place, layer) not in self.exchanged and layer not in refused]
        if not candidates:
            return False
        margin, layer = min(candidates)
        self.exchanged[place, layer], self.trial[place] = margin, layer
        return True
