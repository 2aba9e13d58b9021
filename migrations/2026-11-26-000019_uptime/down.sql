DELETE FROM retention WHERE table_name = 'status_minute';
DROP TABLE status_beat;
DROP TABLE status_incident;
DROP FUNCTION status_incident_ends_once();
DROP TABLE status_day;
DROP TABLE status_minute;
