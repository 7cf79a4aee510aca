-- How a generation of a tenant's session-signing key signs. The key pairs of EdDSA are derived too,
-- so nothing here is secret. PostgreSQL's twin is the same.

ALTER TABLE signing_keys ADD COLUMN algorithm TEXT NOT NULL DEFAULT 'hs256'
    CHECK (algorithm IN ('hs256', 'eddsa'));
