#include "ledger/live.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC UINT64_C(0x316576696c323034) /* "402live1" */
#define CAPACITY_MIN 4096
#define SLOTS_OFFSET 36864 /* whole pages: the header is in front */
#define ID_BITS 48
#define TAG_BITS X402_LIVE_TAG_BITS

#ifdef X402_TEST_CLOCK
struct x402_live_bounds x402_live_bounds = {X402_LIVE_MAX, UINT64_MAX};
#define LIVE_MAX x402_live_bounds.max
#else
#define LIVE_MAX X402_LIVE_MAX
#endif

/* As it is in the file. Of one machine and one boot: in its own byte order. */
struct x402_live_header {
    uint64_t magic;
    uint64_t stamp; /* 0: being built */
    uint8_t boot16[16];
    uint64_t capacity; /* slots */
    uint64_t used;     /* but for what is touched */
    int64_t floor_seconds;
    struct x402_live_newest newest;
    uint64_t touched_count; /* puts of the transaction under way, if any */
    uint32_t touched[X402_LIVE_TOUCHED_MAX];
};
_Static_assert(sizeof(struct x402_live_header) <= SLOTS_OFFSET, "slots begin after it");

/* high: tag, and the upper bits of the id; low: its lower 32, and until. An empty one
 * is zeros; low is written last and emptied first. The one behind the last has the
 * stamp as its high: a file that was cut short and made longer again has lost it. */
struct x402_live_slot {
    uint64_t high, low;
};

/* In this order, whatever the compiler thinks: a process may die between any two. */
static void store(uint64_t *place, uint64_t value)
{
    __atomic_store_n(place, value, __ATOMIC_RELEASE);
}

static uint64_t load(const uint64_t *place)
{
    return __atomic_load_n(place, __ATOMIC_ACQUIRE);
}

/* ---------------------------------------------------------------------- the file */

static int digit_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "b07f…-…-…": 16 bytes in hexadecimal. */
static int boot_read(uint8_t boot16[16])
{
    char text[64] = "";
    size_t digits = 0;
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t size = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    int number = size < 0 ? errno : 0;

    if (fd >= 0) {
        (void)close(fd);
    }
    memset(boot16, 0, 16);
    for (const char *c = text; number == 0 && *c != '\0' && digits < 32; c++) {
        const int digit = digit_of(*c);
        if (digit >= 0) {
            boot16[digits / 2] = (uint8_t)(boot16[digits / 2] << 4 | digit);
            digits++;
        }
    }
    return number == 0 && digits != 32 ? EIO : number;
}

static int file_open(const char *path, bool writes)
{
    const int flags = O_CLOEXEC | O_NOFOLLOW | (writes ? O_RDWR : O_RDONLY);
    int fd = open(path, flags);

    if (fd >= 0 || errno != ENOENT || !writes) {
        return fd;
    }
    fd = open(path, flags | O_CREAT | O_EXCL, 0600);
    return fd < 0 && errno == EEXIST ? open(path, flags) : fd;
}

int x402_live_open(struct x402_live *live, const char *path, bool writes)
{
    int number;

    *live = (struct x402_live){.fd = -1, .writes = writes};
    number = boot_read(live->boot16);
    if (number != 0) {
        return number;
    }
    live->fd = file_open(path, writes);
    return live->fd < 0 ? errno : 0;
}

static void unmap(struct x402_live *live)
{
    if (live->header != NULL) {
        (void)munmap(live->header, live->mapped_size);
    }
    live->header = NULL;
    live->slots = NULL;
    live->mapped_size = 0;
}

void x402_live_close(struct x402_live *live)
{
    unmap(live);
    if (live->fd >= 0) {
        (void)close(live->fd);
    }
    *live = (struct x402_live){.fd = -1};
}

/* Maps all of the file there is, unless that is mapped already. */
static int map(struct x402_live *live)
{
    struct stat status;
    void *memory;

    if (fstat(live->fd, &status) != 0) {
        return EIO;
    }
    if (!S_ISREG(status.st_mode)) {
        return EINVAL;
    }
    if (live->header != NULL && (size_t)status.st_size == live->mapped_size) {
        return 0;
    }
    unmap(live);
    if (status.st_size < SLOTS_OFFSET) {
        return ENODATA;
    }
    memory = mmap(NULL, (size_t)status.st_size,
                  live->writes ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED,
                  live->fd, 0);
    if (memory == MAP_FAILED) {
        return ENOMEM;
    }
    live->header = memory;
    live->slots = (struct x402_live_slot *)((char *)memory + SLOTS_OFFSET);
    live->mapped_size = (size_t)status.st_size;
    return 0;
}

bool x402_live_counts(struct x402_live *live, uint64_t stamp)
{
    const struct x402_live_header *header;

    live->stamp = 0;
    if (live->fd < 0 || stamp == 0 || map(live) != 0) {
        return false;
    }
    header = live->header;
    live->capacity = load(&header->capacity);
    if (header->magic != MAGIC || load(&header->stamp) != stamp ||
        memcmp(header->boot16, live->boot16, sizeof(live->boot16)) != 0 ||
        live->capacity < CAPACITY_MIN || live->capacity > UINT32_MAX ||
        live->capacity >=
            (live->mapped_size - SLOTS_OFFSET) / sizeof(struct x402_live_slot) ||
        load(&live->slots[live->capacity].high) != stamp) {
        return false;
    }
    live->stamp = stamp;
    return true;
}

bool x402_live_is_same(const struct x402_live *live)
{
    return live->header != NULL && load(&live->header->stamp) == live->stamp;
}

/* -------------------------------------------------------------------------- slots */

/* Tags keep their order: a set is copied from its beginning to its end. */
static uint64_t slot_of(const struct x402_live *live, uint64_t tag)
{
    return (tag >> (TAG_BITS - 32)) * live->capacity >> 32;
}

static uint64_t slot_after(const struct x402_live *live, uint64_t slot)
{
    return slot + 1 < live->capacity ? slot + 1 : 0;
}

static struct x402_live_entry entry_at(const struct x402_live *live, uint64_t slot)
{
    const uint64_t low = load(&live->slots[slot].low);
    const uint64_t high = load(&live->slots[slot].high);

    return (struct x402_live_entry){
        .tag = high >> (64 - TAG_BITS),
        .id = (int64_t)((high & 0xffff) << 32 | low >> 32),
        .until_seconds = (uint32_t)low,
    };
}

static bool is_empty(const struct x402_live *live, uint64_t slot)
{
    return load(&live->slots[slot].low) == 0;
}

static uint64_t low_of(const struct x402_live_entry *entry)
{
    const uint64_t until = entry->until_seconds != 0 ? entry->until_seconds : 1;

    return (uint64_t)entry->id << 32 | until;
}

static void slot_write(struct x402_live *live, uint64_t slot,
                       const struct x402_live_entry *entry)
{
    store(&live->slots[slot].high,
          entry->tag << (64 - TAG_BITS) | (uint64_t)entry->id >> 32);
    store(&live->slots[slot].low, low_of(entry));
}

/* There is one: it is never full. */
static uint64_t slot_free(const struct x402_live *live, uint64_t tag)
{
    uint64_t slot = slot_of(live, tag);

    while (!is_empty(live, slot)) {
        slot = slot_after(live, slot);
    }
    return slot;
}

/* --------------------------------------------------------------------- looking up */

struct x402_live_search x402_live_search(const struct x402_live *live, uint64_t tag)
{
    return (struct x402_live_search){.tag = tag, .slot = slot_of(live, tag)};
}

bool x402_live_next(const struct x402_live *live, struct x402_live_search *search,
                    struct x402_live_entry *out)
{
    while (search->looked < live->capacity && !is_empty(live, search->slot)) {
        const struct x402_live_entry entry = entry_at(live, search->slot);
        search->slot = slot_after(live, search->slot);
        search->looked++;
        if (entry.tag == search->tag) {
            *out = entry;
            return true;
        }
    }
    return false;
}

int64_t x402_live_floor(const struct x402_live *live)
{
    return live->header->floor_seconds;
}

struct x402_live_newest x402_live_newest(const struct x402_live *live)
{
    return live->header->newest;
}

/* ------------------------------------------------------------------------ writing */

static uint64_t left_of(const struct x402_live *live, uint64_t slots)
{
    const uint64_t used = live->header->used + live->header->touched_count;
    const uint64_t most = slots < LIVE_MAX ? slots : LIVE_MAX;

    return used < most ? most - used : 0;
}

/* Beyond three quarters a search takes long. */
uint64_t x402_live_comfort(const struct x402_live *live)
{
    return left_of(live, live->capacity / 4 * 3);
}

uint64_t x402_live_room(const struct x402_live *live)
{
    return left_of(live, live->capacity / 16 * 15);
}

void x402_live_put(struct x402_live *live, const struct x402_live_entry *entry)
{
    const uint64_t slot = slot_free(live, entry->tag);
    const uint64_t count = live->header->touched_count;

    assert(entry->id > 0 && entry->id <= X402_LIVE_ID_MAX);
    if (count < X402_LIVE_TOUCHED_MAX) {
        live->header->touched[count] = (uint32_t)slot;
    }
    store(&live->header->touched_count, count + 1);
    slot_write(live, slot, entry);
    live->last = (struct x402_live_newest){entry->id, entry->tag};
}

bool x402_live_keep(struct x402_live *live, const struct x402_live_entry *entry)
{
    uint64_t slot = slot_of(live, entry->tag);

    for (uint64_t i = 0; i < live->capacity && !is_empty(live, slot); i++) {
        const struct x402_live_entry found = entry_at(live, slot);
        if (found.tag == entry->tag && found.id == entry->id) {
            if (found.until_seconds < entry->until_seconds) {
                store(&live->slots[slot].low, low_of(entry));
            }
            return true;
        }
        slot = slot_after(live, slot);
    }
    return false;
}

static void newest_write(struct x402_live *live, struct x402_live_newest newest)
{
    __atomic_store_n(&live->header->newest.id, newest.id, __ATOMIC_RELEASE);
    store(&live->header->newest.tag, newest.tag);
}

void x402_live_settle(struct x402_live *live)
{
    const uint64_t count = live->header->touched_count;

    if (live->last.id != 0) {
        newest_write(live, live->last);
        live->last = (struct x402_live_newest){0};
    }
    /* Dead between the two, it takes itself for a little less full than it is. */
    store(&live->header->touched_count, 0);
    store(&live->header->used, live->header->used + count);
}

/* ---------------------------------------------------------- after a transaction died
 */

bool x402_live_is_doubtful(const struct x402_live *live)
{
    return load(&live->header->touched_count) != 0;
}

bool x402_live_is_unknowable(const struct x402_live *live)
{
    const uint64_t count = load(&live->header->touched_count);

    if (count > X402_LIVE_TOUCHED_MAX) {
        return true;
    }
    for (uint64_t i = 0; i < count; i++) {
        if (live->header->touched[i] >= live->capacity) {
            return true;
        }
    }
    return false;
}

bool x402_live_doubt(struct x402_live *live, struct x402_live_entry *out)
{
    const uint64_t count = live->header->touched_count;

    if (count == 0) {
        return false;
    }
    *out = entry_at(live, live->header->touched[count - 1]);
    live->last = (struct x402_live_newest){out->id, out->tag};
    return true;
}

void x402_live_undo(struct x402_live *live)
{
    const uint64_t count = live->header->touched_count;
    struct x402_live_slot *slot;

    assert(count > 0);
    slot = &live->slots[live->header->touched[count - 1]];
    store(&slot->low, 0);
    store(&slot->high, 0);
    store(&live->header->touched_count, count - 1);
    live->last = (struct x402_live_newest){0};
}

/* ----------------------------------------------------------------------- building */

int x402_live_survivors(const struct x402_live *live, int64_t floor_seconds,
                        struct x402_live_entry **out, size_t *count)
{
    struct x402_live_entry *entries;
    size_t kept = 0, size = 0;

    for (uint64_t slot = 0; slot < live->capacity; slot++) {
        size += !is_empty(live, slot);
    }
    entries = malloc((size + 1) * sizeof(*entries));
    if (entries == NULL) {
        return ENOMEM;
    }
    for (uint64_t slot = 0; slot < live->capacity; slot++) {
        const struct x402_live_entry entry = entry_at(live, slot);
        if (!is_empty(live, slot) && entry.until_seconds > floor_seconds) {
            entries[kept++] = entry;
        }
    }
    *out = entries;
    *count = kept;
    return 0;
}

/* Half empty, nearly. 0 when it would be more than there may be. */
static uint64_t capacity_for(uint64_t count)
{
    const uint64_t capacity = count / 9 * 20 + 20;

    if (count > LIVE_MAX) {
        return 0;
    }
    return capacity > CAPACITY_MIN ? capacity : CAPACITY_MIN;
}

/* The file never gets shorter: others may have it mapped. */
static int file_extend(const struct x402_live *live, uint64_t capacity)
{
    const uint64_t size = SLOTS_OFFSET + (capacity + 1) * sizeof(struct x402_live_slot);

    return posix_fallocate(live->fd, 0, (off_t)size);
}

static void fill(struct x402_live *live, const struct x402_live_building *building)
{
    struct x402_live_header *header = live->header;

    memset(live->slots, 0, live->capacity * sizeof(live->slots[0]));
    for (size_t i = 0; i < building->count; i++) {
        slot_write(live, slot_free(live, building->entries[i].tag),
                   &building->entries[i]);
    }
    header->magic = MAGIC;
    memcpy(header->boot16, live->boot16, sizeof(header->boot16));
    header->used = building->count;
    header->floor_seconds = building->floor_seconds;
    header->newest = building->newest;
    header->touched_count = 0;
    live->last = (struct x402_live_newest){0};
}

int x402_live_build(struct x402_live *live, const struct x402_live_building *building)
{
    const uint64_t left = building->count < LIVE_MAX ? LIVE_MAX - building->count : 0;
    const uint64_t room = building->room < left ? building->room : left;
    const uint64_t capacity = capacity_for(building->count + room);
    int number;

    assert(building->stamp != 0);
    if (capacity == 0) {
        return ENOSPC;
    }
    number = file_extend(live, capacity);
    if (number == 0) {
        number = map(live);
    }
    if (number != 0) {
        return number;
    }
    store(&live->header->stamp, 0);
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* a store only keeps back earlier ones */
    live->header->capacity = live->capacity = capacity;
    fill(live, building);
    store(&live->slots[capacity].high, building->stamp);
    live->stamp = building->stamp;
    store(&live->header->stamp, building->stamp);
    return 0;
}
