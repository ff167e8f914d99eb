#include "fiber.h"
#include <sys/mman.h>

namespace emulator {

static constexpr size_t GUARD = 64 << 10;
static constexpr size_t PITCH = Stacks::BYTES + GUARD;

Stacks::~Stacks() {
    if (memory) munmap(memory, count * PITCH);
}

bool Stacks::reserve(size_t wanted) {
    if (wanted <= count) return true;
    if (memory) munmap(memory, count * PITCH);
    memory = nullptr;
    count = 0;
    void* mapped = mmap(nullptr, wanted * PITCH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) return false;
    memory = static_cast<char*>(mapped);
    count = wanted;
    for (size_t number = 0; number < count; number++) mprotect(memory + number * PITCH, GUARD, PROT_NONE);
    return true;
}

char* Stacks::bottom(size_t number) const { return memory + number * PITCH + GUARD; }

void Fiber::prepare(char* stack, void (*entry)()) {
    getcontext(&beginning);
    beginning.uc_stack.ss_sp = stack;
    beginning.uc_stack.ss_size = Stacks::BYTES;
    beginning.uc_link = nullptr;
    makecontext(&beginning, entry, 0);
    begun = false;
}

// A jump costs no system call, as a change of context does; only the first entry needs one.
void Fiber::change(Fiber& from, Fiber& to) {
    if (_setjmp(from.point)) return;
    if (to.begun) _longjmp(to.point, 1);
    to.begun = true;
    setcontext(&to.beginning);
    __builtin_unreachable();
}

} // namespace emulator
