//! Bytes of the arena that the kernels work in, for whoever plans it.

use super::TAPS;
use crate::scalar::is_contiguous;
use crate::{Shape, Window};

/// Windows that are gathered before they meet the weights.
pub(super) const WINDOWS: usize = 4;

/// Outputs that a depthwise row computes together.
const TOGETHER: usize = 4;

/// Farthest that a load or a store of 16-bit lanes reaches.
const REACH: usize = u16::MAX as usize;

/// Scratch bytes of a convolution: some windows, unless they lie in the input as they are.
pub fn conv_scratch_bytes(input: Shape, output: Shape, window: Window, groups: usize) -> usize {
    if is_contiguous(input, output, window, groups) {
        return 0;
    }
    let taps =
        window.kernel[0].saturating_mul(window.kernel[1]).saturating_mul(input.channels / groups.max(1));
    taps.saturating_mul(WINDOWS.min(output.height * output.width))
}

/// What the depthwise kernel keeps for one channel at a time.
///
/// Rows of the input, as many as the kernel has, lie in slots, column by column: a window is one run of bytes. A row stays in its
/// slot for as long as windows reach it, so the weights are kept once for each way in which the rows can lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Strip {
    /// Columns.
    pub columns: usize,
    /// Bytes of the columns and of what is read behind them.
    pub bytes: usize,
    /// Copies of the weights.
    pub copies: usize,
    /// Bytes of the list of where a copy's weights come from.
    pub list_bytes: usize,
}

impl Strip {
    /// `None` where every pixel is computed for itself: windows have more than 16 taps, rows between them are in none, or they are
    /// too far apart.
    pub fn of(input: Shape, output: Shape, window: Window) -> Option<Self> {
        let [rows, across] = window.kernel;
        let taps = rows.saturating_mul(across);
        if taps > TAPS || window.stride[0] > rows {
            return None;
        }
        let reach = taps.max(8).saturating_mul(input.channels).max(rows.saturating_mul(8));
        if reach > REACH {
            return None;
        }
        let columns = (output.width - 1).saturating_mul(window.stride[1]).saturating_add(across);
        // The last windows that are computed together lie behind the last one that is stored, and each is read as 16 bytes.
        let windows = output.width.next_multiple_of(TOGETHER);
        let step = window.stride[1].saturating_mul(rows);
        let read = (windows - 1).saturating_mul(step).saturating_add(TAPS);
        let bytes = columns.saturating_mul(rows).max(read);
        let copies = rows.min(output.height);
        Some(Strip { columns, bytes, copies, list_bytes: 2 * taps })
    }

    /// Bytes of everything.
    pub fn all(self) -> usize {
        self.bytes.saturating_add(self.copies * (TAPS + self.list_bytes))
    }
}

/// Scratch bytes of a depthwise convolution. All sides are at least 1.
pub fn depthwise_scratch_bytes(input: Shape, output: Shape, window: Window) -> usize {
    Strip::of(input, output, window).map_or(0, Strip::all)
}
