-- Signatures that are over are found key by key along the primary key, so that none of them costs a
-- second index. PostgreSQL's twin is the same.
DROP INDEX replays_by_expiry;
