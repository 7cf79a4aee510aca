-- The first tables. PostgreSQL's twin of this file differs in two words: BYTEA for BLOB, and no
-- WITHOUT ROWID. Times are milliseconds since 1970, ids and JSON are text, the tenant leads every
-- key.

CREATE TABLE meta (
    name TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE tenants (
    tenant_id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    directory TEXT NOT NULL CHECK (directory IN ('open', 'strict')),
    identity_secret BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
) WITHOUT ROWID;

-- The three kinds in one table: a lookup must be unique over all of them.
CREATE TABLE keys (
    tenant_id TEXT NOT NULL REFERENCES tenants (tenant_id),
    key_id TEXT NOT NULL,
    lookup TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('embed', 'chat', 'iframe')),
    label TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('active', 'paused', 'revoked')),
    settings TEXT NOT NULL,
    allowed_origins TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, key_id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX keys_by_lookup ON keys (lookup);
-- Operators name a key without its tenant, and page through all of them.
CREATE UNIQUE INDEX keys_by_id ON keys (key_id);

CREATE TABLE key_secrets (
    tenant_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    generation BIGINT NOT NULL,
    sealed BLOB NOT NULL,
    not_after BIGINT,
    PRIMARY KEY (tenant_id, key_id, generation),
    FOREIGN KEY (tenant_id, key_id) REFERENCES keys (tenant_id, key_id)
) WITHOUT ROWID;

-- With a rowid on purpose: grants may be long, and appending them dirties fewer pages than
-- spreading them over a tree of random ids.
CREATE TABLE sessions (
    tenant_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    key_generation BIGINT NOT NULL,
    token_id TEXT NOT NULL,
    surface TEXT NOT NULL CHECK (surface IN ('embed', 'chat', 'iframe')),
    issued_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    granted TEXT NOT NULL,
    cache_key_hash BLOB,
    redemptions BIGINT NOT NULL DEFAULT 0,
    max_redemptions BIGINT,
    conversation_id TEXT,
    PRIMARY KEY (tenant_id, session_id),
    FOREIGN KEY (tenant_id, key_id) REFERENCES keys (tenant_id, key_id)
);
-- The hash is the whole capability: whoever redeems a cache key names no tenant.
CREATE UNIQUE INDEX sessions_by_cache_key ON sessions (cache_key_hash)
    WHERE cache_key_hash IS NOT NULL;
-- The address of an assistant's page names its session, but no tenant.
CREATE INDEX sessions_of_pages ON sessions (session_id) WHERE surface = 'iframe';
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- One row for each signature that opened a session, so that it opens no second one. The expiry
-- follows from the timestamp that was signed, so equal signatures have equal ones; in front of the
-- MAC it makes new rows neighbours, where MACs alone would spread them over the whole table.
CREATE TABLE replays (
    tenant_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    mac BLOB NOT NULL,
    session_id TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, key_id, expires_at, mac)
) WITHOUT ROWID;
CREATE INDEX replays_by_expiry ON replays (expires_at);

CREATE TABLE conversations (
    tenant_id TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    customer_id TEXT,
    verified BIGINT NOT NULL CHECK (verified IN (0, 1)),
    locale TEXT,
    variables TEXT NOT NULL,
    opened_at BIGINT NOT NULL,
    closed_at BIGINT,
    PRIMARY KEY (tenant_id, conversation_id)
);
CREATE INDEX conversations_by_customer ON conversations (tenant_id, customer_id, opened_at)
    WHERE verified = 1 AND closed_at IS NULL;

CREATE TABLE uid_limits (
    tenant_id TEXT NOT NULL,
    uid TEXT NOT NULL,
    limits TEXT NOT NULL,
    PRIMARY KEY (tenant_id, uid)
) WITHOUT ROWID;

CREATE TABLE audit (
    tenant_id TEXT NOT NULL,
    happened_at BIGINT NOT NULL,
    audit_id TEXT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    PRIMARY KEY (tenant_id, happened_at, audit_id)
) WITHOUT ROWID;
CREATE TRIGGER audit_keeps_its_rows BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit is append only');
END;
CREATE TRIGGER audit_keeps_its_words BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit is append only');
END;

CREATE TABLE flows (
    tenant_id TEXT NOT NULL REFERENCES tenants (tenant_id),
    flow_id TEXT NOT NULL,
    name TEXT NOT NULL,
    published BIGINT NOT NULL CHECK (published IN (0, 1)),
    PRIMARY KEY (tenant_id, flow_id)
) WITHOUT ROWID;

-- What starts a flow. Its name is the tenant's, whichever flow it starts.
CREATE TABLE intents (
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    flow_id TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (tenant_id, name),
    FOREIGN KEY (tenant_id, flow_id) REFERENCES flows (tenant_id, flow_id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX intents_by_flow ON intents (tenant_id, flow_id);

CREATE TABLE quick_questions (
    tenant_id TEXT NOT NULL REFERENCES tenants (tenant_id),
    question_id TEXT NOT NULL,
    rank BIGINT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (tenant_id, question_id)
) WITHOUT ROWID;

CREATE TABLE sources (
    tenant_id TEXT NOT NULL REFERENCES tenants (tenant_id),
    source_id TEXT NOT NULL,
    PRIMARY KEY (tenant_id, source_id)
) WITHOUT ROWID;

CREATE TABLE themes (
    tenant_id TEXT NOT NULL REFERENCES tenants (tenant_id),
    theme_id BIGINT NOT NULL,
    is_default BIGINT NOT NULL CHECK (is_default IN (0, 1)),
    document TEXT NOT NULL,
    PRIMARY KEY (tenant_id, theme_id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX themes_one_default ON themes (tenant_id) WHERE is_default = 1;

CREATE TABLE directory (
    tenant_id TEXT NOT NULL REFERENCES tenants (tenant_id),
    kind TEXT NOT NULL CHECK (kind IN ('employee', 'chat')),
    id TEXT NOT NULL,
    PRIMARY KEY (tenant_id, kind, id)
) WITHOUT ROWID;
