// Shared memory: all of it is dynamic, one struct a kernel, so that the launch states its size and the emulator knows its bounds.
#pragma once

template <class T> __device__ __forceinline__ T& shared_memory() {
#ifdef CROSSTALK_EMULATOR
    return *reinterpret_cast<T*>(emulator::shared_memory());
#else
    extern __shared__ __align__(128) unsigned char dynamic_shared_memory[];
    return *reinterpret_cast<T*>(dynamic_shared_memory);
#endif
}
