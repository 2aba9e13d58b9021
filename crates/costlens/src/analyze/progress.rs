//! The progress bar on a terminal.

use std::time::Duration;

use costlens_bill::Progress;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

/// A bar on standard error that wipes itself away when the read ends.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new() -> Self {
        let bar = ProgressBar::new(1000);
        let template = "{spinner} {bar:30} {percent:>3} %  {msg}  {prefix}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }
}

impl Progress for Bar {
    fn begin(&self, size_bytes: u64) {
        self.0.set_prefix(HumanBytes(size_bytes).to_string());
    }

    fn advance(&self, step: &str, permille: u16) {
        self.0.set_message(step.to_owned());
        self.0.set_position(u64::from(permille));
    }

    fn finish(&self) {
        self.0.finish_and_clear();
    }
}
