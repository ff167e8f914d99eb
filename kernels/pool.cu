// Max and average pools over windows of any kernel up to 7, stride, dilation and padding.
//
// Mathematics: a = relu(normalize(input)), rounded to the type of storage. Maximum: y[p] is the largest tap, by strict > in row-major order
//     from minus infinity; a NaN wins. Average: the sum of the valid taps divided by their number. Gradients, with dy that of the raw
//     output in f32: da[q] = sum over the windows of q, in row-major order, of dy[p] where q is p's largest tap (of NaNs the last), or
//     of dy[p] / valid taps. The largest tap is found again from the stored input.
// Layout: maps [image][row][column][channel]; the output has the channels of the concatenated input, padding included.
// Mapping: one block a tile of up to 128 pixels (x), a task (y) and 16 channels (z): of the output in forward, of the input in gradient.
//     256 threads, each eight channels of a pixel at a time.
// Shared memory: a slice of 16 channels of the input under the windows; then, in the same place, the tile's results in f32 (forward), or dy
//     of every window that holds a pixel of the tile (gradient), whose largest taps stand before it, a byte each.
// Traffic: forward (in + out) numbers a pixel; gradient reads in, dy and y and writes dx; borders of tiles are read twice.
// Determinism: taps and windows are visited in row-major order; tiles are functions of the stage's shape alone.
#include "epilogue.cuh"
#include "shared.cuh"

namespace {

constexpr uint32_t MAXIMUM = 0; // Stage::kind; otherwise an average

// use(tap, distance) for the taps of a window in row-major order; distance in pixels of a halo `columns` wide. KERNEL 0 is any.
template <unsigned KERNEL, class Use> __device__ __forceinline__ void each_tap(const Window& window, unsigned columns, Use use) {
    const unsigned kernel = KERNEL ? KERNEL : window.kernel;
#pragma unroll
    for (unsigned y = 0; y < kernel; y++)
#pragma unroll
        for (unsigned x = 0; x < kernel; x++) use(y * kernel + x, (y * columns + x) * window.dilation);
}

__device__ __forceinline__ bool wins(float value, float largest) { return value > largest || value != value; }

// Taps that lie inside, along one axis of `size` pixels, of the window of output pixel `index`.
__device__ __forceinline__ unsigned valid_taps(const Window& window, int index, unsigned size) {
    unsigned count = 0;
    for (unsigned tap = 0; tap < window.kernel; tap++) count += unsigned(index * int(window.stride) - int(window.padding) + int(tap * window.dilation)) < size;
    return count;
}
__device__ __forceinline__ float valid_taps(const Stage& stage, const Pixel& at) {
    return float(valid_taps(stage.window, at.y, stage.from.height) * valid_taps(stage.window, at.x, stage.from.width));
}

// The pool of eight channels of pixel p of a tile.
template <class T, unsigned KERNEL>
__device__ __forceinline__ void pool(float (&out)[8], const Stage& stage, const Tile& tile, const Halo& halo, const T* slice, unsigned p) {
    const bool maximum = stage.kind == MAXIMUM;
    const T* first = slice + window_place(stage, tile, halo, p) * SLICE<T>;
#pragma unroll
    for (int i = 0; i < 8; i++) out[i] = maximum ? -INFINITY : 0.0f;
    each_tap<KERNEL>(stage.window, halo.columns, [&](unsigned, unsigned distance) {
        float values[8];
        load8(values, first + distance * SLICE<T>);
#pragma unroll
        for (int i = 0; i < 8; i++) out[i] = maximum ? (wins(values[i], out[i]) ? values[i] : out[i]) : out[i] + values[i];
    });
    if (maximum) return;
    const float count = valid_taps(stage, tile.pixel(p));
#pragma unroll
    for (int i = 0; i < 8; i++) out[i] /= count;
}

template <class T> __device__ __forceinline__ void forward(const Stage* stages, const uint32_t* count) {
    if (!task(stages, count)) return;
    const Stage& stage = *task(stages, count);
    unsigned& flag = shared_memory<unsigned>();
    T* const slice = reinterpret_cast<T*>(&shared_memory<unsigned char>() + 16);
    float* const sums = reinterpret_cast<float*>(slice);
    const Tile tile(stage.to, blockIdx.x);
    const Halo halo = under_windows(stage, tile);
    const unsigned channel = blockIdx.z * CHANNELS;
    fill_input<T>(slice, stage, halo, channel, stage.kind == MAXIMUM ? -INFINITY : 0.0f);
    __syncthreads();

    // Neighbouring threads take neighbouring pixels, whose rows lie in different banks.
    const unsigned p = threadIdx.x % TILE_PIXELS, half = threadIdx.x / TILE_PIXELS * 8;
    float out[8];
    if (p < tile.pixels()) {
        if (stage.window.kernel == 3) {
            pool<T, 3>(out, stage, tile, halo, slice + half, p);
        } else {
            pool<T, 0>(out, stage, tile, halo, slice + half, p);
        }
    }
    __syncthreads();
    if (p < tile.pixels()) {
#pragma unroll
        for (int i = 0; i < 8; i++) sums[p * TILE<CHANNELS> + half + i] = out[i];
    }
    write_output<T>(stage, tile, sums, TILE<CHANNELS>, channel, min(CHANNELS, stage.out_channels - channel), flag);
}

// Leaves of a range along one axis what lies in a map of that size; at least one.
__device__ __forceinline__ void clip(int& first, unsigned& count, int size) {
    const int end = min(first + int(count), size);
    first = min(max(first, 0), size - 1);
    count = max(end - first, 1);
}

// The windows that hold a pixel of a tile of the input.
__device__ __forceinline__ Halo windows_above(const Stage& stage, const Tile& tile) {
    Halo windows = above_pixels(stage, tile);
    clip(windows.y, windows.rows, stage.to.height);
    clip(windows.x, windows.columns, stage.to.width);
    return windows;
}

// The input under some windows.
__device__ __forceinline__ Halo under(const Stage& stage, const Halo& windows) {
    const Window& w = stage.window;
    const unsigned span = (w.kernel - 1) * w.dilation + 1;
    const int stride = w.stride, padding = w.padding;
    return {stage.from, windows.image, windows.y * stride - padding, windows.x * stride - padding, windows.together,
            (windows.rows - 1) * w.stride + span, (windows.columns - 1) * w.stride + span};
}

// largest[window of the halo][CHANNELS]: the number of each window's largest tap. `input` is that under these windows, from minus
// infinity outside.
template <class T, unsigned KERNEL>
__device__ __forceinline__ void find_largest(uint8_t* largest, const Stage& stage, const Halo& windows, const Halo& input, const T* slice) {
    const unsigned half = threadIdx.x / TILE_PIXELS * 8;
    for (unsigned w = threadIdx.x % TILE_PIXELS; w < windows.pixels(); w += TILE_PIXELS) {
        const unsigned row = w / windows.columns, column = w % windows.columns;
        const unsigned image = row / windows.rows, y = row % windows.rows;
        const T* first = slice + ((image * input.rows + y * stage.window.stride) * input.columns + column * stage.window.stride) * SLICE<T> + half;
        float values[8];
        unsigned taps[8] = {};
#pragma unroll
        for (int i = 0; i < 8; i++) values[i] = -INFINITY;
        each_tap<KERNEL>(stage.window, input.columns, [&](unsigned tap, unsigned distance) {
            float next[8];
            load8(next, first + distance * SLICE<T>);
#pragma unroll
            for (int i = 0; i < 8; i++) {
                const bool better = wins(next[i], values[i]);
                values[i] = better ? next[i] : values[i];
                taps[i] = better ? tap : taps[i];
            }
        });
        *reinterpret_cast<uint2*>(largest + w * CHANNELS + half) =
            {taps[0] | taps[1] << 8 | taps[2] << 16 | taps[3] << 24, taps[4] | taps[5] << 8 | taps[6] << 16 | taps[7] << 24};
    }
}

// to[window of the halo][SLICE<float>]: dy of 16 channels from `channel`, of an average divided by the window's taps; zero where there is
// no window or channel.
template <class T> __device__ __forceinline__ void fill_shares(float* to, const Stage& stage, const Halo& windows, unsigned channel) {
    const unsigned half = threadIdx.x % 2 * 8, first = channel + half;
    const bool present = first < stage.out_channels;
    const OutputGradient gradient(stage, present ? first : 0);
    for (unsigned w = threadIdx.x / 2; w < windows.pixels(); w += THREADS / 2) {
        const Pixel at = windows.pixel(w);
        float dy[8] = {};
        if (present && inside(windows.map, at)) {
            gradient.read<T>(dy, stage, place(windows.map, at), first);
            if (stage.kind != MAXIMUM) {
                const float count = valid_taps(stage, at);
#pragma unroll
                for (int i = 0; i < 8; i++) dy[i] /= count;
            }
        }
        store8(to + w * SLICE<float> + half, dy);
    }
}

// Whether `place` is a window's first pixel along one axis, and which window's. STRIDE 0 is any.
template <unsigned STRIDE> __device__ __forceinline__ bool window_at(int place, int stride, int& window) {
    if (STRIDE == 1) {
        window = place;
        return true;
    }
    if (STRIDE == 2) {
        window = place >> 1;
        return (place & 1) == 0;
    }
    window = floor_divide(place, stride);
    return window * stride == place;
}

// du of eight channels of pixel p of a tile of the input.
template <unsigned KERNEL, unsigned STRIDE>
__device__ __forceinline__ void gather(float (&du)[8], const Stage& stage, const Tile& tile, const Halo& windows, const float* shares, const uint8_t* largest, unsigned p) {
    const Window& window = stage.window;
    const Pixel at = tile.pixel(p);
    const int kernel = KERNEL ? KERNEL : window.kernel, stride = window.stride, dilation = window.dilation, padding = window.padding;
    const bool maximum = stage.kind == MAXIMUM;
#pragma unroll
    for (int i = 0; i < 8; i++) du[i] = 0.0f;
    // The last tap belongs to the first window.
#pragma unroll
    for (int y = kernel - 1; y >= 0; y--) {
        int row;
        if (!window_at<STRIDE>(at.y + padding - y * dilation, stride, row) || unsigned(row - windows.y) >= windows.rows) continue;
        row = ((at.image - tile.image) * int(windows.rows) + row - windows.y) * int(windows.columns) - windows.x;
#pragma unroll
        for (int x = kernel - 1; x >= 0; x--) {
            int column;
            if (!window_at<STRIDE>(at.x + padding - x * dilation, stride, column) || unsigned(column - windows.x) >= windows.columns) continue;
            const unsigned w = row + column, tap = y * kernel + x;
            float dy[8];
            load8(dy, shares + w * SLICE<float>);
            if (maximum) {
                const uint2 taps = *reinterpret_cast<const uint2*>(largest + w * CHANNELS);
#pragma unroll
                for (int i = 0; i < 8; i++) dy[i] = ((i < 4 ? taps.x : taps.y) >> i % 4 * 8 & 255u) == tap ? dy[i] : 0.0f;
            }
#pragma unroll
            for (int i = 0; i < 8; i++) du[i] += dy[i];
        }
    }
}

template <class T> __device__ __forceinline__ void gradient(const Stage* stages, const uint32_t* count) {
    if (!task(stages, count)) return;
    const Stage& stage = *task(stages, count);
    GradientSums& shared = shared_memory<GradientSums>();
    const Tile tile(stage.from, blockIdx.x);
    const Halo windows = windows_above(stage, tile);
    uint8_t* const largest = &shared_memory<uint8_t>() + (sizeof(GradientSums) + 15) / 16 * 16;
    T* const slice = reinterpret_cast<T*>(largest + windows.pixels() * CHANNELS);
    float* const shares = reinterpret_cast<float*>(slice);
    const unsigned channel = blockIdx.z * CHANNELS, kernel = stage.window.kernel, stride = stage.window.stride;
    if (stage.kind == MAXIMUM) {
        const Halo input = under(stage, windows);
        fill_input<T>(slice, stage, input, channel, -INFINITY);
        __syncthreads();
        if (kernel == 3) {
            find_largest<T, 3>(largest, stage, windows, input, slice);
        } else {
            find_largest<T, 0>(largest, stage, windows, input, slice);
        }
        __syncthreads();
    }
    fill_shares<T>(shares, stage, windows, channel);
    __syncthreads();
    write_input_gradient<T>(stage, tile, channel, min(CHANNELS, stage.in_channels - channel), shared, [&](float (&du)[8], unsigned p, unsigned group) {
        const float* from = shares + group * 8;
        const uint8_t* taps = largest + group * 8;
        if (kernel == 3 && stride == 1) {
            gather<3, 1>(du, stage, tile, windows, from, taps, p);
        } else if (kernel == 3 && stride == 2) {
            gather<3, 2>(du, stage, tile, windows, from, taps, p);
        } else {
            gather<0, 0>(du, stage, tile, windows, from, taps, p);
        }
    });
}

} // namespace

#define ARGUMENTS const Stage *__restrict__ stages, const uint32_t *__restrict__ count
extern "C" __global__ void __launch_bounds__(256, 3) pool_forward_f32(ARGUMENTS) { forward<float>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 3) pool_forward_bf16(ARGUMENTS) { forward<bf16>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) pool_gradient_f32(ARGUMENTS) { gradient<float>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) pool_gradient_bf16(ARGUMENTS) { gradient<bf16>(stages, count); }
