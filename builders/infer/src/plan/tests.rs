use jar_compare::{Limits, Listing};
use proptest::prelude::*;

use super::*;
use crate::reference::tests::jar;

fn tools() -> Tools {
    Tools {
        jdks: [8, 11, 17, 21].into(),
        mavens: ["3.6.3", "3.8.8", "3.9.9", "3.9.11", "3.9.16"].map(str::to_owned).into(),
        default_maven: "3.9.11".to_owned(),
        default_jdk: 17,
    }
}

fn plan(wishes: Wishes) -> Plan {
    Plan::new(wishes, tools(), |_| Ok(()))
}

fn failed(plan: &mut Plan, log: &[&str]) -> Option<Candidate> {
    let log: Vec<String> = log.iter().map(|line| (*line).to_owned()).collect();
    plan.next(&Outcome::Failed { log: &log })
}

fn read(manifest: &str, mode: u32, hour: u8, class: u8) -> Reference {
    let bytes = jar(&[
        ("META-INF/MANIFEST.MF", 0o644, (2021, hour), manifest.as_bytes()),
        ("A.class", mode, (2021, hour), &[0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, class]),
    ]);
    Reference::read(&Listing::open(&bytes, &Limits::default()).unwrap())
}

#[test]
fn without_hints_the_first_is_the_default_and_everything_else_comes_later() {
    let mut plan = plan(Wishes::default());
    let first = plan.first().unwrap();
    assert_eq!(first.specification, Specification::default_maven("3.9.11"));
    assert!(plan.candidates().any(|candidate| candidate.specification.jdk == 8));
    let mut seen = 1;
    while failed(&mut plan, &["[ERROR] nobody knows"]).is_some() {
        seen += 1;
    }
    // The default, three other JDKs, four other Mavens.
    assert_eq!(seen, 8);
}

#[test]
fn what_is_not_there_is_skipped_by_name_and_the_nearest_taken() {
    let wishes = Wishes {
        jdks: vec![9, 25],
        mavens: vec!["3.9.6".to_owned(), "3.5.4".to_owned(), "4.0.0".to_owned()],
        ..Wishes::default()
    };
    let mut plan = plan(wishes);
    let first = plan.first().unwrap().specification;
    assert_eq!((first.jdk, first.tool.to_string()), (11, "maven-3.9.9".to_owned()));
    let told = plan.skipped().join("\n");
    for name in ["JDK 9:", "JDK 25:", "Maven 3.9.6", "Maven 3.5.4", "Maven 4.0.0"] {
        assert!(told.contains(name), "{name} in {told}");
    }
}

#[test]
fn what_the_builder_cannot_do_is_given_up_and_told() {
    let wishes = Wishes { newline: Newline::Crlf, user_name: Some("jane".to_owned()), ..Wishes::default() };
    let mut plan = Plan::new(wishes, tools(), |spec| match spec.newline {
        Newline::Crlf => Err("no crlf yet".to_owned()),
        Newline::Lf => Ok(()),
    });
    let first = plan.first().unwrap();
    assert_eq!((first.specification.newline, first.specification.user_name.as_deref()), (Newline::Lf, Some("jane")));
    assert_eq!(plan.skipped(), ["newline: no crlf yet"]);
    assert!(first.why.iter().any(|why| why.contains("no crlf yet")), "{:?}", first.why);
    let mut nothing = Plan::new(Wishes::default(), tools(), |_| Err("no engine".to_owned()));
    assert_eq!(nothing.first(), None);
    assert!(nothing.skipped()[0].contains("no engine"));
    let none = Tools { jdks: BTreeSet::new(), ..tools() };
    assert_eq!(Plan::new(Wishes::default(), none, |_| Ok(())).first(), None);
}

#[test]
fn each_failure_changes_what_it_names() {
    let mut plan = plan(Wishes::default());
    plan.first().unwrap();
    let older = failed(&mut plan, &["[ERROR] Source option 6 is no longer supported. Use 7 or later."]).unwrap();
    assert_eq!(older.specification.jdk, 11);
    assert!(older.why[0].contains("too new"), "{:?}", older.why);
    let newer = failed(&mut plan, &["[ERROR] error: release version 21 not supported"]).unwrap();
    assert_eq!(newer.specification.jdk, 21);
    let maven = failed(&mut plan, &["Detected Maven Version: 3.9.11 is not in the allowed range [3.6,3.7)."]).unwrap();
    assert_eq!((maven.specification.tool.to_string(), maven.specification.jdk), ("maven-3.6.3".to_owned(), 21));
    let check = "[ERROR] Failed to execute goal org.apache.rat:apache-rat-plugin:0.13:check (x) on project a: y";
    let skipped = failed(&mut plan, &[check]).unwrap();
    assert_eq!(skipped.specification.properties.get("rat.skip").map(String::as_str), Some("true"));
    assert_eq!(skipped.specification.structured(), Ok(()));
}

#[test]
fn what_was_switched_off_stays_off_in_the_alternatives() {
    let mut plan = plan(Wishes::default());
    plan.first().unwrap();
    let check = "[ERROR] Failed to execute goal org.apache.rat:apache-rat-plugin:0.13:check (x) on project a: y";
    let skipped = failed(&mut plan, &[check]).unwrap().specification;
    let other = failed(&mut plan, &["[ERROR] nobody knows"]).unwrap().specification;
    assert_ne!(other.jdk, skipped.jdk);
    assert_eq!(other.properties, skipped.properties);
}

#[test]
fn of_many_mavens_the_newest_of_each_line_come_first_and_unfinished_ones_last() {
    let mavens = ["3.6.0", "3.6.3", "3.8.8", "3.9.10", "3.9.11", "3.9.16", "4.0.0-rc-4", "4.0.0-rc-5"];
    let tools = Tools { jdks: [17].into(), mavens: mavens.map(str::to_owned).into(), ..tools() };
    let mut plan = Plan::new(Wishes::default(), tools, |_| Ok(()));
    let mut order = vec![plan.first().unwrap().specification.tool.to_string()];
    order.extend(plan.candidates().map(|candidate| candidate.specification.tool.to_string()));
    let expected = ["3.9.11", "3.9.16", "3.8.8", "3.6.3", "3.9.10", "3.6.0", "4.0.0-rc-5", "4.0.0-rc-4"];
    assert_eq!(order, expected.map(|version| format!("maven-{version}")));
}

#[test]
fn a_missing_profile_and_a_missing_module_are_dropped() {
    let wishes = Wishes { profile: Some("rel".to_owned()), module: Some(":lib".to_owned()), ..Wishes::default() };
    let mut plan = plan(wishes);
    let first = plan.first().unwrap().specification;
    assert_eq!((first.profiles, first.modules), (vec!["rel".to_owned()], vec![":lib".to_owned()]));
    let log = [
        "[WARNING] The requested profile \"rel\" could not be activated because it does not exist.",
        "[ERROR] Could not find the selected project in the reactor: :lib",
    ];
    let next = failed(&mut plan, &log).unwrap();
    assert!(next.specification.profiles.is_empty() && next.specification.modules.is_empty());
    assert_eq!(next.why.len(), 2);
}

#[test]
fn a_jdk_that_is_not_there_is_named_and_the_alternatives_go_on() {
    let mut plan = plan(Wishes::default());
    plan.first().unwrap();
    let next = failed(&mut plan, &["[ERROR] error: release version 25 not supported"]).unwrap();
    assert!(plan.skipped().iter().any(|text| text.contains("a JDK in place of 17")), "{:?}", plan.skipped());
    assert_ne!(next.specification.jdk, 17);
}

#[test]
fn each_difference_changes_what_it_shows() {
    let reference = read("Build-Jdk-Spec: 11\nBuilt-By: jane\n", 0o664, 6, 52);
    let built = read("Build-Jdk-Spec: 17\nBuilt-By: builder\n", 0o644, 5, 52);
    let mut plan = plan(Wishes::default());
    plan.first().unwrap();
    let outcome = Outcome::Different { built: Some(&built), reference: Some(&reference), not_built: &[] };
    let next = plan.next(&outcome).unwrap();
    let spec = &next.specification;
    assert_eq!((spec.jdk, spec.umask.as_str(), spec.user_name.as_deref()), (11, "0002", Some("jane")));
    assert_eq!(spec.timezone, "Etc/GMT-1");
    assert_eq!(next.why.len(), 4, "{:?}", next.why);
    // Nothing is left that differs: what remains are the alternatives.
    let same = Outcome::Different { built: Some(&reference), reference: Some(&reference), not_built: &[] };
    assert!(plan.next(&same).unwrap().why[0].starts_with("with "));
}

#[test]
fn class_files_tell_the_jdk_where_the_manifest_does_not() {
    let (reference, built) = (read("A: 1\n", 0o644, 5, 52), read("A: 1\n", 0o644, 5, 61));
    let mut plan = plan(Wishes::default());
    plan.first().unwrap();
    let outcome = Outcome::Different { built: Some(&built), reference: Some(&reference), not_built: &[] };
    assert_eq!(plan.next(&outcome).unwrap().specification.jdk, 8);
}

#[test]
fn sources_that_were_not_built_ask_for_the_profile() {
    let mut plan = plan(Wishes { other_profile: Some("rel".to_owned()), ..Wishes::default() });
    plan.first().unwrap();
    let not_built = ["lib-1-sources.jar".to_owned()];
    let outcome = Outcome::Different { built: None, reference: None, not_built: &not_built };
    assert_eq!(plan.next(&outcome).unwrap().specification.profiles, ["rel"]);
}

proptest! {
    /// However the log reads, a plan ends, never repeats itself, and keeps to what is there.
    #[test]
    fn a_plan_ends(
        jdks in proptest::collection::vec(5u32..40, 0..4),
        mavens in proptest::collection::vec("[2-4]\\.[0-9]{1,2}(\\.[0-9]{1,2})?", 0..3),
        lines in proptest::collection::vec(prop_oneof![
            Just("release version 21 not supported"), Just("Source option 6 is no longer supported. Use 7 or later."),
            Just("Detected Maven Version: x is not in the allowed range [3.8,)."),
            Just("Detected JDK Version: x is not in the allowed range (,11]."),
            Just("Unsupported class file major version 65"), Just("Could not find the selected project in the reactor"),
            Just("Failed to execute goal a:maven-gpg-plugin:1:sign (x) on project y"), Just("nothing"),
        ], 0..40),
    ) {
        let wishes = Wishes { jdks, mavens, profile: Some("rel".to_owned()), module: Some(":a".to_owned()), ..Wishes::default() };
        let mut plan = plan(wishes);
        let mut seen = BTreeSet::new();
        let mut candidate = plan.first();
        let mut lines = lines.into_iter();
        while let Some(next) = candidate {
            let spec = next.specification;
            prop_assert!(seen.insert(spec.digest()), "tried twice");
            prop_assert!(tools().jdks.contains(&spec.jdk) && spec.check().is_ok() && spec.structured().is_ok());
            let Tool::Maven(version) = &spec.tool else { panic!("another tool") };
            prop_assert!(tools().mavens.contains(version));
            candidate = failed(&mut plan, &[lines.next().unwrap_or("nothing")]);
        }
        prop_assert!(!seen.is_empty() && seen.len() < 64);
    }
}
