-- Those of the bills $2 that a connection at work delivers, or a vendor's source that is not ended reports.
SELECT d.bill_id AS id
FROM bill_delivery d
JOIN aws_connection c ON c.tenant_id = d.tenant_id AND c.id = d.connection_id
WHERE d.tenant_id = $1 AND d.bill_id = ANY ($2) AND c.state NOT IN ('paused', 'revoked')
UNION
SELECT m.bill_id
FROM invoice_month m
JOIN invoice_source s ON s.tenant_id = m.tenant_id AND s.id = m.source_id
WHERE m.tenant_id = $1 AND m.bill_id = ANY ($2) AND s.state <> 'revoked'
