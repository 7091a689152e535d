/*
 * The main text of a parsed page, chosen as readers' views of browsers do: paragraphs
 * give points to what holds them, for their length and less for their links; what has
 * most is the article.
 */
#ifndef X402_SERVICES_ARTICLE_H
#define X402_SERVICES_ARTICLE_H

#include "buffer.h"

#include <libxml/tree.h>

/* Adds text, white space collapsed and what cannot be seen left out. */
void article_add_collapsed(struct buffer *out, const char *zero_terminated);

/*
 * Adds the paragraphs of the article below `root`, a newline after each; nothing when
 * there is no text. Writes to `_private` of the nodes.
 */
void article_read(struct buffer *out, xmlNode *root);

#endif
