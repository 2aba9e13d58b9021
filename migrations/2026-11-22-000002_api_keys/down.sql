DELETE FROM retention WHERE table_name = 'api_key';
DROP TABLE api_key;
