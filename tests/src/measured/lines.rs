//! What each line of the benchmarks says.

use super::{Line, Target};

/// What repositories are compared against.
const NGINX: &str = "nginx with sendfile and open_file_cache serving the same files, the better of one and two workers";

/// What whole builds are compared against.
const CENTRAL: &str = "the same Maven asking Maven Central itself, in turns";

/// Everything that a benchmark measures, in the table's order.
pub const LINES: [Line; 52] = [
    Line {
        id: "finality-authority",
        unit: "ms",
        meaning: "From sending an entry (the approval of an image, over the HTTP API) to one of four authorities, until \
                  that authority shows a checkpoint with the entry in it, cosigned by three of them.",
        peer: None,
        target: Target::Below(500.0),
    },
    Line {
        id: "finality-plain",
        unit: "ms",
        meaning: "The same, until the plain node shows such a checkpoint.",
        peer: None,
        target: Target::Below(500.0),
    },
    Line {
        id: "idle-messages",
        unit: "segments",
        meaning: "TCP segments with data that four authorities and a plain node send while nothing happens for 60 s, all \
                  together, as the kernel counts them for each socket (`ss -ti`). A message is one segment or more. The \
                  target is what a ping a minute takes on every connection, with room for the multiplexer.",
        peer: None,
        target: Target::AtMost(300.0),
    },
    Line { id: "idle-bytes", unit: "bytes", meaning: "Bytes in these segments.", peer: None, target: Target::None },
    Line {
        id: "idle-cpu",
        unit: "ms",
        meaning: "Processor time of the five processes in the same 60 s, all together (the kernel counts in steps of \
                  10 ms). The target is 0.2 % of a core for each.",
        peer: None,
        target: Target::AtMost(600.0),
    },
    Line {
        id: "idle-entries",
        unit: "leaves",
        meaning: "Leaves that the log has more after these 60 s.",
        peer: None,
        target: Target::AtMost(0.0),
    },
    Line {
        id: "verify-node",
        unit: "ms",
        meaning: "`pyrsia-maven verify` of one JAR at a running node, as a whole process from its start to its end.",
        peer: Some("`pyrsia-maven --version`: a process of the same program that does nothing"),
        target: Target::Below(50.0),
    },
    Line {
        id: "verify-receipt",
        unit: "ms",
        meaning: "`pyrsia-maven verify --receipt` of the same JAR without any node, as a whole process.",
        peer: Some("`pyrsia-maven --version`"),
        target: Target::Below(20.0),
    },
    Line {
        id: "blob",
        unit: "MiB/s",
        meaning: "A published JAR of 256 MiB that the plain node does not have, asked for by a client: until its answer \
                  begins. By then the node has got it from an authority, checked its SHA-256, written it to disk with \
                  fsync and made it visible. (The other checksums are computed when a client asks for them, or a moment \
                  later.)",
        peer: Some(
            "a raw libp2p stream: two processes, same library versions, TCP, noise and yamux over loopback; zeros from \
             memory to nowhere, neither hashed nor written",
        ),
        target: Target::PeerTimesAtLeast(0.8),
    },
    Line {
        id: "blob-kept",
        unit: "MiB/s",
        meaning: "The same as `blob`, compared against a peer that does the work which the node cannot leave out.",
        peer: Some(
            "the raw stream, sent from a file; the receiver computes SHA-256, writes the bytes to a file and ends with \
             fsync",
        ),
        target: Target::None,
    },
    Line {
        id: "warm-2k",
        unit: "ms",
        meaning: "GET of a file of 2 KiB that the node has, four connections at a time; one request.",
        peer: None,
        target: Target::None,
    },
    Line { id: "warm-1m", unit: "ms", meaning: "The same for 1 MiB.", peer: None, target: Target::None },
    Line {
        id: "repository-2k",
        unit: "requests/s",
        meaning: "GET of a POM of 2 KiB, 32 connections at a time (`wrk -t1 -c32`); the answer carries \
                  all checksum headers.",
        peer: Some(NGINX),
        target: Target::PeerTimesAtLeast(0.9),
    },
    Line {
        id: "repository-2k-p99",
        unit: "ms",
        meaning: "The 99th percentile of these requests' times.",
        peer: Some(NGINX),
        target: Target::PeerTimesAtMost(3.0),
    },
    Line {
        id: "repository-sha1",
        unit: "requests/s",
        meaning: "The same for its `.sha1`, 40 bytes.",
        peer: Some(NGINX),
        target: Target::PeerTimesAtLeast(0.9),
    },
    Line {
        id: "repository-sha1-p99",
        unit: "ms",
        meaning: "The 99th percentile of these requests' times.",
        peer: Some(NGINX),
        target: Target::PeerTimesAtMost(3.0),
    },
    Line {
        id: "repository-404",
        unit: "requests/s",
        meaning: "The same for a file that does not exist.",
        peer: Some(NGINX),
        target: Target::PeerTimesAtLeast(0.9),
    },
    Line {
        id: "repository-404-p99",
        unit: "ms",
        meaning: "The 99th percentile of these requests' times.",
        peer: Some(NGINX),
        target: Target::PeerTimesAtMost(3.0),
    },
    Line {
        id: "repository-head",
        unit: "requests/s",
        meaning: "HEAD of a JAR of 1 MiB (`ab -i -k -c 32`, which counts times in whole ms).",
        peer: Some(NGINX),
        target: Target::PeerTimesAtLeast(0.9),
    },
    Line {
        id: "repository-head-p99",
        unit: "ms",
        meaning: "The 99th percentile of these requests' times.",
        peer: Some(NGINX),
        target: Target::PeerTimesAtMost(3.0),
    },
    Line {
        id: "repository-1m",
        unit: "requests/s",
        meaning: "GET of that JAR.",
        peer: Some(NGINX),
        target: Target::PeerTimesAtLeast(0.9),
    },
    Line {
        id: "repository-1m-p99",
        unit: "ms",
        meaning: "The 99th percentile of these requests' times.",
        peer: Some(NGINX),
        target: Target::PeerTimesAtMost(3.0),
    },
    Line {
        id: "repository-50m",
        unit: "requests/s",
        meaning: "GET of a JAR of 50 MiB.",
        peer: Some(NGINX),
        target: Target::PeerTimesAtLeast(1.0),
    },
    Line {
        id: "repository-50m-p99",
        unit: "ms",
        meaning: "The 99th percentile of these requests' times.",
        peer: Some(NGINX),
        target: Target::PeerTimesAtMost(3.0),
    },
    Line {
        id: "repository-mix",
        unit: "requests/s",
        meaning: "GET of the files of /usr/share/maven-repo (up to 200 MiB), one after the other.",
        peer: Some(NGINX),
        target: Target::PeerTimesAtLeast(0.9),
    },
    Line {
        id: "repository-mix-p99",
        unit: "ms",
        meaning: "The 99th percentile of these requests' times.",
        peer: Some(NGINX),
        target: Target::PeerTimesAtMost(3.0),
    },
    Line {
        id: "repository-random",
        unit: "requests/s",
        meaning: "GET of 10,000 files of 4 KiB, picked at random out of 200,000, each about once a second, by a node that \
                  has just been started: none of them is in its memory at first.",
        peer: Some(NGINX),
        target: Target::PeerTimesAtLeast(0.8),
    },
    Line {
        id: "repository-random-p99",
        unit: "ms",
        meaning: "The 99th percentile of these requests' times.",
        peer: Some(NGINX),
        target: Target::PeerTimesAtMost(3.0),
    },
    Line {
        id: "repository-idle-memory",
        unit: "MiB",
        meaning: "Resident memory of a node that has just been started and has no files.",
        peer: None,
        target: Target::Below(60.0),
    },
    Line {
        id: "repository-memory",
        unit: "MiB",
        meaning: "Resident memory of that node after all of the above.",
        peer: None,
        target: Target::Below(150.0),
    },
    Line {
        id: "index-open",
        unit: "ms",
        meaning: "From starting `pyrsia-maven node` on a data directory whose index knows one million releases (another number: \
                  `PYRSIA_INDEX_RELEASES`) until it serves.",
        peer: None,
        target: Target::Below(1000.0),
    },
    Line {
        id: "index-lookup-p99",
        unit: "ms",
        meaning: "Looking a path up in that index, in no order of the paths: the 99th percentile of each of five times 20,000.",
        peer: None,
        target: Target::Below(1.0),
    },
    Line {
        id: "index-search-name",
        unit: "ms",
        meaning: "A search of that node over HTTP (`/solrsearch/select`, 20 rows): a group and an artifact.",
        peer: None,
        target: Target::Below(50.0),
    },
    Line {
        id: "index-search-word",
        unit: "ms",
        meaning: "The same for a word that few artifacts have.",
        peer: None,
        target: Target::Below(50.0),
    },
    Line {
        id: "index-search-common",
        unit: "ms",
        meaning: "The same for a word that every artifact has.",
        peer: None,
        target: Target::Below(50.0),
    },
    Line {
        id: "index-search-words",
        unit: "ms",
        meaning: "The same for three words, each of which many artifacts have.",
        peer: None,
        target: Target::Below(50.0),
    },
    Line {
        id: "index-search-letter",
        unit: "ms",
        meaning: "The same for a single letter, with which a word of every artifact begins.",
        peer: None,
        target: Target::Below(50.0),
    },
    Line {
        id: "index-search-none",
        unit: "ms",
        meaning: "The same for a group that does not exist and a word that every artifact has: nothing is found.",
        peer: None,
        target: Target::Below(50.0),
    },
    Line {
        id: "index-search-sha1",
        unit: "ms",
        meaning: "The same for the SHA-1 of a file.",
        peer: None,
        target: Target::Below(50.0),
    },
    Line {
        id: "cold-archiver",
        unit: "s",
        meaning: "`mvn compile` of maven-archiver 3.6.1 (its source release) with an empty local repository, through a node without a file.",
        peer: Some(CENTRAL),
        target: Target::PeerTimesAtMost(0.8),
    },
    Line {
        id: "cold-filtering",
        unit: "s",
        meaning: "The same of maven-filtering 3.3.1.",
        peer: Some(CENTRAL),
        target: Target::PeerTimesAtMost(0.8),
    },
    Line {
        id: "cold-shared-utils",
        unit: "s",
        meaning: "The same of maven-shared-utils 3.4.2.",
        peer: Some(CENTRAL),
        target: Target::PeerTimesAtMost(0.8),
    },
    Line {
        id: "cold-far",
        unit: "s",
        meaning: "The last of these with an upstream whose every answer takes 40 ms longer.",
        peer: Some("the same Maven asking that upstream itself"),
        target: Target::PeerTimesAtMost(0.8),
    },
    Line {
        id: "warm-build",
        unit: "s",
        meaning: "The same build through a node that has every file.",
        peer: Some("nginx serving the files that this node has exported"),
        target: Target::PeerTimesAtMost(1.05),
    },
    Line {
        id: "crowd-requests",
        unit: "requests",
        meaning: "What upstream is asked while 1,000 clients ask a node for the same file of 50 MiB that it does not have.",
        peer: None,
        target: Target::AtMost(1.0),
    },
    Line {
        id: "crowd-memory",
        unit: "MiB",
        meaning: "What the node's resident memory grows by at most while these get the file.",
        peer: None,
        target: Target::None,
    },
    Line {
        id: "crowd-time",
        unit: "s",
        meaning: "Until the last of them has all of it. Upstream begins to answer after 3 s.",
        peer: None,
        target: Target::None,
    },
    Line {
        id: "soak-growth",
        unit: "MiB",
        meaning: "What the resident memory of a node grows by under a mixed load (POMs, JARs, checksums, metadata, ranges, HEAD, \
                  absent files, files that it does not have yet) from the end of the first third to the end. Three minutes, \
                  unless `PYRSIA_SOAK_MINUTES` says otherwise.",
        peer: None,
        target: Target::AtMost(5.0),
    },
    Line {
        id: "soak-memory",
        unit: "MiB",
        meaning: "Resident memory at the end.",
        peer: None,
        target: Target::Below(150.0),
    },
    Line {
        id: "build",
        unit: "s",
        meaning: "`pyrsia-maven build --wait` of `greeting-lib` on a network of one, caches empty.",
        peer: None,
        target: Target::None,
    },
    Line {
        id: "rebuild",
        unit: "s",
        meaning: "`pyrsia-maven rebuild` of `greeting-lib` with a cache of its inputs: clone, record, replay.",
        peer: None,
        target: Target::None,
    },
    Line {
        id: "replay",
        unit: "s",
        meaning: "The replay in that rebuild, as the program times it: inputs are hashed, a container without network \
                  builds from the record alone, its outputs are collected and hashed.",
        peer: Some(
            "a container started by hand over the engine's interface: same image, command, limits, mounts and tool, the \
             recorded files served over the same kind of socket by a server that checks nothing; until its outputs are in \
             a file and it is removed",
        ),
        target: Target::PeerTimesAtMost(1.1),
    },
];
