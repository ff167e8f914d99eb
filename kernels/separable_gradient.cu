// The backward of a depthwise-separable convolution in one kernel, in bf16: the gradient of the filtered maps stays in shared memory.
//
// For windows of stride 1 in runs (filter.cuh) that keep a map's size, maps as wide as their tiles, borders no higher than a tile, images of up to
// WEIGHT_TILES tiles, and up to 64 output channels; separable.cu does all others.
//
// Mathematics, layout, numerics: those of separable.cu.
// Mapping: one block a chunk of whole images (x), a task (y) and 16 input channels (z). 256 threads. Of a tile a block filters the input, adds to dw
//     and makes dh; then it takes the tile above, around which dh is complete now, to the gradients of the input and of the filter. Rows of a and dh
//     stand in rings (ring.cuh), so that each is made once an image.
// Shared memory: sums of channels, the filter, its gradient by warps, transposed weights, filtered tile, gradient rows, a tile of da, the rings of
//     a and dh; at the end, from the filtered tile on, sums of warps. The host computes the size (src/ops/depthwise/cuda.rs).
// Traffic: reads in + 2 out numbers a pixel and writes in, for every 16 input channels out again; where masks, sums or a gradient before it are
//     wanted, reads in once or twice more. 4 * (taps + out) * in FLOPs a pixel, and the filter again. Floor on an H100: bytes / 3.35e12 s.
// Determinism: as separable.cu; chunks are functions of the stage's shape alone.
#include "separable.cuh"
#include "shared.cuh"

namespace {

// What the runs of a tile of input pixels add to the gradients of input and filter, with KERNEL taps a row and stride 1: dh and a stand in
// rings of the same columns. The gradient of the filter is kept in registers if IN_REGISTERS, else in shared memory.
template <unsigned KERNEL, bool IN_REGISTERS> struct RingGradient {
    float sums[IN_REGISTERS ? KERNEL * KERNEL : 1][2] = {};
    float* of_warp; // [tap][CHANNELS], from the thread's channels on

    __device__ __forceinline__ explicit RingGradient(float* of_warps) : of_warp(of_warps + threadIdx.x / 32 * KERNEL * KERNEL * CHANNELS + threadIdx.x % 8 * 2) {
        if constexpr (!IN_REGISTERS) {
            const float zeros[2] = {};
            if (threadIdx.x % 32 >= 8) return;
            for (unsigned tap = 0; tap < KERNEL * KERNEL; tap++) store2(of_warp + tap * CHANNELS, zeros);
        }
    }

    // du[pixel][TILE<CHANNELS>] of a tile of `count` pixels from row `y`. `filter` is [tap][CHANNELS].
    __device__ __forceinline__ void add(float* du, int y, unsigned count, const Rectangle& tile, const bf16* dh, const bf16* a, const Ring& ring, const float* filter, const Window& window) {
        // Computed anew for every tile: registers are dearer.
        unsigned spacing = window.dilation;
        opaque(spacing);
        const PixelRun run(spacing);
        const Pixel first = tile.pixel(run.first < tile.pixels() ? run.first : 0);
        const unsigned step = spacing * RING_PIXEL;
        float centre[RUN][2], sum[RUN][2] = {};
        const bf16* const own = a + (ring.row_place(first.image, y + first.y) + first.x + ring.origin) * RING_PIXEL + run.channel;
#pragma unroll
        for (unsigned i = 0; i < RUN; i++) {
            load2(centre[i], own + i * step);
            if (run[i] >= count) centre[i][0] = centre[i][1] = 0.0f;
        }
#pragma unroll
        for (unsigned row = 0; row < KERNEL; row++) {
            // The window whose last tap is the run's first pixel, and those below.
            const int at_row = y + first.y - int(ring.origin) + int(row * window.dilation);
            const bf16* const at = dh + (ring.row_place(first.image, at_row) + first.x) * RING_PIXEL + run.channel;
            float x[RUN + KERNEL - 1][2];
#pragma unroll
            for (unsigned j = 0; j < RUN + KERNEL - 1; j++) load2(x[j], at + j * step);
            float of_row[KERNEL][2] = {};
#pragma unroll
            for (unsigned column = 0; column < KERNEL; column++) {
                const unsigned tap = (KERNEL - 1 - row) * KERNEL + KERNEL - 1 - column;
                float weight[2];
                load2(weight, filter + tap * CHANNELS + run.channel);
                float* const of_tap = IN_REGISTERS ? sums[tap] : of_row[column];
#pragma unroll
                for (unsigned i = 0; i < RUN; i++) {
#pragma unroll
                    for (unsigned c = 0; c < 2; c++) {
                        sum[i][c] = fmaf(x[i + column][c], weight[c], sum[i][c]);
                        of_tap[c] = fmaf(x[i + column][c], centre[i][c], of_tap[c]);
                    }
                }
            }
            if (!IN_REGISTERS) add_row(of_row, KERNEL - 1 - row);
        }
#pragma unroll
        for (unsigned i = 0; i < RUN; i++)
#pragma unroll
            for (unsigned c = 0; c < 2; c++) du[run[i] * TILE<CHANNELS> + run.channel + c] = sum[i][c];
    }

    // Leaves the sums of the warp, if they are not there yet.
    __device__ __forceinline__ void finish() const {
        if constexpr (IN_REGISTERS) write_tap_sums(of_warp, sums);
    }

  private:
    // The columns of a row of taps, the last first.
    __device__ __forceinline__ void add_row(const float (&of_row)[KERNEL][2], unsigned row) const {
#pragma unroll
        for (unsigned column = 0; column < KERNEL; column++) {
            const float sum[2] = {run_sum(of_row[column][0]), run_sum(of_row[column][1])};
            if (threadIdx.x % 32 >= 8) continue;
            float* const own = of_warp + (row * KERNEL + KERNEL - 1 - column) * CHANNELS;
            float before[2];
            load2(before, own);
            const float after[2] = {before[0] + sum[0], before[1] + sum[1]};
            store2(own, after);
        }
    }
};

// dh of a tile into its ring, and into memory where a watcher gave some.
__device__ __forceinline__ void keep_filtered_gradient(bf16* dh, const Ring& ring, const Product<bf16, CHANNELS>& product, const Stage& stage, const Tile& tile, const Rectangle& of_tile, unsigned channel) {
    product.each_row([&](unsigned p, unsigned column, const float(&pairs)[2][2]) {
        if (p >= tile.count) return;
        const Pixel at = of_tile.pixel(p);
        bf16* const to = dh + (ring.row_place(at.image, tile.y + at.y) + at.x + ring.origin) * RING_PIXEL + column;
        store2(to, pairs[0]), store2(to + 8, pairs[1]);
        if (!stage.scratch) return;
        bf16* const watched = static_cast<bf16*>(stage.scratch) + size_t(tile.first + p) * stage.in_channels + channel + column;
        if (channel + column < stage.in_channels) store2(watched, pairs[0]);
        if (channel + column + 8 < stage.in_channels) store2(watched + 8, pairs[1]);
    });
}

// Zeros, where there are no windows: `rows` rows from row `from` of each image.
__device__ __forceinline__ void clear_rows(bf16* dh, const Ring& ring, int from, unsigned rows) {
    for (unsigned image = 0; image < ring.together; image++)
        for (unsigned row = 0; row < rows; row++)
            for (unsigned i = threadIdx.x; i < ring.columns.value * (RING_PIXEL / 4); i += THREADS)
                store4(dh + ring.row_place(image, from + int(row)) * RING_PIXEL + i * 4, 0.0f, 0.0f, 0.0f, 0.0f);
}

template <unsigned KERNEL, unsigned COLUMNS, bool IN_REGISTERS> __device__ __forceinline__ void gradient(const Stage* stages, const uint32_t* count) {
    if (!task(stages, count)) return;
    const Stage& stage = *task(stages, count);
    const unsigned channel = blockIdx.z * CHANNELS, slices = divide_up(stage.out_channels, CHANNELS);
    ChannelSums& shared = shared_memory<ChannelSums>();
    float* const filter = reinterpret_cast<float*>(&shared + 1);
    float* const of_warps = filter + KERNEL * KERNEL * CHANNELS;
    bf16* const transposed = reinterpret_cast<bf16*>(of_warps + WARPS * KERNEL * KERNEL * CHANNELS);
    bf16* const filtered = transposed + COLUMNS * RIGHT<bf16, CHANNELS>;
    bf16* const rows = filtered + TILE_PIXELS * SLICE<bf16>;
    float* const du = reinterpret_cast<float*>(rows + TILE_PIXELS * RIGHT<bf16, COLUMNS>);
    bf16* const a = reinterpret_cast<bf16*>(du + TILE_PIXELS * TILE<CHANNELS>);

    Ring ring = Ring::under_windows(stage, stage.to.rows);
    bf16* const dh = a + ring.pixels() * RING_PIXEL;
    const Rectangle of_tile(stage.to);
    const unsigned tiles_of_image = divide_up(stage.to.height, stage.to.rows);
    const Tiles tiles(stage.to, WEIGHT_TILES / tiles_of_image * tiles_of_image);
    fill_filter(filter, stage, channel);
    fill_pointwise<bf16, CHANNELS, true>(transposed, stage, slices, 0, channel);
    clear_rows(dh, ring, -int(ring.origin), ring.slots);
    const TileFilter<bf16> tile_filter(stage);
    const InputSlice<bf16> input(stage, channel);
    PixelProduct<bf16, COLUMNS> weight_product;
    RingGradient<KERNEL, IN_REGISTERS> runs(of_warps);
    InputGradientWriter<bf16> writer(stage, channel, min(CHANNELS, stage.in_channels - channel));
    for (Tile tile(stage.to, tiles.begin); tile.index < tiles.end; tile.advance(stage.to)) {
        tile.x = 0; // Maps are as wide as their tiles; known, it takes no register.
        const bool is_last = unsigned(tile.y) + stage.to.rows >= stage.to.height;
        ring.place_under(stage, tile);
        __syncthreads();
        input.fill_ring(a, RING_PIXEL, stage, ring);
        fill_gradient_rows<bf16, COLUMNS>(rows, stage, tile, 0);
        if (tile.y == 0) clear_rows(dh, ring, -int(ring.origin), ring.origin);
        if (is_last) clear_rows(dh, ring, stage.to.height, ring.origin);
        __syncthreads();
        tile_filter.template apply_in_runs<KERNEL>(filtered, a, filter, stage, ring, of_tile);
        Product<bf16, CHANNELS> product;
        add_filtered_gradient<bf16, COLUMNS>(product, stage, rows, transposed, 0);
        keep_filtered_gradient(dh, ring, product, stage, tile, of_tile, channel);
        __syncthreads();
        weight_product.add(filtered, rows);
        // The tile above, and the last of an image itself.
#pragma unroll 1
        for (int up = tile.y > 0 ? 1 : 0; up >= (is_last ? 0 : 1); up--) {
            const unsigned count = up ? of_tile.pixels() : tile.count, first = tile.first - up * of_tile.pixels();
            runs.add(du, tile.y - up * int(stage.to.rows), count, of_tile, dh, a, ring, filter, stage.window);
            writer.write(first, count, du, TILE<CHANNELS>);
            if (up && is_last) __syncthreads();
        }
    }
    runs.finish();
    write_filter_gradient(stage, of_warps, channel);
    write_pointwise_gradient<bf16, COLUMNS>(stage, weight_product, reinterpret_cast<float*>(filtered), channel, 0);
    writer.finish(stage, shared);
}

} // namespace

// Of 5x5 windows the shared memory of 8.6, 8.9 and 12.0 holds one block.
#if defined(__CUDA_ARCH__) && (__CUDA_ARCH__ == 860 || __CUDA_ARCH__ == 890 || __CUDA_ARCH__ == 1200)
#define BLOCKS 1
#else
#define BLOCKS 2
#endif
#define ARGUMENTS const Stage *__restrict__ stages, const uint32_t *__restrict__ count
extern "C" __global__ void __launch_bounds__(256, 2) separable_gradient_bf16_3_16(ARGUMENTS) { gradient<3, 16, false>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) separable_gradient_bf16_3_32(ARGUMENTS) { gradient<3, 32, false>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 1) separable_gradient_bf16_3_64(ARGUMENTS) { gradient<3, 64, false>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, BLOCKS) separable_gradient_bf16_5_16(ARGUMENTS) { gradient<5, 16, false>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, BLOCKS) separable_gradient_bf16_5_32(ARGUMENTS) { gradient<5, 32, false>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 1) separable_gradient_bf16_5_64(ARGUMENTS) { gradient<5, 64, false>(stages, count); }
