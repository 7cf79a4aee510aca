-- Generations of tenants' session-signing keys; the keys themselves are derived, never stored.
-- PostgreSQL's twin drops WITHOUT ROWID. A tenant without a row has generation 1 for ever.

CREATE TABLE signing_keys (
    tenant_id TEXT NOT NULL REFERENCES tenants (tenant_id),
    generation BIGINT NOT NULL,
    active_from BIGINT NOT NULL,
    signs_until BIGINT,
    accepted_until BIGINT,
    PRIMARY KEY (tenant_id, generation)
) WITHOUT ROWID;
