//! Bill files: whatever the bytes, an answer or a named error. The first byte says what the file is called, which must
//! not matter for what it is.

use costlens_bill::{NoProgress, ReadOptions, read_bill};

pub(crate) fn check(input: &[u8]) {
    let Some((first, content)) = input.split_first() else { return };
    let folder = tempfile::tempdir().unwrap();
    let name = ["bill.csv", "bill.csv.gz", "bill.parquet", "bill"][usize::from(*first) % 4];
    let file = folder.path().join(name);
    std::fs::write(&file, content).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let options = ReadOptions { memory_bytes: 32 << 20, partitions: 1, top_resources: 3 };
    match runtime.block_on(read_bill(&[file], &options, &NoProgress)) {
        Ok(_) => {}
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
