// Depthwise filters over slices in shared memory. A thread takes two channels of RUN pixels of a tile, so that a row of KERNEL taps reads
// RUN + KERNEL - 1 places of two numbers instead of RUN * KERNEL.
#pragma once
#include "input.cuh"

constexpr unsigned RUN = 4;

// What a thread takes: pixels run[0] to run[RUN - 1] of the tile's TILE_PIXELS, `spacing` (a power of two up to RUN) apart.
struct PixelRun {
    unsigned channel, first, spacing; // of two channels in a slice

    __device__ __forceinline__ explicit PixelRun(unsigned spacing) : channel(threadIdx.x % 8 * 2), spacing(spacing) {
        const unsigned run = threadIdx.x / 8;
        first = run / spacing * spacing * RUN + run % spacing;
    }

    __device__ __forceinline__ unsigned operator[](unsigned i) const { return first + i * spacing; }
};

// The spacing at which the windows of a run's pixels are `dilation` apart and the run lies in one row of the tile; 0 if there is none.
__device__ __forceinline__ unsigned run_spacing(const Window& window, const Tile& tile) {
    if (window.dilation % window.stride != 0) return 0;
    const unsigned spacing = window.dilation / window.stride;
    const bool is_power = (spacing & (spacing - 1)) == 0 && spacing <= RUN;
    return is_power && tile.map.columns % (RUN * spacing) == 0 ? spacing : 0;
}

// to[tap][CHANNELS]: the slice of the depthwise weights that begins at `channel`.
__device__ inline void fill_filter(float* to, const Stage& stage, unsigned channel) {
    for (unsigned i = threadIdx.x; i < stage.window.taps * CHANNELS; i += THREADS) {
        const unsigned in = channel + i % CHANNELS;
        to[i] = in < stage.in_channels ? stage.weights[0][size_t(i / CHANNELS) * stage.in_channels + in] : 0.0f;
    }
}

template <class T, unsigned KERNEL>
__device__ __forceinline__ void filter_runs(T* to, const T* slice, const float* filter, const Stage& stage, const Tile& tile, const Halo& halo, unsigned spacing) {
    const PixelRun run(spacing);
    const T* at = slice + window_place(stage, tile, halo, run.first < tile.pixels() ? run.first : 0) * SLICE<T> + run.channel;
    const unsigned step = stage.window.dilation * SLICE<T>;
    float sums[RUN][2] = {};
#pragma unroll
    for (unsigned y = 0; y < KERNEL; y++, at += halo.columns * step) {
        float x[RUN + KERNEL - 1][2];
#pragma unroll
        for (unsigned j = 0; j < RUN + KERNEL - 1; j++) load2(x[j], at + j * step);
#pragma unroll
        for (unsigned tap = 0; tap < KERNEL; tap++) {
            float weight[2];
            load2(weight, filter + (y * KERNEL + tap) * CHANNELS + run.channel);
#pragma unroll
            for (unsigned i = 0; i < RUN; i++)
#pragma unroll
                for (unsigned c = 0; c < 2; c++) sums[i][c] = fmaf(x[i + tap][c], weight[c], sums[i][c]);
        }
    }
#pragma unroll
    for (unsigned i = 0; i < RUN; i++) {
        round_channels<T>(sums[i]);
        store2(to + run[i] * SLICE<T> + run.channel, sums[i]);
    }
}

// Any kernel, stride, dilation and tile.
template <class T> __device__ __forceinline__ void filter_pixels(T* to, const T* slice, const float* filter, const Stage& stage, const Tile& tile, const Halo& halo) {
    const PixelRun run(1);
    unsigned places[RUN];
#pragma unroll
    for (unsigned i = 0; i < RUN; i++) places[i] = window_place(stage, tile, halo, run[i] < tile.pixels() ? run[i] : 0) * SLICE<T> + run.channel;
    const unsigned kernel = stage.window.kernel, step = stage.window.dilation * SLICE<T>;
    float sums[RUN][2] = {};
    for (unsigned y = 0; y < kernel; y++) {
        for (unsigned tap = 0; tap < kernel; tap++) {
            const T* at = slice + (y * halo.columns + tap) * step;
            float weight[2];
            load2(weight, filter + (y * kernel + tap) * CHANNELS + run.channel);
#pragma unroll
            for (unsigned i = 0; i < RUN; i++) {
                float x[2];
                load2(x, at + places[i]);
#pragma unroll
                for (unsigned c = 0; c < 2; c++) sums[i][c] = fmaf(x[c], weight[c], sums[i][c]);
            }
        }
    }
#pragma unroll
    for (unsigned i = 0; i < RUN; i++) {
        round_channels<T>(sums[i]);
        store2(to + run[i] * SLICE<T> + run.channel, sums[i]);
    }
}

// to[pixel][SLICE], TILE_PIXELS of them: the filter over the windows of a tile of output pixels, rounded. Beyond the tile's pixels stand those of its first.
template <class T> __device__ __forceinline__ void filter_tile(T* to, const T* slice, const float* filter, const Stage& stage, const Tile& tile, const Halo& halo) {
    const unsigned spacing = run_spacing(stage.window, tile), kernel = stage.window.kernel;
    if (spacing != 0 && kernel == 3) {
        filter_runs<T, 3>(to, slice, filter, stage, tile, halo, spacing);
    } else if (spacing != 0 && kernel == 5) {
        filter_runs<T, 5>(to, slice, filter, stage, tile, halo, spacing);
    } else {
        filter_pixels<T>(to, slice, filter, stage, tile, halo);
    }
}
