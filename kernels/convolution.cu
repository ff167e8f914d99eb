// Dense convolutions of any kernel, stride and dilation, and the factorized reduction (two taps with weights of their own), as implicit
// matrix products: y[p][n] = sum over taps t and channels k of a[window(p) + t][k] * w[t][k][n].
//
// Mathematics: a = relu(normalize(input)) (docs/numerics.md); forward y = a * w with the statistics of y; input gradient
//     da[q][k] = sum over t, n of dy[p: window(p) + t = q][n] * w[t][k][n], dy from the gradient of the normalized output; weight
//     gradient dw[t][k][n] = sum over p of a[window(p) + t][k] * dy[p][n].
// Layout: maps [image][row][column][channel]; weights [tap][input channel][output channel]; partial weight gradients [chunk] of these.
// Mapping: forward, one block a chunk of tiles of up to 128 output pixels (x), a task (y) and COLUMNS output channels (z); input gradient likewise with
//     input pixels and channels; weight gradient, one block a chunk of WEIGHT_TILES tiles (x), a task (y) and some slices of 16 input channels times
//     COLUMNS output channels times nine taps (z). 256 threads; the products are those of product.cuh.
// Shared memory: a slice of 16 channels of the tile and its border (weight gradient: some slices), and the weights of all slices, or where there is no
//     room those of one slice for nine taps; then, in the slice's place, the tile's sums in f32. The host computes the size
//     (src/ops/convolution/cuda.rs).
// Traffic: forward (in + out) numbers a pixel; input gradient reads dy, y and writes dx, reading the input again for its ReLU; weight
//     gradient reads in + 2 out, the one again for every group of columns, the other for every group of slices. 2 * taps * in * out FLOPs a pixel each. Floor on an H100: bytes / 3.35e12 s, FLOPs / 0.99e15 s in bf16.
// Determinism: a sum runs over slices, then taps, then 16 channels in the order of one product; tiles and chunks are functions of the
//     stage's shape alone.
#include "input_gradient.cuh"
#include "output.cuh"
#include "product.cuh"
#include "shared.cuh"

namespace {

constexpr unsigned WEIGHTS_ROOM = 96256; // bytes of shared memory for weights beside a slice or the tile's sums
constexpr unsigned SLICES_ROOM = 49152;  // bytes for the slices of a weight gradient

// Whether a pixel of the output has the window of the same pixel of the input alone.
__device__ __forceinline__ bool is_pointwise(const Window& w) { return w.kernel == 1 && w.stride == 1 && w.padding == 0 && !w.diagonal; }

// Pixels that a tile's slice holds: those of a halo in `map`, or of a pointwise stage the tile's.
struct SlicePixels {
    const Halo& halo;
    const Tiling& map;
    const Tile& tile;
    bool pointwise;

    __device__ __forceinline__ bool operator()(unsigned& place, unsigned h) const {
        if (!pointwise) return halo.find(place, map, h);
        place = tile.first + h;
        return h < tile.count;
    }
};

// What all threads need of the input's slices: two of these a slice, `count` slices from `channel`. A barrier must follow.
template <class T> __device__ __forceinline__ void find_slices(InputSlice<T>* to, const Stage& stage, unsigned channel, unsigned count) {
    for (unsigned i = threadIdx.x; i < 2 * count; i += THREADS) to[i] = InputSlice<T>(stage, channel + i / 2 * CHANNELS);
}

// Weights in shared memory, as right matrices: all of `slices` slices during all tiles where there is room beside the rest, else those of one slice and up to
// TAPS taps at a time.
template <class T, unsigned COLUMNS, bool TRANSPOSED> struct KeptWeights {
    static constexpr unsigned MATRIX = CHANNELS * RIGHT<T, COLUMNS>;
    const Stage& stage;
    T* const right;
    const unsigned slices, column;
    bool all;
    unsigned together; // taps

    __device__ __forceinline__ KeptWeights(T* right, const Stage& stage, unsigned slices, unsigned column, const Halo& halo)
        : stage(stage), right(right), slices(slices), column(column) {
        const unsigned taps = stage.window.taps, matrices = slices * taps * MATRIX * sizeof(T);
        all = matrices + max(halo.pixels() * SLICE<T> * unsigned(sizeof(T)), TILE_PIXELS * TILE<COLUMNS> * unsigned(sizeof(float))) <= WEIGHTS_ROOM;
        together = all ? taps : min(TAPS, taps);
        if (!all) return;
        for (unsigned slice = 0; slice < slices; slice++) fill(right + slice * taps * MATRIX, slice, 0, taps);
    }

    __device__ __forceinline__ T* end() const { return right + (all ? slices : 1) * together * MATRIX; }

    // Those of `some` taps of a slice, after the barrier that follows.
    __device__ __forceinline__ const T* of(unsigned slice, unsigned first, unsigned some) const {
        if (all) return right + slice * together * MATRIX;
        fill(right, slice, first, some);
        return right;
    }

  private:
    __device__ __forceinline__ void fill(T* to, unsigned slice, unsigned first, unsigned taps) const {
        const unsigned ins = stage.in_channels, outs = stage.out_channels;
        fill_tap_weights<T, COLUMNS, TRANSPOSED>(to, taps, slice * CHANNELS, column, [&](float(&values)[8], unsigned tap, unsigned in, unsigned out) {
            if (in >= ins || out >= outs) return;
            const float* weights = stage.window.diagonal ? stage.weights[first + tap] : stage.weights[0] + size_t(first + tap) * ins * outs;
            load8(values, weights + in * outs + out);
        });
    }
};

// of_taps[tap], with one more number that may be read and is not used. A barrier must follow.
template <class Of> __device__ __forceinline__ void find_taps(unsigned* of_taps, const Window& window, Of of) {
    for (unsigned tap = threadIdx.x; tap <= window.taps; tap += THREADS) of_taps[tap] = of(tap_place(window, tap));
}

__device__ __forceinline__ unsigned padded_taps(unsigned taps) { return taps / 4 * 4 + 4; }

// Shared memory of the first two kernels: sums, numbers of taps, the slices' sources or constants, the weights, then slice, or a tile of sums.
template <class T, unsigned COLUMNS> __device__ __forceinline__ void forward(const Stage* stages, const uint32_t* count) {
    if (!task(stages, count)) return;
    const Stage& stage = *task(stages, count);
    const unsigned slices = divide_up(stage.in_channels, CHANNELS), taps = stage.window.taps;
    const unsigned column = blockIdx.z * COLUMNS, columns = min(COLUMNS, stage.out_channels - column);
    ChannelSums& shared = shared_memory<ChannelSums>();
    unsigned* const of_taps = reinterpret_cast<unsigned*>(&shared + 1); // how far in a slice they lie from the first
    InputSlice<T>* const inputs = reinterpret_cast<InputSlice<T>*>(of_taps + padded_taps(taps));
    Halo halo = under_windows(stage);
    find_taps(of_taps, stage.window, [&](TapPlace at) { return (at.y * halo.columns.value + at.x) * SLICE<T>; });
    find_slices(inputs, stage, 0, slices);
    const KeptWeights<T, COLUMNS, false> weights(reinterpret_cast<T*>(inputs + 2 * slices), stage, slices, column, halo);
    T* const slice = weights.end();
    float* const sums = reinterpret_cast<float*>(slice);
    const Tiles tiles(stage.to, stage.to.chunk);
    const bool pointwise = is_pointwise(stage.window);

    Product<T, COLUMNS> product;
    unsigned places[product.ROWS];
    const Rectangle all(stage.to);
#pragma unroll
    for (unsigned r = 0; r < product.ROWS; r++) {
        const unsigned row = product.row(r);
        places[r] = window_place(stage, all, halo, row < all.pixels() ? row : 0) * SLICE<T>;
    }
    OutputWriter<T> writer(column, columns);
    for (Tile tile(stage.to, tiles.begin); tile.index < tiles.end; tile.advance(stage.to)) {
        place_under(halo, stage, tile);
        product = Product<T, COLUMNS>();
        for (unsigned s = 0; s < slices; s++) {
            for (unsigned first = 0; first < taps; first += weights.together) {
                const unsigned some = min(weights.together, taps - first);
                __syncthreads();
                if (first == 0) inputs[2 * s + threadIdx.x % 2].fill(slice, stage, halo.pixels(), SlicePixels{halo, stage.from, tile, pointwise});
                const T* right = weights.of(s, first, some);
                __syncthreads();
                unsigned next = of_taps[first];
                for (unsigned tap = first; tap < first + some; tap++, right += weights.MATRIX) {
                    const unsigned of_tap = next;
                    next = of_taps[tap + 1];
                    const T* left[product.ROWS];
#pragma unroll
                    for (unsigned r = 0; r < product.ROWS; r++) left[r] = slice + (places[r] + of_tap);
                    product.add(left, right, columns);
                }
            }
        }
        __syncthreads();
        spill(sums, product, columns);
        writer.write(stage, tile, sums, TILE<COLUMNS>, shared);
    }
    writer.finish(stage, shared);
}

// Where in a slice of the output's gradient the window lies whose tap is a pixel of a tile of the input, or `none`. Bytes of `pixel` are its
// image, row and column, bytes of `tap` row and column.
template <class T> __device__ __forceinline__ const T* window_of(const T* slice, const T* none, const Stage& stage, const Tile& tile, const Halo& halo, unsigned pixel, unsigned tap) {
    const unsigned stride = stage.window.stride, padding = stage.window.padding;
    // From the first pixel under the halo's windows.
    const unsigned y = tile.y + pixel / 256 % 256 + padding - tap / 256 - halo.y * stride, x = tile.x + pixel % 256 + padding - tap % 256 - halo.x * stride;
    const unsigned row = divide(y, stride), column = divide(x, stride);
    return row * stride == y && column * stride == x ? slice + halo.place(pixel / 65536, row, column) * SLICE<T> : none;
}

template <class T, unsigned COLUMNS> __device__ __forceinline__ void input_gradient(const Stage* stages, const uint32_t* count) {
    if (!task(stages, count)) return;
    const Stage& stage = *task(stages, count);
    const unsigned slices = divide_up(stage.out_channels, CHANNELS), taps = stage.window.taps;
    const unsigned column = blockIdx.z * COLUMNS;
    ChannelSums& shared = shared_memory<ChannelSums>();
    // Sixteen zeros, for taps that no window has.
    T* const zeros = reinterpret_cast<T*>(&shared + 1);
    if (threadIdx.x < CHANNELS) store1<T>(zeros + threadIdx.x, 0.0f);
    float* const constants = reinterpret_cast<float*>(zeros + CHANNELS);
    for (unsigned s = 0; s < slices; s++) StagedOutputGradient<T>::stage_constants(constants + s * 4 * CHANNELS, CHANNELS, stage, s * CHANNELS);
    // At stride 1 how far in a slice the taps lie from the first, else their row and column, a byte each.
    unsigned* const of_taps = reinterpret_cast<unsigned*>(constants + slices * 4 * CHANNELS);
    Halo halo = above_pixels(stage);
    const unsigned stride = stage.window.stride;
    find_taps(of_taps, stage.window, [&](TapPlace at) { return stride == 1 ? (at.y * halo.columns.value + at.x) * SLICE<T> : at.y * 256 + at.x; });
    const KeptWeights<T, COLUMNS, true> weights(reinterpret_cast<T*>(of_taps + padded_taps(taps)), stage, slices, column, halo);
    T* const slice = weights.end();
    float* const sums = reinterpret_cast<float*>(slice);
    const Tiles tiles(stage.from, stage.from.chunk);

    Product<T, COLUMNS> product;
    // Of the pixels of a thread's rows at stride 1 the places of the windows whose first tap they are; else image, row and column, a byte each.
    unsigned places[product.ROWS];
    const Rectangle all(stage.from);
    const unsigned span = (stage.window.kernel - 1) * stage.window.dilation;
#pragma unroll
    for (unsigned r = 0; r < product.ROWS; r++) {
        const Pixel pixel = all.pixel(product.row(r) < all.pixels() ? product.row(r) : 0);
        places[r] = stride == 1 ? halo.place(pixel.image, pixel.y + span, pixel.x + span) * SLICE<T> : (pixel.image * 256 + pixel.y) * 256 + pixel.x;
    }
    InputGradientWriter<T> writer(stage, column, min(COLUMNS, stage.in_channels - column));
    for (Tile tile(stage.from, tiles.begin); tile.index < tiles.end; tile.advance(stage.from)) {
        place_above(halo, stage, tile);
        product = Product<T, COLUMNS>();
        for (unsigned s = 0; s < slices; s++) {
            for (unsigned first = 0; first < taps; first += weights.together) {
                const unsigned some = min(weights.together, taps - first);
                __syncthreads();
                if (first == 0) fill_output_gradient<T>(slice, constants + s * 4 * CHANNELS, stage, s * CHANNELS, halo.pixels(), SlicePixels{halo, stage.to, tile, is_pointwise(stage.window)});
                const T* const right = weights.of(s, first, some);
                __syncthreads();
                for (unsigned tap = first; tap < first + some; tap++) {
                    const unsigned of_tap = of_taps[tap];
                    const T* left[product.ROWS];
                    bool any = true;
                    if (stride == 1) {
#pragma unroll
                        for (unsigned r = 0; r < product.ROWS; r++) left[r] = slice + (places[r] - of_tap);
                    } else {
                        any = false;
#pragma unroll
                        for (unsigned r = 0; r < product.ROWS; r++) {
                            left[r] = window_of<T>(slice, zeros, stage, tile, halo, places[r], of_tap);
                            any |= left[r] != zeros;
                        }
                        any = __any_sync(~0u, any);
                    }
                    if (any) product.add(left, right + (tap - first) * weights.MATRIX, writer.threads.groups * 8);
                }
            }
        }
        __syncthreads();
        spill(sums, product, writer.threads.groups * 8);
        writer.write(tile, sums, TILE<COLUMNS>);
    }
    writer.finish(stage, shared);
}

// Slices that a block of a weight gradient takes of `slices`, with `taps` taps each: as many as there is room for, shared out evenly.
template <class T, unsigned COLUMNS> __device__ __forceinline__ unsigned slices_together(unsigned slices, unsigned taps, const Halo& halo) {
    const unsigned most = max(1u, min(TapProduct<T, COLUMNS>::MOST / taps, SLICES_ROOM / (halo.pixels() * SLICE<T> * unsigned(sizeof(T)))));
    return divide_up(slices, divide_up(slices, most));
}

// Block z: columns fastest, then groups of slices, then nines of taps.
template <class T, unsigned COLUMNS> __device__ __forceinline__ void weight_gradient(const Stage* stages, const uint32_t* count) {
    if (!task(stages, count)) return;
    const Stage& stage = *task(stages, count);
    LeftPlaces& places = shared_memory<LeftPlaces>();
    InputSlice<T>* const inputs = reinterpret_cast<InputSlice<T>*>(&places + 1);
    Halo halo = under_windows(stage);
    const unsigned together = slices_together<T, COLUMNS>(divide_up(stage.in_channels, CHANNELS), min(TAPS, stage.window.taps), halo);
    float* const constants = reinterpret_cast<float*>(inputs + 2 * together);
    T* const right = reinterpret_cast<T*>(constants + 4 * COLUMNS);
    T* const left = right + TILE_PIXELS * RIGHT<T, COLUMNS>;
    const unsigned across = divide_up(stage.out_channels, COLUMNS), down = divide_up(stage.in_channels, CHANNELS * together);
    const unsigned column = blockIdx.z % across * COLUMNS, channel = blockIdx.z / across % down * together * CHANNELS;
    const unsigned first = blockIdx.z / (across * down) * TAPS, taps = min(TAPS, stage.window.taps - first);
    const unsigned columns = min(COLUMNS, stage.out_channels - column), slices = min(together, divide_up(stage.in_channels - channel, CHANNELS)), matrices = slices * taps;
    const unsigned distance = halo.pixels() * SLICE<T>;
    const Tiles tiles(stage.to, WEIGHT_TILES);

    find_slices(inputs, stage, channel, slices);
    StagedOutputGradient<T>::stage_constants(constants, COLUMNS, stage, column);
    const unsigned group = threadIdx.x % (COLUMNS / 8) * 8;
    const StagedOutputGradient<T> gradient(constants + group, COLUMNS, stage, column + group);
    if (threadIdx.x < TILE_PIXELS) {
        const Rectangle tile(stage.to);
        places.of_pixels[threadIdx.x] = window_place(stage, tile, halo, threadIdx.x < tile.pixels() ? threadIdx.x : 0) * SLICE<T>;
    }
    if (threadIdx.x < matrices) {
        const TapPlace at = tap_place(stage.window, first + threadIdx.x % taps);
        places.of_matrices[threadIdx.x] = threadIdx.x / taps * distance + (at.y * halo.columns.value + at.x) * SLICE<T>;
    }
    TapProduct<T, COLUMNS> product;
    for (Tile tile(stage.to, tiles.begin); tile.index < tiles.end; tile.advance(stage.to)) {
        place_under(halo, stage, tile);
        __syncthreads();
        for (unsigned s = 0; s < slices; s++)
            inputs[2 * s + threadIdx.x % 2].fill(left + s * halo.pixels() * SLICE<T>, stage, halo.pixels(), SlicePixels{halo, stage.from, tile, is_pointwise(stage.window)});
        fill_gradient_rows<T, COLUMNS>(right, tile, gradient);
        __syncthreads();
        product.add(matrices, left, places, right, columns);
    }
    const unsigned ins = stage.in_channels, outs = stage.out_channels, diagonal = stage.window.diagonal;
    const size_t len = size_t(ins) * outs, begin = blockIdx.x * (diagonal ? len : stage.window.taps * len) + column;
    product.each(matrices, columns, [&](unsigned matrix, unsigned row, unsigned n, auto& sums) {
        const unsigned slice = matrix / taps, tap = first + matrix - slice * taps, in = channel + slice * CHANNELS + row;
        if (in >= ins) return;
        float* const part = (diagonal ? stage.weight_parts[tap] : stage.weight_parts[0] + tap * len) + begin;
        if (diagonal) {
            // Weights of the other tap's channels are padding.
            for (float& sum : sums) sum = (column + n + (&sum - sums) < diagonal) == (tap == 0) ? sum : 0.0f;
        }
        store_channels(part + in * outs + n, sums);
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
extern "C" __global__ void __launch_bounds__(256, 1) convolution_input_gradient_f32_16(ARGUMENTS) { input_gradient<float, 16>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 1) convolution_input_gradient_f32_32(ARGUMENTS) { input_gradient<float, 32>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 1) convolution_input_gradient_f32_64(ARGUMENTS) { input_gradient<float, 64>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) convolution_input_gradient_bf16_16(ARGUMENTS) { input_gradient<bf16, 16>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) convolution_input_gradient_bf16_32(ARGUMENTS) { input_gradient<bf16, 32>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 1) convolution_input_gradient_bf16_64(ARGUMENTS) { input_gradient<bf16, 64>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) convolution_weight_gradient_f32_16(ARGUMENTS) { weight_gradient<float, 16>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) convolution_weight_gradient_f32_32(ARGUMENTS) { weight_gradient<float, 32>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 1) convolution_weight_gradient_f32_64(ARGUMENTS) { weight_gradient<float, 64>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) convolution_weight_gradient_bf16_16(ARGUMENTS) { weight_gradient<bf16, 16>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) convolution_weight_gradient_bf16_32(ARGUMENTS) { weight_gradient<bf16, 32>(stages, count); }
