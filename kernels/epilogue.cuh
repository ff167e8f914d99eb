// How stages write: their output with its statistics, and the gradients of their inputs with the sums that the producers' normalizations
// need. Both begin with a tile of f32 sums in shared memory, [pixel][TILE<columns>].
#pragma once
#include "input.cuh"

__device__ __forceinline__ float warp_sum(float value) {
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2) value += __shfl_xor_sync(~0u, value, offset);
    return value;
}

__device__ __forceinline__ double warp_sum(double value) {
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2) value += __shfl_xor_sync(~0u, value, offset);
    return value;
}

// Count, mean and sum of squared deviations, merged by the formula of Chan, Golub and LeVeque (1979).
struct Moments {
    double count, mean, m2;

    __device__ __forceinline__ void merge(const Moments& other) {
        const double total = count + other.count;
        if (total == 0.0) return;
        const double delta = other.mean - mean, share = other.count / total;
        mean += delta * share;
        m2 += other.m2 + delta * delta * count * share;
        count = total;
    }
};

// Mean and M2 of `columns` columns of a tile, the first of which is channel `channel`, into part `blockIdx.x` of the stage.
__device__ inline void write_moments(const Stage& stage, const Tile& tile, const float* sums, unsigned distance, unsigned channel, unsigned columns) {
    const unsigned lane = threadIdx.x % 32, pixels = tile.pixels();
    const float count = tile.count();
    float* part = stage.moments + size_t(blockIdx.x) * 2 * stage.out_channels + channel;
    for (unsigned column = threadIdx.x / 32; column < columns; column += WARPS) {
        float sum = 0.0f;
        for (unsigned p = lane; p < pixels; p += 32)
            if (tile.holds(tile.pixel(p))) sum += sums[p * distance + column];
        const float mean = warp_sum(sum) / count;
        float squares = 0.0f;
        for (unsigned p = lane; p < pixels; p += 32) {
            if (!tile.holds(tile.pixel(p))) continue;
            const float deviation = sums[p * distance + column] - mean;
            squares = fmaf(deviation, deviation, squares);
        }
        squares = warp_sum(squares);
        if (lane == 0) {
            part[column] = mean;
            part[stage.out_channels + column] = squares;
        }
    }
}

// The rows of a normalization from mean and variance.
__device__ inline void write_normalization(const Stage& stage, unsigned channel, double mean, double variance) {
    const double rstd = 1.0 / sqrt(variance + double(stage.epsilon));
    const unsigned channels = stage.out_channels;
    float* rows = stage.normalization + channel;
    rows[MEAN * channels] = float(mean);
    rows[SCALE * channels] = float(stage.scale ? rstd * double(stage.scale[channel]) : rstd);
    rows[SHIFT * channels] = stage.shift ? stage.shift[channel] : 0.0f;
    rows[RSTD * channels] = float(rstd);
    rows[M1 * channels] = 0.0f;
    rows[M2 * channels] = 0.0f;
    stage.statistics[channel] = mean;
    stage.statistics[channels + channel] = variance;
}

// By the last block of a stage: adds the parts' moments, a warp a channel.
__device__ inline void finish_moments(const Stage& stage) {
    const unsigned lane = threadIdx.x % 32, channels = stage.out_channels;
    for (unsigned channel = threadIdx.x / 32; channel < channels; channel += WARPS) {
        Moments total = {0.0, 0.0, 0.0};
        for (unsigned part = lane; part < gridDim.x; part += 32) {
            const float* at = stage.moments + size_t(part) * 2 * channels + channel;
            total.merge({double(Tile(stage.to, part).count()), at[0], at[channels]});
        }
#pragma unroll
        for (int offset = 16; offset > 0; offset /= 2) {
            Moments other;
            other.count = __shfl_down_sync(~0u, total.count, offset);
            other.mean = __shfl_down_sync(~0u, total.mean, offset);
            other.m2 = __shfl_down_sync(~0u, total.m2, offset);
            total.merge(other);
        }
        if (lane == 0) write_normalization(stage, channel, total.mean, total.m2 / total.count);
    }
}

// Stores `columns` columns of a tile as channels `channel` and on of the output; `sums` has been written by all threads and is rounded.
// Block x is the tile. The last block finishes the statistics.
template <class T> __device__ void write_output(const Stage& stage, const Tile& tile, float* sums, unsigned distance, unsigned channel, unsigned columns, unsigned& shared_flag) {
    __syncthreads();
    const unsigned groups = columns / 8;
    for (unsigned i = threadIdx.x; i < tile.pixels() * groups; i += THREADS) {
        const unsigned p = i / groups, group = i % groups;
        const Pixel at = tile.pixel(p);
        if (!tile.holds(at)) continue;
        float* from = sums + p * distance + group * 8;
        float values[8];
#pragma unroll
        for (int j = 0; j < 8; j++) values[j] = from[j] = rounded<T>(from[j]);
        store8(static_cast<T*>(stage.output) + place(stage.to, at) * stage.out_channels + channel + group * 8, values);
    }
    if (!stage.moments) return;
    __syncthreads();
    write_moments(stage, tile, sums, distance, channel, columns);
    if (is_last_block(stage.counter, shared_flag)) finish_moments(stage);
}

// By the last block of a stage: adds the parts' sums of every source that the stage finishes, a warp a channel.
__device__ inline void finish_sums(const Stage& stage) {
    const unsigned lane = threadIdx.x % 32;
    const double count = double(stage.from.images) * stage.from.height * stage.from.width;
    for (unsigned s = 0; s < stage.source_count; s++) {
        const Source& source = stage.sources[s];
        if (!source.sums) continue;
        const unsigned channels = source.channels;
        for (unsigned channel = threadIdx.x / 32; channel < channels; channel += WARPS) {
            double dz = 0.0, dz_xhat = 0.0;
            for (unsigned part = lane; part < gridDim.x; part += 32) {
                const float* at = source.sums + size_t(part) * 2 * channels + channel;
                dz += at[0];
                dz_xhat += at[channels];
            }
            dz = warp_sum(dz);
            dz_xhat = warp_sum(dz_xhat);
            if (lane != 0) continue;
            source.normalization[M1 * channels + channel] = float(dz / count);
            source.normalization[M2 * channels + channel] = float(dz_xhat / count);
            if (source.scale_gradient) source.scale_gradient[channel] = float(dz_xhat);
            if (source.shift_gradient) source.shift_gradient[channel] = float(dz);
        }
    }
}

__device__ __forceinline__ bool finishes_sums(const Stage& stage) {
    bool any = false;
    for (unsigned s = 0; s < stage.source_count; s++) any |= stage.sources[s].sums != nullptr;
    return any;
}

// Room of `write_input_gradient` in shared memory: of every warp, sums of up to 64 channels.
struct GradientSums {
    float of_warps[WARPS][2][64];
    unsigned flag;
};

// The running sums of a thread that writes N channels of a source's gradient, pixel after pixel.
template <unsigned N> struct ChannelsGradientWriter {
    const Source* source;
    unsigned channel;
    bool relu;
    ChannelsNormalizer<N> normalizer;
    float rstd[N] = {}, dz_sum[N] = {}, xhat_sum[N] = {};

    __device__ __forceinline__ ChannelsGradientWriter(const Source& source, unsigned channel, bool relu)
        : source(&source), channel(channel), relu(relu), normalizer(source, channel) {
        if (source.sums) load_channels(rstd, source.normalization + RSTD * source.channels + channel);
    }

    // Takes `du`, the gradient of the normalized input after ReLU, to the source's gradient at a pixel of the map.
    template <class T> __device__ __forceinline__ void write(size_t pixel, float (&du)[N]) {
        const size_t at = pixel * source->channels + channel;
        float y[N] = {};
        if (relu || source->sums) load_channels(y, static_cast<const T*>(source->values) + at);
        if (relu) {
            float z[N];
#pragma unroll
            for (unsigned i = 0; i < N; i++) z[i] = y[i];
            normalizer.apply(z);
#pragma unroll
            for (unsigned i = 0; i < N; i++) du[i] = z[i] > 0.0f ? du[i] : 0.0f;
        }
        T* to = static_cast<T*>(source->gradient) + at;
        if (source->flags & ACCUMULATE) {
            float before[N];
            load_channels(before, to);
#pragma unroll
            for (unsigned i = 0; i < N; i++) du[i] = before[i] + du[i];
        }
        round_channels<T>(du);
        store_channels(to, du);
        if (source->sums) {
#pragma unroll
            for (unsigned i = 0; i < N; i++) {
                dz_sum[i] += du[i];
                xhat_sum[i] = fmaf(du[i], (y[i] - normalizer.mean[i]) * rstd[i], xhat_sum[i]);
            }
        }
    }
};

using GradientWriter = ChannelsGradientWriter<8>;

// Takes what the warps left of `columns` columns to part `blockIdx.x`; find(column) names the source and its channel. All threads take part.
template <class Find> __device__ __forceinline__ void write_sums_of_warps(GradientSums& shared, unsigned columns, Find find) {
    __syncthreads();
    for (unsigned column = threadIdx.x; column < columns; column += THREADS) {
        const SourcePlace at = find(column);
        if (!at.source || !at.source->sums) continue;
        float a = 0.0f, b = 0.0f;
        for (unsigned w = 0; w < WARPS; w++) {
            a += shared.of_warps[w][0][column];
            b += shared.of_warps[w][1][column];
        }
        float* part = at.source->sums + size_t(blockIdx.x) * 2 * at.source->channels + at.channel;
        part[0] = a;
        part[at.source->channels] = b;
    }
    __syncthreads();
}

// The same of channels from `first` of the stage's concatenated input.
__device__ inline void write_sums_of_warps(const Stage& stage, GradientSums& shared, unsigned first, unsigned columns) {
    write_sums_of_warps(shared, columns, [&](unsigned column) { return find_source(stage, first + column); });
}

// A power of two that is at least `groups` (at most 8).
__device__ __forceinline__ unsigned power_of_two(unsigned groups) { return groups > 4 ? 8 : groups > 2 ? 4 : groups; }

// Takes eight channels' sums of all threads to part `blockIdx.x`: thread t has group t % `stride` of `groups` groups of eight channels, with
// the sums `dz` and `dz_xhat` of its own; find(column) names the source and channel of each of `groups` * 8 columns. All threads take part.
template <class Find>
__device__ __forceinline__ void write_gradient_sums(GradientSums& shared, const float (&dz)[8], const float (&dz_xhat)[8], unsigned groups, unsigned stride, Find find) {
    const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32, group = lane % stride;
#pragma unroll
    for (int i = 0; i < 8; i++) {
        float a = dz[i], b = dz_xhat[i];
        for (unsigned offset = 16; offset >= stride; offset /= 2) {
            a += __shfl_xor_sync(~0u, a, offset);
            b += __shfl_xor_sync(~0u, b, offset);
        }
        if (lane < stride) {
            shared.of_warps[warp][0][group * 8 + i] = a;
            shared.of_warps[warp][1][group * 8 + i] = b;
        }
    }
    write_sums_of_warps(shared, groups * 8, find);
}

// The same where the groups begin at channel `first` of the stage's concatenated input.
__device__ inline void write_gradient_sums(const Stage& stage, GradientSums& shared, const float (&dz)[8], const float (&dz_xhat)[8], unsigned first, unsigned groups, unsigned stride) {
    write_gradient_sums(shared, dz, dz_xhat, groups, stride, [&](unsigned column) { return find_source(stage, first + column); });
}

// Takes du of `columns` <= 64 channels from channel `first` of the concatenated input, at the pixels of a tile of the input, to the gradients
// of the sources, and their sums to part `blockIdx.x`. read(du, p, group) gives eight channels' du at pixel p of the tile, group by group from
// `first`. The last block finishes the sums.
template <class T, class Read>
__device__ __forceinline__ void write_input_gradient(const Stage& stage, const Tile& tile, unsigned first, unsigned columns, GradientSums& shared, Read read) {
    const unsigned groups = columns / 8, stride = power_of_two(groups), group = threadIdx.x % stride;
    const SourcePlace at = group < groups ? find_source(stage, first + group * 8) : SourcePlace{nullptr, 0};
    float dz[8] = {}, dz_xhat[8] = {};
    if (at.source && at.source->gradient) {
        GradientWriter writer(*at.source, at.channel, stage.relu);
        for (unsigned p = threadIdx.x / stride; p < tile.pixels(); p += THREADS / stride) {
            const Pixel pixel = tile.pixel(p);
            if (!tile.holds(pixel)) continue;
            float du[8];
            read(du, p, group);
            writer.write<T>(place(stage.from, pixel), du);
        }
#pragma unroll
        for (int i = 0; i < 8; i++) dz[i] = writer.dz_sum[i], dz_xhat[i] = writer.xhat_sum[i];
    }
    if (!finishes_sums(stage)) return;
    write_gradient_sums(stage, shared, dz, dz_xhat, first, groups, stride);
    if (is_last_block(stage.counter, shared.flag)) finish_sums(stage);
}

// The same from a tile of du in shared memory, which all threads have written.
template <class T> __device__ void write_input_gradient(const Stage& stage, const Tile& tile, const float* sums, unsigned distance, unsigned first, unsigned columns, GradientSums& shared) {
    __syncthreads();
    write_input_gradient<T>(stage, tile, first, columns, shared, [&](float (&du)[8], unsigned p, unsigned group) {
#pragma unroll
        for (int i = 0; i < 8; i++) du[i] = sums[p * distance + group * 8 + i];
    });
}
