//===- EstimateCosts.cpp - Estimates the time of each dispatch ----------------------------------------------------===//
#include "compiler/Planning/Passes.h"
#include "dialects/plan/PlanOps.h"

#include <cmath>

using namespace mlir;
using namespace mlir::plan;

namespace qwenc {
#define GEN_PASS_DEF_ESTIMATECOSTS
#include "compiler/Planning/Passes.h.inc"

namespace {

class EstimateCostsPass : public impl::EstimateCostsBase<EstimateCostsPass> {
public:
  using impl::EstimateCostsBase<EstimateCostsPass>::EstimateCostsBase;

private:
  void runOnOperation() override {
    // Bounds of any device that can exist; they keep the sum below inside 64 bits.
    bool rateIsSane = readBytesPerNs >= 1e-3 && readBytesPerNs <= 1e9;
    bool overheadIsSane = stepOverheadNs >= 0.0 && stepOverheadNs <= 1e9;
    if (!(flopsPerNs >= 1e-3 && flopsPerNs <= 1e9)) {
      getOperation().emitError("flops-per-ns is ") << flopsPerNs.getValue() << ", expected 0.001 to 1e9";
      return signalPassFailure();
    }
    if (!rateIsSane || !overheadIsSane) {
      getOperation().emitError("read-bytes-per-ns is ")
          << readBytesPerNs.getValue() << " and step-overhead-ns " << stepOverheadNs.getValue()
          << ", expected 0.001 to 1e9 and 0 to 1e9";
      return signalPassFailure();
    }
    Builder builder(&getContext());
    // A step is estimated at the end of the context: submissions are split by it, so it must not be too small.
    int64_t positions = 0;
    for (auto cell : getOperation().getOps<CellOp>())
      if (cell.getKind() == "tokens")
        positions = cell.getCount() - 1;
    getOperation().walk([&](DispatchOp dispatch) {
      // 2^62 ns are 146 years: beyond that the number only has to stay positive.
      double bytes = static_cast<double>(dispatch.getReadBytes()) +
                     static_cast<double>(dispatch.getReadBytesPerPosition().value_or(0)) * positions;
      double cost = stepOverheadNs +
                    std::max(bytes / readBytesPerNs, static_cast<double>(dispatch.getFlops().value_or(0)) / flopsPerNs);
      dispatch.setCostNsAttr(builder.getI64IntegerAttr(std::llround(std::min(cost, 0x1p62))));
      ++numDispatches;
    });
  }
};

} // namespace
} // namespace qwenc
