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

    // `rows` of a normalization of so many channels, from the first that is wanted; null: none.
    __device__ __forceinline__ ChannelsNormalizer(const float* rows, unsigned channels) : present(rows != nullptr) {
        if (!present) return;
        load_channels(mean, rows + MEAN * channels);
        load_channels(scale, rows + SCALE * channels);
        load_channels(shift, rows + SHIFT * channels);
    }

    __device__ __forceinline__ ChannelsNormalizer(const Source* source, unsigned channel)
        : ChannelsNormalizer(source && source->normalization ? source->normalization + channel : nullptr, source ? source->channels : 0) {}

    __device__ __forceinline__ void apply(float (&values)[N]) const {
        if (!present) return;
#pragma unroll
        for (unsigned i = 0; i < N; i++) values[i] = fmaf(values[i] - mean[i], scale[i], shift[i]);
    }
};
using Normalizer = ChannelsNormalizer<8>;

// A stage's input, a slice of 16 channels: even threads take the first eight, odd ones the others. From tile to tile a thread keeps where its
// channels are; their normalization it reads again.
template <class T> struct InputSlice {
    unsigned half, channels = 0;
    const void* values = nullptr; // null past the last channel
    const float* rows = nullptr;
    bool is_image = false;

    __device__ __forceinline__ InputSlice(const Stage& stage, unsigned channel) : half(threadIdx.x % 2 * 8) {
        const SourcePlace at = find_source(stage, channel + half);
        if (!at.source) return;
        channels = at.source->channels, is_image = at.source->flags & IMAGE;
        values = static_cast<const unsigned char*>(at.source->values) + at.channel * (is_image ? sizeof(float) : sizeof(T));
        if (at.source->normalization) rows = at.source->normalization + at.channel;
    }

    // to[pixel of the halo][SLICE]; `outside` where there is no pixel or channel.
    __device__ __forceinline__ void fill(T* to, const Stage& stage, const Halo& halo, float outside = 0.0f) const {
        fill(to, stage, halo.pixels(), [&](unsigned& place, unsigned h) { return halo.find(place, stage.from, h); }, outside);
    }

    // The same of any pixels: find(place, h) is where the h-th lies in the map, or false.
    template <class Find> __device__ __forceinline__ void fill(T* to, const Stage& stage, unsigned pixels, Find find, float outside = 0.0f) const {
#pragma unroll 1
        for (unsigned h = threadIdx.x / 2; h < pixels; h += THREADS / 2) {
            float numbers[8];
            unsigned place = 0;
            const bool is_inside = find(place, h);
            if (take(numbers, Normalizer(rows, channels), is_inside, place, outside) && stage.relu) {
                store8_relu(to + h * SLICE<T> + half, numbers);
            } else {
                store8(to + h * SLICE<T> + half, numbers);
            }
        }
    }

    // to[slot][distance]: the pixels that `ring` lacks; zero where there is no pixel or channel.
    template <class Ring> __device__ __forceinline__ void fill_ring(T* to, unsigned distance, const Stage& stage, const Ring& ring) const {
        const Normalizer normalizer(rows, channels);
        for (unsigned h = threadIdx.x / 2; h < ring.missing_pixels(); h += THREADS / 2) {
            float numbers[8];
            unsigned place = 0, slot = 0;
            const bool is_inside = ring.find(place, slot, stage.from, h);
            if (take(numbers, normalizer, is_inside, place, 0.0f) && stage.relu) relu_channels(numbers);
            store4(to + slot * distance + half, numbers[0], numbers[1], numbers[2], numbers[3]);
            store4(to + slot * distance + half + 4, numbers[4], numbers[5], numbers[6], numbers[7]);
        }
    }

  private:
    // The stored numbers at a pixel; the network's input may have four.
    __device__ __forceinline__ void read(float (&out)[8], size_t pixel) const {
        if (!is_image) {
            load8(out, static_cast<const T*>(values) + pixel * channels);
            return;
        }
        const float4* from = reinterpret_cast<const float4*>(static_cast<const float*>(values) + pixel * channels);
        const float4 first = from[0], second = half + 4 < channels ? from[1] : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        out[0] = first.x, out[1] = first.y, out[2] = first.z, out[3] = first.w;
        out[4] = second.x, out[5] = second.y, out[6] = second.z, out[7] = second.w;
    }

    // The normalized numbers of a pixel, or false and `outside`.
    __device__ __forceinline__ bool take(float (&numbers)[8], const Normalizer& normalizer, bool is_inside, unsigned place, float outside) const {
#pragma unroll
        for (int i = 0; i < 8; i++) numbers[i] = outside;
        if (!is_inside || !values) return false;
        read(numbers, place);
        normalizer.apply(numbers);
        return true;
    }
};

// Gradient of the raw output of a stage from that of its normalized one, for a thread's eight channels:
// SCALE * (dz - M1 - xhat * M2) = SCALE * dz + ((y - MEAN) * SLOPE + OFFSET). Zero for channels that the stage lacks.
template <class T> struct OutputGradient {
    const T *gradient = nullptr, *output = nullptr; // null: no channel; no normalization
    unsigned channels;
    float mean[8] = {}, scale[8] = {}, slope[8] = {}, offset[8] = {};

    __device__ __forceinline__ OutputGradient(const Stage& stage, unsigned channel) : channels(stage.out_channels) {
        if (channel >= channels) return;
        gradient = static_cast<const T*>(stage.output_gradient) + channel;
        if (!stage.normalization) return;
        output = static_cast<const T*>(stage.output) + channel;
        const float* rows = stage.normalization + channel;
        load8(mean, rows + MEAN * channels);
        load8(scale, rows + SCALE * channels);
        load8(slope, rows + SLOPE * channels);
        load8(offset, rows + OFFSET * channels);
    }

    // At a pixel of the output; there must be a channel.
    __device__ __forceinline__ void read(float (&dy)[8], size_t pixel) const {
        load8(dy, gradient + pixel * channels);
        if (!output) return;
        float y[8];
        load8(y, output + pixel * channels);
        apply(dy, y);
    }

    // To dz of an output y that is normalized.
    __device__ __forceinline__ void apply(float (&dz)[8], const float (&y)[8]) const {
#pragma unroll
        for (int i = 0; i < 8; i++) dz[i] = fmaf(dz[i], scale[i], fmaf(y[i] - mean[i], slope[i], offset[i]));
    }
};

// The same where the constants stand in shared memory, [mean, scale, slope, offset][count]; for kernels whose sums leave them no registers.
template <class T> struct StagedOutputGradient {
    const float* constants;
    unsigned count, channels;
    const T *gradient = nullptr, *output = nullptr;

    // Of eight channels, of which `at` are the constants.
    __device__ __forceinline__ StagedOutputGradient(const float* at, unsigned count, const Stage& stage, unsigned channel)
        : constants(at), count(count), channels(stage.out_channels) {
        if (channel >= channels) return;
        gradient = static_cast<const T*>(stage.output_gradient) + channel;
        if (stage.normalization) output = static_cast<const T*>(stage.output) + channel;
    }

    // Brings those of `count` channels from `first` there. A barrier must follow.
    static __device__ __forceinline__ void stage_constants(float* to, unsigned count, const Stage& stage, unsigned first) {
        if (!stage.normalization) return;
        for (unsigned i = threadIdx.x; i < count; i += THREADS) {
            const bool present = first + i < stage.out_channels;
            const float* const rows = stage.normalization + (present ? first + i : 0);
            const unsigned channels = stage.out_channels;
            to[i] = present ? rows[MEAN * channels] : 0.0f;
            to[count + i] = present ? rows[SCALE * channels] : 0.0f;
            to[2 * count + i] = present ? rows[SLOPE * channels] : 0.0f;
            to[3 * count + i] = present ? rows[OFFSET * channels] : 0.0f;
        }
    }

    // At a pixel of the output; there must be a channel.
    __device__ __forceinline__ void read(float (&dy)[8], size_t pixel) const {
        load8(dy, gradient + pixel * channels);
        if (!output) return;
        float y[8], mean[8], scale[8], slope[8], offset[8];
        load8(y, output + pixel * channels);
        load8(mean, constants), load8(scale, constants + count), load8(slope, constants + 2 * count), load8(offset, constants + 3 * count);
#pragma unroll
        for (int i = 0; i < 8; i++) dy[i] = fmaf(dy[i], scale[i], fmaf(y[i] - mean[i], slope[i], offset[i]));
    }
};

// to[pixel][SLICE]: the slice of that gradient that begins at `channel`, zero where there is no pixel or channel; `find` as above. `constants` are the
// slice's, of 16 channels.
template <class T, class Find>
__device__ __forceinline__ void fill_output_gradient(T* to, const float* constants, const Stage& stage, unsigned channel, unsigned pixels, Find find) {
    const unsigned half = threadIdx.x % 2 * 8;
    const StagedOutputGradient<T> gradient(constants + half, CHANNELS, stage, channel + half);
#pragma unroll 1
    for (unsigned h = threadIdx.x / 2; h < pixels; h += THREADS / 2) {
        float values[8] = {};
        unsigned place;
        if (find(place, h) && gradient.gradient) gradient.read(values, place);
        store8(to + h * SLICE<T> + half, values);
    }
}
