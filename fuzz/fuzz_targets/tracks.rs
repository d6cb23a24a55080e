//! FASTA, BED, bedGraph and BigWig: refused with a kind that is documented, or read as what can be written and comes back
//! the same. The first byte of the input says which of them it is.
#![no_main]

use std::io::Cursor;

use larder_fuzz::{DAMAGE, allow};
use larder_provenance::{Chroms, Genome, IntervalTrack, SignalTrack, Track};
use larder_storage::{ErrorKind, Result};
use libfuzzer_sys::fuzz_target;

const INVALID: &[ErrorKind] = &[ErrorKind::Invalid];

fuzz_target!(|data: &[u8]| {
    let Some((kind, text)) = data.split_first() else { return };
    match kind % 4 {
        0 => again(text, |text| Genome::read_fasta(text, "g"), |it, out| it.write_fasta(out)),
        1 => again(
            text,
            |text| IntervalTrack::read_bed(text, "b", &Chroms::new()),
            |it, out| it.write_bed(out),
        ),
        2 => again(
            text,
            |text| SignalTrack::read_bedgraph(text, "b", &Chroms::new()),
            |it, out| it.write_bedgraph(out, &Chroms::new()),
        ),
        _ => {
            let Some((track, chroms)) =
                allow(SignalTrack::read_bigwig(Cursor::new(text), "b"), DAMAGE)
            else {
                return;
            };
            Track::from(track).check(&chroms).unwrap();
        }
    }
});

/// What was read and can be written is, when it is read again, written the same.
fn again<T>(
    text: &[u8],
    read: impl Fn(&[u8]) -> Result<T>,
    write: impl Fn(&T, &mut Vec<u8>) -> Result<()>,
) {
    let Some(found) = allow(read(text), INVALID) else { return };
    let (mut first, mut second) = (Vec::new(), Vec::new());
    // Names may hold what is read and is not written.
    if allow(write(&found, &mut first), INVALID).is_some() {
        write(&read(&first).unwrap(), &mut second).unwrap();
        assert_eq!(first, second);
    }
}
