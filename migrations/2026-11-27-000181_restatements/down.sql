DELETE FROM insight_event a USING insight_event b
WHERE a.tenant_id = b.tenant_id AND a.kind = b.kind AND a.subject = b.subject AND a.day = b.day
  AND a.currency = b.currency AND a.id > b.id;
DROP INDEX insight_event_once;
CREATE UNIQUE INDEX insight_event_once ON insight_event (tenant_id, kind, md5(subject), day, currency);
