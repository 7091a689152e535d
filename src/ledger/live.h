/*
 * The set of live authorizations: which payment a key (token, payer, nonce) belongs to,
 * for as long as its authorization may be presented. A hash table in a file beside the
 * ledger that all who admit payments map; 16 bytes an entry. It stands in for a unique
 * index over keys, whose random pages were most of what a payment cost. It knows no
 * SQLite: sqlite_live.c keeps it in step with the ledger.
 *
 * Nothing here locks: everything is called inside the ledger's write transaction, and
 * the ledger's write lock is the set's. (Reading beside it is for the books, see
 * below.)
 *
 * An entry is a hint that is never believed: whoever finds a tag reads the payment it
 * names and compares its key. So an entry too many does no harm. One too few would let
 * a payment be served twice. Why none is missing, wherever a process dies:
 *
 * - Before its entry is put: the row of the payment was inserted and not committed, so
 *   SQLite rolls it back, and nobody was served.
 * - In the midst of putting it: the same; the slot was noted in `touched` before it was
 *   written, so the next who begins sees it, finds no such payment and empties it.
 * - After it, before the commit: the same.
 * - In the midst of the commit: that is whole or nothing, and the entry is there. The
 *   next asks the ledger whether the payment is, too.
 * - After the commit: the entry is there; the next finds the payment.
 * - In the midst of emptying what was rolled back: what was put last is emptied first,
 *   and only while its payment is not there, so no entry that stays was put behind one
 *   that goes. The next goes on with the rest.
 * - In the midst of building it anew: the stamp is zero meanwhile, which no ledger has,
 *   so the next builds it again.
 * - Built anew, before the commit: the ledger does not name the new stamp; likewise.
 *
 * A process that is killed leaves its writes to the system's memory; only a restart of
 * the machine loses them, and then the boot id is another. A set counts only when the
 * ledger names its stamp, random, made with each building, and when the ledger's newest
 * payment is the one it had last: so no deleted, copied, restored or old file, and no
 * ledger that was restored, replaced or written to by a program that knows no set, can
 * pass. What does not count is built anew from the ledger's rows.
 *
 * Dropped is, when it is built anew, what can be presented no more by the clock: until
 * floor_seconds, which lies a little in the past. A clock set back below it has the set
 * built again, so that what can be presented again is back in it.
 *
 * The file must not be cut short by others. That is looked at when a transaction
 * begins: the stamp ends its slots, too, so that it shows even when the file is
 * longer again. A process that has it cut while it is at it dies of SIGBUS, which is a
 * death like others. Space is allocated when it is built: writing to it needs none.
 */
#ifndef X402_LEDGER_LIVE_H
#define X402_LEDGER_LIVE_H

#include <x402/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Entries of one transaction; with more, a death in it has the set built anew. */
#define X402_LIVE_TOUCHED_MAX 8192
#define X402_LIVE_MAX (UINT64_C(64) << 20) /* entries; full, payments are refused */
#define X402_LIVE_TAG_BITS 48
#define X402_LIVE_ID_MAX ((INT64_C(1) << 48) - 1)
#define X402_LIVE_SLACK_SECONDS 60 /* remembered so long after it is over */

#ifdef X402_TEST_CLOCK
/* For tests: how many entries there may be, and in which bits their tags differ. */
extern struct x402_live_bounds {
    uint64_t max, tag_mask;
} x402_live_bounds;
#endif

struct x402_live_entry {
    uint64_t tag;           /* X402_LIVE_TAG_BITS of a keyed hash; may collide */
    int64_t id;             /* of the payment; from 1 to X402_LIVE_ID_MAX */
    uint32_t until_seconds; /* may be dropped after; UINT32_MAX never is */
};

/* Which payment the ledger had last: all zeros where it has none. */
struct x402_live_newest {
    int64_t id;
    uint64_t tag;
};

struct x402_live_header;
struct x402_live_slot;

/* One process's view of the file. All zeros but fd, -1, is none. */
struct x402_live {
    int fd;
    bool writes;
    uint8_t boot16[16];
    struct x402_live_header *header; /* NULL while nothing is mapped */
    struct x402_live_slot *slots;
    size_t mapped_size;
    uint64_t stamp, capacity;     /* as x402_live_counts saw them */
    struct x402_live_newest last; /* put in this transaction */
};

/*
 * Opens the set at `path`, and to write, makes the file (mode 0600) where it is not.
 * 0 or an errno. The descriptor is the set's until x402_live_close.
 */
X402_MUST_USE int x402_live_open(struct x402_live *live, const char *path, bool writes);
void x402_live_close(struct x402_live *live);

/* Whether it is still the one that counted: for who reads beside who writes. */
bool x402_live_is_same(const struct x402_live *live);

/* Whether the file is whole, of this boot, and of this stamp. Maps it; else no other
 * function but x402_live_build and x402_live_close may be called. */
X402_MUST_USE bool x402_live_counts(struct x402_live *live, uint64_t stamp);

/* ------------------------------------------------------------------ looking up */

struct x402_live_search {
    uint64_t tag;
    uint64_t slot;   /* to look at next */
    uint64_t looked; /* at so many */
};

struct x402_live_search x402_live_search(const struct x402_live *live, uint64_t tag);
/* The next entry with the tag: false after the last. */
bool x402_live_next(const struct x402_live *live, struct x402_live_search *search,
                    struct x402_live_entry *out);

/* Below or at this, what is not in the set may have been dropped. */
int64_t x402_live_floor(const struct x402_live *live);
struct x402_live_newest x402_live_newest(const struct x402_live *live);

/* --------------------------------------------------------------------- writing */

/* How many can be put before it is too full to be quick, and before it is full. */
uint64_t x402_live_comfort(const struct x402_live *live);
uint64_t x402_live_room(const struct x402_live *live);

/* Adds an entry; there must be room. In force, unless x402_live_undo, at once. */
void x402_live_put(struct x402_live *live, const struct x402_live_entry *entry);
/* The entry of a tag and an id is kept until then at least. False where there is none.
 */
bool x402_live_keep(struct x402_live *live, const struct x402_live_entry *entry);
/* What was put since is in the ledger, and stays. */
void x402_live_settle(struct x402_live *live);

/*
 * What a transaction put whose end is not known, by one that died or did not learn it:
 * from the last to the first, ask the ledger for each, then x402_live_undo those that
 * are not there up to the first that is, then x402_live_settle.
 */
bool x402_live_is_doubtful(const struct x402_live *live);
/* They were too many to note, or the note is damaged: it must be built anew. */
bool x402_live_is_unknowable(const struct x402_live *live);
/* The last put; false where there is none. */
bool x402_live_doubt(struct x402_live *live, struct x402_live_entry *out);
void x402_live_undo(struct x402_live *live);

/* What is kept longer than `floor_seconds`: `*out` is the caller's, to free. 0 or
 * ENOMEM. */
X402_MUST_USE int x402_live_survivors(const struct x402_live *live,
                                      int64_t floor_seconds,
                                      struct x402_live_entry **out, size_t *count);

struct x402_live_building {
    uint64_t stamp; /* not zero */
    int64_t floor_seconds;
    struct x402_live_newest newest;
    const struct x402_live_entry *entries; /* at most X402_LIVE_MAX; the rest is left
                                              out and is ENOSPC */
    size_t count;
    size_t room; /* for so many more, in comfort, or as many as are allowed */
};

/*
 * Builds the set anew, in place. 0 or an errno: then what was there is as it was, if
 * the room for more could not be had (ENOSPC), and else does not count any more.
 */
X402_MUST_USE int x402_live_build(struct x402_live *live,
                                  const struct x402_live_building *building);

#endif
