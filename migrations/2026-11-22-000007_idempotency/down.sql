DELETE FROM retention WHERE table_name = 'idempotency_key';
DROP TABLE idempotency_key;
