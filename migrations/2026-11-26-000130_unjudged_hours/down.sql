DELETE FROM retention WHERE table_name = 'unjudged_hour';
DROP TABLE unjudged_hour;
