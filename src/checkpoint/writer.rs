//! Writing beside the run: a thread of its own takes records and states, in order.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use super::format::{self, Entry};

/// The jobs that may wait while one is being written. A run that is killed loses them, so they are few.
const WAITING: usize = 1;

/// What is to be written.
enum Job {
    /// A record at its place in the journal.
    Record(Entry, Vec<u8>),
    /// A state in its file, and the files of states that are then too old.
    State { path: PathBuf, bytes: Vec<u8>, old: Vec<PathBuf> },
    /// Nothing; the sender is dropped, which its receiver sees.
    Flush(SyncSender<()>),
}

/// The thread that writes a journal. It writes nothing more after its first error.
#[derive(Debug)]
pub(super) struct Writer {
    /// None when the thread is being waited for.
    jobs: Option<SyncSender<Job>>,
    /// Buffers that were written and can be filled again.
    written: Receiver<Vec<u8>>,
    fault: Arc<OnceLock<String>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// A writer of the journal `file`, from where its records are placed.
    pub(super) fn new(mut file: File) -> std::io::Result<Self> {
        let (jobs, queue) = sync_channel::<Job>(WAITING);
        let (give_back, written) = sync_channel(WAITING + 1);
        let fault = Arc::new(OnceLock::new());
        let told = Arc::clone(&fault);
        let work = move || {
            while let Ok(job) = queue.recv() {
                if told.get().is_some() {
                    continue;
                }
                let done = match job {
                    Job::Record(entry, payload) => {
                        let done = write_record(&mut file, &entry, &payload);
                        let _ = give_back.try_send(payload);
                        done
                    }
                    Job::State { path, bytes, old } => write_state(&path, &bytes, &old),
                    Job::Flush(sender) => {
                        drop(sender);
                        Ok(())
                    }
                };
                if let Err(error) = done {
                    // It is set once: nothing is written after the first error.
                    let _ = told.set(error.to_string());
                }
            }
        };
        let thread = std::thread::Builder::new().name("journal".into()).spawn(work)?;
        Ok(Self { jobs: Some(jobs), written, fault, thread: Some(thread) })
    }

    /// Why nothing more is written, if something could not be.
    pub(super) fn fault(&self) -> Option<&str> {
        self.fault.get().map(String::as_str)
    }

    /// Has nothing more written, for this reason.
    pub(super) fn end(&self, reason: String) {
        let _ = self.fault.set(reason);
    }

    /// Takes a record; waits while the one before the last is being written.
    pub(super) fn record(&self, entry: Entry, payload: &[u8]) {
        let mut buffer = self.written.try_recv().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(payload);
        self.send(Job::Record(entry, buffer));
    }

    /// Takes a state, and what is to be removed once it is written.
    pub(super) fn state(&self, path: PathBuf, bytes: Vec<u8>, old: Vec<PathBuf>) {
        self.send(Job::State { path, bytes, old });
    }

    /// Waits until everything that was taken is in the files.
    pub(super) fn flush(&self) {
        let (sender, receiver) = sync_channel(0);
        self.send(Job::Flush(sender));
        // The thread drops the sender when it comes to it, or has none any more.
        let _ = receiver.recv();
    }

    fn send(&self, job: Job) {
        let is_taken = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        if !is_taken {
            self.end("the thread that writes it has ended".into());
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Writes a record; what could be written of it is cut off again if that fails.
fn write_record(file: &mut File, entry: &Entry, payload: &[u8]) -> std::io::Result<()> {
    let written = file.seek(SeekFrom::Start(entry.offset)).and_then(|_| entry.write(file, payload));
    if written.is_err() {
        let _ = file.set_len(entry.offset);
    }
    written
}

/// Writes a state beside its file and renames it, then removes the `old` ones.
fn write_state(path: &PathBuf, bytes: &[u8], old: &[PathBuf]) -> std::io::Result<()> {
    let part = path.with_extension("part");
    let write = || {
        let mut file = File::create(&part)?;
        file.write_all(&format::state_header(bytes))?;
        file.write_all(bytes)?;
        fs::rename(&part, path)
    };
    write().inspect_err(|_| drop(fs::remove_file(&part)))?;
    for path in old {
        let _ = fs::remove_file(path);
    }
    Ok(())
}
