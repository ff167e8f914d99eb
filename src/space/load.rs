//! Where spaces come from: embedded files, a user's file, text.

use std::fs;
use std::path::Path;

use super::error::SpaceError;
use super::model::Space;

/// Name and text of every embedded file, in the order of listings.
const BUILT_IN: &[(&str, &str)] = &[
    ("zhang64", include_str!("../../spaces/zhang64.toml")),
    ("nasbench201", include_str!("../../spaces/nasbench201.toml")),
    ("darts", include_str!("../../spaces/darts.toml")),
];

impl Space {
    /// Names for [`Space::built_in`].
    pub fn built_in_names() -> Vec<&'static str> {
        BUILT_IN.iter().map(|&(name, _)| name).collect()
    }

    /// The space that comes with the program under this name.
    ///
    /// # Errors
    /// [`SpaceError::UnknownName`].
    pub fn built_in(name: &str) -> Result<Self, SpaceError> {
        match BUILT_IN.iter().find(|(known, _)| *known == name) {
            Some((name, text)) => Self::from_toml(text, &format!("spaces/{name}.toml")),
            None => Err(SpaceError::UnknownName { name: name.to_owned(), built_in: built_in_list() }),
        }
    }

    /// A built-in space by its name, else the file at this path, which must end in `.toml`.
    ///
    /// # Errors
    /// An unknown name, a file that cannot be read, and everything that [`Space::from_toml`] refuses.
    pub fn load(name_or_path: &str) -> Result<Self, SpaceError> {
        let path = Path::new(name_or_path);
        if path.extension().is_none_or(|extension| extension != "toml") {
            return Self::built_in(name_or_path);
        }
        let text = fs::read_to_string(path).map_err(|cause| SpaceError::Read {
            path: path.to_owned(),
            cause,
            built_in: built_in_list(),
        })?;
        Self::from_toml(&text, name_or_path)
    }

    /// A hash of everything that decides what children of this space compute: all but its title and source.
    pub fn digest(&self) -> String {
        let bare = Self { title: String::new(), source: String::new(), ..self.clone() };
        let text = serde_json::to_string(&bare).expect("names, numbers and tables with names as keys");
        blake3::hash(text.as_bytes()).to_string()
    }

    /// Reads and validates a space. `origin` names the text in errors: the path of its file.
    ///
    /// # Errors
    /// [`SpaceError::Syntax`] and [`SpaceError::Invalid`].
    pub fn from_toml(text: &str, origin: &str) -> Result<Self, SpaceError> {
        let space: Self = toml::from_str(text).map_err(|error| SpaceError::Syntax {
            origin: origin.to_owned(),
            line: error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1),
            message: error
                .message()
                .trim()
                .replace('\n', ", ")
                .replace("unknown field", "unknown key")
                .replace("missing field", "missing key"),
        })?;
        space.validate(origin)?;
        Ok(space)
    }
}

fn built_in_list() -> String {
    Space::built_in_names().iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
