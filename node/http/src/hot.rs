//! Answers that stay as they are, ready to be sent: what a warm repository is asked for again and again.
//!
//! A release's file never changes while the ledger says the same of it, so its answer is made once, kept with its bytes,
//! and found by the very text of the request's path. Absence is kept for a second, which is what a crowd of clients asks
//! for at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use bytes::Bytes;
use maven_layout::RepoPath;
use pyrsia_repository::Files;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::maven::absent;
use crate::prepared::{Prepared, Wanted};
use crate::served::{Served, Uses};

/// Files up to this size are kept with their answers, in bytes; larger ones are read for each request.
pub(crate) const SMALL: u64 = 2 * 1024 * 1024;
/// Memory for answers, in bytes.
const BUDGET: u64 = 80 * 1024 * 1024;
/// What an answer takes beside its bytes, roughly: mostly its header values.
const HEAD: u64 = 1024;
/// Expected number of answers, for the tables of the cache.
const ANSWERS: usize = 16 * 1024;
/// How long an absence is repeated without asking again.
const ABSENT: Duration = Duration::from_secs(1);
/// A file that is handed out again and again is noted as used once in this time.
const USED: Duration = Duration::from_secs(60);

/// The answers, the ones that are asked for staying longest.
pub(crate) struct HotAnswers {
    files: Arc<dyn Files>,
    served: Arc<dyn Served>,
    answers: Cache<String, Arc<Hot>, Weight>,
    began: Instant,
}

struct Hot {
    path: RepoPath,
    /// What [`Files::version`] was when it was made.
    version: u64,
    answer: Answer,
}

enum Answer {
    File {
        prepared: Prepared,
        bytes: Bytes,
        /// When its use was noted last, in milliseconds since the beginning.
        noted: AtomicU64,
        /// Counts the requests; none for what is not counted. Elsewhere in memory than what is only read.
        uses: Option<Box<Uses>>,
    },
    Absent {
        until: Instant,
    },
}

#[derive(Clone)]
struct Weight;

impl Weighter<String, Arc<Hot>> for Weight {
    fn weight(&self, encoded: &String, hot: &Arc<Hot>) -> u64 {
        let bytes = match &hot.answer {
            Answer::File { bytes, .. } => bytes.len() as u64,
            Answer::Absent { .. } => 0,
        };
        bytes + HEAD + encoded.len() as u64
    }
}

impl HotAnswers {
    pub(crate) fn new(files: Arc<dyn Files>, served: Arc<dyn Served>) -> Self {
        Self { files, served, answers: Cache::with_weighter(ANSWERS, BUDGET, Weight), began: Instant::now() }
    }

    /// Where the answers come from.
    pub(crate) fn files(&self) -> &dyn Files {
        self.files.as_ref()
    }

    /// Who is told what is handed out.
    pub(crate) fn served(&self) -> &Arc<dyn Served> {
        &self.served
    }

    /// Tells what was handed out from here up to now.
    pub(crate) fn tell(&self) {
        for (_, hot) in self.answers.iter() {
            if let Answer::File { uses: Some(uses), .. } = &hot.answer {
                uses.tell();
            }
        }
    }

    /// The answer to a GET or HEAD of this path of a URL, if it is here and still holds.
    pub(crate) fn answer(&self, method: &Method, encoded: &str, headers: &HeaderMap) -> Option<Response> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return None;
        }
        let hot = self.answers.get(encoded)?;
        if hot.version != self.files.version() {
            return None;
        }
        match &hot.answer {
            Answer::Absent { until } => (Instant::now() < *until).then(|| absent(&hot.path, *method == Method::HEAD)),
            Answer::File { prepared, bytes, noted, uses } => {
                if let Some(uses) = uses
                    && *method == Method::GET
                {
                    uses.add();
                }
                if self.note(&hot.path, noted)
                    && let Some(uses) = uses
                {
                    uses.tell();
                }
                Some(respond(prepared, bytes, method, headers))
            }
        }
    }

    /// Keeps a file's answer. `version` is what [`Files::version`] was before the file was asked for.
    pub(crate) fn keep_file(
        &self,
        encoded: &str,
        path: &RepoPath,
        version: u64,
        prepared: Prepared,
        bytes: Bytes,
        uses: Option<Box<Uses>>,
    ) {
        let noted = AtomicU64::new(self.millis());
        let answer = Answer::File { prepared, bytes, noted, uses };
        self.keep(encoded, Hot { path: path.clone(), version, answer });
    }

    /// Keeps an absence for a moment.
    pub(crate) fn keep_absent(&self, encoded: &str, path: &RepoPath, version: u64) {
        let until = Instant::now() + ABSENT;
        self.keep(encoded, Hot { path: path.clone(), version, answer: Answer::Absent { until } });
    }

    fn keep(&self, encoded: &str, hot: Hot) {
        self.answers.insert(encoded.to_owned(), Arc::new(hot));
    }

    /// The order in which files are evicted from the disk needs no more than this. True if it was time.
    fn note(&self, path: &RepoPath, noted: &AtomicU64) -> bool {
        let (now, last) = (self.millis(), noted.load(Ordering::Relaxed));
        let is_time = now.saturating_sub(last) >= USED.as_millis() as u64
            && noted.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if is_time {
            self.files.used(path);
        }
        is_time
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// The answer whose bytes are in memory.
pub(crate) fn respond(prepared: &Prepared, bytes: &Bytes, method: &Method, headers: &HeaderMap) -> Response {
    let (mut response, wanted) = prepared.begin(method, headers);
    let cut = |start: u64, length: u64| {
        let at = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
        bytes.slice(at(start)..at(start.saturating_add(length)))
    };
    *response.body_mut() = match wanted {
        Wanted::Nothing => return response,
        Wanted::Part { start, length } => Body::from(cut(start, length)),
        Wanted::Parts { parts, end } => {
            let mut body = Vec::new();
            for (head, start, length) in parts {
                body.extend_from_slice(head.as_bytes());
                body.extend_from_slice(&cut(start, length));
            }
            body.extend_from_slice(end.as_bytes());
            Body::from(body)
        }
    };
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::served::Uses;
    use crate::testing::{TableFiles, TableServed};

    #[test]
    fn the_answers_stay_within_their_budget_and_none_of_their_uses_is_lost() {
        let served = Arc::new(TableServed::default());
        let hot = HotAnswers::new(Arc::new(TableFiles::default()), served.clone());
        let path: RepoPath = "a/b/1/b-1.jar".parse().unwrap();
        let bytes = Bytes::from(vec![7u8; 256 * 1024]);
        let dir = tempfile::tempdir().unwrap();
        let files = TableFiles::default();
        let file = files.file(dir.path(), path.as_str(), &bytes);
        for number in 0..1000 {
            let (encoded, uses) = (format!("/maven2/{number}"), Uses::of(&file, hot.served()));
            hot.keep_file(&encoded, &path, 0, Prepared::of_file(&file), bytes.clone(), uses);
            assert!(hot.answer(&Method::GET, &encoded, &HeaderMap::new()).is_some());
            // What is asked for without its bytes is not handed out.
            assert!(hot.answer(&Method::HEAD, &encoded, &HeaderMap::new()).is_some());
        }
        assert!(hot.answers.weight() <= BUDGET, "{}", hot.answers.weight());
        assert!(hot.answers.len() > 100, "{}", hot.answers.len());
        let told = served.times();
        assert!(told > 100 && told < 1000, "what has left was told, nothing else: {told}");
        hot.tell();
        assert_eq!(served.times(), 1000);
        hot.tell();
        drop(hot);
        assert_eq!(served.times(), 1000, "nothing is told twice");
    }
}
