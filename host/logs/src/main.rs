//! `arcgate-logs`: what a board logs by defmt, in words.
//!
//! ```text
//! ELF -> the table of its format strings ---+
//! standard input, a file, TCP, a tty -> bytes -> frames (rzCOBS, a zero byte after each) -> a line each
//! ```
//!
//! A frame that was damaged, or cut at the end, is told with its number and left out; the next zero byte begins anew. The ESP32-C6 says
//! before each frame that one begins (0xff, 0), for its serial port has words in between.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Parser;
use defmt_decoder::{DecodeError, Frame, Table};
use serde_json::json;

/// Bits a second of a serial port that says nothing else.
const DEFAULT_BAUD: u32 = 115_200;

/// How long a serial port may be silent before it is asked again.
const SILENCE: Duration = Duration::from_secs(1);

/// What a board logs by defmt, one line a frame: its time if it has one, its level, its words.
///
/// Of an emulated board that was built with the feature `defmt` QEMU's standard output is the log:
/// qemu-system-arm ... | arcgate-logs ELF
#[derive(Parser, Debug)]
#[command(version)]
struct Args {
    /// The very ELF file that runs: the words are in it alone.
    elf: PathBuf,
    /// Where the log comes from: - for standard input, a file, tcp:HOST:PORT, or a serial port as /dev/ttyACM0[@BAUD].
    #[arg(default_value = "-")]
    from: Source,
    /// A JSON object a line; the last says how many frames there were, and how many of them were damaged.
    #[arg(long)]
    json: bool,
}

/// Where bytes come from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Input,
    File(PathBuf),
    Tcp(String),
    Serial(String, u32),
}

impl FromStr for Source {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        if let Some(address) = word.strip_prefix("tcp:") {
            return Ok(Source::Tcp(address.into()));
        }
        match word {
            "" => Err("accepted: -, a file, tcp:HOST:PORT, /dev/ttyACM0[@BAUD]"),
            "-" => Ok(Source::Input),
            _ if word.starts_with("/dev/") => {
                let (port, baud) = word.split_once('@').unwrap_or((word, ""));
                match (baud, baud.parse()) {
                    ("", _) if !word.contains('@') => Ok(Source::Serial(port.into(), DEFAULT_BAUD)),
                    (_, Ok(baud)) if baud > 0 => Ok(Source::Serial(port.into(), baud)),
                    _ => Err("after @ comes the speed in bits a second"),
                }
            }
            file => Ok(Source::File(file.into())),
        }
    }
}

impl Source {
    fn open(&self) -> anyhow::Result<Box<dyn Read>> {
        Ok(match self {
            Source::Input => Box::new(std::io::stdin()),
            Source::File(path) => Box::new(
                std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?,
            ),
            Source::Tcp(address) => Box::new(
                std::net::TcpStream::connect(address)
                    .with_context(|| format!("cannot connect to {address}"))?,
            ),
            Source::Serial(port, baud) => Box::new(
                serialport::new(port, *baud)
                    .timeout(SILENCE)
                    .open()
                    .with_context(|| format!("cannot open {port}"))?,
            ),
        })
    }
}

/// Frames that were seen.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    frames: u64,
    damaged: u64,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    let name = args.elf.display();
    let elf = std::fs::read(&args.elf).with_context(|| format!("cannot read {name}"))?;
    let table = Table::parse(&elf).with_context(|| name.to_string())?;
    let table = table.with_context(|| format!("{name} logs nothing by defmt: it was built without"))?;
    let mut out = std::io::stdout().lock();
    let counts = decode(&table, &mut *args.from.open()?, &mut |said| match (said, args.json) {
        (Said::Line(frame), false) => writeln!(out, "{}", text(frame)),
        (Said::Line(frame), true) => writeln!(out, "{}", object(frame)),
        (Said::Damaged(number), _) => {
            eprintln!("frame {number} is damaged");
            Ok(())
        }
    })?;
    let Counts { frames, damaged } = counts;
    match args.json {
        true => writeln!(out, "{}", json!({"frames": frames, "damaged": damaged}))?,
        false => eprintln!("{frames} frames, {damaged} of them damaged"),
    }
    Ok(())
}

/// What there is to say of a frame.
enum Said<'f> {
    Line(&'f Frame<'f>),
    /// By its number, from 1 on.
    Damaged(u64),
}

/// Leaves out the bytes 0xff, 0 where a frame would begin: no frame is one byte 0xff.
#[derive(Debug)]
struct Begins {
    /// Whether the last byte ended a frame.
    begins: bool,
    /// Whether the last byte was 0xff, and is held back.
    held: bool,
}

impl Begins {
    fn pass(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for &byte in bytes {
            let mark = std::mem::take(&mut self.held);
            if mark && byte == 0 {
                continue;
            }
            out.extend(mark.then_some(0xff));
            self.begins &= !mark;
            self.held = self.begins && byte == 0xff;
            if !self.held {
                out.push(byte);
                self.begins = byte == 0;
            }
        }
    }
}

/// Decodes everything that `from` gives, until it ends.
fn decode(
    table: &Table,
    from: &mut dyn Read,
    say: &mut dyn FnMut(Said<'_>) -> std::io::Result<()>,
) -> anyhow::Result<Counts> {
    if !table.encoding().can_recover() {
        bail!("the log's frames have no ends to be told by\n  accepted: defmt's encoding rzcobs");
    }
    let (mut decoder, mut counts, mut bytes) = (table.new_stream_decoder(), Counts::default(), [0; 4096]);
    let (mut begins, mut passed) = (Begins { begins: true, held: false }, Vec::new());
    let mut is_whole = true;
    loop {
        let length = match from.read(&mut bytes) {
            Ok(0) => {
                if !is_whole {
                    (counts.frames, counts.damaged) = (counts.frames + 1, counts.damaged + 1);
                    say(Said::Damaged(counts.frames))?;
                }
                return Ok(counts);
            }
            Ok(length) => length,
            Err(e) if matches!(e.kind(), std::io::ErrorKind::TimedOut | std::io::ErrorKind::Interrupted) => 0,
            Err(e) => return Err(e).context("the log cannot be read any further"),
        };
        is_whole = bytes[..length].last().map_or(is_whole, |&last| last == 0);
        passed.clear();
        begins.pass(&bytes[..length], &mut passed);
        decoder.received(&passed);
        loop {
            match decoder.decode() {
                Err(DecodeError::UnexpectedEof) => break,
                Ok(frame) => {
                    counts.frames += 1;
                    say(Said::Line(&frame))?;
                }
                Err(DecodeError::Malformed) => {
                    (counts.frames, counts.damaged) = (counts.frames + 1, counts.damaged + 1);
                    say(Said::Damaged(counts.frames))?;
                }
            }
        }
    }
}

fn level(frame: &Frame<'_>) -> &'static str {
    frame.level().map_or("", |level| level.as_str())
}

fn text(frame: &Frame<'_>) -> String {
    let time = frame.display_timestamp().map(|time| format!("{time} ")).unwrap_or_default();
    format!("{time}{:<5} {}", level(frame), frame.display_message())
}

fn object(frame: &Frame<'_>) -> serde_json::Value {
    let time = frame.display_timestamp().map(|time| time.to_string());
    json!({"time": time, "level": level(frame), "message": frame.display_message().to_string()})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_by_tcp_is_read_to_its_end() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let word = format!("tcp:{}", listener.local_addr().unwrap());
        let sender = std::thread::spawn(move || {
            let (mut board, _) = listener.accept().unwrap();
            for part in [&b"a frame\0"[..], &[7; 10_000], &[0]] {
                board.write_all(part).unwrap();
            }
        });
        let mut read = Vec::new();
        word.parse::<Source>().unwrap().open().unwrap().read_to_end(&mut read).unwrap();
        sender.join().unwrap();
        assert_eq!(read, [&b"a frame\0"[..], &[7; 10_000], &[0]].concat());
        // Nobody listens there any more.
        let why = word.parse::<Source>().unwrap().open().map(drop).unwrap_err();
        assert!(why.to_string().contains(&word[4..]), "{why}");
    }

    #[test]
    fn what_comes_by_a_serial_port_is_read_and_its_silence_waited_for() {
        let (mut board, port) = serialport::TTYPort::pair().unwrap();
        let word = format!("{}@921600", serialport::SerialPort::name(&port).unwrap());
        let mut from = word.parse::<Source>().unwrap().open().unwrap();
        let why = from.read(&mut [0; 8]).unwrap_err();
        assert_eq!(why.kind(), std::io::ErrorKind::TimedOut);
        board.write_all(b"a frame\0").unwrap();
        let mut read = [0; 8];
        from.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"a frame\0");
    }

    #[test]
    fn what_says_that_a_frame_begins_is_left_out() {
        let cases: [(&[u8], &[u8]); 6] = [
            (&[0xff, 0, 3, 4, 0, 0xff, 0, 5, 0], &[3, 4, 0, 5, 0]),
            (&[3, 4, 0, 5, 0], &[3, 4, 0, 5, 0]),
            // Part of a frame, at its end and at its beginning.
            (&[3, 0xff, 0, 4, 0], &[3, 0xff, 0, 4, 0]),
            (&[0xff, 3, 0, 0xff, 0xff, 0], &[0xff, 3, 0, 0xff, 0xff, 0]),
            // Words in between are a damaged frame.
            (&[0xff, 0, 3, 0, b'h', b'i', 0xff, 0, 5, 0], &[3, 0, b'h', b'i', 0xff, 0, 5, 0]),
            (&[0xff, 0, 0xff, 0], &[]),
        ];
        for (sent, expected) in cases {
            for cut in 0..=sent.len() {
                let (mut begins, mut passed) = (Begins { begins: true, held: false }, Vec::new());
                begins.pass(&sent[..cut], &mut passed);
                begins.pass(&sent[cut..], &mut passed);
                assert_eq!(passed, expected, "{sent:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn words_and_where_they_lead() {
        let serial = |port: &str, baud| Ok(Source::Serial(port.into(), baud));
        let cases = [
            ("-", Ok(Source::Input)),
            ("boot.log", Ok(Source::File("boot.log".into()))),
            ("tcp:localhost:4444", Ok(Source::Tcp("localhost:4444".into()))),
            ("/dev/ttyACM0", serial("/dev/ttyACM0", DEFAULT_BAUD)),
            ("/dev/ttyUSB0@921600", serial("/dev/ttyUSB0", 921_600)),
        ];
        for (word, expected) in cases {
            assert_eq!(word.parse(), expected, "{word}");
        }
        for word in ["", "/dev/ttyUSB0@", "/dev/ttyUSB0@fast"] {
            assert!(word.parse::<Source>().is_err(), "{word}");
        }
    }
}
