//! What a failed send left behind. The one question that decides what may be done next is whether the other side may
//! have the message, and the answer is in the error's variant.

use std::time::Duration;

/// When the same message may be offered again. Only said where it was surely not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Whenever the caller's schedule says so.
    Later,
    /// Not before this long has passed; the other side asked for it.
    After(Duration),
    /// Never: the same message would be refused again.
    Never,
}

/// Why a message was not sent, or why nobody knows.
///
/// The texts come from the other side or from the network. They are for the tenant's delivery log, bounded, and free
/// of the message and of our secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The other side does not have the message.
    #[error("not sent: {text}")]
    NotSent {
        /// When it may be offered again.
        retry: Retry,
        /// The SMTP reply code (RFC 5321, section 4.2) or HTTP status, if there was one.
        code: Option<u16>,
        /// What was said.
        text: String,
    },
    /// The mail server does not take mail for this very address (an answer to `RCPT TO`). It was not sent.
    #[error("the address was refused: {text}")]
    AddressRefused {
        /// Whether the address is to be suppressed; otherwise it may be tried later.
        permanent: bool,
        /// The SMTP reply code; none if the address is no address.
        code: Option<u16>,
        /// What was said.
        text: String,
    },
    /// The channel is no more: Slack has revoked or removed the webhook. It was not sent, and nothing will be.
    #[error("the channel is gone: {text}")]
    ChannelGone {
        /// The HTTP status.
        code: u16,
        /// What was said.
        text: String,
    },
    /// The message was handed over, in part or whole, and the final answer is missing. It may have arrived; sending it
    /// again may make two.
    #[error("nobody knows whether it was sent: {text}")]
    Unknown {
        /// What happened instead of an answer.
        text: String,
    },
}

impl SendError {
    /// The same without this address in what was said.
    pub(crate) fn without(mut self, address: &str) -> Self {
        let (Self::NotSent { text, .. }
        | Self::AddressRefused { text, .. }
        | Self::ChannelGone { text, .. }
        | Self::Unknown { text }) = &mut self;
        // Lower case keeps the places of what is ASCII; an address that is not is left out as a whole text.
        if !address.is_empty() && text.is_ascii() && address.is_ascii() {
            while let Some(at) = text.to_ascii_lowercase().find(&address.to_ascii_lowercase()) {
                text.replace_range(at..at + address.len(), "(the address)");
            }
        } else if text.contains(address) {
            *text = text.replace(address, "(the address)");
        }
        self
    }

    /// Whether the other side may have the message.
    #[must_use]
    pub const fn may_have_been_sent(&self) -> bool {
        matches!(self, Self::Unknown { .. })
    }
}

/// The longest text that an error or an attempt carries from the other side, in characters.
const TEXT_LIMIT: usize = 300;

/// A text from outside, on one line and bounded.
pub(crate) fn said(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() || c == '\u{2028}' || c == '\u{2029}' { ' ' } else { c })
        .collect();
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut text: String = words.join(" ").chars().take(TEXT_LIMIT + 1).collect();
    if text.chars().count() > TEXT_LIMIT {
        text.pop();
        text.push('…');
    }
    text
}
