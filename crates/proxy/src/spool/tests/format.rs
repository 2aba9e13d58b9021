//! The payload's format on the disk: nothing is lost in it, and what an older program wrote stays readable.

use chrono::DateTime;
use costlens_domain::privacy::BodyState;
use costlens_domain::request::{PriceReceipt, Provenance, RequestFact};
use costlens_domain::{ConnectionId, Tokens, Usage};

use super::super::frame::{HEADER, Kind};
use super::super::payload;
use super::{at, completed, intent};

fn payload_of(fact: &RequestFact) -> Vec<u8> {
    let mut record = Vec::new();
    payload::encode(&mut record, Kind::Completion, fact).unwrap();
    record.split_off(HEADER)
}

/// A fact in which no two fields hold the same.
fn everything() -> RequestFact {
    RequestFact {
        connection_id: Some(ConnectionId::new(at(), [3; 10])),
        started_at: DateTime::from_timestamp(1_763_800_000, 123_456_789).unwrap(),
        duration_ms: 1,
        first_byte_ms: Some(0),
        model_served: Some("served \"quoted\" \u{1}".to_owned()),
        service_tier: Some("flex".to_owned()),
        error_code: Some("late".to_owned()),
        usage: Usage {
            fresh_input: Tokens(2),
            cache_read: Tokens(3),
            cache_write_5m: Tokens(4),
            cache_write_1h: Tokens(5),
            output: Tokens(u64::MAX),
            reasoning: Tokens(6),
            audio_input: Tokens(7),
            audio_output: Tokens(8),
            web_searches: 9,
        },
        cost: "0.0000000181".parse().ok(),
        price: PriceReceipt {
            price_id: Some("id".to_owned()),
            source: Some("source".to_owned()),
            effective: chrono::NaiveDate::from_ymd_opt(2025, 2, 28),
            formula: Some("2 × 3".to_owned()),
            note: Some("ünïcode".to_owned()),
            repriced: None,
        },
        provenance: Provenance { response_id: Some("chatcmpl-1".to_owned()), ..Provenance::default() },
        body: BodyState::Truncated,
        ..completed(1)
    }
}

/// Whoever keeps no bodies writes the very records that he wrote before there were any.
#[test]
fn a_call_without_a_body_takes_no_more_room_than_before() {
    let none = completed(1);
    let some = RequestFact { body: BodyState::Sealed, ..completed(1) };
    assert!(!payload_of(&none).windows(2).any(|bytes| bytes == b"by"));
    assert_eq!(payload_of(&some).len(), payload_of(&none).len() + b".by.sealed".len());
}

#[test]
fn a_fact_comes_back_whole() {
    for fact in [everything(), intent(1), completed(2), RequestFact { cost: None, ..intent(3) }] {
        assert_eq!(payload::decode(fact.id, &payload_of(&fact)).unwrap(), fact);
    }
}

#[test]
fn a_cost_of_nothing_is_not_an_unknown_cost() {
    let free = RequestFact { cost: "0".parse().ok(), ..completed(1) };
    let unknown = RequestFact { cost: None, ..completed(1) };
    assert_eq!(payload::decode(free.id, &payload_of(&free)).unwrap().cost, free.cost);
    assert_eq!(payload::decode(unknown.id, &payload_of(&unknown)).unwrap().cost, None);
}

/// A record as the first programs wrote it. It must stay readable for as long as an update may find one; change the
/// program, never this text.
#[test]
fn what_was_written_as_json_is_read() {
    let written = r#"{"t":"019aa990567b70010101010101010101","k":"019aa990567b70020202020202020202","at":1763800000123000000,"d":42,"p":"openai","e":"/v1/chat/completions","m":"gpt-4o-mini","s":true,"h":200,"o":"completed","ui":3,"uo":21,"b":"exact","$":"0.00000015","ci":"caller-3","ri":"req_0123456789"}"#;
    let fact = payload::decode(intent(3).id, written.as_bytes()).unwrap();
    let ids = (fact.tenant_id, fact.api_key_id);
    let expected = RequestFact { tenant_id: ids.0, api_key_id: ids.1, ..completed(3) };
    assert_eq!(fact, expected);
    assert_eq!(ids.0.to_string(), "ten_019aa990567b70010101010101010101");
}
