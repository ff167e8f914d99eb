// How stages write the gradients of their inputs, tile after tile, with the sums that the producers' normalizations need.
#pragma once
#include "sums.cuh"

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
            float* const rows = source.normalization + channel;
            const float m1 = float(dz / count), m2 = float(dz_xhat / count), scale = rows[SCALE * channels];
            rows[M1 * channels] = m1, rows[OFFSET * channels] = -scale * m1;
            rows[M2 * channels] = m2, rows[SLOPE * channels] = -scale * rows[RSTD * channels] * m2;
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

// What a thread knows of N channels of a source, for some pixels.
template <unsigned N> struct GradientConstants {
    ChannelsNormalizer<N> normalizer;
    float rstd[N] = {};

    __device__ __forceinline__ explicit GradientConstants(const SourcePlace& at) : normalizer(at.source, at.channel) {
        if (at.source && at.source->sums) load_channels(rstd, at.source->normalization + RSTD * at.source->channels + at.channel);
    }
};

// A thread that writes N channels of a source's gradient, pixel after pixel, and its running sums. No source: nothing is written.
template <class T, unsigned N> struct ChannelsGradientWriter {
    SourcePlace to;
    bool relu;
    float dz_sum[N] = {}, xhat_sum[N] = {};

    __device__ __forceinline__ ChannelsGradientWriter(const SourcePlace& to, bool relu) : to(to), relu(relu) {}

    __device__ __forceinline__ bool is_wanted() const { return to.source && to.source->gradient; }

    // Takes `du`, the gradient of the normalized input after ReLU, to the source's gradient at pixels of the map that follow one another.
    template <unsigned PIXELS> __device__ __forceinline__ void write(const GradientConstants<N>& constants, size_t pixel, float (&du)[PIXELS][N]) {
        const Source& source = *to.source;
        const unsigned step = source.channels;
        const bool sums = source.sums;
        const size_t at = pixel * step + to.channel;
        const T* const values = static_cast<const T*>(source.values) + at;
        T* const gradient = static_cast<T*>(source.gradient) + at;
        float y[PIXELS][N] = {};
        if (relu || sums) {
#pragma unroll
            for (unsigned p = 0; p < PIXELS; p++) load_channels(y[p], values + p * step);
        }
        if (relu) {
#pragma unroll
            for (unsigned p = 0; p < PIXELS; p++) {
                float z[N];
#pragma unroll
                for (unsigned i = 0; i < N; i++) z[i] = y[p][i];
                constants.normalizer.apply(z);
#pragma unroll
                for (unsigned i = 0; i < N; i++) du[p][i] = z[i] > 0.0f ? du[p][i] : 0.0f;
            }
        }
        if (source.flags & ACCUMULATE) {
#pragma unroll
            for (unsigned p = 0; p < PIXELS; p++) {
                float before[N];
                load_channels(before, gradient + p * step);
#pragma unroll
                for (unsigned i = 0; i < N; i++) du[p][i] = before[i] + du[p][i];
            }
        }
#pragma unroll
        for (unsigned p = 0; p < PIXELS; p++) {
            round_channels<T>(du[p]);
            store_channels(gradient + p * step, du[p]);
        }
        if (!sums) return;
#pragma unroll
        for (unsigned p = 0; p < PIXELS; p++) {
#pragma unroll
            for (unsigned i = 0; i < N; i++) {
                dz_sum[i] += du[p][i];
                xhat_sum[i] = fmaf(du[p][i], (y[p][i] - constants.normalizer.mean[i]) * constants.rstd[i], xhat_sum[i]);
            }
        }
    }

    // At one pixel.
    __device__ __forceinline__ void write(const GradientConstants<N>& constants, size_t pixel, float (&du)[N]) {
        write(constants, pixel, reinterpret_cast<float (&)[1][N]>(du));
    }
};

// Takes to part `blockIdx.x` what threads have left in `shared` of `columns` columns; find(column) names the source and its channel. All
// threads take part.
template <class Find> __device__ __forceinline__ void write_sums(const ChannelSums& shared, unsigned columns, Find find) {
    shared.each(columns, [&](unsigned column, float dz, float dz_xhat) {
        const SourcePlace at = find(column);
        if (!at.source || !at.source->sums) return;
        float* const part = at.source->sums + size_t(blockIdx.x) * 2 * at.source->channels + at.channel;
        part[0] = dz;
        part[at.source->channels] = dz_xhat;
    });
}

// The gradients of up to 64 columns of the concatenated input, from channel `first`. The last block finishes their sums.
template <class T> struct InputGradientWriter {
    ChannelThreads threads;
    unsigned first;
    ChannelsGradientWriter<T, 8> writer;

    __device__ __forceinline__ InputGradientWriter(const Stage& stage, unsigned first, unsigned columns)
        : threads(columns), first(first), writer(threads.has_group() ? find_source(stage, first + threads.group() * 8) : SourcePlace{nullptr, 0}, stage.relu) {}

    // Of `count` pixels of the map from `first`. read(du, p, group) gives eight channels' du at the p-th of them, group by group.
    template <class Read> __device__ __forceinline__ void write(unsigned first, unsigned count, Read read) {
        if (!writer.is_wanted()) return;
        const GradientConstants<8> constants(writer.to);
        for (unsigned p = threads.begin(); p < count; p += threads.step()) {
            float du[8];
            read(du, p, threads.group());
            writer.write(constants, first + p, du);
        }
    }

    // From du in shared memory, [pixel][distance], which all threads have written.
    __device__ __forceinline__ void write(unsigned first, unsigned count, const float* sums, unsigned distance) {
        __syncthreads();
        write(first, count, [&](float (&du)[8], unsigned p, unsigned group) {
#pragma unroll
            for (int i = 0; i < 8; i++) du[i] = sums[p * distance + group * 8 + i];
        });
    }

    template <class Read> __device__ __forceinline__ void write(const Tile& tile, Read read) { write(tile.first, tile.count, read); }
    __device__ __forceinline__ void write(const Tile& tile, const float* sums, unsigned distance) { write(tile.first, tile.count, sums, distance); }

    __device__ __forceinline__ void finish(const Stage& stage, ChannelSums& shared) const {
        if (!finishes_sums(stage)) return;
        shared.leave(threads, writer.dz_sum, writer.xhat_sum);
        write_sums(shared, threads.groups * 8, [&](unsigned column) { return find_source(stage, first + column); });
        if (is_last_block(stage.counter, shared.flag)) finish_sums(stage);
    }
};
