//! What an upload changes, each in one step.

use std::sync::{MutexGuard, PoisonError};

use maven_layout::{ChecksumAlgorithm, Coordinates, Metadata, MetadataLevel, RepoPath, metadata};
use pyrsia_blobs::SealedBlob;
use pyrsia_digest::FileDigests;

use crate::anew::Sound;
use crate::decide::{Kind, check_document, kind, owner};
use crate::entry::Entry;
use crate::error::{HostedError, Refused};
use crate::room::Reserved;
use crate::store::Inner;
use crate::upload::{Stored, full};

impl Inner {
    /// The size of the file at a path, if there is one. Blocking.
    pub(crate) fn size_of(&self, path: &RepoPath) -> Result<Option<u64>, HostedError> {
        Ok(self.tree.entry(path)?.map(|entry| entry.digests.size))
    }

    /// Gives a path these bytes, instead of others only if it does not stay as it is. Blocking.
    pub(crate) fn commit(
        &self,
        path: &RepoPath,
        stays: bool,
        sealed: SealedBlob,
        room: Reserved,
        writer: &str,
    ) -> Result<Stored, HostedError> {
        let digests = sealed.digests().all().ok_or(HostedError::Stopping)?;
        let sha256 = digests.sha256;
        let _changing = self.change();
        let held = self.tree.entry(path)?;
        match &held {
            Some(held) if held.digests.sha256 == sha256 => {
                if !(self.blobs.has(&sha256) && self.was_hashed(&sha256)) {
                    // They were damaged or lost, or might be, and come back, into a full repository too: no other place has
                    // them, and they had their room.
                    sealed.commit()?;
                    self.remember(sha256);
                }
                if held.digests != digests {
                    self.tree.change(path, &Entry { digests, ..held.clone() })?;
                }
                self.fresh.settle_for(path, writer);
                return Ok(Stored::Unchanged);
            }
            Some(held) if stays => {
                return Err(Refused::Immutable { path: path.clone(), held: Some(held.digests.sha256) }.into());
            }
            _ => {}
        }
        // Before the bytes: what is refused leaves none behind.
        self.tree.make_way(path)?;
        self.store(path, sealed, room, &digests)?;
        let now = (self.clock)();
        let entry = Entry { digests, stored: now, writer: writer.to_owned() };
        if let Some(of) = owner(path) {
            self.gone.came_back(&of)?;
        }
        let replaces = held.is_some();
        self.fresh.note(path, writer, now, held);
        let placed = if replaces { self.tree.change(path, &entry) } else { self.tree.create(path, &entry) };
        if let Err(error) = placed {
            self.fresh.settle(path);
            return Err(error);
        }
        self.remember(sha256);
        tracing::info!(
            hosted.repository = %self.config.id, hosted.writer = writer, file.path = %path, file.sha256 = %sha256,
            hosted.replaced = replaces, "a file was uploaded"
        );
        Ok(if replaces { Stored::Changed } else { Stored::New })
    }

    /// Stores bytes, in the room that is kept for them. Those that are there already take none.
    fn store(
        &self,
        path: &RepoPath,
        sealed: SealedBlob,
        mut room: Reserved,
        digests: &FileDigests,
    ) -> Result<(), HostedError> {
        let more = if self.blobs.has(&digests.sha256) { 0 } else { digests.size };
        room.at_least(more).map_err(|none| full(path, none))?;
        sealed.commit()?;
        room.keep(more);
        Ok(())
    }

    /// Merges a document into the one that is there. Blocking.
    pub(crate) fn merge(
        &self,
        path: &RepoPath,
        level: &MetadataLevel,
        bytes: &[u8],
        writer: &str,
    ) -> Result<Stored, HostedError> {
        let wrong = |source| Refused::Document { path: path.clone(), source };
        let mut theirs = metadata::parse(bytes).map_err(wrong)?;
        check_document(path, level, &theirs, self.config.accepts)?;
        let _changing = self.change();
        let (held, ours) = match self.sound_document(path, level)? {
            Some(Sound { bytes, says, .. }) => (Some(bytes), Some(says)),
            None => (None, None),
        };
        self.leave_out_what_is_gone(level, &mut theirs, ours.as_ref())?;
        let merged = match ours {
            Some(ours) => metadata::merge(ours, theirs).map_err(wrong)?,
            None => theirs,
        };
        let merged = metadata::write(&merged);
        if merged.len() as u64 > metadata::MAX_BYTES {
            return Err(Refused::TooLarge { path: path.clone(), limit: metadata::MAX_BYTES }.into());
        }
        match held {
            Some(held) if held == merged.as_bytes() => Ok(Stored::Unchanged),
            held => {
                self.tree.replace(path, merged.as_bytes())?;
                tracing::info!(
                    hosted.repository = %self.config.id, hosted.writer = writer, file.path = %path, "a document was merged"
                );
                Ok(if held.is_some() { Stored::Changed } else { Stored::New })
            }
        }
    }

    /// Takes what was removed here out of a document of somebody who read the one of before that, and adds to it.
    fn leave_out_what_is_gone(
        &self,
        level: &MetadataLevel,
        theirs: &mut Metadata,
        ours: Option<&Metadata>,
    ) -> Result<(), HostedError> {
        let (group, artifact) = match level {
            MetadataLevel::Group(_) => return Ok(()),
            MetadataLevel::Artifact { group, artifact } | MetadataLevel::GroupOrArtifact { group, artifact, .. } => {
                (group, artifact)
            }
            MetadataLevel::Version(snapshot) => (&snapshot.group, &snapshot.artifact),
        };
        let is_gone = |version: &maven_layout::Version| {
            self.gone.is(&Coordinates::new(group.clone(), artifact.clone(), version.clone()))
        };
        if let MetadataLevel::Version(snapshot) = level {
            theirs.snapshot_versions.retain(|_, file| !is_gone(&file.value));
            // The build that it stands at is what Gradle asks for.
            let newest = theirs.snapshot.as_ref().and_then(|build| snapshot.version.with_build(build));
            if newest.is_some_and(|build| is_gone(&build)) {
                theirs.snapshot = None;
            }
            return Ok(());
        }
        let listed =
            |version: &maven_layout::Version| ours.is_some_and(|ours| ours.versions.binary_search(version).is_ok());
        let said = theirs.versions.iter().chain(&theirs.latest).chain(&theirs.release);
        let gone: Vec<_> = said.filter(|version| !listed(version) && is_gone(version)).cloned().collect();
        for version in gone {
            theirs.forget_version(&version);
        }
        Ok(())
    }

    /// Compares what a checksum file says with what is here. Blocking.
    ///
    /// A checksum of a document is the one of the client's own document, which was merged into another: it is taken when it
    /// looks like one.
    pub(crate) fn compare(
        &self,
        path: &RepoPath,
        of: &RepoPath,
        of_document: bool,
        algorithm: ChecksumAlgorithm,
        bytes: &[u8],
        writer: &str,
    ) -> Result<Stored, HostedError> {
        let shown = checksum_in(bytes, algorithm).ok_or_else(|| Refused::Checksum { path: path.clone(), algorithm })?;
        let nothing = || HostedError::from(Refused::NothingToCheck { path: path.clone() });
        let _changing = self.change();
        if of_document {
            return self.tree.document(of)?.map(|_| Stored::Unchanged).ok_or_else(nothing);
        }
        let entry = self.tree.entry(of)?.ok_or_else(nothing)?;
        let held = entry.digests.checksum(algorithm);
        if held == shown {
            self.fresh.settle(of);
            return Ok(Stored::Unchanged);
        }
        // Of a file that changes, somebody else's upload may have come between the file and its checksum.
        if self.fresh.before(of).is_some_and(|before| before.digests.checksum(algorithm) == shown) {
            return Ok(Stored::Unchanged);
        }
        let taken_back = self.fresh.take_back(of, writer, (self.clock)(), |before| match before {
            Some(before) => self.tree.change(of, before),
            None => self.tree.remove(of),
        })?;
        tracing::warn!(
            hosted.repository = %self.config.id, hosted.writer = writer, file.path = %of, hosted.taken_back = taken_back,
            "an upload is not what its checksum says"
        );
        let stays = kind(of) == Some(Kind::File { stays: true });
        Err(Refused::Mismatch { path: of.clone(), shown, held, taken_back, stays }.into())
    }

    /// Makes this thread the only one that changes entries.
    pub(crate) fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The checksum in a checksum file, in lower case: its first word, or behind the file's name (`SHA1 (a.jar) = …`) its last.
fn checksum_in(bytes: &[u8], algorithm: ChecksumAlgorithm) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let digits = match algorithm {
        ChecksumAlgorithm::Md5 => 32,
        ChecksumAlgorithm::Sha1 => 40,
        ChecksumAlgorithm::Sha256 => 64,
        ChecksumAlgorithm::Sha512 => 128,
    };
    let is_one = |word: &&str| word.len() == digits && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut words = text.split_whitespace();
    let first = words.next().filter(is_one);
    first.or_else(|| words.next_back().filter(is_one)).map(str::to_ascii_lowercase)
}
