CREATE OR REPLACE FUNCTION give_up_month(delivered uuid, of_month date, formats text[], accounts text[], since timestamptz)
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
