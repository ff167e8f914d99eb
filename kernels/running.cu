// Running statistics of batch normalizations, moved by the lanes of a step.
//
// Mathematics: for every lane that used a normalization, one after another, with momentum m and the batch's mean and unbiased variance:
//     mean = (1 - m) * mean + m * (batch mean + bias), variance = (1 - m) * variance + m * batch variance
//     in f64, each operation rounded on its own, and the result to f32 (docs/numerics.md, "Batch normalization"). Nothing moves in a replica
//     that has a loss which is not finite.
// Layout: statistics of a batch f64 [mean, biased variance][stored channel]; running ones lie in the bank, channel c at positions[c].
// Mapping: one block a normalization, a thread a channel.
// Shared memory: none.
// Traffic: 16 bytes a channel and lane read, 8 a channel read and written: a few kilobytes a step.
// Determinism: lanes move a channel in their order.
#include <cstdint>

namespace {

// src/ops/normalization/cuda.rs has the same layouts.
struct Running {
    float* mean;
    float* variance;
    const float* bias;           // of the convolution before it, which the stored value lacks; null: none
    const uint32_t* positions;   // of each channel, from `mean`, `variance` and `bias`
    const uint32_t* is_finite;   // of the replica
    double kept, momentum;       // 1 - m, m
    uint32_t channels;
    uint32_t first, moves;       // in the table of moves
    uint32_t unused;
};
struct Move {
    const double* statistics;
    double correction; // makes the variance unbiased
    uint64_t stored;   // channels
};
static_assert(sizeof(Running) == 72 && sizeof(Move) == 24);

__device__ __forceinline__ float moved(const Running& running, float from, double batch) {
    return static_cast<float>(__dadd_rn(__dmul_rn(running.kept, from), __dmul_rn(running.momentum, batch)));
}

} // namespace

extern "C" __global__ void __launch_bounds__(256) move_running_statistics(const Running* __restrict__ entries,
                                                                         const Move* __restrict__ moves,
                                                                         const uint32_t* __restrict__ count) {
    if (blockIdx.x >= *count) return;
    const Running running = entries[blockIdx.x];
    if (!*running.is_finite) return;
    for (unsigned channel = threadIdx.x; channel < running.channels; channel += blockDim.x) {
        const unsigned position = running.positions[channel];
        const double bias = running.bias ? running.bias[position] : 0.0;
        float mean = running.mean[position], variance = running.variance[position];
        for (unsigned index = 0; index < running.moves; index++) {
            const Move move = moves[running.first + index];
            mean = moved(running, mean, __dadd_rn(move.statistics[channel], bias));
            variance = moved(running, variance, __dmul_rn(move.statistics[move.stored + channel], move.correction));
        }
        running.mean[position] = mean;
        running.variance[position] = variance;
    }
}
