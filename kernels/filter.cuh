// Depthwise filters over slices in shared memory. A thread takes two channels of RUN pixels of a tile, so that a row of KERNEL taps reads
// RUN + KERNEL - 1 places of two numbers instead of RUN * KERNEL.
#pragma once
#include "ring.cuh"

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

// The filter over the windows of tiles of output pixels, whose input stands in a ring.
template <class T> struct TileFilter {
    unsigned spacing; // of runs, 0: pixel by pixel
    PixelRun run;

    __device__ __forceinline__ explicit TileFilter(const Stage& stage)
        : spacing(stage.window.kernel == 3 || stage.window.kernel == 5 ? run_spacing(stage.window, stage.to) : 0), run(max(spacing, 1u)) {}

    // to[pixel][SLICE], TILE_PIXELS of them, rounded; beyond the tile's pixels stand those of its first. `filter` is [tap][CHANNELS].
    __device__ __forceinline__ void apply(T* to, const T* slice, const float* filter, const Stage& stage, const Ring& ring, const Rectangle& tile) const {
        const Window& window = stage.window;
        float sums[RUN][2] = {};
        if (spacing == 0) {
            add_pixels(sums, slice, filter + run.channel, window, ring, tile);
        } else if (window.kernel == 3) {
            add_run<3>(sums, slice, filter + run.channel, window, ring, first_tap(0, window, tile));
        } else {
            add_run<5>(sums, slice, filter + run.channel, window, ring, first_tap(0, window, tile));
        }
        store(to, sums);
    }

    // The same in runs, with KERNEL taps a row.
    template <unsigned KERNEL>
    __device__ __forceinline__ void apply_in_runs(T* to, const T* slice, const float* filter, const Stage& stage, const Ring& ring, const Rectangle& tile) const {
        float sums[RUN][2] = {};
        add_run<KERNEL>(sums, slice, filter + run.channel, stage.window, ring, first_tap(0, stage.window, tile));
        store(to, sums);
    }

  private:
    __device__ __forceinline__ void store(T* to, const float (&sums)[RUN][2]) const {
#pragma unroll
        for (unsigned i = 0; i < RUN; i++) store2(to + run[i] * SLICE<T> + run.channel, sums[i]);
    }

    // Of the window of the run's i-th pixel, relative to the ring's first pixel around the tile.
    __device__ __forceinline__ Pixel first_tap(unsigned i, const Window& window, const Rectangle& tile) const {
        Pixel at = tile.pixel(run[i] < tile.pixels() ? run[i] : 0);
        at.y *= window.stride, at.x *= window.stride;
        return at;
    }

    template <unsigned KERNEL>
    __device__ __forceinline__ void add_run(float (&sums)[RUN][2], const T* slice, const float* filter, const Window& window, const Ring& ring, const Pixel& first) const {
        const unsigned step = window.dilation * RING_PIXEL;
#pragma unroll
        for (unsigned y = 0; y < KERNEL; y++) {
            const T* const at = slice + (ring.row_place(first.image, ring.y + first.y + int(y * window.dilation)) + first.x) * RING_PIXEL + run.channel;
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

    __device__ __forceinline__ void add_pixels(float (&sums)[RUN][2], const T* slice, const float* filter, const Window& window, const Ring& ring, const Rectangle& tile) const {
        Pixel first[RUN];
#pragma unroll
        for (unsigned i = 0; i < RUN; i++) first[i] = first_tap(i, window, tile);
        for (unsigned y = 0; y < window.kernel; y++) {
            unsigned at[RUN];
#pragma unroll
            for (unsigned i = 0; i < RUN; i++)
                at[i] = (ring.row_place(first[i].image, ring.y + first[i].y + int(y * window.dilation)) + first[i].x) * RING_PIXEL + run.channel;
            for (unsigned tap = 0; tap < window.kernel; tap++) {
                float weight[2];
                load2(weight, filter + (y * window.kernel + tap) * CHANNELS);
#pragma unroll
                for (unsigned i = 0; i < RUN; i++) {
                    float x[2];
                    load2(x, slice + at[i] + tap * window.dilation * RING_PIXEL);
#pragma unroll
                    for (unsigned c = 0; c < 2; c++) sums[i][c] = fmaf(x[c], weight[c], sums[i][c]);
                }
            }
        }
    }
};
