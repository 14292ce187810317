//! `policy`: what would be served and withheld, and what was.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};

/// `policy`
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Say what would be served or withheld, and why, before a policy is switched
    Test(PolicyTestArgs),
    /// What was served under which provenance, and what was withheld
    Report(PolicyReportArgs),
}

/// `policy test`
#[derive(Debug, Args)]
#[group(skip)]
#[command(group = ArgGroup::new("subjects").required(true).multiple(true))]
pub struct PolicyTestArgs {
    /// groupId:artifactId:version[:classifier][@extension]; the whole release, and this file of it
    #[arg(value_name = "G:A:V[:CLASSIFIER][@EXT]", group = "subjects")]
    pub artifacts: Vec<maven_layout::ArtifactRef>,
    /// What a build of the Maven project in DIR needs, as far as its POMs tell
    #[arg(long, value_name = "DIR", group = "subjects")]
    pub project: Option<PathBuf>,
    /// With --project: these profiles are active, as for Maven: names with commas between them, `!NAME` for one that is not
    #[arg(short = 'P', long, value_name = "NAMES", requires = "project", allow_hyphen_values = true)]
    pub profiles: Vec<String>,
    /// Every artifact of a local repository: what builds on this machine asked for
    #[arg(long, value_name = "DIR", group = "subjects")]
    pub repo: Option<PathBuf>,
    /// Under this policy, instead of those that the node has
    #[arg(long, value_name = "POLICY", value_enum)]
    pub policy: Option<AsPolicy>,
    /// With --policy verified: as if `allow_equivalent` were set
    #[arg(long, requires = "policy")]
    pub allow_equivalent: bool,
}

/// A policy by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AsPolicy {
    /// Only files with a good verdict
    Verified,
    /// Everything, marked with its provenance
    PreferVerified,
    /// A plain cache
    Mirror,
}

impl AsPolicy {
    /// The name as the API has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::PreferVerified => "prefer-verified",
            Self::Mirror => "mirror",
        }
    }
}

/// `policy report`
#[derive(Debug, Args)]
pub struct PolicyReportArgs {
    /// From this day on (UTC): 2026-01-31, or 7d for the last seven days [default: all that is remembered]
    #[arg(long, value_name = "DAY")]
    pub since: Option<Since>,
    /// At most so many lines for releases
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub max: usize,
}

/// A day, or how many days ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// Its beginning, in seconds since 1970.
    Day(u64),
    /// So many days ago.
    Ago(u64),
}

impl Since {
    /// In seconds since 1970.
    pub fn at(self, now: u64) -> u64 {
        match self {
            Self::Day(seconds) => seconds,
            Self::Ago(days) => now.saturating_sub(days.saturating_mul(86_400)),
        }
    }
}

impl std::str::FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = || format!("{text:?} is no day: write it as 2026-01-31, or as 7d");
        if let Some(days) = text.strip_suffix('d') {
            return days.parse().map(Self::Ago).map_err(|_| expected());
        }
        let day: jiff::civil::Date = text.parse().map_err(|_| expected())?;
        let begins = jiff::tz::Offset::UTC.to_timestamp(day.at(0, 0, 0, 0)).map_err(|_| expected())?.as_second();
        u64::try_from(begins).map(Self::Day).map_err(|_| expected())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read() {
        assert_eq!("1970-01-02".parse(), Ok(Since::Day(86_400)));
        assert_eq!("7d".parse(), Ok(Since::Ago(7)));
        assert_eq!(Since::Ago(1).at(90_000), 3_600);
        for bad in ["", "d", "-1d", "1969-12-31", "2026-02-30", "yesterday", "99999999999999999999d"] {
            assert!(bad.parse::<Since>().is_err(), "{bad}");
        }
    }
}
