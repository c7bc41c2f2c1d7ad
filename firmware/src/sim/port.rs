//! A TCP listener as the device's UART, one host at a time; and one in memory.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use embedded_io::{ErrorType, Read, ReadReady, Write, WriteReady};

/// How long a connection may say nothing before the next one takes its place: longer than a code takes to be typed.
const SILENCE: Duration = Duration::from_secs(90);

/// A serial port that is a TCP connection; without one, nothing arrives and what is sent is lost, as on a UART. A host that is gone
/// without a word keeps no other out: its connection goes when another host waits.
#[derive(Debug)]
pub struct TcpPort {
    listener: TcpListener,
    connection: Option<TcpStream>,
    /// When something came last.
    heard: Instant,
    silence: Duration,
    input: VecDeque<u8>,
    output: VecDeque<u8>,
}

impl TcpPort {
    /// Listens on `address`.
    ///
    /// # Errors
    /// When it cannot be listened on.
    pub fn listen(address: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let (input, output) = Default::default();
        Ok(TcpPort { listener, connection: None, heard: Instant::now(), silence: SILENCE, input, output })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Whether nothing has arrived and nothing waits to be sent.
    pub fn is_quiet(&self) -> bool {
        self.input.is_empty() && self.output.is_empty()
    }

    fn hang_up(&mut self) {
        self.connection = None;
        self.output.clear();
    }

    fn receive(&mut self) -> io::Result<()> {
        let mut bytes = [0; 4096];
        match self.connection.as_mut().map(|connection| connection.read(&mut bytes)) {
            None => {}
            Some(Ok(0)) => self.hang_up(),
            Some(Ok(length)) => {
                self.heard = Instant::now();
                self.input.extend(&bytes[..length]);
                return Ok(());
            }
            Some(Err(e)) if e.kind() == io::ErrorKind::WouldBlock => {}
            Some(Err(e)) => {
                self.hang_up();
                return Err(e);
            }
        }
        if self.connection.is_some() && self.heard.elapsed() < self.silence {
            return Ok(());
        }
        match self.listener.accept() {
            Ok((connection, _)) => {
                connection.set_nonblocking(true)?;
                connection.set_nodelay(true)?;
                self.hang_up();
                (self.connection, self.heard) = (Some(connection), Instant::now());
                Ok(())
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(e) => Err(e),
        }
    }

    fn send(&mut self) -> io::Result<()> {
        let Some(connection) = &mut self.connection else {
            self.output.clear();
            return Ok(());
        };
        while !self.output.is_empty() {
            match connection.write(self.output.as_slices().0) {
                Ok(length) => drop(self.output.drain(..length)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => {
                    self.hang_up();
                    return Err(e);
                }
            }
        }
        Ok(())
    }
}

impl ErrorType for TcpPort {
    type Error = io::Error;
}

impl ReadReady for TcpPort {
    fn read_ready(&mut self) -> io::Result<bool> {
        if self.input.is_empty() {
            self.receive()?;
        }
        Ok(!self.input.is_empty())
    }
}

impl Read for TcpPort {
    /// Gives what has arrived; nothing when nothing has.
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() {
            self.receive()?;
        }
        io::Read::read(&mut self.input, bytes)
    }
}

impl WriteReady for TcpPort {
    fn write_ready(&mut self) -> io::Result<bool> {
        self.send()?;
        Ok(self.output.is_empty())
    }
}

impl Write for TcpPort {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.extend(bytes);
        self.send()?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

/// A serial port whose other end is in this process.
#[derive(Debug, Default)]
pub struct MemoryPort {
    /// What the device will read.
    pub to_device: VecDeque<u8>,
    /// What the device has written.
    pub to_host: VecDeque<u8>,
}

impl ErrorType for MemoryPort {
    type Error = Infallible;
}

impl ReadReady for MemoryPort {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(!self.to_device.is_empty())
    }
}

impl Read for MemoryPort {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
        Read::read(&mut self.to_device, bytes)
    }
}

impl WriteReady for MemoryPort {
    fn write_ready(&mut self) -> Result<bool, Infallible> {
        Ok(true)
    }
}

impl Write for MemoryPort {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.to_host.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What has come, as long as nothing does for at most a second.
    fn heard(port: &mut TcpPort) -> io::Result<u8> {
        let begin = Instant::now();
        let mut bytes = [0; 16];
        while begin.elapsed() < Duration::from_secs(1) {
            if Read::read(port, &mut bytes)? > 0 {
                return Ok(bytes[0]);
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    #[test]
    fn a_host_that_is_gone_without_a_word_gives_way_to_the_next_and_no_other_does() -> io::Result<()> {
        let mut port = TcpPort::listen("127.0.0.1:0")?;
        let [mut first, mut second] =
            [TcpStream::connect(port.address()?)?, TcpStream::connect(port.address()?)?];
        first.write_all(&[1])?;
        assert_eq!(heard(&mut port)?, 1);
        second.write_all(&[2])?;
        assert!(heard(&mut port).is_err(), "the first host still has the port");
        port.silence = Duration::from_millis(100);
        assert_eq!(heard(&mut port)?, 2);
        Write::write(&mut port, &[3])?;
        let mut said = [0];
        second.read_exact(&mut said)?;
        assert_eq!(said, [3]);
        // A port that nobody else waits for is kept.
        std::thread::sleep(port.silence);
        second.write_all(&[4])?;
        assert_eq!(heard(&mut port)?, 4);
        Ok(())
    }
}
