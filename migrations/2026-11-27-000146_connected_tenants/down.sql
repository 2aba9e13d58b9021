REVOKE SELECT (revoked_at) ON aws_connection FROM costlens_system;
