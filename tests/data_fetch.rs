//! Downloads from a server on loopback that behaves well, badly, or not at all.

mod common;

use common::command::Workshop;
use crosstalk::data::Source;
use crosstalk::data::fetch::{FetchError, Outcome, RemoteFile, RemoteSet, Transfer, fetch, known_sets};
use crosstalk::files::FolderLock;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

const LARGE: &str = "large.bin";
const SMALL: &str = "small.bin";
const SET: RemoteSet = RemoteSet {
    name: "test",
    base: "http://127.0.0.1:9/nowhere",
    page: "https://example.org/",
    files: &[
        RemoteFile { name: LARGE, md5: "3f8873b0f85fd1d7a39cdfbee8fcbe0d" },
        RemoteFile { name: SMALL, md5: "cff5b5886d361a1b2bae0970374b89a4" },
    ],
    source: |folder| Source::Idx(folder.to_owned()),
};

/// The bytes behind the checksums.
fn content(name: &str) -> Vec<u8> {
    match name {
        LARGE => (0..300_000).map(|i| (i * 7 + i / 251) as u8).collect(),
        _ => (0..1000).map(|i| (i * 11 + i / 13) as u8).collect(),
    }
}

/// What the server does with a request that asks for the bytes of a file from `start` on.
#[derive(Clone, Copy)]
enum Manner {
    /// As HTTP says.
    Good,
    /// As HTTP says, but it hangs up after so many bytes.
    BreaksOff(usize),
    IgnoresRange,
    /// Claims to send from the first byte.
    WrongRange,
    NotFound,
    OtherBytes,
}

/// `GET` paths and their range, in order.
type Requests = Arc<Mutex<Vec<(String, Option<usize>)>>>;

struct Server {
    base: String,
    manner: Arc<Mutex<Manner>>,
    requests: Requests,
}

impl Server {
    /// Listens on a free port until the test ends.
    fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}/sets", listener.local_addr().unwrap());
        let server = Self { base, manner: Arc::new(Mutex::new(manner)), requests: Requests::default() };
        let (manner, requests) = (server.manner.clone(), server.requests.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that hangs up is its own matter.
                let _ = stream.and_then(|stream| answer(stream, *manner.lock().unwrap(), &requests));
            }
        });
        server
    }

    fn set_manner(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    fn fetch(&self, folder: &Path) -> Result<Vec<(&'static str, Outcome)>, FetchError> {
        fetch(&SET, folder, Some(&self.base), &mut |_| {})
    }

    fn requests(&self) -> Vec<(String, Option<usize>)> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

fn answer(mut stream: TcpStream, manner: Manner, requests: &Requests) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let path = lines.next().unwrap()?.split(' ').nth(1).unwrap().to_owned();
    let mut range = None;
    for line in lines {
        let line = line?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(text) = line.strip_prefix("range: bytes=") {
            range = Some(text.trim_end_matches('-').parse().unwrap());
        }
    }
    requests.lock().unwrap().push((path.clone(), range));
    let mut body = content(path.rsplit('/').next().unwrap());
    if let Manner::OtherBytes = manner {
        body[17] ^= 1;
    }
    let (whole, start) = (body.len(), range.unwrap_or(0));
    let (status, range_header) = match manner {
        Manner::NotFound => ("404 Not Found", None),
        Manner::WrongRange => ("206 Partial Content", Some(format!("bytes 0-{}/{whole}", whole - 1))),
        Manner::IgnoresRange => ("200 OK", None),
        _ if range.is_some() && start >= whole => ("416 Range Not Satisfiable", Some(format!("bytes */{whole}"))),
        _ if range.is_some() => ("206 Partial Content", Some(format!("bytes {start}-{}/{whole}", whole - 1))),
        _ => ("200 OK", None),
    };
    let body = match &status[..3] {
        "206" => &body[start.min(whole)..],
        "200" => &body[..],
        _ => b"nothing here",
    };
    let header = range_header.map_or_else(String::new, |range| format!("Content-Range: {range}\r\n"));
    let length = body.len();
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{header}Connection: close\r\n\r\n")?;
    match manner {
        Manner::BreaksOff(after) => stream.write_all(&body[..after.min(length)]),
        _ => stream.write_all(body),
    }
}

/// Both files are there and whole, and nothing unfinished is beside them.
fn assert_complete(folder: &Path) {
    for name in [LARGE, SMALL] {
        assert_eq!(fs::read(folder.join(name)).unwrap(), content(name), "{name}");
        assert!(!part(folder, name).exists());
    }
}

fn part(folder: &Path, name: &str) -> std::path::PathBuf {
    folder.join(format!("{name}.part"))
}

#[test]
fn files_that_are_there_are_checked_and_not_downloaded_again() {
    let (server, folder) = (Server::start(Manner::Good), tempfile::tempdir().unwrap());
    let inner = folder.path().join("made/for/it");
    let downloaded = server.fetch(&inner).unwrap();
    assert_eq!(downloaded, [(LARGE, Outcome::Downloaded), (SMALL, Outcome::Downloaded)]);
    assert_complete(&inner);
    assert_eq!(server.requests(), [(format!("/sets/{LARGE}"), None), (format!("/sets/{SMALL}"), None)]);
    assert_eq!(server.fetch(&inner).unwrap(), [(LARGE, Outcome::Present), (SMALL, Outcome::Present)]);
    assert_eq!(server.requests(), []);
}

#[test]
fn a_transfer_that_broke_off_goes_on_where_it_stopped() {
    let (server, folder) = (Server::start(Manner::BreaksOff(120_000)), tempfile::tempdir().unwrap());
    let error = server.fetch(folder.path()).unwrap_err();
    assert!(matches!(error, FetchError::Interrupted { received: 120_000, total: Some(300_000), .. }), "{error}");
    assert!(error.to_string().contains("120000 of 300000") && error.to_string().contains("goes on"), "{error}");
    assert!(!folder.path().join(LARGE).exists());
    assert_eq!(fs::read(part(folder.path(), LARGE)).unwrap(), content(LARGE)[..120_000]);
    server.requests();

    server.set_manner(Manner::Good);
    server.fetch(folder.path()).unwrap();
    assert_complete(folder.path());
    assert_eq!(server.requests()[0], (format!("/sets/{LARGE}"), Some(120_000)));
}

#[test]
fn a_server_that_sends_the_whole_file_again_is_understood() {
    let (server, folder) = (Server::start(Manner::BreaksOff(120_000)), tempfile::tempdir().unwrap());
    server.fetch(folder.path()).unwrap_err();
    server.set_manner(Manner::IgnoresRange);
    server.fetch(folder.path()).unwrap();
    assert_complete(folder.path());
}

#[test]
fn a_server_that_sends_another_range_is_refused_and_the_part_kept() {
    let (server, folder) = (Server::start(Manner::BreaksOff(120_000)), tempfile::tempdir().unwrap());
    server.fetch(folder.path()).unwrap_err();
    server.set_manner(Manner::WrongRange);
    let error = server.fetch(folder.path()).unwrap_err();
    assert!(matches!(error, FetchError::WrongRange { expected: 120_000, .. }), "{error}");
    assert_eq!(fs::metadata(part(folder.path(), LARGE)).unwrap().len(), 120_000);
}

#[test]
fn a_part_that_was_complete_is_put_in_place_without_asking() {
    let (server, folder) = (Server::start(Manner::Good), tempfile::tempdir().unwrap());
    fs::write(part(folder.path(), LARGE), content(LARGE)).unwrap();
    server.fetch(folder.path()).unwrap();
    assert_complete(folder.path());
    assert_eq!(server.requests(), [(format!("/sets/{SMALL}"), None)]);
}

#[test]
fn wrong_bytes_are_removed_and_the_next_call_starts_again() {
    let (server, folder) = (Server::start(Manner::OtherBytes), tempfile::tempdir().unwrap());
    let error = server.fetch(folder.path()).unwrap_err();
    assert!(matches!(&error, FetchError::Checksum { expected, .. } if *expected == SET.files[0].md5), "{error}");
    assert!(!folder.path().join(LARGE).exists() && !part(folder.path(), LARGE).exists());

    server.set_manner(Manner::Good);
    // A damaged part is found out too, and so is one that is longer than the file.
    for damaged in [vec![0; 120_000], vec![0; 300_001]] {
        fs::write(part(folder.path(), LARGE), damaged).unwrap();
        let error = server.fetch(folder.path()).unwrap_err();
        assert!(matches!(error, FetchError::Checksum { .. }), "{error}");
    }
    server.fetch(folder.path()).unwrap();
    assert_complete(folder.path());
}

#[test]
fn another_file_under_the_name_is_left_alone() {
    let (server, folder) = (Server::start(Manner::Good), tempfile::tempdir().unwrap());
    fs::write(folder.path().join(LARGE), "mine").unwrap();
    let error = server.fetch(folder.path()).unwrap_err();
    assert!(matches!(error, FetchError::OtherFile { .. }) && error.to_string().contains("--to"), "{error}");
    assert_eq!(fs::read(folder.path().join(LARGE)).unwrap(), b"mine");
    assert_eq!(server.requests(), []);
}

#[test]
fn a_missing_file_and_a_refused_connection_are_named_with_a_way_out() {
    let (server, folder) = (Server::start(Manner::NotFound), tempfile::tempdir().unwrap());
    let error = server.fetch(folder.path()).unwrap_err();
    assert!(matches!(error, FetchError::Status { status: 404, .. }), "{error}");
    assert!(error.to_string().contains(&format!("{}/{LARGE}", server.base)), "{error}");

    // The port was free a moment ago, and nobody listens on it.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = fetch(&SET, folder.path(), Some(&format!("http://{port}/")), &mut |_| {}).unwrap_err();
    assert!(matches!(error, FetchError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("--url") && error.to_string().contains(&port.to_string()), "{error}");
}

#[test]
fn a_folder_that_another_process_fills_is_refused() {
    let (server, folder) = (Server::start(Manner::Good), tempfile::tempdir().unwrap());
    let _held = FolderLock::take(folder.path()).unwrap();
    let error = server.fetch(folder.path()).unwrap_err().to_string();
    assert!(error.contains("another process is using it"), "{error}");
    assert_eq!(server.requests(), []);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_said_to_be_full() {
    let (server, folder) = (Server::start(Manner::Good), tempfile::tempdir().unwrap());
    std::os::unix::fs::symlink("/dev/full", part(folder.path(), SMALL)).unwrap();
    fs::write(folder.path().join(LARGE), content(LARGE)).unwrap();
    let small = RemoteSet { files: &SET.files[1..], ..SET };
    let error = fetch(&small, folder.path(), Some(&server.base), &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("the disk is full"), "{error}");
}

#[test]
fn progress_grows_to_the_size_of_every_file() {
    let (server, folder) = (Server::start(Manner::Good), tempfile::tempdir().unwrap());
    let mut seen: Vec<(String, u64, Option<u64>)> = Vec::new();
    let mut observe = |transfer: Transfer| seen.push((transfer.file.to_owned(), transfer.received, transfer.total));
    fetch(&SET, folder.path(), Some(&server.base), &mut observe).unwrap();
    for (name, size) in [(LARGE, 300_000), (SMALL, 1000)] {
        let of_file: Vec<u64> =
            seen.iter().filter(|(file, ..)| file == name).map(|(_, received, _)| *received).collect();
        assert!(of_file.is_sorted() && of_file.first() == Some(&0) && of_file.last() == Some(&size), "{of_file:?}");
    }
    assert!(seen.iter().all(|(file, _, total)| *total == Some(if file == LARGE { 300_000 } else { 1000 })));
}

#[test]
fn every_known_set_has_whole_checksums_and_a_source_of_its_folder() {
    let folder = Path::new("some/where");
    let sources: Vec<String> = known_sets().iter().map(|set| (set.source)(folder).to_string()).collect();
    assert_eq!(sources, ["cifar10:some/where", "idx:some/where", "idx:some/where"]);
    for file in known_sets().iter().flat_map(|set| set.files) {
        assert!(file.md5.len() == 32 && file.md5.bytes().all(|digit| digit.is_ascii_hexdigit()), "{}", file.name);
    }
}

#[test]
fn the_command_says_in_one_sentence_what_went_wrong() {
    let (server, shop) = (Server::start(Manner::Good), Workshop::new());
    let error = shop.refused(&format!("data fetch mnist --to set --url {}", server.base));
    assert!(error.starts_with("error: what came from") && error.lines().count() == 1, "{error}");
    assert!(error.contains("f68b3c2dcbeaaa9fbdd348bbdeb94873"), "{error}");
    let unknown = shop.command("data fetch imagenet").output().unwrap();
    let error = String::from_utf8(unknown.stderr).unwrap();
    assert!(unknown.status.code() == Some(2) && error.contains("cifar10, mnist, fashion-mnist"), "{error}");
}
