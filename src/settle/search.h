/*
 * Where on the chain the log of a used authorization is, looked for from the latest
 * block down to the first, a few queries a pass. What is remembered between passes, as
 * numbers only. Pure; any thread.
 *
 * Nothing found means nothing: a node may keep no logs that old, or answer for a head
 * that is behind. So a search never ends, it begins again.
 */
#ifndef X402_SETTLE_SEARCH_H
#define X402_SETTLE_SEARCH_H

#include <stdbool.h>
#include <stdint.h>

#define X402_LOGS_SPAN 5000 /* blocks a query, halved where a node wants less */
#define X402_LOGS_SPAN_MIN 10

struct x402_search {
    bool begun;
    uint64_t top;   /* blocks from `below` up to this one were searched */
    uint64_t below; /* what comes next ends before this block; 0: all was searched */
};

struct x402_range {
    uint64_t first, last; /* blocks, both included */
};

/*
 * The range at the chain's top, where what is looked for mostly is. It is searched
 * again at each try: new blocks come, and logs lag them. A search that was left for so
 * long that blocks between would never be searched begins anew.
 */
struct x402_range x402_search_top(struct x402_search *search, uint64_t latest,
                                  uint64_t span);

/* The next range below what was searched; false when the first block was. */
bool x402_search_down(const struct x402_search *search, struct x402_range *out,
                      uint64_t span);

/* A range was searched in vain. */
void x402_search_note(struct x402_search *search, const struct x402_range *range);

#endif
