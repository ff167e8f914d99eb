// Stacks of their own for CUDA threads, and switching between them.
#pragma once
#include <csetjmp>
#include <cstddef>
#include <ucontext.h>

namespace emulator {

// Equal stacks, each below a page that may not be touched.
class Stacks {
public:
    static constexpr size_t BYTES = 128 << 10;
    Stacks() = default;
    Stacks(const Stacks&) = delete;
    ~Stacks();
    // Makes at least `count` stacks; false where memory is short. Earlier stacks are lost.
    bool reserve(size_t count);
    char* bottom(size_t number) const;

private:
    char* memory = nullptr;
    size_t count = 0;
};

class Fiber {
public:
    // Makes the fiber begin in `entry`, which never returns, when it is switched to.
    void prepare(char* stack, void (*entry)());
    // Leaves `from`, which goes on here when it is switched to.
    static void change(Fiber& from, Fiber& to);

private:
    ucontext_t beginning;
    jmp_buf point;
    bool begun = true;
};

} // namespace emulator
