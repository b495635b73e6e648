//! Contract: where gradient steps are computed is a matter of the configuration alone.

mod line;

use learn::{Compute, LearnConfig, Trainer};
use line::{Line, REVERSE_KL, TestResult, config, demonstrations, temperature};

/// No machine has as many GPUs.
const ABSENT: Compute = Compute::Cuda(1000);

/// Contract: a device that this build or this machine does not have is refused by name before anything is learned, and the
/// error says what to choose.
#[test]
fn an_absent_device_is_refused() -> TestResult {
    let config = LearnConfig { device: ABSENT, ..config(REVERSE_KL)? };
    let Err(error) = Trainer::new(config, Line::new().spec, &demonstrations()?, temperature()?, 3) else {
        return Err("a trainer on a GPU that is not there".into());
    };
    let error = error.to_string();
    assert!(error.starts_with("learn.device: found Cuda(1000)") && error.contains("choose Cpu"), "{error}");
    Ok(())
}

/// Contract: the CPU needs no line in a configuration, and a GPU one of its own.
#[test]
fn the_device_is_a_field_of_the_configuration() -> TestResult {
    let text = |device: &str| format!("[{device}]");
    assert_eq!(
        bridge::config::parse::<Vec<Compute>>("devices", &text("Cpu, Cuda(0)"))?,
        [Compute::Cpu, Compute::Cuda(0)]
    );
    assert_eq!(config(REVERSE_KL)?.device, Compute::Cpu);
    Ok(())
}

#[cfg(feature = "cuda")]
mod cuda {
    use super::line::{CRITIC, OBJECTIVES, POLICIES, TRANSFORMER, config_of, short};
    use super::*;
    use bridge::Episode;
    use learn::{Metrics, Work};

    const GPU: Compute = Compute::Cuda(0);

    /// Contract: from any checkpoint of a training on the CPU, the next step on a GPU measures the same but for rounding, and
    /// what comes out acts on the CPU.
    #[test]
    fn a_step_on_a_gpu_is_the_step_on_the_cpu() -> TestResult {
        if let Err(error) = GPU.open() {
            eprintln!("skipped: {error}");
            return Ok(());
        }
        let demonstrations = demonstrations()?;
        let [with_density, without] = POLICIES;
        let [needing, needing_none] = OBJECTIVES;
        let cases = with_density.iter().flat_map(|policy| needing.iter().map(move |objective| (policy, objective)));
        let cases = cases.chain(without.iter().flat_map(|p| needing_none.iter().map(move |objective| (p, objective))));
        for (policy, objective) in cases {
            for critic in [CRITIC.to_owned(), CRITIC.replace("Mlp(hidden: 32, n_layers: 2)", TRANSFORMER)] {
                let config = short(config_of(policy, &critic, objective)?);
                assert_same_steps(&config, &demonstrations)
                    .map_err(|error| format!("{policy}, {objective}, {critic}: {error}"))?;
            }
        }
        Ok(())
    }

    fn assert_same_steps(config: &LearnConfig, demonstrations: &[Episode]) -> TestResult {
        let folder = tempfile::tempdir()?;
        let mut trainer = Trainer::new(config.clone(), Line::new().spec, demonstrations, temperature()?, 3)?;
        while trainer.work() == Work::Learn {
            trainer.save(folder.path())?;
            let on_gpu = LearnConfig { device: GPU, ..config.clone() };
            let mut other =
                Trainer::resume(on_gpu, Line::new().spec, demonstrations, &[], temperature()?, folder.path())?;
            let (here, there) = (trainer.learn()?, other.learn()?);
            assert_close(&here.metrics, &there.metrics).map_err(|error| format!("{:?} {error}", here.stage))?;
            assert!(other.policy()?.net().params().device().is_cpu());
        }
        Ok(())
    }

    fn assert_close(here: &Metrics, there: &Metrics) -> TestResult {
        assert_eq!(here.len(), there.len());
        for ((name, here), (_, there)) in here.iter().zip(there) {
            let off = (here - there).abs();
            if off.is_nan() || off > 1e-3 + 1e-3 * here.abs() {
                return Err(format!("{name} is {here} on the CPU and {there} on the GPU").into());
            }
        }
        Ok(())
    }
}
