-- By how much calls of the days $2 to $3 (exclusive) are dearer by their bills than by their estimates, of the key $4, provider
-- $5 and model $6 where they are not null; how many of them had no price; and what is on the bills that no call used.
SELECT (
           SELECT COALESCE(sum(settled - estimated), 0) FROM settlement_cell
           WHERE tenant_id = $1 AND measure = 'net_unblended' AND state <> 'absent' AND day >= $2 AND day < $3
             AND ($4 IS NULL OR api_key_id = $4) AND ($5 IS NULL OR provider = $5) AND ($6 IS NULL OR model = $6)
       ) AS difference,
       (
           SELECT COALESCE(sum(unpriced_calls), 0)::bigint FROM settlement_cell
           WHERE tenant_id = $1 AND measure = 'net_unblended' AND state = 'settled' AND day >= $2 AND day < $3
             AND ($4 IS NULL OR api_key_id = $4) AND ($5 IS NULL OR provider = $5) AND ($6 IS NULL OR model = $6)
       ) AS priced_calls,
       (
           SELECT COALESCE(sum(amount), 0) FROM settlement_residual
           WHERE tenant_id = $1 AND measure = 'net_unblended' AND side = 'outside' AND code = 'unproxied'
             AND day >= $2 AND day < $3
       ) AS unproxied
