// How stages read: their input (concatenated sources, normalized, ReLU) and the gradient of their output, 16 channels at a time, into
// shared memory, rounded to the type of storage.
#pragma once
#include "tile.cuh"

constexpr unsigned CHANNELS = 16; // of a slice: what one tensor-core product takes
// Distance of pixels in a slice: 16 bytes more, so that eight pixels' rows lie in different banks.
template <class T> constexpr unsigned SLICE = CHANNELS + 16 / sizeof(T);

// Eight channels of one source.
struct SourcePlace {
    const Source* source; // null past the last channel
    uint32_t channel;     // of that source
};

__device__ __forceinline__ SourcePlace find_source(const Stage& stage, unsigned channel) {
    for (unsigned s = 0; s < stage.source_count; s++) {
        const unsigned channels = stage.sources[s].channels;
        if (channel < channels) return {stage.sources + s, channel};
        channel -= channels;
    }
    return {nullptr, 0};
}

// z = (y - mean) * scale + shift for N channels of a source. All numbers begin as zeros, here and below: what is written only under a
// condition would keep its registers for the whole of a loop.
template <unsigned N> struct ChannelsNormalizer {
    float mean[N] = {}, scale[N] = {}, shift[N] = {};
    bool present;

    __device__ __forceinline__ explicit ChannelsNormalizer(const Source& source, unsigned channel) : present(source.normalization != nullptr) {
        if (!present) return;
        const float* rows = source.normalization + channel;
        load_channels(mean, rows + MEAN * source.channels);
        load_channels(scale, rows + SCALE * source.channels);
        load_channels(shift, rows + SHIFT * source.channels);
    }

    __device__ __forceinline__ void apply(float (&values)[N]) const {
        if (!present) return;
#pragma unroll
        for (unsigned i = 0; i < N; i++) values[i] = fmaf(values[i] - mean[i], scale[i], shift[i]);
    }
};
using Normalizer = ChannelsNormalizer<8>;

// ReLU keeps NaN.
template <unsigned N> __device__ __forceinline__ void relu_channels(float (&values)[N]) {
#pragma unroll
    for (unsigned i = 0; i < N; i++) values[i] = values[i] <= 0.0f ? 0.0f : values[i];
}

// The stored numbers of eight channels at a pixel; the network's input may have four.
template <class T> __device__ __forceinline__ void read8(float (&out)[8], const Source& source, size_t pixel, unsigned channel) {
    if (source.flags & IMAGE) {
        const float* from = static_cast<const float*>(source.values) + pixel * source.channels + channel;
        const float4 first = *reinterpret_cast<const float4*>(from);
        float4 second = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        if (channel + 4 < source.channels) second = *reinterpret_cast<const float4*>(from + 4);
        out[0] = first.x, out[1] = first.y, out[2] = first.z, out[3] = first.w;
        out[4] = second.x, out[5] = second.y, out[6] = second.z, out[7] = second.w;
    } else {
        load8(out, static_cast<const T*>(source.values) + pixel * source.channels + channel);
    }
}

// to[pixel of the halo][SLICE]: the slice of the stage's input that begins at `channel`; `outside` where there is no pixel or channel.
template <class T> __device__ void fill_input(T* to, const Stage& stage, const Halo& halo, unsigned channel, float outside = 0.0f) {
    // Even threads take the first eight channels, odd ones the others.
    const unsigned half = threadIdx.x % 2 * 8;
    const SourcePlace place_of = find_source(stage, channel + half);
    const Source* source = place_of.source;
    if (!source) {
        const float values[8] = {outside, outside, outside, outside, outside, outside, outside, outside};
        for (unsigned h = threadIdx.x / 2; h < halo.pixels(); h += THREADS / 2) store8(to + h * SLICE<T> + half, values);
        return;
    }
    const Normalizer normalizer(*source, place_of.channel);
    for (unsigned h = threadIdx.x / 2; h < halo.pixels(); h += THREADS / 2) {
        const Pixel at = halo.pixel(h);
        float values[8] = {outside, outside, outside, outside, outside, outside, outside, outside};
        if (inside(halo.map, at)) {
            read8<T>(values, *source, place(halo.map, at), place_of.channel);
            normalizer.apply(values);
            if (stage.relu) relu_channels(values);
            round8<T>(values);
        }
        store8(to + h * SLICE<T> + half, values);
    }
}

// Gradient of the raw output of a stage from that of its normalized one, for eight channels:
// SCALE * (dz - M1 - xhat * M2).
struct OutputGradient {
    float mean[8] = {}, scale[8] = {}, slope[8] = {}, offset[8] = {};
    bool normalized;

    __device__ __forceinline__ OutputGradient(const Stage& stage, unsigned channel) : normalized(stage.normalization != nullptr) {
        if (!normalized) return;
        const float* rows = stage.normalization + channel;
        load8(mean, rows + MEAN * stage.out_channels);
        load8(scale, rows + SCALE * stage.out_channels);
        load8(slope, rows + M2 * stage.out_channels);
        load8(offset, rows + M1 * stage.out_channels);
        float rstd[8];
        load8(rstd, rows + RSTD * stage.out_channels);
#pragma unroll
        for (int i = 0; i < 8; i++) {
            slope[i] = -scale[i] * rstd[i] * slope[i];
            offset[i] = -scale[i] * offset[i];
        }
    }

    // At a pixel of the output; `channel` as in the constructor.
    template <class T> __device__ __forceinline__ void read(float (&dy)[8], const Stage& stage, size_t pixel, unsigned channel) const {
        const size_t at = pixel * stage.out_channels + channel;
        load8(dy, static_cast<const T*>(stage.output_gradient) + at);
        if (!normalized) return;
        float y[8];
        load8(y, static_cast<const T*>(stage.output) + at);
#pragma unroll
        for (int i = 0; i < 8; i++) dy[i] = fmaf(dy[i], scale[i], fmaf(y[i] - mean[i], slope[i], offset[i]));
    }
};

// to[pixel of the halo][SLICE]: the slice of that gradient that begins at `channel`, zero where there is no pixel or channel.
template <class T> __device__ void fill_output_gradient(T* to, const Stage& stage, const Halo& halo, unsigned channel) {
    const unsigned half = threadIdx.x % 2 * 8, first = channel + half;
    if (first >= stage.out_channels) {
        const float zeros[8] = {};
        for (unsigned h = threadIdx.x / 2; h < halo.pixels(); h += THREADS / 2) store8(to + h * SLICE<T> + half, zeros);
        return;
    }
    const OutputGradient gradient(stage, first);
    for (unsigned h = threadIdx.x / 2; h < halo.pixels(); h += THREADS / 2) {
        const Pixel at = halo.pixel(h);
        float values[8] = {};
        if (inside(halo.map, at)) {
            gradient.read<T>(values, stage, place(halo.map, at), first);
            round8<T>(values);
        }
        store8(to + h * SLICE<T> + half, values);
    }
}

// A tile itself as a halo without a border.
__device__ __forceinline__ Halo without_border(const Tile& tile) {
    return {tile.map, tile.image, tile.y, tile.x, tile.map.together, tile.map.rows, tile.map.columns};
}
