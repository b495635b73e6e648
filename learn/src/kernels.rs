//! Elementwise kernels on plain slices, matrix products, and the process settings they need: all `unsafe` of the crate.
//!
//! The kernels are ordinary Rust loops that the compiler vectorises. `dispatched!` compiles each of them three times
//! (AVX-512, AVX2 with FMA, and whatever the target guarantees) and picks at run time, so that one portable binary runs at
//! full speed. Sums use sixteen fixed lanes and products of sums are fused explicitly, so that a result depends neither on
//! the thread count nor on the width of the vectors.
//!
//! Matrices are row-major. Slices whose lengths do not fit together are processed up to the shorter one; the callers in
//! [`crate::ops`] check all shapes.

#![expect(
    unsafe_code,
    reason = "run-time selected instruction sets, the C-like interface of gemm, and process settings"
)]

/// Defines a kernel that runs with the widest instruction set of the machine.
macro_rules! dispatched {
    ($(#[$attribute:meta])* fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block) => {
        $(#[$attribute])*
        pub(crate) fn $name($($argument: $type),*) $(-> $result)? {
            #[inline(always)]
            fn portable($($argument: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                fn avx512($($argument: $type),*) $(-> $result)? {
                    portable($($argument),*)
                }

                #[target_feature(enable = "avx2,fma")]
                fn avx2($($argument: $type),*) $(-> $result)? {
                    portable($($argument),*)
                }

                match $crate::kernels::instruction_set() {
                    // SAFETY: `instruction_set` has found every feature that `avx512` is compiled for.
                    $crate::kernels::InstructionSet::Avx512 => return unsafe { avx512($($argument),*) },
                    // SAFETY: `instruction_set` has found every feature that `avx2` is compiled for.
                    $crate::kernels::InstructionSet::Avx2 => return unsafe { avx2($($argument),*) },
                    $crate::kernels::InstructionSet::Portable => {}
                }
            }
            portable($($argument),*)
        }
    };
}

mod activation;
mod affine;
mod attention;
mod categorical;
mod columns;
mod layer_norm;
mod matmul;
mod optimizer;
mod process;
mod rms_norm;

pub(crate) use activation::{silu, silu_backward, silu_in_place, tanh_backward, tanh_rows};
pub(crate) use affine::{
    act_norm_forward, act_norm_forward_backward, act_norm_inverse, act_norm_inverse_backward, coupling_forward,
    coupling_forward_backward, coupling_inverse, coupling_inverse_backward, sum_log_scale, sum_log_scale_backward,
};
pub(crate) use attention::{AttentionRow, attention, attention_backward, rotate};
pub(crate) use categorical::{
    cross_entropy, cross_entropy_backward, softmax_expectation, softmax_expectation_backward,
};
pub(crate) use columns::{column_sum, gather_columns, scatter_columns, squared_norm, squared_norm_backward};
pub(crate) use layer_norm::{layer_norm_silu, layer_norm_silu_backward};
pub(crate) use matmul::{Matrix, matmul, times_transposed};
pub(crate) use optimizer::{AdamWStep, adamw, add_assign, polyak, sum_of_squares};
pub use process::{ProcessError, configure_process, on_every_worker, sparing_a_core};
pub(crate) use rms_norm::{rms_norm, rms_norm_backward};

/// The instruction sets that the kernels are compiled for.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
enum InstructionSet {
    Avx512,
    Avx2,
    Portable,
}

/// The widest one that this machine has. The standard library remembers what it found: a few loads.
#[cfg(target_arch = "x86_64")]
#[inline]
fn instruction_set() -> InstructionSet {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    match (avx2, avx512) {
        (true, true) => InstructionSet::Avx512,
        (true, false) => InstructionSet::Avx2,
        (false, _) => InstructionSet::Portable,
    }
}

/// Number of partial sums in every reduction: one AVX-512 register of `f32`.
const LANES: usize = 16;

/// `e^x` for `x` clamped to [-87, 88], to 1e-7 relative: Cephes' `expf` without a branch. NaN stays NaN.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    // ln 2 in two parts, the first of which times `n` is exact.
    let r = n.mul_add(2.121_944_4e-4, n.mul_add(-355.0 / 512.0, x));
    let polynomial = 1.987_569_1e-4_f32
        .mul_add(r, 1.398_2e-3)
        .mul_add(r, 8.333_452e-3)
        .mul_add(r, 4.166_579_6e-2)
        .mul_add(r, 1.666_666_5e-1)
        .mul_add(r, 0.5);
    let fraction = (polynomial * r).mul_add(r, r) + 1.0;
    fraction * f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23))
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// `tanh x`, to 1e-7 absolute.
#[inline(always)]
fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (exp(2.0 * x) + 1.0)
}

/// `sum f(x_i)`.
#[inline(always)]
fn lane_sum(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += f(x);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane += f(x);
    }
    lanes.iter().sum()
}

/// `sum x_i y_i`.
#[inline(always)]
fn lane_dot(x: &[f32], y: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let ((x_chunks, x_rest), (y_chunks, y_rest)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    for (x, y) in x_chunks.iter().zip(y_chunks) {
        for ((lane, &x), &y) in lanes.iter_mut().zip(x).zip(y) {
            *lane = x.mul_add(y, *lane);
        }
    }
    for ((lane, &x), &y) in lanes.iter_mut().zip(x_rest).zip(y_rest) {
        *lane = x.mul_add(y, *lane);
    }
    lanes.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract: `exp` and `sigmoid` hold 3e-7 relative, `tanh` 2e-7 absolute, on the whole range that is in use.
    #[test]
    fn elementary_functions_are_accurate() {
        for i in -870_000..=880_000 {
            let x = i as f32 * 1e-4;
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) / exact - 1.0).abs() < 3e-7, "exp({x})");
            let exact = 1.0 / (1.0 + (-f64::from(x)).exp());
            assert!((f64::from(sigmoid(x)) / exact - 1.0).abs() < 4e-7, "sigmoid({x})");
            assert!((f64::from(tanh(x)) - f64::from(x).tanh()).abs() < 2e-7, "tanh({x})");
        }
    }

    /// Contract: outside of its range `exp` saturates, and NaN is never hidden.
    #[test]
    fn extremes_saturate_and_nan_stays() {
        assert!(exp(1e30).is_finite() && exp(1e30) > 1e38);
        assert!(exp(-1e30) > 0.0 && exp(-1e30) < 1e-37);
        assert!(exp(f32::NAN).is_nan() && sigmoid(f32::NAN).is_nan() && tanh(f32::NAN).is_nan());
        assert_eq!(tanh(f32::INFINITY), 1.0);
        assert_eq!(tanh(f32::NEG_INFINITY), -1.0);
    }
}
