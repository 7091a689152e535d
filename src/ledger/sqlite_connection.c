#include "ledger/sqlite.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *errno_reason(int number)
{
    const char *text;

    switch (number) {
    case ENOSPC:
    case EDQUOT:
        return "disk is full";
    case EFBIG:
        return "the file has reached its size limit";
    case EACCES:
    case EPERM:
        return "permission denied";
    case ENOENT:
        return "no such file";
    default:
        text = strerrordesc_np(number);
        return text != NULL ? text : "unknown error";
    }
}

const char *x402_sqlite_reason(sqlite3 *db, int code)
{
    const int number =
        errno; /* not sqlite3_system_errno(), which may be an older one */

    switch (code & 0xff) {
    case SQLITE_FULL:
        return "disk is full";
    case SQLITE_IOERR:
        return number != 0 ? errno_reason(number) : "input/output error";
    case SQLITE_CANTOPEN:
        return number != 0 ? errno_reason(number) : "it cannot be opened";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return "it is locked by another process";
    case SQLITE_READONLY:
        return code == SQLITE_READONLY_DBMOVED ? "the file was moved or deleted"
                                               : "it is read-only";
    case SQLITE_CORRUPT:
        return "the file is damaged";
    case SQLITE_NOTADB:
        return "the file is damaged, or not a ledger";
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return "permission denied";
    default:
        return db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(code);
    }
}

/* After these only a new connection can be trusted, or can see that the cause is gone.
 */
static bool is_doubtful(int code)
{
    switch (code & 0xff) {
    case SQLITE_FULL:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_CONSTRAINT:
        return false;
    default:
        return true;
    }
}

enum x402_error x402_sqlite_fail(struct x402_sqlite *sqlite, const char *verb, int code)
{
    sqlite->doubtful = sqlite->doubtful || is_doubtful(code);
    return x402_sqlite_say(sqlite, X402_ERR_LEDGER, "cannot %s ledger '%s': %s", verb,
                           sqlite->path, x402_sqlite_reason(sqlite->db, code));
}

enum x402_error x402_sqlite_say(struct x402_sqlite *sqlite, enum x402_error error,
                                const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(sqlite->base.message, sizeof(sqlite->base.message), format, arguments);
    va_end(arguments);
    return error;
}

bool x402_sqlite_path_check(const char *path, const char *verb,
                            char message[X402_LEDGER_MESSAGE_MAX])
{
    struct stat status;
    const char *reason;

    if (lstat(path, &status) != 0) {
        reason = errno_reason(errno);
    } else if (S_ISLNK(status.st_mode)) {
        reason = "it is a symbolic link";
    } else if (!S_ISREG(status.st_mode)) {
        reason = "it is not a file";
    } else {
        return true;
    }
    snprintf(message, X402_LEDGER_MESSAGE_MAX, "cannot %s ledger '%s': %s", verb, path,
             reason);
    return false;
}

static int pragma_read(sqlite3 *db, const char *text, int *out)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, text, -1, &statement, NULL);

    if (code == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
        *out = sqlite3_column_int(statement, 0);
    }
    return code == SQLITE_OK ? sqlite3_finalize(statement) : code;
}

int x402_sqlite_identify(sqlite3 *db, enum x402_sqlite_identity *identity, int *version)
{
    int application = 0;
    int objects = 0;
    int code = pragma_read(db, "SELECT count(*) FROM sqlite_schema", &objects);

    *version = 0;
    if (code == SQLITE_OK) {
        code = pragma_read(db, "PRAGMA application_id", &application);
    }
    if (code == SQLITE_OK) {
        code = pragma_read(db, "PRAGMA user_version", version);
    }
    if ((code & 0xff) == SQLITE_NOTADB) {
        *identity = X402_SQLITE_FOREIGN;
        return SQLITE_OK;
    }
    if (application == 0 && *version == 0 && objects == 0) {
        *identity = X402_SQLITE_EMPTY;
    } else if (application != X402_SQLITE_APPLICATION_ID) {
        *identity = X402_SQLITE_FOREIGN;
    } else if (*version > X402_SQLITE_VERSION) {
        *identity = X402_SQLITE_NEWER;
    } else {
        *identity =
            *version < X402_SQLITE_VERSION ? X402_SQLITE_OLDER : X402_SQLITE_CURRENT;
    }
    return code;
}

void x402_sqlite_refuse(char message[X402_LEDGER_MESSAGE_MAX], const char *path,
                        enum x402_sqlite_identity identity, int version)
{
    switch (identity) {
    case X402_SQLITE_EMPTY:
        snprintf(message, X402_LEDGER_MESSAGE_MAX,
                 "cannot open ledger '%s': it is empty and was never set up", path);
        break;
    case X402_SQLITE_OLDER:
    case X402_SQLITE_NEWER:
        snprintf(message, X402_LEDGER_MESSAGE_MAX,
                 "cannot open ledger '%s': it is of version %d, and this program "
                 "knows version %d",
                 path, version, X402_SQLITE_VERSION);
        break;
    case X402_SQLITE_FOREIGN:
    case X402_SQLITE_CURRENT:
        snprintf(message, X402_LEDGER_MESSAGE_MAX,
                 "cannot open ledger '%s': the file is not a ledger", path);
        break;
    }
}

/*
 * The page cache is small because SQLite (3.40) walks all of it at every commit that
 * balanced a tree of a file below 1 GB; the system's own cache is behind it.
 */
int x402_sqlite_configure(sqlite3 *db)
{
    int persist = 1;
    int code;

    (void)sqlite3_extended_result_codes(db, 1);
    (void)sqlite3_busy_timeout(db, x402_sqlite_wait_milliseconds);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    /* The log stays when the last process leaves: its owner is the ledger's. */
    (void)sqlite3_file_control(db, "main", SQLITE_FCNTL_PERSIST_WAL, &persist);
    code = sqlite3_exec(db,
                        "PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY; "
                        "PRAGMA secure_delete = OFF; PRAGMA cell_size_check = ON; "
                        "PRAGMA cache_size = -4000",
                        NULL, NULL, NULL);
    return (code & 0xff) == SQLITE_NOTADB ? SQLITE_OK : code; /* identify says so */
}

void x402_sqlite_disconnect(struct x402_sqlite *sqlite)
{
    for (int i = 0; i < X402_SQL_COUNT; i++) {
        (void)sqlite3_finalize(sqlite->statements[i]);
        sqlite->statements[i] = NULL;
    }
    (void)sqlite3_close(sqlite->db);
    sqlite->db = NULL;
    sqlite->names_count = 0;
    sqlite->horizon_until_seconds = 0;
    sqlite->doubtful = false;
    x402_live_close(&sqlite->live);
    x402_sqlite_queue_close(&sqlite->queue);
}

static enum x402_error queue_attach(struct x402_sqlite *sqlite)
{
    const int number = x402_sqlite_queue_open(&sqlite->queue, sqlite->path);

    if (number != 0) {
        return x402_sqlite_say(sqlite, X402_ERR_LEDGER,
                               "cannot open ledger's lock file '%s-queue': %s",
                               sqlite->path, errno_reason(number));
    }
    return X402_OK;
}

static enum x402_error attach(struct x402_sqlite *sqlite)
{
    const bool writes = sqlite->mode == X402_LEDGER_WRITE;
    const int flags =
        SQLITE_OPEN_NOMUTEX | (writes ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY);
    enum x402_sqlite_identity identity = X402_SQLITE_FOREIGN;
    int version = 0;
    int code;

    if (!x402_sqlite_path_check(sqlite->path, "open", sqlite->base.message)) {
        return X402_ERR_LEDGER;
    }
    errno = 0;
    code = sqlite3_open_v2(sqlite->path, &sqlite->db, flags, NULL);
    if (code == SQLITE_OK) {
        code = x402_sqlite_configure(sqlite->db);
    }
    if (code == SQLITE_OK) {
        code = x402_sqlite_identify(sqlite->db, &identity, &version);
    }
    if (code == SQLITE_OK && writes && sqlite3_db_readonly(sqlite->db, "main") == 1) {
        code = SQLITE_READONLY;
    }
    if (code != SQLITE_OK) {
        return x402_sqlite_fail(sqlite, "open", code);
    }
    if (identity != X402_SQLITE_CURRENT) {
        x402_sqlite_refuse(sqlite->base.message, sqlite->path, identity, version);
        return X402_ERR_SCHEMA;
    }
    return writes ? queue_attach(sqlite) : X402_OK;
}

static bool has_moved(struct x402_sqlite *sqlite)
{
    int moved = 0;

    (void)sqlite3_file_control(sqlite->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    return moved != 0;
}

enum x402_error x402_sqlite_connect(struct x402_sqlite *sqlite)
{
    enum x402_error error;

    if (sqlite->db != NULL && !sqlite->doubtful && !has_moved(sqlite)) {
        return X402_OK;
    }
    x402_sqlite_disconnect(sqlite);
    error = attach(sqlite);
    if (error != X402_OK) {
        x402_sqlite_disconnect(sqlite);
    }
    return error;
}
