-- The ledger, version 2: settling first, bounded credit, earnings, receipts. What is
-- added up here is filled from the rows by sqlite_migrate.c.

-- Another name, so that a process of version 1 that still runs fails from here on: it
-- would move payments and not the sums below.
ALTER TABLE flow RENAME TO flows;

-- unsettled: the value that is or was served, and is held, due or submitted: what all
-- payers together still owe. final_block: the highest block of a final payment. Sums
-- are modulo 2^64, here and below.
ALTER TABLE token ADD COLUMN unsettled INTEGER NOT NULL DEFAULT 0;
ALTER TABLE token ADD COLUMN final_block INTEGER NOT NULL DEFAULT 0;

-- Whoever has a payment here. owed: the value that is due or submitted before it is
-- served. after_block: what is settled in blocks above balance_block. chain_id repeats
-- the token's, as a payment's does.
--
-- wanted_at: when its balance is to be read (again); 0 while it has bought nothing since
-- the last reading and has nothing unsettled. Of one never read it lies 2^40 seconds
-- back, so that those come first. It grows with the clock: the index is appended to.
CREATE TABLE payer (
    token_id       INTEGER NOT NULL,
    payer          BLOB NOT NULL CHECK (length(payer) = 20),
    chain_id       INTEGER NOT NULL,
    unsettled      INTEGER NOT NULL DEFAULT 0,
    owed           INTEGER NOT NULL DEFAULT 0,
    after_block    INTEGER NOT NULL DEFAULT 0,
    wanted_at      INTEGER NOT NULL DEFAULT 0,
    seen_at        INTEGER NOT NULL DEFAULT 0, -- 0: its balance never was
    balance        INTEGER NOT NULL DEFAULT 0,
    balance_block  INTEGER NOT NULL DEFAULT 0,
    has_code       INTEGER NOT NULL DEFAULT 0,
    distrust_until INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (token_id, payer)
) WITHOUT ROWID;
CREATE INDEX payer_wanted ON payer (chain_id, wanted_at) WHERE wanted_at <> 0;
INSERT INTO payer (token_id, payer, chain_id) SELECT DISTINCT p.token_id, p.payer,
    t.chain_id FROM payment p JOIN token t ON t.id = p.token_id;

-- What is owed is under no lease.
UPDATE payment SET lease_id = 0 WHERE delivery = 4;

-- What somebody waits for (delivery 4, owed) goes first.
DROP INDEX payment_due;
CREATE INDEX payment_due_owed ON payment (chain_id, valid_before)
    WHERE money = 1 AND delivery = 4;
CREATE INDEX payment_due_rest ON payment (chain_id, valid_before)
    WHERE money = 1 AND delivery <> 4;

-- What is due and since when, as before; and what is submitted, by whomever: in an index
-- of its own that would cost each call.
DROP INDEX payment_due_since;
CREATE INDEX payment_open ON payment (token_id, money, updated_at)
    WHERE money IN (1, 2);

-- Failed before it was served (5, 2): it goes as what is released goes. By when they may
-- go (X402_RETENTION_SECONDS): housekeeping reads none that has to stay.
DROP INDEX payment_released;
CREATE INDEX payment_released ON payment (max(valid_before, updated_at + 86400))
    WHERE money = 6;
CREATE INDEX payment_failed ON payment (max(valid_before, updated_at + 86400))
    WHERE money = 5 AND delivery = 2;

-- A payment that failed may come back: a transaction is closed for it once.
ALTER TABLE outbox_payment ADD COLUMN closed INTEGER NOT NULL DEFAULT 0;

-- What a route earned and cost on a day (UTC, days since 1970; the day its payments were
-- first admitted), by blocks of ids as flows are, so that rows prove it. failed: served,
-- and not collectable. fee is in wei; it and gas stay at 2^64 - 1 once they reach it.
CREATE TABLE earning (
    day           INTEGER NOT NULL,
    token_id      INTEGER NOT NULL,
    route         TEXT NOT NULL,
    block         INTEGER NOT NULL,
    settled_count INTEGER NOT NULL,
    settled_value INTEGER NOT NULL,
    failed_count  INTEGER NOT NULL,
    failed_value  INTEGER NOT NULL,
    gas_used      INTEGER NOT NULL,
    fee           INTEGER NOT NULL,
    PRIMARY KEY (day, token_id, route, block)
) WITHOUT ROWID;
CREATE INDEX earning_block ON earning (block);

-- The key that names receipts: one row, random, for ever.
CREATE TABLE receipt (
    key BLOB NOT NULL CHECK (length(key) = 32)
);
