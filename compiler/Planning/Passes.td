//===- Passes.td - From dispatches to a placed, ordered plan ------------------------------*- tablegen -*-===//
//
// In the order they run: plan-place-storage, plan-assign-offsets, plan-insert-barriers, plan-estimate-costs,
// plan-verify.
#ifndef QWENC_PLANNING_PASSES_TD
#define QWENC_PLANNING_PASSES_TD

include "mlir/Pass/PassBase.td"

class PlanningPass<string arg> : Pass<arg, "::mlir::ModuleOp"> {
  let dependentDialects = ["::mlir::plan::PlanDialect"];
}

def PlaceStorage : PlanningPass<"plan-place-storage"> {
  let summary = "packs weights and storages into device allocations";
  let description = [{
    Creates the plan.buffer operations of every purpose but the arena and gives each weight and storage its place.
    Weights that one plan.weights stacks lie side by side in its order; the groups of all entries together must allow
    that. Such chains, and weights of their own, keep the order of the module, start at multiples of 256 bytes and never
    straddle two buffers: when the next one does not fit, the next buffer begins. One that needs more than
    max-allocation-bytes lies alone, if max-weight-bytes allows it. Derived storages, caches and outputs are split the
    same way, without that exception; the state and the mailbox are one buffer each.

    ```mlir
    plan.weight @q file 0 at 1000 rows 8 x 32 pitch 32        // 256 bytes
    plan.weight @k file 0 at 2000 rows 4 x 32 pitch 32        // 128 bytes
    plan.weight @o file 0 at 3000 rows 8 x 32 pitch 32
    plan.entry @decode ... { %qk = plan.weights [@q, @k] : !plan.range<384> ... }
    ```
    becomes
    ```mlir
    plan.buffer @weights0 weights size 768
    plan.weight @q ... in @weights0 at 0
    plan.weight @k ... in @weights0 at 256                    // directly behind @q
    plan.weight @o ... in @weights0 at 512                    // 384 rounded up to 256
    ```
  }];
  let options = [Option<"maxAllocationBytes", "max-allocation-bytes", "uint64_t", /*default=*/"1073741824",
                        "largest buffer in bytes; the default is the least that Vulkan 1.3 guarantees">,
                 Option<"maxWeightBytes", "max-weight-bytes", "uint64_t", /*default=*/"0",
                        "largest buffer of one weight, or of weights side by side, that needs more than that">];
  let statistics = [Statistic<"numBuffers", "buffers", "Buffers created">,
                    Statistic<"numChains", "stacked-groups", "Groups of weights placed side by side">,
                    Statistic<"gapBytes", "gap-bytes", "Bytes lost to alignment">];
}

def AssignOffsets : PlanningPass<"plan-assign-offsets"> {
  let summary = "lets activations with disjoint lifetimes share arena memory";
  let description = [{
    A plan.alloc lives from its first to its last use in the order of the dispatches, widened to whole epochs: an epoch
    is a run of dispatches that needs no barrier inside, so that reusing memory never costs a barrier. Offsets come from
    greedy best fit by size: allocations in order of falling size, each into the smallest gap that is free during its
    whole life, else behind everything that lives with it (Pisarchyk and Lee, "Efficient Memory Management for Deep
    Neural Net Inference", 2020, "greedy by size for offset calculation"). Its known weakness: it is a heuristic for an
    NP-hard problem; an early, large allocation is never moved, so fragments may stay that an exact search would fill.
    The statistics show how far the arena is from the lower bound, the most bytes alive at once.

    Entries run one at a time, so all share one arena of the size of the largest.

    ```mlir
    plan.entry @decode role decode_greedy rows 1 {
      %x = plan.alloc "x" : !plan.range<512>
      %y = plan.alloc "y" : !plan.range<256>
      %z = plan.alloc "z" : !plan.range<512>
      ...                                                     // x -> y, y -> z
    }
    ```
    becomes
    ```mlir
    plan.buffer @arena arena size 768
      %x = plan.alloc "x" at 0 : !plan.range<512>             // dispatches 0..1
      %y = plan.alloc "y" at 512 : !plan.range<256>           // dispatches 1..2
      %z = plan.alloc "z" at 0 : !plan.range<512>             // dispatches 2..3: x is dead
    ```
    An allocation without use is erased.
  }];
  let statistics = [Statistic<"arenaBytes", "arena-bytes", "Size of the arena">,
                    Statistic<"lowerBoundBytes", "lower-bound-bytes", "Most bytes alive at once">,
                    Statistic<"unsharedBytes", "unshared-bytes", "Bytes without sharing, largest entry">];
}

def InsertBarriers : PlanningPass<"plan-insert-barriers"> {
  let summary = "inserts the fewest barriers that order the dispatches";
  let description = [{
    Walks the dispatches of an entry and remembers which bytes were read and written since the last barrier. A barrier
    is inserted directly before a dispatch that reads bytes written (RAW), writes bytes written (WAW) or writes bytes read
    (WAR) since then. For a fixed order this is the minimum: each barrier is the last that can satisfy its hazard. Bytes
    are those that the kernel may touch, not the whole range. Runs after plan-assign-offsets, since sharing memory makes
    hazards of its own. Runs of entries are ordered by the runtime: no barrier stands at the start of an entry.

    ```mlir
    plan.dispatch @norm ... (%x, %y)                          // writes y
    plan.dispatch @bias ... (%x, %z)                          // reads x, writes z
    plan.dispatch @gemv ... (%y, %w, %u)                      // reads y
    ```
    becomes
    ```mlir
    plan.dispatch @norm ... (%x, %y)
    plan.dispatch @bias ... (%x, %z)                          // nothing in common but reads: no barrier
    plan.barrier
    plan.dispatch @gemv ... (%y, %w, %u)
    ```
  }];
  let statistics = [Statistic<"numBarriers", "barriers", "Barriers inserted">,
                    Statistic<"numDispatches", "dispatches", "Dispatches looked at">];
}

def EstimateCosts : PlanningPass<"plan-estimate-costs"> {
  let summary = "estimates the time of each dispatch from the bytes it reads";
  let description = [{
    `cost_ns = step-overhead-ns + max(bytes / read-bytes-per-ns, flops / flops-per-ns)`, rounded; bytes are `read_bytes` and
    `read_bytes_per_position` at the end of the context. Decode is bound by reading weights and caches and by the number of
    dependent steps, prefill by arithmetic; the runtime splits submissions by the sum, so it should not be too small.

    ```mlir
    plan.dispatch @gemv ... label "layers.0.down" reads 44500000
    ```
    becomes, at 4450 bytes per ns and 2900 ns per step,
    ```mlir
    plan.dispatch @gemv ... label "layers.0.down" reads 44500000 cost 12900
    ```
  }];
  let options = [Option<"readBytesPerNs", "read-bytes-per-ns", "double", /*default=*/"10.0",
                        "rate of reading device memory in bytes per ns (GB/s)">,
                 Option<"flopsPerNs", "flops-per-ns", "double", /*default=*/"500.0",
                        "arithmetic the kernels reach in flops per ns (GFLOP/s)">,
                 Option<"stepOverheadNs", "step-overhead-ns", "double", /*default=*/"5000.0",
                        "time of one dependent dispatch that reads nothing, in ns">];
  let statistics = [Statistic<"numDispatches", "dispatches", "Dispatches estimated">];
}

def VerifyPlan : PlanningPass<"plan-verify"> {
  let summary = "proves that a plan is complete and within the limits of its target";
  let description = [{
    What the verifiers of the operations cannot say because it only holds after planning (labels as in
    dialects/plan/README.md):

    - (P1) every weight, storage and allocation has its place, every dispatch its cost;
    - (P2) at most one arena, all allocations inside;
    - (P3) places in one buffer do not overlap;
    - (P4) stacked weights lie side by side in one buffer, every operand starts at a multiple of 16 bytes;
    - (P5) no hazard without a barrier;
    - (P6) kernels, grids and buffers within the limits given as options; the features of a kernel among the target's, and
      the capabilities of its module covered by them;
    - (P7) each kind of cell at most once, cells side by side;
    - (P8) allocations that share bytes live one after the other.

    An error names the pass to run first, or the limit of the target.

    ```mlir
    plan.kernel @f32_attention_wide ... shared 40960 ...
    // error: 'plan.kernel' op @f32_attention_wide needs 40960 bytes of shared memory, expected at most 32768 on target lavapipe, ...
    ```
  }];
  let options = [
    Option<"targetName", "target-name", "std::string", /*default=*/"\"generic\"", "name of the target, for messages">,
    Option<"maxWorkgroupInvocations", "max-workgroup-invocations", "uint32_t", /*default=*/"256",
           "invocations of one workgroup">,
    Option<"maxSharedBytes", "max-shared-bytes", "uint32_t", /*default=*/"32768", "bytes of workgroup memory">,
    Option<"maxPushConstantBytes", "max-push-constant-bytes", "uint32_t", /*default=*/"128",
           "bytes of push constants; an operand takes 8">,
    ListOption<"maxWorkgroupCount", "max-workgroup-count", "uint32_t", "workgroups in x, y and z; default 65535 each">,
    Option<"maxAllocationBytes", "max-allocation-bytes", "uint64_t", /*default=*/"1073741824", "bytes of one buffer">,
    Option<"maxWeightBytes", "max-weight-bytes", "uint64_t", /*default=*/"0",
           "bytes of one buffer of weights, where that is more">,
    Option<"subgroupSize", "subgroup-size", "uint32_t", /*default=*/"0",
           "the subgroup size of the target; 0 means that kernels may not require one">,
    ListOption<"features", "features", "std::string", "features that kernels may need; default none">];
  let statistics = [Statistic<"numOperands", "operands", "Operands of dispatches proven in bounds">];
}

#endif // QWENC_PLANNING_PASSES_TD
