//! Time zones that builds leave behind.

use jar_compare::LocalTime;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// Abbreviations as Java prints them, and a zone that has them. Two of them are used elsewhere too (`CST`, `IST`): the
/// zone is then the one of most publishers.
const ABBREVIATIONS: [(&str, &str); 22] = [
    ("UTC", "UTC"),
    ("GMT", "UTC"),
    ("Z", "UTC"),
    ("CET", "Europe/Paris"),
    ("CEST", "Europe/Paris"),
    ("EET", "Europe/Helsinki"),
    ("EEST", "Europe/Helsinki"),
    ("WET", "Europe/Lisbon"),
    ("WEST", "Europe/Lisbon"),
    ("BST", "Europe/London"),
    ("MSK", "Europe/Moscow"),
    ("EST", "America/New_York"),
    ("EDT", "America/New_York"),
    ("CST", "America/Chicago"),
    ("CDT", "America/Chicago"),
    ("MST", "America/Denver"),
    ("MDT", "America/Denver"),
    ("PST", "America/Los_Angeles"),
    ("PDT", "America/Los_Angeles"),
    ("IST", "Asia/Kolkata"),
    ("JST", "Asia/Tokyo"),
    ("AEST", "Australia/Sydney"),
];

/// The zone of an abbreviation.
pub(crate) fn by_abbreviation(text: &str) -> Option<&'static str> {
    ABBREVIATIONS.iter().find(|(known, _)| *known == text).map(|(_, zone)| *zone)
}

/// A time of an archive as if it were UTC; none if it is no time at all.
pub(crate) fn as_utc(time: LocalTime) -> Option<Timestamp> {
    let [month, day, hour, minute, second] =
        [time.month, time.day, time.hour, time.minute, time.second].map(|part| i8::try_from(part).ok());
    let civil = DateTime::new(i16::try_from(time.year).ok()?, month?, day?, hour?, minute?, second?, 0).ok()?;
    Offset::UTC.to_timestamp(civil).ok()
}

/// What `project.build.outputTimestamp` may be: an instant of ISO 8601, or seconds since 1970.
pub(crate) fn output_timestamp(text: &str) -> Option<Timestamp> {
    match text.parse::<i64>() {
        // One character or a small number switches the feature off.
        Ok(seconds) if seconds > 9 => Timestamp::from_second(seconds).ok(),
        Ok(_) => None,
        Err(_) => text.parse().ok(),
    }
}

/// Whether Maven's archiver takes this as the time of entries: from 1980-01-01T00:00:02Z to 2099-12-31T23:59:59Z. A build
/// that is given another one fails.
pub(crate) fn is_for_archives(time: Timestamp) -> bool {
    (315_532_802..=4_102_444_799).contains(&time.as_second())
}

/// The zone in which the local time of an archive is this instant, if it is whole hours from UTC; `UTC` for none.
pub(crate) fn by_difference(local: LocalTime, instant: i64) -> Option<String> {
    // Archives have even seconds only.
    let difference = as_utc(local)?.as_second() - instant;
    let hours = (difference + 3602).div_euclid(3600) - 1;
    if (difference - hours * 3600).abs() > 2 || hours.abs() > 14 {
        return None;
    }
    // The sign of these names is the other way round.
    Some(match hours {
        0 => "UTC".to_owned(),
        hours if hours > 0 => format!("Etc/GMT-{hours}"),
        hours => format!("Etc/GMT+{}", -hours),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: LocalTime = LocalTime { year: 2021, month: 3, day: 4, hour: 5, minute: 6, second: 8 };

    #[test]
    fn a_difference_of_whole_hours_is_a_zone() {
        let utc = as_utc(TIME).unwrap().as_second();
        assert_eq!(by_difference(TIME, utc).as_deref(), Some("UTC"));
        assert_eq!(by_difference(TIME, utc + 1).as_deref(), Some("UTC"), "an odd second was rounded down");
        assert_eq!(by_difference(TIME, utc - 3600).as_deref(), Some("Etc/GMT-1"));
        assert_eq!(by_difference(TIME, utc + 8 * 3600).as_deref(), Some("Etc/GMT+8"));
        assert_eq!(by_difference(TIME, utc + 100), None);
        assert_eq!(by_difference(TIME, utc + 20 * 3600), None);
        assert_eq!(as_utc(LocalTime { month: 0, ..TIME }), None);
    }

    #[test]
    fn archivers_take_the_times_of_their_formats_only() {
        let at = |text: &str| is_for_archives(text.parse().unwrap());
        assert!(at("1980-01-01T00:00:02Z") && at("2099-12-31T23:59:59Z"));
        assert!(!at("1980-01-01T00:00:00Z") && !at("2100-01-01T00:00:00Z"));
    }

    #[test]
    fn timestamps_and_abbreviations() {
        assert_eq!(output_timestamp("2021-03-04T05:06:08Z"), as_utc(TIME));
        assert_eq!(output_timestamp("1614834368").map(|time| time.as_second()), Some(1_614_834_368));
        assert_eq!(output_timestamp("1"), None);
        assert_eq!(output_timestamp("${git.commit.time}"), None);
        assert_eq!((by_abbreviation("CEST"), by_abbreviation("XYZ")), (Some("Europe/Paris"), None));
        for (_, zone) in ABBREVIATIONS {
            assert!(jiff::tz::TimeZone::get(zone).is_ok() || zone == "UTC", "{zone}");
        }
    }
}
