DELETE FROM retention WHERE table_name = 'audit_event';
DROP TABLE operator_event;
DROP TABLE audit_event;
