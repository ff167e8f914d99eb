// Depthwise-separable convolutions: normalize, ReLU, a depthwise filter, a pointwise product, statistics; nothing between is stored.
//
// Mathematics: a = relu(normalize(input)); h[p][c] = sum over taps t of a[window(p) + t][c] * v[t][c]; y[p][n] = sum over c of h[p][c] * w[c][n].
//     Backward, with dy from the gradient of the normalized output: dw[c][n] = sum over p of h[p][c] * dy[p][n]; dh = dy w^T;
//     da[q][c] = sum over t of dh[p: window(p) + t = q][c] * v[t][c]; dv[t][c] = sum over q of a[q][c] * dh[p: window(p) + t = q][c].
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
#include "epilogue.cuh"
#include "filter.cuh"
#include "product.cuh"
#include "shared.cuh"

namespace {

// Slices of the pointwise weights: of `slices` times 16 output channels if transposed, else one.
template <class T, unsigned COLUMNS, bool TRANSPOSED>
__device__ __forceinline__ void fill_pointwise(T* right, const Stage& stage, unsigned slices, unsigned channel, unsigned column) {
    fill_weights<T, COLUMNS, TRANSPOSED>(right, slices, channel, column, [&](float(&values)[8], unsigned slice, unsigned in, unsigned first) {
        const unsigned out = first + slice * CHANNELS;
        if (in < stage.in_channels && out < stage.out_channels) load8(values, stage.weights[1] + size_t(in) * stage.out_channels + out);
    });
}

// Shared memory: what the epilogue needs, the filter, then filtered tile, weights and slice, or sums.
template <class T, unsigned COLUMNS> __device__ __forceinline__ void forward(const Stage* stages, const uint32_t* count) {
    if (!task(stages, count)) return;
    const Stage& stage = *task(stages, count);
    unsigned& flag = shared_memory<unsigned>();
    float* const filter = reinterpret_cast<float*>(&shared_memory<unsigned char>() + 16);
    T* const filtered = reinterpret_cast<T*>(filter + stage.window.taps * CHANNELS);
    T* const right = filtered + TILE_PIXELS * SLICE<T>;
    T* const slice = right + CHANNELS * RIGHT<T, COLUMNS>;
    const Tile tile(stage.to, blockIdx.x);
    const Halo halo = under_windows(stage, tile);
    const unsigned column = blockIdx.z * COLUMNS;

    Product<T, COLUMNS> product;
    const T* left[product.ROWS];
#pragma unroll
    for (unsigned r = 0; r < product.ROWS; r++) left[r] = filtered + product.row(r) * SLICE<T>;
    for (unsigned channel = 0; channel < stage.in_channels; channel += CHANNELS) {
        __syncthreads();
        fill_input<T>(slice, stage, halo.anew(), channel);
        fill_filter(filter, stage, channel);
        fill_pointwise<T, COLUMNS, false>(right, stage, 1, channel, column);
        __syncthreads();
        filter_tile<T>(filtered, slice, filter, stage, tile.anew(), halo);
        __syncthreads();
        product.add(left, right);
    }
    float* const sums = reinterpret_cast<float*>(filtered);
    spill(sums, product);
    write_output<T>(stage, tile, sums, TILE<COLUMNS>, column, min(COLUMNS, stage.out_channels - column), flag);
}

// dh of a tile, channels from `channel`: `right` holds the first COLUMNS channels of dy, `transposed` [output channel][RIGHT], `sums` has room
// for a tile.
template <class T, unsigned COLUMNS>
__device__ __forceinline__ void write_filtered_gradient(const Stage& stage, const Tile& tile, T* right, const T* transposed, float* sums, unsigned channel) {
    Product<T, CHANNELS> product;
    for (unsigned column = 0; column < stage.out_channels; column += COLUMNS) {
        if (column > 0) {
            __syncthreads();
            fill_gradient_rows<T, COLUMNS>(right, stage, tile.anew(), column);
            __syncthreads();
        }
#pragma unroll
        for (unsigned k = 0; k < COLUMNS; k += CHANNELS) {
            if (column + k >= stage.out_channels) break;
            const T* left[product.ROWS];
#pragma unroll
            for (unsigned r = 0; r < product.ROWS; r++) left[r] = right + product.row(r) * RIGHT<T, COLUMNS> + k;
            product.add(left, transposed + (column + k) * RIGHT<T, CHANNELS>);
        }
    }
    spill(sums, product);
    __syncthreads();
    for (unsigned i = threadIdx.x; i < tile.pixels() * 2; i += THREADS) {
        const unsigned half = i % 2 * 8;
        const Pixel at = tile.pixel(i / 2);
        if (channel + half >= stage.in_channels || !tile.holds(at)) continue;
        float values[8];
#pragma unroll
        for (int j = 0; j < 8; j++) values[j] = sums[i / 2 * TILE<CHANNELS> + half + j];
        round8<T>(values);
        store8(static_cast<T*>(stage.scratch) + place(stage.to, at) * stage.in_channels + channel + half, values);
    }
}

// Shared memory: the filter; filtered tile or a tile of sums; slice, or gradient rows and transposed weights.
template <class T, unsigned COLUMNS> __device__ __forceinline__ void pointwise_gradient(const Stage* stages, const uint32_t* count) {
    if (!task(stages, count)) return;
    const Stage& stage = *task(stages, count);
    float* const filter = &shared_memory<float>();
    float* const sums = filter + stage.window.taps * CHANNELS;
    T* const filtered = reinterpret_cast<T*>(sums);
    T* const slice = reinterpret_cast<T*>(reinterpret_cast<unsigned char*>(sums) + max(TILE_PIXELS * SLICE<T> * sizeof(T), TILE_PIXELS * TILE<CHANNELS> * sizeof(float)));
    T* const right = slice;
    T* const transposed = right + TILE_PIXELS * RIGHT<T, COLUMNS>;
    const unsigned across = (stage.out_channels + COLUMNS - 1) / COLUMNS, slices = (stage.out_channels + CHANNELS - 1) / CHANNELS;
    const unsigned column = blockIdx.z % across * COLUMNS, channel = blockIdx.z / across * CHANNELS;
    const unsigned tiles = tile_count(stage.to), begin = blockIdx.x * WEIGHT_TILES, end = min(begin + WEIGHT_TILES, tiles);

    fill_filter(filter, stage, channel);
    PixelProduct<T, COLUMNS> product;
    for (unsigned index = begin; index < end; index++) {
        const Tile tile(stage.to, index);
        const Halo halo = under_windows(stage, tile);
        __syncthreads();
        fill_input<T>(slice, stage, halo.anew(), channel);
        __syncthreads();
        filter_tile<T>(filtered, slice, filter, stage, tile.anew(), halo);
        __syncthreads();
        fill_gradient_rows<T, COLUMNS>(right, stage, tile.anew(), column);
        if (column == 0) fill_pointwise<T, CHANNELS, true>(transposed, stage, slices, 0, channel);
        __syncthreads();
        product.add(filtered, right);
        if (column == 0) write_filtered_gradient<T, COLUMNS>(stage, tile.anew(), right, transposed, sums, channel);
    }
    if (!stage.weight_parts[1]) return;
    float* const part = stage.weight_parts[1] + size_t(blockIdx.x) * stage.in_channels * stage.out_channels;
    __syncthreads();
    product.each(&shared_memory<float>(), [&](unsigned row, unsigned n, float sum) {
        const unsigned in = channel + row, out = column + n;
        if (in < stage.in_channels && out < stage.out_channels) part[size_t(in) * stage.out_channels + out] = sum;
    });
}

// to[pixel of the halo][SLICE]: the slice of dh that begins at `channel`, zero where there is no pixel or channel.
template <class T> __device__ void fill_filtered_gradient(T* to, const Stage& stage, const Halo& halo, unsigned channel) {
    const unsigned half = threadIdx.x % 2 * 8;
    const bool present = channel + half < stage.in_channels;
    for (unsigned h = threadIdx.x / 2; h < halo.pixels(); h += THREADS / 2) {
        const Pixel at = halo.pixel(h);
        float values[8] = {};
        if (present && inside(halo.map, at)) load8(values, static_cast<const T*>(stage.scratch) + place(halo.map, at) * stage.in_channels + channel + half);
        store8(to + h * SLICE<T> + half, values);
    }
}

// The sum of a channel's values over the lanes of a warp that hold it, in all of them.
__device__ __forceinline__ float run_sum(float value) {
    value += __shfl_xor_sync(~0u, value, 8);
    return value + __shfl_xor_sync(~0u, value, 16);
}

// A thread's two channels of a tile of input pixels: where its run lies, and a there. IN_RUNS, all pixels lie in one row.
template <class T, bool IN_RUNS> struct CentreRun {
    static constexpr unsigned KEPT = IN_RUNS ? 1 : RUN;
    Pixel pixels[KEPT];
    unsigned places[KEPT], present = 0; // in the map; bits
    float a[RUN][2] = {};

    __device__ __forceinline__ size_t place_of(unsigned i, const PixelRun& run) const { return IN_RUNS ? places[0] + i * run.spacing : places[i % KEPT]; }

    template <class Writer>
    __device__ __forceinline__ void read(const PixelRun& run, const Stage& stage, const Tile& tile, const Writer& writer, bool channel_present) {
#pragma unroll
        for (unsigned i = 0; i < RUN; i++) {
            const bool in_tile = run[i] < tile.pixels();
            if (i < KEPT) {
                pixels[i] = tile.pixel(in_tile ? run[i] : 0);
                places[i] = unsigned(place(stage.from, pixels[i]));
            }
            Pixel pixel = pixels[i % KEPT];
            if (IN_RUNS) pixel.x += int(i * run.spacing);
            a[i][0] = a[i][1] = 0.0f;
            if (!in_tile || !channel_present || !tile.holds(pixel)) continue;
            present |= 1u << i;
            load2(a[i], static_cast<const T*>(writer.source->values) + place_of(i, run) * writer.source->channels + writer.channel);
            writer.normalizer.apply(a[i]);
            if (stage.relu) relu_channels(a[i]);
            round_channels<T>(a[i]);
        }
    }
};

// What one tile adds to du of the thread's run and to the filter's gradient; `slice` holds dh around the tile.
// With KERNEL taps a row, stride 1 and runs, the gradient of the filter stays in registers.
template <class T, unsigned KERNEL> struct FilterGradient {
    float sums[KERNEL * KERNEL][2] = {};

    __device__ __forceinline__ void add(float (&du)[RUN][2], const CentreRun<T, KERNEL != 0>& centre, unsigned channel, const T* slice, const float* filter, float*, const Stage& stage, const Tile& tile, const Halo& halo) {
        // The window whose last tap is the run's first pixel.
        const Pixel& first = centre.pixels[0];
        const T* at = slice + (((first.image - tile.image) * halo.rows + first.y - tile.y) * halo.columns + first.x - tile.x) * SLICE<T> + channel;
        const unsigned step = stage.window.dilation * SLICE<T>;
#pragma unroll
        for (unsigned y = 0; y < KERNEL; y++, at += halo.columns * step) {
            float x[RUN + KERNEL - 1][2];
#pragma unroll
            for (unsigned j = 0; j < RUN + KERNEL - 1; j++) load2(x[j], at + j * step);
#pragma unroll
            for (unsigned column = 0; column < KERNEL; column++) {
                const unsigned tap = (KERNEL - 1 - y) * KERNEL + KERNEL - 1 - column;
                float weight[2];
                load2(weight, filter + tap * CHANNELS + channel);
#pragma unroll
                for (unsigned i = 0; i < RUN; i++) {
#pragma unroll
                    for (unsigned c = 0; c < 2; c++) {
                        du[i][c] = fmaf(x[i + column][c], weight[c], du[i][c]);
                        sums[tap][c] = fmaf(x[i + column][c], centre.a[i][c], sums[tap][c]);
                    }
                }
            }
        }
    }

    // of_warps[warp][tap][CHANNELS]
    __device__ __forceinline__ void finish(float* of_warps, unsigned channel) const {
        float* own = of_warps + threadIdx.x / 32 * KERNEL * KERNEL * CHANNELS + channel;
#pragma unroll
        for (unsigned tap = 0; tap < KERNEL * KERNEL; tap++) {
            const float sum[2] = {run_sum(sums[tap][0]), run_sum(sums[tap][1])};
            if (threadIdx.x % 32 < 8) store2(own + tap * CHANNELS, sum);
        }
    }
};

// Any window: the gradient of the filter stands in shared memory.
template <class T> struct FilterGradient<T, 0> {
    bool begun = false;

    __device__ __forceinline__ void add(float (&du)[RUN][2], const CentreRun<T, false>& centre, unsigned channel, const T* slice, const float* filter, float* of_warps, const Stage& stage, const Tile& tile, const Halo& halo) {
        const Window& window = stage.window;
        const unsigned stride = window.stride;
        // Places of the windows that begin at the pixels, times the stride: a tap's window begins before.
        unsigned rows[RUN], columns[RUN], images[RUN];
#pragma unroll
        for (unsigned i = 0; i < RUN; i++) {
            const Pixel& at = centre.pixels[i];
            images[i] = (at.image - tile.image) * halo.rows;
            rows[i] = at.y + window.padding - halo.y * int(stride);
            columns[i] = at.x + window.padding - halo.x * int(stride);
        }
        float* own = of_warps + threadIdx.x / 32 * window.taps * CHANNELS + channel;
        for (unsigned y = 0; y < window.kernel; y++) {
            for (unsigned x = 0; x < window.kernel; x++) {
                const unsigned tap = y * window.kernel + x;
                float weight[2], sum[2] = {};
                load2(weight, filter + tap * CHANNELS + channel);
#pragma unroll
                for (unsigned i = 0; i < RUN; i++) {
                    const unsigned row = rows[i] - y * window.dilation, column = columns[i] - x * window.dilation;
                    const unsigned at_row = divided(row, stride), at_column = divided(column, stride);
                    if (at_row * stride != row || at_column * stride != column) continue;
                    float dh[2];
                    load2(dh, slice + ((images[i] + at_row) * halo.columns + at_column) * SLICE<T> + channel);
#pragma unroll
                    for (unsigned c = 0; c < 2; c++) {
                        du[i][c] = fmaf(dh[c], weight[c], du[i][c]);
                        sum[c] = fmaf(dh[c], centre.a[i][c], sum[c]);
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

    __device__ __forceinline__ void finish(float*, unsigned) const {}

    static __device__ __forceinline__ unsigned divided(unsigned a, unsigned b) { return b == 1 ? a : b == 2 ? a / 2 : a / b; }
};

// Shared memory: room of the epilogue, the filter, the warps' gradients of the filter, the slice.
template <class T, unsigned KERNEL> __device__ __forceinline__ void depthwise_gradient(const Stage* stages, const uint32_t* count) {
    if (!task(stages, count)) return;
    const Stage& stage = *task(stages, count);
    const unsigned taps = stage.window.taps;
    GradientSums& shared = shared_memory<GradientSums>();
    float* const filter = reinterpret_cast<float*>(&shared_memory<unsigned char>() + (sizeof(GradientSums) + 15) / 16 * 16);
    float* const of_warps = filter + taps * CHANNELS;
    T* const slice = reinterpret_cast<T*>(of_warps + WARPS * taps * CHANNELS);
    const unsigned channel = blockIdx.z * CHANNELS, channels = min(CHANNELS, stage.in_channels - channel);
    const unsigned tiles = tile_count(stage.from), begin = blockIdx.x * WEIGHT_TILES, end = min(begin + WEIGHT_TILES, tiles);

    const PixelRun run(KERNEL == 0 ? 1 : stage.window.dilation);
    const SourcePlace at = find_source(stage, channel + run.channel);
    const bool present = at.source != nullptr;
    ChannelsGradientWriter<2> writer(present ? *at.source : stage.sources[0], present ? at.channel : 0, stage.relu);
    fill_filter(filter, stage, channel);
    FilterGradient<T, KERNEL> gradient;
    for (unsigned index = begin; index < end; index++) {
        const Tile tile(stage.from, index);
        const Halo halo = above_pixels(stage, tile);
        __syncthreads();
        fill_filtered_gradient<T>(slice, stage, halo.anew(), channel);
        CentreRun<T, KERNEL != 0> centre;
        centre.read(run, stage, tile.anew(), writer, present);
        __syncthreads();
        float du[RUN][2] = {};
        gradient.add(du, centre, run.channel, slice, filter, of_warps, stage, tile, halo);
        if (!writer.source->gradient) continue;
#pragma unroll
        for (unsigned i = 0; i < RUN; i++)
            if (centre.present >> i & 1) writer.write<T>(centre.place_of(i, run), du[i]);
    }
    gradient.finish(of_warps, run.channel);
#pragma unroll
    for (unsigned c = 0; c < 2; c++) {
        const float sums[2] = {run_sum(writer.dz_sum[c]), run_sum(writer.xhat_sum[c])};
        if (threadIdx.x % 32 >= 8) continue;
        for (unsigned which = 0; which < 2; which++) shared.of_warps[threadIdx.x / 32][which][run.channel + c] = sums[which];
    }
    __syncthreads();
    float* const part = stage.weight_parts[0] + size_t(blockIdx.x) * taps * stage.in_channels + channel;
    for (unsigned i = threadIdx.x; i < taps * CHANNELS && stage.weight_parts[0]; i += THREADS) {
        if (i % CHANNELS >= channels) continue;
        float sum = 0.0f;
        for (unsigned w = 0; w < WARPS; w++) sum += of_warps[w * taps * CHANNELS + i];
        part[size_t(i / CHANNELS) * stage.in_channels + i % CHANNELS] = sum;
    }
    if (!finishes_sums(stage)) return;
    write_sums_of_warps(stage, shared, channel, channels);
    if (is_last_block(stage.counter, shared.flag)) finish_sums(stage);
}

} // namespace

#define ARGUMENTS const Stage *__restrict__ stages, const uint32_t *__restrict__ count
extern "C" __global__ void __launch_bounds__(256, 3) separable_forward_f32_16(ARGUMENTS) { forward<float, 16>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) separable_forward_f32_32(ARGUMENTS) { forward<float, 32>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) separable_forward_f32_64(ARGUMENTS) { forward<float, 64>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 3) separable_forward_bf16_16(ARGUMENTS) { forward<bf16, 16>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 3) separable_forward_bf16_32(ARGUMENTS) { forward<bf16, 32>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) separable_forward_bf16_64(ARGUMENTS) { forward<bf16, 64>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 3) separable_pointwise_gradient_f32_16(ARGUMENTS) { pointwise_gradient<float, 16>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) separable_pointwise_gradient_f32_32(ARGUMENTS) { pointwise_gradient<float, 32>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) separable_pointwise_gradient_f32_64(ARGUMENTS) { pointwise_gradient<float, 64>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) separable_pointwise_gradient_bf16_16(ARGUMENTS) { pointwise_gradient<bf16, 16>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) separable_pointwise_gradient_bf16_32(ARGUMENTS) { pointwise_gradient<bf16, 32>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) separable_pointwise_gradient_bf16_64(ARGUMENTS) { pointwise_gradient<bf16, 64>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) separable_depthwise_gradient_f32_3(ARGUMENTS) { depthwise_gradient<float, 3>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) separable_depthwise_gradient_f32_5(ARGUMENTS) { depthwise_gradient<float, 5>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) separable_depthwise_gradient_f32_any(ARGUMENTS) { depthwise_gradient<float, 0>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) separable_depthwise_gradient_bf16_3(ARGUMENTS) { depthwise_gradient<bf16, 3>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) separable_depthwise_gradient_bf16_5(ARGUMENTS) { depthwise_gradient<bf16, 5>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) separable_depthwise_gradient_bf16_any(ARGUMENTS) { depthwise_gradient<bf16, 0>(stages, count); }
