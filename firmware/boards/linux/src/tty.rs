//! Where the link is, and a serial port that nobody waits for.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd;
use std::str::FromStr;
use std::time::Duration;

use embedded_io::{ErrorType, Read, ReadReady, Write, WriteReady};
use serialport::{SerialPort, TTYPort};

/// The speed of a serial port when none is given.
const BAUD: u32 = 115_200;

/// The link's wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Port {
    /// A TCP address to listen on.
    Tcp(String),
    /// A serial port.
    Tty {
        /// Its device.
        path: String,
        /// Bits a second.
        baud: u32,
    },
}

impl FromStr for Port {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        if let Some(address) = word.strip_prefix("tcp:") {
            let (_, port) = address.rsplit_once(':').ok_or("after tcp: come a host and a port number")?;
            port.parse::<u16>().map_err(|_| "a port number is 0 to 65535")?;
            return Ok(Port::Tcp(address.into()));
        }
        let (path, baud) =
            word.rsplit_once('@').map_or((word, Ok(BAUD)), |(path, baud)| (path, baud.parse()));
        match baud {
            _ if !path.starts_with('/') => Err("accepted: tcp:HOST:PORT or /dev/ttyX[@BAUD]"),
            Ok(baud @ 1..) => Ok(Port::Tty { path: path.into(), baud }),
            _ => Err("after @ comes the speed in bits a second"),
        }
    }
}

/// A serial port. A gadget's fails while no host is there; the device goes on with the next call.
#[derive(Debug)]
pub struct TtyPort {
    tty: TTYPort,
    output: VecDeque<u8>,
}

impl TtyPort {
    /// Opens it, raw, eight bits without parity.
    ///
    /// # Errors
    /// When it is no serial port, in use, or does not know the speed.
    pub fn open(path: &str, baud: u32) -> serialport::Result<Self> {
        TTYPort::open(&serialport::new(path, baud)).and_then(Self::over)
    }

    fn over(mut tty: TTYPort) -> serialport::Result<Self> {
        // A terminal that is ready for a byte waits until it has taken all of them, unless it is told not to.
        // SAFETY: the descriptor is the port's, and the flag is about waiting alone.
        if unsafe { libc::fcntl(tty.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) } < 0 {
            return Err(io::Error::last_os_error().into());
        }
        tty.set_timeout(Duration::ZERO)?;
        Ok(TtyPort { tty, output: VecDeque::new() })
    }

    fn send(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            match self.tty.write(self.output.as_slices().0) {
                Ok(length) => drop(self.output.drain(..length)),
                Err(e) if is_later(&e) => break,
                Err(e) => {
                    // What nobody receives is lost, as on a wire.
                    self.output.clear();
                    return Err(e);
                }
            }
        }
        Ok(())
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

impl ErrorType for TtyPort {
    type Error = io::Error;
}

impl ReadReady for TtyPort {
    fn read_ready(&mut self) -> io::Result<bool> {
        Ok(self.tty.bytes_to_read()? > 0)
    }
}

impl Read for TtyPort {
    /// Gives what has arrived; nothing when nothing has.
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self.tty.read(bytes) {
            Err(e) if is_later(&e) => Ok(0),
            read => read,
        }
    }
}

impl WriteReady for TtyPort {
    fn write_ready(&mut self) -> io::Result<bool> {
        self.send()?;
        Ok(self.output.is_empty())
    }
}

impl Write for TtyPort {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.extend(bytes);
        self.send()?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_what_they_mean() {
        let tty = |path: &str, baud| Ok(Port::Tty { path: path.into(), baud });
        assert_eq!("tcp:[::]:7700".parse(), Ok(Port::Tcp("[::]:7700".into())));
        assert_eq!("/dev/ttyS0".parse(), tty("/dev/ttyS0", BAUD));
        assert_eq!("/dev/ttyGS0@921600".parse(), tty("/dev/ttyGS0", 921_600));
        for word in ["", "tcp:host", "tcp:host:70000", "ttyS0", "/dev/ttyS0@", "/dev/ttyS0@0"] {
            assert!(word.parse::<Port>().is_err(), "{word:?}");
        }
    }

    #[test]
    fn nothing_waits_and_nothing_is_lost() {
        let (mut host, device) = TTYPort::pair().expect("a pseudoterminal");
        let mut device = TtyPort::over(device).unwrap();
        let mut bytes = [0; 4096];
        assert!(!device.read_ready().unwrap());
        assert_eq!(device.read(&mut bytes).unwrap(), 0);
        host.write_all(b"\x00\x03\x0d\x0a\x11\xff").unwrap();
        while !device.read_ready().unwrap() {}
        assert_eq!(device.read(&mut bytes).unwrap(), 6);
        assert_eq!(bytes[..6], *b"\x00\x03\x0d\x0a\x11\xff");

        // More than the terminal holds.
        let sent: Vec<u8> = (0..40_000u32).map(|i| (i * 7 + i / 256) as u8).collect();
        assert_eq!(device.write(&sent).unwrap(), sent.len());
        assert!(!device.write_ready().unwrap());
        let mut came = Vec::new();
        while came.len() < sent.len() {
            let count = host.read(&mut bytes).expect("bytes within the host's patience");
            came.extend_from_slice(&bytes[..count]);
            device.flush().unwrap();
        }
        assert!(came == sent && device.write_ready().unwrap());
    }
}
