# What the sampler needs of the system and of CPython's internals, in C. Everything here that a signal
# handler calls is safe there: it takes no lock, allocates nothing and leaves `errno` as it was.
#
# A frame is read while its thread may be in the midst of changing it, so no pointer found in one is
# followed: `sampler_read` copies memory through the kernel, which answers for a bad address with an
# error and not with a signal.

from libc.stdint cimport int64_t, uint64_t

cdef extern from *:
    """
    #include <errno.h>
    #include <stddef.h>
    #include <stdint.h>

    #if !defined(__linux__)
    #define SAMPLER_REASON "it needs Linux: per-thread timers with signals exist nowhere else"
    #elif !defined(__x86_64__) && !defined(__aarch64__)
    #define SAMPLER_REASON "it was written for x86-64 and aarch64 processors"
    #elif defined(PYPY_VERSION) || PY_VERSION_HEX < 0x030B0000 || PY_VERSION_HEX >= 0x030E0000
    #define SAMPLER_REASON "it reads the frames of CPython 3.11, 3.12 and 3.13; this is another Python"
    #elif defined(Py_GIL_DISABLED)
    #define SAMPLER_REASON "it reads frames under the interpreter lock, which this Python was built without"
    #else
    #define SAMPLER_REASON NULL
    #define SAMPLER_BUILT 1
    #endif

    typedef void (*sampler_callback)(void *slot, int wall, uint64_t address);

    #ifdef SAMPLER_BUILT

    #ifndef Py_BUILD_CORE
    #define Py_BUILD_CORE 1
    #endif
    #include "internal/pycore_frame.h"
    #undef Py_BUILD_CORE
    #include <dirent.h>
    #include <fcntl.h>
    #include <link.h>
    #include <pthread.h>
    #include <signal.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <string.h>
    #include <sys/mman.h>
    #include <sys/resource.h>
    #include <sys/syscall.h>
    #include <sys/uio.h>
    #include <time.h>
    #include <ucontext.h>
    #include <unistd.h>

    #ifndef sigev_notify_thread_id
    #define sigev_notify_thread_id _sigev_un._tid
    #endif

    #if PY_VERSION_HEX >= 0x030D0000
    #define SAMPLER_CODE f_executable
    #define SAMPLER_INSTRUCTION instr_ptr
    #else
    #define SAMPLER_CODE f_code
    #define SAMPLER_INSTRUCTION prev_instr
    #endif
    #if PY_VERSION_HEX >= 0x030C0000
    #define SAMPLER_SHIM FRAME_OWNED_BY_CSTACK
    #else
    #define SAMPLER_SHIM 99
    #endif

    /* Only the head of a code object is copied: what the instructions are does not matter here. */
    #define SAMPLER_CODE_HEAD offsetof(PyCodeObject, co_code_adaptive)
    #define SAMPLER_FRAME_HEAD offsetof(_PyInterpreterFrame, localsplus)

    static volatile int sampler_active = 0;
    static volatile pid_t sampler_process = 0;
    static sampler_callback sampler_take = NULL;
    static char *sampler_slots = NULL;
    static size_t sampler_slots_bytes = 0, sampler_slot_bytes = 1;
    static struct sigaction sampler_previous;

    static int sampler_read(void *into, const void *from, size_t bytes) {
        struct iovec local = {into, bytes}, remote = {(void *)from, bytes};
        return process_vm_readv(sampler_process, &local, 1, &remote, 1, 0) == (ssize_t)bytes;
    }

    static int sampler_can_read(void) {
        int there = 1, copy = 0;
        sampler_process = getpid();
        return sampler_read(&copy, &there, sizeof there) && copy == there;
    }

    static void sampler_handler(int number, siginfo_t *info, void *context) {
        int saved = errno;
        (void)number;
        if (sampler_active && info->si_code == SI_TIMER) {
            uintptr_t value = (uintptr_t)info->si_value.sival_ptr;
            uintptr_t place = (value & ~(uintptr_t)1) - (uintptr_t)sampler_slots;
            ucontext_t *machine = (ucontext_t *)context;
    #ifdef __x86_64__
            uint64_t address = (uint64_t)machine->uc_mcontext.gregs[REG_RIP];
    #else
            uint64_t address = (uint64_t)machine->uc_mcontext.pc;
    #endif
            /* A timer of somebody else may use the same signal: its value is not one of our slots. */
            if (place < sampler_slots_bytes && place % sampler_slot_bytes == 0)
                sampler_take((void *)(value & ~(uintptr_t)1), (int)(value & 1), address);
        }
        errno = saved;
    }

    static int sampler_install(int number, sampler_callback take, void *slots, size_t count, size_t bytes) {
        struct sigaction action;
        memset(&action, 0, sizeof action);
        sigemptyset(&action.sa_mask);
        action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
        action.sa_sigaction = sampler_handler;
        sampler_take = take;
        sampler_slots = (char *)slots;
        sampler_slots_bytes = count * bytes;
        sampler_slot_bytes = bytes;
        sampler_process = getpid();
        return sigaction(number, &action, &sampler_previous);
    }

    static int sampler_is_installed(int number) {
        struct sigaction action;
        return sigaction(number, NULL, &action) == 0 && (action.sa_flags & SA_SIGINFO)
            && action.sa_sigaction == sampler_handler;
    }

    /* Ignoring a signal discards those on their way; the default action would end the process. */
    static void sampler_uninstall(int number) {
        struct sigaction action;
        if (!sampler_is_installed(number)) return;
        memset(&action, 0, sizeof action);
        action.sa_handler = SIG_IGN;
        sigaction(number, &action, NULL);
        sigaction(number, &sampler_previous, NULL);
    }

    /* A real-time signal that nobody handles: SIGPROF would be shared with setitimer. */
    static int sampler_free_signal(int excluded) {
        struct sigaction action;
        int number;
        for (number = SIGRTMAX - 2; number > SIGRTMIN + 2; number--)
            if (number != excluded && sigaction(number, NULL, &action) == 0
                && !(action.sa_flags & SA_SIGINFO) && action.sa_handler == SIG_DFL)
                return number;
        return 0;
    }

    static int64_t sampler_clock(int64_t clock) {
        struct timespec time;
        if (clock_gettime((clockid_t)clock, &time) != 0) return -1;
        return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
    }
    static int64_t sampler_cpu_time(void) { return sampler_clock(CLOCK_THREAD_CPUTIME_ID); }
    static int64_t sampler_wall_time(void) { return sampler_clock(CLOCK_MONOTONIC); }
    /* The kernel's encoding of the processor time of one thread (what pthread_getcpuclockid returns). */
    static int64_t sampler_clock_of(long thread) { return (int64_t)(~(clockid_t)thread * 8 + 6); }

    /* How often this thread gave its processor away by itself: to sleep, to wait. */
    static int64_t sampler_sleeps(void) {
        struct rusage usage;
        return getrusage(RUSAGE_THREAD, &usage) == 0 ? (int64_t)usage.ru_nvcsw : -1;
    }

    static int sampler_arm(void *timer, int64_t first, int64_t period) {
        struct itimerspec times;
        times.it_value.tv_sec = first / 1000000000;
        times.it_value.tv_nsec = first % 1000000000;
        times.it_interval.tv_sec = period / 1000000000;
        times.it_interval.tv_nsec = period % 1000000000;
        return timer_settime((timer_t)timer, 0, &times, NULL);
    }
    static int sampler_make_timer(
        int64_t clock, int number, long thread, void *slot, int wall, void **timer
    ) {
        struct sigevent event;
        timer_t made;
        memset(&event, 0, sizeof event);
        event.sigev_notify = SIGEV_THREAD_ID;
        event.sigev_signo = number;
        event.sigev_notify_thread_id = (pid_t)thread;
        event.sigev_value.sival_ptr = (void *)((uintptr_t)slot | (uintptr_t)wall);
        if (timer_create(wall ? CLOCK_MONOTONIC : (clockid_t)clock, &event, &made) != 0) return -1;
        *timer = (void *)made;
        return 0;
    }
    static void sampler_delete_timer(void *timer) { timer_delete((timer_t)timer); }

    static long sampler_thread(void) { return (long)syscall(SYS_gettid); }
    static void sampler_block_signals(void) {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, NULL);
    }
    static void *sampler_map(size_t bytes) {
        int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
        void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
        return memory == MAP_FAILED ? NULL : memory;
    }
    static void sampler_forget(void *memory, size_t bytes) { madvise(memory, bytes, MADV_DONTNEED); }

    /* The kernel's accounts of threads. Python's own functions would give the interpreter lock away for
       each file, and get it back only after every thread that waits for it. */
    static int sampler_account(long thread, const char *name, char *text, int size) {
        char path[64];
        int file, bytes;
        snprintf(path, sizeof path, "/proc/self/task/%ld/%s", thread, name);
        file = open(path, O_RDONLY | O_CLOEXEC);
        if (file < 0) return 0;
        bytes = (int)read(file, text, size - 1);
        close(file);
        text[bytes > 0 ? bytes : 0] = 0;
        return bytes > 0;
    }
    /* For how many nanoseconds a thread was ready to run while others ran. */
    static int64_t sampler_queueing(long thread) {
        char text[128];
        long long ran = 0, queued = 0;
        if (!sampler_account(thread, "schedstat", text, sizeof text)) return 0;
        return sscanf(text, "%lld %lld", &ran, &queued) == 2 ? (int64_t)queued : 0;
    }
    static int sampler_is_asleep(long thread) {
        char text[512], *end;
        if (!sampler_account(thread, "stat", text, sizeof text)) return 0;
        end = strrchr(text, ')');
        return end != NULL && end[1] == ' ' && (end[2] == 'S' || end[2] == 'D');
    }
    /* Numbers of all threads of the process; -1 if they cannot be listed. */
    static int sampler_list_threads(long *numbers, int capacity) {
        DIR *folder = opendir("/proc/self/task");
        struct dirent *entry;
        int count = 0;
        if (folder == NULL) return -1;
        while (count < capacity && (entry = readdir(folder)) != NULL)
            if (entry->d_name[0] != '.') numbers[count++] = atol(entry->d_name);
        closedir(folder);
        return count;
    }

    /* Bounds of the stack chunk that holds the innermost frames, which is mapped while the state lives. */
    static void *sampler_innermost(void *state, size_t *low, size_t *high) {
        PyThreadState *thread = (PyThreadState *)state;
        _PyStackChunk *chunk = thread->datastack_chunk;
        *low = (uintptr_t)chunk;
        *high = chunk == NULL ? 0 : (uintptr_t)chunk + chunk->size;
    #if PY_VERSION_HEX >= 0x030D0000
        return thread->current_frame;
    #else
        /* On the thread's own stack, or in the state: always mapped, whatever it holds at this moment. */
        return thread->cframe->current_frame;
    #endif
    }

    /* Copy one frame; give its code, its instruction, what called it. -1: not readable, not a frame. */
    static int sampler_frame(
        const void *at, size_t low, size_t high, const void **code, const void **instruction, void **back
    ) {
        _PyInterpreterFrame frame;
        uintptr_t address = (uintptr_t)at;
        if (address % sizeof(void *)) return -1;
        if (address >= low && address + SAMPLER_FRAME_HEAD <= high) memcpy(&frame, at, SAMPLER_FRAME_HEAD);
        else if (!sampler_read(&frame, at, SAMPLER_FRAME_HEAD)) return -1;
        if ((unsigned char)frame.owner > 3) return -1;
        *code = frame.SAMPLER_CODE;
        *instruction = frame.SAMPLER_INSTRUCTION;
        *back = frame.previous;
        return frame.owner == SAMPLER_SHIM ? 0 : 1;
    }

    /* Copy the heads of several code objects at once; return how many could be read. */
    static int sampler_read_codes(char *heads, const void **codes, int count) {
        struct iovec local = {heads, count * SAMPLER_CODE_HEAD}, remote[32];
        ssize_t bytes;
        int place;
        for (place = 0; place < count; place++) {
            remote[place].iov_base = (void *)codes[place];
            remote[place].iov_len = SAMPLER_CODE_HEAD;
        }
        bytes = process_vm_readv(sampler_process, &local, 1, remote, count, 0);
        return bytes < 0 ? 0 : (int)(bytes / SAMPLER_CODE_HEAD);
    }

    /* Byte offset of an instruction in its code; -2 if this is no code object, or not its instruction.
       `identity` becomes a number that another code object at the same address hardly has. */
    static int64_t sampler_instruction(
        const char *head, const void *code, const void *instruction, uint64_t *identity
    ) {
        const PyCodeObject *copy = (const PyCodeObject *)head;
        int64_t place = (const char *)instruction - ((const char *)code + SAMPLER_CODE_HEAD);
        uint64_t mix = (uint64_t)(uintptr_t)code;
        if (Py_TYPE((PyObject *)copy) != &PyCode_Type) return -2;
        if (place < -(int64_t)sizeof(_Py_CODEUNIT)) return -2;
        if (place >= (int64_t)(Py_SIZE(copy) * sizeof(_Py_CODEUNIT))) return -2;
        mix = (mix ^ (uint64_t)(uintptr_t)copy->co_linetable) * 0x9E3779B97F4A7C15u;
        mix = (mix ^ (mix >> 29) ^ (uint64_t)(uintptr_t)copy->co_filename) * 0xBF58476D1CE4E5B9u;
        mix = (mix ^ (mix >> 31) ^ (uint64_t)(uintptr_t)copy->co_consts) * 0x94D049BB133111EBu;
        mix = (mix ^ (mix >> 30) ^ (uint64_t)(uintptr_t)copy->co_qualname) * 0x9E3779B97F4A7C15u;
        mix ^= (uint64_t)copy->co_firstlineno << 20 ^ (uint64_t)Py_SIZE(copy) ^ mix >> 32;
        *identity = mix == 0 ? 1 : mix;
        return place < 0 ? 0 : place;
    }
    static int sampler_first_line(const char *head) { return ((const PyCodeObject *)head)->co_firstlineno; }
    static const void *sampler_text(const char *head, int which) {
        const PyCodeObject *copy = (const PyCodeObject *)head;
        return which == 0 ? copy->co_filename : which == 1 ? copy->co_qualname : copy->co_linetable;
    }

    /* Address, size in bytes and bytes per character (0: a bytes object) of a str or bytes, else 0. */
    static int sampler_contents(const void *object, const char **data, int64_t *bytes, int *width) {
        PyCompactUnicodeObject text;
        const PyASCIIObject *head = (const PyASCIIObject *)&text;
        if (!sampler_read(&text, object, sizeof(PyBytesObject))) return 0;
        if (Py_TYPE((PyObject *)&text) == &PyBytes_Type) {
            *data = (const char *)object + offsetof(PyBytesObject, ob_sval);
            *bytes = Py_SIZE((PyVarObject *)&text);
            *width = 0;
            return *bytes >= 0;
        }
        if (Py_TYPE((PyObject *)&text) != &PyUnicode_Type) return 0;
        if (!sampler_read(&text, object, sizeof(PyASCIIObject)) || !head->state.compact) return 0;
        *width = head->state.kind;
        *bytes = head->length * *width;
        *data = (const char *)object
            + (head->state.ascii ? sizeof(PyASCIIObject) : sizeof(PyCompactUnicodeObject));
        return *bytes >= 0;
    }

    static int64_t sampler_load(const int64_t *value) { return __atomic_load_n(value, __ATOMIC_ACQUIRE); }
    static void sampler_store(int64_t *value, int64_t now) { __atomic_store_n(value, now, __ATOMIC_RELEASE); }

    /* Every mapped segment of every loaded module, as (start, end, address of the module) and its path. */
    typedef struct { uint64_t start, end, base; char path[512]; } sampler_segment;
    typedef struct { sampler_segment *segments; int count, capacity; } sampler_segments;
    static int sampler_add_segments(struct dl_phdr_info *info, size_t size, void *opaque) {
        sampler_segments *found = (sampler_segments *)opaque;
        int place;
        (void)size;
        for (place = 0; place < info->dlpi_phnum; place++) {
            const ElfW(Phdr) *header = &info->dlpi_phdr[place];
            if (header->p_type != PT_LOAD || !(header->p_flags & PF_X)) continue;
            if (found->count < found->capacity) {
                sampler_segment *segment = &found->segments[found->count];
                segment->base = info->dlpi_addr;
                segment->start = info->dlpi_addr + header->p_vaddr;
                segment->end = segment->start + header->p_memsz;
                strncpy(segment->path, info->dlpi_name, sizeof segment->path - 1);
                segment->path[sizeof segment->path - 1] = 0;
            }
            found->count++;
        }
        return 0;
    }
    static int sampler_list_segments(sampler_segment *segments, int capacity) {
        sampler_segments found = {segments, 0, capacity};
        dl_iterate_phdr(sampler_add_segments, &found);
        return found.count;
    }
    static uint64_t sampler_interpreter(void) { return (uint64_t)(uintptr_t)&PyEval_EvalFrame; }

    /* Exec keeps a signal that is on its way, and its default action would end the new program. */
    static int (*sampler_before_exec)(void) = NULL;
    static int sampler_audit(const char *event, PyObject *args, void *data) {
        (void)args; (void)data;
        if (sampler_active && sampler_before_exec != NULL && strcmp(event, "os.exec") == 0)
            sampler_before_exec();
        return 0;
    }
    static int sampler_watch_exec(int (*before)(void)) {
        static int watching = 0;
        if (watching) return 0;
        watching = 1;
        sampler_before_exec = before;
        return PySys_AddAuditHook(sampler_audit, NULL);
    }

    #else

    /* Never called: the sampler refuses to start. */
    #define SAMPLER_CODE_HEAD 1
    typedef struct { uint64_t start, end, base; char path[512]; } sampler_segment;
    static int sampler_active = 0;
    static int sampler_read(void *a, const void *b, size_t c) { (void)a; (void)b; (void)c; return 0; }
    static int sampler_can_read(void) { return 0; }
    static int sampler_install(int a, sampler_callback b, void *c, size_t d, size_t e) { return -1; }
    static int sampler_is_installed(int a) { return 0; }
    static void sampler_uninstall(int a) {}
    static int sampler_free_signal(int a) { return 0; }
    static int64_t sampler_clock(int64_t a) { return -1; }
    static int64_t sampler_cpu_time(void) { return 0; }
    static int64_t sampler_wall_time(void) { return 0; }
    static int64_t sampler_clock_of(long a) { return 0; }
    static int64_t sampler_sleeps(void) { return 0; }
    static int sampler_arm(void *a, int64_t b, int64_t c) { return -1; }
    static int sampler_make_timer(int64_t a, int b, long c, void *d, int e, void **f) { return -1; }
    static void sampler_delete_timer(void *a) {}
    static long sampler_thread(void) { return 0; }
    static void sampler_block_signals(void) {}
    static void *sampler_map(size_t a) { return NULL; }
    static void sampler_forget(void *a, size_t b) {}
    static int64_t sampler_queueing(long a) { return 0; }
    static int sampler_is_asleep(long a) { return 0; }
    static int sampler_list_threads(long *a, int b) { return -1; }
    static void *sampler_innermost(void *a, size_t *b, size_t *c) { return NULL; }
    static int sampler_frame(const void *a, size_t b, size_t c, const void **d, const void **e, void **f) {
        return -1;
    }
    static int sampler_read_codes(char *a, const void **b, int c) { return 0; }
    static int64_t sampler_instruction(const char *a, const void *b, const void *c, uint64_t *d) {
        return -2;
    }
    static int sampler_first_line(const char *a) { return 0; }
    static const void *sampler_text(const char *a, int b) { return NULL; }
    static int sampler_contents(const void *a, const char **b, int64_t *c, int *d) { return 0; }
    static int64_t sampler_load(const int64_t *a) { return *a; }
    static void sampler_store(int64_t *a, int64_t b) { *a = b; }
    static int sampler_list_segments(sampler_segment *a, int b) { return 0; }
    static uint64_t sampler_interpreter(void) { return 0; }
    static int sampler_watch_exec(int (*a)(void)) { return 0; }
    #endif
    """
    ctypedef void (*sampler_callback)(void *slot, int wall, uint64_t address) noexcept nogil
    ctypedef struct sampler_segment:
        uint64_t start
        uint64_t end
        uint64_t base
        char path[512]
    const char *SAMPLER_REASON
    enum: SAMPLER_CODE_HEAD
    int sampler_active
    int sampler_read(void *into, const void *source, size_t size) nogil
    int sampler_can_read() nogil
    int sampler_install(int number, sampler_callback take, void *slots, size_t count, size_t size) nogil
    int sampler_is_installed(int number) nogil
    void sampler_uninstall(int number) nogil
    int sampler_free_signal(int excluded) nogil
    int64_t sampler_clock(int64_t clock) nogil
    int64_t sampler_cpu_time() nogil
    int64_t sampler_wall_time() nogil
    int64_t sampler_clock_of(long thread) nogil
    int64_t sampler_sleeps() nogil
    int sampler_arm(void *timer, int64_t first, int64_t period) nogil
    int sampler_make_timer(int64_t clock, int number, long thread, void *slot, int wall, void **timer) nogil
    void sampler_delete_timer(void *timer) nogil
    long sampler_thread() nogil
    void sampler_block_signals() nogil
    void *sampler_map(size_t size) nogil
    void sampler_forget(void *memory, size_t size) nogil
    int64_t sampler_queueing(long thread) nogil
    bint sampler_is_asleep(long thread) nogil
    int sampler_list_threads(long *numbers, int capacity) nogil
    void *sampler_innermost(void *state, size_t *low, size_t *high) nogil
    int sampler_frame(
        const void *at, size_t low, size_t high, const void **code, const void **instruction, void **back
    ) nogil
    int sampler_read_codes(char *heads, const void **codes, int count) nogil
    int64_t sampler_instruction(
        const char *head, const void *code, const void *instruction, uint64_t *identity
    ) nogil
    int sampler_first_line(const char *head) nogil
    const void *sampler_text(const char *head, int which) nogil
    int sampler_contents(const void *item, const char **data, int64_t *size, int *width) nogil
    int64_t sampler_load(const int64_t *value) nogil
    void sampler_store(int64_t *value, int64_t now) nogil
    int sampler_list_segments(sampler_segment *segments, int capacity) nogil
    uint64_t sampler_interpreter() nogil
    int sampler_watch_exec(int (*before)() noexcept) except? -1
