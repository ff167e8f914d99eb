// Sums over parts: what the blocks of stages leave, added in a fixed order.
//
// Mathematics: add_parts: to[i] = sum over parts, one after another from 0, of from[part][i], in f32. add_gate_parts: to = the sum of `parts`
//     numbers in f64: lane l of a warp adds numbers l, l + 32, ... in order, then lanes are added by halving.
// Layout: from [part][len], to [len]; add_gate_parts: from [part], to one f64.
// Mapping: add_parts, blocks of 256 numbers (x) of an entry (y); an entry that is shorter leaves the others idle. add_gate_parts, a warp an
//     entry, eight a block (x).
// Shared memory: none.
// Traffic: reads parts * len numbers, writes len.
// Determinism: the order of a sum is a function of the number of parts alone.
#include "epilogue.cuh"

namespace {

// src/ops/cuda/reduction.rs has the same layout.
struct Parts {
    const float* from;
    void* to;
    uint32_t len, parts;
};
static_assert(sizeof(Parts) == 24);

} // namespace

extern "C" __global__ void __launch_bounds__(256) add_parts(const Parts* __restrict__ entries, const uint32_t* __restrict__ count) {
    if (blockIdx.y >= *count) return;
    const Parts entry = entries[blockIdx.y];
    const unsigned i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= entry.len) return;
    float sum = 0.0f;
#pragma unroll 8
    for (unsigned part = 0; part < entry.parts; part++) sum += entry.from[size_t(part) * entry.len + i];
    static_cast<float*>(entry.to)[i] = sum;
}

extern "C" __global__ void __launch_bounds__(256) add_gate_parts(const Parts* __restrict__ entries, const uint32_t* __restrict__ count) {
    const unsigned index = blockIdx.x * WARPS + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (index >= *count) return;
    const Parts entry = entries[index];
    double sum = 0.0;
    for (unsigned part = lane; part < entry.parts; part += 32) sum += entry.from[part];
    sum = warp_sum(sum);
    if (lane == 0) *static_cast<double*>(entry.to) = sum;
}
