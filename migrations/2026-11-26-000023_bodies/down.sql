DROP FUNCTION drop_body_day(text, date, timestamptz, integer, uuid[], uuid[]);
DROP FUNCTION body_day_tenants(text, date);
DROP FUNCTION expired_body_days(timestamptz, integer);
DROP FUNCTION body_class_days(text, integer);
DROP FUNCTION ensure_body_partition(text, date);
DELETE FROM retention WHERE table_name = 'request_body';
DROP TABLE request_body;
