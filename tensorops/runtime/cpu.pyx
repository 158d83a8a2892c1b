"""The processor: its name, its instruction sets, its caches, and the overrides of the environment.

Instruction sets are asked of the processor (cpuid) and of the operating system (xgetbv): a vector
register that the system does not save must not be used, whatever the processor offers. Nothing is
read at import; every answer is kept after the first call.
"""

import functools
import os
import platform

from tensorops.kernels import table
from tensorops.runtime import host

cdef extern from *:
    """
    #if defined(__x86_64__) && defined(__GNUC__)
    #include <cpuid.h>
    #define TENSOROPS_X86 1

    static void tensorops_cpuid(unsigned leaf, unsigned subleaf, unsigned *registers)
    {
        registers[0] = registers[1] = registers[2] = registers[3] = 0;
        /* Checks the highest supported leaf first; beyond it some processors answer nonsense. */
        __get_cpuid_count(leaf, subleaf, registers, registers + 1, registers + 2, registers + 3);
    }

    static unsigned tensorops_xcr0(void)
    {
        unsigned low, high;
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        return low;
    }
    #else
    #define TENSOROPS_X86 0
    static void tensorops_cpuid(unsigned leaf, unsigned subleaf, unsigned *registers)
    {
        (void)leaf; (void)subleaf;
        registers[0] = registers[1] = registers[2] = registers[3] = 0;
    }
    static unsigned tensorops_xcr0(void) { return 0; }
    #endif

    #if defined(__aarch64__) || defined(_M_ARM64)
    #define TENSOROPS_ARM64 1
    #else
    #define TENSOROPS_ARM64 0
    #endif

    #if defined(__APPLE__)
    #include <sys/types.h>
    #include <sys/sysctl.h>
    static int tensorops_sysctl(const char *name, void *value, size_t *size)
    {
        return sysctlbyname(name, value, size, 0, 0);
    }
    #else
    static int tensorops_sysctl(const char *name, void *value, size_t *size)
    {
        (void)name; (void)value; (void)size;
        return -1;
    }
    #endif
    """
    const bint TENSOROPS_X86
    const bint TENSOROPS_ARM64
    void tensorops_cpuid(unsigned leaf, unsigned subleaf, unsigned *registers) noexcept nogil
    unsigned tensorops_xcr0() noexcept nogil
    int tensorops_sysctl(const char *name, void *value, size_t *size) noexcept nogil

# Bits of the processor's answers. Registers: "1c" is ecx of leaf 1, "7b" ebx of leaf 7, "xc" ecx of
# leaf 0x80000001.
_BITS = {
    "sse3": ("1c", 0), "ssse3": ("1c", 9), "fma": ("1c", 12), "cx16": ("1c", 13), "sse4_1": ("1c", 19),
    "sse4_2": ("1c", 20), "movbe": ("1c", 22), "popcnt": ("1c", 23), "osxsave": ("1c", 27),
    "avx": ("1c", 28), "f16c": ("1c", 29), "lahf": ("xc", 0), "lzcnt": ("xc", 5), "bmi1": ("7b", 3),
    "avx2": ("7b", 5), "bmi2": ("7b", 8), "avx512f": ("7b", 16), "avx512dq": ("7b", 17),
    "avx512cd": ("7b", 28), "avx512bw": ("7b", 30), "avx512vl": ("7b", 31),
}
# Bits of XCR0: registers that the operating system saves when it switches between programs.
_YMM_STATE = 0x06
_ZMM_STATE = 0xE6
_YMM_FEATURES = ("avx", "avx2", "fma", "f16c")

# The levels of the x86-64 psABI; each includes the ones before it.
_LEVELS = {
    "v2": ("cx16", "lahf", "popcnt", "sse3", "sse4_1", "sse4_2", "ssse3"),
    "v3": ("avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "lzcnt", "movbe", "osxsave"),
    "v4": ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"),
}


def decode_features(leaf1_ecx: int, leaf7_ebx: int, extended_ecx: int, xcr0: int) -> dict:
    """Return which instructions a processor with these register values can use.

    Parameters
    ----------
    leaf1_ecx : int
        Register ecx of cpuid leaf 1.
    leaf7_ebx : int
        Register ebx of cpuid leaf 7, subleaf 0.
    extended_ecx : int
        Register ecx of cpuid leaf 0x80000001.
    xcr0 : int
        Low half of XCR0, 0 where the system does not use xsave.

    Returns
    -------
    dict of str to bool
        True where the processor has the instruction and the operating system saves its registers.

    Examples
    --------
    >>> decode_features(1 << 27 | 1 << 28, 0, 0, 0x06)["avx"]
    True
    >>> decode_features(1 << 27 | 1 << 28, 0, 0, 0x02)["avx"]
    False
    """
    registers = {"1c": leaf1_ecx, "7b": leaf7_ebx, "xc": extended_ecx}
    found = {name: bool(registers[register] >> bit & 1) for name, (register, bit) in _BITS.items()}
    for name in found:
        if name.startswith("avx512"):
            found[name] = found[name] and xcr0 & _ZMM_STATE == _ZMM_STATE
        elif name in _YMM_FEATURES:
            found[name] = found[name] and xcr0 & _YMM_STATE == _YMM_STATE
    return found


def isas_of(features: dict) -> tuple:
    """Return the instruction sets of the build table that need no more than these features.

    Parameters
    ----------
    features : dict of str to bool
        As `features` returns it; absent means False.

    Returns
    -------
    tuple of str
        Names of the build table, weakest first; "portable" is always one of them.

    Examples
    --------
    >>> isas_of({"neon": True})
    ('portable', 'neon')
    """
    names = ["portable"]
    for level, needed in _LEVELS.items():
        if not all(features.get(name, False) for name in needed):
            break
        names.append(level)
    if features.get("neon", False):
        names.append("neon")
    return tuple(names)


@functools.cache
def _features() -> dict:
    cdef unsigned[4] leaf1
    cdef unsigned[4] leaf7
    cdef unsigned[4] extended
    cdef unsigned xcr0 = 0
    if TENSOROPS_ARM64:
        # Part of the base architecture.
        return {"neon": True}
    if not TENSOROPS_X86:
        return {}
    tensorops_cpuid(1, 0, leaf1)
    tensorops_cpuid(7, 0, leaf7)
    tensorops_cpuid(0x80000001, 0, extended)
    # xgetbv is an illegal instruction where the system has not switched xsave on.
    if leaf1[2] >> 27 & 1:
        xcr0 = tensorops_xcr0()
    return decode_features(leaf1[2], leaf7[1], extended[2], xcr0)


def features() -> dict:
    """Return which of the instructions that the kernels may need can be used here.

    Returns
    -------
    dict of str to bool
        By name, such as "avx2"; True where processor and operating system both support it. Empty
        on a processor for which only portable kernels exist.

    Examples
    --------
    >>> all(isinstance(usable, bool) for usable in features().values())
    True
    """
    return dict(_features())


@functools.cache
def supported_isas() -> tuple:
    """Return the instruction sets of the build table that can run here.

    Returns
    -------
    tuple of str
        Weakest first; "portable" is always the first.

    Examples
    --------
    >>> supported_isas()[0]
    'portable'
    """
    return isas_of(_features())


@functools.cache
def selected_isa() -> str:
    """Return the instruction set whose kernels are used.

    The strongest supported one, or the one that ``TENSOROPS_ISA`` names. The environment is read
    at the first call.

    Returns
    -------
    str
        A name of the build table.

    Raises
    ------
    ValueError
        If ``TENSOROPS_ISA`` names an unknown instruction set or one that cannot run here.

    Examples
    --------
    >>> selected_isa() in supported_isas()
    True
    """
    supported = supported_isas()
    name = os.environ.get("TENSOROPS_ISA", "")
    if not name:
        return supported[len(supported) - 1]
    if name not in table.ISA_NAMES:
        raise ValueError(f"TENSOROPS_ISA={name!r} is not known; known: {', '.join(table.ISA_NAMES)}")
    if name not in supported:
        raise ValueError(
            f"TENSOROPS_ISA={name!r} cannot run on this machine ({model_name()}); "
            f"supported here: {', '.join(supported)}"
        )
    return name


@functools.cache
def model_name() -> str:
    """Return the processor's marketing name.

    Returns
    -------
    str
        As the processor or the operating system gives it; the machine's architecture where
        neither does.

    Examples
    --------
    >>> len(model_name()) > 0
    True
    """
    cdef unsigned[12] words
    cdef char[256] text
    cdef size_t size = 255
    name = ""
    if TENSOROPS_X86:
        for part in range(3):
            tensorops_cpuid(0x80000002 + <unsigned> part, 0, &words[4 * part])
        name = (<char *> words)[:48].partition(b"\0")[0].decode("ascii", "replace")
    elif tensorops_sysctl(b"machdep.cpu.brand_string", text, &size) == 0:
        name = text[:size].partition(b"\0")[0].decode("ascii", "replace")
    else:
        name = host.linux_model()
    return " ".join(name.split()) or platform.machine() or "unknown"


cdef dict _sysctl_caches():
    """Return the caches that macOS describes; on other systems nothing."""
    cdef long long value
    cdef size_t size
    found = {}
    keys = {
        "L1d": b"hw.l1dcachesize",
        "L2": b"hw.l2cachesize",
        "L3": b"hw.l3cachesize",
        "line": b"hw.cachelinesize",
    }
    for name, key in keys.items():
        value = 0
        size = sizeof(value)
        if tensorops_sysctl(key, &value, &size) == 0 and value > 0:
            found[name] = value
    return found


@functools.cache
def _caches() -> dict:
    return {
        **host.DEFAULT_CACHES,
        **_sysctl_caches(),
        **host.sysconf_caches(),
        **host.linux_caches(),
    }


def caches() -> dict:
    """Return the data caches of one core.

    Returns
    -------
    dict of str to int
        Bytes of "L1d", "L2" and "L3" (0: none or not known) and of one cache "line". A cache
        that cores share counts with one core's share, as far as the system tells.

    Examples
    --------
    >>> sorted(caches())
    ['L1d', 'L2', 'L3', 'line']
    """
    return dict(_caches())


@functools.cache
def available_cores() -> int:
    """Return how many cores this process may use.

    Returns
    -------
    int
        The smaller of the processors in the affinity mask and the control groups' quota, which is
        rounded up; at least 1.

    Examples
    --------
    >>> available_cores() >= 1
    True
    """
    allowed = host.affinity_cores()
    quota = host.quota_cores()
    return allowed if quota is None else min(allowed, quota)


@functools.cache
def requested_threads():
    """Return the number of threads that ``TENSOROPS_NUM_THREADS`` asks for.

    The environment is read at the first call.

    Returns
    -------
    int or None
        None where the variable is unset or empty.

    Raises
    ------
    ValueError
        If it is set to anything but a positive whole number.

    Examples
    --------
    >>> requested_threads() is None or requested_threads() >= 1
    True
    """
    text = os.environ.get("TENSOROPS_NUM_THREADS", "").strip()
    if not text:
        return None
    # Nine digits are more threads than any machine has, and fit every C integer.
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:10]) < 10**9):
        raise ValueError(
            f"TENSOROPS_NUM_THREADS={text!r} is not allowed: expected a whole number of at least 1, "
            "or leave it unset to use every core this process may use"
        )
    return int(text)
