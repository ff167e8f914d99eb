// The two types in which feature maps are stored, eight channels (or two) at a time: f32, and bf16 in which every stored number is rounded.
#pragma once
#include "ptx.cuh"
#include <cuda_bf16.h>

using bf16 = __nv_bfloat16;

// Two numbers of bf16, the first in the lower half.
__device__ __forceinline__ void unpack_bf16(float& low, float& high, uint32_t pair) {
    low = __uint_as_float(pair << 16), high = __uint_as_float(pair & 0xffff0000u);
}

__device__ __forceinline__ void load8(float (&out)[8], const float* from) {
    const float4 a = *reinterpret_cast<const float4*>(from), b = *reinterpret_cast<const float4*>(from + 4);
    out[0] = a.x, out[1] = a.y, out[2] = a.z, out[3] = a.w;
    out[4] = b.x, out[5] = b.y, out[6] = b.z, out[7] = b.w;
}

__device__ __forceinline__ void unpack8(float (&out)[8], const uint4& bits) {
    unpack_bf16(out[0], out[1], bits.x), unpack_bf16(out[2], out[3], bits.y);
    unpack_bf16(out[4], out[5], bits.z), unpack_bf16(out[6], out[7], bits.w);
}

__device__ __forceinline__ void load8(float (&out)[8], const bf16* from) { unpack8(out, *reinterpret_cast<const uint4*>(from)); }

__device__ __forceinline__ void store8(float* to, const float (&values)[8]) {
    *reinterpret_cast<float4*>(to) = make_float4(values[0], values[1], values[2], values[3]);
    *reinterpret_cast<float4*>(to + 4) = make_float4(values[4], values[5], values[6], values[7]);
}

// Rounds.
__device__ __forceinline__ void store8(bf16* to, const float (&values)[8]) {
    *reinterpret_cast<uint4*>(to) = make_uint4(pack_bf16(values[0], values[1]), pack_bf16(values[2], values[3]), pack_bf16(values[4], values[5]),
                                               pack_bf16(values[6], values[7]));
}

__device__ __forceinline__ void store4(float* to, float a, float b, float c, float d) { *reinterpret_cast<float4*>(to) = make_float4(a, b, c, d); }
__device__ __forceinline__ void store4(bf16* to, float a, float b, float c, float d) { *reinterpret_cast<uint2*>(to) = {pack_bf16(a, b), pack_bf16(c, d)}; }

// sum / count, rounded as a division rounds; `reciprocal` is 1 / count but for its last place. What is rounded again to bf16 is often a tie.
__device__ __forceinline__ float quotient(float sum, float count, float reciprocal) {
    const float nearly = sum * reciprocal;
    return fmaf(fmaf(-nearly, count, sum), reciprocal, nearly);
}

// ReLU keeps NaN.
template <unsigned N> __device__ __forceinline__ void relu_channels(float (&values)[N]) {
#pragma unroll
    for (unsigned i = 0; i < N; i++) values[i] = larger(values[i], 0.0f);
}

// The same after ReLU.
__device__ __forceinline__ void store8_relu(float* to, float (&values)[8]) {
    relu_channels(values);
    store8(to, values);
}
__device__ __forceinline__ void store8_relu(bf16* to, const float (&values)[8]) {
    *reinterpret_cast<uint4*>(to) = make_uint4(pack_bf16_relu(values[0], values[1]), pack_bf16_relu(values[2], values[3]),
                                               pack_bf16_relu(values[4], values[5]), pack_bf16_relu(values[6], values[7]));
}

// To the nearest number of the type, ties to even.
template <class T> __device__ __forceinline__ float rounded(float value) { return value; }
template <> __device__ __forceinline__ float rounded<bf16>(float value) { return __bfloat162float(__float2bfloat16_rn(value)); }

template <class T, unsigned N> __device__ __forceinline__ void round_channels(float (&values)[N]) {
    if constexpr (sizeof(T) == 2) {
#pragma unroll
        for (unsigned i = 0; i < N; i += 2) unpack_bf16(values[i], values[i + 1], pack_bf16(values[i], values[i + 1]));
    }
}

__device__ __forceinline__ void load2(float (&out)[2], const float* from) {
    const float2 both = *reinterpret_cast<const float2*>(from);
    out[0] = both.x, out[1] = both.y;
}

__device__ __forceinline__ void load2(float (&out)[2], const bf16* from) {
    unpack_bf16(out[0], out[1], *reinterpret_cast<const uint32_t*>(from));
}

__device__ __forceinline__ void store2(float* to, const float (&values)[2]) { *reinterpret_cast<float2*>(to) = make_float2(values[0], values[1]); }

// Rounds.
__device__ __forceinline__ void store2(bf16* to, const float (&values)[2]) { *reinterpret_cast<uint32_t*>(to) = pack_bf16(values[0], values[1]); }

__device__ __forceinline__ void store_channels(float* to, const float (&value)[1]) { *to = value[0]; }
template <class T> __device__ __forceinline__ void load_channels(float (&out)[8], const T* from) { load8(out, from); }
template <class T> __device__ __forceinline__ void load_channels(float (&out)[2], const T* from) { load2(out, from); }
template <class T> __device__ __forceinline__ void store_channels(T* to, const float (&values)[8]) { store8(to, values); }
template <class T> __device__ __forceinline__ void store_channels(T* to, const float (&values)[2]) { store2(to, values); }

template <class T> __device__ __forceinline__ float load1(const T* from);
template <> __device__ __forceinline__ float load1<float>(const float* from) { return *from; }
template <> __device__ __forceinline__ float load1<bf16>(const bf16* from) { return __bfloat162float(*from); }
template <class T> __device__ __forceinline__ void store1(T* to, float value);
template <> __device__ __forceinline__ void store1<float>(float* to, float value) { *to = value; }
template <> __device__ __forceinline__ void store1<bf16>(bf16* to, float value) { *to = __float2bfloat16_rn(value); }
