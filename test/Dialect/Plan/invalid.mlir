// RUN: qwen-opt %s -split-input-file -verify-diagnostics
// One negative test per message. The labels are those of dialects/plan/README.md.

// (C1)
plan.entry @e role decode_greedy rows 1 {
  // expected-error @+1 {{range of 0 bytes, expected a positive size}}
  %x = plan.alloc "x" : !plan.range<0>
}

// -----

// (C2)
// expected-error @+1 {{has 0 rows of 32 bytes, expected positive numbers}}
plan.weight @w file 0 at 0 rows 0 x 32 pitch 32

// -----

// (C2)
// expected-error @+1 {{has a pitch of 31 bytes, expected at least the 32 bytes of a row}}
plan.weight @w file 0 at 0 rows 8 x 32 pitch 31

// -----

// (C3)
// expected-error @+1 {{lies in file 0 at -8, expected no negative number}}
plan.weight @w file 0 at -8 rows 8 x 32 pitch 32

// -----

// (C3)
// expected-error @+1 {{ends beyond 2^63 bytes, expected a size that fits 63 bits}}
plan.weight @w file 0 at 0 rows 4611686018427387904 x 4 pitch 4

// -----

// (C4)
// expected-error @+1 {{belongs to layer -2, expected a 31-bit number from 0 or none}}
plan.weight @w file 0 at 0 rows 8 x 32 pitch 32 layer -2

// -----

// (C5)
// expected-error @+1 {{has only one of buffer and buffer_offset, expected both or none}}
"plan.storage"() <{sym_name = "s", purpose = 2 : i32, size_bytes = 64, buffer = @b}> : () -> ()

// -----

// (C5)
plan.buffer @b cache size 64
// expected-error @+1 {{lies at offset -16, expected no negative offset}}
plan.storage @s cache size 64 in @b at -16

// -----

// (C6)
// expected-error @+1 {{lies in @nowhere, which is no plan.buffer of this module}}
plan.weight @w file 0 at 0 rows 8 x 32 pitch 32 in @nowhere at 0

// -----

// (C6)
plan.buffer @b cache size 1024
// expected-error @+1 {{lies in @b of purpose cache, expected purpose weights}}
plan.weight @w file 0 at 0 rows 8 x 32 pitch 32 in @b at 0

// -----

// (C6)
plan.buffer @b weights size 256
// expected-error @+1 {{needs 256 bytes at offset 16, buffer @b has 256}}
plan.weight @w file 0 at 0 rows 8 x 32 pitch 32 in @b at 16

// -----

// (C7)
// expected-error @+1 {{has purpose arena, expected derived, cache, state, output or mailbox; use plan.weight or plan.alloc}}
plan.storage @s arena size 64

// -----

// (C8)
// expected-error @+1 {{has 0 bytes, expected a positive size}}
plan.storage @s cache size 0

// -----

// (C8)
// expected-error @+1 {{has -1 bytes, expected a positive size}}
plan.buffer @b cache size -1

// -----

// (C9)
plan.storage @s state size 64
// expected-error @+1 {{has kind 'positions', expected one of position, length, rows, head_row, head_rows, step, seed, temperature, top_k, top_p, repetition_penalty, tokens, sampled}}
plan.cell positions in @s at 0 count 1

// -----

// (C10)
plan.storage @s state size 64
// expected-error @+1 {{lies at 6, expected a multiple of 4}}
plan.cell position in @s at 6 count 1

// -----

// (C10)
plan.storage @s state size 64
// expected-error @+1 {{has 0 elements, expected a positive 32-bit number}}
plan.cell position in @s at 0 count 0

// -----

// (C11)
// expected-error @+1 {{lies in @s, which is no plan.storage of this module}}
plan.cell position in @s at 0 count 1

// -----

// (C11)
plan.storage @s mailbox size 64
// expected-error @+1 {{'position' lies in storage @s of purpose mailbox, expected purpose state}}
plan.cell position in @s at 0 count 1

// -----

// (C11)
plan.storage @s state size 64
// expected-error @+1 {{'tokens' needs 13 elements of 4 bytes at 16, storage @s has 64 bytes}}
plan.cell tokens in @s at 16 count 13

// -----

// (C12)
// expected-error @+1 {{has workgroup [64, 0, 1], expected three positive 32-bit numbers}}
plan.kernel @k workgroup [64, 0, 1] subgroup 0 shared 0 features [] operands (y write 4) {
}

// -----

// (C13)
// expected-error @+1 {{requires a subgroup size of 24, expected 0 or a power of two up to 128}}
plan.kernel @k workgroup [64, 1, 1] subgroup 24 shared 0 features [] operands (y write 4) {
}

// -----

// (C13)
// expected-error @+1 {{uses -4 bytes of shared memory, expected a 32-bit number}}
plan.kernel @k workgroup [64, 1, 1] subgroup 0 shared -4 features [] operands (y write 4) {
}

// -----

// (C14)
// expected-error @+1 {{needs feature 'float128', expected one of shader_float16, cooperative_matrix, bfloat16, shader_int8}}
plan.kernel @k workgroup [64, 1, 1] subgroup 0 shared 0 features ["float128"] operands (y write 4) {
}

// -----

// (C15)
// expected-error @+1 {{has no operands, expected at least one to write}}
plan.kernel @k workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands () {
}

// -----

// (C15)
// expected-error @+1 {{has 1 operand names, 2 accesses and 1 sizes, expected equal numbers}}
"plan.kernel"() <{sym_name = "k", workgroup = array<i64: 64, 1, 1>, subgroup_size = 0, shared_bytes = 0, features = [],
    operand_names = ["y"], operand_access = [0 : i32, 1 : i32], operand_bytes = array<i64: 4>}> ({
^bb0:
}) : () -> ()

// -----

// (C15)
// expected-error @+1 {{has two operands 'y', expected different names}}
plan.kernel @k workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (y read 4, y write 4) {
}

// -----

// (C15)
// expected-error @+1 {{touches 0 bytes of operand 'y', expected a positive bound}}
plan.kernel @k workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (y write 0) {
}

// -----

// The assembly of operands.
// expected-error @+1 {{access 'append' of operand 'y', expected read, write or read_write}}
plan.kernel @k workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (y append 4) {
}

// -----

// (C16)
// expected-error @+1 {{has role 'decode', expected one of other, prefill, next_greedy, next_sample, decode_greedy, decode_sample, logits}}
plan.entry @e role decode rows 1 {
}

// -----

// (C17)
// expected-error @+1 {{has 0 rows, expected a positive 32-bit number}}
plan.entry @e role prefill rows 0 {
}

// -----

// (C18)
plan.storage @s output size 64
plan.entry @e role prefill rows 1 {
  plan.tensor input "x" in @s at 0 f32 [4] symbols [""]
  plan.tensor output "x" in @s at 0 f32 [4] symbols [""]
  // expected-error @+1 {{is the second input tensor 'x' of the entry, expected different names}}
  plan.tensor input "x" in @s at 16 f32 [4] symbols [""]
}

// -----

// (C18)
plan.storage @s state size 64
plan.cell rows in @s at 8 count 1
plan.entry @e role prefill rows 1 {
  plan.symbol "S" cell rows max 4
  // expected-error @+1 {{is the second symbol 'S' of the entry, expected different names}}
  plan.symbol "S" cell rows max 4
}

// -----

// (C19)
plan.storage @s output size 64
plan.entry @e role prefill rows 1 {
  // expected-error @+1 {{lies at 8, expected a multiple of 16}}
  %r = plan.ref @s at 8 : !plan.range<16>
}

// -----

// (C19)
plan.storage @s output size 64
plan.entry @e role prefill rows 1 {
  // expected-error @+1 {{lies at 6, expected a multiple of 4}}
  plan.tensor input "x" in @s at 6 f32 [4] symbols [""]
}

// -----

// (C19)
plan.entry @e role prefill rows 1 {
  // expected-error @+1 {{lies at 8, expected a multiple of 16}}
  %r = plan.alloc "x" at 8 : !plan.range<16>
}

// -----

// (C20)
plan.entry @e role prefill rows 1 {
  // expected-error @+1 {{lies in @s, which is no plan.storage of this module}}
  %r = plan.ref @s at 0 : !plan.range<16>
}

// -----

// (C20)
plan.storage @s output size 64
plan.entry @e role prefill rows 1 {
  // expected-error @+1 {{needs 32 bytes at 48, storage @s has 64}}
  %r = plan.ref @s at 48 : !plan.range<32>
}

// -----

// (C20)
plan.storage @s output size 64
plan.entry @e role prefill rows 1 {
  // expected-error @+1 {{needs 80 bytes at 0, storage @s has 64}}
  plan.tensor output "x" in @s at 0 f32 [5, 4] symbols ["", ""]
}

// -----

// (C21)
plan.storage @s output size 64
plan.entry @e role prefill rows 1 {
  // expected-error @+1 {{has direction 'inout', expected input or output}}
  plan.tensor inout "x" in @s at 0 f32 [4] symbols [""]
}

// -----

// (C21)
plan.storage @s output size 64
plan.entry @e role prefill rows 1 {
  // expected-error @+1 {{has element type 'f64', expected one of f32, bf16, f16, i32, u32, u8}}
  plan.tensor output "x" in @s at 0 f64 [4] symbols [""]
}

// -----

// (C22)
plan.storage @s output size 64
plan.entry @e role prefill rows 1 {
  // expected-error @+1 {{has shape [4, 0], expected positive extents}}
  plan.tensor output "x" in @s at 0 f32 [4, 0] symbols ["", ""]
}

// -----

// (C22)
plan.storage @s output size 64
plan.entry @e role prefill rows 1 {
  // expected-error @+1 {{has 1 symbols for 2 dimensions, expected one each (empty for a fixed dimension)}}
  plan.tensor output "x" in @s at 0 f32 [4, 2] symbols [""]
}

// -----

// (C22)
plan.storage @s output size 64
plan.entry @e role prefill rows 1 {
  // expected-error @+1 {{has more than 2^63 bytes, expected a size that fits 63 bits}}
  plan.tensor output "x" in @s at 0 f32 [4294967296, 4294967296] symbols ["", ""]
}

// -----

// (C22)
plan.storage @s output size 64
plan.entry @e role prefill rows 1 {
  // expected-error @+1 {{has factors [2], expected a positive one for each dimension}}
  plan.tensor output "x" in @s at 0 f32 [4, 2] symbols ["", ""] factors [2]
}

// -----

// (C22)
plan.storage @s output size 64
plan.entry @e role prefill rows 1 {
  // expected-error @+1 {{has factors [2, 0], expected a positive one for each dimension}}
  plan.tensor output "x" in @s at 0 f32 [4, 2] symbols ["", ""] factors [2, 0]
}

// -----

// (C23)
plan.storage @s output size 64
plan.entry @e role prefill rows 1 {
  // expected-error @+1 {{has a dimension 'S', expected a plan.symbol of that name in the entry}}
  plan.tensor output "x" in @s at 0 f32 [4] symbols ["S"]
}

// -----

// (C23)
plan.storage @s output size 64
plan.storage @t state size 64
plan.cell rows in @t at 8 count 1
plan.entry @e role prefill rows 1 {
  plan.symbol "S" cell rows max 8
  // expected-error @+1 {{has a dimension 'S' of 4, the symbol's maximum is 8}}
  plan.tensor output "x" in @s at 0 f32 [4] symbols ["S"]
}

// -----

// (C23)
plan.storage @s output size 64
plan.storage @t state size 64
plan.cell rows in @t at 8 count 1
plan.entry @e role prefill rows 1 {
  plan.symbol "S" cell rows max 4
  // expected-error @+1 {{has a dimension 'S' of 4, the symbol's maximum is 4, times the factor 2}}
  plan.tensor output "x" in @s at 0 f32 [4] symbols ["S"] factors [2]
}

// -----

// (C23)
plan.storage @s output size 64
plan.storage @t state size 64
plan.cell rows in @t at 8 count 1
plan.entry @e role prefill rows 1 {
  plan.symbol "S" cell rows max 4611686018427387905
  // expected-error @+1 {{has a dimension 'S' of 4, the symbol's maximum is 4611686018427387905, times the factor 4}}
  plan.tensor output "x" in @s at 0 f32 [4] symbols ["S"] factors [4]
}

// -----

// (C9)
plan.entry @e role prefill rows 1 {
  // expected-error @+1 {{names cell 'size', expected one of position}}
  plan.symbol "S" cell size max 8
}

// -----

// (C24)
plan.entry @e role prefill rows 1 {
  // expected-error @+1 {{has a maximum of 0, expected at least 1}}
  plan.symbol "S" cell rows max 0
}

// -----

// (C25)
plan.entry @e role prefill rows 1 {
  // expected-error @+1 {{names cell 'rows', expected a plan.cell of that kind in the module}}
  plan.symbol "S" cell rows max 8
}

// -----

// (C25)
plan.storage @t state size 64
plan.cell extents in @t at 16 count 8
plan.entry @e role other rows 1 {
  // expected-error @+1 {{is element 8 of cell 'extents', which has 8}}
  plan.symbol "V" cell extents[8] max 8
}

// -----

// (C25)
plan.storage @t state size 64
plan.cell extents in @t at 16 count 8
plan.entry @e role other rows 1 {
  // expected-error @+1 {{is element -1 of cell 'extents', which has 8}}
  plan.symbol "V" cell extents[-1] max 8
}

// -----

// (C26)
plan.entry @e role prefill rows 1 {
  // expected-error @+1 {{names no weight, expected at least one}}
  %w = plan.weights [] : !plan.range<16>
}

// -----

// (C26)
plan.weight @a file 0 at 0 rows 8 x 32 pitch 32
plan.entry @e role prefill rows 1 {
  // expected-error @+1 {{names @a twice, expected different weights}}
  %w = plan.weights [@a, @a] : !plan.range<512>
}

// -----

// (C27)
plan.entry @e role prefill rows 1 {
  // expected-error @+1 {{names @a, which is no plan.weight of this module}}
  %w = plan.weights [@a] : !plan.range<16>
}

// -----

// (C27)
plan.weight @a file 0 at 0 rows 1 x 1 pitch 9223372036854775807
plan.weight @b file 0 at 0 rows 1 x 1 pitch 1
plan.entry @e role prefill rows 1 {
  // expected-error @+1 {{has more than 2^63 bytes, expected a size that fits 63 bits}}
  %w = plan.weights [@a, @b] : !plan.range<16>
}

// -----

// (C27)
plan.weight @a file 0 at 0 rows 8 x 32 pitch 48
plan.entry @e role prefill rows 1 {
  // expected-error @+1 {{is a range of 256 bytes, its weights have 384}}
  %w = plan.weights [@a] : !plan.range<256>
}

// -----

// (C12)
plan.kernel @k workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (y write 4) {
}
plan.entry @e role prefill rows 1 {
  %y = plan.alloc "y" : !plan.range<16>
  // expected-error @+1 {{has groups [1, 1], expected three positive 32-bit numbers}}
  plan.dispatch @k groups [1, 1](%y) label "" reads 0 : !plan.range<16>
}

// -----

// (C28)
plan.entry @e role prefill rows 1 {
  %y = plan.alloc "y" : !plan.range<16>
  // expected-error @+1 {{has a negative estimate of bytes or cost, expected none below 0}}
  plan.dispatch @k groups [1, 1, 1](%y) label "" reads -1 : !plan.range<16>
}

// -----

// (C29)
plan.entry @e role prefill rows 1 {
  %y = plan.alloc "y" : !plan.range<16>
  // expected-error @+1 {{runs @k, which is no plan.kernel of this module}}
  plan.dispatch @k groups [1, 1, 1](%y) label "" reads 0 : !plan.range<16>
}

// -----

// (C30)
plan.kernel @k workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (x read 4, y write 4) {
}
plan.entry @e role prefill rows 1 {
  %y = plan.alloc "y" : !plan.range<16>
  // expected-error @+1 {{has 1 operands, kernel @k has 2}}
  plan.dispatch @k groups [1, 1, 1](%y) label "" reads 0 : !plan.range<16>
}

// -----

// (C31)
plan.kernel @k workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (y write 20) {
}
plan.entry @e role prefill rows 1 {
  %y = plan.alloc "y" : !plan.range<16>
  // expected-error @+1 {{gives operand 'y' 16 bytes, kernel @k may touch 20}}
  plan.dispatch @k groups [1, 1, 1](%y) label "" reads 0 : !plan.range<16>
}

// -----

// (C32)
plan.weight @a file 0 at 0 rows 8 x 32 pitch 32
plan.kernel @k workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (y write 16) {
}
plan.entry @e role prefill rows 1 {
  %y = plan.weights [@a] : !plan.range<256>
  // expected-error @+1 {{writes weights through operand 'y', expected memory that may be written}}
  plan.dispatch @k groups [1, 1, 1](%y) label "" reads 0 : !plan.range<256>
}

// -----

// (C33)
plan.entry @e role prefill rows 1 {
  %x = builtin.unrealized_conversion_cast to !plan.range<16>
  // expected-error @+1 {{has an operand that is no plan.alloc, plan.weights or plan.ref, expected one of these}}
  plan.dispatch @k groups [1, 1, 1](%x) label "" reads 0 : !plan.range<16>
}

// -----

// What stands where.
// expected-error @+1 {{expects parent op 'plan.entry'}}
plan.barrier

// -----

plan.entry @e role prefill rows 1 {
  // expected-error @+1 {{expects parent op 'builtin.module'}}
  plan.buffer @b cache size 16
}

// -----

// (C34)
// expected-error @+1 {{is packed as 'bf16', expected q8 or q4}}
plan.weight @w file 0 at 0 rows 8 x 64 pitch 64 packed bf16

// -----

// (C34)
// expected-error @+1 {{is packed with rows of 32 bytes, expected blocks of 64}}
plan.weight @w file 0 at 0 rows 8 x 32 pitch 48 packed q8

// -----

// (C2)
// expected-error @+1 {{has a pitch of 32 bytes, expected at least the 34 bytes of a row}}
plan.weight @w file 0 at 0 rows 8 x 64 pitch 32 packed q8

// -----

// (C35)
plan.storage @s state size 64
plan.cell extents in @s at 0 count 4
plan.kernel @k workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (y write 16) {
}
plan.entry @e role other rows 1 {
  plan.symbol "V" cell extents[1] max 5
  %y = plan.alloc "y" : !plan.range<16>
  // expected-error @+1 {{has only a part of rows, expected symbol, factor, rows per group and direction}}
  "plan.dispatch"(%y) {kernel = @k, groups = array<i64: 3, 2, 1>, label = "", read_bytes = 0 : i64, rows_factor = 4 : i64} : (!plan.range<16>) -> ()
}

// -----

// (C35)
plan.storage @s state size 64
plan.cell extents in @s at 0 count 4
plan.kernel @k workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (y write 16) {
}
plan.entry @e role other rows 1 {
  plan.symbol "V" cell extents[1] max 5
  %y = plan.alloc "y" : !plan.range<16>
  // expected-error @+1 {{has rows of 0, expected a factor and rows per group that are positive 32-bit numbers}}
  plan.dispatch @k groups [3, 2, 1] rows "V" * 0 per 1 along 0 (%y) label "" reads 0 : !plan.range<16>
}

// -----

// (C35)
plan.storage @s state size 64
plan.cell extents in @s at 0 count 4
plan.kernel @k workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (y write 16) {
}
plan.entry @e role other rows 1 {
  plan.symbol "V" cell extents[1] max 5
  %y = plan.alloc "y" : !plan.range<16>
  // expected-error @+1 {{has rows of 4294967296, expected a factor and rows per group that are positive 32-bit numbers}}
  plan.dispatch @k groups [3, 2, 1] rows "V" * 1 per 4294967296 along 0 (%y) label "" reads 0 : !plan.range<16>
}

// -----

// (C35)
plan.storage @s state size 64
plan.cell extents in @s at 0 count 4
plan.kernel @k workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (y write 16) {
}
plan.entry @e role other rows 1 {
  plan.symbol "V" cell extents[1] max 5
  %y = plan.alloc "y" : !plan.range<16>
  // expected-error @+1 {{has rows along 3, expected 0, 1 or 2}}
  plan.dispatch @k groups [3, 2, 1] rows "V" * 1 per 1 along 3 (%y) label "" reads 0 : !plan.range<16>
}

// -----

// (C36)
plan.storage @s state size 64
plan.cell extents in @s at 0 count 4
plan.kernel @k workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (y write 16) {
}
plan.entry @e role prefill rows 1 {
  plan.symbol "V" cell extents[1] max 5
  %y = plan.alloc "y" : !plan.range<16>
  // expected-error @+1 {{counts rows in an entry of role prefill, expected role other; let kernels count them}}
  plan.dispatch @k groups [3, 2, 1] rows "V" * 4 per 8 along 0 (%y) label "" reads 0 : !plan.range<16>
}

// -----

// (C36)
plan.storage @s state size 64
plan.cell extents in @s at 0 count 4
plan.kernel @k workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (y write 16) {
}
plan.entry @e role other rows 1 {
  plan.symbol "V" cell extents[1] max 5
  %y = plan.alloc "y" : !plan.range<16>
  // expected-error @+1 {{counts rows of 'T', expected a plan.symbol of that name in the entry}}
  plan.dispatch @k groups [3, 2, 1] rows "T" * 4 per 8 along 0 (%y) label "" reads 0 : !plan.range<16>
}

// -----

// (C36)
plan.storage @s state size 64
plan.cell extents in @s at 0 count 4
plan.kernel @k workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (y write 16) {
}
plan.entry @e role other rows 1 {
  plan.symbol "V" cell extents[1] max 5
  %y = plan.alloc "y" : !plan.range<16>
  // expected-error @+1 {{has 2 groups along 1, expected 3 for the 20 rows of the symbol's maximum}}
  plan.dispatch @k groups [3, 2, 1] rows "V" * 4 per 8 along 1 (%y) label "" reads 0 : !plan.range<16>
}

// -----

// (C36)
plan.storage @s state size 64
plan.cell extents in @s at 0 count 4
plan.kernel @k workgroup [64, 1, 1] subgroup 0 shared 0 features [] operands (y write 16) {
}
plan.entry @e role other rows 1 {
  plan.symbol "V" cell extents[1] max 4611686018427387904
  %y = plan.alloc "y" : !plan.range<16>
  // expected-error @+1 {{has more than 2^63 rows, expected a number that fits 63 bits}}
  plan.dispatch @k groups [3, 2, 1] rows "V" * 4 per 8 along 0 (%y) label "" reads 0 : !plan.range<16>
}
