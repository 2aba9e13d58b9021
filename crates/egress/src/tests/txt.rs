//! TXT records, over the wire.

use crate::Egress;
use crate::testing::TxtServer;
use crate::tests::rig::config;

#[tokio::test]
async fn texts_come_whole_and_anew_and_silence_is_not_absence() {
    let names = TxtServer::open();
    let egress = Egress::new(config(Some(names.address()))).unwrap();
    let long = "x".repeat(300);
    names.put("_costlens.firm.example", &["one", &long]);
    let mut texts = egress.txt_records("_costlens.firm.example").await.unwrap();
    texts.sort();
    assert_eq!(texts, ["one".to_owned(), long]);
    // Nothing is remembered: not what was there, and not that nothing was.
    names.put("_costlens.firm.example", &["two"]);
    assert_eq!(egress.txt_records("_costlens.firm.example").await.unwrap(), ["two"]);
    assert_eq!(egress.txt_records("firm.example").await.unwrap(), Vec::<String>::new());
    names.put("firm.example", &["three"]);
    assert_eq!(egress.txt_records("firm.example").await.unwrap(), ["three"]);
    names.put("firm.example", &[]);
    assert_eq!(egress.txt_records("firm.example").await.unwrap(), Vec::<String>::new());
    names.silence("firm.example");
    assert!(egress.txt_records("firm.example").await.is_err());
}
