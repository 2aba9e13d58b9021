DELETE FROM retention WHERE table_name = 'export';
DROP TABLE export;
