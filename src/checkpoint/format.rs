//! The journal's bytes: a header that names the run, then one record an answer.
//!
//! All numbers are little-endian. A checksum covers every record, so that one that was cut off or altered is
//! recognised; what follows it is not read.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::error::{Error, Result};

/// What every journal begins with; the last byte is the version of the format.
const MAGIC: [u8; 8] = *b"lgfjour\x01";
/// What every record begins with.
const MARK: u32 = 0x6c67_6652;
/// What every file of a state begins with; the last byte is the version of the format.
const STATE_MAGIC: [u8; 8] = *b"lgfstat\x01";
/// The longest description of a run that is read, in bytes.
const LONGEST_IDENTITY: u64 = 1 << 26;
/// The bytes that are read at a time where only their checksum counts.
const BLOCK: usize = 1 << 20;

/// The kind of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Kind {
    /// A value and a gradient.
    Evaluation = 1,
    /// The direction of a Newton step.
    Direction = 2,
    /// The sentence of an evaluation that failed.
    Failure = 3,
}

impl Kind {
    fn from_code(code: u32) -> Option<Self> {
        [Self::Evaluation, Self::Direction, Self::Failure].into_iter().find(|kind| *kind as u32 == code)
    }
}

/// Everything in a record but its payload: the gradient, the direction or the sentence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Entry {
    pub kind: Kind,
    /// The number of the objective, in the order in which objectives were journaled.
    pub object: u32,
    /// Whether the objective carries a state from one evaluation to the next.
    pub has_state: bool,
    /// The checksum of x.
    pub argument: u32,
    pub value: f64,
    /// The seconds since the run began, all its sittings together.
    pub seconds: f64,
    /// The bytes of the payload.
    pub payload: u64,
    /// The place of the record in the file.
    pub offset: u64,
}

impl Entry {
    /// The bytes of a record without its payload.
    const HEAD: usize = 4 * 6 + 8 * 3;

    /// The place in the file where the next record begins.
    pub(super) fn end(&self) -> u64 {
        self.offset + Self::HEAD as u64 + self.payload
    }

    /// The record without its checksum, which the last four bytes are for.
    fn head(&self) -> [u8; Self::HEAD] {
        let mut head = [0; Self::HEAD];
        let words = [MARK, self.kind as u32, self.object, u32::from(self.has_state), self.argument];
        for (bytes, word) in head.chunks_exact_mut(4).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        let numbers = [self.value.to_bits(), self.seconds.to_bits(), self.payload];
        for (bytes, number) in head[20..44].chunks_exact_mut(8).zip(numbers) {
            bytes.copy_from_slice(&number.to_le_bytes());
        }
        head
    }

    /// The record that begins with `head`, and its checksum; none if it is no record.
    fn parse(head: &[u8; Self::HEAD], offset: u64) -> Option<(Self, u32)> {
        let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| head[at + i]));
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| head[at + i]));
        let entry = Self {
            kind: Kind::from_code(word(4))?,
            object: word(8),
            has_state: word(12) == 1,
            argument: word(16),
            value: f64::from_bits(number(20)),
            seconds: f64::from_bits(number(28)),
            payload: number(36),
            offset,
        };
        (word(0) == MARK && word(12) <= 1).then_some((entry, word(44)))
    }

    /// Writes the record at the end of `file`.
    pub(super) fn write(&self, file: &mut File, payload: &[u8]) -> std::io::Result<()> {
        let mut head = self.head();
        let sum = checksum(&[&head[..44], payload]);
        head[44..].copy_from_slice(&sum.to_le_bytes());
        file.write_all(&head)?;
        file.write_all(payload)
    }

    /// Reads the payload into `out`, which has its length.
    pub(super) fn read(&self, file: &mut File, out: &mut [u8]) -> std::io::Result<()> {
        file.seek(SeekFrom::Start(self.offset + Self::HEAD as u64))?;
        file.read_exact(out)
    }
}

/// The checksum of these parts, one after the other.
pub(super) fn checksum(parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}

/// Writes the header of a journal; returns its length.
pub(super) fn write_header(file: &mut File, identity: &str) -> std::io::Result<u64> {
    let length = (identity.len() as u64).to_le_bytes();
    let sum = checksum(&[&length, identity.as_bytes()]).to_le_bytes();
    for part in [&MAGIC[..], &length, &sum, identity.as_bytes()] {
        file.write_all(part)?;
    }
    Ok((MAGIC.len() + 12 + identity.len()) as u64)
}

/// Reads the header of a journal: the description of the run, and the header's length.
pub(super) fn read_header(file: &mut File, path: &Path) -> Result<(String, u64)> {
    let io = |e| Error::io(path, e);
    let mut magic = [0; 8];
    let mut rest = [0; 12];
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    let is_whole = file.read_exact(&mut magic).and_then(|()| file.read_exact(&mut rest)).is_ok();
    if !is_whole || magic[..7] != MAGIC[..7] {
        return Err(Error::format(path, "this is no checkpoint of a run"));
    }
    if magic != MAGIC {
        return Err(Error::format(
            path,
            "this checkpoint has another version's format; go on with the version of lgf that wrote it",
        ));
    }
    let length = u64::from_le_bytes(std::array::from_fn(|i| rest[i]));
    let sum = u32::from_le_bytes(std::array::from_fn(|i| rest[8 + i]));
    let all = file.metadata().map_err(io)?.len();
    let altered = || Error::format(path, "the description of the run has been altered or cut off");
    if length > LONGEST_IDENTITY || length + 20 > all {
        return Err(altered());
    }
    let mut identity = vec![0; length as usize];
    file.read_exact(&mut identity).map_err(io)?;
    if checksum(&[&rest[..8], &identity]) != sum {
        return Err(altered());
    }
    Ok((String::from_utf8(identity).map_err(|_| altered())?, length + 20))
}

/// The whole records from `offset` on, up to the first one that is cut off or altered.
pub(super) fn scan(file: &File, mut offset: u64) -> std::io::Result<Vec<Entry>> {
    let all = file.metadata()?.len();
    let mut reader = BufReader::with_capacity(BLOCK, file);
    reader.seek(SeekFrom::Start(offset))?;
    let mut entries = Vec::new();
    let mut block = vec![0; BLOCK];
    let mut head = [0; Entry::HEAD];
    while all - offset >= Entry::HEAD as u64 {
        reader.read_exact(&mut head)?;
        let Some((entry, sum)) = Entry::parse(&head, offset) else { break };
        if entry.payload > all - offset - Entry::HEAD as u64 {
            break;
        }
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&head[..44]);
        let mut left = entry.payload;
        while left > 0 {
            let part = &mut block[..left.min(BLOCK as u64) as usize];
            reader.read_exact(part)?;
            hasher.update(part);
            left -= part.len() as u64;
        }
        if hasher.finalize() != sum {
            break;
        }
        offset = entry.end();
        entries.push(entry);
    }
    Ok(entries)
}

/// The bytes before a state in its file.
pub(super) fn state_header(state: &[u8]) -> [u8; 12] {
    let mut header = [0; 12];
    header[..8].copy_from_slice(&STATE_MAGIC);
    header[8..].copy_from_slice(&checksum(&[state]).to_le_bytes());
    header
}

/// The state in a file; none if it is no whole one.
pub(super) fn read_state(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = std::fs::read(path).ok()?;
    if bytes.len() < 12 || bytes[..8] != STATE_MAGIC {
        return None;
    }
    let sum = u32::from_le_bytes(std::array::from_fn(|i| bytes[8 + i]));
    bytes.drain(..12);
    (checksum(&[&bytes]) == sum).then_some(bytes)
}
