//! A letter as the bytes that go over the wire. The same letter to the same address gives the same bytes.

use chrono::{DateTime, Utc};
use costlens_vault::TokenHash;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::{Address, Message};

use crate::mail::MailTo;
use crate::words::Letter;

pub(crate) fn message(
    from: &Mailbox,
    to: Address,
    mail: &MailTo,
    letter: &Letter,
    at: DateTime<Utc>,
) -> Result<Message, lettre::error::Error> {
    // Keys name tenants and recipients; their hash does not.
    let hash = hex::encode(TokenHash::of(&mail.message_id_key).0);
    let (id, _) = hash.split_at(32);
    let mut builder = Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(letter.subject.clone())
        .date(at.into())
        .message_id(Some(format!("<{id}@{}>", from.email.domain())))
        // Keeps holiday notices and other robots from answering (RFC 3834, section 5).
        .raw_header(header("Auto-Submitted", "auto-generated".to_owned()));
    if let Some(link) = &mail.list_unsubscribe {
        builder = builder
            .raw_header(header("List-Unsubscribe", format!("<{}>", link.as_str())))
            .raw_header(header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()));
    }
    let part = |kind: ContentType, body: &str| SinglePart::builder().header(kind).body(body.to_owned());
    // The last part is the one that a program which can show both prefers (RFC 2046, 5.1.4).
    builder.multipart(
        MultiPart::alternative()
            .boundary(format!("part-{id}"))
            .singlepart(part(ContentType::TEXT_PLAIN, &letter.text))
            .singlepart(part(ContentType::TEXT_HTML, &letter.html)),
    )
}

fn header(name: &'static str, value: String) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value)
}
