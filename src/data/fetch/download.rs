//! One file over HTTP.

use super::catalog::RemoteFile;
use super::part::{BLOCK, Part, md5_of};
use super::{FetchError, Outcome};
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// How far a file is.
#[derive(Clone, Copy, Debug)]
pub struct Transfer<'a> {
    pub file: &'a str,
    /// Bytes that are there, those of earlier calls included.
    pub received: u64,
    /// Bytes of the whole file, where the server says so.
    pub total: Option<u64>,
}

/// How long a server may be silent.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .user_agent(concat!("crosstalk/", env!("CARGO_PKG_VERSION")))
        .timeout_connect(Some(PATIENCE))
        .timeout_recv_response(Some(PATIENCE))
        .timeout_per_read(Some(PATIENCE));
    config.build().into()
}

/// Downloads `url` into `folder` under the file's name, unless it is there.
pub fn download(
    agent: &ureq::Agent,
    url: &str,
    file: &RemoteFile,
    page: &'static str,
    folder: &Path,
    observe: &mut dyn FnMut(Transfer),
) -> Result<Outcome, FetchError> {
    let (path, expected) = (folder.join(file.name), file.md5);
    if path.exists() {
        let found = md5_of(&path)?;
        return if found == expected {
            Ok(Outcome::Present)
        } else {
            Err(FetchError::OtherFile { path, found, expected })
        };
    }
    let mut part = Part::open(&path)?;
    // A part that was complete when an earlier call ended needs no server.
    if part.md5() != expected {
        transfer(agent, url, file.name, page, &mut part, observe)?;
    }
    let found = part.md5();
    if found != expected {
        part.discard()?;
        return Err(FetchError::Checksum { url: url.to_owned(), found, expected });
    }
    part.put_in_place(&path)?;
    Ok(Outcome::Downloaded)
}

/// Fills `part` from where it ends.
fn transfer(
    agent: &ureq::Agent,
    url: &str,
    name: &str,
    page: &'static str,
    part: &mut Part,
    observe: &mut dyn FnMut(Transfer),
) -> Result<(), FetchError> {
    let mut request = agent.get(url);
    if part.length > 0 {
        request = request.header("Range", format!("bytes={}-", part.length));
    }
    let response = request.call().map_err(|cause| FetchError::Unreachable { url: url.to_owned(), cause })?;
    match response.status().as_u16() {
        // The whole file, whether or not a part was asked for.
        200 => part.restart()?,
        206 => {
            let range = response.headers().get("content-range").and_then(|range| range.to_str().ok()).unwrap_or("");
            if !range.starts_with(&format!("bytes {}-", part.length)) {
                let (found, part_path) = (range.to_owned(), part.path.clone());
                return Err(FetchError::WrongRange {
                    url: url.to_owned(),
                    expected: part.length,
                    found,
                    part: part_path,
                });
            }
        }
        // Nothing follows the part; its checksum says whether it is the file.
        416 if part.length > 0 => return Ok(()),
        status => return Err(FetchError::Status { url: url.to_owned(), status, page }),
    }
    let total = response.body().content_length().map(|rest| part.length + rest);
    let mut reader = response.into_body().into_reader();
    let mut block = vec![0; BLOCK];
    loop {
        observe(Transfer { file: name, received: part.length, total });
        let broke_off =
            |received, cause: String| FetchError::Interrupted { url: url.to_owned(), received, total, cause };
        match reader.read(&mut block) {
            Ok(0) if total.is_some_and(|total| part.length < total) => {
                return Err(broke_off(part.length, "the connection ended".to_owned()));
            }
            Ok(0) => return Ok(()),
            Ok(read) => part.append(&block[..read])?,
            Err(cause) => return Err(broke_off(part.length, cause.to_string())),
        }
    }
}
