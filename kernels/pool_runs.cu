// Max and average pools over 3x3 windows of stride 1 that keep the size, in bf16, where the pixels of a row fall into runs of four.
//
// Mathematics: as in pool.cu. Sums and maxima are separable: first over the rows of the windows, then over their columns. Of several NaNs in
//     a window the first gets the gradient.
// Layout: maps [image][row][column][channel]; the output has the channels of the concatenated input, padding included.
// Mapping: one block a chunk of tiles of whole rows (x), a task (y) and 16 channels (z). 256 threads; they read eight channels of a pixel,
//     and pool, gather and write two channels of four pixels of a row, so that 18 numbers serve 36 taps.
// Keys: to find the largest tap, each number of the input is a signed integer: above, bf16 as 16 bits of the same order; below, 65535 minus
//     the place in the slice. The maximum of a window's keys names the first of its largest taps.
// Shared memory: forward, sums, then a slice of 16 channels of the input under the windows. Gradient, sums, the lower half of every window's
//     largest key, then a slice of keys; in its place, dy of the windows in f32.
// Traffic: forward (in + out) numbers a pixel; gradient reads in, dy and y and writes dx; borders of tiles are read twice.
// Determinism: sums run in one order; tiles and chunks are functions of the stage's shape alone.
#include "filter.cuh"
#include "input_gradient.cuh"
#include "output.cuh"
#include "shared.cuh"

namespace {

constexpr unsigned PIXEL = CHANNELS + 4;   // distance of pixels in slices of keys, of dy and of largest taps
constexpr uint32_t LOWEST = 0xff80ff80u; // a pair of minus infinity
constexpr unsigned AT_ONCE = 2;          // pixels that a thread reads before it works on them

// use(h, pairs) with eight channels of every pixel of the halo, as pairs of bf16; `outside` where there is no pixel or channel.
template <class Use>
__device__ __forceinline__ void each_pixel(const InputSlice<bf16>& input, const Stage& stage, const Halo& halo, uint32_t outside, Use use) {
    const Normalizer normalizer(input.rows, input.channels);
    for (unsigned begin = threadIdx.x / 2; begin < halo.pixels(); begin += AT_ONCE * THREADS / 2) {
        uint4 bits[AT_ONCE] = {};
        bool present[AT_ONCE];
#pragma unroll
        for (unsigned n = 0; n < AT_ONCE; n++) {
            unsigned place;
            present[n] = halo.find(place, stage.from, begin + n * THREADS / 2) && input.values;
            if (present[n]) bits[n] = *reinterpret_cast<const uint4*>(static_cast<const bf16*>(input.values) + size_t(place) * input.channels);
        }
#pragma unroll
        for (unsigned n = 0; n < AT_ONCE; n++) {
            const unsigned h = begin + n * THREADS / 2;
            if (h >= halo.pixels()) break;
            uint32_t pairs[4] = {outside, outside, outside, outside};
            if (present[n]) {
                float numbers[8];
                unpack8(numbers, bits[n]);
                normalizer.apply(numbers);
#pragma unroll
                for (unsigned i = 0; i < 4; i++) pairs[i] = pack_bf16(numbers[2 * i], numbers[2 * i + 1]);
                if (stage.relu) {
#pragma unroll
                    for (unsigned i = 0; i < 4; i++) pairs[i] = larger_bf16(pairs[i], 0);
                }
            }
            use(h, pairs);
        }
    }
}

// Of a 3x3 window at row (or column) `index`, the taps that lie inside.
__device__ __forceinline__ int valid_taps(int index, unsigned size) { return 3 - (index == 0) - (index + 1 == int(size)); }

// One over them.
__device__ __forceinline__ float share(int taps) { return taps == 3 ? 1.0f / 3.0f : taps == 2 ? 0.5f : 1.0f; }

// A window's sum over columns, for a run, from those over rows.
__device__ __forceinline__ void add_columns(float (&out)[RUN][2], const float (&columns)[RUN + 2][2]) {
#pragma unroll
    for (unsigned i = 0; i < RUN; i += 2) {
#pragma unroll
        for (unsigned c = 0; c < 2; c++) {
            const float both = columns[i + 1][c] + columns[i + 2][c];
            out[i][c] = columns[i][c] + both, out[i + 1][c] = both + columns[i + 3][c];
        }
    }
}

// Sums over the windows of a run, whose first begins at `at`.
template <class T> __device__ __forceinline__ void add_windows(float (&out)[RUN][2], const T* at, unsigned pixel, unsigned row) {
    float columns[RUN + 2][2];
#pragma unroll
    for (unsigned j = 0; j < RUN + 2; j++) {
        float rows[3][2];
#pragma unroll
        for (unsigned y = 0; y < 3; y++) load2(rows[y], at + y * row + j * pixel);
#pragma unroll
        for (unsigned c = 0; c < 2; c++) columns[j][c] = rows[0][c] + rows[1][c] + rows[2][c];
    }
    add_columns(out, columns);
}

// Pairs of the largest taps.
__device__ __forceinline__ void find_maxima(uint32_t (&out)[RUN], const bf16* at, unsigned row) {
    uint32_t columns[RUN + 2];
#pragma unroll
    for (unsigned j = 0; j < RUN + 2; j++) {
        const bf16* const top = at + j * SLICE<bf16>;
        const auto pair = [&](unsigned y) { return *reinterpret_cast<const uint32_t*>(top + y * row); };
        columns[j] = larger_bf16(larger_bf16(pair(0), pair(1)), pair(2));
    }
#pragma unroll
    for (unsigned i = 0; i < RUN; i += 2) {
        const uint32_t both = larger_bf16(columns[i + 1], columns[i + 2]);
        out[i] = larger_bf16(columns[i], both), out[i + 1] = larger_bf16(both, columns[i + 3]);
    }
}

// Writes two channels of runs of the output; the statistics are those of OutputWriter.
struct RunWriter {
    unsigned channel;
    float pixels = 0.0f, sum[2] = {}, squares[2] = {};

    // All threads take part.
    __device__ __forceinline__ void write(const Stage& stage, const Tile& tile, const PixelRun& run, const uint32_t (&pairs)[RUN], ChannelSums& shared) {
        if (pixels == 0.0f) {
            if (run.first == 0) {
                float values[2];
                unpack_bf16(values[0], values[1], pairs[0]);
                store2(shared.pivots + run.channel, values);
            }
            __syncthreads();
        }
        pixels += float(tile.count);
        if (channel >= stage.out_channels || run.first >= tile.count) return;
        float pivot[2];
        load2(pivot, shared.pivots + run.channel);
        const unsigned step = stage.out_channels;
        bf16* const to = static_cast<bf16*>(stage.output) + size_t(tile.first + run.first) * step + channel;
#pragma unroll
        for (unsigned i = 0; i < RUN; i++) {
            *reinterpret_cast<uint32_t*>(to + i * step) = pairs[i];
            float values[2];
            unpack_bf16(values[0], values[1], pairs[i]);
#pragma unroll
            for (unsigned c = 0; c < 2; c++) {
                const float deviation = values[c] - pivot[c];
                sum[c] += deviation;
                squares[c] = fmaf(deviation, deviation, squares[c]);
            }
        }
    }
};

// The first pixel of a run in a tile; of a run beyond it, the tile's.
__device__ __forceinline__ Pixel first_pixel(const PixelRun& run, const Rectangle& tile) {
    return tile.pixel(run.first < tile.pixels() ? run.first : 0);
}

// Shared memory: sums; then a slice of the input.
__device__ __forceinline__ void forward(const Stage* stages, const uint32_t* count) {
    if (!task(stages, count)) return;
    const Stage& stage = *task(stages, count);
    ChannelSums& shared = shared_memory<ChannelSums>();
    bf16* const slice = reinterpret_cast<bf16*>(&shared + 1);
    const unsigned channel = blockIdx.z * CHANNELS;
    const bool maximum = stage.kind == MAXIMUM;
    const Tiles tiles(stage.to, stage.to.chunk);

    Halo halo = under_windows(stage);
    const PixelRun run(1);
    const Pixel first = first_pixel(run, Rectangle(stage.to));
    const bf16* const at = slice + halo.place(first.image, first.y, first.x) * SLICE<bf16> + run.channel;
    const unsigned row = halo.columns.value * SLICE<bf16>;
    const InputSlice<bf16> input(stage, channel);
    RunWriter writer{channel + run.channel};
    for (Tile tile(stage.to, tiles.begin); tile.index < tiles.end; tile.advance(stage.to)) {
        place_under(halo, stage, tile);
        __syncthreads();
        each_pixel(input, stage, halo, maximum ? LOWEST : 0, [&](unsigned h, const uint32_t (&pairs)[4]) {
            *reinterpret_cast<uint4*>(slice + h * SLICE<bf16> + input.half) = make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
        });
        __syncthreads();
        uint32_t pairs[RUN];
        if (maximum) {
            find_maxima(pairs, at, row);
        } else {
            float sums[RUN][2];
            add_windows(sums, at, SLICE<bf16>, row);
            const int down = valid_taps(tile.y + first.y, stage.to.height);
#pragma unroll
            for (unsigned i = 0; i < RUN; i++) {
                const int across = valid_taps(first.x + i, stage.to.width);
                const float count = down * across, reciprocal = share(down) * share(across);
                pairs[i] = pack_bf16(quotient(sums[i][0], count, reciprocal), quotient(sums[i][1], count, reciprocal));
            }
        }
        writer.write(stage, tile, run, pairs, shared);
    }
    if (!stage.moments) return;
    shared.leave(run.channel, writer.sum, writer.squares);
    write_moments(stage, shared, channel, min(CHANNELS, stage.out_channels - channel), writer.pixels);
}

// keys[pixel of the halo][PIXEL] of the input.
__device__ __forceinline__ void fill_keys(uint32_t* keys, const InputSlice<bf16>& input, const Stage& stage, const Halo& halo) {
    each_pixel(input, stage, halo, LOWEST, [&](unsigned h, const uint32_t (&pairs)[4]) {
        const uint32_t low = 0xffffu - h;
        uint4* const to = reinterpret_cast<uint4*>(keys + h * PIXEL + input.half);
#pragma unroll
        for (unsigned i = 0; i < 2; i++) {
            const uint32_t a = ordered_bf16(pairs[2 * i]), b = ordered_bf16(pairs[2 * i + 1]);
            to[i] = make_uint4(a << 16 | low, (a & 0xffff0000u) | low, b << 16 | low, (b & 0xffff0000u) | low);
        }
    });
}

// The windows that hold a pixel of a tile with a border all around, and the keys under those that may lie inside the map.
struct RunHalos {
    unsigned border; // rows of windows above and below the tile: none where a tile has the map's height
    Halo windows, keys;
    Rectangle runs; // of windows, whole rows of the map

    __device__ __forceinline__ explicit RunHalos(const Tiling& map)
        : border(map.rows < map.height), windows(map.together, map.rows + 2, map.columns + 2),
          keys(map.together, map.rows + 2 * border + 2, map.columns + 2), runs(map.together, map.rows + 2 * border, map.columns / RUN) {}

    __device__ __forceinline__ void place(const Tile& tile) {
        windows.image = keys.image = tile.image, windows.x = keys.x = -1;
        windows.y = tile.y - 1, keys.y = windows.y - int(border);
    }
};

// largest[window of the halo][PIXEL]: the lower halves of the windows' largest keys.
__device__ __forceinline__ void find_largest(uint16_t* largest, const uint32_t* keys, const RunHalos& halos) {
    const unsigned channel = threadIdx.x % 8 * 2, row = halos.keys.columns.value * PIXEL;
    for (unsigned run = threadIdx.x / 8; run < halos.runs.pixels(); run += THREADS / 8) {
        const Pixel first = halos.runs.pixel(run);
        const uint32_t* const at = keys + halos.keys.place(first.image, first.y, first.x * RUN) * PIXEL + channel;
        int columns[RUN + 2][2];
#pragma unroll
        for (unsigned j = 0; j < RUN + 2; j++) {
            const auto pair = [&](unsigned y) { return *reinterpret_cast<const int2*>(at + y * row + j * PIXEL); };
            const int2 a = pair(0), b = pair(1), c = pair(2);
            columns[j][0] = max(max(a.x, b.x), c.x), columns[j][1] = max(max(a.y, b.y), c.y);
        }
        uint16_t* const to = largest + halos.windows.place(first.image, first.y + 1 - halos.border, first.x * RUN + 1) * PIXEL + channel;
#pragma unroll
        for (unsigned i = 0; i < RUN; i++) {
            const uint32_t low = max(max(columns[i][0], columns[i + 1][0]), columns[i + 2][0]);
            const uint32_t high = max(max(columns[i][1], columns[i + 1][1]), columns[i + 2][1]);
            *reinterpret_cast<uint32_t*>(to + i * PIXEL) = (low & 0xffffu) | high << 16;
        }
    }
}

// shares[window of the halo][PIXEL]: dy of 16 channels, of an average divided by the window's taps; zero, and no largest tap, where there is
// no window or channel.
__device__ __forceinline__ void fill_shares(float* shares, uint16_t* largest, const Stage& stage, const Halo& windows, unsigned channel) {
    const unsigned half = threadIdx.x % 2 * 8;
    const OutputGradient<bf16> gradient(stage, channel + half);
    for (unsigned begin = threadIdx.x / 2; begin < windows.pixels(); begin += AT_ONCE * THREADS / 2) {
        uint4 dz[AT_ONCE] = {}, y[AT_ONCE] = {};
        bool present[AT_ONCE];
#pragma unroll
        for (unsigned n = 0; n < AT_ONCE; n++) {
            unsigned place;
            present[n] = windows.find(place, stage.to, begin + n * THREADS / 2) && gradient.gradient;
            if (!present[n]) continue;
            const size_t at = size_t(place) * gradient.channels;
            dz[n] = *reinterpret_cast<const uint4*>(gradient.gradient + at);
            if (gradient.output) y[n] = *reinterpret_cast<const uint4*>(gradient.output + at);
        }
#pragma unroll
        for (unsigned n = 0; n < AT_ONCE; n++) {
            const unsigned w = begin + n * THREADS / 2;
            if (w >= windows.pixels()) break;
            float dy[8];
            unpack8(dy, dz[n]);
            if (!present[n]) {
                uint2* const none = reinterpret_cast<uint2*>(largest + w * PIXEL + half);
                none[0] = none[1] = {0, 0};
            } else if (gradient.output) {
                float values[8];
                unpack8(values, y[n]);
                gradient.apply(dy, values);
            }
            if (stage.kind != MAXIMUM) {
                const Pixel at = windows.pixel(w);
                const int down = valid_taps(windows.y + at.y, stage.to.height), across = valid_taps(windows.x + at.x, stage.to.width);
                const float count = down * across, reciprocal = share(down) * share(across);
#pragma unroll
                for (int i = 0; i < 8; i++) dy[i] = quotient(dy[i], count, reciprocal);
            }
            store8(shares + w * PIXEL + half, dy);
        }
    }
}

// du of a run: dy of the windows whose largest tap a pixel is. `own` are the lower halves of the keys of the run's first pixel; `shares` and
// `largest` begin at the window whose last tap that is.
__device__ __forceinline__ void gather(float (&du)[RUN][2], const float* shares, const uint16_t* largest, unsigned row, uint32_t own) {
    uint32_t lower = 0xffffu;
    opaque(lower); // so that a comparison is one instruction
#pragma unroll
    for (unsigned i = 0; i < RUN; i++) du[i][0] = du[i][1] = 0.0f;
#pragma unroll
    for (unsigned y = 0; y < 3; y++) {
#pragma unroll
        for (unsigned j = 0; j < RUN + 2; j++) {
            float dy[2];
            load2(dy, shares + y * row + j * PIXEL);
            const uint32_t taps = *reinterpret_cast<const uint32_t*>(largest + y * row + j * PIXEL);
#pragma unroll
            for (unsigned i = j < 2 ? 0 : j - 2; i <= j && i < RUN; i++) {
                const uint32_t differ = taps ^ (own - i * 0x10001u);
                if ((differ & lower) == 0) du[i][0] += dy[0];
                if ((differ & 0xffff0000u) == 0) du[i][1] += dy[1];
            }
        }
    }
}

// Shared memory: sums, the largest taps, then a slice of keys, or dy of the windows.
__device__ __forceinline__ void gradient(const Stage* stages, const uint32_t* count) {
    if (!task(stages, count)) return;
    const Stage& stage = *task(stages, count);
    const unsigned channel = blockIdx.z * CHANNELS;
    const bool maximum = stage.kind == MAXIMUM;
    ChannelSums& shared = shared_memory<ChannelSums>();
    RunHalos halos(stage.from);
    uint16_t* const largest = reinterpret_cast<uint16_t*>(&shared + 1);
    uint32_t* const keys = reinterpret_cast<uint32_t*>(largest + halos.windows.pixels() * PIXEL);
    float* const shares = reinterpret_cast<float*>(keys);
    const Tiles tiles(stage.from, stage.from.chunk);

    const PixelRun run(1);
    const Pixel first = first_pixel(run, Rectangle(stage.from));
    const unsigned window = halos.windows.place(first.image, first.y, first.x) * PIXEL + run.channel, row = halos.windows.columns.value * PIXEL;
    const uint32_t own = (0xffffu - halos.keys.place(first.image, first.y + 1 + halos.border, first.x + 1)) * 0x10001u;
    const InputSlice<bf16> input(stage, channel);
    ChannelsGradientWriter<bf16, 2> writer(find_source(stage, channel + run.channel), stage.relu);
    const GradientConstants<2> constants(writer.to);
    for (Tile tile(stage.from, tiles.begin); tile.index < tiles.end; tile.advance(stage.from)) {
        halos.place(tile);
        __syncthreads();
        if (maximum) {
            fill_keys(keys, input, stage, halos.keys);
            __syncthreads();
            find_largest(largest, keys, halos);
            __syncthreads();
        }
        fill_shares(shares, largest, stage, halos.windows, channel);
        __syncthreads();
        if (!writer.is_wanted() || run.first >= tile.count) continue;
        float du[RUN][2];
        if (maximum) {
            gather(du, shares + window, largest + window, row, own);
        } else {
            add_windows(du, shares + window, PIXEL, row);
        }
        writer.write(constants, tile.first + run.first, du);
    }
    if (!finishes_sums(stage)) return;
    shared.leave(run.channel, writer.dz_sum, writer.xhat_sum);
    write_sums(shared, min(CHANNELS, stage.in_channels - channel), [&](unsigned column) { return find_source(stage, channel + column); });
    if (is_last_block(stage.counter, shared.flag)) finish_sums(stage);
}

} // namespace

#define ARGUMENTS const Stage *__restrict__ stages, const uint32_t *__restrict__ count
extern "C" __global__ void __launch_bounds__(256, 3) pool_runs_forward_bf16(ARGUMENTS) { forward(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) pool_runs_gradient_bf16(ARGUMENTS) { gradient(stages, count); }
