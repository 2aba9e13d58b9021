-- Adds the AI and the candidates in the totals of the bills $2 up anew from their facts, which are all of both where no month
-- was given up. A sum of which a part is unknown is unknown.
UPDATE bill_control_total t SET
    ai = s.ai, ai_net_unblended = s.ai_net_unblended, ai_amortised = s.ai_amortised, ai_net_amortised = s.ai_net_amortised,
    ai_list = s.ai_list, candidate = s.candidate, candidate_net_unblended = s.candidate_net_unblended,
    candidate_amortised = s.candidate_amortised, candidate_net_amortised = s.candidate_net_amortised,
    candidate_list = s.candidate_list
FROM (
    SELECT bill_id, currency, line_item_type,
           COALESCE(sum(unblended) FILTER (WHERE is_ai), 0) AS ai,
           COALESCE(sum(net_unblended) FILTER (WHERE is_ai), 0) AS ai_net_unblended,
           CASE WHEN bool_and(amortised IS NOT NULL OR NOT is_ai)
               THEN COALESCE(sum(amortised) FILTER (WHERE is_ai), 0) END AS ai_amortised,
           CASE WHEN bool_and(net_amortised IS NOT NULL OR NOT is_ai)
               THEN COALESCE(sum(net_amortised) FILTER (WHERE is_ai), 0) END AS ai_net_amortised,
           CASE WHEN bool_and(list IS NOT NULL OR NOT is_ai)
               THEN COALESCE(sum(list) FILTER (WHERE is_ai), 0) END AS ai_list,
           COALESCE(sum(unblended) FILTER (WHERE NOT is_ai), 0) AS candidate,
           COALESCE(sum(net_unblended) FILTER (WHERE NOT is_ai), 0) AS candidate_net_unblended,
           CASE WHEN bool_and(amortised IS NOT NULL OR is_ai)
               THEN COALESCE(sum(amortised) FILTER (WHERE NOT is_ai), 0) END AS candidate_amortised,
           CASE WHEN bool_and(net_amortised IS NOT NULL OR is_ai)
               THEN COALESCE(sum(net_amortised) FILTER (WHERE NOT is_ai), 0) END AS candidate_net_amortised,
           CASE WHEN bool_and(list IS NOT NULL OR is_ai)
               THEN COALESCE(sum(list) FILTER (WHERE NOT is_ai), 0) END AS candidate_list
    FROM (
        SELECT f.bill_id, f.currency, f.line_item_type, f.unblended, f.net_unblended, f.amortised, f.net_amortised, f.list,
               f.verdict = 'ai' AS is_ai
        FROM bill_daily_fact f
        JOIN bill b ON b.tenant_id = f.tenant_id AND b.id = f.bill_id AND b.given_up = '{}'
        WHERE f.tenant_id = $1 AND f.bill_id = ANY ($2)
    ) facts
    GROUP BY 1, 2, 3
) s
WHERE t.tenant_id = $1 AND t.bill_id = s.bill_id AND t.currency = s.currency AND t.line_item_type = s.line_item_type
