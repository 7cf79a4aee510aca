-- What test keys count and limit is apart from what live ones do: their clocks are not the
-- service's. One row for each user and mode of the keys it was counted with.
ALTER TABLE uid_usage RENAME TO uid_usage_of_live_keys;
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
SELECT tenant_id, 'live', uid, limited, hourly_limit, hourly_from, hourly_used, hourly_told,
    daily_limit, daily_from, daily_used, daily_told, weekly_limit, weekly_from, weekly_used,
    weekly_told, monthly_limit, monthly_from, monthly_used, monthly_told, last_message_at
FROM uid_usage_of_live_keys;
DROP TABLE uid_usage_of_live_keys;

ALTER TABLE uid_messages ADD COLUMN mode TEXT NOT NULL DEFAULT 'live'
    CHECK (mode IN ('live', 'test'));
