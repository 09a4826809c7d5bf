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

/// P(T ≤ t) of Student's law with `df` > 0 degrees of freedom, whole or not: 1 − I(df/(df+t²); df/2, ½)/2 for t > 0
/// (Abramowitz and Stegun, 26.7.1).
pub(super) fn student_cdf(t: f64, df: f64) -> f64 {
    let square = t * t;
    let beyond = incomplete_beta((df / (df + square), square / (df + square)), df / 2.0, 0.5);
    if t > 0.0 {
        1.0 - beyond / 2.0
    } else {
        beyond / 2.0
    }
}

/// The regularised incomplete beta function I(x; a, b) of `x` and `1 − x`, by its continued fraction (Abramowitz and Stegun,
/// 26.5.8), on the side where that converges.
fn incomplete_beta((x, rest): (f64, f64), a: f64, b: f64) -> f64 {
    if x <= 0.0 || rest <= 0.0 {
        return if x <= 0.0 { 0.0 } else { 1.0 };
    }
    let scale = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * rest.ln();
    if x < (a + 1.0) / (a + b + 2.0) {
        scale.exp() * fraction(x, a, b) / a
    } else {
        1.0 - scale.exp() * fraction(rest, b, a) / b
    }
}

/// The continued fraction of the incomplete beta function, from the front (Lentz, 1976).
fn fraction(x: f64, a: f64, b: f64) -> f64 {
    let away = |it: f64| if it.abs() < 1e-300 { 1e-300 } else { it };
    let mut above = 1.0;
    let mut below = 1.0 / away(1.0 - (a + b) * x / (a + 1.0));
    let mut value = below;
    let mut m = 1.0;
    while m < 10_000.0 {
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut step = 1.0;
        for part in [even, odd] {
            below = 1.0 / away(part.mul_add(below, 1.0));
            above = away(1.0 + part / above);
            step = above * below;
            value *= step;
        }
        if (step - 1.0).abs() < 1e-15 {
            break;
        }
        m += 1.0;
    }
    value
}

/// ln Γ(x) for x > 0: Stirling's series above 10, to which smaller ones are raised by Γ(x + 1) = x Γ(x).
fn ln_gamma(mut x: f64) -> f64 {
    let mut below = 1.0;
    while x < 10.0 {
        below *= x;
        x += 1.0;
    }
    let square = x * x;
    let series = [
        1.0 / 12.0,
        -1.0 / 360.0,
        1.0 / 1260.0,
        -1.0 / 1680.0,
        1.0 / 1188.0,
    ];
    let tail = series
        .into_iter()
        .rev()
        .fold(0.0, |sum: f64, part| sum / square + part);
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * PI).ln() + tail / x - below.ln()
}

/// The z below which a share `p` of the normal law lies.
pub(super) fn normal_quantile(p: f64) -> f64 {
    inverse(p, 7.0, normal_cdf)
}

/// The t below which a share `p` of Student's law lies; `df` from 1, whole or not. Beyond 100,000 degrees it is the normal
/// one's, corrected to 1/df.
pub(super) fn student_quantile(p: f64, df: f64) -> f64 {
    if df > 1e5 {
        let z = normal_quantile(p);
        return z + (z.powi(3) + z) / (4.0 * df);
    }
    inverse(p, 1e6, |t| student_cdf(t, df.max(1.0)))
}

fn inverse(p: f64, far: f64, cdf: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (-far, far);
    for _ in 0..100 {
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
            (got - want).abs() < 1e-9 * want.abs().max(1.0),
            "{got} {want}"
        );
    }

    #[test]
    fn quantiles_are_those_of_scipy() {
        close(normal_quantile(0.975), 1.959_963_984_540_054);
        close(normal_quantile(0.05), -1.644_853_626_951_472_2);
        for (p, df, want) in [
            (0.975, 1.0, 12.706_204_736_174_694),
            (0.975, 1.07, 10.900_809_657_324_32),
            (0.975, 1.5, 6.016_663_104_427_929),
            (0.975, 2.0, 4.302_652_729_749_462),
            (0.975, 2.9, 3.245_438_062_433_110_7),
            (0.975, 3.414_2, 2.974_797_459_053_906_6),
            (0.995, 1.25, 29.272_018_950_198_664),
            (0.75, 1.9, 0.825_046_958_287_64),
            (0.025, 2.5, -3.574_654_842_003_683_4),
            (0.999_5, 4.2, 8.148_588_313_878_676),
            (0.975, 15.0, 2.131_449_545_559_776),
            (0.975, 30.0, 2.042_272_456_301_237_8),
            (0.975, 199.0, 1.971_956_544_251_753_3),
            (0.975, 250.5, 1.969_479_272_051_676),
            (0.975, 1_000.0, 1.962_339_080_826_408_3),
            (0.975, 39_999.0, 1.960_023_294_567_707_4),
        ] {
            close(student_quantile(p, df), want);
        }
    }

    #[test]
    fn the_laws_are_symmetrical() {
        for df in [1.0, 1.7, 2.0, 5.0, 8.3, 400.0] {
            close(student_cdf(1.3, df) + student_cdf(-1.3, df), 1.0);
            close(student_cdf(0.0, df), 0.5);
        }
        close(normal_cdf(1.3) + normal_cdf(-1.3), 1.0);
    }
}
