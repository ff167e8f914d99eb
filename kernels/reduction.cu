// Sums over parts: what the blocks of stages leave, added in a fixed order.
//
// Mathematics: add_gradients: a gradient is the sum over its terms (lanes), one after another, each the sum over its parts, one after another
//     from 0, in f32; it goes on from what is there where it accumulates, and is multiplied by `scale` at the end. Without a term it is 0.
//     add_gate_parts: to = the sum of `parts` numbers in f64: lane l of a warp adds numbers l, l + 32, ... in order, then lanes are added by
//     halving.
// Layout: a term's parts [part][len], to [len]; of a gate: parts [part], to one f64.
// Mapping: add_gradients, an entry (x), blocks of 256 numbers of it (y); an entry that is shorter leaves the others idle. add_gate_parts, a
//     warp an entry, eight a block (x).
// Shared memory: none.
// Traffic: reads all parts, writes len.
// Determinism: the order of a sum is that of lanes and parts, however lanes are spread over launches.
#include "sums.cuh"

namespace {

// src/ops/cuda/reduction.rs has the same layouts.
struct Gradient {
    float* to;
    uint32_t first, terms; // in the table of terms
    uint32_t len, accumulate;
    float scale;
    uint32_t unused;
};
struct Term {
    const float* from;
    uint64_t parts;
};
struct GateParts {
    const float* from;
    double* to;
    uint64_t parts;
};
static_assert(sizeof(Gradient) == 32 && sizeof(Term) == 16 && sizeof(GateParts) == 24);

} // namespace

extern "C" __global__ void __launch_bounds__(256) add_gradients(const Gradient* __restrict__ entries, const Term* __restrict__ terms,
                                                                const uint32_t* __restrict__ count) {
    if (blockIdx.x >= *count) return;
    const Gradient entry = entries[blockIdx.x];
    const unsigned i = blockIdx.y * THREADS + threadIdx.x;
    if (i >= entry.len) return;
    float total = entry.accumulate ? entry.to[i] : 0.0f;
    for (unsigned index = 0; index < entry.terms; index++) {
        const Term term = terms[entry.first + index];
        float sum = 0.0f;
#pragma unroll 8
        for (unsigned part = 0; part < term.parts; part++) sum += term.from[size_t(part) * entry.len + i];
        total += sum;
    }
    entry.to[i] = __fmul_rn(total, entry.scale);
}

extern "C" __global__ void __launch_bounds__(256) add_gate_parts(const GateParts* __restrict__ entries,
                                                                 const uint32_t* __restrict__ count) {
    const unsigned index = blockIdx.x * WARPS + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (index >= *count) return;
    const GateParts entry = entries[index];
    double sum = 0.0;
    for (unsigned part = lane; part < entry.parts; part += 32) sum += entry.from[part];
    sum = warp_sum(sum);
    if (lane == 0) *entry.to = sum;
}
