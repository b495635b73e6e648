//! The files that a hand may be read from: those in one folder tree.

use super::element::{Element, shortened};
use super::error::ImportError;
use super::mesh::Mesh;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// No mesh of a hand is larger, and no text.
const MAX_MESH_BYTES: u64 = 32 << 20;
const MAX_TEXT_BYTES: u64 = 4 << 20;

/// A folder tree, and the file in it that stands for all.
pub(crate) struct Files {
    /// Without links.
    root: PathBuf,
    /// Folder of the main file, without links.
    folder: PathBuf,
    main: PathBuf,
}

impl Files {
    /// Those around the main file, and its name in its folder.
    pub(crate) fn new(main: &Path, root: Option<&Path>) -> Result<(Self, String), ImportError> {
        let whole = resolve(main)?;
        let folder = whole.parent().unwrap_or(Path::new("/")).to_owned();
        let root = root.map_or_else(|| Ok(folder.clone()), resolve)?;
        let name = whole.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if !whole.starts_with(&root) {
            return Err(outside(&main.display().to_string(), &main.display().to_string(), &root));
        }
        Ok((Self { root, folder, main: main.to_owned() }, name))
    }

    /// What errors call the main file.
    pub(crate) fn source_name(&self) -> String {
        self.main.display().to_string()
    }

    /// The XML in a file, whose name is relative to the main file's folder.
    pub(crate) fn document(&self, name: &str) -> Result<Element, ImportError> {
        let path = self.find("", name, &self.source_name())?;
        let text = String::from_utf8(read(&path, MAX_TEXT_BYTES)?)
            .map_err(|error| ImportError::invalid(name, format!("found bytes that are no UTF-8 text: {error}")))?;
        Element::parse(name, &text)
    }

    /// The mesh in a file, whose name is relative to `folder` of the main file's folder. `user` is who names it.
    pub(crate) fn mesh(&self, folder: &str, name: &str, user: &str) -> Result<Mesh, ImportError> {
        let path = self.find(folder, name, user)?;
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
        let bytes = read(&path, MAX_MESH_BYTES)?;
        Mesh::parse(&ending, &bytes).map_err(|reason| ImportError::invalid(user, format!("mesh {name}: {reason}")))
    }

    /// Where a file is, if it is in the tree.
    fn find(&self, folder: &str, name: &str, user: &str) -> Result<PathBuf, ImportError> {
        let name = name.strip_prefix("file://").unwrap_or(name);
        // A package is a folder; which one, the robot's workspace knows.
        let in_package = name.strip_prefix("package://");
        let after_package = in_package.and_then(|name| name.split_once('/')).map(|(_, rest)| rest);
        let names = in_package.into_iter().chain(after_package);
        let places = names
            .flat_map(|name| [self.root.join(name), self.folder.join(name)])
            .chain(in_package.is_none().then(|| self.folder.join(folder).join(name)));
        if Path::new(name).is_absolute() || Path::new(folder).is_absolute() {
            return Err(outside(user, name, &self.root));
        }
        let mut unreadable = None;
        for place in places {
            match resolve(&place) {
                Ok(path) if path.starts_with(&self.root) => return Ok(path),
                Ok(_) => return Err(outside(user, name, &self.root)),
                Err(error) => unreadable = Some(error),
            }
        }
        match unreadable {
            Some(ImportError::Unreadable { source, .. }) => Err(ImportError::invalid(
                user,
                format!("file `{}` of the folder `{}`: cannot be read: {source}", shortened(name), shortened(folder)),
            )),
            _ => Err(ImportError::invalid(user, format!("file `{}`: found none", shortened(name)))),
        }
    }
}

fn outside(user: &str, name: &str, root: &Path) -> ImportError {
    let (name, root) = (shortened(name), root.display());
    ImportError::invalid(user, format!("file `{name}`: found outside of {root}, expected within; --root allows more"))
}

fn resolve(path: &Path) -> Result<PathBuf, ImportError> {
    path.canonicalize().map_err(|source| ImportError::Unreadable { path: path.to_owned(), source })
}

fn read(path: &Path, max_bytes: u64) -> Result<Vec<u8>, ImportError> {
    let unreadable = |source| ImportError::Unreadable { path: path.to_owned(), source };
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    // Who opens a pipe waits.
    if !metadata.is_file() {
        return Err(unreadable(std::io::Error::other("it is no file")));
    }
    let found_bytes = metadata.len();
    let too_large = |found_bytes| ImportError::TooLarge { path: path.to_owned(), found_bytes, max_bytes };
    if found_bytes > max_bytes {
        return Err(too_large(found_bytes));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(max_bytes + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > max_bytes { Err(too_large(bytes.len() as u64)) } else { Ok(bytes) }
}
