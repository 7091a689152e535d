/*
 * The sentences of a text that say most of it, without a model: TextRank (Mihalcea and
 * Tarau, "TextRank: Bringing Order into Texts", 2004). A sentence counts for as much as
 * those count that share words with it. Deterministic; any thread.
 */
#ifndef X402_SERVICES_SUMMARY_H
#define X402_SERVICES_SUMMARY_H

#include <x402/bytes.h>

#define SUMMARY_SENTENCES 3
#define SUMMARY_RANKED_MAX 400 /* sentences looked at, from the text's start */

/*
 * Writes up to `max` sentences of UTF-8 text, from its start, and returns how many.
 * They borrow from the text, and have no white space at their ends. A newline ends a
 * sentence; so do . ! ? and those of other scripts, but for abbreviations, initials and
 * decimals, as far as they are known.
 */
size_t summary_split(struct x402_slice *out, size_t max, struct x402_slice text);

/*
 * Writes the best sentences, in the order of the text, and how many: 0 for a text
 * without words. They borrow from it. False when out of memory.
 */
X402_MUST_USE bool summary_make(struct x402_slice out[SUMMARY_SENTENCES], size_t *count,
                                struct x402_slice text);

#endif
