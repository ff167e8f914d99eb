//! What can go wrong with a download.

use crate::files::FileError;
use std::path::PathBuf;

/// One sentence each: where, what is wrong, what to do.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error(transparent)]
    File(#[from] FileError),

    #[error("{url} cannot be reached ({cause}): check the network, or name another place with --url")]
    Unreachable { url: String, cause: ureq::Error },

    #[error(
        "the server answered {status} for {url}: name a place that has the file with --url, or download it by hand ({page})"
    )]
    Status { url: String, status: u16, page: &'static str },

    #[error(
        "the server answered a request for {url} from byte {expected} on with `{found}`: remove {}, and start again", part.display()
    )]
    WrongRange { url: String, expected: u64, found: String, part: PathBuf },

    #[error(
        "the transfer of {url} broke off after {received}{} bytes ({cause}): the same command goes on from there",
        total.map_or_else(String::new, |total| format!(" of {total}"))
    )]
    Interrupted { url: String, received: u64, total: Option<u64>, cause: String },

    #[error(
        "what came from {url} has MD5 {found}, not {expected}, and was removed: try again, or name another place with --url"
    )]
    Checksum { url: String, found: String, expected: &'static str },

    #[error(
        "{} has MD5 {found}, not {expected}: it is damaged or another file; move it away, or choose another folder with --to",
        path.display()
    )]
    OtherFile { path: PathBuf, found: String, expected: &'static str },
}
