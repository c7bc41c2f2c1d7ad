//! Plans of a few operations, written record by record: every kind of operation in several shapes and by every rule.

use arcgate_firmware::engine::plan::{HEADER_BYTES, Header, Kind, RECORD_BYTES, Record, Rule, Target};
use arcgate_firmware::kernels::packing::Packing;
use arcgate_firmware::kernels::{Shape, Window};
use arcgate_firmware::model::{ChannelOrder, ModelInfo, Task};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The rules by which convolutions requantize.
pub const RULES: [Rule; 4] = [Rule::HighMul, Rule::ShiftedHighMul, Rule::PerChannelF32, Rule::Uniform];

/// Every plan that rates are fitted on.
pub fn plans(target: Target) -> Vec<Vec<u8>> {
    let mut plans: Vec<Vec<u8>> = Vec::new();
    // Rows, columns, channels in and out, kernel, stride, groups.
    let convolutions = [
        (16, 16, 8, 8, 1, 1, 1),
        (12, 12, 24, 48, 1, 1, 1),
        (8, 8, 64, 64, 1, 1, 1),
        (7, 7, 128, 64, 1, 1, 1),
        (9, 11, 16, 33, 1, 1, 1),
        (10, 10, 20, 30, 1, 1, 1),
        (12, 12, 12, 5, 1, 1, 1),
        (12, 12, 32, 48, 1, 2, 1),
        (16, 16, 3, 16, 3, 2, 1),
        (24, 24, 3, 32, 3, 1, 1),
        (12, 12, 8, 12, 3, 1, 1),
        (9, 9, 16, 18, 3, 2, 1),
        (10, 10, 4, 8, 5, 1, 1),
        (12, 12, 8, 8, 3, 1, 2),
        (10, 10, 16, 24, 3, 1, 4),
        (12, 12, 16, 16, 1, 1, 8),
    ];
    for (at, (rows, columns, from, to, kernel, stride, groups)) in convolutions.into_iter().enumerate() {
        for rule in [RULES[at % 4], RULES[(at + 1) % 4]] {
            plans.push(
                Chain::new([rows, columns], ChannelOrder::Rgb, target, 4)
                    .conv(from, kernel_of(1, 1), 1, rule)
                    .conv(to, kernel_of(kernel, stride), groups, rule)
                    .embedding(12, rule),
            );
        }
    }
    // Rows, columns, channels, kernel, stride.
    let depthwise = [
        (16, 16, 8, 3, 1),
        (16, 16, 32, 3, 1),
        (12, 12, 32, 3, 2),
        (12, 12, 64, 3, 1),
        (12, 12, 48, 3, 2),
        (8, 8, 96, 3, 1),
        (9, 9, 33, 3, 1),
        (7, 9, 16, 5, 1),
        (10, 10, 64, 5, 2),
        (14, 14, 20, 3, 1),
    ];
    for (at, (rows, columns, channels, kernel, stride)) in depthwise.into_iter().enumerate() {
        for rule in [RULES[at % 4], RULES[(at + 1) % 4]] {
            plans.push(
                Chain::new([rows, columns], ChannelOrder::Bgr, target, 5)
                    .conv(channels, kernel_of(1, 1), 1, rule)
                    .depthwise(kernel_of(kernel, stride), rule)
                    .whole_depthwise(rule)
                    .embedding(64, rule),
            );
        }
    }
    for (rows, columns, channels) in [(16, 16, 8), (12, 10, 24), (8, 8, 64), (6, 7, 33), (20, 20, 16)] {
        for in_place in [true, false] {
            plans.push(
                Chain::new([rows, columns], ChannelOrder::Grey, target, 10)
                    .conv(channels, kernel_of(1, 1), 1, Rule::HighMul)
                    .elementwise(Kind::Slope, false)
                    .elementwise(Kind::Lookup, in_place)
                    .elementwise(Kind::LookupChannels, in_place)
                    .elementwise(Kind::Slope, in_place)
                    .sum(Kind::Sum, in_place)
                    .sum(Kind::FloatSum, in_place)
                    .planes()
                    .embedding(16, Rule::HighMul),
            );
        }
    }
    for (rows, columns, channels) in
        [(16, 16, 8), (12, 8, 24), (8, 8, 64), (4, 12, 33), (12, 12, 10), (20, 20, 16)]
    {
        for in_place in [true, false] {
            plans.push(
                Chain::new([rows, columns], ChannelOrder::Rgb, target, 12)
                    .conv(channels, kernel_of(1, 1), 1, Rule::HighMul)
                    .max_pool(kernel_of(3, 2))
                    .upsample(2)
                    .twice()
                    .max_pool(Window { kernel: [2; 2], stride: [2; 2], pad: [0; 2] })
                    .elementwise(Kind::Lookup, false)
                    .times(in_place)
                    .whole_depthwise(Rule::HighMul)
                    .excited(in_place)
                    .embedding(16, Rule::HighMul),
            );
        }
    }
    plans
}

/// The kernels that are compared with C libraries: name, plan, and which of its operations it is.
pub fn compared(target: Target) -> [(&'static str, Vec<u8>, usize); 4] {
    let begin = |side, steps| Chain::new([side; 2], ChannelOrder::Rgb, target, steps);
    let rule = Rule::HighMul;
    [
        ("conv3x3s2", begin(64, 3).conv(16, kernel_of(3, 2), 1, rule).embedding(8, rule), 1),
        (
            "depthwise3x3",
            begin(32, 4)
                .conv(64, kernel_of(1, 1), 1, rule)
                .depthwise(kernel_of(3, 1), rule)
                .embedding(8, rule),
            2,
        ),
        (
            "pointwise",
            begin(32, 4)
                .conv(64, kernel_of(1, 1), 1, rule)
                .conv(64, kernel_of(1, 1), 1, rule)
                .embedding(8, rule),
            2,
        ),
        ("fully_connected", begin(4, 3).whole_conv(512, rule).embedding(128, rule), 2),
    ]
}

/// A square kernel with what keeps the size around it, but for the stride.
fn kernel_of(side: usize, stride: usize) -> Window {
    Window { kernel: [side; 2], stride: [stride; 2], pad: [side / 2; 2] }
}

/// A plan in the making: each operation works on what the one before it gave. No two activations share a place.
struct Chain {
    info: ModelInfo,
    target: Target,
    steps: usize,
    records: Vec<Record>,
    sections: Vec<u8>,
    arena: usize,
    random: ChaCha8Rng,
}

impl Chain {
    /// Begins with the input's table; there will be `steps` operations in all.
    fn new([height, width]: [usize; 2], order: ChannelOrder, target: Target, steps: usize) -> Self {
        let (width, height) = (width as u16, height as u16);
        let info = ModelInfo { width, height, order, template: None, dimension: 0, embedding_id: [0; 32] };
        let random = ChaCha8Rng::seed_from_u64(steps as u64);
        let mut chain =
            Chain { info, target, steps, records: Vec::new(), sections: Vec::new(), arena: 0, random };
        let crop = Shape { height: height.into(), width: width.into(), channels: order.channels() };
        let mut input = chain.record(Kind::Input, (0, crop), crop);
        input.a = chain.noise(256 * crop.channels);
        chain.add(input)
    }

    fn add(mut self, record: Record) -> Self {
        self.records.push(record);
        self
    }

    /// Where the last operation wrote, and what.
    fn last(&self) -> (u32, Shape) {
        let last = self.records.last().expect("a chain begins with its input");
        (last.output, last.output_shape)
    }

    fn place(&mut self, bytes: usize) -> u32 {
        let at = self.arena;
        self.arena += bytes.next_multiple_of(4);
        at as u32
    }

    fn section(&mut self, bytes: impl IntoIterator<Item = u8>) -> u32 {
        let at = HEADER_BYTES + self.steps * RECORD_BYTES + self.sections.len();
        self.sections.extend(bytes);
        self.sections.resize(self.sections.len().next_multiple_of(4), 0);
        at as u32
    }

    fn noise(&mut self, count: usize) -> u32 {
        let bytes: Vec<u8> = (0..count).map(|_| self.random.random()).collect();
        self.section(bytes)
    }

    fn words(&mut self, count: usize, least: u32, most: u32) -> u32 {
        let words: Vec<u32> = (0..count).map(|_| self.random.random_range(least..most)).collect();
        self.section(words.into_iter().flat_map(u32::to_le_bytes))
    }

    fn record(&mut self, kind: Kind, input: (u32, Shape), output_shape: Shape) -> Record {
        Record {
            kind,
            rule: Rule::HighMul,
            input_zero: 3,
            output_zero: -5,
            lo: -128,
            hi: 127,
            second_zero: 1,
            bits: 20,
            input: input.0,
            output: self.place(output_shape.bytes()),
            second: 0,
            input_shape: input.1,
            output_shape,
            window: kernel_of(0, 0),
            groups: 0,
            a: 0,
            b: 0,
            c: 0,
        }
    }

    /// Fills in what convolutions of both kinds have.
    fn product(&mut self, kind: Kind, window: Window, channels: usize, groups: usize, rule: Rule) -> Record {
        let (at, input) = self.last();
        let side = |axis: usize, size: usize| {
            (size + 2 * window.pad[axis] - window.kernel[axis]) / window.stride[axis] + 1
        };
        let output = Shape { height: side(0, input.height), width: side(1, input.width), channels };
        let mut record = self.record(kind, (at, input), output);
        (record.window, record.rule, record.groups) = (window, rule, groups as u32);
        let taps = window.kernel[0] * window.kernel[1] * (input.channels / groups);
        let packing = self.target.packing(input, output, window, groups).filter(|_| kind == Kind::Conv);
        let weights = packing.map_or(taps * channels, Packing::bytes);
        let scratch = match kind {
            Kind::Conv => self.target.conv_scratch_bytes(input, output, window, groups),
            _ => self.target.depthwise_scratch_bytes(input, output, window),
        };
        let mut bytes: Vec<u8> = (0..weights).map(|_| self.random.random()).collect();
        packing.into_iter().flat_map(Packing::gaps).for_each(|gap| bytes[gap].fill(0));
        record.a = self.section(bytes);
        record.second = self.place(scratch);
        record.b = self.words(channels, 0, 1000);
        record.c = match rule {
            Rule::Uniform => 0.001f32.to_bits(),
            Rule::PerChannelF32 => self.words(channels, 0.001f32.to_bits(), 0.002f32.to_bits()),
            Rule::HighMul => self.words(channels, 1 << 22, 1 << 23),
            Rule::ShiftedHighMul => {
                let mults = self.words(channels, 1 << 19, 1 << 20);
                self.section(std::iter::repeat_n(3, channels));
                mults
            }
        };
        record
    }

    fn conv(mut self, channels: usize, window: Window, groups: usize, rule: Rule) -> Self {
        let record = self.product(Kind::Conv, window, channels, groups, rule);
        self.add(record)
    }

    fn depthwise(mut self, window: Window, rule: Rule) -> Self {
        let channels = self.last().1.channels;
        let record = self.product(Kind::Depthwise, window, channels, channels, rule);
        self.add(record)
    }

    /// A window as large as the activation.
    fn whole(&self) -> Window {
        let (_, Shape { height, width, .. }) = self.last();
        Window { kernel: [height, width], stride: [1; 2], pad: [0; 2] }
    }

    /// A global pooling.
    fn whole_depthwise(self, rule: Rule) -> Self {
        let window = self.whole();
        self.depthwise(window, rule)
    }

    fn elementwise(mut self, kind: Kind, in_place: bool) -> Self {
        let (at, shape) = self.last();
        let mut record = self.record(kind, (at, shape), shape);
        if in_place {
            record.output = at;
        }
        match kind {
            Kind::Slope => (record.a, record.b) = (1 << 20, self.words(shape.channels, 1, 1 << 20)),
            Kind::LookupChannels => record.a = self.noise(256 * shape.channels),
            _ => record.a = self.noise(256),
        }
        self.add(record)
    }

    /// An add with the first activation behind the input.
    fn sum(mut self, kind: Kind, in_place: bool) -> Self {
        let (at, shape) = self.last();
        let mut record = self.record(kind, (at, shape), shape);
        record.second = self.records[1].output;
        if in_place {
            record.output = at;
        }
        [record.a, record.b] = [700_000, 500_000];
        if kind == Kind::FloatSum {
            [record.a, record.b, record.c] = [0.01f32, 0.02, 50.0].map(f32::to_bits);
        }
        self.add(record)
    }

    fn max_pool(mut self, window: Window) -> Self {
        let (at, input) = self.last();
        let side = |axis: usize, size: usize| {
            (size + 2 * window.pad[axis] - window.kernel[axis]) / window.stride[axis] + 1
        };
        let output = Shape { height: side(0, input.height), width: side(1, input.width), ..input };
        let record = self.record(Kind::MaxPool, (at, input), output);
        self.add(Record { window, ..record })
    }

    fn upsample(mut self, factor: usize) -> Self {
        let (at, input) = self.last();
        let output = Shape { height: factor * input.height, width: factor * input.width, ..input };
        let record = self.record(Kind::Upsample, (at, input), output);
        self.add(record)
    }

    /// The channels beside themselves: two operations.
    fn twice(mut self) -> Self {
        let (at, input) = self.last();
        let table = self.noise(256);
        let both = Shape { channels: 2 * input.channels, ..input };
        let first = Record { a: table, ..self.record(Kind::Place, (at, input), both) };
        self.add(first).add(Record { groups: input.channels as u32, ..first })
    }

    /// A product with the activation before the last one, of the same shape.
    fn times(mut self, in_place: bool) -> Self {
        let second = self.records[self.records.len() - 2].output;
        let (at, shape) = self.last();
        let record = self.record(Kind::Product, (at, shape), shape);
        let output = if in_place { at } else { record.output };
        self.add(Record { second, output, a: 1 << 24, bits: 0, ..record })
    }

    /// The activation before the last one by the last one, which has one pixel.
    fn excited(mut self, in_place: bool) -> Self {
        let before = &self.records[self.records.len() - 2];
        let (at, shape) = (before.output, before.output_shape);
        let (second, _) = self.last();
        let record = self.record(Kind::Product, (at, shape), shape);
        let output = if in_place { at } else { record.output };
        self.add(Record { second, output, groups: 1, a: 1 << 24, bits: 0, ..record })
    }

    fn planes(mut self) -> Self {
        let (at, shape) = self.last();
        let flat = Shape { height: 1, width: 1, channels: shape.bytes() };
        let record = self.record(Kind::Planes, (at, shape), flat);
        self.add(record)
    }

    /// A fully connected layer.
    fn whole_conv(self, channels: usize, rule: Rule) -> Self {
        let window = self.whole();
        self.conv(channels, window, 1, rule)
    }

    /// Ends with a fully connected layer; gives the plan's bytes.
    fn embedding(self, dimension: usize, rule: Rule) -> Vec<u8> {
        let mut chain = self.whole_conv(dimension, rule);
        assert_eq!(chain.records.len(), chain.steps);
        chain.info.dimension = dimension as u16;
        let mut plan = vec![0; HEADER_BYTES];
        for record in &chain.records {
            plan.extend(record.to_bytes().expect("small shapes fit their fields"));
        }
        plan.extend(&chain.sections);
        let Chain { info, target, arena: arena_bytes, steps, .. } = chain;
        assert!(
            Header { info, task: Task::Embedding, target, maps: 0, arena_bytes, steps, thresholds: 0 }
                .write(&mut plan)
        );
        plan
    }
}
