//! `images`: builder images.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

/// `images`
#[derive(Debug, Subcommand)]
pub enum ImagesCommand {
    /// Make a builder image from its recipe
    Build {
        /// Name of the recipe
        #[arg(value_enum)]
        name: ImageName,
        /// Make it again even if it is there
        #[arg(long)]
        force: bool,
    },
    /// Images that have been made here, and those that came from others
    List,
    /// Make an image again from the packages that it was made of, and compare
    ///
    /// The packages are checked against Debian's signed index, which is kept with the image. Ends with 17 if a file is not the
    /// same. What came out before is said again, without doing it, unless it is asked for.
    Verify {
        /// Name of a recipe, or the image's digest
        image: ImageRef,
        /// Make it again even if that was done here before
        #[arg(long)]
        again: bool,
    },
    /// Write an image, and what it was made of, into one file
    Export {
        /// Name of a recipe, or the image's digest
        image: ImageRef,
        /// The file; one that is there is replaced
        #[arg(long, short, value_name = "FILE")]
        out: PathBuf,
    },
    /// Take in an image that `export` wrote
    Import {
        /// The file
        file: PathBuf,
    },
    /// Have the node get an image from its peers, and wait until it is there
    Fetch {
        /// The image's digest, as `inspect` shows it
        digest: pyrsia_digest::Sha256,
    },
    /// Let the network build in an image: the word of the authority that is asked
    Approve {
        /// The image's digest, as `images list` shows it
        digest: pyrsia_digest::Sha256,
        /// Its name in the ledger
        #[arg(long, value_enum, default_value_t = ImageName::Jdk17)]
        name: ImageName,
        /// Approve it although it was not made again here with `images verify`
        #[arg(long)]
        unverified: bool,
    },
}

/// An image by name or digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageRef {
    /// The one that this machine made from this recipe.
    Name(ImageName),
    /// Any.
    Digest(pyrsia_digest::Sha256),
}

impl std::str::FromStr for ImageRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(digest) = text.parse() {
            return Ok(Self::Digest(digest));
        }
        let name = ImageName::from_str(text, false);
        name.map(Self::Name).map_err(|_| "neither the name of a recipe nor a digest".to_owned())
    }
}

/// Recipes of builder images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ImageName {
    /// OpenJDK 8 on Debian sid
    Jdk8,
    /// OpenJDK 11 on Debian bullseye
    Jdk11,
    /// OpenJDK 17 on Debian bookworm
    Jdk17,
    /// OpenJDK 21 on Debian trixie
    Jdk21,
    /// OpenJDK 25 on Debian trixie
    Jdk25,
    /// OpenJDK 17 and Gradle 4.4.1 on Debian bookworm
    Gradle,
}

impl ImageName {
    /// The recipe's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jdk8 => "jdk8",
            Self::Jdk11 => "jdk11",
            Self::Jdk17 => "jdk17",
            Self::Jdk21 => "jdk21",
            Self::Jdk25 => "jdk25",
            Self::Gradle => "gradle",
        }
    }
}
