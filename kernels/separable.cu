// Depthwise-separable convolutions: normalize, ReLU, a depthwise filter, a pointwise product, statistics; nothing between is stored.
//
// Mathematics: a = relu(normalize(input)); h[p][c] = sum over taps t of a[window(p) + t][c] * v[t][c]; y[p][n] = sum over c of h[p][c] * w[c][n].
//     Backward, with dy from the gradient of the normalized output: dw[c][n] = sum over p of h[p][c] * dy[p][n]; dh = dy w^T;
//     da[q][c] = sum over t of dh[p: window(p) + t = q][c] * v[t][c]; dv[t][c] = sum over q of a[q][c] * dh[p: window(p) + t = q][c].
// Backward in bf16 is separable_gradient.cu where that can; else two kernels.
// Layout: maps [image][row][column][channel]; v [tap][input channel], w [input channel][output channel]; dh in `scratch`
//     [image][pixel of the output][input channel]; partial weight gradients [chunk] of the weights.
// Numerics: a, h, w, dy and dh are rounded to the type of storage; v and all sums are f32.
// Mapping: forward, one block a tile of up to 128 output pixels (x), a task (y) and COLUMNS output channels (z; each filters again).
//     Pointwise gradient, one block a chunk of WEIGHT_TILES tiles (x), a task (y) and a slice of 16 input channels times COLUMNS output
//     channels (z, these fastest); the block of the first of these also makes dh. Depthwise gradient, one block a chunk of WEIGHT_TILES
//     tiles of input pixels (x), a task (y) and a slice of 16 input channels (z). 256 threads; filters as in filter.cuh, products as in
//     product.cuh; in the depthwise gradient a thread reads and writes two channels of four pixels.
// Shared memory: a slice of the tile and its border, a slice of the weights, the filtered tile; the host computes the size
//     (src/ops/depthwise/cuda.rs).
// Traffic: forward (in + out) numbers a pixel; pointwise gradient reads in + 2 out and writes in; depthwise gradient reads 2 in (dh and
//     the input) and writes in. 2 * (taps + out) * in FLOPs a pixel of the output forward, 4 * (taps + out) * in backward, and the filter
//     again. Floor on an H100: bytes / 3.35e12 s.
// Determinism: a sum runs over slices in order, in a slice over taps and channels in one order; tiles and chunks are functions of the
//     stage's shape alone; warps' sums are added in their order.
#include "output.cuh"
#include "separable.cuh"
#include "shared.cuh"

namespace {

// Shared memory: sums of channels, the weights, the filtered tile, the filter, the ring, a tile of sums; the last two in one place where every tile
// fills the ring anew.
template <class T, unsigned COLUMNS> __device__ __forceinline__ void forward(const Stage* stages, const uint32_t* count) {
    if (!task(stages, count)) return;
    const Stage& stage = *task(stages, count);
    ChannelSums& shared = shared_memory<ChannelSums>();
    T* const right = reinterpret_cast<T*>(&shared + 1);
    T* const filtered = right + CHANNELS * RIGHT<T, COLUMNS>;
    float* const filter = reinterpret_cast<float*>(filtered + TILE_PIXELS * SLICE<T>);
    T* const slice = reinterpret_cast<T*>(filter + stage.window.taps * CHANNELS);
    const unsigned column = blockIdx.z * COLUMNS;
    const Tiles tiles(stage.to, stage.to.chunk);

    // Of several slices the ring holds one after the other.
    Ring ring = Ring::under_windows(stage, 0);
    float* const sums = reinterpret_cast<float*>(slice + (ring.keeps() ? ring.pixels() * RING_PIXEL : 0));
    const Rectangle of_tile(stage.to);
    const TileFilter<T> tile_filter(stage);
    InputSlice<T> input(stage, 0);
    OutputWriter<T> writer(column, min(COLUMNS, stage.out_channels - column));
    for (Tile tile(stage.to, tiles.begin); tile.index < tiles.end; tile.advance(stage.to)) {
        ring.place_under(stage, tile);
        Product<T, COLUMNS> product;
        for (unsigned channel = 0; channel < stage.in_channels; channel += CHANNELS) {
            __syncthreads();
            // A single slice has the same weights for all tiles.
            if (stage.in_channels > CHANNELS) input = InputSlice<T>(stage, channel), ring.from = ring.y;
            if (stage.in_channels > CHANNELS || tile.index == tiles.begin) {
                fill_filter(filter, stage, channel);
                fill_pointwise<T, COLUMNS, false>(right, stage, 1, channel, column);
            }
            input.fill_ring(slice, RING_PIXEL, stage, ring);
            __syncthreads();
            tile_filter.apply(filtered, slice, filter, stage, ring, of_tile);
            __syncthreads();
            const T* left[product.ROWS];
#pragma unroll
            for (unsigned r = 0; r < product.ROWS; r++) left[r] = filtered + product.row(r) * SLICE<T>;
            product.add(left, right);
        }
        spill(sums, product);
        writer.write(stage, tile, sums, TILE<COLUMNS>, shared);
    }
    writer.finish(stage, shared);
}

// dh of a tile, channels from `channel`: `rows` holds the first COLUMNS channels of dy, `sums` has room for a tile and may be written.
template <class T, unsigned COLUMNS>
__device__ __forceinline__ void write_filtered_gradient(const Stage& stage, const Tile& tile, T* rows, const T* transposed, float* sums, unsigned channel) {
    Product<T, CHANNELS> product;
    for (unsigned column = 0; column < stage.out_channels; column += COLUMNS) {
        if (column > 0) {
            __syncthreads();
            fill_gradient_rows<T, COLUMNS>(rows, stage, tile, column);
            __syncthreads();
        }
        add_filtered_gradient<T, COLUMNS>(product, stage, rows, transposed, column);
    }
    spill(sums, product);
    __syncthreads();
    const unsigned half = threadIdx.x % 2 * 8;
    if (channel + half >= stage.in_channels) return;
    T* const to = static_cast<T*>(stage.scratch) + size_t(tile.first) * stage.in_channels + channel + half;
    for (unsigned p = threadIdx.x / 2; p < tile.count; p += THREADS / 2) {
        float values[8];
#pragma unroll
        for (int i = 0; i < 8; i++) values[i] = sums[p * TILE<CHANNELS> + half + i];
        store8(to + p * stage.in_channels, values);
    }
}

// Shared memory: the filter, transposed weights; filtered tile or a tile of sums; the ring, gradient rows; these two in one place where every tile
// fills the ring anew. At the end, sums of warps.
template <class T, unsigned COLUMNS> __device__ __forceinline__ void pointwise_gradient(const Stage* stages, const uint32_t* count) {
    if (!task(stages, count)) return;
    const Stage& stage = *task(stages, count);
    const unsigned across = divide_up(stage.out_channels, COLUMNS), slices = divide_up(stage.out_channels, CHANNELS);
    const unsigned column = blockIdx.z % across * COLUMNS, channel = blockIdx.z / across * CHANNELS;
    float* const filter = &shared_memory<float>();
    T* const transposed = reinterpret_cast<T*>(filter + stage.window.taps * CHANNELS);
    float* const sums = reinterpret_cast<float*>(transposed + slices * CHANNELS * RIGHT<T, CHANNELS>);
    T* const filtered = reinterpret_cast<T*>(sums);
    T* const slice = reinterpret_cast<T*>(reinterpret_cast<unsigned char*>(sums) + max(TILE_PIXELS * SLICE<T> * sizeof(T), TILE_PIXELS * TILE<CHANNELS> * sizeof(float)));
    const Tiles tiles(stage.to, WEIGHT_TILES);

    fill_filter(filter, stage, channel);
    if (column == 0) fill_pointwise<T, CHANNELS, true>(transposed, stage, slices, 0, channel);
    Ring ring = Ring::under_windows(stage, 0);
    T* const rows = slice + (ring.keeps() ? ring.pixels() * RING_PIXEL : 0);
    const Rectangle of_tile(stage.to);
    const TileFilter<T> tile_filter(stage);
    const InputSlice<T> input(stage, channel);
    PixelProduct<T, COLUMNS> product;
    for (Tile tile(stage.to, tiles.begin); tile.index < tiles.end; tile.advance(stage.to)) {
        ring.place_under(stage, tile);
        __syncthreads();
        input.fill_ring(slice, RING_PIXEL, stage, ring);
        __syncthreads();
        tile_filter.apply(filtered, slice, filter, stage, ring, of_tile);
        __syncthreads();
        fill_gradient_rows<T, COLUMNS>(rows, stage, tile, column);
        __syncthreads();
        product.add(filtered, rows);
        if (column != 0) continue;
        __syncthreads();
        write_filtered_gradient<T, COLUMNS>(stage, tile, rows, transposed, sums, channel);
    }
    write_pointwise_gradient<T, COLUMNS>(stage, product, &shared_memory<float>(), channel, column);
}

// to[pixel of the halo][SLICE]: the slice of dh that begins at `channel`, zero where there is no pixel or channel.
template <class T> __device__ __forceinline__ void fill_filtered_gradient(T* to, const Stage& stage, const Halo& halo, unsigned channel) {
    const unsigned half = threadIdx.x % 2 * 8;
    const T* const from = static_cast<const T*>(stage.scratch) + channel + half;
    for (unsigned h = threadIdx.x / 2; h < halo.pixels(); h += THREADS / 2) {
        uint4 values[sizeof(T) / 2] = {};
        unsigned place;
        if (halo.find(place, stage.to, h) && channel + half < stage.in_channels) {
#pragma unroll
            for (unsigned i = 0; i < sizeof(T) / 2; i++) values[i] = reinterpret_cast<const uint4*>(from + size_t(place) * stage.in_channels)[i];
        }
#pragma unroll
        for (unsigned i = 0; i < sizeof(T) / 2; i++) reinterpret_cast<uint4*>(to + h * SLICE<T> + half)[i] = values[i];
    }
}

// The activations of a thread's two channels of a run of input pixels; zero where there is none.
template <class T>
__device__ __forceinline__ void read_run(float (&a)[RUN][2], const PixelRun& run, const Stage& stage, const Tile& tile, const SourcePlace& from, const ChannelsNormalizer<2>& normalizer) {
#pragma unroll
    for (unsigned i = 0; i < RUN; i++) {
        a[i][0] = a[i][1] = 0.0f;
        if (!from.source || run[i] >= tile.count) continue;
        load2(a[i], static_cast<const T*>(from.source->values) + size_t(tile.first + run[i]) * from.source->channels + from.channel);
        normalizer.apply(a[i]);
        if (stage.relu) relu_channels(a[i]);
        round_channels<T>(a[i]);
    }
}

// What one tile adds to du of the thread's run and to the filter's gradient; `slice` holds dh around the tile, `a` the run's activations.
// With KERNEL taps a row, stride 1 and runs, the gradient of the filter stays in registers.
template <class T, unsigned KERNEL> struct FilterGradient {
    float sums[KERNEL * KERNEL][2] = {};
    unsigned place; // in a slice, of the window whose last tap is the run's first pixel

    __device__ __forceinline__ FilterGradient(const PixelRun& run, const Stage& stage, const Halo& halo) {
        const Rectangle tile(stage.from);
        const Pixel first = tile.pixel(run.first < tile.pixels() ? run.first : 0);
        place = halo.place(first.image, first.y, first.x) * SLICE<T> + run.channel;
    }

    __device__ __forceinline__ void add(float (&du)[RUN][2], const float (&a)[RUN][2], const T* slice, const float* filter, float*, const Stage& stage, const Tile&, const Halo& halo) {
        const T* at = slice + place;
        const unsigned step = stage.window.dilation * SLICE<T>;
#pragma unroll
        for (unsigned y = 0; y < KERNEL; y++, at += halo.columns.value * step) {
            float x[RUN + KERNEL - 1][2];
#pragma unroll
            for (unsigned j = 0; j < RUN + KERNEL - 1; j++) load2(x[j], at + j * step);
#pragma unroll
            for (unsigned column = 0; column < KERNEL; column++) {
                const unsigned tap = (KERNEL - 1 - y) * KERNEL + KERNEL - 1 - column;
                float weight[2];
                load2(weight, filter + tap * CHANNELS);
#pragma unroll
                for (unsigned i = 0; i < RUN; i++) {
#pragma unroll
                    for (unsigned c = 0; c < 2; c++) {
                        du[i][c] = fmaf(x[i + column][c], weight[c], du[i][c]);
                        sums[tap][c] = fmaf(x[i + column][c], a[i][c], sums[tap][c]);
                    }
                }
            }
        }
    }

    __device__ __forceinline__ void finish(float* own) const { write_tap_sums(own, sums); }
};

// Any window: the gradient of the filter stands in shared memory.
template <class T> struct FilterGradient<T, 0> {
    bool begun = false;
    unsigned channel;
    Pixel pixels[RUN]; // of a tile

    __device__ __forceinline__ FilterGradient(const PixelRun& run, const Stage& stage, const Halo&) : channel(run.channel) {
        const Rectangle tile(stage.from);
#pragma unroll
        for (unsigned i = 0; i < RUN; i++) pixels[i] = tile.pixel(run[i] < tile.pixels() ? run[i] : 0);
    }

    __device__ __forceinline__ void add(float (&du)[RUN][2], const float (&a)[RUN][2], const T* slice, const float* filter, float* own, const Stage& stage, const Tile& tile, const Halo& halo) {
        const Window& window = stage.window;
        const unsigned stride = window.stride;
        // Places of the windows that begin at the pixels, times the stride: a tap's window begins before.
        const unsigned first_row = tile.y + window.padding - halo.y * int(stride), first_column = tile.x + window.padding - halo.x * int(stride);
        for (unsigned y = 0; y < window.kernel; y++) {
            for (unsigned x = 0; x < window.kernel; x++) {
                const unsigned tap = y * window.kernel + x;
                float weight[2], sum[2] = {};
                load2(weight, filter + tap * CHANNELS);
#pragma unroll
                for (unsigned i = 0; i < RUN; i++) {
                    const unsigned row = first_row + pixels[i].y - y * window.dilation, column = first_column + pixels[i].x - x * window.dilation;
                    const unsigned at_row = divide(row, stride), at_column = divide(column, stride);
                    if (at_row * stride != row || at_column * stride != column) continue;
                    float dh[2];
                    load2(dh, slice + halo.place(pixels[i].image, at_row, at_column) * SLICE<T> + channel);
#pragma unroll
                    for (unsigned c = 0; c < 2; c++) {
                        du[i][c] = fmaf(dh[c], weight[c], du[i][c]);
                        sum[c] = fmaf(dh[c], a[i][c], sum[c]);
                    }
                }
                sum[0] = run_sum(sum[0]), sum[1] = run_sum(sum[1]);
                if (threadIdx.x % 32 >= 8) continue;
                if (begun) {
                    float before[2];
                    load2(before, own + tap * CHANNELS);
                    sum[0] += before[0], sum[1] += before[1];
                }
                store2(own + tap * CHANNELS, sum);
            }
        }
        begun = true;
    }

    __device__ __forceinline__ void finish(float*) const {}
};

// Shared memory: sums, the filter, the warps' gradients of the filter, the slice.
template <class T, unsigned KERNEL> __device__ __forceinline__ void depthwise_gradient(const Stage* stages, const uint32_t* count) {
    if (!task(stages, count)) return;
    const Stage& stage = *task(stages, count);
    const unsigned taps = stage.window.taps;
    ChannelSums& shared = shared_memory<ChannelSums>();
    float* const filter = reinterpret_cast<float*>(&shared + 1);
    float* const of_warps = filter + taps * CHANNELS;
    T* const slice = reinterpret_cast<T*>(of_warps + WARPS * taps * CHANNELS);
    const unsigned channel = blockIdx.z * CHANNELS, channels = min(CHANNELS, stage.in_channels - channel);
    const Tiles tiles(stage.from, WEIGHT_TILES);

    const PixelRun run(KERNEL == 0 ? 1 : stage.window.dilation);
    float* const own = of_warps + threadIdx.x / 32 * taps * CHANNELS + run.channel;
    Halo halo = above_pixels(stage);
    FilterGradient<T, KERNEL> gradient(run, stage, halo);
    ChannelsGradientWriter<T, 2> writer(find_source(stage, channel + run.channel), stage.relu);
    const GradientConstants<2> constants(writer.to);
    fill_filter(filter, stage, channel);
    for (Tile tile(stage.from, tiles.begin); tile.index < tiles.end; tile.advance(stage.from)) {
        place_above(halo, stage, tile);
        __syncthreads();
        fill_filtered_gradient<T>(slice, stage, halo, channel);
        float a[RUN][2], du[RUN][2] = {};
        read_run<T>(a, run, stage, tile, writer.to, constants.normalizer);
        __syncthreads();
        gradient.add(du, a, slice, filter + run.channel, own, stage, tile, halo);
        if (!writer.is_wanted()) continue;
#pragma unroll
        for (unsigned i = 0; i < RUN; i++)
            if (run[i] < tile.count) writer.write(constants, tile.first + run[i], du[i]);
    }
    gradient.finish(own);
#pragma unroll
    for (unsigned c = 0; c < 2; c++) {
        const float sums[2] = {run_sum(writer.dz_sum[c]), run_sum(writer.xhat_sum[c])};
        if (threadIdx.x % 32 >= 8) continue;
        for (unsigned which = 0; which < 2; which++) shared.of_warps[threadIdx.x / 32][which][run.channel + c] = sums[which];
    }
    write_filter_gradient(stage, of_warps, channel);
    if (!finishes_sums(stage)) return;
    write_sums(shared, channels, [&](unsigned column) { return find_source(stage, channel + column); });
    if (is_last_block(stage.counter, shared.flag)) finish_sums(stage);
}

} // namespace

#define ARGUMENTS const Stage *__restrict__ stages, const uint32_t *__restrict__ count
extern "C" __global__ void __launch_bounds__(256, 1) separable_forward_f32_16(ARGUMENTS) { forward<float, 16>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 1) separable_forward_f32_32(ARGUMENTS) { forward<float, 32>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 1) separable_forward_f32_64(ARGUMENTS) { forward<float, 64>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) separable_forward_bf16_16(ARGUMENTS) { forward<bf16, 16>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) separable_forward_bf16_32(ARGUMENTS) { forward<bf16, 32>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) separable_forward_bf16_64(ARGUMENTS) { forward<bf16, 64>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) separable_pointwise_gradient_f32_16(ARGUMENTS) { pointwise_gradient<float, 16>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) separable_pointwise_gradient_f32_32(ARGUMENTS) { pointwise_gradient<float, 32>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) separable_pointwise_gradient_f32_64(ARGUMENTS) { pointwise_gradient<float, 64>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) separable_pointwise_gradient_bf16_16(ARGUMENTS) { pointwise_gradient<bf16, 16>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) separable_pointwise_gradient_bf16_32(ARGUMENTS) { pointwise_gradient<bf16, 32>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) separable_pointwise_gradient_bf16_64(ARGUMENTS) { pointwise_gradient<bf16, 64>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) separable_depthwise_gradient_f32_3(ARGUMENTS) { depthwise_gradient<float, 3>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 1) separable_depthwise_gradient_f32_5(ARGUMENTS) { depthwise_gradient<float, 5>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) separable_depthwise_gradient_f32_any(ARGUMENTS) { depthwise_gradient<float, 0>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) separable_depthwise_gradient_bf16_3(ARGUMENTS) { depthwise_gradient<bf16, 3>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) separable_depthwise_gradient_bf16_5(ARGUMENTS) { depthwise_gradient<bf16, 5>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) separable_depthwise_gradient_bf16_any(ARGUMENTS) { depthwise_gradient<bf16, 0>(stages, count); }
