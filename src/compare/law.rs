//! The two laws that intervals are made with: the normal one and Student's. It draws nothing.

use std::f64::consts::PI;

/// P(Z ≤ x) of the standard normal law, by the series of its integral; exact to 1e-12 for |x| < 7.
pub(super) fn normal_cdf(x: f64) -> f64 {
    if x.abs() > 7.0 {
        return if x > 0.0 { 1.0 } else { 0.0 };
    }
    let (mut term, mut sum, mut odd) = (x, x, 3.0);
    while term.abs() > 1e-17 {
        term *= x * x / odd;
        sum += term;
        odd += 2.0;
    }
    0.5 + sum * (-x * x / 2.0).exp() / (2.0 * PI).sqrt()
}

/// P(T ≤ t) of Student's law with `df` ≥ 1 degrees of freedom, by its finite sums (Abramowitz and Stegun, 26.7.3 and 26.7.4).
pub(super) fn student_cdf(t: f64, df: u32) -> f64 {
    let theta = (t / f64::from(df).sqrt()).atan();
    let (sin, cos) = theta.sin_cos();
    let is_odd = df % 2 == 1;
    let mut term = if is_odd { cos } else { 1.0 };
    let mut sum = if df == 1 { 0.0 } else { term };
    let mut k = if is_odd { 3 } else { 2 };
    while k < df {
        let factor = f64::from(k - 1) / f64::from(k);
        term *= factor * cos * cos;
        sum += term;
        k += 2;
    }
    let within = if is_odd {
        2.0 / PI * (theta + sin * sum)
    } else {
        sin * sum
    };
    0.5 + within / 2.0
}

/// The z below which a share `p` of the normal law lies.
pub(super) fn normal_quantile(p: f64) -> f64 {
    inverse(p, 7.0, normal_cdf)
}

/// The t below which a share `p` of Student's law lies. Beyond 200 degrees it is the normal one's, corrected to 1/df.
pub(super) fn student_quantile(p: f64, df: u32) -> f64 {
    if df > 200 {
        let z = normal_quantile(p);
        return z + (z.powi(3) + z) / (4.0 * f64::from(df));
    }
    inverse(p, 1e6, |t| student_cdf(t, df.max(1)))
}

fn inverse(p: f64, far: f64, cdf: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (-far, far);
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if cdf(middle) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn close(got: f64, want: f64) {
        assert!(
            (got - want).abs() < 1e-6 * want.abs().max(1.0),
            "{got} {want}"
        );
    }

    #[test]
    fn quantiles_are_those_of_printed_tables() {
        close(normal_quantile(0.975), 1.959_963_985);
        close(normal_quantile(0.05), -1.644_853_627);
        for (df, want) in [
            (1, 12.706_204_736),
            (2, 4.302_652_730),
            (3, 3.182_446_305),
            (4, 2.776_445_105),
            (15, 2.131_449_546),
            (30, 2.042_272_456),
            (199, 1.971_956_544),
        ] {
            close(student_quantile(0.975, df), want);
        }
        assert!((student_quantile(0.975, 1_000) - 1.962_339_08).abs() < 1e-4);
    }

    #[test]
    fn the_laws_are_symmetrical() {
        for df in [1, 2, 5, 8] {
            close(student_cdf(1.3, df) + student_cdf(-1.3, df), 1.0);
            close(student_cdf(0.0, df), 0.5);
        }
        close(normal_cdf(1.3) + normal_cdf(-1.3), 1.0);
    }
}
