-- What sessions are asked for after their opening: by whom they are for, by what they may see, by
-- the key that opened them; their renewals and their last use.
--
-- The table is made anew, so that the long grant stays behind everything that lists look at.
-- PostgreSQL's twin makes it as it is here at once and has nothing to copy.
CREATE TABLE sessions_with_life (
    tenant_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    key_generation BIGINT NOT NULL,
    token_id TEXT NOT NULL,
    surface TEXT NOT NULL CHECK (surface IN ('embed', 'chat', 'iframe')),
    -- 'employee:…', 'uid:…' or 'customer:…'.
    subject TEXT,
    -- The only chat of an embed session, or the conversation of a chat session.
    chat TEXT,
    issued_at BIGINT NOT NULL,
    ttl_s BIGINT NOT NULL,
    renewed_at BIGINT,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    -- Superseded tokens, as JSON; null when there are none.
    earlier TEXT,
    cache_key_hash BLOB,
    redemptions BIGINT NOT NULL DEFAULT 0,
    max_redemptions BIGINT,
    granted TEXT NOT NULL,
    PRIMARY KEY (tenant_id, session_id),
    FOREIGN KEY (tenant_id, key_id) REFERENCES keys (tenant_id, key_id)
);
INSERT INTO sessions_with_life (tenant_id, session_id, key_id, key_generation, token_id, surface,
    subject, chat, issued_at, ttl_s, expires_at, revoked_at, cache_key_hash, redemptions,
    max_redemptions, granted)
SELECT s.tenant_id, s.session_id, s.key_id, s.key_generation, s.token_id, s.surface,
    CASE s.surface
        WHEN 'embed' THEN 'employee:' || json_extract(s.granted, '$.employee')
        WHEN 'iframe' THEN 'uid:' || json_extract(s.granted, '$.uid')
        ELSE 'customer:' || (SELECT c.customer_id FROM conversations AS c
            WHERE c.tenant_id = s.tenant_id AND c.conversation_id = s.conversation_id)
    END,
    CASE s.surface WHEN 'embed' THEN json_extract(s.granted, '$.chat') ELSE s.conversation_id END,
    s.issued_at, s.expires_at / 1000 - s.issued_at / 1000, s.expires_at, s.revoked_at,
    s.cache_key_hash, s.redemptions, s.max_redemptions, s.granted
FROM sessions AS s ORDER BY s.rowid;
DROP TABLE sessions;
ALTER TABLE sessions_with_life RENAME TO sessions;

-- The hash is the whole capability: whoever redeems a cache key names no tenant.
CREATE UNIQUE INDEX sessions_by_cache_key ON sessions (cache_key_hash)
    WHERE cache_key_hash IS NOT NULL;
-- The address of an assistant's page names its session, but no tenant; so do operators.
CREATE UNIQUE INDEX sessions_by_id ON sessions (session_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
-- Session ids sort by the time of their opening, so each of these is a list with the latest last.
-- Key ids are unique over all tenants.
CREATE INDEX sessions_by_key ON sessions (key_id, session_id);
CREATE INDEX sessions_by_subject ON sessions (tenant_id, subject, session_id)
    WHERE subject IS NOT NULL;
CREATE INDEX sessions_by_chat ON sessions (tenant_id, chat, session_id) WHERE chat IS NOT NULL;

-- Uses of sessions whose key has an idle time-out, and of no others. Apart, so that remembering a
-- use does not write the session's long row again.
CREATE TABLE session_uses (
    tenant_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    last_used_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, session_id)
) WITHOUT ROWID;
