//! Providers' answers as they pass by: events are cut alike however the bytes come, no byte is lost, and whatever they
//! say does no harm.

use bytes::Bytes;
use costlens_domain::providers::Dialect;
use costlens_proxy::usage::Meter;
use costlens_proxy::usage::sse::EventSplitter;

fn events(stream: &[u8], piece: usize) -> (Vec<Bytes>, Bytes) {
    let (mut splitter, mut events) = (EventSplitter::default(), Vec::new());
    for bytes in stream.chunks(piece.max(1)) {
        splitter.push(Bytes::copy_from_slice(bytes), |event| events.push(event));
    }
    (events, splitter.finish())
}

pub(crate) fn check(input: &[u8]) {
    let Some((first, stream)) = input.split_first() else { return };
    let (whole, rest) = events(stream, stream.len());
    let (pieces, rest_of_pieces) = events(stream, usize::from(*first) % 17 + 1);
    assert_eq!(whole, pieces, "the same bytes were cut in two ways");
    assert_eq!(rest, rest_of_pieces);
    let mut joined = whole.concat();
    joined.extend_from_slice(&rest);
    assert_eq!(joined, stream, "bytes were lost or made up");
    for dialect in [Dialect::OpenAiChat, Dialect::AnthropicMessages] {
        let mut meter = Meter::new(dialect);
        for event in &whole {
            meter.read_event(event);
        }
        meter.read_event(&rest);
        let reading = meter.reading();
        assert!(reading.output_text_bytes <= u64::try_from(stream.len()).unwrap() * 4, "{reading:?}");
        let _any = meter.input_so_far();
        let mut meter = Meter::new(dialect);
        meter.read_body(stream);
        let _any = meter.reading();
    }
}
