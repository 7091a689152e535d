-- The ledger, version 3: what happened, hour by hour, for people who look on
-- (activity.h). Nothing else goes by it: a process of version 2 that still runs does no
-- harm, it only does not count here.
--
-- hour is Unix time / 3600, and -1 the sum of all hours; of refusals and measures also
-- -2 - day for the sum of a day (Unix time / 86400), so that a week is soon added up.
-- Sums are modulo 2^64.

-- By chain and asset, and not by token: what was never paid with is offered, too, and
-- makes no token.
CREATE TABLE sale (
    hour            INTEGER NOT NULL,
    chain_id        INTEGER NOT NULL,
    asset           BLOB NOT NULL CHECK (length(asset) = 20),
    route           TEXT NOT NULL,
    offered         INTEGER NOT NULL,
    refused         INTEGER NOT NULL,
    delivered_count INTEGER NOT NULL,
    delivered_value INTEGER NOT NULL,
    failed_count    INTEGER NOT NULL,
    failed_value    INTEGER NOT NULL,
    shadow_count    INTEGER NOT NULL,
    shadow_value    INTEGER NOT NULL,
    PRIMARY KEY (hour, chain_id, asset, route)
) WITHOUT ROWID;

-- By names, which outlive numbers; one that a program does not know it leaves alone.
CREATE TABLE refusal (
    reason TEXT NOT NULL, -- x402_error_symbol
    hour   INTEGER NOT NULL,
    count  INTEGER NOT NULL,
    PRIMARY KEY (reason, hour)
) WITHOUT ROWID;

CREATE TABLE measure (
    name      TEXT NOT NULL, -- x402_measure_name
    hour      INTEGER NOT NULL,
    histogram BLOB NOT NULL, -- x402_histogram_encode
    PRIMARY KEY (name, hour)
) WITHOUT ROWID;

-- How each settler fares, in its own words.
CREATE TABLE settler (
    chain_id     INTEGER NOT NULL,
    signer       BLOB NOT NULL CHECK (length(signer) = 20),
    owner        TEXT NOT NULL,
    remote       INTEGER NOT NULL,
    heard_at     INTEGER NOT NULL,
    gas_balance  INTEGER NOT NULL,
    base_fee     INTEGER NOT NULL,
    latest_block INTEGER NOT NULL,
    safe_block   INTEGER NOT NULL,
    in_flight    INTEGER NOT NULL,
    trouble      TEXT NOT NULL,
    PRIMARY KEY (chain_id, signer)
) WITHOUT ROWID;
