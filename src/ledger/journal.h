/*
 * The bytes of a row of the journal (sqlite_journal.c): when and under which lease a
 * batch was committed, the outcomes it told, and what it admitted, in this order.
 * Numbers are little-endian, so that a ledger may move to another machine. Pure.
 */
#ifndef X402_LEDGER_JOURNAL_H
#define X402_LEDGER_JOURNAL_H

#include "ledger/ledger.h"

struct x402_journal_head {
    int64_t at_seconds;
    int64_t lease_id;
    uint32_t outcomes, admissions; /* how many follow */
};

/* Bytes for so many, at most. */
size_t x402_journal_size_max(size_t outcomes, size_t admissions);

/* Each writes at `at`, where there must be room, and returns where to go on. */
uint8_t *x402_journal_head_put(uint8_t *at, const struct x402_journal_head *head);
uint8_t *x402_journal_outcome_put(uint8_t *at, const struct x402_outcome *outcome);
/* What was presented, of a token with this id in the ledger, and its attempt. */
uint8_t *x402_journal_admission_put(uint8_t *at, int64_t token_id,
                                    const struct x402_admit *admit);

/* What is left to read. `at` is NULL once there was less than was to be read, or what
 * cannot be. */
struct x402_journal_rest {
    const uint8_t *at;
    size_t size;
};

struct x402_journal_head x402_journal_head_take(struct x402_journal_rest *rest);
struct x402_outcome x402_journal_outcome_take(struct x402_journal_rest *rest);
/* Writes what was put into `admit`, and returns the token's id. */
int64_t x402_journal_admission_take(struct x402_journal_rest *rest,
                                    struct x402_admit *admit);

#endif
