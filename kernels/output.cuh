// How stages write their output, tile after tile, with its statistics.
#pragma once
#include "sums.cuh"

// The rows of a normalization from mean and variance.
__device__ inline void write_normalization(const Stage& stage, unsigned channel, double mean, double variance) {
    const double rstd = 1.0 / sqrt(variance + double(stage.epsilon));
    const unsigned channels = stage.out_channels;
    float* rows = stage.normalization + channel;
    rows[MEAN * channels] = float(mean);
    rows[SCALE * channels] = float(stage.scale ? rstd * double(stage.scale[channel]) : rstd);
    rows[SHIFT * channels] = stage.shift ? stage.shift[channel] : 0.0f;
    rows[RSTD * channels] = float(rstd);
    for (unsigned row = M1; row < NORMALIZATION_ROWS; row++) rows[row * channels] = 0.0f;
    stage.statistics[channel] = mean;
    stage.statistics[channels + channel] = variance;
}

// By the last block of a stage: adds the parts' moments, a warp a channel.
__device__ inline void finish_moments(const Stage& stage) {
    const unsigned lane = threadIdx.x % 32, channels = stage.out_channels;
    for (unsigned channel = threadIdx.x / 32; channel < channels; channel += WARPS) {
        const float* const first = stage.moments + channel;
        double count = 0.0, mean = 0.0, squares = 0.0;
        for (unsigned part = lane; part < gridDim.x; part += 32) {
            const float* at = first + size_t(part) * 3 * channels;
            count += at[0];
            mean += double(at[0]) * at[channels];
        }
        count = warp_sum(count);
        mean = warp_sum(mean) / count;
        for (unsigned part = lane; part < gridDim.x; part += 32) {
            const float* at = first + size_t(part) * 3 * channels;
            const double deviation = at[channels] - mean;
            squares += at[2 * channels] + at[0] * deviation * deviation;
        }
        squares = warp_sum(squares);
        if (lane == 0) write_normalization(stage, channel, mean, squares / count);
    }
}

// Leaves the moments of part `blockIdx.x`, from sums of deviations that all warps have left in `shared`, of `columns` channels from `channel`. The
// last block finishes the statistics.
__device__ __forceinline__ void write_moments(const Stage& stage, ChannelSums& shared, unsigned channel, unsigned columns, float pixels) {
    float* const part = stage.moments + size_t(blockIdx.x) * 3 * stage.out_channels + channel;
    shared.each(columns, [&](unsigned column, float deviations, float of_squares) {
        part[column] = pixels;
        part[stage.out_channels + column] = shared.pivots[column] + deviations / pixels;
        part[2 * stage.out_channels + column] = fmaxf(of_squares - deviations * (deviations / pixels), 0.0f);
    });
    if (is_last_block(stage.counter, shared.flag)) finish_moments(stage);
}

// Writes up to 64 columns as channels `channel` and on of the output. A thread sums its deviations, and their squares, from the first
// number of each channel in the part, which lies as near to the mean as numbers do.
template <class T> struct OutputWriter {
    ChannelThreads threads;
    unsigned channel;
    float pixels = 0.0f, sum[8] = {}, squares[8] = {};

    __device__ __forceinline__ OutputWriter(unsigned channel, unsigned columns) : threads(columns), channel(channel) {}

    // A tile of sums, [pixel][distance], which all threads have written. They may overwrite it after the next barrier.
    __device__ __forceinline__ void write(const Stage& stage, const Tile& tile, const float* sums, unsigned distance, ChannelSums& shared) {
        __syncthreads();
        if (pixels == 0.0f) {
            if (threadIdx.x < threads.groups * 8) shared.pivots[threadIdx.x] = sums[threadIdx.x];
            __syncthreads();
        }
        pixels += float(tile.count);
        if (!threads.has_group()) return;
        const float* const own = sums + threads.group() * 8;
        T* const to = static_cast<T*>(stage.output) + size_t(tile.first) * stage.out_channels + channel + threads.group() * 8;
        float pivot[8];
        load8(pivot, shared.pivots + threads.group() * 8);
        for (unsigned p = threads.begin(); p < tile.count; p += threads.step()) {
            float values[8];
#pragma unroll
            for (int i = 0; i < 8; i++) values[i] = own[p * distance + i];
            round_channels<T>(values);
            store8(to + p * stage.out_channels, values);
#pragma unroll
            for (int i = 0; i < 8; i++) {
                const float deviation = values[i] - pivot[i];
                sum[i] += deviation;
                squares[i] = fmaf(deviation, deviation, squares[i]);
            }
        }
    }

    __device__ __forceinline__ void finish(const Stage& stage, ChannelSums& shared) const {
        if (!stage.moments) return;
        shared.leave(threads, sum, squares);
        write_moments(stage, shared, channel, threads.groups * 8, pixels);
    }
};
