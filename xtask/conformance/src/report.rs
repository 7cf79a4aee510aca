//! The reports of a run, written into one folder.
//!
//! All three say the same: JSON for programs, JUnit XML for CI servers, one page for people.

mod junit;
mod page;
#[cfg(test)]
mod sample;

use std::fs;
use std::io;
use std::path::Path;

use crate::outcome::Run;

use junit::xml;
use page::html;

/// Writes `report.json`, `junit.xml` and `report.html`; the folder is made when it is not there.
///
/// # Errors
/// When the disk refuses.
pub fn write(folder: &Path, run: &Run) -> io::Result<()> {
    let (xml, html) = (xml(run).map_err(io::Error::other)?, html(run).map_err(io::Error::other)?);
    fs::create_dir_all(folder)?;
    fs::write(folder.join("report.json"), serde_json::to_vec_pretty(run)?)?;
    fs::write(folder.join("junit.xml"), xml)?;
    fs::write(folder.join("report.html"), html)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gets_all_three_reports() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("not/there/yet");
        write(&folder, &sample::run()).unwrap();
        let mut names: Vec<_> =
            fs::read_dir(&folder).unwrap().map(|it| it.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["junit.xml", "report.html", "report.json"]);
        let text = fs::read_to_string(folder.join("report.json")).unwrap();
        let read: Run = serde_json::from_str(&text).unwrap();
        assert_eq!(read.counts(), sample::run().counts());
    }
}
