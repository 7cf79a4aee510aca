-- Webhook endpoints, their secrets, and the queue of what is sent to them. Times are milliseconds
-- since 1970; nothing in here but `sealed` is secret.

-- A deleted endpoint stays until the queue has let go of its deliveries, a slice at a time;
-- `settling` says that pending ones are to be taken off.
CREATE TABLE webhooks (
    tenant_id TEXT NOT NULL REFERENCES tenants (tenant_id),
    webhook_id TEXT NOT NULL,
    url TEXT NOT NULL,
    events TEXT NOT NULL,
    description TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('enabled', 'disabled', 'deleted')),
    disabled_reason TEXT CHECK (disabled_reason IN ('operator', 'gone', 'exhausted')),
    settling BIGINT NOT NULL CHECK (settling IN (0, 1)),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, webhook_id)
) WITHOUT ROWID;

CREATE TABLE webhook_secrets (
    tenant_id TEXT NOT NULL,
    webhook_id TEXT NOT NULL,
    generation BIGINT NOT NULL,
    sealed BLOB NOT NULL,
    not_after BIGINT,
    PRIMARY KEY (tenant_id, webhook_id, generation),
    FOREIGN KEY (tenant_id, webhook_id) REFERENCES webhooks (tenant_id, webhook_id)
) WITHOUT ROWID;

-- One message to one endpoint. `lease` names whoever sends it now, and `next_at` is then when the
-- lease ends; otherwise it is when the next attempt is due. `tries` counts since the last replay,
-- `attempts` all.
CREATE TABLE webhook_deliveries (
    tenant_id TEXT NOT NULL,
    delivery_id TEXT NOT NULL,
    webhook_id TEXT NOT NULL,
    event TEXT NOT NULL,
    body TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'delivered', 'failed')),
    note TEXT,
    tries BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    lease TEXT,
    created_at BIGINT NOT NULL,
    finished_at BIGINT,
    PRIMARY KEY (tenant_id, delivery_id)
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_at) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (tenant_id, webhook_id, next_at)
    WHERE status = 'pending';
CREATE INDEX webhook_deliveries_leased ON webhook_deliveries (tenant_id, webhook_id)
    WHERE lease IS NOT NULL;
CREATE INDEX webhook_deliveries_log ON webhook_deliveries (tenant_id, webhook_id, delivery_id);
CREATE INDEX webhook_deliveries_finished ON webhook_deliveries (finished_at)
    WHERE status <> 'pending';

CREATE TABLE webhook_attempts (
    tenant_id TEXT NOT NULL,
    delivery_id TEXT NOT NULL,
    number BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    status_code BIGINT,
    error TEXT,
    answer TEXT,
    PRIMARY KEY (tenant_id, delivery_id, number),
    FOREIGN KEY (tenant_id, delivery_id)
        REFERENCES webhook_deliveries (tenant_id, delivery_id) ON DELETE CASCADE
) WITHOUT ROWID;

-- Up to which end of a session `session.expired` was told: one row, there while somebody listens.
CREATE TABLE webhook_expiries (
    name TEXT NOT NULL PRIMARY KEY CHECK (name = 'told'),
    expires_at BIGINT NOT NULL,
    session_id TEXT NOT NULL
) WITHOUT ROWID;
