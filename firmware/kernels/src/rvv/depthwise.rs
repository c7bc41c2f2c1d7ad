//! Depthwise convolution: 3x3 along rows with some channels' weights in registers, everything else pixel by pixel.

use core::ops::Range;

use super::{BLOCK, finish};
use crate::rv32::{Finish, three_rows, whole_columns};
use crate::scalar::{Depthwise, inside};

/// Convolves `x` into `y` as [`Depthwise::run`] does.
pub(crate) fn depthwise(depthwise: &Depthwise<'_>, x: &[i8], y: &mut [i8]) -> Option<()> {
    let Depthwise { input, output, window, .. } = *depthwise;
    let channels = input.channels;
    let finish = Finish::new(depthwise.bias, &depthwise.finish);
    let whole = match &finish {
        Some(_) if window.kernel == [3, 3] => whole_columns(depthwise),
        _ => 0..0,
    };
    let sums = &mut [0; BLOCK];
    for (oy, y) in y.chunks_exact_mut(output.width * channels).enumerate() {
        if let Some(finish) = finish.as_ref().filter(|_| !whole.is_empty()) {
            row_3x3(depthwise, finish, x, oy, whole.clone(), y)?;
        }
        for ox in (0..output.width).filter(|ox| !whole.contains(ox)) {
            pixel(depthwise, finish.as_ref(), x, [oy, ox], sums, &mut y[ox * channels..][..channels]);
        }
    }
    Some(())
}

/// Columns `columns`, not none, of row `oy`, which is `y`.
fn row_3x3(
    depthwise: &Depthwise<'_>,
    finish: &Finish<'_>,
    x: &[i8],
    oy: usize,
    columns: Range<usize>,
    y: &mut [i8],
) -> Option<()> {
    let channels = depthwise.input.channels;
    let rows = three_rows(depthwise, x, oy, &columns)?;
    let mut first = 0;
    while first < channels {
        let row = Row {
            x: rows.map(|(_, row)| &row[first..]),
            inside: rows.map(|(inside, _)| inside),
            weights: &depthwise.weights[first..],
            zero: depthwise.input_zero,
            channels,
            step: depthwise.window.stride[1] * channels,
            pixels: columns.len(),
        };
        first += row.run(finish, first, &mut y[columns.start * channels + first..]);
    }
    Some(())
}

/// Some channels of a row of pixels, all of whose windows have three columns.
struct Row<'a> {
    /// What the windows see of the input's rows, from the first channel's first value on.
    x: [&'a [i8]; 3],
    /// Whether these rows are in the input.
    inside: [bool; 3],
    /// From the first channel's first weight on.
    weights: &'a [i8],
    /// What stands for real zero in the input.
    zero: i8,
    /// Values of a pixel.
    channels: usize,
    /// Values from one window to the next.
    step: usize,
    /// Windows, at least one.
    pixels: usize,
}

impl Row<'_> {
    /// Writes the outputs of channels from `first` on, which `y` begins with, and says of how many.
    #[cfg(not(riscv_rvv))]
    fn run(&self, finish: &Finish<'_>, first: usize, y: &mut [i8]) -> usize {
        let count = BLOCK.min(self.channels - first);
        for channel in 0..count {
            for pixel in 0..self.pixels {
                let mut sum = finish.bias[first + channel];
                for (ky, kx) in (0..3).flat_map(|ky| (0..3).map(move |kx| (ky, kx))) {
                    let x = self.x[ky][pixel * self.step + kx * self.channels + channel] as i32;
                    let w = self.weights[(3 * ky + kx) * self.channels + channel] as i32;
                    sum = sum.wrapping_add(if self.inside[ky] { (x - self.zero as i32) * w } else { 0 });
                }
                y[pixel * self.channels + channel] = finish.value(finish.mults[first + channel], sum);
            }
        }
        count
    }

    /// Writes the outputs of channels from `first` on, which `y` begins with, and says of how many.
    #[cfg(riscv_rvv)]
    fn run(&self, finish: &Finish<'_>, first: usize, y: &mut [i8]) -> usize {
        let count = BLOCK.min(self.channels - first);
        let (bias, mults) = (&finish.bias[first..][..count], &finish.mults[first..][..count]);
        let weights = &self.weights[..8 * self.channels + count];
        let [a, b, c] =
            self.x.map(|row| row[..(self.pixels - 1) * self.step + 2 * self.channels + count].as_ptr());
        let y = &mut y[..(self.pixels - 1) * self.channels + count];
        /// The weights of a row, or zeros.
        macro_rules! weights {
            ($inside:literal, $($w:literal $w8:literal),*) => {
                concat! {
                    $("vmv.v.i ", $w, ", 0\n",)*
                    "mv {t}, {w}\n",
                    "add {w}, {w}, {channels}\nadd {w}, {w}, {channels}\nadd {w}, {w}, {channels}\n",
                    "beqz {", $inside, "}, 2f\n",
                    $("vle8.v ", $w8, ", ({t})\nvsext.vf2 ", $w, ", ", $w8, "\nadd {t}, {t}, {channels}\n",)*
                    $("vwmacc.vx v8, {zero}, ", $w, "\n",)*
                    "2:",
                }
            };
        }
        /// The products of a row.
        macro_rules! products {
            ($row:literal, $u:literal, $v:literal, $w:literal) => {
                concat! {
                    "vle8.v v1, ({", $row, "})\nadd {t}, {", $row, "}, {channels}\n",
                    "vle8.v v3, ({t})\nadd {t}, {t}, {channels}\n",
                    "vsext.vf2 v0, v1\nvwmacc.vv v8, v0, ", $u, "\n",
                    "vle8.v v1, ({t})\n",
                    "vsext.vf2 v2, v3\nvwmacc.vv v8, v2, ", $v, "\n",
                    "vsext.vf2 v0, v1\nvwmacc.vv v8, v0, ", $w, "\n",
                    "add {", $row, "}, {", $row, "}, {step}",
                }
            };
        }
        let mut start = core::mem::MaybeUninit::<[i32; BLOCK]>::uninit();
        let done: usize;
        // SAFETY: at most `count` values are read at each pixel of a window, at each of nine weights, and at two pointers to words;
        // as many words are written and read at `start`, and as many bytes written at each pixel of `y`.
        unsafe {
            super::vector!(
                [
                    "vsetvli {done}, {count}, e16, m2, ta, ma",
                    "vle32.v v8, ({bias})",
                    weights!("in_a", "v14" "v15", "v16" "v17", "v18" "v19"),
                    weights!("in_b", "v20" "v21", "v22" "v23", "v24" "v25"),
                    weights!("in_c", "v26" "v27", "v28" "v29", "v30" "v31"),
                    "vse32.v v8, ({start})",
                    "3: vle32.v v8, ({start})",
                    products!("a", "v14", "v16", "v18"),
                    products!("b", "v20", "v22", "v24"),
                    products!("c", "v26", "v28", "v30"),
                    "vsetvli zero, zero, e32, m4, ta, ma",
                    "vle32.v v0, ({mults})",
                    // The high half of the product, and one more where the low half is at least a half.
                    "vmulh.vv v4, v8, v0",
                    "vmul.vv v8, v8, v0",
                    "vsrl.vi v8, v8, 31",
                    "vadd.vv v8, v8, v4",
                    "vadd.vx v8, v8, {zero_point}",
                    "vmax.vx v8, v8, {lo}",
                    "vmin.vx v8, v8, {hi}",
                    "vsetvli zero, zero, e16, m2, ta, ma",
                    "vnsrl.wi v4, v8, 0",
                    "vsetvli zero, zero, e8, m1, ta, ma",
                    "vnsrl.wi v8, v4, 0",
                    "vse8.v v8, ({y})",
                    "vsetvli zero, zero, e16, m2, ta, ma",
                    "add {y}, {y}, {channels}",
                    "addi {pixels}, {pixels}, -1",
                    "bnez {pixels}, 3b",
                ]
                done = out(reg) done,
                t = out(reg) _,
                count = in(reg) count,
                bias = in(reg) bias.as_ptr(),
                mults = in(reg) mults.as_ptr(),
                start = in(reg) start.as_mut_ptr(),
                w = inout(reg) weights.as_ptr() => _,
                zero = in(reg) -(self.zero as i32),
                in_a = in(reg) self.inside[0] as u32,
                in_b = in(reg) self.inside[1] as u32,
                in_c = in(reg) self.inside[2] as u32,
                a = inout(reg) a => _,
                b = inout(reg) b => _,
                c = inout(reg) c => _,
                y = inout(reg) y.as_mut_ptr() => _,
                channels = in(reg) self.channels,
                step = in(reg) self.step,
                pixels = inout(reg) self.pixels => _,
                zero_point = in(reg) finish.zero,
                lo = in(reg) finish.lo,
                hi = in(reg) finish.hi,
                options(nostack),
            );
        }
        done
    }
}

/// One pixel `y`, whatever the kernel and however much of its window lies outside.
fn pixel(
    depthwise: &Depthwise<'_>,
    finish: Option<&Finish<'_>>,
    x: &[i8],
    [oy, ox]: [usize; 2],
    sums: &mut [i32; BLOCK],
    y: &mut [i8],
) {
    let Depthwise { input, window, .. } = *depthwise;
    let channels = input.channels;
    let rows = inside(oy, window, 0, input.height);
    let columns = inside(ox, window, 1, input.width);
    let taps = Taps {
        counts: [rows.len(), columns.len()],
        rows: [input.width, window.kernel[1]].map(|pixels| pixels * channels),
        channels,
        zero: depthwise.input_zero,
    };
    // Of a window that is all outside nothing is read.
    let iy = (oy * window.stride[0] + rows.start).wrapping_sub(window.pad[0]);
    let ix = (ox * window.stride[1] + columns.start).wrapping_sub(window.pad[1]);
    let x = x.get(iy.wrapping_mul(input.width).wrapping_add(ix).wrapping_mul(channels)..).unwrap_or_default();
    let weights = &depthwise.weights[(rows.start * window.kernel[1] + columns.start) * channels..];
    for (at, y) in y.chunks_mut(BLOCK).enumerate() {
        let (first, sums) = (at * BLOCK, &mut sums[..y.len()]);
        taps.sums(&x[first..], &weights[first..], sums);
        finish::store(finish, depthwise.bias, &depthwise.finish, first, sums, y);
    }
}

/// What of a window is inside the input.
struct Taps {
    /// Rows and columns.
    counts: [usize; 2],
    /// Values, and weights, from row to row.
    rows: [usize; 2],
    /// Values and weights from column to column.
    channels: usize,
    /// What stands for real zero in the input.
    zero: i8,
}

impl Taps {
    /// The sums of as many channels as there is room for; `x` and `weights` begin with the first channel's first ones.
    fn sums(&self, x: &[i8], weights: &[i8], sums: &mut [i32]) {
        let Taps { counts: [rows, columns], rows: [x_row, w_row], channels, zero } = *self;
        if rows == 0 || columns == 0 || sums.is_empty() {
            return sums.fill(0);
        }
        let end = |row: usize| (rows - 1) * row + (columns - 1) * channels + sums.len();
        let (x, weights) = (&x[..end(x_row)], &weights[..end(w_row)]);
        #[cfg(not(riscv_rvv))]
        for (channel, sum) in sums.iter_mut().enumerate() {
            let places = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
            *sum = places.fold(0, |sum, (row, column)| {
                let at = column * channels + channel;
                sum + (x[row * x_row + at] as i32 - zero as i32) * weights[row * w_row + at] as i32
            });
        }
        // SAFETY: what is read of `x` and `weights` lies in what was just cut out of them, and `sums` is written to its end.
        #[cfg(riscv_rvv)]
        unsafe {
            super::vector!(
                [
                    "2: vsetvli {done}, {left}, e32, m4, ta, ma",
                    "vmv.v.i v8, 0",
                    "vsetvli zero, zero, e16, m2, ta, ma",
                    "mv {x_at}, {x}",
                    "mv {w_at}, {w}",
                    "mv {r}, {rows}",
                    "3: mv {x_in}, {x_at}",
                    "mv {w_in}, {w_at}",
                    "mv {c}, {columns}",
                    "4: vle8.v v1, ({x_in})",
                    "vle8.v v3, ({w_in})",
                    "vsext.vf2 v0, v1",
                    "vsext.vf2 v2, v3",
                    "vsub.vx v0, v0, {zero}",
                    "vwmacc.vv v8, v0, v2",
                    "add {x_in}, {x_in}, {channels}",
                    "add {w_in}, {w_in}, {channels}",
                    "addi {c}, {c}, -1",
                    "bnez {c}, 4b",
                    "add {x_at}, {x_at}, {x_row}",
                    "add {w_at}, {w_at}, {w_row}",
                    "addi {r}, {r}, -1",
                    "bnez {r}, 3b",
                    "vsetvli zero, zero, e32, m4, ta, ma",
                    "vse32.v v8, ({sums})",
                    "sub {left}, {left}, {done}",
                    "add {x}, {x}, {done}",
                    "add {w}, {w}, {done}",
                    "slli {done}, {done}, 2",
                    "add {sums}, {sums}, {done}",
                    "bnez {left}, 2b",
                ]
                done = out(reg) _,
                left = inout(reg) sums.len() => _,
                sums = inout(reg) sums.as_mut_ptr() => _,
                x = inout(reg) x.as_ptr() => _,
                w = inout(reg) weights.as_ptr() => _,
                x_at = out(reg) _,
                w_at = out(reg) _,
                x_in = out(reg) _,
                w_in = out(reg) _,
                r = out(reg) _,
                c = out(reg) _,
                rows = in(reg) rows,
                columns = in(reg) columns,
                x_row = in(reg) x_row,
                w_row = in(reg) w_row,
                channels = in(reg) channels,
                zero = in(reg) zero as i32,
                options(nostack),
            );
        }
    }
}
