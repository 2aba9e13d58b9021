DELETE FROM settlement_day WHERE measure = 'net_amortised';
DELETE FROM settlement_price WHERE measure = 'net_amortised';
DELETE FROM settlement_cell WHERE measure = 'net_amortised';
DELETE FROM settlement_coverage WHERE measure = 'net_amortised';
DELETE FROM settlement_residual WHERE measure = 'net_amortised';
DELETE FROM settlement WHERE measure = 'net_amortised';
ALTER TABLE settlement DROP CONSTRAINT settlement_measure_check,
    ADD CONSTRAINT settlement_measure_check CHECK (measure IN ('unblended', 'net_unblended', 'amortised'));
ALTER TABLE bill_control_total
    DROP COLUMN ai_net_unblended,
    DROP COLUMN ai_amortised,
    DROP COLUMN ai_net_amortised,
    DROP COLUMN ai_list,
    DROP COLUMN candidate_net_unblended,
    DROP COLUMN candidate_amortised,
    DROP COLUMN candidate_net_amortised,
    DROP COLUMN candidate_list;
ALTER TABLE bill_daily_fact DROP COLUMN net_amortised, DROP COLUMN list;
