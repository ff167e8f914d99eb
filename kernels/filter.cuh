// Depthwise filters over slices in shared memory. A thread takes two channels of RUN pixels of a tile, so that a row of KERNEL taps reads
// RUN + KERNEL - 1 places of two numbers instead of RUN * KERNEL.
#pragma once
#include "input.cuh"

constexpr unsigned RUN = 4;

// What a thread takes: pixels run[0] to run[RUN - 1] of a tile's TILE_PIXELS, `spacing` (a power of two up to RUN) apart.
struct PixelRun {
    unsigned channel, first, spacing; // of two channels in a slice

    __device__ __forceinline__ explicit PixelRun(unsigned spacing) : channel(threadIdx.x % 8 * 2), spacing(spacing) {
        const unsigned run = threadIdx.x / 8;
        first = run / spacing * spacing * RUN + run % spacing;
    }

    __device__ __forceinline__ unsigned operator[](unsigned i) const { return first + i * spacing; }
};

// The spacing at which the windows of a run's pixels are `dilation` apart and the run lies in one row of the tile; 0 if there is none.
__device__ __forceinline__ unsigned run_spacing(const Window& window, const Tiling& map) {
    if (window.dilation % window.stride != 0) return 0;
    const unsigned spacing = window.dilation / window.stride;
    const bool is_power = (spacing & (spacing - 1)) == 0 && spacing <= RUN;
    return is_power && map.columns % (RUN * spacing) == 0 ? spacing : 0;
}

// to[tap][CHANNELS]: the slice of the depthwise weights that begins at `channel`.
__device__ inline void fill_filter(float* to, const Stage& stage, unsigned channel) {
    for (unsigned i = threadIdx.x; i < stage.window.taps * CHANNELS; i += THREADS) {
        const unsigned in = channel + i % CHANNELS;
        to[i] = in < stage.in_channels ? stage.weights[0][size_t(i / CHANNELS) * stage.in_channels + in] : 0.0f;
    }
}

// The filter over the windows of tiles of output pixels.
template <class T> struct TileFilter {
    unsigned spacing; // of runs, 0: pixel by pixel
    PixelRun run;
    unsigned place; // in a slice, where the window of the run's first pixel begins; beyond the tile's pixels, that of its first

    __device__ __forceinline__ TileFilter(const Stage& stage, const Halo& halo)
        : spacing(stage.window.kernel == 3 || stage.window.kernel == 5 ? run_spacing(stage.window, stage.to) : 0), run(max(spacing, 1u)) {
        place = place_of(0, stage, Rectangle(stage.to), halo);
    }

    // to[pixel][SLICE], TILE_PIXELS of them, rounded. `slice` holds what is under the windows, `filter` is [tap][CHANNELS].
    __device__ __forceinline__ void apply(T* to, const T* slice, const float* filter, const Stage& stage, const Halo& halo) const {
        const unsigned step = stage.window.dilation * SLICE<T>, columns = halo.columns.value;
        float sums[RUN][2] = {};
        if (spacing == 0) {
            pixel_by_pixel(sums, slice, filter + run.channel, stage, halo, step);
        } else if (stage.window.kernel == 3) {
            in_runs<3>(sums, slice + place, filter + run.channel, step, columns);
        } else {
            in_runs<5>(sums, slice + place, filter + run.channel, step, columns);
        }
#pragma unroll
        for (unsigned i = 0; i < RUN; i++) store2(to + run[i] * SLICE<T> + run.channel, sums[i]);
    }

  private:
    // `columns` of the slice's pixels, `step` between taps.
    template <unsigned KERNEL>
    static __device__ __forceinline__ void in_runs(float (&sums)[RUN][2], const T* at, const float* filter, unsigned step, unsigned columns) {
#pragma unroll
        for (unsigned y = 0; y < KERNEL; y++, at += columns * step) {
            float x[RUN + KERNEL - 1][2];
#pragma unroll
            for (unsigned j = 0; j < RUN + KERNEL - 1; j++) load2(x[j], at + j * step);
#pragma unroll
            for (unsigned tap = 0; tap < KERNEL; tap++) {
                float weight[2];
                load2(weight, filter + (y * KERNEL + tap) * CHANNELS);
#pragma unroll
                for (unsigned i = 0; i < RUN; i++)
#pragma unroll
                    for (unsigned c = 0; c < 2; c++) sums[i][c] = fmaf(x[i + tap][c], weight[c], sums[i][c]);
            }
        }
    }

    __device__ __forceinline__ unsigned place_of(unsigned i, const Stage& stage, const Rectangle& tile, const Halo& halo) const {
        return window_place(stage, tile, halo, run[i] < tile.pixels() ? run[i] : 0) * SLICE<T> + run.channel;
    }

    __device__ __forceinline__ void pixel_by_pixel(float (&sums)[RUN][2], const T* slice, const float* filter, const Stage& stage, const Halo& halo, unsigned step) const {
        const unsigned kernel = stage.window.kernel, columns = halo.columns.value;
        const Rectangle tile(stage.to);
        unsigned places[RUN];
#pragma unroll
        for (unsigned i = 0; i < RUN; i++) places[i] = place_of(i, stage, tile, halo);
        for (unsigned y = 0; y < kernel; y++) {
            for (unsigned tap = 0; tap < kernel; tap++) {
                const T* at = slice + (y * columns + tap) * step;
                float weight[2];
                load2(weight, filter + (y * kernel + tap) * CHANNELS);
#pragma unroll
                for (unsigned i = 0; i < RUN; i++) {
                    float x[2];
                    load2(x, at + places[i]);
#pragma unroll
                    for (unsigned c = 0; c < 2; c++) sums[i][c] = fmaf(x[c], weight[c], sums[i][c]);
                }
            }
        }
    }
};
