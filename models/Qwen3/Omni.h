//===- Omni.h - The components of Qwen3-Omni --------------------------------------------------------------------===//
//
// Source: the Qwen3-Omni technical report (https://arxiv.org/abs/2509.17765) and transformers,
// modeling_qwen3_omni_moe.py.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "models/Qwen3/Exporter.h"

namespace qwenc {

/// Adds the chosen components: "text" (the thinker's decoder), "audio" and "vision" (its encoders), "talker" (the
/// decoders that make codes of speech), "code2wav" (the vocoder). None chosen: all that config.json describes. The
/// decoder takes media when an encoder is there.
Status exportOmni(const Checkpoint &checkpoint, const std::vector<std::string> &components, graph::Graph &graph);

} // namespace qwenc
