//! The corpus as it is kept: through bodies and streams, alone and behind what looks like the beginning of JSON.

use super::*;

const KINDS: [Kind; 5] = [Kind::Email, Kind::Phone, Kind::Ssn, Kind::Card, Kind::Ipv4];

/// How a text is kept, and what is left of it.
type Kept = fn(&str) -> String;

/// What was taken out of a text; `None` where something else was changed.
fn taken(before: &[char], after: &[char]) -> Option<Vec<Span>> {
    if before == after {
        return Some(Vec::new());
    }
    // From the end, so that each way there is asked after once: where the rest of both texts fits.
    let mut ways = vec![vec![None; after.len() + 1]; before.len() + 1];
    ways[before.len()][after.len()] = Some(None);
    for from in (0..before.len()).rev() {
        for at in (0..after.len()).rev() {
            if before[from] == after[at] && ways[from + 1][at + 1].is_some() {
                ways[from][at] = Some(None);
                continue;
            }
            if after[at] != '[' {
                continue;
            }
            ways[from][at] = KINDS.into_iter().find_map(|kind| {
                let token: Vec<char> = kind.token().chars().collect();
                let rest = at + token.len();
                let fits = after[at..].starts_with(&token);
                let to = (from + 1..=before.len()).find(|to| fits && ways[*to][rest].is_some())?;
                Some(Some(Span { from, to, kind }))
            });
        }
    }
    let (mut from, mut at, mut spans) = (0, 0, Vec::new());
    while from < before.len() {
        if let Some(span) = ways[from][at]? {
            spans.push(span);
            (from, at) = (span.to, at + span.kind.token().len());
        } else {
            (from, at) = (from + 1, at + 1);
        }
    }
    (at == after.len()).then_some(spans)
}

fn in_a_body(text: &str) -> String {
    let body = json!({ "messages": [{ "role": "user", "content": text }] });
    let clean: Value = serde_json::from_str(&redacted(&body.to_string(), Shape::Json)).unwrap();
    clean["messages"][0]["content"].as_str().unwrap().to_owned()
}

fn in_a_stream(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let parts: Vec<String> = chars.chunks(3).map(|part| part.iter().collect()).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    joined(&redacted(&openai(&parts), Shape::Events), |event| {
        event["choices"][0]["delta"]["content"].as_str()
    })
}

#[test]
fn the_corpus_is_found_in_what_is_kept_behind_anything() {
    let alone = |text: &str| redacted(text, Shape::Json);
    let ways: [(&str, Kept); 3] =
        [("a body", in_a_body), ("a stream", in_a_stream), ("an answer that is a text", alone)];
    for prefix in ["", "[x] ", "[10:04] ", "{\"a\":1} "] {
        for (way, kept) in ways {
            let (mut score, mut story) = (Score::default(), String::new());
            for (text, wanted) in CORPUS.iter().flat_map(|(file, _)| cases(file)) {
                // A number alone is a document.
                if prefix.is_empty() && way == "an answer that is a text" && text.parse::<u128>().is_ok() {
                    continue;
                }
                let text: Vec<char> = prefix.chars().chain(text.chars()).collect();
                let clean = kept(&text.iter().collect::<String>());
                let shift = prefix.chars().count();
                let spans = taken(&text, &clean.chars().collect::<Vec<_>>());
                let spans = spans.unwrap_or_else(|| panic!("more than data changed: {clean}"));
                let wanted: Vec<_> = wanted.iter().map(|(from, to)| (from + shift, to + shift)).collect();
                // Which of two spans that meet at a blank holds it nobody can say.
                let gone = |place: usize| {
                    text[place] == ' ' || spans.iter().any(|span| span.from <= place && place < span.to)
                };
                let hit = wanted.iter().filter(|(from, to)| (*from..*to).all(gone));
                let hit = u32::try_from(hit.count()).unwrap();
                let wrong = spans
                    .iter()
                    .filter(|span| !wanted.iter().any(|(from, to)| span.from < *to && *from < span.to));
                let wrong = u32::try_from(wrong.count()).unwrap();
                let missed = u32::try_from(wanted.len()).unwrap() - hit;
                if missed + wrong > 0 {
                    writeln!(story, "{clean}").unwrap();
                }
                score =
                    Score { hit: score.hit + hit, missed: score.missed + missed, wrong: score.wrong + wrong };
            }
            let recall = per_thousand(score.hit, score.hit + score.missed);
            let precision = per_thousand(score.hit, score.hit + score.wrong);
            println!("{way} behind {prefix:?}: recall {recall} ‰, precision {precision} ‰\n{story}");
            assert!(
                recall >= 990 && precision >= 980,
                "{way} behind {prefix:?}: {recall}, {precision}\n{story}"
            );
        }
    }
}
