-- Jobs, their run log, and the epoch of the server that owns them.

CREATE TABLE leader (
    epoch INTEGER NOT NULL
);
INSERT INTO leader VALUES (0);

CREATE TABLE jobs (
    sequence        INTEGER PRIMARY KEY,  -- order of acceptance
    id              TEXT NOT NULL UNIQUE,
    workflow        TEXT NOT NULL,
    inputs          TEXT NOT NULL,        -- JSON: [[name, value], ...]; an artifact is {"artifact": key}
    created_s       REAL NOT NULL,
    epoch           INTEGER NOT NULL,
    tenant          TEXT NOT NULL,
    priority        INTEGER NOT NULL,
    deadline_s      REAL,
    deterministic   INTEGER NOT NULL,
    idempotency_key TEXT,                 -- NULL also when it was given back or has expired
    fingerprint     TEXT,
    state           TEXT NOT NULL,
    attempt         INTEGER NOT NULL,
    started_s       REAL,
    finished_s      REAL,                 -- NULL exactly in states that are not terminal
    error_code      TEXT,
    error_message   TEXT,
    results         TEXT NOT NULL         -- JSON, as inputs
);
CREATE INDEX jobs_unfinished ON jobs (sequence) WHERE finished_s IS NULL;
CREATE INDEX jobs_finished ON jobs (finished_s) WHERE finished_s IS NOT NULL;
CREATE INDEX jobs_of_tenant ON jobs (tenant, sequence);
CREATE UNIQUE INDEX jobs_by_key ON jobs (tenant, idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE TABLE log (
    sequence INTEGER PRIMARY KEY,
    job      INTEGER REFERENCES jobs (sequence) ON DELETE CASCADE,  -- NULL: of the store as a whole
    at_s     REAL NOT NULL,
    kind     TEXT NOT NULL,
    data     TEXT NOT NULL                -- JSON object
);
CREATE INDEX log_of_job ON log (job);
