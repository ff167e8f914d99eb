// What the kernels of depthwise-separable convolutions share.
#pragma once
#include "filter.cuh"
#include "input_gradient.cuh"
#include "product.cuh"

// Slices of the pointwise weights: of `slices` times 16 output channels if transposed, else one.
template <class T, unsigned COLUMNS, bool TRANSPOSED>
__device__ __forceinline__ void fill_pointwise(T* right, const Stage& stage, unsigned slices, unsigned channel, unsigned column) {
    fill_weights<T, COLUMNS, TRANSPOSED>(right, slices, channel, column, [&](float(&values)[8], unsigned slice, unsigned in, unsigned first) {
        const unsigned out = first + slice * CHANNELS;
        if (in < stage.in_channels && out < stage.out_channels) load8(values, stage.weights[1] + size_t(in) * stage.out_channels + out);
    });
}

// Adds what COLUMNS channels of dy from `column` on, a tile in `rows`, give to dh; `transposed` is [output channel][RIGHT].
template <class T, unsigned COLUMNS>
__device__ __forceinline__ void add_filtered_gradient(Product<T, CHANNELS>& product, const Stage& stage, const T* rows, const T* transposed, unsigned column) {
#pragma unroll
    for (unsigned k = 0; k < COLUMNS; k += CHANNELS) {
        if (column + k >= stage.out_channels) break;
        const T* left[product.ROWS];
#pragma unroll
        for (unsigned r = 0; r < product.ROWS; r++) left[r] = rows + product.row(r) * RIGHT<T, COLUMNS> + k;
        product.add(left, transposed + (column + k) * RIGHT<T, CHANNELS>);
    }
}

// Part `blockIdx.x` of the gradient of the pointwise weights, from input channel `channel` and output channel `column` on; `room` is that of the
// product and may be written after a barrier.
template <class T, unsigned COLUMNS>
__device__ __forceinline__ void write_pointwise_gradient(const Stage& stage, const PixelProduct<T, COLUMNS>& product, float* room, unsigned channel, unsigned column) {
    if (!stage.weight_parts[1]) return;
    float* const part = stage.weight_parts[1] + size_t(blockIdx.x) * stage.in_channels * stage.out_channels;
    __syncthreads();
    product.each(room, [&](unsigned row, unsigned n, float sum) {
        const unsigned in = channel + row, out = column + n;
        if (in < stage.in_channels && out < stage.out_channels) part[size_t(in) * stage.out_channels + out] = sum;
    });
}

// The sum of a channel's values over the lanes of a warp that hold it, in all of them.
__device__ __forceinline__ float run_sum(float value) {
    value += __shfl_xor_sync(~0u, value, 8);
    return value + __shfl_xor_sync(~0u, value, 16);
}

// The sums of a thread's two channels for each of TAPS taps, over its warp, to own[tap][CHANNELS].
template <unsigned TAPS> __device__ __forceinline__ void write_tap_sums(float* own, const float (&sums)[TAPS][2]) {
#pragma unroll
    for (unsigned tap = 0; tap < TAPS; tap++) {
        const float sum[2] = {run_sum(sums[tap][0]), run_sum(sums[tap][1])};
        if (threadIdx.x % 32 < 8) store2(own + tap * CHANNELS, sum);
    }
}

// Part `blockIdx.x` of the gradient of the filter, from of_warps[warp][tap][CHANNELS]. All threads take part.
__device__ __forceinline__ void write_filter_gradient(const Stage& stage, const float* of_warps, unsigned channel) {
    if (!stage.weight_parts[0]) return;
    const unsigned numbers = stage.window.taps * CHANNELS, channels = stage.in_channels;
    float* const part = stage.weight_parts[0] + size_t(blockIdx.x) * stage.window.taps * channels + channel;
    __syncthreads();
    for (unsigned i = threadIdx.x; i < numbers; i += THREADS) {
        if (channel + i % CHANNELS >= channels) continue;
        float sum = 0.0f;
        for (unsigned w = 0; w < WARPS; w++) sum += of_warps[w * numbers + i];
        part[size_t(i / CHANNELS) * channels + i % CHANNELS] = sum;
    }
}
