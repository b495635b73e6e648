//! The parameters of a network: named `f32` tensors, always in the order of their names.
//!
//! The *flat layout* of a [`Params`] is all its tensors row-major, one after the other in that order. Gradients and the
//! optimiser's state are vectors in the flat layout.
//!
//! The tensors are candle variables: layers hold handles to them, and every update is written in place, so that the
//! layers see it.

use crate::kernels;
use crate::ops::{read, write};
use crate::tensor_file::{TensorFileError, TensorFileReader, TensorFileWriter};
use bridge::random;
use candle_core::{Device, Tensor, Var};
use rand::Rng as _;
use std::collections::BTreeMap;
use std::ops::Range;
use thiserror::Error;

/// Parameters could not be made, found, read or written.
#[derive(Debug, Error)]
pub enum ParamsError {
    /// candle failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
    /// A file cannot be used.
    #[error("parameters file: {0}")]
    File(#[from] TensorFileError),
    /// Two tensors were given the same name.
    #[error("two tensors are named {name:?}")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// No tensor has the name.
    #[error("no tensor is named {name:?}")]
    Unknown {
        /// The name.
        name: String,
    },
    /// Two sets of parameters belong to different networks.
    #[error("tensor {name:?} is not the same in both networks")]
    Different {
        /// The first tensor that differs in name, shape, or fixed values.
        name: String,
    },
    /// A flat vector has the wrong length.
    #[error("the flat vector has {found} elements, expected {expected}")]
    FlatLength {
        /// Its length.
        found: usize,
        /// Number of elements of the parameters.
        expected: usize,
    },
}

/// Makes the tensors of a network. The start values of a tensor depend on the seed and its own name only.
#[derive(Debug)]
pub struct ParamsBuilder {
    seed: u64,
    device: Device,
    vars: BTreeMap<String, Var>,
    fixed: BTreeMap<String, Vec<u32>>,
}

impl ParamsBuilder {
    /// No tensors yet.
    #[must_use]
    pub fn new(seed: u64, device: &Device) -> Self {
        Self { seed, device: device.clone(), vars: BTreeMap::new(), fixed: BTreeMap::new() }
    }

    /// A tensor of independent numbers, uniform in `[-bound, bound]`; a layer's bound is one over the root of its number
    /// of inputs.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn uniform(&mut self, name: &str, shape: &[usize], bound: f32) -> Result<(), ParamsError> {
        let mut rng = random::stream(self.seed, &format!("parameters {name}"), 0);
        let n_elements = shape.iter().product();
        let values = (0..n_elements).map(|_| bound * (2.0 * rng.random::<f32>() - 1.0)).collect();
        self.insert(name, shape, values)
    }

    /// A tensor of one value.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn constant(&mut self, name: &str, shape: &[usize], value: f32) -> Result<(), ParamsError> {
        self.insert(name, shape, vec![value; shape.iter().product()])
    }

    /// A vector of numbers that is part of the network and of its file, but is never trained.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn fixed(&mut self, name: &str, values: Vec<u32>) -> Result<(), ParamsError> {
        self.check_free(name)?;
        self.fixed.insert(name.to_owned(), values);
        Ok(())
    }

    /// All tensors that were made.
    #[must_use]
    pub fn build(self) -> Params {
        Params { device: self.device, vars: self.vars, fixed: self.fixed }
    }

    fn insert(&mut self, name: &str, shape: &[usize], values: Vec<f32>) -> Result<(), ParamsError> {
        self.check_free(name)?;
        let var = Var::from_tensor(&Tensor::from_vec(values, shape, &self.device)?)?;
        self.vars.insert(name.to_owned(), var);
        Ok(())
    }

    fn check_free(&self, name: &str) -> Result<(), ParamsError> {
        if self.vars.contains_key(name) || self.fixed.contains_key(name) {
            return Err(ParamsError::Duplicate { name: name.to_owned() });
        }
        Ok(())
    }
}

/// The parameters of a network.
#[derive(Debug)]
pub struct Params {
    device: Device,
    vars: BTreeMap<String, Var>,
    fixed: BTreeMap<String, Vec<u32>>,
}

impl Params {
    /// Where the tensors are.
    #[must_use]
    pub const fn device(&self) -> &Device {
        &self.device
    }

    /// The tensor of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn var(&self, name: &str) -> Result<&Var, ParamsError> {
        self.vars.get(name).ok_or_else(|| ParamsError::Unknown { name: name.to_owned() })
    }

    /// The fixed vector of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn fixed(&self, name: &str) -> Result<&[u32], ParamsError> {
        self.fixed.get(name).map(Vec::as_slice).ok_or_else(|| ParamsError::Unknown { name: name.to_owned() })
    }

    /// Replaces the fixed vector of this name by one of the same length: for constants that are known later than the network.
    ///
    /// # Errors
    /// When there is none, or its length differs.
    pub fn set_fixed(&mut self, name: &str, values: Vec<u32>) -> Result<(), ParamsError> {
        match self.fixed.get_mut(name) {
            Some(old) if old.len() == values.len() => *old = values,
            Some(_) => return Err(ParamsError::Different { name: name.to_owned() }),
            None => return Err(ParamsError::Unknown { name: name.to_owned() }),
        }
        Ok(())
    }

    /// All trainable tensors, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.vars.iter().map(|(name, var)| (name.as_str(), var))
    }

    /// All trainable tensors with their places in the flat layout.
    pub fn layout(&self) -> impl Iterator<Item = (&str, &Var, Range<usize>)> {
        let mut end = 0;
        self.iter().map(move |(name, var)| {
            let start = end;
            end += var.elem_count();
            (name, var, start..end)
        })
    }

    /// Number of trainable numbers: the length of the flat layout.
    #[must_use]
    pub fn n_elements(&self) -> usize {
        self.vars.values().map(|var| var.elem_count()).sum()
    }

    /// Writes all values into `flat`.
    ///
    /// # Errors
    /// When `flat` has the wrong length.
    pub fn copy_to_flat(&self, flat: &mut [f32]) -> Result<(), ParamsError> {
        self.check_flat(flat.len())?;
        for (_, var, range) in self.layout() {
            read(var, |values| {
                flat[range].copy_from_slice(values);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Takes all values from `flat`.
    ///
    /// # Errors
    /// When `flat` has the wrong length.
    pub fn copy_from_flat(&self, flat: &[f32]) -> Result<(), ParamsError> {
        self.check_flat(flat.len())?;
        self.update(|range, values| values.copy_from_slice(&flat[range]))
    }

    /// Parameters of their own with the same values, on any device.
    ///
    /// # Errors
    /// When the device refuses a tensor.
    pub fn clone_on(&self, device: &Device) -> Result<Self, ParamsError> {
        let copy = |(name, var): (&String, &Var)| {
            Ok((name.clone(), Var::from_tensor(&var.as_detached_tensor().to_device(device)?)?))
        };
        let vars = self.vars.iter().map(copy).collect::<Result<_, candle_core::Error>>()?;
        Ok(Self { device: device.clone(), vars, fixed: self.fixed.clone() })
    }

    /// Takes all values from `other`.
    ///
    /// # Errors
    /// When `other` belongs to a different network; nothing is changed then.
    pub fn copy_from(&self, other: &Self) -> Result<(), ParamsError> {
        self.combine(other, |target, source| target.copy_from_slice(source))
    }

    /// Moves all values towards those of `other`: `self += tau (other - self)`.
    ///
    /// # Errors
    /// When `other` belongs to a different network; nothing is changed then.
    pub fn polyak_from(&self, other: &Self, tau: f32) -> Result<(), ParamsError> {
        self.combine(other, |target, source| kernels::polyak(target, source, tau))
    }

    /// All values as the bytes of a file.
    ///
    /// # Errors
    /// When a tensor cannot be read.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ParamsError> {
        let mut file = TensorFileWriter::default();
        self.write_to(&mut file, "")?;
        Ok(file.finish()?)
    }

    /// Takes all values from the bytes of a file.
    ///
    /// # Errors
    /// When the file is damaged, lacks a tensor or has one more, when a shape or a fixed vector differs, or a number is not
    /// finite. Nothing is changed then.
    pub fn load_bytes(&self, bytes: &[u8]) -> Result<(), ParamsError> {
        let mut file = TensorFileReader::new(bytes)?;
        let flat = self.read_from(&mut file, "")?;
        file.finish()?;
        self.copy_from_flat(&flat)
    }

    /// Adds all tensors to a file, `prefix` before their names.
    pub(crate) fn write_to(&self, file: &mut TensorFileWriter, prefix: &str) -> Result<(), ParamsError> {
        for (name, var) in self.iter() {
            read(var, |values| {
                file.add_f32(&format!("{prefix}{name}"), var.dims(), values);
                Ok(())
            })?;
        }
        for (name, values) in &self.fixed {
            file.add_u32(&format!("{prefix}{name}"), values);
        }
        Ok(())
    }

    /// All values from a file, in the flat layout.
    pub(crate) fn read_from(&self, file: &mut TensorFileReader<'_>, prefix: &str) -> Result<Vec<f32>, ParamsError> {
        let mut flat = Vec::with_capacity(self.n_elements());
        for (name, var) in self.iter() {
            flat.extend(file.take_f32(&format!("{prefix}{name}"), var.dims())?);
        }
        for (name, values) in &self.fixed {
            if &file.take_u32(&format!("{prefix}{name}"))? != values {
                return Err(ParamsError::Different { name: name.clone() });
            }
        }
        Ok(flat)
    }

    /// The fixed vectors of these names in the bytes of a file.
    ///
    /// # Errors
    /// When the file is damaged or lacks one.
    pub fn read_fixed(bytes: &[u8], names: &[String]) -> Result<Vec<Vec<u32>>, ParamsError> {
        let mut file = TensorFileReader::new(bytes)?;
        Ok(names.iter().map(|name| file.take_u32(name)).collect::<Result<_, _>>()?)
    }

    /// Lets `f` change the values of each tensor in place, given its place in the flat layout.
    pub(crate) fn update(&self, mut f: impl FnMut(Range<usize>, &mut [f32])) -> Result<(), ParamsError> {
        for (_, var, range) in self.layout() {
            if var.device().is_cpu() {
                write(var, |values| {
                    f(range.clone(), values);
                    Ok(())
                })?;
            } else {
                let mut values = read(var, |values| Ok(values.to_vec()))?;
                f(range, &mut values);
                var.set(&Tensor::from_vec(values, var.shape(), var.device())?)?;
            }
        }
        Ok(())
    }

    fn combine(&self, other: &Self, f: impl Fn(&mut [f32], &[f32])) -> Result<(), ParamsError> {
        self.check_same_network(other)?;
        for ((_, target), (_, source)) in self.iter().zip(other.iter()) {
            // A tensor combined with itself stays what it is, and cannot be borrowed twice.
            if target.id() == source.id() {
                continue;
            }
            if target.device().is_cpu() {
                read(source, |source| {
                    write(target, |target| {
                        f(target, source);
                        Ok(())
                    })
                })?;
            } else {
                let mut values = read(target, |values| Ok(values.to_vec()))?;
                read(source, |source| {
                    f(&mut values, source);
                    Ok(())
                })?;
                target.set(&Tensor::from_vec(values, target.shape(), target.device())?)?;
            }
        }
        Ok(())
    }

    fn check_same_network(&self, other: &Self) -> Result<(), ParamsError> {
        let name_of = |names: Option<(&String, &Var)>| names.map(|(name, _)| name.clone()).unwrap_or_default();
        let (mut left, mut right) = (self.vars.iter(), other.vars.iter());
        loop {
            match (left.next(), right.next()) {
                (None, None) => break,
                (Some((name, a)), Some((other_name, b))) if name == other_name && a.dims() == b.dims() => {}
                (a, b) => return Err(ParamsError::Different { name: name_of(a.or(b)) }),
            }
        }
        match self.fixed.iter().find(|(name, values)| other.fixed.get(*name) != Some(values)) {
            Some((name, _)) => Err(ParamsError::Different { name: name.clone() }),
            None => Ok(()),
        }
    }

    fn check_flat(&self, found: usize) -> Result<(), ParamsError> {
        let expected = self.n_elements();
        if found != expected {
            return Err(ParamsError::FlatLength { found, expected });
        }
        Ok(())
    }
}
