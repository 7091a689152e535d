/* What a web page says: its title and names, and its main text. Over libxml2. */
#ifndef X402_SERVICES_PAGE_H
#define X402_SERVICES_PAGE_H

#include <stdbool.h>
#include <stddef.h>

/* Zero-terminated UTF-8, white space collapsed; "" where the page says nothing. */
struct page {
    char *title;       /* og:title, else <title>, else the first heading */
    char *description; /* og:description, else the description */
    char *site;        /* og:site_name, else the host */
    char *text;        /* the main text: paragraphs, divided by a newline */
};

/*
 * Reads HTML of any quality, in the character set of `type` (a Content-Type), of its
 * own meta element, or UTF-8; `url` is where it came from. Plain text is taken as it
 * is. Bounded in depth and size; false when out of memory or when it is neither HTML
 * nor text. Free with page_free, also after false.
 */
bool page_read(struct page *out, const char *body, size_t size, const char *type,
               const char *url);
void page_free(struct page *page);

#endif
