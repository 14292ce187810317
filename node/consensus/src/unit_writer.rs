//! Where units go: written and synced one by one, before anybody else can see them.
//!
//! A full disk is waited out, see `backup`: what arrived of a unit is cut off again, and it is written when there is room.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Seek as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::io::AsyncWrite;
use pyrsia_digest::Sha256;
use tokio::task::JoinHandle;
use tokio::time::Sleep;

use crate::backup::Dir;
use crate::error::is_full;
use crate::frames;

/// Stores units: AlephBFT writes one encoded unit and flushes; after the flush the unit is on disk. Units that were in
/// the file from the start (AlephBFT saves what it loaded again) are not written twice.
pub(crate) struct BackupWriter {
    buffer: Vec<u8>,
    stored: HashSet<Sha256>,
    state: State,
}

struct Sink {
    file: File,
    /// Where the last whole unit ends.
    end: u64,
    /// It was said that there is no room.
    waited: bool,
    /// Keeps the directory locked until the last write has ended, however consensus was stopped.
    dir: Arc<Dir>,
}

enum State {
    Idle(Sink),
    Writing(JoinHandle<(Sink, Vec<u8>, Written)>),
    /// There is no room for this frame.
    Waiting(Pin<Box<Sleep>>, Sink, Vec<u8>),
    Failed,
}

/// What became of a unit.
enum Written {
    /// It is on the disk.
    Whole,
    /// There is no room for it, and the file is as it was.
    NoRoom(io::Error),
    /// What the file holds now is unknown.
    Failed(io::Error),
}

/// Until it is tried again to write a unit that did not fit.
pub(crate) const PAUSE: Duration = Duration::from_secs(1);

impl BackupWriter {
    /// Goes on behind the units that the file holds, which ends there.
    pub(crate) fn new(file: File, end: u64, units: &[Vec<u8>], dir: Arc<Dir>) -> Self {
        Self {
            buffer: Vec::new(),
            stored: units.iter().map(|unit| Sha256::of(unit)).collect(),
            state: State::Idle(Sink { file, end, waited: false, dir }),
        }
    }
}

impl AsyncWrite for BackupWriter {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.buffer.len() + bytes.len() > frames::MAX_CONTENT {
            return Poll::Ready(Err(io::Error::other("a unit is longer than a frame may be")));
        }
        self.buffer.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match &mut this.state {
                State::Writing(job) => {
                    let joined = ready!(Pin::new(job).poll(context));
                    let (mut sink, frame, written) = match joined {
                        Ok(done) => done,
                        Err(error) => {
                            this.state = State::Failed;
                            return Poll::Ready(Err(io::Error::other(error)));
                        }
                    };
                    this.state = match written {
                        Written::Whole => State::Idle(sink),
                        Written::NoRoom(error) => {
                            if !std::mem::replace(&mut sink.waited, true) {
                                tracing::error!(%error, "consensus waits for room on the disk");
                            }
                            State::Waiting(Box::pin(tokio::time::sleep(PAUSE)), sink, frame)
                        }
                        Written::Failed(error) => {
                            // Nothing may be appended to it.
                            this.state = State::Failed;
                            return Poll::Ready(Err(error));
                        }
                    };
                }
                State::Waiting(pause, ..) => {
                    ready!(pause.as_mut().poll(context));
                    if let State::Waiting(_, sink, frame) = std::mem::replace(&mut this.state, State::Failed) {
                        this.state = State::writing(sink, frame);
                    }
                }
                State::Failed => {
                    return Poll::Ready(Err(io::Error::other("an earlier write of the backup failed")));
                }
                State::Idle(_) if this.buffer.is_empty() => return Poll::Ready(Ok(())),
                State::Idle(_) => {
                    let unit = std::mem::take(&mut this.buffer);
                    if this.stored.remove(&Sha256::of(&unit)) {
                        continue;
                    }
                    let mut frame = Vec::with_capacity(unit.len() + frames::OVERHEAD);
                    if frames::append(&mut frame, &unit).is_none() {
                        return Poll::Ready(Err(io::Error::other("a unit is longer than a frame may be")));
                    }
                    if let State::Idle(sink) = std::mem::replace(&mut this.state, State::Failed) {
                        this.state = State::writing(sink, frame);
                    }
                }
            }
        }
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}

impl State {
    fn writing(sink: Sink, frame: Vec<u8>) -> Self {
        Self::Writing(tokio::task::spawn_blocking(move || write_frame(sink, frame)))
    }
}

fn write_frame(mut sink: Sink, frame: Vec<u8>) -> (Sink, Vec<u8>, Written) {
    let written = append(&mut sink.file, sink.end, &frame);
    match &written {
        Written::Whole => {
            sink.end += frame.len() as u64;
            if std::mem::replace(&mut sink.waited, false) {
                // As loud as what it ends, so that whoever read that reads this too.
                tracing::warn!("consensus goes on: there is room on the disk");
            }
        }
        Written::NoRoom(_) => {}
        Written::Failed(error) => {
            tracing::error!(%error, "a unit of consensus cannot be written");
            sink.dir.note_trouble(error.to_string());
        }
    }
    (sink, frame, written)
}

/// What units are written to.
trait Medium: io::Write {
    /// Makes the end the place of the next write, and cuts off what is behind it.
    fn cut(&mut self, end: u64) -> io::Result<()>;
    /// Waits for the disk.
    fn sync(&mut self) -> io::Result<()>;
}

impl Medium for File {
    fn cut(&mut self, end: u64) -> io::Result<()> {
        self.set_len(end)?;
        self.seek(io::SeekFrom::Start(end)).map(drop)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

fn append(file: &mut impl Medium, end: u64, frame: &[u8]) -> Written {
    match file.write_all(frame) {
        Ok(()) => file.sync().map_or_else(Written::Failed, |()| Written::Whole),
        Err(error) if is_full(&error) => match file.cut(end) {
            Ok(()) => Written::NoRoom(error),
            Err(_) => Written::Failed(error),
        },
        Err(error) => Written::Failed(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use futures_util::io::AsyncWriteExt as _;

    use super::*;
    use crate::backup::Opened;

    async fn write(writer: &mut BackupWriter, unit: &[u8]) {
        writer.write_all(unit).await.unwrap();
        writer.flush().await.unwrap();
    }

    fn ready(opened: Opened) -> (Vec<Vec<u8>>, BackupWriter) {
        match opened {
            Opened::Ready { units, writer } => (units, writer),
            Opened::Lost { reason } => panic!("lost: {reason}"),
        }
    }

    /// Takes so many bytes more, and as many again each time that it is told to cut off what did not fit.
    struct SmallDisk {
        bytes: Vec<u8>,
        room: usize,
        more: usize,
        cuts: io::Result<()>,
    }

    impl io::Write for SmallDisk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.room);
            if count == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= count;
            self.bytes.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Medium for SmallDisk {
        fn cut(&mut self, end: u64) -> io::Result<()> {
            std::mem::replace(&mut self.cuts, Ok(()))?;
            self.bytes.truncate(usize::try_from(end).unwrap());
            self.room = self.more;
            Ok(())
        }

        fn sync(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_unit_that_does_not_fit_leaves_the_file_as_it_was_and_can_be_written_again() {
        let mut disk = SmallDisk { bytes: b"before".to_vec(), room: 3, more: 100, cuts: Ok(()) };
        assert!(matches!(append(&mut disk, 6, b"a unit"), Written::NoRoom(_)));
        assert_eq!(disk.bytes, b"before");
        assert!(matches!(append(&mut disk, 6, b"a unit"), Written::Whole));
        assert_eq!(disk.bytes, b"beforea unit");
        // Where the beginning of a unit cannot be taken away, nothing may follow it.
        let mut disk = SmallDisk { bytes: Vec::new(), room: 3, more: 0, cuts: Err(io::ErrorKind::Other.into()) };
        assert!(matches!(append(&mut disk, 0, b"a unit"), Written::Failed(_)));
    }

    #[tokio::test]
    async fn a_file_that_was_cut_goes_on_behind_its_last_whole_unit() {
        let temp = tempfile::tempdir().unwrap();
        {
            let dir = Dir::open(temp.path()).unwrap();
            let (_, mut writer) = ready(dir.open_session(0).unwrap());
            write(&mut writer, &[1; 100]).await;
            let State::Idle(sink) = &mut writer.state else { panic!("it is idle") };
            sink.file.write_all(&[9; 50]).unwrap();
            let end = sink.end;
            sink.file.cut(end).unwrap();
            write(&mut writer, &[2; 100]).await;
        }
        let dir = Dir::open(temp.path()).unwrap();
        let (units, _) = ready(dir.open_session(0).unwrap());
        assert_eq!(units.concat(), [[1; 100], [2; 100]].concat());
    }
}
