//! Google, GitHub and firms' own identity providers, played on one real socket with real RSA keys: they check what they are told (client, redirect,
//! PKCE, that a code comes once), and vouch for whoever the test says is at the browser.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use costlens_identity::testing::Signer;
use costlens_identity::vouching::Challenge;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Our client there.
pub const CLIENT: &str = "costlens-client";
/// Its secret.
pub const SECRET: &str = "client-secret-of-the-tests";

/// Who is at the browser, as they know it.
#[derive(Debug, Clone)]
pub struct Known {
    /// Its name there; a number for GitHub.
    pub subject: String,
    /// Its address, and whether they checked that.
    pub email: (String, bool),
}

/// How they misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Fault {
    #[default]
    None,
    OtherNonce,
    OtherAudience,
    OtherIssuer,
    OtherKey,
    Expired,
    /// A letter of what was signed is another.
    Mutated,
    /// They do not say whether they checked an address.
    Unsaid,
    /// They send the browser back with another's name.
    OtherSender,
    Down,
}

/// What they tell of the moment at which somebody proved there who it is (`auth_time`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tells {
    /// Only where the person was to be asked anew, and then it was asked now.
    #[default]
    WhereAsked,
    /// It was an hour ago, unless the person was to be asked anew: then it was asked now.
    LongAgo,
    /// It was an hour ago, and nobody is asked anew, whoever wants it.
    NeverAsks,
    /// It was just now, whatever was wanted.
    Now,
    /// Something that is no moment.
    NoMoment,
}

#[derive(Default)]
struct State {
    people: HashMap<String, Known>,
    tells: HashMap<String, Tells>,
    /// Codes that were given: to whom, with which challenge, redirect and nonce.
    codes: HashMap<String, (String, HashMap<String, String>)>,
    access: HashMap<String, String>,
    fault: Fault,
    given: usize,
    /// Whether they sign with their next key, and publish no other.
    turned: bool,
}

/// Both of them.
pub struct Vouchers {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl std::fmt::Debug for Vouchers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vouchers").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Vouchers {
    /// Opens them on a free port.
    #[must_use]
    pub fn open() -> Self {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let port = socket.local_addr().unwrap().port();
        let state = Arc::<Mutex<State>>::default();
        let signers = ["there", "there", "next"].map(Signer::new);
        let (shared, signer) = (Arc::clone(&state), Arc::new(signers));
        crate::spawn(async move {
            let socket = TcpListener::from_std(socket).unwrap();
            while let Ok((stream, _)) = socket.accept().await {
                let (state, signer) = (Arc::clone(&shared), Arc::clone(&signer));
                crate::spawn(async move { drop(serve(stream, port, &state, &signer).await) });
            }
        });
        Self { port, state }
    }

    /// `127.0.0.1:port`.
    #[must_use]
    pub fn host_port(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// As settings of a server.
    #[must_use]
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let base = format!("http://{}", self.host_port());
        vec![
            ("COSTLENS_GOOGLE_CLIENT_ID", CLIENT.to_owned()),
            ("COSTLENS_GOOGLE_CLIENT_SECRET", SECRET.to_owned()),
            ("COSTLENS_GOOGLE_ISSUER", base.clone()),
            ("COSTLENS_GITHUB_CLIENT_ID", CLIENT.to_owned()),
            ("COSTLENS_GITHUB_CLIENT_SECRET", SECRET.to_owned()),
            ("COSTLENS_GITHUB_URL", base.clone()),
            ("COSTLENS_GITHUB_API_URL", format!("{base}/api")),
        ]
    }

    /// From now on they know somebody under this short name.
    pub fn know(&self, short: &str, known: Known) {
        self.state.lock().unwrap().people.insert(short.to_owned(), known);
    }

    /// What they tell from now on of when this one proved who it is.
    pub fn tell(&self, short: &str, tells: Tells) {
        self.state.lock().unwrap().tells.insert(short.to_owned(), tells);
    }

    /// From now on they sign with another key, and publish that one alone.
    pub fn turn_key(&self) {
        self.state.lock().unwrap().turned = true;
    }

    /// `http://127.0.0.1:port`: who they are as a provider of `OpenID` Connect.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("http://{}", self.host_port())
    }

    /// From now on they misbehave in this way.
    pub fn misbehave(&self, fault: Fault) {
        self.state.lock().unwrap().fault = fault;
    }
}

fn query(text: &str) -> HashMap<String, String> {
    url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

async fn serve(
    stream: TcpStream,
    port: u16,
    state: &Mutex<State>,
    signers: &[Signer; 3],
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let (mut length, mut bearer) = (0, String::new());
        loop {
            line.clear();
            stream.read_line(&mut line).await?;
            let Some((name, value)) = line.trim().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap_or(0),
                "authorization" => value.trim().trim_start_matches("Bearer ").clone_into(&mut bearer),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let body = String::from_utf8_lossy(&body).into_owned();
        let (path, search) = target.split_once('?').unwrap_or((&target, ""));
        let (status, location, answer) = {
            let mut state = state.lock().unwrap();
            answer(&mut state, signers, port, (path, &query(search), &query(&body), &bearer))
        };
        let (kind, answer) = match answer {
            Value::String(page) => ("text/html", page),
            json => ("application/json", json.to_string()),
        };
        let location = location.map(|to| format!("location: {to}\r\n")).unwrap_or_default();
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\n{location}content-length: {}\r\n\r\n",
            answer.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(answer.as_bytes()).await?;
    }
}

/// What a browser is shown: a link for each person that it may be.
fn consent_page(state: &State, path: &str, search: &Form) -> Value {
    let mut link = url::form_urlencoded::Serializer::new(String::new());
    link.extend_pairs(search);
    let link = link.finish().replace('&', "&amp;");
    let people =
        state.people.keys().map(|who| format!("<p><a href=\"{path}?{link}&amp;as={who}\">{who}</a></p>"));
    Value::String(format!(
        "<!doctype html><title>Consent</title><h1>Who are you?</h1>{}",
        people.collect::<String>()
    ))
}

type Form = HashMap<String, String>;

fn answer(
    state: &mut State,
    signers: &[Signer; 3],
    port: u16,
    (path, search, form, bearer): (&str, &Form, &Form, &str),
) -> (u16, Option<String>, Value) {
    let base = format!("http://127.0.0.1:{port}");
    if state.fault == Fault::Down {
        return (500, None, json!({}));
    }
    match path {
        "/.well-known/openid-configuration" => (
            200,
            None,
            json!({
                "issuer": base, "authorization_endpoint": format!("{base}/authorize"),
                "token_endpoint": format!("{base}/token"), "jwks_uri": format!("{base}/keys"),
            }),
        ),
        "/keys" => (200, None, json!({"keys": [signers[if state.turned { 2 } else { 0 }].jwk()]})),
        // The person says yes. Whoever is at the browser is said by the test.
        "/authorize" | "/login/oauth/authorize" => {
            if !search.contains_key("as") {
                return (200, None, consent_page(state, path, search));
            }
            assert_eq!(search["client_id"], CLIENT);
            assert_eq!(search["code_challenge_method"], "S256");
            // As Google and GitHub do with a word that they do not know.
            let known = ["", "login", "select_account"];
            assert!(known.contains(&search.get("prompt").map_or("", String::as_str)));
            state.given += 1;
            let code = format!("code-{}", state.given);
            let sender = if state.fault == Fault::OtherSender { "&iss=https://evil.example" } else { "" };
            let back = format!("{}?code={code}&state={}{sender}", search["redirect_uri"], search["state"]);
            state.codes.insert(code, (search["as"].clone(), search.clone()));
            (302, Some(back), json!({}))
        }
        "/token" | "/login/oauth/access_token" => {
            let refused = if path == "/token" { 400 } else { 200 };
            let refusal = (refused, None, json!({"error": "invalid_grant"}));
            // A code comes once.
            let Some((who, asked)) = state.codes.remove(&form["code"]) else { return refusal };
            let challenge = Challenge {
                redirect_uri: "",
                state: "",
                nonce: "",
                verifier: form.get("code_verifier").map(String::as_str).unwrap_or_default(),
                anew: false,
            };
            if form["client_secret"] != SECRET
                || form["redirect_uri"] != asked["redirect_uri"]
                || challenge.pkce_challenge() != asked["code_challenge"]
            {
                return refusal;
            }
            if path != "/token" {
                let token = format!("gho_{}", URL_SAFE_NO_PAD.encode(&who));
                state.access.insert(token.clone(), who);
                return (200, None, json!({"access_token": token, "token_type": "bearer"}));
            }
            let known = &state.people[&who];
            #[expect(
                clippy::disallowed_methods,
                reason = "its tokens are held against the server's own clock"
            )]
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
            let wrong =
                |fault, odd: &str, right: &str| if state.fault == fault { odd } else { right }.to_owned();
            let mut claims = json!({
                "iss": wrong(Fault::OtherIssuer, "https://evil.example", &base),
                "aud": wrong(Fault::OtherAudience, "another-client", CLIENT),
                "nonce": wrong(Fault::OtherNonce, "another", &asked["nonce"]),
                "sub": known.subject, "email": known.email.0, "email_verified": known.email.1, "name": who,
                "iat": now - 300, "exp": if state.fault == Fault::Expired { now - 60 } else { now + 300 },
            });
            let anew = asked.get("max_age").is_some_and(|age| age == "0");
            let auth_time = match (state.tells.get(&who).copied().unwrap_or_default(), anew) {
                (Tells::WhereAsked, false) => None,
                (Tells::WhereAsked | Tells::LongAgo, true) | (Tells::Now, _) => Some(json!(now)),
                (Tells::LongAgo, false) | (Tells::NeverAsks, _) => Some(json!(now - 3_600)),
                (Tells::NoMoment, _) => Some(json!("yesterday")),
            };
            if let Some(auth_time) = auth_time {
                claims["auth_time"] = auth_time;
            }
            if state.fault == Fault::Unsaid {
                claims.as_object_mut().unwrap().remove("email_verified");
            }
            let signer = match (state.fault, state.turned) {
                (Fault::OtherKey, _) => &signers[1],
                (_, true) => &signers[2],
                _ => &signers[0],
            };
            let mut token = signer.sign(&claims);
            if state.fault == Fault::Mutated {
                let at = token.find('.').unwrap() + 20;
                let another = if &token[at..=at] == "A" { "B" } else { "A" };
                token.replace_range(at..=at, another);
            }
            (200, None, json!({"access_token": "x", "id_token": token}))
        }
        "/api/user" | "/api/user/emails" => {
            let Some(known) = state.access.get(bearer).and_then(|who| state.people.get(who)) else {
                return (401, None, json!({}));
            };
            let (email, verified) = &known.email;
            let body = if path == "/api/user" {
                json!({"id": known.subject.parse::<u64>().unwrap(), "login": "octo", "name": null})
            } else {
                json!([
                    {"email": "other@people.example", "primary": false, "verified": true},
                    {"email": email, "primary": true, "verified": verified},
                ])
            };
            (200, None, body)
        }
        _ => (404, None, json!({})),
    }
}
