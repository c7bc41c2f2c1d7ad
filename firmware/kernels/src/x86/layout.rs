//! Which channel lies in which of sixteen lanes, and constants in that order.

use core::ops::Range;
use std::vec::Vec;

use super::simd::{LANES, Lanes};

/// The channels in each unit of sixteen lanes; the last lanes may have none.
pub(super) type Layout = Vec<Vec<usize>>;

/// Units of the channels in each of `ranges`, in order.
pub(super) fn in_order(ranges: impl IntoIterator<Item = Range<usize>>) -> Layout {
    let in_units = |range: Range<usize>| {
        let channels: Vec<usize> = range.collect();
        channels.chunks(LANES).map(<[usize]>::to_vec).collect::<Layout>()
    };
    ranges.into_iter().flat_map(in_units).collect()
}

/// `values`, one for each channel, by units; 0 in lanes without a channel.
pub(super) fn units(layout: &Layout, values: impl Iterator<Item = i32>) -> Vec<Lanes> {
    let values: Vec<i32> = values.collect();
    let unit = |channels: &Vec<usize>| {
        let mut lanes = [0; LANES];
        for (lane, &channel) in lanes.iter_mut().zip(channels) {
            *lane = values[channel];
        }
        Lanes(lanes)
    };
    layout.iter().map(unit).collect()
}
