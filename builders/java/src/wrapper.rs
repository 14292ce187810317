//! The Gradle that a project's own wrapper names ([`gradle-wrapper.properties`](https://docs.gradle.org/4.4.1/userguide/gradle_wrapper.html)).

use build_spec::{BuildError, ExtraInput, Specification, Tool, distributed};
use pyrsia_digest::Sha256;

use crate::tool::check_image;

/// Where a project has it.
pub const WRAPPER_PROPERTIES: &str = "gradle/wrapper/gradle-wrapper.properties";
/// What a specification says where the wrapper is to decide.
const ANY: &str = "wrapper";
/// Where the distribution is put.
const FOLDER: &str = "gradle/wrapper";

/// The specification with the Gradle that the wrapper of its source names, where neither an image nor an input of the
/// specification has the one that it asks for. Its distribution becomes an input, by the digest that the wrapper states.
///
/// # Errors
/// [`BuildError::Unsupported`] where the specification leaves it to a wrapper that is not there, or says too little.
pub fn with_wrapper(specification: &Specification, properties: Option<&str>) -> Result<Specification, BuildError> {
    let unsupported = |text: String| Err(BuildError::Unsupported(text));
    let Tool::Gradle(wanted) = &specification.tool else { return Ok(specification.clone()) };
    let is_open = wanted == ANY;
    if specification.gradle_distribution().is_some() || (!is_open && check_image(specification).is_ok()) {
        return Ok(specification.clone());
    }
    let Some(url) = properties.and_then(|text| value(text, "distributionUrl")) else {
        return match is_open {
            true => {
                unsupported(format!("the source has no {WRAPPER_PROPERTIES} that names a Gradle: name its version"))
            }
            // What there is no image with is said where the image is looked for.
            false => Ok(specification.clone()),
        };
    };
    let Some(version) = distributed(&url) else {
        return unsupported(format!("the wrapper's {url} is no distribution of Gradle"));
    };
    if !is_open && version != wanted {
        return Ok(specification.clone());
    }
    let mut found = Specification { tool: format!("gradle-{version}").parse()?, ..specification.clone() };
    if found.gradle_distribution().is_some() || check_image(&found).is_ok() {
        return Ok(found);
    }
    let stated = properties.and_then(|text| value(text, "distributionSha256Sum"));
    let Some(sha256) = stated.and_then(|text| text.to_ascii_lowercase().parse::<Sha256>().ok()) else {
        return unsupported(format!(
            "no image has Gradle {version}, and the wrapper states no distributionSha256Sum of {url}: name the distribution as an \
             [[input]] of the specification"
        ));
    };
    let name = url.rsplit('/').next().unwrap_or_default();
    let path = format!("{FOLDER}/{name}");
    found.inputs.push(ExtraInput { url, sha256, path });
    found.check()?;
    Ok(found)
}

/// The value of a key in a file of properties, without its backslashes.
fn value(text: &str, key: &str) -> Option<String> {
    let mut found = None;
    for line in text.lines() {
        let Some((name, value)) = line.split_once('=') else { continue };
        if name.trim() == key {
            // As in such a file, the last one counts.
            found = Some(value.trim().replace('\\', ""));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROPERTIES: &str = "#Thu Jan 01\ndistributionBase=GRADLE_USER_HOME\n\
        distributionUrl=https\\://files.example/distributions/gradle-7.4-bin.zip\nzipStorePath=wrapper/dists\n";

    fn gradle(version: &str) -> Specification {
        let mut specification = Specification::default_maven("");
        specification.tool = Tool::Gradle(version.to_owned());
        specification.goals = vec!["assemble".to_owned()];
        specification.properties.clear();
        specification
    }

    #[test]
    fn the_wrappers_distribution_becomes_an_input_by_its_digest() {
        let sum = Sha256::of(b"zip");
        let whole = format!("{PROPERTIES}distributionSha256Sum={sum}\n");
        for wanted in ["wrapper", "7.4"] {
            let found = with_wrapper(&gradle(wanted), Some(&whole)).unwrap();
            assert_eq!(found.tool.to_string(), "gradle-7.4");
            let url = "https://files.example/distributions/gradle-7.4-bin.zip".to_owned();
            let path = "gradle/wrapper/gradle-7.4-bin.zip".to_owned();
            assert_eq!(found.inputs, [ExtraInput { url, sha256: sum, path }]);
            assert_eq!(found.image_name(), "jdk17");
        }
        // What is there already needs no wrapper, and another version than the wanted one is none.
        let own = gradle("4.4.1");
        assert_eq!(with_wrapper(&own, Some(&whole)).unwrap(), own);
        assert_eq!(with_wrapper(&gradle("8.5"), Some(&whole)).unwrap(), gradle("8.5"));
        let image = whole.replace("7.4", "4.4.1");
        assert_eq!(with_wrapper(&gradle("wrapper"), Some(&image)).unwrap(), gradle("4.4.1"));
        let maven = Specification::default_maven("3.9.9");
        assert_eq!(with_wrapper(&maven, Some(&whole)).unwrap(), maven);
    }

    #[test]
    fn a_wrapper_that_says_too_little_is_refused_by_name_unless_the_specification_says_it() {
        let refusal = |properties: Option<&str>| with_wrapper(&gradle("wrapper"), properties).unwrap_err().to_string();
        assert!(refusal(None).contains("gradle-wrapper.properties"));
        let text = refusal(Some(PROPERTIES));
        assert!(text.contains("Gradle 7.4") && text.contains("distributionSha256Sum"), "{text}");
        assert!(refusal(Some("distributionUrl=https\\://files.example/other.zip")).contains("no distribution"));
        let plain = format!("{PROPERTIES}distributionSha256Sum={}\n", Sha256::of(b"x")).replace("https", "http");
        assert!(refusal(Some(&plain)).contains("https"));
        let mut own = gradle("wrapper");
        let url = "https://elsewhere.example/gradle-7.4-all.zip".to_owned();
        own.inputs.push(ExtraInput { url, sha256: Sha256::of(b"zip"), path: "gradle.zip".to_owned() });
        let found = with_wrapper(&own, Some(PROPERTIES)).unwrap();
        assert_eq!((found.tool.to_string().as_str(), found.inputs.len()), ("gradle-7.4", 1));
    }
}
