//! Offsets for blocks that live at different times, so that they take few bytes together.
//!
//! Finding the fewest is NP-hard (dynamic storage allocation). Each block takes the tightest gap among those that live with
//! it; in which order they come decides how good that is. Several orders are tried, then changed ones, until the bound is
//! reached or the tries are used up: the same blocks always come to lie at the same places.

use std::cmp::Reverse;
use std::ops::Range;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Blocks begin at multiples of this many bytes.
pub const ALIGN: usize = 16;

/// Orders that are tried beyond the fixed ones.
const TRIES: usize = 400;

/// More blocks than this are not tried in so many orders: the pairs of blocks that all tries may look at.
const PAIRS: usize = 40_000_000;

/// Something that takes `bytes` during `life`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// How many.
    pub bytes: usize,
    /// From when up to when.
    pub life: Range<usize>,
}

impl Block {
    fn meets(&self, other: &Block) -> bool {
        self.life.start < other.life.end && other.life.start < self.life.end
    }
}

/// Bytes of what lives at once at the fullest moment. Nothing takes less.
pub fn bound(blocks: &[Block]) -> usize {
    let mut changes: Vec<(usize, bool, usize)> = Vec::with_capacity(2 * blocks.len());
    for block in blocks.iter().filter(|block| !block.life.is_empty()) {
        let bytes = block.bytes.next_multiple_of(ALIGN);
        // At one moment the ends come first.
        changes.extend([(block.life.start, true, bytes), (block.life.end, false, bytes)]);
    }
    changes.sort_unstable();
    let (mut alive, mut most) = (0, 0);
    for (_, begins, bytes) in changes {
        alive = if begins { alive + bytes } else { alive - bytes };
        most = most.max(alive);
    }
    most
}

/// The bytes that all take together, and the offset of each.
pub fn pack(blocks: &[Block]) -> (usize, Vec<usize>) {
    let bound = bound(blocks);
    let fullness = fullness(blocks);
    let order = |key: &dyn Fn(usize) -> (Reverse<usize>, usize)| {
        let mut order: Vec<usize> = (0..blocks.len()).collect();
        order.sort_by_key(|&i| key(i));
        order
    };
    let life = |i: usize| blocks[i].life.clone();
    let orders = [
        order(&|i| (Reverse(blocks[i].bytes), life(i).start)),
        order(&|i| (Reverse(fullness[i]), usize::MAX - blocks[i].bytes)),
        order(&|i| (Reverse(blocks[i].bytes * life(i).len()), life(i).start)),
        order(&|i| (Reverse(life(i).len()), usize::MAX - blocks[i].bytes)),
        order(&|i| (Reverse(0), life(i).start)),
        order(&|i| (Reverse(life(i).end), life(i).start)),
    ];
    let mut best: Option<(usize, Vec<usize>, Vec<usize>)> = None;
    for order in orders {
        let (bytes, offsets) = in_order(blocks, &order);
        if best.as_ref().is_none_or(|(least, ..)| bytes < *least) {
            best = Some((bytes, offsets, order));
        }
        if bytes <= bound {
            break;
        }
    }
    let Some((mut bytes, mut offsets, mut order)) = best else { return (0, Vec::new()) };
    let mut rng = ChaCha8Rng::seed_from_u64(blocks.len() as u64);
    for _ in 0..TRIES.min(PAIRS / (blocks.len() * blocks.len()).max(1)) {
        if bytes <= bound {
            break;
        }
        let mut other = order.clone();
        for _ in 0..rng.random_range(1..4) {
            // One of those that reach the top comes earlier.
            let high: Vec<usize> = (1..other.len())
                .filter(|&at| offsets[other[at]] + blocks[other[at]].bytes + ALIGN > bound)
                .collect();
            let Some(&from) = high.get(rng.random_range(0..high.len().max(1))) else { break };
            let moved = other.remove(from);
            other.insert(rng.random_range(0..from), moved);
        }
        let (found, places) = in_order(blocks, &other);
        if found <= bytes {
            (bytes, offsets, order) = (found, places, other);
        }
    }
    (bytes, offsets)
}

/// Bytes alive at the fullest moment of each block's life.
fn fullness(blocks: &[Block]) -> Vec<usize> {
    let end = blocks.iter().map(|block| block.life.end).max().unwrap_or(0);
    let mut alive = vec![0; end];
    for block in blocks {
        alive[block.life.clone()].iter_mut().for_each(|bytes| *bytes += block.bytes);
    }
    blocks.iter().map(|block| alive[block.life.clone()].iter().copied().max().unwrap_or(0)).collect()
}

/// Places the blocks in the order given, each in the tightest gap that those before it leave.
fn in_order(blocks: &[Block], order: &[usize]) -> (usize, Vec<usize>) {
    let mut offsets = vec![0; blocks.len()];
    let mut total = 0usize;
    let mut taken: Vec<Range<usize>> = Vec::new();
    for (number, &i) in order.iter().enumerate() {
        let block = &blocks[i];
        taken.clear();
        let met = order[..number].iter().filter(|&&j| blocks[j].meets(block));
        taken.extend(met.map(|&j| offsets[j]..offsets[j] + blocks[j].bytes));
        taken.sort_by_key(|range| range.start);
        let mut free = 0usize;
        let mut best: Option<(usize, usize)> = None;
        for range in &taken {
            let start = free.next_multiple_of(ALIGN);
            if start + block.bytes <= range.start
                && best.is_none_or(|(slack, _)| range.start - start - block.bytes < slack)
            {
                best = Some((range.start - start - block.bytes, start));
            }
            free = free.max(range.end);
        }
        offsets[i] = best.map_or(free.next_multiple_of(ALIGN), |(_, start)| start);
        total = total.max(offsets[i] + block.bytes);
    }
    (total, offsets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(rng: &mut ChaCha8Rng) -> Vec<Block> {
        let block = |rng: &mut ChaCha8Rng| {
            let start = rng.random_range(0..20);
            Block { bytes: rng.random_range(0..500), life: start..start + rng.random_range(1..6) }
        };
        (0..rng.random_range(1..30)).map(|_| block(rng)).collect()
    }

    #[test]
    fn blocks_that_live_together_never_overlap() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let (mut reached, mut over) = (0, 0.0f64);
        for _ in 0..200 {
            let blocks = random(&mut rng);
            let (total, offsets) = pack(&blocks);
            for (i, a) in blocks.iter().enumerate() {
                assert!(offsets[i] % ALIGN == 0 && offsets[i] + a.bytes <= total);
                for (j, b) in blocks[..i].iter().enumerate() {
                    let apart = offsets[i] + a.bytes <= offsets[j] || offsets[j] + b.bytes <= offsets[i];
                    assert!(!a.meets(b) || apart || a.bytes == 0 || b.bytes == 0, "{a:?} {b:?}");
                }
            }
            // Behind the last block nothing is padded.
            let bound = bound(&blocks);
            assert!(total + ALIGN > bound / 2, "{total} {bound}");
            reached += usize::from(total <= bound);
            over = over.max(total as f64 / bound.max(1) as f64);
        }
        // Random blocks interlock more than networks do, and the fewest bytes that are possible may be above the bound.
        assert!(reached > 180 && over < 1.08, "{reached} of 200 at the bound, at most {over:.3} of it");
    }

    #[test]
    fn the_bound_is_what_lives_at_the_fullest_moment() {
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        for _ in 0..100 {
            let blocks = random(&mut rng);
            let at = |moment: usize| -> usize {
                let alive = blocks.iter().filter(|block| block.life.contains(&moment));
                alive.map(|block| block.bytes.next_multiple_of(ALIGN)).sum()
            };
            assert_eq!(bound(&blocks), (0..30).map(at).max().unwrap());
        }
        assert_eq!((bound(&[]), pack(&[])), (0, (0, Vec::new())));
    }

    #[test]
    fn the_same_blocks_lie_at_the_same_places() {
        let blocks = random(&mut ChaCha8Rng::seed_from_u64(9));
        assert_eq!(pack(&blocks), pack(&blocks));
    }
}
