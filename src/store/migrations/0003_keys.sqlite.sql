-- What a key is for and what it may cost, its credentials of every kind, and what was seen of its
-- use. PostgreSQL's twin differs in BYTEA for BLOB and in WITHOUT ROWID, and drops a NOT NULL where
-- this one copies the table of credentials.

ALTER TABLE keys ADD COLUMN mode TEXT NOT NULL DEFAULT 'live' CHECK (mode IN ('live', 'test'));
-- Seconds; null is no bound of the key's own.
ALTER TABLE keys ADD COLUMN idle_timeout_s BIGINT;
ALTER TABLE keys ADD COLUMN max_lifetime_s BIGINT;
-- JSON, a member for each ceiling that there is.
ALTER TABLE keys ADD COLUMN ceilings TEXT NOT NULL DEFAULT '{}';

-- A generation of an embed key is a sealed secret; of the other kinds it is by what it is found.
CREATE TABLE key_generations (
    tenant_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    generation BIGINT NOT NULL,
    sealed BLOB,
    lookup TEXT,
    created_at BIGINT NOT NULL,
    not_after BIGINT,
    PRIMARY KEY (tenant_id, key_id, generation),
    FOREIGN KEY (tenant_id, key_id) REFERENCES keys (tenant_id, key_id),
    CHECK ((sealed IS NULL) <> (lookup IS NULL))
) WITHOUT ROWID;
INSERT INTO key_generations
    SELECT s.tenant_id, s.key_id, s.generation, s.sealed, NULL, k.created_at, s.not_after
    FROM key_secrets AS s JOIN keys AS k ON k.tenant_id = s.tenant_id AND k.key_id = s.key_id;
INSERT INTO key_generations
    SELECT tenant_id, key_id, 1, NULL, lookup, created_at, NULL FROM keys WHERE kind <> 'embed';
DROP TABLE key_secrets;
ALTER TABLE key_generations RENAME TO key_secrets;
CREATE UNIQUE INDEX key_secrets_by_lookup ON key_secrets (lookup) WHERE lookup IS NOT NULL;

-- Written in batches, so a few seconds late.
CREATE TABLE key_uses (
    tenant_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    last_used_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, key_id),
    FOREIGN KEY (tenant_id, key_id) REFERENCES keys (tenant_id, key_id)
) WITHOUT ROWID;

-- A bounded number of rows for each key: see key_uses.rs.
CREATE TABLE key_origins (
    tenant_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    origin TEXT NOT NULL,
    first_seen_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, key_id, origin),
    FOREIGN KEY (tenant_id, key_id) REFERENCES keys (tenant_id, key_id)
) WITHOUT ROWID;
