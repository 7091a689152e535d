-- The ledger, version 4: the key of a payment (token_id, payer, nonce) is unique without
-- an index of keys, whose random pages were most of what a payment cost. What may still
-- be presented is in the live set, a file beside the ledger (live.h).

-- Other names, so that workers of earlier versions, which know no set, admit no more
-- payments (the first that one tries has it open the ledger again, and be refused; until
-- then it tells the outcomes of those it has), and settlers, which remove payments and
-- count none, end.
ALTER TABLE lease RENAME TO leases;
ALTER TABLE signer RENAME TO signers;

-- One row. secret: under which keys are hashed. stamp: of the set that counts.
CREATE TABLE live (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    secret BLOB NOT NULL CHECK (length(secret) = 16),
    stamp  INTEGER NOT NULL
);
INSERT INTO live VALUES (1, randomblob(16), 0);

-- Until when, at most, any payment of a block of ids (as flows have them) may be
-- presented: a set that is built anew is looked for in few blocks.
CREATE TABLE horizon (
    block INTEGER PRIMARY KEY,
    until INTEGER NOT NULL
);
INSERT INTO horizon SELECT id / 32768, max(valid_before) + 86400 FROM payment
    GROUP BY id / 32768;

-- payments: how many there are of it.
ALTER TABLE payer ADD COLUMN payments INTEGER NOT NULL DEFAULT 0;
UPDATE payer SET payments = (SELECT count(*) FROM payment p WHERE p.token_id =
    payer.token_id AND p.payer = payer.payer);

-- As it was, but for its key; a constraint cannot be dropped from a table in its place.
CREATE TABLE payments (
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
    transaction_id INTEGER -- the outbox row it is in now
);
INSERT INTO payments SELECT * FROM payment;
DROP TABLE payment;
ALTER TABLE payments RENAME TO payment;
CREATE INDEX payment_pending ON payment (lease_id) WHERE delivery = 0;
CREATE INDEX payment_due_owed ON payment (chain_id, valid_before)
    WHERE money = 1 AND delivery = 4;
CREATE INDEX payment_due_rest ON payment (chain_id, valid_before)
    WHERE money = 1 AND delivery <> 4;
CREATE INDEX payment_open ON payment (token_id, money, updated_at)
    WHERE money IN (1, 2);
CREATE INDEX payment_released ON payment (max(valid_before, updated_at + 86400))
    WHERE money = 6;
CREATE INDEX payment_failed ON payment (max(valid_before, updated_at + 86400))
    WHERE money = 5 AND delivery = 2;

-- Whether a transfer settled another payment already: nonces are not unique for ever.
-- nonce: the beginning of the payment's; a transaction settles many.
ALTER TABLE settled ADD COLUMN nonce BLOB NOT NULL DEFAULT x'';
UPDATE settled SET nonce = ifnull((SELECT substr(p.nonce, 1, 8) FROM payment p WHERE
    p.id = settled.payment_id), x'');
CREATE INDEX settled_hash ON settled (hash, nonce);

-- What was committed under load and has no rows yet, a batch a row: sqlite_journal.c.
-- id, token_id, payer, nonce: of the last payment in it. count, value: of payments in
-- this row and those before it.
CREATE TABLE journal (
    id       INTEGER PRIMARY KEY,
    token_id INTEGER NOT NULL,
    payer    BLOB NOT NULL CHECK (length(payer) = 20),
    nonce    BLOB NOT NULL CHECK (length(nonce) = 32),
    count    INTEGER NOT NULL,
    value    INTEGER NOT NULL,
    body     BLOB NOT NULL
);
