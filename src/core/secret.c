#include "core/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

__attribute__((format(printf, 2, 3))) static enum x402_error refuse(
    char message[X402_SECRET_MESSAGE_MAX], const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, X402_SECRET_MESSAGE_MAX, format, arguments);
    va_end(arguments);
    return X402_ERR_KEY;
}

/* Asked of the open file, so that it cannot be exchanged in between. */
static enum x402_error check_file(int fd, const char *what, const char *path,
                                  char message[X402_SECRET_MESSAGE_MAX])
{
    struct stat status;

    if (fstat(fd, &status) != 0)
        return refuse(message, "cannot read %s '%s': %s", what, path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return refuse(message, "%s '%s' is not a regular file", what, path);
    if (status.st_uid != geteuid())
        return refuse(message,
                      "%s '%s' belongs to user %u and this is user %u: run chown %u "
                      "'%s'",
                      what, path, (unsigned)status.st_uid, (unsigned)geteuid(),
                      (unsigned)geteuid(), path);
    if (status.st_mode & 0177)
        return refuse(message,
                      "%s '%s' has mode %04o and must be readable by its owner alone: "
                      "run chmod 600 '%s'",
                      what, path, (unsigned)(status.st_mode & 07777), path);
    return X402_OK;
}

static ssize_t read_whole(int fd, char *buffer, size_t max)
{
    size_t size = 0;

    while (size < max) {
        ssize_t n = read(fd, buffer + size, max - size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        size += (size_t)n;
    }
    return (ssize_t)size;
}

static enum x402_error read_text(char *out, size_t max, int fd, const char *what,
                                 const char *path,
                                 char message[X402_SECRET_MESSAGE_MAX])
{
    ssize_t size = read_whole(fd, out, max);

    if (size < 0)
        return refuse(message, "cannot read %s '%s': %s", what, path, strerror(errno));
    if ((size_t)size >= max)
        return refuse(message, "%s '%s' is too large", what, path);
    out[size] = '\0';
    if (strlen(out) != (size_t)size)
        return refuse(message, "%s '%s' is not text", what, path);
    return X402_OK;
}

enum x402_error x402_secret_read(char *out, size_t max, const char *what,
                                 const char *path,
                                 char message[X402_SECRET_MESSAGE_MAX])
{
    /* Without O_NONBLOCK opening a FIFO would wait for its writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0) {
        x402_bytes_wipe(out, max);
        return refuse(message, "cannot open %s '%s': %s", what, path, strerror(errno));
    }
    enum x402_error error = check_file(fd, what, path, message);
    if (error == X402_OK)
        error = read_text(out, max, fd, what, path, message);
    close(fd);
    if (error != X402_OK)
        x402_bytes_wipe(out, max);
    return error;
}

bool x402_secret_write(int fd, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, text, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        text += n;
        size -= (size_t)n;
    }
    return fsync(fd) == 0;
}
