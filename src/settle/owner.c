#include "settle/owner.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BOOT_SIZE 33 /* 32 hex digits of a random id */

/* Where a pid means something. */
struct place {
    char boot[BOOT_SIZE];
    unsigned long long space; /* the pid namespace's number */
};

/* What /proc says of a process. */
struct life {
    char state;
    long threads;
    unsigned long long start; /* ticks since boot */
};

static bool read_boot(char out[BOOT_SIZE])
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    size_t size = 0;
    int c;

    if (file == NULL)
        return false;
    while ((c = fgetc(file)) != EOF && size + 1 < BOOT_SIZE) {
        if (c != '-' && c != '\n')
            out[size++] = (char)c;
    }
    out[size] = '\0';
    fclose(file);
    return size + 1 == BOOT_SIZE;
}

static bool read_place(struct place *out)
{
    char link[64];
    ssize_t size = readlink("/proc/self/ns/pid", link, sizeof link - 1);

    if (size <= 0)
        return false;
    link[size] = '\0';
    return sscanf(link, "pid:[%llu]", &out->space) == 1 && read_boot(out->boot);
}

/* The name may hold anything, so fields are counted from its closing parenthesis. */
static bool read_life(struct life *out, long pid)
{
    char path[64], line[1024];
    const char *fields;

    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    size_t size = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[size] = '\0';
    fields = strrchr(line, ')');
    return fields != NULL &&
           sscanf(fields,
                  ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d "
                  "%*d %ld %*d %llu",
                  &out->state, &out->threads, &out->start) == 3;
}

void x402_owner_name(char out[X402_OWNER_SIZE])
{
    char host[41] = "";
    struct place place;
    struct life life;

    (void)gethostname(host, sizeof host - 1);
    int size =
        snprintf(out, X402_OWNER_SIZE, "settler %ld on %s", (long)getpid(), host);
    if (read_place(&place) && read_life(&life, (long)getpid()))
        snprintf(out + size, X402_OWNER_SIZE - (size_t)size, " (%s/%llu/%llu)",
                 place.boot, place.space, life.start);
}

void x402_owner_shown(char out[X402_OWNER_SIZE], const char *owner)
{
    const char *end = strrchr(owner, '(');
    size_t size =
        end != NULL && end > owner ? (size_t)(end - owner) - 1 : strlen(owner);

    snprintf(out, X402_OWNER_SIZE, "%.*s", (int)size, owner);
}

/* Killed and not yet reaped counts as gone; hidden from us does not. */
static bool is_gone(long pid, unsigned long long start)
{
    struct life life;

    if (kill((pid_t)pid, 0) != 0)
        return errno == ESRCH;
    if (!read_life(&life, pid))
        return false;
    return life.start != start || (life.state == 'Z' && life.threads <= 1);
}

bool x402_owner_is_dead(const char *owner)
{
    const char *details = strrchr(owner, '(');
    struct place here, there;
    unsigned long long start;
    long pid;

    if (details == NULL || sscanf(owner, "settler %ld on ", &pid) != 1 || pid <= 0 ||
        sscanf(details, "(%32[0-9a-f]/%llu/%llu)", there.boot, &there.space, &start) !=
            3 ||
        !read_place(&here))
        return false;
    return strcmp(here.boot, there.boot) == 0 && here.space == there.space &&
           is_gone(pid, start);
}
