//! The flow as a policy network: noise is its latent, the imitation loss its likelihood.

use super::{Draw, PolicyNet};
use crate::LearnError;
use crate::flow::Flow;
use crate::layers::Track;
use crate::params::Params;
use candle_core::{Device, Result, Tensor};

impl PolicyNet for Flow {
    fn params(&self) -> &Params {
        self.params()
    }

    fn clone_on(&self, device: &Device) -> std::result::Result<Box<dyn PolicyNet>, LearnError> {
        Ok(Box::new(self.clone_on(device)?))
    }

    fn initialise(&mut self, u: &Tensor) -> std::result::Result<(), LearnError> {
        Ok(self.initialise_act_norm(u)?)
    }

    fn noise_len(&self) -> usize {
        self.chunk_dim()
    }

    fn embed(&self, observations: &Tensor, track: Track) -> Result<Tensor> {
        self.embed(observations, track)
    }

    fn sample(&self, embedding: &Tensor, noise: &Tensor, track: Track) -> Result<Draw> {
        let sample = self.sample(embedding, noise, track)?;
        Ok(Draw { u: sample.u, log_prob: Some(sample.log_prob) })
    }

    fn chunks(&self, embedding: &Tensor, noise: &Tensor, track: Track) -> Result<Tensor> {
        self.chunks(embedding, noise, track)
    }

    fn log_prob(&self, embedding: &Tensor, u: &Tensor, track: Track) -> Result<Tensor> {
        self.log_prob(embedding, u, track)
    }

    /// The largest log-scale of a coupling, and how far the way to the latent and back misses u.
    fn inspect(&self, embedding: &Tensor, u: &Tensor) -> Result<Vec<(&'static str, f64)>> {
        let back = self.chunks(embedding, &self.latent(embedding, u, Track::Frozen)?, Track::Frozen)?;
        let missed = (back - u)?.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>()?;
        let log_scale = self.largest_log_scale(embedding, u)?;
        Ok(vec![("max_log_scale", f64::from(log_scale)), ("round_trip_error", f64::from(missed))])
    }
}
