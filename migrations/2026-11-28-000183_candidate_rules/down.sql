UPDATE bill_control_total t SET
    ai = s.ai, candidate = s.candidate,
    ai_net_unblended = NULL, ai_amortised = NULL, ai_net_amortised = NULL, ai_list = NULL,
    candidate_net_unblended = NULL, candidate_amortised = NULL, candidate_net_amortised = NULL, candidate_list = NULL
FROM (
    SELECT tenant_id, bill_id, currency, line_item_type,
           COALESCE(sum(unblended) FILTER (WHERE verdict = 'ai' AND by_rule IS NULL), 0) AS ai,
           COALESCE(sum(unblended) FILTER (WHERE verdict = 'candidate' OR by_rule IS NOT NULL), 0) AS candidate
    FROM bill_daily_fact
    GROUP BY 1, 2, 3, 4
    HAVING bool_or(by_rule IS NOT NULL)
) s
WHERE t.tenant_id = s.tenant_id AND t.bill_id = s.bill_id AND t.currency = s.currency
  AND t.line_item_type = s.line_item_type;
UPDATE bill_daily_fact SET verdict = 'candidate', class = jsonb_set(class, '{verdict}', '"candidate"'), by_rule = NULL
WHERE by_rule IS NOT NULL;
ALTER TABLE bill_daily_fact DROP COLUMN by_rule;
REVOKE UPDATE (verdict, class) ON bill_daily_fact FROM costlens_app;
REVOKE UPDATE (ai, candidate, ai_net_unblended, ai_amortised, ai_net_amortised, ai_list, candidate_net_unblended,
    candidate_amortised, candidate_net_amortised, candidate_list) ON bill_control_total FROM costlens_app;
DELETE FROM retention WHERE table_name = 'candidate_rule';
DROP TABLE candidate_rule;
