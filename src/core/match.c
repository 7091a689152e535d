#include <x402/money.h>
#include <x402/verify.h>

#include <assert.h>
#include <string.h>

/* Where each dialect says what is compared, for the caller who has to mend it. */
static const struct names {
    const char *scheme;
    const char *network;
    const char *to;
    const char *value;
    const char *valid_after;
    const char *valid_before;
} names[] = {
    [X402_DIALECT_V2] = {"accepted.scheme", "accepted.network",
                         "payload.authorization.to", "payload.authorization.value",
                         "payload.authorization.validAfter",
                         "payload.authorization.validBefore"},
    [X402_DIALECT_V1] = {"scheme", "network", "payload.authorization.to",
                         "payload.authorization.value",
                         "payload.authorization.validAfter",
                         "payload.authorization.validBefore"},
    [X402_DIALECT_FLAT] = {NULL, NULL, NULL, "amount", NULL, "expiry"},
};

static enum x402_error refuse(struct x402_problem *why, enum x402_error error,
                              const char *field, const char *expected)
{
    *why = (struct x402_problem){error, field, expected};
    return error;
}

static bool same_address(const uint8_t a20[20], const uint8_t b20[20])
{
    return memcmp(a20, b20, 20) == 0;
}

static bool same_network(const struct x402_network *network,
                         const struct x402_payment *payment)
{
    switch (payment->dialect) {
    case X402_DIALECT_V2:
        return payment->chain_id != 0 && payment->chain_id == network->chain_id;
    case X402_DIALECT_V1:
        return payment->network[0] != '\0' &&
               strcmp(payment->network, network->name) == 0;
    case X402_DIALECT_FLAT:
        return true;
    }
    assert(false);
    return false;
}

/* Which amounts will do. */
enum amounts {
    AMOUNTS_EXACT, /* of the offer; the flat form may exceed it */
    AMOUNTS_MORE,  /* any that is not less */
};

static bool value_pays(const struct x402_accept *accept,
                       const struct x402_payment *payment, enum amounts amounts)
{
    if (payment->dialect == X402_DIALECT_FLAT || amounts == AMOUNTS_MORE)
        return payment->value >= accept->value && payment->value <= X402_VALUE_MAX;
    return payment->value == accept->value;
}

/* What only v2 repeats: the terms it says it accepted. */
static enum x402_error match_accepted(struct x402_problem *why,
                                      const struct x402_accept *accept,
                                      const struct x402_payment *payment,
                                      enum amounts amounts)
{
    uint64_t value = amounts == AMOUNTS_EXACT ? accept->value : payment->value;

    if (!same_address(payment->accepted_asset20, accept->network.asset20))
        return refuse(why, X402_ERR_ASSET, "accepted.asset", "an asset of the offer");
    if (!same_address(payment->accepted_pay_to20, accept->pay_to20))
        return refuse(why, X402_ERR_PAYEE, "accepted.payTo", "the payee of the offer");
    if (payment->accepted_value != value)
        return refuse(why, X402_ERR_VALUE, "accepted.amount",
                      "exactly the amount of the offer");
    return X402_OK;
}

static enum x402_error match_accept(struct x402_problem *why,
                                    const struct x402_accept *accept,
                                    const struct x402_payment *payment,
                                    enum amounts amounts)
{
    const struct names *name = &names[payment->dialect];
    bool flat = payment->dialect == X402_DIALECT_FLAT;

    if (!same_network(&accept->network, payment))
        return refuse(why, X402_ERR_NETWORK, name->network, "a network of the offer");
    if (payment->dialect == X402_DIALECT_V2) {
        enum x402_error error = match_accepted(why, accept, payment, amounts);
        if (error != X402_OK)
            return error;
    }
    if (!flat && !same_address(payment->to20, accept->pay_to20))
        return refuse(why, X402_ERR_PAYEE, name->to, "the payee of the offer");
    if (!value_pays(accept, payment, amounts))
        return refuse(why, X402_ERR_VALUE, name->value,
                      flat ? "at least the amount of the offer"
                           : "exactly the amount of the offer");
    return X402_OK;
}

/* The first entry that agrees; if none does, the objection of the one that agrees
 * furthest. The error codes are listed in the order of comparison. */
static enum x402_error find_accept(const struct x402_accept **out,
                                   struct x402_problem *why,
                                   const struct x402_offer *offer,
                                   const struct x402_payment *payment,
                                   enum amounts amounts)
{
    size_t count = payment->dialect == X402_DIALECT_FLAT ? 1 : offer->accepts_count;
    struct x402_problem furthest = {X402_OK, NULL, NULL};
    struct x402_problem problem;

    for (size_t i = 0; i < count; i++) {
        if (match_accept(&problem, &offer->accepts[i], payment, amounts) == X402_OK) {
            *out = &offer->accepts[i];
            return X402_OK;
        }
        if (problem.error > furthest.error)
            furthest = problem;
    }
    *why = furthest;
    return furthest.error;
}

_Static_assert(X402_ERR_NETWORK < X402_ERR_ASSET && X402_ERR_ASSET < X402_ERR_PAYEE &&
                   X402_ERR_PAYEE < X402_ERR_VALUE,
               "find_accept compares how far an entry agreed");

/* Whether there is less validity left than the offer asks for, or none. */
static bool is_ending(const struct x402_offer *offer,
                      const struct x402_payment *payment, uint64_t now_seconds)
{
    return payment->valid_before_seconds < now_seconds + offer->window_min_seconds;
}

/* EIP-3009 demands now > validAfter and now < validBefore. */
static enum x402_error match_window(struct x402_problem *why,
                                    const struct x402_offer *offer,
                                    const struct x402_payment *payment,
                                    uint64_t now_seconds)
{
    const struct names *name = &names[payment->dialect];

    if (payment->valid_after_seconds >= now_seconds)
        return refuse(why, X402_ERR_VALID_AFTER, name->valid_after,
                      "a time that has passed");
    if (is_ending(offer, payment, now_seconds))
        return refuse(why, X402_ERR_VALID_BEFORE, name->valid_before,
                      "a later time: it would expire before it settles");
    if (payment->valid_before_seconds > now_seconds + offer->window_max_seconds)
        return refuse(why, X402_ERR_VALID_BEFORE, name->valid_before,
                      "an earlier time: it is valid for too long");
    return X402_OK;
}

bool x402_match_late(const struct x402_accept **out, const struct x402_offer *offer,
                     const struct x402_payment *payment, uint64_t now_seconds,
                     uint64_t since_max_seconds)
{
    const struct x402_accept *accept = NULL;
    struct x402_problem why;

    assert(now_seconds <= X402_VALUE_MAX && since_max_seconds <= now_seconds);
    if (payment->scheme != X402_SCHEME_EXACT ||
        payment->valid_after_seconds >= now_seconds ||
        payment->valid_before_seconds > now_seconds + offer->window_max_seconds ||
        payment->valid_before_seconds <= now_seconds - since_max_seconds ||
        (!is_ending(offer, payment, now_seconds) &&
         find_accept(&accept, &why, offer, payment, AMOUNTS_EXACT) == X402_OK) ||
        find_accept(&accept, &why, offer, payment, AMOUNTS_MORE) != X402_OK)
        return false;
    *out = accept;
    return true;
}

enum x402_error x402_match(const struct x402_accept **out, struct x402_problem *why,
                           const struct x402_offer *offer,
                           const struct x402_payment *payment, uint64_t now_seconds)
{
    const struct x402_accept *accept = NULL;

    assert(offer->accepts_count >= 1 && offer->accepts_count <= X402_ACCEPTS_MAX);
    assert(now_seconds <= X402_VALUE_MAX);
    if (payment->scheme != X402_SCHEME_EXACT)
        return refuse(why, X402_ERR_SCHEME, names[payment->dialect].scheme,
                      "the scheme exact");
    enum x402_error error = find_accept(&accept, why, offer, payment, AMOUNTS_EXACT);
    if (error == X402_OK)
        error = match_window(why, offer, payment, now_seconds);
    if (error == X402_OK)
        *out = accept;
    return error;
}
