DELETE FROM retention WHERE table_name = 'connection';
DROP TABLE connection;
