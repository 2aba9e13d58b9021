-- One statement, so the link is used up if and only if the session exists. Of several tries at once, one finds
-- the link unused; the others wait for its row, look again, and find nothing.
WITH used AS (
    UPDATE sign_in_link
    SET used_at = $2
    WHERE hash = $1 AND used_at IS NULL AND expires_at > $2
    RETURNING tenant_id, operator
)
INSERT INTO session (tenant_id, id, hash, created_at, expires_at, operator, proven_at, sign_in_id)
SELECT tenant_id, $3, $4, $2, $5, operator, $2, $3
FROM used
