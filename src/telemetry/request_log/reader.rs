//! Reads the request log from its oldest file to the end of the newest, and goes on from there
//! while files are rotated.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::Line;
use super::files::path;

/// Lines given at once.
const PIECE: usize = 4096;

/// Where somebody has read to.
pub struct Reader {
    data_dir: PathBuf,
    current: Option<Open>,
    /// The begin of a line whose end is not written yet.
    begun: Vec<u8>,
}

/// What was added since the last look.
#[derive(Debug, Default)]
pub struct News {
    /// Whole lines, oldest first.
    pub lines: Vec<Line<'static>>,
    /// Lines that are none of this release's.
    pub unreadable: u64,
    /// Files went before they were read: the log grew faster than it was followed.
    pub has_gap: bool,
}

struct Open {
    inode: u64,
    reader: BufReader<File>,
}

impl Reader {
    /// At the begin of the oldest file. There may be none yet.
    pub fn new(data_dir: &Path) -> Self {
        Self { data_dir: data_dir.to_owned(), current: None, begun: Vec::new() }
    }

    /// Whether there is anything to read.
    pub fn has_files(&self) -> bool {
        path(&self.data_dir, 0).is_file()
    }

    /// Gives what was added since the last call, in pieces: without lines when all is read.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn read_on(&mut self) -> io::Result<News> {
        let mut news = News::default();
        while self.read_current(&mut news)? {
            let Some(next) = self.next_file(&mut news.has_gap)? else { break };
            // What was written between the end that was read and the rotation.
            if !self.read_current(&mut news)? {
                break;
            }
            news.unreadable += u64::from(!self.begun.is_empty());
            self.begun.clear();
            self.current = Some(next);
        }
        Ok(news)
    }

    /// The file that follows the current one; the oldest, when that is gone.
    fn next_file(&self, has_gap: &mut bool) -> io::Result<Option<Open>> {
        let current = self.current.as_ref().map(|current| current.inode);
        let (mut next, mut holes) = (None, 0);
        for ago in 0.. {
            let Some(open) = open(&path(&self.data_dir, ago))? else {
                // One file may be on its way to its next name.
                holes += 1;
                if holes > 1 {
                    break;
                }
                continue;
            };
            if current == Some(open.inode) {
                return Ok(next);
            }
            next = Some(open);
        }
        *has_gap |= current.is_some() && next.is_some();
        Ok(next)
    }

    /// Reads whole lines; whether their end was reached before a piece was full.
    fn read_current(&mut self, news: &mut News) -> io::Result<bool> {
        let Some(open) = &mut self.current else { return Ok(true) };
        while news.lines.len() < PIECE {
            open.reader.read_until(b'\n', &mut self.begun)?;
            if self.begun.last() != Some(&b'\n') {
                return Ok(true);
            }
            match serde_json::from_slice::<Line<'_>>(&self.begun) {
                Ok(line) => news.lines.push(line),
                Err(_) => news.unreadable += 1,
            }
            self.begun.clear();
        }
        Ok(false)
    }
}

fn open(path: &Path) -> io::Result<Option<Open>> {
    match File::open(path) {
        Ok(file) => {
            let inode = file.metadata()?.ino();
            Ok(Some(Open { inode, reader: BufReader::new(file) }))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
