//===- JoinEmbedding.cpp - The first product of a decode step takes its row from the table ----------------------===//

#include "compiler/Transforms/Passes.h"

namespace mlir::qwen {
#define GEN_PASS_DEF_JOINEMBEDDINGPASS
#include "compiler/Transforms/Passes.h.inc"
} // namespace mlir::qwen

using namespace mlir;
using namespace mlir::qwen;

namespace {

struct JoinEmbedding : qwen::impl::JoinEmbeddingPassBase<JoinEmbedding> {
  using JoinEmbeddingPassBase::JoinEmbeddingPassBase;

  void runOnOperation() override {
    getOperation().walk([&](EmbeddingOp rows) {
      if (rows.getJoined() || !rows.getGatheringProduct())
        return;
      rows.setJoined(true);
      ++joinedCount;
    });
  }
};

} // namespace
