UPDATE retention SET reason = 'every version of a month is kept' WHERE table_name = 'bill_daily_fact';
DELETE FROM retention WHERE table_name IN ('aws_connection', 'bill_delivery', 'bill_month');
DROP FUNCTION forget_superseded_facts(uuid);
DROP TABLE bill_month;
DROP TABLE bill_delivery;
DROP TABLE aws_connection;
