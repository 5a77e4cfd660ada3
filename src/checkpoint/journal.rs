//! A run's journal: what its objectives have answered, on disk.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::format::{self, Entry, Kind, checksum};
use super::writer::Writer;
use crate::error::{Error, ObjectiveError, Result};

/// The file of the answers.
const FILE: &str = "journal.bin";
/// The folder beside it that an unfinished run is moved to when another one takes its place.
const PREVIOUS: &str = "previous";

/// How often the state of an objective that carries one is kept. Answers are kept at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    /// After so many evaluations, at least 1.
    Evaluations(u64),
    /// At the first evaluation that ends so long after the last time.
    Time(Duration),
}

impl Default for Every {
    /// Every minute: what a killed run loses at most.
    fn default() -> Self {
        Self::Time(Duration::from_secs(60))
    }
}

/// What the objectives of one run have answered, in a folder of its own: see [the module](super). A handle,
/// which all objectives of the run share; they are to be evaluated in the same order every time.
///
/// A full disk or a folder that is gone ends the journal with a warning, and not the run:
/// [`fault`](Self::fault).
#[derive(Debug, Clone)]
pub struct Journal {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    /// Ends, with everything written, before the file is closed.
    writer: Writer,
    /// Locked as long as it is open. It is read until the run computes its first own answer, and written by
    /// the writer from then on: the two share one position in it.
    file: File,
    every: Every,
    /// The records that answer, and the number of those that have.
    entries: Vec<Entry>,
    replayed: usize,
    /// The number of records in the file and the place of the next one.
    records: u64,
    end: u64,
    objects: u32,
    /// The numbers of the records that the kept states of each objective are of.
    states: BTreeMap<u32, Vec<u64>>,
    kept_at: Instant,
    evaluations_since: u64,
    began: Instant,
    /// The seconds of the sittings before.
    earlier_seconds: f64,
    /// The time that the run waited for records and states to be taken and to be read.
    spent: Duration,
    is_closed: bool,
    /// Whether the log has been told why nothing more is written.
    is_told: bool,
}

impl Journal {
    /// Begins the journal of a new run in `folder`, which is made; `identity` describes the run, and
    /// [`resume`](Self::resume) goes on with a run of the same description only. An unfinished run that is
    /// there is moved to the folder `previous` in it, in the place of one that was moved there before.
    ///
    /// # Errors
    /// [`FileError`](crate::error::FileError) for a folder that cannot be written to, or in which another run
    /// is going on.
    pub fn create(folder: &Path, identity: &str, every: Every) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
        let path = folder.join(FILE);
        let open = || File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open().map_err(|e| Error::io(&path, e))?;
        lock(&file, folder)?;
        if file.metadata().is_ok_and(|metadata| metadata.len() > 0) {
            drop(file);
            move_away(folder).map_err(|e| Error::io(folder, e))?;
            file = open().map_err(|e| Error::io(&path, e))?;
            lock(&file, folder)?;
        }
        let end = format::write_header(&mut file, identity).map_err(|e| Error::io(&path, e))?;
        Self::of(folder, file, every, Vec::new(), end)
    }

    /// Goes on with the journal in `folder`: its answers come first. Records and states that were cut off or
    /// altered are left out, and what came after them.
    ///
    /// # Errors
    /// [`FileError`](crate::error::FileError) where there is no journal, where it is of another version's
    /// format or of a run of another `identity`, and where that run is going on.
    pub fn resume(folder: &Path, identity: &str, every: Every) -> Result<Self> {
        let path = folder.join(FILE);
        let mut file = File::options().read(true).write(true).open(&path).map_err(|e| Error::io(&path, e))?;
        lock(&file, folder)?;
        let (found, header) = format::read_header(&mut file, &path)?;
        if found != identity {
            return Err(Error::format(&path, "this checkpoint is of another run"));
        }
        let mut entries = format::scan(&file, header).map_err(|e| Error::io(&path, e))?;
        let in_all = entries.len();
        keep_resumable(folder, &mut entries);
        if entries.len() < in_all {
            log::info!("of {in_all} evaluations the first {} can be gone on from", entries.len());
        }
        let end = entries.last().map_or(header, Entry::end);
        file.set_len(end).map_err(|e| Error::io(&path, e))?;
        remove_states(folder, entries.len() as u64);
        Self::of(folder, file, every, entries, end)
    }

    /// The description of the run whose journal is in `folder`.
    ///
    /// # Errors
    /// As for [`resume`](Self::resume).
    pub fn identity(folder: &Path) -> Result<String> {
        let path = folder.join(FILE);
        let mut file = File::open(&path).map_err(|e| Error::io(&path, e))?;
        format::read_header(&mut file, &path).map(|(identity, _)| identity)
    }

    fn of(folder: &Path, file: File, every: Every, entries: Vec<Entry>, end: u64) -> Result<Self> {
        let writer = file.try_clone().and_then(Writer::new).map_err(|e| Error::io(folder.join(FILE), e))?;
        let mut states: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
        for (number, entry) in entries.iter().enumerate() {
            if entry.has_state && state_path(folder, entry.object, number as u64).exists() {
                states.entry(entry.object).or_default().push(number as u64);
            }
        }
        let now = Instant::now();
        Ok(Self {
            inner: Arc::new(Mutex::new(Inner {
                folder: folder.into(),
                writer,
                file,
                every,
                records: entries.len() as u64,
                earlier_seconds: entries.last().map_or(0.0, |entry| entry.seconds),
                entries,
                replayed: 0,
                end,
                objects: 0,
                states,
                kept_at: now,
                evaluations_since: 0,
                began: now,
                spent: Duration::ZERO,
                is_closed: false,
                is_told: false,
            })),
        })
    }

    /// The number of evaluations that the journal answers.
    pub fn replays(&self) -> usize {
        let inner = self.lock();
        let counts = |entry: &&Entry| entry.kind != Kind::Direction;
        inner.entries.iter().filter(counts).count()
    }

    /// The seconds that the run had taken when its last evaluation was journaled, those of all sittings
    /// before this one.
    pub fn earlier_seconds(&self) -> f64 {
        self.lock().earlier_seconds
    }

    /// The time that this sitting has waited for the journal: to take records and states, and to read them. A
    /// thread of its own writes them while the run goes on.
    pub fn time_spent(&self) -> Duration {
        self.lock().spent
    }

    /// Why the journal has ended before the run, if it has.
    pub fn fault(&self) -> Option<String> {
        let inner = self.lock();
        inner.writer.flush();
        inner.writer.fault().map(String::from)
    }

    /// Waits until everything that was journaled is in its files. Without it the last two answers may be on
    /// their way; they are written when the last handle of the journal is dropped, and lost where the process
    /// is killed.
    pub fn flush(&self) {
        self.lock().writer.flush();
    }

    /// Takes no more records: what is evaluated after an interruption, to have something to hand out, is not
    /// on the way that the run would have taken. [`resume`](Self::resume) opens it again.
    pub fn close(&self) {
        self.lock().is_closed = true;
    }

    /// Removes the journal and what is kept beside it, once the run's results are safe.
    ///
    /// # Errors
    /// [`FileError`](crate::error::FileError) naming the folder.
    pub fn remove(self) -> Result<()> {
        let inner = self.lock();
        inner.writer.flush();
        let removed = own_files(&inner.folder)
            .and_then(|files| files.iter().try_for_each(fs::remove_file))
            .and_then(|()| fs::remove_dir(&inner.folder));
        match removed {
            // What was moved away stays, as it is another run's; and the folder may be gone already.
            Err(e) if matches!(e.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::NotFound) => Ok(()),
            other => other.map_err(|e| Error::io(&inner.folder, e)),
        }
    }

    /// A new objective's number.
    pub(super) fn register(&self) -> u32 {
        let mut inner = self.lock();
        inner.objects += 1;
        inner.objects - 1
    }

    /// The answer to `x` that the journal has for objective `object`, with the number of its record and
    /// whether the objective carries a state; none where it is to be computed.
    pub(super) fn answer(&self, object: u32, wanted: Kind, x: &[f64], out: &mut [f64]) -> Option<Answer> {
        let (began, mut inner) = (Instant::now(), self.lock());
        let answer = inner.answer(object, wanted, x, out);
        inner.spent += began.elapsed();
        answer
    }

    /// Appends an answer; returns its number, and whether the objective's state is due to be kept.
    pub(super) fn append(&self, answer: &New<'_>) -> (u64, bool) {
        let (began, mut inner) = (Instant::now(), self.lock());
        let appended = inner.append(answer);
        inner.spent += began.elapsed();
        appended
    }

    /// Whether the state of `object` after record `number` is kept already.
    pub(super) fn has_state(&self, object: u32, number: u64) -> bool {
        self.lock().states.get(&object).is_some_and(|numbers| numbers.contains(&number))
    }

    /// Keeps the state of `object` after record `number`, and the one before it.
    pub(super) fn keep_state(&self, object: u32, number: u64, state: Vec<u8>) {
        self.lock().keep_state(object, number, state);
    }

    /// Adds to the time that the journal has taken.
    pub(super) fn charge(&self, time: Duration) {
        self.lock().spent += time;
    }

    /// The state of `object` after record `number`.
    pub(super) fn state(&self, object: u32, number: u64) -> Option<Vec<u8>> {
        format::read_state(&state_path(&self.lock().folder, object, number))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change of the inner state is one assignment after what can panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer that a journal has given.
pub(super) struct Answer {
    pub value: Result<f64, ObjectiveError>,
    pub number: u64,
    pub has_state: bool,
}

/// An answer that an objective has just given.
pub(super) struct New<'a> {
    pub object: u32,
    pub kind: Kind,
    pub x: &'a [f64],
    pub value: &'a Result<f64, ObjectiveError>,
    /// The gradient or the direction.
    pub vector: &'a [f64],
    pub has_state: bool,
}

impl Inner {
    /// Whether nothing more is to be written; says so once, if that is for an error.
    fn has_ended(&mut self) -> bool {
        let Some(fault) = self.writer.fault() else { return self.is_closed };
        if !std::mem::replace(&mut self.is_told, true) {
            let folder = self.folder.display();
            log::warn!("the checkpoint in {folder} ends here, and the run goes on without one: {fault}");
        }
        true
    }

    fn keep_state(&mut self, object: u32, number: u64, state: Vec<u8>) {
        if self.has_ended() {
            return;
        }
        self.kept_at = Instant::now();
        self.evaluations_since = 0;
        let numbers = self.states.entry(object).or_default();
        numbers.push(number);
        let old: Vec<u64> = numbers.drain(..numbers.len().saturating_sub(2)).collect();
        let path = |number| state_path(&self.folder, object, number);
        self.writer.state(path(number), state, old.into_iter().map(path).collect());
    }

    fn append(&mut self, answer: &New<'_>) -> (u64, bool) {
        let number = self.records;
        if self.has_ended() {
            return (number, false);
        }
        let sentence;
        let (kind, value, payload) = match answer.value {
            Ok(value) => (answer.kind, *value, bytemuck::cast_slice(answer.vector)),
            Err(error) => {
                sentence = error.to_string();
                (Kind::Failure, f64::NAN, sentence.as_bytes())
            }
        };
        let entry = Entry {
            kind,
            object: answer.object,
            has_state: answer.has_state,
            argument: argument(answer.x),
            value,
            seconds: self.earlier_seconds + self.began.elapsed().as_secs_f64(),
            payload: payload.len() as u64,
            offset: self.end,
        };
        self.writer.record(entry, payload);
        self.end = entry.end();
        self.records += 1;
        self.evaluations_since += 1;
        let is_due = match self.every {
            Every::Evaluations(count) => self.evaluations_since >= count,
            Every::Time(time) => self.kept_at.elapsed() >= time,
        };
        (number, is_due && answer.has_state)
    }

    fn answer(&mut self, object: u32, wanted: Kind, x: &[f64], out: &mut [f64]) -> Option<Answer> {
        let number = self.replayed;
        let entry = *self.entries.get(number)?;
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(out);
        let fits = entry.object == object
            && match entry.kind {
                Kind::Failure => wanted == Kind::Evaluation,
                kind => kind == wanted && entry.payload == bytes.len() as u64,
            }
            && entry.argument == argument(x);
        if !fits {
            self.forget("the run took another way than the one that was journaled");
            return None;
        }
        let (mut sentence, kind) = (Vec::new(), entry.kind);
        let read = if kind == Kind::Failure {
            sentence.resize(entry.payload as usize, 0);
            entry.read(&mut self.file, &mut sentence)
        } else {
            entry.read(&mut self.file, bytes)
        };
        if let Err(error) = read {
            self.forget(&format!("the journal cannot be read: {error}"));
            return None;
        }
        self.replayed += 1;
        let value = match kind {
            Kind::Failure => Err(String::from_utf8_lossy(&sentence).into_owned().into()),
            Kind::Evaluation | Kind::Direction => Ok(entry.value),
        };
        Some(Answer { value, number: number as u64, has_state: entry.has_state })
    }

    /// The answers from here on are no longer true.
    fn forget(&mut self, reason: &str) {
        let left = self.entries.len() - self.replayed;
        log::warn!("{reason}; {left} of its evaluations are made again");
        self.end = self.entries[self.replayed].offset;
        self.entries.truncate(self.replayed);
        self.records = self.replayed as u64;
        let records = self.records;
        self.states.values_mut().for_each(|numbers| numbers.retain(|number| *number < records));
        remove_states(&self.folder, records);
        if let Err(error) = self.file.set_len(self.end) {
            self.writer.end(format!("its old records cannot be cut off: {error}"));
        }
    }
}

/// The checksum of a point.
fn argument(x: &[f64]) -> u32 {
    checksum(&[bytemuck::cast_slice(x)])
}

fn state_path(folder: &Path, object: u32, number: u64) -> PathBuf {
    folder.join(format!("state-{object}-{number}.bin"))
}

/// Takes the journal for this run alone.
fn lock(file: &File, folder: &Path) -> Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            Err(Error::format(folder, "another run writes its checkpoint here; give this one another folder"))
        }
        // Some file systems of networks know no locks; a run is worth more than one.
        Err(TryLockError::Error(error)) => {
            log::info!("{} cannot be locked: {error}", folder.display());
            Ok(())
        }
    }
}

/// The files of a journal in a folder.
fn own_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let text = name.to_string_lossy();
        let is_state = text.starts_with("state-") && (text.ends_with(".bin") || text.ends_with(".part"));
        if text == FILE || is_state {
            files.push(folder.join(name));
        }
    }
    Ok(files)
}

/// Removes the states after records from number `first` on, which are no longer those of the run: a later
/// sitting would take them for the states of the records that take these numbers now.
fn remove_states(folder: &Path, first: u64) {
    let number =
        |file: &Path| -> Option<u64> { file.file_stem()?.to_str()?.rsplit('-').next()?.parse().ok() };
    for file in own_files(folder).unwrap_or_default() {
        if number(&file).is_some_and(|number| number >= first) {
            let _ = fs::remove_file(file);
        }
    }
}

/// Moves an unfinished run's files out of the way.
fn move_away(folder: &Path) -> std::io::Result<()> {
    let previous = folder.join(PREVIOUS);
    fs::create_dir_all(&previous)?;
    own_files(&previous)?.iter().try_for_each(fs::remove_file)?;
    for file in own_files(folder)? {
        if let Some(name) = file.file_name() {
            fs::rename(&file, previous.join(name))?;
        }
    }
    log::warn!("an unfinished run was here; its checkpoint is now in {}", previous.display());
    Ok(())
}

/// Leaves the longest beginning of a journal that a run can go on from: after its last record every objective
/// that carries a state has that state kept, and no failure ends it, for that may have had a cause outside.
fn keep_resumable(folder: &Path, entries: &mut Vec<Entry>) {
    let mut numbers: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
    for (number, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.has_state) {
        numbers.entry(entry.object).or_default().push(number as u64);
    }
    let is_kept = |object: u32, number: Option<&u64>| match number {
        Some(number) => format::read_state(&state_path(folder, object, *number)).is_some(),
        None => true,
    };
    let mut missing: BTreeMap<u32, bool> =
        numbers.iter().map(|(object, all)| (*object, !is_kept(*object, all.last()))).collect();
    while let Some(last) = entries.last() {
        if last.kind != Kind::Failure && !missing.values().any(|missing| *missing) {
            return;
        }
        if let (true, Some(all)) = (last.has_state, numbers.get_mut(&last.object)) {
            all.pop();
            missing.insert(last.object, !is_kept(last.object, all.last()));
        }
        entries.pop();
    }
}
