//! Named tensors as bytes: safetensors with a checksum, so that a file that was cut or damaged is refused, not used.
//!
//! The only metadata entry is `checksum`: FNV-1a (64 bits) over name, type, shape and bytes of every tensor, sorted by name.
//! Any change of a single byte changes it. The same content always gives the same bytes.

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError, SafeTensors};
use std::collections::{BTreeMap, HashMap};
use thiserror::Error;

/// The bytes are not what they should be.
#[derive(Debug, Error)]
pub enum TensorFileError {
    /// The container is broken.
    #[error("not a safetensors file: {0}")]
    Container(#[from] SafeTensorError),
    /// The content is not what was written.
    #[error("damaged: the checksum is {found}, the content has {expected}")]
    Checksum {
        /// What the file says, "missing" if nothing.
        found: String,
        /// What belongs to the content.
        expected: String,
    },
    /// A tensor is not there.
    #[error("tensor {name:?} is missing")]
    Missing {
        /// Its name.
        name: String,
    },
    /// Nobody asked for a tensor that is there.
    #[error("unexpected tensor {name:?}")]
    Unexpected {
        /// Its name.
        name: String,
    },
    /// A tensor has the wrong type.
    #[error("tensor {name:?} holds {found:?}, expected {expected:?}")]
    Type {
        /// Its name.
        name: String,
        /// Type in the file.
        found: Dtype,
        /// Type that is needed.
        expected: Dtype,
    },
    /// A tensor has the wrong shape.
    #[error("tensor {name:?} has shape {found:?}, expected {expected:?}")]
    Shape {
        /// Its name.
        name: String,
        /// Shape in the file.
        found: Vec<usize>,
        /// Shape that is needed.
        expected: Vec<usize>,
    },
    /// A number is not finite.
    #[error("tensor {name:?} holds {found} at element {index}, expected finite numbers")]
    NotFinite {
        /// Name of the tensor.
        name: String,
        /// Flat index, from 0.
        index: usize,
        /// The value.
        found: f32,
    },
}

/// Collects tensors to be written.
#[derive(Default)]
pub(crate) struct TensorFileWriter {
    tensors: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>,
}

impl TensorFileWriter {
    pub(crate) fn add_f32(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensors.insert(name.to_owned(), (Dtype::F32, shape.to_vec(), bytes));
    }

    pub(crate) fn add_u32(&mut self, name: &str, values: &[u32]) {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensors.insert(name.to_owned(), (Dtype::U32, vec![values.len()], bytes));
    }

    /// The whole file.
    pub(crate) fn finish(self) -> Result<Vec<u8>, TensorFileError> {
        let views = self
            .tensors
            .iter()
            .map(|(name, (dtype, shape, bytes))| Ok((name.as_str(), TensorView::new(*dtype, shape.clone(), bytes)?)))
            .collect::<Result<Vec<_>, SafeTensorError>>()?;
        let checksum = checksum(&views);
        Ok(safetensors::serialize(views, Some(HashMap::from([("checksum".to_owned(), checksum)])))?)
    }
}

/// Reads tensors by name, each once; what is left in the end is an error.
pub(crate) struct TensorFileReader<'a> {
    tensors: BTreeMap<String, TensorView<'a>>,
}

impl<'a> TensorFileReader<'a> {
    /// Parses the container and checks the checksum.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, TensorFileError> {
        let file = SafeTensors::deserialize(bytes)?;
        let (_, metadata) = SafeTensors::read_metadata(bytes)?;
        let found = metadata.metadata().as_ref().and_then(|entries| entries.get("checksum"));
        let tensors: BTreeMap<String, TensorView<'a>> = file.tensors().into_iter().collect();
        let views: Vec<_> = tensors.iter().map(|(name, view)| (name.as_str(), view.clone())).collect();
        let expected = checksum(&views);
        if found != Some(&expected) {
            let found = found.cloned().unwrap_or_else(|| "missing".to_owned());
            return Err(TensorFileError::Checksum { found, expected });
        }
        Ok(Self { tensors })
    }

    /// Takes a tensor of finite `f32`.
    pub(crate) fn take_f32(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, TensorFileError> {
        let view = self.take(name, Dtype::F32, Some(shape))?;
        let (words, _) = view.data().as_chunks::<4>();
        let values: Vec<f32> = words.iter().map(|&word| f32::from_le_bytes(word)).collect();
        match values.iter().position(|value| !value.is_finite()) {
            Some(index) => Err(TensorFileError::NotFinite { name: name.to_owned(), index, found: values[index] }),
            None => Ok(values),
        }
    }

    /// Takes a vector of `u32`, of any length.
    pub(crate) fn take_u32(&mut self, name: &str) -> Result<Vec<u32>, TensorFileError> {
        let view = self.take(name, Dtype::U32, None)?;
        let (words, _) = view.data().as_chunks::<4>();
        Ok(words.iter().map(|&word| u32::from_le_bytes(word)).collect())
    }

    /// Refuses a file that holds more than was taken.
    pub(crate) fn finish(self) -> Result<(), TensorFileError> {
        match self.tensors.into_keys().next() {
            Some(name) => Err(TensorFileError::Unexpected { name }),
            None => Ok(()),
        }
    }

    fn take(
        &mut self,
        name: &str,
        expected: Dtype,
        shape: Option<&[usize]>,
    ) -> Result<TensorView<'a>, TensorFileError> {
        let view = self.tensors.remove(name).ok_or_else(|| TensorFileError::Missing { name: name.to_owned() })?;
        if view.dtype() != expected {
            return Err(TensorFileError::Type { name: name.to_owned(), found: view.dtype(), expected });
        }
        match shape {
            Some(expected) if view.shape() != expected => Err(TensorFileError::Shape {
                name: name.to_owned(),
                found: view.shape().to_vec(),
                expected: expected.to_vec(),
            }),
            _ => Ok(view),
        }
    }
}

/// `views` are sorted by name.
fn checksum(views: &[(&str, TensorView<'_>)]) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut feed = |bytes: &[u8]| {
        for &byte in bytes {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for (name, view) in views {
        feed(format!("{name:?} {:?} {:?}", view.dtype(), view.shape()).as_bytes());
        feed(view.data());
    }
    format!("{hash:016x}")
}
