// Max and average pools over windows of any kernel up to 7, stride, dilation and padding.
//
// Mathematics: a = relu(normalize(input)), rounded to the type of storage. Maximum: y[p] is the largest tap, by strict > in row-major order
//     from minus infinity; a NaN wins. Average: the sum of the valid taps divided by their number. Gradients, with dy that of the raw
//     output in f32: da[q] = sum over the windows of q, in row-major order, of dy[p] where q is p's largest tap (of NaNs the last), or
//     of dy[p] / valid taps. pool_runs.cu has the windows of search spaces. The largest tap is found again from the stored input.
// Layout: maps [image][row][column][channel]; the output has the channels of the concatenated input, padding included.
// Mapping: one block a chunk of tiles of up to 128 pixels (x), a task (y) and 16 channels (z): of the output in forward, else of the input.
//     256 threads, each eight channels of a pixel at a time.
// Shared memory: a slice of 16 channels of the input under the windows; then, in the same place, the tile's results in f32 (forward), or dy
//     of every window that holds a pixel of the tile (gradient), whose largest taps stand before it, a byte each.
// Traffic: forward (in + out) numbers a pixel; gradient reads in, dy and y and writes dx; borders of tiles are read twice.
// Determinism: taps and windows are visited in row-major order; tiles are functions of the stage's shape alone.
#include "input_gradient.cuh"
#include "output.cuh"
#include "shared.cuh"

namespace {

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
    unsigned count = 0, place = index * int(window.stride) - int(window.padding);
#pragma unroll 1
    for (unsigned tap = 0; tap < window.kernel; tap++, place += window.dilation) count += place < size;
    return count;
}

// Taps of a window that lie inside.
__device__ __forceinline__ float valid_taps(const Stage& stage, const Pixel& at) {
    return float(valid_taps(stage.window, at.y, stage.from.height) * valid_taps(stage.window, at.x, stage.from.width));
}

// The pool of eight channels of a tile's pixel, whose window begins at `first` in the slice.
template <class T, unsigned KERNEL>
__device__ __forceinline__ void pool(float (&out)[8], const Stage& stage, const Halo& halo, const T* first, const Pixel& at) {
    const bool maximum = stage.kind == MAXIMUM;
#pragma unroll
    for (int i = 0; i < 8; i++) out[i] = maximum ? -INFINITY : 0.0f;
    each_tap<KERNEL>(stage.window, halo.columns.value, [&](unsigned, unsigned distance) {
        float values[8];
        load8(values, first + distance * SLICE<T>);
#pragma unroll
        for (int i = 0; i < 8; i++) out[i] = maximum ? (wins(values[i], out[i]) ? values[i] : out[i]) : out[i] + values[i];
    });
    if (maximum) return;
    const float count = valid_taps(stage, at), reciprocal = 1.0f / count;
#pragma unroll
    for (int i = 0; i < 8; i++) out[i] = quotient(out[i], count, reciprocal);
}

// Shared memory: sums; then a slice of the input, or a tile of results.
template <class T> __device__ __forceinline__ void forward(const Stage* stages, const uint32_t* count) {
    if (!task(stages, count)) return;
    const Stage& stage = *task(stages, count);
    ChannelSums& shared = shared_memory<ChannelSums>();
    T* const slice = reinterpret_cast<T*>(&shared + 1);
    float* const sums = reinterpret_cast<float*>(slice);
    const unsigned channel = blockIdx.z * CHANNELS;
    const Tiles tiles(stage.to, stage.to.chunk);

    Halo halo = under_windows(stage);
    // Neighbouring threads take neighbouring pixels, whose rows lie in different banks.
    const unsigned p = threadIdx.x % TILE_PIXELS, half = threadIdx.x / TILE_PIXELS * 8;
    const Rectangle all(stage.to);
    const Pixel pixel = all.pixel(p < all.pixels() ? p : 0);
    const T* const first = slice + halo.place(pixel.image, pixel.y * stage.window.stride, pixel.x * stage.window.stride) * SLICE<T> + half;
    const InputSlice<T> input(stage, channel);
    OutputWriter<T> writer(channel, min(CHANNELS, stage.out_channels - channel));
    for (Tile tile(stage.to, tiles.begin); tile.index < tiles.end; tile.advance(stage.to)) {
        place_under(halo, stage, tile);
        __syncthreads();
        input.fill(slice, stage, halo, stage.kind == MAXIMUM ? -INFINITY : 0.0f);
        __syncthreads();
        float out[8];
        const Pixel at = {tile.image + pixel.image, tile.y + pixel.y, tile.x + pixel.x};
        if (stage.window.kernel == 3) {
            pool<T, 3>(out, stage, halo, first, at);
        } else {
            pool<T, 0>(out, stage, halo, first, at);
        }
        __syncthreads();
#pragma unroll
        for (int i = 0; i < 8; i++) sums[p * TILE<CHANNELS> + half + i] = out[i];
        writer.write(stage, tile, sums, TILE<CHANNELS>, shared);
    }
    writer.finish(stage, shared);
}

// The windows that hold a pixel of a tile of the input, and the input under them. At a border of the map they are moved inwards: some then hold
// no pixel of the tile.
struct PoolHalos {
    Halo windows, input;

    __device__ __forceinline__ explicit PoolHalos(const Stage& stage)
        : PoolHalos(stage.window, stage.from.together, min(windows_above(stage.window, stage.from.rows), stage.to.height),
                    min(windows_above(stage.window, stage.from.columns), stage.to.width)) {}

    __device__ __forceinline__ void place(const Stage& stage, const Tile& tile) {
        const int stride = stage.window.stride, padding = stage.window.padding;
        place_above(windows, stage, tile);
        windows.y = min(max(windows.y, 0), int(stage.to.height - windows.rows.value));
        windows.x = min(max(windows.x, 0), int(stage.to.width - windows.columns.value));
        input.image = tile.image, input.y = windows.y * stride - padding, input.x = windows.x * stride - padding;
    }

  private:
    __device__ __forceinline__ PoolHalos(const Window& w, unsigned together, unsigned rows, unsigned columns)
        : windows(together, rows, columns),
          input(together, (rows - 1) * w.stride + (w.kernel - 1) * w.dilation + 1, (columns - 1) * w.stride + (w.kernel - 1) * w.dilation + 1) {}
};

// largest[window of the halo][CHANNELS]: the number of each window's largest tap. `input` is that under these windows, from minus
// infinity outside.
template <class T, unsigned KERNEL>
__device__ __forceinline__ void find_largest(uint8_t* largest, const Stage& stage, const Halo& windows, const Halo& input, const T* slice) {
    const unsigned half = threadIdx.x / TILE_PIXELS * 8;
    for (unsigned w = threadIdx.x % TILE_PIXELS; w < windows.pixels(); w += TILE_PIXELS) {
        const Pixel at = windows.pixel(w);
        const T* first = slice + input.place(at.image, at.y * stage.window.stride, at.x * stage.window.stride) * SLICE<T> + half;
        float values[8];
        unsigned taps[8] = {};
#pragma unroll
        for (int i = 0; i < 8; i++) values[i] = -INFINITY;
        each_tap<KERNEL>(stage.window, input.columns.value, [&](unsigned tap, unsigned distance) {
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

// to[window of the halo][SLICE<float>]: dy of 16 channels from `channel`, of an average what each tap gets of it; zero where there is no
// window or channel.
template <class T> __device__ __forceinline__ void fill_shares(float* to, const Stage& stage, const Halo& windows, unsigned channel) {
    const unsigned half = threadIdx.x % 2 * 8;
    const OutputGradient<T> gradient(stage, channel + half);
    for (unsigned w = threadIdx.x / 2; w < windows.pixels(); w += THREADS / 2) {
        float dy[8] = {};
        unsigned place;
        if (windows.find(place, stage.to, w) && gradient.gradient) {
            gradient.read(dy, place);
            if (stage.kind != MAXIMUM) {
                const Pixel at = windows.pixel(w);
                const float count = valid_taps(stage, {at.image, windows.y + at.y, windows.x + at.x}), reciprocal = 1.0f / count;
#pragma unroll
                for (int i = 0; i < 8; i++) dy[i] = quotient(dy[i], count, reciprocal);
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

// du of eight channels of pixel `at` of the input. `shares` and `largest` begin with these channels.
template <unsigned KERNEL, unsigned STRIDE>
__device__ __forceinline__ void gather(float (&du)[8], const Stage& stage, const Pixel& at, const Halo& windows, const float* shares, const uint8_t* largest) {
    const Window& window = stage.window;
    const int kernel = KERNEL ? KERNEL : window.kernel, stride = window.stride, dilation = window.dilation, padding = window.padding;
    const bool maximum = stage.kind == MAXIMUM;
#pragma unroll
    for (int i = 0; i < 8; i++) du[i] = 0.0f;
    // The last tap belongs to the first window.
#pragma unroll
    for (int y = kernel - 1; y >= 0; y--) {
        int row;
        if (!window_at<STRIDE>(at.y + padding - y * dilation, stride, row) || unsigned(row - windows.y) >= windows.rows.value) continue;
        row = ((at.image - windows.image) * int(windows.rows.value) + row - windows.y) * int(windows.columns.value) - windows.x;
#pragma unroll
        for (int x = kernel - 1; x >= 0; x--) {
            int column;
            if (!window_at<STRIDE>(at.x + padding - x * dilation, stride, column) || unsigned(column - windows.x) >= windows.columns.value) continue;
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

// Shared memory: sums, the largest taps, then a slice of the input, or dy of the windows.
template <class T> __device__ __forceinline__ void gradient(const Stage* stages, const uint32_t* count) {
    if (!task(stages, count)) return;
    const Stage& stage = *task(stages, count);
    const unsigned channel = blockIdx.z * CHANNELS, kernel = stage.window.kernel, stride = stage.window.stride;
    ChannelSums& shared = shared_memory<ChannelSums>();
    PoolHalos halos(stage);
    uint8_t* const largest = reinterpret_cast<uint8_t*>(&shared + 1);
    T* const slice = reinterpret_cast<T*>(largest + halos.windows.pixels() * CHANNELS);
    float* const shares = reinterpret_cast<float*>(slice);
    const Tiles tiles(stage.from, stage.from.chunk);

    InputGradientWriter<T> writer(stage, channel, min(CHANNELS, stage.in_channels - channel));
    for (Tile tile(stage.from, tiles.begin); tile.index < tiles.end; tile.advance(stage.from)) {
        halos.place(stage, tile);
        __syncthreads();
        if (stage.kind == MAXIMUM) {
            // Anew, as its registers are wanted in between.
            InputSlice<T>(stage, channel).fill(slice, stage, halos.input, -INFINITY);
            __syncthreads();
            if (kernel == 3) {
                find_largest<T, 3>(largest, stage, halos.windows, halos.input, slice);
            } else {
                find_largest<T, 0>(largest, stage, halos.windows, halos.input, slice);
            }
            __syncthreads();
        }
        fill_shares<T>(shares, stage, halos.windows, channel);
        __syncthreads();
        writer.write(tile, [&](float (&du)[8], unsigned p, unsigned group) {
            const float* from = shares + group * 8;
            const uint8_t* taps = largest + group * 8;
            Pixel at = Rectangle(stage.from).pixel(p);
            at.image += tile.image, at.y += tile.y, at.x += tile.x;
            if (kernel == 3 && stride == 1) {
                gather<3, 1>(du, stage, at, halos.windows, from, taps);
            } else if (kernel == 3 && stride == 2) {
                gather<3, 2>(du, stage, at, halos.windows, from, taps);
            } else {
                gather<0, 0>(du, stage, at, halos.windows, from, taps);
            }
        });
    }
    writer.finish(stage, shared);
}

} // namespace

#define ARGUMENTS const Stage *__restrict__ stages, const uint32_t *__restrict__ count
extern "C" __global__ void __launch_bounds__(256, 2) pool_forward_f32(ARGUMENTS) { forward<float>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) pool_forward_bf16(ARGUMENTS) { forward<bf16>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) pool_gradient_f32(ARGUMENTS) { gradient<float>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) pool_gradient_bf16(ARGUMENTS) { gradient<bf16>(stages, count); }
