-- A bill of several months that was uploaded, and whose account delivers one of them by itself: that month counts as
-- delivered, and the upload goes on counting for the others.
ALTER TABLE bill ADD COLUMN given_up date[] NOT NULL DEFAULT '{}';

-- Takes the facts of a month and of these paying accounts out of every bill of these formats that counts, is one of that
-- month and was not delivered by a connection; a bill that has none left counts no longer. How many bills those are.
CREATE FUNCTION give_up_month(delivered uuid, of_month date, formats text[], accounts text[], since timestamptz)
    RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    own uuid := NULLIF(current_setting('costlens.tenant', true), '')::uuid;
    touched uuid[];
BEGIN
    WITH gone AS (
        DELETE FROM public.bill_daily_fact f
        USING public.bill b
        WHERE f.tenant_id = own AND b.tenant_id = own AND b.id = f.bill_id AND b.id <> delivered
          AND b.superseded_at IS NULL AND b.format = ANY (formats)
          AND b.first_month <= of_month AND b.last_month >= of_month
          AND f.day >= of_month AND f.day < of_month + interval '1 month' AND f.billing_account = ANY (accounts)
          AND NOT EXISTS (
              SELECT FROM public.bill_delivery d WHERE d.tenant_id = own AND d.bill_id = b.id
          )
        RETURNING f.bill_id
    )
    SELECT array_agg(DISTINCT bill_id) INTO touched FROM gone;
    UPDATE public.bill b
    SET given_up = CASE WHEN of_month = ANY (b.given_up) THEN b.given_up ELSE array_append(b.given_up, of_month) END,
        superseded_at = CASE
            WHEN EXISTS (SELECT FROM public.bill_daily_fact f WHERE f.tenant_id = own AND f.bill_id = b.id) THEN NULL
            ELSE since
        END
    WHERE b.tenant_id = own AND b.id = ANY (touched);
    RETURN COALESCE(cardinality(touched), 0);
END
$$;
REVOKE ALL ON FUNCTION give_up_month(uuid, date, text[], text[], timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION give_up_month(uuid, date, text[], text[], timestamptz) TO costlens_app;

-- And what counts twice by now.
WITH gone AS (
    DELETE FROM bill_daily_fact f
    USING bill b, bill_delivery d, bill delivered
    WHERE delivered.tenant_id = d.tenant_id AND delivered.id = d.bill_id AND delivered.superseded_at IS NULL
      AND b.tenant_id = d.tenant_id AND b.id <> delivered.id AND b.superseded_at IS NULL
      AND split_part(b.scope, ' ', 1) = split_part(delivered.scope, ' ', 1)
      AND b.first_month <= d.month AND b.last_month >= d.month
      AND f.tenant_id = b.tenant_id AND f.bill_id = b.id AND f.day >= d.month AND f.day < d.month + interval '1 month'
      AND f.billing_account IN (
          SELECT own.billing_account FROM bill_daily_fact own
          WHERE own.tenant_id = delivered.tenant_id AND own.bill_id = delivered.id
      )
      AND NOT EXISTS (SELECT FROM bill_delivery o WHERE o.tenant_id = b.tenant_id AND o.bill_id = b.id)
    RETURNING f.tenant_id, f.bill_id, d.month
)
UPDATE bill b
SET given_up = (SELECT array_agg(DISTINCT gone.month) FROM gone WHERE gone.tenant_id = b.tenant_id AND gone.bill_id = b.id)
WHERE EXISTS (SELECT FROM gone WHERE gone.tenant_id = b.tenant_id AND gone.bill_id = b.id);
UPDATE bill b
SET superseded_at = now()
WHERE given_up <> '{}' AND superseded_at IS NULL
  AND NOT EXISTS (SELECT FROM bill_daily_fact f WHERE f.tenant_id = b.tenant_id AND f.bill_id = b.id);
