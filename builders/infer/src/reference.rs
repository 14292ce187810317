//! What a JAR tells about the build that made it.

use std::collections::BTreeMap;

use build_spec::{Newline, Tool};
use jar_compare::{Listing, LocalTime, class_major, main_attributes};

use crate::pick::java_major;
use crate::zones;

/// Classes whose version is looked at.
const MAX_CLASSES: usize = 5_000;
/// Largest small document that is read, in bytes.
const MAX_DOCUMENT: u64 = 1 << 20;
const MANIFEST: &str = "META-INF/MANIFEST.MF";

/// A value, and where in the JAR it was read.
pub(crate) type Seen<T> = Option<(T, String)>;

/// The times of a JAR's entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Times {
    /// There are no entries.
    #[default]
    None,
    /// All the same, as reproducible builds make them; with the instant, if the archive has that as well.
    One(LocalTime, Option<i64>),
    /// Different ones.
    Many,
}

/// The hints in a JAR, a published one or a rebuilt one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reference {
    /// Major version of the JDK that ran or compiled the build.
    pub(crate) jdk: Seen<u32>,
    /// Exact version of Maven.
    pub(crate) maven: Seen<String>,
    /// Version of the JAR plugin, if that wrote the manifest.
    pub(crate) jar_plugin: Option<String>,
    /// The greatest version of its class files.
    pub(crate) class_major: Option<u16>,
    /// File mode mask.
    pub(crate) umask: Seen<u32>,
    /// Line ends of what the build wrote itself.
    pub(crate) newline: Seen<Newline>,
    /// The account.
    pub(crate) built_by: Option<String>,
    /// Times of entries.
    pub(crate) times: Times,
    /// IANA zone.
    pub(crate) zone: Seen<String>,
    /// Folder of the build.
    pub(crate) folder: Seen<String>,
}

impl Reference {
    /// Reads a JAR. What cannot be read is no hint.
    pub fn read(jar: &Listing<'_>) -> Self {
        let mut found = Self::default();
        if let Some(main) = jar.find(MANIFEST).ok().flatten().and_then(|bytes| main_attributes(&bytes)) {
            found.manifest(&main);
        }
        let mut modes: BTreeMap<u32, usize> = BTreeMap::new();
        let mut folder_masks: BTreeMap<u32, usize> = BTreeMap::new();
        let mut classes = 0;
        for (index, entry) in jar.entries().enumerate() {
            found.times = match found.times {
                Times::None => Times::One(entry.modified, entry.unix_time),
                Times::One(time, unix) if time == entry.modified => Times::One(time, unix),
                Times::One(..) | Times::Many => Times::Many,
            };
            let is_folder = entry.name.ends_with('/');
            if let Some(mode) = entry.unix_mode.map(|mode| u32::from(mode) & 0o777) {
                match is_folder {
                    true => *folder_masks.entry(0o777 & !mode).or_default() += 1,
                    // The manifest is written by the archiver and not taken from a file.
                    false if entry.name != MANIFEST && mode & 0o111 == 0 => *modes.entry(mode).or_default() += 1,
                    false => {}
                }
            }
            let class = entry.name.ends_with(".class")
                && !entry.name.starts_with("META-INF/")
                && !entry.name.ends_with("module-info.class");
            if class && classes < MAX_CLASSES {
                classes += 1;
                let major = jar.content(index).ok().and_then(|bytes| class_major(&bytes));
                found.class_major = found.class_major.max(major);
            }
            let properties = entry.name.starts_with("META-INF/maven/") && entry.name.ends_with("/pom.properties");
            if properties && entry.size <= MAX_DOCUMENT {
                found.pom_properties(entry.name, &jar.content(index).unwrap_or_default());
            }
        }
        found.umask = umask(&modes, &folder_masks);
        found
    }

    fn manifest(&mut self, main: &[(String, String)]) {
        let value =
            |name: &str| main.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim());
        for name in ["Build-Jdk-Spec", "Build-Jdk", "Build-Java-Version", "Build-Tool-Jdk-Spec", "Created-By"] {
            // The last one names the JDK only in the form of the JDK's own tools: `17.0.1 (Vendor)`.
            let plain = |text: &&str| name != "Created-By" || text.starts_with(|c: char| c.is_ascii_digit());
            if self.jdk.is_none() {
                let jdk = value(name).filter(plain).and_then(java_major);
                self.jdk = jdk.map(|jdk| (jdk, format!("{name} of {MANIFEST}")));
            }
        }
        for name in ["Build-Tool", "Created-By"] {
            // Without the name before it, the number is a JDK's.
            let named = value(name).and_then(|text| text.strip_prefix("Apache Maven "));
            self.see_maven(named.and_then(|text| text.split(' ').next()), &format!("{name} of {MANIFEST}"));
        }
        self.see_maven(value("Build-Maven-Version"), &format!("Build-Maven-Version of {MANIFEST}"));
        if let Some(plugin) = value("Created-By") {
            let version = plugin.strip_prefix("Maven JAR Plugin ").or_else(|| plugin.strip_prefix("Maven Jar Plugin "));
            self.jar_plugin = version.map(str::to_owned);
        }
        self.built_by = value("Built-By").filter(|name| !name.is_empty()).map(str::to_owned);
        for (name, value) in main {
            let below = value.split_once("/target").map(|(folder, _)| folder).filter(|folder| folder.starts_with('/'));
            if let Some(folder) = below.filter(|_| self.folder.is_none()) {
                self.folder = Some((folder.to_owned(), format!("{name} of {MANIFEST}")));
            }
        }
    }

    fn see_maven(&mut self, version: Option<&str>, from: &str) {
        let is_maven = |text: &&str| {
            text.starts_with(['2', '3', '4']) && text.contains('.') && format!("maven-{text}").parse::<Tool>().is_ok()
        };
        if let (None, Some(version)) = (&self.maven, version.filter(is_maven)) {
            self.maven = Some((version.to_owned(), from.to_owned()));
        }
    }

    fn pom_properties(&mut self, name: &str, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let crlf = text.contains("\r\n");
        if self.newline.is_none() && text.contains('\n') {
            let newline = if crlf { Newline::Crlf } else { Newline::Lf };
            self.newline = Some((newline, format!("the line ends of {name}")));
        }
        for comment in text.lines().filter_map(|line| line.strip_prefix('#')) {
            self.see_maven(comment.strip_prefix("Created by Apache Maven "), &format!("a comment in {name}"));
            // As Java's Date prints itself: `Thu Mar 04 05:06:08 CET 2021`.
            let words: Vec<&str> = comment.split_whitespace().collect();
            if let ([_, _, _, time, zone, _], None) = (words.as_slice(), &self.zone)
                && time.matches(':').count() == 2
                && let Some(zone) = zones::by_abbreviation(zone)
            {
                self.zone = Some((zone.to_owned(), format!("the date in {name}")));
            }
        }
    }
}

/// The mask that gives files and folders the modes that most of them have.
fn umask(modes: &BTreeMap<u32, usize>, folder_masks: &BTreeMap<u32, usize>) -> Seen<u32> {
    let most = |counts: &BTreeMap<u32, usize>| counts.iter().max_by_key(|(_, count)| **count).map(|(mode, _)| *mode);
    let mode = most(modes)?;
    let of_files = 0o666 & !mode;
    let mask = match most(folder_masks) {
        Some(mask) if mask & 0o666 == of_files => mask,
        // Files do not show the bits of execution; they follow those of writing and reading.
        _ => {
            of_files
                | if of_files & 0o006 == 0o006 { 0o001 } else { 0 }
                | if of_files & 0o060 == 0o060 { 0o010 } else { 0 }
        }
    };
    Some((mask, format!("most files have mode {mode:04o}")))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use jar_compare::Limits;
    use proptest::prelude::*;
    use std::io::Write as _;
    use zip::write::SimpleFileOptions;
    use zip::{DateTime, ZipWriter};

    /// Name, mode, year and hour, content.
    pub(crate) type File<'a> = (&'a str, u32, (u16, u8), &'a [u8]);

    pub(crate) fn jar(files: &[File<'_>]) -> Vec<u8> {
        let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, mode, (year, hour), content) in files {
            let time = DateTime::from_date_and_time(*year, 3, 4, *hour, 6, 8).unwrap();
            let options = SimpleFileOptions::default().unix_permissions(*mode).last_modified_time(time);
            match name.strip_suffix('/') {
                Some(folder) => zip.add_directory(folder, options).unwrap(),
                None => {
                    zip.start_file(*name, options).unwrap();
                    zip.write_all(content).unwrap();
                }
            }
        }
        zip.finish().unwrap().into_inner()
    }

    fn read(files: &[File<'_>]) -> Reference {
        let bytes = jar(files);
        Reference::read(&Listing::open(&bytes, &Limits::default()).unwrap())
    }

    fn of_manifest(text: &str) -> Reference {
        read(&[(MANIFEST, 0o644, (2021, 5), text.as_bytes())])
    }

    #[test]
    fn a_jar_of_an_old_maven_tells_almost_everything() {
        let manifest = "Manifest-Version: 1.0\r\nBuilt-By: jane\r\nCreated-By: Apache Maven 3.6.3\r\nBuild-Jdk: 1.8.0_292\r\n\
             X-Compiled-In: /home/jane/lib/target/classes\r\n";
        let properties = "#Generated by Maven\r\n#Thu Mar 04 05:06:08 CET 2021\r\nversion=1\r\n";
        let found = read(&[
            (MANIFEST, 0o644, (2021, 5), manifest.as_bytes()),
            ("a/", 0o775, (2021, 5), b""),
            ("a/A.class", 0o664, (2021, 5), &[0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 52]),
            ("META-INF/versions/9/A.class", 0o664, (2021, 5), &[0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 53]),
            ("module-info.class", 0o664, (2021, 5), &[0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 53]),
            ("META-INF/maven/g/a/pom.properties", 0o664, (2021, 6), properties.as_bytes()),
        ]);
        assert_eq!(found.jdk.as_ref().unwrap().0, 8);
        assert_eq!(found.maven.as_ref().unwrap().0, "3.6.3");
        assert_eq!((found.class_major, found.umask.as_ref().unwrap().0), (Some(52), 0o002));
        assert_eq!((found.newline.unwrap().0, found.zone.unwrap().0), (Newline::Crlf, "Europe/Paris".to_owned()));
        assert_eq!((found.built_by.as_deref(), found.times), (Some("jane"), Times::Many));
        assert_eq!(found.folder.unwrap().0, "/home/jane/lib");
    }

    #[test]
    fn a_reproducible_jar_has_one_time_and_names_its_plugin() {
        let found = of_manifest("Created-By: Maven JAR Plugin 3.4.1\nBuild-Jdk-Spec: 17\n");
        assert_eq!((found.jdk.unwrap().0, found.jar_plugin.as_deref()), (17, Some("3.4.1")));
        assert!(matches!(found.times, Times::One(time, None) if time.hour == 5));
        assert_eq!((found.maven, found.built_by, found.umask), (None, None, None));
    }

    #[test]
    fn who_created_a_jar_is_a_jdk_only_in_the_jdks_own_form() {
        assert_eq!(of_manifest("Created-By: 11.0.2 (Oracle Corporation)\n").jdk.unwrap().0, 11);
        assert_eq!(of_manifest("Created-By: Apache Maven Bundle Plugin 5.1.1\n").jdk, None);
        assert_eq!(of_manifest("Build-Tool: Apache Maven 3.9.9 (8e8579a)\n").maven.unwrap().0, "3.9.9");
        assert_eq!(of_manifest("Created-By: Apache Maven\n").maven, None);
        assert_eq!(of_manifest("Created-By: 21.0.1 (Eclipse Adoptium)\n").maven, None);
        assert_eq!(of_manifest("Created-By: Apache Maven 3.$(id)\n").maven, None);
    }

    #[test]
    fn masks() {
        for (mode, folder, mask) in
            [(0o644, 0o755, 0o022), (0o664, 0o775, 0o002), (0o600, 0o700, 0o077), (0o640, 0o750, 0o027)]
        {
            let files: &[File<'_>] =
                &[("a/", folder, (2021, 5), b""), ("a/x", mode, (2021, 5), b""), ("a/run", 0o755, (2021, 5), b"")];
            assert_eq!(read(files).umask.unwrap().0, mask, "{mode:o}");
            assert_eq!(read(&files[1..]).umask.unwrap().0, mask, "{mode:o} without folders");
        }
    }

    proptest! {
        #[test]
        fn no_manifest_panics(text in "(\\PC|\r|\n|: |Created-By|Build-Jdk|/target|1|\\.){0,200}") {
            of_manifest(&text);
            read(&[("META-INF/maven/g/a/pom.properties", 0o644, (2021, 5), text.as_bytes())]);
        }
    }
}
