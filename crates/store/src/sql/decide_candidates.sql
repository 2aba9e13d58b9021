-- Decides which candidates count as AI by the rules that hold, of the bill $2 or, where that is null, of every bill that
-- counts. Gives the bills and months that this changes.
WITH decided AS (
    SELECT f.bill_id, f.n, (
        SELECT r.id FROM candidate_rule r
        WHERE r.tenant_id = f.tenant_id AND r.ended_at IS NULL AND r.service = f.service
          AND (r.usage_account IS NULL OR r.usage_account = f.usage_account)
          AND (r.region IS NULL OR r.region = f.region)
          AND (r.instance_type IS NULL OR r.instance_type = f.class ->> 'instance_type')
        -- The oldest: a later one that says the same of a fact changes nothing.
        ORDER BY r.id LIMIT 1
    ) AS rule
    FROM bill_daily_fact f
    JOIN bill b ON b.tenant_id = f.tenant_id AND b.id = f.bill_id
    WHERE f.tenant_id = $1 AND (f.verdict = 'candidate' OR f.by_rule IS NOT NULL)
      AND CASE WHEN $2 IS NULL THEN b.superseded_at IS NULL ELSE b.id = $2 END
), changed AS (
    UPDATE bill_daily_fact f SET
        verdict = CASE WHEN d.rule IS NULL THEN 'candidate' ELSE 'ai' END,
        class = jsonb_set(f.class, '{verdict}', to_jsonb(CASE WHEN d.rule IS NULL THEN 'candidate' ELSE 'ai' END)),
        by_rule = d.rule
    FROM decided d
    WHERE f.tenant_id = $1 AND f.bill_id = d.bill_id AND f.n = d.n AND f.by_rule IS DISTINCT FROM d.rule
    RETURNING f.bill_id, date_trunc('month', f.day)::date AS month
)
SELECT DISTINCT bill_id, month FROM changed
