/*
 * Memory that runs out on demand: the n-th allocation from when it is armed fails, and
 * all after it where `lasting`. Ours (the linker's --wrap, see the Makefile), SQLite's
 * and jansson's.
 */
#ifndef X402_TESTS_MEMORY_MEMORY_H
#define X402_TESTS_MEMORY_MEMORY_H

#include <jansson.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *text);

static struct {
    int countdown; /* 0: not armed */
    bool lasting;
    unsigned hits;
} memory;

static void memory_arm(int nth, bool lasting)
{
    memory.countdown = nth;
    memory.lasting = lasting;
    memory.hits = 0;
}

/* Disarms; whether one failed. */
static bool memory_failed(void)
{
    memory.countdown = 0;
    return memory.hits > 0;
}

static bool memory_is_out(void)
{
    if (memory.countdown == 0)
        return false;
    if (memory.countdown > 1) {
        memory.countdown--;
        return false;
    }
    memory.countdown = memory.lasting ? 1 : 0;
    memory.hits++;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return memory_is_out() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return memory_is_out() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return memory_is_out() ? NULL : __real_realloc(old, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return memory_is_out() ? NULL : __real_aligned_alloc(alignment, size);
}

char *__wrap_strdup(const char *text)
{
    return memory_is_out() ? NULL : __real_strdup(text);
}

/* ------------------------------------------------------------------------- SQLite's */

static sqlite3_mem_methods memory_real;

static void *memory_sqlite_malloc(int size)
{
    return memory_is_out() ? NULL : memory_real.xMalloc(size);
}

static void *memory_sqlite_realloc(void *old, int size)
{
    return memory_is_out() ? NULL : memory_real.xRealloc(old, size);
}

/* Before anything else uses SQLite. */
__attribute__((unused)) static int memory_install(void **state)
{
    sqlite3_mem_methods ours;

    (void)state;
    json_set_alloc_funcs(__wrap_malloc, free);
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory_real) != SQLITE_OK)
        return -1;
    ours = memory_real;
    ours.xMalloc = memory_sqlite_malloc;
    ours.xRealloc = memory_sqlite_realloc;
    return sqlite3_config(SQLITE_CONFIG_MALLOC, &ours) == SQLITE_OK ? 0 : -1;
}

#endif
