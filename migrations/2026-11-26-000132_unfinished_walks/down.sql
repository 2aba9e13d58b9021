REVOKE SELECT (id, started_at) ON repricing FROM costlens_system;
