-- All tables as SQLite's migrations 0001 to 0010 leave them; a later twin has the number of its
-- SQLite file. A test compares the two. What is said there of a table holds here; what differs is
-- said here.
--
-- Texts compare byte by byte (COLLATE "C") whatever the database's own collation is: pages are cut
-- by ids, and ids sort by the time they were drawn.

CREATE TABLE meta (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);

CREATE TABLE tenants (
    tenant_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL,
    directory TEXT COLLATE "C" NOT NULL CHECK (directory IN ('open', 'strict')),
    identity_secret BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT,
    erased_at BIGINT
);

CREATE TABLE signing_keys (
    tenant_id TEXT COLLATE "C" NOT NULL REFERENCES tenants (tenant_id),
    generation BIGINT NOT NULL,
    active_from BIGINT NOT NULL,
    signs_until BIGINT,
    accepted_until BIGINT,
    algorithm TEXT COLLATE "C" NOT NULL DEFAULT 'hs256'
        CHECK (algorithm IN ('hs256', 'eddsa')),
    PRIMARY KEY (tenant_id, generation)
);

CREATE TABLE keys (
    tenant_id TEXT COLLATE "C" NOT NULL REFERENCES tenants (tenant_id),
    key_id TEXT COLLATE "C" NOT NULL,
    lookup TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('embed', 'chat', 'iframe')),
    label TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('active', 'paused', 'revoked')),
    settings TEXT COLLATE "C" NOT NULL,
    allowed_origins TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    mode TEXT COLLATE "C" NOT NULL DEFAULT 'live' CHECK (mode IN ('live', 'test')),
    idle_timeout_s BIGINT,
    max_lifetime_s BIGINT,
    ceilings TEXT COLLATE "C" NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, key_id)
);
CREATE UNIQUE INDEX keys_by_lookup ON keys (lookup);
CREATE UNIQUE INDEX keys_by_id ON keys (key_id);

CREATE TABLE key_secrets (
    tenant_id TEXT COLLATE "C" NOT NULL,
    key_id TEXT COLLATE "C" NOT NULL,
    generation BIGINT NOT NULL,
    sealed BYTEA,
    lookup TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    not_after BIGINT,
    PRIMARY KEY (tenant_id, key_id, generation),
    FOREIGN KEY (tenant_id, key_id) REFERENCES keys (tenant_id, key_id),
    CHECK ((sealed IS NULL) <> (lookup IS NULL))
);
CREATE UNIQUE INDEX key_secrets_by_lookup ON key_secrets (lookup) WHERE lookup IS NOT NULL;

CREATE TABLE key_uses (
    tenant_id TEXT COLLATE "C" NOT NULL,
    key_id TEXT COLLATE "C" NOT NULL,
    last_used_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, key_id),
    FOREIGN KEY (tenant_id, key_id) REFERENCES keys (tenant_id, key_id)
);

CREATE TABLE key_origins (
    tenant_id TEXT COLLATE "C" NOT NULL,
    key_id TEXT COLLATE "C" NOT NULL,
    origin TEXT COLLATE "C" NOT NULL,
    first_seen_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, key_id, origin),
    FOREIGN KEY (tenant_id, key_id) REFERENCES keys (tenant_id, key_id)
);

CREATE TABLE key_usage (
    tenant_id TEXT COLLATE "C" NOT NULL,
    key_id TEXT COLLATE "C" NOT NULL,
    daily_from BIGINT NOT NULL,
    daily_used BIGINT NOT NULL,
    daily_told BIGINT NOT NULL DEFAULT -1,
    live_told BIGINT NOT NULL DEFAULT -1,
    live_known BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, key_id)
);

CREATE TABLE sessions (
    tenant_id TEXT COLLATE "C" NOT NULL,
    session_id TEXT COLLATE "C" NOT NULL,
    key_id TEXT COLLATE "C" NOT NULL,
    key_generation BIGINT NOT NULL,
    token_id TEXT COLLATE "C" NOT NULL,
    surface TEXT COLLATE "C" NOT NULL CHECK (surface IN ('embed', 'chat', 'iframe')),
    -- 'employee:…', 'uid:…' or 'customer:…'.
    subject TEXT COLLATE "C",
    -- The only chat of an embed session, or the conversation of a chat session.
    chat TEXT COLLATE "C",
    issued_at BIGINT NOT NULL,
    ttl_s BIGINT NOT NULL,
    renewed_at BIGINT,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    -- Superseded tokens, as JSON; null when there are none.
    earlier TEXT COLLATE "C",
    cache_key_hash BYTEA,
    redemptions BIGINT NOT NULL DEFAULT 0,
    max_redemptions BIGINT,
    granted TEXT COLLATE "C" NOT NULL,
    capped BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, session_id),
    FOREIGN KEY (tenant_id, key_id) REFERENCES keys (tenant_id, key_id)
);
CREATE UNIQUE INDEX sessions_by_cache_key ON sessions (cache_key_hash)
    WHERE cache_key_hash IS NOT NULL;
CREATE UNIQUE INDEX sessions_by_id ON sessions (session_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE INDEX sessions_by_key ON sessions (key_id, session_id);
CREATE INDEX sessions_by_subject ON sessions (tenant_id, subject, session_id)
    WHERE subject IS NOT NULL;
CREATE INDEX sessions_by_chat ON sessions (tenant_id, chat, session_id) WHERE chat IS NOT NULL;
CREATE INDEX sessions_of_capped_keys ON sessions (tenant_id, key_id, expires_at)
    WHERE capped = 1 AND revoked_at IS NULL;

CREATE TABLE session_uses (
    tenant_id TEXT COLLATE "C" NOT NULL,
    session_id TEXT COLLATE "C" NOT NULL,
    last_used_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, session_id)
);

CREATE TABLE replays (
    tenant_id TEXT COLLATE "C" NOT NULL,
    key_id TEXT COLLATE "C" NOT NULL,
    mac BYTEA NOT NULL,
    session_id TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, key_id, expires_at, mac)
);
CREATE INDEX replays_by_expiry ON replays (expires_at);

CREATE TABLE idempotency (
    tenant_id TEXT COLLATE "C" NOT NULL,
    claim BYTEA NOT NULL,
    claimed_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    answer BYTEA NOT NULL,
    PRIMARY KEY (tenant_id, claim)
);
CREATE INDEX idempotency_by_expiry ON idempotency (expires_at);

CREATE TABLE conversations (
    tenant_id TEXT COLLATE "C" NOT NULL,
    conversation_id TEXT COLLATE "C" NOT NULL,
    customer_id TEXT COLLATE "C",
    verified BIGINT NOT NULL CHECK (verified IN (0, 1)),
    locale TEXT COLLATE "C",
    variables TEXT COLLATE "C" NOT NULL,
    opened_at BIGINT NOT NULL,
    closed_at BIGINT,
    PRIMARY KEY (tenant_id, conversation_id)
);
CREATE INDEX conversations_by_customer ON conversations (tenant_id, customer_id, opened_at)
    WHERE verified = 1 AND closed_at IS NULL;

CREATE TABLE uid_usage (
    tenant_id TEXT COLLATE "C" NOT NULL,
    mode TEXT COLLATE "C" NOT NULL CHECK (mode IN ('live', 'test')),
    uid TEXT COLLATE "C" NOT NULL,
    limited BIGINT NOT NULL DEFAULT 0,
    hourly_limit BIGINT,
    hourly_from BIGINT NOT NULL DEFAULT 0,
    hourly_used BIGINT NOT NULL DEFAULT 0,
    hourly_told BIGINT NOT NULL DEFAULT -1,
    daily_limit BIGINT,
    daily_from BIGINT NOT NULL DEFAULT 0,
    daily_used BIGINT NOT NULL DEFAULT 0,
    daily_told BIGINT NOT NULL DEFAULT -1,
    weekly_limit BIGINT,
    weekly_from BIGINT NOT NULL DEFAULT 0,
    weekly_used BIGINT NOT NULL DEFAULT 0,
    weekly_told BIGINT NOT NULL DEFAULT -1,
    monthly_limit BIGINT,
    monthly_from BIGINT NOT NULL DEFAULT 0,
    monthly_used BIGINT NOT NULL DEFAULT 0,
    monthly_told BIGINT NOT NULL DEFAULT -1,
    last_message_at BIGINT,
    PRIMARY KEY (tenant_id, mode, uid)
);

CREATE TABLE uid_messages (
    tenant_id TEXT COLLATE "C" NOT NULL,
    message_id TEXT COLLATE "C" NOT NULL,
    uid TEXT COLLATE "C" NOT NULL,
    accepted_at BIGINT NOT NULL,
    refunded_at BIGINT,
    mode TEXT COLLATE "C" NOT NULL DEFAULT 'live'
        CHECK (mode IN ('live', 'test')),
    PRIMARY KEY (tenant_id, message_id)
);
CREATE INDEX uid_messages_by_time ON uid_messages (accepted_at);

-- A default draws 32 bytes from two random UUIDs, some 240 bits of them random: no extension is
-- needed for it.
CREATE TABLE audit_chains (
    tenant_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    sequence BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    subject_key BYTEA NOT NULL DEFAULT (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())))
);

-- Positions are drawn, not counted: a transaction that is undone leaves a gap, and one that commits
-- late has a lower position than one that began after it. See audit_trail.rs.
CREATE TABLE audit (
    position BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    tenant_id TEXT COLLATE "C" NOT NULL,
    sequence BIGINT NOT NULL,
    audit_id TEXT COLLATE "C" NOT NULL,
    happened_at BIGINT NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    target TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C",
    detail TEXT COLLATE "C" NOT NULL,
    previous BYTEA NOT NULL,
    hash BYTEA NOT NULL
);
CREATE UNIQUE INDEX audit_by_chain ON audit (tenant_id, sequence);

CREATE TABLE audit_unchained (
    tenant_id TEXT COLLATE "C" NOT NULL,
    happened_at BIGINT NOT NULL,
    audit_id TEXT COLLATE "C" NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    target TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, happened_at, audit_id)
);

CREATE TABLE flows (
    tenant_id TEXT COLLATE "C" NOT NULL REFERENCES tenants (tenant_id),
    flow_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    published BIGINT NOT NULL CHECK (published IN (0, 1)),
    PRIMARY KEY (tenant_id, flow_id)
);

CREATE TABLE intents (
    tenant_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    flow_id TEXT COLLATE "C" NOT NULL,
    document TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, name),
    FOREIGN KEY (tenant_id, flow_id) REFERENCES flows (tenant_id, flow_id)
);
CREATE UNIQUE INDEX intents_by_flow ON intents (tenant_id, flow_id);

CREATE TABLE quick_questions (
    tenant_id TEXT COLLATE "C" NOT NULL REFERENCES tenants (tenant_id),
    question_id TEXT COLLATE "C" NOT NULL,
    rank BIGINT NOT NULL,
    document TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, question_id)
);

CREATE TABLE sources (
    tenant_id TEXT COLLATE "C" NOT NULL REFERENCES tenants (tenant_id),
    source_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, source_id)
);

CREATE TABLE themes (
    tenant_id TEXT COLLATE "C" NOT NULL REFERENCES tenants (tenant_id),
    theme_id BIGINT NOT NULL,
    is_default BIGINT NOT NULL CHECK (is_default IN (0, 1)),
    document TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, theme_id)
);
CREATE UNIQUE INDEX themes_one_default ON themes (tenant_id) WHERE is_default = 1;

CREATE TABLE directory (
    tenant_id TEXT COLLATE "C" NOT NULL REFERENCES tenants (tenant_id),
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('employee', 'chat')),
    id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, kind, id)
);

CREATE TABLE webhooks (
    tenant_id TEXT COLLATE "C" NOT NULL REFERENCES tenants (tenant_id),
    webhook_id TEXT COLLATE "C" NOT NULL,
    url TEXT COLLATE "C" NOT NULL,
    events TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('enabled', 'disabled', 'deleted')),
    disabled_reason TEXT COLLATE "C" CHECK (disabled_reason IN ('operator', 'gone', 'exhausted')),
    settling BIGINT NOT NULL CHECK (settling IN (0, 1)),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, webhook_id)
);

CREATE TABLE webhook_secrets (
    tenant_id TEXT COLLATE "C" NOT NULL,
    webhook_id TEXT COLLATE "C" NOT NULL,
    generation BIGINT NOT NULL,
    sealed BYTEA NOT NULL,
    not_after BIGINT,
    PRIMARY KEY (tenant_id, webhook_id, generation),
    FOREIGN KEY (tenant_id, webhook_id) REFERENCES webhooks (tenant_id, webhook_id)
);

CREATE TABLE webhook_deliveries (
    tenant_id TEXT COLLATE "C" NOT NULL,
    delivery_id TEXT COLLATE "C" NOT NULL,
    webhook_id TEXT COLLATE "C" NOT NULL,
    event TEXT COLLATE "C" NOT NULL,
    body TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL CHECK (status IN ('pending', 'delivered', 'failed')),
    note TEXT COLLATE "C",
    tries BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    lease TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    finished_at BIGINT,
    PRIMARY KEY (tenant_id, delivery_id)
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_at) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (tenant_id, webhook_id, next_at)
    WHERE status = 'pending';
CREATE INDEX webhook_deliveries_log ON webhook_deliveries (tenant_id, webhook_id, delivery_id);
CREATE INDEX webhook_deliveries_finished ON webhook_deliveries (finished_at)
    WHERE status <> 'pending';
CREATE INDEX webhook_deliveries_leased ON webhook_deliveries (tenant_id, webhook_id, next_at)
    WHERE lease IS NOT NULL;

CREATE TABLE webhook_attempts (
    tenant_id TEXT COLLATE "C" NOT NULL,
    delivery_id TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    status_code BIGINT,
    error TEXT COLLATE "C",
    answer TEXT COLLATE "C",
    PRIMARY KEY (tenant_id, delivery_id, number),
    FOREIGN KEY (tenant_id, delivery_id)
        REFERENCES webhook_deliveries (tenant_id, delivery_id) ON DELETE CASCADE
);

CREATE TABLE webhook_expiries (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (name = 'told'),
    expires_at BIGINT NOT NULL,
    session_id TEXT COLLATE "C" NOT NULL
);

CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit is append only' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER audit_chains_stay BEFORE DELETE ON audit_chains
    FOR EACH ROW EXECUTE FUNCTION audit_is_append_only();
CREATE TRIGGER audit_chains_grow BEFORE UPDATE OF sequence ON audit_chains
    FOR EACH ROW WHEN (NEW.sequence <= OLD.sequence) EXECUTE FUNCTION audit_is_append_only();
CREATE TRIGGER audit_keeps_its_rows BEFORE DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION audit_is_append_only();
CREATE TRIGGER audit_keeps_its_words BEFORE UPDATE ON audit
    FOR EACH ROW EXECUTE FUNCTION audit_is_append_only();
-- Nobody empties them in one stroke either, which SQLite has no statement for.
CREATE TRIGGER audit_is_not_emptied BEFORE TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
CREATE TRIGGER audit_chains_are_not_emptied BEFORE TRUNCATE ON audit_chains
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();

CREATE FUNCTION forget_what_was_live() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE key_usage SET live_known = 0
    WHERE tenant_id = NEW.tenant_id AND key_id = NEW.key_id;
    RETURN NULL;
END $$;
CREATE TRIGGER keys_change_their_ceilings AFTER UPDATE OF ceilings ON keys
    FOR EACH ROW WHEN (NEW.ceilings IS DISTINCT FROM OLD.ceilings)
    EXECUTE FUNCTION forget_what_was_live();

-- SQLite's function of this name, as far as the store asks it: the text at a path.
CREATE FUNCTION json_extract(document TEXT, path TEXT) RETURNS TEXT LANGUAGE SQL IMMUTABLE
    RETURN jsonb_path_query_first(document::jsonb, path::jsonpath) #>> '{}';
