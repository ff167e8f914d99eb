// Kernels are compiled with -fsanitize=thread, so that the compiler calls one of these before every access to memory. They
// stand in for the runtime of ThreadSanitizer, which knows nothing of GPUs and is not linked.
#include "launch.h"
#include <cstring>

using emulator::launch;

static void note(const void* address, size_t bytes, bool write, size_t alignment) {
    if (launch && launch->current) launch->access(address, bytes, write, false, alignment);
}

extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}

#define ACCESS(bytes)                                                                                      \
    void __tsan_read##bytes(void* address) { note(address, bytes, false, bytes); }                         \
    void __tsan_write##bytes(void* address) { note(address, bytes, true, bytes); }                         \
    void __tsan_read_write##bytes(void* address) {                                                         \
        note(address, bytes, false, bytes);                                                                \
        note(address, bytes, true, bytes);                                                                 \
    }
ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)

// An access that the compiler cannot align is one of packed or copied bytes: on a device it is taken apart.
#define UNALIGNED(bytes)                                                                                   \
    void __tsan_unaligned_read##bytes(void* address) { note(address, bytes, false, 1); }                   \
    void __tsan_unaligned_write##bytes(void* address) { note(address, bytes, true, 1); }                   \
    void __tsan_unaligned_read_write##bytes(void* address) {                                               \
        note(address, bytes, false, 1);                                                                    \
        note(address, bytes, true, 1);                                                                     \
    }
UNALIGNED(2)
UNALIGNED(4)
UNALIGNED(8)
UNALIGNED(16)

void __tsan_read_range(void* address, unsigned long bytes) { note(address, bytes, false, 1); }
void __tsan_write_range(void* address, unsigned long bytes) { note(address, bytes, true, 1); }
void* __tsan_memcpy(void* to, const void* from, size_t bytes) {
    note(from, bytes, false, 1);
    note(to, bytes, true, 1);
    return std::memcpy(to, from, bytes);
}
void* __tsan_memmove(void* to, const void* from, size_t bytes) {
    note(from, bytes, false, 1);
    note(to, bytes, true, 1);
    return std::memmove(to, from, bytes);
}
void* __tsan_memset(void* to, int value, size_t bytes) {
    note(to, bytes, true, 1);
    return std::memset(to, value, bytes);
}
}
