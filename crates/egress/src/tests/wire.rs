//! Who was dialled, with which name, and what each failure is called.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::tests::dns::FakeDns;
use crate::tests::rig::{Manner, NotedDial, Server, allowing, config, get};
use crate::{Body, Egress, EgressError};

const PUBLIC: &str = "93.184.216.34";

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// A client for `https://api.example.org`, whose name server follows the script and whose dialler leads to a TLS
/// server with a certificate for `certified`.
async fn public_client(
    certified: &str,
    manner: Manner,
    script: impl Fn(&str, usize) -> Vec<IpAddr> + Send + Sync + 'static,
) -> (Egress, Arc<NotedDial>, Server, FakeDns) {
    let server = Server::tls(manner, certified).await;
    let dns = FakeDns::start(script).await;
    let dial = NotedDial::to(Some(server.address));
    let mut config = config(Some(dns.address));
    config.extra_roots.extend(server.root.clone());
    let egress = Egress::dialling(config, Arc::<NotedDial>::clone(&dial)).unwrap();
    (egress, dial, server, dns)
}

#[tokio::test]
async fn the_address_that_was_judged_is_dialled_under_the_endpoints_name() {
    let (egress, dial, _server, dns) =
        public_client("api.example.org", Manner::Echo, |_, _| ips(&[PUBLIC, "2606:4700::1"])).await;
    let (status, seen) = get(&egress, "https://api.example.org/v1/x").await.unwrap();
    assert_eq!(status, 200);
    assert!(
        seen.starts_with("GET /v1/x HTTP/1.1\r\n") && seen.contains("host: api.example.org\r\n"),
        "{seen}"
    );
    assert_eq!(dial.addresses(), ["93.184.216.34:443"]);
    assert!(dns.questions().iter().all(|name| name == "api.example.org"), "{:?}", dns.questions());
}

#[tokio::test]
async fn a_name_that_turns_private_is_refused_at_the_next_connection() {
    for private in ["127.0.0.1", "169.254.169.254", "10.0.0.1"] {
        let (egress, dial, server, _dns) =
            public_client("api.example.org", Manner::EchoOnce, move |_, nth| match nth {
                0 => ips(&[PUBLIC]),
                _ => ips(&[private]),
            })
            .await;
        assert_eq!(get(&egress, "https://api.example.org/").await.unwrap().0, 200);
        let refused = get(&egress, "https://api.example.org/").await.unwrap_err();
        assert!(
            matches!(&refused, EgressError::RefusedAddress { host, address }
            if host == "api.example.org" && address.to_string() == private),
            "{refused:?}"
        );
        assert!(!refused.may_have_been_sent());
        assert_eq!(dial.addresses(), ["93.184.216.34:443"], "nothing private was dialled");
        assert_eq!(server.connections(), 1);
    }
}

#[tokio::test]
async fn one_private_address_spoils_the_whole_answer() {
    for answer in [
        ["93.184.216.34", "127.0.0.1"],
        ["10.0.0.1", "93.184.216.34"],
        ["93.184.216.34", "::1"],
        ["93.184.216.34", "fd00::1"],
        ["93.184.216.34", "64:ff9b::7f00:1"],
        ["::ffff:127.0.0.1", "93.184.216.34"],
    ] {
        let (egress, dial, _server, _dns) =
            public_client("api.example.org", Manner::Echo, move |_, _| ips(&answer)).await;
        let refused = get(&egress, "https://api.example.org/").await.unwrap_err();
        assert_eq!(refused.code(), "address_refused", "{answer:?}: {refused}");
        assert!(dial.addresses().is_empty());
    }
}

#[tokio::test]
async fn the_wire_asks_the_guard_itself_and_not_only_registration() {
    let server = Server::plain(Manner::Echo).await;
    let port = server.address.port();
    let dial = NotedDial::to(Some(server.address));
    let egress = Egress::dialling(config(None), Arc::<NotedDial>::clone(&dial)).unwrap();
    for uri in [
        format!("http://127.0.0.1:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        format!("https://[::1]:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
        format!("https://localhost:{port}/"),
        "http://93.184.216.34/".to_owned(),
        "https://169.254.169.254/latest/meta-data/".to_owned(),
        "https://metadata.google.internal/".to_owned(),
        "https://user@93.184.216.34/".to_owned(),
        "https://0x7f000001/".to_owned(),
        "https://2130706433/".to_owned(),
    ] {
        let refused = get(&egress, &uri).await.unwrap_err();
        assert!(matches!(refused, EgressError::RefusedUrl(_)), "{uri}: {refused:?}");
    }
    assert!(dial.addresses().is_empty());
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn hosts_on_the_operators_list_are_reached_by_plain_http() {
    let server = Server::plain(Manner::Echo).await;
    let port = server.address.port();
    let mut config = config(None);
    config.policy = allowing(&[format!("localhost:{port}"), format!("127.0.0.1:{port}")]);
    let egress = Egress::new(config).unwrap();
    for host in ["localhost", "127.0.0.1"] {
        let (status, seen) = get(&egress, &format!("http://{host}:{port}/v1")).await.unwrap();
        assert_eq!(status, 200);
        assert!(seen.contains(&format!("host: {host}:{port}\r\n")), "{seen}");
    }
}

#[tokio::test]
async fn connections_are_reused_under_one_policy_and_never_under_another() {
    let server = Server::plain(Manner::Echo).await;
    let uri = format!("http://127.0.0.1:{}/", server.address.port());
    let mut lax = config(None);
    lax.policy = allowing(&[format!("127.0.0.1:{}", server.address.port())]);
    let lax = Egress::new(lax).unwrap();
    let strict = Egress::new(config(None)).unwrap();
    for _ in 0..3 {
        assert_eq!(get(&lax, &uri).await.unwrap().0, 200);
        assert_eq!(get(&lax.clone(), &uri).await.unwrap().0, 200);
        assert_eq!(get(&strict, &uri).await.unwrap_err().code(), "endpoint_refused");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let (egress, dial, server, _dns) =
        public_client("api.example.org", Manner::Redirect, |_, _| ips(&[PUBLIC])).await;
    assert_eq!(get(&egress, "https://api.example.org/").await.unwrap().0, 302);
    assert_eq!((dial.addresses().len(), server.connections()), (1, 1));
}

#[tokio::test]
async fn the_host_header_is_the_uris_whatever_the_caller_left_in() {
    let (egress, _dial, _server, _dns) =
        public_client("api.example.org", Manner::Echo, |_, _| ips(&[PUBLIC])).await;
    let request = http::Request::builder()
        .uri("https://api.example.org/")
        .version(http::Version::HTTP_2)
        .header("host", "evil.example.net")
        .body(Body::default())
        .unwrap();
    let body =
        http_body_util::BodyExt::collect(egress.send(request).await.unwrap().into_body()).await.unwrap();
    let seen = String::from_utf8(body.to_bytes().to_vec()).unwrap();
    assert!(seen.contains("host: api.example.org\r\n") && !seen.contains("evil"), "{seen}");
}

#[tokio::test]
async fn a_certificate_for_another_name_or_of_a_stranger_is_a_tls_failure() {
    let (egress, _dial, _server, _dns) =
        public_client("other.example.org", Manner::Echo, |_, _| ips(&[PUBLIC])).await;
    let failed = get(&egress, "https://api.example.org/").await.unwrap_err();
    assert!(matches!(failed, EgressError::Tls { .. }), "{failed:?}");

    let stranger = Server::tls(Manner::Echo, "api.example.org").await;
    let dns = FakeDns::start(|_, _| ips(&[PUBLIC])).await;
    let dial = NotedDial::to(Some(stranger.address));
    let egress = Egress::dialling(config(Some(dns.address)), dial).unwrap();
    let failed = get(&egress, "https://api.example.org/").await.unwrap_err();
    assert!(matches!(failed, EgressError::Tls { .. }), "{failed:?}");
}

#[tokio::test]
async fn each_failure_has_its_own_name() {
    // No such name.
    let dns = FakeDns::start(|_, _| Vec::new()).await;
    let egress = Egress::new(config(Some(dns.address))).unwrap();
    let failed = get(&egress, "https://missing.example.org/").await.unwrap_err();
    assert!(matches!(&failed, EgressError::Dns { host, .. } if host == "missing.example.org"), "{failed:?}");

    // Nobody listens.
    let gone = Server::plain(Manner::Echo).await.address;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let mut listed = config(None);
    listed.policy = allowing(&[gone.to_string()]);
    let egress = Egress::new(listed).unwrap();
    let failed = get(&egress, &format!("http://{gone}/")).await.unwrap_err();
    assert!(matches!(failed, EgressError::Connect { .. }), "{failed:?}");
    assert!(!failed.may_have_been_sent());

    // The network swallows everything.
    let dns = FakeDns::start(|_, _| ips(&[PUBLIC])).await;
    let mut hurried = config(Some(dns.address));
    hurried.connect_timeout = Duration::from_millis(200);
    let egress = Egress::dialling(hurried, NotedDial::to(None)).unwrap();
    let failed = get(&egress, "https://api.example.org/").await.unwrap_err();
    assert!(matches!(failed, EgressError::ConnectTimeout(_)), "{failed:?}");

    // The server reads the request and hangs up.
    let server = Server::plain(Manner::HangUp).await;
    let mut listed = config(None);
    listed.policy = allowing(&[server.address.to_string()]);
    let egress = Egress::new(listed).unwrap();
    let failed = get(&egress, &format!("http://{}/", server.address)).await.unwrap_err();
    assert!(matches!(failed, EgressError::Broken(_)), "{failed:?}");
    assert!(failed.may_have_been_sent());
}
