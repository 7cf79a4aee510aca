-- The audit as hash chains, one per tenant; tenant '' is what belongs to no tenant. PostgreSQL's
-- twin differs in BYTEA for BLOB, in no WITHOUT ROWID, in BIGSERIAL for INTEGER, in how a default
-- draws 32 random bytes and in how a trigger is written.

-- When everything of a tenant was erased; its record stays without name and secret.
ALTER TABLE tenants ADD COLUMN erased_at BIGINT;

-- What is to be chained: rows of the release before. The service moves them when it opens.
DROP TRIGGER audit_keeps_its_rows;
DROP TRIGGER audit_keeps_its_words;
ALTER TABLE audit RENAME TO audit_unchained;

-- The end of each chain, so that a missing last entry is noticed, and the key of its pseudonyms,
-- which is emptied when the tenant is erased.
CREATE TABLE audit_chains (
    tenant_id TEXT NOT NULL PRIMARY KEY,
    sequence BIGINT NOT NULL,
    hash BLOB NOT NULL,
    subject_key BLOB NOT NULL DEFAULT (randomblob(32))
) WITHOUT ROWID;
CREATE TRIGGER audit_chains_stay BEFORE DELETE ON audit_chains
BEGIN
    SELECT RAISE(ABORT, 'the audit is append only');
END;
CREATE TRIGGER audit_chains_grow BEFORE UPDATE OF sequence ON audit_chains
    WHEN NEW.sequence <= OLD.sequence
BEGIN
    SELECT RAISE(ABORT, 'the audit is append only');
END;

-- The position pages through the entries of all tenants in the order they were written in.
CREATE TABLE audit (
    position INTEGER NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    audit_id TEXT NOT NULL,
    happened_at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    subject TEXT,
    detail TEXT NOT NULL,
    previous BLOB NOT NULL,
    hash BLOB NOT NULL
);
CREATE UNIQUE INDEX audit_by_chain ON audit (tenant_id, sequence);
CREATE TRIGGER audit_keeps_its_rows BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit is append only');
END;
CREATE TRIGGER audit_keeps_its_words BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit is append only');
END;
