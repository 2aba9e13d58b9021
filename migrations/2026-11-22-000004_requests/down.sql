DELETE FROM retention WHERE table_name = 'request';
DROP FUNCTION ensure_request_partition(date);
DROP TABLE request;
