//! `costlens verify-audit`: whether an exported audit is whole, without any server.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read, Seek as _};
use std::path::{Path, PathBuf};

use clap::Args;
use costlens_domain::audit::anchor::Anchor;
use costlens_domain::audit::chain::{Hash, Place};
use costlens_domain::audit::verify::{Whole, read_anchors, verify};
use flate2::read::MultiGzDecoder;

use crate::boot::Failure;
use crate::cli::print;

/// The longest line that is read: an event has some hundreds of bytes.
const LONGEST_LINE: u64 = 16 << 20;

#[derive(Args, Debug)]
pub(crate) struct VerifyAuditArgs {
    /// The export, plain or packed with gzip. One that was asked for in parts is verified part behind part.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The folder of the daily anchors: what they say of this chain must be so.
    #[arg(long, value_name = "DIR")]
    anchors: Option<PathBuf>,
    /// A head that was written down before, as `NUMBER:HASH`.
    #[arg(long, value_name = "SEQ:HASH", value_parser = parse_head)]
    head: Option<Place>,
}

fn parse_head(text: &str) -> Result<Place, String> {
    let (seq, hash) = text.split_once(':').ok_or("a head has the form NUMBER:HASH")?;
    Ok(Place {
        seq: seq.parse().map_err(|_| "the number is none")?,
        hash: hash.parse().map_err(|error: costlens_domain::audit::chain::BadHash| error.to_string())?,
    })
}

fn digest(bytes: &[u8]) -> Hash {
    Hash(costlens_vault::sha256(bytes))
}

pub(crate) fn run(args: &VerifyAuditArgs) -> Result<(), Failure> {
    let anchors = match &args.anchors {
        Some(dir) => read_anchors(anchor_files(dir)?, digest)?,
        None => Vec::new(),
    };
    // A file that cannot be read ends the lines; why is told before what that makes of the chain.
    let mut failed = None;
    let lines = args.files.iter().flat_map(|path| Lines::open(path));
    let lines = lines.map_while(|line| match line {
        Ok(line) => Some(line),
        Err(error) => {
            failed = Some(error);
            None
        }
    });
    let verified = verify(lines, digest, &anchors, args.head);
    if let Some(error) = failed {
        return Err(error.into());
    }
    print(&told(&verified?, anchors.len()));
    Ok(())
}

fn told(whole: &Whole, anchors: usize) -> String {
    let Whole { chain, after, head, events, compared } = whole;
    let from = if after.seq == 0 { String::new() } else { format!(" behind event {}", after.seq) };
    let mut text = format!(
        "verified: {events} events of {chain}{from}, each as it was written and in its place\nhead: {}:{}\n",
        head.seq, head.hash
    );
    let compared = match (compared, anchors) {
        (0, 0) => "compared with no anchor and no head: a tail that was cut with its end would not be seen\n"
            .to_owned(),
        (0, _) => "no anchor names an event of this export\n".to_owned(),
        (compared, _) => {
            format!("compared with {compared} heads that were kept elsewhere: all are the same\n")
        }
    };
    text.push_str(&compared);
    text
}

/// The anchors' files in a folder, oldest first.
fn anchor_files(dir: &Path) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let number = name.strip_suffix(".json").and_then(|number| number.parse::<u64>().ok());
        if let Some(n) = number.filter(|n| Anchor::file_name(*n) == name) {
            files.push((n, name, std::fs::read(&path)?));
        }
    }
    if files.is_empty() {
        return Err(format!("there is no anchor in {}", dir.display()).into());
    }
    files.sort_unstable_by_key(|(n, ..)| *n);
    Ok(files.into_iter().map(|(_, name, bytes)| (name, bytes)).collect())
}

/// The lines of a file, or the one error that opening it gave.
enum Lines {
    Of(PathBuf, BufReader<Box<dyn Read>>),
    Failed(Option<String>),
}

impl Lines {
    fn open(path: &Path) -> Self {
        match Self::reader(path) {
            Ok(reader) => Self::Of(path.to_owned(), BufReader::new(reader)),
            Err(error) => Self::Failed(Some(format!("{}: {error}", path.display()))),
        }
    }

    fn reader(path: &Path) -> std::io::Result<Box<dyn Read>> {
        let mut file = File::open(path)?;
        let mut magic = [0; 2];
        let packed = file.read(&mut magic)? == 2 && magic == [0x1f, 0x8b];
        file.rewind()?;
        Ok(if packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
    }
}

impl Iterator for Lines {
    type Item = Result<String, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let (path, reader) = match self {
            Self::Of(path, reader) => (path, reader),
            Self::Failed(error) => return error.take().map(Err),
        };
        let mut line = String::new();
        match reader.by_ref().take(LONGEST_LINE).read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => {
                line.truncate(line.trim_end_matches(['\n', '\r']).len());
                Some(Ok(line))
            }
            Err(error) => Some(Err(format!("{}: {error}", path.display()))),
        }
    }
}
