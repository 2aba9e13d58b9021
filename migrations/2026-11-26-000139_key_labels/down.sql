DELETE FROM retention WHERE table_name = 'api_key_label';
DROP TABLE api_key_label;
