//! URLs as people and attackers write them.

use crate::{EndpointUrl, HostPort, Policy, RefusedUrl};

fn parse(text: &str) -> Result<EndpointUrl, RefusedUrl> {
    EndpointUrl::parse(text, &Policy::default())
}

#[test]
fn ordinary_endpoints_pass_in_their_one_spelling() {
    for (text, spelling) in [
        ("https://api.openai.com", "https://api.openai.com/"),
        ("https://api.openai.com/v1", "https://api.openai.com/v1"),
        ("HTTPS://API.OpenAI.com/v1", "https://api.openai.com/v1"),
        ("https://api.openai.com:443/v1", "https://api.openai.com/v1"),
        ("https://llm.example.com:8443/v1", "https://llm.example.com:8443/v1"),
        ("https://llm.example.com./v1", "https://llm.example.com/v1"),
        ("https://münchen.example.net/v1", "https://xn--mnchen-3ya.example.net/v1"),
        ("https://例え.テスト.example.org", "https://xn--r8jz45g.xn--zckzah.example.org/"),
        ("https://my_host.example.com", "https://my_host.example.com/"),
        ("https://8.8.8.8/v1", "https://8.8.8.8/v1"),
        ("https://8.8.8.8:8443", "https://8.8.8.8:8443/"),
        ("https://[2606:4700::1]:8443/v1", "https://[2606:4700::1]:8443/v1"),
        ("https://[2606:4700:0:0::0001]", "https://[2606:4700::1]/"),
        ("https://a.b.c.d.e.example.com", "https://a.b.c.d.e.example.com/"),
        ("https://localhost.example.com", "https://localhost.example.com/"),
        ("https://internal.example.com", "https://internal.example.com/"),
        (
            "https://my-resource.openai.azure.com/openai/deployments/x",
            "https://my-resource.openai.azure.com/openai/deployments/x",
        ),
        (
            "https://bedrock-runtime.us-east-1.amazonaws.com",
            "https://bedrock-runtime.us-east-1.amazonaws.com/",
        ),
        ("https://api.example.com/a/../b", "https://api.example.com/b"),
        ("https://api.example.host/v1", "https://api.example.host/v1"),
    ] {
        let endpoint = parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        assert_eq!(endpoint.as_str(), spelling);
        assert!(!endpoint.is_private());
        // The one spelling is judged as the first one was.
        assert_eq!(parse(spelling).unwrap(), endpoint);
    }
}

#[test]
fn only_https_passes() {
    for text in [
        "http://api.openai.com",
        "HTTP://api.openai.com",
        "ftp://api.openai.com",
        "ws://api.openai.com",
        "wss://api.openai.com",
        "file:///etc/passwd",
        "gopher://api.openai.com",
        "data:text/plain,x",
        "javascript:alert(1)",
        "api.openai.com",
        "//api.openai.com",
        "https:api.openai.com",
        "https:/api.openai.com",
        "",
        "https",
    ] {
        assert_eq!(parse(text), Err(RefusedUrl::NotHttps), "{text}");
    }
}

#[test]
fn credentials_queries_and_fragments_are_refused() {
    for text in [
        "https://user@api.openai.com",
        "https://user:secret@api.openai.com",
        "https://:secret@api.openai.com",
        "https://@api.openai.com",
        "https://:@api.openai.com",
        "https://api.openai.com@evil.example.com",
        "https://api.openai.com:443@evil.example.com/",
        "https://user%40x@api.openai.com",
    ] {
        assert_eq!(parse(text), Err(RefusedUrl::Credentials), "{text}");
    }
    for text in [
        "https://api.openai.com?x=1",
        "https://api.openai.com/v1?x=1",
        "https://api.openai.com/v1?",
        "https://api.openai.com#x",
        "https://api.openai.com/v1#",
        "https://api.openai.com/v1#@evil.example.com",
    ] {
        assert_eq!(parse(text), Err(RefusedUrl::QueryOrFragment), "{text}");
    }
}

#[test]
fn shapes_that_parsers_disagree_on_are_refused() {
    for text in [
        " https://api.openai.com",
        "https://api.openai.com ",
        "https://api.openai.com\n",
        "https://api.open\tai.com",
        "https://api.openai.com\r\nHost: evil",
        "https://api.openai.com\\@evil.example.com",
        "https:\\\\api.openai.com",
        "https://api.openai.com\\.evil.example.com",
        "https:///api.openai.com",
        "https:////api.openai.com",
        "https://",
        "https:///",
        "https://.",
        "https://..",
        "https://api..openai.com",
        "https://.api.openai.com",
        "https://api.openai.com..",
        "https://api%2eopenai.com",
        "https://%6c%6f%63alhost",
        "https://api.openai.com:",
        "https://api.openai.com:0",
        "https://api.openai.com:65536",
        "https://api.openai.com:x",
        "https://api.openai.com:443:443",
        "https://[::1",
        "https://[fe80::1%25eth0]",
        "https://[2606:4700::1]x",
        "https://a b.example.com",
        "https://api.openai.com\u{0}",
        "https://api.open\u{ad}ai.com\u{a0}",
        "https://1.2.3.4.5.6",
        "https://999.1.1.1",
        "https://256",
        "https://8.8.8.8.",
        "https://8.8.2056",
        "https://0x08.8.8.8",
        "https://134744072",
        "https://８.8.8.8",
        "https://８。８。８。８",
        "https://010.8.8.8",
        "https://<script>.example.com",
        "https://exa|mple.com",
    ] {
        assert!(matches!(parse(text), Err(RefusedUrl::Malformed(_))), "{text:?}: {:?}", parse(text));
    }
}

#[test]
fn names_of_private_networks_and_metadata_services_are_refused() {
    for name in [
        "localhost",
        "LOCALHOST",
        "localhost.",
        "ｌｏｃａｌｈｏｓｔ",
        "a.localhost",
        "localhost.localdomain",
        "metadata",
        "metadata.google.internal",
        "metadata.google.internal.",
        "Metadata.Google.Internal",
        "METADATA。google。internal",
        "metadata.azure.internal",
        "metadata.google.com",
        "instance-data",
        "instance-data.ec2.internal",
        "ip-10-0-0-1.ec2.internal",
        "printer.local",
        "printer.local.",
        "kubernetes",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "router.lan",
        "nas.home",
        "nas.home.arpa",
        "1.0.0.127.in-addr.arpa",
        "db.corp",
        "db.intranet",
        "db.private",
        "db.internal",
        "x.test",
        "x.example",
        "x.invalid",
        "x.onion",
        "x.alt",
        "x.workgroup",
        "redis",
        "postgres",
        "openai",
    ] {
        let refused = parse(&format!("https://{name}/v1"));
        assert!(matches!(refused, Err(RefusedUrl::PrivateName(_))), "{name}: {refused:?}");
    }
}

/// Every spelling that some parser takes for the IPv4 address.
fn spellings(octets: [u8; 4]) -> Vec<String> {
    let [a, b, c, d] = octets;
    let number = u32::from_be_bytes(octets);
    let tail = number & 0xff_ffff;
    let wide: String =
        format!("{a}.{b}.{c}.{d}").chars().map(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap()).collect();
    vec![
        format!("{a}.{b}.{c}.{d}"),
        format!("{a}.{b}.{c}.{d}."),
        format!("{number}"),
        format!("{number:#x}"),
        format!("0{number:o}"),
        format!("{a}.{tail}"),
        format!("{a}.{b}.{}", u32::from(c) << 8 | u32::from(d)),
        format!("{a:#x}.{b:#x}.{c:#x}.{d:#x}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("{a:#x}.{b}.0{c:o}.{d}"),
        wide,
        format!("{a}。{b}。{c}。{d}"),
        format!("[::ffff:{a}.{b}.{c}.{d}]"),
        format!("[::{a}.{b}.{c}.{d}]"),
        format!("[::ffff:0:{a}.{b}.{c}.{d}]"),
        format!("[64:ff9b::{a}.{b}.{c}.{d}]"),
        format!("[2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1]"),
        format!("[0:0:0:0:0:FFFF:{a:02X}{b:02X}:{c:02X}{d:02X}]"),
    ]
}

#[test]
fn no_spelling_of_a_private_address_passes() {
    let addresses = [
        [0, 0, 0, 0],
        [0, 0, 0, 1],
        [10, 0, 0, 1],
        [100, 64, 0, 1],
        [100, 100, 100, 200],
        [127, 0, 0, 1],
        [127, 1, 2, 3],
        [168, 63, 129, 16],
        [169, 254, 169, 254],
        [169, 254, 170, 2],
        [172, 16, 0, 1],
        [172, 31, 255, 255],
        [192, 0, 0, 192],
        [192, 168, 0, 1],
        [198, 18, 0, 1],
        [203, 0, 113, 7],
        [224, 0, 0, 1],
        [255, 255, 255, 255],
    ];
    let mut rows = 0;
    for octets in addresses {
        for spelling in spellings(octets) {
            for text in [format!("https://{spelling}"), format!("https://{spelling}:8443/v1")] {
                let refused = parse(&text);
                assert!(
                    matches!(refused, Err(RefusedUrl::PrivateAddress(_) | RefusedUrl::Malformed(_))),
                    "{text}: {refused:?}"
                );
                rows += 1;
            }
        }
    }
    assert!(rows > 600);
    for text in
        ["[::]", "[::1]", "[fe80::1]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]", "[fec0::1]", "[2001::1]"]
    {
        let refused = parse(&format!("https://{text}/"));
        assert!(matches!(refused, Err(RefusedUrl::PrivateAddress(_))), "{text}: {refused:?}");
    }
}

#[test]
fn the_operators_list_opens_exactly_what_it_names() {
    let listed = |text: &str| text.parse::<HostPort>().unwrap();
    let policy = Policy {
        allow_private: vec![
            listed("localhost:11434"),
            listed("127.0.0.1:8080"),
            listed("[::1]:8080"),
            listed("Ollama.LAN.:80"),
        ],
    };
    for text in [
        "http://localhost:11434/v1",
        "https://LOCALHOST:11434",
        "http://localhost.:11434",
        "http://127.0.0.1:8080/v1",
        "http://[::1]:8080",
        "http://ollama.lan/v1",
    ] {
        let endpoint = EndpointUrl::parse(text, &policy).unwrap_or_else(|why| panic!("{text}: {why}"));
        assert!(endpoint.is_private());
    }
    for text in [
        "http://localhost:11435",
        "http://localhost",
        "http://127.0.0.1:8081",
        "http://127.0.0.2:8080",
        "http://127.1:8080",
        "http://2130706433:8080",
        "http://[::ffff:127.0.0.1]:8080",
        "http://evil.localhost:11434",
        "http://user@localhost:11434",
        "http://api.openai.com:11434",
        "ftp://localhost:11434",
        "https://ollama.lan",
    ] {
        assert!(EndpointUrl::parse(text, &policy).is_err(), "{text} passed");
    }
    // A public endpoint stays what it was.
    assert!(!EndpointUrl::parse("https://api.openai.com", &policy).unwrap().is_private());
    for bad in [
        "localhost",
        "localhost:",
        ":80",
        "localhost:0",
        "localhost:70000",
        "http://x:80",
        "a@b:80",
        "::1:80",
    ] {
        assert!(bad.parse::<HostPort>().is_err(), "{bad}");
    }
    assert_eq!(listed("[::1]:8080").to_string(), "[::1]:8080");
}

#[test]
fn paths_are_joined_below_the_endpoint() {
    for (base, path, uri) in [
        ("https://api.openai.com", "/v1/chat/completions", "https://api.openai.com/v1/chat/completions"),
        ("https://api.openai.com/", "/v1/models", "https://api.openai.com/v1/models"),
        ("https://api.example.com/v1", "/chat/completions", "https://api.example.com/v1/chat/completions"),
        ("https://api.example.com/v1/", "chat/completions", "https://api.example.com/v1/chat/completions"),
        ("https://api.example.com:8443/v1", "/x?beta=true", "https://api.example.com:8443/v1/x?beta=true"),
        ("https://api.example.com/v1", "", "https://api.example.com/v1"),
    ] {
        assert_eq!(parse(base).unwrap().uri(path).unwrap().to_string(), uri);
    }
    assert_eq!(parse("https://api.example.com").unwrap().uri("/a b"), None);
}
