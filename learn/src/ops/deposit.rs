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

/// Where the gradients of weights belong.
#[derive(Debug, Default)]
struct Places {
    flat: Vec<f32>,
    of: HashMap<TensorId, Place>,
}

#[derive(Debug)]
struct Place {
    range: Range<usize>,
    has_gradient: bool,
}

/// What was collected.
#[derive(Debug)]
pub(crate) struct Collected {
    /// The flat vector: sums of what was added, zeros elsewhere.
    pub(crate) flat: Vec<f32>,
    of: HashMap<TensorId, Place>,
}

impl Collected {
    /// Whether anything was added for a tensor.
    pub(crate) fn has(&self, tensor: &Tensor) -> bool {
        self.of.get(&tensor.id()).is_some_and(|place| place.has_gradient)
    }
}

/// Runs `way_back` on this thread with places for the gradients of some tensors in a flat vector of `len` numbers.
///
/// # Errors
/// Those of `way_back`.
pub(crate) fn collect<'a, T>(
    len: usize,
    places: impl Iterator<Item = (&'a Tensor, Range<usize>)>,
    way_back: impl FnOnce() -> Result<T>,
) -> Result<(T, Collected)> {
    let of = places.map(|(tensor, range)| (tensor.id(), Place { range, has_gradient: false })).collect();
    // Whoever was interrupted by a panic has left its own behind; they are of no use to anybody.
    PLACES.set(Some(Places { flat: vec![0.0; len], of }));
    let result = way_back();
    let Places { flat, of } = PLACES.take().unwrap_or_default();
    Ok((result?, Collected { flat, of }))
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
