DELETE FROM retention WHERE table_name IN ('message', 'event', 'webhook_delivery');
DROP TABLE webhook_delivery;
DROP TABLE event;
DROP TABLE message;
