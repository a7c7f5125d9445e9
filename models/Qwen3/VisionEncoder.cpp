#include "models/Qwen3/VisionEncoder.h"

using namespace qwenc;

Status qwenc::exportVisionEncoder(const Checkpoint &, graph::Graph &) {
  return Status(StatusCode::Unsupported, "component 'vision', expected text, leave it out with --components text");
}
