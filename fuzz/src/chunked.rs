//! Bodies: the same bytes in any pieces give the same body, the same refusal, the same rest, and
//! never more than the limit.

use bytes::BytesMut;
use thalweg_proto::http1::{BodyDecoder, BodyLength, Progress};

use super::input::Input;

pub fn check(data: &[u8]) {
    let mut input = Input(data);
    let kind = input.u8();
    let limit = u64::from(input.u16());
    let length = match kind % 4 {
        0 => BodyLength::Length(u64::from(input.u16())),
        1 => BodyLength::None,
        _ => BodyLength::Chunked,
    };
    let mut pieces = Input(input.bytes(usize::from(kind >> 4)));
    let wire = input.0;
    let whole = decode(length, limit, wire, || wire.len());
    let cut = decode(length, limit, wire, || 1 + usize::from(pieces.u8()));
    match (whole, cut) {
        (Ok(whole), Ok(cut)) => {
            assert_eq!(whole, cut);
            assert!(whole.body.len() as u64 <= limit);
            assert!(!whole.done || whole.taken <= wire.len());
        }
        // The cut one may have given out the good part before it came to the bad one.
        (Err(whole), Err(cut)) => assert_eq!(whole, cut),
        (whole, cut) => panic!("{whole:?} at once, but {cut:?} in pieces"),
    }
}

#[derive(PartialEq, Debug)]
struct Decoded {
    body: Vec<u8>,
    done: bool,
    taken: usize,
}

fn decode(
    length: BodyLength,
    limit: u64,
    wire: &[u8],
    mut piece: impl FnMut() -> usize,
) -> Result<Decoded, &'static str> {
    let mut decoder = BodyDecoder::new(length, limit).map_err(|error| error.code)?;
    let (mut input, mut body) = (BytesMut::new(), BytesMut::new());
    let mut fed = 0;
    loop {
        match decoder.decode(&mut input, &mut body).map_err(|error| error.code)? {
            Progress::More if fed < wire.len() => {
                let end = wire.len().min(fed + piece());
                input.extend_from_slice(&wire[fed..end]);
                fed = end;
            }
            progress => {
                let done = progress == Progress::Done;
                assert_eq!(done, decoder.is_done());
                return Ok(Decoded { body: body.to_vec(), done, taken: fed - input.len() });
            }
        }
    }
}
