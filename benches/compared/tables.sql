-- Of both services. PostgreSQL says BYTEA and BIGSERIAL where SQLite says BLOB and INTEGER.
CREATE TABLE sessions (
    id TEXT NOT NULL PRIMARY KEY,
    surface TEXT NOT NULL,
    key TEXT NOT NULL,
    subject TEXT,
    issued_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    cache_key TEXT UNIQUE,
    granted TEXT NOT NULL
);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE INDEX sessions_by_subject ON sessions (subject);
CREATE TABLE replays (mac BLOB NOT NULL PRIMARY KEY, expires_at BIGINT NOT NULL);
CREATE INDEX replays_by_expiry ON replays (expires_at);
CREATE TABLE conversations (
    id TEXT NOT NULL PRIMARY KEY,
    customer TEXT,
    locale TEXT,
    variables TEXT NOT NULL,
    opened_at BIGINT NOT NULL
);
CREATE TABLE limits (uid TEXT NOT NULL PRIMARY KEY, limits TEXT NOT NULL);
CREATE TABLE audit (
    id INTEGER NOT NULL PRIMARY KEY,
    happened_at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    subject TEXT
);
