// A hand-written plan of two kernels for the test of Export: what a code generator would leave. The kernels do nothing.
plan.weight @model.embed_tokens.weight file 0 at 7272 rows 8 x 384 pitch 384
plan.weight @model.layers.0.gate file 0 at 10344 rows 4 x 24 pitch 32 layer 0
plan.weight @model.layers.0.up file 0 at 10440 rows 4 x 24 pitch 32 layer 0

plan.storage @layers.0.k cache size 4096
plan.storage @state state size 132
plan.storage @hidden output size 1536
plan.storage @mailbox mailbox size 4096

plan.cell position in @state at 0 count 1
plan.cell length in @state at 4 count 1
plan.cell rows in @state at 8 count 1
plan.cell step in @state at 20 count 1
plan.cell tokens in @state at 64 count 17
plan.cell sampled in @mailbox at 0 count 1024

plan.kernel @f32_embed workgroup [64, 1, 1] subgroup 8 shared 0 features []
    operands (ids read 132, table read 3072, y write 768) {
  spirv.module PhysicalStorageBuffer64 Vulkan
      requires #spirv.vce<v1.5, [Shader, VulkanMemoryModel, PhysicalStorageBufferAddresses], [SPV_KHR_physical_storage_buffer]> {
    spirv.func @f32_embed() "None" {
      spirv.Return
    }
    spirv.EntryPoint "GLCompute" @f32_embed
    spirv.ExecutionMode @f32_embed "LocalSize", 64, 1, 1
  }
}
plan.kernel @f32_gate_up workgroup [8, 4, 1] subgroup 0 shared 128 features ["bfloat16", "shader_float16"]
    operands (x read 768, weight read 256, cache read_write 4096, y write 384) {
  spirv.module PhysicalStorageBuffer64 Vulkan
      requires #spirv.vce<v1.5, [Shader, Float16, VulkanMemoryModel, PhysicalStorageBufferAddresses], [SPV_KHR_physical_storage_buffer]> {
    spirv.func @f32_gate_up() "None" {
      spirv.Return
    }
    spirv.EntryPoint "GLCompute" @f32_gate_up
    spirv.ExecutionMode @f32_gate_up "LocalSize", 8, 4, 1
  }
}

plan.entry @prefill role prefill rows 4 {
  plan.symbol "S" cell rows max 4
  plan.tensor input "input_ids" in @state at 64 i32 [4] symbols ["S"]
  plan.tensor output "hidden" in @hidden at 0 f32 [4, 96] symbols ["S", ""]
  %ids = plan.ref @state at 0 : !plan.range<132>
  %table = plan.weights [@model.embed_tokens.weight] : !plan.range<3072>
  %gate_up = plan.weights [@model.layers.0.gate, @model.layers.0.up] : !plan.range<256>
  %k = plan.ref @layers.0.k at 0 : !plan.range<4096>
  %hidden = plan.ref @hidden at 0 : !plan.range<1536>
  %x = plan.alloc "x" : !plan.range<768>
  plan.dispatch @f32_embed groups [4, 1, 1](%ids, %table, %x) label "model.embed_tokens" reads 1536
      : !plan.range<132>, !plan.range<3072>, !plan.range<768>
  plan.dispatch @f32_gate_up groups [2, 2, 1](%x, %gate_up, %k, %hidden) label "model.layers.0" reads 4352
      : !plan.range<768>, !plan.range<256>, !plan.range<4096>, !plan.range<1536>
}
plan.entry @next_greedy role next_greedy rows 1 {
  %ids = plan.ref @state at 0 : !plan.range<132>
  %table = plan.weights [@model.embed_tokens.weight] : !plan.range<3072>
  %box = plan.ref @mailbox at 0 : !plan.range<4096>
  plan.dispatch @f32_embed groups [1, 1, 1](%ids, %table, %box) label "" reads 0
      : !plan.range<132>, !plan.range<3072>, !plan.range<4096>
}
plan.entry @decode_greedy role decode_greedy rows 1 {
  %ids = plan.ref @state at 0 : !plan.range<132>
  %table = plan.weights [@model.embed_tokens.weight] : !plan.range<3072>
  %gate_up = plan.weights [@model.layers.0.gate, @model.layers.0.up] : !plan.range<256>
  %k = plan.ref @layers.0.k at 0 : !plan.range<4096>
  %x = plan.alloc "x" : !plan.range<768>
  %y = plan.alloc "y" : !plan.range<768>
  %z = plan.alloc "z" : !plan.range<768>
  plan.dispatch @f32_embed groups [1, 1, 1](%ids, %table, %x) label "model.embed_tokens" reads 384
      : !plan.range<132>, !plan.range<3072>, !plan.range<768>
  plan.dispatch @f32_gate_up groups [1, 1, 1](%x, %gate_up, %k, %y) label "model.layers.0" reads 4352
      : !plan.range<768>, !plan.range<256>, !plan.range<4096>, !plan.range<768>
  plan.dispatch @f32_gate_up groups [1, 1, 1](%y, %gate_up, %k, %z) label "model.layers.0" reads 4352
      : !plan.range<768>, !plan.range<256>, !plan.range<4096>, !plan.range<768>
}
