//! Each way a letter can fail, and what the error says of it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use costlens_notify::words::{Kind, Link, sample};
use costlens_notify::{Accepted, BadMailer, MailTo, Mailer, MailerConfig, Retry, SendError};

use crate::smtp::{Fault, Security, Smtp};

fn at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_600_000, 0).unwrap()
}

fn config(server: &Smtp, scheme: &str, login: &str, query: &str) -> MailerConfig {
    MailerConfig {
        url: format!("{scheme}://{login}localhost:{}{query}", server.address.port()),
        from: "Costlens Reports <reports@costlens.example>".to_owned(),
        timeout: Duration::from_secs(30),
        extra_roots: vec![server.root.clone()],
    }
}

fn mail() -> MailTo {
    MailTo {
        to: "ada@example.org".to_owned(),
        message_id_key: "digest:ten_1:2026-W47:ada".to_owned(),
        list_unsubscribe: Some(Link::parse("https://costlens.example/unsubscribe?t=abc").unwrap()),
    }
}

async fn send(config: &MailerConfig) -> Result<Accepted, SendError> {
    let letter = sample(Kind::WeeklyDigest).letter().unwrap();
    Mailer::new(config).unwrap().send(&mail(), &letter, at()).await
}

async fn plain(fault: Fault) -> (Result<Accepted, SendError>, Smtp) {
    let server = Smtp::start(Security::Plain, fault).await;
    let mut config = config(&server, "smtp", "", "?tls=none");
    // Who is answered by nothing waits in vain; what comes before that has its time.
    match fault {
        Fault::Hang("DATA-END") => config.timeout = Duration::from_secs(5),
        Fault::Hang(_) => config.timeout = Duration::from_millis(700),
        _ => {}
    }
    let result = send(&config).await;
    (result, server)
}

#[tokio::test]
async fn an_accepted_letter_carries_what_mailboxes_ask_of_a_bulk_sender() {
    let (result, server) = plain(Fault::None).await;
    assert_eq!(result, Ok(Accepted { provider_id: Some("0100018f-sample-000000".to_owned()) }));
    let text = server.heard_text();
    for line in [
        "MAIL FROM:<reports@costlens.example>",
        "RCPT TO:<ada@example.org>",
        "From: \"Costlens Reports\" <reports@costlens.example>",
        "To: ada@example.org",
        "Auto-Submitted: auto-generated",
        "List-Unsubscribe: <https://costlens.example/unsubscribe?t=abc>",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        "Date: Wed, 25 Nov 2026 09:46:40 +0000",
        "Content-Type: multipart/alternative;",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Type: text/html; charset=utf-8",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{}", &text[..1500]);
    }
    assert!(!text.contains("digest:ten_1"), "the key itself does not go out");
    assert!(server.heard().iter().all(|line| line.is_ascii() && line.len() <= 998));
}

#[tokio::test]
async fn the_same_letter_is_the_same_bytes() {
    let (_, one) = plain(Fault::None).await;
    let (_, two) = plain(Fault::None).await;
    assert_eq!(one.heard(), two.heard());
    assert_eq!(one.heard().iter().filter(|line| line.starts_with("Message-ID: <")).count(), 1);
}

#[tokio::test]
async fn a_password_goes_over_tls_alone() {
    for (security, scheme, query) in [
        (Security::Implicit, "smtps", ""),
        (Security::StartTls, "smtp", ""),
        (Security::StartTls, "smtp", "?tls=opportunistic"),
    ] {
        let server = Smtp::start(security, Fault::None).await;
        let config = config(&server, scheme, "AKIA:s%2Fec%2Bret@", query);
        assert!(!format!("{config:?}").contains("ret"), "{config:?}");
        assert!(send(&config).await.is_ok());
        // base64 of "\0AKIA\0s/ec+ret".
        assert!(
            server.heard().contains(&"AUTH PLAIN AEFLSUEAcy9lYytyZXQ=".to_owned()),
            "{:?}",
            server.heard()
        );
    }
    let server = Smtp::start(Security::Plain, Fault::None).await;
    let failed = send(&config(&server, "smtp", "user:pass@", "?tls=opportunistic")).await.unwrap_err();
    assert!(matches!(failed, SendError::NotSent { retry: Retry::Later, .. }), "{failed:?}");
    assert!(!server.heard_text().contains("AUTH"));
    let refused = Mailer::new(&config(&server, "smtp", "user:pass@", "?tls=none")).unwrap_err();
    assert!(matches!(refused, BadMailer::PasswordInTheClear));
}

#[tokio::test]
async fn tls_that_is_required_is_not_done_without() {
    let server = Smtp::start(Security::Plain, Fault::None).await;
    let failed = send(&config(&server, "smtp", "", "")).await.unwrap_err();
    assert!(matches!(failed, SendError::NotSent { retry: Retry::Later, .. }), "{failed:?}");
    // A certificate that nobody vouches for.
    let server = Smtp::start(Security::Implicit, Fault::None).await;
    let mut config = config(&server, "smtps", "", "");
    config.extra_roots.clear();
    let failed = send(&config).await.unwrap_err();
    assert!(matches!(failed, SendError::NotSent { retry: Retry::Later, .. }), "{failed:?}");
    assert!(server.heard().is_empty());
}

#[tokio::test]
async fn an_answer_before_the_data_means_that_nothing_was_sent() {
    for (command, answer, retry, code) in [
        ("GREETING", "421 4.3.2 later", Retry::Later, 421),
        ("GREETING", "554 5.3.2 not you", Retry::Later, 554),
        ("MAIL", "451 4.3.0 later", Retry::Later, 451),
        ("MAIL", "550 5.1.8 bad sender", Retry::Later, 550),
        ("RCPT", "421 4.4.5 busy", Retry::Later, 421),
        ("RCPT", "550 5.7.1 relaying denied", Retry::Later, 550),
        ("RCPT", "530 5.7.0 sign in first", Retry::Later, 530),
        ("DATA", "452 4.3.1 full", Retry::Later, 452),
        ("DATA", "554 5.5.1 no", Retry::Never, 554),
        ("DATA-END", "451 4.7.0 later", Retry::Later, 451),
        ("DATA-END", "554 5.6.0 we do not like it", Retry::Never, 554),
        ("DATA-END", "552 too big", Retry::Never, 552),
        // Who sends is the operator's to mend.
        ("DATA-END", "550 5.7.26 unauthenticated mail is not taken", Retry::Later, 550),
        ("DATA-END", "554 Message rejected: Email address is not verified.", Retry::Later, 554),
    ] {
        let (result, _server) = plain(Fault::Answer(command, answer)).await;
        let failed = result.unwrap_err();
        let SendError::NotSent { retry: got, code: status, text } = &failed else {
            panic!("{command} {answer}: {failed:?}")
        };
        assert_eq!((*got, *status), (retry, Some(code)), "{command} {answer}");
        assert!(text.starts_with(answer), "{text}");
        assert!(!failed.may_have_been_sent());
    }
}

#[tokio::test]
async fn what_a_server_says_is_kept_without_the_address() {
    for answer in
        ["550 5.1.1 <Ada@Example.ORG> no such user", "450 4.2.0 ada@example.org: greylisted, ada@example.org"]
    {
        let (result, _server) = plain(Fault::Answer("RCPT", answer)).await;
        let said = result.unwrap_err().to_string();
        assert!(said.contains("(the address)") && !said.to_lowercase().contains("ada@"), "{said}");
    }
}

#[tokio::test]
async fn a_refused_recipient_is_the_addresss_fault() {
    for (answer, permanent) in [
        ("550 5.1.1 no such user", true),
        ("553 no", true),
        ("450 4.2.1 greylisted", false),
        ("452 4.2.2 full", false),
    ] {
        let (result, server) = plain(Fault::Answer("RCPT", answer)).await;
        let failed = result.unwrap_err();
        assert!(
            matches!(&failed, SendError::AddressRefused { permanent: got, code: Some(_), .. } if *got == permanent),
            "{failed:?}"
        );
        assert!(!server.heard().contains(&"DATA".to_owned()));
    }
    let server = Smtp::start(Security::Plain, Fault::None).await;
    let mailer = Mailer::new(&config(&server, "smtp", "", "?tls=none")).unwrap();
    let letter = sample(Kind::BudgetAlert).letter().unwrap();
    for to in ["nobody", "a@b\r\nRCPT TO:<c@d>", "", "a@b, c@d"] {
        let failed = mailer.send(&MailTo { to: to.to_owned(), ..mail() }, &letter, at()).await.unwrap_err();
        assert!(matches!(failed, SendError::AddressRefused { permanent: true, code: None, .. }), "{to:?}");
    }
    assert!(server.heard().is_empty());
}

#[tokio::test]
async fn silence_before_the_data_means_that_nothing_was_sent() {
    for command in ["EHLO", "MAIL", "RCPT", "DATA"] {
        for fault in [Fault::Hang(command), Fault::Close(command)] {
            let failed = plain(fault).await.0.unwrap_err();
            assert!(
                matches!(failed, SendError::NotSent { retry: Retry::Later, code: None, .. }),
                "{fault:?} {failed:?}"
            );
        }
    }
    let gone = Smtp::start(Security::Plain, Fault::None).await;
    let config = config(&gone, "smtp", "", "?tls=none");
    drop(gone);
    tokio::time::sleep(Duration::from_millis(30)).await;
    let failed = send(&config).await.unwrap_err();
    assert!(matches!(failed, SendError::NotSent { retry: Retry::Later, code: None, .. }), "{failed:?}");
}

#[tokio::test]
async fn silence_after_the_data_means_that_nobody_knows() {
    for fault in [Fault::Hang("DATA-END"), Fault::Close("DATA-END"), Fault::Answer("DATA-END", "garbage")] {
        let failed = plain(fault).await.0.unwrap_err();
        assert!(matches!(failed, SendError::Unknown { .. }), "{fault:?}: {failed:?}");
        assert!(failed.may_have_been_sent());
    }
}

#[tokio::test]
async fn a_subject_cannot_add_a_header() {
    let server = Smtp::start(Security::Plain, Fault::None).await;
    let mailer = Mailer::new(&config(&server, "smtp", "", "?tls=none")).unwrap();
    let mut letter = sample(Kind::BudgetAlert).letter().unwrap();
    letter.subject = "Hello\r\nBcc: evil@example.net\r\n\r\nbody".to_owned();
    let _ = mailer.send(&mail(), &letter, at()).await;
    assert!(!server.heard().iter().any(|line| line.to_ascii_lowercase().starts_with("bcc:")));
}
