//! The tables as diesel sees them, written by hand. A test compares every column with the live catalogue.

diesel::table! {
    tenant (id) {
        id -> Uuid,
        name -> Text,
        created_at -> Timestamptz,
        closing_at -> Nullable<Timestamptz>,
        one_hour_sign_in -> Bool,
    }
}

diesel::table! {
    api_key (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        hash -> Binary,
        name -> Text,
        hint -> Text,
        hangup -> Text,
        stream_usage -> Text,
        durability -> Text,
        created_at -> Timestamptz,
        revoked_at -> Nullable<Timestamptz>,
        last_used_at -> Nullable<Timestamptz>,
        zero_retention -> Bool,
        scopes -> Array<Text>,
        expires_at -> Nullable<Timestamptz>,
        previous_hash -> Nullable<Binary>,
        previous_until -> Nullable<Timestamptz>,
        rolled_at -> Nullable<Timestamptz>,
        shown_to -> Nullable<Uuid>,
    }
}

diesel::table! {
    api_key_label (tenant_id, api_key_id, name) {
        tenant_id -> Uuid,
        api_key_id -> Uuid,
        name -> Text,
        value -> Text,
    }
}

diesel::table! {
    connection (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        provider -> Text,
        name -> Text,
        base_url -> Nullable<Text>,
        sealed_secret -> Nullable<Binary>,
        models -> Array<Text>,
        created_at -> Timestamptz,
        disabled_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    tenant_key (tenant_id, version) {
        tenant_id -> Uuid,
        version -> Int4,
        wrapped -> Binary,
        created_at -> Timestamptz,
        seals -> Int8,
    }
}

diesel::table! {
    service_key (name) {
        name -> Text,
        wrapped -> Binary,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    request (tenant_id, day, id) {
        tenant_id -> Uuid,
        day -> Date,
        id -> Uuid,
        api_key_id -> Uuid,
        connection_id -> Nullable<Uuid>,
        started_at -> Timestamptz,
        duration_ms -> Int8,
        first_byte_ms -> Nullable<Int8>,
        provider -> Text,
        endpoint -> Text,
        model_requested -> Text,
        model_served -> Nullable<Text>,
        service_tier -> Nullable<Text>,
        streamed -> Bool,
        status -> Nullable<Int4>,
        outcome -> Text,
        error_code -> Nullable<Text>,
        fresh_input -> Int8,
        cache_read -> Int8,
        cache_write_5m -> Int8,
        cache_write_1h -> Int8,
        output -> Int8,
        reasoning -> Int8,
        audio_input -> Int8,
        audio_output -> Int8,
        web_searches -> Int8,
        cost_basis -> Text,
        cost -> Nullable<Numeric>,
        price -> Jsonb,
        caller_request_id -> Nullable<Text>,
        provider_request_id -> Nullable<Text>,
        body -> Text,
        origin -> Text,
        region -> Nullable<Text>,
        response_id -> Nullable<Text>,
    }
}

diesel::table! {
    imported_call (tenant_id, origin, source_id) {
        tenant_id -> Uuid,
        origin -> Text,
        source_id -> Text,
        day -> Date,
        request_id -> Uuid,
        response_id -> Nullable<Text>,
        imported_at -> Timestamptz,
        claimed_cost -> Nullable<Numeric>,
        user_name -> Nullable<Text>,
        end_user -> Nullable<Text>,
        team -> Nullable<Text>,
        service -> Nullable<Text>,
        tags -> Jsonb,
        superseded_by -> Nullable<Uuid>,
    }
}

diesel::table! {
    tenant_privacy (tenant_id) {
        tenant_id -> Uuid,
        capture_bodies -> Bool,
        zero_retention -> Bool,
        redact -> Bool,
        body_class -> Text,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    subject_key (tenant_id, subject_id, version) {
        tenant_id -> Uuid,
        subject_id -> Uuid,
        version -> Int4,
        wrapped -> Nullable<Binary>,
        created_at -> Timestamptz,
        destroyed_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    request_body (tenant_id, class, day, id) {
        tenant_id -> Uuid,
        class -> Text,
        day -> Date,
        id -> Uuid,
        subject_id -> Uuid,
        key_version -> Int4,
        started_at -> Timestamptz,
        redacted -> Bool,
        request_bytes -> Int8,
        response_bytes -> Int8,
        sealed_request -> Binary,
        sealed_response -> Binary,
    }
}

diesel::table! {
    support_grant (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        reason -> Text,
        granted_at -> Timestamptz,
        expires_at -> Timestamptz,
        revoked_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    spend_hourly (tenant_id, hour, api_key_id, provider, model, outcome, cost_basis) {
        tenant_id -> Uuid,
        hour -> Timestamptz,
        api_key_id -> Uuid,
        provider -> Text,
        model -> Text,
        outcome -> Text,
        cost_basis -> Text,
        requests -> Int8,
        fresh_input -> Int8,
        cache_read -> Int8,
        cache_write_5m -> Int8,
        cache_write_1h -> Int8,
        output -> Int8,
        reasoning -> Int8,
        audio_input -> Int8,
        audio_output -> Int8,
        web_searches -> Int8,
        cost -> Nullable<Numeric>,
    }
}

diesel::table! {
    sign_in_link (tenant_id, hash) {
        tenant_id -> Uuid,
        hash -> Binary,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
        used_at -> Nullable<Timestamptz>,
        operator -> Bool,
    }
}

diesel::table! {
    session (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        hash -> Binary,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
        ended_at -> Nullable<Timestamptz>,
        operator -> Bool,
        user_id -> Nullable<Uuid>,
        method -> Text,
        proven_at -> Nullable<Timestamptz>,
        two_factors -> Bool,
        sign_in_id -> Nullable<Uuid>,
        refresh_hash -> Nullable<Binary>,
        refresh_used_at -> Nullable<Timestamptz>,
        refresh_expires_at -> Nullable<Timestamptz>,
        outer_session -> Nullable<Text>,
        read_only -> Bool,
        browser -> Nullable<Text>,
    }
}

diesel::table! {
    user_account (id) {
        id -> Uuid,
        name -> Text,
        email -> Text,
        password_hash -> Nullable<Text>,
        password_changed_at -> Nullable<Timestamptz>,
        wrapped_key -> Binary,
        totp_secret -> Nullable<Binary>,
        totp_confirmed_at -> Nullable<Timestamptz>,
        totp_last_step -> Nullable<Int8>,
        created_at -> Timestamptz,
        disabled_at -> Nullable<Timestamptz>,
        memberless_since -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    user_identity (issuer, subject) {
        issuer -> Text,
        subject -> Text,
        user_id -> Uuid,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    recovery_code (user_id, hash) {
        user_id -> Uuid,
        hash -> Binary,
        used_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    user_link (id) {
        id -> Uuid,
        purpose -> Text,
        email -> Text,
        user_id -> Nullable<Uuid>,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
        used_at -> Nullable<Timestamptz>,
        mail_state -> Text,
        mail_doubts -> Int4,
    }
}

diesel::table! {
    exchange_code (hash) {
        hash -> Binary,
        browser_hash -> Binary,
        user_id -> Uuid,
        method -> Text,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
        used_at -> Nullable<Timestamptz>,
        sso_provider_id -> Nullable<Uuid>,
        proven_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    member (tenant_id, user_id) {
        tenant_id -> Uuid,
        user_id -> Uuid,
        role -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    invitation (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        email -> Text,
        role -> Text,
        invited_by -> Text,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
        accepted_at -> Nullable<Timestamptz>,
        revoked_at -> Nullable<Timestamptz>,
        mail_state -> Text,
        mail_doubts -> Int4,
    }
}

diesel::table! {
    idempotency_key (tenant_id, operation, key) {
        tenant_id -> Uuid,
        operation -> Text,
        key -> Text,
        body_hash -> Binary,
        created_at -> Timestamptz,
        status -> Nullable<Int4>,
        answer -> Nullable<Text>,
    }
}

diesel::table! {
    bill (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        name -> Text,
        format -> Text,
        scope -> Text,
        lines -> Int8,
        first_day -> Nullable<Date>,
        last_day -> Nullable<Date>,
        rules_version -> Int8,
        files -> Jsonb,
        resources -> Jsonb,
        unknown_line_types -> Array<Text>,
        skipped -> Array<Text>,
        created_at -> Timestamptz,
        superseded_at -> Nullable<Timestamptz>,
        first_month -> Nullable<Date>,
        last_month -> Nullable<Date>,
        given_up -> Array<Date>,
        withdrawn_at -> Nullable<Timestamptz>,
        decisions -> Int4,
    }
}

diesel::table! {
    bill_upload (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        name -> Text,
        object_key -> Text,
        bytes -> Int8,
        sha256 -> Binary,
        state -> Text,
        progress -> Nullable<Jsonb>,
        problem_code -> Nullable<Text>,
        problem_detail -> Nullable<Text>,
        bill_id -> Nullable<Uuid>,
        job_id -> Nullable<Uuid>,
        asks -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        finished_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    aws_connection (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        account_id -> Text,
        role_arn -> Text,
        external_id -> Text,
        bucket -> Text,
        prefix -> Text,
        report -> Text,
        region -> Nullable<Text>,
        kms_key_arn -> Nullable<Text>,
        layout -> Nullable<Text>,
        state -> Text,
        problem_code -> Nullable<Text>,
        problem_detail -> Nullable<Text>,
        checks -> Int4,
        next_check_at -> Nullable<Timestamptz>,
        checked_at -> Nullable<Timestamptz>,
        verified_at -> Nullable<Timestamptz>,
        swept_at -> Nullable<Timestamptz>,
        delivered_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        revoked_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    bill_delivery (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        connection_id -> Uuid,
        month -> Date,
        delivery -> Text,
        manifest_key -> Text,
        manifest_etag -> Text,
        manifest_sha256 -> Binary,
        columns_sha256 -> Nullable<Binary>,
        rules_version -> Int8,
        bill_id -> Uuid,
        finality -> Text,
        files -> Int4,
        bytes -> Int8,
        previous_id -> Nullable<Uuid>,
        changes -> Jsonb,
        change -> Nullable<Text>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    bill_month (tenant_id, connection_id, month) {
        tenant_id -> Uuid,
        connection_id -> Uuid,
        month -> Date,
        state -> Text,
        manifest_key -> Text,
        manifest_etag -> Nullable<Text>,
        rules_version -> Int8,
        delivery_id -> Nullable<Uuid>,
        progress -> Nullable<Jsonb>,
        problem_code -> Nullable<Text>,
        problem_detail -> Nullable<Text>,
        job_id -> Nullable<Uuid>,
        asks -> Int4,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    invoice_source (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        vendor -> Text,
        name -> Text,
        sealed_key -> Nullable<Binary>,
        key_hint -> Text,
        key_number -> Int4,
        organisation -> Nullable<Text>,
        state -> Text,
        problem_code -> Nullable<Text>,
        problem_detail -> Nullable<Text>,
        failures -> Int4,
        next_fetch_at -> Nullable<Timestamptz>,
        fetched_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        revoked_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    invoice_month (tenant_id, source_id, month) {
        tenant_id -> Uuid,
        source_id -> Uuid,
        month -> Date,
        content_sha256 -> Nullable<Binary>,
        bill_id -> Nullable<Uuid>,
        problem_code -> Nullable<Text>,
        problem_detail -> Nullable<Text>,
        read_at -> Nullable<Timestamptz>,
        changed_at -> Nullable<Timestamptz>,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    bill_control_total (tenant_id, bill_id, line_item_type, currency) {
        tenant_id -> Uuid,
        bill_id -> Uuid,
        line_item_type -> Text,
        currency -> Text,
        lines -> Int8,
        lines_without_cost -> Int8,
        unblended -> Numeric,
        split_cost -> Numeric,
        ai -> Numeric,
        candidate -> Numeric,
        ai_net_unblended -> Nullable<Numeric>,
        ai_amortised -> Nullable<Numeric>,
        ai_net_amortised -> Nullable<Numeric>,
        ai_list -> Nullable<Numeric>,
        candidate_net_unblended -> Nullable<Numeric>,
        candidate_amortised -> Nullable<Numeric>,
        candidate_net_amortised -> Nullable<Numeric>,
        candidate_list -> Nullable<Numeric>,
    }
}

diesel::table! {
    bill_daily_fact (tenant_id, bill_id, n) {
        tenant_id -> Uuid,
        bill_id -> Uuid,
        n -> Int8,
        day -> Date,
        billing_account -> Text,
        usage_account -> Text,
        region -> Text,
        billing_entity -> Text,
        product_code -> Text,
        product_name -> Text,
        usage_type -> Text,
        operation -> Text,
        principal -> Text,
        line_item_type -> Text,
        currency -> Text,
        verdict -> Text,
        service -> Text,
        category -> Text,
        model -> Nullable<Text>,
        meter -> Text,
        tier -> Text,
        routing -> Text,
        class -> Jsonb,
        pricing_unit -> Text,
        usage_quantity -> Numeric,
        tokens -> Nullable<Numeric>,
        unblended -> Numeric,
        net_unblended -> Numeric,
        amortised -> Nullable<Numeric>,
        lines -> Int8,
        net_amortised -> Nullable<Numeric>,
        list -> Nullable<Numeric>,
        by_rule -> Nullable<Uuid>,
    }
}

diesel::table! {
    candidate_rule (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        service -> Text,
        usage_account -> Nullable<Text>,
        region -> Nullable<Text>,
        instance_type -> Nullable<Text>,
        created_at -> Timestamptz,
        ended_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    audit_event (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        at -> Timestamptz,
        actor -> Text,
        action -> Text,
        target -> Nullable<Text>,
        change -> Jsonb,
        request_id -> Nullable<Uuid>,
        seq -> Int8,
        prev_hash -> Binary,
        hash -> Binary,
        address -> Nullable<Text>,
    }
}

diesel::table! {
    operator_event (id) {
        id -> Uuid,
        at -> Timestamptz,
        actor -> Text,
        action -> Text,
        target -> Nullable<Text>,
        change -> Jsonb,
        request_id -> Nullable<Uuid>,
        seq -> Int8,
        prev_hash -> Binary,
        hash -> Binary,
        address -> Nullable<Text>,
    }
}

diesel::table! {
    audit_head (tenant_id) {
        tenant_id -> Uuid,
        seq -> Int8,
        hash -> Binary,
        pruned_seq -> Int8,
        pruned_hash -> Binary,
    }
}

diesel::table! {
    operator_event_head (one) {
        one -> Bool,
        seq -> Int8,
        hash -> Binary,
    }
}

diesel::table! {
    watch (name) {
        name -> Text,
        upto -> Timestamptz,
    }
}

diesel::table! {
    unjudged_hour (tenant_id, hour) {
        tenant_id -> Uuid,
        hour -> Timestamptz,
    }
}

diesel::table! {
    audit_anchor (n) {
        n -> Int8,
        day -> Date,
        at -> Timestamptz,
        sha256 -> Binary,
        chains -> Int8,
    }
}

diesel::table! {
    tenant_settings (tenant_id) {
        tenant_id -> Uuid,
        time_zone -> Text,
        digest_weekday -> Int4,
        digest_hour -> Int4,
        next_digest_at -> Timestamptz,
    }
}

diesel::table! {
    recipient (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        email -> Text,
        digest -> Bool,
        alerts -> Bool,
        created_at -> Timestamptz,
        confirmed_at -> Nullable<Timestamptz>,
        stopped_at -> Nullable<Timestamptz>,
        stop_reason -> Nullable<Text>,
    }
}

diesel::table! {
    slack_channel (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        name -> Text,
        sealed_url -> Binary,
        digest -> Bool,
        alerts -> Bool,
        created_at -> Timestamptz,
        stopped_at -> Nullable<Timestamptz>,
        stop_reason -> Nullable<Text>,
    }
}

diesel::table! {
    webhook_endpoint (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        name -> Text,
        host -> Text,
        sealed_url -> Binary,
        sealed_secret -> Binary,
        kinds -> Array<Text>,
        created_at -> Timestamptz,
        failing_since -> Nullable<Timestamptz>,
        stopped_at -> Nullable<Timestamptz>,
        stop_reason -> Nullable<Text>,
    }
}

diesel::table! {
    message (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        key -> Text,
        kind -> Text,
        channel -> Text,
        target_id -> Uuid,
        figures -> Jsonb,
        state -> Text,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
        attempts -> Int4,
        job_id -> Uuid,
        doubts -> Int4,
        settled_at -> Nullable<Timestamptz>,
        provider_id -> Nullable<Text>,
        problem -> Nullable<Text>,
    }
}

diesel::table! {
    event (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        kind -> Text,
        at -> Timestamptz,
        payload -> Jsonb,
    }
}

diesel::table! {
    webhook_delivery (tenant_id, event_id, endpoint_id) {
        tenant_id -> Uuid,
        event_id -> Uuid,
        endpoint_id -> Uuid,
        state -> Text,
        attempts -> Int4,
        created_at -> Timestamptz,
        last_at -> Nullable<Timestamptz>,
        next_at -> Nullable<Timestamptz>,
        settled_at -> Nullable<Timestamptz>,
        last_status -> Nullable<Int4>,
        last_code -> Nullable<Text>,
        last_millis -> Nullable<Int8>,
        last_answer -> Nullable<Text>,
        job_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    budget (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        name -> Text,
        api_key_id -> Nullable<Uuid>,
        provider -> Nullable<Text>,
        model -> Nullable<Text>,
        period -> Text,
        amount -> Numeric,
        thresholds -> Array<Int4>,
        created_at -> Timestamptz,
        ended_at -> Nullable<Timestamptz>,
        counts_unproxied -> Bool,
    }
}

diesel::table! {
    budget_alert (tenant_id, budget_id, period_start, threshold) {
        tenant_id -> Uuid,
        budget_id -> Uuid,
        period_start -> Timestamptz,
        threshold -> Int4,
        spent -> Numeric,
        at -> Timestamptz,
        expected_on -> Nullable<Date>,
    }
}

diesel::table! {
    anomaly (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        series -> Text,
        hour -> Timestamptz,
        detector -> Text,
        expected -> Numeric,
        actual -> Numeric,
        contributors -> Jsonb,
        found_at -> Timestamptz,
        cadence -> Text,
        kind -> Text,
        currency -> Text,
        explanation -> Jsonb,
        changes -> Jsonb,
        decision -> Nullable<Text>,
        decision_reason -> Nullable<Text>,
        decided_by -> Nullable<Text>,
        decided_at -> Nullable<Timestamptz>,
        bill_verdict -> Nullable<Text>,
        billed -> Nullable<Numeric>,
        billed_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    insight_event (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        kind -> Text,
        subject -> Text,
        day -> Date,
        currency -> Text,
        amount -> Numeric,
        detail -> Jsonb,
        found_at -> Timestamptz,
    }
}

diesel::table! {
    recommendation (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        kind -> Text,
        subject -> Text,
        currency -> Text,
        monthly_saving -> Numeric,
        monthly_cost -> Numeric,
        confidence -> Text,
        evidence -> Jsonb,
        first_found_at -> Timestamptz,
        found_at -> Timestamptz,
        ended_at -> Nullable<Timestamptz>,
        dismissed_at -> Nullable<Timestamptz>,
        dismissed_by -> Nullable<Text>,
        dismissed_reason -> Nullable<Text>,
    }
}

diesel::table! {
    export (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        what -> Text,
        format -> Text,
        filter -> Jsonb,
        state -> Text,
        rows -> Int8,
        permille -> Int4,
        object_key -> Nullable<Text>,
        bytes -> Nullable<Int8>,
        sha256 -> Nullable<Binary>,
        problem_code -> Nullable<Text>,
        problem_detail -> Nullable<Text>,
        job_id -> Nullable<Uuid>,
        asks -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        finished_at -> Nullable<Timestamptz>,
        expires_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    closure (tenant_id) {
        tenant_id -> Uuid,
        erasure_id -> Uuid,
        requested_by -> Text,
    }
}

diesel::table! {
    erasure (id) {
        id -> Uuid,
        state -> Text,
        requested_at -> Timestamptz,
        erase_at -> Timestamptz,
        deadline_at -> Timestamptz,
        begun_at -> Nullable<Timestamptz>,
        ended_at -> Nullable<Timestamptz>,
        alarmed_day -> Nullable<Int4>,
        tenant_hash -> Nullable<Binary>,
        evidence -> Jsonb,
        certificate -> Nullable<Jsonb>,
        chain_tag -> Nullable<Binary>,
    }
}

diesel::table! {
    status_minute (component, minute) {
        component -> Text,
        minute -> Timestamptz,
        outcome -> Text,
        latency_ms -> Nullable<Int4>,
    }
}

diesel::table! {
    status_day (component, day) {
        component -> Text,
        day -> Date,
        ok -> Int4,
        degraded -> Int4,
        down -> Int4,
    }
}

diesel::table! {
    status_incident (id) {
        id -> Uuid,
        component -> Text,
        started_at -> Timestamptz,
        ended_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    status_beat (one) {
        one -> Bool,
        at -> Timestamptz,
    }
}

diesel::table! {
    kept_audit_event (erasure_id, n) {
        erasure_id -> Uuid,
        n -> Int8,
        at -> Timestamptz,
        action -> Text,
        prev_hash -> Binary,
        hash -> Binary,
    }
}

diesel::table! {
    outer_object (issuer, kind, id) {
        issuer -> Text,
        kind -> Text,
        id -> Text,
        version -> Int8,
        gone -> Bool,
        organization -> Nullable<Text>,
        person -> Nullable<Text>,
        role -> Nullable<Text>,
        seen_at -> Timestamptz,
    }
}

diesel::table! {
    outer_organization (tenant_id) {
        tenant_id -> Uuid,
        issuer -> Text,
        organization -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    inbox_event (source, message_id) {
        source -> Text,
        message_id -> Text,
        kind -> Text,
        payload -> Jsonb,
        state -> Text,
        received_at -> Timestamptz,
        done_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    price_version (n) {
        n -> Int8,
        published_at -> Timestamptz,
        sha256 -> Binary,
        source -> Text,
        review_id -> Nullable<Uuid>,
        diff -> Jsonb,
        document -> Text,
    }
}

diesel::table! {
    price_review (id) {
        id -> Uuid,
        state -> Text,
        fetched_at -> Timestamptz,
        base -> Int8,
        sha256 -> Binary,
        source -> Text,
        diff -> Jsonb,
        document -> Text,
        decided_at -> Nullable<Timestamptz>,
        version -> Nullable<Int8>,
    }
}

diesel::table! {
    price_feed (single) {
        single -> Bool,
        source -> Nullable<Text>,
        etag -> Nullable<Text>,
        sha256 -> Nullable<Binary>,
        good_at -> Nullable<Timestamptz>,
        checked_at -> Nullable<Timestamptz>,
        outcome -> Nullable<Text>,
        problem -> Nullable<Text>,
        alarmed_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    price_correction (id) {
        id -> Uuid,
        state -> Text,
        provider -> Text,
        price_id -> Text,
        from_at -> Timestamptz,
        to_at -> Timestamptz,
        version -> Int8,
        reason -> Text,
        asked_by -> Text,
        asked_at -> Timestamptz,
        confirmed_at -> Nullable<Timestamptz>,
        ended_at -> Nullable<Timestamptz>,
        spread -> Bool,
    }
}

diesel::table! {
    repricing (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        kind -> Text,
        key -> Text,
        version -> Int8,
        correction_id -> Nullable<Uuid>,
        provider -> Nullable<Text>,
        price_id -> Nullable<Text>,
        from_at -> Nullable<Timestamptz>,
        to_at -> Nullable<Timestamptz>,
        cursor_provider -> Nullable<Text>,
        cursor_day -> Nullable<Date>,
        cursor_id -> Nullable<Uuid>,
        seen -> Int8,
        changed -> Int8,
        old_cost -> Numeric,
        new_cost -> Numeric,
        started_at -> Timestamptz,
        finished_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    request_repricing (tenant_id, request_id, repricing_id) {
        tenant_id -> Uuid,
        request_id -> Uuid,
        repricing_id -> Uuid,
        at -> Timestamptz,
        version -> Int8,
        old_basis -> Text,
        old_cost -> Nullable<Numeric>,
        old_price -> Jsonb,
        new_basis -> Text,
        new_cost -> Numeric,
    }
}

diesel::table! {
    sso_provider (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        issuer -> Text,
        client_id -> Text,
        sealed_secret -> Binary,
        default_role -> Text,
        required -> Bool,
        created_at -> Timestamptz,
        changed_at -> Timestamptz,
    }
}

diesel::table! {
    sso_domain (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        domain -> Text,
        token -> Text,
        created_at -> Timestamptz,
        checked_at -> Nullable<Timestamptz>,
        seen_at -> Nullable<Timestamptz>,
        proven_at -> Nullable<Timestamptz>,
        looked_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    sso_identity (tenant_id, issuer, subject) {
        tenant_id -> Uuid,
        issuer -> Text,
        subject -> Text,
        user_id -> Nullable<Uuid>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    held_outside (tenant_id, service, place) {
        tenant_id -> Uuid,
        service -> Text,
        place -> Text,
        since -> Timestamptz,
    }
}

diesel::table! {
    settlement (tenant_id, issuer, month, measure) {
        tenant_id -> Uuid,
        month -> Date,
        measure -> Text,
        version -> Uuid,
        bill_ids -> Array<Uuid>,
        complete_through -> Date,
        settled_at -> Timestamptz,
        other_currencies -> Array<Text>,
        billed -> Numeric,
        estimated -> Numeric,
        settled -> Numeric,
        unknown -> Numeric,
        billed_for_tokens -> Numeric,
        covered -> Numeric,
        billed_tokens -> Int8,
        covered_tokens -> Int8,
        calls -> Int8,
        absent -> Numeric,
        absent_calls -> Int8,
        issuer -> Text,
    }
}

diesel::table! {
    settlement_residual (tenant_id, issuer, month, measure, n) {
        tenant_id -> Uuid,
        month -> Date,
        measure -> Text,
        n -> Int8,
        day -> Date,
        account -> Text,
        region -> Text,
        principal -> Text,
        model -> Text,
        code -> Text,
        side -> Text,
        amount -> Numeric,
        tokens -> Int8,
        issuer -> Text,
    }
}

diesel::table! {
    settlement_coverage (tenant_id, issuer, month, measure, n) {
        tenant_id -> Uuid,
        month -> Date,
        measure -> Text,
        n -> Int8,
        account -> Text,
        region -> Text,
        principal -> Text,
        model -> Text,
        billed_tokens -> Int8,
        covered_tokens -> Int8,
        billed -> Numeric,
        covered -> Numeric,
        issuer -> Text,
    }
}

diesel::table! {
    settlement_cell (tenant_id, issuer, month, measure, n) {
        tenant_id -> Uuid,
        month -> Date,
        measure -> Text,
        n -> Int8,
        day -> Date,
        api_key_id -> Uuid,
        connection_id -> Nullable<Uuid>,
        provider -> Text,
        model -> Text,
        service_tier -> Text,
        certainty -> Text,
        long_prompt -> Bool,
        state -> Text,
        confidence -> Text,
        calls -> Int8,
        unpriced_calls -> Int8,
        estimated -> Numeric,
        settled -> Numeric,
        even -> Numeric,
        parts -> Jsonb,
        issuer -> Text,
        origin -> Text,
        region -> Text,
    }
}

diesel::table! {
    settlement_price (tenant_id, issuer, month, measure, n) {
        tenant_id -> Uuid,
        month -> Date,
        measure -> Text,
        n -> Int8,
        model -> Text,
        kind -> Text,
        tier -> Text,
        routing -> Text,
        long_context -> Bool,
        first_day -> Date,
        last_day -> Date,
        rows -> Int8,
        quantity -> Int8,
        charged -> Numeric,
        listed -> Nullable<Numeric>,
        finding -> Text,
        issuer -> Text,
    }
}

diesel::table! {
    settlement_day (tenant_id, issuer, day, measure, version) {
        tenant_id -> Uuid,
        day -> Date,
        measure -> Text,
        version -> Uuid,
        settled_at -> Timestamptz,
        calls -> Int8,
        estimated -> Numeric,
        settled -> Numeric,
        missed -> Numeric,
        billed -> Numeric,
        unknown -> Numeric,
        issuer -> Text,
    }
}

diesel::joinable!(tenant_settings -> tenant (tenant_id));
diesel::joinable!(message -> tenant (tenant_id));
diesel::joinable!(budget -> tenant (tenant_id));
diesel::joinable!(unjudged_hour -> tenant (tenant_id));
diesel::joinable!(bill -> tenant (tenant_id));
diesel::joinable!(spend_hourly -> tenant (tenant_id));
diesel::joinable!(session -> tenant (tenant_id));
diesel::joinable!(member -> tenant (tenant_id));
diesel::joinable!(member -> user_account (user_id));
diesel::joinable!(invitation -> tenant (tenant_id));
diesel::joinable!(api_key -> tenant (tenant_id));
diesel::allow_tables_to_appear_in_same_query!(
    tenant,
    tenant_settings,
    message,
    budget,
    unjudged_hour,
    bill,
    spend_hourly,
    session,
    api_key,
    closure,
    erasure,
    member,
    invitation,
    user_account,
    sso_provider,
    sso_domain,
    sso_identity,
);
diesel::allow_tables_to_appear_in_same_query!(bill, bill_upload);
diesel::allow_tables_to_appear_in_same_query!(bill, bill_daily_fact);
