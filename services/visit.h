/* A page that a caller names, from its URL to what it says. */
#ifndef X402_SERVICES_VISIT_H
#define X402_SERVICES_VISIT_H

#include "fetch.h"
#include "http.h"
#include "page.h"

/*
 * Fetches and reads a page; `found_at` is its URL after redirects. False when it cannot
 * be had: then a problem is answered, and there is nothing to free. Otherwise the page
 * is the caller's to page_free. Blocks as fetch() does; any thread.
 */
bool visit(struct page *page, char found_at[FETCH_URL_MAX],
           struct service_answer *answer, struct x402_slice url);

#endif
