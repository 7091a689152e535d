#include "settle/search.h"

#include <assert.h>

/* `span` blocks up to and with `last`, or as many as there are. */
static struct x402_range range_to(uint64_t last, uint64_t span)
{
    assert(span > 0);
    return (struct x402_range){last < span ? 0 : last - span + 1, last};
}

struct x402_range x402_search_top(struct x402_search *search, uint64_t latest,
                                  uint64_t span)
{
    struct x402_range range = range_to(latest, span);

    /* The chain may have gone back, too. */
    if (search->begun && (range.first > search->top + 1 || latest < search->below))
        search->begun = false;
    return range;
}

bool x402_search_down(const struct x402_search *search, struct x402_range *out,
                      uint64_t span)
{
    assert(search->begun);
    if (search->below == 0)
        return false;
    *out = range_to(search->below - 1, span);
    return true;
}

void x402_search_note(struct x402_search *search, const struct x402_range *range)
{
    if (!search->begun)
        *search = (struct x402_search){true, range->last, range->first};
    if (range->last > search->top)
        search->top = range->last;
    if (range->first < search->below)
        search->below = range->first;
}
