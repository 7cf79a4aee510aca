-- What users and keys have used of their limits. What test keys count and limit is apart from what
-- live ones do, because their clocks are not the service's: one row for each user and mode of the
-- keys it was counted with. `limited` is 1 when limits were set, if only to none at all. A limit of
-- a user stands beside its counter, so that one statement reads the limit and counts. `…_from` is
-- when the window began in which `…_used` was counted, `…_told` when the one began whose end of room
-- the audit was told of.

CREATE TABLE uid_usage (
    tenant_id TEXT NOT NULL,
    mode TEXT NOT NULL CHECK (mode IN ('live', 'test')),
    uid TEXT NOT NULL,
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
) WITHOUT ROWID;

INSERT INTO uid_usage
    (tenant_id, mode, uid, limited, hourly_limit, daily_limit, weekly_limit, monthly_limit)
SELECT tenant_id, 'live', uid, 1, json_extract(limits, '$.hourly'),
    json_extract(limits, '$.daily'), json_extract(limits, '$.weekly'),
    json_extract(limits, '$.monthly')
FROM uid_limits;
DROP TABLE uid_limits;

-- One row for each counted message, for as long as taking it back could change a window.
CREATE TABLE uid_messages (
    tenant_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    mode TEXT NOT NULL CHECK (mode IN ('live', 'test')),
    uid TEXT NOT NULL,
    accepted_at BIGINT NOT NULL,
    refunded_at BIGINT,
    PRIMARY KEY (tenant_id, message_id)
) WITHOUT ROWID;
CREATE INDEX uid_messages_by_time ON uid_messages (accepted_at);

-- What keys with ceilings have opened. `live_known` is 1 when all live sessions of the key are
-- marked as such: those from before it had that ceiling are not.
CREATE TABLE key_usage (
    tenant_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    daily_from BIGINT NOT NULL,
    daily_used BIGINT NOT NULL,
    daily_told BIGINT NOT NULL DEFAULT -1,
    live_told BIGINT NOT NULL DEFAULT -1,
    live_known BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, key_id)
) WITHOUT ROWID;
CREATE TRIGGER keys_change_their_ceilings AFTER UPDATE OF ceilings ON keys
WHEN NEW.ceilings IS NOT OLD.ceilings
BEGIN
    UPDATE key_usage SET live_known = 0
    WHERE tenant_id = NEW.tenant_id AND key_id = NEW.key_id;
END;

-- 1 for sessions of keys that may have only so many live ones; the others cost the index nothing.
ALTER TABLE sessions ADD COLUMN capped BIGINT NOT NULL DEFAULT 0;
CREATE INDEX sessions_of_capped_keys ON sessions (tenant_id, key_id, expires_at)
    WHERE capped = 1 AND revoked_at IS NULL;
