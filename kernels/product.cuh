// Products of small matrices in shared memory, summed in f32: bf16 by tensor cores (mma.sync m16n8k16), f32 by fused multiply-adds.
//
// A `Product` is 128 x COLUMNS sums, spread over the 256 threads of a block; it adds 128 x 16 times 16 x COLUMNS. Of the left matrix a
// thread names its rows, 16 numbers each, wherever they lie; the right one is right[k][RIGHT<T, COLUMNS>].
//
// A `TapProduct` is, for each of up to nine taps, 16 x COLUMNS sums over 128 pixels: the gradient of a slice of weights. A `PixelProduct`
// is one of them, for pixels that lie one after the other.
#pragma once
#include "input.cuh"
#include "ptx.cuh"

template <class T, unsigned COLUMNS> constexpr unsigned RIGHT = COLUMNS + 16 / sizeof(T);
constexpr unsigned TAPS = 9;
constexpr unsigned WEIGHT_TILES = 8; // whose weight gradients one block adds

template <class T, unsigned COLUMNS> struct Product;

// Warp w holds rows 16 w to 16 w + 15; each thread gives the address of one of them.
template <unsigned COLUMNS> struct Product<bf16, COLUMNS> {
    static constexpr unsigned ROWS = 1;
    float sums[COLUMNS / 8][4] = {};

    static __device__ __forceinline__ unsigned row(unsigned) { return threadIdx.x / 32 * 16 + threadIdx.x % 16; }

    __device__ __forceinline__ void add(const bf16* const (&left)[ROWS], const bf16* right) {
        const unsigned lane = threadIdx.x % 32;
        uint32_t a[4];
        load_matrices<false>(a, left[0] + lane / 16 * 8);
#pragma unroll
        for (unsigned column = 0; column < COLUMNS; column += 16) {
            uint32_t b[4];
            load_matrices<true>(b, right + lane % 16 * RIGHT<bf16, COLUMNS> + column + lane / 16 * 8);
            mma_bf16(sums[column / 8], a, {b[0], b[1]});
            mma_bf16(sums[column / 8 + 1], a, {b[2], b[3]});
        }
    }

    // use(row, column, sum) for every sum of this thread.
    template <class Use> __device__ __forceinline__ void each(Use use) const {
        each_row([&](unsigned row, unsigned column, const float(&pairs)[COLUMNS / 8][2]) {
#pragma unroll
            for (unsigned block = 0; block < COLUMNS / 8; block++)
#pragma unroll
                for (unsigned i = 0; i < 2; i++) use(row, column + block * 8 + i, pairs[block][i]);
        });
    }

    // use(row, column, pairs): sums of columns `column` and the next, and of every eighth after them.
    template <class Use> __device__ __forceinline__ void each_row(Use use) const {
        const unsigned lane = threadIdx.x % 32;
#pragma unroll
        for (unsigned half = 0; half < 2; half++) {
            float pairs[COLUMNS / 8][2];
#pragma unroll
            for (unsigned block = 0; block < COLUMNS / 8; block++) pairs[block][0] = sums[block][half * 2], pairs[block][1] = sums[block][half * 2 + 1];
            use(threadIdx.x / 32 * 16 + lane / 4 + half * 8, lane % 4 * 2, pairs);
        }
    }
};

// A thread holds ROWS rows of eight columns.
template <unsigned COLUMNS> struct Product<float, COLUMNS> {
    static constexpr unsigned DISTANCE = THREADS / (COLUMNS / 8), ROWS = TILE_PIXELS / DISTANCE;
    float sums[ROWS][8] = {};

    static __device__ __forceinline__ unsigned row(unsigned i) { return threadIdx.x % DISTANCE + i * DISTANCE; }

    __device__ __forceinline__ void add(const float* const (&left)[ROWS], const float* right) {
        const unsigned column = threadIdx.x / DISTANCE * 8;
#pragma unroll
        for (unsigned k = 0; k < CHANNELS; k++) {
            float b[8];
            load8(b, right + k * RIGHT<float, COLUMNS> + column);
#pragma unroll
            for (unsigned r = 0; r < ROWS; r++) {
                const float a = left[r][k];
#pragma unroll
                for (unsigned i = 0; i < 8; i++) sums[r][i] = fmaf(a, b[i], sums[r][i]);
            }
        }
    }

    template <class Use> __device__ __forceinline__ void each(Use use) const {
        const unsigned column = threadIdx.x / DISTANCE * 8;
#pragma unroll
        for (unsigned r = 0; r < ROWS; r++)
#pragma unroll
            for (unsigned i = 0; i < 8; i++) use(row(r), column + i, sums[r][i]);
    }
};

template <class T, unsigned COLUMNS> struct TapProduct;

// Warp w holds the blocks w, w + 8, ... of 16 x 8 sums, tap by tap.
template <unsigned COLUMNS> struct TapProduct<bf16, COLUMNS> {
    static constexpr unsigned WIDE = COLUMNS / 8, BLOCKS = (TAPS * WIDE + WARPS - 1) / WARPS;
    float sums[BLOCKS][4] = {};

    // left(pixel, tap): the 16 numbers that stand against row `pixel` of right[pixel][RIGHT<T, COLUMNS>].
    template <class Left> __device__ __forceinline__ void add(unsigned taps, Left left, const bf16* right) {
        const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
        for (unsigned pixel = 0; pixel < TILE_PIXELS; pixel += 16) {
#pragma unroll
            for (unsigned i = 0; i < BLOCKS; i++) {
                const unsigned block = warp + i * WARPS, tap = block / WIDE;
                if (tap >= taps) break;
                uint32_t a[4], b[4];
                load_matrices<true>(a, left(pixel + lane / 16 * 8 + lane % 8, tap) + lane / 8 % 2 * 8);
                // Two matrices are wanted; the others repeat them.
                load_matrices<true>(b, right + (pixel + lane % 16) * RIGHT<bf16, COLUMNS> + block % WIDE * 8);
                mma_bf16(sums[i], a, {b[0], b[1]});
            }
        }
    }

    // use(tap, row, column, sum)
    template <class Use> __device__ __forceinline__ void each(unsigned taps, Use use) const {
        const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
        for (unsigned i = 0; i < BLOCKS; i++) {
            const unsigned block = warp + i * WARPS, tap = block / WIDE;
            if (tap >= taps) break;
#pragma unroll
            for (unsigned j = 0; j < 4; j++) use(tap, lane / 4 + j / 2 * 8, block % WIDE * 8 + lane % 4 * 2 + j % 2, sums[i][j]);
        }
    }
};

// A thread holds one row of COLUMNS / 16 columns, of every tap.
template <unsigned COLUMNS> struct TapProduct<float, COLUMNS> {
    static constexpr unsigned WIDE = COLUMNS / 16;
    float sums[TAPS][WIDE] = {};

    template <class Left> __device__ __forceinline__ void add(unsigned taps, Left left, const float* right) {
        const unsigned row = threadIdx.x / 16, column = threadIdx.x % 16 * WIDE;
        for (unsigned pixel = 0; pixel < TILE_PIXELS; pixel++) {
            float b[WIDE];
#pragma unroll
            for (unsigned i = 0; i < WIDE; i++) b[i] = right[pixel * RIGHT<float, COLUMNS> + column + i];
#pragma unroll
            for (unsigned tap = 0; tap < TAPS; tap++) {
                if (tap >= taps) break;
                const float a = left(pixel, tap)[row];
#pragma unroll
                for (unsigned i = 0; i < WIDE; i++) sums[tap][i] = fmaf(a, b[i], sums[tap][i]);
            }
        }
    }

    template <class Use> __device__ __forceinline__ void each(unsigned taps, Use use) const {
        const unsigned row = threadIdx.x / 16, column = threadIdx.x % 16 * WIDE;
#pragma unroll
        for (unsigned tap = 0; tap < TAPS; tap++) {
            if (tap >= taps) break;
#pragma unroll
            for (unsigned i = 0; i < WIDE; i++) use(tap, row, column + i, sums[tap][i]);
        }
    }
};

template <class T, unsigned COLUMNS> struct PixelProduct;

// Warp w takes pixels 16 w to 16 w + 15.
template <unsigned COLUMNS> struct PixelProduct<bf16, COLUMNS> {
    float sums[COLUMNS / 8][4] = {};

    // left[pixel][SLICE], right[pixel][RIGHT<T, COLUMNS>]
    __device__ __forceinline__ void add(const bf16* left, const bf16* right) {
        const unsigned lane = threadIdx.x % 32, pixel = threadIdx.x / 32 * 16;
        uint32_t a[4];
        load_matrices<true>(a, left + (pixel + lane / 16 * 8 + lane % 8) * SLICE<bf16> + lane / 8 % 2 * 8);
#pragma unroll
        for (unsigned column = 0; column < COLUMNS; column += 16) {
            uint32_t b[4];
            load_matrices<true>(b, right + (pixel + lane % 16) * RIGHT<bf16, COLUMNS> + column + lane / 16 * 8);
            mma_bf16(sums[column / 8], a, {b[0], b[1]});
            mma_bf16(sums[column / 8 + 1], a, {b[2], b[3]});
        }
    }

    // use(row, column, sum); `room` is of_warps[warp][row][COLUMNS].
    template <class Use> __device__ __forceinline__ void each(float* room, Use use) const {
        const unsigned lane = threadIdx.x % 32;
        float* own = room + threadIdx.x / 32 * CHANNELS * COLUMNS;
#pragma unroll
        for (unsigned block = 0; block < COLUMNS / 8; block++)
#pragma unroll
            for (unsigned i = 0; i < 4; i++) own[(lane / 4 + i / 2 * 8) * COLUMNS + block * 8 + lane % 4 * 2 + i % 2] = sums[block][i];
        __syncthreads();
        for (unsigned i = threadIdx.x; i < CHANNELS * COLUMNS; i += THREADS) {
            float sum = 0.0f;
            for (unsigned w = 0; w < WARPS; w++) sum += room[w * CHANNELS * COLUMNS + i];
            use(i / COLUMNS, i % COLUMNS, sum);
        }
    }
};

// A thread holds one row of COLUMNS / 16 columns.
template <unsigned COLUMNS> struct PixelProduct<float, COLUMNS> {
    static constexpr unsigned WIDE = COLUMNS / 16;
    float sums[WIDE] = {};

    __device__ __forceinline__ void add(const float* left, const float* right) {
        left += threadIdx.x / 16, right += threadIdx.x % 16 * WIDE;
#pragma unroll 4
        for (unsigned pixel = 0; pixel < TILE_PIXELS; pixel++) {
            const float a = left[pixel * SLICE<float>];
#pragma unroll
            for (unsigned i = 0; i < WIDE; i++) sums[i] = fmaf(a, right[pixel * RIGHT<float, COLUMNS> + i], sums[i]);
        }
    }

    template <class Use> __device__ __forceinline__ void each(float*, Use use) const {
#pragma unroll
        for (unsigned i = 0; i < WIDE; i++) use(threadIdx.x / 16, threadIdx.x % 16 * WIDE + i, sums[i]);
    }
};

// right[tap][k][RIGHT<T, COLUMNS>]: weights of `taps` taps, input channels from `channel`, output channels from `column`, as they are (k is an
// input channel) or transposed (k is an output channel, from `channel`, and columns are input channels). read(values, tap, input, output)
// takes the weights of eight output channels, and leaves zeros where there are none.
template <class T, unsigned COLUMNS, bool TRANSPOSED, class Read>
__device__ __forceinline__ void fill_weights(T* right, unsigned taps, unsigned channel, unsigned column, Read read) {
    constexpr unsigned ROWS = TRANSPOSED ? COLUMNS : CHANNELS, GROUPS = (TRANSPOSED ? CHANNELS : COLUMNS) / 8;
    for (unsigned i = threadIdx.x; i < taps * ROWS * GROUPS; i += THREADS) {
        const unsigned group = i % GROUPS * 8, row = i / GROUPS % ROWS, tap = i / (GROUPS * ROWS);
        const unsigned in = row + (TRANSPOSED ? column : channel), out = group + (TRANSPOSED ? channel : column);
        float values[8] = {};
        read(values, tap, in, out);
        T* to = right + tap * CHANNELS * RIGHT<T, COLUMNS>;
        if (TRANSPOSED) {
#pragma unroll
            for (int j = 0; j < 8; j++) store1<T>(to + (group + j) * RIGHT<T, COLUMNS> + row, values[j]);
        } else {
            store8(to + row * RIGHT<T, COLUMNS> + group, values);
        }
    }
}

// A tile of sums from a product.
template <class T, unsigned COLUMNS> __device__ __forceinline__ void spill(float* sums, const Product<T, COLUMNS>& product) {
    product.each([&](unsigned row, unsigned column, float sum) { sums[row * TILE<COLUMNS> + column] = sum; });
}

// right[pixel of the tile][RIGHT<T, COLUMNS>], TILE_PIXELS of them: the gradient of the stage's raw output, channels from `column`; zero where there is
// no pixel or channel.
template <class T, unsigned COLUMNS> __device__ __forceinline__ void fill_gradient_rows(T* right, const Stage& stage, const Tile& tile, unsigned column) {
    constexpr unsigned GROUPS = COLUMNS / 8;
    const unsigned group = threadIdx.x % GROUPS * 8;
    const OutputGradient<T> gradient(stage, column + group);
    for (unsigned p = threadIdx.x / GROUPS; p < TILE_PIXELS; p += THREADS / GROUPS) {
        float values[8] = {};
        if (p < tile.count && gradient.gradient) gradient.read(values, tile.first + p);
        store8(right + p * RIGHT<T, COLUMNS> + group, values);
    }
}
