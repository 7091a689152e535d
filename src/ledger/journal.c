#include "ledger/journal.h"

#include <string.h>

#define HEAD_SIZE (8 + 8 + 4 + 4)
#define OUTCOME_SIZE (8 + 16 + 1)
#define ADMISSION_FIXED_SIZE (8 + 8 + 20 + 32 + 20 + 8 + 8 + 8 + 65 + 1 + 1 + 16 + 1)
#define ADMISSION_SIZE (ADMISSION_FIXED_SIZE + X402_ROUTE_MAX - 1)

_Static_assert(X402_ROUTE_MAX <= 256, "a route's size is one byte");

size_t x402_journal_size_max(size_t outcomes, size_t admissions)
{
    return HEAD_SIZE + outcomes * OUTCOME_SIZE + admissions * ADMISSION_SIZE;
}

/* ------------------------------------------------------------------------- writing */

static uint8_t *put(uint8_t *at, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        at[i] = (uint8_t)(number >> (8 * i));
    }
    return at + size;
}

static uint8_t *put_bytes(uint8_t *at, const void *bytes, size_t size)
{
    memcpy(at, bytes, size);
    return at + size;
}

uint8_t *x402_journal_head_put(uint8_t *at, const struct x402_journal_head *head)
{
    at = put(at, (uint64_t)head->at_seconds, 8);
    at = put(at, (uint64_t)head->lease_id, 8);
    at = put(at, head->outcomes, 4);
    return put(at, head->admissions, 4);
}

uint8_t *x402_journal_outcome_put(uint8_t *at, const struct x402_outcome *outcome)
{
    at = put(at, (uint64_t)outcome->payment_id, 8);
    at = put_bytes(at, outcome->attempt16, 16);
    return put(at, outcome->event, 1);
}

uint8_t *x402_journal_admission_put(uint8_t *at, int64_t token_id,
                                    const struct x402_admit *admit)
{
    const struct x402_verified *verified = &admit->verified;
    const size_t route_size = strnlen(admit->route, X402_ROUTE_MAX - 1);

    at = put(at, (uint64_t)token_id, 8);
    at = put(at, verified->chain_id, 8);
    at = put_bytes(at, verified->from20, 20);
    at = put_bytes(at, verified->nonce32, 32);
    at = put_bytes(at, verified->to20, 20);
    at = put(at, verified->value, 8);
    at = put(at, verified->valid_after_seconds, 8);
    at = put(at, verified->valid_before_seconds, 8);
    at = put_bytes(at, verified->signature65, 65);
    at = put(at, verified->dialect, 1);
    at = put(at, verified->scheme, 1);
    at = put_bytes(at, admit->attempt16, 16);
    at = put(at, route_size, 1);
    return put_bytes(at, admit->route, route_size);
}

/* ------------------------------------------------------------------------- reading */

static const uint8_t *take(struct x402_journal_rest *rest, size_t size)
{
    const uint8_t *at = rest->at;

    if (at == NULL || rest->size < size) {
        rest->at = NULL;
        return NULL;
    }
    rest->at += size;
    rest->size -= size;
    return at;
}

static uint64_t take_number(struct x402_journal_rest *rest, size_t size)
{
    const uint8_t *at = take(rest, size);
    uint64_t number = 0;

    for (size_t i = 0; at != NULL && i < size; i++) {
        number |= (uint64_t)at[i] << (8 * i);
    }
    return number;
}

static void take_bytes(struct x402_journal_rest *rest, void *out, size_t size)
{
    const uint8_t *at = take(rest, size);

    if (at != NULL) {
        memcpy(out, at, size);
    }
}

struct x402_journal_head x402_journal_head_take(struct x402_journal_rest *rest)
{
    struct x402_journal_head head;

    head.at_seconds = (int64_t)take_number(rest, 8);
    head.lease_id = (int64_t)take_number(rest, 8);
    head.outcomes = (uint32_t)take_number(rest, 4);
    head.admissions = (uint32_t)take_number(rest, 4);
    return head;
}

struct x402_outcome x402_journal_outcome_take(struct x402_journal_rest *rest)
{
    struct x402_outcome outcome = {.payment_id = (int64_t)take_number(rest, 8)};

    take_bytes(rest, outcome.attempt16, 16);
    outcome.event = (enum x402_event)take_number(rest, 1);
    if (outcome.event != X402_EVENT_DELIVERED && outcome.event != X402_EVENT_VOID) {
        rest->at = NULL;
    }
    return outcome;
}

int64_t x402_journal_admission_take(struct x402_journal_rest *rest,
                                    struct x402_admit *admit)
{
    struct x402_verified *verified = &admit->verified;
    const int64_t token_id = (int64_t)take_number(rest, 8);
    size_t route_size;

    verified->chain_id = take_number(rest, 8);
    take_bytes(rest, verified->from20, 20);
    take_bytes(rest, verified->nonce32, 32);
    take_bytes(rest, verified->to20, 20);
    verified->value = take_number(rest, 8);
    verified->valid_after_seconds = take_number(rest, 8);
    verified->valid_before_seconds = take_number(rest, 8);
    take_bytes(rest, verified->signature65, 65);
    verified->dialect = (enum x402_dialect)take_number(rest, 1);
    verified->scheme = (enum x402_scheme)take_number(rest, 1);
    take_bytes(rest, admit->attempt16, 16);
    route_size = take_number(rest, 1);
    if (route_size >= X402_ROUTE_MAX) {
        rest->at = NULL;
        return token_id;
    }
    take_bytes(rest, admit->route, route_size);
    admit->route[route_size] = '\0';
    return token_id;
}
