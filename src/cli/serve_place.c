/*
 * Where `x402 serve` finds and puts things: module, nginx, data directory.
 *
 * As root the data directory belongs to nginx's workers, for SQLite needs a directory
 * it can write. So nothing that root reads back or writes (configuration, pid) lies in
 * it: a worker that was taken over must not become root.
 */
#include "cli/serve.h"

#include "core/secret.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMMAND "serve"
#define MODULE "ngx_http_x402_module.so"

static bool put_path(char out[X402_PATH_MAX], const char *dir, const char *file)
{
    int size = snprintf(out, X402_PATH_MAX, "%s%s", dir, file);
    if (size >= 0 && size < X402_PATH_MAX)
        return true;
    x402_cli_error(COMMAND, "the path '%s%s' is too long", dir, file);
    return false;
}

/* ----------------------------------------------------------------------- finding */

static bool find_module(char out[X402_PATH_MAX])
{
    static const char *const dirs[] = {"/usr/lib/nginx/modules/",
                                       "/usr/lib64/nginx/modules/",
                                       "/usr/local/nginx/modules/"};
    char exe[X402_PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", exe, sizeof exe - 1);
    exe[size > 0 ? size : 0] = '\0';
    char *slash = strrchr(exe, '/');
    if (slash != NULL) {
        slash[1] = '\0';
        if (!put_path(out, exe, MODULE))
            return false;
        if (access(out, R_OK) == 0)
            return true;
    }
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
        if (!put_path(out, dirs[i], MODULE))
            return false;
        if (access(out, R_OK) == 0)
            return true;
    }
    x402_cli_error(COMMAND, "cannot find " MODULE " in '%s' or %s: build it with make",
                   exe, dirs[0]);
    return false;
}

/* SSL_CERT_FILE as in OpenSSL, then where distributions keep it. */
static bool find_ca_bundle(char out[X402_PATH_MAX])
{
    static const char *const files[] = {"/etc/ssl/certs/ca-certificates.crt",
                                        "/etc/pki/tls/certs/ca-bundle.crt",
                                        "/etc/ssl/cert.pem"};
    const char *named = getenv("SSL_CERT_FILE");
    if (named != NULL && named[0] == '/')
        return put_path(out, named, "");
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (access(files[i], R_OK) == 0)
            return put_path(out, files[i], "");
    }
    x402_cli_error(COMMAND, "an https upstream needs the system's certificates: apt "
                            "install ca-certificates");
    return false;
}

static bool find_worker_user(struct x402_serve_place *out)
{
    static const char *const names[] = {"www-data", "nginx", "nobody"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct passwd *user = getpwnam(names[i]);
        if (user == NULL)
            continue;
        snprintf(out->worker_user, sizeof out->worker_user, "%s", names[i]);
        out->worker_uid = user->pw_uid;
        out->worker_gid = user->pw_gid;
        return true;
    }
    x402_cli_error(COMMAND,
                   "there is no user www-data for nginx's workers: start it as "
                   "a user who is not root");
    return false;
}

bool x402_serve_run_prefix(char out[X402_PATH_MAX], const char *data_dir)
{
    char name[X402_PATH_MAX];
    if (geteuid() != 0)
        return put_path(out, data_dir, "/nginx.");
    if (!put_path(name, data_dir, "."))
        return false;
    for (char *at = name; *at != '\0'; at++) {
        if (*at == '/')
            *at = '-';
    }
    if (strlen(name) > 200) {
        x402_cli_error(COMMAND,
                       "the path '%s' is too long: name a shorter one with "
                       "--data",
                       data_dir);
        return false;
    }
    return put_path(out, "/run/x402", name);
}

static bool is_printable(const char *path)
{
    for (; *path != '\0'; path++) {
        if ((unsigned char)*path < ' ' || *path == 0x7f)
            return false;
    }
    return true;
}

/* nginx takes a relative path to be one of its own. */
static bool find_access_log(struct x402_serve_place *out, const char *file)
{
    char here[X402_PATH_MAX];
    if (file == NULL)
        return true;
    if (!is_printable(file)) {
        x402_cli_error(COMMAND, "--access-log: '%s' has control characters", file);
        return false;
    }
    if (file[0] == '/')
        return put_path(out->access_log, file, "");
    if (getcwd(here, sizeof here - 1) == NULL) {
        x402_cli_error(COMMAND, "cannot read the current directory: %s",
                       strerror(errno));
        return false;
    }
    strcat(here, "/");
    return put_path(out->access_log, here, file);
}

bool x402_serve_place_find(struct x402_serve_place *out, const struct x402_serve *serve,
                           const char *data_option)
{
    memset(out, 0, sizeof *out);
    out->as_root = geteuid() == 0;
    out->worker_uid = geteuid();
    out->worker_gid = getegid();
    if (!x402_cli_data_dir(out->data_dir, COMMAND, data_option))
        return false;
    if (!is_printable(out->data_dir)) {
        x402_cli_error(COMMAND, "--data: '%s' has control characters", out->data_dir);
        return false;
    }
    return (!out->as_root || find_worker_user(out)) &&
           put_path(out->ledger, out->data_dir, "/ledger.db") &&
           (!serve->status_private ||
            put_path(out->token, out->data_dir, "/status.token")) &&
           find_access_log(out, serve->access_log) &&
           x402_serve_run_prefix(out->run_prefix, out->data_dir) &&
           find_module(out->module) &&
           (!serve->upstream.tls || find_ca_bundle(out->ca_bundle));
}

bool x402_serve_nginx_find(char out[X402_PATH_MAX])
{
    const char *path = getenv("PATH");
    char dirs[X402_PATH_MAX];
    snprintf(dirs, sizeof dirs, "%s:/usr/sbin:/usr/local/sbin:/usr/local/nginx/sbin",
             path ? path : "/usr/bin:/bin");
    for (char *rest = dirs, *dir; (dir = strsep(&rest, ":")) != NULL;) {
        if (dir[0] != '/') /* the current directory is no place for programs */
            continue;
        int size = snprintf(out, X402_PATH_MAX, "%s/nginx", dir);
        if (size > 0 && size < X402_PATH_MAX && access(out, X_OK) == 0)
            return true;
    }
    x402_cli_error(COMMAND, "nginx is not installed: apt install nginx");
    return false;
}

/* ------------------------------------------------------------ the data directory */

static bool fail_dir(const char *what, const char *dir)
{
    x402_cli_error(COMMAND, "cannot %s the directory '%s': %s", what, dir,
                   strerror(errno));
    return false;
}

/* Like mkdir -p; *made when the last part is new. */
static bool make_dirs(const char *dir, bool *made)
{
    char path[X402_PATH_MAX];
    snprintf(path, sizeof path, "%s", dir);
    *made = false;
    for (char *slash = path + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        if (mkdir(path, 0755) != 0 && errno != EEXIST)
            return fail_dir("make", path);
        *slash = '/';
    }
    if (mkdir(path, 0700) == 0)
        *made = true;
    else if (errno != EEXIST)
        return fail_dir("make", path);
    return true;
}

/* A directory that holds other things must not be closed and given away. */
static bool is_ours(int dir)
{
    struct stat status;
    bool empty = true;
    const struct dirent *entry;
    if (fstatat(dir, "ledger.db", &status, AT_SYMLINK_NOFOLLOW) == 0)
        return S_ISREG(status.st_mode);
    int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = copy >= 0 ? fdopendir(copy) : NULL;
    if (entries == NULL) {
        if (copy >= 0)
            close(copy);
        return false;
    }
    while ((entry = readdir(entries)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            empty = false;
    }
    closedir(entries);
    return empty;
}

/* Closes it to others and gives it to the workers. */
static bool take_dir(int dir, const struct x402_serve_place *place, bool made)
{
    struct stat status;
    const char *path = place->data_dir;
    if (fstat(dir, &status) != 0)
        return fail_dir("read", path);
    bool right = status.st_uid == place->worker_uid && (status.st_mode & 0077) == 0;
    if (right)
        return true;
    if (!made && !is_ours(dir)) {
        x402_cli_error(COMMAND,
                       "the directory '%s' holds other things: name a new one "
                       "with --data",
                       path);
        return false;
    }
    if (status.st_uid != place->worker_uid && status.st_uid != geteuid()) {
        x402_cli_error(COMMAND,
                       "the directory '%s' belongs to another user: start it "
                       "as that user, or name another with --data",
                       path);
        return false;
    }
    if (status.st_uid != place->worker_uid &&
        fchown(dir, place->worker_uid, place->worker_gid) != 0)
        return fail_dir("give nginx's workers", path);
    return fchmod(dir, 0700) == 0 || fail_dir("close to others", path);
}

/* ---------------------------------------------------------------------- the token */

#define TOKEN_BYTES 24

static bool fail_token(const struct x402_serve_place *place)
{
    x402_cli_error(COMMAND, "cannot make the token file '%s': %s", place->token,
                   strerror(errno));
    return false;
}

/* A new file alone is written: what a worker may have put there is left to nginx, which
 * reads no file that is not ours. */
bool x402_serve_token_make(const struct x402_serve_place *place)
{
    uint8_t random[TOKEN_BYTES];
    char text[2 * TOKEN_BYTES + 2];
    if (place->token[0] == '\0')
        return true;
    int fd =
        open(place->token, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == EEXIST || fail_token(place);
    bool fine = getrandom(random, sizeof random, 0) == (ssize_t)sizeof random;
    x402_hex_encode(text, random, sizeof random);
    text[2 * TOKEN_BYTES] = '\n';
    fine = fine && x402_secret_write(fd, text, 2 * TOKEN_BYTES + 1);
    if (!fine) {
        fail_token(place);
        unlink(place->token);
    }
    x402_bytes_wipe(text, sizeof text);
    x402_bytes_wipe(random, sizeof random);
    close(fd);
    return fine;
}

/* --------------------------------------------------------- passing to the directory */

static bool may_pass(const struct stat *status, const struct x402_serve_place *place)
{
    if (status->st_uid == place->worker_uid)
        return (status->st_mode & S_IXUSR) != 0;
    if (status->st_gid == place->worker_gid)
        return (status->st_mode & S_IXGRP) != 0;
    return (status->st_mode & S_IXOTH) != 0;
}

/* Root's own directories are closed to the workers, who must get to the ledger. */
static bool is_reachable(const struct x402_serve_place *place)
{
    char path[X402_PATH_MAX];
    struct stat status;
    snprintf(path, sizeof path, "%s", place->data_dir);
    for (char *slash = path + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        if (stat(path, &status) == 0 && !may_pass(&status, place)) {
            x402_cli_error(
                COMMAND,
                "nginx's workers run as %s and cannot pass '%s': put the "
                "data elsewhere with --data, like /var/lib/x402, or start it "
                "as a user who is not root",
                place->worker_user, path);
            return false;
        }
        *slash = '/';
    }
    return true;
}

bool x402_serve_place_make(const struct x402_serve_place *place)
{
    bool made;
    if (place->as_root && !is_reachable(place))
        return false;
    if (!make_dirs(place->data_dir, &made))
        return false;
    if (place->as_root && !is_reachable(place)) /* by our umask */
        return false;
    int dir = open(place->data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return fail_dir("open", place->data_dir);
    bool fine = take_dir(dir, place, made);
    close(dir);
    return fine;
}
