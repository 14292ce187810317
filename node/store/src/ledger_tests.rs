use std::fs;
use std::process::{Command, Stdio};

use rusqlite::TransactionBehavior;

use super::*;
use crate::database::open_writer;

fn digest(label: &str, n: u64) -> Sha256 {
    Sha256::of(format!("{label} {n}").as_bytes())
}

/// The `n`th block (from 0) of a test ledger whose blocks hold one entry of `bytes` bytes, two leaves, two nodes.
fn block_of(n: u64, bytes: usize) -> BlockRecord {
    let entry = format!("entry {n}").into_bytes().into_iter().cycle().take(bytes.max(8)).collect::<Vec<u8>>();
    BlockRecord {
        block_bytes: format!("block {n}").into_bytes(),
        block_hash: digest("block", n),
        height: n,
        session: 1,
        batch_index: n,
        batch_digest: digest("batch", n),
        entries: vec![entry.clone()],
        leaves: vec![
            LeafRecord { index: 2 * n, bytes: entry, entry_digest: Some(digest("entry", n)) },
            LeafRecord { index: 2 * n + 1, bytes: b"verdict".to_vec(), entry_digest: None },
        ],
        nodes: vec![(0, 2 * n, digest("node", 2 * n)), (0, 2 * n + 1, digest("node", 2 * n + 1))],
        frontier_bytes: format!("frontier {n}").into_bytes(),
    }
}

fn block(n: u64) -> BlockRecord {
    block_of(n, 8)
}

fn store() -> (tempfile::TempDir, LedgerStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = LedgerStore::open(dir.path()).unwrap();
    (dir, store)
}

#[test]
fn blocks_come_back_as_they_went_in() {
    let (dir, store) = store();
    assert_eq!(store.head().unwrap(), None);
    assert_eq!(store.cursor().unwrap(), None);
    for n in 0..5 {
        assert_eq!(store.append_block(block(n)).unwrap(), Appended::Stored);
    }
    drop(store);
    let store = LedgerStore::open(dir.path()).unwrap();
    let head = store.head().unwrap().unwrap();
    assert_eq!((head.height, head.log_size, head.session, head.batch_index), (4, 10, 1, 4));
    assert_eq!((head.block_hash, head.frontier_bytes.as_slice()), (digest("block", 4), &b"frontier 4"[..]));
    let blocks = store.blocks(1, 2).unwrap();
    assert_eq!(blocks.iter().map(|b| (b.height, b.log_size)).collect::<Vec<_>>(), [(1, 4), (2, 6)]);
    assert_eq!(blocks[0].entries, block(1).entries);
    assert_eq!(blocks[0].block_bytes, b"block 1");
    assert_eq!(store.leaves(3, 4).unwrap().iter().map(|l| l.index).collect::<Vec<_>>(), [3, 4, 5, 6]);
    assert_eq!(store.leaf(4).unwrap().as_ref(), Some(&block(2).leaves[0]));
    assert_eq!(store.leaf(10).unwrap(), None);
    assert_eq!(store.leaf_of_entry(&digest("entry", 3)).unwrap(), Some(6));
    assert_eq!(store.leaf_of_entry(&digest("entry", 9)).unwrap(), None);
    assert_eq!(store.node(0, 7).unwrap(), Some(digest("node", 7)));
    assert_eq!(store.node(1, 0).unwrap(), None);
    assert_eq!(store.nodes(0, 8, 256).unwrap(), [digest("node", 8), digest("node", 9)]);
    assert!(matches!(store.nodes(0, 10, 256).as_deref(), Ok([])));
    assert_eq!(store.block_covering(5).unwrap().unwrap().height, 2);
    assert_eq!(store.block_covering(6).unwrap().unwrap().height, 2);
    assert_eq!(store.block_covering(11).unwrap(), None);
    assert_eq!(store.batch(1, 2).unwrap(), Some(digest("batch", 2)));
    assert_eq!(store.batch(2, 0).unwrap(), None);
}

#[test]
fn a_batch_is_stored_once_and_never_changed() {
    let (_dir, store) = store();
    store.append_block(block(0)).unwrap();
    assert_eq!(store.append_block(block(0)).unwrap(), Appended::AlreadyStored);
    assert_eq!(store.append_empty_batch(1, 1, digest("batch", 1)).unwrap(), Appended::Stored);
    assert_eq!(store.append_empty_batch(1, 1, digest("batch", 1)).unwrap(), Appended::AlreadyStored);
    let other = store.append_empty_batch(1, 1, digest("other", 1)).unwrap_err();
    assert!(matches!(other, StoreError::Conflict { what } if what == "batch 1 of session 1"));
    let other = BlockRecord { batch_digest: digest("other", 0), ..block(0) };
    assert!(matches!(store.append_block(other), Err(StoreError::Conflict { .. })));
    assert_eq!(store.cursor().unwrap(), Some((1, 1)));
    // An earlier number that was never stored is no batch of this history either.
    assert!(matches!(
        store.append_empty_batch(0, 9, digest("batch", 9)),
        Err(StoreError::OutOfOrder { what: "batch", .. })
    ));
    assert_eq!(store.append_empty_batch(2, 0, digest("batch", 2)).unwrap(), Appended::Stored);
    assert_eq!(store.cursor().unwrap(), Some((2, 0)));
    assert_eq!(store.head().unwrap().unwrap().height, 0);
}

#[test]
fn what_does_not_follow_is_refused_and_leaves_nothing() {
    let (_dir, store) = store();
    let first = BlockRecord { height: 2, ..block(0) };
    assert!(matches!(store.append_block(first), Err(StoreError::OutOfOrder { what: "block height", .. })));
    store.append_block(block(0)).unwrap();
    let before = (store.head().unwrap(), store.cursor().unwrap());

    let mut gap = block(1);
    gap.leaves[1].index = 4;
    let mut same_entry = block(1);
    same_entry.leaves[0].entry_digest = Some(digest("entry", 0));
    let mut twice = block(1);
    twice.leaves[1].entry_digest = twice.leaves[0].entry_digest;
    let mut same_node = block(1);
    same_node.nodes[1].1 = 0;
    let same_hash = BlockRecord { block_hash: digest("block", 0), ..block(1) };
    let refused = [block(2), BlockRecord { height: 0, ..block(1) }, gap, same_entry, twice, same_node, same_hash];
    for (n, record) in refused.into_iter().enumerate() {
        store.append_block(record).unwrap_err();
        assert_eq!((store.head().unwrap(), store.cursor().unwrap()), before, "case {n}");
        assert_eq!(store.batch(1, 1).unwrap(), None, "case {n}");
        assert_eq!(store.leaves(0, 100).unwrap().len(), 2, "case {n}");
        assert_eq!(store.nodes(0, 0, 100).unwrap().len(), 2, "case {n}");
    }
    store.append_block(block(1)).unwrap();
}

#[test]
fn the_first_signature_and_the_first_secret_stay() {
    let (dir, store) = store();
    assert_eq!(store.put_cosignature(4, [1; 32], b"first".to_vec()).unwrap(), b"first");
    assert_eq!(store.put_cosignature(4, [1; 32], b"second".to_vec()).unwrap(), b"first");
    assert_eq!(store.put_cosignature(4, [0; 32], b"other key".to_vec()).unwrap(), b"other key");
    assert_eq!(store.put_private(b"round", b"result".to_vec()).unwrap(), b"result");
    assert_eq!(store.put_private(b"round", b"another".to_vec()).unwrap(), b"result");
    drop(store);
    let store = LedgerStore::open(dir.path()).unwrap();
    assert_eq!(store.cosignatures(4).unwrap(), [([0; 32], b"other key".to_vec()), ([1; 32], b"first".to_vec())]);
    assert_eq!(store.cosignatures(5).unwrap(), []);
    assert_eq!(store.get_private(b"round").unwrap().as_deref(), Some(&b"result"[..]));
    store.delete_private(b"round").unwrap();
    assert_eq!(store.get_private(b"round").unwrap(), None);
}

#[test]
fn certificates_are_found_by_size() {
    let (_dir, store) = store();
    assert_eq!(store.latest_certificate().unwrap(), None);
    for size in [4, 9] {
        store.put_certificate(size, vec![size as u8]).unwrap();
    }
    store.put_certificate(4, b"more signatures".to_vec()).unwrap();
    assert_eq!(store.certificate(4).unwrap().as_deref(), Some(&b"more signatures"[..]));
    assert_eq!(store.certificate(5).unwrap(), None);
    assert_eq!(store.certificate_at_or_after(5).unwrap(), Some((9, vec![9])));
    assert_eq!(store.certificate_at_or_after(10).unwrap(), None);
    assert_eq!(store.latest_certificate().unwrap(), Some((9, vec![9])));
}

#[test]
fn pending_entries_leave_with_their_block() {
    let (_dir, store) = store();
    for n in [1, 0, 2] {
        store.put_pending(digest("entry", n), vec![n as u8]).unwrap();
        store.put_pending(digest("entry", n), vec![n as u8]).unwrap();
    }
    store.append_block(block(0)).unwrap();
    let pending = |store: &LedgerStore| -> Vec<u8> {
        store.pending_entries().unwrap().into_iter().map(|(_, bytes)| bytes[0]).collect()
    };
    assert_eq!(pending(&store), [1, 2], "oldest first, without the one in the block");
    store.put_pending(digest("entry", 0), vec![0]).unwrap();
    assert_eq!(pending(&store), [1, 2], "what is in the log is not pending");
    store.delete_pending(digest("entry", 1)).unwrap();
    assert_eq!(pending(&store), [2]);
}

#[test]
fn named_values_and_numbers_at_the_edge() {
    let (_dir, store) = store();
    assert_eq!(store.get_meta("network").unwrap(), None);
    store.put_meta("network", vec![1]).unwrap();
    store.put_meta("network", vec![2]).unwrap();
    assert_eq!(store.get_meta("network").unwrap(), Some(vec![2]));
    assert!(matches!(store.put_certificate(u64::MAX, vec![]), Err(StoreError::OutOfRange(u64::MAX))));
    assert_eq!(store.leaves(u64::MAX, usize::MAX).unwrap(), []);
    assert_eq!(store.blocks(u64::MAX, usize::MAX).unwrap(), []);
    assert_eq!(store.certificate_at_or_after(u64::MAX).unwrap(), None);
}

#[tokio::test]
async fn asynchronous_callers_and_many_threads() {
    let (_dir, store) = store();
    store.run(|s| s.append_block(block(0))).await.unwrap();
    let readers: Vec<_> = (0..32)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.run(|s| s.leaves(0, 10)).await })
        })
        .collect();
    for n in 1..20 {
        store.run(move |s| s.append_block(block(n))).await.unwrap();
    }
    for reader in readers {
        let leaves = reader.await.unwrap().unwrap();
        assert!(leaves.len() >= 2 && leaves.len() % 2 == 0, "half a block was visible: {}", leaves.len());
    }
    assert_eq!(store.head().unwrap().unwrap().height, 19);
}

#[test]
fn a_panic_in_a_transaction_rolls_it_back_and_the_store_lives_on() {
    let (_dir, store) = store();
    let died = store.db.write(|db| -> Result<(), Fault> {
        append::append_block(db, &block(0))?;
        panic!("expected in this test")
    });
    assert!(matches!(died, Err(StoreError::Stopped)));
    assert_eq!(store.head().unwrap(), None);
    store.append_block(block(0)).unwrap();
}

#[test]
fn a_transaction_that_is_dropped_leaves_nothing() {
    let (dir, store) = store();
    store.append_block(block(0)).unwrap();
    // A second connection, as another process would have it.
    let mut connection = open_writer(store.path(), &LEDGER).map_err(|f| f.at(store.path())).unwrap();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    append::append_block(&transaction, &block(1)).map_err(|f| f.at(store.path())).unwrap();
    assert_eq!(store.head().unwrap().unwrap().height, 0, "readers see committed blocks only");
    drop(transaction);
    drop((connection, store));
    let store = LedgerStore::open(dir.path()).unwrap();
    assert_eq!(store.head().unwrap().unwrap().height, 0);
    assert_eq!(store.batch(1, 1).unwrap(), None);
    store.append_block(block(1)).unwrap();
}

/// Entry size that makes SQLite spill half of the transaction into the write-ahead log before the commit.
const LARGE: usize = 8 << 20;

/// Child of the next test.
#[test]
#[ignore = "run by a_process_that_dies_leaves_whole_blocks_only"]
fn child_that_dies() {
    let Some(dir) = std::env::var_os("STORE_TEST_DIR") else {
        return;
    };
    let store = LedgerStore::open(&dir).unwrap();
    store.append_block(block(0)).unwrap();
    if std::env::var_os("STORE_TEST_IN_TRANSACTION").is_some() {
        let _ = store.db.write(|db| -> Result<(), Fault> {
            db.pragma_update(None, "cache_size", 10)?;
            append::append_block(db, &block_of(1, LARGE))?;
            std::process::abort()
        });
    }
    store.append_block(block_of(1, LARGE)).unwrap();
    std::process::abort();
}

#[test]
fn a_process_that_dies_leaves_whole_blocks_only() {
    for in_transaction in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "ledger::tests::child_that_dies", "--ignored"]).env("STORE_TEST_DIR", dir.path());
        if in_transaction {
            child.env("STORE_TEST_IN_TRANSACTION", "1");
        }
        let status = child.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        assert!(!status.success());
        let log = fs::metadata(dir.path().join("ledger.db-wal")).unwrap().len();
        assert!(log > LARGE as u64, "the child must have died with the block in the log: {log} bytes");

        let store = LedgerStore::open(dir.path()).unwrap();
        let (height, leaves) = if in_transaction { (0, 2) } else { (1, 4) };
        let head = store.head().unwrap().unwrap();
        assert_eq!((head.height, head.log_size), (height, leaves));
        assert_eq!(store.cursor().unwrap(), Some((1, height)));
        assert_eq!(store.leaves(0, 100).unwrap().len() as u64, leaves);
        assert_eq!(store.nodes(0, 0, 100).unwrap().len() as u64, leaves);
        assert_eq!(store.blocks(0, 100).unwrap().iter().map(|b| b.entries.len()).sum::<usize>() as u64, height + 1);
        let again = store.append_block(block_of(1, LARGE)).unwrap();
        assert_eq!(again, if in_transaction { Appended::Stored } else { Appended::AlreadyStored });
    }
}

#[test]
fn what_is_not_ours_is_refused_and_left_alone() {
    let check = |make: &dyn Fn(&Path), expected: fn(&StoreError) -> bool| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.db");
        make(&path);
        let before = fs::read(&path).unwrap();
        let error = LedgerStore::open(dir.path()).err().unwrap();
        assert!(expected(&error), "{error}");
        assert!(error.to_string().contains("ledger.db"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), before);
    };
    let sql = |path: &Path, sql: &str| rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();

    check(&|p| fs::write(p, b"this is a text, and by no means a database".repeat(100)).unwrap(), |e| {
        matches!(e, StoreError::Corrupt { .. })
    });
    check(&|p| sql(p, "PRAGMA application_id = 7; CREATE TABLE theirs (x);"), |e| {
        matches!(e, StoreError::Foreign { found: 7, .. })
    });
    check(&|p| sql(p, "CREATE TABLE theirs (x);"), |e| matches!(e, StoreError::Foreign { found: 0, .. }));
    check(
        &|p| {
            drop(LedgerStore::open(p.parent().unwrap()).unwrap());
            sql(p, "PRAGMA user_version = 99;");
        },
        |e| matches!(e, StoreError::TooNew { found: 99, known: 2, .. }),
    );
    check(
        &|p| {
            let store = LedgerStore::open(p.parent().unwrap()).unwrap();
            (0..200).for_each(|n| assert!(store.append_block(block_of(n, 2000)).is_ok()));
            drop(store);
            // Pages of tables overwritten in the middle of the file.
            let mut bytes = fs::read(p).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle..middle + 20_000].fill(0xa5);
            fs::write(p, bytes).unwrap();
        },
        |e| matches!(e, StoreError::Corrupt { .. }),
    );
}

#[test]
fn settings_that_durability_rests_on() {
    let (_dir, store) = store();
    let (mode, synchronous, version) = store
        .db
        .write(|db| {
            let mode: String = db.query_row("PRAGMA journal_mode", [], |r| r.get(0))?;
            let synchronous: i64 = db.query_row("PRAGMA synchronous", [], |r| r.get(0))?;
            let version: i64 = db.query_row("PRAGMA user_version", [], |r| r.get(0))?;
            Ok((mode, synchronous, version))
        })
        .unwrap();
    assert_eq!((mode.as_str(), synchronous, version), ("wal", 2, 2));
    // The pool cannot write.
    let written = store.db.read(|db| Ok(db.execute("DELETE FROM meta", [])?));
    assert!(matches!(written, Err(StoreError::Sqlite { .. })));
}

#[test]
fn a_ledger_of_the_first_schema_goes_on_with_its_blocks() {
    let (dir, store) = store();
    store.append_block(block(0)).unwrap();
    drop(store);
    let sql = "DROP TABLE block_certificates; DROP INDEX blocks_by_batch; PRAGMA user_version = 1;";
    rusqlite::Connection::open(dir.path().join("ledger.db")).unwrap().execute_batch(sql).unwrap();
    let store = LedgerStore::open(dir.path()).unwrap();
    assert_eq!(store.append_block(block(0)).unwrap(), Appended::AlreadyStored);
    store.append_block(block(1)).unwrap();
    store.put_certificates(1, vec![1], Some(vec![2])).unwrap();
    assert_eq!(store.block_certificate_at_or_after(0).unwrap(), Some((1, vec![2])));
}

#[test]
fn blocks_are_found_by_their_batch_and_certificates_by_their_size() {
    let (_dir, store) = store();
    let blocks: Vec<_> = (0..3).map(block).collect();
    for record in &blocks {
        store.append_block(record.clone()).unwrap();
    }
    for record in &blocks {
        let found = store.block_of_batch(record.session, record.batch_index).unwrap().unwrap();
        assert_eq!((found.height, found.entries), (record.height, record.entries.clone()));
    }
    let (first, second, last) = (&blocks[0], &blocks[1], &blocks[2]);
    assert_eq!(store.block_of_batch(last.session, last.batch_index + 1).unwrap(), None);
    let next = store.batch_after(first.session, first.batch_index).unwrap();
    assert_eq!(next, Some((second.session, second.batch_index, second.batch_digest)));
    assert_eq!(store.batch_after(last.session, last.batch_index).unwrap(), None);
    assert_eq!(store.batch_after(u64::MAX, u64::MAX).unwrap(), None);
    let headers = store.block_headers(first.height, 2).unwrap();
    assert_eq!(
        headers.into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>(),
        [first.block_bytes.clone(), second.block_bytes.clone()]
    );

    store.put_certificates(5, vec![5], Some(vec![50])).unwrap();
    store.put_certificates(7, vec![7], None).unwrap();
    assert_eq!(store.certificate(7).unwrap(), Some(vec![7]));
    assert_eq!(store.block_certificate_at_or_before(7).unwrap(), Some((5, vec![50])));
    assert_eq!(store.block_certificate_at_or_before(4).unwrap(), None);
    assert_eq!(store.block_certificate_at_or_after(6).unwrap(), None);
}
