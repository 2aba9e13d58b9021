//! Real and generated bills that lie beside the checkout on some machines; skipped where they do not.

use std::path::PathBuf;

use costlens_bill::{NoProgress, ReadOptions, read_bill};
use costlens_domain::bill::{Dimension, Measure, breakdown};

fn data(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {} is not on this machine", path.display());
    None
}

#[tokio::test]
async fn look() {
    for name in ["legacy-cur/focus_converters_aws_cur_anon.csv.gz", "legacy-cur/fivetran_aws_cost_report.csv", "focus/focus_1.0_sample.csv.gz", "cur2/costlens-cur2"] {
        let Some(path) = data(name) else { continue };
        let t = std::time::Instant::now();
        match read_bill(&[path], &ReadOptions::default(), &NoProgress).await {
            Err(e) => println!("{name}: {e} {e:?}"),
            Ok(r) => {
                println!("{name} {} {} {:?} {:?} {:?}", r.format, r.lines, r.first_day, r.last_day, t.elapsed());
                for t in &r.totals { println!("  {t:?}"); }
                println!("  facts {} resources {}", r.facts.len(), r.resources.len());
                for d in [Dimension::Service, Dimension::Category, Dimension::Model, Dimension::Meter] {
                    for s in breakdown(r.facts.iter(), d, Measure::Unblended) { println!("   {d:?} {} {} {} {:?} {}", s.key, s.cost, s.tokens, s.rate_per_million(), s.lines); }
                }
                let mut un: Vec<_> = r.unclassified().map(|f| (f.product_code.clone(), f.usage_type.clone(), f.product_name.clone())).collect();
                un.sort(); un.dedup();
                for u in un.iter().take(40) { println!("   ?? {u:?}"); }
                for u in r.resources.iter().take(3) { println!("   {u:?}"); }
            }
        }
    }
}
