-- Decides which candidates count as AI by the rules that hold, of the bill $2 or, where that is null, of every bill that
-- counts. Gives the bills and months of which this changes a sum, which a fact that another rule counts by now does not.
WITH decided AS (
    SELECT f.bill_id, f.n, f.by_rule AS before, (
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
    WHERE f.tenant_id = $1 AND f.bill_id = d.bill_id AND f.n = d.n AND d.before IS DISTINCT FROM d.rule
    RETURNING f.bill_id, f.day, f.currency, f.line_item_type, f.unblended, f.net_unblended, f.amortised, f.net_amortised,
              f.list, (d.before IS NULL) <> (d.rule IS NULL) AS has_turned,
              CASE WHEN d.rule IS NULL THEN -1 ELSE 1 END AS sign
), marked AS (
    -- Whoever reads a bill page by page sees that it is another one by now.
    UPDATE bill SET decisions = decisions + 1
    WHERE tenant_id = $1 AND id IN (SELECT bill_id FROM changed WHERE has_turned)
), moved AS (
    SELECT bill_id, currency, line_item_type, sum(sign * unblended) AS unblended, sum(sign * net_unblended) AS net_unblended,
           CASE WHEN bool_and(amortised IS NOT NULL) THEN sum(sign * amortised) END AS amortised,
           CASE WHEN bool_and(net_amortised IS NOT NULL) THEN sum(sign * net_amortised) END AS net_amortised,
           CASE WHEN bool_and(list IS NOT NULL) THEN sum(sign * list) END AS list
    FROM changed
    WHERE has_turned
    GROUP BY 1, 2, 3
), retotalled AS (
    -- Totals are those of the file. Where a month of it was given up its facts are gone, and only what moved is known; all
    -- others are added up anew (`retotal_bills.sql`), by which a sum may become known again.
    UPDATE bill_control_total t SET
        ai = t.ai + m.unblended, candidate = t.candidate - m.unblended,
        ai_net_unblended = t.ai_net_unblended + m.net_unblended,
        candidate_net_unblended = t.candidate_net_unblended - m.net_unblended,
        ai_amortised = t.ai_amortised + m.amortised, candidate_amortised = t.candidate_amortised - m.amortised,
        ai_net_amortised = t.ai_net_amortised + m.net_amortised,
        candidate_net_amortised = t.candidate_net_amortised - m.net_amortised,
        ai_list = t.ai_list + m.list, candidate_list = t.candidate_list - m.list
    FROM moved m
    JOIN bill b ON b.tenant_id = $1 AND b.id = m.bill_id AND b.given_up <> '{}'
    WHERE t.tenant_id = $1 AND t.bill_id = m.bill_id AND t.currency = m.currency AND t.line_item_type = m.line_item_type
)
SELECT DISTINCT bill_id, date_trunc('month', day)::date AS month FROM changed WHERE has_turned
