DELETE FROM retention WHERE table_name IN ('tenant_settings', 'recipient', 'slack_channel', 'webhook_endpoint');
DROP TABLE webhook_endpoint;
DROP TABLE slack_channel;
DROP TABLE recipient;
DROP TABLE tenant_settings;
