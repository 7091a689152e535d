/*
 * What a ledger backend provides. ledger.c picks one by the path's scheme and forwards;
 * the contracts are those of ledger.h. A backend embeds struct x402_ledger as its first
 * member.
 */
#ifndef X402_LEDGER_BACKEND_H
#define X402_LEDGER_BACKEND_H

#include "ledger/activity.h"

struct x402_ledger_backend;

struct x402_ledger {
    const struct x402_ledger_backend *backend;
    char message[X402_LEDGER_MESSAGE_MAX];
};

/* One function for each of ledger.h and activity.h; ledger.c has cleared `message`
 * before. */
struct x402_ledger_backend {
    enum x402_error (*create)(const char *path, unsigned uid, unsigned gid,
                              char message[X402_LEDGER_MESSAGE_MAX]);
    enum x402_error (*open)(struct x402_ledger **out, const char *path,
                            enum x402_ledger_mode mode,
                            char message[X402_LEDGER_MESSAGE_MAX]);
    void (*close)(struct x402_ledger *ledger);

    enum x402_error (*lease_renew)(struct x402_ledger *ledger, const char *owner);
    enum x402_error (*lease_release)(struct x402_ledger *ledger);
    enum x402_error (*commit)(struct x402_ledger *ledger, const char *owner,
                              struct x402_outcome *outcomes, size_t outcomes_count,
                              struct x402_admit *admits, size_t admits_count,
                              x402_gate *gate, void *gate_data);
    void (*post)(struct x402_ledger *ledger);

    enum x402_error (*look)(struct x402_ledger *ledger, struct x402_look *looks,
                            size_t count);
    enum x402_error (*receipt_key)(struct x402_ledger *ledger, uint8_t key32[32]);

    enum x402_error (*signer_acquire)(struct x402_ledger *ledger, uint64_t chain_id,
                                      const uint8_t signer20[20], const char *owner);
    enum x402_error (*signer_release)(struct x402_ledger *ledger, uint64_t chain_id,
                                      const uint8_t signer20[20]);
    enum x402_error (*signer_owner)(struct x402_ledger *ledger,
                                    char owner[X402_ROUTE_MAX], uint64_t chain_id,
                                    const uint8_t signer20[20]);
    enum x402_error (*signer_evict)(struct x402_ledger *ledger, uint64_t chain_id,
                                    const uint8_t signer20[20], const char *owner);
    enum x402_error (*due)(struct x402_ledger *ledger, uint64_t chain_id,
                           struct x402_settlement *out, size_t max, size_t *count);
    enum x402_error (*submit)(struct x402_ledger *ledger, struct x402_outbox *outbox,
                              const int64_t *payment_ids, size_t payments_count);
    enum x402_error (*outbox_next)(struct x402_ledger *ledger, struct x402_outbox *out,
                                   uint64_t chain_id, const uint8_t signer20[20],
                                   int64_t after_id);
    enum x402_error (*outbox_find)(struct x402_ledger *ledger, struct x402_outbox *out,
                                   int64_t transaction_id);
    enum x402_error (*nonce_next)(struct x402_ledger *ledger, uint64_t *out,
                                  uint64_t chain_id, const uint8_t signer20[20]);
    enum x402_error (*outbox_payments)(struct x402_ledger *ledger,
                                       int64_t transaction_id,
                                       struct x402_settlement *out, size_t max,
                                       size_t *count);
    enum x402_error (*strays)(struct x402_ledger *ledger, uint64_t chain_id,
                              const uint8_t signer20[20],
                              const struct x402_settlement *after,
                              struct x402_settlement *out, size_t max, size_t *count);
    enum x402_error (*advance)(struct x402_ledger *ledger,
                               struct x402_verdict *verdicts, size_t count);
    enum x402_error (*settled)(struct x402_ledger *ledger, uint64_t chain_id,
                               uint64_t block_number, const struct x402_settled *after,
                               struct x402_settled *out, size_t max, size_t *count);
    enum x402_error (*payers_wanted)(struct x402_ledger *ledger, uint64_t chain_id,
                                     struct x402_payer *out, size_t max, size_t *count);
    enum x402_error (*payers_seen)(struct x402_ledger *ledger, uint64_t chain_id,
                                   const struct x402_sighting *sightings, size_t count);
    enum x402_error (*tidy)(struct x402_ledger *ledger);

    enum x402_error (*totals)(struct x402_ledger *ledger, struct x402_totals *out,
                              size_t max, size_t *count);
    enum x402_error (*payments)(
        struct x402_ledger *ledger, const struct x402_payment_filter *filter,
        bool (*each)(const struct x402_payment_row *row, void *data), void *data);
    enum x402_error (*payment)(struct x402_ledger *ledger, struct x402_payment_row *out,
                               int64_t payment_id);
    enum x402_error (*earnings)(
        struct x402_ledger *ledger, int64_t first_day, int64_t last_day,
        bool (*each)(const struct x402_earning *earning, void *data), void *data);
    enum x402_error (*books)(struct x402_ledger *ledger,
                             char message[X402_LEDGER_MESSAGE_MAX]);

    enum x402_error (*note)(struct x402_ledger *ledger,
                            const struct x402_activity *activity);
    enum x402_error (*sales)(struct x402_ledger *ledger, int64_t first_hour,
                             int64_t last_hour,
                             bool (*each)(int64_t hour, const struct x402_sales *sales,
                                          void *data),
                             void *data);
    enum x402_error (*activity)(struct x402_ledger *ledger, int64_t first_hour,
                                int64_t last_hour, uint64_t refusals[X402_ERROR_COUNT],
                                struct x402_histogram measures[X402_MEASURE_COUNT]);
    enum x402_error (*settler_note)(struct x402_ledger *ledger,
                                    const struct x402_settler_state *state);
    enum x402_error (*settlers)(struct x402_ledger *ledger,
                                struct x402_settler_state *out, size_t max,
                                size_t *count);
};

extern const struct x402_ledger_backend x402_ledger_sqlite;

#endif
