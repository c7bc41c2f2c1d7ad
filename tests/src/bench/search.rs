//! A search through a million templates against reading their memory once.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
use std::hint::black_box;
use std::time::{Duration, Instant};

use arcgate_firmware::gallery::{Index, PersonId, index_lines};
use arcgate_firmware::kernels::dot::Line;

/// Templates of the figure that is reported, and the runs that it is the median of.
pub const TEMPLATES: usize = 1_000_000;
/// See [`TEMPLATES`].
pub const RUNS: usize = 31;

/// Values of a template.
const DIMENSION: usize = 128;

/// Medians of interleaved runs on one thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// A search, from the probe's values to the angles of the two nearest people.
    pub search: Duration,
    /// Reading the templates' bytes once.
    pub read: Duration,
}

impl Times {
    /// How many times as long the search takes.
    pub fn search_over_read(&self) -> f64 {
        self.search.as_secs_f64() / self.read.as_secs_f64()
    }
}

/// Searches an index of `templates` templates of 128 values, each of another person, `runs` times, as often as it is read.
pub fn times(templates: usize, runs: usize) -> Times {
    let mut numbers = Numbers(1);
    let mut index = Index::new(vec![Line::ZERO; index_lines(templates, DIMENSION)], DIMENSION);
    for person in 0..templates {
        assert!(index.push(PersonId(person as u32), &numbers.embedding()), "the index holds {templates}");
    }
    let (mut searches, mut reads) = (Vec::new(), Vec::new());
    for _ in 0..runs.max(1) {
        let probe = numbers.embedding();
        searches.push(time(|| index.nearest(black_box(&probe))));
        reads.push(time(|| read(black_box(index.rows()))));
    }
    Times { search: median(searches), read: median(reads) }
}

fn time<R>(work: impl FnOnce() -> R) -> Duration {
    let begin = Instant::now();
    black_box(work());
    begin.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Reads every byte with the widest loads that this processor has, and adds what it reads.
fn read(lines: &[Line]) -> i64 {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor has the instructions.
        return unsafe { read_avx512(lines) };
    } else if is_x86_feature_detected!("avx2") {
        // SAFETY: as above.
        return unsafe { read_avx2(lines) };
    }
    let words =
        |line: &Line| line.bytes().as_chunks().0.iter().fold(0, |sum, &w| sum ^ i64::from_le_bytes(w));
    lines.iter().fold(0, |sum, line| sum ^ words(line))
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn read_avx512(lines: &[Line]) -> i64 {
    // SAFETY: a line is the 64 bytes that are read, aligned to them.
    let load = |line: &Line| unsafe { _mm512_load_si512(line.bytes().as_ptr().cast()) };
    let (blocks, rest) = lines.as_chunks::<8>();
    let mut sums = [_mm512_setzero_si512(); 8];
    for block in blocks {
        for (sum, line) in sums.iter_mut().zip(block) {
            *sum = _mm512_add_epi64(*sum, load(line));
        }
    }
    for line in rest {
        sums[0] = _mm512_add_epi64(sums[0], load(line));
    }
    sums.into_iter().map(|sum| _mm512_reduce_add_epi64(sum)).fold(0, i64::wrapping_add)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn read_avx2(lines: &[Line]) -> i64 {
    let mut sums = [_mm256_setzero_si256(); 8];
    for block in lines.chunks(4) {
        let halves = block.iter().flat_map(|line| line.bytes().as_chunks::<32>().0);
        for (sum, half) in sums.iter_mut().zip(halves) {
            // SAFETY: half a line is the 32 bytes that are read.
            let half = unsafe { _mm256_loadu_si256(half.as_ptr().cast()) };
            *sum = _mm256_add_epi64(*sum, half);
        }
    }
    let all = sums.into_iter().reduce(|a, b| _mm256_add_epi64(a, b)).unwrap_or(_mm256_setzero_si256());
    _mm256_extract_epi64::<0>(all)
}

/// Embeddings that look as models make them and are the same every time.
struct Numbers(u64);

impl Numbers {
    fn embedding(&mut self) -> [i8; DIMENSION] {
        std::array::from_fn(|_| {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let bytes = (self.0 >> 32) as u32;
            (bytes.to_le_bytes().iter().map(|&byte| i32::from(byte as i8)).sum::<i32>() / 4) as i8
        })
    }
}
