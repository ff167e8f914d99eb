//! Errors of a run that goes on where it stopped: they name the command.

use crate::files::FileError;
use crate::records::RecordError;
use crate::report::ReportError;
use crate::train::TrainError;
use std::path::Path;

/// What stopped the run in `folder`; where there was no room for a file, with the command that goes on when there is.
pub fn stopped(error: anyhow::Error, folder: &Path) -> anyhow::Error {
    let run = folder.display();
    match file_error(&error) {
        Some(file) if file.lacks_room() => {
            anyhow::anyhow!("the run in {run} stopped: {error:#} with `crosstalk train --resume {run}`")
        }
        _ => error.context(format!("the run in {run} stopped")),
    }
}

fn file_error(error: &anyhow::Error) -> Option<&FileError> {
    if let Some(error) = error.downcast_ref::<TrainError>() {
        return error.file();
    }
    match (error.downcast_ref::<RecordError>(), error.downcast_ref::<ReportError>()) {
        (Some(RecordError::File(file)), _) | (_, Some(ReportError::File(file))) => Some(file),
        _ => error.downcast_ref::<FileError>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;

    #[test]
    fn where_there_was_no_room_the_way_on_is_named_whatever_was_written() {
        let file = |kind: ErrorKind| FileError::new("write", Path::new("runs/a/x"), kind.into());
        let full = || file(ErrorKind::StorageFull);
        let told = "the run in runs/a stopped: cannot write runs/a/x: the disk is full; free some space and try again \
                    with `crosstalk train --resume runs/a`";
        let errors: [anyhow::Error; 5] = [
            full().into(),
            RecordError::from(full()).into(),
            ReportError::from(full()).into(),
            TrainError::from(full()).into(),
            TrainError::from(RecordError::from(full())).into(),
        ];
        for error in errors {
            assert_eq!(format!("{:#}", stopped(error, Path::new("runs/a"))), told);
        }
        let denied = format!("{:#}", stopped(file(ErrorKind::PermissionDenied).into(), Path::new("runs/a")));
        assert!(
            denied.starts_with("the run in runs/a stopped: cannot write") && !denied.contains("--resume"),
            "{denied}"
        );
    }
}
