DELETE FROM retention WHERE table_name = 'spend_hourly';
DROP TABLE spend_hourly;
