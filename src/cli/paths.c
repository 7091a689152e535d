/* Where the data lives. */
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__((format(printf, 3, 4))) static bool join(char out[X402_PATH_MAX],
                                                       const char *command,
                                                       const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(out, X402_PATH_MAX, format, arguments);
    va_end(arguments);
    if (size >= 0 && size < X402_PATH_MAX)
        return true;
    x402_cli_error(command, "the path of the data directory is too long");
    return false;
}

/* Programs started elsewhere must find the same place. */
static bool make_absolute(char out[X402_PATH_MAX], const char *command,
                          const char *path)
{
    char here[X402_PATH_MAX];
    if (path[0] == '/')
        return join(out, command, "%s", path);
    if (getcwd(here, sizeof here) == NULL) {
        x402_cli_error(command, "cannot find the current directory: %s",
                       strerror(errno));
        return false;
    }
    while (strncmp(path, "./", 2) == 0)
        path += 2;
    if (strcmp(path, ".") == 0)
        return join(out, command, "%s", here);
    return join(out, command, "%s/%s", strcmp(here, "/") == 0 ? "" : here, path);
}

static void strip_slashes(char *path)
{
    size_t size = strlen(path);
    while (size > 1 && path[size - 1] == '/')
        path[--size] = '\0';
}

bool x402_cli_data_dir(char out[X402_PATH_MAX], const char *command, const char *option)
{
    const char *data_home = getenv("XDG_DATA_HOME");
    const char *home = getenv("HOME");
    bool fine;
    if (option != NULL && option[0] == '\0') {
        x402_cli_error(command, "--data: the directory is empty");
        return false;
    }
    if (option != NULL)
        fine = make_absolute(out, command, option);
    else if (geteuid() == 0)
        fine = join(out, command, "/var/lib/x402");
    else if (data_home != NULL && data_home[0] == '/')
        fine = join(out, command, "%s/x402", data_home);
    else if (home != NULL && home[0] == '/')
        fine = join(out, command, "%s/.local/share/x402", home);
    else {
        x402_cli_error(command, "there is no home directory: name one with --data DIR");
        return false;
    }
    if (fine)
        strip_slashes(out);
    return fine;
}

bool x402_cli_ledger_path(char out[X402_PATH_MAX], const char *command,
                          const char *data_option)
{
    char dir[X402_PATH_MAX];
    return x402_cli_data_dir(dir, command, data_option) &&
           join(out, command, "%s/ledger.db", strcmp(dir, "/") == 0 ? "" : dir);
}
