-- What is under way to one endpoint is counted by when its leases end.
DROP INDEX webhook_deliveries_leased;
CREATE INDEX webhook_deliveries_leased ON webhook_deliveries (tenant_id, webhook_id, next_at)
    WHERE lease IS NOT NULL;

-- Earlier releases noted uses of sessions that were gone by then.
DELETE FROM session_uses WHERE NOT EXISTS (SELECT 1 FROM sessions AS s
    WHERE s.tenant_id = session_uses.tenant_id AND s.session_id = session_uses.session_id);
