//! RV32IM: eight rows at a time, so that a value loaded of the probe serves eight products and three instructions are left for each.
//!
//! Values at even places are loaded with the 128 that were added to them, which leave with the sums' start.

use super::{GROUP, Hit, Line, groups};

/// [`super::Probe::scan`].
pub fn scan(probe: &[Line], rows: &[Line], from: usize, bound: i32) -> Option<Hit> {
    let even = probe.iter().flat_map(|line| line.0.iter().step_by(2));
    let start = -128 * even.map(|&byte| byte as i8 as i32).sum::<i32>();
    groups::scan(probe.len(), rows, from, bound, |rows| products(probe, rows, start))
}

/// `start` and the products of the rows' bytes as they are, u8 and i8 in turns, with the values in `probe`. Every row has as many lines
/// as the probe.
#[cfg(not(target_arch = "riscv32"))]
fn products(probe: &[Line], rows: [&[Line]; GROUP], start: i32) -> [i32; GROUP] {
    let pair = |(&[p, q], &[e, o]): (&[u8; 2], &[u8; 2])| {
        p as i8 as i32 * e as i32 + q as i8 as i32 * o as i8 as i32
    };
    let line =
        |(p, r): (&Line, &Line)| p.0.as_chunks().0.iter().zip(r.0.as_chunks().0).map(pair).sum::<i32>();
    rows.map(|row| start + probe.iter().zip(row).map(line).sum::<i32>())
}

#[cfg(target_arch = "riscv32")]
fn products(probe: &[Line], rows: [&[Line]; GROUP], start: i32) -> [i32; GROUP] {
    /// Two values of a row.
    macro_rules! row {
        ($from:literal, $sum:literal) => {
            concat! {
                "lbu {v}, \\t({", $from, "})\n",
                "lb {w}, \\t + 1({", $from, "})\n",
                "mul {v}, {v}, {p}\n",
                "mul {w}, {w}, {q}\n",
                "add {", $sum, "}, {", $sum, "}, {v}\n",
                "add {", $sum, "}, {", $sum, "}, {w}",
            }
        };
    }
    let [a, b, c, d, e, f, g, h] = rows.map(|row| row[..probe.len()].as_ptr());
    let [mut i, mut j, mut k, mut l, mut m, mut n, mut o, mut r] = [start; GROUP];
    let range = probe.as_ptr_range();
    // SAFETY: a probe has at least one line; of the rows as much is read as of it, sixteen bytes at a time.
    unsafe {
        core::arch::asm!(
            "2:",
            ".irp t, 0, 2, 4, 6, 8, 10, 12, 14",
            "lb {p}, \\t({probe})",
            "lb {q}, \\t + 1({probe})",
            row!("a", "i"),
            row!("b", "j"),
            row!("c", "k"),
            row!("d", "l"),
            row!("e", "m"),
            row!("f", "n"),
            row!("g", "o"),
            row!("h", "r"),
            ".endr",
            "addi {a}, {a}, 16",
            "addi {b}, {b}, 16",
            "addi {c}, {c}, 16",
            "addi {d}, {d}, 16",
            "addi {e}, {e}, 16",
            "addi {f}, {f}, 16",
            "addi {g}, {g}, 16",
            "addi {h}, {h}, 16",
            "addi {probe}, {probe}, 16",
            "bne {probe}, {end}, 2b",
            p = out(reg) _,
            q = out(reg) _,
            v = out(reg) _,
            w = out(reg) _,
            a = inout(reg) a => _,
            b = inout(reg) b => _,
            c = inout(reg) c => _,
            d = inout(reg) d => _,
            e = inout(reg) e => _,
            f = inout(reg) f => _,
            g = inout(reg) g => _,
            h = inout(reg) h => _,
            i = inout(reg) i,
            j = inout(reg) j,
            k = inout(reg) k,
            l = inout(reg) l,
            m = inout(reg) m,
            n = inout(reg) n,
            o = inout(reg) o,
            r = inout(reg) r,
            probe = inout(reg) range.start => _,
            end = in(reg) range.end,
            options(readonly, nostack),
        );
    }
    [i, j, k, l, m, n, o, r]
}
