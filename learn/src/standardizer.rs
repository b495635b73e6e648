//! The statistics of the chunks that a policy learns from: where every network starts, and the fixed map between `u` and
//! the standardised `x` that all networks but the flow work in (the flow's ActNorm is trained).
//!
//! `x = (u - shift) e^-log_scale`, `ln p(u) = ln p(x) - sum log_scale`; shift and log-scale `[D]` are constants.

use crate::ops::{self, read};
use crate::params::{Params, ParamsBuilder, ParamsError};
use candle_core::{Result, Tensor, bail};

/// Added to the standard deviations of the data: a constant dimension must not be blown up.
const STD_FLOOR: f64 = 0.02;

/// Names among the fixed vectors of the parameters, which hold the bits of the numbers.
const NAMES: [&str; 2] = ["standardizer.shift", "standardizer.log_scale"];

/// The fixed map; see the module.
#[derive(Debug)]
pub struct Standardizer {
    shift: Tensor,
    log_scale: Tensor,
    sum_log_scale: f64,
}

impl Standardizer {
    /// The identity in `width` dimensions, as bits for [`Standardizer::build`].
    #[must_use]
    pub fn identity(width: usize) -> [Vec<u32>; 2] {
        [bits(&vec![0.0; width]), bits(&vec![0.0; width])]
    }

    /// The bits in the bytes of a parameters file.
    ///
    /// # Errors
    /// When the file is damaged or has none.
    pub fn read(bytes: &[u8]) -> std::result::Result<[Vec<u32>; 2], ParamsError> {
        let mut fixed = Params::read_fixed(bytes, &NAMES.map(str::to_owned))?.into_iter();
        match (fixed.next(), fixed.next()) {
            (Some(shift), Some(log_scale)) => Ok([shift, log_scale]),
            _ => Err(ParamsError::Unknown { name: NAMES[0].into() }),
        }
    }

    /// Adds the constants to the parameters of a network, never to be trained.
    ///
    /// # Errors
    /// When a name is taken.
    pub fn build(params: &mut ParamsBuilder, constants: [Vec<u32>; 2]) -> std::result::Result<(), ParamsError> {
        NAMES.into_iter().zip(constants).try_for_each(|(name, bits)| params.fixed(name, bits))
    }

    /// The map of a network with these parameters.
    ///
    /// # Errors
    /// When there is none.
    pub fn new(params: &Params) -> std::result::Result<Self, ParamsError> {
        let [shift, log_scale] = NAMES;
        let numbers = |name: &str| -> std::result::Result<Vec<f32>, ParamsError> {
            Ok(params.fixed(name)?.iter().map(|&bits| f32::from_bits(bits)).collect())
        };
        let log_scale = numbers(log_scale)?;
        Ok(Self {
            shift: Tensor::new(numbers(shift)?, params.device())?,
            sum_log_scale: log_scale.iter().map(|&x| f64::from(x)).sum(),
            log_scale: Tensor::new(log_scale, params.device())?,
        })
    }

    /// Sets the constants of a network with `params` to the statistics of `u [r, D]`.
    ///
    /// # Errors
    /// When `u` has the wrong shape, no rows, or a number that is not finite.
    pub fn set(params: &mut Params, u: &Tensor) -> std::result::Result<Self, ParamsError> {
        let width = params.fixed(NAMES[0])?.len();
        let [shift, log_scale] = column_statistics(u, width)?;
        params.set_fixed(NAMES[0], bits(&shift))?;
        params.set_fixed(NAMES[1], bits(&log_scale))?;
        Self::new(params)
    }

    /// `x [r, D]` of `u [r, D]`.
    ///
    /// # Errors
    /// When `u` has the wrong shape.
    pub fn standardize(&self, u: &Tensor) -> Result<Tensor> {
        ops::act_norm_forward(u, &self.shift, &self.log_scale)
    }

    /// `u [r, D]` of `x [r, D]`.
    ///
    /// # Errors
    /// When `x` has the wrong shape.
    pub fn restore(&self, x: &Tensor) -> Result<Tensor> {
        ops::act_norm_inverse(x, &self.shift, &self.log_scale)
    }

    /// `sum log_scale`: `ln p(x) - ln p(u)`.
    #[must_use]
    pub fn sum_log_scale(&self) -> f64 {
        self.sum_log_scale
    }
}

/// Mean, and logarithm of the standard deviation widened by 0.02, of every column of `u [r, width]`.
///
/// # Errors
/// When `u` has the wrong shape, no rows, or a number that is not finite.
pub fn column_statistics(u: &Tensor, width: usize) -> Result<[Vec<f32>; 2]> {
    let (r, d) = u.dims2()?;
    if d != width || r == 0 {
        bail!("statistics: the data are {:?}, expected [r, {width}] with r > 0", u.dims());
    }
    let (mut mean, mut variance) = (vec![0.0_f64; d], vec![0.0_f64; d]);
    read(u, |u| {
        let rows = || u.chunks_exact(d);
        rows().for_each(|row| mean.iter_mut().zip(row).for_each(|(mean, &u)| *mean += f64::from(u) / r as f64));
        for row in rows() {
            for ((variance, &mean), &u) in variance.iter_mut().zip(&mean).zip(row) {
                *variance += (f64::from(u) - mean).powi(2) / r as f64;
            }
        }
        Ok(())
    })?;
    if let Some(dim) = variance.iter().position(|variance| !variance.is_finite()) {
        bail!("statistics: dimension {dim} of the data has variance {}", variance[dim]);
    }
    let shift = mean.iter().map(|&mean| mean as f32).collect();
    let log_scale = variance.iter().map(|variance| (variance.sqrt() + STD_FLOOR).ln() as f32).collect();
    Ok([shift, log_scale])
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}
