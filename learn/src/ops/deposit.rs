//! Gradients of weights that go straight to their places in a flat vector.
//!
//! candle's way back makes zeros for every gradient and adds what an operation returns, and its result had then to be copied into the
//! flat layout: four passes over all weights. While [`collect`] runs, an operation asks for the place of a weight's gradient instead,
//! adds to it there, and returns nothing to candle.

use candle_core::{Result, Tensor, TensorId};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;

thread_local! {
    static PLACES: RefCell<Option<Places>> = const { RefCell::new(None) };
}

/// Gradients of weights, in their places.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Sums of what was added, zeros elsewhere.
    pub(crate) flat: Vec<f32>,
    of: HashMap<TensorId, Place>,
}

#[derive(Debug)]
struct Place {
    range: Range<usize>,
    has_gradient: bool,
}

impl Places {
    /// Whether anything was added for a tensor.
    pub(crate) fn has(&self, tensor: &Tensor) -> bool {
        self.of.get(&tensor.id()).is_some_and(|place| place.has_gradient)
    }
}

/// Puts back what was there before, whatever happens.
struct Restored(Option<Places>);

impl Drop for Restored {
    fn drop(&mut self) {
        PLACES.set(self.0.take());
    }
}

/// Runs `way_back` with places for the gradients of some tensors in a flat vector of `len` numbers. It works on this thread alone: what
/// it did on another one would go to candle.
///
/// # Errors
/// Those of `way_back`.
pub(crate) fn collect<'a, T>(
    len: usize,
    places: impl Iterator<Item = (&'a Tensor, Range<usize>)>,
    way_back: impl FnOnce() -> Result<T>,
) -> Result<(T, Places)> {
    let of = places.map(|(tensor, range)| (tensor.id(), Place { range, has_gradient: false })).collect();
    let _restored = Restored(PLACES.replace(Some(Places { flat: vec![0.0; len], of })));
    let result = way_back()?;
    Ok((result, PLACES.take().unwrap_or_default()))
}

/// Lets `add` add to the gradient of `tensor` in its place, row-major. False where there is none, and `add` is not called.
///
/// # Errors
/// Those of `add`.
pub(super) fn add_to(tensor: &Tensor, add: impl FnOnce(&mut [f32]) -> Result<()>) -> Result<bool> {
    PLACES.with_borrow_mut(|places| {
        let Some(Places { flat, of }) = places else { return Ok(false) };
        let Some(place) = of.get_mut(&tensor.id()) else { return Ok(false) };
        place.has_gradient = true;
        add(&mut flat[place.range.clone()])?;
        Ok(true)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Activation, linear_act};
    use candle_core::{Device, Var};

    fn var(values: &[f32], shape: (usize, usize)) -> Result<Var> {
        Var::from_tensor(&Tensor::from_slice(values, shape, &Device::Cpu)?)
    }

    /// Contract: the gradient of a weight is in its place, as often as the weight was used, and nothing of it in candle's store; a weight
    /// without a place is in the store, and so is all where nobody collects, also after a way back that failed.
    #[test]
    fn gradients_are_in_their_places() -> Result<()> {
        let x = var(&[1.0, 2.0], (1, 2))?;
        let (w, other) = (var(&[1.0, 0.0, 0.0, 1.0], (2, 2))?, var(&[3.0, 0.0, 0.0, 3.0], (2, 2))?);
        let bias = Tensor::zeros(2, candle_core::DType::F32, &Device::Cpu)?;
        let through = |x: &Tensor, w: &Var| linear_act(x, w.as_tensor(), &bias, Activation::None);
        let loss = || through(&through(&through(x.as_tensor(), &w)?, &w)?, &other)?.sum_all();
        let expected = loss()?.backward()?;

        let failed = collect(4, [(w.as_tensor(), 0..4)].into_iter(), || -> Result<()> { candle_core::bail!("no") });
        assert!(failed.is_err());
        assert!(loss()?.backward()?.get(&w).is_some());

        let (store, places) = collect(6, [(w.as_tensor(), 1..5)].into_iter(), || {
            // Within another one's, in places of its own.
            let (_, inner) = collect(4, [(other.as_tensor(), 0..4)].into_iter(), || loss()?.backward())?;
            assert!(inner.has(&other) && !inner.has(&w));
            loss()?.backward()
        })?;
        assert!(places.has(&w) && !places.has(&other) && store.get(&w).is_none());
        let of = |var: &Var| expected.get(var).map(|gradient| gradient.flatten_all()?.to_vec1::<f32>()).transpose();
        assert_eq!(Some(places.flat[1..5].to_vec()), of(&w)?);
        assert_eq!([places.flat[0], places.flat[5]], [0.0, 0.0]);
        let found = store.get(&other).map(|gradient| gradient.flatten_all()?.to_vec1::<f32>()).transpose()?;
        assert_eq!(found, of(&other)?);
        Ok(())
    }
}
