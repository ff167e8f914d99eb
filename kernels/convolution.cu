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
#include "input_gradient.cuh"
#include "output.cuh"
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

// Shared memory of the first two kernels: sums, the weights, then slice, or a tile of sums.
template <class T, unsigned COLUMNS> __device__ __forceinline__ void forward(const Stage* stages, const uint32_t* count) {
    if (!task(stages, count)) return;
    const Stage& stage = *task(stages, count);
    const unsigned column = blockIdx.z * COLUMNS, taps = stage.window.taps;
    ChannelSums& shared = shared_memory<ChannelSums>();
    T* const right = reinterpret_cast<T*>(&shared + 1);
    T* const slice = right + min(TAPS, taps) * CHANNELS * RIGHT<T, COLUMNS>;
    float* const sums = reinterpret_cast<float*>(slice);
    const Tiles tiles(stage.to, stage.to.chunk);

    Halo halo = under_windows(stage);
    Product<T, COLUMNS> product;
    unsigned places[product.ROWS];
    const Rectangle all(stage.to);
#pragma unroll
    for (unsigned r = 0; r < product.ROWS; r++) {
        const unsigned row = product.row(r);
        places[r] = window_place(stage, all, halo, row < all.pixels() ? row : 0);
    }
    // A single slice with few taps has the same weights for all tiles.
    const bool refills = stage.in_channels > CHANNELS || taps > TAPS;
    InputSlice<T> input(stage, 0);
    OutputWriter<T> writer(column, min(COLUMNS, stage.out_channels - column));
    for (Tile tile(stage.to, tiles.begin); tile.index < tiles.end; tile.advance(stage.to)) {
        place_under(halo, stage, tile);
        product = Product<T, COLUMNS>();
        for (unsigned channel = 0; channel < stage.in_channels; channel += CHANNELS) {
            if (stage.in_channels > CHANNELS) input = InputSlice<T>(stage, channel);
            for (unsigned first = 0; first < taps; first += TAPS) {
                const unsigned some = min(TAPS, taps - first);
                __syncthreads();
                if (first == 0) input.fill(slice, stage, halo);
                if (refills || tile.index == tiles.begin) fill_taps<T, COLUMNS, false>(right, stage, first, some, channel, column);
                __syncthreads();
                for (unsigned tap = 0; tap < some; tap++) {
                    const TapPlace at = tap_place(stage.window, first + tap);
                    const T* left[product.ROWS];
#pragma unroll
                    for (unsigned r = 0; r < product.ROWS; r++) left[r] = slice + (places[r] + at.y * halo.columns.value + at.x) * SLICE<T>;
                    product.add(left, right + tap * CHANNELS * RIGHT<T, COLUMNS>);
                }
            }
        }
        __syncthreads();
        spill(sums, product);
        writer.write(stage, tile, sums, TILE<COLUMNS>, shared);
    }
    writer.finish(stage, shared);
}

// Where in a slice of the output's gradient the window lies whose tap `at` is pixel `pixel` of a tile of the input, or `none`.
template <class T> __device__ __forceinline__ const T* window_of(const T* slice, const T* none, const Stage& stage, const Tile& tile, const Halo& halo, const Pixel& pixel, TapPlace at) {
    const int stride = stage.window.stride, padding = stage.window.padding;
    const int y = tile.y + pixel.y + padding - at.y, x = tile.x + pixel.x + padding - at.x;
    const int row = floor_divide(y, stride), column = floor_divide(x, stride);
    if (row * stride != y || column * stride != x) return none;
    return slice + halo.place(pixel.image, row - halo.y, column - halo.x) * SLICE<T>;
}

template <class T, unsigned COLUMNS> __device__ __forceinline__ void input_gradient(const Stage* stages, const uint32_t* count) {
    if (!task(stages, count)) return;
    const Stage& stage = *task(stages, count);
    const unsigned column = blockIdx.z * COLUMNS, taps = stage.window.taps;
    ChannelSums& shared = shared_memory<ChannelSums>();
    // Sixteen zeros, for taps that no window has.
    T* const zeros = reinterpret_cast<T*>(&shared + 1);
    T* const right = zeros + CHANNELS;
    T* const slice = right + min(TAPS, taps) * CHANNELS * RIGHT<T, COLUMNS>;
    float* const sums = reinterpret_cast<float*>(slice);
    const Tiles tiles(stage.from, stage.from.chunk);

    if (threadIdx.x < CHANNELS) store1<T>(zeros + threadIdx.x, 0.0f);
    Halo halo = above_pixels(stage);
    Product<T, COLUMNS> product;
    Pixel pixels[product.ROWS];
    const Rectangle all(stage.from);
#pragma unroll
    for (unsigned r = 0; r < product.ROWS; r++) pixels[r] = all.pixel(product.row(r) < all.pixels() ? product.row(r) : 0);
    const bool refills = stage.out_channels > CHANNELS || taps > TAPS;
    InputGradientWriter<T> writer(stage, column, min(COLUMNS, stage.in_channels - column));
    for (Tile tile(stage.from, tiles.begin); tile.index < tiles.end; tile.advance(stage.from)) {
        place_above(halo, stage, tile);
        product = Product<T, COLUMNS>();
        for (unsigned channel = 0; channel < stage.out_channels; channel += CHANNELS) {
            for (unsigned first = 0; first < taps; first += TAPS) {
                const unsigned some = min(TAPS, taps - first);
                __syncthreads();
                if (first == 0) fill_output_gradient<T>(slice, stage, halo, channel);
                if (refills || tile.index == tiles.begin) fill_taps<T, COLUMNS, true>(right, stage, first, some, channel, column);
                __syncthreads();
                for (unsigned tap = 0; tap < some; tap++) {
                    const TapPlace at = tap_place(stage.window, first + tap);
                    const T* left[product.ROWS];
#pragma unroll
                    for (unsigned r = 0; r < product.ROWS; r++) left[r] = window_of<T>(slice, zeros, stage, tile, halo, pixels[r], at);
                    product.add(left, right + tap * CHANNELS * RIGHT<T, COLUMNS>);
                }
            }
        }
        __syncthreads();
        spill(sums, product);
        writer.write(tile, sums, TILE<COLUMNS>);
    }
    writer.finish(stage, shared);
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
    const unsigned across = divide_up(stage.out_channels, COLUMNS), down = divide_up(stage.in_channels, CHANNELS);
    const unsigned column = blockIdx.z % across * COLUMNS, channel = blockIdx.z / across % down * CHANNELS;
    const unsigned first = blockIdx.z / (across * down) * TAPS, taps = min(TAPS, stage.window.taps - first);
    const Tiles tiles(stage.to, WEIGHT_TILES);

    Halo halo = under_windows(stage);
    if (threadIdx.x < TILE_PIXELS) {
        const Rectangle tile(stage.to);
        windows.of_pixels[threadIdx.x] = window_place(stage, tile, halo, threadIdx.x < tile.pixels() ? threadIdx.x : 0) * SLICE<T>;
    }
    if (threadIdx.x < taps) {
        const TapPlace at = tap_place(stage.window, first + threadIdx.x);
        windows.of_taps[threadIdx.x] = (at.y * halo.columns.value + at.x) * SLICE<T>;
    }
    const InputSlice<T> input(stage, channel);
    TapProduct<T, COLUMNS> product;
    for (Tile tile(stage.to, tiles.begin); tile.index < tiles.end; tile.advance(stage.to)) {
        place_under(halo, stage, tile);
        __syncthreads();
        input.fill(slice, stage, halo);
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
extern "C" __global__ void __launch_bounds__(256, 1) convolution_forward_f32_64(ARGUMENTS) { forward<float, 64>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) convolution_forward_bf16_16(ARGUMENTS) { forward<bf16, 16>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) convolution_forward_bf16_32(ARGUMENTS) { forward<bf16, 32>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 1) convolution_forward_bf16_64(ARGUMENTS) { forward<bf16, 64>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) convolution_input_gradient_f32_16(ARGUMENTS) { input_gradient<float, 16>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) convolution_input_gradient_f32_32(ARGUMENTS) { input_gradient<float, 32>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 1) convolution_input_gradient_f32_64(ARGUMENTS) { input_gradient<float, 64>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) convolution_input_gradient_bf16_16(ARGUMENTS) { input_gradient<bf16, 16>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) convolution_input_gradient_bf16_32(ARGUMENTS) { input_gradient<bf16, 32>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 1) convolution_input_gradient_bf16_64(ARGUMENTS) { input_gradient<bf16, 64>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) convolution_weight_gradient_f32_16(ARGUMENTS) { weight_gradient<float, 16>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) convolution_weight_gradient_f32_32(ARGUMENTS) { weight_gradient<float, 32>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 1) convolution_weight_gradient_f32_64(ARGUMENTS) { weight_gradient<float, 64>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) convolution_weight_gradient_bf16_16(ARGUMENTS) { weight_gradient<bf16, 16>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) convolution_weight_gradient_bf16_32(ARGUMENTS) { weight_gradient<bf16, 32>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 1) convolution_weight_gradient_bf16_64(ARGUMENTS) { weight_gradient<bf16, 64>(stages, count); }
