/*
 * A system that fails on demand: the n-th call that writes, from when it is armed,
 * fails, and all after it where `lasting`. The functions here stand before the C
 * library's for everything in the process: SQLite, libcurl and OpenSSL call them, too.
 * Only calls of the thread that armed it count.
 *
 * And a power cut: of each file that was synced, a copy of what it was then is kept.
 */
#ifndef X402_TESTS_WRITES_WRITES_H
#define X402_TESTS_WRITES_WRITES_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum writes_way {
    WRITES_FULL,  /* ENOSPC, and nothing was done */
    WRITES_SHORT, /* half is written, as is said; then it is full, where it lasts */
    WRITES_TORN,  /* EIO, and half of it was done; of a sync, all */
    WRITES_WAYS
};

static _Thread_local struct {
    enum writes_way way;
    int countdown; /* 0: not armed */
    bool lasting;
    bool half_done; /* of WRITES_SHORT */
    unsigned hits;
    char unopened[256]; /* the path whose open failed just now */
} writes;

/* Where copies of synced files go; "" for nowhere. Of which folder. */
static char writes_kept[64], writes_watched[64];

static void writes_arm(enum writes_way way, int nth, bool lasting)
{
    writes.way = way;
    writes.countdown = nth;
    writes.lasting = lasting;
    writes.half_done = false;
    writes.hits = 0;
    writes.unopened[0] = '\0';
}

/* Disarms; whether one failed. */
__attribute__((unused)) static bool writes_failed(void)
{
    writes.countdown = 0;
    writes.unopened[0] = '\0';
    return writes.hits > 0;
}

static bool writes_fail(void)
{
    if (writes.countdown == 0)
        return false;
    if (writes.countdown > 1) {
        writes.countdown--;
        return false;
    }
    writes.countdown = writes.lasting ? 1 : 0;
    writes.hits++;
    return true;
}

static int writes_refused(int full, int torn)
{
    errno = writes.way == WRITES_TORN ? torn : full;
    return -1;
}

#define WRITES_EXPORT __attribute__((visibility("default")))

/* ---------------------------------------------------------------------- power cut */

static void writes_copy(int from, const char *path)
{
    int to = (int)syscall(SYS_open, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    off_t at = 0;
    struct stat status;

    if (to < 0 || fstat(from, &status) != 0)
        abort();
    while (at < status.st_size) {
        if (sendfile(to, from, &at, (size_t)(status.st_size - at)) <= 0)
            abort();
    }
    close(to);
}

/* The folder was synced: names that went from it are gone for good. */
static void writes_forget(void)
{
    char path[512];
    DIR *folder = opendir(writes_kept);
    const struct dirent *entry;

    if (folder == NULL)
        abort();
    while ((entry = readdir(folder)) != NULL) {
        snprintf(path, sizeof path, "%s/%s", writes_watched, entry->d_name);
        if (access(path, F_OK) != 0)
            (void)unlinkat(dirfd(folder), entry->d_name, 0);
    }
    (void)closedir(folder);
}

/* What stood in a file of the watched folder when it was synced, and nothing later. */
static void writes_keep(int fd)
{
    char link[64], path[256], copy[512];
    size_t watched = strlen(writes_watched);

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (writes_kept[0] == '\0' || size < 0)
        return;
    path[size] = '\0';
    if (strcmp(path, writes_watched) == 0)
        writes_forget();
    if (strncmp(path, writes_watched, watched) != 0 || path[watched] != '/')
        return;
    snprintf(copy, sizeof copy, "%s%s", writes_kept, path + watched);
    int from = (int)syscall(SYS_open, link, O_RDONLY, 0);
    if (from < 0)
        abort();
    writes_copy(from, copy);
    close(from);
}

/* ------------------------------------------------------------------ files' contents */

static ssize_t writes_write(int fd, const void *bytes, size_t size, off_t offset,
                            bool at)
{
    bool fails = writes_fail();
    bool half = fails && size > 1 && !writes.half_done && writes.way != WRITES_FULL;

    if (fails && !half)
        return writes_refused(ENOSPC, EIO);
    if (half)
        size /= 2;
    writes.half_done |= half && writes.way == WRITES_SHORT;
    ssize_t written = at ? syscall(SYS_pwrite64, fd, bytes, size, offset)
                         : syscall(SYS_write, fd, bytes, size);
    return half && writes.way == WRITES_TORN ? writes_refused(EIO, EIO) : written;
}

WRITES_EXPORT ssize_t write(int fd, const void *bytes, size_t size)
{
    return writes_write(fd, bytes, size, 0, false);
}

WRITES_EXPORT ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    return writes_write(fd, bytes, size, offset, true);
}

WRITES_EXPORT ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset)
{
    return writes_write(fd, bytes, size, offset, true);
}

WRITES_EXPORT ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return writes_fail() ? writes_refused(ENOSPC, EIO)
                         : syscall(SYS_writev, fd, parts, count);
}

static int writes_sync(long call, int fd)
{
    bool fails = writes_fail();

    if (fails && writes.way != WRITES_TORN)
        return writes_refused(ENOSPC, EIO);
    int result = (int)syscall(call, fd);
    if (result == 0)
        writes_keep(fd);
    return fails ? writes_refused(ENOSPC, EIO) : result;
}

WRITES_EXPORT int fsync(int fd)
{
    return writes_sync(SYS_fsync, fd);
}

WRITES_EXPORT int fdatasync(int fd)
{
    return writes_sync(SYS_fdatasync, fd);
}

WRITES_EXPORT int msync(void *memory, size_t size, int flags)
{
    return writes_fail() ? writes_refused(EIO, EIO)
                         : (int)syscall(SYS_msync, memory, size, flags);
}

WRITES_EXPORT int ftruncate(int fd, off_t size)
{
    return writes_fail() ? writes_refused(ENOSPC, EIO)
                         : (int)syscall(SYS_ftruncate, fd, size);
}

WRITES_EXPORT int ftruncate64(int fd, off64_t size)
{
    return ftruncate(fd, size);
}

WRITES_EXPORT int fallocate(int fd, int mode, off_t offset, off_t size)
{
    return writes_fail() ? writes_refused(ENOSPC, EIO)
                         : (int)syscall(SYS_fallocate, fd, mode, offset, size);
}

WRITES_EXPORT int posix_fallocate(int fd, off_t offset, off_t size)
{
    return fallocate(fd, 0, offset, size) == 0 ? 0 : errno;
}

/* ---------------------------------------------------------------- names and mappings
 */

/* What could not be opened to be written cannot be opened to be read, either: SQLite
 * tries that next, and would keep to it for all its handles in the process. */
static bool writes_opens_again(const char *path, int flags)
{
    bool again = (flags & O_CREAT) == 0 && strcmp(writes.unopened, path) == 0;

    writes.unopened[0] = '\0';
    return again;
}

static int writes_open(int folder, const char *path, int flags, mode_t mode)
{
    if (writes_opens_again(path, flags))
        return writes_refused(ENOSPC, EIO);
    if ((flags & O_CREAT) != 0 && writes_fail()) {
        snprintf(writes.unopened, sizeof(writes.unopened), "%s", path);
        return writes_refused(ENOSPC, EIO);
    }
    return (int)syscall(SYS_openat, folder, path, flags, mode);
}

#define WRITES_MODE(flags, mode)                                                       \
    mode_t mode = 0;                                                                   \
    if ((flags & O_CREAT) != 0) {                                                      \
        va_list arguments;                                                             \
        va_start(arguments, flags);                                                    \
        mode = va_arg(arguments, mode_t);                                              \
        va_end(arguments);                                                             \
    }

WRITES_EXPORT int open(const char *path, int flags, ...)
{
    WRITES_MODE(flags, mode)
    return writes_open(AT_FDCWD, path, flags, mode);
}

WRITES_EXPORT int open64(const char *path, int flags, ...)
{
    WRITES_MODE(flags, mode)
    return writes_open(AT_FDCWD, path, flags, mode);
}

WRITES_EXPORT int openat(int folder, const char *path, int flags, ...)
{
    WRITES_MODE(flags, mode)
    return writes_open(folder, path, flags, mode);
}

WRITES_EXPORT int rename(const char *from, const char *to)
{
    return writes_fail() ? writes_refused(ENOSPC, EIO)
                         : (int)syscall(SYS_rename, from, to);
}

WRITES_EXPORT int unlink(const char *path)
{
    return writes_fail() ? writes_refused(EIO, EIO) : (int)syscall(SYS_unlink, path);
}

WRITES_EXPORT int mkdir(const char *path, mode_t mode)
{
    return writes_fail() ? writes_refused(ENOSPC, EIO)
                         : (int)syscall(SYS_mkdir, path, mode);
}

WRITES_EXPORT int fchmod(int fd, mode_t mode)
{
    return writes_fail() ? writes_refused(ENOSPC, EIO)
                         : (int)syscall(SYS_fchmod, fd, mode);
}

/* Of files; memory has tests of its own. */
WRITES_EXPORT void *mmap(void *at, size_t size, int protection, int flags, int fd,
                         off_t offset)
{
    if (fd >= 0 && (flags & MAP_SHARED) != 0 && writes_fail()) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, at, size, protection, flags, fd, offset);
}

WRITES_EXPORT void *mmap64(void *at, size_t size, int protection, int flags, int fd,
                           off64_t offset)
{
    return mmap(at, size, protection, flags, fd, offset);
}

/* -------------------------------------------------------------------------- sockets */

WRITES_EXPORT ssize_t sendto(int fd, const void *bytes, size_t size, int flags,
                             const struct sockaddr *to, socklen_t to_size)
{
    bool fails = writes_fail();

    if (fails && (writes.way != WRITES_SHORT || size < 2))
        return writes_refused(ENOBUFS, ECONNRESET);
    return syscall(SYS_sendto, fd, bytes, fails ? size / 2 : size, flags, to, to_size);
}

WRITES_EXPORT ssize_t send(int fd, const void *bytes, size_t size, int flags)
{
    return sendto(fd, bytes, size, flags, NULL, 0);
}

WRITES_EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    return writes_fail() ? writes_refused(ENOBUFS, ECONNRESET)
                         : syscall(SYS_sendmsg, fd, message, flags);
}

/* ------------------------------------------------------------------------- in turn */

/* Each failing write, or each `stride`-th of them, in each way, once and lastingly:
 * `turn` arms, and returns whether one failed. */
__attribute__((unused)) static int writes_in_turn(bool (*turn)(const void *data,
                                                               enum writes_way way,
                                                               int nth, bool lasting),
                                                  const void *data, int stride)
{
    const char *text = getenv("X402_FAIL_STRIDE");
    int turns = 0;

    if (text != NULL)
        stride = atoi(text);
    for (int way = 0; way < WRITES_WAYS; way++) {
        for (int lasting = 0; lasting < 2; lasting++) {
            for (int nth = 1; turn(data, (enum writes_way)way, nth, lasting != 0);
                 nth += stride)
                turns++;
        }
    }
    return turns;
}

#endif
