//! The letters' styles: one table, written into each element, because mail programs drop style sheets.
//!
//! What only a style sheet can say (dark colours, narrow screens) is in [`DARK`], for the programs that keep it; a
//! letter without it is complete. Contrasts are at least 4.5 to 1 in both modes (WCAG 2.2, 1.4.3); a test computes them.

use std::collections::BTreeMap;

const FONT: &str =
    "font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;";

/// Names of styles and their declarations, without the font, which every style of text begins with.
const STYLES: &[(&str, &str)] = &[
    ("body", "margin:0;padding:0;background-color:#f3f4f6;color:#111827;"),
    ("preheader", "display:none;max-height:0;overflow:hidden;font-size:1px;line-height:1px;color:#f3f4f6;"),
    ("outer", "background-color:#f3f4f6;"),
    (
        "card",
        "width:600px;max-width:600px;background-color:#ffffff;border:1px solid #e5e7eb;border-radius:8px;",
    ),
    ("brand", "padding:24px 32px 12px 32px;font-size:14px;line-height:20px;font-weight:bold;color:#111827;"),
    ("eyebrow", "padding:12px 32px 0 32px;font-size:14px;line-height:20px;color:#4b5563;"),
    (
        "heading",
        "padding:4px 32px 0 32px;font-size:24px;line-height:31px;font-weight:bold;color:#111827;word-break:break-word;",
    ),
    ("part", "padding:20px 32px 0 32px;"),
    ("last", "padding:0 32px 32px 32px;font-size:1px;line-height:1px;"),
    ("text", "font-size:16px;line-height:24px;color:#1f2937;word-break:break-word;"),
    (
        "title",
        "padding:12px 0 8px 0;font-size:16px;line-height:22px;font-weight:bold;color:#111827;word-break:break-word;",
    ),
    ("label", "font-size:14px;line-height:20px;color:#4b5563;word-break:break-word;"),
    (
        "figure",
        "padding:2px 0;font-size:40px;line-height:48px;font-weight:bold;color:#111827;word-break:break-word;",
    ),
    ("aside", "font-size:14px;line-height:20px;color:#4b5563;"),
    ("tile", "padding:10px 12px;background-color:#f9fafb;border:1px solid #e5e7eb;vertical-align:top;"),
    ("tile_figure", "font-size:20px;line-height:26px;font-weight:bold;color:#111827;"),
    ("tile_label", "font-size:13px;line-height:18px;color:#4b5563;"),
    (
        "row",
        "padding:7px 0;border-top:1px solid #e5e7eb;font-size:14px;line-height:20px;color:#1f2937;vertical-align:top;word-break:break-word;",
    ),
    (
        "number",
        "padding:7px 0 7px 10px;border-top:1px solid #e5e7eb;font-size:14px;line-height:20px;color:#1f2937;\
         text-align:right;white-space:nowrap;vertical-align:top;",
    ),
    (
        "head",
        "padding:0 0 6px 0;font-size:12px;line-height:16px;color:#4b5563;font-weight:normal;text-align:left;",
    ),
    (
        "head_number",
        "padding:0 0 6px 10px;font-size:12px;line-height:16px;color:#4b5563;font-weight:normal;text-align:right;",
    ),
    ("bar_label", "padding:4px 0;font-size:13px;line-height:18px;color:#4b5563;white-space:nowrap;"),
    ("bar_cell", "padding:4px 10px;"),
    (
        "bar_figure",
        "padding:4px 0;font-size:13px;line-height:18px;color:#1f2937;text-align:right;white-space:nowrap;",
    ),
    ("bar", "height:14px;font-size:1px;line-height:14px;background-color:#2563eb;border-radius:3px;"),
    ("bar_rest", "height:14px;font-size:1px;line-height:14px;"),
    ("meter_track", "background-color:#e5e7eb;border-radius:3px;"),
    ("meter_calm", "height:8px;font-size:1px;line-height:8px;background-color:#2563eb;border-radius:3px;"),
    ("meter_good", "height:8px;font-size:1px;line-height:8px;background-color:#15803d;border-radius:3px;"),
    ("meter_warn", "height:8px;font-size:1px;line-height:8px;background-color:#d97706;border-radius:3px;"),
    ("meter_bad", "height:8px;font-size:1px;line-height:8px;background-color:#dc2626;border-radius:3px;"),
    ("meter_rest", "height:8px;font-size:1px;line-height:8px;"),
    (
        "fact_label",
        "padding:7px 16px 7px 0;border-top:1px solid #e5e7eb;font-size:14px;line-height:20px;color:#4b5563;vertical-align:top;",
    ),
    ("calm", "color:#4b5563;"),
    ("good", "color:#166534;"),
    ("warn", "color:#92400e;"),
    ("bad", "color:#b91c1c;"),
    ("button_cell", "background-color:#1d4ed8;border-radius:6px;"),
    (
        "button",
        "display:inline-block;padding:12px 22px;font-size:16px;line-height:20px;font-weight:bold;color:#ffffff;\
         text-decoration:none;",
    ),
    ("note", "font-size:13px;line-height:19px;color:#4b5563;word-break:break-word;"),
    (
        "footer",
        "padding:16px 32px 32px 32px;font-size:12px;line-height:18px;color:#4b5563;word-break:break-word;",
    ),
    ("link", "color:#1d4ed8;text-decoration:underline;"),
];

/// The one style sheet: dark colours for programs that follow the reader's setting, and narrow screens. Every rule
/// stands in a media query, so that nothing in the light letter depends on it.
pub(crate) const DARK: &str = "\
@media (prefers-color-scheme: dark) {
.page { background-color: #0b0f19 !important; }
.card { background-color: #151b28 !important; border-color: #2b3446 !important; }
.ink { color: #e8ebf1 !important; }
.dim { color: #a9b3c4 !important; }
.calm { color: #a9b3c4 !important; }
.rule { border-color: #2b3446 !important; }
.tile { background-color: #1b2333 !important; border-color: #2b3446 !important; }
.track { background-color: #2b3446 !important; }
.bar { background-color: #6ea0ff !important; }
.good { color: #6ee7a0 !important; }
.warn { color: #fbbf5a !important; }
.bad { color: #ff9d9d !important; }
.link { color: #8ab4ff !important; }
}
@media (max-width: 620px) {
.card { width: 100% !important; }
.side { padding-left: 20px !important; padding-right: 20px !important; }
.figure { font-size: 34px !important; line-height: 40px !important; }
.tile { padding: 8px !important; }
.count { font-size: 16px !important; line-height: 22px !important; }
.wide { display: none !important; }
}";

/// Every style by its name, ready for a `style` attribute.
pub(crate) fn inline() -> BTreeMap<&'static str, String> {
    let whole = |declarations: &str| {
        if declarations.contains("font-size") && !declarations.contains("font-size:1px") {
            format!("{FONT}{declarations}")
        } else {
            declarations.to_owned()
        }
    };
    STYLES.iter().map(|(name, declarations)| (*name, whole(declarations))).collect()
}
