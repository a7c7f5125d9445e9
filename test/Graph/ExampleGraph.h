//===- ExampleGraph.h - A small valid document for tests to break -----------------------------------------------===//
#pragma once

#include <nlohmann/json.hpp>

namespace qwenc::test {

/// One attention layer of hidden size 4 with one function per half of a generator; uses every operation once at least.
inline nlohmann::json exampleDocument() {
  return nlohmann::json::parse(R"json({
    "format": "qwen-graph", "version": 1, "producer": "test",
    "model": {"name": "m", "architecture": "A", "max_positions": 16, "vocab_size": 8},
    "checkpoint": {"path": "ckpt", "files": [
      {"name": "w.safetensors", "size_bytes": 1108, "header_bytes": 100, "header_hash": "fnv1a64:0123456789abcdef"}]},
    "tokenizer": {"kind": "qwen2-bpe", "files": ["tokenizer.json"]},
    "chat": {"format": "chatml", "thinking_switch": true},
    "generation": {"stop_ids": [7, 3], "do_sample": true, "temperature": 0.6, "top_k": 20, "top_p": 0.95,
                   "repetition_penalty": 1.05},
    "symbols": [{"name": "S", "meaning": "rows", "max": 16}, {"name": "C", "meaning": "cache", "max": 16},
                {"name": "R", "meaning": "head rows", "max": 16}],
    "weights": [
      {"name": "embed", "file": 0, "offset": 108, "dtype": "bf16", "shape": [8, 4]},
      {"name": "norm", "file": 0, "offset": 172, "dtype": "bf16", "shape": [4]},
      {"name": "square", "file": 0, "offset": 180, "dtype": "bf16", "shape": [4, 4]},
      {"name": "bias", "file": 0, "offset": 212, "dtype": "bf16", "shape": [4]},
      {"name": "router", "file": 0, "offset": 220, "dtype": "bf16", "shape": [2, 4]},
      {"name": "expert.0", "file": 0, "offset": 236, "dtype": "bf16", "shape": [3, 4]},
      {"name": "expert.1", "file": 0, "offset": 260, "dtype": "bf16", "shape": [3, 4]}],
    "weight_stacks": [{"name": "experts", "weights": ["expert.0", "expert.1"]}],
    "states": [{"name": "k", "kind": "kv_cache", "shape": ["C", 1, 2]}, {"name": "v", "kind": "kv_cache", "shape": ["C", 1, 2]}],
    "functions": [
      {"name": "decoder", "inputs": [{"name": "ids", "type": "i32[S]"}],
       "ops": [
         {"op": "embedding", "inputs": ["ids", "@embed"], "outputs": ["x"], "types": ["f32[S,4]"]},
         {"op": "position_ids", "inputs": [], "attrs": {"symbol": "S"}, "outputs": ["p"], "types": ["i32[S]"]},
         {"op": "rms_norm", "inputs": ["x", "@norm"], "attrs": {"eps": 1e-6}, "outputs": ["n"], "types": ["f32[S,4]"]},
         {"op": "linear", "inputs": ["n", "@square", "@bias"], "outputs": ["y"], "types": ["f32[S,4]"]},
         {"op": "reshape", "inputs": ["y"], "attrs": {"shape": ["S", 2, 2]}, "outputs": ["q"], "types": ["f32[S,2,2]"]},
         {"op": "rope", "inputs": ["q", "p"], "attrs": {"theta": 10000}, "outputs": ["r"], "types": ["f32[S,2,2]"]},
         {"op": "reshape", "inputs": ["ids"], "attrs": {"shape": ["S", 1]}, "outputs": ["column"], "types": ["i32[S,1]"]},
         {"op": "attention", "inputs": ["r", "r", "r"], "attrs": {"scale": 0.5, "causal": true}, "outputs": ["a"], "types": ["f32[S,2,2]"]},
         {"op": "reshape", "inputs": ["a"], "attrs": {"shape": ["S", 4]}, "outputs": ["b"], "types": ["f32[S,4]"]},
         {"op": "silu", "inputs": ["b"], "outputs": ["c"], "types": ["f32[S,4]"]},
         {"op": "mul", "inputs": ["c", "b"], "outputs": ["d"], "types": ["f32[S,4]"]},
         {"op": "add", "inputs": ["d", "x"], "outputs": ["out"], "types": ["f32[S,4]"]}],
       "outputs": ["out"]},
      {"name": "head", "inputs": [{"name": "h", "type": "f32[R,4]"}],
       "ops": [{"op": "linear", "inputs": ["h", "@embed"], "outputs": ["logits"], "types": ["f32[R,8]"]}],
       "outputs": ["logits"]},
      {"name": "cache", "inputs": [{"name": "h", "type": "f32[S,1,2]"}],
       "ops": [{"op": "kv_append", "inputs": ["$k", "h"], "outputs": ["k1"], "types": ["f32[C,1,2]"]}],
       "outputs": ["k1"]},
      {"name": "mixture", "inputs": [{"name": "x", "type": "f32[S,4]"}],
       "ops": [
         {"op": "linear", "inputs": ["x", "@router"], "outputs": ["l"], "types": ["f32[S,2]"]},
         {"op": "softmax", "inputs": ["l"], "outputs": ["s"], "types": ["f32[S,2]"]},
         {"op": "top_k", "inputs": ["s"], "attrs": {"k": 1}, "outputs": ["t", "e"], "types": ["f32[S,1]", "i32[S,1]"]},
         {"op": "sum_normalize", "inputs": ["t"], "outputs": ["w"], "types": ["f32[S,1]"]},
         {"op": "expert_linear", "inputs": ["x", "e", "@experts"], "outputs": ["y"], "types": ["f32[S,1,3]"]},
         {"op": "weighted_sum", "inputs": ["y", "w"], "outputs": ["z"], "types": ["f32[S,3]"]}],
       "outputs": ["z"]}],
    "generate": {"decoder": "decoder", "head": "head"}
  })json");
}

} // namespace qwenc::test
