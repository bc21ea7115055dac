// Preloaded into a server by the tests. Does nothing unless the environment asks for it.
//
// THALWEG_SHIM_NO_SYNC   segments are opened without O_DSYNC: appends are acknowledged before
//                        they are on the disk
// THALWEG_SHIM_CLOCK     a file of eight bytes: milliseconds that are added to the wall clock

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile long long *clock_offset_ms;
static int no_sync;

__attribute__((constructor)) static void begin(void) {
    no_sync = getenv("THALWEG_SHIM_NO_SYNC") != NULL;
    const char *path = getenv("THALWEG_SHIM_CLOCK");
    if (path == NULL) return;
    int file = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (file < 0) abort();
    void *mapped = mmap(NULL, 8, PROT_READ, MAP_SHARED, file, 0);
    if (mapped == MAP_FAILED) abort();
    clock_offset_ms = mapped;
    close(file);
}

static int open_at(int dir, const char *path, int flags, int mode) {
    if (no_sync && strstr(path, "/segment-") != NULL) flags &= ~O_SYNC & ~O_DSYNC;
    return syscall(SYS_openat, dir, path, flags, mode);
}

static int mode_of(int flags, va_list rest) {
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0;
}

#define OPEN(name)                                    \
    int name(const char *path, int flags, ...) {      \
        va_list rest;                                 \
        va_start(rest, flags);                        \
        int mode = mode_of(flags, rest);              \
        va_end(rest);                                 \
        return open_at(AT_FDCWD, path, flags, mode);  \
    }

#define OPENAT(name)                                      \
    int name(int dir, const char *path, int flags, ...) { \
        va_list rest;                                     \
        va_start(rest, flags);                            \
        int mode = mode_of(flags, rest);                  \
        va_end(rest);                                     \
        return open_at(dir, path, flags, mode);           \
    }

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && clock == CLOCK_REALTIME && clock_offset_ms != NULL) {
        long long ns = now->tv_nsec + *clock_offset_ms % 1000 * 1000000;
        now->tv_sec += *clock_offset_ms / 1000;
        if (ns < 0) now->tv_sec--, ns += 1000000000;
        if (ns >= 1000000000) now->tv_sec++, ns -= 1000000000;
        now->tv_nsec = ns;
    }
    return result;
}
