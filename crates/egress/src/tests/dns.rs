//! A name server that answers what a test tells it, once for every question.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

type Script = dyn Fn(&str, usize) -> Vec<IpAddr> + Send + Sync;

/// A running name server; it stops when it is dropped.
pub(crate) struct FakeDns {
    pub(crate) address: SocketAddr,
    questions: Arc<Mutex<Vec<String>>>,
    server: JoinHandle<()>,
}

impl FakeDns {
    /// Answers with the addresses that `script` gives for a name and how often it was asked before. Nothing it
    /// sends may be kept: the time to live is 0.
    pub(crate) async fn start(script: impl Fn(&str, usize) -> Vec<IpAddr> + Send + Sync + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let questions = Arc::new(Mutex::new(Vec::new()));
        let server = tokio::spawn(answer_all(socket, Box::new(script), Arc::clone(&questions)));
        Self { address, questions, server }
    }

    /// The names that were asked for.
    pub(crate) fn questions(&self) -> Vec<String> {
        self.questions.lock().unwrap().clone()
    }
}

impl Drop for FakeDns {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer_all(socket: UdpSocket, script: Box<Script>, questions: Arc<Mutex<Vec<String>>>) {
    let mut asked: HashMap<(String, u16), usize> = HashMap::new();
    let mut packet = [0; 1500];
    while let Ok((length, from)) = socket.recv_from(&mut packet).await {
        let (name, kind, end) = question(&packet[..length]);
        let nth = asked.entry((name.clone(), kind)).or_default();
        let addresses = script(&name, *nth);
        *nth += 1;
        questions.lock().unwrap().push(name);
        let reply = reply(&packet[..end], kind, &addresses);
        socket.send_to(&reply, from).await.ok();
    }
}

/// The name asked for, the record type, and where the question ends.
fn question(packet: &[u8]) -> (String, u16, usize) {
    let mut labels = Vec::new();
    let mut at = 12;
    while packet[at] != 0 {
        let length = usize::from(packet[at]);
        labels.push(String::from_utf8_lossy(&packet[at + 1..=at + length]).to_lowercase());
        at += length + 1;
    }
    (labels.join("."), u16::from_be_bytes([packet[at + 1], packet[at + 2]]), at + 5)
}

fn reply(question: &[u8], kind: u16, addresses: &[IpAddr]) -> Vec<u8> {
    let records: Vec<Vec<u8>> = addresses
        .iter()
        .filter_map(|address| match (kind, address) {
            (1, IpAddr::V4(v4)) => Some(v4.octets().to_vec()),
            (28, IpAddr::V6(v6)) => Some(v6.octets().to_vec()),
            _ => None,
        })
        .collect();
    let mut out = question.to_vec();
    out[2] = 0x81; // an answer, recursion desired
    out[3] = if addresses.is_empty() { 0x83 } else { 0x80 }; // no such name, or no error
    out[6..8].copy_from_slice(&u16::try_from(records.len()).unwrap().to_be_bytes());
    out[8..12].fill(0);
    for record in records {
        out.extend_from_slice(&[0xc0, 12]);
        out.extend_from_slice(&kind.to_be_bytes());
        out.extend_from_slice(&[0, 1, 0, 0, 0, 0]);
        out.extend_from_slice(&u16::try_from(record.len()).unwrap().to_be_bytes());
        out.extend_from_slice(&record);
    }
    out
}
