// Dense convolutions of any kernel, stride and dilation, and the factorized reduction (two taps with weights of their own), as implicit
// matrix products: y[p][n] = sum over taps t and channels k of a[window(p) + t][k] * w[t][k][n].
//
// Mathematics: a = relu(normalize(input)) (docs/numerics.md); forward y = a * w with the statistics of y; input gradient
//     da[q][k] = sum over t, n of dy[p: window(p) + t = q][n] * w[t][k][n], dy from the gradient of the normalized output; weight
//     gradient dw[t][k][n] = sum over p of a[window(p) + t][k] * dy[p][n].
// Layout: maps [image][row][column][channel]; weights [tap][input channel][output channel]; partial weight gradients [chunk] of these.
// Mapping: forward, one block a tile of up to 128 output pixels (x), a task (y) and COLUMNS output channels (z); input gradient likewise
//     with input pixels and channels; weight gradient, one block a chunk of WEIGHT_TILES tiles (x), a task (y) and 16 input channels times
//     COLUMNS output channels times nine taps (z). 256 threads; the products are those of product.cuh.
// Shared memory: a slice of 16 channels of the tile and its border, the weights of that slice for nine taps; then, in the same place,
//     the tile's sums in f32. The host computes the size (src/ops/convolution/cuda.rs).
// Traffic: forward (in + out) numbers a pixel; input gradient reads dy, y and writes dx, reading the input again for its ReLU; weight
//     gradient reads in + 2 out. 2 * taps * in * out FLOPs a pixel each. Floor on an H100: bytes / 3.35e12 s, FLOPs / 0.99e15 s in bf16.
// Determinism: a sum runs over slices, then taps, then 16 channels in the order of one product; tiles and chunks are functions of the
//     stage's shape alone.
#include "epilogue.cuh"
#include "product.cuh"
#include "shared.cuh"

namespace {

// Slices of the weights of `taps` taps from `first`.
template <class T, unsigned COLUMNS, bool TRANSPOSED>
__device__ __forceinline__ void fill_taps(T* right, const Stage& stage, unsigned first, unsigned taps, unsigned channel, unsigned column) {
    const unsigned ins = stage.in_channels, outs = stage.out_channels;
    fill_weights<T, COLUMNS, TRANSPOSED>(right, taps, channel, column, [&](float(&values)[8], unsigned tap, unsigned in, unsigned out) {
        if (in >= ins || out >= outs) return;
        const float* weights = stage.window.diagonal ? stage.weights[first + tap] : stage.weights[0] + size_t(first + tap) * ins * outs;
        load8(values, weights + size_t(in) * outs + out);
    });
}

// Shared memory of the first two kernels, from its start: what the epilogue needs, then slice and weights, or sums.
template <class T, unsigned COLUMNS> __device__ __forceinline__ void forward(const Stage* stages, const uint32_t* count) {
    if (!task(stages, count)) return;
    const Stage& stage = *task(stages, count);
    unsigned& flag = shared_memory<unsigned>();
    T* const slice = reinterpret_cast<T*>(&shared_memory<unsigned char>() + 16);
    const Tile tile(stage.to, blockIdx.x);
    const Halo halo = under_windows(stage, tile);
    T* const right = slice + halo.pixels() * SLICE<T>;
    const unsigned column = blockIdx.z * COLUMNS, taps = stage.window.taps;

    Product<T, COLUMNS> product;
    unsigned places[product.ROWS];
#pragma unroll
    for (unsigned r = 0; r < product.ROWS; r++) {
        const unsigned row = product.row(r);
        places[r] = window_place(stage, tile, halo, row < tile.pixels() ? row : 0);
    }
    for (unsigned channel = 0; channel < stage.in_channels; channel += CHANNELS) {
        for (unsigned first = 0; first < taps; first += TAPS) {
            const unsigned some = min(TAPS, taps - first);
            __syncthreads();
            if (first == 0) fill_input<T>(slice, stage, halo, channel);
            fill_taps<T, COLUMNS, false>(right, stage, first, some, channel, column);
            __syncthreads();
            for (unsigned tap = 0; tap < some; tap++) {
                const TapPlace at = tap_place(stage.window, first + tap);
                const T* left[product.ROWS];
#pragma unroll
                for (unsigned r = 0; r < product.ROWS; r++) left[r] = slice + (places[r] + at.y * halo.columns + at.x) * SLICE<T>;
                product.add(left, right + tap * CHANNELS * RIGHT<T, COLUMNS>);
            }
        }
    }
    float* const sums = reinterpret_cast<float*>(slice);
    spill(sums, product);
    write_output<T>(stage, tile, sums, TILE<COLUMNS>, column, min(COLUMNS, stage.out_channels - column), flag);
}

template <class T, unsigned COLUMNS> __device__ __forceinline__ void input_gradient(const Stage* stages, const uint32_t* count) {
    if (!task(stages, count)) return;
    const Stage& stage = *task(stages, count);
    GradientSums& shared = shared_memory<GradientSums>();
    // Sixteen zeros, for taps that no window has.
    T* const zeros = reinterpret_cast<T*>(&shared_memory<unsigned char>() + (sizeof(GradientSums) + 15) / 16 * 16);
    T* const slice = zeros + CHANNELS;
    const Tile tile(stage.from, blockIdx.x);
    const Halo halo = above_pixels(stage, tile);
    T* const right = slice + halo.pixels() * SLICE<T>;
    const unsigned column = blockIdx.z * COLUMNS, taps = stage.window.taps;

    if (threadIdx.x < CHANNELS) store1<T>(zeros + threadIdx.x, 0.0f);
    Product<T, COLUMNS> product;
    for (unsigned channel = 0; channel < stage.out_channels; channel += CHANNELS) {
        for (unsigned first = 0; first < taps; first += TAPS) {
            const unsigned some = min(TAPS, taps - first);
            __syncthreads();
            if (first == 0) fill_output_gradient<T>(slice, stage, halo, channel);
            fill_taps<T, COLUMNS, true>(right, stage, first, some, channel, column);
            __syncthreads();
            for (unsigned tap = 0; tap < some; tap++) {
                const TapPlace at = tap_place(stage.window, first + tap);
                const T* left[product.ROWS];
#pragma unroll
                for (unsigned r = 0; r < product.ROWS; r++) {
                    const unsigned row = product.row(r);
                    const int window = row < tile.pixels() ? window_of(stage, tile, halo, row, at) : -1;
                    left[r] = window < 0 ? zeros : slice + window * SLICE<T>;
                }
                product.add(left, right + tap * CHANNELS * RIGHT<T, COLUMNS>);
            }
        }
    }
    float* const sums = reinterpret_cast<float*>(slice);
    spill(sums, product);
    write_input_gradient<T>(stage, tile, sums, TILE<COLUMNS>, column, min(COLUMNS, stage.in_channels - column), shared);
}

// Where in a slice the windows of a tile's pixels begin, the same for every tile, and how much further their taps lie; in numbers.
struct alignas(16) WindowPlaces {
    unsigned of_pixels[TILE_PIXELS], of_taps[TAPS];
};

// Block z: columns fastest, then slices of input channels, then nines of taps.
template <class T, unsigned COLUMNS> __device__ __forceinline__ void weight_gradient(const Stage* stages, const uint32_t* count) {
    if (!task(stages, count)) return;
    const Stage& stage = *task(stages, count);
    WindowPlaces& windows = shared_memory<WindowPlaces>();
    T* const right = reinterpret_cast<T*>(&windows + 1);
    T* const slice = right + TILE_PIXELS * RIGHT<T, COLUMNS>;
    const unsigned across = (stage.out_channels + COLUMNS - 1) / COLUMNS, down = (stage.in_channels + CHANNELS - 1) / CHANNELS;
    const unsigned column = blockIdx.z % across * COLUMNS, channel = blockIdx.z / across % down * CHANNELS;
    const unsigned first = blockIdx.z / (across * down) * TAPS, taps = min(TAPS, stage.window.taps - first);
    const unsigned tiles = tile_count(stage.to), begin = blockIdx.x * WEIGHT_TILES, end = min(begin + WEIGHT_TILES, tiles);

    const Tile one(stage.to, 0);
    const Halo around = under_windows(stage, one);
    if (threadIdx.x < TILE_PIXELS) windows.of_pixels[threadIdx.x] = window_place(stage, one, around, threadIdx.x < one.pixels() ? threadIdx.x : 0) * SLICE<T>;
    if (threadIdx.x < taps) {
        const TapPlace at = tap_place(stage.window, first + threadIdx.x);
        windows.of_taps[threadIdx.x] = (at.y * around.columns + at.x) * SLICE<T>;
    }
    TapProduct<T, COLUMNS> product;
    for (unsigned index = begin; index < end; index++) {
        const Tile tile(stage.to, index);
        __syncthreads();
        fill_input<T>(slice, stage, under_windows(stage, tile), channel);
        fill_gradient_rows<T, COLUMNS>(right, stage, tile, column);
        __syncthreads();
        product.add(taps, [&](unsigned pixel, unsigned tap) { return slice + windows.of_pixels[pixel] + windows.of_taps[tap]; }, right);
    }
    product.each(taps, [&](unsigned tap, unsigned row, unsigned n, float sum) {
        const unsigned in = channel + row, out = column + n, t = first + tap;
        if (in >= stage.in_channels || out >= stage.out_channels) return;
        const size_t len = size_t(stage.window.diagonal ? 1 : stage.window.taps) * stage.in_channels * stage.out_channels;
        float* part = stage.window.diagonal ? stage.weight_parts[t] : stage.weight_parts[0] + size_t(t) * stage.in_channels * stage.out_channels;
        // Weights of the other tap's channels are padding.
        const bool padding = stage.window.diagonal && (out < stage.window.diagonal) != (t == 0);
        part[blockIdx.x * len + size_t(in) * stage.out_channels + out] = padding ? 0.0f : sum;
    });
}

} // namespace

#define ARGUMENTS const Stage *__restrict__ stages, const uint32_t *__restrict__ count
extern "C" __global__ void __launch_bounds__(256, 2) convolution_forward_f32_16(ARGUMENTS) { forward<float, 16>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) convolution_forward_f32_32(ARGUMENTS) { forward<float, 32>(stages, count); }
extern "C" __global__ void __launch_bounds__(256) convolution_forward_f32_64(ARGUMENTS) { forward<float, 64>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) convolution_forward_bf16_16(ARGUMENTS) { forward<bf16, 16>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) convolution_forward_bf16_32(ARGUMENTS) { forward<bf16, 32>(stages, count); }
extern "C" __global__ void __launch_bounds__(256) convolution_forward_bf16_64(ARGUMENTS) { forward<bf16, 64>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) convolution_input_gradient_f32_16(ARGUMENTS) { input_gradient<float, 16>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) convolution_input_gradient_f32_32(ARGUMENTS) { input_gradient<float, 32>(stages, count); }
extern "C" __global__ void __launch_bounds__(256) convolution_input_gradient_f32_64(ARGUMENTS) { input_gradient<float, 64>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) convolution_input_gradient_bf16_16(ARGUMENTS) { input_gradient<bf16, 16>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) convolution_input_gradient_bf16_32(ARGUMENTS) { input_gradient<bf16, 32>(stages, count); }
extern "C" __global__ void __launch_bounds__(256) convolution_input_gradient_bf16_64(ARGUMENTS) { input_gradient<bf16, 64>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) convolution_weight_gradient_f32_16(ARGUMENTS) { weight_gradient<float, 16>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) convolution_weight_gradient_f32_32(ARGUMENTS) { weight_gradient<float, 32>(stages, count); }
extern "C" __global__ void __launch_bounds__(256) convolution_weight_gradient_f32_64(ARGUMENTS) { weight_gradient<float, 64>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) convolution_weight_gradient_bf16_16(ARGUMENTS) { weight_gradient<bf16, 16>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) convolution_weight_gradient_bf16_32(ARGUMENTS) { weight_gradient<bf16, 32>(stages, count); }
extern "C" __global__ void __launch_bounds__(256) convolution_weight_gradient_bf16_64(ARGUMENTS) { weight_gradient<bf16, 64>(stages, count); }
