-- What a key is for and what it may cost. PostgreSQL's twin is the same.

ALTER TABLE keys ADD COLUMN mode TEXT NOT NULL DEFAULT 'live' CHECK (mode IN ('live', 'test'));
-- Seconds; null is no bound of the key's own.
ALTER TABLE keys ADD COLUMN idle_timeout_s BIGINT;
ALTER TABLE keys ADD COLUMN max_lifetime_s BIGINT;
-- JSON, a member for each ceiling that there is.
ALTER TABLE keys ADD COLUMN ceilings TEXT NOT NULL DEFAULT '{}';
