REVOKE UPDATE (name) ON tenant FROM costlens_system;
REVOKE UPDATE (role), DELETE ON member FROM costlens_system;
DROP TABLE inbox_event;
DELETE FROM retention WHERE table_name = 'outer_organization';
DROP TABLE outer_organization;
DROP TABLE outer_object;
