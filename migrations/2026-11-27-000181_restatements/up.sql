-- A month may be restated more than once, and for more than one payer: each bill that does so tells it once.
DROP INDEX insight_event_once;
CREATE UNIQUE INDEX insight_event_once
    ON insight_event (tenant_id, kind, md5(subject), day, currency, COALESCE(detail ->> 'bill_id', ''));
