/*
 * A file system that fails on demand: a VFS over the system's own. The n-th operation
 * from when it is armed fails, and all after it where `lasting`.
 */
#ifndef X402_TESTS_LEDGER_FAULTS_H
#define X402_TESTS_LEDGER_FAULTS_H

#include <sqlite3.h>
#include <string.h>

enum fault { FAULT_WRITE, FAULT_SYNC, FAULT_READ, FAULT_OPEN, FAULT_SHM, FAULT_COUNT };

static struct {
    enum fault kind;
    int code;      /* the result code a failing operation has */
    int countdown; /* 0: not armed */
    bool lasting;
    unsigned hits;
} faults;

__attribute__((unused)) static void faults_arm(enum fault kind, int code, int nth,
                                               bool lasting)
{
    faults.kind = kind;
    faults.code = code;
    faults.countdown = nth;
    faults.lasting = lasting;
    faults.hits = 0;
}

static bool faulty(enum fault kind)
{
    if (faults.countdown == 0 || faults.kind != kind) {
        return false;
    }
    if (faults.countdown > 1) {
        faults.countdown--;
        return false;
    }
    faults.countdown = faults.lasting ? 1 : 0;
    faults.hits++;
    return true;
}

struct fault_file {
    sqlite3_file base;
    sqlite3_file *real;
};

#define REAL(file) (((struct fault_file *)(file))->real)

static int fault_close(sqlite3_file *file)
{
    return REAL(file)->pMethods != NULL ? REAL(file)->pMethods->xClose(REAL(file))
                                        : SQLITE_OK;
}

static int fault_read(sqlite3_file *file, void *out, int size, sqlite3_int64 offset)
{
    return faulty(FAULT_READ)
               ? faults.code
               : REAL(file)->pMethods->xRead(REAL(file), out, size, offset);
}

/* Half of what was to be written is. */
static int fault_write(sqlite3_file *file, const void *data, int size,
                       sqlite3_int64 offset)
{
    if (faulty(FAULT_WRITE)) {
        (void)REAL(file)->pMethods->xWrite(REAL(file), data, size / 2, offset);
        return faults.code;
    }
    return REAL(file)->pMethods->xWrite(REAL(file), data, size, offset);
}

static int fault_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return REAL(file)->pMethods->xTruncate(REAL(file), size);
}

/* Everything is written, and nobody knows. */
static int fault_sync(sqlite3_file *file, int flags)
{
    int code = REAL(file)->pMethods->xSync(REAL(file), flags);

    return faulty(FAULT_SYNC) ? faults.code : code;
}

static int fault_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return REAL(file)->pMethods->xFileSize(REAL(file), size);
}

static int fault_lock(sqlite3_file *file, int level)
{
    return REAL(file)->pMethods->xLock(REAL(file), level);
}

static int fault_unlock(sqlite3_file *file, int level)
{
    return REAL(file)->pMethods->xUnlock(REAL(file), level);
}

static int fault_reserved(sqlite3_file *file, int *out)
{
    return REAL(file)->pMethods->xCheckReservedLock(REAL(file), out);
}

static int fault_control(sqlite3_file *file, int operation, void *data)
{
    return REAL(file)->pMethods->xFileControl(REAL(file), operation, data);
}

static int fault_sector(sqlite3_file *file)
{
    return REAL(file)->pMethods->xSectorSize(REAL(file));
}

static int fault_device(sqlite3_file *file)
{
    return REAL(file)->pMethods->xDeviceCharacteristics(REAL(file));
}

static int fault_shm_map(sqlite3_file *file, int page, int size, int extend,
                         void volatile **out)
{
    return faulty(FAULT_SHM)
               ? faults.code
               : REAL(file)->pMethods->xShmMap(REAL(file), page, size, extend, out);
}

static int fault_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    return REAL(file)->pMethods->xShmLock(REAL(file), offset, count, flags);
}

static void fault_shm_barrier(sqlite3_file *file)
{
    REAL(file)->pMethods->xShmBarrier(REAL(file));
}

static int fault_shm_unmap(sqlite3_file *file, int delete_too)
{
    return REAL(file)->pMethods->xShmUnmap(REAL(file), delete_too);
}

static const sqlite3_io_methods fault_methods = {
    .iVersion = 2,
    .xClose = fault_close,
    .xRead = fault_read,
    .xWrite = fault_write,
    .xTruncate = fault_truncate,
    .xSync = fault_sync,
    .xFileSize = fault_size,
    .xLock = fault_lock,
    .xUnlock = fault_unlock,
    .xCheckReservedLock = fault_reserved,
    .xFileControl = fault_control,
    .xSectorSize = fault_sector,
    .xDeviceCharacteristics = fault_device,
    .xShmMap = fault_shm_map,
    .xShmLock = fault_shm_lock,
    .xShmBarrier = fault_shm_barrier,
    .xShmUnmap = fault_shm_unmap,
};

static int fault_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                      int *flags_out)
{
    struct fault_file *ours = (struct fault_file *)file;
    sqlite3_vfs *real = vfs->pAppData;
    int code;

    memset(ours, 0, (size_t)vfs->szOsFile);
    if (faulty(FAULT_OPEN)) {
        return faults.code;
    }
    ours->real = (sqlite3_file *)(ours + 1);
    code = real->xOpen(real, name, ours->real, flags, flags_out);
    if (ours->real->pMethods != NULL) {
        ours->base.pMethods = &fault_methods;
    }
    return code;
}

/* Every connection opened from here on goes through the faulty file system. */
__attribute__((unused)) static int faults_install(void **state)
{
    static sqlite3_vfs vfs;
    sqlite3_vfs *real = sqlite3_vfs_find(NULL);

    (void)state;
    vfs = *real;
    vfs.zName = "faulty";
    vfs.pAppData = real;
    vfs.szOsFile = (int)sizeof(struct fault_file) + real->szOsFile;
    vfs.xOpen = fault_open;
    return sqlite3_vfs_register(&vfs, 1) == SQLITE_OK ? 0 : -1;
}

#endif
