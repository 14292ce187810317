//! Who builds what: tasks that wait, and leases on them. Pure: time is an argument, in milliseconds of one clock.
//!
//! Call order: [`Leases::expire`] before [`Leases::take`], so that what was lost is given out again. Forgetting it is late, not
//! wrong: a task is given out only when no lease is on it, and a lease that has run out is worth nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use pyrsia_digest::Sha256;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A task that has waited for so long goes to whoever asks next, before all that came later.
const FAIR_MS: u64 = 5 * 60_000;

/// What an operator and the composition decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How long a lease lasts that nobody renews.
    pub lease_ms: u64,
    /// How long a lease lasts at most, however often it is renewed.
    pub longest_ms: u64,
    /// So many workers may be lost with a task; then it is not given out again, since it may be what they die of.
    pub losses: u32,
    /// Tasks at a time, those that are being built included.
    pub tasks: usize,
    /// A worker that was heard of so lately counts as there.
    pub attended_ms: u64,
}

/// Which tasks are given out first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Turn {
    /// What ends something that was begun: others may be waiting for it.
    Early,
    /// Everything else.
    Usual,
}

/// A task. Those that came earlier are smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(u64);

/// A lease: never the same one twice, also after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId {
    epoch: u64,
    number: u64,
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}", self.epoch, self.number)
    }
}

/// The text is no lease.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no name of a lease")]
pub struct LeaseIdError;

impl FromStr for LeaseId {
    type Err = LeaseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (epoch, number) = text.split_once('-').ok_or(LeaseIdError)?;
        let epoch = u64::from_str_radix(epoch, 16).map_err(|_| LeaseIdError)?;
        let read = Self { epoch, number: number.parse().map_err(|_| LeaseIdError)? };
        // One form only, since it becomes the name of a folder.
        if read.to_string() == text { Ok(read) } else { Err(LeaseIdError) }
    }
}

impl Serialize for LeaseId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LeaseId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The lease has run out, was given back, is that of somebody else, or never was: nothing that is said under it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such lease any more")]
pub struct NoLease;

/// There is no room for a further task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many builds wait for workers already")]
pub struct Full;

/// A lease that ran out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The lease.
    pub lease: LeaseId,
    /// What it was about.
    pub task: TaskId,
    /// Whose it was.
    pub worker: String,
    /// Whether the task is given up: it has outlived all the workers that it may.
    pub given_up: bool,
}

#[derive(Debug)]
struct Task {
    image: Sha256,
    turn: Turn,
    since: u64,
    lease: Option<LeaseId>,
    losses: u32,
}

#[derive(Debug)]
struct Held {
    task: TaskId,
    worker: String,
    begun: u64,
    until: u64,
}

/// The tasks and the leases.
#[derive(Debug)]
pub struct Leases {
    rules: Rules,
    epoch: u64,
    tasks: BTreeMap<TaskId, Task>,
    held: BTreeMap<LeaseId, Held>,
    submitted: u64,
    given: u64,
    heard: u64,
}

impl Leases {
    /// Nothing to do yet. `epoch` is a number that no earlier process has used; workers count as there for a while, since
    /// those of an earlier process have to come back first.
    pub fn new(rules: Rules, epoch: u64, now: u64) -> Self {
        Self { rules, epoch, tasks: BTreeMap::new(), held: BTreeMap::new(), submitted: 0, given: 0, heard: now }
    }

    /// Adds a task that is built in this image.
    ///
    /// # Errors
    /// [`Full`].
    pub fn submit(&mut self, image: Sha256, turn: Turn, now: u64) -> Result<TaskId, Full> {
        if self.tasks.len() >= self.rules.tasks {
            return Err(Full);
        }
        self.submitted += 1;
        let id = TaskId(self.submitted);
        self.tasks.insert(id, Task { image, turn, since: now, lease: None, losses: 0 });
        Ok(id)
    }

    /// Leases a task to a worker that has these images: the first one of the earliest turn, of these one whose image is there;
    /// but before all of them the first one that has waited for long.
    pub fn take(&mut self, worker: &str, images: &BTreeSet<Sha256>, now: u64) -> Option<(LeaseId, TaskId)> {
        self.heard = now;
        let waiting = self.tasks.iter_mut().filter(|(_, task)| task.lease.is_none());
        let (id, task) = waiting.min_by_key(|(id, task)| {
            let is_late = now.saturating_sub(task.since) >= FAIR_MS;
            let choice = (!is_late).then_some((task.turn, !images.contains(&task.image)));
            // None is less than any choice.
            (choice, **id)
        })?;
        self.given += 1;
        let lease = LeaseId { epoch: self.epoch, number: self.given };
        task.lease = Some(lease);
        let until = now.saturating_add(self.rules.lease_ms);
        self.held.insert(lease, Held { task: *id, worker: worker.to_owned(), begun: now, until });
        Some((lease, *id))
    }

    fn live(&self, lease: LeaseId, worker: &str, now: u64) -> Result<&Held, NoLease> {
        self.held.get(&lease).filter(|held| held.worker == worker && now < held.until).ok_or(NoLease)
    }

    /// Makes a lease last longer, as far as it may.
    ///
    /// # Errors
    /// [`NoLease`].
    pub fn renew(&mut self, lease: LeaseId, worker: &str, now: u64) -> Result<TaskId, NoLease> {
        self.live(lease, worker, now)?;
        self.heard = now;
        let Rules { lease_ms, longest_ms, .. } = self.rules;
        let held = self.held.get_mut(&lease).ok_or(NoLease)?;
        held.until = now.saturating_add(lease_ms).min(held.begun.saturating_add(longest_ms)).max(held.until);
        Ok(held.task)
    }

    /// Whether something may be said or asked under a lease.
    ///
    /// # Errors
    /// [`NoLease`].
    pub fn check(&self, lease: LeaseId, worker: &str, now: u64) -> Result<TaskId, NoLease> {
        self.live(lease, worker, now).map(|held| held.task)
    }

    /// Ends a lease without a result: the task waits again, in its old place.
    ///
    /// # Errors
    /// [`NoLease`].
    pub fn give_back(&mut self, lease: LeaseId, worker: &str, now: u64) -> Result<TaskId, NoLease> {
        let id = self.check(lease, worker, now)?;
        self.held.remove(&lease);
        if let Some(task) = self.tasks.get_mut(&id) {
            task.lease = None;
        }
        Ok(id)
    }

    /// Ends a lease with a result: the task is done.
    ///
    /// # Errors
    /// [`NoLease`]: the result comes too late, somebody else builds it.
    pub fn finish(&mut self, lease: LeaseId, worker: &str, now: u64) -> Result<TaskId, NoLease> {
        let id = self.check(lease, worker, now)?;
        self.heard = now;
        self.held.remove(&lease);
        self.tasks.remove(&id);
        Ok(id)
    }

    /// Removes a task that nobody wants any more, with the lease on it.
    pub fn withdraw(&mut self, id: TaskId) -> Option<LeaseId> {
        let lease = self.tasks.remove(&id)?.lease?;
        self.held.remove(&lease);
        Some(lease)
    }

    /// Ends the leases that have run out: their tasks wait again, or are given up.
    pub fn expire(&mut self, now: u64) -> Vec<Lost> {
        let over: Vec<LeaseId> =
            self.held.iter().filter(|(_, held)| now >= held.until).map(|(lease, _)| *lease).collect();
        let mut all = Vec::new();
        for lease in over {
            let Some(Held { task: id, worker, .. }) = self.held.remove(&lease) else { continue };
            let Some(task) = self.tasks.get_mut(&id) else { continue };
            task.lease = None;
            task.losses += 1;
            let given_up = task.losses >= self.rules.losses;
            if given_up {
                self.tasks.remove(&id);
            }
            all.push(Lost { lease, task: id, worker, given_up });
        }
        all
    }

    /// Whether a task waits, and nobody was heard of for so long.
    pub fn is_forgotten(&self, id: TaskId, patience_ms: u64, now: u64) -> bool {
        let waits = self.tasks.get(&id).filter(|task| task.lease.is_none());
        waits.is_some_and(|task| now.saturating_sub(task.since.max(self.heard)) >= patience_ms)
    }

    /// Whether somebody would take a task.
    pub fn is_attended(&self, now: u64) -> bool {
        now.saturating_sub(self.heard) < self.rules.attended_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RULES: Rules = Rules { lease_ms: 100, longest_ms: 1_000, losses: 3, tasks: 4, attended_ms: 500 };

    fn image(name: &str) -> Sha256 {
        Sha256::of(name.as_bytes())
    }

    fn having(names: &[&str]) -> BTreeSet<Sha256> {
        names.iter().map(|name| image(name)).collect()
    }

    fn leases() -> Leases {
        Leases::new(RULES, 7, 0)
    }

    #[test]
    fn a_lost_workers_task_is_given_out_again_in_its_old_place() {
        let mut leases = leases();
        let none = having(&[]);
        let first = leases.submit(image("a"), Turn::Usual, 0).unwrap();
        let second = leases.submit(image("a"), Turn::Usual, 0).unwrap();
        let (lost, task) = leases.take("w1", &none, 0).unwrap();
        assert_eq!(task, first);
        assert!(leases.expire(99).is_empty());
        assert_eq!(leases.renew(lost, "w1", 50), Ok(first));
        assert!(leases.expire(149).is_empty());
        assert_eq!(leases.expire(150), [Lost { lease: lost, task: first, worker: "w1".to_owned(), given_up: false }]);
        assert_eq!(leases.take("w2", &none, 150).unwrap().1, first);
        assert_eq!(leases.take("w2", &none, 150).unwrap().1, second);
        assert!(leases.take("w2", &none, 150).is_none());
    }

    #[test]
    fn what_is_said_under_a_lease_that_ran_out_does_not_count_even_before_anybody_looks() {
        let mut leases = leases();
        leases.submit(image("a"), Turn::Usual, 0).unwrap();
        let (lease, _) = leases.take("w1", &having(&[]), 0).unwrap();
        assert_eq!(leases.finish(lease, "w2", 10), Err(NoLease), "somebody else's");
        assert_eq!(leases.renew(lease, "w1", 100), Err(NoLease));
        assert_eq!(leases.finish(lease, "w1", 100), Err(NoLease));
        assert!(leases.take("w2", &having(&[]), 100).is_none(), "the lease is still on it");
        leases.expire(100);
        let (other, task) = leases.take("w2", &having(&[]), 100).unwrap();
        assert_eq!(leases.finish(lease, "w1", 101), Err(NoLease));
        assert_eq!(leases.finish(other, "w2", 101), Ok(task));
        assert_eq!(leases.finish(other, "w2", 101), Err(NoLease));
    }

    #[test]
    fn a_task_that_workers_die_of_is_given_up() {
        let mut leases = leases();
        let task = leases.submit(image("a"), Turn::Usual, 0).unwrap();
        for loss in 1..=3u64 {
            leases.take("w", &having(&[]), loss * 100).unwrap();
            let lost = leases.expire(loss * 100 + 100);
            assert_eq!((lost[0].task, lost[0].given_up), (task, loss == 3));
        }
        assert!(leases.take("w", &having(&[]), 1_000).is_none());
        // Whoever gives back has not died of it.
        leases.submit(image("a"), Turn::Usual, 0).unwrap();
        for _ in 0..10 {
            let (lease, task) = leases.take("w", &having(&[]), 1_000).unwrap();
            assert_eq!(leases.give_back(lease, "w", 1_010), Ok(task));
        }
    }

    #[test]
    fn no_lease_is_renewed_for_ever() {
        let mut leases = leases();
        leases.submit(image("a"), Turn::Usual, 0).unwrap();
        let (lease, task) = leases.take("w", &having(&[]), 0).unwrap();
        for now in (50..1_000).step_by(50) {
            assert_eq!(leases.renew(lease, "w", now), Ok(task));
        }
        assert_eq!(leases.renew(lease, "w", 1_000), Err(NoLease));
        assert_eq!(leases.expire(1_000).len(), 1);
    }

    #[test]
    fn replays_go_first_then_tasks_whose_image_is_there_but_nothing_waits_for_ever() {
        let mut leases = leases();
        let first = leases.submit(image("a"), Turn::Usual, 0).unwrap();
        let second = leases.submit(image("b"), Turn::Usual, 10).unwrap();
        let third = leases.submit(image("b"), Turn::Usual, 20).unwrap();
        assert_eq!(leases.take("w", &having(&["b"]), 30).unwrap().1, second);
        assert_eq!(leases.take("w", &having(&["b"]), FAIR_MS).unwrap().1, first);
        assert_eq!(leases.take("w", &having(&["c"]), FAIR_MS).unwrap().1, third);
        for done in [first, second, third] {
            leases.withdraw(done);
        }
        let usual = leases.submit(image("a"), Turn::Usual, FAIR_MS).unwrap();
        let early = leases.submit(image("b"), Turn::Early, FAIR_MS + 1).unwrap();
        assert_eq!(leases.take("w", &having(&["a"]), FAIR_MS + 2).unwrap().1, early);
        leases.submit(image("a"), Turn::Early, FAIR_MS + 3).unwrap();
        assert_eq!(leases.take("w", &having(&["a"]), 2 * FAIR_MS).unwrap().1, usual, "nothing waits for ever");
    }

    #[test]
    fn there_is_an_end_to_waiting_and_to_room() {
        let mut leases = leases();
        assert!(leases.is_attended(499), "those of an earlier process come back");
        assert!(!leases.is_attended(500));
        let task = leases.submit(image("a"), Turn::Usual, 500).unwrap();
        assert!(!leases.is_forgotten(task, 100, 599) && leases.is_forgotten(task, 100, 600));
        let (lease, _) = leases.take("w", &having(&[]), 600).unwrap();
        assert!(leases.is_attended(700) && !leases.is_forgotten(task, 1, 699), "it is being built");
        leases.give_back(lease, "w", 650).unwrap();
        assert!(leases.is_forgotten(task, 100, 700));
        for _ in 1..4 {
            leases.submit(image("a"), Turn::Usual, 700).unwrap();
        }
        assert_eq!(leases.submit(image("a"), Turn::Usual, 700), Err(Full));
        assert_eq!(leases.withdraw(task), None);
        assert!(leases.submit(image("a"), Turn::Usual, 700).is_ok());
    }

    #[test]
    fn a_lease_has_one_name() {
        let lease = LeaseId { epoch: 0xabc, number: 12 };
        assert_eq!(lease.to_string(), "0000000000000abc-12");
        assert_eq!("0000000000000abc-12".parse(), Ok(lease));
        for bad in ["", "-", "abc-12", "0000000000000ABC-12", "0000000000000abc-012", "0000000000000abc-+12", "../x-1"]
        {
            assert_eq!(bad.parse::<LeaseId>(), Err(LeaseIdError), "{bad}");
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Submit(u8),
        Take(u8, u8),
        Renew(usize, u8),
        GiveBack(usize, u8),
        Finish(usize, u8),
        Withdraw(usize),
        Pass(u64),
        Expire,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0u8..3).prop_map(Step::Submit),
            (0u8..3, 0u8..3).prop_map(|(worker, image)| Step::Take(worker, image)),
            (0usize..40, 0u8..3).prop_map(|(lease, worker)| Step::Renew(lease, worker)),
            (0usize..40, 0u8..3).prop_map(|(lease, worker)| Step::GiveBack(lease, worker)),
            (0usize..40, 0u8..3).prop_map(|(lease, worker)| Step::Finish(lease, worker)),
            (0usize..40).prop_map(Step::Withdraw),
            (1u64..80).prop_map(Step::Pass),
            Just(Step::Expire),
        ];
        proptest::collection::vec(step, 0..200)
    }

    /// What became of a task.
    #[derive(Debug, PartialEq)]
    enum Fate {
        Open,
        Done,
        Withdrawn,
        GivenUp,
    }

    proptest! {
        #[test]
        fn no_task_is_lost_or_built_twice_at_once(steps in steps()) {
            let mut leases = leases();
            let mut now = 0u64;
            let mut tasks: BTreeMap<TaskId, Fate> = BTreeMap::new();
            // Every lease ever given: whose, of what, until when; none: it was ended.
            let mut given: Vec<(LeaseId, TaskId, u8, Option<u64>)> = Vec::new();
            for step in steps {
                let about = |at: usize| (!given.is_empty()).then(|| at % given.len());
                match step {
                    Step::Submit(kind) => {
                        let open = tasks.values().filter(|fate| **fate == Fate::Open).count();
                        let submitted = leases.submit(image(&kind.to_string()), Turn::Usual, now);
                        prop_assert_eq!(submitted.is_ok(), open < RULES.tasks);
                        if let Ok(task) = submitted {
                            prop_assert!(tasks.insert(task, Fate::Open).is_none());
                        }
                    }
                    Step::Take(worker, kind) => {
                        let taken = leases.take(&worker.to_string(), &having(&[&kind.to_string()]), now);
                        if let Some((lease, task)) = taken {
                            prop_assert_eq!(&tasks[&task], &Fate::Open);
                            let twice = given.iter().any(|(other, of, _, until)| {
                                *other == lease || (*of == task && until.is_some_and(|until| now < until))
                            });
                            prop_assert!(!twice, "leased twice at once, or a lease given twice");
                            given.push((lease, task, worker, Some(now + RULES.lease_ms)));
                        } else {
                            leases.expire(now).iter().for_each(|lost| {
                                let of = given.iter_mut().find(|known| known.0 == lost.lease).unwrap();
                                of.3 = None;
                                if lost.given_up { tasks.insert(lost.task, Fate::GivenUp); }
                            });
                            // Whatever is open and on no live lease can be had now.
                            let waiting = tasks.iter().filter(|(id, fate)| {
                                **fate == Fate::Open && !given.iter().any(|known| known.1 == **id && known.3.is_some())
                            }).count();
                            let mut had = 0;
                            while let Some((lease, task)) = leases.take("9", &having(&[]), now) {
                                had += 1;
                                prop_assert_eq!(leases.give_back(lease, "9", now), Ok(task));
                                if had >= waiting { break }
                            }
                            prop_assert_eq!(had > 0, waiting > 0, "a task was lost");
                        }
                    }
                    Step::Renew(at, worker) => if let Some(at) = about(at) {
                        let (lease, task, owner, until) = given[at];
                        let live = worker == owner && until.is_some_and(|until| now < until);
                        let renewed = leases.renew(lease, &worker.to_string(), now);
                        prop_assert_eq!(renewed, if live { Ok(task) } else { Err(NoLease) });
                        // The bound on all renewals is another test's.
                        if live { given[at].3 = leases.held.get(&lease).map(|held| held.until); }
                    },
                    Step::GiveBack(at, worker) => if let Some(at) = about(at) {
                        let (lease, task, owner, until) = given[at];
                        let live = worker == owner && until.is_some_and(|until| now < until);
                        let back = leases.give_back(lease, &worker.to_string(), now);
                        prop_assert_eq!(back, if live { Ok(task) } else { Err(NoLease) });
                        if live { given[at].3 = None; }
                    },
                    Step::Finish(at, worker) => if let Some(at) = about(at) {
                        let (lease, task, owner, until) = given[at];
                        let live = worker == owner && until.is_some_and(|until| now < until);
                        let finished = leases.finish(lease, &worker.to_string(), now);
                        prop_assert_eq!(finished, if live { Ok(task) } else { Err(NoLease) });
                        if live {
                            given[at].3 = None;
                            prop_assert_eq!(tasks.insert(task, Fate::Done), Some(Fate::Open), "a second result");
                        }
                    },
                    Step::Withdraw(at) => {
                        let open: Vec<TaskId> =
                            tasks.iter().filter(|(_, fate)| **fate == Fate::Open).map(|(id, _)| *id).collect();
                        if !open.is_empty() {
                            let task = open[at % open.len()];
                            let lease = leases.withdraw(task);
                            let on_it = given.iter_mut().find(|known| known.1 == task && known.3.is_some());
                            prop_assert_eq!(lease, on_it.as_ref().map(|known| known.0));
                            if let Some(known) = on_it { known.3 = None; }
                            tasks.insert(task, Fate::Withdrawn);
                        }
                    }
                    Step::Pass(ms) => now += ms,
                    Step::Expire => for lost in leases.expire(now) {
                        let of = given.iter_mut().find(|known| known.0 == lost.lease).unwrap();
                        prop_assert!(of.3.is_some_and(|until| now >= until) && of.1 == lost.task);
                        of.3 = None;
                        if lost.given_up { tasks.insert(lost.task, Fate::GivenUp); }
                    },
                }
                // Both sides know of each other.
                for (lease, held) in &leases.held {
                    prop_assert_eq!(leases.tasks[&held.task].lease, Some(*lease));
                }
                let open: Vec<TaskId> =
                    tasks.iter().filter(|(_, fate)| **fate == Fate::Open).map(|(id, _)| *id).collect();
                prop_assert_eq!(leases.tasks.keys().copied().collect::<Vec<_>>(), open);
                prop_assert_eq!(leases.tasks.values().filter(|task| task.lease.is_some()).count(), leases.held.len());
            }
        }
    }
}
