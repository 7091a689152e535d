#include "ledger/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/*
 * Two bytes of the lock file. Who wants to write takes the second, waits for the first
 * holding it, and lets it go: one waiter at a time is next, so a writer that has just
 * finished cannot overtake. The locks belong to the open file (OFD): a process that
 * dies loses them, and no unrelated close() in the process drops them.
 */
enum { BYTE_WRITING, BYTE_NEXT };

#define SLEEP_MIN_NANOSECONDS 20000
#define SLEEP_MAX_NANOSECONDS 500000

static int lock(int fd, short type, off_t byte)
{
    struct flock range = {
        .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    int result;

    do {
        result = fcntl(fd, F_OFD_SETLK, &range);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : errno;
}

static int64_t monotonic_milliseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Not F_OFD_SETLKW: a writer that is stuck must not hang a worker for ever. */
static int wait_for(int fd, off_t byte, int64_t deadline_milliseconds)
{
    struct timespec pause = {.tv_sec = 0, .tv_nsec = SLEEP_MIN_NANOSECONDS};

    for (;;) {
        int error = lock(fd, F_WRLCK, byte);
        if (error != EAGAIN && error != EACCES) {
            return error;
        }
        if (monotonic_milliseconds() >= deadline_milliseconds) {
            return EAGAIN;
        }
        nanosleep(&pause, NULL);
        if (pause.tv_nsec < SLEEP_MAX_NANOSECONDS) {
            pause.tv_nsec *= 2;
        }
    }
}

int x402_sqlite_queue_enter(int fd)
{
    int64_t deadline = monotonic_milliseconds() + X402_SQLITE_WAIT_MILLISECONDS;
    int error = wait_for(fd, BYTE_NEXT, deadline);

    if (error != 0) {
        return error;
    }
    error = wait_for(fd, BYTE_WRITING, deadline);
    (void)lock(fd, F_UNLCK, BYTE_NEXT);
    return error;
}

void x402_sqlite_queue_leave(int fd)
{
    (void)lock(fd, F_UNLCK, BYTE_WRITING);
}

/* A lock file that root makes must stay open to the ledger's owner. */
static void give_to_owner_of(int fd, const char *path)
{
    struct stat ledger;

    if (geteuid() == 0 && lstat(path, &ledger) == 0 &&
        fchown(fd, ledger.st_uid, ledger.st_gid) != 0) {
        /* It stays root's; who cannot open it says so. */
        return;
    }
}

int x402_sqlite_queue_open(const char *path)
{
    const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW;
    char name[4096];
    int length = snprintf(name, sizeof(name), "%s-queue", path);
    int fd;

    if (length < 0 || (size_t)length >= sizeof(name)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = open(name, flags);
    if (fd >= 0 || errno != ENOENT) {
        return fd;
    }
    fd = open(name, flags | O_CREAT | O_EXCL, 0600);
    if (fd >= 0) {
        give_to_owner_of(fd, path);
        return fd;
    }
    return errno == EEXIST ? open(name, flags) : -1;
}
