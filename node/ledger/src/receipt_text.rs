//! The text form of a receipt: counted sections, one value to a line.

use std::iter::Enumerate;
use std::str::Split;

use pyrsia_digest::Sha256;

use crate::canonical::{decode, encode};
use crate::leaf::MAX_LEAF_BYTES;
use crate::{Certificate, FileVerdict, Handover, Leaf, Receipt, ReceiptError, Verdict, note};

const TITLE: &str = "pyrsia-maven receipt v1";
/// Longest canonical encoding of a file's verdict, in bytes.
const MAX_FILE_BYTES: usize = 16 * 1024;
/// Most lines of any section.
const MAX_LINES: usize = 4096;

pub(crate) fn print(receipt: &Receipt) -> String {
    let mut text = format!("{TITLE}\nnetwork {}\n", receipt.network);
    text.push_str(&format!("leaf {}\n", note::base64(&Leaf::Verdict(receipt.verdict.leaf()).to_bytes())));
    text.push_str(&format!("outputs {}\n", receipt.verdict.files.len()));
    for file in &receipt.verdict.files {
        text.push_str(&note::base64(&encode(file)));
        text.push('\n');
    }
    print_proof(&mut text, &receipt.proof);
    text.push_str(&format!("handovers {}\n", receipt.handovers.len()));
    for handover in &receipt.handovers {
        let leaf = Leaf::Committee(handover.leaf.clone());
        text.push_str(&format!("leaf {}\n", note::base64(&leaf.to_bytes())));
        print_proof(&mut text, &handover.proof);
        print_certificate(&mut text, &handover.certificate);
    }
    print_certificate(&mut text, &receipt.certificate);
    text
}

fn print_proof(text: &mut String, proof: &[Sha256]) {
    text.push_str(&format!("proof {}\n", proof.len()));
    for hash in proof {
        text.push_str(&format!("{hash}\n"));
    }
}

/// The signed note as it is, after its number of cosignatures.
fn print_certificate(text: &mut String, certificate: &Certificate) {
    text.push_str(&format!("certificate {}\n{}", certificate.cosignatures.len(), certificate.to_text()));
}

/// Reads without caring about canonical form: the caller prints and compares.
pub(crate) fn parse(text: &str) -> Result<Receipt, ReceiptError> {
    let mut lines = Lines { lines: text.split('\n').enumerate(), number: 0 };
    let title = lines.next("title")?;
    if title != TITLE {
        return lines.refuse("title");
    }
    let Ok(network) = lines.value("network")?.parse() else {
        return lines.refuse("network");
    };
    let Leaf::Verdict(leaf) = lines.leaf()? else {
        return lines.refuse("verdict leaf");
    };
    let mut files = Vec::new();
    for _ in 0..lines.count("outputs")? {
        let line = lines.next("output")?;
        let file: Option<FileVerdict> = note::from_base64(line).and_then(|bytes| decode(&bytes, MAX_FILE_BYTES).ok());
        let Some(file) = file else {
            return lines.refuse("output");
        };
        files.push(file);
    }
    let verdict = Verdict::from_leaf(&leaf, files).ok_or(ReceiptError::Outputs)?;
    let proof = lines.proof()?;
    let mut handovers = Vec::new();
    for _ in 0..lines.count("handovers")? {
        let Leaf::Committee(leaf) = lines.leaf()? else {
            return lines.refuse("committee leaf");
        };
        handovers.push(Handover { leaf, proof: lines.proof()?, certificate: lines.certificate()? });
    }
    let certificate = lines.certificate()?;
    if !lines.next("end of the last line")?.is_empty() || lines.lines.next().is_some() {
        return lines.refuse("end");
    }
    Ok(Receipt { network, verdict, proof, handovers, certificate })
}

struct Lines<'a> {
    lines: Enumerate<Split<'a, char>>,
    /// Number of the line read last, from 1.
    number: usize,
}

impl<'a> Lines<'a> {
    fn refuse<T>(&self, part: &'static str) -> Result<T, ReceiptError> {
        Err(ReceiptError::Malformed { line: self.number, part })
    }

    fn next(&mut self, part: &'static str) -> Result<&'a str, ReceiptError> {
        self.number += 1;
        match self.lines.next() {
            Some((_, line)) => Ok(line),
            None => self.refuse(part),
        }
    }

    /// The value of a line `key value`.
    fn value(&mut self, key: &'static str) -> Result<&'a str, ReceiptError> {
        let line = self.next(key)?;
        match line.split_once(' ') {
            Some((found, value)) if found == key => Ok(value),
            _ => self.refuse(key),
        }
    }

    fn count(&mut self, key: &'static str) -> Result<usize, ReceiptError> {
        match self.value(key)?.parse() {
            Ok(count) if count <= MAX_LINES => Ok(count),
            _ => self.refuse(key),
        }
    }

    fn leaf(&mut self) -> Result<Leaf, ReceiptError> {
        let text = self.value("leaf")?;
        let bytes = note::from_base64(text).filter(|bytes| bytes.len() <= MAX_LEAF_BYTES);
        match bytes.and_then(|bytes| Leaf::from_bytes(&bytes).ok()) {
            Some(leaf) => Ok(leaf),
            None => self.refuse("leaf"),
        }
    }

    fn proof(&mut self) -> Result<Vec<Sha256>, ReceiptError> {
        let mut proof = Vec::new();
        for _ in 0..self.count("proof")? {
            let Ok(hash) = self.next("hash")?.parse() else {
                return self.refuse("hash");
            };
            proof.push(hash);
        }
        Ok(proof)
    }

    fn certificate(&mut self) -> Result<Certificate, ReceiptError> {
        let mut text = String::new();
        // Three lines of the checkpoint, an empty one, and the cosignatures.
        for _ in 0..self.count("certificate")? + 4 {
            text.push_str(self.next("certificate")?);
            text.push('\n');
        }
        Ok(text.parse()?)
    }
}
