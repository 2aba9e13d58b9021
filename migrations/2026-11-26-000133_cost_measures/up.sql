-- What a line costs with commitments spread and after private discounts, and by the public list. Facts that are there say
-- neither: NULL is unknown, until their bill is read again. The list price stays unknown where a bill does not tell it.
ALTER TABLE bill_daily_fact ADD COLUMN net_amortised numeric, ADD COLUMN list numeric;

-- The AI of a bill by each measure, beside the unblended one.
ALTER TABLE bill_control_total
    ADD COLUMN ai_net_unblended numeric,
    ADD COLUMN ai_amortised numeric,
    ADD COLUMN ai_net_amortised numeric,
    ADD COLUMN ai_list numeric,
    ADD COLUMN candidate_net_unblended numeric,
    ADD COLUMN candidate_amortised numeric,
    ADD COLUMN candidate_net_amortised numeric,
    ADD COLUMN candidate_list numeric;
-- Facts have always said two of them.
UPDATE bill_control_total t SET
    ai_net_unblended = s.ai_net, ai_amortised = s.ai_amortised,
    candidate_net_unblended = s.candidate_net, candidate_amortised = s.candidate_amortised
FROM (
    SELECT c.tenant_id, c.bill_id, c.currency, c.line_item_type,
           COALESCE(sum(f.net_unblended) FILTER (WHERE f.verdict = 'ai'), 0) AS ai_net,
           COALESCE(sum(f.amortised) FILTER (WHERE f.verdict = 'ai'), 0) AS ai_amortised,
           COALESCE(sum(f.net_unblended) FILTER (WHERE f.verdict = 'candidate'), 0) AS candidate_net,
           COALESCE(sum(f.amortised) FILTER (WHERE f.verdict = 'candidate'), 0) AS candidate_amortised
    FROM bill_control_total c
    LEFT JOIN bill_daily_fact f USING (tenant_id, bill_id, currency, line_item_type)
    GROUP BY c.tenant_id, c.bill_id, c.currency, c.line_item_type
) s
WHERE t.tenant_id = s.tenant_id AND t.bill_id = s.bill_id AND t.currency = s.currency
  AND t.line_item_type = s.line_item_type;

-- Months are settled by net amortised cost, too; nobody is charged by the list.
ALTER TABLE settlement DROP CONSTRAINT settlement_measure_check,
    ADD CONSTRAINT settlement_measure_check
        CHECK (measure IN ('unblended', 'net_unblended', 'amortised', 'net_amortised'));
