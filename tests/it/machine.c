/* A machine as a test wants it, for the process that is started with this in LD_PRELOAD: a system clock
 * with so many seconds added to the real one, and a disk that can be written or not. Both are read anew
 * at each call, from a file: eight bytes of seconds, eight bytes that are not 0 when the disk below a
 * directory is read-only. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static volatile const int64_t *machine;
static const char *disk;

__attribute__((constructor)) static void look(void) {
    const char *name = getenv("VESTIBULE_TEST_MACHINE");
    int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    void *seen = file < 0 ? MAP_FAILED : mmap(0, 16, PROT_READ, MAP_SHARED, file, 0);
    machine = seen == MAP_FAILED ? 0 : seen;
    disk = getenv("VESTIBULE_TEST_DISK");
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    int failed = (int)syscall(SYS_clock_gettime, clock, at);
    if (!failed && machine && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        at->tv_sec += machine[0];
    return failed;
}

/* Whether writing there fails. What a process says on standard output and error lies elsewhere. */
static int is_below(const char *path) {
    return machine && machine[1] && disk && path && strncmp(path, disk, strlen(disk)) == 0;
}

static int is_open_below(int file) {
    char name[32], path[4096];
    if (!machine || !machine[1] || file <= 2)
        return 0;
    snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    ssize_t length = readlink(name, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return is_below(path);
}

#define REFUSE(condition) if (condition) { errno = EROFS; return -1; }
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int changes(int flags) {
    return (flags & O_ACCMODE) != O_RDONLY || flags & (O_CREAT | O_TRUNC);
}

#define OPEN(name)                                                                                    \
    int name(const char *path, int flags, ...) {                                                      \
        va_list rest;                                                                                 \
        va_start(rest, flags);                                                                        \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                       \
        va_end(rest);                                                                                 \
        REFUSE(changes(flags) && is_below(path))                                                      \
        return REAL(name)(path, flags, mode);                                                         \
    }
OPEN(open)
OPEN(open64)

ssize_t write(int file, const void *bytes, size_t count) {
    REFUSE(is_open_below(file))
    return REAL(write)(file, bytes, count);
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    REFUSE(is_open_below(file))
    return REAL(writev)(file, parts, count);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) {
    REFUSE(is_open_below(file))
    return REAL(pwrite)(file, bytes, count, at);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
    REFUSE(is_open_below(file))
    return REAL(pwrite64)(file, bytes, count, at);
}

int ftruncate(int file, off_t length) {
    REFUSE(is_open_below(file))
    return REAL(ftruncate)(file, length);
}

int ftruncate64(int file, off64_t length) {
    REFUSE(is_open_below(file))
    return REAL(ftruncate64)(file, length);
}

int unlink(const char *path) {
    REFUSE(is_below(path))
    return REAL(unlink)(path);
}

int rename(const char *from, const char *to) {
    REFUSE(is_below(from) || is_below(to))
    return REAL(rename)(from, to);
}

int mkdir(const char *path, mode_t mode) {
    REFUSE(is_below(path))
    return REAL(mkdir)(path, mode);
}
