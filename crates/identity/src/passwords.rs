//! Passwords: bcrypt at cost 12, and what may be one.
//!
//! bcrypt takes a quarter of a second of a core by intent. It runs on blocking threads, at most half of the cores' at
//! once, and whoever does not get its turn in a few seconds is told so: a flood of sign-ins slows sign-ins, and not the
//! proxy. Whether an account exists takes the same time to find out as whether a password is right: where there is no
//! hash to compare with, one that fits nothing is compared.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// The cost of bcrypt: 2^12 rounds.
pub const COST: u32 = 12;
/// The fewest characters of a password.
pub const SHORTEST: usize = 10;
/// The most bytes of a password. bcrypt reads 72 with the zero it puts behind it, and cutting in silence would let half
/// a password in.
pub const LONGEST_BYTES: usize = 71;
/// How long a sign-in waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);
/// What is compared where there is no hash: of random bytes that nobody kept, at [`COST`]. It is not made when it is
/// first needed, so that the first unknown address takes no longer than the others.
const NOBODYS: &str = "$2b$12$h82L6mbWdMX7T/Q3Y0iRRO0pQjxWjyw0DliPpcEKsKPOEfQtgGhcC";

/// Why a text may not be a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPassword {
    /// It is too easy to guess.
    #[error("a password has at least {SHORTEST} characters")]
    TooShort,
    /// bcrypt would not read its end.
    #[error("a password has at most {LONGEST_BYTES} bytes; a character outside ASCII takes two to four")]
    TooLong,
    /// bcrypt reads to the first one.
    #[error("a password has no zero character")]
    Zero,
    /// One character again and again, or a row of the keyboard.
    #[error("this password is among the first that anybody would try")]
    Common,
}

/// Why a password could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too many at once: try again.
    #[error("too many passwords are being looked at")]
    Busy,
    /// A stored hash is none, or a thread died: a defect.
    #[error("a password could not be compared")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A bcrypt hash: `$2b$12$…`.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub String);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

impl PasswordHash {
    /// Whether a newer hash of the same password should take its place.
    #[must_use]
    pub fn is_outdated(&self) -> bool {
        let cost = self.0.split('$').nth(2).and_then(|cost| cost.parse::<u32>().ok());
        !self.0.starts_with("$2b$") || cost.is_none_or(|cost| cost < COST)
    }
}

/// Hashes and compares, so many at once.
#[derive(Clone, Debug)]
pub struct Passwords {
    turns: Arc<Semaphore>,
    cost: u32,
}

impl Default for Passwords {
    fn default() -> Self {
        Self::new()
    }
}

impl Passwords {
    /// Half of the cores, and one at least.
    #[must_use]
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { turns: Arc::new(Semaphore::new((cores / 2).max(1))), cost: COST }
    }

    /// Says why a text may not be a password.
    pub fn check(password: &str) -> Result<(), BadPassword> {
        if password.chars().count() < SHORTEST {
            return Err(BadPassword::TooShort);
        }
        if password.len() > LONGEST_BYTES {
            return Err(BadPassword::TooLong);
        }
        if password.contains('\0') {
            return Err(BadPassword::Zero);
        }
        if is_common(password) { Err(BadPassword::Common) } else { Ok(()) }
    }

    /// Hashes what [`Self::check`] let pass.
    pub async fn hash(&self, password: &str) -> Result<PasswordHash, PasswordError> {
        let (password, cost) = (Zeroizing::new(password.to_owned()), self.cost);
        self.in_turn(move || bcrypt::non_truncating_hash(password.as_bytes(), cost)).await.map(PasswordHash)
    }

    /// Whether it is the password of this hash. Without a hash it is not, and that takes as long.
    pub async fn verify(&self, password: &str, hash: Option<&PasswordHash>) -> Result<bool, PasswordError> {
        let is_somebodys = hash.is_some();
        let hash = hash.map_or(NOBODYS, |hash| hash.0.as_str()).to_owned();
        let password = Zeroizing::new(password.to_owned());
        self.in_turn(move || {
            // Too long to have become anybody's password; it still takes its time.
            let fits = password.len() <= LONGEST_BYTES && !password.contains('\0');
            let read = if fits { password.as_bytes() } else { b"" };
            compare(read, &hash).map(|same| same && fits && is_somebodys)
        })
        .await
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, bcrypt::BcryptError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned());
        let turn = turn.await.map_err(|_| PasswordError::Busy)?.map_err(|_| PasswordError::Busy)?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            // The turn is over when the work is, also if nobody waits for it any more.
            drop(turn);
            done
        });
        let done = done.await.map_err(|died| PasswordError::Broken(Box::new(died)))?;
        done.map_err(|error| PasswordError::Broken(Box::new(error)))
    }
}

fn compare(password: &[u8], hash: &str) -> Result<bool, bcrypt::BcryptError> {
    #[cfg(test)]
    tests::note(password, hash);
    bcrypt::verify(password, hash)
}

/// What is tried first by those who guess: runs of the keyboard, repetitions, the words themselves.
fn is_common(password: &str) -> bool {
    const ROWS: [&str; 6] = [
        "01234567890123456789",
        "98765432109876543210",
        "abcdefghijklmnopqrstuvwxyz",
        "qwertyuiopasdfghjklzxcvbnm",
        "qwertzuiopasdfghjklyxcvbnm",
        "1q2w3e4r5t6z7u8i9o0p",
    ];
    const WORDS: [&str; 8] =
        ["password", "passwort", "costlens", "letmein", "welcome", "iloveyou", "administrator", "changeme"];
    let lower = password.to_lowercase();
    let mut seen: Vec<char> = lower.chars().collect();
    seen.sort_unstable();
    seen.dedup();
    let bare = lower.trim_matches(|c: char| !c.is_alphabetic());
    seen.len() < 4 || ROWS.iter().any(|row| row.contains(lower.as_str())) || WORDS.contains(&bare)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// What was compared with what, by all tests of this process.
    static COMPARED: Mutex<Vec<(Vec<u8>, String)>> = Mutex::new(Vec::new());

    pub(super) fn note(password: &[u8], hash: &str) {
        COMPARED.lock().unwrap().push((password.to_owned(), hash.to_owned()));
    }

    /// As the product does it, but cheap.
    fn quick() -> Passwords {
        Passwords { cost: 4, ..Passwords::new() }
    }

    #[tokio::test]
    async fn a_password_fits_its_own_hash_alone() {
        let passwords = quick();
        let hash = passwords.hash("correct horse battery").await.unwrap();
        assert!(passwords.verify("correct horse battery", Some(&hash)).await.unwrap());
        for wrong in ["correct horse batterY", "", "correct horse battery\0", "x"] {
            assert!(!passwords.verify(wrong, Some(&hash)).await.unwrap(), "{wrong:?}");
        }
        assert!(!passwords.verify("correct horse battery", None).await.unwrap());
        assert!(!passwords.verify("", None).await.unwrap());
    }

    #[tokio::test]
    async fn other_work_goes_on_while_a_password_is_looked_at() {
        // On one thread: a hash that was made on it would let nothing else happen.
        let passwords = Passwords { cost: 9, ..Passwords::new() };
        let hashing = tokio::spawn(async move { passwords.hash("correct horse battery").await });
        let mut turns = 0_u32;
        while !hashing.is_finished() {
            turns += 1;
            tokio::task::yield_now().await;
        }
        assert!(turns > 100, "{turns}");
        hashing.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn nothing_behind_the_71st_byte_is_cut_in_silence() {
        let passwords = quick();
        let long = "a-b c".repeat(15);
        assert_eq!(Passwords::check(&long), Err(BadPassword::TooLong));
        assert!(passwords.hash(&long).await.is_err());
        let longest = &long[..71];
        let hash = passwords.hash(longest).await.unwrap();
        assert!(passwords.verify(longest, Some(&hash)).await.unwrap());
        assert!(!passwords.verify(&long, Some(&hash)).await.unwrap());
    }

    #[tokio::test]
    async fn the_product_hashes_at_cost_12_and_an_older_hash_is_told() {
        let hash = Passwords::new().hash("correct horse battery").await.unwrap();
        assert!(hash.0.starts_with("$2b$12$"), "{}", hash.0);
        assert!(!hash.is_outdated());
        assert!(quick().hash("correct horse battery").await.unwrap().is_outdated());
        assert!(PasswordHash(hash.0.replace("$2b$", "$2y$")).is_outdated());
        assert!(!format!("{hash:?}").contains("2b"));
    }

    /// In the place of a clock: that bcrypt compares, and at which cost.
    #[tokio::test]
    async fn where_there_is_no_hash_one_of_the_same_cost_is_compared() {
        let (passwords, tried) = (Passwords::new(), "nobody's horse battery");
        let hash = passwords.hash("correct horse battery").await.unwrap();
        assert!(!passwords.verify(tried, Some(&hash)).await.unwrap());
        assert!(!passwords.verify(tried, None).await.unwrap());
        let compared = COMPARED.lock().unwrap();
        let compared = compared.iter().filter(|(password, _)| password == tried.as_bytes());
        let hashes: Vec<_> = compared.map(|(_, hash)| (hash.len(), &hash[..7])).collect();
        assert_eq!(hashes, [(60, "$2b$12$"), (60, "$2b$12$")]);
        assert!(!PasswordHash(NOBODYS.to_owned()).is_outdated());
    }

    #[tokio::test]
    async fn a_broken_hash_lets_nobody_in() {
        for broken in ["", "$2b$12$short", "plain"] {
            let broken = PasswordHash(broken.to_owned());
            assert!(!matches!(quick().verify("", Some(&broken)).await, Ok(true)));
        }
    }

    #[test]
    fn what_anybody_would_try_first_is_no_password() {
        for bad in
            ["aaaaaaaaaaaa", "1234567890", "qwertyuiop", "Password123!", "0123456789", "!!costlens2026"]
        {
            assert!(Passwords::check(bad).is_err(), "{bad}");
        }
        assert_eq!(Passwords::check("short"), Err(BadPassword::TooShort));
        assert_eq!(Passwords::check("a zero \0 within"), Err(BadPassword::Zero));
        for good in ["correct horse battery", "Tr0ub4dor&3x", "ünïcödé wörter"] {
            assert_eq!(Passwords::check(good), Ok(()), "{good}");
        }
    }
}
