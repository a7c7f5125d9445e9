#include "models/Qwen3/AudioEncoder.h"

using namespace qwenc;

Status qwenc::exportAudioEncoder(const Checkpoint &, graph::Graph &) {
  return Status(StatusCode::Unsupported, "component 'audio', expected text, leave it out with --components text");
}
