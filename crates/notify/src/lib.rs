//! Words to people and machines: e-mail, Slack, outgoing webhooks.
//!
//! * [`words`]: the kinds of messages. Figures go in, exact and serialisable; a letter and a Slack message come out.
//!   Pure: the same figures give the same words on any day.
//! * [`statement`]: a month as a page to print and keep. Pure, too.
//! * [`mail`]: hands a letter to an SMTP server.
//! * [`slack`]: posts a message to a Slack incoming webhook.
//! * [`webhooks`]: calls a tenant's endpoint by the Standard Webhooks specification, or asks Svix to do so.
//!
//! None of these channels can be asked whether a message arrived, and most cannot be told a key by which they would
//! notice a second one. So the promise of every sender here is in its error: [`SendError`] says whether the other
//! side may have the message. Who sends, when, and how often is somebody else's: there is no SQL, no queue, no clock
//! and no environment here.

mod answer;
pub mod mail;
mod outcome;
pub mod slack;
pub mod statement;
pub mod webhooks;
pub mod words;

pub use mail::{Accepted, BadMailer, MailTo, Mailer, MailerConfig};
pub use outcome::{Retry, SendError};
pub use slack::{RefusedSlackUrl, SlackMessage, SlackUrl};
pub use words::{Kind, Letter, Message, Preview, Unfilled, preview, sample};
