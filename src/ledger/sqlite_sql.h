/*
 * Every statement the SQLite backend keeps prepared: X(symbol, text). Parameters are
 * numbered; the one file that runs a statement says what they are.
 */
#ifndef X402_LEDGER_SQLITE_SQL_H
#define X402_LEDGER_SQLITE_SQL_H

#define X402_SETTLEMENT_COLUMNS                                                        \
    "p.id, p.delivery, p.money, p.chain_id, t.asset, p.payer, p.payee, p.value, "      \
    "p.valid_after, p.valid_before, p.nonce, p.signature, "                            \
    "ifnull(p.transaction_id, 0), p.updated_at, p.dialect, p.route, p.created_at"
#define X402_SETTLEMENT_COLUMNS_COUNT 17

#define X402_OUTBOX_COLUMNS                                                            \
    "id, chain_id, signer, nonce, hash, max_fee, max_priority_fee, gas_limit, "        \
    "submitted_at, replaces_id, block_number, raw"

#define X402_ROW_SELECT                                                                \
    "SELECT " X402_SETTLEMENT_COLUMNS ", p.attempts, "                                 \
    "s.hash, s.block_number, s.gas_used, s.fee, f.reason, "                            \
    "nullif(o.hash, zeroblob(32)) FROM payment p JOIN token t ON t.id = p.token_id "   \
    "LEFT JOIN settled s ON s.payment_id = p.id "                                      \
    "LEFT JOIN failed f ON f.payment_id = p.id "                                       \
    "LEFT JOIN outbox o ON o.id = p.transaction_id "
#define X402_ROWS_QUERY                                                                \
    X402_ROW_SELECT                                                                    \
    "WHERE p.id BETWEEN ?1 AND ?2 AND (?3 < 0 OR p.delivery = ?3) AND "                \
    "(?4 < 0 OR p.money = ?4) AND (?5 IS NULL OR p.payer = ?5) ORDER BY p.id "

#define X402_DUE_QUERY(index, delivery, valid_before)                                  \
    "SELECT " X402_SETTLEMENT_COLUMNS " FROM payment p INDEXED BY " index              \
    " JOIN token t ON t.id = p.token_id WHERE p.money = 1 AND p.delivery " delivery    \
    " AND p.chain_id = ?1 AND p.valid_before " valid_before                            \
    " ?3 ORDER BY p.valid_before LIMIT ?2"

#define X402_SALE_SUMS                                                                 \
    "offered, refused, delivered_count, delivered_value, failed_count, failed_value, " \
    "shadow_count, shadow_value"
#define X402_SETTLER_COLUMNS                                                           \
    "chain_id, signer, owner, remote, heard_at, gas_balance, base_fee, latest_block, " \
    "safe_block, in_flight, trouble"

/* Both as they are indexed: schema-2.sql. */
#define X402_MAY_GO_AT "max(valid_before, updated_at + 86400)"
#define X402_PRUNE_QUERY(index, which)                                                 \
    "SELECT id, token_id, delivery, money, value, payer FROM payment INDEXED "         \
    "BY " index " WHERE " which " AND " X402_MAY_GO_AT " < ?1 AND id < (SELECT "       \
    "max(id) FROM payment) ORDER BY " X402_MAY_GO_AT " LIMIT ?2"

#define X402_SQLITE_STATEMENTS(X)                                                      \
    /* transactions */                                                                 \
    X(BEGIN_WRITE, "BEGIN IMMEDIATE")                                                  \
    X(BEGIN_READ, "BEGIN")                                                             \
    X(COMMIT, "COMMIT")                                                                \
    X(FLOW_READ,                                                                       \
      "SELECT count, value_before, value_after FROM flows WHERE block = ?1 AND "       \
      "token_id = ?2 AND delivery = ?3 AND money = ?4 AND event = ?5")                 \
    X(FLOW_WRITE, "INSERT OR REPLACE INTO flows VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, "  \
                  "?8)")                                                               \
    /* leases */                                                                       \
    X(LEASE_READ, "SELECT expires_at, holder FROM leases WHERE id = ?1")               \
    X(LEASE_TAKE,                                                                      \
      "INSERT INTO leases (owner, expires_at, holder) VALUES (?1, ?2, ?3)")            \
    X(LEASE_EXTEND, "UPDATE leases SET expires_at = ?2, owner = ?3 WHERE id = ?1")     \
    X(LEASE_DROP, "DELETE FROM leases WHERE id = ?1 AND holder = ?2")                  \
    X(LEASE_EXPIRE, "DELETE FROM leases WHERE expires_at <= ?1")                       \
    X(LEASE_LOST,                                                                      \
      "SELECT id, token_id, delivery, money, value, payer, lease_id FROM payment "     \
      "INDEXED BY payment_pending WHERE delivery = 0 AND (lease_id, id) > (?1, ?2) "   \
      "AND lease_id NOT IN (SELECT id FROM leases) ORDER BY lease_id, id LIMIT ?3")    \
    /* admission */                                                                    \
    X(TOKEN_FIND, "SELECT id FROM token WHERE chain_id = ?1 AND asset = ?2")           \
    X(TOKEN_ADD, "INSERT INTO token (chain_id, asset) VALUES (?1, ?2)")                \
    X(TOKEN_READ,                                                                      \
      "SELECT chain_id, payers, unsettled, final_block FROM token WHERE id = ?1")      \
    X(TOKEN_WRITE,                                                                     \
      "UPDATE token SET payers = ?2, unsettled = ?3, final_block = ?4 WHERE id = ?1")  \
    X(PAYER_READ,                                                                      \
      "SELECT unsettled, owed, after_block, wanted_at, seen_at, balance, "             \
      "balance_block, has_code, distrust_until, payments FROM payer WHERE token_id = " \
      "?1 AND payer = ?2")                                                             \
    X(PAYER_ADD, "INSERT INTO payer (token_id, payer, unsettled, owed, after_block, "  \
                 "payments, wanted_at, chain_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, " \
                 "?8)")                                                                \
    X(PAYER_SUMS, "UPDATE payer SET unsettled = ?3, owed = ?4, after_block = ?5, "     \
                  "payments = ?6 WHERE token_id = ?1 AND payer = ?2")                  \
    X(PAYER_WRITE,                                                                     \
      "UPDATE payer SET unsettled = ?3, owed = ?4, after_block = ?5, payments = ?6, "  \
      "wanted_at = ?7, seen_at = ?8, balance = ?9, balance_block = ?10, has_code = "   \
      "?11, distrust_until = ?12 WHERE token_id = ?1 AND payer = ?2")                  \
    X(PAYER_DROP, "DELETE FROM payer WHERE token_id = ?1 AND payer = ?2")              \
    X(PAYMENT_KNOWN,                                                                   \
      "SELECT id, token_id, delivery, money, value, payer, attempt, lease_id, payee, " \
      "valid_before, nonce FROM payment WHERE id = ?1")                                \
    /* the journal */                                                                  \
    X(JOURNAL_LAST, "SELECT id, token_id, payer, nonce, count, value FROM journal "    \
                    "ORDER BY id DESC LIMIT 1")                                        \
    X(JOURNAL_ADD, "INSERT INTO journal VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")          \
    X(JOURNAL_ROWS, "SELECT id, body FROM journal ORDER BY id")                        \
    X(JOURNAL_CLEAR, "DELETE FROM journal")                                            \
    /* the live set */                                                                 \
    X(LIVE_READ,                                                                       \
      "SELECT l.secret, l.stamp, p.id, p.token_id, p.payer, p.nonce FROM live l LEFT " \
      "JOIN payment p ON p.id = (SELECT max(id) FROM payment)")                        \
    X(LIVE_STAMP, "UPDATE live SET stamp = ?1")                                        \
    X(LIVE_ROWS,                                                                       \
      "SELECT p.id, p.token_id, p.payer, p.nonce, p.delivery, p.money, "               \
      "p.valid_before FROM horizon h CROSS JOIN payment p ON p.id BETWEEN h.block * "  \
      "32768 AND h.block * 32768 + 32767 WHERE h.until > ?1 AND p.valid_before > ?1 "  \
      "- 86400")                                                                       \
    X(HORIZON_READ, "SELECT until FROM horizon WHERE block = ?1")                      \
    X(HORIZON_WRITE,                                                                   \
      "INSERT INTO horizon VALUES (?1, ?2) ON CONFLICT (block) DO UPDATE SET until = " \
      "max(until, excluded.until)")                                                    \
    X(PAYMENT_READ, "SELECT id, token_id, delivery, money, value, payer, attempt, "    \
                    "transaction_id FROM payment WHERE id = ?1")                       \
    X(PAYMENT_ROUTE, "SELECT created_at, route FROM payment WHERE id = ?1")            \
    X(PAYMENT_ADD,                                                                     \
      "INSERT INTO payment (token_id, chain_id, payer, nonce, delivery, money, "       \
      "value, payee, valid_after, valid_before, signature, dialect, scheme, route, "   \
      "created_at, updated_at, attempt, attempts, lease_id) VALUES (?1, ?2, ?3, ?4, "  \
      "?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?19, ?15, ?16, ?18, ?17)")         \
    X(ATTEMPT_FORGET, "UPDATE payment SET attempt = zeroblob(16), updated_at = ?2"     \
                      " WHERE id = ?1 AND attempt <> zeroblob(16)")                    \
    X(PAYMENT_PRESENT,                                                                 \
      "UPDATE payment SET delivery = ?5, money = ?6, value = ?7, payee = ?8, "         \
      "valid_after = ?9, valid_before = ?10, signature = ?11, dialect = ?12, "         \
      "scheme = ?13, route = ?14, updated_at = ?15, attempt = ?16, "                   \
      "attempts = attempts + ?18, lease_id = ?17, transaction_id = NULL WHERE "        \
      "id = ?19 AND delivery = ?20 AND money = ?21")                                   \
    X(PAYMENT_SERVE,                                                                   \
      "UPDATE payment SET delivery = ?5, money = ?6, updated_at = ?15, attempt = "     \
      "?16, attempts = attempts + ?18, lease_id = ?17 WHERE id = ?19 AND delivery = "  \
      "?20 AND money = ?21")                                                           \
    X(PAYMENT_MOVE,                                                                    \
      "UPDATE payment SET delivery = ?2, money = ?3, updated_at = ?4, lease_id = "     \
      "iif(?2 = 0, lease_id, 0) WHERE id = ?1 AND delivery = ?5 AND money = ?6")       \
    /* settling */                                                                     \
    X(SIGNER_READ,                                                                     \
      "SELECT holder, expires_at, owner FROM signers WHERE chain_id = ?1 "             \
      "AND signer = ?2")                                                               \
    X(SIGNER_TAKE, "INSERT OR REPLACE INTO signers VALUES (?1, ?2, ?3, ?4, ?5)")       \
    X(SIGNER_DROP, "DELETE FROM signers WHERE chain_id = ?1 AND signer = ?2 AND "      \
                   "holder = ?3")                                                      \
    X(SIGNER_EVICT, "DELETE FROM signers WHERE chain_id = ?1 AND signer = ?2 AND "     \
                    "owner = ?3")                                                      \
    X(DUE_OWED, X402_DUE_QUERY("payment_due_owed", "= 4", ">"))                        \
    X(DUE_OWED_EXPIRED, X402_DUE_QUERY("payment_due_owed", "= 4", "<="))               \
    X(DUE_REST, X402_DUE_QUERY("payment_due_rest", "<> 4", ">"))                       \
    X(DUE_REST_EXPIRED, X402_DUE_QUERY("payment_due_rest", "<> 4", "<="))              \
    X(OUTBOX_NONCE_MAX, "SELECT nonce FROM outbox WHERE chain_id = ?1 AND signer = "   \
                        "?2 ORDER BY nonce DESC LIMIT 1")                              \
    X(OUTBOX_NONCE_FIND, "SELECT id FROM outbox WHERE chain_id = ?1 AND signer = ?2 "  \
                         "AND nonce = ?3 LIMIT 1")                                     \
    X(OUTBOX_ADD,                                                                      \
      "INSERT INTO outbox (chain_id, signer, nonce, hash, max_fee, max_priority_fee, " \
      "gas_limit, submitted_at, replaces_id, open_count, raw) VALUES (?1, ?2, ?3, "    \
      "?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")                                             \
    X(OUTBOX_PAYMENT_ADD, "INSERT INTO outbox_payment (transaction_id, "               \
                          "payment_id) VALUES (?1, ?2)")                               \
    X(OUTBOX_PAYMENT_FIND, "SELECT 1 FROM outbox_payment WHERE transaction_id = ?1 "   \
                           "AND payment_id = ?2")                                      \
    X(OUTBOX_KEY, "SELECT chain_id, signer, nonce FROM outbox WHERE id = ?1")          \
    X(OUTBOX_FIND, "SELECT " X402_OUTBOX_COLUMNS " FROM outbox WHERE id = ?1")         \
    X(OUTBOX_NEXT,                                                                     \
      "SELECT " X402_OUTBOX_COLUMNS " FROM outbox WHERE open_count > 0 AND "           \
      "chain_id = ?1 AND signer = ?2 AND (nonce, id) > (?3, ?4) ORDER BY nonce, id "   \
      "LIMIT 1")                                                                       \
    X(OUTBOX_PAYMENTS,                                                                 \
      "SELECT " X402_SETTLEMENT_COLUMNS " FROM outbox_payment o JOIN payment p ON "    \
      "p.id = o.payment_id JOIN token t ON t.id = p.token_id WHERE "                   \
      "o.transaction_id = ?1 ORDER BY o.payment_id LIMIT ?2")                          \
    X(STRAYS,                                                                          \
      "SELECT " X402_SETTLEMENT_COLUMNS " FROM token t CROSS JOIN payment p INDEXED "  \
      "BY payment_open ON p.token_id = t.id CROSS JOIN outbox o ON o.id = "            \
      "p.transaction_id WHERE t.chain_id = ?1 AND p.money IN (1, 2) AND p.money = 2 "  \
      "AND (p.valid_before, p.id) > (?3, ?4) AND (?2 IS NULL OR o.signer <> ?2 AND "   \
      "NOT EXISTS (SELECT 1 FROM signers g WHERE g.chain_id = ?1 AND g.signer = "      \
      "o.signer AND g.expires_at > ?5)) ORDER BY p.valid_before, p.id LIMIT ?6")       \
    X(OUTBOX_BLOCK, "UPDATE outbox SET block_number = ?2 WHERE id = ?1")               \
    X(OUTBOX_CLOSE_PAYMENT,                                                            \
      "UPDATE outbox SET open_count = open_count - 1 WHERE id IN (SELECT "             \
      "transaction_id FROM outbox_payment WHERE payment_id = ?1 AND closed = 0)")      \
    X(OUTBOX_CLOSED, "UPDATE outbox_payment SET closed = 1 WHERE payment_id = ?1 AND " \
                     "closed = 0")                                                     \
    X(PAYMENT_TRANSACTION, "UPDATE payment SET transaction_id = nullif(?2, 0) WHERE "  \
                           "id = ?1")                                                  \
    X(SETTLED_ADD, "INSERT INTO settled (payment_id, chain_id, hash, block_number, "   \
                   "block_hash, gas_used, fee, nonce) SELECT id, chain_id, ?2, ?3, "   \
                   "?4, ?5, ?6, substr(nonce, 1, 8) FROM payment WHERE id = ?1")       \
    X(SETTLED_READ, "SELECT block_number, gas_used, fee FROM settled WHERE "           \
                    "payment_id = ?1")                                                 \
    X(SETTLED_AFTER,                                                                   \
      "SELECT p.token_id, p.payer, s.block_number, p.value FROM settled s INDEXED BY " \
      "settled_open JOIN payment p ON p.id = s.payment_id WHERE s.final = 0 AND "      \
      "s.chain_id = ?1 AND s.block_number > ?2")                                       \
    X(SETTLED_TWIN,                                                                    \
      "SELECT p.id FROM payment q CROSS JOIN settled s INDEXED BY settled_hash CROSS " \
      "JOIN payment p ON p.id = s.payment_id WHERE q.id = ?1 AND s.hash = ?2 AND "     \
      "s.nonce = substr(q.nonce, 1, 8) AND p.nonce = q.nonce AND p.payer = q.payer "   \
      "AND p.token_id = q.token_id AND p.id "                                          \
      "<> q.id LIMIT 1")                                                               \
    X(SETTLED_DROP, "DELETE FROM settled WHERE payment_id = ?1")                       \
    X(SETTLED_FINAL, "UPDATE settled SET final = 1 WHERE payment_id = ?1")             \
    X(FAILED_ADD, "INSERT INTO failed (payment_id, reason) VALUES (?1, ?2)")           \
    X(FAILED_DROP, "DELETE FROM failed WHERE payment_id = ?1")                         \
    X(SETTLED_OPEN,                                                                    \
      "SELECT " X402_SETTLEMENT_COLUMNS ", s.hash, s.block_number, s.block_hash FROM " \
      "settled s JOIN payment p ON p.id = s.payment_id JOIN token t ON t.id = "        \
      "p.token_id WHERE s.final = 0 AND s.chain_id = ?1 AND s.block_number <= ?2 AND " \
      "(s.block_number, s.payment_id) > (?4, ?5) ORDER BY s.block_number, "            \
      "s.payment_id LIMIT ?3")                                                         \
    X(PAYERS_WANTED,                                                                   \
      "SELECT t.asset, p.payer FROM payer p INDEXED BY payer_wanted JOIN token t ON "  \
      "t.id = p.token_id WHERE p.wanted_at <> 0 AND p.chain_id = ?1 AND p.wanted_at "  \
      "BETWEEN ?2 AND ?3 ORDER BY p.wanted_at LIMIT ?4")                               \
    X(EARNING_READ,                                                                    \
      "SELECT settled_count, settled_value, failed_count, failed_value, gas_used, "    \
      "fee FROM earning WHERE day = ?1 AND token_id = ?2 AND route = ?3 AND block = "  \
      "?4")                                                                            \
    X(EARNING_WRITE, "INSERT OR REPLACE INTO earning VALUES (?1, ?2, ?3, ?4, ?5, ?6, " \
                     "?7, ?8, ?9, ?10)")                                               \
    /* housekeeping */                                                                 \
    X(PRUNE_RELEASED, X402_PRUNE_QUERY("payment_released", "money = 6"))               \
    X(PRUNE_FAILED, X402_PRUNE_QUERY("payment_failed", "money = 5 AND delivery = 2"))  \
    X(PRUNE, "DELETE FROM payment WHERE id = ?1")                                      \
    X(PRUNE_OUTBOX, "DELETE FROM outbox_payment WHERE payment_id = ?1")                \
    X(MIGRATE_ROWS,                                                                    \
      "SELECT p.id, p.token_id, p.delivery, p.money, p.value, p.payer, "               \
      "ifnull(s.gas_used, 0), ifnull(s.fee, 0), iif(s.final, s.block_number, 0), "     \
      "p.updated_at FROM payment p LEFT JOIN settled s ON s.payment_id = p.id WHERE "  \
      "p.money <> 6 ORDER BY p.id")                                                    \
    /* activity */                                                                     \
    X(SALE_READ,                                                                       \
      "SELECT " X402_SALE_SUMS                                                         \
      " FROM sale WHERE hour = ?1 AND chain_id = ?2 AND asset = ?3 AND route = ?4")    \
    X(SALE_WRITE,                                                                      \
      "INSERT OR REPLACE INTO sale (hour, chain_id, asset, route, " X402_SALE_SUMS     \
      ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")                  \
    X(SALES,                                                                           \
      "SELECT hour, chain_id, asset, route, " X402_SALE_SUMS                           \
      " FROM sale WHERE hour BETWEEN ?1 AND ?2 ORDER BY hour, chain_id, asset, route") \
    X(SALES_FORGET, "DELETE FROM sale WHERE hour BETWEEN 0 AND ?1")                    \
    X(REFUSALS,                                                                        \
      "SELECT count FROM refusal WHERE reason = ?1 AND hour BETWEEN ?2 AND ?3")        \
    X(REFUSAL_WRITE,                                                                   \
      "INSERT OR REPLACE INTO refusal (reason, hour, count) VALUES (?1, ?2, ?3)")      \
    X(REFUSAL_DAYS_FORGET, "DELETE FROM refusal WHERE hour BETWEEN ?1 AND -2")         \
    X(REFUSALS_FORGET, "DELETE FROM refusal WHERE hour BETWEEN 0 AND ?1")              \
    X(MEASURES,                                                                        \
      "SELECT histogram FROM measure WHERE name = ?1 AND hour BETWEEN ?2 AND ?3")      \
    X(MEASURE_WRITE,                                                                   \
      "INSERT OR REPLACE INTO measure (name, hour, histogram) VALUES (?1, ?2, ?3)")    \
    X(MEASURE_DAYS_FORGET, "DELETE FROM measure WHERE hour BETWEEN ?1 AND -2")         \
    X(MEASURES_FORGET, "DELETE FROM measure WHERE hour BETWEEN 0 AND ?1")              \
    X(SETTLER_WRITE, "INSERT OR REPLACE INTO settler (" X402_SETTLER_COLUMNS           \
                     ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")        \
    X(SETTLERS, "SELECT " X402_SETTLER_COLUMNS                                         \
                " FROM settler WHERE heard_at > ?1 ORDER BY chain_id, signer")         \
    X(SETTLERS_FORGET, "DELETE FROM settler WHERE heard_at <= ?1")                     \
    X(MIGRATE_SALES,                                                                   \
      "SELECT p.created_at, p.chain_id, t.asset, p.route, p.value FROM payment p "     \
      "JOIN token t ON t.id = p.token_id WHERE p.delivery = 1 ORDER BY p.id")          \
    /* reading */                                                                      \
    X(TOKENS, "SELECT id, chain_id, asset, payers FROM token ORDER BY id")             \
    X(FLOW_SUMS, "SELECT token_id, delivery, money, event, count, value_before, "      \
                 "value_after FROM flows")                                             \
    X(DUE_SINCE, "SELECT min(updated_at) FROM payment INDEXED BY payment_open WHERE "  \
                 "money IN (1, 2) AND money = 1 AND token_id = ?1")                    \
    X(ROW, X402_ROW_SELECT "WHERE p.id = ?1")                                          \
    X(LOOK,                                                                            \
      "SELECT p.delivery, p.money, ifnull(s.hash, nullif(o.hash, zeroblob(32))), "     \
      "f.reason FROM payment p LEFT JOIN settled s ON s.payment_id = p.id LEFT JOIN "  \
      "failed f ON f.payment_id = p.id LEFT JOIN outbox o ON o.id = p.transaction_id " \
      "WHERE p.id = ?1")                                                               \
    X(RECEIPT_KEY, "SELECT key FROM receipt")                                          \
    X(EARNING_DAY,                                                                     \
      "SELECT day FROM earning WHERE day <= ?1 ORDER BY day DESC LIMIT 1")             \
    X(EARNINGS, "SELECT token_id, route, settled_count, settled_value, failed_count, " \
                "failed_value, gas_used, fee FROM earning WHERE day = ?1 AND "         \
                "(token_id, route) > "                                                 \
                "(?2, ?3) ORDER BY token_id, route, block")                            \
    X(TOKEN_NAME, "SELECT chain_id, asset FROM token WHERE id = ?1")                   \
    X(ROWS_UP, X402_ROWS_QUERY)                                                        \
    X(ROWS_DOWN, X402_ROWS_QUERY "DESC")                                               \
    X(PAYMENT_LAST, "SELECT ifnull(max(id), 0) FROM payment")                          \
    X(BLOCK_LAST, "SELECT max(ifnull((SELECT max(block) FROM flows), 0), ifnull(("     \
                  "SELECT max(id) FROM payment), 0) / 32768)")                         \
    X(BOOKS_FLOWS,                                                                     \
      "SELECT token_id, delivery, money, event, count, value_before, value_after "     \
      "FROM flows WHERE block = ?1")                                                   \
    X(BOOKS_ROWS,                                                                      \
      "SELECT p.id, p.token_id, p.delivery, p.money, p.value, p.payer, "               \
      "p.money = 2 AND EXISTS (SELECT 1 FROM outbox_payment o JOIN outbox x ON x.id "  \
      "= o.transaction_id WHERE o.transaction_id = p.transaction_id AND "              \
      "o.payment_id = p.id), EXISTS (SELECT 1 FROM settled s WHERE s.payment_id = "    \
      "p.id), EXISTS (SELECT 1 FROM failed f WHERE f.payment_id = p.id), p.lease_id "  \
      "FROM payment p WHERE p.id BETWEEN ?1 AND ?2")                                   \
    X(BOOKS_EARNINGS,                                                                  \
      "SELECT created_at / 86400, token_id, route, 0, iif(money = 5, 0, 1), "          \
      "iif(money = 5, 0, value), iif(money = 5, 1, 0), iif(money = 5, value, 0) FROM " \
      "payment WHERE id BETWEEN ?1 AND ?2 AND (money IN (3, 4) OR (money = 5 AND "     \
      "delivery = 1)) UNION ALL SELECT day, token_id, route, 1, settled_count, "       \
      "settled_value, failed_count, failed_value FROM earning WHERE block = ?3 "       \
      "ORDER BY 1, 2, 3")                                                              \
    X(BOOKS_KEYS,                                                                      \
      "SELECT id, token_id, payer, nonce, delivery, money, valid_before, created_at "  \
      "FROM payment WHERE id BETWEEN ?1 AND ?2")                                       \
    X(TOKEN_NEXT, "SELECT id FROM token WHERE id > ?1 ORDER BY id LIMIT 1")            \
    X(BOOKS_PAYERS,                                                                    \
      "SELECT payer, 0, delivery, money, value FROM payment INDEXED BY "               \
      "payment_pending WHERE delivery = 0 AND token_id = ?1 UNION ALL "                \
      "SELECT payer, 0, delivery, money, value FROM payment INDEXED BY payment_open "  \
      "WHERE money IN (1, 2) AND money = 1 AND delivery <> 0 AND token_id = ?1 UNION " \
      "ALL SELECT p.payer, 0, p.delivery, p.money, p.value FROM outbox o INDEXED BY "  \
      "outbox_open CROSS JOIN outbox_payment m ON m.transaction_id = o.id CROSS JOIN " \
      "payment p ON p.id = m.payment_id WHERE o.open_count > 0 AND p.transaction_id "  \
      "= o.id AND p.money = 2 AND p.delivery <> 0 AND p.token_id = ?1 UNION ALL "      \
      "SELECT payer, 1, unsettled, owed, payments FROM payer WHERE token_id = ?1 "     \
      "ORDER BY 1")                                                                    \
    X(BOOKS_PAYMENTS,                                                                  \
      "SELECT ifnull(sum(iif(delivery = -1, count, iif(event = -1, -count, 0))), 0) "  \
      "FROM flows WHERE token_id = ?1")

#define X402_SQLITE_STATEMENT_ENUM(symbol, text) X402_SQL_##symbol,
enum x402_sqlite_statement {
    X402_SQLITE_STATEMENTS(X402_SQLITE_STATEMENT_ENUM) X402_SQL_COUNT
};
#undef X402_SQLITE_STATEMENT_ENUM

#endif
