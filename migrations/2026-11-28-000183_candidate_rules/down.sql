-- What rules counted is a candidate again, in facts and in totals. Where a bill's facts are gone (an earlier delivery's, a
-- month's that was given up), its totals keep what they say of those.
UPDATE bill_control_total t SET
    ai = t.ai - s.unblended, candidate = t.candidate + s.unblended,
    ai_net_unblended = t.ai_net_unblended - s.net_unblended,
    candidate_net_unblended = t.candidate_net_unblended + s.net_unblended,
    ai_amortised = NULL, ai_net_amortised = NULL, ai_list = NULL,
    candidate_amortised = NULL, candidate_net_amortised = NULL, candidate_list = NULL
FROM (
    SELECT tenant_id, bill_id, currency, line_item_type, sum(unblended) AS unblended, sum(net_unblended) AS net_unblended
    FROM bill_daily_fact
    WHERE by_rule IS NOT NULL
    GROUP BY 1, 2, 3, 4
) s
WHERE t.tenant_id = s.tenant_id AND t.bill_id = s.bill_id AND t.currency = s.currency
  AND t.line_item_type = s.line_item_type;
UPDATE bill_daily_fact SET verdict = 'candidate', class = jsonb_set(class, '{verdict}', '"candidate"'), by_rule = NULL
WHERE by_rule IS NOT NULL;
ALTER TABLE bill_daily_fact DROP COLUMN by_rule;
ALTER TABLE bill DROP COLUMN decisions;
REVOKE UPDATE (verdict, class) ON bill_daily_fact FROM costlens_app;
REVOKE UPDATE (ai, candidate, ai_net_unblended, ai_amortised, ai_net_amortised, ai_list, candidate_net_unblended,
    candidate_amortised, candidate_net_amortised, candidate_list) ON bill_control_total FROM costlens_app;
DELETE FROM retention WHERE table_name = 'candidate_rule';
DROP TABLE candidate_rule;
