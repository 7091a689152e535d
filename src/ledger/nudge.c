#include "ledger/nudge.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static bool address_of(struct sockaddr_un *out, const char *ledger_path)
{
    int length;

    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    length = snprintf(out->sun_path, sizeof(out->sun_path), "%s-nudge", ledger_path);
    if (length < 0 || (size_t)length >= sizeof(out->sun_path)) {
        errno = ENAMETOOLONG;
        return false;
    }
    return true;
}

static int socket_open(void)
{
    return socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static const struct sockaddr *generic(const struct sockaddr_un *address)
{
    return (const struct sockaddr *)address;
}

/* Whether a socket is there that nobody listens on any more. */
static bool is_left_behind(const struct sockaddr_un *address)
{
    struct stat status;
    bool refused;
    int fd;

    if (lstat(address->sun_path, &status) != 0 || !S_ISSOCK(status.st_mode)) {
        return false;
    }
    fd = socket_open();
    if (fd < 0) {
        return false;
    }
    refused =
        connect(fd, generic(address), sizeof(*address)) != 0 && errno == ECONNREFUSED;
    (void)close(fd);
    return refused;
}

static int bind_to(int fd, const struct sockaddr_un *address)
{
    int result = bind(fd, generic(address), sizeof(*address));

    if (result != 0 && errno == EADDRINUSE) {
        if (is_left_behind(address) && unlink(address->sun_path) == 0) {
            return bind(fd, generic(address), sizeof(*address));
        }
        errno = EADDRINUSE;
    }
    return result;
}

/* A socket that root makes must be open to the ledger's owner, whose workers nudge. */
static void give_to_owner_of(const struct sockaddr_un *address, const char *ledger_path)
{
    struct stat ledger;

    (void)chmod(address->sun_path, 0600);
    if (geteuid() == 0 && lstat(ledger_path, &ledger) == 0 &&
        lchown(address->sun_path, ledger.st_uid, ledger.st_gid) != 0) {
        /* It stays root's; nobody nudges, and the settler looks by itself. */
        return;
    }
}

int x402_nudge_listen(const char *ledger_path)
{
    struct sockaddr_un address;
    int fd;

    if (!address_of(&address, ledger_path)) {
        return -1;
    }
    fd = socket_open();
    if (fd < 0) {
        return -1;
    }
    if (bind_to(fd, &address) != 0) {
        int number = errno;
        (void)close(fd);
        errno = number;
        return -1;
    }
    give_to_owner_of(&address, ledger_path);
    return fd;
}

void x402_nudge_close(int fd, const char *ledger_path)
{
    struct sockaddr_un address;

    if (fd < 0) {
        return;
    }
    (void)close(fd);
    /* Not the socket of a settler that has taken over. */
    if (address_of(&address, ledger_path) && is_left_behind(&address)) {
        (void)unlink(address.sun_path);
    }
}

void x402_nudge_drain(int fd)
{
    char bytes[8];

    while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) >= 0) {
    }
}

void x402_nudge_send(const char *ledger_path)
{
    struct sockaddr_un address;
    int fd;

    if (!address_of(&address, ledger_path)) {
        return;
    }
    fd = socket_open();
    if (fd < 0) {
        return;
    }
    /* Full or unheard: the settler looks once a second anyway. */
    (void)sendto(fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL, generic(&address),
                 sizeof(address));
    (void)close(fd);
}
