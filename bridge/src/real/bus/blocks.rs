//! The same registers of many servos, and which of them are new.

use super::StatusError;

/// Registers of many servos: the buffers of sync reads.
#[derive(Clone, Debug)]
pub struct SyncBlocks {
    address: u16,
    length: u16,
    ids: Vec<u8>,
    is_wanted: Vec<bool>,
    data: Vec<u8>,
    state: Vec<State>,
    n_missing: usize,
    /// The servos that the next read asks.
    asked: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    is_fresh: bool,
    error: StatusError,
}

/// One servo's registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// What it said of itself.
    pub error: StatusError,
    /// Its registers.
    pub data: &'a [u8],
}

impl SyncBlocks {
    /// `length` bytes from `address` on, of each of `ids`.
    #[must_use]
    pub fn new(ids: &[u8], (address, length): (u16, u16)) -> Self {
        let n_servos = ids.len();
        Self {
            address,
            length,
            ids: ids.to_vec(),
            is_wanted: vec![true; n_servos],
            data: vec![0; n_servos * usize::from(length)],
            state: vec![State::default(); n_servos],
            n_missing: n_servos,
            asked: Vec::with_capacity(n_servos),
        }
    }

    /// Whether the servo at `index` is asked at all.
    pub fn want(&mut self, index: usize, is_wanted: bool) {
        if let Some(place) = self.is_wanted.get_mut(index) {
            *place = is_wanted;
        }
    }

    /// What the last sync read brought from the servo at `index`; none if nothing new came, or there is no such servo.
    #[must_use]
    pub fn fresh(&self, index: usize) -> Option<Block<'_>> {
        let &State { is_fresh, error } = self.state.get(index)?;
        let length = usize::from(self.length);
        is_fresh.then(|| Block { error, data: &self.data[index * length..(index + 1) * length] })
    }

    pub(super) const fn place(&self) -> (u16, u16) {
        (self.address, self.length)
    }

    /// Nothing is new.
    pub(super) fn begin(&mut self) {
        self.state.fill(State::default());
        self.n_missing = self.is_wanted.iter().filter(|&&is_wanted| is_wanted).count();
    }

    /// Makes the missing servos that are not suspect those that are asked; how many these are.
    pub(super) fn ask_missing(&mut self, is_suspect: &[bool]) -> usize {
        let (ids, is_wanted, state) = (&self.ids, &self.is_wanted, &self.state);
        let missing = (0..ids.len()).filter(|&index| is_wanted[index] && !state[index].is_fresh);
        self.asked.clear();
        self.asked.extend(missing.map(|index| ids[index]).filter(|&id| !is_suspect[usize::from(id)]));
        self.asked.len()
    }

    pub(super) fn asked(&self) -> &[u8] {
        &self.asked
    }

    pub(super) fn missing_ids(&self) -> impl Iterator<Item = u8> {
        (0..self.ids.len()).filter(|&index| self.is_wanted[index] && !self.state[index].is_fresh).map(|i| self.ids[i])
    }

    pub(super) const fn n_missing(&self) -> usize {
        self.n_missing
    }

    /// Takes the answer of a servo that was asked and has not answered yet; whether it is one.
    pub(super) fn accept(&mut self, id: u8, error: StatusError, data: &[u8]) -> bool {
        let length = usize::from(self.length);
        let Some(index) = self.ids.iter().position(|&known| known == id) else { return false };
        let is_expected = self.asked.contains(&id) && !self.state[index].is_fresh;
        if !is_expected || data.len() != length || error.number() != 0 {
            return false;
        }
        self.data[index * length..(index + 1) * length].copy_from_slice(data);
        self.state[index] = State { is_fresh: true, error };
        self.n_missing -= 1;
        true
    }
}
