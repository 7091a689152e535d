-- The ledger, version 1. One row a payment; everything else serves that row.
--
-- Numbers of deliveries and monies are those of state.h: delivery 0 pending; money
-- 1 due, 6 released. Amounts are token units. Times are Unix seconds, UTC.

-- A (chain, asset) that ever sold. payers: how many there are among its payments.
CREATE TABLE token (
    id       INTEGER PRIMARY KEY,
    chain_id INTEGER NOT NULL,
    asset    BLOB NOT NULL CHECK (length(asset) = 20),
    payers   INTEGER NOT NULL DEFAULT 0,
    UNIQUE (chain_id, asset)
);

-- The key is who pays and the nonce, never the signature. Ids only grow, so that rows
-- append. chain_id repeats the token's: the settler's queue is by chain.
CREATE TABLE payment (
    id             INTEGER PRIMARY KEY,
    token_id       INTEGER NOT NULL,
    chain_id       INTEGER NOT NULL,
    payer          BLOB NOT NULL CHECK (length(payer) = 20),
    nonce          BLOB NOT NULL CHECK (length(nonce) = 32),
    delivery       INTEGER NOT NULL CHECK (delivery BETWEEN 0 AND 4),
    money          INTEGER NOT NULL CHECK (money BETWEEN 0 AND 6),
    value          INTEGER NOT NULL CHECK (value >= 0),
    payee          BLOB NOT NULL CHECK (length(payee) = 20),
    valid_after    INTEGER NOT NULL,
    valid_before   INTEGER NOT NULL,
    signature      BLOB NOT NULL CHECK (length(signature) = 65),
    dialect        INTEGER NOT NULL,
    scheme         INTEGER NOT NULL,
    route          TEXT NOT NULL,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    attempt        BLOB NOT NULL CHECK (length(attempt) = 16),
    attempts       INTEGER NOT NULL,
    lease_id       INTEGER NOT NULL,
    transaction_id INTEGER, -- the outbox row it is in now
    UNIQUE (token_id, payer, nonce)
);
CREATE INDEX payment_pending ON payment (lease_id) WHERE delivery = 0;
CREATE INDEX payment_due ON payment (chain_id, valid_before) WHERE money = 1;
CREATE INDEX payment_due_since ON payment (token_id, updated_at) WHERE money = 1;
CREATE INDEX payment_released ON payment (valid_before) WHERE money = 6;

-- A worker that is alive. A payment pending under a lease that is not here, or that
-- ran out, is abandoned. Ids are never used again; holder is the handle it belongs to.
CREATE TABLE lease (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    owner      TEXT NOT NULL,
    holder     BLOB NOT NULL CHECK (length(holder) = 16),
    expires_at INTEGER NOT NULL
);

-- What happened, added up: from which state, on which event, how often, and the value
-- before and after (they differ when a void payment comes back with another amount).
-- Kept apart from the rows, by every transaction, so that each proves the other; by
-- blocks of ids, so that one block can be proved in one short transaction.
-- delivery and money are -1 for a payment's first admission; event is -1 for a row
-- that was removed. Values are sums modulo 2^64.
CREATE TABLE flow (
    block        INTEGER NOT NULL,
    token_id     INTEGER NOT NULL,
    delivery     INTEGER NOT NULL,
    money        INTEGER NOT NULL,
    event        INTEGER NOT NULL,
    count        INTEGER NOT NULL,
    value_before INTEGER NOT NULL,
    value_after  INTEGER NOT NULL,
    PRIMARY KEY (block, token_id, delivery, money, event)
) WITHOUT ROWID;

-- Who may sign with a key.
CREATE TABLE signer (
    chain_id   INTEGER NOT NULL,
    signer     BLOB NOT NULL CHECK (length(signer) = 20),
    owner      TEXT NOT NULL,
    holder     BLOB NOT NULL CHECK (length(holder) = 16),
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (chain_id, signer)
) WITHOUT ROWID;

-- Signed transactions, stored before they are sent. open_count: its payments that are
-- neither final nor failed.
CREATE TABLE outbox (
    id               INTEGER PRIMARY KEY,
    chain_id         INTEGER NOT NULL,
    signer           BLOB NOT NULL CHECK (length(signer) = 20),
    nonce            INTEGER NOT NULL,
    hash             BLOB NOT NULL CHECK (length(hash) = 32),
    max_fee          INTEGER NOT NULL,
    max_priority_fee INTEGER NOT NULL,
    gas_limit        INTEGER NOT NULL,
    submitted_at     INTEGER NOT NULL,
    replaces_id      INTEGER NOT NULL,
    block_number     INTEGER NOT NULL DEFAULT 0,
    open_count       INTEGER NOT NULL CHECK (open_count >= 0),
    raw              BLOB NOT NULL
);
CREATE INDEX outbox_nonce ON outbox (chain_id, signer, nonce, id);
CREATE INDEX outbox_open ON outbox (chain_id, signer, nonce, id) WHERE open_count > 0;

CREATE TABLE outbox_payment (
    transaction_id INTEGER NOT NULL,
    payment_id     INTEGER NOT NULL,
    PRIMARY KEY (transaction_id, payment_id)
) WITHOUT ROWID;
CREATE INDEX outbox_payment_payment ON outbox_payment (payment_id);

-- Where a payment was found on its chain.
CREATE TABLE settled (
    payment_id   INTEGER PRIMARY KEY,
    chain_id     INTEGER NOT NULL,
    hash         BLOB NOT NULL CHECK (length(hash) = 32),
    block_number INTEGER NOT NULL,
    block_hash   BLOB NOT NULL CHECK (length(block_hash) = 32),
    gas_used     INTEGER NOT NULL,
    fee          INTEGER NOT NULL,
    final        INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX settled_open ON settled (chain_id, block_number) WHERE final = 0;

-- Why a payment cannot be collected.
CREATE TABLE failed (
    payment_id INTEGER PRIMARY KEY,
    reason     TEXT NOT NULL
);
