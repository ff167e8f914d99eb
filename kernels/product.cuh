// Products of small matrices in shared memory, summed in f32: bf16 by tensor cores (mma.sync m16n8k16), f32 by fused multiply-adds.
//
// A `Product` is 128 x COLUMNS sums, spread over the 256 threads of a block; it adds 128 x 16 times 16 x COLUMNS. Of the left matrix a
// thread names its rows, 16 numbers each, wherever they lie; the right one is right[k][RIGHT<T, COLUMNS>].
//
// A `TapProduct` is, for each of some left matrices, 16 x COLUMNS sums over 128 pixels: a matrix is a tap of a slice, its sums the gradient of that tap's
// weights. A `PixelProduct` is one of them, for pixels that lie one after the other.
#pragma once
#include "input.cuh"
#include "ptx.cuh"

template <class T, unsigned COLUMNS> constexpr unsigned RIGHT = COLUMNS + 16 / sizeof(T);
constexpr unsigned TAPS = 9;           // of a stage that a block takes at a time
constexpr unsigned MOST_MATRICES = 32; // of a `TapProduct`: three slices of nine taps
constexpr unsigned WEIGHT_TILES = 8; // whose weight gradients one block adds

template <class T, unsigned COLUMNS> struct Product;

// Warp w holds rows 16 w to 16 w + 15; each thread gives the address of one of them.
template <unsigned COLUMNS> struct Product<bf16, COLUMNS> {
    static constexpr unsigned ROWS = 1;
    float sums[COLUMNS / 8][4] = {};

    static __device__ __forceinline__ unsigned row(unsigned) { return threadIdx.x / 32 * 16 + threadIdx.x % 16; }

    // Of the columns those before `columns`, and perhaps more.
    __device__ __forceinline__ void add(const bf16* const (&left)[ROWS], const bf16* right, unsigned columns = COLUMNS) {
        const unsigned lane = threadIdx.x % 32;
        uint32_t a[4];
        load_matrices<false>(a, left[0] + lane / 16 * 8);
#pragma unroll
        for (unsigned column = 0; column < COLUMNS; column += 16) {
            if (column > 0 && column >= columns) break;
            uint32_t b[4];
            load_matrices<true>(b, right + lane % 16 * RIGHT<bf16, COLUMNS> + column + lane / 16 * 8);
            mma_bf16(sums[column / 8], a, {b[0], b[1]});
            mma_bf16(sums[column / 8 + 1], a, {b[2], b[3]});
        }
    }

    // use(row, column, sum) for every sum of this thread, likewise.
    template <class Use> __device__ __forceinline__ void each(Use use, unsigned columns = COLUMNS) const {
        each_row([&](unsigned row, unsigned column, const float(&pairs)[COLUMNS / 8][2]) {
#pragma unroll
            for (unsigned block = 0; block < COLUMNS / 8; block++)
                if (block == 0 || block * 8 < columns)
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

    __device__ __forceinline__ void add(const float* const (&left)[ROWS], const float* right, unsigned = COLUMNS) {
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

    template <class Use> __device__ __forceinline__ void each(Use use, unsigned = COLUMNS) const {
        const unsigned column = threadIdx.x / DISTANCE * 8;
#pragma unroll
        for (unsigned r = 0; r < ROWS; r++)
#pragma unroll
            for (unsigned i = 0; i < 8; i++) use(row(r), column + i, sums[r][i]);
    }
};

// Where the rows of up to TapProduct<T, COLUMNS>::MOST left matrices begin: at of_pixels[pixel] + of_matrices[matrix].
struct alignas(16) LeftPlaces {
    unsigned of_pixels[TILE_PIXELS], of_matrices[MOST_MATRICES];
};

template <class T, unsigned COLUMNS> struct TapProduct;

// Warp w holds the matrices w, w + 8, ...
template <unsigned COLUMNS> struct TapProduct<bf16, COLUMNS> {
    static constexpr unsigned MOST = MOST_MATRICES, UNITS = MOST / WARPS;
    float sums[UNITS][COLUMNS / 8][4] = {};

    // Of `count` matrices, against right[pixel][RIGHT<T, COLUMNS>], of whose columns those before `columns` are wanted.
    __device__ __forceinline__ void add(unsigned count, const bf16* left, const LeftPlaces& places, const bf16* right, unsigned columns) {
        const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
        if (warp >= count) return;
        unsigned of_units[UNITS];
#pragma unroll
        for (unsigned i = 0; i < UNITS; i++) of_units[i] = places.of_matrices[min(warp + i * WARPS, count - 1)] + lane / 8 % 2 * 8;
        const unsigned* const of_pixels = places.of_pixels + lane / 16 * 8 + lane % 8;
        right += lane % 16 * RIGHT<bf16, COLUMNS> + lane / 16 * 8;
#pragma unroll 1
        for (unsigned pixel = 0; pixel < TILE_PIXELS; pixel += 16) {
            const unsigned of_pixel = of_pixels[pixel];
            uint32_t b[COLUMNS / 16][4];
#pragma unroll
            for (unsigned column = 0; column < COLUMNS; column += 16) {
                if (column > 0 && column >= columns) break;
                load_matrices<true>(b[column / 16], right + pixel * RIGHT<bf16, COLUMNS> + column);
            }
#pragma unroll
            for (unsigned i = 0; i < UNITS; i++) {
                if (warp + i * WARPS >= count) break;
                uint32_t a[4];
                load_matrices<true>(a, left + of_pixel + of_units[i]);
#pragma unroll
                for (unsigned column = 0; column < COLUMNS; column += 16) {
                    if (column > 0 && column >= columns) break;
                    mma_bf16(sums[i][column / 8], a, {b[column / 16][0], b[column / 16][1]});
                    mma_bf16(sums[i][column / 8 + 1], a, {b[column / 16][2], b[column / 16][3]});
                }
            }
        }
    }

    // use(matrix, row, column, sums of that column and the next)
    template <class Use> __device__ __forceinline__ void each(unsigned count, unsigned columns, Use use) const {
        const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
        for (unsigned i = 0; i < UNITS; i++) {
            if (warp + i * WARPS >= count) break;
#pragma unroll
            for (unsigned block = 0; block < COLUMNS / 8; block++) {
                if (block > 0 && block * 8 >= columns) break;
#pragma unroll
                for (unsigned j = 0; j < 4; j += 2) {
                    float both[2] = {sums[i][block][j], sums[i][block][j + 1]};
                    use(warp + i * WARPS, lane / 4 + j / 2 * 8, block * 8 + lane % 4 * 2, both);
                }
            }
        }
    }
};

// A thread holds one row of COLUMNS / 16 columns, of every matrix.
template <unsigned COLUMNS> struct TapProduct<float, COLUMNS> {
    static constexpr unsigned MOST = TAPS, WIDE = COLUMNS / 16;
    float sums[TAPS][WIDE] = {};

    __device__ __forceinline__ void add(unsigned count, const float* left, const LeftPlaces& places, const float* right, unsigned) {
        const unsigned row = threadIdx.x / 16, column = threadIdx.x % 16 * WIDE;
        for (unsigned pixel = 0; pixel < TILE_PIXELS; pixel++) {
            float b[WIDE];
#pragma unroll
            for (unsigned i = 0; i < WIDE; i++) b[i] = right[pixel * RIGHT<float, COLUMNS> + column + i];
            const float* const of_pixel = left + places.of_pixels[pixel] + row;
#pragma unroll
            for (unsigned tap = 0; tap < TAPS; tap++) {
                if (tap >= count) break;
                const float a = of_pixel[places.of_matrices[tap]];
#pragma unroll
                for (unsigned i = 0; i < WIDE; i++) sums[tap][i] = fmaf(a, b[i], sums[tap][i]);
            }
        }
    }

    // use(matrix, row, column, sum of that column)
    template <class Use> __device__ __forceinline__ void each(unsigned count, unsigned columns, Use use) const {
        const unsigned row = threadIdx.x / 16, column = threadIdx.x % 16 * WIDE;
#pragma unroll
        for (unsigned tap = 0; tap < TAPS; tap++) {
            if (tap >= count) break;
#pragma unroll
            for (unsigned i = 0; i < WIDE; i++) {
                if (column + i >= columns) break;
                float one[1] = {sums[tap][i]};
                use(tap, row, column + i, one);
            }
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

// Eight weights of a right matrix; see below.
template <class T, unsigned COLUMNS, bool TRANSPOSED, class Read>
__device__ __forceinline__ void fill_eight_weights(T* right, unsigned tap, unsigned row, unsigned group, unsigned channel, unsigned column, Read read) {
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

// right[tap][k][RIGHT<T, COLUMNS>]: weights of `taps` taps, input channels from `channel`, output channels from `column`, as they are (k is an
// input channel) or transposed (k is an output channel, from `channel`, and columns are input channels). read(values, tap, input, output)
// takes the weights of eight output channels, and leaves zeros where there are none.
template <class T, unsigned COLUMNS, bool TRANSPOSED, class Read>
__device__ __forceinline__ void fill_weights(T* right, unsigned taps, unsigned channel, unsigned column, Read read) {
    constexpr unsigned ROWS = TRANSPOSED ? COLUMNS : CHANNELS, GROUPS = (TRANSPOSED ? CHANNELS : COLUMNS) / 8;
    for (unsigned i = threadIdx.x; i < taps * ROWS * GROUPS; i += THREADS)
        fill_eight_weights<T, COLUMNS, TRANSPOSED>(right, i / (GROUPS * ROWS), i / GROUPS % ROWS, i % GROUPS * 8, channel, column, read);
}

// The same in fewer instructions where there are many taps: a thread's weights differ in the tap alone. It takes more registers.
template <class T, unsigned COLUMNS, bool TRANSPOSED, class Read>
__device__ __forceinline__ void fill_tap_weights(T* right, unsigned taps, unsigned channel, unsigned column, Read read) {
    constexpr unsigned ROWS = TRANSPOSED ? COLUMNS : CHANNELS, GROUPS = (TRANSPOSED ? CHANNELS : COLUMNS) / 8;
    const unsigned group = threadIdx.x % GROUPS * 8, row = threadIdx.x / GROUPS % ROWS;
    for (unsigned tap = threadIdx.x / (GROUPS * ROWS); tap < taps; tap += THREADS / (GROUPS * ROWS))
        fill_eight_weights<T, COLUMNS, TRANSPOSED>(right, tap, row, group, channel, column, read);
}

// A tile of sums from a product, of the columns before `columns` at least.
template <class T, unsigned COLUMNS> __device__ __forceinline__ void spill(float* sums, const Product<T, COLUMNS>& product, unsigned columns = COLUMNS) {
    product.each([&](unsigned row, unsigned column, float sum) { sums[row * TILE<COLUMNS> + column] = sum; }, columns);
}

// right[pixel of the tile][RIGHT<T, COLUMNS>], TILE_PIXELS of them: the gradient of the stage's raw output, zero where there is no pixel or channel.
// `gradient` has the eight channels that are a thread's, its (threadIdx.x % (COLUMNS / 8))-th.
template <class T, unsigned COLUMNS, class Gradient> __device__ __forceinline__ void fill_gradient_rows(T* right, const Tile& tile, const Gradient& gradient) {
    constexpr unsigned GROUPS = COLUMNS / 8;
    const unsigned group = threadIdx.x % GROUPS * 8;
#pragma unroll 1
    for (unsigned p = threadIdx.x / GROUPS; p < TILE_PIXELS; p += THREADS / GROUPS) {
        float values[8] = {};
        if (p < tile.count && gradient.gradient) gradient.read(values, tile.first + p);
        store8(right + p * RIGHT<T, COLUMNS> + group, values);
    }
}

// The same of the channels from `column`.
template <class T, unsigned COLUMNS> __device__ __forceinline__ void fill_gradient_rows(T* right, const Stage& stage, const Tile& tile, unsigned column) {
    fill_gradient_rows<T, COLUMNS>(right, tile, OutputGradient<T>(stage, column + threadIdx.x % (COLUMNS / 8) * 8));
}
