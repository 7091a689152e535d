#include "ledger/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct creation {
    const char *path;
    char *message;
};

static enum x402_error refuse(const struct creation *creation, const char *reason)
{
    snprintf(creation->message, X402_LEDGER_MESSAGE_MAX,
             "cannot create ledger '%s': %s", creation->path, reason);
    return X402_ERR_LEDGER;
}

static enum x402_error refuse_errno(const struct creation *creation, int number)
{
    const char *text = number == ENOENT   ? "no such directory"
                       : number == EACCES ? "permission denied"
                                          : strerrordesc_np(number);

    return refuse(creation, text != NULL ? text : "unknown error");
}

/*
 * Names last only when their directory was written: the ledger's, and that SQLite's
 * journal is gone, which would undo the making of it. SQLite syncs the directory, too,
 * and does not say when that fails. EINVAL: a file system whose directories cannot be.
 */
static enum x402_error directory_sync(const struct creation *creation)
{
    char *copy = strdup(creation->path);
    int fd, number = 0;

    if (copy == NULL) {
        return refuse(creation, "out of memory");
    }
    fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(copy);
    if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL)) {
        number = errno;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return number == 0 ? X402_OK : refuse_errno(creation, number);
}

/* The log and its index of a ledger that was deleted, and perhaps is open somewhere,
 * must not become the new one's. */
static void leftovers_remove(const char *path)
{
    static const char *const suffixes[] = {"-wal", "-shm"};
    struct stat status;
    char name[4096];

    if (lstat(path, &status) == 0 || errno != ENOENT) {
        return;
    }
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
        (void)unlink(name);
    }
}

/*
 * Makes the file, empty, when it is not there. One that is there is not opened here:
 * close() would drop the locks SQLite holds on it in this process.
 */
static enum x402_error file_make(const struct creation *creation)
{
    int fd;

    leftovers_remove(creation->path);
    fd = open(creation->path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0) {
        (void)close(fd);
        return X402_OK;
    }
    if (errno != EEXIST) {
        return refuse_errno(creation, errno);
    }
    return x402_sqlite_path_check(creation->path, "create", creation->message)
               ? X402_OK
               : X402_ERR_LEDGER;
}

/* One transaction: killed anywhere, the next try starts again. */
static int migrate_from(sqlite3 *db, int version)
{
    char stamp[128];
    int code = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);

    snprintf(stamp, sizeof(stamp),
             "PRAGMA application_id = %d; PRAGMA user_version = %d",
             X402_SQLITE_APPLICATION_ID, X402_SQLITE_VERSION);
    if (code == SQLITE_OK) {
        code = x402_sqlite_migrate(db, version);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_exec(db, stamp, NULL, NULL, NULL);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    }
    return code;
}

static int migrate(sqlite3 *db, int version)
{
    int code = sqlite3_exec(db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);

    return code == SQLITE_OK && version < X402_SQLITE_VERSION
               ? migrate_from(db, version)
               : code;
}

/* Under the queue's lock: two processes that create at once do it in turn. */
static enum x402_error schema_make(const struct creation *creation)
{
    enum x402_sqlite_identity identity = X402_SQLITE_FOREIGN;
    enum x402_error error = X402_OK;
    int version = 0;
    sqlite3 *db = NULL;
    int code = sqlite3_open_v2(creation->path, &db,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

    if (code == SQLITE_OK) {
        code = x402_sqlite_configure(db);
    }
    if (code == SQLITE_OK) {
        code = x402_sqlite_identify(db, &identity, &version);
    }
    if (code == SQLITE_OK && sqlite3_db_readonly(db, "main") == 1) {
        code = SQLITE_READONLY;
    }
    if (code == SQLITE_OK &&
        (identity == X402_SQLITE_FOREIGN || identity == X402_SQLITE_NEWER)) {
        x402_sqlite_refuse(creation->message, creation->path, identity, version);
        error = X402_ERR_SCHEMA;
    } else if (code == SQLITE_OK) {
        code = migrate(db, version);
    }
    if (code != SQLITE_OK) {
        error = refuse(creation, x402_sqlite_reason(db, code));
    }
    (void)sqlite3_close(db);
    return error;
}

/* The live set's file, empty; whoever admits first fills it. */
static enum x402_error live_make(const struct creation *creation)
{
    struct x402_live live;
    char name[4096];
    int number;

    snprintf(name, sizeof(name), "%s-live", creation->path);
    number = x402_live_open(&live, name, true);
    x402_live_close(&live);
    return number == 0 ? X402_OK : refuse_errno(creation, number);
}

static enum x402_error give(const struct creation *creation, unsigned uid, unsigned gid)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-queue", "-live"};
    char name[4096];

    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        struct stat status;
        snprintf(name, sizeof(name), "%s%s", creation->path, suffixes[i]);
        if (lstat(name, &status) != 0 || status.st_uid == uid) {
            continue;
        }
        if (lchown(name, uid, gid) != 0) {
            return refuse_errno(creation, errno);
        }
    }
    return X402_OK;
}

enum x402_error x402_sqlite_create(const char *path, unsigned uid, unsigned gid,
                                   char message[X402_LEDGER_MESSAGE_MAX])
{
    const struct creation creation = {path, message};
    enum x402_error error;
    struct x402_sqlite_queue queue;
    int number;

    number = x402_sqlite_queue_open(&queue, path);
    if (number != 0) {
        return refuse_errno(&creation, number);
    }
    number = x402_sqlite_queue_enter(&queue);
    if (number != 0) {
        x402_sqlite_queue_close(&queue);
        return refuse(&creation, "it is locked by another process");
    }
    error = file_make(&creation);
    if (error == X402_OK) {
        error = schema_make(&creation);
    }
    if (error == X402_OK) {
        error = directory_sync(&creation);
    }
    if (error == X402_OK) {
        error = live_make(&creation);
    }
    if (error == X402_OK && uid != (unsigned)-1) {
        error = give(&creation, uid, gid);
    }
    x402_sqlite_queue_leave(&queue);
    x402_sqlite_queue_close(&queue);
    return error;
}
