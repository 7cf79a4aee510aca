-- One row for each request with an idempotency key that took effect: its sealed answer, written in
-- the transaction of the effect. The claim is a hash that names tenant, credential, operation and
-- key; the tenant is empty for the operator's own requests.
--
-- With a rowid on purpose: answers are long and claims are random, so appending the answers dirties
-- fewer pages than spreading them over a tree of claims.
CREATE TABLE idempotency (
    tenant_id TEXT NOT NULL,
    claim BLOB NOT NULL,
    claimed_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    answer BLOB NOT NULL,
    PRIMARY KEY (tenant_id, claim)
);
CREATE INDEX idempotency_by_expiry ON idempotency (expires_at);
