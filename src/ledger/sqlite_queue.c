#include "ledger/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/*
 * Two bytes of the lock file. Who wants to write takes the second, waits for the first
 * holding it, and lets it go: one waiter at a time is next, so a writer that has just
 * finished cannot overtake. The locks belong to the open file (OFD): a process that
 * dies loses them, and no unrelated close() in the process drops them.
 */
enum { BYTE_WRITING, BYTE_NEXT };

/*
 * One for each byte, in the file, mapped by all: who lets the byte go rings it, and who
 * has waited longest wakes. It decides nothing, so a process that dies without ringing,
 * or when it was rung for, makes others wait a little longer for the lock, and no more.
 */
struct x402_sqlite_bell {
    uint32_t rings;
    uint32_t waiting; /* how many listen; of those that died, too */
};
#define BELLS_SIZE 4096

#ifdef X402_TEST_CLOCK
int x402_sqlite_wait_milliseconds = X402_SQLITE_WAIT_MILLISECONDS;
#endif

#define SLEEP_MIN_NANOSECONDS 20000
#define SLEEP_MAX_NANOSECONDS 500000
#define BELL_NANOSECONDS 10000000 /* where somebody rings */

/* Until it rings, if it has not since. */
static void bell_wait(struct x402_sqlite_bell *bell, uint32_t rings,
                      const struct timespec *pause)
{
    if (bell == NULL) {
        (void)nanosleep(pause, NULL);
        return;
    }
    __atomic_add_fetch(&bell->waiting, 1, __ATOMIC_SEQ_CST);
    (void)syscall(SYS_futex, &bell->rings, FUTEX_WAIT, rings, pause, NULL, 0);
    __atomic_sub_fetch(&bell->waiting, 1, __ATOMIC_SEQ_CST);
}

static struct x402_sqlite_bell *bell_of(const struct x402_sqlite_queue *queue,
                                        off_t byte)
{
    return queue->bells != NULL ? &queue->bells[byte] : NULL;
}

static uint32_t bell_rings(const struct x402_sqlite_bell *bell)
{
    return bell != NULL ? __atomic_load_n(&bell->rings, __ATOMIC_SEQ_CST) : 0;
}

static void bell_ring(struct x402_sqlite_bell *bell)
{
    if (bell == NULL) {
        return;
    }
    __atomic_add_fetch(&bell->rings, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&bell->waiting, __ATOMIC_SEQ_CST) != 0) {
        (void)syscall(SYS_futex, &bell->rings, FUTEX_WAKE, 1, NULL, NULL, 0);
    }
}

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

static void let_go(const struct x402_sqlite_queue *queue, off_t byte)
{
    (void)lock(queue->fd, F_UNLCK, byte);
    bell_ring(bell_of(queue, byte));
}

/* Not F_OFD_SETLKW: a writer that is stuck must not hang a worker for ever. */
static int wait_for(const struct x402_sqlite_queue *queue, off_t byte,
                    int64_t deadline_milliseconds)
{
    struct x402_sqlite_bell *bell = bell_of(queue, byte);
    struct timespec pause = {.tv_sec = 0,
                             .tv_nsec = bell != NULL ? BELL_NANOSECONDS
                                                     : SLEEP_MIN_NANOSECONDS};

    for (;;) {
        const uint32_t rings = bell_rings(bell);
        int error = lock(queue->fd, F_WRLCK, byte);
        if (error != EAGAIN && error != EACCES) {
            return error;
        }
        if (monotonic_milliseconds() >= deadline_milliseconds) {
            return EAGAIN;
        }
        bell_wait(bell, rings, &pause);
        if (pause.tv_nsec < SLEEP_MAX_NANOSECONDS) {
            pause.tv_nsec *= 2;
        }
    }
}

int x402_sqlite_queue_enter(const struct x402_sqlite_queue *queue)
{
    int64_t deadline = monotonic_milliseconds() + x402_sqlite_wait_milliseconds;
    int error = wait_for(queue, BYTE_NEXT, deadline);

    if (error != 0) {
        return error;
    }
    error = wait_for(queue, BYTE_WRITING, deadline);
    let_go(queue, BYTE_NEXT);
    return error;
}

void x402_sqlite_queue_leave(const struct x402_sqlite_queue *queue)
{
    let_go(queue, BYTE_WRITING);
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

static int file_open(const char *path)
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

/* Its page is written and not left a hole, which a full disk could not fill later.
 * None, where it cannot be had. */
static struct x402_sqlite_bell *bells_open(int fd)
{
    static const uint8_t zeros[BELLS_SIZE];
    struct stat status;
    void *memory;

    if (fstat(fd, &status) != 0 || (status.st_size < BELLS_SIZE &&
                                    pwrite(fd, zeros, BELLS_SIZE, 0) != BELLS_SIZE)) {
        return NULL;
    }
    memory = mmap(NULL, BELLS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return memory != MAP_FAILED ? memory : NULL;
}

int x402_sqlite_queue_open(struct x402_sqlite_queue *queue, const char *path)
{
    *queue = (struct x402_sqlite_queue){.fd = file_open(path)};
    if (queue->fd < 0) {
        return errno;
    }
    queue->bells = bells_open(queue->fd);
    return 0;
}

void x402_sqlite_queue_close(struct x402_sqlite_queue *queue)
{
    if (queue->bells != NULL) {
        (void)munmap(queue->bells, BELLS_SIZE);
    }
    if (queue->fd >= 0) {
        (void)close(queue->fd);
    }
    *queue = (struct x402_sqlite_queue){.fd = -1};
}
